"""Replies and forwards: who gets them, under which subject, in which thread, with which text below."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from webmail.mail.addresses import Address
from webmail.mail.introductions import FORWARDS, REPLIES
from webmail.mail.text import quote
from webmail.sending.composing.fields import is_message_id

MAX_REFERENCES: Final = 20

_PREFIXES = re.compile(
    rf"(?:(?:{REPLIES}|{FORWARDS})\s{{0,3}}(?:\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}})?\s{{0,3}}[:：]\s*+)+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Original:
    """What is answered: fields as `webmail.mail.mime` reads them, `text` the unflowed plain text that is shown."""

    sender: tuple[Address, ...]
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the composer opens with."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    body: str
    in_reply_to: str | None
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForwardLabels:
    """The words above a forwarded message, in the writer's language."""

    title: str = "Forwarded message"
    sender: str = "From"
    date: str = "Date"
    subject: str = "Subject"
    to: str = "To"
    cc: str = "Cc"


def reply(original: Original, own: Iterable[Address], attribution: str) -> Answer:
    """An answer to the author. `own` are the writer's addresses, `attribution` the line above the quote.

    Reply-To is followed unless it names nobody else; an answer to one's own message goes to its recipients.
    """
    mine = _keys(own)
    return _answer(original, _author(original, mine), (), attribution)


def reply_all(original: Original, own: Iterable[Address], attribution: str) -> Answer:
    """An answer to the author, the other recipients and those in Cc: each once, in their order, never to oneself.

    Mail-Followup-To is no standard and lets a stranger choose who reads an answer: it is not read.
    """
    mine = _keys(own)
    to = _once([*_author(original, mine), *original.to], mine) or _author(original, mine)
    cc = _once(original.cc, mine | _keys(to))
    return _answer(original, to, cc, attribution)


def forward(original: Original, date: str, labels: ForwardLabels | None = None) -> Answer:
    """A copy for somebody else, to be filled in. `date` is the original's, as the writer reads dates. A thread of its own."""
    labels = labels or ForwardLabels()
    rows = [
        (labels.sender, _people(original.sender)),
        (labels.date, date),
        (labels.subject, _one_line(original.subject)),
        (labels.to, _people(original.to)),
        (labels.cc, _people(original.cc)),
    ]
    head = "\n".join(f"{label}: {value}" for label, value in rows if value)
    body = f"---------- {labels.title} ----------\n{head}\n\n{_lines(original.text)}\n"
    return Answer((), (), prefixed("Fwd", original.subject), body, None, ())


def prefixed(prefix: str, subject: str) -> str:
    """The subject with exactly one prefix, whatever prefixes of whatever language it had."""
    bare = base_subject(subject)
    return f"{prefix}: {bare}" if bare else f"{prefix}:"


def base_subject(subject: str) -> str:
    """The subject in one line without the prefixes of replies and forwards that mail programs put before it."""
    line = _one_line(unicodedata.normalize("NFC", subject))
    found = _PREFIXES.match(line)
    return line[found.end() :] if found else line


def _answer(original: Original, to: tuple[Address, ...], cc: tuple[Address, ...], attribution: str) -> Answer:
    body = quote(_lines(original.text), attribution) if original.text.strip() else ""
    parent = original.message_id if is_message_id(original.message_id) else None
    return Answer(to, cc, prefixed("Re", original.subject), body, parent, _chain(original, parent))


def _chain(original: Original, parent: str | None) -> tuple[str, ...]:
    """RFC 5322 section 3.6.4: the parent's References (or its one In-Reply-To), then the parent. The first is kept when
    it gets long, because threads are found by it."""
    before = original.references or (original.in_reply_to if len(original.in_reply_to) == 1 else ())
    ids = [one for one in dict.fromkeys(before) if is_message_id(one) and one != parent]
    if parent:
        ids.append(parent)
    return tuple(ids if len(ids) <= MAX_REFERENCES else [ids[0], *ids[1 - MAX_REFERENCES :]])


def _author(original: Original, mine: frozenset[str]) -> tuple[Address, ...]:
    if original.sender and _keys(original.sender) <= mine:
        others = _once(original.to, mine)
        return others or _once(original.to, frozenset()) or _once(original.sender, frozenset())
    return _once(original.reply_to, mine) or _once(original.sender, mine)


def _once(people: Sequence[Address], without: frozenset[str]) -> tuple[Address, ...]:
    """Those that can be written to, each once, in their order."""
    found: dict[str, Address] = {}
    for person in people:
        if person.domain and person.key not in without:
            found.setdefault(person.key, person)
    return tuple(found.values())


def _keys(people: Iterable[Address]) -> frozenset[str]:
    return frozenset(person.key for person in people)


def _people(people: Sequence[Address]) -> str:
    shown = (
        f"{person.name} <{person.display}>" if person.name and person.domain else person.label
        for person in people
    )
    return ", ".join(_one_line(one) for one in shown)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
