"""Messages of one mailbox: listing, opening, and what a person does with them. Every verb names the mailbox in its query."""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, SQLColumnExpression, delete, func, or_, select, tuple_, update

from webmail.db import db
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place, seal, unseal
from webmail.mail import threads
from webmail.mail.folders import Kind
from webmail.mail.models import Mailbox, Message, MessageIndex, MessageSource
from webmail.mail.receiving import source_place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# --- what a list shows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """The sealed part of a list row."""

    subject: str
    sender: tuple[str, str]
    """Name and address of the first author."""
    recipients: tuple[tuple[str, str], ...]
    """The first three recipients."""
    snippet: str

    def seal(self, content_key: bytes, mailbox_id: int, message_id: int) -> bytes:
        """The summary sealed for its row."""
        return seal(
            content_key,
            json.dumps(asdict(self), ensure_ascii=False).encode(),
            _summary_place(mailbox_id, message_id),
        )


def _summary_place(mailbox_id: int, message_id: int) -> Place:
    return Place("message", mailbox_id, message_id, "summary")


@dataclass(frozen=True, slots=True)
class Line:
    """One message in a list: readable metadata and its opened summary (None where it could not be parsed)."""

    message_id: int
    folder: Kind
    state: str
    direction: str
    received_at: datetime
    size_bytes: int
    unread: bool
    starred: bool
    answered: bool
    attachments: int
    thread_id: int | None
    thread_count: int
    summary: Summary | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list, newest first: after (older than) or before (newer than) one message."""

    at: datetime
    message_id: int
    newer: bool = False

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        packed = (
            micros.to_bytes(8, "big", signed=True) + self.message_id.to_bytes(6, "big") + bytes([self.newer])
        )
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def parse(cls, value: str) -> "Cursor":
        """The cursor in a URL. Raises NotFound for anything that str() does not make."""
        try:
            packed = base64.b64decode(value, altchars=b"-_", validate=True)
            if len(packed) != 15:
                raise NotFound("cursor")
            at = _EPOCH + timedelta(microseconds=int.from_bytes(packed[:8], "big", signed=True))
        except (binascii.Error, ValueError, OverflowError):
            raise NotFound("cursor") from None
        return cls(at, int.from_bytes(packed[8:14], "big"), bool(packed[14]))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, newest first, with cursors to the pages on both sides."""

    lines: list[Line]
    older: Cursor | None
    newer: Cursor | None


def in_folder(keys: MailboxKeys, folder: Kind, cursor: Cursor | None, limit: int) -> Page:
    """One page of a folder, by keyset."""
    return _page(keys, (Message.folder_id == int(folder),), cursor, limit, searched=False)


def found(
    keys: MailboxKeys, conditions: Sequence[SQLColumnExpression[bool]], cursor: Cursor | None, limit: int
) -> Page:
    """One page of a search's hits. Junk and trash are left out unless the conditions name a folder."""
    return _page(
        keys,
        (*conditions, Message.folder_id.not_in([int(Kind.JUNK), int(Kind.TRASH)])),
        cursor,
        limit,
        searched=True,
    )


def conversation(keys: MailboxKeys, thread_id: int, limit: int = 100) -> list[Line]:
    """The newest `limit` messages of a conversation, oldest first; drafts, junk and trash are not part of it."""
    query = (
        _SELECT.where(
            Message.mailbox_id == keys.mailbox_id,
            Message.thread_id == thread_id,
            Message.state.in_(["filed", "unreadable"]),
        )
        .where(Message.folder_id.not_in([int(Kind.JUNK), int(Kind.TRASH)]))
        .order_by(Message.received_at.desc(), Message.message_id.desc())
        .limit(limit)
    )
    return [_line(keys, row) for row in reversed(db.session.execute(query).all())]


_COLUMNS = (
    Message.message_id, Message.folder_id, Message.state, Message.direction, Message.received_at, Message.size_bytes,
    Message.unread, Message.starred, Message.answered, Message.attachments, Message.thread_id, Message.content_key, Message.summary,
)  # fmt: skip


def _select() -> Select[*tuple[Any, ...]]:
    other = Message.__table__.alias("other")
    count = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.mailbox_id == Message.mailbox_id,
            other.c.thread_id == Message.thread_id,
            other.c.state != "received",
            other.c.folder_id.not_in([int(Kind.DRAFTS), int(Kind.JUNK), int(Kind.TRASH)]),
        )
        .correlate(Message)
        .scalar_subquery()
    )
    return select(*_COLUMNS, count.label("thread_count"))


_SELECT = _select()  # building it costs as much as running it


def _page(
    keys: MailboxKeys,
    conditions: Iterable[SQLColumnExpression[bool]],
    cursor: Cursor | None,
    limit: int,
    *,
    searched: bool,
) -> Page:
    query = _SELECT.where(Message.mailbox_id == keys.mailbox_id, Message.state != "received", *conditions)
    if searched:
        mine = (MessageIndex.mailbox_id == keys.mailbox_id) & (MessageIndex.message_id == Message.message_id)
        query = query.join(MessageIndex, mine)
    place = tuple_(Message.received_at, Message.message_id)
    upwards = cursor is not None and cursor.newer
    if cursor is not None:
        edge = tuple_(cursor.at, cursor.message_id)
        query = query.where(place > edge if upwards else place < edge)
    order = (
        (Message.received_at, Message.message_id)
        if upwards
        else (Message.received_at.desc(), Message.message_id.desc())
    )
    rows = db.session.execute(query.order_by(*order).limit(limit + 1)).all()
    more, rows = len(rows) > limit, rows[:limit]
    lines = [_line(keys, row) for row in (reversed(rows) if upwards else rows)]
    if not lines:
        return Page([], None, None)
    newer = (
        Cursor(lines[0].received_at, lines[0].message_id, newer=True)
        if (more if upwards else cursor is not None)
        else None
    )
    older = Cursor(lines[-1].received_at, lines[-1].message_id) if (upwards or more) else None
    return Page(lines, older, newer)


