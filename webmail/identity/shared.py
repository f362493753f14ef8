"""What processes share for a short time: a value with an expiry, and a lock. Redis can stand behind it; nothing secret
may go into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class SharedStore(Protocol):
    """Times in seconds. A store that cannot be reached raises: whoever asks decides what that means."""

    def get(self, key: str) -> str | None: ...

    def set(self, key: str, value: str, ttl: float) -> None: ...

    def lock(self, key: str, ttl: float) -> AbstractContextManager[None]:
        """Held for at most `ttl`, where the store is able to take it away."""
        ...


class InProcessStore:
    """For one process. Expired entries go when it has doubled in size, so that a call costs the same on average."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._values: dict[str, tuple[float, str]] = {}
        self._sweep_at = 1024
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    def get(self, key: str) -> str | None:
        with self._guard:
            expires, value = self._values.get(key, (0.0, ""))
            return value if expires > self._clock() else None

    def set(self, key: str, value: str, ttl: float) -> None:
        with self._guard:
            now = self._clock()
            self._values[key] = (now + ttl, value)
            if len(self._values) > self._sweep_at:
                self._values = {name: entry for name, entry in self._values.items() if entry[0] > now}
                self._sweep_at = max(1024, 2 * len(self._values))

    @contextmanager
    def lock(self, key: str, ttl: float) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._locks[key]
                if waiting == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = (lock, waiting - 1)
