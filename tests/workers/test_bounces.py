"""What comes back, from the relay's report through inbound's door and filing to the timeline on the sent message."""

import re

import pytest
from sqlalchemy import text

from webmail import create_core
from webmail.db import db, show_id, transaction
from webmail.embedded.relay_bounce import bounce
from webmail.mail import correspondents, mailboxes, messages, receiving
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import Recipient
from webmail.sending import bounces

FIRST, SECOND = "carla@example.org", "dmitri@example.net"
NOBODY = (550, "5.1.1 no such user here")


@pytest.fixture
def filing(worker):
    from workers import filing as module

    return module


@pytest.fixture
def come(settings):
    """Take a message in for an address as inbound does; its ids."""
    app = create_core(settings("inbound"), "inbound")

    def take(to, raw, sender=""):
        with app.app_context(), transaction():
            recipient = mailboxes.resolve(parse_spec(to))
            assert isinstance(recipient, Recipient)
            return receiving.receive(receiving.Envelope(sender, [recipient]), raw)

    yield take
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def told(superuser):
    """The kinds of events by recipient's number, in order."""

    def read():
        found = {}
        for row in superuser.execute(text("SELECT number, kind FROM delivery_event ORDER BY at")):
            found.setdefault(row.number, []).append(row.kind)
        return found

    return read


def test_a_bounce_finds_its_message_and_the_author_sees_it(
    sending, filing, sink, come, ann, write, rows, told, opened, browser_of, superuser
):
    (sent,), _ = write(ann, f"{FIRST}, {SECOND}")
    assert sending.drain() == 1
    (mail,) = sink.mails
    raw = bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "Mon, 23 Nov 2026 10:00:00 +0000")
    [report] = come(mail.sender, raw)
    assert filing.drain() == 1
    assert {address: row.state for address, row in rows().items()} == {FIRST: "failed", SECOND: "sent"}
    assert told() == {1: ["queued", "handed", "bounced"], 2: ["queued", "handed"]}
    threads = superuser.execute(text("SELECT DISTINCT thread_id FROM message")).scalars().all()
    assert len(threads) == 1, "the report lies with the message it is about"
    assert opened(ann, lambda keys: messages.line(keys, report)).unread

    client = browser_of(ann)
    assert "Not delivered" in client.get("/mail/sent").text
    page = client.get(f"/deliveries/{show_id(sent)}").text
    assert "Not delivered: example.org says there is no such address" in page
    assert f'href="/m/{show_id(report)}"' in page
    assert "5.1.1 no such user here" in page

    warned = opened(ann, lambda keys: bounces.warnings(keys, [SECOND, FIRST.upper()]))
    assert [(one.address, one.status, one.reason) for one in warned] == [
        (FIRST.upper(), "5.1.1", "no-such-user")
    ]
    assert "carla" not in str(superuser.execute(text("SELECT * FROM correspondent")).all())


def test_a_report_that_comes_again_changes_nothing(sending, filing, sink, come, ann, write, told, superuser):
    write(ann, FIRST)
    sending.drain()
    (mail,) = sink.mails
    raw = bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "Mon, 23 Nov 2026 10:00:00 +0000")
    come(mail.sender, raw)
    filing.drain()
    before = superuser.execute(text("SELECT * FROM delivery")).all(), told()
    come(mail.sender, raw.replace(b"Message-ID: <", b"Message-ID: <again."))
    assert filing.drain() == 1
    assert (superuser.execute(text("SELECT * FROM delivery")).all(), told()) == before


def test_a_forged_tag_another_mailbox_and_a_stranger_change_nothing(
    sending, filing, sink, come, ann, ben, write, rows, told
):
    write(ann, FIRST)
    sending.drain()
    (mail,) = sink.mails
    other = re.sub("[a-z2-7](?=@)", lambda found: "a" if found[0] != "a" else "b", mail.sender)
    nothing_of_ours = b"Message-ID: <unknown@example.org>\r\nSubject: x\r\n\r\n"
    come(other, bounce(other, {FIRST: NOBODY}, nothing_of_ours, "x"))
    come(ben.address, bounce(ben.address, {FIRST: NOBODY}, mail.raw, "x"))
    come(mail.sender.replace("ann+", "ben+"), bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "x"))
    come(ann.address, bounce(ann.address, {"eve@example.com": NOBODY, SECOND: NOBODY}, mail.raw, "x"))
    come(ann.address, bounce(ann.address, {FIRST: NOBODY}, mail.raw, "x"), sender="eve@example.com")
    assert filing.drain() == 5
    assert rows()[FIRST].state == "sent"
    assert told() == {1: ["queued", "handed"]}


