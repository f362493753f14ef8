"""The Backend API client against a server on loopback, the store of keys, and the single flight of refreshes."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from webmail.identity.clerk.backend import BackendClient, ClientHints
from webmail.identity.clerk.jwks import FetchedKeys
from webmail.identity.clerk.refresh import Refresher
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import NeedsRefresh, Refreshed, RefreshFailed
from webmail.identity.clerk.transport import (
    BackendRefused,
    BackendUnavailable,
    Limits,
    NotFound,
    PlanLacks,
    RateLimited,
)
from webmail.identity.shared import InProcessStore

HINTS = ClientHints(user_agent="Lynx/2.9", accept_language="eo")
QUICK = Limits(connect=0.5, read=0.3, total=0.6)


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers
        status, content, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(content):
            content(self)
            return
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *args):
        pass


@contextmanager
def serving(*answers):
    """Answers are (status, content) or (status, content, headers); the last is repeated."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.answers = [(*answer, {}) if len(answer) == 2 else answer for answer in answers]
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)


def client(server, limits=QUICK, **more):
    port = server if isinstance(server, int) else server.server_address[1]
    settings = ClerkSettings.from_environment(
        {
            "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
            "CLERK_SECRET_KEY": "sk_test_abc",
            "CLERK_API_URL": f"http://127.0.0.1:{port}",
        },
        origin="https://mail.example.com",
        environment="test",
    )
    return BackendClient(settings, limits=limits, **more)


def error(code):
    return {"errors": [{"code": code, "message": "text that must not be repeated"}]}


def refresh(backend, hints=HINTS):
    return backend.refresh_session("sess_1", "old.to.ken", "rt", suffixed=True, hints=hints)


def test_row_17_the_refresh_call():
    with serving((200, {"object": "cookies", "cookies": ["__session=x; Path=/"]})) as server:
        assert refresh(client(server)) == ("__session=x; Path=/",)
        refresh(client(server), ClientHints(ip="192.0.2.7"))
    (method, path, headers, body), (*_, other) = server.seen
    assert (method, path) == ("POST", "/v1/sessions/sess_1/refresh?suffixed_cookies=true")
    assert headers["Authorization"] == "Bearer sk_test_abc"
    assert headers["Clerk-API-Version"] == "2026-05-12"
    assert body == {
        "format": "cookie",
        "expired_token": "old.to.ken",
        "refresh_token": "rt",
        "request_origin": "https://mail.example.com",
        "request_headers": {"user-agent": ["Lynx/2.9"], "accept-language": ["eo"]},
    }
    assert other["request_originating_ip"] == "192.0.2.7"
    assert other["request_headers"] == {}


def test_row_21_codes_but_no_texts():
    with serving((401, error("session_refresh_invalid"))) as server, pytest.raises(BackendRefused) as caught:
        refresh(client(server))
    assert (caught.value.code, caught.value.status) == ("session_refresh_invalid", 401)
    assert "text" not in str(caught.value)
    with serving((400, error("a code\nwith lines"))) as server, pytest.raises(BackendRefused) as caught:
        refresh(client(server))
    assert caught.value.code == "http-400"


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (503, {}), (200, b"<html>"), (200, b"[1]"), (302, {}, {"Location": "http://127.0.0.1:1/"})],
)
def test_row_23_a_refresh_is_never_tried_twice(answer):
    with serving(answer) as server, pytest.raises(BackendUnavailable):
        refresh(client(server))
    assert len(server.seen) == 1


