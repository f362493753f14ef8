"""A restore into an empty database, closed to every process until what happened since the backup has happened in it too.

    closed ──▶ data ──▶ keys ──▶ journal: log, stones, erasures, refused sessions, roles ──▶ what may have left stays ──▶ open

The data is one transaction, and everything after it, with the opening, is a second one; nobody but its owner may connect before its
end. So nothing that was deleted can be seen again, not for a moment. A restore that was killed is begun again with the same
command: it goes on after the data where these are there.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from webmail.errors import Refused
from webmail.keys import MasterKeys
from webmail.privacy.backup.holding import keep_back
from webmail.privacy.backup.making import Manifest, read_keys, read_manifest
from webmail.privacy.backup.programs import BackupFailed, plain_url, target
from webmail.privacy.backup.reading import restoring
from webmail.privacy.backup.replaying import Connection, replay, value_of
from webmail.privacy.backup.storing import KEYS, Store

OWNER = "mtumail_owner"
_LOCK = 0x6D74_7265  # "mtre"
_DOORS = ("mtumail_web", "mtumail_worker", "mtumail_inbound", "mtumail_backup")


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


def restore(place: Store, key: MasterKeys, name: str, url: str, actor: str) -> Restored:
    """Restore the backup `name` into the empty database at `url`, by a role that is, or may become, the owner.

    Raises Refused where the database is not empty, BackupFailed, NoPlace, Tampered, psycopg.Error.
    """
    manifest = read_manifest(place, key, name)
    # Without the mailboxes' keys nothing opens, and what was restored would write down next that there are none.
    place.open(KEYS).close()
    with _alone(url):
        with _owner(url) as connection:
            is_loaded = _begin(connection, name)
        if not is_loaded:
            _load(place, key, manifest, url)
        return _finish(place, key, manifest, url, actor)


def _load(place: Store, key: MasterKeys, manifest: Manifest, url: str) -> None:
    """Have `pg_restore` put the data in, all or nothing."""
    where, environment = target(url)
    options = ["--single-transaction", "--exit-on-error", "--no-owner", f"--role={OWNER}", "-d", where]
    try:
        with restoring(place, key, manifest.name, manifest.server, options, environment) as told:
            told.read()
    except BackupFailed:
        # What a restore that was killed had fed into its `pg_restore` may have come to its end meanwhile.
        with _owner(url) as connection:
            if not _begin(connection, manifest.name):
                raise


def _finish(place: Store, key: MasterKeys, manifest: Manifest, url: str, actor: str) -> Restored:
    """Everything after the data, and the opening: one transaction."""
    with _owner(url) as connection:
        boxes = _put_keys(connection, place, key)
        replayed = replay(connection, place, key, manifest.name)
        unsent = keep_back(connection)
        done = Restored(
            manifest,
            boxes,
            replayed.events,
            replayed.deleted,
            replayed.erased,
            unsent,
            replayed.is_continuous,
        )
        _tell(connection, actor, done)
        _mark(connection, None)
        _doors(connection, "GRANT CONNECT ON DATABASE {} TO {}")
    return done


def _begin(connection: Connection, name: str) -> bool:
    """Close the database to every process, and say in it what happens; whether its data are there, from a run that was killed.

    Raises Refused where it holds anything else.
    """
    mark = value_of(connection, _MARKED)
    if value_of(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"):
        if mark == _words(name):
            return True
        if mark and mark.startswith(_MARK):
            raise Refused(
                f"Another restore was not finished in this database: go on with {mark.removeprefix(_MARK)}, or drop it."
            )
        raise Refused("A backup is restored into an empty database; this one is not.")
    _doors(connection, "REVOKE CONNECT ON DATABASE {} FROM {}")
    _mark(connection, name)
    return False


_MARK = "mtumail is being restored here: "
_MARKED = """
    SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"""


def _words(name: str) -> str:
    return f"{_MARK}{name}"


def _mark(connection: Connection, name: str | None) -> None:
    """What a database says of itself, to us and to whoever looks at it with `psql`."""
    words = sql.Literal(_words(name) if name else None)
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(connection.info.dbname), words)
    )


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """While nobody else restores into this database. Raises Refused."""
    with psycopg.connect(plain_url(url), autocommit=True, application_name="mtumail-restore") as connection:
        if not value_of(connection, f"SELECT pg_try_advisory_lock({_LOCK})"):
            raise Refused("Another restore is at work in this database.")
        yield


def _owner(url: str) -> Connection:
    connection = psycopg.connect(plain_url(url), application_name="mtumail-restore")
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
    return connection


def _doors(connection: Connection, statement: str) -> None:
    """Postgres itself keeps the processes out, whatever they are told."""
    database = sql.Identifier(connection.info.dbname)
    if "REVOKE" in statement:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in _DOORS:
        connection.execute(sql.SQL(statement).format(database, sql.Identifier(role)))


def _put_keys(connection: Connection, place: Store, key: MasterKeys) -> int:
    """Put the mailboxes' keys in, of those that are still one's; how many."""
    boxes = 0
    for mailbox_id, wrapped in read_keys(place, key):
        boxes += connection.execute(_KEY, [mailbox_id, wrapped, mailbox_id]).rowcount
    return boxes


_KEY = """
    INSERT INTO mailbox_key (mailbox_id, wrapped) SELECT %s, %s WHERE EXISTS (
        SELECT FROM mailbox WHERE mailbox_id = %s AND state <> 'closed') ON CONFLICT DO NOTHING"""


def _tell(connection: Connection, actor: str, done: Restored) -> None:
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
