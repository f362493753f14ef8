"""People and groups as vCard 4.0 (RFC 6350): CRLF, folded at 75 octets, escaped."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from webmail.mail.vcard.model import Card, GroupCard

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", ",": "\\,", ";": "\\;", "\r": None})
_MAX_LINE = 75  # octets without CRLF, RFC 6350 section 3.2


def write(people: Iterable[Card], groups: Iterable[GroupCard] = ()) -> bytes:
    """A file of cards. `members` of a group are addresses. Notes may hold line feeds; no string a lone surrogate."""
    return b"".join([*map(_person, people), *map(_group, groups)])


def _person(card: Card) -> bytes:
    lines = [f"FN:{_text(card.name or next(iter(card.addresses), ''))}"]
    if card.name:
        lines.append(f"N:{_text(card.name)};;;;")
    preferred = ";PREF=1" if len(card.addresses) > 1 else ""
    for number, address in enumerate(card.addresses):
        lines.append(f"EMAIL{'' if number else preferred}:{_text(address)}")
    lines += [f"TEL:{_text(phone)}" for phone in card.phones]
    lines += [f"ORG:{_text(card.organisation)}"] if card.organisation else []
    lines += [f"NOTE:{_text(card.notes)}"] if card.notes else []
    if card.categories:
        lines.append("CATEGORIES:" + ",".join(map(_text, card.categories)))
    return _card(lines)


def _group(group: GroupCard) -> bytes:
    members = (f"MEMBER:mailto:{quote(address, safe='@+')}" for address in group.members)
    return _card(["KIND:group", f"FN:{_text(group.name)}", *members])


def _card(lines: Iterable[str]) -> bytes:
    return b"".join(map(_folded, ["BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD"]))


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


def _folded(line: str) -> bytes:
    return b"\r\n ".join(_pieces(line)) + b"\r\n"


def _pieces(line: str) -> Iterator[bytes]:
    """At most 75 octets each with the blank before it, never inside of a character."""
    piece, room = bytearray(), _MAX_LINE
    for letter in line:
        octets = letter.encode("utf-8", "replace")
        if len(piece) + len(octets) > room:
            yield bytes(piece)
            piece, room = bytearray(), _MAX_LINE - 1
        piece += octets
    yield bytes(piece)
