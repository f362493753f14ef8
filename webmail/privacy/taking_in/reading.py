"""Messages out of a file that a stranger may have made: mbox, zip (of .eml files or a maildir), or one message. Pure.

Nothing is unpacked to a disk and no name in the file leads anywhere; each message is read up to a limit and no further.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Final

from webmail.privacy.export.mbox import HEAD_LINES, MARK, unquoted
from webmail.privacy.export.told import Told, read

MOST_MESSAGE: Final = 64 << 20
"""Bytes of one message: more than any that this service takes by SMTP."""
MOST_DIRECTORY: Final = 16 << 20
"""Bytes of a zip's list of files: some 200,000 of them. Reading it takes ten times that in memory."""
_LINE: Final = 1 << 16
_FROM = re.compile(rb"From [^\r\n]{0,400}[0-9]{4}[^\r\n]{0,40}\r?\n")
_HEADER = re.compile(rb"(?:[!-9;-~]{1,200}[ \t]*:|>?From )")
_EOCD: Final = 22


class NoMail(Exception):
    """The file is none that can be read. `code`: "no-mail", "damaged", "too-many", "zip64"."""

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


def kind(file: IO[bytes]) -> str:
    """What a file is: "mbox", "zip" or "message". Raises NoMail."""
    file.seek(0)
    head = file.read(4096)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"From "):
        return "mbox"
    if _HEADER.match(head.lstrip(b"\xef\xbb\xbf\r\n")):
        return "message"
    raise NoMail("no-mail")


# --- mbox ----------------------------------------------------------------------------------------------------------------


def mbox(file: IO[bytes], at: int, folders: frozenset[str], limit: int = MOST_MESSAGE) -> Iterator[Item]:
    """The messages of an mbox from the byte `at` on, where one begins: with a `From ` line after a blank one, with a year in it."""
    file.seek(at)
    pieces: list[bytes] = []
    begun, head, size = at, b"", 0
    starts, after_blank, is_first = True, True, True
    while line := file.readline(_LINE):
        if starts and after_blank and _FROM.fullmatch(line):
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
    return _foreign(after, _one_end_less(unquoted(raw)), size, _from_stamp(head))


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
        yield _foreign(size, raw.removeprefix(b"\xef\xbb\xbf"), size, None)


def _foreign(after: int, raw: bytes, size: int, at: datetime | None) -> Item:
    """A message that another program kept: with the line ends of the wire, if it has none of them at all."""
    if not _HEADER.match(raw.lstrip(b"\r\n")):
        return Item(after, None, None, size, "no-mail")
    head = re.split(rb"\r?\n\r?\n", raw[: 1 << 20], maxsplit=1)[0]
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    status, more = _field(head, b"Status"), _field(head, b"X-Status")
    return Item(
        after, raw, None, size,
        is_read=not status or b"R" in status,
        is_starred=b"F" in more,
        is_answered=b"A" in more,
        at=_date(_field(head, b"Date").decode("ascii", "replace")) or at,
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


# --- zip -----------------------------------------------------------------------------------------------------------------


def directory(file: IO[bytes]) -> zipfile.ZipFile:
    """A zip whose list of files is small enough to be read. Raises NoMail."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _EOCD - 65_535 - 20))
    tail = file.read()
    place = len(tail) - _EOCD
    if place < 0 or not (tail[place:].startswith(b"PK\x05\x06") and tail.endswith(b"\0\0")):
        place = tail.rfind(b"PK\x05\x06")  # as zipfile looks for it
    if place < 0 or len(tail) - place < _EOCD:
        raise NoMail("damaged")
    if tail[max(0, place - 20) : place].startswith(b"PK\x06\x07"):
        raise NoMail("zip64")
    (size,) = struct.unpack_from("<L", tail, place + 12)
    if size > MOST_DIRECTORY:
        raise NoMail("too-many")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError):
        raise NoMail("damaged") from None


def zipped(
    archive: zipfile.ZipFile, at: int, folders: frozenset[str], limit: int = MOST_MESSAGE
) -> Iterator[Item]:
    """The messages of a zip from its entry number `at` on."""
    for number, entry in enumerate(archive.infolist()[at:], at + 1):
        if entry.is_dir():
            yield Item(number, None, None, 0)
            continue
        raw = _content(archive, entry, limit)
        if raw is None or len(raw) > limit:
            problem = "no-mail" if raw is None else "too-large"
            yield Item(number, None, None, limit if raw else 0, problem)
            continue
        told = read(entry.comment.decode("ascii", "replace"), folders)
        if told is not None and told.sha256 == hashlib.sha256(raw).hexdigest():
            yield Item(number, raw, told, len(raw))
            continue
        yield _with_flags(_foreign(number, raw, len(raw), None), entry.filename)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes | None:
    if entry.flag_bits & 1:
        return None
    try:
        with archive.open(entry) as file:
            return file.read(limit + 1)
    except (
        zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, struct.error, OSError,
    ):  # fmt: skip
        return None


_MAILDIR = re.compile(r"[:;!_]2,([A-Za-z]{0,20})$")


def _with_flags(item: Item, name: str) -> Item:
    """The flags that a maildir keeps in names."""
    found = _MAILDIR.search(name)
    if item.raw is None or (found is None and "/new/" not in f"/{name}"):
        return item
    flags = found[1] if found else ""
    return Item(
        item.after, item.raw, None, item.read,
        is_read="S" in flags, is_starred="F" in flags, is_answered="R" in flags, at=item.at,
    )  # fmt: skip
