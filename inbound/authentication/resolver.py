"""The one resolver of the process: dnspython behind a cache, a bound on who waits, and a rest after an outage."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic

import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Kind, Status
from inbound.authentication.limits import (
    ANSWER,
    ANSWERS,
    QUERY,
    REST,
    SLOT,
    TTL,
    TTL_NONE,
    TTL_TEMPORARY,
    WAITING,
)
from webmail.mail.idn import is_within

# Names that are never in public DNS (RFC 6761, RFC 7686, RFC 8375, RFC 9476): asking would only tell what is inside.
_SPECIAL = ("localhost", "local", "invalid", "test", "example", "onion", "alt", "internal", "home.arpa")
_PROBE = 1.0


class DnsResolver:
    """Asks `servers` (address and port each), or those of the system where none are given. Never raises; no search domains."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._resolver: dns.resolver.Resolver | None = None
        self._servers = list(servers)
        with contextlib.suppress(OSError, ValueError, dns.exception.DNSException):
            resolver = dns.resolver.Resolver(configure=not servers)
            if servers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*one) for one in servers]
            else:
                self._servers = [(str(one), resolver.port) for one in resolver.nameservers]
            resolver.timeout = QUERY / 2
            resolver.use_edns(0, 0, 1232)
            self._resolver = resolver
        self._cache = Cache()
        self._slots = threading.BoundedSemaphore(WAITING)
        self._resting = 0.0
        self._probing = threading.Lock()

    def __call__(self, name: str, kind: Kind, seconds: float, /) -> Answer:
        """See `dns.Resolver`."""
        if is_special(name):
            return NXDOMAIN
        key = name, kind
        known = self._cache.get(key)
        if known is not None:
            return known
        if self._resolver is None or monotonic() < self._resting:
            return TEMPORARY
        if not self._slots.acquire(timeout=min(SLOT, seconds)):
            return TEMPORARY
        try:
            answer = self._ask(self._resolver, name, kind, min(QUERY, seconds))
        finally:
            self._slots.release()
        self._cache.put(key, answer)
        return answer

    def _ask(self, resolver: dns.resolver.Resolver, name: str, kind: Kind, seconds: float) -> Answer:
        try:
            found = resolver.resolve(
                dns.name.from_text(name), kind, raise_on_no_answer=False, search=False, lifetime=seconds
            )
        except dns.resolver.NXDOMAIN:
            return Answer(Status.NXDOMAIN, ttl=TTL_NONE)
        except dns.resolver.YXDOMAIN:
            return Answer(Status.FOUND, ttl=TTL_NONE)
        except (dns.resolver.LifetimeTimeout, OSError):
            self._doubt()
            return TEMPORARY
        except (
            dns.name.LabelTooLong,
            dns.name.NameTooLong,
            dns.name.EmptyLabel,
            dns.name.BadEscape,
            UnicodeError,
        ):
            return NXDOMAIN
        except Exception:  # a server that fails, or an answer that cannot be read: the same to us
            return TEMPORARY
        records = _records(found, kind)
        if sum(map(len, records)) > ANSWER:
            return TEMPORARY
        ttl = int(found.rrset.ttl) if found.rrset is not None else TTL_NONE
        return Answer(Status.FOUND, records, ttl)

    def _doubt(self) -> None:
        """After a question that timed out: is it that name, or is the resolver gone? If it cannot even name the root, it rests.

        Without this a stranger's dead name server could switch authentication off for everybody, and a dead resolver of ours
        would cost each message its whole deadline.
        """
        if not self._probing.acquire(blocking=False):
            return
        try:
            query = dns.message.make_query(".", "NS")
            for host, port in self._servers:
                with contextlib.suppress(OSError, ValueError, dns.exception.DNSException):
                    dns.query.udp(query, host, timeout=_PROBE, port=port, ignore_unexpected=True)
                    return
            self._resting = monotonic() + REST
        finally:
            self._probing.release()


class Cache:
    """Answers by name and kind for as long as they hold, `ANSWERS` of them at most: the one longest unused goes first."""

    def __init__(self, size: int = ANSWERS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Kind], tuple[float, Answer]] = OrderedDict()

    def get(self, key: tuple[str, Kind]) -> Answer | None:
        """What is still true of what was put, or None."""
        with self._lock:
            until, answer = self._kept.get(key, (0.0, None))
            if answer is None or until < monotonic():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return answer

    def put(self, key: tuple[str, Kind], answer: Answer) -> None:
        """Remember an answer for its time to live, within `TTL`."""
        seconds = TTL_TEMPORARY if answer.status is Status.TEMPORARY else min(max(answer.ttl, TTL[0]), TTL[1])
        with self._lock:
            self._kept[key] = monotonic() + seconds, answer
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


def is_special(name: str) -> bool:
    """True for names that public DNS knows nothing of: reserved ones, and those of a single label."""
    return "." not in name or any(is_within(name, one) for one in _SPECIAL)


def _records(found: dns.resolver.Answer, kind: Kind) -> tuple[str, ...]:
    rows = list(found.rrset or ())
    if kind == "TXT":
        return tuple(b"".join(row.strings).decode("latin-1") for row in rows)
    if kind == "MX":
        rows.sort(key=lambda row: row.preference)
        return tuple(_plain(row.exchange) for row in rows)
    if kind == "PTR":
        return tuple(_plain(row.target) for row in rows)
    return tuple(str(row.address) for row in rows)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
