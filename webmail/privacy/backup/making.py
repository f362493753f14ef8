"""One backup: everything as it was at one moment, read by `pg_dump`, sealed on its way, read back and compared before it counts.

The wrapped keys of mailboxes are not in it. They are in a file of their own, which is replaced whole each time: what older backups
hold of a mailbox whose key is gone is noise.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, Any, cast

import psycopg

from webmail.keys import CHUNK, MasterKeys
from webmail.privacy.backup import container
from webmail.privacy.backup.programs import BackupFailed, plain_url, program, server_major, target
from webmail.privacy.backup.reading import counted
from webmail.privacy.backup.storing import DUMP, KEYS, LEFT_OUT, MANIFEST, Store


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `rows`: table to its number of rows; `sha256` and `bytes` are of the encrypted dump."""

    name: str
    made_at: str
    revision: str
    server: int
    rows: Mapping[str, int]
    bytes: int
    sha256: str

    @property
    def count(self) -> int:
        """All rows."""
        return sum(self.rows.values())


def new_name(now: datetime | None = None) -> str:
    """A name for a backup or a part of the journal that is made now."""
    return f"mtumail-{(now or datetime.now(UTC)).astimezone(UTC):%Y%m%dt%H%M%S%fz}"


def when(name: str) -> datetime:
    """When what has this name was made."""
    return datetime.strptime(name, "mtumail-%Y%m%dt%H%M%S%fz").replace(tzinfo=UTC)


_KEYS_LOCK = 0x6D74_6B65  # "mtke"


