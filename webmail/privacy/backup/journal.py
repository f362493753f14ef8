"""The journal beside the backups: every few minutes, what happened since and must not be lost with them, sealed.

It holds the audit log's new entries, so that the log goes on where it stood; what was deleted, so that no restore brings it back;
whose account or mailbox was erased, and who took that back in time; who got or lost a role; and which sessions are refused. Each
part begins a while before the last one ended, as what was written first may be committed last; whoever reads the parts takes each
row once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from webmail.db import rows
from webmail.keys import MasterKeys
from webmail.privacy.backup import container
from webmail.privacy.backup.making import lines, new_name, snapshot, write_keys
from webmail.privacy.backup.storing import JOURNAL, KEYS, Store

OVERLAP = timedelta(hours=1)
_BY_NUMBER = ("audit_event", "audit_subject", "audit_sealed")
_BY_TIME = {
    "audit_opened": "at",
    "audit_checkpoint": "at",
    "audit_checkpoint_sent": "at",
    "tombstone": "deleted_at",
    "erasure": "greatest(undone_at, started_at, finished_at)",
    "role_change": "made_at",
}


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where the journal holds what happened. `keys_mark` changes with the mailboxes' wrapped keys."""

    audit_number: int
    stones_at: datetime
    keys_mark: str


def position() -> Position | None:
    """Where the journal ends; None before it began."""
    found = rows("SELECT audit_number, stones_at, keys_mark FROM backup_journal WHERE part = 'all'", {})
    return Position(*found[0]) if found else None


def last_written() -> datetime | None:
    """When the journal was written last."""
    found = rows("SELECT written_at FROM backup_journal WHERE part = 'all'", {})
    return found[0][0] if found else None


def moved(to: Position) -> None:
    """Note that the journal holds everything up to there, on the disk."""
    values = {"number": to.audit_number, "stones": to.stones_at, "mark": to.keys_mark}
    rows(_MOVED, values)


_MOVED = """
    INSERT INTO backup_journal (part, written_at, audit_number, stones_at, keys_mark)
        VALUES ('all', clock_timestamp(), %(number)s, %(stones)s, %(mark)s)
        ON CONFLICT (part) DO UPDATE SET written_at = excluded.written_at, audit_number = excluded.audit_number,
            stones_at = excluded.stones_at, keys_mark = excluded.keys_mark
    RETURNING part"""


def write(place: Store, key: MasterKeys, url: str, since: Position | None) -> Position:
    """Write the part of the journal that begins at `since`; where it ends. None begins it: with nothing, for a backup that follows.

    The file of keys is replaced where it is not what it was: a mailbox that is gone is noise in every backup within minutes.
    """
    with snapshot(url) as connection:
        now = _now(connection)
        if since is not None and (now.audit_number > since.audit_number or _stones(connection, since)):
            name = new_name(now.stones_at)
            with place.writing(JOURNAL, name) as file:
                writer = container.Writer(file, key, JOURNAL, name)
                for table, row in _happened(connection, since):
                    writer.write(json.dumps({"table": table, "row": row}).encode() + b"\n")
                writer.close()
    if since is None or since.keys_mark != now.keys_mark or not place.has(KEYS):
        write_keys(place, key, url)
    return now


def _now(connection: psycopg.Connection[tuple[Any, ...]]) -> Position:
    row = connection.execute(_NOW).fetchone()
    assert row is not None
    return Position(*row)


_NOW = """
    SELECT coalesce((SELECT max(number) FROM audit_event), 0), now(),
           (SELECT count(*) || '.' ||
                coalesce(bit_xor(hashtextextended(mailbox_id || encode(wrapped, 'hex'), 0)), 0) FROM mailbox_key)"""


def _stones(connection: psycopg.Connection[tuple[Any, ...]], since: Position) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM tombstone WHERE deleted_at > %s)", [since.stones_at - OVERLAP]
    ).fetchone()
    return bool(row and row[0])


def _happened(
    connection: psycopg.Connection[tuple[Any, ...]], since: Position
) -> Iterator[tuple[str, dict[str, Any]]]:
    early = since.stones_at - OVERLAP
    wanted: list[tuple[str, str, int | datetime]] = [
        (table, f"SELECT to_jsonb(t) FROM {table} t WHERE number > %s ORDER BY number", since.audit_number)
        for table in _BY_NUMBER
    ]
    # Whoever is erased is not known by an address that the journal would keep: a restore has it from the backup itself.
    wanted += [
        (table, f"SELECT to_jsonb(t) - 'contact' FROM {table} t WHERE {column} > %s", early)
        for table, column in _BY_TIME.items()
    ]
    wanted += [
        ("session_denial", "SELECT to_jsonb(t) FROM session_denial t WHERE until > %s", since.stones_at)
    ]
    for table, statement, value in wanted:
        with connection.cursor(name=f"journal_{table}") as cursor:
            for (row,) in cursor.execute(statement.encode(), [value]):
                yield table, row


def read(place: Store, key: MasterKeys, after: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the journal holds, from the part that was written last before the backup `after`. Raises Tampered, NoPlace."""
    names = place.names(JOURNAL)
    first = max((number for number, name in enumerate(names) if name < after), default=0)
    for name in names[first:]:
        with place.open(JOURNAL, name) as file:
            for line in lines(container.read(file, key, JOURNAL, name)):
                told = json.loads(line)
                yield str(told["table"]), told["row"]
