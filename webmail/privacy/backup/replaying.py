"""What happened after a backup happens again in what was restored: events of the log, deletions, erasures, and roles."""

import json
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from webmail.keys import MasterKeys
from webmail.privacy.backup import journal
from webmail.privacy.backup.storing import JOURNAL, Store

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was replayed. `events`: put back into the log; `is_continuous`: the log goes on where it stood."""

    events: int
    deleted: int
    erased: int
    is_continuous: bool


def replay(connection: Connection, place: Store, key: MasterKeys, name: str) -> Replayed:
    """Let happen what the journal tells since the backup `name`, in the open transaction. Raises Tampered, NoPlace."""
    before = int(value_of(connection, "SELECT coalesce(max(number), 0) FROM audit_event"))
    told = _Journal(connection, before)
    if place.names(JOURNAL):
        for table, row in journal.read(place, key, name):
            told.take(table, row)
    for row in sorted(told.roles.values(), key=lambda one: (one["made_at"], one["change_id"])):
        _change_role(connection, row)
    erased = sum(_erase(connection, row) for row in told.erasures.values())
    deleted = connection.execute(_DELETED).rowcount
    _close_orphans(connection)
    return Replayed(told.last - before, deleted, erased, not told.has_gap)


_DELETED = """
    DELETE FROM message m USING tombstone t WHERE t.mailbox_id = m.mailbox_id AND t.message_id = m.message_id"""


@dataclass(slots=True)
class _Journal:
    """Puts back what the journal holds; `last` is the newest event of the log. Erasures and roles are kept for later."""

    connection: Connection
    last: int
    has_gap: bool = False
    erasures: dict[int, dict[str, Any]] = field(default_factory=dict)
    roles: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, table: str, row: dict[str, Any]) -> None:
        """Put one row back where it is not there; nothing of the log that is beyond a part that is missing."""
        if table == "erasure":
            self.erasures[row["erasure_id"]] = row
        elif table == "role_change":
            self.roles[row["change_id"]] = row
        elif table in _TABLES and self._fits(table, row):
            self.connection.execute(_PUT.format(table).encode(), [json.dumps(row)])

    def _fits(self, table: str, row: dict[str, Any]) -> bool:
        number = int(row.get("number", row.get("size", 0))) if table.startswith("audit") else 0
        if table != "audit_event":
            return number <= self.last
        if number == self.last + 1:
            self.last = number
            return True
        self.has_gap = self.has_gap or number > self.last
        return False


_TABLES = ("audit_event", "audit_subject", "audit_sealed", "audit_opened", "audit_checkpoint", "audit_checkpoint_sent",
           "tombstone", "session_denial")  # fmt: skip
_PUT = "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::{0}, %s)).* ON CONFLICT DO NOTHING"


def _erase(connection: Connection, row: dict[str, Any]) -> int:
    """Have an erasure that began after the backup happen again, by the same functions. 0 where the backup has it already, or
    holds nothing of whoever came after it."""
    which, state = row["erasure_id"], row["state"]
    if state == "undone":
        _take_back(connection, row)
    known = connection.execute(_KNOWN, row).fetchone()
    if known is None or state in ("waiting", "undone") or known[0] not in ("waiting", "undone"):
        return 0
    connection.execute("ALTER TABLE erasure DISABLE TRIGGER USER")
    connection.execute(
        "UPDATE legal_hold SET ended_by = set_by, ended_at = now() WHERE account_id = %s AND ended_at IS NULL",
        [row["account_id"]],
    )
    connection.execute("DELETE FROM erasure WHERE erasure_id = %s", [which])
    connection.execute(_ERASURE, row)
    connection.execute("ALTER TABLE erasure ENABLE TRIGGER USER")
    connection.execute("SELECT erasure_begin(%s)", [which])
    while value_of(connection, f"SELECT erasure_rows({int(which)}, 10000)"):
        pass
    if row["kind"] == "account":
        connection.execute("SELECT erasure_person(%s)", [which])
    connection.execute("ALTER TABLE erasure DISABLE TRIGGER USER")
    connection.execute(_ERASED, row)
    connection.execute("ALTER TABLE erasure ENABLE TRIGGER USER")
    return 1


_KNOWN = """
    SELECT coalesce(e.state, 'waiting') FROM account a LEFT JOIN erasure e ON e.erasure_id = %(erasure_id)s
     WHERE a.account_id = %(account_id)s"""
_ERASURE = """
    INSERT INTO erasure (erasure_id, kind, account_id, mailboxes, asked_at, due_at)
    VALUES (%(erasure_id)s, %(kind)s, %(account_id)s, %(mailboxes)s, %(asked_at)s, least(%(due_at)s::timestamptz, now()))"""
# One that had come to its end has; another goes on where the worker finds it, and Clerk and the certificate are told once more.
_ERASED = """
    UPDATE erasure SET started_at = coalesce(%(started_at)s::timestamptz, started_at), finished_at = %(finished_at)s,
           event = %(event)s,
           contact = CASE WHEN %(state)s = 'done' THEN '' ELSE contact END,
           state = CASE WHEN %(state)s IN ('telling', 'done') THEN %(state)s ELSE state END
     WHERE erasure_id = %(erasure_id)s"""


def _take_back(connection: Connection, row: dict[str, Any]) -> None:
    """Let an erasure that was taken back since the backup stay so: it waits there, and its time may be over."""
    connection.execute("ALTER TABLE erasure DISABLE TRIGGER USER")
    connection.execute(_UNDONE, row)
    connection.execute("ALTER TABLE erasure ENABLE TRIGGER USER")


_UNDONE = """
    UPDATE erasure SET state = 'undone', undone_at = %(undone_at)s WHERE erasure_id = %(erasure_id)s AND state = 'waiting'"""


def _close_orphans(connection: Connection) -> None:
    """A mailbox whose key is gone has nothing that anybody could read: what a stone tells is closed, also without its erasure."""
    boxes = value_of(connection, _ORPHANS)
    if not boxes:
        return
    connection.execute("DELETE FROM address WHERE mailbox_id = ANY(%s)", [boxes])
    connection.execute(
        "UPDATE mailbox SET state = 'closed', display_name = '' WHERE mailbox_id = ANY(%s)", [boxes]
    )
    for (table,) in connection.execute("SELECT name FROM erasure_tables()").fetchall():
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE mailbox_id = ANY(%s)").format(sql.Identifier(table)), [boxes]
        )


_ORPHANS = """
    SELECT array_agg(t.mailbox_id) FROM tombstone t JOIN mailbox b USING (mailbox_id)
     WHERE t.message_id IS NULL AND (b.state <> 'closed' OR EXISTS (SELECT FROM message m WHERE m.mailbox_id = t.mailbox_id))"""


def _change_role(connection: Connection, row: dict[str, Any]) -> None:
    """Power that was taken is not given back by a restore, and power that was given is not lost; the history stays whole."""
    connection.execute("ALTER TABLE role_change DISABLE TRIGGER role_change_apply")
    connection.execute("ALTER TABLE account_role DISABLE TRIGGER account_role_follows")
    if connection.execute(_PUT.format("role_change").encode(), [json.dumps(row)]).rowcount:
        connection.execute(_REVOKED if row["verb"] == "revoked" else _GRANTED, row)
    connection.execute("ALTER TABLE account_role ENABLE TRIGGER account_role_follows")
    connection.execute("ALTER TABLE role_change ENABLE TRIGGER role_change_apply")


_REVOKED = "DELETE FROM account_role WHERE account_id = %(account_id)s AND role = %(role)s"
# An account that was made after the backup is not there, and neither is its role.
_GRANTED = """
    INSERT INTO account_role (account_id, role, granted_by, granted_at)
    SELECT a.account_id, %(role)s, (SELECT b.account_id FROM account b WHERE b.account_id = %(made_by)s), %(made_at)s
      FROM account a WHERE a.account_id = %(account_id)s ON CONFLICT DO NOTHING"""


def value_of(connection: Connection, statement: str) -> Any:
    """The first value of the first row; None where there is none."""
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None
