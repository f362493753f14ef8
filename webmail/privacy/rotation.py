"""A new master key: everything that an older one wraps is wrapped anew, in batches, while the service runs.

The key file holds the new key first and the older ones below: whoever reads it wraps with the first and opens with any. A batch is
a transaction that takes rows by their key, in order, and changes those alone that an older key wraps; so a run that was killed
begins again where it is needed, and two at once wait for each other. What is wrapped stays the same: no other key changes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    Wrapped("appeal", "words", ("appeal_id",), _of_row("appeal", "appeal_id", "words"), is_guarded=True),
    Wrapped("appeal", "answer", ("appeal_id",), _of_row("appeal", "appeal_id", "answer"), is_guarded=True),
)
"""Every column that the master key wraps. Tests look for one that is missing here."""


def older(master: MasterKeys) -> dict[str, int]:
    """How many values of each column an older master key wraps still, by `table.column`; those with none are left out."""
    current = master.wrap(b"", Place("rotation", 0, 0, ""))[1:5]
    counts = {}
    for one in EVERYTHING:
        statement = f"SELECT count(*) FROM {one.table} WHERE substr({one.column}, 2, 4) <> %(current)s"
        counts[f"{one.table}.{one.column}"] = int(rows(statement, {"current": current})[0][0])
    return {name: count for name, count in counts.items() if count}


def rewrap(master: MasterKeys, one: Wrapped, limit: int = BATCH) -> int:
    """Wrap a batch of one column anew in the open transaction, as the owner; how many. 0: there is none left.

    Raises KeyTrouble where a value is wrapped under a key that is not in the file, Tampered.
    """
    current = master.wrap(b"", Place("rotation", 0, 0, ""))[1:5]
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


def note(actor: str, count: int) -> None:
    """Write down that everything is wrapped under the current key now."""
    audit.record("keys.rotated", actor, count=count)
