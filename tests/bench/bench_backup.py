"""How long a backup takes of a database of so many messages, how much memory, and how long a restore takes after deletions.

    .venv/bin/python tests/bench/bench_backup.py                        # 20,000 messages of 20 KB, 1,000 deleted since
    .venv/bin/python tests/bench/bench_backup.py --count 100000 --bytes 75000

Messages are random bytes in the rows of one real message: a backup does not look into them. Memory is the highest that the process
had; `pg_dump` and `pg_restore` have their own.
"""

import argparse
import base64
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from flask import Flask

from webmail import create_core, provision
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.embedded.postgres import PostgresServer
from webmail.identity import accounts
from webmail.keys import MasterKeys, create_master_key
from webmail.mail import mailboxes
from webmail.privacy.backup import making, restoring
from webmail.settings import domains
from workers import backing_up


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    _out(f"{what}: {time.monotonic() - began:.1f} s; memory so far {peak} MiB")


@contextmanager
def service(folder: Path) -> Iterator[tuple[Flask, Settings, str]]:
    """The core as the owner of the tables, settings that make backups, and an empty database to restore into."""
    server = PostgresServer(folder / "postgres")
    server.start()
    try:
        urls = provision.provision(server.admin_url, dict.fromkeys(provision.ROLES, "bench"))
        provision.migrate(urls["owner"])
        create_master_key(folder / "backup.key")
        (folder / "backups").mkdir()
        settings = Settings.from_environment({
            "MTUMAIL_ENV": "test",
            "MTUMAIL_ORIGIN": "http://mail.localhost:8000",
            "MTUMAIL_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
            "DATABASE_URL": urls["owner"],
            "MTUMAIL_BACKUP_TO": str(folder / "backups"),
            "MTUMAIL_BACKUP_KEY_FILE": str(folder / "backup.key"),
            "MTUMAIL_BACKUP_URL": urls["backup"],
        })  # fmt: skip
        admin = server.admin_url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored OWNER mtumail_owner")
        app = create_core(settings, "bench")
        with app.app_context():
            yield app, settings, admin.replace("/postgres?", "/restored?")
            db.engine.dispose()
    finally:
        server.stop()


def fill(master: MasterKeys, url: str, count: int, size: int) -> None:
    """A mailbox with as many messages."""
    with transaction():
        domains.host("bench.test")
        account_id = accounts.meet("user_bench000", "Bench", "bench@elsewhere.example")
    mailbox_id = mailboxes.new_mailbox_id()
    with transaction(mailbox_id):
        mailboxes.create(
            master, account_id=account_id, name="Bench", local_part="bench", domain="bench.test", quota_bytes=10**13,
            actor="system:bench",
        )  # fmt: skip
    with psycopg.connect(url.replace("/restored?", "/mtumail?"), autocommit=True) as connection:
        connection.execute(_MESSAGES, {"mailbox": mailbox_id, "count": count})
        with connection.cursor().copy(
            "COPY message_source (mailbox_id, message_id, sealed) FROM STDIN"
        ) as copy:
            for number in range(1, count + 1):
                copy.write_row((mailbox_id, number, os.urandom(size)))


_MESSAGES = """
    INSERT INTO message (mailbox_id, message_id, folder_id, state, direction, received_at, size_bytes, content_key, summary, thread_id)
    SELECT %(mailbox)s, g, 1, 'filed', 'in', now(), 1, decode(repeat('02', 61), 'hex'), decode(repeat('01', 300), 'hex'), g
      FROM generate_series(1, %(count)s) g"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=20_000)
    parser.add_argument("--deleted", type=int, default=1_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name)) as (app, settings, url):
        fill(app.extensions["master_keys"], url, chosen.count, chosen.bytes)
        with timed("made, read back and compared"):
            manifest = backing_up.back_up(settings)
        _out(f"{manifest.count} rows, {manifest.bytes >> 20} MiB")
        means = backing_up.means(settings)
        with timed("read again"):
            making.compare(means.place, means.key, manifest)
        with psycopg.connect(url.replace("/restored?", "/mtumail?"), autocommit=True) as connection:
            connection.execute("DELETE FROM message WHERE message_id <= %s", [chosen.deleted])
        with timed("journal"):
            backing_up.write_journal(means)
        with timed("restored"):
            done = restoring.restore(means.place, means.key, manifest.name, url, "system:bench")
        with psycopg.connect(url) as connection:
            left = connection.execute("SELECT count(*) FROM message").fetchone()
        _out(f"deleted again: {done.deleted}; messages there: {left and left[0]}")
        if done.deleted != chosen.deleted or left != (chosen.count - chosen.deleted,):
            raise SystemExit("not what was deleted")


if __name__ == "__main__":
    main()
