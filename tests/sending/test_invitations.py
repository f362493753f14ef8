"""Answering invitations: what leaves, to whom, once, in its thread, and what is remembered of it."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from webmail.errors import NotFound, Refused
from webmail.mail import calendar, messages, reading
from webmail.mail.addresses import Address
from webmail.mail.folders import Kind
from webmail.sending import invitations, limits
from webmail.sending.composing import Attachment, Composition, CompositionError
from webmail.sending.composing.invitation import build_answer

ICS = """BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VEVENT
UID:pump-7@example.org
SEQUENCE:2
SUMMARY:Pump & valve
DTSTART:20261126T090000Z
DTEND:20261126T100000Z
{organizer}
ATTENDEE;CN=Ann;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def invite():
    """A message with an invitation, as calendars send them."""

    def write(
        method="REQUEST", organizer="ORGANIZER;CN=Zoë:mailto:zoe@example.org", attendee="ANN@mtumail.test"
    ):
        ics = ICS.format(method=method, organizer=organizer, attendee=attendee).replace("\n", "\r\n")
        return (
            "From: Zoe <zoe@example.org>\r\nTo: ann@mtumail.test\r\nSubject: Pump & valve\r\n"
            "Message-ID: <invitation-1@example.org>\r\nReferences: <earlier@example.org>\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nCome.\r\n'
            f"--b\r\nContent-Type: text/calendar; method={method}; charset=utf-8\r\n\r\n{ics}\r\n--b--\r\n"
        ).encode()

    return write


@pytest.fixture
def answer(opened, ann):
    def press(message, word="accepted", author=None, **more):
        subject = more.get("subject", "Accepted: Pump & valve")
        return opened(
            ann,
            lambda keys: invitations.answer(
                keys,
                message,
                word,
                account_id=ann.account_id,
                author=author or (ann.name, ann.address),
                words=lambda invitation: (subject, "Ann Whitfield has accepted."),
            ),
        )

    return press


@pytest.fixture
def sent(opened, ann):
    """A sent message, as a mail program reads it, and its calendar object."""

    def read(message):
        raw = opened(ann, lambda keys: messages.source(keys, message))
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        [part] = [item for item in parsed.walk() if item.get_content_type() == "text/calendar"]
        return parsed, part, part.get_payload(decode=True)

    return read


def test_an_answer_leaves_as_rfc_6047_says(deliver, invite, answer, sent, ann, superuser):
    message = deliver(ann, invite())
    parsed, part, ics = sent(answer(message))
    assert parsed.get_content_type() == "multipart/alternative"
    assert [item.get_content_type() for item in parsed.iter_parts()] == ["text/plain", "text/calendar"]
    assert parsed["To"] == "Zoë <zoe@example.org>"
    assert parsed["From"] == "Ann Whitfield <ann@mtumail.test>"
    assert "Cc" not in parsed
    assert parsed["Subject"] == "Accepted: Pump & valve"
    assert parsed["In-Reply-To"] == "<invitation-1@example.org>"
    assert parsed["References"] == "<earlier@example.org> <invitation-1@example.org>"
    assert parsed.get_body(("plain",)).get_content().strip() == "Ann Whitfield has accepted."
    assert part.get_param("method") == "REPLY"
    assert part.get_content_charset() == "utf-8"
    reply = calendar.read(ics)
    assert (reply.method, reply.uid, reply.sequence) == ("REPLY", "pump-7@example.org", 2)
    assert [(item.address, item.partstat) for item in reply.attendees] == [("ANN@mtumail.test", "ACCEPTED")]
    rows = superuser.execute(text("SELECT recipient, state FROM delivery")).all()
    assert rows == [("zoe@example.org", "queued")]
    assert superuser.execute(text("SELECT kind FROM work ORDER BY kind")).scalars().all() == ["send", "tell"]


def test_it_lies_in_sent_in_the_thread_of_the_invitation(deliver, invite, answer, opened, ann):
    message = deliver(ann, invite())
    sent_id = answer(message)
    origin, line = opened(ann, lambda keys: (messages.line(keys, message), messages.line(keys, sent_id)))
    assert (line.folder, line.state, line.direction, line.unread) == (Kind.SENT, "filed", "out", False)
    assert line.thread_id == origin.thread_id
    assert origin.answered
    assert line.summary.subject == "Accepted: Pump & valve"
    assert line.size_bytes == len(opened(ann, lambda keys: messages.source(keys, sent_id)))


def test_the_last_answer_counts_and_the_same_one_is_sent_once(
    deliver, invite, answer, sent, opened, ann, superuser
):
    message = deliver(ann, invite())
    given = lambda: opened(ann, lambda keys: invitations.given(keys.mailbox_id, message))  # noqa: E731
    assert given() is None
    first = answer(message)
    assert answer(message) is None
    assert given() == "accepted"
    second = answer(message, "declined")
    third = answer(message, "tentative")
    assert given() == "tentative"
    stamps = []
    for item in (first, second, third):
        ics = sent(item)[2]
        stamps.append(next(line for line in ics.split(b"\r\n") if line.startswith(b"DTSTAMP:")))
    assert stamps == sorted(set(stamps)), "each later than the one before"
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 3
    assert superuser.execute(text("SELECT count(*) FROM invitation_answer")).scalar() == 1


