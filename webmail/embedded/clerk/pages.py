"""The hosted pages that stand for Clerk's Account Portal: sign in, sign up, tasks, sign out. Plain HTML forms."""

from __future__ import annotations

from flask import Blueprint, Response, request

from webmail.embedded.clerk import accounts
from webmail.embedded.clerk.backend_users import password_hash_of, take_code
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
from webmail.embedded.clerk.passwords import (
    STEP_SECONDS,
    check_password,
    totp_code,
)
from webmail.embedded.clerk.resources import Problem
from webmail.embedded.clerk.service import local
from webmail.embedded.clerk.store import User
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE

blueprint = Blueprint("pages", __name__)
_WRONG = "That name and password do not belong together."
_STOPPED = "This account cannot sign in."


@blueprint.get("/sign-in")
def sign_in() -> Response:
    """The form; somebody who is signed in goes straight back, as at the real portal."""
    here, url = local(), target()
    if (found := signed_in(here)) is not None:
        if found[0].status == "pending":
            return away(with_parameter("/sign-in/tasks", "redirect_url", quoted(url)), 303)
        return back_to_app(url, request.cookies[CLIENT_COOKIE])
    return _sign_in_page(url, request.args.get("username") or request.args.get("email_address") or "")


def _sign_in_page(url: str, identifier: str, status: int = 200, error: str = "") -> Response:
    people = DEMO_PEOPLE if local().instance.development else ()
    return page(
        "sign_in.html",
        status,
        target=url,
        identifier=identifier,
        error=error,
        people=people,
        password=DEMO_PASSWORD,
    )


@blueprint.post("/sign-in")
def attempt_sign_in() -> Response:
    url = target()
    if request.form.get("attempt"):
        return _second_factor(url)
    here, identifier = local(), request.form.get("identifier", "")[:256]
    with here.store.reading() as data:
        user = accounts.by_identifier(data, identifier)
    # By person, not by spelling: a user name and an address must not be two sets of tries.
    key = "password:" + (user.id if user else identifier.strip().lower())
    if wait := here.limiter.wait_seconds(key):
        return _slow_down(_sign_in_page(url, identifier, 429, _too_many(wait)), wait)
    # Counted before it is checked: tries sent side by side must not all slip through.
    here.limiter.wrong(key)
    if (
        not check_password(request.form.get("password", "")[:1024], user.password_hash if user else None)
        or user is None
    ):
        return _sign_in_page(url, identifier, 422, _WRONG)
    here.limiter.right(key)
    if user.banned or user.locked:
        return _sign_in_page(url, identifier, 403, _STOPPED)
    if user.totp_secret:
        return _code_page(url, here.attempts.begin(user.id, browser()), user)
    with here.change() as change:
        return let_in(change, accounts.find_user(change.data, user.id), url)


def _code_page(url: str, attempt: str, user: User, status: int = 200, error: str = "") -> Response:
    return page("code.html", status, target=url, attempt=attempt, error=error, hint=_code_hint(user))


def _code_hint(user: User) -> str:
    """The next code that would be taken, for a demo person whose secret is public; else nothing."""
    secrets = {person.user_id: person.totp for person in DEMO_PEOPLE}
    if (
        not local().instance.development
        or user.totp_secret is None
        or secrets.get(user.id) != user.totp_secret
    ):
        return ""
    current = int(local().controls.now()) // STEP_SECONDS
    return totp_code(user.totp_secret, max(current, min(user.totp_last_step + 1, current + 1)))


def _second_factor(url: str) -> Response:
    here, key = local(), request.form["attempt"]
    attempt = here.attempts.find(key, browser())
    if attempt is None or attempt.secret:
        return _sign_in_page(url, "", 422, "That took too long. Please start again.")
    if wait := here.limiter.wait_seconds("code:" + attempt.user_id):
        return _slow_down(_sign_in_page(url, "", 429, _too_many(wait)), wait)
    here.limiter.wrong("code:" + attempt.user_id)
    with here.change() as change:
        user = accounts.find_user(change.data, attempt.user_id)
        if user.banned or user.locked:
            return _sign_in_page(url, "", 403, _STOPPED)
        if not take_code(user, request.form.get("code", "")[:16], change.now):
            return _code_page(
                url, key, user, 422, "That code is wrong, or was used already: each one is good once."
            )
        here.attempts.end(key)
        here.limiter.right("code:" + user.id)
        return let_in(change, user, url, second_factor=True)


def _too_many(wait: int) -> str:
    return f"Too many tries. Please wait {wait // 60 + 1} minutes."


def _slow_down(answer: Response, wait: int) -> Response:
    answer.headers["Retry-After"] = str(wait)
    return answer


@blueprint.get("/sign-up")
def sign_up() -> Response:
    return page("sign_up.html", target=target(), values={}, error="")


@blueprint.post("/sign-up")
def attempt_sign_up() -> Response:
    url, form = target(), request.form
    values = {
        name: form.get(name, "").strip()[:256]
        for name in ("first_name", "last_name", "username", "email_address")
    }
    try:
        hashed = password_hash_of(form.get("password", ""))
        with local().change() as change:
            user = accounts.create(
                change,
                email=values["email_address"],
                username=values["username"] or None,
                first_name=values["first_name"] or None,
                last_name=values["last_name"] or None,
                password_hash=hashed,
            )
            return let_in(change, user, url)
    except Problem as problem:
        return page("sign_up.html", problem.status, target=url, values=values, error=problem.message)


@blueprint.get("/sign-out")
def sign_out() -> Response:
    return page("sign_out.html", target=target())


@blueprint.post("/sign-out")
def finish_sign_out() -> Response:
    here, url = local(), target()
    if (found := signed_in(here)) is not None:
        with here.change() as change:
            accounts.end_session(change, accounts.find_session(change.data, found[0].id), "ended")
    answer = away(url, 303)
    answer.delete_cookie(CLIENT_COOKIE, path="/")
    return with_hint(answer, 0)
