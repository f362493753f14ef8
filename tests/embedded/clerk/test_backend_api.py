"""The Backend API as the app's server calls it."""

from __future__ import annotations

import re
from typing import Any

import jwt
import pytest

from webmail.embedded.clerk import accounts, store, tokens
from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.clerk.testing import (
    Browser,
    call,
    directives_of,
    given,
    knobs,
    refresh,
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


def test_an_expired_token_is_refreshed(clerk: LocalClerk) -> None:
    knobs(clerk, clock_offset=-3600)
    ann = given(clerk, ANN.user_id)
    knobs(clerk, clock_offset=0)
    with pytest.raises(jwt.ExpiredSignatureError):
        verify(clerk, ann["cookies"]["__session"])
    answer = refresh(clerk, ann["cookies"], ann["session_id"])
    assert answer.status == 200
    assert answer.json["object"] == "cookies"
    assert {line.partition("=")[0] for line in answer.json["cookies"]} == {
        "__session",
        f"__session_{clerk.instance.suffix}",
    }
    claims = verify(clerk, value_of(answer.json["cookies"], "__session"))
    assert (claims["sid"], claims["azp"], claims["fva"]) == (ann["session_id"], ORIGIN, [60, -1])
    token = refresh(clerk, ann["cookies"], ann["session_id"], format="token").json
    assert verify(clerk, token["jwt"])["sub"] == ANN.user_id
    assert token["object"] == "token"


def test_a_refresh_is_refused_in_one_way_for_every_reason(clerk: LocalClerk) -> None:
    ann, ben = given(clerk, ANN.user_id), given(clerk, BEN.user_id)
    cookies, sid, name = ann["cookies"], ann["session_id"], f"__refresh_{clerk.instance.suffix}"
    forged = jwt.encode(
        {"sid": sid}, store.new_private_pem(), "RS256", headers={"cat": tokens.SESSION_CATEGORY}
    )
    with clerk.local.store.reading() as data:
        shaken = tokens.sign_handshake(data.keys, [])
    refused = [
        refresh(clerk, cookies, sid, refresh_token=ben["cookies"][name]),
        refresh(clerk, cookies, sid, refresh_token="rt_made_up"),
        refresh(clerk, cookies, sid, expired_token=ben["cookies"]["__session"]),
        refresh(clerk, cookies, sid, expired_token=forged),
        refresh(clerk, cookies, sid, expired_token=shaken),
        refresh(clerk, cookies, sid, expired_token="abc"),
        refresh(clerk, cookies, ben["session_id"]),
        refresh(clerk, cookies, "sess_unknown"),
        refresh(clerk, cookies, sid, request_origin="https://evil.example"),
    ]
    assert {answer.status for answer in refused} == {401}
    assert len({answer.body for answer in refused}) == 1
    assert refused[0].json["errors"][0]["code"] == "session_refresh_invalid"
    assert refresh(clerk, cookies, sid, refresh_token=None).status == 422
    assert refresh(clerk, cookies, sid).status == 200, "and it was none the worse for it"


@pytest.mark.parametrize("how", ["ban", "revoke", "expire", "week", "delete"])
def test_a_refresh_ends_with_its_session(clerk: LocalClerk, how: str) -> None:
    ann = given(clerk, ANN.user_id)
    assert refresh(clerk, ann["cookies"], ann["session_id"]).status == 200
    paths = {
        "ban": ("POST", f"/v1/users/{ANN.user_id}/ban", None),
        "revoke": ("POST", f"/v1/sessions/{ann['session_id']}/revoke", None),
        "expire": ("POST", "/_local/refresh/expire", {"session_id": ann["session_id"]}),
        "week": ("POST", "/_local/controls", {"clock_offset": accounts.SESSION_SECONDS + 1}),
        "delete": ("DELETE", f"/v1/users/{ANN.user_id}", None),
    }
    assert call(clerk, *paths[how]).status == 200
    assert refresh(clerk, ann["cookies"], ann["session_id"]).status == 401


def test_refresh_tokens_rotate_when_told_to(clerk: LocalClerk) -> None:
    knobs(clerk, rotate_refresh=True)
    ann = given(clerk, ANN.user_id)
    first = refresh(clerk, ann["cookies"], ann["session_id"])
    new = value_of(first.json["cookies"], f"__refresh_{clerk.instance.suffix}")
    assert refresh(clerk, ann["cookies"], ann["session_id"]).status == 401
    assert refresh(clerk, ann["cookies"], ann["session_id"], refresh_token=new).status == 200


def test_handshakes_of_several_tabs_do_not_void_each_other(clerk: LocalClerk) -> None:
    ann = given(clerk, ANN.user_id)
    for _ in range(3):
        Browser(clerk).handshake(f"{ORIGIN}/", __clerk_db_jwt=ann["client"])
    assert refresh(clerk, ann["cookies"], ann["session_id"]).status == 200


def test_the_backend_wants_its_secret(clerk: LocalClerk) -> None:
    for path in (
        "/v1/users",
        "/v1/sessions",
        "/v1/jwks",
        "/v1/clients/handshake_payload?nonce=x",
        "/_local/calls",
    ):
        answer = call(clerk, "GET", path, secret="sk_test_local_wrong")
        assert answer.status == 401, path
        assert set(answer.json["errors"][0]) == {"code", "message", "long_message", "meta"}
    assert send(clerk.port, "POST", f"http://127.0.0.1:{clerk.port}/_local/reset", {}).status == 401


def test_a_user_from_creation_to_deletion(clerk: LocalClerk) -> None:
    values = {
        "email_address": ["Zoe@mtumail.test"],
        "username": "Zoe",
        "password": "long enough",
        "first_name": "Zoe",
    }
    zoe = call(clerk, "POST", "/v1/users", {**values, "public_metadata": {"a": {"b": 1}}}).json
    assert re.fullmatch(r"user_[A-Za-z0-9]{27}", zoe["id"])
    assert (zoe["username"], zoe["email_addresses"][0]["email_address"]) == ("zoe", "zoe@mtumail.test")
    assert zoe["email_addresses"][0]["verification"]["status"] == "verified"
    path = f"/v1/users/{zoe['id']}"
    patched = call(clerk, "PATCH", path, {"first_name": "Zoë", "last_name": "Ames"}).json
    assert (patched["first_name"], patched["last_name"]) == ("Zoë", "Ames")
    assert patched["updated_at"] > zoe["updated_at"]
    assert call(clerk, "PATCH", path, {"public_metadata": {}}).status == 422
    merged = call(clerk, "PATCH", f"{path}/metadata", {"public_metadata": {"a": {"c": 2}, "d": 3}}).json
    assert merged["public_metadata"] == {"a": {"b": 1, "c": 2}, "d": 3}
    merged = call(clerk, "PATCH", f"{path}/metadata", {"public_metadata": {"a": {"b": None}}}).json
    assert merged["public_metadata"] == {"a": {"c": 2}, "d": 3}
    assert call(clerk, "PUT", f"{path}/metadata", {"public_metadata": {"e": 1}}).json["public_metadata"] == {
        "e": 1
    }
    assert call(clerk, "GET", path).json["last_name"] == "Ames"
    assert Browser(clerk).sign_in("zoe", password="long enough").status == 303
    assert call(clerk, "DELETE", path).json == {"id": zoe["id"], "object": "user", "deleted": True}
    assert call(clerk, "GET", path).status == 404
    assert call(clerk, "GET", f"/v1/sessions?user_id={zoe['id']}").json == []


@pytest.mark.parametrize(
    "values",
    [
        {"email_address": ["ann@mtumail.test"]},
        {"email_address": ["new@mtumail.test"], "username": "ann"},
        {"email_address": ["new@mtumail.test"], "username": "a b"},
        {"email_address": ["no address"]},
        {"email_address": "new@mtumail.test"},
        {"email_address": ["new@mtumail.test"], "password": "short"},
        {"email_address": ["new@mtumail.test"], "admin": True},
        {"email_address": ["new@mtumail.test"], "public_metadata": "text"},
        {"email_address": ["new@mtumail.test"], "first_name": 7},
        {},
    ],
)
def test_users_that_will_not_do(clerk: LocalClerk, values: dict[str, Any]) -> None:
    assert call(clerk, "POST", "/v1/users", values).status == 422
    assert call(clerk, "GET", "/v1/users/count").json["total_count"] == len(DEMO_PEOPLE)


def test_users_are_found(clerk: LocalClerk) -> None:
    def found(query: str) -> set[str]:
        return {user["username"] for user in call(clerk, "GET", f"/v1/users?{query}").json}

    assert found("email_address[]=ann@mtumail.test") == {"ann"}
    assert found("email_address[]=ann@mtumail.test&email_address[]=ben@mtumail.test") == {"ann", "ben"}
    assert found("query=whitf") == {"ann"}
    assert found(f"user_id[]={SAM.user_id}") == {"sam"}
    assert found("email_address[]=nobody@mtumail.test") == set()
    assert len(found("limit=4")) == 4
    assert len(found("limit=4&offset=4")) == 2
    assert call(clerk, "GET", "/v1/users?limit=x").status == 422
    assert call(clerk, "GET", "/v1/users?limit=501").status == 422
    assert call(clerk, "GET", "/v1/users/count").json == {"object": "total_count", "total_count": 6}


def test_a_ban_ends_sessions_and_a_lock_only_stops_new_ones(clerk: LocalClerk) -> None:
    ann, browser = given(clerk, ANN.user_id), Browser(clerk)
    assert call(clerk, "POST", f"/v1/users/{ANN.user_id}/lock").json["locked"] is True
    assert browser.sign_in("ann").status == 403
    assert call(clerk, "GET", f"/v1/sessions/{ann['session_id']}").json["status"] == "active"
    assert call(clerk, "POST", f"/v1/users/{ANN.user_id}/unlock").json["locked"] is False
    assert call(clerk, "POST", f"/v1/users/{ANN.user_id}/ban").json["banned"] is True
    assert call(clerk, "GET", f"/v1/sessions/{ann['session_id']}").json["status"] == "revoked"
    assert browser.sign_in("ann").status == 403
    lines = directives_of(clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=ann["client"]).location)
    assert (value_of(lines, "__session"), value_of(lines, "__client_uat")) == ("", "0")
    assert call(clerk, "POST", f"/v1/users/{ANN.user_id}/unban").json["banned"] is False
    assert call(clerk, "GET", f"/v1/sessions/{ann['session_id']}").json["status"] == "revoked"
    assert browser.sign_in("ann").status == 303


