"""The answers to each class of request in each state, through a Flask application."""

import base64
import html
import io
import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask, g, request
from flask_babel import Babel
from flask_wtf import CSRFProtect
from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader, StrictUndefined

import webmail.web.auth as auth
from webmail.identity.clerk.authenticate import Clerk
from webmail.identity.clerk.backend import BackendClient, ClientHints
from webmail.identity.clerk.facts import facts_of
from webmail.identity.clerk.jwks import FetchedKeys, GivenKeys
from webmail.identity.clerk.refresh import Refresher
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import BackendRefused, BackendUnavailable
from webmail.identity.shared import InProcessStore
from webmail.identity.viewer import Denied, Viewer
from webmail.web.access import ROLES, declared_access, requires
from webmail.web.gate import Once
from webmail.web.next_page import path_of, safe_next

ORIGIN = "https://mail.example.com"
SUFFIX = "naoXFJnI"
KEY, FOREIGN = (generate_private_key(65537, 2048) for _ in range(2))
SETTINGS = ClerkSettings.from_environment(
    {
        "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
        "CLERK_SECRET_KEY": "sk_live_abc",
        "CLERK_JWT_KEY": KEY.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    },
    origin=ORIGIN,
    environment="production",
)
DOC = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
POLL = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}
BOOSTED = POLL | {"HX-Boosted": "true", "HX-Current-URL": f"{ORIGIN}/mail?p=2"}
STREAM = {"Accept": "text/event-stream"}
IMAGE = {"Sec-Fetch-Dest": "image"}
FORM = DOC | {"Origin": ORIGIN}
BASE = "<title>{{ title }}</title>{% block content %}{% endblock %}"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(payload, key=KEY):
    head = {"alg": "RS256", "typ": "JWT", "kid": "ins_1"}
    signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(payload).encode())}"
    return f"{signed}.{b64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def token(age=20, key=KEY, **changes):
    issued = int(time.time()) - age
    base = {
        "sub": "user_1",
        "sid": "sess_1",
        "iss": "https://clerk.example.com",
        "azp": ORIGIN,
        "iat": issued,
    }
    return sign(base | {"exp": issued + 60, "fva": [0, -1]} | changes, key)


def cookies(session="", uat=None, **more):
    pairs = {"__session": session, "__client_uat": str(int(time.time()) - 400) if uat is None else uat} | more
    return "; ".join(f"{name}={value}" for name, value in pairs.items() if value)


def valid(**changes):
    return cookies(token(**changes))


def expired(**more):
    return cookies(token(120), **more)


def refreshable():
    return expired(**{f"__refresh_{SUFFIX}": "rt"})


class FakeBackend:
    """Clerk's side of the three calls that a request can cause."""

    def __init__(self):
        self.calls = []
        self.fails = None
        self.slow = 0.0

    def _called(self, name):
        self.calls.append(name)
        time.sleep(self.slow)
        if self.fails:
            raise self.fails

    def refresh_session(self, session_id, expired_token, refresh_token, *, suffixed, hints):
        self._called("refresh")
        return (f"__session={token(0)}; Path=/", f"__refresh_{SUFFIX}=rt2; Path=/")

    def handshake_payload(self, nonce):
        self._called("payload")
        return (f"__session={token(0)}; Path=/",)

    def revoke_session(self, session_id):
        self._called(f"revoke {session_id}")


class World:
    """One application with everything outside it played by this object."""

    def __init__(self, settings=SETTINGS, keys=None):
        self.backend = FakeBackend()
        self.viewer = Viewer(
            1,
            "user_1",
            "sess_1",
            "Ann",
            "a@example.org",
            frozenset(),
            1,
            "ann@example.com",
            "active",
            (0, -1),
        )
        self.denial = None
        self.audited = []
        self.done = []
        shared = InProcessStore()
        clerk = Clerk(
            settings,
            self.backend,
            keys or GivenKeys(settings),
            Refresher(self.backend.refresh_session, shared),
        )
        hooks = replace(
            auth.default_hooks(shared, self.backend),
            audit=lambda event, ids: self.audited.append((event, ids)),
        )
        app = self.app = Flask(__name__)
        app.secret_key = "for the tests of CSRF alone"
        app.testing = True
        app.config["WTF_CSRF_CHECK_DEFAULT"] = False
        templates = FileSystemLoader(Path(auth.__file__).parents[1] / "templates")
        app.jinja_loader = ChoiceLoader([DictLoader({"base.html": BASE}), templates])
        app.jinja_env.undefined = StrictUndefined
        Babel(app)
        auth.init_app(
            app, settings=settings, load_viewer=self.load_viewer, shared=shared, hooks=hooks, clerk=clerk
        )
        self.csrf = CSRFProtect(app)
        self.gate = app.extensions["auth"]
        self.routes(app)

    def load_viewer(self, session):
        return self.denial or replace(self.viewer, user_id=session.user_id, session_id=session.session_id)

    def routes(self, app):
        @app.route("/mail", methods=["GET", "POST", "DELETE"])
        @requires("mail")
        def mail():
            if request.method in ("POST", "DELETE"):
                self.done.append(dict(request.form))
            return f"mail of {g.viewer.user_id}"

        @app.get("/")
        @requires("anyone")
        def start():
            return f"hello {g.viewer.name if g.viewer else 'stranger'}"

        @app.route("/staff", methods=["GET", "POST"])
        @requires("staff.review", fresh="strict")
        def staff():
            return "staff"

        @app.get("/forgotten")
        def forgotten():
            return "nobody said who may see this"

        @app.get("/health", endpoint="health.alive")
        def health():
            return "ok"

        @app.get("/broken")
        @requires("mail")
        def broken():
            raise RuntimeError("no detail of this is shown")

    def ask(self, cookie="", path="/mail", method="GET", headers=DOC, base_url=ORIGIN, **more):
        sent = dict(headers) | ({"Cookie": cookie} if cookie else {})
        client = self.app.test_client(use_cookies=False)
        return client.open(path, method=method, headers=sent, base_url=base_url, **more)


