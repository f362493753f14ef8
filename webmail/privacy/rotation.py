"""A new master key: everything that an older one wraps is wrapped anew, in batches, while the service runs.

The key file holds the new key first and the older ones below: whoever reads it wraps with the first and opens with any. A batch is
a transaction that takes rows by their key, in order, and changes those alone that an older key wraps; so a run that was killed
begins again where it is needed, and two at once wait for each other. What is wrapped stays the same: no other key changes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from webmail import audit
from webmail.db import db, rows
from webmail.errors import KeyTrouble
from webmail.keys import MasterKeys, Place

BATCH = 500
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A column that holds what the master key wraps. `key`: the columns of its table's key; `place`: where a row's value belongs.

    `is_guarded`: triggers keep its rows as they are; wrapping a value anew does not change what it says."""

    table: str
    column: str
    key: Sequence[str]
    place: Callable[[_Row], Place]
    is_guarded: bool = False


def _of_mailbox(row: _Row) -> Place:
    return Place("mailbox_key", row["mailbox_id"], row["mailbox_id"], "wrapped")


def _of_audit(row: _Row) -> Place:
    seals = Place("service_key", 0, 0, "audit")
    return seals if row["purpose"] == "seals" else Place("audit_key", 0, 0, row["purpose"])


def _words(field: str) -> Callable[[_Row], Place]:
    return lambda row: Place("access_grant", row["mailbox_id"], row["grant_id"], field)


def _of_row(table: str, key: str, field: str) -> Callable[[_Row], Place]:
    return lambda row: Place(table, 0, row[key], field)


_GRANT = ("mailbox_id", "grant_id")
EVERYTHING: tuple[Wrapped, ...] = (
    Wrapped("mailbox_key", "wrapped", ("mailbox_id",), _of_mailbox),
    Wrapped("service_key", "wrapped", ("purpose",), lambda row: Place("service_key", 0, 0, row["purpose"])),
    Wrapped(
        "service_secret", "wrapped", ("purpose",), lambda row: Place("service_secret", 0, 0, row["purpose"])
    ),
    Wrapped("audit_key", "wrapped", ("purpose",), _of_audit),
    Wrapped("setting_secret", "wrapped", ("name",), lambda row: Place("setting_secret", 0, 0, row["name"])),
    Wrapped(
        "dkim_key",
        "wrapped",
        ("domain_id", "selector"),
        lambda row: Place("dkim_key", 0, row["domain_id"], row["selector"]),
    ),
    Wrapped("access_grant", "words", _GRANT, _words("words"), is_guarded=True),
    Wrapped("access_grant", "legal", _GRANT, _words("legal"), is_guarded=True),
    Wrapped("access_grant", "decision_words", _GRANT, _words("decision_words"), is_guarded=True),
    Wrapped("access_review", "words", _GRANT, _words("review"), is_guarded=True),
    Wrapped("access_gag", "words", _GRANT, _words("gag"), is_guarded=True),
    Wrapped(
        "staff_action",
        "words",
        ("action_id",),
        _of_row("staff_action", "action_id", "words"),
        is_guarded=True,
    ),
    Wrapped(
        "staff_action",
        "withheld",
        ("action_id",),
        _of_row("staff_action", "action_id", "withheld"),
        is_guarded=True,
    ),
    Wrapped(
        "quarantine",
        "words",
        ("quarantine_id",),
        _of_row("quarantine", "quarantine_id", "words"),
        is_guarded=True,
    ),
    Wrapped("appeal", "words", ("appeal_id",), _of_row("appeal", "appeal_id", "words"), is_guarded=True),
    Wrapped("appeal", "answer", ("appeal_id",), _of_row("appeal", "appeal_id", "answer"), is_guarded=True),
)
"""Every column that the master key wraps. Tests look for one that is missing here."""


