"""Imports as their owner handles them: a file comes in pieces, waits to be read, and what came of it can be taken back."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from webmail import audit, jobs, work
from webmail.db import new_id, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place, new_content_key, seal, unseal
from webmail.mail import messages
from webmail.mail.folders import Kind

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK: Final = 1 << 20
MOST_BYTES: Final = 2 << 30
MOST_OPEN, MOST_OPEN_BYTES = 40, 3 * MOST_BYTES
"""Imports of a mailbox that are not done, and what they have together: an export of ours has many small files."""
UNDO_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Import:
    """An import and what came of it; `places` are 0 before it is known how many there are."""

    import_id: int
    name: str
    state: str
    folder: Kind
    total_bytes: int
    received_bytes: int
    position: int
    places: int
    taken: int
    known: int
    unreadable: int
    too_large: int
    no_mail: int
    problem: str
    brought: Mapping[str, int]
    """Of what is no message: how much was taken, known or left out, by code."""
    made_at: datetime
    may_undo: bool

    @property
    def is_under_way(self) -> bool:
        """Whether a worker is at it, or will be."""
        return self.state in ("waiting", "taking")


def begin(
    keys: MailboxKeys, account_id: int, name: str, total: int, folder: Kind = Kind.ARCHIVE, *, actor: str = ""
) -> int:
    """A file of `total` bytes is about to come; the import's id. Audited. Raises Refused: "empty", "too-large", "many"."""
    if total <= 0 or total > MOST_BYTES:
        raise Refused("empty" if total <= 0 else "too-large")
    values: dict[str, Any] = {"mailbox": keys.mailbox_id}
    [[count, size]] = rows(_OPEN, values)
    if count >= MOST_OPEN or size + total > MOST_OPEN_BYTES:
        raise Refused("many")
    number = new_id()
    values |= {
        "import": number,
        "account": account_id,
        "folder": int(folder),
        "total": total,
        "key": keys.seal_value(new_content_key(), _place(keys.mailbox_id, number, "content_key")),
        "name": keys.seal_value(name[-200:].encode(), _place(keys.mailbox_id, number, "name")),
    }
    rows(_BEGIN, values)
    who = actor or f"account:{account_id}"
    audit.record("import.asked", who, mailbox=keys.mailbox_id, account=account_id, brought=number)
    return number


_OPEN = """
    SELECT count(*), coalesce(sum(total_bytes), 0) FROM mail_import
     WHERE mailbox_id = %(mailbox)s AND state IN ('uploading', 'waiting', 'taking')"""
_BEGIN = """
    INSERT INTO mail_import (mailbox_id, import_id, account_id, folder_id, total_bytes, content_key, name)
    VALUES (%(mailbox)s, %(import)s, %(account)s, %(folder)s, %(total)s, %(key)s, %(name)s) RETURNING import_id"""


def _place(mailbox_id: int, number: int, field: str) -> Place:
    return Place("mail_import", mailbox_id, number, field)


def put(keys: MailboxKeys, number: int, offset: int, data: bytes) -> int:
    """Keep the next bytes of a file; how many are there now. What does not begin where the last piece ended is not kept.

    Raises NotFound, and Refused("too-large") for more than was said.
    """
    key = {"mailbox": keys.mailbox_id, "import": number}
    found = rows(_LOCK, key)
    if not found or found[0][0] != "uploading":
        raise NotFound("import")
    _state, total, received, wrapped = found[0]
    if offset != received:
        return int(received)
    if received + len(data) > total:
        raise Refused("too-large")
    content_key = keys.open_value(wrapped, _place(keys.mailbox_id, number, "content_key"))
    for start in range(0, len(data), CHUNK):
        piece = data[start : start + CHUNK]
        place = _place(keys.mailbox_id, number, f"chunk|{received}")
        sealed = seal(content_key, piece, place)
        rows(_PUT, key | {"start": received, "size": len(piece), "sealed": sealed})
        received += len(piece)
    rows(_RECEIVED, key | {"received": received})
    return int(received)


_WHERE = "mailbox_id = %(mailbox)s AND import_id = %(import)s"
_LOCK = f"SELECT state, total_bytes, received_bytes, content_key FROM mail_import WHERE {_WHERE} FOR UPDATE"
_PUT = """
    INSERT INTO mail_import_chunk (mailbox_id, import_id, start_byte, size_bytes, sealed)
    VALUES (%(mailbox)s, %(import)s, %(start)s, %(size)s, %(sealed)s) RETURNING start_byte"""
_RECEIVED = f"UPDATE mail_import SET received_bytes = %(received)s WHERE {_WHERE} RETURNING import_id"