def _line(keys: MailboxKeys, row: Row[*tuple[Any, ...]]) -> Line:
    summary = None
    if row.summary is not None:
        content_key = keys.open_content_key(row.content_key, row.message_id)
        told = json.loads(unseal(content_key, row.summary, _summary_place(keys.mailbox_id, row.message_id)))
        people = tuple((name, email) for name, email in told["recipients"])
        summary = Summary(told["subject"], (told["sender"][0], told["sender"][1]), people, told["snippet"])
    return Line(
        row.message_id, Kind(row.folder_id), row.state, row.direction, row.received_at, row.size_bytes, row.unread, row.starred,
        row.answered, row.attachments, row.thread_id, row.thread_count, summary,
    )  # fmt: skip


# --- one message -------------------------------------------------------------------------------------------------------


def line(keys: MailboxKeys, message_id: int) -> Line:
    """One message of this mailbox. Raises NotFound, for a stranger's as for one that never was."""
    query = _SELECT.where(
        Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id, Message.state != "received"
    )
    row = db.session.execute(query).first()
    if row is None:
        raise NotFound("message")
    return _line(keys, row)


def content_key(keys: MailboxKeys, message_id: int) -> bytes:
    """The opened content key of a message of this mailbox. Raises NotFound."""
    query = select(Message.content_key).where(
        Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id
    )
    wrapped = db.session.execute(query).scalar()
    if wrapped is None:
        raise NotFound("message")
    return keys.open_content_key(wrapped, message_id)


def source(keys: MailboxKeys, message_id: int) -> bytes:
    """The message as it came over the wire. Raises NotFound."""
    query = select(MessageSource.sealed).where(
        MessageSource.mailbox_id == keys.mailbox_id, MessageSource.message_id == message_id
    )
    sealed = db.session.execute(query).scalar()
    if sealed is None:
        raise NotFound("message")
    return unseal(content_key(keys, message_id), sealed, source_place(keys.mailbox_id, message_id))


# --- acts ----------------------------------------------------------------------------------------------------------------

_FLAGS: dict[str, tuple[str, bool, str]] = {
    "read": ("unread", False, "unread"),
    "unread": ("unread", True, "read"),
    "star": ("starred", True, "unstar"),
    "unstar": ("starred", False, "star"),
}
_MOVES = {"archive": Kind.ARCHIVE, "trash": Kind.TRASH, "junk": Kind.JUNK, "inbox": Kind.INBOX}
ACTIONS = (*_FLAGS, *_MOVES, "back", "delete")


@dataclass(frozen=True, slots=True)
class Done:
    """What an act changed, and the act that undoes it for the same messages (None where nothing can)."""

    action: str
    message_ids: tuple[int, ...]
    undo: str | None


def act(mailbox_id: int, message_ids: Sequence[int], action: str) -> Done:
    """Do `action` to those of `message_ids` that are in this mailbox; what it did not change is not in the answer.

    `back` moves messages to the folder they came from. `delete` destroys them, but only drafts, and what lies in trash or junk.
    Raises Refused for an unknown action.
    """
    if action in _FLAGS:
        column, value, undo = _FLAGS[action]
        changed = _update(mailbox_id, message_ids, getattr(Message, column) != value, {column: value})
        return Done(action, changed, undo)
    if action in _MOVES:
        target = int(_MOVES[action])
        values = {"came_from_folder_id": Message.folder_id, "folder_id": target}
        return Done(action, _update(mailbox_id, message_ids, Message.folder_id != target, values), "back")
    if action == "back":
        values = {"folder_id": Message.came_from_folder_id, "came_from_folder_id": None}
        return Done(
            action, _update(mailbox_id, message_ids, Message.came_from_folder_id.is_not(None), values), None
        )
    if action == "delete":
        return Done(action, _destroy(mailbox_id, message_ids), None)
    raise Refused(f"there is no action {action!r}")


def _update(
    mailbox_id: int,
    message_ids: Sequence[int],
    condition: SQLColumnExpression[bool],
    values: dict[str, object],
) -> tuple[int, ...]:
    statement = (
        update(Message)
        .where(
            Message.mailbox_id == mailbox_id,
            Message.message_id.in_(message_ids),
            Message.state != "received",
            condition,
        )
        .values(**values)
        .returning(Message.message_id)
        .execution_options(synchronize_session=False)
    )
    return tuple(db.session.execute(statement).scalars())


def _destroy(mailbox_id: int, message_ids: Sequence[int]) -> tuple[int, ...]:
    gone = (
        delete(Message)
        .where(
            Message.mailbox_id == mailbox_id,
            Message.message_id.in_(message_ids),
            or_(
                Message.folder_id.in_([int(Kind.TRASH), int(Kind.JUNK), int(Kind.DRAFTS)]),
                Message.state == "draft",
            ),
        )
        .returning(Message.message_id, Message.thread_id)
        .execution_options(synchronize_session=False)
    )
    rows = db.session.execute(gone).all()
    threads.forget_empty(mailbox_id, sorted({row.thread_id for row in rows if row.thread_id is not None}))
    return tuple(row.message_id for row in rows)


def change_counter(mailbox_id: int) -> int:
    """A number that grows with every change of the mailbox's messages: lists are as fresh as it."""
    return db.session.execute(
        select(Mailbox.change_counter).where(Mailbox.mailbox_id == mailbox_id)
    ).scalar_one()
