"""Where signing keys come from: given by hand, or fetched from Clerk and kept through its outages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from webmail.identity.clerk.keys import Keyring, keyring_from_jwks
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import BackendError

log = logging.getLogger(__name__)

RENEW_AFTER = 3600.0
FORGET_AFTER = 24 * 3600.0
PAUSE = 60.0
"""Seconds between two attempts, whatever asks for them. This is the negative cache as well: a key id that was unknown
stays so until then."""
PAUSE_WITHOUT_KEYS = 5.0


class KeySource(Protocol):
    def current(self) -> Keyring:
        """The keys known now; never waits."""
        ...

    def learn(self) -> Keyring:
        """The keys after asking Clerk, if it is time to ask; otherwise those known, marked as not learnable."""
        ...


class GivenKeys:
    """Keys from CLERK_JWT_KEY. Nothing a visitor sends makes us ask anybody."""

    def __init__(self, settings: ClerkSettings) -> None:
        self._keyring = Keyring(tuple((None, key) for key in settings.pems))

    def current(self) -> Keyring:
        return self._keyring

    def learn(self) -> Keyring:
        return self._keyring


class FetchedKeys:
    """Clerk's JWK set: renewed in the background after an hour, used for a day when Clerk does not answer."""

    def __init__(
        self,
        fetch: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], object]], None] | None = None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._spawn = spawn or _in_background
        self._busy = threading.Lock()
        self._known: tuple[Keyring, float] | None = None
        self._attempted_at: float | None = None

    def current(self) -> Keyring:
        known = self._known
        if known is None:
            return Keyring((), learnable=True)
        keyring, fetched_at = known
        age = self._clock() - fetched_at
        if age >= FORGET_AFTER:
            return Keyring((), learnable=True)
        if age >= RENEW_AFTER and self._due(PAUSE):
            self._spawn(self.learn)
        return keyring

    def learn(self) -> Keyring:
        # With keys at hand nobody waits for another thread's question; without any there is nothing else to do.
        if self._busy.acquire(blocking=not self._usable().keys):
            try:
                if self._due(PAUSE if self._usable().keys else PAUSE_WITHOUT_KEYS):
                    self._ask()
            finally:
                self._busy.release()
        return replace(self._usable(), learnable=False)

    def _usable(self) -> Keyring:
        known = self._known
        if known is None or self._clock() - known[1] >= FORGET_AFTER:
            return Keyring((), learnable=True)
        return known[0]

    def _due(self, pause: float) -> bool:
        return self._attempted_at is None or self._clock() - self._attempted_at >= pause

    def _ask(self) -> None:
        self._attempted_at = self._clock()
        try:
            keyring = keyring_from_jwks(self._fetch())
        except (BackendError, ValueError) as error:
            log.warning("signing keys not fetched: %s", type(error).__name__)
            return
        self._known = (keyring, self._clock())


def _in_background(work: Callable[[], object]) -> None:
    threading.Thread(target=work, name="clerk-keys", daemon=True).start()