def older(master: MasterKeys) -> dict[str, int]:
    """How many values of each column an older master key wraps still, by `table.column`; those with none are left out."""
    current = master.current_id
    counts = {}
    for one in EVERYTHING:
        statement = f"SELECT count(*) FROM {one.table} WHERE substr({one.column}, 2, 4) <> %(current)s"
        counts[f"{one.table}.{one.column}"] = int(rows(statement, {"current": current})[0][0])
    return {name: count for name, count in counts.items() if count}


def rewrap(master: MasterKeys, one: Wrapped, limit: int = BATCH) -> int:
    """Wrap a batch of one column anew in the open transaction, as the owner; how many. 0: there is none left.

    Raises KeyTrouble where a value is wrapped under a key that is not in the file, Tampered.
    """
    current = master.current_id
    key = ", ".join(one.key)
    found = rows(
        f"SELECT {key}, {one.column} FROM {one.table} WHERE substr({one.column}, 2, 4) <> %(current)s"
        f" ORDER BY {key} LIMIT %(limit)s FOR UPDATE",
        {"current": current, "limit": limit},
    )
    if found and one.is_guarded:
        _guard(one.table, "DISABLE")
    match = " AND ".join(f"{column} = %({column})s" for column in one.key)
    for *values, wrapped in found:
        row = dict(zip(one.key, values, strict=True))
        place = one.place(row)
        value = master.wrap(master.unwrap(bytes(wrapped), place), place)
        rows(
            f"UPDATE {one.table} SET {one.column} = %(value)s WHERE {match} RETURNING 1",
            row | {"value": value},
        )
    if found and one.is_guarded:
        _guard(one.table, "ENABLE")
    return len(found)


def _guard(table: str, verb: str) -> None:
    raw = db.session().connection().connection.driver_connection
    if raw is None:
        raise KeyTrouble("there is no connection")
    raw.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table), sql.SQL(verb)))


# --- how far it has come --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """A rotation as a page tells of it. `is_current`: it is one to the key that is first in the file now."""

    started_at: datetime
    moved_at: datetime
    finished_at: datetime | None
    done: int
    total: int
    is_current: bool


def begin(master: MasterKeys) -> int:
    """Write down that a rotation begins, or goes on that was stopped; its id. As the owner."""
    key_id, left = master.current_id, sum(older(master).values())
    found = rows(_GO_ON, {"key": key_id, "left": left})
    return int((found or rows(_BEGIN, {"key": key_id, "left": left}))[0][0])


_GO_ON = """
    UPDATE key_rotation SET moved_at = clock_timestamp(), total = done + %(left)s
     WHERE key_id = %(key)s AND finished_at IS NULL RETURNING rotation_id"""
_BEGIN = "INSERT INTO key_rotation (key_id, total) VALUES (%(key)s, %(left)s) RETURNING rotation_id"


def moved(rotation_id: int, count: int) -> None:
    """Note so many values more, in the transaction that wrapped them."""
    rows(_MOVED, {"rotation": rotation_id, "count": count})


_MOVED = """
    UPDATE key_rotation SET done = done + %(count)s, total = greatest(total, done + %(count)s), moved_at = clock_timestamp()
     WHERE rotation_id = %(rotation)s RETURNING rotation_id"""


def finish(rotation_id: int, actor: str) -> int:
    """Write down that everything is wrapped under the current key now; how many values that were."""
    count = int(rows(_FINISH, {"rotation": rotation_id})[0][0])
    audit.record("keys.rotated", actor, count=count)
    return count


_FINISH = """
    UPDATE key_rotation SET finished_at = clock_timestamp(), moved_at = clock_timestamp()
     WHERE rotation_id = %(rotation)s RETURNING done"""


def progress(master: MasterKeys) -> Progress | None:
    """The last rotation; None where there was none."""
    found = rows(_PROGRESS, {"key": master.current_id})
    return Progress(*found[0]) if found else None


_PROGRESS = """
    SELECT started_at, moved_at, finished_at, done, total, key_id = %(key)s FROM key_rotation ORDER BY rotation_id DESC LIMIT 1"""
