"""Hosted pages on the way in that few people see: what is left to do before a session is whole, and acting as
somebody else."""

from __future__ import annotations

from flask import Blueprint, Response, request

from webmail.embedded.clerk import accounts
from webmail.embedded.clerk.backend_users import password_hash_of
from webmail.embedded.clerk.directives import with_parameter
from webmail.embedded.clerk.forms import (
    back_to_app,
    browser,
    let_in,
    page,
    quoted,
    signed_in,
    target,
    with_hint,
)
from webmail.embedded.clerk.frontend_api import CLIENT_COOKIE, away
from webmail.embedded.clerk.passwords import match_totp, new_totp_secret
from webmail.embedded.clerk.resources import Problem
from webmail.embedded.clerk.service import local
from webmail.embedded.clerk.store import ActorToken, hash_token

blueprint = Blueprint("detours", __name__)
_STALE = "This link is no longer good"


@blueprint.get("/sign-in/tasks")
def tasks() -> Response:
    return _task_page(target())


def _task_page(url: str, status: int = 200, error: str = "", attempt: str = "") -> Response:
    here = local()
    found = signed_in(here)
    if found is None:
        return away(with_parameter("/sign-in", "redirect_url", quoted(url)), 303)
    user, secret = found[1], ""
    if user.task is None:
        return back_to_app(url, request.cookies[CLIENT_COOKIE])
    if user.task == "setup-mfa":
        begun = here.attempts.find(attempt, browser()) if attempt else None
        secret = begun.secret if begun else new_totp_secret()
        attempt = attempt if begun else here.attempts.begin(user.id, browser(), secret)
    return page("task.html", status, target=url, task=user.task, error=error, secret=secret, attempt=attempt)


@blueprint.post("/sign-in/tasks")
def finish_task() -> Response:
    here, url = local(), target()
    found = signed_in(here)
    if found is None or found[1].task is None:
        return _task_page(url)
    user_id, task, form = found[1].id, found[1].task, request.form
    attempt = here.attempts.find(form.get("attempt", ""), browser())
    new: dict[str, str | int]
    if task == "reset-password":
        try:
            new = {"password_hash": password_hash_of(form.get("password", ""))}
        except Problem as problem:
            return _task_page(url, problem.status, problem.message)
    else:
        step = (
            match_totp(attempt.secret, form.get("code", "")[:16], here.controls.now(), 0) if attempt else None
        )
        if attempt is None or step is None or attempt.user_id != user_id:
            return _task_page(url, 422, "That code is wrong.", form.get("attempt", ""))
        here.attempts.end(form["attempt"])
        new = {"totp_secret": attempt.secret, "totp_last_step": step}
    with here.change() as change:
        user = accounts.find_user(change.data, user_id)
        accounts.update(change, user, **new)
        accounts.finish_task(change, user)
        return with_hint(back_to_app(url, request.cookies[CLIENT_COOKIE]), int(change.now))


def _ticket(token: str, actor_tokens: dict[str, ActorToken], now_ms: int) -> ActorToken | None:
    wanted = hash_token(token)
    found = next((item for item in actor_tokens.values() if item.token_hash == wanted), None)
    return found if found and found.status == "pending" and found.expire_at > now_ms else None


@blueprint.get("/ticket")
def ticket() -> Response:
    """The link of an actor token. Asks before it signs in: a link alone must not change who one is."""
    here, token = local(), request.args.get("__clerk_ticket", "")
    with here.store.reading() as data:
        item = _ticket(token, data.actor_tokens, int(here.controls.now() * 1000))
        name = data.users[item.user_id].email if item else ""
    if item is None:
        return page("message.html", 400, title=_STALE, text="Ask for a new one.")
    return page("ticket.html", target=target(), token=token, name=name, actor=str(item.actor["sub"]))


@blueprint.post("/ticket")
def use_ticket() -> Response:
    here, url = local(), target()
    with here.change() as change:
        item = _ticket(request.form.get("__clerk_ticket", ""), change.data.actor_tokens, change.now_ms)
        user = change.data.users.get(item.user_id) if item else None
        if item is None or user is None or user.banned:
            return page("message.html", 400, title=_STALE, text="Ask for a new one.")
        item.status, item.updated_at = "accepted", change.now_ms
        return let_in(change, user, url, actor=item.actor, seconds=item.session_seconds)
