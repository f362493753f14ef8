"""Tagged return paths, what the timeline keeps, and who is warned about: without a relay or a report."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail.db import transaction
from webmail.mail import correspondents
from webmail.mail.addresses import base_local, parse_spec
from webmail.sending import bounces, drafts, events, leaving, outbox, returning, submitting
from webmail.sending.events import Told

A, B = "a@example.org", "b@example.org"


@pytest.fixture
def sent(opened, ann):
    """A message of ann's to A and B in the outbox; (message, submission)."""

    def call(keys):
        author = (ann.name, ann.address)
        draft = drafts.create(keys, author, drafts.Fields(f"{A}, {B}", "", "", "Hi", "Text"))
        return draft.message_id, submitting.submit(
            keys, draft.message_id, 1, account_id=ann.account_id, author=author, limit=10**6
        )

    return opened(ann, call)


# --- return paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("submission", [0, 1, 2**48 - 1, 0x123456789ABC])
def test_a_tagged_path_leads_to_the_same_mailbox_and_names_its_submission(submission):
    path = returning.tagged("Ann.W@mtumail.test", submission)
    assert base_local(parse_spec(path).local) == "ann.w"
    assert returning.submission_of(path) == submission
    assert returning.submission_of(path.upper()) == submission
    assert returning.is_same(path.upper(), path)
    again = returning.tagged("Ann.W@mtumail.test", submission)
    assert again != path, "who knows the submission's id does not know its tag"
    assert not returning.is_same(again, path)


@pytest.mark.parametrize(
    ("sender", "tagged"),
    [
        ("ann@mtumail.test", "ann+b-"),
        ("ann+shop@mtumail.test", "ann+b-"),
        ("jörg@mtumail.test", "jörg+b-"),
        ("a" * 41 + "@mtumail.test", "a" * 41 + "+b-"),
        ("a" * 42 + "@mtumail.test", None),
        ("ö" * 30 + "@mtumail.test", None),
        ('"a b"@mtumail.test', None),
        ("a@" + ".".join(["x" * 60] * 4), None),
        ("", None),
        ("nobody", None),
    ],
)
def test_a_path_that_would_be_too_long_or_odd_is_left_alone(sender, tagged):
    path = returning.tagged(sender, 7)
    assert path.startswith(tagged) if tagged else path == sender
    if tagged:
        assert len(path.rpartition("@")[0].encode()) <= 64
        assert parse_spec(path).email == path


@pytest.mark.parametrize(
    "path",
    ["", "ann@x.test", "ann+b-@x.test", "ann+b-aaaaaaaaaaaaaaaaaaa@x.test", "ann+b-aaaaaaaaaaaaaaaaaaa1@x.test", "ann+x-aaaaaaaaaaaaaaaaaaaa@x.test", "b-aaaaaaaaaaaaaaaaaaaa@x.test"],
)  # fmt: skip
def test_what_bears_no_tag_is_nobodys(path):
    assert returning.submission_of(path) is None
    assert not returning.is_same(path, path)


# --- the timeline ------------------------------------------------------------------------------------------------------------


def record(opened, ann, submission, told, numbers=(1,), **more):
    return opened(ann, lambda keys: events.record(ann.mailbox_id, submission, numbers, told, **more))


def test_the_same_is_written_once(opened, ann, sent, superuser):
    message, submission = sent
    told = Told("deferred", 450, "4.2.1", "mailbox-full", "450 4.2.1\r\n full\x00" + "x" * 900)
    assert record(opened, ann, submission, told, (1, 2)) == {1, 2}
    assert record(opened, ann, submission, told, (1, 2)) == set()
    later = Told("deferred", 450, "4.2.1", "mailbox-full", told.reply, datetime(2026, 12, 1, tzinfo=UTC))
    assert record(opened, ann, submission, later) == {1}
    found = opened(ann, lambda keys: events.of_messages(ann.mailbox_id, [message]))
    assert [event.kind for event in found[message, 1]] == ["queued", "deferred", "deferred"]
    assert [event.kind for event in found[message, 2]] == ["queued", "deferred"]
    reply = found[message, 2][1].reply
    assert (len(reply), "\n" in reply, "\x00" in reply) == (500, False, False)


def test_the_outbox_tells_what_it_does(opened, ann, sent, worker, superuser):
    from webmail import work

    message, _ = sent
    with worker.app_context():
        with transaction():
            [claim] = work.claim(work.SEND, 1, timedelta(minutes=1))
        about = leaving.begin(claim)
        with transaction(ann.mailbox_id):
            first = leaving.Answer(A, "sent", 250, "250 2.0.0 kept")
            second = leaving.Answer(B, "deferred", 452, "452 4.2.2 mailbox full")
            assert leaving.note(about, [first, second])
            leaving.settle(about)
        superuser.execute(text("UPDATE work SET due_at = now()"))
        with transaction():
            [claim] = work.claim(work.SEND, 1, timedelta(minutes=1))
        leaving.begin(claim)
        with transaction(ann.mailbox_id):
            leaving.put_off(claim, timedelta(minutes=1))
            leaving.give_up(claim, "error")
    found = opened(ann, lambda keys: outbox.statuses(ann.mailbox_id, [message]))
    first, second = found[message]
    assert [event.kind for event in first.timeline] == ["queued", "handed"]
    assert [(event.kind, event.reason, event.status) for event in second.timeline] == [
        ("queued", "", ""),
        ("deferred", "mailbox-full", "4.2.2"),
        ("deferred", "", ""),
        ("failed", "", ""),
    ]
    assert first.timeline[1].reply == "250 2.0.0 kept"
    bare = opened(ann, lambda keys: outbox.statuses(ann.mailbox_id, [message], timeline=False))
    assert [status.timeline for status in bare[message]] == [(), ()]


