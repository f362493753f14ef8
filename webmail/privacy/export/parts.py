"""The parts of an export as they are kept: pieces of 1 MiB at the most, each sealed for its place, added to and never changed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from webmail.db import rows
from webmail.keys import MailboxKeys, Place, seal, unseal

CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Box:
    """An export whose pieces can be sealed and opened."""

    mailbox_id: int
    export_id: int
    content_key: bytes

    def place(self, number: int, start: int, field: str) -> Place:
        """Where a piece of a part belongs."""
        return Place("export_chunk", self.mailbox_id, self.export_id, f"{field}|{number}|{start}")

    @property
    def key(self) -> dict[str, int]:
        """As statements ask for it."""
        return {"mailbox": self.mailbox_id, "export": self.export_id}


def box(keys: MailboxKeys, export_id: int, wrapped: bytes) -> Box:
    """The export with this id, its key opened. Raises Tampered."""
    place = Place("export", keys.mailbox_id, export_id, "content_key")
    return Box(keys.mailbox_id, export_id, keys.open_value(wrapped, place))


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an export; `sha256` is None while it is written."""

    number: int
    name: str
    folder_id: int | None
    month: date | None
    messages: int
    size_bytes: int
    sha256: bytes | None


_COLUMNS = "number, name, folder_id, month, messages, size_bytes, sha256"
_PARTS = f"SELECT {_COLUMNS} FROM export_part WHERE mailbox_id = %(mailbox)s AND export_id = %(export)s ORDER BY number"


def listed(mailbox_id: int, export_id: int) -> list[Part]:
    """The parts of an export, the unfinished one too."""
    return [Part(*row) for row in rows(_PARTS, {"mailbox": mailbox_id, "export": export_id})]


class Writer:
    """Adds bytes to one part within one transaction. `finish` ends the part, `pause` only what this step has of it."""

    def __init__(self, into: Box, part: Part) -> None:
        self.box, self.part, self.size = into, part, part.size_bytes
        self.messages = part.messages
        self._start, self._waiting = part.size_bytes, bytearray()
        self._entries: list[Any] = []

    @classmethod
    def begin(cls, into: Box, name: str, folder_id: int | None = None, month: date | None = None) -> "Writer":
        """A new part."""
        values = into.key | {"name": name, "folder": folder_id, "month": month}
        [[number]] = rows(_BEGIN, values)
        return cls(into, Part(number, name, folder_id, month, 0, 0, None))

    def write(self, data: bytes) -> None:
        """Add bytes. The last piece is kept back: the entries go with it."""
        self._waiting += data
        self.size += len(data)
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), None)
            del self._waiting[:CHUNK]

    def note(self, entry: Sequence[Any]) -> None:
        """Remember a message that was written: what the part's end and the export's list of messages are made from."""
        self._entries.append(entry)
        self.messages += 1

    def pause(self) -> None:
        """Put away what was written; a later step goes on."""
        if self._waiting:
            entries = None
            if self._entries:
                told = json.dumps(self._entries, separators=(",", ":")).encode()
                place = self.box.place(self.part.number, self._start, "entries")
                entries = seal(self.box.content_key, told, place)
            self._put(bytes(self._waiting), entries)
            self._waiting.clear()
            self._entries.clear()
        values = {"number": self.part.number, "size": self.size, "messages": self.messages}
        rows(_PAUSE, self.box.key | values)

    def finish(self) -> None:
        """End the part: it can be fetched from now on."""
        self.pause()
        digest = hashlib.sha256()
        for piece in pieces(self.box, self.part.number):
            digest.update(piece)
        rows(_FINISH, self.box.key | {"number": self.part.number, "sha256": digest.digest()})

    def _put(self, piece: bytes, entries: bytes | None) -> None:
        sealed = seal(self.box.content_key, piece, self.box.place(self.part.number, self._start, "sealed"))
        values = {
            "number": self.part.number,
            "start": self._start,
            "size": len(piece),
            "sealed": sealed,
            "entries": entries,
        }
        rows(_PUT, self.box.key | values)
        self._start += len(piece)


_BEGIN = """
    INSERT INTO export_part (mailbox_id, export_id, number, name, folder_id, month)
    SELECT %(mailbox)s, %(export)s, coalesce(max(number), 0) + 1, %(name)s, %(folder)s, %(month)s
      FROM export_part WHERE mailbox_id = %(mailbox)s AND export_id = %(export)s RETURNING number"""
_WHERE = "mailbox_id = %(mailbox)s AND export_id = %(export)s AND number = %(number)s"
_PAUSE = (
    f"UPDATE export_part SET size_bytes = %(size)s, messages = %(messages)s WHERE {_WHERE} RETURNING number"
)
_FINISH = f"UPDATE export_part SET sha256 = %(sha256)s WHERE {_WHERE} RETURNING number"
_PUT = """
    INSERT INTO export_chunk (mailbox_id, export_id, number, start_byte, size_bytes, sealed, entries)
    VALUES (%(mailbox)s, %(export)s, %(number)s, %(start)s, %(size)s, %(sealed)s, %(entries)s) RETURNING number"""


def piece(of: Box, number: int, at: int) -> tuple[int, bytes] | None:
    """The piece that holds the byte `at`, and its own first byte; None behind the end."""
    found = rows(_PIECE, of.key | {"number": number, "at": at})
    if not found or at >= found[0][0] + found[0][1]:
        return None
    start, _size, sealed = found[0]
    return start, unseal(of.content_key, sealed, of.place(number, start, "sealed"), CHUNK)


_PIECE = f"""
    SELECT start_byte, size_bytes, sealed FROM export_chunk WHERE {_WHERE} AND start_byte <= %(at)s
     ORDER BY start_byte DESC LIMIT 1"""


def pieces(of: Box, number: int) -> Iterator[bytes]:
    """Everything in a part, one piece in memory at a time."""
    at = 0
    while found := piece(of, number, at):
        at = found[0] + len(found[1])
        yield found[1]


def entries(of: Box, number: int) -> Iterator[Sequence[Any]]:
    """What was noted of the messages in a part, in their order."""
    at = -1
    while found := rows(_ENTRIES, of.key | {"number": number, "at": at}):
        [[at, sealed]] = found
        yield from json.loads(unseal(of.content_key, sealed, of.place(number, at, "entries")))


_ENTRIES = f"""
    SELECT start_byte, entries FROM export_chunk
     WHERE {_WHERE} AND start_byte > %(at)s AND entries IS NOT NULL ORDER BY start_byte LIMIT 1"""
