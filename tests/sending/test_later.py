"""Sending at a time: it leaves then, as it stood; whoever may not send then is held, and nothing is lost."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.utils import parsedate_to_datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import Conflict
from webmail.mail import messages
from webmail.sending import drafts, later, leaving
from webmail.sending.composing import CompositionError
from webmail.sending.later import TimeError

TO = "a@example.org"


def ahead(**period):
    return datetime.now(UTC) + timedelta(**period)


@pytest.fixture
def pass_time(superuser):
    """As if it were that much later."""

    def go(**period):
        for table, column in (("work", "due_at"), ("scheduled", "send_at")):
            superuser.execute(
                text(f"UPDATE {table} SET {column} = {column} - :by"), {"by": timedelta(**period)}
            )

    return go


@pytest.fixture
def count(superuser):
    return lambda table: superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar()


@pytest.fixture
def schedule(opened, ann):
    def send(at, fields=None, message_id=None, revision=1, **more):
        def call(keys):
            who = (ann.name, ann.address)
            draft = (
                drafts.create(keys, who, fields or drafts.Fields(TO, subject="Hi"))
                if message_id is None
                else None
            )
            number = message_id if draft is None else draft.message_id
            values = {"account_id": ann.account_id, "author": who, "limit": 10**6} | more
            later.send(keys, number, revision, at=at, **values)
            return number

        return opened(ann, call)

    return send


def test_it_leaves_at_its_time(schedule, drain, pass_time, count, opened, ann):
    message = schedule(ahead(hours=2), undo=10)
    [line] = opened(ann, later.listed)
    assert (line.message_id, line.way, line.held, line.subject, line.to) == (message, "later", "", "Hi", TO)
    assert timedelta(minutes=119) < line.send_at - datetime.now(UTC) < timedelta(minutes=121)
    pass_time(minutes=119)
    assert drain() == 0
    pass_time(minutes=2)
    assert drain() == 1
    assert (count("submission"), count("draft")) == (1, 0)
    raw = opened(ann, lambda keys: messages.source(keys, message))
    dated = parsedate_to_datetime(message_from_bytes(raw)["Date"])
    assert abs(dated - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("at", "reason"), [({"seconds": -1}, "past"), ({"days": -400}, "past"), ({"days": 367}, "far")]
)
def test_no_other_times(schedule, count, at, reason):
    with pytest.raises(TimeError) as caught:
        schedule(ahead(**at))
    assert caught.value.reason == reason
    assert count("scheduled") == 0


def test_what_cannot_leave_is_refused_when_it_is_scheduled(schedule, count):
    with pytest.raises(CompositionError):
        schedule(ahead(hours=1), drafts.Fields("nobody"))
    assert count("scheduled") == 0


def test_saved_and_scheduled_again_it_has_the_new_time_and_text(
    schedule, opened, ann, drain, pass_time, count
):
    message = schedule(ahead(hours=1))
    fields = drafts.Fields(TO, subject="New")
    opened(ann, lambda keys: drafts.save(keys, (ann.name, ann.address), message, 1, fields))
    assert [line.held for line in opened(ann, later.listed)] == ["changed"]
    schedule(ahead(hours=3), message_id=message, revision=2)
    pass_time(hours=2)
    assert drain() == 0
    pass_time(hours=2)
    assert drain() == 1
    assert b"Subject: New" in opened(ann, lambda keys: messages.source(keys, message))
    assert count("submission") == 1


def test_an_old_revision_is_not_scheduled(schedule, opened, ann):
    message = schedule(ahead(hours=1))
    fields = drafts.Fields(TO, subject="New")
    opened(ann, lambda keys: drafts.save(keys, (ann.name, ann.address), message, 1, fields))
    with pytest.raises(Conflict):
        schedule(ahead(hours=1), message_id=message, revision=1)


def test_what_waited_for_a_worker_that_was_down_is_late_and_leaves(
    schedule, pass_time, drain, opened, ann, count
):
    schedule(ahead(hours=1))
    pass_time(hours=3)
    assert [line.is_late for line in opened(ann, later.listed)] == [True]
    drain()
    assert count("submission") == 1


@pytest.mark.parametrize(
    ("suspend", "reinstate"),
    [
        ("UPDATE account SET status = 'suspended'", "UPDATE account SET status = 'active'"),
        ("UPDATE mailbox SET state = 'suspended'", "UPDATE mailbox SET state = 'active'"),
    ],
)
def test_of_somebody_suspended_it_is_held_and_leaves_when_they_are_back(
    suspend, reinstate, schedule, pass_time, drain, opened, ann, count, superuser
):
    schedule(ahead(hours=1))
    superuser.execute(text(suspend))
    for _ in range(20):
        pass_time(hours=1)
        drain()
    assert count("submission") == 0
    assert superuser.execute(text("SELECT held FROM scheduled")).scalar() == "suspended"
    assert superuser.execute(text("SELECT attempts, problem FROM work")).one() == (0, "suspended")
    superuser.execute(text(reinstate))
    pass_time(minutes=11)
    drain()
    assert count("submission") == 1


def test_what_is_in_the_outbox_of_somebody_suspended_is_held_too(schedule, worker, ann, superuser, count):
    schedule(None)
    superuser.execute(text("UPDATE mailbox SET state = 'suspended'"))

    def take():
        superuser.execute(text("UPDATE work SET due_at = now()"))
        with worker.app_context():
            with transaction():
                [claim] = work.claim(work.SEND, 1, timedelta(minutes=1))
            about = leaving.begin(claim)
            if isinstance(about, leaving.Stays):
                with transaction(ann.mailbox_id):
                    leaving.leave_be(claim, about)
                return None
            return about

    for _ in range(3):
        assert take() is None
    held = "SELECT attempts, problem, due_at > now() FROM work WHERE kind = 'send'"
    assert superuser.execute(text(held)).one() == (
        0,
        "suspended",
        True,
    )
    assert superuser.execute(text("SELECT state, attempts FROM delivery")).one() == ("queued", 0)
    superuser.execute(text("UPDATE mailbox SET state = 'active'"))
    assert list(take().recipients) == [TO]


def test_what_can_leave_no_more_stays_and_says_so(schedule, pass_time, drain, opened, ann, count, superuser):
    """The name that it was written under is gone since."""
    schedule(ahead(hours=1), drafts.Fields(TO, subject="Hi", identity=4711))
    pass_time(hours=2)
    drain()
    assert (count("submission"), count("draft"), count("work")) == (0, 1, 0)
    assert [line.held for line in opened(ann, later.listed)] == ["unsendable"]


def test_the_bell_knows_what_to_run():
    assert "workers.scheduled.drain" in jobs.functions()
    assert work.SUBMIT in work.KINDS


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("revision = 0", "scheduled_revision_is_positive"),
        ("way = 'soon'", "scheduled_way_is_known"),
        ("held = 'no'", "scheduled_held_is_known"),
        ("account_id = 1", "scheduled_account_id_exists"),
        ("message_id = 1", "scheduled_draft_exists"),
    ],
)
def test_the_database_refuses_nonsense(schedule, superuser, change, rule):
    schedule(ahead(hours=1))
    with pytest.raises(IntegrityError, match=rule):
        superuser.execute(text(f"UPDATE scheduled SET {change}"))
