"""What every form of the hosted pages needs: its browser cookie, its token, its way back to the app."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import quote

from flask import Response, g, make_response, render_template, request

from webmail.embedded.clerk import directives
from webmail.embedded.clerk.accounts import client_session, start_session
from webmail.embedded.clerk.frontend_api import CLIENT_COOKIE, away
from webmail.embedded.clerk.service import Change, Local, local
from webmail.embedded.clerk.store import Session, User

FORM_COOKIE = "__form"
TOKEN_FIELD = "csrf_token"  # noqa: S105 - the name of a field
_CLIENT_SECONDS = 365 * 86_400


def browser() -> str:
    """What tells this browser's forms from another's: a cookie, made when the first form is shown."""
    if "browser" not in g:
        sent = request.cookies.get(FORM_COOKIE, "")
        g.browser = sent if 20 <= len(sent) <= 64 else secrets.token_urlsafe(24)
    found: str = g.browser
    return found


def form_token() -> str:
    with local().store.reading() as data:
        key = data.keys.form_key
    return hmac.digest(bytes.fromhex(key), browser().encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def is_own_form() -> bool:
    """Whether the POST comes from a page of ours in this browser: its token, and its Origin where one is sent."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        return False
    given = request.form.get(TOKEN_FIELD, "")
    return FORM_COOKIE in request.cookies and hmac.compare_digest(
        given.encode("utf-8", "replace"), form_token().encode()
    )


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page with its form cookie; `target` is where its forms lead in the end."""
    rendered = render_template(template, csrf_token=form_token(), instance=local().instance, **values)
    answer = make_response(rendered, status)
    answer.set_cookie(FORM_COOKIE, browser(), httponly=True, samesite="Lax", path="/")
    return answer


def target() -> str:
    """Where to go afterwards: `redirect_url` where it is allowed, the app's front page without one.

    Aborts with 400 for one elsewhere: an open redirect under a trusted name is a phisher's tool.
    """
    instance = local().instance
    url = request.values.get("redirect_url", "")
    if not url:
        return f"{instance.origin}/"
    if not directives.is_allowed_redirect(url, instance.origin, instance.url):
        raise ForeignTarget
    return url


class ForeignTarget(Exception):
    """The redirect_url of a page lies on neither the app's origin nor ours."""


def signed_in(here: Local) -> tuple[Session, User] | None:
    """The session and user of this browser at the hosted pages."""
    with here.store.reading() as data:
        found = client_session(data, request.cookies.get(CLIENT_COOKIE), here.controls.now())
        return (found[1], data.users[found[1].user_id]) if found else None


def let_in(change: Change, user: User, url: str, **session: Any) -> Response:
    """Begin a session (see `start_session`) and go to `url`, or to the task that comes first."""
    started, token = start_session(change, user, **session)
    if started.status == "pending":
        answer = away(directives.with_parameter("/sign-in/tasks", "redirect_url", quoted(url)), 303)
    else:
        answer = back_to_app(url, token)
    answer.set_cookie(CLIENT_COOKIE, token, max_age=_CLIENT_SECONDS, httponly=True, samesite="Lax", path="/")
    return with_hint(answer, int(change.now))


def back_to_app(url: str, token: str) -> Response:
    """To `url`; in development with the browser's name, which the app cannot learn from a cookie."""
    instance = local().instance
    if instance.development and url.startswith(f"{instance.origin}/"):
        url = directives.with_parameter(url, "__clerk_db_jwt", token)
    return away(url, 303)


def with_hint(answer: Response, value: int) -> Response:
    """In production the hosted pages tell the whole domain that somebody came (seconds) or left (0)."""
    instance = local().instance
    if not instance.development:
        for cookie in directives.hint_cookies(instance, value):
            answer.headers.add("Set-Cookie", cookie)
    return answer


def quoted(url: str) -> str:
    return quote(url, safe="")