def drip(handler):
    """A byte now and then, which no timeout of a socket ever notices."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(40):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.1)


def hang(handler):
    time.sleep(4)


@pytest.mark.parametrize("behaviour", [drip, hang])
def test_row_23_every_call_ends_in_time(behaviour):
    with serving((200, behaviour)) as server:
        began = time.monotonic()
        with pytest.raises(BackendUnavailable):
            client(server).user("user_1")
        assert time.monotonic() - began < 3
        assert len(server.seen) == 1


def test_nobody_there():
    with serving((200, {})) as server:
        port = server.server_address[1]
    with pytest.raises(BackendUnavailable) as caught:
        client(port).user("user_1")
    assert caught.value.code == "connect"


def test_what_may_be_tried_twice_is():
    with serving((503, {}), (200, {"id": "user_1"})) as server:
        assert client(server).user("user_1") == {"id": "user_1"}
        assert len(server.seen) == 2
    with serving((502, {}), (200, {"id": "sess_1", "status": "revoked"})) as server:
        client(server).revoke_session("sess_1")
        assert [seen[:2] for seen in server.seen] == [("POST", "/v1/sessions/sess_1/revoke")] * 2
    with serving((503, {})) as server, pytest.raises(BackendUnavailable):
        client(server).ban_user("user_1")
    assert len(server.seen) == 1


def test_rows_38_and_39_handshake_payload():
    with serving((200, {"directives": ["a=1", 7]})) as server:
        assert client(server).handshake_payload("n&x=1") == ("a=1",)
    assert server.seen[0][1] == "/v1/clients/handshake_payload?nonce=n%26x%3D1"
    for status in (404, 500):
        with serving((status, error("gone"))) as server, pytest.raises((BackendRefused, BackendUnavailable)):
            client(server).handshake_payload("n")
        assert len(server.seen) == 2
    with serving((404, {}), (200, {"directives": ["a=1"]})) as server:
        assert client(server).handshake_payload("n") == ("a=1",)


def test_row_77_a_plan_that_cannot_ban():
    with (
        serving((402, error("unsupported_subscription_plan_features"))) as server,
        pytest.raises(PlanLacks) as caught,
    ):
        client(server).ban_user("user_1")
    assert caught.value.status == 402
    with serving((404, error("resource_not_found"))) as server, pytest.raises(NotFound):
        client(server).user("user_1")


def test_rate_limits_are_honoured():
    now = [100.0]
    with serving((429, error("too_many_requests"), {"Retry-After": "7"}), (200, {"id": "user_1"})) as server:
        backend = client(server, clock=lambda: now[0])
        with pytest.raises(RateLimited) as caught:
            backend.user("user_1")
        assert caught.value.retry_after == 7
        now[0] += 6.5
        with pytest.raises(RateLimited):
            backend.user("user_1")
        assert len(server.seen) == 1
        now[0] += 1
        assert backend.user("user_1") == {"id": "user_1"}


def test_ids_are_looked_at_before_they_become_a_path():
    backend = client(1)
    for bad in ("user_../x", "user_1/../../sessions", "sess_1", "", "user_1\n", "user_%2e"):
        with pytest.raises(ValueError):
            backend.user(bad)
    with pytest.raises(ValueError):
        backend.revoke_session("user_1")


def test_the_other_calls():
    with serving((200, {"object": "total_count", "total_count": 3})) as server:
        assert client(server).count_users() == 3
    with serving((200, [{"id": "user_1"}])) as server:
        assert client(server).find_users(email="a+b@example.org") == [{"id": "user_1"}]
        assert client(server).sessions("user_1") == [{"id": "user_1"}]
    assert server.seen[0][1] == "/v1/users?limit=20&offset=0&email_address%5B%5D=a%2Bb%40example.org"
    with serving((200, {"id": "user_1"})) as server:
        backend = client(server)
        backend.update_user("user_1", {"first_name": "Ann"})
        backend.delete_user("user_1")
        for call in (backend.unban_user, backend.lock_user, backend.unlock_user):
            call("user_1")
        backend.session("sess_1")
    assert [(method, path) for method, path, *_ in server.seen] == [
        ("PATCH", "/v1/users/user_1"), ("DELETE", "/v1/users/user_1"), ("POST", "/v1/users/user_1/unban"),
        ("POST", "/v1/users/user_1/lock"), ("POST", "/v1/users/user_1/unlock"), ("GET", "/v1/sessions/sess_1"),
    ]  # fmt: skip
    assert server.seen[0][3] == {"first_name": "Ann"}


def test_step_up_calls():
    with serving(
        (200, {"verified": True}), (422, error("incorrect_password")), (200, {"verified": "yes"})
    ) as server:
        backend = client(server)
        assert backend.verify_password("user_1", "right") is True
        assert backend.verify_password("user_1", "wrong") is False
        assert backend.verify_totp("user_1", "123456") is False
    with serving((401, error("x"))) as server, pytest.raises(BackendRefused):
        client(server).verify_totp("user_1", "123456")


# --- keys ---

KEYS = [generate_private_key(65537, 2048).public_key() for _ in range(2)]


def jwks(key, kid="ins_1"):
    numbers = key.public_numbers()

    def pack(value):
        packed = value.to_bytes((value.bit_length() + 7) // 8)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    return {"keys": [{"kty": "RSA", "kid": kid, "n": pack(numbers.n), "e": pack(numbers.e)}]}


class Source:
    def __init__(self):
        self.now, self.calls, self.document, self.fails = 1000.0, 0, jwks(KEYS[0]), False
        self.keys = FetchedKeys(self.fetch, clock=lambda: self.now, spawn=lambda work: work())

    def fetch(self):
        self.calls += 1
        if self.fails:
            raise BackendUnavailable("connect")
        return self.document


def test_row_61_unknown_key_ids_cause_one_call_a_minute():
    source = Source()
    assert source.keys.current().keys == ()
    for _ in range(100):
        assert not source.keys.learn().learnable
    assert source.calls == 1
    source.now += 59
    source.keys.learn()
    assert source.calls == 1
    source.now += 1
    source.keys.learn()
    assert source.calls == 2


def test_row_62_a_key_replaced_under_the_same_id():
    source = Source()
    source.keys.learn()
    source.document = jwks(KEYS[1])
    source.now += 61
    assert source.keys.learn().candidates("ins_1") == (KEYS[1],)
    assert source.keys.current().candidates("ins_1") == (KEYS[1],)
    assert source.calls == 2


def test_row_63_and_outages():
    source = Source()
    source.fails = True
    for _ in range(10):
        assert source.keys.learn().keys == ()
    assert source.calls == 1, "not even then one call a request"
    source.now += 5
    source.fails = False
    assert source.keys.learn().keys
    source.fails = True
    source.now += 3600
    assert source.keys.current().keys, "renewal failed, the old ones are good for a day"
    assert source.calls == 3
    source.keys.current()
    assert source.calls == 3
    source.now += 24 * 3600 - 3601
    assert source.keys.current().keys
    source.now += 2
    assert source.keys.current().keys == ()
    assert source.keys.current().learnable


def test_keys_are_renewed_in_the_background():
    source = Source()
    source.keys.learn()
    source.document = jwks(KEYS[1], "ins_2")
    source.now += 3601
    source.keys.current()
    assert source.keys.current().candidates("ins_2") == (KEYS[1],)
    assert source.calls == 2


def test_nobody_waits_for_another_threads_question():
    source, entered, leave = Source(), threading.Event(), threading.Event()
    source.keys.learn()
    source.now += 61

    def slow():
        entered.set()
        leave.wait(5)
        return jwks(KEYS[1])

    source.keys._fetch = slow
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(source.keys.learn)
        assert entered.wait(5)
        assert source.keys.learn().candidates("ins_1") == (KEYS[0],)
        leave.set()
        assert asking.result(5).candidates("ins_1") == (KEYS[1],)


# --- refreshing once ---

NEEDS = NeedsRefresh("user_1", "sess_1", "old", "rt", suffixed=True)


def test_outcomes_are_remembered_for_a_while():
    now, calls, result = [0.0], [], [("c=1",)]

    def call(*args, **more):
        calls.append(args)
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    refresher = Refresher(call, InProcessStore(), clock=lambda: now[0])
    assert refresher.refresh(NEEDS, HINTS) == refresher.refresh(NEEDS, HINTS) == Refreshed(("c=1",))
    assert len(calls) == 1
    result[0] = BackendRefused("gone", 401)
    now[0] += 15.1
    assert refresher.refresh(NEEDS, HINTS) == refresher.refresh(NEEDS, HINTS) == RefreshFailed("gone")
    assert len(calls) == 2
    for failure in (BackendUnavailable("timeout"), RateLimited("x", 1)):
        result[0] = failure
        now[0] += 15.1
        assert refresher.refresh(NEEDS, HINTS) == RefreshFailed("unexpected-bapi-error")
    assert len(calls) == 4
    now[0] += 3.1
    refresher.refresh(NEEDS, HINTS)
    assert len(calls) == 5, "an outage is remembered for a shorter time"
    assert len(refresher._memo) == 1


def test_the_shared_store_holds_no_token():
    seen = []

    class Watching(InProcessStore):
        def lock(self, key, ttl):
            seen.append(key)
            return super().lock(key, ttl)

        def set(self, key, value, ttl):
            seen.append(key + value)

    Refresher(lambda *args, **more: ("c=secret",), Watching()).refresh(NEEDS, HINTS)
    assert len(seen) == 1
    assert not any(secret in seen[0] for secret in ("old", "rt", "secret"))


def test_the_store_in_one_process():
    now = [0.0]
    store = InProcessStore(clock=lambda: now[0])
    store.set("a", "1", 10)
    assert store.get("a") == "1"
    now[0] = 10
    assert store.get("a") is None
    for number in range(3000):
        store.set(str(number), "x", 1)
        now[0] += 1
    assert len(store._values) <= 1025
    inside = []

    def enter(_):
        with store.lock("k", 5):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.005)
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(16)))
    assert store._locks == {}
