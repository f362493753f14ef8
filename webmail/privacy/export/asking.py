"""Exports as their owner handles them: asked for, listed, fetched, deleted. Seen by who asked alone: their records are in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from webmail import audit, jobs, work
from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place, new_content_key
from webmail.mail.folders import Kind
from webmail.privacy.export import parts
from webmail.settings import kept

FORMS: Final = ("mbox", "zip")
MOST_KEPT: Final = 3
"""Exports that a mailbox has at a time, finished ones included."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to take along. `with_records`: everything beside the messages, too."""

    folders: tuple[Kind, ...] = tuple(Kind)
    form: str = "mbox"
    with_records: bool = True


@dataclass(frozen=True, slots=True)
class Export:
    """An export and how far it has come. After `ends_at` it is not handed out any more, and a schedule removes it."""

    export_id: int
    state: str
    form: str
    folders: tuple[Kind, ...]
    with_records: bool
    total: int
    done: int
    problem: str
    made_at: datetime
    ends_at: datetime

    @property
    def is_under_way(self) -> bool:
        """Whether more of it will come."""
        return self.state in ("waiting", "making")


def ask(keys: MailboxKeys, account_id: int, wish: Wish, *, actor: str = "", ring: bool = True) -> int:
    """Have an export made; its id. Audited.

    `ring` False leaves the work to the caller. Raises Refused: "nothing" chosen, "busy" with another one, "many" kept already.
    """
    if wish.form not in FORMS or not (wish.folders or wish.with_records):
        raise Refused("nothing")
    values: dict[str, Any] = {"mailbox": keys.mailbox_id}
    if rows(_COUNT, values)[0][0] >= MOST_KEPT:
        raise Refused("many")
    export_id = new_id()
    place = Place("export", keys.mailbox_id, export_id, "content_key")
    values |= {
        "export": export_id, "account": account_id, "form": wish.form, "records": wish.with_records,
        "folders": sorted({int(kind) for kind in wish.folders}),
        "key": keys.seal_value(new_content_key(), place),
    }  # fmt: skip
    try:
        with db.session.begin_nested():
            db.session.connection().exec_driver_sql(_ASK, values)
    except IntegrityError:
        raise Refused("busy") from None
    if ring:
        work.add(work.EXPORT, keys.mailbox_id, export_id)
        jobs.ring_after_commit(jobs.EXPORT)
    audit.record(
        "export.asked", actor or f"account:{account_id}", mailbox=keys.mailbox_id, account=account_id, export=export_id
    )  # fmt: skip
    return export_id


_COUNT = "SELECT count(*) FROM export WHERE mailbox_id = %(mailbox)s"
_ASK = """
    INSERT INTO export (mailbox_id, export_id, account_id, form, folders, with_records, content_key)
    VALUES (%(mailbox)s, %(export)s, %(account)s, %(form)s, %(folders)s::smallint[], %(records)s, %(key)s)"""


_COLUMNS = "export_id, state, form, folders, with_records, total_messages, done_messages, problem, made_at"


def _read(row: Sequence[object]) -> Export:
    export_id, state, form, folders, records, total, done, problem, made_at = row
    assert isinstance(made_at, datetime)
    ends_at = made_at + timedelta(days=kept.whole("retention.exports"))
    kinds = tuple(map(Kind, folders))  # type: ignore[call-overload]
    return Export(export_id, state, form, kinds, records, total, done, problem, made_at, ends_at)  # type: ignore[arg-type]


def listed(mailbox_id: int, account_id: int) -> list[Export]:
    """The exports of a mailbox that this account asked for, newest first."""
    return [_read(row) for row in rows(_LIST, {"mailbox": mailbox_id, "account": account_id})]


_MINE = "mailbox_id = %(mailbox)s AND account_id = %(account)s AND export_id = %(export)s"
_LIST = f"""
    SELECT {_COLUMNS} FROM export WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s ORDER BY made_at DESC"""


def one(mailbox_id: int, account_id: int, export_id: int) -> Export:
    """One of them. Raises NotFound, also for one of another member."""
    values = {"mailbox": mailbox_id, "account": account_id, "export": export_id}
    found = rows(f"SELECT {_COLUMNS} FROM export WHERE {_MINE}", values)
    if not found:
        raise NotFound("export")
    return _read(found[0])


def drop(mailbox_id: int, account_id: int, export_id: int, *, actor: str = "") -> None:
    """Delete an export, made or not. Raises NotFound. Audited."""
    values = {"mailbox": mailbox_id, "account": account_id, "export": export_id}
    work.drop(work.EXPORT, mailbox_id, export_id)
    if not rows(f"DELETE FROM export WHERE {_MINE} RETURNING export_id", values):
        raise NotFound("export")
    audit.record("export.dropped", actor or f"account:{account_id}", mailbox=mailbox_id, export=export_id)


def opened(keys: MailboxKeys, account_id: int, export_id: int) -> parts.Box:
    """An export that its asker may fetch from. Raises NotFound, also when its time is over."""
    export = one(keys.mailbox_id, account_id, export_id)
    values = {"mailbox": keys.mailbox_id, "account": account_id, "export": export_id}
    [[wrapped, is_over]] = rows(
        f"SELECT content_key, now() > %(ends)s FROM export WHERE {_MINE}", values | {"ends": export.ends_at}
    )
    if is_over:
        raise NotFound("export")
    return parts.box(keys, export_id, wrapped)


def part(of: parts.Box, number: int) -> parts.Part:
    """A part that is whole. Raises NotFound."""
    for found in parts.listed(of.mailbox_id, of.export_id):
        if found.number == number and found.sha256 is not None:
            return found
    raise NotFound("part")


def fetched(of: parts.Box, account_id: int, number: int) -> None:
    """Note in the log that a part is being fetched from its beginning."""
    audit.record(
        "export.fetched", f"account:{account_id}", mailbox=of.mailbox_id, export=of.export_id, part=number
    )
