"""Whether Clerk's own pages answer: looked at before a browser is sent to a place where nobody is.

A browser that is sent to a silent host shows a page of its own, about names and connections. What we know of an outage
is therefore used to say so ourselves. Nothing that a stranger sends makes us look: we look when the Backend API has just failed a
person whose token is authentic, and in the background, at intervals, when somebody is on the way to sign in.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.wire import Deadline, open_connection

LOOK_AGAIN = 5.0
"""Seconds for which a look is good, whatever it saw."""
WONDER_AGAIN = 30.0
BELIEVE_DOWN = 20.0
"""Seconds after which an outage is no longer believed unless it was seen again."""


class Reach(Protocol):
    def down(self) -> bool:
        """Whether Clerk was found silent a moment ago; never waits."""
        ...

    def look(self) -> bool:
        """Whether Clerk answers. Waits three seconds at most, and only if nobody has looked lately."""
        ...

    def wonder(self) -> None:
        """Have somebody look soon, if it is time."""
        ...


class Assumed:
    """Where nobody looks, it answers."""

    def down(self) -> bool:
        return False

    def look(self) -> bool:
        return True

    def wonder(self) -> None:
        pass


class Watched:
    """One process's knowledge of whether Clerk answers."""

    def __init__(
        self,
        ask: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], object]], None] | None = None,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._spawn = spawn or _in_background
        self._busy = threading.Lock()
        self._seen: tuple[bool, float] | None = None
        self._wondered_at: float | None = None

    def down(self) -> bool:
        seen = self._seen
        if seen is None or seen[0] or self._clock() - seen[1] >= BELIEVE_DOWN:
            return False
        if self._clock() - seen[1] >= LOOK_AGAIN:
            self._begin(LOOK_AGAIN)
        return True

    def look(self) -> bool:
        with self._busy:
            seen = self._seen
            if seen is None or self._clock() - seen[1] >= LOOK_AGAIN:
                seen = self._seen = (self._ask(), self._clock())
            return seen[0]

    def wonder(self) -> None:
        self._begin(WONDER_AGAIN)

    def _begin(self, pause: float) -> None:
        now = self._clock()
        if self._wondered_at is None or now - self._wondered_at >= pause:
            self._wondered_at = now
            self._spawn(self.look)


def watch(settings: ClerkSettings) -> Watched:
    """Looks at the public key set of the Frontend API, which costs Clerk nothing and tells nothing about anybody."""

    def ask() -> bool:
        base, deadline = urlsplit(settings.frontend_url), Deadline(3.0)
        try:
            with open_connection(base, deadline, connect=2.0, read=2.0) as connection:
                connection.request(
                    "GET", f"{base.path}/.well-known/jwks.json", headers={"Connection": "close"}
                )
                return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException, ValueError):
            return False

    return Watched(ask)


def _in_background(work: Callable[[], object]) -> None:
    threading.Thread(target=work, name="clerk-reach", daemon=True).start()