def start(keys: MailboxKeys, number: int, *, ring: bool = True) -> None:
    """The file is whole: have it read. `ring` False leaves the work to the caller. Raises Refused("unfinished")."""
    if not rows(_START, {"mailbox": keys.mailbox_id, "import": number}):
        raise Refused("unfinished")
    if ring:
        work.add(work.IMPORT, keys.mailbox_id, number)
        jobs.ring_after_commit(jobs.IMPORT)


_START = f"""
    UPDATE mail_import SET state = 'waiting' WHERE {_WHERE} AND state = 'uploading' AND received_bytes = total_bytes
 RETURNING import_id"""


def listed(keys: MailboxKeys, account_id: int) -> list[Import]:
    """The imports that this account brought into this mailbox, newest first."""
    found = rows(_LIST, {"mailbox": keys.mailbox_id, "account": account_id, "hours": UNDO_HOURS})
    return [
        Import(
            number, keys.open_value(name, _place(keys.mailbox_id, number, "name")).decode(), state, Kind(folder), *rest
        )
        for number, name, state, folder, *rest in found
    ]  # fmt: skip


_LIST = """
    SELECT i.import_id, i.name, i.state, i.folder_id, i.total_bytes, i.received_bytes, i.position, i.places, i.taken, i.known,
           i.unreadable, i.too_large, i.no_mail, i.problem, i.brought, i.made_at,
           i.finished_at > now() - make_interval(hours => %(hours)s) AND EXISTS (
               SELECT 1 FROM mail_import_message t WHERE (t.mailbox_id, t.import_id) = (i.mailbox_id, i.import_id))
      FROM mail_import i WHERE i.mailbox_id = %(mailbox)s AND i.account_id = %(account)s ORDER BY i.made_at DESC LIMIT 50"""


def drop(mailbox_id: int, account_id: int, number: int) -> None:
    """Forget an import, with its file; messages that came of it stay. Raises NotFound."""
    work.drop(work.IMPORT, mailbox_id, number)
    values = {"mailbox": mailbox_id, "import": number, "account": account_id}
    if not rows(
        f"DELETE FROM mail_import WHERE {_WHERE} AND account_id = %(account)s RETURNING import_id", values
    ):
        raise NotFound("import")


def clear(mailbox_id: int, account_id: int) -> None:
    """Forget every import of an account's that was read, or given up; what came of them stays."""
    rows(_CLEAR, {"mailbox": mailbox_id, "account": account_id})


_CLEAR = """
    DELETE FROM mail_import WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s AND state IN ('done', 'failed')
 RETURNING import_id"""


def undo(mailbox_id: int, account_id: int, number: int, most: int = 500) -> bool:
    """Delete up to `most` messages that came of an import; whether there are more. Audited. Raises NotFound after a day."""
    values = {"mailbox": mailbox_id, "import": number, "account": account_id, "hours": UNDO_HOURS}
    if not rows(_UNDOABLE, values):
        raise NotFound("import")
    ids = [message_id for (message_id,) in rows(_CAME, values | {"most": most})]
    messages.act(mailbox_id, ids, "trash")
    messages.act(mailbox_id, ids, "delete")
    if len(ids) == most:
        return True
    audit.record("import.undone", f"account:{account_id}", mailbox=mailbox_id, brought=number)
    return False


_UNDOABLE = f"""
    SELECT 1 FROM mail_import WHERE {_WHERE} AND account_id = %(account)s
       AND finished_at > now() - make_interval(hours => %(hours)s) FOR UPDATE"""
_CAME = f"SELECT message_id FROM mail_import_message WHERE {_WHERE} LIMIT %(most)s"


class Pieces(io.RawIOBase):
    """The file of an import, to read anywhere in it, one piece in memory at a time."""

    def __init__(self, keys: MailboxKeys, number: int, wrapped: bytes, size: int) -> None:
        self._key = {"mailbox": keys.mailbox_id, "import": number}
        self._content_key = keys.open_value(wrapped, _place(keys.mailbox_id, number, "content_key"))
        self._size, self._at = size, 0
        self._start, self._piece = 0, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        base = {0: 0, 1: self._at, 2: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read up to the end of a piece."""
        into = memoryview(buffer).cast("B")
        if self._at >= self._size:
            return 0
        if not self._start <= self._at < self._start + len(self._piece):
            [[start, sealed]] = rows(_PIECE, self._key | {"at": self._at})
            place = _place(self._key["mailbox"], self._key["import"], f"chunk|{start}")
            self._start, self._piece = start, unseal(self._content_key, sealed, place, CHUNK)
        begin = self._at - self._start
        found = self._piece[begin : begin + len(into)]
        into[: len(found)] = found
        self._at += len(found)
        return len(found)


_PIECE = f"""
    SELECT start_byte, sealed FROM mail_import_chunk WHERE {_WHERE} AND start_byte <= %(at)s ORDER BY start_byte DESC LIMIT 1"""
