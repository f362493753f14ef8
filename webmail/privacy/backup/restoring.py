"""A restore into an empty database, closed to every process until what happened since the backup has happened in it too.

    closed ──▶ data ──▶ keys ──▶ journal: log, stones, erasures, refused sessions ──▶ what may have left is not sent again ──▶ open

Everything after the data is one transaction; and nobody but its owner may connect before that. So nothing that was deleted can be
seen again, not for a moment. A restore that failed leaves a database to drop.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from webmail.errors import Refused
from webmail.keys import MasterKeys
from webmail.privacy.backup import journal
from webmail.privacy.backup.making import Manifest, read_keys, read_manifest
from webmail.privacy.backup.programs import plain_url, target
from webmail.privacy.backup.reading import restoring
from webmail.privacy.backup.storing import JOURNAL, KEYS, Folder

OWNER = "mtumail_owner"
_DOORS = ("mtumail_web", "mtumail_worker", "mtumail_inbound", "mtumail_backup")
_Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `events`: put back into the log; `deleted`: messages that were deleted since; `unsent`: recipients whose
    mail may have left, and is not sent again; `is_continuous`: the log goes on where it stood."""

    manifest: Manifest
    mailboxes: int
    events: int
    deleted: int
    erased: int
    unsent: int
    is_continuous: bool


def restore(place: Folder, key: MasterKeys, name: str, url: str, actor: str) -> Restored:
    """Restore the backup `name` into the empty database at `url`, by a role that is, or may become, the owner.

    Raises Refused where the database is not empty, BackupFailed, NoPlace, Tampered, psycopg.Error.
    """
    manifest = read_manifest(place, key, name)
    with _owner(url) as connection:
        if _value(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"):
            raise Refused("A backup is restored into an empty database; this one is not.")
        _doors(connection, "REVOKE CONNECT ON DATABASE {} FROM {}")
    where, environment = target(url)
    options = ["--single-transaction", "--exit-on-error", "--no-owner", f"--role={OWNER}", "-d", where]
    with restoring(place, key, name, manifest.server, options, environment) as told:
        told.read()
    with _owner(url) as connection:
        done = _replay(connection, place, key, manifest)
        _tell(connection, actor, done)
    with _owner(url) as connection:
        _doors(connection, "GRANT CONNECT ON DATABASE {} TO {}")
    return done


def _owner(url: str) -> _Connection:
    connection = psycopg.connect(plain_url(url), application_name="mtumail-restore")
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
    return connection


def _doors(connection: _Connection, statement: str) -> None:
    """Postgres itself keeps the processes out, whatever they are told."""
    database = sql.Identifier(connection.info.dbname)
    if "REVOKE" in statement:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in _DOORS:
        connection.execute(sql.SQL(statement).format(database, sql.Identifier(role)))


def _replay(connection: _Connection, place: Folder, key: MasterKeys, manifest: Manifest) -> Restored:
    boxes = 0
    for mailbox_id, wrapped in read_keys(place, key) if place.has(KEYS) else ():
        boxes += connection.execute(_KEY, [mailbox_id, wrapped, mailbox_id]).rowcount
    before = int(_value(connection, "SELECT coalesce(max(number), 0) FROM audit_event"))
    told = _Journal(connection, before)
    if place.names(JOURNAL):
        for table, row in journal.read(place, key, manifest.name):
            told.take(table, row)
    erased = sum(_erase(connection, row) for row in told.erasures.values())
    deleted = connection.execute(_DELETED).rowcount
    _close_orphans(connection)
    unsent = _keep_back(connection)
    return Restored(manifest, boxes, told.last - before, deleted, erased, unsent, not told.has_gap)


_KEY = """
    INSERT INTO mailbox_key (mailbox_id, wrapped) SELECT %s, %s WHERE EXISTS (
        SELECT FROM mailbox WHERE mailbox_id = %s AND state <> 'closed') ON CONFLICT DO NOTHING"""
_DELETED = """
    DELETE FROM message m USING tombstone t WHERE t.mailbox_id = m.mailbox_id AND t.message_id = m.message_id"""


@dataclass(slots=True)
class _Journal:
    """Puts back what the journal holds; `last` is the newest event of the log. Erasures are kept for later."""

    connection: _Connection
    last: int
    has_gap: bool = False
    erasures: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, table: str, row: dict[str, Any]) -> None:
        """Put one row back where it is not there; nothing of the log that is beyond a part that is missing."""
        if table == "erasure":
            self.erasures[row["erasure_id"]] = row
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