def test_bans_in_bulk_are_all_or_none(clerk: LocalClerk) -> None:
    assert call(clerk, "POST", "/v1/users/ban", {"user_ids": [ANN.user_id, "user_unknown"]}).status == 404
    assert call(clerk, "GET", f"/v1/users/{ANN.user_id}").json["banned"] is False
    both = call(clerk, "POST", "/v1/users/ban", {"user_ids": [ANN.user_id, BEN.user_id]}).json
    assert [user["banned"] for user in both] == [True, True]
    for wrong in ([], [[]], "x", ["user_x"] * 51):
        assert call(clerk, "POST", "/v1/users/ban", {"user_ids": wrong}).status == 422


def test_sessions_are_listed_revoked_and_minted_for(clerk: LocalClerk) -> None:
    one = call(clerk, "POST", "/v1/sessions", {"user_id": ANN.user_id}).json
    two = given(clerk, ANN.user_id)["session_id"]
    page = call(clerk, "GET", f"/v1/sessions?user_id={ANN.user_id}&paginated=true&limit=1").json
    assert (len(page["data"]), page["total_count"]) == (1, 2)
    minted = call(clerk, "POST", f"/v1/sessions/{one['id']}/tokens", {"expires_in_seconds": 300}).json
    claims = verify(clerk, minted["jwt"])
    assert claims["exp"] - claims["iat"] == 300
    assert call(clerk, "POST", f"/v1/sessions/{one['id']}/tokens", {"expires_in_seconds": 5}).status == 422
    assert call(clerk, "POST", f"/v1/sessions/{one['id']}/revoke").json["status"] == "revoked"
    assert call(clerk, "POST", f"/v1/sessions/{one['id']}/tokens").status == 404
    active = call(clerk, "GET", f"/v1/sessions?user_id={ANN.user_id}&status=active").json
    assert [session["id"] for session in active] == [two]
    assert call(clerk, "POST", "/v1/sessions/sess_unknown/revoke").status == 404
    knobs(clerk, clock_offset=accounts.SESSION_SECONDS + 1)
    assert call(clerk, "GET", f"/v1/sessions/{two}").json["status"] == "expired"


