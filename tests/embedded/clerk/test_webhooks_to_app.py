"""The local Clerk's webhooks, delivered to the application itself: doubled, reordered, and again after it was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.serving import WSGIRequestHandler, make_server

from webmail.embedded.clerk.server import LocalClerk, Options
from webmail.embedded.clerk.testing import call
from webmail.embedded.people import DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
ANN = DEMO_PEOPLE[0]


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class Delivering:
    """A local Clerk that tells the application what happens, and how often the application is to be away first."""

    clerk: LocalClerk
    away: int = 0
    statuses: list[int] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = call(self.clerk, method, path, body)
        assert answer.status < 300, (path, answer.text)
        return answer.json

    def settled(self) -> None:
        deadline = time.monotonic() + 15
        while not self.clerk.local.sender.idle():
            assert time.monotonic() < deadline, self.statuses
            time.sleep(0.01)


@pytest.fixture
def delivering(web_app: Any, empty: None, options: Options) -> Iterator[Delivering]:
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.server_port}/webhooks/clerk"
    with LocalClerk(replace(options, webhook_url=url)) as clerk:
        manner, here = clerk.local.sender.manner, Delivering(clerk)
        manner.delays = (0.0, 0.02, 0.02, 0.02)
        clerk.local.sender.secret = (
            "whsec_d2ViaG9va3Mgb2YgdGhlIHRlc3Rz"  # that of the application in these tests
        )
        guard = threading.Lock()

        def door(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            with guard:
                out, here.away = here.away > 0, max(0, here.away - 1)
            if out:
                here.statuses.append(503)
                start("503 Service Unavailable", [("Content-Length", "0")])
                return [b""]

            def noted(status: str, headers: Any, *more: Any) -> Any:
                here.statuses.append(int(status[:3]))
                return start(status, headers, *more)

            return web_app(environ | {"HTTP_HOST": ORIGIN.partition("//")[2]}, noted)

        server.app = door
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield here
        server.shutdown()
        thread.join(5)
    server.server_close()


@pytest.fixture
def account(superuser: Any) -> Callable[[], tuple[Any, ...] | None]:
    def read() -> tuple[Any, ...] | None:
        row = superuser.execute(
            text("SELECT name, contact_email, clerk_state FROM account WHERE clerk_user_id = :u"),
            {"u": ANN.user_id},
        ).first()
        return tuple(row) if row else None

    return read


def told(superuser: Any) -> list[tuple[Any, ...]]:
    rows = superuser.execute(text("SELECT kind, outcome, deliveries FROM webhook_event ORDER BY number"))
    return [tuple(row) for row in rows]


def test_what_happens_at_clerk_happens_here(delivering: Delivering, account: Any, superuser: Any) -> None:
    path = f"/v1/users/{ANN.user_id}"
    delivering.ask("PATCH", path, {"first_name": "Anne"})
    delivering.settled()
    assert account() == ("Anne Whitfield", ANN.email, "present")
    delivering.ask("POST", f"{path}/ban")
    delivering.settled()
    assert account()[2] == "banned"
    delivering.ask("POST", f"{path}/unban")
    delivering.settled()
    assert account()[2] == "present"
    delivering.ask("DELETE", path)
    delivering.settled()
    assert account()[2] == "deleted"
    assert [row[1:] for row in told(superuser)] == [("applied", 1)] * 4


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_doubled_and_reordered_it_ends_the_same(
    delivering: Delivering, account: Any, superuser: Any, order: str
) -> None:
    path = f"/v1/users/{ANN.user_id}"
    delivering.ask("POST", "/_local/webhooks", {"paused": True})
    for name in ("A", "B", "C"):
        delivering.ask("PATCH", path, {"first_name": name})
        time.sleep(0.002)  # Clerk counts in milliseconds
    delivering.ask("POST", f"{path}/ban")
    delivering.ask("POST", "/_local/webhooks/flush", {"order": order, "copies": 3})
    delivering.settled()
    assert account() == ("C Whitfield", ANN.email, "banned")
    rows = told(superuser)
    assert [row[2] for row in rows] == [3] * 4, "each was kept once and came three times"
    assert {row[1] for row in rows} == ({"applied"} if order == "forward" else {"applied", "late"})
    assert set(delivering.statuses) == {204}


def test_deleted_before_all_else(delivering: Delivering, account: Any) -> None:
    path = f"/v1/users/{ANN.user_id}"
    delivering.ask("POST", "/_local/webhooks", {"paused": True})
    delivering.ask("PATCH", path, {"first_name": "A"})
    delivering.ask("DELETE", path)
    delivering.ask("POST", "/_local/webhooks/flush", {"order": "reverse"})
    delivering.settled()
    assert account() is None


def test_what_came_while_the_application_was_away_comes_again(
    delivering: Delivering, account: Any, superuser: Any
) -> None:
    delivering.away = 3
    delivering.ask("PATCH", f"/v1/users/{ANN.user_id}", {"first_name": "Anne"})
    delivering.settled()
    assert delivering.statuses == [503, 503, 503, 204]
    assert account()[0] == "Anne Whitfield"
    assert told(superuser) == [("user.updated", "applied", 1)]


def test_a_session_revoked_there_is_denied_here(delivering: Delivering, superuser: Any) -> None:
    given = delivering.ask("POST", "/_local/sign-in", {"user_id": ANN.user_id})
    delivering.ask("POST", f"/v1/sessions/{given['session_id']}/revoke")
    delivering.settled()
    subjects = superuser.execute(text("SELECT subject FROM session_denial")).scalars().all()
    assert subjects == [given["session_id"]]