def test_an_untagged_report_about_a_message_of_this_mailbox_is_believed(
    sending, filing, sink, come, ann, write, rows
):
    write(ann, f"{FIRST}, {SECOND}")
    sending.drain()
    (mail,) = sink.mails
    come(ann.address, bounce(ann.address, {SECOND: (552, "5.2.2 mailbox full")}, mail.raw, "x"))
    filing.drain()
    assert {address: row.state for address, row in rows().items()} == {FIRST: "sent", SECOND: "failed"}


def test_one_copy_that_went_on_elsewhere_is_known_by_its_tag(sending, filing, sink, come, ann, write, rows):
    write(ann, FIRST)
    sending.drain()
    (mail,) = sink.mails
    come(mail.sender, bounce(mail.sender, {"carla@elsewhere.example": NOBODY}, b"Subject: cut\r\n\r\n", "x"))
    filing.drain()
    assert rows()[FIRST].state == "failed"


def test_a_bounce_that_overtakes_the_relays_answer_stays(
    sending, filing, sink, come, ann, write, rows, monkeypatch, told
):
    """The relay bounces at once, and the report is filed before our commit of its 250."""
    write(ann, FIRST)

    def relay_answers(relay, *args, **more):
        outcome = send(relay, *args, **more)
        (mail,) = sink.mails
        come(mail.sender, bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "x"))
        assert filing.drain() == 1
        assert rows()[FIRST].state == "failed"
        return outcome

    send = sending.Relays.send
    monkeypatch.setattr(sending.Relays, "send", relay_answers)
    assert sending.drain() == 1
    assert rows()[FIRST].state == "failed"
    assert sorted(told()[1]) == ["bounced", "handed", "queued"]


def test_a_bounce_that_cannot_be_heeded_is_filed_all_the_same(
    sending, filing, sink, come, ann, write, rows, monkeypatch, superuser, caplog
):
    write(ann, FIRST)
    sending.drain()
    (mail,) = sink.mails

    def broken(keys, message_id):
        db.session.execute(text("SELECT 1 / 0"))

    monkeypatch.setattr(filing.bounces, "take", broken)
    [report] = come(mail.sender, bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "x"))
    assert filing.drain() == 1
    query = text("SELECT state FROM message WHERE message_id = :id")
    assert superuser.execute(query, {"id": report}).scalar() == "filed"
    assert rows()[FIRST].state == "sent"
    assert "bounce not heeded" in caplog.text
    assert FIRST not in caplog.text


def test_what_the_relay_itself_refuses_warns_whoever_writes_there_next(
    sending, sink, ann, ben, write, rows, opened
):
    sink.says[FIRST] = ["550 5.1.1 no such user here"]
    sink.says[SECOND] = ["552 5.2.2 mailbox full"]
    write(ann, f"{FIRST}, {SECOND}, eve@example.com")
    assert sending.drain() == 1
    assert {address: row.state for address, row in rows().items()} == {
        FIRST: "failed",
        SECOND: "failed",
        "eve@example.com": "sent",
    }
    everybody = [FIRST, SECOND, "eve@example.com"]
    warned = opened(ann, lambda keys: bounces.warnings(keys, everybody))
    assert [(one.address, one.status, one.reason) for one in warned] == [(FIRST, "5.1.1", "no-such-user")]
    assert opened(ben, lambda keys: bounces.warnings(keys, everybody)) == []


def test_a_warning_that_cannot_be_written_sends_nothing_twice(
    sending, sink, ann, write, rows, monkeypatch, due
):
    def broken(keys, *refused):
        db.session.execute(text("SELECT 1 / 0"))

    sink.says[FIRST] = ["550 5.1.1 no such user here"]
    monkeypatch.setattr(sending.bounces, "refused", broken)
    write(ann, f"{FIRST}, {SECOND}")
    sending.drain()
    due()
    assert sending.drain() == 0
    assert len(sink.mails) == 1
    assert {address: row.state for address, row in rows().items()} == {FIRST: "failed", SECOND: "sent"}


def test_a_delivery_that_is_reported_clears_the_warning(sending, filing, sink, come, ann, write, opened):
    opened(ann, lambda keys: correspondents.failed(keys, FIRST, "5.1.1"))
    write(ann, FIRST)
    sending.drain()
    (mail,) = sink.mails
    raw = bounce(mail.sender, {FIRST: NOBODY}, mail.raw, "x")
    raw = raw.replace(b"Action: failed", b"Action: delivered").replace(b"Status: 5.1.1", b"Status: 2.0.0")
    come(mail.sender, raw)
    filing.drain()
    assert opened(ann, lambda keys: bounces.warnings(keys, [FIRST])) == []