def test_an_actor_token_signs_in_once_and_on_the_record(clerk: LocalClerk) -> None:
    made = call(
        clerk, "POST", "/v1/actor_tokens", {"user_id": ANN.user_id, "actor": {"sub": SAM.user_id}}
    ).json
    browser = Browser(clerk)
    shown = browser.open(made["url"])
    assert "__client" not in browser.cookies("clerk.localhost"), "a link alone signs nobody in"
    done = browser.submit(shown, {})
    lines = directives_of(
        clerk, browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=done.location.partition("db_jwt=")[2]).location
    )
    claims = verify(clerk, value_of(lines, "__session"))
    assert claims["sub"] == ANN.user_id
    assert claims["act"] == {"iss": claims["iss"], "sid": claims["sid"], "sub": SAM.user_id}
    session = call(clerk, "GET", f"/v1/sessions/{claims['sid']}").json
    assert session["actor"] == {"sub": SAM.user_id}
    assert session["expire_at"] - session["created_at"] == 1800 * 1000
    assert browser.open(made["url"]).status == 400
    other = call(clerk, "POST", "/v1/actor_tokens", {"user_id": ANN.user_id, "actor": {"sub": "x"}}).json
    assert call(clerk, "POST", f"/v1/actor_tokens/{other['id']}/revoke").json["status"] == "revoked"
    assert browser.open(other["url"]).status == 400
    assert call(clerk, "POST", f"/v1/actor_tokens/{other['id']}/revoke").status == 400
    assert call(clerk, "POST", "/v1/actor_tokens", {"user_id": ANN.user_id}).status == 422


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'"x"'])
def test_bodies_that_are_no_objects(clerk: LocalClerk, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {clerk.local.secret}"}
    assert send(clerk.port, "POST", f"http://127.0.0.1:{clerk.port}/v1/users", headers, body).status == 400
