"""Signing in as a browser does it, in both kinds of instance, and what a page must not do."""

from __future__ import annotations

import concurrent.futures
import re
import time
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from webmail.embedded.clerk.limits import TRIES
from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.clerk.service import Nonces
from webmail.embedded.clerk.testing import (
    Browser,
    call,
    directives_of,
    envelope,
    given,
    knobs,
    send,
    value_of,
    verify,
)
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


def test_a_cold_browser_signs_in_and_the_app_gets_a_token_that_verifies(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    first = browser.handshake(f"{ORIGIN}/mail/inbox?a=1&b=%2F")
    assert first.status == 307
    assert first.location.startswith(f"{ORIGIN}/mail/inbox?a=1&b=%2F&__clerk_handshake=")
    assert first.headers["Cache-Control"] == "no-store"
    nobody = directives_of(clerk, first.location)
    assert value_of(nobody, "__client_uat") == "0"
    assert value_of(nobody, "__session") == ""
    browser.take("mail.localhost", nobody)

    back = browser.sign_in("ann", url=f"{ORIGIN}/mail/inbox?a=1&b=%2F")
    assert back.status == 303
    url, _, db_jwt = back.location.rpartition("&__clerk_db_jwt=")
    assert url == f"{ORIGIN}/mail/inbox?a=1&b=%2F"
    assert db_jwt != browser.cookies("mail.localhost")["__clerk_db_jwt"], (
        "a browser name from before is not promoted"
    )

    second = browser.handshake(url, __clerk_db_jwt=db_jwt, __clerk_hs_reason="dev-browser-sync")
    lines = directives_of(clerk, second.location)
    browser.take("mail.localhost", lines)
    kept = browser.cookies("mail.localhost")
    assert set(kept) == {"__session", "__client_uat", "__clerk_db_jwt", f"__refresh_{clerk.instance.suffix}"}
    assert kept["__clerk_db_jwt"] == db_jwt
    claims = verify(clerk, kept["__session"])
    assert claims["sub"] == ANN.user_id
    assert claims["azp"] == ORIGIN
    assert claims["exp"] - claims["iat"] == 60
    assert claims["iat"] - claims["nbf"] == 10
    assert (claims["v"], claims["sts"], claims["fva"]) == (2, "active", [0, -1])
    assert claims["iat"] >= int(kept["__client_uat"]) > time.time() - 30
    listed = call(clerk, "GET", f"/v1/sessions?user_id={ANN.user_id}&status=active").json
    assert [one["id"] for one in listed] == [claims["sid"]]


def test_the_envelope_becomes_a_nonce_when_it_is_long_and_that_is_asked_for(clerk: LocalClerk) -> None:
    db_jwt = given(clerk, ANN.user_id)["client"]
    browser = Browser(clerk)
    long = browser.handshake(f"{ORIGIN}/", __clerk_db_jwt=db_jwt, suffixed_cookies="true")
    assert "__clerk_handshake_nonce=" in long.location
    lines = directives_of(clerk, long.location)
    suffix = clerk.instance.suffix
    assert value_of(lines, "__session") == value_of(lines, f"__session_{suffix}")
    assert value_of(lines, "__client_uat") == value_of(lines, f"__client_uat_{suffix}")
    asked_token = browser.handshake(
        f"{ORIGIN}/", __clerk_db_jwt=db_jwt, suffixed_cookies="true", format="token"
    )
    assert len(value_of(directives_of(clerk, asked_token.location), "__session")) > 500
    assert "__clerk_handshake_nonce" not in asked_token.location
    assert browser.handshake(f"{ORIGIN}/", format="carrier-pigeon").status == 422


def test_a_nonce_is_good_once_and_for_a_minute(clerk: LocalClerk) -> None:
    knobs(clerk, handshake_format="nonce")
    location = Browser(clerk).handshake(f"{ORIGIN}/").location
    nonce = parse_qs(urlsplit(location).query)["__clerk_handshake_nonce"][0]
    path = f"/v1/clients/handshake_payload?nonce={nonce}"
    assert call(clerk, "GET", path, secret="sk_test_local_wrong").status == 401, "and this does not use it up"
    assert call(clerk, "GET", path).status == 200
    again = call(clerk, "GET", path)
    assert (again.status, again.json["errors"][0]["code"]) == (404, "resource_not_found")
    nonces = Nonces()
    assert nonces.take(nonces.put(["a"], 1000), 1059) == ["a"]
    assert nonces.take(nonces.put(["a"], 1000), 1060) is None


def test_somebody_signed_in_is_sent_straight_back(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    token = browser.sign_in("ann").location.partition("__clerk_db_jwt=")[2]
    again = browser.open(browser.page(f"/sign-in?redirect_url={quote(ORIGIN + '/compose', safe='')}"))
    assert (again.status, again.location) == (303, f"{ORIGIN}/compose?__clerk_db_jwt={token}")


def test_an_unknown_browser_name_is_not_adopted(clerk: LocalClerk) -> None:
    lines = directives_of(
        clerk, Browser(clerk).handshake(f"{ORIGIN}/", __clerk_db_jwt="dvb_planted").location
    )
    assert value_of(lines, "__clerk_db_jwt") not in ("", "dvb_planted")


def test_sign_in_by_address_in_capitals(clerk: LocalClerk) -> None:
    assert Browser(clerk).sign_in("ANN@mtumail.test").status == 303


@pytest.mark.parametrize(
    ("who", "password"), [("ann", "wrong"), ("nobody", DEMO_PASSWORD), ("", ""), ("ann", "")]
)
def test_a_wrong_pair_is_refused_in_the_same_words(clerk: LocalClerk, who: str, password: str) -> None:
    answer = Browser(clerk).sign_in(who, password=password)
    assert answer.status == 422
    assert "do not belong together" in answer.text


def test_guessing_is_slowed_down_for_every_spelling_of_one_person(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    for number in range(TRIES):
        assert browser.sign_in(("ann", "ann@mtumail.test")[number % 2], password="wrong").status == 422
    stopped = browser.sign_in("ann")
    assert stopped.status == 429
    assert 0 < int(stopped.headers["Retry-After"]) <= 301
    assert browser.sign_in("ben").status == 303
    call(clerk, "POST", "/_local/reset")
    assert Browser(clerk).sign_in("ann").status == 303


def test_guessing_side_by_side_gets_no_more_tries(clerk: LocalClerk) -> None:
    browsers = [Browser(clerk) for _ in range(TRIES + 6)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: one.sign_in("ann", password="wrong").status, browsers))
    assert found.count(422) == TRIES
    assert found.count(429) == 6


_ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "http://mail.localhost:8000.evil.example/",
    "http://mail.localhost:8000@evil.example/",
    "http://mail.localhost:9/",
    "https://mail.localhost:8000/",
    "javascript:alert(1)",
    "http://mail.localhost:8000/\r\nX: y",
    "http://[::1",
]


@pytest.mark.parametrize("url", _ELSEWHERE)
def test_a_redirect_elsewhere_is_a_400(clerk: LocalClerk, url: str) -> None:
    browser = Browser(clerk)
    target = quote(url, safe="")
    for path in (
        "/sign-in",
        "/sign-up",
        "/sign-out",
        "/sign-in/tasks",
        "/v1/client/handshake",
        "/v1/client/touch",
    ):
        answer = browser.open(browser.page(f"{path}?redirect_url={target}"))
        assert (answer.status, "Location" in answer.headers) == (400, False), path
    shown = browser.open(browser.page("/sign-in"))
    token = re.search(r'name="csrf_token" value="(\w+)"', shown.text)
    assert token
    form = {"identifier": "ann", "password": DEMO_PASSWORD, "csrf_token": token[1], "redirect_url": url}
    assert browser.open(browser.page("/sign-in"), form).status == 400


def test_touch_goes_where_it_may(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    answer = browser.open(browser.page(f"/v1/client/touch?redirect_url={quote(ORIGIN + '/x', safe='')}"))
    assert (answer.status, answer.location) == (307, f"{ORIGIN}/x")


def test_forms_are_refused_without_their_token_cookie_or_origin(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    shown = browser.open(browser.page("/sign-in"))
    values = {"identifier": "ann", "password": DEMO_PASSWORD}
    assert browser.submit(shown, values, headers={"Origin": "http://evil.localhost:1"}).status == 400
    assert browser.submit(shown, values, headers={"Origin": "null"}).status == 400
    assert browser.open(browser.page("/sign-in"), values).status == 400
    assert browser.open(browser.page("/sign-in"), {**values, "csrf_token": "é" * 64}).status == 400
    assert Browser(clerk).submit(shown, values).status == 400, "another browser, the same token"
    assert browser.submit(shown, values).status == 303


def test_foreign_hosts_are_turned_away(clerk: LocalClerk) -> None:
    for host in ("evil.example", f"evil.example:{clerk.port}", "clerk.localhost", "clerk.localhost:1"):
        assert send(clerk.port, "GET", f"http://{host}/sign-in", {}).status == 421


def test_pages_are_plain_and_closed(clerk: LocalClerk) -> None:
    browser = Browser(clerk)
    answer = browser.open(browser.page("/sign-in"))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self' ")
    assert ORIGIN in policy
    assert not re.search(r"<script|style=|<style|\son\w+=", answer.text)
    labelled = set(re.findall(r'<label for="(\w+)"', answer.text))
    assert labelled == set(re.findall(r'<input id="(\w+)"', answer.text)) == {"identifier", "password"}
    assert DEMO_PASSWORD in answer.text
    assert all(person.full_name in answer.text for person in DEMO_PEOPLE)
    style = browser.open(browser.page("/static/clerk.css"))
    assert (style.status, style.headers.get_content_type()) == (200, "text/css")
    assert browser.open(browser.page("/nowhere")).status == 404
    wrong = browser.open(browser.page("/v1/client/handshake"), {})
    assert (wrong.status, "GET" in wrong.headers["Allow"]) == (405, True), (
        "a redirected POST must not look like success"
    )


def test_the_form_cookie_and_the_client_cookie_are_for_http_alone(clerk: LocalClerk) -> None:
    lines = Browser(clerk).sign_in("ann").headers.get_all("Set-Cookie") or []
    client = next(line for line in lines if line.startswith("__client="))
    assert "HttpOnly" in client
    assert "SameSite=Lax" in client
    assert "Domain" not in client


def test_production_mode_speaks_by_cookies(production: LocalClerk) -> None:
    browser, instance = Browser(production), production.instance
    assert instance.host == f"clerk.demo.localhost:{production.port}"
    back = browser.sign_in("ann", url=f"{PRODUCTION_ORIGIN}/mail/inbox")
    assert back.location == f"{PRODUCTION_ORIGIN}/mail/inbox", "no browser name in the address"
    app = browser.cookies("mail.demo.localhost")
    assert set(app) == {"__client_uat", f"__client_uat_{instance.suffix}"}
    assert "__client" in browser.cookies("clerk.demo.localhost")

    answer = browser.handshake(f"{PRODUCTION_ORIGIN}/mail/inbox", format="token", suffixed_cookies="true")
    assert (answer.status, answer.location) == (307, f"{PRODUCTION_ORIGIN}/mail/inbox")
    lines = envelope(production, browser.cookies("mail.demo.localhost")["__clerk_handshake"])
    browser.take("mail.demo.localhost", lines)
    app = browser.cookies("mail.demo.localhost")
    assert "__clerk_handshake" not in app, "the payload clears its own envelope"
    claims = verify(production, app["__session"])
    assert (claims["sub"], claims["azp"]) == (ANN.user_id, PRODUCTION_ORIGIN)
    assert app["__session"] == app[f"__session_{instance.suffix}"]
    assert len(lines) <= 12, "the app takes no more"
    hint = [line for line in lines if line.startswith("__client_uat=")]
    assert "1970" in hint[0], "first the stale host-only twin goes"
    assert "Domain" not in hint[0]
    assert "Domain=demo.localhost" in hint[1]

    nonce = browser.handshake(f"{PRODUCTION_ORIGIN}/", suffixed_cookies="true")
    assert nonce.location == f"{PRODUCTION_ORIGIN}/"
    value = browser.cookies("mail.demo.localhost")["__clerk_handshake_nonce"]
    assert call(production, "GET", f"/v1/clients/handshake_payload?nonce={value}").status == 200


def test_production_mode_signs_the_whole_domain_out(production: LocalClerk) -> None:
    browser = Browser(production)
    browser.sign_in("ann", url=f"{PRODUCTION_ORIGIN}/")
    shown = browser.open(
        browser.page(f"/sign-out?redirect_url={quote(PRODUCTION_ORIGIN + '/signed-out', safe='')}")
    )
    answer = browser.submit(shown, {})
    assert answer.location == f"{PRODUCTION_ORIGIN}/signed-out"
    assert browser.cookies("mail.demo.localhost")["__client_uat"] == "0"
    assert "__client" not in browser.cookies("clerk.demo.localhost")
    browser.handshake(f"{PRODUCTION_ORIGIN}/", format="token")
    lines = envelope(production, browser.cookies("mail.demo.localhost")["__clerk_handshake"])
    assert value_of(lines, "__session") == ""


def test_production_mode_differs_where_the_real_one_does(production: LocalClerk) -> None:
    settings = production.environment()
    assert settings["CLERK_SECRET_KEY"].startswith("sk_live_local_")
    assert settings["CLERK_PUBLISHABLE_KEY"].startswith("pk_live_")
    assert settings["CLERK_COOKIE_DOMAIN"] == "demo.localhost"
    refused = call(production, "POST", "/v1/sessions", {"user_id": ANN.user_id})
    assert refused.status == 403
    assert DEMO_PASSWORD not in Browser(production).open(f"{production.instance.url}/sign-in").text