def _erase(connection: _Connection, row: dict[str, Any]) -> int:
    """Have an erasure that began after the backup happen again, by the same functions. 0 where the backup has it already."""
    which, state = row["erasure_id"], row["state"]
    known = connection.execute("SELECT state FROM erasure WHERE erasure_id = %s", [which]).fetchone()
    if state in ("waiting", "undone") or (known is not None and known[0] not in ("waiting", "undone")):
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
    while _value(connection, f"SELECT erasure_rows({int(which)}, 10000)"):
        pass
    if row["kind"] == "account":
        connection.execute("SELECT erasure_person(%s)", [which])
    connection.execute("ALTER TABLE erasure DISABLE TRIGGER USER")
    connection.execute(_ERASED, row)
    connection.execute("ALTER TABLE erasure ENABLE TRIGGER USER")
    return 1


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


def _close_orphans(connection: _Connection) -> None:
    """A mailbox whose key is gone has nothing that anybody could read: what a stone tells is closed, also without its erasure."""
    boxes = _value(connection, _ORPHANS)
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


def _keep_back(connection: _Connection) -> int:
    """What waited to be sent may have left after the backup: it is not sent again, and its author sees that nobody knows."""
    connection.execute("DELETE FROM scheduled WHERE send_at <= now()")
    connection.execute(_NO_WORK)
    connection.execute(_EVENTS)
    unsent = connection.execute(_NOT_SENT).rowcount
    connection.execute(_FINISHED)
    return unsent


_NO_WORK = """
    DELETE FROM work w WHERE kind = 'send' OR kind = 'submit' AND NOT EXISTS (
        SELECT FROM scheduled s WHERE s.mailbox_id = w.mailbox_id AND s.message_id = w.item_id)"""
_FINISHED = """
    UPDATE submission s SET finished_at = now() WHERE finished_at IS NULL AND EXISTS (
        SELECT FROM delivery d WHERE d.mailbox_id = s.mailbox_id AND d.submission_id = s.submission_id)"""


_EVENTS = """
    INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, kind, reason, reply, fingerprint)
    SELECT mailbox_id, submission_id, number, floor(random() * 281474976710656)::bigint, 'failed', 'restored', '',
           substr(sha256(convert_to('restored' || submission_id || '.' || number || clock_timestamp(), 'UTF8')), 1, 16)
      FROM delivery WHERE state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown')"""
_NOT_SENT = """
    UPDATE delivery SET state = 'failed', next_at = NULL, repeated = true, changed_at = now()
     WHERE state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown')"""


def _tell(connection: _Connection, actor: str, done: Restored) -> None:
    facts = {"backup": done.manifest.name, "events": done.events, "deleted": done.deleted, "erased": done.erased,
             "unsent": done.unsent, "continuous": done.is_continuous}  # fmt: skip
    connection.execute("SELECT audit_append('backup.restored', %s, %s::jsonb)", [actor, json.dumps(facts)])
    connection.execute(
        "INSERT INTO backup_run (kind, name, finished_at, bytes, rows, outcome)"
        " VALUES ('restore', %s, clock_timestamp(), %s, %s, 'done')",
        [done.manifest.name, done.manifest.bytes, done.manifest.count],
    )
    # The journal goes on from here: what was put back is in it already.
    connection.execute("DELETE FROM backup_journal")


def _value(connection: _Connection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None
