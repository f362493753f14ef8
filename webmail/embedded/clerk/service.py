"""The running instance: what every request works with, and how a change is written and announced."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, has_request_context, request

from webmail.embedded.clerk import tokens
from webmail.embedded.clerk.controls import Controls
from webmail.embedded.clerk.credentials import secret_key
from webmail.embedded.clerk.limits import Attempts, Limiter
from webmail.embedded.clerk.names import Instance
from webmail.embedded.clerk.store import Data, Session, Store
from webmail.embedded.clerk.webhooks import Sender

EXTENSION = "local_clerk"
NONCE_SECONDS = 60


@dataclass(slots=True)
class Change:
    """One change under way: the data, the time in seconds, and the events to tell once it is written."""

    data: Data
    now: float
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return int(self.now * 1000)

    def tell(self, kind: str, payload: dict[str, Any]) -> None:
        self.events.append((kind, payload))


class Nonces:
    """Handshake payloads that wait to be fetched by the Backend API: once, within a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, list[str]]] = {}

    def put(self, directives: list[str], now: float) -> str:
        nonce = secrets.token_urlsafe(24)
        with self._lock:
            self._waiting = {key: item for key, item in self._waiting.items() if item[0] > now}
            self._waiting[nonce] = (now + NONCE_SECONDS, directives)
        return nonce

    def take(self, nonce: str, now: float) -> list[str] | None:
        with self._lock:
            expires, directives = self._waiting.pop(nonce, (0.0, []))
        return directives if expires > now else None


@dataclass(slots=True)
class Local:
    """`closing` is set when the server stops, to free requests that are being held on purpose."""

    instance: Instance
    store: Store
    sender: Sender
    controls: Controls
    secret: str = ""
    nonces: Nonces = field(default_factory=Nonces)
    attempts: Attempts = field(default_factory=Attempts)
    limiter: Limiter = field(default_factory=Limiter)
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if not self.secret:
            with self.store.reading() as data:
                self.secret = secret_key(data.keys, self.instance.mode)

    def session_token(self, data: Data, session: Session, seconds: int | None = None) -> str:
        """A fresh session token, good for `seconds`, with whatever the controls lay over its claims."""
        controls = self.controls
        claims = tokens.session_claims(
            session,
            now=controls.now(),
            seconds=seconds or controls.token_seconds,
            issuer=self.instance.issuer,
            origin=self.instance.origin,
            pending=session.status == "pending",
        )
        return tokens.sign_session(data.keys, tokens.overlay(claims, controls.claims))

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """Changes to the data: written when the block ends well, then told to the webhook's address."""
        with self.store.changing() as data:
            under_way = Change(data, self.controls.now())
            yield under_way
        for kind, payload in under_way.events:
            self.sender.emit(kind, payload, _circumstances())


def _circumstances() -> dict[str, Any] | None:
    if not has_request_context():
        return None
    return {"client_ip": request.remote_addr or "", "user_agent": request.headers.get("User-Agent", "")[:256]}


def local() -> Local:
    """The instance that serves the current request."""
    found: Local = current_app.extensions[EXTENSION]
    return found
