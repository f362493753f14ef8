"""What a judgement asks of DNS, and how much it may ask. Pure: the network is behind `Resolver`."""

from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Literal, Protocol

from inbound.authentication.limits import DEADLINE, QUERIES

Kind = Literal["A", "AAAA", "MX", "PTR", "TXT"]


class Status(Enum):
    """What became of a question."""

    FOUND = "found"
    """The name exists; there may be no record of the kind."""
    NXDOMAIN = "nxdomain"
    TEMPORARY = "temporary"
    """No answer, or none in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one kind, aliases followed. TXT: the strings of each record joined, latin-1 so that no octet is lost; MX: hosts
    by preference; A, AAAA: addresses; PTR: names. Names without the last dot."""

    status: Status
    records: tuple[str, ...] = ()
    ttl: int = 0
    """Seconds."""


TEMPORARY = Answer(Status.TEMPORARY)
NXDOMAIN = Answer(Status.NXDOMAIN)


class Resolver(Protocol):
    """Answers one question within `seconds`. Never raises; shared by threads."""

    def __call__(self, name: str, kind: Kind, seconds: float, /) -> Answer: ...


class Asker:
    """The questions of one message: one deadline for all of them, and so many."""

    def __init__(self, resolver: Resolver, seconds: float = DEADLINE, queries: int = QUERIES) -> None:
        self._resolver = resolver
        self._until = monotonic() + seconds
        self._left = queries
        self._known: dict[tuple[str, Kind], Answer] = {}

    def __call__(self, name: str, kind: Kind) -> Answer:
        """The answer; `TEMPORARY` when time or questions are used up. A question asked again costs nothing."""
        name = name.lower().removesuffix(".")
        key = name, kind
        if key in self._known:
            return self._known[key]
        seconds = self._until - monotonic()
        if seconds <= 0 or self._left <= 0:
            return TEMPORARY
        self._left -= 1
        answer = self._known[key] = self._resolver(name, kind, seconds)
        return answer
