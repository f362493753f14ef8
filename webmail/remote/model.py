"""What is asked of a stranger's server, and what came of it."""

import threading
from dataclasses import dataclass

_TEMPORARY = frozenset({"dns", "connect", "slow", "cut"})
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class Budget:
    """Bytes that several fetches may spend together; each byte that arrives counts, also those of a fetch that fails."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Spend `size` bytes; False when they were not there, and then none are left."""
        with self._lock:
            self._left -= size
            return self._left >= 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. `whole` covers names, connections, redirects and the body; `head` is for each reply's head."""

    connect: float = 5.0
    whole: float = 15.0
    body: int = 10_000_000
    head: int = 32_768
    redirects: int = 3
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body with the type that its server gave it (lower case, without parameters, perhaps empty): believe the bytes instead."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is nothing. `code` is one of

    * url, port, name, private: not asked: no address of ours, a port not for the web, no such name, a place not for strangers
    * dns, connect, tls, slow: no answer: from the name servers, from the host, from the host that it should be, in time
    * redirects, downgrade: too many, or from https to http
    * status (`status` says which), type, encoding, large, headers, cut, reply: an answer that is no picture, or breaks HTTP
    """

    code: str
    status: int = 0

    @property
    def temporary(self) -> bool:
        """Whether another try, later, may do better."""
        return self.code in _TEMPORARY or (self.code == "status" and self.status in _TEMPORARY_STATUSES)

    @property
    def short(self) -> str:
        """The code for a row or a log line: `slow`, `status-404`."""
        return f"{self.code}-{self.status}" if self.status else self.code


class Stop(Exception):
    """Ends a fetch from within; the client turns it into `failed`."""

    def __init__(self, code: str, status: int = 0) -> None:
        super().__init__(code)
        self.failed = Failed(code, status)
