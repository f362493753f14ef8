"""Reading an import: some messages a transaction, filed as mail that arrives is, without answers, rules or notices."""

import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from sqlalchemy import insert

from webmail import audit
from webmail.db import db, rows
from webmail.errors import Refused
from webmail.keys import MailboxKeys
from webmail.mail.folders import Kind
from webmail.privacy.taking_in import belongings, drafting, one_message, reading, zips
from webmail.privacy.taking_in.asking import Pieces
from webmail.privacy.taking_in.models import MailImportMessage
from webmail.privacy.taking_in.one_message import Step
from webmail.privacy.taking_in.reading import Item, NoMail

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
    done = Step(number, Kind(row.folder_id))
    position, read, more, problem = row.position, row.read_bytes, False, ""
    try:
        places, items = _items(keys, file, row, done)
        until = time.monotonic() + STEP_SECONDS
        for item in items:
            if isinstance(item, Item):
                one_message.take(keys, done, item, is_poison=is_poison)
            elif is_poison:
                done.brought["left-out"] += 1
            else:
                _take_draft(keys, done, item)
            position, read = item.after, read + item.read
            if read > (64 << 20) + SWELLS * row.total_bytes:
                raise NoMail("swells")
            if alone or _is_enough(done, read - row.read_bytes, until):
                more = True
                break
        else:
            position = places
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


def _is_enough(done: Step, read: int, until: float) -> bool:
    return (
        sum((done.counts + done.brought).values()) >= STEP_MESSAGES
        or read >= STEP_BYTES
        or time.monotonic() > until
    )


def _items(
    keys: MailboxKeys, file: IO[bytes], row: _Row, done: Step
) -> tuple[int, Iterator[Item | zips.Draft]]:
    """How many places there are, and what is at them from where the last step ended. What is no mail is taken here, whole."""
    kind = reading.kind(file)
    if kind == "mbox":
        return row.total_bytes, reading.mbox(file, row.position, FOLDERS)
    if kind == "message":
        return row.total_bytes, reading.message(file, row.position, row.total_bytes)
    if kind != "zip":
        done.brought += _whole(keys, file, row, kind)
        return row.total_bytes, iter(())
    archive = zips.directory(file)
    end = zips.places(archive)[-1]
    if zips.is_of_drafts(archive):
        done.drafts = drafting.Known(keys)
        return end, zips.drafts(archive, row.position)
    return end, zips.messages(archive, row.position, FOLDERS)


def _whole(keys: MailboxKeys, file: IO[bytes], row: _Row, kind: str) -> Counter[str]:
    """What a file of our own export brings that holds no messages; how much of what, by code. Raises NoMail."""
    if kind == "other":
        return Counter({"nothing": 1})
    if row.total_bytes > belongings.MOST_BYTES:
        raise NoMail("large")
    file.seek(0)
    content = file.read()
    if kind == "records":
        counts = belongings.records(keys, row.account_id, content)
    else:
        counts = belongings.cards(keys, content) if kind == "cards" else belongings.rules(keys, content)
    return counts or Counter({"nothing": 1})


def _take_draft(keys: MailboxKeys, done: Step, item: zips.Draft) -> None:
    """Put one draft back, or count why not. Raises Refused when the mailbox is full."""
    assert done.drafts is not None
    code, draft_id = drafting.take(keys, done.drafts, item)
    done.brought[code] += 1
    if draft_id:
        mine = {"mailbox_id": keys.mailbox_id, "import_id": done.number, "message_id": draft_id}
        db.session.execute(insert(MailImportMessage).inline(), mine)


def _note(key: dict[str, int], done: Step, position: int, places: int, read: int) -> None:
    counts = {name: done.counts[name] for name in ("taken", "known", "unreadable", "too_large", "no_mail")}
    brought = rows(f"SELECT brought FROM mail_import WHERE {_WHERE}", key)[0][0]
    told = json.dumps(dict(+(Counter(brought) + done.brought)))
    rows(_NOTE, key | counts | {"position": position, "places": places, "read": read, "brought": told})


_NOTE = f"""
    UPDATE mail_import SET state = 'taking', position = %(position)s, places = %(places)s, read_bytes = %(read)s, trying = NULL,
           brought = %(brought)s::jsonb,
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
