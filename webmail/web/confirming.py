"""Asking for a proof before what matters: the page, and what becomes of its answer.

An act that says `stepup.require` (`identity.stepup`) and finds no confirmation ends in ConfirmationNeeded. The answer is a page in
its place, with the form as it was sent and a field for the code or the password; sending that goes to the act itself, so that one
press confirms and does it, without a script and without anything typed twice. What was asked stands in the form as a signed
question, which names the person, the act and its target, and is good for one confirmation. An act that is a page (GET) comes back
through `/confirm`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app, g, make_response, render_template, request, url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from itsdangerous import BadSignature, URLSafeSerializer

from webmail import audit
from webmail.db import new_id, transaction
from webmail.identity import stepup
from webmail.identity.clerk.backend import BackendClient
from webmail.identity.clerk.transport import BackendError
from webmail.identity.stepup import ConfirmationNeeded, Question, TooManyTries
from webmail.identity.viewer import Viewer
from webmail.web.auth_answers import NOT_KEPT, raw_target
from webmail.web.next_page import DONE, safe_next
from webmail.web.viewing import page
from webmail.web.words import gettext as _

QUESTION, PASSWORD, CODE = "confirm", "confirm_password", "confirm_code"
QUESTION_SECONDS = 1800
"""A page that lay open for longer asks anew."""

ACTS: dict[str, LazyString] = {
    "roles.grant": _l("give somebody a role"),
    "roles.revoke": _l("take a role from somebody"),
    "roles.confirm": _l("confirm a new admin"),
}
"""What an act is called on the page, after “You are about to”. Who adds an act adds its words, with `name_act`."""


def name_act(act: str, words: LazyString) -> None:
    """Say what an act is called on the page."""
    ACTS[act] = words


def init_app(app: Flask) -> None:
    """Answer ConfirmationNeeded, and look for answers in forms. After the guards of `auth` and `security`."""
    app.register_error_handler(ConfirmationNeeded, _ask)
    app.before_request(_look)


# --- asking --------------------------------------------------------------------------------------------------------------


def _ask(error: ConfirmationNeeded) -> Response:
    question = Question(new_id(), g.viewer.account_id, error.act, error.target, error.level, int(time.time()))
    return _page(question, "")


def _page(question: Question, problem: str, status: int = 403) -> Response:
    ask_password, ask_code = stepup.wanted(g.viewer, question.level)
    away = raw_target() if request.method != "POST" else ""
    context: dict[str, Any] = {
        "act": str(ACTS.get(question.act, _("do something that needs it"))),
        "question": _sealed(question),
        "problem": _problem(problem),
        "ask_password": ask_password,
        "ask_code": ask_code,
        "action": url_for("stepup.confirm") if away else raw_target(),
        "fields": [("next", safe_next(away))] if away else _kept(),
        "files": [upload.filename for upload in request.files.values() if upload.filename],
        "again": url_for("auth.verify", next=DONE),
    }
    response = make_response(
        render_template("stepup/confirm.html", **page(_("Please confirm that it is you"), **context)), status
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _kept() -> list[tuple[str, str]]:
    """The form as it was sent, without what is secret or made anew."""
    dropped = NOT_KEPT | {QUESTION, PASSWORD, CODE}
    return [(name, value) for name, value in request.form.items(multi=True) if name not in dropped]


def _problem(code: str) -> str:
    return {
        "": "",
        "missing": _("Please fill in what is asked for, or sign in again in another tab first."),
        "wrong": _(
            "That was not right. A code is good for one use: if you have just used it, wait for the next one."
        ),
        "tries": _("Too many tries. Nothing was done; please wait ten minutes."),
        "unsure": _(
            "Our sign-in service does not answer, so we cannot check this. Nothing was done; please try again."
        ),
    }[code]


# --- the answer ----------------------------------------------------------------------------------------------------------


def _look() -> Response | None:
    """A form that answers a question is checked before its view runs; what was right is there for `stepup.require` then."""
    if request.method != "POST" or g.get("viewer") is None or QUESTION not in request.form:
        return None
    question = _opened(request.form[QUESTION])
    if question is None:
        return None  # forged, somebody else's, or too old: the act asks anew
    problem = _settle(question, request.form.get(PASSWORD, ""), request.form.get(CODE, ""))
    return _page(question, problem, {"tries": 429, "unsure": 503}.get(problem, 403)) if problem else None


def _settle(question: Question, password: str, code: str) -> str:
    """Check the answer, and write down what is right; the code of a problem or ""."""
    viewer: Viewer = g.viewer
    ask_password, ask_code = stepup.wanted(viewer, question.level)
    code = "".join(code.split())
    if not password and not code:
        session = g.auth.session
        if not stepup.signed_in_since(question, viewer.fva, session.issued_at):
            return "missing"
        with transaction():
            stepup.confirm(question, viewer, "clerk")
        return ""
    if (ask_password and not password) or (ask_code and not code):
        return "missing"
    try:
        with transaction():
            number = stepup.begin_try(viewer.account_id)
    except TooManyTries:
        with transaction():
            audit.record("stepup.too_many", f"account:{viewer.account_id}", act=question.act)
        return "tries"
    outcome = _checked(viewer, password if ask_password else None, code if ask_code else None)
    with transaction():
        stepup.end_try(number, outcome, viewer, question.act)
        if outcome == "right":
            method = "both" if ask_password and ask_code else "totp" if ask_code else "password"
            stepup.confirm(question, viewer, method)
    return "" if outcome == "right" else outcome


def _checked(viewer: Viewer, password: str | None, code: str | None) -> str:
    """Ask Clerk, outside of any transaction. The password first: a code is spent by being asked for."""
    backend: BackendClient = current_app.extensions["auth"].clerk.backend
    try:
        right = password is None or backend.verify_password(viewer.user_id, password)
        right = right and (code is None or backend.verify_totp(viewer.user_id, code))
    except BackendError:
        return "unsure"
    return "right" if right else "wrong"


# --- the question --------------------------------------------------------------------------------------------------------


def _sealed(question: Question) -> str:
    told = {
        "n": question.number,
        "p": question.account_id,
        "a": question.act,
        "t": question.target.hex(),
        "l": question.level,
        "at": question.asked_at,
    }
    return str(_signer().dumps(told))


def _opened(sealed: str) -> Question | None:
    try:
        told: Mapping[str, Any] = _signer().loads(sealed)
    except BadSignature:
        return None
    if told["p"] != g.viewer.account_id or time.time() - told["at"] > QUESTION_SECONDS:
        return None
    return Question(told["n"], told["p"], told["a"], bytes.fromhex(told["t"]), told["l"], told["at"])


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="confirm")
