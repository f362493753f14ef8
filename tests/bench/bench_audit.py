"""What the audit log costs when it is long: `python tests/bench/bench_audit.py [EVENTS]`.

Fills a scratch database with events whose hashes are true (a tenth of them about somebody), then appends some thousand by the real
function, and verifies all of it. On a Postgres of its own, on the disk, with fsync.
"""

import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from webmail import audit, db, provision
from webmail.audit import notes, tree
from webmail.embedded.postgres import PostgresServer

APPENDS = 3000
COLUMNS = "number, at, kind, actor, entry, leaf, chain, nodes, case_id"


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def fill(connection: psycopg.Connection, events: int) -> None:
    frontier, chain = tree.Frontier(), audit.GENESIS
    start = datetime.now(UTC) - timedelta(seconds=events)
    kinds = sorted(audit.KINDS)
    with connection.cursor().copy(f"COPY audit_event ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "timestamptz", "text", "text", "text", "bytea", "bytea", "bytea", "int8"])
        for number in range(1, events + 1):
            at, kind, actor = (
                start + timedelta(seconds=number),
                kinds[number % len(kinds)],
                f"account:{number % 997}",
            )
            case = number % 5000 if number % 7 == 0 else None
            facts = {"mailbox": number * 7919, "message": number * 104729} | (
                {"case": case} if case is not None else {}
            )
            if kind == "audit.detail_dropped":
                facts |= {"from": 0, "to": 0}
            entry = json.dumps(
                {"at": at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"), "kind": kind, "role": "mtumail_web", "actor": actor,
                 "facts": facts, "number": number}, separators=(", ", ": "),
            )  # fmt: skip
            leaf = tree.leaf_hash(entry.encode())
            chain = sha256(b"\x01" + chain + leaf).digest()
            copy.write_row((number, at, kind, actor, entry, leaf, chain, frontier.append(leaf), case))
    connection.commit()


def append(connection: psycopg.Connection, about: str, label: str) -> None:
    """Each in a transaction of its own: the time in the function, and that of the whole with its commit."""
    inside, whole = [], []
    for turn in range(APPENDS):
        begun = time.perf_counter()
        connection.execute(
            f"SELECT audit_append('mailbox.created', 'account:12', %s::jsonb{about})",
            [json.dumps({"mailbox": turn})],
        )
        inside.append(time.perf_counter() - begun)
        connection.commit()
        whole.append(time.perf_counter() - begun)
    for words, times in ((f"{label}, the call", inside), (f"{label}, with its commit", whole)):
        cuts = statistics.quantiles(times, n=100)
        _out(
            f"{words}: mean {statistics.mean(times) * 1e3:.2f} ms, p50 {cuts[49] * 1e3:.2f}, p99 {cuts[98] * 1e3:.2f}"
        )


def pages(url: str, total: int) -> None:
    """The queries of a page of 50, each the second time."""
    app = Flask("bench")
    db.init_app(app, url)
    few = sorted(audit.KINDS)[::2]
    asked = {
        "newest": (audit.Filters(None), None),
        "of half of the kinds, from the middle on": (audit.Filters(few), total // 2),
        "of one kind": (audit.Filters([few[0]]), None),
        "of a kind that never was": (audit.Filters(["some.thing"]), None),
        "of one actor": (audit.Filters(None, actor="account:5"), None),
        "of one case": (audit.Filters(few, case_id=70), None),
        "of one day": (audit.Filters(few, until=datetime.now(UTC) - timedelta(days=5)), None),
    }
    with app.app_context():
        for label, (filters, before) in asked.items():
            for _ in range(2):
                begun = time.perf_counter()
                with db.transaction():
                    found = len(audit.page(filters, before=before))
                took = time.perf_counter() - begun
            _out(f"page {label}: {found} events in {took * 1e3:.1f} ms")
        db.db.engine.dispose()


def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            urls = provision.provision(server.admin_url, dict.fromkeys(provision.ROLES, "for-this-run-only"))
            provision.migrate(urls["owner"])
            admin = urls["owner"].replace("postgresql+psycopg://", "postgresql://")
            begun = time.perf_counter()
            with psycopg.connect(admin) as connection:
                fill(connection, events)
                _out(f"filled with {events} events in {time.perf_counter() - begun:.0f} s")
                connection.execute("ANALYZE audit_event")
                size = connection.execute("SELECT pg_total_relation_size('audit_event')").fetchone()[0]
                _out(f"{size / 1e6:.0f} MB on disk, {size / events:.0f} bytes an event")
                connection.commit()
                append(connection, "", "append")
                append(connection, ", ARRAY[12::bigint], NULL, NULL", "append about somebody")
                begun = time.perf_counter()
                root = connection.execute(
                    "SELECT audit_root((SELECT max(number) FROM audit_event))"
                ).fetchone()[0]
                _out(f"root: {(time.perf_counter() - begun) * 1e3:.1f} ms")
                total = connection.execute("SELECT max(number) FROM audit_event").fetchone()[0]
            public, private = notes.new_key()
            checkpoint = notes.Checkpoint("bench/audit", total, root)
            pages(urls["owner"], total)
            engine = create_engine(urls["owner"])
            with Session(engine) as session:
                begun = time.perf_counter()
                report = audit.examine(
                    session, notes=[checkpoint.sign(private)], verifier=notes.Verifier("bench/audit", public)
                )
                _out(f"verified {report.read} events and {report.checkpoints} checkpoint in"
                      f" {time.perf_counter() - begun:.1f} s; faults: {[str(one) for one in report.faults]}")  # fmt: skip
            engine.dispose()
        finally:
            server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
