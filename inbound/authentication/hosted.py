"""Keys of the domains that we host, from our own table: known before DNS has them, and when DNS does not answer."""

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final

from inbound.authentication.dns import TEMPORARY, Answer, Kind, Resolver, Status
from inbound.logs import event

SECONDS: Final = 5.0
"""How long a record, or that there is none of ours, is remembered; and how long a table that cannot be read is left alone."""
KEPT: Final = 2_048
_LABEL = "._domainkey."

LookUp = Callable[[str, str], str | None]
"""The key record of a selector and a domain; None where they are not ours. May raise anything."""


class HostedKeys:
    """A resolver before `inner`: it answers for our own keys itself, whatever DNS says, and passes on all other questions.

    A key is of one domain alone: nobody's key speaks for another customer, as the question names the domain that signed. A table
    that cannot be read leaves DNS, and where DNS has no such key, "no answer": it may have been one of ours. Never raises.
    """

    def __init__(self, inner: Resolver, look_up: LookUp, seconds: float = SECONDS) -> None:
        self._inner = inner
        self._look_up = look_up
        self._seconds = seconds
        self._lock = Lock()
        self._kept: dict[str, tuple[float, str | None]] = {}
        self._resting = 0.0

    def __call__(self, name: str, kind: Kind, seconds: float, /) -> Answer:
        """See `dns.Resolver`."""
        selector, label, domain = name.partition(_LABEL)
        if kind != "TXT" or not label:
            return self._inner(name, kind, seconds)
        known, record = self._record(name, selector, domain)
        if record is not None:
            return Answer(Status.FOUND, (record,), int(self._seconds))
        answer = self._inner(name, kind, seconds)
        return answer if known or answer.records else TEMPORARY

    def _record(self, name: str, selector: str, domain: str) -> tuple[bool, str | None]:
        """Whether the table could be read, or was just now, and the record in it."""
        now = monotonic()
        with self._lock:
            until, record = self._kept.get(name, (0.0, None))
            if now < until:
                return True, record
            if now < self._resting:
                return False, None
        try:
            record = self._look_up(selector, domain)
        except Exception as error:
            event("hosted keys unavailable", logging.WARNING, error=type(error).__name__)
            with self._lock:
                self._resting = monotonic() + self._seconds
            return False, None
        with self._lock:
            # Strangers choose the names that are asked for: the oldest answers make room.
            self._kept.pop(name, None)
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = monotonic() + self._seconds, record
        return True, record
