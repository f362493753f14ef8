"""Lists that show one line for a conversation: the newest of its messages in the folder stands for the others there."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, exists, func, literal_column, select, tuple_
from sqlalchemy.orm import aliased

from webmail.db import rows
from webmail.mail.folders import Kind
from webmail.mail.models import Message

GROUPED = frozenset({Kind.INBOX, Kind.ARCHIVE})
"""Folders whose lists may be by conversation. In Sent each message has a fate of its own, and junk belongs to no conversation."""
MAX_MEMBERS = 500

_OTHER = aliased(Message, name="other_in_thread")
_BESIDE = and_(
    _OTHER.mailbox_id == Message.mailbox_id,
    _OTHER.thread_id == Message.thread_id,
    _OTHER.folder_id == Message.folder_id,
    _OTHER.state != literal_column("'received'", Text),
)


def is_newest() -> ColumnElement[bool]:
    """True for a message that stands for its conversation in its folder, and for one that belongs to none."""
    newer = tuple_(_OTHER.received_at, _OTHER.message_id) > tuple_(Message.received_at, Message.message_id)
    return ~exists().where(_BESIDE, newer).correlate(Message)


def has(flag: str) -> ColumnElement[bool]:
    """Whether the message or another of its conversation in its folder has a flag: `unread` or `starred`.

    An aggregate, and not EXISTS: that one beside an OR is looked up for the whole table at once, all mailboxes of it.
    """
    anywhere = select(func.bool_or(getattr(_OTHER, flag))).where(_BESIDE).correlate(Message).scalar_subquery()
    return func.coalesce(anywhere, getattr(Message, flag)).label(flag)


def members(mailbox_id: int, message_ids: Sequence[int]) -> tuple[int, ...]:
    """These messages, and those of their conversations that lie in the same folder; at most 500."""
    asked = {"mailbox": mailbox_id, "ids": list(message_ids), "limit": MAX_MEMBERS}
    found: list[tuple[Any, ...]] = rows(_MEMBERS, asked)
    return tuple(row[0] for row in found)


_MEMBERS = """
    SELECT message_id FROM message
     WHERE mailbox_id = %(mailbox)s AND message_id = ANY(%(ids)s) AND state <> 'received'
     UNION
    SELECT other.message_id
      FROM message m JOIN message other USING (mailbox_id, thread_id, folder_id)
     WHERE mailbox_id = %(mailbox)s AND m.message_id = ANY(%(ids)s) AND other.state <> 'received'
     LIMIT %(limit)s"""
