"""Files that come in pieces, because the line breaks: each piece is sealed as it arrives, and one that comes twice is one.

A browser names a file by what it knows of it (name, size, when it was changed); asked again, by the same or another page, the
answer is how much of it is here. Once it is whole it becomes an attachment of the draft, and its pieces are destroyed.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_if_new

from webmail.db import db
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place, seal, unseal
from webmail.mail import messages
from webmail.mail.mailboxes import refuse_when_full
from webmail.sending import drafts
from webmail.sending.drafts import Upload
from webmail.sending.writing_models import DraftChunk, DraftUpload

KEPT_FOR = timedelta(days=2)
"""Pieces of a file that never became whole are destroyed after this time, when the mailbox's next upload begins."""
MAX_PIECE = 2 << 20


@dataclass(frozen=True, slots=True)
class Told:
    """A file as the browser describes it. `mark` tells two files of one name and size apart: when it was changed."""

    name: str
    content_type: str
    total: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a file has come, in bytes; and whether it is attached."""

    offset: int
    is_attached: bool


def take(
    keys: MailboxKeys, message_id: int, told: Told, offset: int, piece: bytes, limit_bytes: int
) -> Reached:
    """Take the piece of a file that begins at `offset`, and say how much is here; an empty piece only asks.

    A piece that is here already, or that would leave a gap, changes nothing. Raises NotFound where there is no such draft, and
    Refused for what may not be attached: before its first byte is taken, unless other files came between.
    """
    # One piece of a draft at a time: a browser that gave up on an answer may send again while the first is still at work.
    if drafts.lock(keys.mailbox_id, message_id) is None:
        raise NotFound("draft")
    token = keys.blind(f"upload\0{message_id}\0{told.name}\0{told.total}\0{told.mark}")
    row = _row(keys, message_id, token)
    if row is None:
        _begin(keys, message_id, token, told, limit_bytes)
        row = (0, None)
    received, number = row
    if number is not None:
        return Reached(told.total, is_attached=True)
    if offset == received and piece:
        if len(piece) > MAX_PIECE or received + len(piece) > told.total:
            raise Refused("more of the file came than was said")
        received = _keep(keys, message_id, token, received, piece)
    if received == told.total:
        _attach(keys, message_id, token, told, limit_bytes)
    return Reached(received, is_attached=received == told.total)


def _row(keys: MailboxKeys, message_id: int, token: bytes) -> tuple[int, int | None] | None:
    query = select(DraftUpload.received_bytes, DraftUpload.number).where(*_mine(keys, message_id, token))
    row = db.session.execute(query).first()
    return None if row is None else (row.received_bytes, row.number)


def _begin(keys: MailboxKeys, message_id: int, token: bytes, told: Told, limit_bytes: int) -> None:
    old = (DraftUpload.mailbox_id == keys.mailbox_id, DraftUpload.changed_at < func.now() - KEPT_FOR)
    stale = delete(DraftUpload).where(*old, DraftUpload.number.is_(None))
    db.session.execute(stale.execution_options(synchronize_session=False))
    on_the_way = select(func.count(), func.coalesce(func.sum(DraftUpload.total_bytes), 0)).where(
        DraftUpload.mailbox_id == keys.mailbox_id,
        DraftUpload.message_id == message_id,
        DraftUpload.number.is_(None),
    )
    count, total = db.session.execute(on_the_way).one()
    there = drafts.load(keys, message_id).attachments
    total = int(total) + sum(item.size_bytes for item in there) + told.total
    drafts.refuse_too_much(len(there) + count + 1, total, limit_bytes)
    refuse_when_full(keys.mailbox_id, told.total)
    row = {
        "mailbox_id": keys.mailbox_id,
        "message_id": message_id,
        "upload": token,
        "total_bytes": told.total,
    }
    db.session.execute(insert_if_new(DraftUpload).values(**row).on_conflict_do_nothing())


def _keep(keys: MailboxKeys, message_id: int, token: bytes, start: int, piece: bytes) -> int:
    row = {
        "mailbox_id": keys.mailbox_id,
        "message_id": message_id,
        "upload": token,
        "start_byte": start,
        "sealed": _seal(keys, message_id, token, str(start), piece),
    }
    db.session.execute(insert(DraftChunk), row)
    _note(keys, message_id, token, received_bytes=start + len(piece), changed_at=func.now())
    drafts.measure(keys, message_id)
    return start + len(piece)


def _attach(keys: MailboxKeys, message_id: int, token: bytes, told: Told, limit_bytes: int) -> None:
    """Make an attachment of the pieces, and destroy them."""
    mine = (
        DraftChunk.mailbox_id == keys.mailbox_id,
        DraftChunk.message_id == message_id,
        DraftChunk.upload == token,
    )
    content_key = messages.content_key(keys, message_id)
    query = select(DraftChunk.start_byte, DraftChunk.sealed).where(*mine).order_by(DraftChunk.start_byte)
    content = b"".join(
        unseal(content_key, row.sealed, _place(keys, message_id, token, str(row.start_byte)))
        for row in db.session.execute(query)
    )
    db.session.execute(delete(DraftChunk).where(*mine).execution_options(synchronize_session=False))
    _note(keys, message_id, token, received_bytes=0)  # or its pieces would count beside the file
    [number] = drafts.attach(keys, message_id, [Upload(told.name, told.content_type, content)], limit_bytes)
    _note(keys, message_id, token, received_bytes=told.total, number=number)


def _note(keys: MailboxKeys, message_id: int, token: bytes, **values: object) -> None:
    statement = update(DraftUpload).where(*_mine(keys, message_id, token)).values(**values)
    db.session.execute(statement.execution_options(synchronize_session=False))


def _mine(keys: MailboxKeys, message_id: int, token: bytes) -> tuple[ColumnElement[bool], ...]:
    return (
        DraftUpload.mailbox_id == keys.mailbox_id,
        DraftUpload.message_id == message_id,
        DraftUpload.upload == token,
    )


def _place(keys: MailboxKeys, message_id: int, token: bytes, field: str) -> Place:
    return Place("draft_upload", keys.mailbox_id, message_id, f"{token.hex()}.{field}")


def _seal(keys: MailboxKeys, message_id: int, token: bytes, field: str, value: bytes) -> bytes:
    content_key = messages.content_key(keys, message_id)
    return seal(content_key, value, _place(keys, message_id, token, field))
