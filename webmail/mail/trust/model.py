"""What is known of a message, and what follows for its reader. People are (name, address) pairs, domains in ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

Person = tuple[str, str]
Level = Literal["note", "warn", "bad"]
Word = Literal["verified", "known", "unknown", "caution", "danger", "self"]

SEVERITY: Final = {"bad": 0, "warn": 1, "note": 2}


def words(text: str) -> frozenset[str]:
    """The names in a space-separated list."""
    return frozenset(text.split())


class Authentication(Protocol):
    """What DMARC said when the message came in (RFC 8601 result words)."""

    @property
    def dmarc(self) -> str: ...
    @property
    def dmarc_policy(self) -> str: ...
    @property
    def verdict(self) -> str:
        """ "verified": the domain of From is proven; "failed": it says the mail is not its; "unknown": neither."""


class LinkFact(Protocol):
    """A link as `sanitize` found it: canonical target, words, and whether they name another host."""

    @property
    def url(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def mismatch(self) -> bool: ...


class FileFact(Protocol):
    """An attachment. `turned`: its sender wrote a mark into its name that turns the direction of reading."""

    @property
    def name(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def turned(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Messages that came from this address before this one, and that went to it from this mailbox."""

    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything `assess` looks at. What is None or empty is not known and says nothing, for or against."""

    sender: Person = ("", "")
    authors: int = 1
    """Addresses in From."""
    reply_to: Sequence[Person] = ()
    return_path: str | None = None
    """The envelope's sender; "" for a bounce."""
    incoming: bool = True
    authentication: Authentication | None = None
    own_addresses: Sequence[str] = ()
    own_names: Sequence[str] = ()
    hosted_domains: Sequence[str] = ()
    known: Acquaintance | None = None
    familiar: Sequence[Person] = ()
    """People whom the reader knows, where their names may be read: an address book."""
    links: Sequence[LinkFact] = ()
    files: Sequence[FileFact] = ()
    problems: Sequence[str] = ()
    """Codes of `mime`."""
    list_id: str = ""
    by_known_list: bool = False
    """It came through a list that the reader writes to, which sealed it."""
    is_bulk: bool = False
    """A newsletter: it offers to unsubscribe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell. `subject` is what it is about (an address, a host, a file name), `other` what it resembles or hides.

    Both are a stranger's words: escape them, and isolate their direction.
    """

    code: str
    level: Level
    subject: str = ""
    other: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """One word for the message, and the reasons to be careful, most serious first."""

    word: Word
    warnings: tuple[Finding, ...] = ()
