"""The local Clerk and the app's own middleware, each on a socket of its own, with a browser between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask, g, request
from flask_babel import Babel
from jinja2 import DictLoader
from werkzeug.serving import WSGIRequestHandler, make_server

from webmail.embedded.clerk import directives, passwords
from webmail.embedded.clerk.server import LocalClerk, Options
from webmail.embedded.clerk.testing import Answer, Browser, call, given, knobs
from webmail.embedded.people import DEMO_PEOPLE, DEMO_TOTP_SECRET
from webmail.identity.clerk import webhooks
from webmail.identity.clerk.backend import BackendClient
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import Session
from webmail.identity.shared import InProcessStore
from webmail.identity.viewer import Viewer
from webmail.web import auth
from webmail.web.access import requires

ANN, SAM = DEMO_PEOPLE[0], DEMO_PEOPLE[2]
DOCUMENT = {"Sec-Fetch-Dest": "document"}
PARTIAL = {"Sec-Fetch-Dest": "empty", "HX-Request": "true", "Accept": "*/*"}
_PAGES = ("denied", "done", "loop", "mismatch", "pending", "signed_out", "stale", "unavailable", "verify")


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class Pair:
    """An app at `origin` with its Clerk, and what the app's views and webhook address were asked."""

    clerk: LocalClerk
    origin: str
    settings: ClerkSettings
    app: Flask
    events: list[webhooks.WebhookEvent]
    browser: Browser

    def follow(self, answer: Answer, at: str) -> list[tuple[int, str]]:
        """Every redirect until there is none, as (status, where from); the last answer is in `last`."""
        laps = [(answer.status, at)]
        while answer.status in (303, 307):
            assert len(laps) < 12, laps
            at = urljoin(at, answer.location)
            answer = self.browser.open(at, headers=DOCUMENT)
            laps.append((answer.status, at))
        self.last = answer
        return laps

    def go(self, path: str) -> list[tuple[int, str]]:
        return self.follow(self.browser.open(self.origin + path, headers=DOCUMENT), self.origin + path)

    def later(self) -> None:
        """So much later that the app has forgotten how often it sent this browser round."""
        self.browser.jar.pop(("__clerk_redirect_count", urlsplit(self.origin).hostname or "", False), None)

    def partial(self, path: str) -> Answer:
        return self.browser.open(self.origin + path, headers=PARTIAL)

    def sign_in(self, who: str, path: str = "/whoami") -> None:
        """From a cold browser by way of a protected page."""
        self.go(path)
        assert 'name="identifier"' in self.last.text
        answer = self.browser.submit(self.last, {"identifier": who, "password": "mtumail-demo"})
        if answer.status == 200:
            step = int(self.clerk.local.controls.now()) // 30
            answer = self.browser.submit(answer, {"code": passwords.totp_code(DEMO_TOTP_SECRET, step)})
        self.follow(answer, self.clerk.instance.url)


def _viewer(session: Session) -> Viewer:
    staff = frozenset({"support"}) if session.user_id == SAM.user_id else frozenset()
    return Viewer(
        account_id=1,
        user_id=session.user_id,
        session_id=session.session_id,
        name="",
        contact="",
        roles=staff,
        mailbox_id=1,
        address=None,
        status="active",
        fva=tuple(session.factor_ages),
    )


def _app(settings: ClerkSettings, events: list[webhooks.WebhookEvent]) -> Flask:
    app = Flask("app")
    app.secret_key = "test"
    Babel(app)
    app.jinja_loader = DictLoader({f"auth/{name}.html": f"page {name}" for name in _PAGES})
    auth.init_app(app, settings=settings, load_viewer=_viewer, shared=InProcessStore())

    @app.route("/whoami", methods=["GET", "POST"])
    @requires("account")
    def whoami() -> str:
        return f"{request.method} {g.viewer.user_id} {','.join(map(str, g.viewer.fva))} {request.query_string.decode()}"

    @app.get("/staff")
    @requires("staff.access", fresh="strict")
    def staff() -> str:
        return "staff"

    @app.post("/hook", endpoint="webhooks.clerk")
    def hook() -> tuple[str, int]:
        events.append(webhooks.receive(request.headers, request.get_data(), settings, time.time()))
        return "", 204

    return app


def _pair(folder: Path, host: str, mode: str, *, published_keys: bool = False) -> Iterator[Pair]:
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    origin = f"http://{host}:{server.server_port}"
    options = Options(folder, origin, mode=mode, environment="test", webhook_url=f"{origin}/hook")
    with LocalClerk(options) as clerk:
        environment = clerk.environment()
        if published_keys:
            del environment["CLERK_JWT_KEY"]
        settings = ClerkSettings.from_environment(environment, origin=origin, environment="test")
        events: list[webhooks.WebhookEvent] = []
        app = _app(settings, events)
        server.app = app
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield Pair(clerk, origin, settings, app, events, Browser(clerk))
        server.shutdown()
        thread.join(5)
    server.server_close()


@pytest.fixture
def pair(options: Options) -> Iterator[Pair]:
    yield from _pair(options.data_dir, "mail.localhost", "development")


