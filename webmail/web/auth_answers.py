"""What is answered to a request that does not get what it asked for, by state and by class of request.

Two rules stand above the table: only a document is ever sent to another host, and what somebody has typed is never lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.identity.accounts import NO_SIGN_IN
from webmail.identity.clerk.cookies import count_cookie
from webmail.identity.clerk.facts import RequestClass, RequestFacts
from webmail.identity.clerk.handshake import clean_target
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import State, Verdict
from webmail.identity.clerk.stepup import Requirement
from webmail.identity.clerk.verdict import MAX_LAPS
from webmail.identity.viewer import Preferences
from webmail.web.next_page import DONE, path_of, safe_next
from webmail.web.words import gettext as _

NOT_KEPT = frozenset({"csrf_token", "password", "code", "confirm_password", "confirm_code"})
"""Fields that a page must not repeat: made anew, or secret."""
LONG = 80
RETRY_AFTER = "5"

_STREAM_WORDS = {
    State.UNKNOWN: "stale",
    State.EXPIRED: "stale",
    State.PENDING: "pending",
    State.DENIED: "denied",
}


def answer(verdict: Verdict, facts: RequestFacts, settings: ClerkSettings) -> BaseResponse:
    """The response to a verdict that is not signed in. Never cached."""
    match verdict.request_class:
        case RequestClass.DOCUMENT:
            response = _document(verdict, facts, settings)
        case RequestClass.PARTIAL:
            response = _partial(verdict, facts, settings)
        case RequestClass.UNSAFE:
            response = _unsafe(verdict, facts, settings)
        case RequestClass.STREAM:
            response = _stream(verdict)
        case RequestClass.OTHER:
            response = _empty(_status(verdict))
    return _uncached(response)


def ask_to_confirm(
    needed: Requirement, facts: RequestFacts, verdict: Verdict, settings: ClerkSettings
) -> BaseResponse:
    """For somebody who is signed in and allowed to, but has not proved lately who he is."""
    here = url_for("auth.verify", next=safe_next(clean_target(facts.target)))
    wants_json = request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    match verdict.request_class:
        case RequestClass.DOCUMENT:
            response: BaseResponse = redirect(here, 303)
        case RequestClass.UNSAFE if wants_json:
            detail = {"reverification": needed.as_clerk_metadata()}
            error = {"type": "forbidden", "reason": "reverification-error", "metadata": detail}
            response = make_response(jsonify(clerk_error=error), 403)
        case RequestClass.UNSAFE if not facts.htmx:
            response = kept_form(403, "confirm", url_for("auth.verify", next=DONE), settings)
        case RequestClass.UNSAFE:
            response = _empty(403, {"HX-Trigger": "auth-verify"})
        case RequestClass.PARTIAL:
            response = _empty(403, {"HX-Redirect": here})
        case _:
            response = _empty(403)
    return _uncached(response)


def page(template: str, status: int, title: str, **context: Any) -> Response:
    """A page without rail or viewer, so that it can be shown in any state."""
    told = {"title": title, "nav": None, "viewer": None, "notice": None, "prefs": Preferences()}
    return make_response(render_template(template, **told | context), status)


def denied_page() -> Response:
    return page("auth/denied.html", 403, _("You cannot use this"))


def unavailable_page(retry_url: str, anyway: str = "") -> Response:
    """Clerk does not answer: nobody gets in now. `anyway` leads to its page all the same, for somebody on the way there."""
    title = _("Signing in does not work just now") if anyway else _("We cannot check who you are")
    response = page("auth/unavailable.html", 503, title, retry_url=retry_url, anyway=anyway)
    response.headers["Retry-After"] = RETRY_AFTER
    return response


# --- by class ---


def _document(verdict: Verdict, facts: RequestFacts, settings: ClerkSettings) -> BaseResponse:
    if verdict.location is not None:
        return redirect(verdict.location, 307)
    here = clean_target(facts.target)
    match verdict.state:
        case State.SIGNED_OUT | State.INVALID:
            return _to_sign_in(verdict, here, settings)
        case State.PENDING:
            return _to_tasks(verdict, here, settings)
        case State.DENIED if verdict.reason == NO_SIGN_IN:
            return redirect(url_for("notices.suspended"), 303)
        case State.DENIED:
            return denied_page()
        case State.UNDECIDED if verdict.reason == "handshake-key-mismatch":
            return page("auth/mismatch.html", 400, _("The keys do not match"), retry_url=here)
        case State.UNDECIDED:
            return unavailable_page(here)
        case _:
            return _loop_page(here)


def _to_sign_in(verdict: Verdict, here: str, settings: ClerkSettings) -> BaseResponse:
    """The sign-in page sends a browser that it knows straight back, so that these laps are counted, too.

    Only what another site sent here can be such a lap: somebody who opens three pages of ours is no loop."""
    sign_in = url_for("auth.sign_in", next=safe_next(here))
    if verdict.state is State.INVALID and verdict.count:
        return page("auth/signed_out.html", 401, _("Please sign in again"), sign_in_url=sign_in, refused=True)
    if verdict.state is State.SIGNED_OUT and request.headers.get("Sec-Fetch-Site") not in (
        "cross-site",
        "same-site",
    ):
        return redirect(sign_in, 303)
    if verdict.count >= MAX_LAPS:
        loop = _loop_page(here)
        loop.headers.add("Set-Cookie", count_cookie(settings, 0))
        return loop
    response = redirect(sign_in, 303)
    response.headers.add("Set-Cookie", count_cookie(settings, verdict.count + 1))
    return response


def _to_tasks(verdict: Verdict, here: str, settings: ClerkSettings) -> BaseResponse:
    """A token says "pending" until it expires, also when the task is done: do not go to and fro for a minute."""
    tasks = url_for("auth.tasks", next=safe_next(here))
    if verdict.count >= MAX_LAPS - 1:
        return page("auth/pending.html", 403, _("One step is left before you can go on"), tasks_url=tasks)
    response = redirect(tasks, 303)
    response.headers.add("Set-Cookie", count_cookie(settings, verdict.count + 1))
    return response


def _loop_page(here: str) -> BaseResponse:
    return page("auth/loop.html", 503, _("Signing in does not work at present"), retry_url=here)


def _partial(verdict: Verdict, facts: RequestFacts, settings: ClerkSettings) -> BaseResponse:
    """A fragment that a poll or a button asked for leaves the page as it is; only a navigation may lead away."""
    match verdict.state:
        case State.SIGNED_OUT | State.INVALID if facts.navigation:
            current = path_of(facts.current_url, settings.origin)
            headers = {"HX-Redirect": url_for("auth.sign_in", next=current)}
        case State.UNKNOWN | State.EXPIRED if facts.navigation:
            headers = {"HX-Redirect": safe_next(clean_target(facts.target))}
        case State.PENDING:
            headers = {"HX-Redirect": url_for("auth.tasks")}
        case State.DENIED:
            headers = {"HX-Redirect": url_for("auth.denied")}
        case State.UNDECIDED:
            headers = {"Retry-After": RETRY_AFTER}
        case _:
            headers = {"HX-Trigger": "auth-stale"}
    return _empty(_status(verdict), headers)


def _unsafe(verdict: Verdict, facts: RequestFacts, settings: ClerkSettings) -> BaseResponse:
    status = _status(verdict)
    if facts.htmx:
        return _empty(status, {} if status != 401 else {"HX-Trigger": "auth-stale"})
    match verdict.state:
        case State.DENIED:
            return denied_page()
        case State.PENDING:
            return kept_form(status, "pending", url_for("auth.tasks"), settings)
        case State.UNDECIDED:
            return kept_form(status, "unavailable", "", settings)
        case State.SIGNED_OUT | State.INVALID:
            return kept_form(status, "signed-out", url_for("auth.sign_in", next=DONE), settings)
        case _:
            return kept_form(status, "stale", url_for("auth.resync", next=DONE), settings)


def _stream(verdict: Verdict) -> BaseResponse:
    """An event rather than a status: EventSource tells a page nothing about a response that is not 200."""
    if verdict.state is State.UNDECIDED:
        return _empty(503)
    word = _STREAM_WORDS.get(verdict.state, "signed-out")
    return Response(f"event: auth\ndata: {word}\n\n", mimetype="text/event-stream")


# --- parts ---


def kept_form(status: int, outcome: str, confirm_url: str, settings: ClerkSettings) -> BaseResponse:
    """The form again, filled in as it was sent.

    Only for a form of our own: a foreign site could otherwise have its fields put into a page of ours and sent with
    our token. Only for POST: a browser sends forms by no other unsafe method."""
    fields: Sequence[tuple[str, str, bool]] = ()
    files: Sequence[str] = ()
    own = _sent_by_ourselves(settings)
    if own and request.method == "POST":
        pairs = [(name, value) for name, value in request.form.items(multi=True) if name not in NOT_KEPT]
        fields = [
            (name, value, name != "confirm" and (len(value) > LONG or "\n" in value)) for name, value in pairs
        ]
        files = [upload.filename for upload in request.files.values() if upload.filename]
    titles = {
        "stale": _("Please confirm that it is you"),
        "confirm": _("Please confirm that it is you"),
        "pending": _("One step is left before you can go on"),
        "unavailable": _("We cannot check who you are"),
        "again": _("Please send this once more"),
        "signed-out": _("Please sign in"),
    }
    response = page(
        "auth/stale.html",
        status,
        titles[outcome],
        outcome=outcome,
        confirm_url=confirm_url,
        action=clean_target(raw_target()),
        fields=fields,
        files=files,
        multipart=request.mimetype == "multipart/form-data",
        own=own,
    )
    if status == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def _sent_by_ourselves(settings: ClerkSettings) -> bool:
    """Stricter than the guard against forged requests: where a browser says nothing, the answer is no."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is not None:
        return origin == settings.origin
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Referer", "").startswith(f"{settings.origin}/")


def _status(verdict: Verdict) -> int:
    return {State.DENIED: 403, State.UNDECIDED: 503, State.LOOP: 503}.get(verdict.state, 401)


def _empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response("", status, headers, mimetype="text/plain")


def _uncached(response: BaseResponse) -> BaseResponse:
    response.headers["Cache-Control"] = "private, no-store"
    return response


def raw_target() -> str:
    """Path and query as the browser sent them; servers keep them under one of two names."""
    sent = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    return sent if isinstance(sent, str) and sent.startswith("/") else request.full_path.rstrip("?")
