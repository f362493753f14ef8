"""Second factor, sign-up, tasks, profile and sign-out on the hosted pages."""

from __future__ import annotations

import base64
import re
import time

import pytest

from webmail.embedded.clerk import passwords
from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.clerk.testing import (
    Browser,
    call,
    directives_of,
    given,
    value_of,
    verify,
)
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE, DEMO_TOTP_SECRET

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(moment: int, code: str) -> None:
    """Appendix B, SHA-1, the last six of its eight digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert passwords.totp_code(secret, moment // 30) == code
    assert passwords.match_totp(secret, code, moment + 30, 0) == moment // 30
    assert passwords.match_totp(secret, code, moment + 60, 0) is None
    assert passwords.match_totp(secret, code, moment, moment // 30) is None


def code_at(clerk: LocalClerk, steps: int = 0) -> str:
    return passwords.totp_code(DEMO_TOTP_SECRET, int(clerk.local.controls.now()) // 30 + steps)


def test_staff_give_a_code_that_is_good_once(clerk: LocalClerk) -> None:
    with clerk.local.store.changing() as data:
        data.users[SAM.user_id].totp_last_step = int(time.time()) // 30 - 2
    browser = Browser(clerk)
    asked = browser.sign_in("sam")
    assert asked.status == 200
    assert "Location" not in asked.headers
    assert not [name for name in browser.cookies("clerk.localhost") if name == "__client"], (
        "a password is not enough"
    )
    assert browser.submit(asked, {"code": "000000" if code_at(clerk) != "000000" else "000001"}).status == 422
    code = code_at(clerk)
    done = browser.submit(asked, {"code": code})
    assert done.status == 303
    lines = directives_of(
        clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=done.location.partition("db_jwt=")[2]).location
    )
    assert verify(clerk, value_of(lines, "__session"))["fva"] == [0, 0]
    other = Browser(clerk)
    second = other.sign_in("sam")
    again = other.submit(second, {"code": code})
    assert again.status == 422
    hinted = re.search(r"next code is <code>(\d{6})</code>", again.text)
    assert hinted
    assert hinted[1] != code
    assert other.submit(second, {"code": hinted[1]}).status == 303, "the hint names one that was not used"


def test_a_half_done_sign_in_belongs_to_its_browser_and_ends(clerk: LocalClerk) -> None:
    browser, thief = Browser(clerk), Browser(clerk)
    asked = browser.sign_in("sam")
    attempt = re.search(r'name="attempt" value="([^"]+)"', asked.text)
    assert attempt
    shown = thief.open(thief.page("/sign-in"))
    token = re.search(r'name="csrf_token" value="(\w+)"', shown.text)
    assert token
    stolen = {"attempt": attempt[1], "code": code_at(clerk), "csrf_token": token[1]}
    assert "too long" in thief.open(thief.page("/sign-in"), stolen).text
    assert browser.submit(asked, {"code": code_at(clerk)}).status == 303
    call(clerk, "POST", f"/v1/users/{SAM.user_id}/unlock")
    assert "too long" in browser.submit(asked, {"code": code_at(clerk, 1)}).text, "used up"


def test_the_backend_checks_both_factors(clerk: LocalClerk) -> None:
    base = f"/v1/users/{SAM.user_id}"
    assert call(clerk, "POST", f"{base}/verify_password", {"password": DEMO_PASSWORD}).json == {
        "verified": True
    }
    assert call(clerk, "POST", f"{base}/verify_password", {"password": "no"}).status == 422
    code = code_at(clerk)
    assert call(clerk, "POST", f"{base}/verify_totp", {"code": code}).json == {
        "verified": True,
        "code_type": "totp",
    }
    assert call(clerk, "POST", f"{base}/verify_totp", {"code": code}).status == 422
    assert call(clerk, "POST", f"/v1/users/{ANN.user_id}/verify_totp", {"code": code}).status == 400
    assert call(clerk, "POST", f"{base}/verify_totp", {}).status == 422
    bare = call(clerk, "POST", "/v1/users", {"email_address": ["x@mtumail.test"]}).json
    assert call(clerk, "POST", f"/v1/users/{bare['id']}/verify_password", {"password": "x"}).status == 400


def test_sign_up_makes_a_user_and_signs_in(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    shown = browser.open(browser.page("/sign-up"))
    values = {"first_name": "Zoe", "last_name": "", "username": "zoe", "email_address": "zoe@mtumail.test"}
    taken = browser.submit(shown, {**values, "username": "ann", "password": "long enough"})
    assert taken.status == 422
    assert "is taken" in taken.text
    assert browser.submit(taken, {**values, "password": "short"}).status == 422
    done = browser.submit(taken, {**values, "password": "long enough"})
    assert done.status == 303
    assert "__clerk_db_jwt=" in done.location
    assert call(clerk, "GET", "/v1/users?username[]=zoe").json[0]["last_name"] is None


def test_a_new_password_may_be_asked_for_before_the_session_is_active(clerk: LocalClerk) -> None:
    call(clerk, "POST", "/_local/task", {"user_id": ANN.user_id, "task": "reset-password"})
    browser = Browser(clerk)
    sent = browser.sign_in("ann", url=f"{ORIGIN}/compose?x=1&y=2")
    assert sent.location.startswith("/sign-in/tasks?redirect_url=")
    token = browser.cookies("clerk.localhost")["__client"]
    lines = directives_of(clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=token).location)
    assert verify(clerk, value_of(lines, "__session"))["sts"] == "pending"
    shown = browser.open(browser.page(sent.location))
    assert browser.submit(shown, {"password": "short"}).status == 422
    done = browser.submit(shown, {"password": "a new one"})
    assert done.location == f"{ORIGIN}/compose?x=1&y=2&__clerk_db_jwt={token}"
    lines = directives_of(clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=token).location)
    assert verify(clerk, value_of(lines, "__session"))["sts"] == "active"
    assert Browser(clerk).sign_in("ann", password="a new one").status == 303
    assert call(clerk, "POST", "/_local/task", {"user_id": ANN.user_id, "task": "sing"}).status == 422


def test_a_second_factor_may_be_asked_for_before_the_session_is_active(clerk: LocalClerk) -> None:
    call(clerk, "POST", "/_local/task", {"user_id": ANN.user_id, "task": "setup-mfa"})
    browser = Browser(clerk)
    shown = browser.open(browser.page(browser.sign_in("ann").location))
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", shown.text)
    assert secret
    wrong = browser.submit(shown, {"code": "12345"})
    assert wrong.status == 422
    assert secret[1] in wrong.text, "the secret stays the one that was copied"
    done = browser.submit(wrong, {"code": passwords.totp_code(secret[1], int(time.time()) // 30)})
    assert done.status == 303
    assert call(clerk, "GET", f"/v1/users/{ANN.user_id}").json["totp_enabled"] is True


def test_the_profile_page_corrects_and_protects(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    assert browser.open(browser.page("/user")).location.startswith("/sign-in?redirect_url=")
    browser.sign_in("ann", url=browser.page("/user"))
    other = given(clerk, ANN.user_id)["session_id"]
    shown = browser.open(browser.page("/user"))
    assert (shown.status, shown.text.count("/end")) == (200, 2)
    saved = browser.submit(shown, {"first_name": "<b>Anne", "last_name": "Whitfield"}, index=0)
    assert saved.location == "/user?done=name"
    shown = browser.open(browser.page(saved.location))
    assert "&lt;b&gt;Anne" in shown.text
    assert "<b>Anne" not in shown.text
    assert browser.submit(shown, {"current_password": "no", "password": "long enough"}, index=1).status == 422
    assert (
        browser.submit(shown, {"current_password": DEMO_PASSWORD, "password": "long enough"}, index=1).status
        == 303
    )
    begun = browser.submit(shown, {}, index=2)
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", begun.text)
    assert secret
    assert call(clerk, "GET", f"/v1/users/{ANN.user_id}").json["totp_enabled"] is False
    code = passwords.totp_code(secret[1], int(time.time()) // 30)
    assert browser.submit(begun, {"code": "12345"}, index=2).status == 422
    assert browser.submit(begun, {"code": code}, index=2).location == "/user?done=totp"
    asked = Browser(clerk).sign_in("ann", password="long enough")
    assert asked.status == 200
    assert 'name="code"' in asked.text
    assert "next code" not in asked.text, "her secret is not public"
    shown = browser.open(browser.page("/user"))
    assert browser.submit(shown, {"current_password": "no"}, index=2).status == 422
    assert (
        browser.submit(shown, {"current_password": "long enough"}, index=2).location == "/user?done=totp-off"
    )
    form = {"csrf_token": re.search(r'name="csrf_token" value="(\w+)"', shown.text)[1]}  # type: ignore[index]
    assert browser.open(browser.page(f"/user/sessions/{other}/end"), form).status == 303
    assert call(clerk, "GET", f"/v1/sessions/{other}").json["status"] == "revoked"
    bens = given(clerk, BEN.user_id)["session_id"]
    browser.open(browser.page(f"/user/sessions/{bens}/end"), form)
    assert call(clerk, "GET", f"/v1/sessions/{bens}").json["status"] == "active"


def test_sign_out_ends_the_session_everywhere(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    token = browser.sign_in("ann").location.partition("db_jwt=")[2]
    browser.open(browser.page("/sign-out"))
    assert "__client" in browser.cookies("clerk.localhost"), "looking at the page is not leaving"
    browser.submit(browser.open(browser.page("/sign-out")), {})
    assert "__client" not in browser.cookies("clerk.localhost")
    lines = directives_of(clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=token).location)
    assert value_of(lines, "__session") == ""
    assert call(clerk, "GET", f"/v1/sessions?user_id={ANN.user_id}").json[0]["status"] == "ended"
