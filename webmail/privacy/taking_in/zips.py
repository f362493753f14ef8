"""Messages out of a zip that a stranger may have made: of .eml files, of a maildir, of mboxes, or drafts of our own export. Pure.

Nothing is unpacked to a disk and no name in it leads anywhere. A place in a zip is a byte of all that is in it, one after another,
with one more for each entry: so reading goes on in the middle of an mbox that is in it.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import IO, Final

from webmail.privacy.export import draft_file
from webmail.privacy.export.told import read
from webmail.privacy.taking_in import labels
from webmail.privacy.taking_in.reading import FROM, MOST_MESSAGE, Item, NoMail, foreign, mbox

MOST_DIRECTORY: Final = 16 << 20
"""Bytes of a zip's list of files: some 200,000 of them. Reading it takes ten times that in memory."""
_EOCD: Final = 22
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, struct.error, OSError,
)  # fmt: skip
_DRAFT: Final = re.compile(r"[A-Za-z0-9_-]{8}/draft\.json")


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


def places(archive: zipfile.ZipFile) -> list[int]:
    """Where each entry begins, and where the last one ends."""
    return [0, *accumulate(entry.file_size + 1 for entry in archive.infolist())]


def messages(
    archive: zipfile.ZipFile, at: int, folders: frozenset[str], limit: int = MOST_MESSAGE
) -> Iterator[Item]:
    """The messages of a zip from a place on."""
    starts, entries = places(archive), archive.infolist()
    first = bisect_right(starts, at) - 1
    for number in range(first, len(entries)):
        entry, start = entries[number], starts[number]
        inside = max(at - start, 0)
        if entry.is_dir():
            yield Item(starts[number + 1], None, None, 0)
        elif _is_mbox(archive, entry):
            yield from _mbox(archive, entry, start, inside, folders, limit)
            yield Item(starts[number + 1], None, None, 0)
        elif not inside:
            yield _message(archive, entry, starts[number + 1], folders, limit)


def _is_mbox(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is an mbox; a message that another program kept with its `From ` line is one, too, but none of ours."""
    if entry.comment.startswith(b"1; folder="):
        return False
    head = _content(archive, entry, 500)
    return head is not None and FROM.match(head) is not None


def _mbox(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    start: int,
    inside: int,
    folders: frozenset[str],
    limit: int,
) -> Iterator[Item]:
    """The messages of an mbox in a zip, in their places. What breaks off ends with what was read."""
    where = labels.of_path(entry.filename)
    try:
        with archive.open(entry) as file:
            for item in mbox(file, inside, folders, limit):
                yield replace(
                    item, after=min(start + item.after, start + entry.file_size), folder=item.folder or where
                )
    except _BROKEN:
        yield Item(start + entry.file_size, None, None, 0, "no-mail")


def _message(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, after: int, folders: frozenset[str], limit: int
) -> Item:
    raw = _content(archive, entry, limit)
    if raw is None or len(raw) > limit:
        return Item(after, None, None, limit if raw else 0, "no-mail" if raw is None else "too-large")
    told = read(entry.comment.decode("ascii", "replace"), folders)
    if told is not None and told.sha256 == hashlib.sha256(raw).hexdigest():
        return Item(after, raw, told, len(raw))
    item = _with_flags(foreign(after, raw, len(raw), None), entry.filename)
    return replace(item, folder=item.folder or labels.of_path(entry.filename.rpartition("/")[0]))


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes | None:
    if entry.flag_bits & 1:
        return None
    try:
        with archive.open(entry) as file:
            return file.read(limit + 1)
    except _BROKEN:
        return None


_MAILDIR: Final = re.compile(r"[:;!_]2,([A-Za-z]{0,20})$")


def _with_flags(item: Item, name: str) -> Item:
    """The flags that a maildir keeps in names."""
    found = _MAILDIR.search(name)
    if item.raw is None or (found is None and "/new/" not in f"/{name}"):
        return item
    flags = found[1] if found else ""
    return replace(item, is_read="S" in flags, is_starred="F" in flags, is_answered="R" in flags)


# --- drafts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft of our own export; None for one that is none of ours. `after`: the place behind it; `read`: bytes that it has."""

    after: int
    told: draft_file.Told | None
    files: tuple[tuple[str, str, bytes], ...]
    read: int


def is_of_drafts(archive: zipfile.ZipFile) -> bool:
    """Whether a zip is `drafts.zip` of our own export."""
    entries = archive.infolist()
    return bool(entries) and _DRAFT.fullmatch(entries[0].filename) is not None


def drafts(archive: zipfile.ZipFile, at: int, limit: int = MOST_MESSAGE) -> Iterator[Draft]:
    """The drafts from a place on; a draft with more than `limit` bytes in it comes without its words."""
    starts, entries = places(archive), archive.infolist()
    heads = [number for number, entry in enumerate(entries) if _DRAFT.fullmatch(entry.filename)]
    for number, after in zip(heads, [*heads[1:], len(entries)], strict=True):
        if starts[number] < at:
            continue
        size = sum(entry.file_size for entry in entries[number:after])
        told = draft_file.read(_content(archive, entries[number], limit) or b"") if size <= limit else None
        folder = entries[number].filename.partition("/")[0]
        found = _files(archive, folder, told, limit) if told else None
        yield Draft(starts[after], told if found is not None else None, found or (), min(size, limit))


def _files(
    archive: zipfile.ZipFile, folder: str, told: draft_file.Told, limit: int
) -> tuple[tuple[str, str, bytes], ...] | None:
    """Name, type and content of each file; None where one is missing."""
    found = []
    for file, name, content_type in told.files:
        try:
            content = _content(archive, archive.getinfo(f"{folder}/{file}"), limit)
        except KeyError:
            return None
        if content is None or len(content) > limit:
            return None
        found.append((name, content_type, content))
    return tuple(found)