@pytest.fixture
def world():
    return World()


def handshake_of(response):
    assert response.status_code == 307
    assert response.headers["Location"].startswith("https://clerk.example.com/v1/client/handshake?")
    assert "no-store" in response.headers["Cache-Control"]
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()
    }


def set_names(response):
    return [cookie.partition("=")[0] for cookie in response.headers.getlist("Set-Cookie")]


# --- S0, S3: it works ---


@pytest.mark.parametrize("headers", [DOC, POLL, BOOSTED, STREAM, IMAGE])
def test_signed_in_every_class(world, headers):
    response = world.ask(valid(), headers=headers)
    assert (response.status_code, response.text) == (200, "mail of user_1")
    assert {"Cookie", "HX-Request", "Sec-Fetch-Dest"} <= set(response.vary)
    assert world.backend.calls == []


def test_head_and_post_when_signed_in(world):
    assert world.ask(valid(), method="HEAD").status_code == 200
    assert world.ask(valid(), method="POST", data={"subject": "x"}).status_code == 200
    assert world.ask(valid(), method="OPTIONS").status_code == 200
    assert world.ask(method="OPTIONS").status_code == 401
    assert world.done == [{"subject": "x"}]


def test_row_19_a_stale_post_is_renewed_and_runs_once(world):
    response = world.ask(refreshable(), method="POST", headers=FORM, data={"subject": "x"})
    assert response.status_code == 200
    assert world.done == [{"subject": "x"}]
    assert world.backend.calls == ["refresh"]
    assert {"__session", f"__refresh_{SUFFIX}"} <= set(set_names(response))
    assert response.headers["Cache-Control"] == "private, no-store"
    assert all(
        "HttpOnly" in cookie and "Secure" in cookie for cookie in response.headers.getlist("Set-Cookie")
    )


def test_renewed_cookies_are_on_error_pages_too(world):
    world.app.testing = False
    world.app.config["PROPAGATE_EXCEPTIONS"] = False
    response = world.ask(refreshable(), path="/broken")
    assert response.status_code == 500
    assert "__session" in set_names(response)


def test_row_23_a_refresh_that_took_long_brings_a_token_that_is_younger_than_the_request(world):
    now = [time.time()]

    class Slow(FakeBackend):
        def refresh_session(self, *args, **more):
            now[0] += 5.9  # more than clocks may differ by, and less than a call may take
            return (f"__session={sign(claims_at(now[0]))}; Path=/",)

    def claims_at(moment):
        base = {"sub": "user_1", "sid": "sess_1", "iss": "https://clerk.example.com", "azp": ORIGIN}
        return base | {"iat": int(moment), "exp": int(moment) + 60, "fva": [0, -1]}

    slow = Slow()
    refresher = Refresher(slow.refresh_session, InProcessStore())
    clerk = Clerk(SETTINGS, slow, GivenKeys(SETTINGS), refresher, clock=lambda: now[0])
    verdict = clerk.settle(auth_facts(DOC, refreshable()), ClientHints())
    assert (verdict.state.value, verdict.reason) == ("S3", "signed-in")


def test_row_27_parallel_requests_refresh_once(world):
    world.backend.slow = 0.05
    cookie, start = refreshable(), threading.Barrier(10)

    def ask(number):
        start.wait()
        return world.ask(cookie, headers=POLL if number else DOC).status_code

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(ask, range(10))) == [200] * 10
    assert world.backend.calls == ["refresh"]


