"""Reading an import: some messages a transaction, filed as mail that arrives is, without answers, rules or notices."""

import hashlib
import io
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Final, NamedTuple

from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import KeyTrouble, Refused
from webmail.keys import MailboxKeys, new_content_key, seal, unseal
from webmail.mail import correspondents, filing, mailboxes, threads
from webmail.mail import reading as letters
from webmail.mail.folders import Kind
from webmail.mail.models import Message, MessageSource
from webmail.mail.receiving import source_place
from webmail.mail.references import thread_keys
from webmail.privacy.taking_in import reading
from webmail.privacy.taking_in.asking import Pieces
from webmail.privacy.taking_in.models import MailImportMessage
from webmail.privacy.taking_in.reading import Item, NoMail

log = logging.getLogger(__name__)
STEP_MESSAGES: Final = 50
STEP_BYTES: Final = 8 << 20
STEP_SECONDS: Final = 5.0
SWELLS: Final = 200
"""So many times its own size may a zip swell, beyond the first 64 MiB: mail swells a tenth of that."""
FOLDERS: Final = frozenset(kind.slug for kind in Kind if kind is not Kind.DRAFTS)


class _Row(NamedTuple):
    """An import as a step finds it."""

    state: str
    account_id: int
    folder_id: int
    content_key: bytes
    total_bytes: int
    position: int
    places: int
    read_bytes: int


@dataclass(slots=True)
class _Step:
    """What a step has done so far."""

    number: int
    folder: Kind
    counts: Counter[str] = field(default_factory=Counter)
    known: dict[int, frozenset[bytes]] = field(default_factory=dict)


def is_deadly(mailbox_id: int, number: int) -> bool:
    """Said, in a transaction of its own, before one message is read by itself: whether it was tried before, and did not return."""
    found = rows(_TRYING, {"mailbox": mailbox_id, "import": number})
    return bool(found and found[0][0])


_WHERE = "mailbox_id = %(mailbox)s AND import_id = %(import)s"
_TRYING = f"""
    WITH was AS MATERIALIZED (SELECT trying = position AS tried FROM mail_import WHERE {_WHERE}),
         now_is AS (UPDATE mail_import SET trying = position WHERE {_WHERE})
    SELECT tried FROM was"""


def step(keys: MailboxKeys, number: int, *, alone: bool = False, is_poison: bool = False) -> bool:
    """Read a little more; whether something is left. `alone`: one message; `is_poison`: without looking into it."""
    key = {"mailbox": keys.mailbox_id, "import": number}
    found = rows(_LOCK, key)
    if not found or found[0][0] not in ("waiting", "taking"):
        return False
    row = _Row(*found[0])
    file: IO[bytes] = io.BufferedReader(Pieces(keys, number, row.content_key, row.total_bytes), 1 << 18)
    done = _Step(number, Kind(row.folder_id))
    position, read, more, problem = row.position, row.read_bytes, False, ""
    try:
        places, items = _items(file, row)
        until = time.monotonic() + STEP_SECONDS
        for item in items:
            _take(keys, done, item, is_poison=is_poison)
            position, read = item.after, read + item.read
            if read > (64 << 20) + SWELLS * row.total_bytes:
                raise NoMail("swells")
            if alone or _is_enough(done, read - row.read_bytes, until):
                more = True
                break
    except NoMail as error:
        problem, places = error.code, row.places
    except Refused:
        problem, places = "full", row.places
    _note(key, done, position, places, read)
    if not more:
        _end(key, row, problem)
    return more


_LOCK = f"""
    SELECT state, account_id, folder_id, content_key, total_bytes, position, places, read_bytes
      FROM mail_import WHERE {_WHERE} FOR UPDATE"""


def _is_enough(done: _Step, read: int, until: float) -> bool:
    return sum(done.counts.values()) >= STEP_MESSAGES or read >= STEP_BYTES or time.monotonic() > until


def _items(file: IO[bytes], row: _Row) -> tuple[int, Iterator[Item]]:
    """How many places there are, and what is at them from where the last step ended."""
    kind = reading.kind(file)
    if kind == "mbox":
        return row.total_bytes, reading.mbox(file, row.position, FOLDERS)
    if kind == "message":
        return row.total_bytes, reading.message(file, row.position, row.total_bytes)
    archive = reading.directory(file)
    return len(archive.infolist()), reading.zipped(archive, row.position, FOLDERS)


def _note(key: dict[str, int], done: _Step, position: int, places: int, read: int) -> None:
    counts = {name: done.counts[name] for name in ("taken", "known", "unreadable", "too_large", "no_mail")}
    rows(_NOTE, key | counts | {"position": position, "places": places, "read": read})


_NOTE = f"""
    UPDATE mail_import SET state = 'taking', position = %(position)s, places = %(places)s, read_bytes = %(read)s, trying = NULL,
           taken = taken + %(taken)s, known = known + %(known)s, unreadable = unreadable + %(unreadable)s,
           too_large = too_large + %(too_large)s, no_mail = no_mail + %(no_mail)s
     WHERE {_WHERE} RETURNING import_id"""


def _end(key: dict[str, int], row: _Row, problem: str) -> None:
    rows(_END, key | {"state": "failed" if problem else "done", "problem": problem})
    rows(f"DELETE FROM mail_import_chunk WHERE {_WHERE} RETURNING start_byte", key)
    audit.record(
        "import.finished", "system:worker", mailbox=key["mailbox"], account=row.account_id, problem=problem,
        brought=key["import"],
    )  # fmt: skip


_END = f"UPDATE mail_import SET state = %(state)s, problem = %(problem)s, finished_at = now() WHERE {_WHERE} RETURNING import_id"


def fail(mailbox_id: int, number: int, problem: str) -> None:
    """Give an import up, with a code that says why; what came of it stays."""
    key = {"mailbox": mailbox_id, "import": number}
    found = rows(_LOCK, key)
    if found and found[0][0] in ("waiting", "taking"):
        _end(key, _Row(*found[0]), problem)


# --- one message ---------------------------------------------------------------------------------------------------------


def _take(keys: MailboxKeys, done: _Step, item: Item, *, is_poison: bool) -> None:
    """File one message, or count why not. Raises Refused when the mailbox is full."""
    if item.raw is None:
        if item.problem:
            done.counts[item.problem.replace("-", "_")] += 1
        return
    folder = Kind[item.told.folder.upper()] if item.told else done.folder
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


def _is_here(keys: MailboxKeys, done: _Step, item: Item, raw: bytes, folder: Kind) -> bool:
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
