"""Webhooks, received at a real socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from webmail.embedded.clerk.server import LocalClerk
from webmail.embedded.clerk.testing import (
    call,
    given,
)
from webmail.embedded.people import DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


class Endpoint:
    """An app's webhook address that answers with `statuses` in turn, then 204, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(endpoint.statuses.pop(0) if endpoint.statuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://mail.localhost:{self.server.server_port}/webhooks/clerk?x=1"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def events(self) -> list[tuple[str, str]]:
        return [(headers["svix-id"], json.loads(body)["type"]) for headers, body in self.got]

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.got) == count


@pytest.fixture
def endpoint(clerk: LocalClerk) -> Iterator[Endpoint]:
    made = Endpoint()
    assert call(clerk, "POST", "/_local/webhooks", {"url": made.url, "delays": [0, 0.05, 0.1]}).status == 200
    yield made
    made.server.shutdown()
    made.server.server_close()


def settled(clerk: LocalClerk) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = call(clerk, "GET", "/_local/webhooks").json
        if answer["idle"]:
            return answer["deliveries"]
        time.sleep(0.02)
    raise AssertionError("webhooks did not come to rest")


def test_webhooks_are_signed_as_svix_signs(clerk: LocalClerk, endpoint: Endpoint) -> None:
    call(clerk, "PATCH", f"/v1/users/{ANN.user_id}", {"last_name": "Ödegård"})
    endpoint.wait(1)
    headers, body = endpoint.got[0]
    key = base64.b64decode(clerk.environment()["CLERK_WEBHOOK_SIGNING_SECRET"].removeprefix("whsec_"))
    signed = f"{headers['svix-id']}.{headers['svix-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["svix-signature"] == f"v1,{digest}"
    assert abs(int(headers["svix-timestamp"]) - time.time()) < 10
    assert headers["host"] == urlsplit(endpoint.url).netloc
    event = json.loads(body)
    assert (event["object"], event["type"], event["instance_id"]) == ("event", "user.updated", "ins_local")
    assert event["timestamp"] > 10**12
    assert (event["data"]["id"], event["data"]["last_name"]) == (ANN.user_id, "Ödegård")
    assert event["event_attributes"]["http_request"]["client_ip"] == "127.0.0.1"


def test_webhooks_are_retried_under_one_id_and_given_up(clerk: LocalClerk, endpoint: Endpoint) -> None:
    endpoint.statuses = [500, 302, 200]
    given(clerk, ANN.user_id)
    endpoint.wait(3)
    assert len({headers["svix-id"] for headers, _ in endpoint.got}) == 1
    assert [one["status"] for one in settled(clerk)] == [500, 302, 200]
    endpoint.statuses = [500] * 9
    given(clerk, ANN.user_id)
    endpoint.wait(6)
    assert [one["attempt"] for one in settled(clerk)] == [1, 2, 3, 1, 2, 3]


def test_nobody_at_the_address_is_a_failure_like_any_other(clerk: LocalClerk) -> None:
    call(clerk, "POST", "/_local/webhooks", {"url": "http://127.0.0.1:9/", "delays": [0, 0.02]})
    given(clerk, ANN.user_id)
    assert [one["status"] for one in settled(clerk)] == [0, 0]


def test_what_happens_is_told(clerk: LocalClerk, endpoint: Endpoint) -> None:
    ann = given(clerk, ANN.user_id)
    call(clerk, "POST", f"/v1/sessions/{ann['session_id']}/revoke")
    call(clerk, "POST", f"/v1/sessions/{ann['session_id']}/revoke")
    given(clerk, ANN.user_id)
    call(clerk, "POST", f"/v1/users/{ANN.user_id}/ban")
    given(clerk, BEN.user_id)
    call(clerk, "DELETE", f"/v1/users/{BEN.user_id}")
    call(clerk, "POST", "/v1/users", {"email_address": ["zoe@mtumail.test"]})
    call(clerk, "POST", "/_local/webhooks/send", {"type": "session.pending", "data": {"id": "sess_x"}})
    settled(clerk)
    assert [kind for _, kind in endpoint.events()] == [
        "session.created",
        "session.revoked",
        "session.created",
        "session.revoked",
        "user.updated",
        "session.created",
        "session.removed",
        "user.deleted",
        "user.created",
        "session.pending",
    ]
    gone = next(json.loads(body) for _, body in endpoint.got if b"user.deleted" in body)
    assert gone["data"] == {"object": "user", "id": BEN.user_id, "deleted": True}
    first = json.loads(endpoint.got[0][1])["data"]
    assert (first["user"]["id"], first["status"]) == (ANN.user_id, "active")


def test_webhooks_can_be_doubled_reordered_and_replayed(clerk: LocalClerk, endpoint: Endpoint) -> None:
    call(clerk, "POST", "/_local/webhooks", {"duplicate": True})
    call(clerk, "PATCH", f"/v1/users/{ANN.user_id}", {"first_name": "A"})
    endpoint.wait(2)
    assert endpoint.got[0][0]["svix-id"] == endpoint.got[1][0]["svix-id"]
    call(clerk, "POST", "/_local/webhooks", {"duplicate": False, "paused": True})
    for name in ("B", "C"):
        call(clerk, "PATCH", f"/v1/users/{ANN.user_id}", {"first_name": name})
    assert call(clerk, "POST", "/_local/webhooks/flush", {"order": "reverse"}).json == {"flushed": 2}
    settled(clerk)
    late, early = (json.loads(body)["data"] for _, body in endpoint.got[2:])
    assert (late["first_name"], early["first_name"]) == ("C", "B")
    assert late["updated_at"] > early["updated_at"]
    assert call(clerk, "POST", "/_local/webhooks/replay", {"id": endpoint.got[0][0]["svix-id"]}).status == 200
    endpoint.wait(5)
    assert endpoint.got[4][1] == endpoint.got[0][1]
    assert call(clerk, "POST", "/_local/webhooks/replay", {"id": "msg_unknown"}).status == 404


def test_webhooks_leave_this_machine_under_no_name(clerk: LocalClerk) -> None:
    for url in ("http://example.org/", "https://mail.localhost/", "http://10.0.0.1/", "ftp://localhost/", 3):
        assert call(clerk, "POST", "/_local/webhooks", {"url": url}).status == 422
    assert call(clerk, "POST", "/_local/webhooks", {"delays": []}).status == 422
    assert call(clerk, "POST", "/_local/webhooks/flush", {"order": "sideways"}).status == 422
