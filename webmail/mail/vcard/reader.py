"""vCards to people and groups, within limits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from webmail.mail.charsets import clean_name, clean_text
from webmail.mail.vcard.lines import CUT, Line, lines, split, unescape
from webmail.mail.vcard.model import Card, Cards, GroupCard

MAX_BYTES: Final = 5 << 20
MAX_CARDS: Final = 5_000
MAX_GROUPS: Final = 200
MAX_VALUES: Final = 20  # addresses or telephone numbers of one card
MAX_MEMBERS: Final = 1_000
MAX_NAME: Final = 300
MAX_NOTES: Final = 10_000

_SILENT = frozenset(
    ("BEGIN", "END", "VERSION", "PRODID", "REV", "UID", "N", "FN", "NICKNAME", "EMAIL", "TEL", "ORG", "NOTE", "KIND", "MEMBER",
     "CATEGORIES", "X-ADDRESSBOOKSERVER-KIND", "X-ADDRESSBOOKSERVER-MEMBER", "CLASS", "SORT-STRING", "SOURCE", "NAME", "PROFILE",
     "CLIENTPIDMAP", "X-ABLABEL", "X-ABUID", "MAILER")
)  # fmt: skip
"""Names that are read, or say nothing of a person; all others are counted as left out."""


@dataclass(slots=True)
class _Open:
    """A card that is being read."""

    names: dict[str, str] = field(default_factory=dict)
    addresses: list[tuple[bool, str]] = field(default_factory=list)
    phones: list[tuple[bool, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    uid: str = ""
    is_group: bool = False
    left_out: list[str] = field(default_factory=list)


def read(content: bytes) -> Cards:
    """The people and groups in a file. Never raises; at most 5 MB and 5,000 cards, and what is more is left and named.

    A card inside of a card (2.1's AGENT) belongs to nobody and is left out. One that does not end, ends with the file.
    """
    problems: dict[str, None] = {}
    if len(content) > MAX_BYTES:
        problems["cut"] = None
        content = content[:MAX_BYTES]
    people: list[Card] = []
    groups: list[GroupCard] = []
    left_out: dict[str, int] = {}
    depth, card, count = 0, _Open(), 0
    for line in lines(content, _SILENT):
        if line.name == "BEGIN":
            depth += 1
            if depth == 1:
                card, count = _Open(), count + 1
                if count > MAX_CARDS:
                    problems["too-many"] = None
                    depth = 0
                    break
        elif line.name == "END":
            if depth == 1:
                _close(card, people, groups, left_out)
            depth = max(0, depth - 1)
        elif line.name == CUT:
            problems["too-many"] = None
        elif depth == 1:
            _take(card, line)
    if depth:
        problems["unfinished"] = None
        _close(card, people, groups, left_out)
    if not count:
        problems["no-cards"] = None
    return Cards(tuple(people), tuple(groups[:MAX_GROUPS]), tuple(problems), left_out)


def _take(card: _Open, line: Line) -> None:
    name, value = line.name, line.value
    if name not in _SILENT:
        card.left_out.append(name)
    elif name in ("FN", "N", "NICKNAME", "ORG"):
        card.names.setdefault(name, value)
    elif name == "EMAIL" and len(card.addresses) < MAX_VALUES:
        card.addresses.append((line.is_preferred, _one_line(value).removeprefix("mailto:")))
    elif name == "TEL" and len(card.phones) < MAX_VALUES:
        card.phones.append((line.is_preferred, _one_line(value).removeprefix("tel:")))
    elif name == "NOTE" and len(card.notes) < MAX_VALUES:
        card.notes.append(clean_text(unescape(value)).strip())
    elif name == "UID" and not card.uid:
        card.uid = _uid(value)
    elif name in ("KIND", "X-ADDRESSBOOKSERVER-KIND"):
        card.is_group = value.strip().lower() == "group"
    elif name in ("MEMBER", "X-ADDRESSBOOKSERVER-MEMBER") and len(card.members) < MAX_MEMBERS:
        card.members.append(_member(value))
    elif name == "CATEGORIES" and len(card.categories) < MAX_VALUES:
        card.categories += [one for one in map(clean_name, split(value, ",", MAX_VALUES)) if one]


def _close(card: _Open, people: list[Card], groups: list[GroupCard], left_out: dict[str, int]) -> None:
    for name in card.left_out:
        left_out[name] = left_out.get(name, 0) + 1
    if card.is_group:
        groups.append(GroupCard(_name(card), tuple(dict.fromkeys(filter(None, card.members)))))
        return
    notes = "\n\n".join(filter(None, card.notes))
    organisation = " ".join(filter(None, map(clean_name, split(card.names.get("ORG", ""), ";", 10))))
    people.append(
        Card(
            name=_name(card),
            addresses=_in_order(card.addresses),
            phones=_in_order(card.phones),
            organisation=organisation[:MAX_NAME],
            notes=notes[:MAX_NOTES],
            categories=tuple(dict.fromkeys(card.categories))[:MAX_VALUES],
            uid=card.uid,
        )
    )


def _name(card: _Open) -> str:
    """FN; without one what N is made of, in the order of the reader's West; else a nickname or an organisation."""
    shown = _one_line(card.names.get("FN", ""))
    if not shown and "N" in card.names:
        family, given, more, before, after = (*split(card.names["N"], ";", 5), "", "", "", "", "")[:5]
        shown = clean_name(
            " ".join(part.replace(",", " ") for part in (before, given, more, family, after) if part)
        )
    shown = shown or _one_line(card.names.get("NICKNAME", "")) or _one_line(card.names.get("ORG", ""))
    return shown[:MAX_NAME].strip()


def _in_order(values: Iterable[tuple[bool, str]]) -> tuple[str, ...]:
    """Each once, preferred ones first."""
    ordered = sorted(values, key=lambda one: not one[0])
    return tuple(dict.fromkeys(value for _, value in ordered if value))


def _one_line(value: str) -> str:
    return clean_name(unescape(value)[: MAX_NAME * 4])


def _uid(value: str) -> str:
    return clean_name(value)[:200].lower().removeprefix("urn:uuid:")


def _member(value: str) -> str:
    value = clean_name(value)[:1000]
    if value.lower().startswith("mailto:"):
        return unquote(value[7:].partition("?")[0])
    return f"uid:{_uid(value)}" if value else ""