@contextmanager
def snapshot(url: str, lock: int | None = None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the role `mtumail_backup` that sees one moment, and can write nothing. Raises BackupFailed("no-right").

    With a `lock` it waits first for whoever has it.
    """
    with psycopg.connect(plain_url(url), autocommit=True, application_name="mtumail-backup") as connection:
        if lock is not None:
            connection.execute("SET lock_timeout = '600s'")
            connection.execute("SELECT pg_advisory_lock(%s)", [lock])
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        hidden = connection.execute(_HIDDEN).fetchall()
        if hidden:
            raise BackupFailed("no-right", ", ".join(name for (name,) in hidden))
        yield connection


# Without its policy, a table would seem empty to whoever reads it, and nothing would fail.
_HIDDEN = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
       AND (NOT has_table_privilege(c.oid, 'SELECT') OR c.relrowsecurity AND row_security_active(c.oid) AND NOT EXISTS (
           SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'backup_reads'))"""


def make(place: Store, key: MasterKeys, url: str, name: str) -> Manifest:
    """Make a backup called `name` of the database at `url`, and prove that it is good. Raises BackupFailed, NoPlace, OSError."""
    with snapshot(url) as connection:
        revision = _one(connection, "SELECT version_num FROM alembic_version")
        rows = {
            table: int(_one(connection, f'SELECT count(*) FROM "{table}"')) for table in _tables(connection)
        }
        shared = str(_one(connection, "SELECT pg_export_snapshot()"))
        major = server_major(connection)
        # Bytes are twice as many digits in a dump, and sealing packs them to what they were.
        expected = int(_one(connection, "SELECT pg_database_size(current_database())"))
        with place.writing(DUMP, name, expected) as file:
            writer = container.Writer(file, key, DUMP, name)
            _dump(url, shared, major, writer)
    manifest = Manifest(
        name,
        datetime.now(UTC).isoformat(),
        str(revision),
        major,
        rows,
        writer.size,
        writer.digest.hexdigest(),
    )
    try:
        compare(place, key, manifest)
    except BaseException:
        place.remove(DUMP, name)
        raise
    write_keys(place, key, url)
    with place.writing(MANIFEST, name) as file:
        file.write(container.seal_bytes(json.dumps(asdict(manifest)).encode(), key, MANIFEST, name))
    return manifest


def _dump(url: str, shared: str, major: int, writer: container.Writer) -> None:
    where, environment = target(url)
    command = [str(program("pg_dump", major)), "--format=custom", "--compress=none", "--enable-row-security"]
    command += [
        f"--snapshot={shared}",
        f"--exclude-table-data=public.{LEFT_OUT}",
        "--lock-wait-timeout=60s",
        "-d",
        where,
    ]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as dump:
        try:
            for value in iter(lambda: cast("IO[bytes]", dump.stdout).read(CHUNK), b""):
                writer.write(value)
        except BaseException:
            dump.kill()
            raise
    if dump.returncode:
        raise BackupFailed("dump-failed", f"pg_dump ended with {dump.returncode}")
    writer.close()


def write_keys(place: Store, key: MasterKeys, url: str) -> int:
    """Replace the file of the mailboxes' wrapped keys; how many it holds. Who is gone from it is gone from every backup.

    Two of these wait for each other: what was read earlier, with a key that is gone by now, is never what stays. Raises
    BackupFailed("another-database").
    """
    count = 0
    with snapshot(url, _KEYS_LOCK) as connection:
        _refuse_anothers(connection, place, key)
        with place.writing(KEYS) as file:
            writer = container.Writer(file, key, KEYS, KEYS)
            for mailbox_id, wrapped in connection.execute(_KEYS):
                writer.write(f"{mailbox_id} {bytes(wrapped).hex()}\n".encode())
                count += 1
            writer.close()
    return count


def _refuse_anothers(connection: psycopg.Connection[tuple[Any, ...]], place: Store, key: MasterKeys) -> None:
    """After a disaster the service may run with a new database before the old one was restored: it must not replace the keys of
    mailboxes that it does not know, which are all that opens the backups. A mailbox that was erased is known still."""
    if _one(connection, _AT_HOME) or not place.has(KEYS):
        return
    held = [mailbox_id for mailbox_id, _ in read_keys(place, key)]
    if connection.execute(_STRANGE, [held]).fetchone():
        raise BackupFailed("another-database", "the keys in this place are of mailboxes that are not here")


_AT_HOME = (
    "SELECT EXISTS (SELECT FROM backup_journal) OR EXISTS (SELECT FROM backup_run WHERE kind = 'restore')"
)
_STRANGE = """
    SELECT 1 FROM unnest(%s::bigint[]) AS held (mailbox_id)
     WHERE NOT EXISTS (SELECT FROM mailbox m WHERE m.mailbox_id = held.mailbox_id) LIMIT 1"""


_KEYS = "SELECT mailbox_id, wrapped FROM mailbox_key ORDER BY mailbox_id"


def read_keys(place: Store, key: MasterKeys) -> Iterator[tuple[int, bytes]]:
    """Each mailbox's wrapped keys. Raises Tampered, NoPlace."""
    with place.open(KEYS) as file:
        for line in lines(container.read(file, key, KEYS, KEYS)):
            mailbox_id, _, wrapped = line.partition(b" ")
            yield int(mailbox_id), bytes.fromhex(wrapped.decode())


def lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a stream."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def read_manifest(place: Store, key: MasterKeys, name: str) -> Manifest:
    """What a backup says that it holds. Raises NoPlace, Tampered."""
    with place.open(MANIFEST, name) as file:
        return Manifest(**json.loads(b"".join(container.read(file, key, MANIFEST, name))))


def compare(place: Store, key: MasterKeys, manifest: Manifest) -> None:
    """Read a dump back: its checksum, every chunk's tag, its table of contents, and the rows of each table. Raises BackupFailed
    ("not-as-written"), Tampered."""
    with place.open(DUMP, manifest.name) as file:
        digest = sha256()
        while part := file.read(CHUNK):
            digest.update(part)
    if digest.hexdigest() != manifest.sha256:
        raise BackupFailed("not-as-written", "its checksum differs")
    found = counted(place, key, manifest.name, manifest.server)
    wanted = {table: number for table, number in manifest.rows.items() if table != LEFT_OUT}
    if found != wanted:
        wrong = sorted(table for table in found | wanted if found.get(table) != wanted.get(table))
        raise BackupFailed("not-as-written", f"rows differ in {', '.join(wrong)}")


def _tables(connection: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    )
    return [name for (name,) in found]


def _one(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None
