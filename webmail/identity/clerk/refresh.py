"""Renewing an expired token, once for all requests that come with it.

A page and its fragments arrive together; each would spend the refresh token, which may be good for one use. Outcomes
hold tokens, so they are remembered in this process alone, and the shared store gets only a lock named by a hash.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from webmail.identity.clerk.backend import ClientHints
from webmail.identity.clerk.states import NeedsRefresh, Refreshed, RefreshFailed
from webmail.identity.clerk.transport import BackendError, BackendRefused, RateLimited
from webmail.identity.shared import SharedStore

REMEMBER = 15.0
REMEMBER_OUTAGE = 3.0
LOCK_SECONDS = 8.0
"""A little over the longest a call to Clerk can take."""

OUTAGE = "unexpected-bapi-error"
"""What Clerk's SDK calls it when there is no answer, or none that can be used."""

Outcome = Refreshed | RefreshFailed


class RefreshCall(Protocol):
    def __call__(
        self, session_id: str, expired_token: str, refresh_token: str, *, suffixed: bool, hints: ClientHints
    ) -> tuple[str, ...]: ...


class Refresher:
    def __init__(
        self, call: RefreshCall, shared: SharedStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self._shared = shared
        self._clock = clock
        self._memo: dict[str, tuple[float, Outcome]] = {}

    def refresh(self, needs: NeedsRefresh, hints: ClientHints) -> Outcome:
        both = f"{needs.expired_token}\n{needs.refresh_token}".encode("utf-8", "surrogatepass")
        name = hashlib.sha256(both).hexdigest()
        if known := self._recall(name):
            return known
        with self._shared.lock(f"clerk-refresh:{name}", LOCK_SECONDS):
            if known := self._recall(name):
                return known
            outcome, seconds = self._ask(needs, hints)
            self._remember(name, outcome, seconds)
        return outcome

    def _ask(self, needs: NeedsRefresh, hints: ClientHints) -> tuple[Outcome, float]:
        try:
            directives = self._call(
                needs.session_id,
                needs.expired_token,
                needs.refresh_token,
                suffixed=needs.suffixed,
                hints=hints,
            )
        except BackendError as error:
            if isinstance(error, BackendRefused) and not isinstance(error, RateLimited):
                return RefreshFailed(error.code), REMEMBER
            return RefreshFailed(OUTAGE), REMEMBER_OUTAGE
        return Refreshed(directives), REMEMBER

    def _recall(self, name: str) -> Outcome | None:
        expires, outcome = self._memo.get(name, (0.0, None))
        return outcome if expires > self._clock() else None

    def _remember(self, name: str, outcome: Outcome, seconds: float) -> None:
        now = self._clock()
        for key, (expires, _) in tuple(self._memo.items()):
            if expires <= now:
                self._memo.pop(key, None)
        self._memo[name] = (now + seconds, outcome)
