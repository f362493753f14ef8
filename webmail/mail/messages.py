"""Messages of one mailbox: listing, opening, and what a person does with them. Every verb names the mailbox in its query."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    SQLColumnExpression,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from webmail.db import db, fixed, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, unseal
from webmail.mail import conversations, threads
from webmail.mail.folders import Kind
from webmail.mail.list_rows import Cursor as Cursor
from webmail.mail.list_rows import Summary as Summary
from webmail.mail.list_rows import summary_place
from webmail.mail.models import Message, MessageIndex, MessageView
from webmail.mail.receiving import source_place

# --- what a list shows ---------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One message in a list: readable metadata and its opened summary (None where it could not be parsed).

    Fifty are made for each page, and a frozen dataclass takes three times as long.
    """

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
class Page:
    """A page of a list, newest first, with cursors to the pages on both sides."""

    lines: list[Line]
    older: Cursor | None
    newer: Cursor | None


def in_folder(
    keys: MailboxKeys, folder: Kind, cursor: Cursor | None, limit: int, *, grouped: bool = False
) -> Page:
    """One page of a folder, by keyset; `grouped`: one line for each conversation."""
    values = {"mailbox": keys.mailbox_id} | _edge(cursor)
    return _page(keys, rows(_folder_sql(folder, _way(cursor), limit, grouped), values), cursor, limit)


def found(
    keys: MailboxKeys, conditions: Sequence[SQLColumnExpression[bool]], cursor: Cursor | None, limit: int
) -> Page:
    """One page of a search's hits. Junk and trash are left out unless the conditions name a folder."""
    mine = (MessageIndex.mailbox_id == keys.mailbox_id) & (MessageIndex.message_id == Message.message_id)
    elsewhere = Message.folder_id.not_in([int(Kind.JUNK), int(Kind.TRASH)])
    query = _SELECT.join(MessageIndex, mine).where(_MINE, Message.state != _RECEIVED, elsewhere, *conditions)
    connection = db.session.connection()
    # What was typed decides how it is best looked for: this one is planned for its values.
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
    values = {"mailbox": keys.mailbox_id} | _edge(cursor)
    hits = connection.execute(_order(query, _way(cursor)).limit(limit + 1), values).all()
    return _page(keys, hits, cursor, limit)


def _edge(cursor: Cursor | None) -> dict[str, Any]:
    return {} if cursor is None else {"at": cursor.at, "id": cursor.message_id}


