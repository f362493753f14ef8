"""Webhooks as Svix sends them: signed, retried, at least once, in no promised order."""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import http.client
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from webmail.embedded.clerk.guards import is_loopback
from webmail.embedded.clerk.store import new_id

log = logging.getLogger(__name__)

DELAYS = (0.0, 1.0, 5.0)  # seconds before each try; the real sender goes on for a day
ANSWER_SECONDS = 15.0
ORDERS = ("forward", "reverse")


@dataclass(frozen=True, slots=True)
class Event:
    """`id` stays the same over retries, copies and replays; `body` is signed as it is."""

    id: str
    type: str
    body: bytes


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """The `svix-signature` of one delivery; `secret` begins with whsec_."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


@dataclass(slots=True)
class Manner:
    """How events leave: held back until flushed, each sent twice, tried after which waits (seconds)."""

    url: str = ""
    paused: bool = False
    duplicate: bool = False
    delays: Sequence[float] = DELAYS


class Sender:
    """One thread that delivers, so that nobody who causes an event waits for it. Starts with the first event."""

    def __init__(self, url: str, secret: str, instance_id: str, clock: Callable[[], float]) -> None:
        self.manner = Manner(url)
        self.secret, self._instance_id, self._clock = secret, instance_id, clock
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=1000)
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, int, Event]] = []
        self._held: list[Event] = []
        self._sent: deque[Event] = deque(maxlen=200)
        self._count = 0
        self._closed = False
        self._busy = False
        self._thread: threading.Thread | None = None

    def emit(
        self, kind: str, data: dict[str, Any], circumstances: dict[str, Any] | None = None
    ) -> str | None:
        """Take an event for delivery; returns its id, None when there is no address to send to."""
        if not self.manner.url:
            return None
        envelope: dict[str, Any] = {
            "data": data,
            "instance_id": self._instance_id,
            "object": "event",
            "timestamp": int(self._clock() * 1000),
            "type": kind,
        }
        if circumstances:
            envelope["event_attributes"] = {"http_request": circumstances}
        event = Event(new_id("msg"), kind, json.dumps(envelope, separators=(",", ":")).encode())
        with self._wake:
            if self.manner.paused:
                self._held.append(event)
            else:
                self._queue(event, copies=2 if self.manner.duplicate else 1)
        return event.id

    def flush(self, order: str = "forward", copies: int = 1) -> int:
        """Let go what was held back, in that order, each `copies` times. Returns how many events there were."""
        with self._wake:
            held, self._held = self._held, []
            for event in reversed(held) if order == "reverse" else held:
                self._queue(event, copies)
        return len(held)

    def replay(self, event_id: str) -> bool:
        """Send an earlier event again: same id and body, new timestamp. False for an id no longer known."""
        with self._wake:
            for event in self._sent:
                if event.id == event_id:
                    self._queue(event, 1, remember=False)
                    return True
        return False

    def send_raw(self, event_id: str, kind: str, body: bytes) -> None:
        """Deliver `body` as it is, signed; for bodies that no Clerk would write."""
        with self._wake:
            self._queue(Event(event_id, kind, body), 1)

    def idle(self) -> bool:
        with self._wake:
            return not self._due and not self._busy

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def _queue(self, event: Event, copies: int, *, remember: bool = True) -> None:
        """Needs the lock."""
        if remember:
            self._sent.append(event)
        for _ in range(copies):
            self._schedule(event, 0)
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _schedule(self, event: Event, attempt: int) -> None:
        self._count += 1
        due = time.monotonic() + self.manner.delays[attempt]
        heapq.heappush(self._due, (due, self._count, attempt, event))

    def _run(self) -> None:
        while (item := self._next()) is not None:
            event, attempt, manner = item
            status = self._deliver(manner.url, event)
            done = 200 <= status < 300
            self.deliveries.append(
                {"id": event.id, "type": event.type, "attempt": attempt + 1, "status": status}
            )
            log.info("webhook %s %s attempt %d: %d", event.id, event.type, attempt + 1, status)
            with self._wake:
                if not done and attempt + 1 < len(self.manner.delays):
                    self._schedule(event, attempt + 1)
                self._busy = False

    def _next(self) -> tuple[Event, int, Manner] | None:
        with self._wake:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, attempt, event = heapq.heappop(self._due)
                    self._busy = True
                    return event, attempt, replace(self.manner)
                self._wake.wait(wait)
        return None

    def _deliver(self, url: str, event: Event) -> int:
        """The status of the answer; 0 when there was none."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        timestamp = int(self._clock())
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": "Svix-Webhooks/local",
            "svix-id": event.id,
            "svix-timestamp": str(timestamp),
            "svix-signature": sign(self.secret, event.id, timestamp, event.body),
        }
        # Names are not looked up: *.localhost resolves in browsers, not in every C library, and nothing here may leave.
        address = host if is_loopback(host) else "127.0.0.1"
        connection = http.client.HTTPConnection(address, parts.port or 80, timeout=ANSWER_SECONDS)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, event.body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
