"""How long things live: what is too old goes and nothing else, each run is written down, and messages never end by themselves."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail import schedules
from webmail.db import transaction
from webmail.governance import reports
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.mailboxes import OwnerSession
from webmail.privacy import retention
from webmail.settings import declared, kept
from workers import intake, keeping
from workers import schedules as clock

DENIALS = retention.find("denials")


@pytest.fixture
def deny(superuser, empty):
    def add(days, count=1):
        for number in range(count):
            superuser.execute(
                text("INSERT INTO session_denial VALUES (:s, 'test', now() - make_interval(days => :d))"),
                {"s": f"sess_{days}x{number}", "d": days},
            )

    return add


def count(superuser, table):
    return superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar()


@pytest.fixture
def run_all(worker, monkeypatch):
    """Let the clock strike: every schedule is due."""
    monkeypatch.setattr("workers.schedules.core", lambda: worker)

    def strike():
        with worker.app_context(), transaction():
            for code in clock.RUNS:
                schedules.soon(code)
        return clock.run_due()

    return strike


def test_every_rule_has_a_setting_and_a_function_of_the_database(superuser):
    functions = superuser.execute(
        text("SELECT proname FROM pg_proc WHERE proname LIKE 'retention\\_%'")
    ).scalars()
    assert set(functions) == {rule.function for rule in retention.RULES}
    assert {rule.setting for rule in retention.RULES} == {one.name for one in declared.of_group("retention")}
    assert set(clock.RUNS) == set(schedules.PERIODS)


def test_P25_what_is_older_than_its_setting_goes_and_nothing_else(deny, run_all, superuser):
    days = declared.SETTINGS["retention.denials"].default
    deny(days + 1, 3)
    deny(days - 1, 2)
    assert set(run_all()) == set(clock.RUNS)
    assert count(superuser, "session_denial") == 2
    [row] = superuser.execute(text("SELECT * FROM retention_run WHERE rule = 'denials'")).mappings()
    assert row["removed"] == 3
    assert datetime.now(UTC) - row["oldest_at"] > timedelta(days=days)
    events = (
        superuser.execute(text("SELECT entry FROM audit_event WHERE kind = 'retention.removed'"))
        .scalars()
        .all()
    )
    assert len(events) == 1
    assert '"count": 3' in events[0]


def test_P25_a_preview_counts_and_removes_nothing(deny, worker, superuser):
    deny(100, 4)
    with worker.app_context(), transaction():
        seen = retention.preview(DENIALS)
        assert (seen.count, retention.preview(DENIALS, days=200).count) == (4, 0)
        assert datetime.now(UTC) - seen.oldest_at > timedelta(days=99)
    assert count(superuser, "session_denial") == 4


def test_P25_a_changed_setting_holds_with_the_next_run(deny, run_all, web_app, superuser):
    deny(10, 2)
    run_all()
    assert count(superuser, "session_denial") == 2
    with web_app.app_context(), transaction(staff=True):
        kept.change("retention.denials", 5, actor="account:1")
    run_all()
    assert count(superuser, "session_denial") == 0


def test_more_than_a_batch_goes_in_batches_and_a_run_that_is_killed_is_gone_on_with(
    deny, run_all, superuser, monkeypatch
):
    monkeypatch.setattr(retention, "BATCH", 2)
    deny(100, 7)
    real, calls = retention.go_on, []

    def killed(run):
        calls.append(run.count)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(retention, "go_on", killed)
    with pytest.raises(KeyboardInterrupt):
        run_all()
    left = count(superuser, "session_denial")
    assert 0 < left < 7 or left == 7
    superuser.execute(
        text("UPDATE schedule SET lease_until = now() - interval '1 second' WHERE lease IS NOT NULL")
    )
    run_all()
    assert count(superuser, "session_denial") == 0


def test_a_schedule_that_another_worker_holds_is_left_alone(worker, empty, run_all, superuser):
    with worker.app_context(), transaction():
        schedules.soon(schedules.RETENTION)
        held = schedules.claim(schedules.RETENTION)
        assert held is not None
        assert schedules.claim(schedules.RETENTION) is None
    assert schedules.RETENTION not in run_all()
    superuser.execute(
        text(
            "UPDATE schedule SET lease_until = now() - interval '1 second', next_at = now() WHERE lease IS NOT NULL"
        )
    )
    assert schedules.RETENTION in run_all()
    with worker.app_context(), transaction():
        assert not schedules.finish(held)
        assert not schedules.hold(held)


def test_a_run_that_fails_is_told_and_tried_again(worker, run_all, empty, monkeypatch, superuser):
    def fail(run):
        raise ValueError

    monkeypatch.setattr(clock, "RUNS", {schedules.RETENTION: fail})
    run_all()
    row = superuser.execute(
        text("SELECT outcome, next_at - now() < interval '1 hour' FROM schedule WHERE code = 'retention'")
    ).one()
    assert tuple(row) == ("failed", True)


def test_the_sweeper_rings_for_what_is_due(worker, empty, run_all):
    assert "keep" not in keeping.sweep()
    with worker.app_context(), transaction():
        schedules.soon(schedules.RETENTION)
    assert "keep" in keeping.sweep()
    run_all()
    assert "keep" not in keeping.sweep()


@pytest.mark.parametrize("rule", retention.RULES, ids=lambda rule: rule.code)
def test_the_database_removes_nothing_that_is_younger_than_a_day(database, rule, empty):
    engine = create_engine(database.urls["worker"], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="younger than a day"):
        connection.execute(text(f"SELECT * FROM {rule.function}(now(), 10, true)"))
    engine.dispose()
    for role in ("web", "inbound"):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(f"SELECT * FROM {rule.function}(now() - interval '9 days', 10, true)"))
        engine.dispose()


# --- messages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def lying(deliver, ann, letter, web_app, superuser):
    """Messages in Trash, that were put there so many days ago."""

    def put(*days):
        made = []
        for number in days:
            message_id = deliver(ann, letter())
            with web_app.app_context(), transaction(ann.mailbox_id):
                messages.act(ann.mailbox_id, [message_id], "trash")
            superuser.execute(
                text("UPDATE message SET moved_at = now() - make_interval(days => :d), received_at = now() - interval '900 days' WHERE message_id = :m"),
                {"d": number, "m": message_id},
            )  # fmt: skip
            made.append(message_id)
        return made

    return put


def ids(superuser):
    return set(superuser.execute(text("SELECT message_id FROM message")).scalars())


def test_P24_nothing_ends_by_itself_unless_its_owner_asked(lying, run_all, superuser):
    all_of_them = set(lying(1, 400))
    run_all()
    assert ids(superuser) == all_of_them


def test_P24_trash_empties_itself_when_its_owner_wants_it(
    lying, run_all, web_app, ann, superuser, deliver, letter
):
    young, old = lying(29, 31)
    inbox = deliver(ann, letter())
    superuser.execute(
        text("UPDATE message SET received_at = now() - interval '900 days' WHERE message_id = :m"),
        {"m": inbox},
    )
    with web_app.app_context(), transaction(ann.mailbox_id):
        retention.set_keep_days(ann.mailbox_id, "trash", 30)
        assert retention.keep_days(ann.mailbox_id) == {"trash": 30, "junk": None}
    run_all()
    assert ids(superuser) == {young, inbox}
    assert old not in ids(superuser)


def test_P24_no_other_folder_can_be_made_to_empty_itself(web_app, ann):
    with (
        web_app.app_context(),
        pytest.raises(CheckViolation, match="of_trash_and_junk_alone"),
        transaction(ann.mailbox_id),
    ):
        retention.set_keep_days(ann.mailbox_id, "inbox", 30)
    with web_app.app_context(), pytest.raises(CheckViolation, match="sensible"), transaction(ann.mailbox_id):
        retention.set_keep_days(ann.mailbox_id, "trash", 0)


# --- cases ---------------------------------------------------------------------------------------------------------------


def test_P25_of_a_case_that_is_long_closed_nothing_can_be_read_any_more(
    run_all, worker, superuser, ann, deliver, letter, web_app, master
):
    message_id = deliver(ann, letter())
    with web_app.app_context(), transaction(ann.mailbox_id):
        keys = open_mailbox(master, ann.mailbox_id, OwnerSession(ann.account_id))
        reports.report(keys, master, message_id, account_id=ann.account_id, kind="spam", words="Please look")
    intake.drain()
    case = "SELECT case_id, closed_at FROM case_file"
    assert len(superuser.execute(text(case)).all()) == 1
    sealed = "SELECT count(*) FROM report WHERE sealed IS NOT NULL"
    close = "UPDATE case_file SET state = 'closed', outcome = 'acted', closed_at = now() - make_interval(days => :d)"
    superuser.execute(text(close), {"d": 300})
    run_all()
    assert superuser.execute(text(sealed)).scalar() == 1
    superuser.execute(text(close), {"d": 400})
    with worker.app_context(), transaction():
        assert retention.preview(retention.find("cases")).count == 1
    run_all()
    assert superuser.execute(text(sealed)).scalar() == 0
    with worker.app_context(), transaction():
        assert retention.preview(retention.find("cases")).count == 0
    item = superuser.execute(text("SELECT * FROM case_item")).mappings().one()
    assert (item["label"], item["words"], item["sealed"]) == (None, None, None)
    assert (
        superuser.execute(
            text("SELECT case_open(1, :a, :i, 'text')"), {"a": ann.account_id, "i": item["item_id"]}
        ).scalar()
        is None
    )