def test_rows_21_and_23_refresh_refused_or_impossible(world):
    world.backend.fails = BackendRefused("gone", 401)
    asked = handshake_of(world.ask(refreshable()))
    assert asked["__clerk_hs_reason"] == "session-token-expired-refresh-gone"
    assert world.ask(refreshable(), headers=POLL).status_code == 401
    world.backend.fails = BackendUnavailable("timeout")
    asked = handshake_of(world.ask(cookies(token(121), **{f"__refresh_{SUFFIX}": "rt"})))
    assert asked["__clerk_hs_reason"] == "session-token-expired-refresh-unexpected-bapi-error"


# --- S1: nobody ---


def test_row_1_strangers_are_sent_to_sign_in(world):
    response = world.ask(path="/mail?q=a%2Fb")
    assert response.status_code == 303
    assert response.headers["Location"] == "/auth/sign-in?next=/mail?q%3Da%252Fb"
    assert world.ask(path="/").text == "hello stranger"
    onwards = world.ask(path=response.headers["Location"])
    assert onwards.status_code == 303
    assert onwards.headers["Location"].startswith("https://accounts.example.com/sign-in?")
    assert parse_qs(urlsplit(onwards.headers["Location"]).query)["redirect_url"] == [f"{ORIGIN}/mail?q=a%2Fb"]


def test_strangers_by_class(world):
    poll = world.ask(headers=POLL)
    assert (poll.status_code, poll.headers["HX-Trigger"], poll.text) == (401, "auth-stale", "")
    assert "HX-Redirect" not in poll.headers
    boosted = world.ask(headers=BOOSTED)
    assert (boosted.status_code, boosted.headers["HX-Redirect"]) == (401, "/auth/sign-in?next=/mail?p%3D2")
    foreign = world.ask(headers=BOOSTED | {"HX-Current-URL": "https://evil.com/x"})
    assert foreign.headers["HX-Redirect"] == "/auth/sign-in?next=/"
    stream = world.ask(headers=STREAM)
    assert (stream.status_code, stream.mimetype, stream.text) == (
        200,
        "text/event-stream",
        "event: auth\ndata: signed-out\n\n",
    )
    for method, headers in (("GET", IMAGE), ("HEAD", DOC), ("GET", DOC | {"Purpose": "prefetch"})):
        response = world.ask(method=method, headers=headers)
        assert (response.status_code, response.text) == (401, "")


def test_a_portal_that_keeps_sending_back_ends_in_a_page(world):
    counts = []
    for count in ("", "1", "2", "3"):
        response = world.ask(
            f"__clerk_redirect_count={count}" if count else "", headers=DOC | {"Sec-Fetch-Site": "cross-site"}
        )
        counts.append(response.status_code)
    assert counts == [303, 303, 303, 503]
    assert "Try again" in response.text


def test_opening_several_pages_while_signed_out_is_no_loop(world):
    for count in ("", "1", "2", "3", "9"):
        response = world.ask(f"__clerk_redirect_count={count}" if count else "")
        assert response.status_code == 303


# --- S2, S4: Clerk has to be asked ---


def test_rows_6_and_16_a_stale_form_keeps_what_was_typed(world):
    data = {
        "csrf_token": "old",
        "subject": 'He said "<hi>"',
        "body": "\nDear Ben,\n\n" + "x" * 100,
        "password": "hunter2",
    }
    for cookie in (expired(), cookies(token(), uat="0"), cookies(), ""):
        response = world.ask(cookie, path="/mail?draft=7", method="POST", headers=FORM, data=data)
        assert response.status_code == 401
        assert "Location" not in response.headers
        page = response.text
        assert 'action="/mail?draft=7"' in page
        assert 'name="subject" value="He said &#34;&lt;hi&gt;&#34;"' in page
        body = re.search(r'<textarea name="body"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
        assert html.unescape(body[1]) == data["body"], "the first line end after the tag is the parser's"
        assert "hunter2" not in page
        assert "old" not in re.findall(r'name="csrf_token" value="([^"]*)"', page)
        confirm = re.search(r'<a href="([^"]+)" target="_blank" rel="noopener"', page)[1]
        way = "sign-in" if cookie == "" else "resync"
        assert confirm == f"/auth/{way}?next=/auth/done"
    assert world.done == []


def test_files_of_a_stale_form_have_to_be_chosen_again(world):
    data = {"subject": "x", "attachment": (io.BytesIO(b"%PDF-"), "plan.pdf")}
    response = world.ask(expired(), method="POST", headers=FORM, data=data)
    assert 'enctype="multipart/form-data"' in response.text
    assert "<bdi>plan.pdf</bdi>" in response.text
    assert "Files cannot be kept" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        DOC,
        DOC | {"Origin": "https://evil.com"},
        DOC | {"Origin": "null"},
        DOC | {"Sec-Fetch-Site": "cross-site"},
        DOC | {"Sec-Fetch-Site": "same-site"},
        DOC | {"Referer": f"{ORIGIN}.evil.com/"},
    ],
)
def test_a_foreign_form_is_not_laundered_into_one_of_ours(world, headers):
    """Its fields would otherwise be sent on with our own CSRF token by whoever presses the button."""
    response = world.ask(method="POST", headers=headers, data={"to": "mallory@evil.com"})
    assert response.status_code == 401
    assert "mallory" not in response.text
    assert "<form" not in response.text


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Referer": f"{ORIGIN}/compose"}])
def test_own_forms_of_browsers_without_origin_are_kept(world, headers):
    assert (
        "kept@example.org"
        in world.ask(method="POST", headers=DOC | headers, data={"to": "kept@example.org"}).text
    )


