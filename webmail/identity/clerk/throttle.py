"""How often strangers may make us ask Clerk something: a bucket of turns for each address, and one for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MANY = 4096
"""Addresses that are remembered at once. Beyond them, those whose bucket is full again are forgotten."""


class Throttle:
    """`burst` turns at once and one more each `seconds`, for one address; `all_burst` and `all_seconds` for everybody together."""

    def __init__(
        self,
        burst: int = 20,
        seconds: float = 1.0,
        *,
        all_burst: int = 60,
        all_seconds: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._one, self._all = (burst, seconds), (all_burst, all_seconds)
        self._clock = clock
        self._guard = threading.Lock()
        self._free_at: dict[str, float] = {}
        self._all_free_at = 0.0

    def allow(self, address: str) -> bool:
        """Take a turn if there is one. Of two buckets the one for everybody is left alone by whoever has emptied his own."""
        with self._guard:
            now = self._clock()
            mine = _taken(self._free_at.get(address, 0.0), now, *self._one)
            everybodys = _taken(self._all_free_at, now, *self._all) if mine is not None else None
            if mine is None or everybodys is None:
                return False
            if len(self._free_at) >= MANY:
                self._free_at = {key: at for key, at in self._free_at.items() if at > now}
            if len(self._free_at) < MANY or address in self._free_at:
                self._free_at[address] = mine
            self._all_free_at = everybodys
            return True


def _taken(free_at: float, now: float, burst: int, seconds: float) -> float | None:
    """When a bucket will be full once more after one turn from it; None where it is empty (GCRA)."""
    after = max(free_at, now) + seconds
    return after if after - now <= burst * seconds else None
