"""The facts of a request that bear on who is asking, and the five classes that are answered differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestClass(StrEnum):
    DOCUMENT = "document"
    """A page that the browser navigates to: the only class that can be sent round by another host."""
    PARTIAL = "partial"
    UNSAFE = "unsafe"
    STREAM = "stream"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """`target` is the path with its query exactly as sent; `cookies` keeps duplicates, in the order sent."""

    method: str
    target: str
    cookies: tuple[tuple[str, str], ...] = ()
    accept: str = ""
    fetch_dest: str = ""
    purpose: str = ""
    scripted: bool = False
    """Sent by a script that says so with `X-Requested-With`."""
    htmx: bool = False
    navigation: bool = False
    """An htmx request that replaces the page, which may therefore be sent elsewhere without losing typed text."""
    current_url: str = ""

    @property
    def unsafe(self) -> bool:
        return self.method not in SAFE_METHODS

    @property
    def prefetch(self) -> bool:
        return "prefetch" in self.purpose


class Headers(Protocol):
    """A request's headers: Werkzeug's, or a dict with the names spelled as they are here. Empty counts as absent."""

    def get(self, key: str, default: str, /) -> str: ...


def facts_of(method: str, target: str, headers: Headers, cookies: Iterable[tuple[str, str]]) -> RequestFacts:
    """The facts of one request; `target` as in `RequestFacts`.

    `Authorization` is not among the facts: a browser's session is in its cookies, and a proxy's Basic authentication
    or a stray bearer token must not decide who somebody is."""
    restore = bool(headers.get("HX-History-Restore-Request", ""))
    boosted = bool(headers.get("HX-Boosted", "") or headers.get("HX-Navigation", ""))
    return RequestFacts(
        method=method.upper(),
        target=target,
        cookies=tuple(cookies),
        accept=headers.get("Accept", "").lower(),
        fetch_dest=headers.get("Sec-Fetch-Dest", "").lower(),
        purpose=f"{headers.get('Sec-Purpose', '')} {headers.get('Purpose', '')}".lower(),
        scripted=bool(headers.get("X-Requested-With", "")),
        htmx=restore or bool(headers.get("HX-Request", "")),
        navigation=restore or boosted,
        current_url=headers.get("HX-Current-URL", ""),
    )


def classify(facts: RequestFacts) -> RequestClass:
    """Prefetching comes before htmx: what nobody has asked for yet may neither redirect nor spend a refresh."""
    if facts.unsafe:
        return RequestClass.UNSAFE
    if facts.method != "GET" or facts.prefetch:
        return RequestClass.OTHER
    if "text/event-stream" in facts.accept:
        return RequestClass.STREAM
    if facts.htmx:
        return RequestClass.PARTIAL
    if facts.scripted:
        return RequestClass.OTHER
    # Browsers without Sec-Fetch-Dest say text/html somewhere in Accept, not always first.
    document = facts.fetch_dest == "document" if facts.fetch_dest else "text/html" in facts.accept
    return RequestClass.DOCUMENT if document else RequestClass.OTHER