def conversation(keys: MailboxKeys, thread_id: int, limit: int = 100) -> list[Line]:
    """The newest `limit` messages of a conversation, oldest first; drafts, junk and trash are not part of it."""
    query = (
        _SELECT.where(
            Message.mailbox_id == keys.mailbox_id,
            Message.thread_id == thread_id,
            Message.state != _RECEIVED,
            Message.state != "draft",
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

_WRAPPED = _COLUMNS.index(Message.content_key)


_RECEIVED = literal_column("'received'", Text)
"""Written into the statement and not given with it, so that a plan that is kept may use the indexes on what is shown."""


def _inline(*kinds: Kind) -> list[ColumnElement[int]]:
    return [literal_column(str(int(kind)), BigInteger) for kind in kinds]


def _select(**instead: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Everything a line is made of; `instead` has what stands for columns of those names."""
    other = Message.__table__.alias("other")
    count = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.mailbox_id == Message.mailbox_id,
            other.c.thread_id == Message.thread_id,
            other.c.state != _RECEIVED,
            other.c.folder_id.not_in(_inline(Kind.DRAFTS, Kind.JUNK, Kind.TRASH)),
        )
        .correlate(Message)
        .scalar_subquery()
    )
    columns = [instead.get(column.key, column) for column in _COLUMNS]
    return select(*columns, count.label("thread_count"))


_SELECT = _select()  # building it costs as much as running it


def _order(query: Select[Any], way: str) -> Select[Any]:
    """`way`: "first" page of a list, the one "after" (older than) a place, or the one "before" (newer than) it."""
    place = tuple_(Message.received_at, Message.message_id)
    edge = tuple_(bindparam("at", type_=DateTime(timezone=True)), bindparam("id", type_=BigInteger))
    match way:
        case "before":
            return query.where(place > edge).order_by(Message.received_at, Message.message_id)
        case "after":
            query = query.where(place < edge)
    return query.order_by(Message.received_at.desc(), Message.message_id.desc())


_MINE = Message.mailbox_id == bindparam("mailbox", type_=BigInteger)


def _way(cursor: Cursor | None) -> str:
    return "first" if cursor is None else "before" if cursor.newer else "after"


@lru_cache(maxsize=64)
def _folder_sql(folder: Kind, way: str, limit: int, grouped: bool) -> str:
    """Folder and limit stand in the text: with them given, a kept plan could not know that an index has the first rows at once."""
    query = _SELECT
    if grouped:
        query = _select(unread=conversations.has("unread"), starred=conversations.has("starred"))
        query = query.where(conversations.is_newest())
    query = query.where(_MINE, Message.state != _RECEIVED, Message.folder_id.in_(_inline(folder)))
    return fixed(_order(query, way).limit(literal_column(str(limit + 1), BigInteger)))


_THIS = (_MINE, Message.message_id == bindparam("message", type_=BigInteger), Message.state != _RECEIVED)
_ONE = fixed(_SELECT.where(*_THIS))
_ITS_VIEW = (MessageView.mailbox_id == Message.mailbox_id) & (MessageView.message_id == Message.message_id)
_ONE_WITH_VIEW = fixed(
    _SELECT.add_columns(MessageView.version, MessageView.sealed)
    .outerjoin(MessageView, _ITS_VIEW)
    .where(*_THIS)
)


def _page(keys: MailboxKeys, hits: Sequence[Sequence[Any]], cursor: Cursor | None, limit: int) -> Page:
    upwards = cursor is not None and cursor.newer
    more, hits = len(hits) > limit, hits[:limit]
    lines = [_line(keys, row) for row in (reversed(hits) if upwards else hits)]
    if not lines:
        return Page([], None, None)
    newer = (
        Cursor(lines[0].received_at, lines[0].message_id, newer=True)
        if (more if upwards else cursor is not None)
        else None
    )
    older = Cursor(lines[-1].received_at, lines[-1].message_id) if (upwards or more) else None
    return Page(lines, older, newer)


def _line(keys: MailboxKeys, row: Sequence[Any]) -> Line:
    (
        message_id, folder_id, state, direction, received_at, size_bytes, unread, starred, answered, attachments, thread_id,
        wrapped, sealed, count,
    ) = row  # fmt: skip
    summary = None
    if sealed is not None:
        place = summary_place(keys.mailbox_id, message_id)
        told = json.loads(unseal(keys.open_content_key(wrapped, message_id), sealed, place).decode())
        people = tuple([(name, email) for name, email in told["recipients"]])
        summary = Summary(told["subject"], (told["sender"][0], told["sender"][1]), people, told["snippet"])
    return Line(
        message_id, Kind(folder_id), state, direction, received_at, size_bytes, unread, starred, answered, attachments, thread_id,
        count, summary,
    )  # fmt: skip


# --- one message -------------------------------------------------------------------------------------------------------


def line(keys: MailboxKeys, message_id: int) -> Line:
    """One message of this mailbox. Raises NotFound, for a stranger's as for one that never was."""
    found = rows(_ONE, {"mailbox": keys.mailbox_id, "message": message_id})
    if not found:
        raise NotFound("message")
    return _line(keys, found[0])


class Kept(NamedTuple):
    """What is kept of a message's reading, still sealed, and the key that opens it, wrapped."""

    version: int
    sealed: bytes
    wrapped: bytes


def line_and_view(keys: MailboxKeys, message_id: int) -> tuple[Line, Kept | None]:
    """One message, and what is kept of its reading, by one look-up. Raises NotFound."""
    found = rows(_ONE_WITH_VIEW, {"mailbox": keys.mailbox_id, "message": message_id})
    if not found:
        raise NotFound("message")
    *row, version, sealed = found[0]
    kept = Kept(version, sealed, row[_WRAPPED]) if sealed is not None else None
    return _line(keys, row), kept


def content_key(keys: MailboxKeys, message_id: int) -> bytes:
    """The opened content key of a message of this mailbox. Raises NotFound."""
    found = rows(_CONTENT_KEY, {"mailbox": keys.mailbox_id, "message": message_id})
    if not found:
        raise NotFound("message")
    return keys.open_content_key(found[0][0], message_id)


_CONTENT_KEY = "SELECT content_key FROM message WHERE mailbox_id = %(mailbox)s AND message_id = %(message)s"


def source(keys: MailboxKeys, message_id: int) -> bytes:
    """The message as it came over the wire. Raises NotFound."""
    return _source(keys, message_id)[0]


def readable_source(keys: MailboxKeys, message_id: int) -> bytes:
    """The same, for a parser. Raises NotFound for a message that was set aside as unreadable, too: it killed those who tried."""
    raw, state = _source(keys, message_id)
    if state == "unreadable":
        raise NotFound("message")
    return raw


def _source(keys: MailboxKeys, message_id: int) -> tuple[bytes, str]:
    found = rows(_SOURCE, {"mailbox": keys.mailbox_id, "message": message_id})
    if not found:
        raise NotFound("message")
    sealed, wrapped, state = found[0]
    return opened_source(keys, message_id, wrapped, sealed), state


def opened_source(keys: MailboxKeys, message_id: int, content_key: bytes, sealed: bytes) -> bytes:
    """The message as it came over the wire, from its sealed source and wrapped content key. Raises KeyTrouble."""
    key = keys.open_content_key(content_key, message_id)
    return unseal(key, sealed, source_place(keys.mailbox_id, message_id))


_SOURCE = """
    SELECT s.sealed, m.content_key, m.state
      FROM message_source s JOIN message m USING (mailbox_id, message_id)
     WHERE s.mailbox_id = %(mailbox)s AND s.message_id = %(message)s"""


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
    hits = db.session.execute(gone).all()
    threads.forget_empty(mailbox_id, sorted({row.thread_id for row in hits if row.thread_id is not None}))
    return tuple(row.message_id for row in hits)


def change_counter(mailbox_id: int) -> int:
    """A number that grows with every change of the mailbox's messages: lists are as fresh as it."""
    [[counter]] = rows(_COUNTER, {"mailbox": mailbox_id})
    return int(counter)


_COUNTER = "SELECT change_counter FROM mailbox WHERE mailbox_id = %(mailbox)s"
