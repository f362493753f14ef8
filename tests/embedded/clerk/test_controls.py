"""What tests do to the instance behind the app's back."""

from __future__ import annotations

import concurrent.futures
import json
import time
from typing import Any

import jwt
import pytest

from webmail.embedded.clerk import controls
from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.clerk.testing import (
    Browser,
    call,
    directives_of,
    given,
    knobs,
    send,
    value_of,
    verify,
)
from webmail.embedded.people import DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


def test_the_clock_can_be_shifted_and_tokens_shortened(clerk: LocalClerk) -> None:
    knobs(clerk, clock_offset=-540, token_seconds=5)
    token = given(clerk, ANN.user_id)["cookies"]["__session"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert 538 <= time.time() - claims["iat"] <= 545
    assert claims["exp"] - claims["iat"] == 5


def test_claims_can_be_replaced_and_taken_away(clerk: LocalClerk) -> None:
    knobs(clerk, claims={"sts": "pending", "azp": None, "act": {"sub": "user_x"}, "fva": [15, 5]})
    claims = verify(clerk, given(clerk, ANN.user_id)["cookies"]["__session"])
    assert (claims["sts"], claims["act"], claims["fva"]) == ("pending", {"sub": "user_x"}, [15, 5])
    assert "azp" not in claims


def test_keys_rotate_with_a_new_kid_or_the_same(clerk: LocalClerk) -> None:
    def kids() -> dict[str, str]:
        answer = send(clerk.port, "GET", f"{clerk.instance.url}/.well-known/jwks.json", {})
        assert answer.json == call(clerk, "GET", "/v1/jwks").json
        return {key["kid"]: key["n"] for key in answer.json["keys"]}

    old, before = given(clerk, ANN.user_id)["cookies"]["__session"], kids()
    assert set(before) == {"ins_local"}
    published = jwt.PyJWK(call(clerk, "GET", "/v1/jwks").json["keys"][0])
    assert jwt.decode(old, published, algorithms=["RS256"])["sub"] == ANN.user_id
    call(clerk, "POST", "/_local/keys/rotate", {"same_kid": True})
    same = kids()
    assert set(same) == {"ins_local"}
    assert same != before
    with pytest.raises(jwt.InvalidSignatureError):
        verify(clerk, old)
    verify(clerk, given(clerk, ANN.user_id)["cookies"]["__session"])
    call(clerk, "POST", "/_local/keys/rotate", {"keep_old": True})
    both = kids()
    assert len(both) == 2
    assert both["ins_local"] == same["ins_local"]
    assert jwt.get_unverified_header(given(clerk, ANN.user_id)["cookies"]["__session"])["kid"] in set(
        both
    ) - {"ins_local"}
    assert call(clerk, "POST", "/_local/keys/rotate", {"same_kid": True, "keep_old": True}).status == 422


def test_the_next_backend_calls_can_fail(clerk: LocalClerk) -> None:
    knobs(
        clerk,
        fail={"count": 2, "status": 429, "path": "/v1/users", "retry_after": 7, "code": "too_many_requests"},
    )
    assert call(clerk, "GET", "/v1/sessions").status == 200
    first = call(clerk, "GET", "/v1/users/count")
    assert (first.status, first.headers["Retry-After"]) == (429, "7")
    assert first.json["errors"][0]["code"] == "too_many_requests"
    assert call(clerk, "GET", "/v1/users/count").status == 429
    assert call(clerk, "GET", "/v1/users/count").status == 200
    assert [
        (one["method"], one["path"], one["status"]) for one in call(clerk, "GET", "/_local/calls").json
    ] == [
        ("GET", "/v1/sessions", 200),
        ("GET", "/v1/users/count", 429),
        ("GET", "/v1/users/count", 429),
        ("GET", "/v1/users/count", 200),
    ]
    call(clerk, "POST", "/_local/reset")
    assert call(clerk, "GET", "/_local/calls").json == []


def test_in_an_outage_nothing_answers_but_the_controls(clerk: LocalClerk) -> None:
    knobs(clerk, outage=True)
    browser = Browser(clerk)
    for path in ("/sign-in", "/.well-known/jwks.json", "/v1/client/handshake", "/healthz"):
        assert browser.open(browser.page(path)).status == 503
    assert call(clerk, "GET", "/v1/users/count").status == 503
    knobs(clerk, outage=False)
    assert browser.open(browser.page("/.well-known/jwks.json")).status == 200


def test_a_call_without_an_answer_holds_up_nobody_else(clerk: LocalClerk) -> None:
    knobs(clerk, fail={"count": 1, "status": 0, "seconds": 30})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        held = pool.submit(call, clerk, "GET", "/v1/users/count")
        deadline = time.monotonic() + 5
        while clerk.local.controls.fail.count and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        assert call(clerk, "GET", "/v1/users/count").status == 200
        assert Browser(clerk).sign_in("ann").status == 303
        assert time.monotonic() - started < 5
        assert not held.done()
        clerk.local.closing.set()
        assert held.result(timeout=5).status == 504


def test_the_handshake_can_be_broken(clerk: LocalClerk) -> None:
    browser, token = Browser(clerk), given(clerk, ANN.user_id)["client"]
    knobs(clerk, handshake="nothing")
    assert browser.handshake(f"{ORIGIN}/x", __clerk_db_jwt=token).location == f"{ORIGIN}/x"
    knobs(clerk, handshake="foreign_key", handshake_format="token")
    location = browser.handshake(f"{ORIGIN}/x", __clerk_db_jwt=token).location
    with pytest.raises(jwt.InvalidSignatureError):
        directives_of(clerk, location)
    call(clerk, "POST", "/_local/reset")
    assert value_of(
        directives_of(clerk, browser.handshake(f"{ORIGIN}/x", __clerk_db_jwt=token).location), "__session"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"nonsense": 1},
        {"clock_offset": "1"},
        {"token_seconds": True},
        {"handshake": "sometimes"},
        {"fail": {"nonsense": 1}},
        {"fail": 3},
        {"count": 3},
        {"rotate_refresh": True, "claims": []},
    ],
)
def test_controls_that_do_not_exist_change_nothing(clerk: LocalClerk, wanted: dict[str, Any]) -> None:
    before = call(clerk, "GET", "/_local/controls").json
    assert call(clerk, "POST", "/_local/controls", wanted).status == 422
    assert call(clerk, "GET", "/_local/controls").json == before
    assert before == json.loads(json.dumps(controls.show(controls.Controls())))