def test_stale_by_class(world):
    assert (
        handshake_of(world.ask(expired(), path="/mail?a=1&b=%2F"))["redirect_url"]
        == f"{ORIGIN}/mail?a=1&b=%2F"
    )
    poll = world.ask(expired(), headers=POLL)
    assert (poll.status_code, poll.headers.get("HX-Trigger"), poll.headers.get("HX-Redirect")) == (
        401,
        "auth-stale",
        None,
    )
    boosted = world.ask(expired(), path="/mail?p=3", headers=BOOSTED)
    assert (boosted.status_code, boosted.headers["HX-Redirect"]) == (401, "/mail?p=3")
    for headers in (POLL, BOOSTED):
        unsafe = world.ask(expired(), method="POST", headers=headers, data={"a": "b"})
        assert (unsafe.status_code, unsafe.headers["HX-Trigger"]) == (401, "auth-stale")
        assert "HX-Redirect" not in unsafe.headers
    assert world.ask(expired(), headers=STREAM).text == "event: auth\ndata: stale\n\n"
    for method, headers in (
        ("HEAD", DOC),
        ("GET", IMAGE),
        ("GET", {"Sec-Fetch-Dest": "iframe", "Accept": "text/html"}),
    ):
        assert world.ask(expired(), method=method, headers=headers).status_code == 401
    assert world.done == []


def test_coming_back_from_a_handshake(world):
    envelope = sign(
        {"handshake": [f"__session={token(0)}; Path=/", f"__client_uat={int(time.time())}; Path=/"]}
    )
    response = world.ask(f"__clerk_handshake={envelope}; __clerk_redirect_count=1")
    assert (response.status_code, response.text) == (200, "mail of user_1")
    assert {"__session", "__client_uat", "__clerk_handshake", "__clerk_redirect_count"} <= set(
        set_names(response)
    )
    assert response.headers["Cache-Control"] == "private, no-store"
    again = world.ask(f"__clerk_handshake={envelope}", headers=POLL)
    assert again.status_code == 401
    assert set_names(again) == []


def test_rows_38_and_39_coming_back_with_a_nonce(world):
    assert world.ask("__clerk_handshake_nonce=abc").text == "mail of user_1"
    world.backend.fails = BackendUnavailable("http-500", 500)
    response = world.ask("__clerk_handshake_nonce=abc")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert set(set_names(response)) == {"__clerk_handshake_nonce", "__clerk_handshake"}


