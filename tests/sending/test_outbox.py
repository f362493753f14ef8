"""The outbox's rows, without a relay: what is claimed, noted, tried again, flagged and given up."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import work
from webmail.db import transaction
from webmail.errors import Conflict, Refused
from webmail.sending import drafts, leaving, outbox, returning, submitting
from webmail.sending.composing import CompositionError
from webmail.sending.outbox import Status

A, B, C = "a@example.org", "b@example.org", "c@example.org"


@pytest.fixture
def send(opened, ann):
    """Submit a message of ann's; (message, submission)."""

    def submit(to=f"{A}, {B}", cc="", bcc="", author=None, limit=10**6, **more):
        def call(keys):
            who = author or (ann.name, ann.address)
            draft = drafts.create(keys, who, drafts.Fields(to, cc, bcc, "Hi", "Text", **more))
            return draft.message_id, submitting.submit(
                keys, draft.message_id, 1, account_id=ann.account_id, author=who, limit=limit
            )

        return opened(ann, call)

    return submit


@pytest.fixture
def attempt(worker, ann, superuser):
    """One attempt as the worker makes it; `outcomes` maps recipients to what became of them. (delay, recipients)."""

    def make(outcomes, *, handed=()):
        superuser.execute(text("UPDATE work SET due_at = now()"))
        with worker.app_context():
            with transaction():
                [claim] = work.claim(work.SEND, 1, timedelta(minutes=1))
            about = leaving.begin(claim)
            if handed:
                assert leaving.hand_over(about, handed)
            if outcomes is None:
                return None, set(about.recipients)
            with transaction(ann.mailbox_id):
                answers = [leaving.Answer(one, outcomes[one], 250, "x" * 900) for one in about.recipients]
                assert leaving.note(about, answers)
                return leaving.settle(about), set(about.recipients)

    return make


@pytest.fixture
def states(superuser):
    return lambda: {
        row.recipient: (row.state, row.attempts, row.repeated)
        for row in superuser.execute(text("SELECT * FROM delivery"))
    }


def test_a_submission_queues_each_recipient_once(send, states, superuser, opened, ann):
    message, submission = send(f"Al <{A}>, {B}", cc=f"{A}, {C}", bcc=B)
    assert states() == dict.fromkeys((A, B, C), ("queued", 0, False))
    row = superuser.execute(text("SELECT * FROM submission")).one()
    assert (row.submission_id, row.message_id, row.finished_at) == (submission, message, None)
    assert returning.submission_of(row.envelope_from) == submission
    found = opened(ann, lambda keys: outbox.statuses(keys.mailbox_id, [message]))
    assert [status.recipient for status in found[message]] == [A, B, C]
    assert outbox.overall(found[message]) == "sending"


def test_only_open_rows_are_tried_again(send, attempt, states, superuser):
    send(f"{A}, {B}, {C}")
    delay, tried = attempt({A: "sent", B: "deferred", C: "failed"})
    assert tried == {A, B, C}
    assert timedelta(minutes=4) <= delay <= timedelta(minutes=6)
    assert superuser.execute(text("SELECT length(reply) FROM delivery LIMIT 1")).scalar() == 500
    delay, tried = attempt({B: "unknown"})
    assert tried == {B}
    assert timedelta(minutes=8) <= delay <= timedelta(minutes=12)
    delay, tried = attempt({B: "sent"})
    assert (delay, tried) == (None, {B})
    assert states() == {A: ("sent", 1, False), B: ("sent", 3, True), C: ("failed", 1, False)}
    assert superuser.execute(text("SELECT kind FROM work")).scalars().all() == ["tell"], (
        "of whom it failed for"
    )
    assert superuser.execute(text("SELECT finished_at IS NOT NULL FROM submission")).scalar()


def test_who_was_handed_over_before_a_crash_is_flagged_and_nobody_else(send, attempt, states):
    send(f"{A}, {B}")
    attempt(None, handed=[A])
    assert states() == {A: ("handed", 1, False), B: ("claimed", 1, False)}
    attempt({A: "sent", B: "sent"})
    assert states() == {A: ("sent", 2, True), B: ("sent", 2, False)}


