"""The hosted profile page: name, password, second factor, sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from webmail.embedded.clerk import accounts
from webmail.embedded.clerk.backend_users import password_hash_of
from webmail.embedded.clerk.directives import with_parameter
from webmail.embedded.clerk.forms import browser, page, quoted, signed_in
from webmail.embedded.clerk.frontend_api import away
from webmail.embedded.clerk.passwords import check_password, match_totp, new_totp_secret
from webmail.embedded.clerk.resources import LIVE, Problem
from webmail.embedded.clerk.service import local
from webmail.embedded.clerk.store import Session, User

blueprint = Blueprint("profile", __name__, url_prefix="/user")
_DONE = {
    "name": "Your name is saved.",
    "password": "Your password is changed.",
    "totp": "Codes are on: the next sign-in asks for one.",
    "totp-off": "Codes are off.",
    "session": "That session is signed out.",
}


def _stranger() -> Response:
    return away(with_parameter("/sign-in", "redirect_url", quoted(f"{local().instance.url}/user")), 303)


def _profile(session: Session, user: User, status: int = 200, **values: Any) -> Response:
    with local().store.reading() as data:
        live = [one for one in accounts.sessions_of(data, user.id) if one.status in LIVE]
    listed = [
        {
            "id": one.id,
            "here": one.id == session.id,
            "since": datetime.fromtimestamp(one.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "codes": one.second_factor_at is not None,
        }
        for one in sorted(live, key=lambda one: one.created_at, reverse=True)
    ]
    defaults = {"done": "", "error": "", "secret": "", "attempt": ""}
    return page("user.html", status, user=user, sessions=listed, target="", **{**defaults, **values})


@blueprint.get("")
def show() -> Response:
    found = signed_in(local())
    return _profile(*found, done=_DONE.get(request.args.get("done", ""), "")) if found else _stranger()


def _done(what: str) -> Response:
    return away(f"/user?done={what}", 303)


@blueprint.post("/name")
def name() -> Response:
    if (found := signed_in(local())) is None:
        return _stranger()
    first, last = (request.form.get(part, "").strip()[:256] or None for part in ("first_name", "last_name"))
    with local().change() as change:
        accounts.update(
            change, accounts.find_user(change.data, found[1].id), first_name=first, last_name=last
        )
    return _done("name")


def _knows_password(user: User) -> bool:
    """Whether the form carries the user's password; slows down as the sign-in page does."""
    limiter, key = local().limiter, "password:" + user.id
    if limiter.wait_seconds(key):
        return False
    limiter.wrong(key)
    if not check_password(request.form.get("current_password", "")[:1024], user.password_hash):
        return False
    limiter.right(key)
    return True


@blueprint.post("/password")
def password() -> Response:
    if (found := signed_in(local())) is None:
        return _stranger()
    if not _knows_password(found[1]):
        return _profile(*found, 422, error="That is not your current password.")
    try:
        hashed = password_hash_of(request.form.get("password", ""))
    except Problem as problem:
        return _profile(*found, problem.status, error=problem.message)
    with local().change() as change:
        accounts.update(change, accounts.find_user(change.data, found[1].id), password_hash=hashed)
    return _done("password")


@blueprint.post("/totp")
def begin_totp() -> Response:
    """Shows a secret; nothing is on until a code made with it comes back."""
    if (found := signed_in(local())) is None:
        return _stranger()
    secret = new_totp_secret()
    return _profile(*found, secret=secret, attempt=local().attempts.begin(found[1].id, browser(), secret))


@blueprint.post("/totp/confirm")
def confirm_totp() -> Response:
    here = local()
    if (found := signed_in(here)) is None:
        return _stranger()
    key = request.form.get("attempt", "")
    attempt = here.attempts.find(key, browser())
    if attempt is None or not attempt.secret or attempt.user_id != found[1].id:
        return _profile(*found, 422, error="That took too long. Please start again.")
    step = match_totp(attempt.secret, request.form.get("code", "")[:16], here.controls.now(), 0)
    if step is None:
        return _profile(*found, 422, error="That code is wrong.", secret=attempt.secret, attempt=key)
    here.attempts.end(key)
    with here.change() as change:
        user = accounts.find_user(change.data, found[1].id)
        accounts.update(change, user, totp_secret=attempt.secret, totp_last_step=step)
    return _done("totp")


@blueprint.post("/totp/off")
def end_totp() -> Response:
    if (found := signed_in(local())) is None:
        return _stranger()
    if not _knows_password(found[1]):
        return _profile(*found, 422, error="That is not your current password.")
    with local().change() as change:
        accounts.update(change, accounts.find_user(change.data, found[1].id), totp_secret=None)
    return _done("totp-off")


@blueprint.post("/sessions/<session_id>/end")
def end_session(session_id: str) -> Response:
    """Signs out one of one's own sessions; another person's is as unknown as one that never was."""
    if (found := signed_in(local())) is None:
        return _stranger()
    with local().change() as change:
        session = accounts.find_session(change.data, session_id)
        if session.user_id == found[1].id:
            accounts.end_session(change, session, "revoked")
    return _done("session")
