"""Old detail may go, by one function alone; hashes stay, and the log says what went."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import audit
from webmail.db import transaction

YEAR_AGO = datetime.now(UTC) - timedelta(days=366)


@pytest.fixture
def old(log, append, tamper, rehash, superuser, web_app, master):
    """Eight events of three years ago (the last about somebody, and sealed), and two of today."""
    with web_app.app_context(), transaction():
        audit.record("role.granted", "account:1", about=5)
        audit.seal(master, "access.opened", "account:1", b"x", about=5)
    tamper(
        "UPDATE audit_event SET at = at - interval '3 years', entry = replace(entry, '\"at\": \"' || extract(year from at),"
        ' \'"at": "\' || (extract(year from at) - 3))'
    )
    rehash()
    append(2)


@pytest.fixture
def drop(worker):
    def run(before: datetime = YEAR_AGO) -> int:
        with worker.app_context(), transaction():
            return audit.drop_detail(before)

    return run


def test_P25_old_detail_goes_and_the_log_still_holds(old, drop, checkpoint, examined, superuser):
    note = checkpoint()
    leaves = superuser.execute(text("SELECT number, leaf, chain, nodes FROM audit_event ORDER BY 1")).all()
    assert drop() == 7, "what is still sealed stays"
    assert drop() == 0
    assert (
        superuser.execute(
            text("SELECT number, leaf, chain, nodes FROM audit_event WHERE number <= 10 ORDER BY 1")
        ).all()
        == leaves
    )
    gone = (
        superuser.execute(
            text("SELECT number FROM audit_event WHERE entry IS NULL AND actor IS NULL ORDER BY 1")
        )
        .scalars()
        .all()
    )
    assert gone == [1, 2, 3, 4, 5, 6, 7]
    assert superuser.execute(text("SELECT DISTINCT number FROM audit_subject")).scalars().all() == [8]
    report = examined(notes=(note,))
    assert (report.faults, report.hash_only, report.read) == ([], 7, 11)
    last = superuser.execute(text("SELECT kind, entry FROM audit_event ORDER BY number DESC LIMIT 1")).one()
    assert last.kind == "audit.detail_dropped"
    assert '"to": 7' in last.entry
    assert '"events": 7' in last.entry


def test_P25_what_was_sealed_goes_once_it_was_opened(
    old, drop, checkpoint, worker, master, superuser, examined
):
    with worker.app_context(), transaction():
        audit.unseal(master, 8)
    checkpoint()
    assert drop() == 8
    for table in ("audit_sealed", "audit_opened", "audit_subject"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
    assert examined().faults == []


def test_P25_what_was_dropped_is_shown_as_its_hash(old, drop, checkpoint, web_app):
    checkpoint()
    drop()
    with web_app.app_context(), transaction(staff=True):
        line = audit.one(3)
        assert (line.facts, line.actor, line.kind) == (None, "", "mailbox.created")
    with web_app.app_context(), transaction():
        assert audit.about(5) == []


def test_nothing_unsigned_is_dropped(old, drop):
    assert drop() == 0


def test_the_last_year_is_never_dropped(old, drop, checkpoint):
    checkpoint()
    with pytest.raises(DBAPIError, match="keeps its detail for a year"):
        drop(datetime.now(UTC) - timedelta(days=364))


def test_what_says_that_detail_was_dropped_is_not_dropped_itself(
    old, drop, checkpoint, tamper, rehash, examined, superuser
):
    checkpoint()
    drop()
    tamper(
        "DELETE FROM audit_checkpoint",
        'UPDATE audit_event SET at = at - interval \'500 days\', entry = regexp_replace(entry, \'"at": "[^"]*"\', \'"at": "\''
        " || to_char((at - interval '500 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') || '\"') WHERE number > 8",
    )
    rehash()
    checkpoint()
    assert drop() == 2
    told = superuser.execute(
        text("SELECT number FROM audit_event WHERE kind = 'audit.detail_dropped' AND entry IS NOT NULL")
    )
    assert told.scalars().all() == [11, 12]
    assert examined().faults == []


@pytest.mark.parametrize("role", ["web_app", "owner_app"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET entry = NULL, actor = NULL WHERE number = 1",
        "UPDATE audit_event SET entry = 'x'",
        "DELETE FROM audit_sealed",
    ],
)
def test_nobody_drops_past_the_function(old, request, role, statement):
    app = request.getfixturevalue(role)
    with (
        app.app_context(),
        pytest.raises(DBAPIError, match=r"append-only|permission denied"),
        transaction() as session,
    ):
        session.execute(text(statement))


def test_nobody_drops_from_a_function_of_another_name(old, superuser):
    superuser.exec_driver_sql(
        "CREATE FUNCTION pg_temp.audit_drop_details(timestamptz) RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE audit_event SET entry = NULL, actor = NULL; END $$"
    )
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.exec_driver_sql("SELECT pg_temp.audit_drop_details(now())")
