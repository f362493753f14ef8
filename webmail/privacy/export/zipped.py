"""Messages in a zip file, written piece by piece by whoever remembers the pieces: a zip ends with the list of what is in it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION: Final = 20
_UTF8: Final = 0x0800
_DEFLATED: Final = 8
_UNIX: Final = 3
_MODE: Final = 0o100600 << 16
MOST_ENTRIES: Final = 20_000
"""A third of what the old format counts to, and of what an importer should have in memory at once."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip; `packed` and `size` are bytes with and without compression, `offset` its first byte in the zip."""

    name: str
    at: datetime
    crc: int
    packed: int
    size: int
    offset: int
    comment: str


def member(name: str, at: datetime, content: bytes, offset: int, comment: str) -> tuple[Member, bytes]:
    """A file, and its bytes as they stand in the zip from `offset` on."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = squeeze.compress(content) + squeeze.flush()
    told = Member(name, at, zlib.crc32(content), len(packed), len(content), offset, comment)
    head = struct.pack("<4sHHH", _LOCAL, _VERSION, _UTF8, _DEFLATED) + _facts(told)
    return told, head + struct.pack("<HH", len(name.encode()), 0) + name.encode() + packed


def _facts(told: Member) -> bytes:
    at = told.at.astimezone(UTC)
    year = min(max(at.year, 1980), 2107)
    time = at.hour << 11 | at.minute << 5 | at.second // 2
    date = (year - 1980) << 9 | at.month << 5 | at.day
    return struct.pack("<HHLLL", time, date, told.crc, told.packed, told.size)


def directory(members: Iterable[Member], offset: int) -> Iterator[bytes]:
    """The end of a zip of these files, which begins at `offset`."""
    count = size = 0
    for told in members:
        name, comment = told.name.encode(), told.comment.encode()
        line = struct.pack("<4sHHHH", _CENTRAL, _UNIX << 8 | _VERSION, _VERSION, _UTF8, _DEFLATED)
        line += _facts(told) + struct.pack("<HHHHHLL", len(name), 0, len(comment), 0, 0, _MODE, told.offset)
        yield line + name + comment
        count, size = count + 1, size + len(line) + len(name) + len(comment)
    yield struct.pack("<4sHHHHLLH", _END, 0, 0, count, count, size, offset, 0)
