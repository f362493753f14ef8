"""Messages out of a file that a stranger may have made: what it is, mbox, or one message; zips are in `zips`. Pure.

No name in the file leads anywhere; each message is read up to a limit and no further.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Final

from webmail.privacy.export.mbox import HEAD_LINES, MARK, unquoted
from webmail.privacy.export.told import Told, read
from webmail.privacy.taking_in import labels

MOST_MESSAGE: Final = 64 << 20
"""Bytes of one message: more than any that this service takes by SMTP."""
_LINE: Final = 1 << 16
FROM = re.compile(rb"From [^\r\n]{0,400}[0-9]{4}[^\r\n]{0,40}\r?\n")
_HEADER = re.compile(rb"(?:[!-9;-~]{1,200}[ \t]*:|>?From )")


class NoMail(Exception):
    """The file is none that can be read. `code`: "no-mail", "damaged", "too-many", "zip64", "rules", "large"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a file. `after`: where the next one begins; `raw`: None when it is no mail (`problem` says why: "too-large",
    "no-mail"); `told`: what an export of ours said of it; `read`: bytes that were looked at."""

    after: int
    raw: bytes | None
    told: Told | None
    read: int
    problem: str = ""
    is_read: bool = True
    is_starred: bool = False
    is_answered: bool = False
    at: datetime | None = None
    folder: str = ""
    """Where another program kept it, as far as that is one of ours; "" for who knows."""


def kind(file: IO[bytes]) -> str:
    """What a file is: "mbox", "zip" or "message"; of our own exports also "records", "cards", "rules", and "other" for
    what there is nothing to take of. Raises NoMail."""
    file.seek(0)
    head = file.read(4096)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"From "):
        return "mbox"
    for name, mark in _OURS:
        if mark.match(head.removeprefix(b"\xef\xbb\xbf")):
            return name
    if _HEADER.match(head.lstrip(b"\xef\xbb\xbf\r\n")):
        return "message"
    raise NoMail("no-mail")


_OURS: Final = (
    ("records", re.compile(rb'\s*\{\s*"format":\s*"mtumail-export"')),
    ("cards", re.compile(rb"\s*BEGIN:VCARD", re.IGNORECASE)),
    ("rules", re.compile(rb'(?:# Nobody is blocked\.|require \["fileinto"\];)')),
    (
        "other",
        re.compile(rb'(?:\{\s*"\$schema"|\{"id": "[\w-]{8}", "file": "|An export of a mailbox of mtumail\.)'),
    ),
)


# --- mbox ----------------------------------------------------------------------------------------------------------------


def mbox(file: IO[bytes], at: int, folders: frozenset[str], limit: int = MOST_MESSAGE) -> Iterator[Item]:
    """The messages of an mbox from the byte `at` on, where one begins: with a `From ` line after a blank one, with a year in it."""
    file.seek(at)
    pieces: list[bytes] = []
    begun, head, size = at, b"", 0
    starts, after_blank, is_first = True, True, True
    while line := file.readline(_LINE):
        if starts and after_blank and FROM.fullmatch(line):
            if not is_first and (head or b"".join(pieces).strip()):
                yield _found(at, at - begun, head, pieces if size <= limit else None, folders)
            begun, head, pieces, size = at, line, [], 0
        else:
            size += len(line)
            if size <= limit:
                pieces.append(line)
            else:
                pieces = []
        is_first = False
        after_blank = starts and line in (b"\n", b"\r\n")
        starts = line.endswith(b"\n")
        at += len(line)
    if head or b"".join(pieces).strip() or size > limit:
        yield _found(at, at - begun, head, pieces if size <= limit else None, folders)


def _found(after: int, size: int, head: bytes, pieces: list[bytes] | None, folders: frozenset[str]) -> Item:
    if pieces is None:
        return Item(after, None, None, size, "too-large")
    content = b"".join(pieces)
    told, raw = _ours(content, folders)
    if told is not None:
        return Item(after, raw, told, size)
    return foreign(after, _one_end_less(unquoted(raw)), size, _from_stamp(head))


def _ours(content: bytes, folders: frozenset[str]) -> tuple[Told | None, bytes]:
    """What an export of ours said before the message, and the message. Without it where somebody has edited the file since."""
    if not content.startswith(MARK):
        return None, content
    lines = content.split(b"\n", HEAD_LINES)
    if len(lines) <= HEAD_LINES:
        return None, content
    told = read(lines[0][len(MARK) :].decode("ascii", "replace"), folders)
    if told is None:
        return None, content
    raw = unquoted(lines[HEAD_LINES])[: told.size]
    if hashlib.sha256(raw).hexdigest() != told.sha256:
        return None, lines[HEAD_LINES]
    return told, raw


def _one_end_less(content: bytes) -> bytes:
    """Without the blank line that an mbox puts behind each message."""
    for end in (b"\r\n\r\n", b"\n\n"):
        if content.endswith(end):
            return content[: -len(end) // 2]
    return content


def _from_stamp(head: bytes) -> datetime | None:
    found = re.search(rb"([A-Z][a-z]{2}) +([A-Z][a-z]{2}) +(\d{1,2}) +(\d\d:\d\d(?::\d\d)?).*?(\d{4})", head)
    if found is None:
        return None
    day, month, number, clock, year = (piece.decode() for piece in found.groups())
    return _date(f"{day}, {number} {month} {year} {clock} +0000")


# --- one message ---------------------------------------------------------------------------------------------------------


def message(file: IO[bytes], at: int, size: int, limit: int = MOST_MESSAGE) -> Iterator[Item]:
    """The one message that the file is."""
    if at:
        return
    file.seek(0)
    raw = file.read(limit + 1)
    if len(raw) > limit:
        yield Item(size, None, None, size, "too-large")
    else:
        yield foreign(size, raw.removeprefix(b"\xef\xbb\xbf"), size, None)


def foreign(after: int, raw: bytes, size: int, at: datetime | None) -> Item:
    """A message that another program kept: with the line ends of the wire, if it has none of them at all."""
    if not _HEADER.match(raw.lstrip(b"\r\n")):
        return Item(after, None, None, size, "no-mail")
    head = re.split(rb"\r?\n\r?\n", raw[: 1 << 20], maxsplit=1)[0]
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    status, more = _field(head, b"Status"), _field(head, b"X-Status")
    named = labels.read(head)
    return Item(
        after, raw, None, size,
        is_read=named.is_read if named else not status or b"R" in status,
        is_starred=named.is_starred if named else b"F" in more,
        is_answered=b"A" in more,
        at=_date(_field(head, b"Date").decode("ascii", "replace")) or at,
        folder=named.folder if named else "",
    )  # fmt: skip


def _field(head: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?:^|\n)" + name + rb":[ \t]*([^\r\n]{0,200})", head, re.IGNORECASE)
    return found[1] if found else b""


def _date(written: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(written)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return at if datetime(1970, 1, 2, tzinfo=UTC) < at else None
