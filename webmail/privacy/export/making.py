"""Making an export: one step a transaction, each of some megabytes. What is killed between two steps goes on with the next."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from webmail import audit
from webmail.db import rows, show_id
from webmail.keys import MailboxKeys, unseal
from webmail.mail.folders import Kind
from webmail.mail.receiving import source_place
from webmail.privacy.export import closing, mbox, zipped
from webmail.privacy.export.parts import Box, Part, Writer, box, entries, listed
from webmail.privacy.export.told import Told

STEP_BYTES: Final = 4 << 20
STEP_MESSAGES: Final = 200
PART_BYTES: Final = 25 << 20
"""A part ends with the message that reaches it: an hour on a line of 64 kbit/s, and what breaks goes on where it broke."""


class _Row(NamedTuple):
    """A message to be exported."""

    message_id: int
    folder_id: int
    received_at: datetime
    direction: str
    unread: bool
    starred: bool
    answered: bool
    forwarded: bool
    thread_id: int | None
    envelope_from: str
    envelope_to: str
    content_key: bytes


@dataclass(frozen=True, slots=True)
class _State:
    """An export as the step finds it."""

    account_id: int
    state: str
    form: str
    folders: tuple[int, ...]
    with_records: bool
    wrapped: bytes
    last_folder: int
    last_at: datetime | None
    last_message: int | None
    made_at: datetime


def step(keys: MailboxKeys, export_id: int) -> bool:
    """Do a little more; whether something is left. Nothing to do for an export that is gone or has ended."""
    key = {"mailbox": keys.mailbox_id, "export": export_id}
    found = rows(_LOCK, key)
    if not found or found[0][1] not in ("waiting", "making"):
        return False
    state = _State(*found[0])
    of = box(keys, export_id, state.wrapped)
    if state.state == "waiting":
        rows(_BEGIN, key)
    batch = list(_next(keys.mailbox_id, state))
    if batch:
        last, count = _write(keys, of, state, batch)
        rows(
            _GO_ON,
            key | {"folder": last.folder_id, "at": last.received_at, "last": last.message_id, "count": count},
        )
        return True
    late = _late(of, state)
    if late:
        _write(keys, of, state, late)
        return True
    for part in listed(of.mailbox_id, of.export_id):
        if part.sha256 is None:
            _end(of, state, Writer(of, part))
    closing.write(keys, of, state.account_id, state.made_at, with_records=state.with_records, form=state.form)
    rows(_FINISH, key)
    audit.record(
        "export.finished",
        "system:worker",
        mailbox=keys.mailbox_id,
        account=state.account_id,
        export=export_id,
    )
    return False


_WHERE = "mailbox_id = %(mailbox)s AND export_id = %(export)s"
_LOCK = f"""
    SELECT account_id, state, form, folders, with_records, content_key, last_folder, last_at, last_message, made_at
      FROM export WHERE {_WHERE} FOR UPDATE"""
_BEGIN = f"""
    UPDATE export SET state = 'making', total_messages = (
        SELECT count(*) FROM message m WHERE m.mailbox_id = export.mailbox_id AND m.folder_id = ANY(export.folders)
           AND m.state IN ('filed', 'unreadable')) WHERE {_WHERE} RETURNING export_id"""
_GO_ON = f"""
    UPDATE export SET last_folder = %(folder)s, last_at = %(at)s, last_message = %(last)s, done_messages = done_messages + %(count)s
     WHERE {_WHERE} RETURNING export_id"""
_FINISH = f"UPDATE export SET state = 'ready', finished_at = now() WHERE {_WHERE} RETURNING export_id"


def fail(mailbox_id: int, export_id: int, problem: str) -> None:
    """Give an export up, with a code that says why."""
    rows(_FAIL, {"mailbox": mailbox_id, "export": export_id, "problem": problem})


_FAIL = f"""
    UPDATE export SET state = 'failed', finished_at = now(), problem = %(problem)s
     WHERE {_WHERE} AND state IN ('waiting', 'making') RETURNING export_id"""


def _next(mailbox_id: int, state: _State) -> Iterator[_Row]:
    """The next messages: folder by folder, each from its oldest on."""
    for folder_id in sorted(state.folders):
        if folder_id < state.last_folder:
            continue
        goes_on = folder_id == state.last_folder and state.last_at is not None
        values: dict[str, Any] = {"mailbox": mailbox_id, "folder": folder_id, "limit": STEP_MESSAGES}
        if goes_on:
            values |= {"at": state.last_at, "last": state.last_message}
        found = rows(_AFTER if goes_on else _FIRST, values)
        if found:
            yield from map(_Row._make, found)
            return


# `state <> 'received'` is the condition of the index that has them in this order.
_COLUMNS = """
    message_id, folder_id, received_at, direction, unread, starred, answered, forwarded, thread_id, envelope_from,
    envelope_to, content_key"""
_SELECT = f"""
    SELECT {_COLUMNS} FROM message WHERE mailbox_id = %(mailbox)s AND folder_id = %(folder)s
       AND state <> 'received' AND state <> 'draft'"""
_MOVED = f"""
    SELECT {_COLUMNS} FROM message JOIN message_source USING (mailbox_id, message_id)
     WHERE mailbox_id = %(mailbox)s AND folder_id = ANY(%(folders)s) AND moved_at >= %(since)s AND state IN ('filed', 'unreadable')
     ORDER BY folder_id, received_at, message_id"""
_ORDER = "ORDER BY received_at, message_id LIMIT %(limit)s"
_FIRST = f"{_SELECT} {_ORDER}"
_AFTER = f"{_SELECT} AND (received_at, message_id) > (%(at)s, %(last)s) {_ORDER}"


def _late(of: Box, state: _State) -> list[_Row]:
    """Messages that were moved meanwhile, out of a folder that was still to come into one that was done."""
    values = {"mailbox": of.mailbox_id, "folders": list(state.folders), "since": state.made_at}
    moved = [_Row(*row) for row in rows(_MOVED, values)]
    if not moved:
        return []
    there = {entry[0] for part in listed(of.mailbox_id, of.export_id) for entry in entries(of, part.number)}
    return [row for row in moved if show_id(row.message_id) not in there][:STEP_MESSAGES]


def _write(keys: MailboxKeys, of: Box, state: _State, batch: list[_Row]) -> tuple[_Row, int]:
    """Write as many of them as a step takes; the last one, and how many."""
    writer: Writer | None = None
    open_part = next((part for part in listed(of.mailbox_id, of.export_id) if part.sha256 is None), None)
    if open_part is not None:
        writer = Writer(of, open_part)
    read = count = 0
    for row in batch:
        month = row.received_at.astimezone(UTC).date().replace(day=1)
        if writer is not None and _is_full(writer, row.folder_id, month):
            _end(of, state, writer)
            writer = None
        if writer is None:
            writer = Writer.begin(of, _name(of, state, row.folder_id, month), row.folder_id, month)
        raw, count = _source(keys, row), count + 1
        if raw is not None:
            _put(writer, state.form, row, raw)
            read += len(raw)
        if read >= STEP_BYTES:
            break
    assert writer is not None
    writer.pause()
    return batch[count - 1], count


def _is_full(writer: Writer, folder_id: int, month: date) -> bool:
    part = writer.part
    is_other = (part.folder_id, part.month) != (folder_id, month)
    return is_other or writer.size >= PART_BYTES or writer.messages >= zipped.MOST_ENTRIES


def _name(of: Box, state: _State, folder_id: int, month: date) -> str:
    """`inbox-2026-11.mbox`, then `inbox-2026-11-2.mbox`."""
    before = [
        part
        for part in listed(of.mailbox_id, of.export_id)
        if part.folder_id == folder_id and part.month == month
    ]
    more = f"-{len(before) + 1}" if before else ""
    return f"{Kind(folder_id).slug}-{month:%Y-%m}{more}.{state.form}"


def _source(keys: MailboxKeys, row: _Row) -> bytes | None:
    found = rows(_SOURCE, {"mailbox": keys.mailbox_id, "message": row.message_id})
    if not found:
        return None
    key = keys.open_content_key(row.content_key, row.message_id)
    return unseal(key, found[0][0], source_place(keys.mailbox_id, row.message_id))


_SOURCE = "SELECT sealed FROM message_source WHERE mailbox_id = %(mailbox)s AND message_id = %(message)s"


def _put(writer: Writer, form: str, row: _Row, raw: bytes) -> None:
    told = _told(row, raw)
    ident = show_id(row.message_id)
    if form == "mbox":
        writer.write(mbox.entry(told, raw))
        writer.note((ident, told.line(), None))
        return
    name = f"{told.folder}/{row.received_at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{ident}.eml"
    member, data = zipped.member(name, row.received_at, raw, writer.size, told.line())
    writer.write(data)
    facts = (name, member.crc, member.packed, member.size, member.offset)
    writer.note((ident, told.line(), facts))


def _told(row: _Row, raw: bytes) -> Told:
    return Told(
        folder=Kind(row.folder_id).slug,
        received_at=row.received_at,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        way=row.direction,
        is_read=not row.unread,
        is_starred=row.starred,
        is_answered=row.answered,
        is_forwarded=row.forwarded,
        thread=show_id(row.thread_id) if row.thread_id is not None else "",
        sender=row.envelope_from,
        recipient=row.envelope_to,
    )


def _end(of: Box, state: _State, writer: Writer) -> None:
    """End a part of messages; a zip with the list of what is in it."""
    writer.pause()
    if state.form == "zip":
        for piece in zipped.directory(_members(of, writer.part), writer.size):
            writer.write(piece)
    writer.finish()


def _members(of: Box, part: Part) -> Iterator[zipped.Member]:
    for _ident, line, facts in entries(of, part.number):
        name, crc, packed, size, offset = facts
        yield zipped.Member(name, _day(line), crc, packed, size, offset, line)


def _day(line: Any) -> datetime:
    stamp = str(line).partition("received=")[2].partition(";")[0]
    return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