def test_waits_double_from_five_minutes_to_four_hours_with_jitter():
    five = timedelta(minutes=5)
    for attempts, want in [
        (1, five),
        (2, 2 * five),
        (3, 4 * five),
        (6, 32 * five),
        (7, timedelta(hours=4)),
        (500, timedelta(hours=4)),
    ]:
        waits = [outbox.retry_after(attempts) for _ in range(200)]
        assert min(waits) >= want * 0.8
        assert max(waits) <= want * 1.2
        assert max(waits) - min(waits) > want * 0.2, "so that a thousand messages do not come back at once"


def test_five_days_hold_fewer_attempts_than_are_allowed(worker):
    from workers.sending import ATTEMPTS

    shortest = sum((outbox.FIRST_RETRY * (1 << min(n, 10)) for n in range(6)), timedelta()) * 0.8
    shortest += outbox.LONGEST_RETRY * 0.8 * (ATTEMPTS - 7)
    assert shortest > outbox.GIVE_UP_AFTER


def test_one_that_is_given_up_does_not_stop_the_other(send, attempt, states):
    send(f"{A}, {B}")
    for _ in range(leaving.MOST_REPEATS - 1):
        assert attempt({A: "unknown", B: "deferred"})[0]
    assert attempt({A: "unknown", B: "deferred"})[0]
    assert {recipient: state[0] for recipient, state in states().items()} == {A: "failed", B: "deferred"}
    assert attempt({B: "sent"}) == (None, {B})


@pytest.mark.parametrize(
    ("kinds", "word"),
    [
        (("sent", "queued", "failed"), "sending"),
        (("handed", "deferred"), "sending"),
        (("sent", "deferred", "failed"), "deferred"),
        (("unknown", "sent"), "deferred"),
        (("sent", "failed"), "failed"),
        (("sent", "sent"), "sent"),
    ],
)
def test_one_word_for_all_recipients(kinds, word):
    now = datetime.now(UTC)
    assert outbox.overall([Status(A, kind, 1, "", False, None, now) for kind in kinds]) == word


def test_what_must_not_leave_is_refused_and_stays_a_draft(send, superuser):
    cases = [
        ({"to": ""}, CompositionError),
        (
            {
                "to": ", ".join(f"a{n}@example.org" for n in range(60)),
                "cc": ", ".join(f"b{n}@example.org" for n in range(60)),
            },
            CompositionError,
        ),
        ({"cc": "nonsense"}, CompositionError),
        ({"author": ("Ann\r\nBcc: eve@example.com", "ann@mtumail.test")}, CompositionError),
        ({"in_reply_to": "<a@b>\r\nBcc: eve@example.com", "answers": 1}, CompositionError),
        ({"references": ("<a@b>\r\nX: y",), "answers": 1}, CompositionError),
        ({"limit": 10}, Refused),
    ]
    for more, error in cases:
        with pytest.raises(error):
            send(**more)
    for table in ("submission", "delivery", "work", "message_source"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_an_old_revision_is_not_sent(opened, ann, superuser):
    def call(keys):
        draft = drafts.create(keys, (ann.name, ann.address), drafts.Fields(to=A, subject="s", body="b"))
        drafts.save(keys, (ann.name, ann.address), draft.message_id, 1, drafts.Fields(to=B))
        submitting.submit(
            keys, draft.message_id, 1, account_id=None, author=(ann.name, ann.address), limit=10**6
        )

    with pytest.raises(Conflict):
        opened(ann, call)
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 0


def test_what_was_sent_is_known_again_and_nothing_else_is(send, opened, ann):
    message, _ = send(f"Al <{A}>", bcc=B)
    typed = drafts.Fields(A, "", B, "Hi", " Text\n")
    same = lambda fields: opened(ann, lambda keys: submitting.was_sent(keys, message, fields))  # noqa: E731
    assert same(typed)
    for other in (
        drafts.Fields(A, "", "", "Hi", "Text"),
        drafts.Fields(A, "", B, "Ho", "Text"),
        drafts.Fields(A, "", B, "Hi", "Text!"),
        drafts.Fields("nonsense", "", B, "Hi", "Text"),
    ):
        assert not same(other)
    assert not opened(ann, lambda keys: submitting.was_sent(keys, 4711, typed))