@pytest.mark.parametrize(
    "more",
    [
        {"method": "CANCEL"},
        {"method": "PUBLISH"},
        {"method": "REPLY"},
        {"organizer": "X-NOBODY:1"},
        {"organizer": "ORGANIZER:invalid:nomail"},
        {"organizer": "ORGANIZER:mailto:Ann+tag@mtumail.test"},
        {"organizer": "ORGANIZER:mailto:zoe@example.org%0D%0ABcc:eve@example.com"},
    ],
)
def test_what_cannot_be_answered_is_refused_and_nothing_is_kept(
    deliver, invite, answer, ann, superuser, more
):
    message = deliver(ann, invite(**more))
    with pytest.raises(Refused):
        answer(message)
    for table in ("submission", "invitation_answer"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_mail_without_an_invitation_and_mail_of_others(deliver, letter, invite, answer, ann, ben, superuser):
    with pytest.raises(NotFound):
        answer(deliver(ann, letter()))
    with pytest.raises(NotFound):
        answer(deliver(ben, invite().replace(b"ann@", b"ben@")))
    with pytest.raises(NotFound):
        answer(deliver(ann, invite()), "maybe")
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 0


def test_a_suspended_mailbox_answers_nothing(deliver, invite, answer, ann, superuser):
    message = deliver(ann, invite())
    superuser.execute(text("UPDATE mailbox SET state = 'suspended'"))
    with pytest.raises(Refused):
        answer(message)


def test_answers_count_among_the_recipients_of_an_hour(deliver, invite, answer, ann, superuser, monkeypatch):
    monkeypatch.setattr(limits, "allowed", lambda: ((limits.HOUR, 2),))
    superuser.execute(text("UPDATE account SET created_at = now() - interval '8 days'"))
    message = deliver(ann, invite())
    assert answer(message)
    assert answer(message, "declined")
    with pytest.raises(Refused):
        answer(message)
    assert superuser.execute(text("SELECT answer FROM invitation_answer")).scalar() == "declined"
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 2


def test_words_that_could_add_a_header_do_not_leave(deliver, invite, answer, ann, superuser):
    message = deliver(ann, invite())
    with pytest.raises(CompositionError):
        answer(message, subject="Yes\r\nBcc: eve@example.com")
    assert superuser.execute(text("SELECT count(*) FROM invitation_answer")).scalar() == 0


def test_who_was_not_on_the_list_answers_for_himself(deliver, invite, answer, sent, ann):
    message = deliver(ann, invite(attendee="group@example.org"))
    reply = calendar.read(sent(answer(message))[2])
    assert [(item.name, item.address) for item in reply.attendees] == [("Ann Whitfield", ann.address)]


def test_who_was_invited_at_another_address_of_theirs_answers_as_that(
    deliver, invite, answer, sent, ann, superuser
):
    add = text(
        "INSERT INTO address (domain_id, local_part, mailbox_id) SELECT domain_id, 'second', :m FROM domain"
    )
    superuser.execute(add, {"m": ann.mailbox_id})
    message = deliver(ann, invite(attendee="Second+x@mtumail.test"))
    reply = calendar.read(sent(answer(message))[2])
    assert [item.address for item in reply.attendees] == ["Second+x@mtumail.test"]


def test_a_calendar_file_without_a_method_waits_for_one_with(opened, deliver, invite, ann):
    raw = invite().replace(
        b"\r\n--b--",
        b"\r\n--b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n--b--",
    )
    raw = raw.replace(b"METHOD:REQUEST\r\n", b"", 1).replace(b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n--b--",
        b"BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nBEGIN:VEVENT\r\nUID:2\r\n\r\n--b--")  # fmt: skip
    message = deliver(ann, raw)

    def find(keys):
        view = reading.load(keys, message)
        return invitations.open_one(keys, message, view).invitation

    assert opened(ann, find).method == "CANCEL"


def composition(**more):
    zoe, ann = Address("zoe", "example.org", "Zoë"), Address("ann", "mtumail.test", "Ann")
    told = {
        "sender": ann, "to": (zoe,), "subject": "Yes", "body": "Yes", "message_id": "<1@mtumail.test>",
        "date": datetime(2026, 11, 23, tzinfo=UTC),
    }  # fmt: skip
    return Composition(**told | more)


@pytest.mark.parametrize("subject", ["MIME-Version: 1.0", "a" * 70 + " MIME-Version: 1.0", "Да " * 60])
def test_whatever_the_words_there_is_one_header(subject):
    raw = build_answer(
        composition(subject=subject, body="MIME-Version: 1.0\r\n\r\n--=_x\r\n"), b"BEGIN:VCALENDAR\r\n"
    )
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed.keys() == ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]
    assert parsed["Subject"] == subject.strip()
    words, ics = parsed.iter_parts()
    assert "MIME-Version: 1.0" in words.get_content()
    assert ics.get_payload(decode=True) == b"BEGIN:VCALENDAR\r\n"
    assert not parsed.defects
    assert raw.replace(b"\r\n", b"").count(b"\n") == 0


def test_an_answer_carries_no_files():
    with pytest.raises(ValueError, match="no files"):
        build_answer(composition(attachments=(Attachment("a.txt", "text/plain", b"a"),)), b"")