@pytest.fixture
def live(options: Options) -> Iterator[Pair]:
    yield from _pair(options.data_dir, "mail.demo.localhost", "production")


@pytest.fixture
def fetching(options: Options) -> Iterator[Pair]:
    """An app that fetches its keys."""
    yield from _pair(options.data_dir, "mail.localhost", "development", published_keys=True)


def path_of(url: str) -> str:
    return urlsplit(url).path


def test_a_cold_browser_ends_at_the_page_it_asked_for(pair: Pair) -> None:
    laps = pair.go("/whoami?a=1&b=%2F")
    assert [(status, path_of(url)) for status, url in laps] == [
        (307, "/whoami"),
        (307, "/v1/client/handshake"),
        (307, "/whoami"),
        (303, "/whoami"),
        (303, "/auth/sign-in"),
        (200, "/sign-in"),
    ]
    answer = pair.browser.submit(pair.last, {"identifier": "ann", "password": "mtumail-demo"})
    laps = pair.follow(answer, pair.clerk.instance.url)
    assert [(status, path_of(url)) for status, url in laps[1:]] == [
        (307, "/whoami"),
        (307, "/v1/client/handshake"),
        (307, "/whoami"),
        (200, "/whoami"),
    ]
    assert laps[-1][1] == f"{pair.origin}/whoami?a=1&b=%2F"
    assert pair.last.text == f"GET {ANN.user_id} 0,-1 a=1&b=%2F"
    assert len(pair.go("/whoami")) == 1


def test_live_needs_no_parameters(live: Pair) -> None:
    live.sign_in("ann", "/whoami?a=1")
    assert live.last.text == f"GET {ANN.user_id} 0,-1 a=1"
    assert len(live.go("/whoami")) == 1
    names = set(live.browser.cookies("mail.demo.localhost"))
    assert not {"__clerk_handshake", "__clerk_handshake_nonce"} & names
    assert f"__refresh_{live.clerk.instance.suffix}" in names


@pytest.mark.parametrize("how", ["token", "nonce"])
@pytest.mark.parametrize("mode", ["pair", "live"])
def test_both_ways_of_delivery_arrive(request: pytest.FixtureRequest, mode: str, how: str) -> None:
    one: Pair = request.getfixturevalue(mode)
    knobs(one.clerk, handshake_format=how)
    one.sign_in("ann")
    assert one.last.text == f"GET {ANN.user_id} 0,-1 "


@pytest.mark.parametrize("mode", ["pair", "live"])
def test_an_expired_token_is_renewed_without_a_redirect(request: pytest.FixtureRequest, mode: str) -> None:
    one: Pair = request.getfixturevalue(mode)
    knobs(one.clerk, clock_offset=-600)
    one.browser.jar.clear()
    host = urlsplit(one.origin).hostname or ""
    suffixed = given(one.clerk, ANN.user_id, suffixed=one.settings.live)["cookies"]
    one.browser.take(host, [f"{name}={value}" for name, value in suffixed.items()])
    knobs(one.clerk, clock_offset=0)
    assert len(one.go("/whoami")) == 1
    assert one.last.text == f"GET {ANN.user_id} 10,-1 "
    refreshes = [
        one for one in call(one.clerk, "GET", "/_local/calls").json if one["path"].endswith("/refresh")
    ]
    assert [call["status"] for call in refreshes] == [200]
    assert one.partial("/whoami").status == 200


def test_an_expired_token_without_refresh_goes_round_once(pair: Pair) -> None:
    knobs(pair.clerk, token_seconds=-30)
    pair.go("/whoami")
    pair.browser.take(
        "mail.localhost", [f"{k}={v}" for k, v in given(pair.clerk, ANN.user_id)["cookies"].items()]
    )
    knobs(pair.clerk, token_seconds=60)
    call(pair.clerk, "POST", "/_local/refresh/expire")
    assert pair.partial("/whoami").status == 401
    laps = pair.go("/whoami")
    assert [path_of(url) for _, url in laps] == ["/whoami", "/v1/client/handshake", "/whoami", "/whoami"]
    assert pair.last.status == 200


def test_a_ban_is_felt_when_the_token_runs_out(pair: Pair) -> None:
    knobs(pair.clerk, token_seconds=-30)
    pair.browser.take(
        "mail.localhost", [f"{k}={v}" for k, v in given(pair.clerk, ANN.user_id)["cookies"].items()]
    )
    call(pair.clerk, "POST", f"/v1/users/{ANN.user_id}/ban")
    laps = pair.go("/whoami")
    assert path_of(laps[-1][1]) == "/sign-in"
    assert "identifier" in pair.last.text


def test_sign_out_is_the_end_of_it(pair: Pair) -> None:
    pair.sign_in("ann")
    answer = pair.browser.open(f"{pair.origin}/auth/sign-out", {}, headers={"Origin": pair.origin})
    pair.follow(answer, pair.origin)
    assert pair.last.text == "page signed_out"
    assert call(pair.clerk, "GET", f"/v1/sessions?user_id={ANN.user_id}").json[0]["status"] == "revoked"
    laps = pair.go("/whoami")
    assert path_of(laps[-1][1]) == "/sign-in"
    pair.later()
    pair.sign_in("sam")
    assert pair.last.text.startswith(f"GET {SAM.user_id} 0,0")


