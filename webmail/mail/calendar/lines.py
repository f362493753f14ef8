"""Content lines (RFC 5545 section 3.1) and the components they make, within limits. Linear, and never raises.

Only properties that somebody asks for are kept: a file full of others costs one look at each line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from icalendar.parser import Contentline, unescape_backslash

from webmail.mail.charsets import clean_line, guess

MAX_BYTES: Final = 256 << 10
MAX_LINES: Final = 20_000
MAX_COMPONENTS: Final = 2_000
MAX_DEPTH: Final = 4  # VCALENDAR, VTIMEZONE, STANDARD is three
MAX_LINE: Final = 65_536  # characters of one unfolded line; more is cut
MAX_STRUCTURED: Final = 8_192  # of one whose parameters matter
MAX_HEAD: Final = 2_000  # characters of a line's parameters
MAX_MARKS: Final = 100  # delimiters in them
MAX_KEPT: Final = 1_000  # of properties with one name in one component

_BREAKS = re.compile(rb"\n{2,}")
_NAME = re.compile(r"[A-Za-z0-9-]{1,60}(?=[ \t]{0,8}[:;])")
_HEAD = re.compile(r'(?:[^":]++|"[^"]*+")*+(?=:)')  # parameters, up to the colon that is not quoted
_MARKS = re.compile(r'[;,="^\\]')
_LONG = frozenset(("DESCRIPTION", "COMMENT", "EXDATE", "RDATE"))
_WANTED = frozenset(
    (
        "METHOD", "UID", "SEQUENCE", "RECURRENCE-ID", "SUMMARY", "DESCRIPTION", "LOCATION", "URL", "DTSTART", "DTEND", "DUE",
        "DURATION", "RRULE", "RDATE", "EXDATE", "ORGANIZER", "ATTENDEE", "STATUS", "COMMENT", "TZID", "TZOFFSETFROM", "TZOFFSETTO",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Property:
    """One content line. `value` is verbatim, escapes and all; `params` have upper-case names and one string each."""

    name: str
    value: str
    params: dict[str, str]

    @property
    def text(self) -> str:
        """The value of a TEXT property, unescaped and not yet cleaned."""
        return str(unescape_backslash(self.value))


@dataclass(slots=True)
class Component:
    """A component with the wanted properties of its own, in order, and the components in it."""

    name: str
    properties: dict[str, list[Property]] = field(default_factory=dict)
    children: list["Component"] = field(default_factory=list)

    def first(self, name: str) -> Property | None:
        """The first property of that name."""
        found = self.properties.get(name)
        return found[0] if found else None

    def value(self, name: str) -> str:
        """The verbatim value of the first property of that name, without space around it, or ""."""
        found = self.first(name)
        return found.value.strip() if found else ""


def parse(content: bytes) -> tuple[Component, tuple[str, ...]]:
    """Everything in `content` under one nameless root, and codes of what was wrong with it."""
    problems: dict[str, None] = {}
    root = Component("")
    stack, components, skipped = [root], 0, 0
    for number, line in enumerate(_unfolded(content, problems)):
        if number >= MAX_LINES:
            problems["too-many-lines"] = None
            break
        head = _NAME.match(line)
        if head is None:
            problems["bad-line"] = None
            continue
        name = head[0].upper()
        if name == "BEGIN":
            if len(stack) > MAX_DEPTH or components >= MAX_COMPONENTS or skipped:
                problems["too-deep"] = None
                skipped += 1
                continue
            components += 1
            inner = Component(_named(line))
            stack[-1].children.append(inner)
            stack.append(inner)
        elif name == "END":
            if skipped:
                skipped -= 1
            else:
                _close(stack, _named(line))
        elif name in _WANTED and not skipped:
            _add(stack[-1], name, line, problems)
    return root, tuple(problems)


def _unfolded(content: bytes, problems: dict[str, None]) -> Iterator[str]:
    """Lines put together on the octets, because real senders fold inside of characters."""
    if len(content) > MAX_BYTES:
        problems["cut"] = None
        content = content[:MAX_BYTES].rpartition(b"\n")[0]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = guess(content).encode()
    joined = _BREAKS.sub(b"\n", content.replace(b"\r", b"\n")).replace(b"\n ", b"").replace(b"\n\t", b"")
    for line in guess(joined).split("\n"):
        if line.strip():
            yield line[:MAX_LINE].lstrip(" \t")


def _named(line: str) -> str:
    return line.partition(":")[2].strip().upper()[:60]


def _close(stack: list[Component], name: str) -> None:
    """End the innermost component of that name with all in it; an END that nothing began says nothing."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].name == name:
            del stack[depth:]
            return


def _add(component: Component, name: str, line: str, problems: dict[str, None]) -> None:
    kept = component.properties.setdefault(name, [])
    if len(kept) >= MAX_KEPT:
        return
    found = _property(name, line)
    if found is None:
        problems["bad-line"] = None
    else:
        kept.append(found)


def _property(name: str, line: str) -> Property | None:
    most = MAX_LINE if name in _LONG else MAX_STRUCTURED
    rest = line[len(name) :].lstrip(" \t")
    if rest.startswith(":"):
        return Property(name, rest[1:most], {})
    head = _HEAD.match(rest)
    if head is None or head.end() > MAX_HEAD or len(_MARKS.findall(head[0])) > MAX_MARKS:
        return _mended(name, rest[:most])
    try:
        content_line = Contentline(f"{name}{head[0]}:")  # type: ignore[no-untyped-call]
        _, params, _ = content_line.raw_parts()
    except (ValueError, TypeError):
        return _mended(name, rest[:most])
    told = {str(key).upper(): _one(item) for key, item in params.items()}
    return Property(name, rest[head.end() + 1 : most], told)


def _mended(name: str, rest: str) -> Property | None:
    """What can be had of a line whose parameters are no parameters: an address, or what follows its first colon."""
    at = rest.lower().rfind("mailto:")
    if name in ("ATTENDEE", "ORGANIZER"):
        return Property(name, rest[at:], {}) if at >= 0 else None
    if name.startswith("DT") or name in ("RECURRENCE-ID", "RRULE", "RDATE", "EXDATE", "DUE", "UID"):
        return None  # without its zone a time would be another
    head, colon, value = rest.partition(":")
    return Property(name, value, {}) if colon and head else None


def _one(value: object) -> str:
    return clean_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))
