"""How much of this process may wait for Clerk: few calls at once, and none for a while after several that got no answer.

A web process has few threads. Without this, an outage in which every call takes seconds to fail would hold them all, and stop the
people whose tokens still hold as well.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("webmail.clerk")

AT_ONCE = 2
"""Half of the threads that a web process has by default."""
WAIT = 0.5
FAILURES = 4
REST = 5.0


class Refused(Exception):
    """No call was made. `code`: "busy" (others are waiting) or "resting" (Clerk has not answered lately)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Patience:
    """Counts for one process. Times in seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        at_once: int = AT_ONCE,
        wait: float = WAIT,
        rest: float = REST,
    ) -> None:
        self._clock = clock
        self._wait, self._rest = wait, rest
        self._turns = threading.BoundedSemaphore(at_once)
        self._guard = threading.Lock()
        self._failures = 0
        self._resting_until = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Room for one call. Raises Refused. After a rest a single call finds out for all whether Clerk is back."""
        self._admit()
        if not self._turns.acquire(timeout=self._wait):
            raise Refused("busy")
        try:
            yield
        finally:
            self._turns.release()

    def answered(self) -> None:
        """Clerk said something, be it no."""
        with self._guard:
            if self._failures >= FAILURES:
                log.warning("clerk answers again")
            self._failures, self._resting_until = 0, 0.0

    def unanswered(self) -> None:
        with self._guard:
            self._failures += 1
            if self._failures >= FAILURES:
                self._resting_until = self._clock() + self._rest
            if self._failures == FAILURES:
                log.warning("clerk does not answer")

    def _admit(self) -> None:
        with self._guard:
            if self._failures < FAILURES:
                return
            now = self._clock()
            if now < self._resting_until:
                raise Refused("resting")
            self._resting_until = now + self._rest