def test_a_stranger_with_many_nonces_makes_few_calls_and_nobody_else_waits(world):
    """Only Clerk knows whether a nonce is one: whoever makes them up must not use up what Clerk allows us."""
    statuses = [world.ask(f"__clerk_handshake_nonce=n{n}").status_code for n in range(60)]
    calls = len(world.backend.calls)
    assert calls <= 25
    assert statuses[-1] == 503
    elsewhere = world.ask("__clerk_handshake_nonce=abc", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.text == "mail of user_1"
    assert world.ask(refreshable()).status_code == 200


def test_row_40_a_loop_ends_in_a_page(world):
    response = world.ask(cookies(__clerk_redirect_count="3"))
    assert response.status_code == 503
    assert "Location" not in response.headers
    assert 'href="/auth/resync?next=/mail"' in response.text, "asking anew is what may help"
    assert 'action="/auth/sign-out"' in response.text


# --- S5 ---


def test_invalid_tokens_are_removed_and_never_loop(world):
    forged = cookies(token(key=FOREIGN))
    first = world.ask(forged)
    assert first.status_code == 303
    assert "__session" in set_names(first)
    again = world.ask(f"{forged}; __clerk_redirect_count=1")
    assert again.status_code == 401
    assert 'href="/auth/sign-in?next=/mail"' in again.text
    assert world.ask(forged, headers=POLL).headers["HX-Trigger"] == "auth-stale"
    assert world.ask(forged, headers=IMAGE).status_code == 401
    assert world.ask(forged, headers=STREAM).text.endswith("data: signed-out\n\n")
    assert world.ask(forged, path="/").text == "hello stranger"
    assert world.backend.calls == []


# --- S6 ---


def test_row_53_pending(world):
    pending = valid(sts="pending")
    response = world.ask(pending)
    assert (response.status_code, response.headers["Location"]) == (303, "/auth/tasks?next=/mail")
    onwards = world.ask(pending, path=response.headers["Location"])
    assert onwards.headers["Location"].startswith("https://accounts.example.com/sign-in/tasks?redirect_url=")
    second = world.ask(f"{pending}; __clerk_redirect_count=1").headers.getlist("Set-Cookie")
    assert second[-1].startswith("__clerk_redirect_count=2;"), "after the one that deletes it"
    assert world.ask(f"{pending}; __clerk_redirect_count=2").status_code == 403
    assert world.ask(pending, headers=POLL).headers["HX-Redirect"] == "/auth/tasks"
    assert world.ask(pending, headers=STREAM).text == "event: auth\ndata: pending\n\n"
    posted = world.ask(pending, method="POST", headers=FORM, data={"subject": "kept"})
    assert posted.status_code == 401
    assert "kept" in posted.text
    assert world.done == []


# --- S7 ---


def assert_denied(world, cookie):
    page = world.ask(cookie)
    assert page.status_code == 403
    assert 'action="/auth/sign-out"' in page.text
    partial = world.ask(cookie, headers=POLL)
    assert (partial.status_code, partial.headers["HX-Redirect"]) == (403, "/auth/denied")
    assert world.ask(cookie, method="POST", headers=FORM).status_code == 403
    assert world.ask(cookie, method="POST", headers=POLL).status_code == 403
    assert world.ask(cookie, headers=STREAM).text == "event: auth\ndata: denied\n\n"
    assert world.ask(cookie, headers=IMAGE).status_code == 403
    assert world.ask(cookie, path="/").status_code == 403
    assert world.ask(cookie, path="/auth/denied").status_code == 403
    assert world.done == []


def test_row_54_impersonation_is_refused_and_written_down(world):
    assert_denied(world, valid(act={"sub": "user_staff", "iss": "https://dashboard.clerk.com"}))
    event, ids = world.audited[0]
    assert event == "impersonation-refused"
    assert ids == {
        "actor": "user_staff",
        "issuer": "https://dashboard.clerk.com",
        "user": "user_1",
        "session": "sess_1",
    }


def test_impersonation_where_allowed_is_for_looking_only():
    world = World(replace(SETTINGS, impersonation="readonly"))
    world.viewer = replace(world.viewer, roles=frozenset({"reviewer"}))
    acting = valid(act={"sub": "user_staff"})
    assert world.ask(acting).status_code == 200
    assert world.ask(acting, method="POST", headers=FORM).status_code == 403
    assert world.done == []
    assert world.ask(acting, path="/staff").status_code == 303, "never counts as freshly signed in"


def test_row_60_denied_sessions_users_and_accounts(world):
    world.gate.hooks.deny("sess_1", "user_1")
    assert_denied(world, valid())
    other = World()
    other.denial = Denied("suspended")
    assert_denied(other, valid())


def test_row_60_an_open_stream_ends(world):
    with world.app.test_request_context():
        session = world.gate.clerk.settle(
            auth_facts({"Accept": "text/event-stream"}, valid()), hints=None
        ).session
    check = auth.stream_guard(world.gate, session)
    assert check() is None
    world.gate.hooks.deny("sess_1", "user_1")
    assert check() == "denied"


def auth_facts(headers, cookie):
    return facts_of("GET", "/mail", headers, [pair.split("=", 1) for pair in cookie.split("; ")])


# --- S9 ---


def test_row_63_without_keys_nobody_is_let_in_or_signed_out():
    def fetch():
        raise BackendUnavailable("connect")

    world = World(keys=FetchedKeys(fetch))
    response = world.ask(valid())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert set_names(response) == []
    posted = world.ask(valid(), method="POST", headers=FORM, data={"subject": "kept"})
    assert posted.status_code == 503
    assert "kept" in posted.text
    for headers in (POLL, STREAM, IMAGE):
        assert world.ask(valid(), headers=headers).status_code == 503
    assert world.ask(path="/health").status_code == 200


# --- S10 and roles ---


def test_row_72_role_and_freshness_are_checked_separately(world):
    stale, fresh = valid(fva=[10, -1]), valid()
    world.viewer = replace(world.viewer, roles=frozenset({"reviewer"}))
    assert world.ask(stale, path="/staff", headers=IMAGE).status_code == 403
    assert world.ask(stale, path="/staff", method="POST", headers=FORM).status_code == 403
    assert world.ask(fresh, path="/staff").text == "staff"
    world.viewer = replace(world.viewer, roles=frozenset({"admin"}))
    assert world.ask(fresh, path="/staff").status_code == 403
    assert world.ask(stale, path="/staff").status_code == 403


def test_step_up_by_class(world):
    world.viewer = replace(world.viewer, roles=frozenset({"reviewer"}))
    stale = valid(fva=[10, -1])
    page = world.ask(stale, path="/staff?case=7")
    assert (page.status_code, page.headers["Location"]) == (303, "/auth/verify?next=/staff?case%3D7")
    assert world.ask(stale, path="/staff", headers=POLL).headers["HX-Redirect"] == "/auth/verify?next=/staff"
    form = world.ask(stale, path="/staff", method="POST", headers=FORM, data={"reason": "kept"})
    assert form.status_code == 403
    assert "kept" in form.text
    assert 'href="/auth/verify?next=/auth/done"' in form.text
    wants_json = world.ask(stale, path="/staff", method="POST", headers={"Accept": "application/json"})
    assert wants_json.status_code == 403
    assert wants_json.json["clerk_error"]["metadata"] == {"reverification": "strict"}
    offered = world.ask(stale, path="/auth/verify?next=/staff")
    assert 'name="again" value="/staff"' in offered.text


def test_an_endpoint_that_declares_nothing_is_closed(world, caplog):
    with caplog.at_level(logging.ERROR):
        assert world.ask(valid(), path="/forgotten").status_code == 403
    assert "forgotten" in caplog.text
    assert world.ask(path="/forgotten").status_code == 303
    declared = declared_access(world.app)
    assert [name for name, access in declared.items() if access == "undeclared"] == ["forgotten"]
    assert declared["mail"] == "mail"
    assert declared["health.alive"] == "public"
    assert all(access in ROLES or access in ("public", "undeclared") for access in declared.values())


def test_permissions_and_presets_have_to_exist():
    with pytest.raises(ValueError):
        requires("mial")
    with pytest.raises(ValueError):
        requires("mail", fresh="very")


# --- other requests ---


def test_not_found_and_wrong_method_know_the_viewer(world):
    @world.app.errorhandler(404)
    def missing(error):
        return f"nothing here for {g.viewer.name if g.viewer else 'a stranger'}", 404

    assert world.ask(valid(), path="/nowhere").text == "nothing here for Ann"
    assert world.ask(path="/nowhere").text == "nothing here for a stranger"
    assert world.ask(refreshable(), path="/nowhere").status_code == 404
    assert world.ask(valid(), method="PUT").status_code == 405
    assert world.backend.calls == []


def test_other_hosts(world):
    response = world.ask(valid(), base_url="https://evil.com", path="/mail?a=%2F")
    assert (response.status_code, response.headers["Location"]) == (302, f"{ORIGIN}/mail?a=%2F")
    assert world.ask(base_url="https://evil.com", path="//other.com/x").headers["Location"] == f"{ORIGIN}/"
    assert world.ask(valid(), base_url="https://evil.com", method="POST").status_code == 400
    assert world.ask(base_url="http://10.0.0.7", path="/health").status_code == 200
    spoofed = world.ask(expired(), headers=DOC | {"X-Forwarded-Host": "evil.com"})
    assert handshake_of(spoofed)["redirect_url"] == f"{ORIGIN}/mail"


def test_public_endpoints_do_not_look_at_cookies(world):
    response = world.ask(refreshable(), path="/signed-out")
    assert response.status_code == 200
    assert set_names(response) == []
    assert world.backend.calls == []
    assert "Cookie" not in response.vary


# --- the blueprint ---


@pytest.mark.parametrize("cookie", [valid, expired, refreshable, lambda: "", lambda: valid(sts="pending")])
def test_resync_asks_clerk_whatever_the_cookies_say(world, cookie):
    response = world.ask(cookie(), path="/auth/resync?next=/mail?p%3D2")
    asked = handshake_of(response)
    assert asked["redirect_url"] == f"{ORIGIN}/mail?p=2", "straight to where it leads, not here once more"
    assert asked["__clerk_hs_reason"] == "resync"
    assert response.headers.getlist("Set-Cookie")[-1].startswith("__clerk_redirect_count=1;")


def test_resync_leads_to_pages_of_ours_alone_and_ends(world):
    for target in ("//evil.example", "/auth/resync", "https://evil.example", ""):
        asked = handshake_of(world.ask(valid(), path=f"/auth/resync?next={target}"))
        assert asked["redirect_url"] == f"{ORIGIN}/"
    looping = world.ask(f"{valid()}; __clerk_redirect_count=3", path="/auth/resync?next=/mail")
    assert looping.status_code == 503
    assert "Location" not in looping.headers
    for headers in (POLL, BOOSTED):
        boosted = world.ask(valid(), path="/auth/resync?next=/mail", headers=headers)
        assert boosted.headers["HX-Redirect"] == "/auth/resync?next=/mail"
    assert world.ask(valid(), path="/auth/resync", headers=IMAGE).status_code == 401


def test_resync_hands_out_what_was_renewed_on_the_way(world):
    response = world.ask(refreshable(), path="/auth/resync?next=/mail")
    assert {"__session", f"__refresh_{SUFFIX}"} <= set(set_names(response)), "a refresh token may be spent"


class Silent:
    """Clerk's pages, which nobody answers."""

    def __init__(self, known=True):
        self.known, self.looks, self.wonders = known, 0, 0

    def down(self):
        return self.known

    def look(self):
        self.looks += 1
        return False

    def wonder(self):
        self.wonders += 1


def silent(known=True):
    world = World()
    reach = Silent(known)
    world.gate = replace(world.gate, clerk=replace(world.gate.clerk, reach=reach))
    world.app.extensions["auth"] = world.gate
    world.app.before_request_funcs[None] = [lambda: world.gate.before(world.app)]
    return world, reach


def test_row_23_in_an_outage_nobody_is_sent_to_where_nobody_is():
    world, reach = silent(known=False)
    world.backend.fails = BackendUnavailable("timeout")
    page = world.ask(refreshable(), path="/mail?p=2")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "does not answer" in page.text
    assert 'href="/mail?p=2"' in page.text
    assert set_names(page) == [], "cookies as they were: the session is good again with Clerk"
    assert reach.looks == 1
    form = world.ask(refreshable(), method="POST", headers=FORM, data={"subject": "kept words"})
    assert form.status_code == 503
    assert "kept words" in form.text
    assert "Nobody has signed you out" in form.text
    for headers in (POLL, BOOSTED):
        partial = world.ask(refreshable(), headers=headers)
        assert partial.status_code == 503
        assert not {"HX-Redirect", "HX-Trigger", "HX-Refresh"} & set(partial.headers.keys())
    assert world.ask(refreshable(), headers=STREAM).status_code == 503
    assert world.done == []


def test_in_an_outage_valid_tokens_go_on_and_nobody_new_gets_in():
    world, reach = silent()
    assert world.ask(valid()).status_code == 200
    assert world.ask(valid(), method="POST", headers=FORM, data={"a": "b"}).status_code == 200
    for path, cookie in (
        ("/mail", cookies()),
        ("/auth/sign-in?next=/mail", ""),
        ("/auth/tasks?next=/mail", ""),
        ("/auth/resync?next=/mail", valid()),
        ("/auth/resync?next=/mail", ""),
    ):
        page = world.ask(cookie, path=path)
        assert page.status_code == 503, path
        assert "does not answer" in page.text
        assert "Your mail is safe" in page.text
        assert "__clerk_redirect_count" not in set_names(page), "waiting is no lap"
    anyway = re.search(
        r'href="(/auth/sign-in[^"]*anyway[^"]*)"', world.ask(path="/auth/sign-in?next=/mail").text
    )
    onwards = world.ask(path=html.unescape(anyway[1]))
    assert onwards.headers["Location"].startswith("https://accounts.example.com/sign-in?")
    assert reach.looks == 0, "nobody waits for that"


def test_a_forged_token_makes_nobody_look():
    world, reach = silent(known=False)
    world.backend.fails = BackendUnavailable("timeout")
    forged = cookies(token(120, key=FOREIGN), **{f"__refresh_{SUFFIX}": "rt"})
    for headers in (DOC, POLL, STREAM, IMAGE):
        world.ask(forged, headers=headers)
        world.ask(headers=headers)
    world.ask(forged, method="POST", headers=FORM)
    assert (reach.looks, reach.wonders, world.backend.calls) == (0, 0, [])


def test_P16_an_impersonator_who_asks_on_is_written_down_once_and_again_later(world):
    acting = valid(act={"sub": "user_staff", "iss": "https://dashboard.clerk.com"})
    for _ in range(20):
        assert world.ask(acting, headers=POLL).status_code == 403
    assert len(world.audited) == 1
    world.ask(valid(act={"sub": "user_other"}))
    assert len(world.audited) == 2
    now, told = [0.0], []
    once = Once(lambda event, ids: told.append(event), clock=lambda: now[0])
    for seconds in (0.0, 599.0, 600.0, 601.0, 1300.0):
        now[0] = seconds
        once("x", {"a": "b"})
    assert told == ["x"] * 3

    def fails(event, ids):
        raise OSError

    failing = Once(fails)
    for _ in range(2):
        with pytest.raises(OSError):
            failing("x", {})


def test_done(world):
    assert "Close this tab" in world.ask(valid(), path="/auth/done").text
    assert world.ask(path="/auth/done").headers["Location"] == "/auth/sign-in?next=/auth/done"
    boosted = world.ask(path="/auth/sign-in?next=/mail", headers=BOOSTED)
    assert (boosted.status_code, boosted.headers["HX-Redirect"]) == (200, "/auth/sign-in?next=/mail")


@pytest.mark.parametrize("cookie", [valid, expired, refreshable])
def test_row_73_sign_out(world, cookie):
    response = world.ask(cookie(), path="/auth/sign-out", method="POST", headers=FORM)
    assert (response.status_code, response.headers["Location"]) == (303, "/signed-out")
    assert response.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert world.backend.calls[-1] == "revoke sess_1"
    sent = response.headers.getlist("Set-Cookie")
    assert not any(cookie.startswith("__session=e") for cookie in sent)
    last = {cookie.partition("=")[0]: cookie for cookie in sent}
    for name in (
        "__session",
        f"__session_{SUFFIX}",
        f"__refresh_{SUFFIX}",
        "__clerk_handshake",
        "__clerk_redirect_count",
    ):
        assert last[name].startswith(f"{name}=;"), "nothing renewed is handed out"
        assert "Max-Age=0" in last[name]
    assert last["__client_uat"] == "__client_uat=0; Path=/; Domain=example.com; Secure; SameSite=Lax"
    assert world.ask(valid()).status_code == 403, "the old cookie is worth nothing any more"


def test_row_73_sign_out_when_clerk_is_down(world):
    world.backend.fails = BackendUnavailable("http-500", 500)
    response = world.ask(valid(), path="/auth/sign-out", method="POST", headers=FORM)
    assert response.status_code == 303
    assert "__session" in set_names(response)
    assert world.ask(valid()).status_code == 403


def test_sign_out_of_nobody_only_clears_cookies(world):
    for cookie in ("", cookies(token(key=FOREIGN)), cookies("abc")):
        response = world.ask(cookie, path="/auth/sign-out", method="POST", headers=FORM)
        assert (response.status_code, response.headers["Location"]) == (303, "/signed-out")
    assert world.backend.calls == []
    assert world.ask(valid()).status_code == 200


def test_sign_out_to_come_back(world):
    response = world.ask(
        valid(), path="/auth/sign-out", method="POST", headers=FORM, data={"again": "/staff"}
    )
    assert response.headers["Location"] == "/auth/sign-in?next=/staff"
    assert world.backend.calls == ["revoke sess_1"]
    other = World()
    other.backend.fails = BackendUnavailable("connect")
    response = other.ask(
        valid(), path="/auth/sign-out", method="POST", headers=FORM, data={"again": "/staff"}
    )
    assert response.headers["Location"] == "/signed-out", (
        "the portal would send a session that lives straight back"
    )


def test_row_74_sign_out_by_get_or_without_a_csrf_token(world):
    assert world.ask(valid(), path="/auth/sign-out").status_code == 405
    world.app.config["WTF_CSRF_CHECK_DEFAULT"] = True
    response = world.ask(valid(), path="/auth/sign-out", method="POST", headers=FORM)
    assert response.status_code in (400, 403)
    assert set_names(response) == []
    assert world.backend.calls == []
    assert world.ask(valid()).status_code == 200


# --- where to go next ---


@pytest.mark.parametrize(
    "value",
    [
        "//evil", "/\\evil", "https://evil", "/auth/resync", "/a%0d%0ab", "", None, "evil", "/%2fevil.com", "/%5cevil.com", "/a\nb",
        "/auth", "/auth/", "/x/../auth/sign-out", "/./auth/denied", "/%61uth/resync", "/" + "a" * 2048, "\\/evil", "/a\x7f", "javascript:1",
        "///evil.com", "/auth/done/../resync",
    ],
)  # fmt: skip
def test_row_75_next_is_a_page_of_ours(value):
    assert safe_next(value) == "/"


@pytest.mark.parametrize("value", ["/", "/mail/inbox?q=a%2Fb&p=2", "/auth/done", "/authors", "/mail#x"])
def test_row_75_pages_of_ours_stay(value):
    assert safe_next(value) == value


def test_next_is_always_fit_for_a_header():
    assert safe_next("/søk?q=\ud800") == "/s%C3%B8k?q=?"
    assert path_of("https://[", ORIGIN) == "/"
    assert path_of(f"{ORIGIN}@evil.com/x", ORIGIN) == "/"
    assert path_of(f"{ORIGIN}/mail?p=2", ORIGIN) == "/mail?p=2"


# --- what is logged ---


def test_logs_hold_neither_tokens_nor_session_ids(world, caplog):
    with caplog.at_level(logging.DEBUG):
        for cookie in (
            valid(),
            expired(),
            refreshable(),
            cookies(token(key=FOREIGN)),
            valid(act={"sub": "user_staff"}),
        ):
            world.ask(cookie, path="/mail?q=secret")
    text = caplog.text
    assert "session-token-expired" in text
    assert "S0 signed-in document session=" in text
    for secret in ("eyJ", "sess_1", "secret", "rt2", "user_1", "Location"):
        assert secret not in text


def test_the_backend_is_built_by_default():
    app = Flask(__name__)
    Babel(app)
    auth.init_app(app, settings=SETTINGS, load_viewer=lambda session: Denied("x"), shared=InProcessStore())
    assert isinstance(app.extensions["auth"].clerk.backend, BackendClient)
    assert isinstance(app.extensions["auth"].clerk.keys, GivenKeys)
    assert app.extensions["origin"] == ORIGIN
