"""The ways in, back and out: small pages around Clerk's own sign-in."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.identity.clerk.cookies import names_for, sign_out_cookies
from webmail.identity.clerk.states import Known, State
from webmail.identity.clerk.transport import BackendError
from webmail.identity.clerk.verdict import resync as ask_again
from webmail.web.access import ANYONE, WAY_OUT, requires
from webmail.web.auth_answers import answer, denied_page, page, unavailable_page
from webmail.web.gate import Gate, asked, hashed
from webmail.web.next_page import DONE, safe_next
from webmail.web.words import gettext as _

blueprint = Blueprint("auth", __name__)
log = logging.getLogger(__name__)


@blueprint.get("/auth/sign-in")
def sign_in() -> BaseResponse:
    """To Clerk's sign-in page, and from there to `next`."""
    return _to_clerk("", "auth.sign_in")


@blueprint.get("/auth/tasks")
def tasks() -> BaseResponse:
    """To what Clerk wants done before a session is whole."""
    return _to_clerk("/tasks", "auth.tasks")


@blueprint.get("/auth/resync")
@requires(WAY_OUT)
def resync() -> BaseResponse:
    """Have Clerk say anew who this is, whatever our cookies say, and go on from there to `next`."""
    gate: Gate = current_app.extensions["auth"]
    target, facts = safe_next(request.args.get("next")), asked()
    if facts.htmx:
        return _away(Response("", 200, {"HX-Redirect": url_for("auth.resync", next=target)}))
    if g.auth.state is State.UNDECIDED or gate.clerk.reach.down():
        return unavailable_page(facts.target)
    verdict = ask_again(facts, gate.settings, target, gate.clerk.clock())
    g.auth = replace(verdict, known=g.auth.known, set_cookies=(*g.auth.set_cookies, *verdict.set_cookies))
    return answer(verdict, facts, gate.settings)


@blueprint.get("/auth/done")
@requires(ANYONE)
def done() -> BaseResponse:
    """The end of a way that began in another tab."""
    if g.viewer is None:
        return _away(redirect(url_for("auth.sign_in", next=DONE), 303))
    return page("auth/done.html", 200, _("Thank you"))


@blueprint.get("/auth/verify")
@requires("account")
def verify() -> Response:
    """Clerk has no page that asks for a factor anew, so that this leads out and in again."""
    return page(
        "auth/verify.html", 200, _("Please confirm that it is you"), again=safe_next(request.args.get("next"))
    )


@blueprint.post("/auth/sign-out")
@requires(WAY_OUT)
def sign_out() -> BaseResponse:
    """End this session here at once and at Clerk as soon as possible; with `again`, come back by signing in."""
    gate: Gate = current_app.extensions["auth"]
    known: Known | None = g.auth.known
    again = request.form.get("again")
    target = url_for("auth.signed_out")
    if known is not None:
        gate.hooks.deny(known.session_id, known.user_id)
        # Asked at once, for whoever signs in again the next moment; what is not answered, a worker goes on asking.
        if _revoked_now(gate, known.session_id) and again is not None:
            target = url_for("auth.sign_in", next=safe_next(again))
    # A token renewed during this very request is not handed out.
    g.auth = replace(g.auth, set_cookies=())
    response = redirect(target, 303)
    for cookie in sign_out_cookies(gate.settings):
        response.headers.add("Set-Cookie", cookie)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return _away(response)


@blueprint.get("/signed-out")
def signed_out() -> Response:
    return page(
        "auth/signed_out.html",
        200,
        _("You are signed out"),
        sign_in_url=url_for("auth.sign_in"),
        refused=False,
    )


@blueprint.get("/auth/denied")
@requires(WAY_OUT)
def denied() -> Response:
    return denied_page()


def _to_clerk(path: str, endpoint: str) -> BaseResponse:
    target = safe_next(request.args.get("next"))
    if "HX-Request" in request.headers:
        # A script cannot follow to another origin; the browser itself has to come here.
        return _away(Response("", 200, {"HX-Redirect": url_for(endpoint, next=target)}))
    gate: Gate = current_app.extensions["auth"]
    if gate.clerk.reach.down() and "anyway" not in request.args:
        return unavailable_page(
            url_for(endpoint, next=target), anyway=url_for(endpoint, next=target, anyway=1)
        )
    gate.clerk.reach.wonder()
    return _away(redirect(_portal(path, target), 303))


def _portal(path: str, target: str) -> str:
    settings = current_app.extensions["auth"].settings
    parameters = {"redirect_url": settings.origin + target}
    if not settings.live:
        # A development instance knows a browser by this token, across hosts that share no cookie.
        names = names_for(settings.key.suffix).db_jwt
        if browser := request.cookies.get(names[1]) or request.cookies.get(names[0]):
            parameters["__clerk_db_jwt"] = browser
    return f"{settings.sign_in_url}{path}?{urlencode(parameters)}"


def _revoked_now(gate: Gate, session_id: str) -> bool:
    """Clerk's sign-in page would greet a session that is not revoked yet by sending it straight back."""
    try:
        gate.clerk.backend.revoke_session(session_id)
    except BackendError as error:
        log.warning("session %s not revoked: %s", hashed(session_id), error.code)
        gate.hooks.revoke(session_id)
        return False
    return True


def _away(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "no-store"
    return response
