"""What tests of the audit log share: a small log, what only a superuser can do to it, and its verification."""

import warnings
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from webmail import audit
from webmail.db import transaction

EVENTS = 6
WHOLE = "audit_event_nodes_are_whole"


@pytest.fixture
def log(empty, owner_app: Flask) -> int:
    """A log of six events; how many they are."""
    with owner_app.app_context(), transaction():
        for number in range(1, EVENTS + 1):
            assert (
                audit.record("mailbox.created", "system:tests", mailbox=number, note="Zoë & 日本") == number
            )
    return EVENTS


@pytest.fixture
def append(owner_app: Flask) -> Callable[..., None]:
    def more(count: int, **facts: object) -> None:
        with owner_app.app_context(), transaction():
            for _ in range(count):
                audit.record("mailbox.created", "system:tests", **facts)

    return more


@pytest.fixture
def tamper(superuser) -> Iterator[Callable[..., None]]:
    """Do what only a superuser can: the log's triggers asleep, and the rule gone that would betray a row in the wrong place."""
    rule = superuser.execute(
        text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"), {"name": WHOLE}
    ).scalar_one()
    superuser.exec_driver_sql(f"ALTER TABLE audit_event DROP CONSTRAINT {WHOLE}")

    def run(*statements: str) -> None:
        body = "; ".join(statements).replace("%", "%%")
        superuser.exec_driver_sql(
            f"SET session_replication_role = replica; {body}; SET session_replication_role = origin"
        )

    yield run
    superuser.exec_driver_sql(
        "SET session_replication_role = replica; DELETE FROM audit_opened; DELETE FROM audit_sealed;"
        " DELETE FROM audit_subject; DELETE FROM audit_event; SET session_replication_role = origin;"
        f" ALTER TABLE audit_event ADD CONSTRAINT {WHOLE} {rule.replace('%', '%%')}"
    )


@pytest.fixture
def examined(database) -> Callable[..., audit.Report]:
    """Examine as `mtumail audit verify` does: as the owner of the tables, with the database's own checkpoints and others."""

    def run(
        *, since: int = 1, notes: tuple[str, ...] = (), stored: bool = True, verifier=None
    ) -> audit.Report:
        engine = create_engine(database.urls["owner"], poolclass=NullPool)
        with warnings.catch_warnings():
            # At a fault, it stops in the middle of a cursor; the end of its session closes it.
            warnings.simplefilter("ignore", ResourceWarning)
            with Session(engine) as session:
                all_notes = [*(audit.stored_checkpoints(session) if stored else ()), *notes]
                return audit.examine(session, since=since, notes=all_notes, verifier=verifier)

    return run


@pytest.fixture
def verified(examined) -> Callable[..., tuple[int, audit.Fault | None]]:
    def run(since: int = 1) -> tuple[int, audit.Fault | None]:
        report = examined(since=since)
        return report.read, report.faults[0] if report.faults else None

    return run


@pytest.fixture
def rehash(superuser) -> Callable[[], None]:
    """Make every hash anew from the entries, as somebody would who can write to the database and knows the rules."""

    def run() -> None:
        superuser.exec_driver_sql("""
            SET session_replication_role = replica;
            UPDATE audit_event SET leaf = sha256('\\x00'::bytea || convert_to(entry, 'UTF8')) WHERE entry IS NOT NULL;
            DO $$ DECLARE one record; previous bytea := decode(repeat('00', 32), 'hex'); BEGIN
                FOR one IN SELECT number, leaf FROM audit_event ORDER BY number LOOP
                    previous := sha256('\\x01'::bytea || previous || one.leaf);
                    UPDATE audit_event SET chain = previous, nodes = audit_subtrees(one.number, one.leaf) WHERE number = one.number;
                END LOOP;
            END $$;
            SET session_replication_role = origin""")

    return run


@pytest.fixture
def checkpoint(worker: Flask, master) -> Callable[[], str]:
    """Sign the log as the worker does; the note."""

    def make() -> str:
        with worker.app_context(), transaction() as session:
            audit.make_checkpoint(master, "mail.test/audit")
            return audit.stored_checkpoints(session)[-1]

    return make