def test_staff_with_a_fresh_factor_come_in_and_with_a_stale_one_sign_in_again(pair: Pair) -> None:
    pair.sign_in("sam", "/staff")
    assert pair.last.text == "staff"
    knobs(pair.clerk, claims={"fva": [15, 12]})
    del pair.browser.jar["__session", "mail.localhost", False]
    pair.later()
    pair.go("/staff")
    assert pair.last.text == "page verify"


def test_a_pending_session_does_its_task_first(pair: Pair) -> None:
    call(pair.clerk, "POST", "/_local/task", {"user_id": ANN.user_id, "task": "reset-password"})
    pair.sign_in("ann")
    assert "Choose a new password" in pair.last.text
    pair.follow(pair.browser.submit(pair.last, {"password": "quite another"}), pair.clerk.instance.url)
    assert pair.last.text == f"GET {ANN.user_id} 0,-1 "


def test_somebody_acting_as_another_is_refused(pair: Pair) -> None:
    pair.go("/whoami")
    cookies = given(pair.clerk, ANN.user_id, actor={"sub": SAM.user_id})["cookies"]
    pair.browser.take("mail.localhost", [f"{k}={v}" for k, v in cookies.items()])
    pair.go("/whoami")
    assert (pair.last.status, pair.last.text) == (403, "page denied")


def test_a_handshake_that_brings_nothing_ends_in_a_page(live: Pair) -> None:
    knobs(live.clerk, handshake="nothing")
    host = urlsplit(live.origin).hostname or ""
    live.browser.take(host, directives.hint_cookies(live.clerk.instance, int(time.time())))
    live.go("/whoami")
    assert (live.last.status, live.last.text) == (503, "page loop")


def test_keys_that_do_not_match_are_said(pair: Pair) -> None:
    knobs(pair.clerk, handshake="foreign_key", handshake_format="token")
    pair.go("/whoami")
    assert (pair.last.status, pair.last.text) == (400, "page mismatch")


def test_a_dead_backend_is_no_sign_out(pair: Pair) -> None:
    knobs(pair.clerk, handshake_format="nonce", fail={"count": 9, "status": 500})
    pair.go("/whoami")
    assert (pair.last.status, pair.last.text) == (503, "page unavailable")


@pytest.mark.parametrize("same_kid", [True, False])
def test_an_app_that_fetches_its_keys_signs_in(fetching: Pair, same_kid: bool) -> None:
    call(fetching.clerk, "POST", "/_local/keys/rotate", {"same_kid": same_kid})
    fetching.sign_in("ann")
    assert fetching.last.text == f"GET {ANN.user_id} 0,-1 "


def test_the_apps_client_understands_every_answer(pair: Pair) -> None:
    client = BackendClient(pair.settings)
    assert client.user(ANN.user_id)["first_name"] == "Ann"
    assert [user["id"] for user in client.find_users(email=ANN.email)] == [ANN.user_id]
    assert client.count_users() == 6
    assert client.update_user(ANN.user_id, {"first_name": "Anne"})["first_name"] == "Anne"
    assert client.verify_password(ANN.user_id, "mtumail-demo") is True
    assert client.verify_password(ANN.user_id, "wrong") is False
    step = int(time.time()) // 30
    assert client.verify_totp(SAM.user_id, passwords.totp_code(DEMO_TOTP_SECRET, step)) is True
    assert client.verify_totp(SAM.user_id, passwords.totp_code(DEMO_TOTP_SECRET, step)) is False
    sid = given(pair.clerk, ANN.user_id)["session_id"]
    assert client.session(sid)["status"] == "active"
    assert [one["id"] for one in client.sessions(ANN.user_id)] == [sid]
    client.revoke_session(sid)
    assert client.sessions(ANN.user_id) == []
    client.lock_user(ANN.user_id)
    client.unlock_user(ANN.user_id)
    client.ban_user(ANN.user_id)
    client.unban_user(ANN.user_id)
    client.delete_user(ANN.user_id)
    assert client.count_users() == 5
    pair.clerk.local.sender.flush()
    deadline = time.monotonic() + 5
    while len(pair.events) < 9 and time.monotonic() < deadline:
        time.sleep(0.01)
    effects = [webhooks.effect_of(event) for event in pair.events]
    assert effects == [
        webhooks.UserChanged(ANN.user_id, effects[0].updated_at, "Anne Whitfield", ANN.email, False),
        webhooks.SignedIn(sid, ANN.user_id, False),
        webhooks.SessionEnded(sid, ANN.user_id),
        *(
            webhooks.UserChanged(ANN.user_id, effect.updated_at, "Anne Whitfield", ANN.email, banned)
            for effect, banned in zip(effects[3:7], (False, False, True, False), strict=True)
        ),
        webhooks.UserDeleted(ANN.user_id),
    ]
