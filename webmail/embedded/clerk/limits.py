"""Brakes on guessing, and the half-done forms (a password was right, the code is still to come)."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

WINDOW_SECONDS = 300.0
TRIES = 10  # wrong ones, of one identifier, within the window
_KEYS_KEPT = 10_000
ATTEMPT_SECONDS = 600.0
ATTEMPTS_KEPT = 1_000


class Limiter:
    """Counts wrong tries by key in a sliding window. On the real clock: tests that shift time must not open it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, key: str) -> int:
        """0 when `key` may try now, else in how many seconds it may."""
        now = time.monotonic()
        with self._lock:
            tries = self._wrong.get(key)
            while tries and tries[0] <= now - WINDOW_SECONDS:
                tries.popleft()
            if not tries or len(tries) < TRIES:
                return 0
            return int(tries[0] + WINDOW_SECONDS - now) + 1

    def wrong(self, key: str) -> None:
        with self._lock:
            self._wrong.setdefault(key, deque(maxlen=TRIES)).append(time.monotonic())
            self._wrong.move_to_end(key)
            while len(self._wrong) > _KEYS_KEPT:
                self._wrong.popitem(last=False)

    def right(self, key: str) -> None:
        with self._lock:
            self._wrong.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._wrong.clear()


@dataclass(frozen=True, slots=True)
class Attempt:
    """`secret` is a TOTP secret on its way to being turned on, empty for a sign-in. `browser` is the form cookie."""

    user_id: str
    browser: str
    expires: float
    secret: str = ""


class Attempts:
    """Half-done forms by an unguessable id, bound to the browser that began them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Attempt] = OrderedDict()

    def begin(self, user_id: str, browser: str, secret: str = "") -> str:
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._open[key] = Attempt(user_id, browser, time.monotonic() + ATTEMPT_SECONDS, secret)
            while len(self._open) > ATTEMPTS_KEPT:
                self._open.popitem(last=False)
        return key

    def find(self, key: str, browser: str) -> Attempt | None:
        with self._lock:
            found = self._open.get(key)
        if found is None or found.browser != browser or found.expires < time.monotonic():
            return None
        return found

    def end(self, key: str) -> None:
        with self._lock:
            self._open.pop(key, None)
