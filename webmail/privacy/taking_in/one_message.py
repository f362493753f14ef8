"""One message of an import: known by its bytes, or put away as it is and then filed as mail that arrives is."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from webmail.db import db, new_id, rows
from webmail.errors import KeyTrouble
from webmail.keys import MailboxKeys, new_content_key, seal, unseal
from webmail.mail import correspondents, filing, mailboxes, threads
from webmail.mail import reading as letters
from webmail.mail.folders import Kind
from webmail.mail.models import Message, MessageSource
from webmail.mail.receiving import source_place
from webmail.mail.references import thread_keys
from webmail.privacy.taking_in.drafting import Known
from webmail.privacy.taking_in.models import MailImportMessage
from webmail.privacy.taking_in.reading import Item

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Step:
    """What a step has done so far."""

    number: int
    folder: Kind
    counts: Counter[str] = field(default_factory=Counter)
    brought: Counter[str] = field(default_factory=Counter)
    known: dict[int, frozenset[bytes]] = field(default_factory=dict)
    drafts: Known | None = None


def take(keys: MailboxKeys, done: Step, item: Item, *, is_poison: bool) -> None:
    """File one message, or count why not. Raises Refused when the mailbox is full."""
    if item.raw is None:
        if item.problem:
            done.counts[item.problem.replace("-", "_")] += 1
        return
    named = item.told.folder if item.told else item.folder
    folder = Kind[named.upper()] if named else done.folder
    if _is_here(keys, done, item, item.raw, folder):
        done.counts["known"] += 1
        return
    mailboxes.refuse_when_full(keys.mailbox_id, len(item.raw))
    message_id, content_key = new_id(), new_content_key()
    _keep(keys, message_id, content_key, item, item.raw, folder)
    mine = {"mailbox_id": keys.mailbox_id, "import_id": done.number, "message_id": message_id}
    db.session.execute(insert(MailImportMessage).inline(), mine)
    done.counts["taken"] += 1
    if is_poison or not _file(keys, message_id, content_key, item, item.raw, folder):
        filing.give_up(keys.mailbox_id, message_id)
        done.counts["unreadable"] += 1


def _is_here(keys: MailboxKeys, done: Step, item: Item, raw: bytes, folder: Kind) -> bool:
    """Whether the mailbox had these very bytes before this import; of what an export of ours tells, at that place and time."""
    values = {"mailbox": keys.mailbox_id, "import": done.number, "size": len(raw)}
    digest = hashlib.sha256(raw).digest()
    if item.told is not None:
        values |= {"folder": int(folder), "at": item.told.received_at}  # type: ignore[dict-item]
        return digest in _digests(keys, _THERE, values)
    if len(raw) not in done.known:
        done.known[len(raw)] = frozenset(_digests(keys, _HERE, values))
    return digest in done.known[len(raw)]


def _digests(keys: MailboxKeys, sql: str, values: dict[str, int]) -> Iterator[bytes]:
    ids = [found for (found,) in rows(sql, values)]
    for message_id in ids:
        [[wrapped, sealed]] = rows(_SOURCE, values | {"message": message_id})
        key = keys.open_content_key(wrapped, message_id)
        yield hashlib.sha256(unseal(key, sealed, source_place(keys.mailbox_id, message_id))).digest()


_HERE = """
    SELECT message_id FROM message m JOIN message_source USING (mailbox_id, message_id)
     WHERE m.mailbox_id = %(mailbox)s AND m.size_bytes = %(size)s AND NOT EXISTS (
           SELECT 1 FROM mail_import_message t
            WHERE t.mailbox_id = m.mailbox_id AND t.import_id = %(import)s AND t.message_id = m.message_id)"""
_THERE = f"{_HERE} AND m.folder_id = %(folder)s AND m.received_at = %(at)s"
_SOURCE = """
    SELECT m.content_key, s.sealed FROM message m JOIN message_source s USING (mailbox_id, message_id)
     WHERE m.mailbox_id = %(mailbox)s AND m.message_id = %(message)s"""


def _keep(
    keys: MailboxKeys, message_id: int, content_key: bytes, item: Item, raw: bytes, folder: Kind
) -> None:
    """Put the bytes away, as they are, before anybody looks into them."""
    told = item.told
    values = {
        "mailbox_id": keys.mailbox_id,
        "message_id": message_id,
        "folder_id": int(folder),
        "state": "received",
        "direction": told.way if told else "out" if folder is Kind.SENT else "in",
        "received_at": told.received_at if told else min(item.at or _now(), _now()),
        "size_bytes": len(raw),
        "unread": not (told.is_read if told else item.is_read),
        "starred": told.is_starred if told else item.is_starred,
        "answered": told.is_answered if told else item.is_answered,
        "forwarded": told.is_forwarded if told else False,
        "envelope_from": told.sender if told else "",
        "envelope_to": told.recipient if told else "",
        "content_key": keys.wrap_content_key(content_key, message_id),
    }
    db.session.execute(insert(Message).inline(), values)
    sealed = seal(content_key, raw, source_place(keys.mailbox_id, message_id))
    place = {"mailbox_id": keys.mailbox_id, "message_id": message_id, "sealed": sealed}
    db.session.execute(insert(MessageSource).inline(), place)


def _now() -> datetime:
    return datetime.now(UTC)


def _file(
    keys: MailboxKeys, message_id: int, content_key: bytes, item: Item, raw: bytes, folder: Kind
) -> bool:
    """Read, thread and index it; False when that cannot be done, and then nothing of it was."""
    try:
        with db.session.begin_nested():
            built = letters.build(raw, message_id)
            filing.write(keys, message_id, content_key, built)
            if item.told is not None and item.told.thread:
                _rejoin(keys, built.view, item.told.thread)
            if built.view.sender[1] and folder in (Kind.INBOX, Kind.ARCHIVE):
                correspondents.wrote(keys, built.view.sender[1])
    except (OperationalError, KeyTrouble):
        raise
    except Exception as error:
        about = {"mailbox": keys.mailbox_id, "item": message_id, "error": type(error).__name__}
        log.warning("imported unread", extra=about)
        return False
    return True


def _rejoin(keys: MailboxKeys, view: letters.View, thread: str) -> None:
    """Put it with the others of the conversation that it was exported from, also where what tied them together is gone."""
    if view.message_id:
        threads.join(keys, [f"mtumail export {thread}", *thread_keys(view.message_id, "", ())])