def test_another_mailbox_sees_and_writes_no_events(opened, ann, ben, sent):
    message, submission = sent
    assert opened(ben, lambda keys: events.of_messages(ann.mailbox_id, [message])) == {}
    with pytest.raises(Exception, match="row-level security"):
        opened(ben, lambda keys: events.record(ann.mailbox_id, submission, [1], Told("bounced")))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("kind = 'lost'", "delivery_event_kind_is_known"),
        ("reply_code = 99", "delivery_event_reply_code_has_three_digits"),
        ("status = '3.1.1'", "delivery_event_status_is_enhanced"),
        ("status = '5.1'", "delivery_event_status_is_enhanced"),
        ("reason = 'No, really'", "delivery_event_reason_is_a_code"),
        ("reply = repeat('x', 501)", "delivery_event_reply_is_short"),
        ("fingerprint = 'x'", "delivery_event_fingerprint_is_whole"),
        ("number = 9", "delivery_event_delivery_exists"),
        ("report_id = 12345", "delivery_event_report_exists"),
        ("number = 2", "delivery_event_told_once"),
    ],
)
def test_the_database_refuses_nonsense(sent, superuser, change, name):
    with pytest.raises(IntegrityError, match=name):
        superuser.execute(text(f"UPDATE delivery_event SET {change} WHERE number = 1"))


def test_the_database_refuses_a_failure_without_a_time(opened, ann, superuser):
    opened(ann, lambda keys: correspondents.failed(keys, A, "5.1.1"))
    for change, name in (
        ("failed_at = NULL", "correspondent_failed_status_says_when"),
        ("failed_status = 'gone'", "correspondent_failed_status_is_enhanced"),
    ):
        with pytest.raises(IntegrityError, match=name):
            superuser.execute(text(f"UPDATE correspondent SET {change}"))


def test_a_report_that_is_deleted_leaves_what_it_told(opened, ann, sent, deliver, letter, superuser):
    _, submission = sent
    report = deliver(ann, letter())
    record(opened, ann, submission, Told("bounced"), report_id=report)
    superuser.execute(text("DELETE FROM message WHERE message_id = :id"), {"id": report})
    query = text("SELECT mailbox_id, report_id FROM delivery_event WHERE kind = 'bounced'")
    assert superuser.execute(query).all() == [(ann.mailbox_id, None)]


# --- whom to warn about -------------------------------------------------------------------------------------------------------


def warned(opened, person, *recipients):
    return [one.address for one in opened(person, lambda keys: bounces.warnings(keys, recipients))]


def test_an_address_that_failed_warns_for_ninety_days_or_until_mail_gets_there(opened, ann, ben, superuser):
    opened(ann, lambda keys: correspondents.failed(keys, "Carla@Example.org", "5.1.1"))
    assert warned(opened, ann, A, "carla@example.ORG", B) == ["carla@example.ORG"]
    assert warned(opened, ben, "carla@example.org") == []
    superuser.execute(text("UPDATE correspondent SET failed_at = now() - interval '89 days'"))
    assert warned(opened, ann, "carla@example.org") == ["carla@example.org"]
    superuser.execute(text("UPDATE correspondent SET failed_at = now() - interval '91 days'"))
    assert warned(opened, ann, "carla@example.org") == []
    opened(ann, lambda keys: correspondents.failed(keys, "carla@example.org", ""))
    assert warned(opened, ann, "carla@example.org") == ["carla@example.org"]
    opened(ann, lambda keys: correspondents.delivered(keys, "CARLA@example.org"))
    assert warned(opened, ann, "carla@example.org") == []
    opened(ann, lambda keys: correspondents.delivered(keys, "never@example.org"))
    assert superuser.execute(text("SELECT count(*) FROM correspondent")).scalar() == 1
    assert warned(opened, ann) == []


@pytest.mark.parametrize(
    ("code", "reply", "is_hard"),
    [
        (550, "550 5.1.1 user unknown", True),
        (550, "550 no such user", True),
        (450, "450 4.1.1 user unknown", False),
        (552, "552 5.2.2 mailbox full", False),
        (550, "550 5.7.1 spam", False),
        (None, "user unknown", False),
    ],
)
def test_what_the_relay_refuses_for_good_warns(opened, ann, code, reply, is_hard):
    opened(ann, lambda keys: bounces.refused(keys, A, code, reply))
    assert warned(opened, ann, A) == ([A] if is_hard else [])


def test_what_left_since_and_did_not_come_back_ends_the_warning(sent, opened, ann, ben, superuser):
    for person in (ann, ben):
        opened(person, lambda keys: [correspondents.failed(keys, one, "5.1.1") for one in (A.upper(), B)])
    assert warned(opened, ann, A, B) == [A, B], "it may come back still"
    superuser.execute(text("UPDATE delivery SET state = 'sent', changed_at = now() - interval '25 hours'"))
    superuser.execute(text("UPDATE correspondent SET failed_at = now() - interval '26 hours'"))
    superuser.execute(text("UPDATE submission SET created_at = now() - interval '25 hours'"))
    assert warned(opened, ann, A, B) == []
    assert warned(opened, ben, A, B) == [A, B], "another's mail says nothing"
    superuser.execute(text("UPDATE delivery SET state = 'failed' WHERE recipient = :one"), {"one": B})
    assert warned(opened, ann, A, B) == [B]
    superuser.execute(text("UPDATE correspondent SET failed_at = now() - interval '24 hours'"))
    assert warned(opened, ann, A, B) == [A, B], "what left before it failed says nothing"
