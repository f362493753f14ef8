"""Whose message a reader is shown: the From that DMARC judges is the very one that `webmail.mail.mime` reads."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from inbound.authentication.limits import MAX_AUTHORS, MAX_HEADER_BLOCK
from webmail.mail.address_lists import parse_list
from webmail.mail.idn import to_ascii

_BLANK = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_COMMENT = re.compile(r"\([^()]{0,1000}\)")
_NOT_LETTER = re.compile(rb"[^a-z]+")
_CUT = frozenset(("headers-cut", "too-many-headers", "addresses-cut", "unreadable"))


@dataclass(frozen=True, slots=True)
class Author:
    """The domains of the From addresses, the shown one first; `problem` says why they are not one clear author, or is ""."""

    domains: tuple[str, ...]
    problem: str = ""


def read(raw: bytes, head: int = 0) -> Author:
    """Read From as the reader's side does, then look whether another program could see a different one."""
    # Not before there is a message to judge: inbound starts without any code that looks into one. Only the header goes in.
    from webmail.mail.mime import parse

    blank = _BLANK.search(raw, head)
    section = raw[: min(blank.end() if blank else len(raw), head + MAX_HEADER_BLOCK + 2)]
    message = parse(section)
    domains = _domains(one.domain for one in message.from_)
    values = _from_values(section[head:])
    if len(values) > 1:
        return Author(domains or _any_domain(values), "several From fields")
    behind = _behind(values)
    if len(message.from_) + message.from_.more > 1 or behind:
        return Author(tuple(dict.fromkeys((*domains, *behind)))[:MAX_AUTHORS], "several From addresses")
    if _CUT.intersection(message.problems):
        return Author(domains, "header section too large")
    if not domains:
        return Author((), "no From address")
    return Author(domains)


def _from_values(section: bytes) -> list[bytes]:
    """What stands in lines that a lenient program may take for a From field: `From :`, NUL in the name, a folded name, one that is
    folded into the field before it."""
    lines = (line.partition(b":") for line in _FOLD.sub(b"", section).split(b"\n"))
    return [value for name, _, value in lines if _NOT_LETTER.sub(b"", name[:300].lower()) == b"from"]


def _any_domain(values: list[bytes]) -> tuple[str, ...]:
    """Domains in what looks like From where the reader's side sees none: so that their policies count."""
    texts = (value[:2_000].decode("latin-1") for value in values[:MAX_AUTHORS])
    return _domains(one.domain for text in texts for one in parse_list(text))


def _behind(values: list[bytes]) -> tuple[str, ...]:
    """Domains of addresses that stand behind the `>` of another one: some programs show those (`<a@here>b@there`)."""
    _, closed, rest = (values or [b""])[0].rpartition(b">")
    if not closed or b"@" not in rest:
        return ()
    return _domains(one.domain for one in parse_list(_COMMENT.sub("", rest[:2_000].decode("latin-1"))))


def _domains(found: Iterable[str]) -> tuple[str, ...]:
    names = (to_ascii(one) for one in found if one)
    return tuple(dict.fromkeys(name for name in names if name and "." in name))[:MAX_AUTHORS]
