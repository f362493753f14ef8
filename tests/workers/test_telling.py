"""What authors are told by mail: late after four hours, failed at once or in the end, once each, and nowhere but in their inbox."""

import os
import signal
from datetime import timedelta

import pytest
from sqlalchemy import text

from webmail import create_core, jobs
from webmail.mail import bounces, messages, mime, reading
from webmail.sending import notices, outbox

FIRST, SECOND, THIRD = "carla@example.org", "dmitri@example.net", "eve@example.com"
NOT_NOW = "451 4.3.0 not now"


@pytest.fixture
def telling(worker):
    from workers import telling as module

    return module


@pytest.fixture
def pass_time(superuser):
    """Let time pass: whatever was begun or is planned lies so much further back."""

    def move(**told):
        values = {"by": timedelta(**told)}
        superuser.execute(text("UPDATE work SET due_at = due_at - :by"), values)
        superuser.execute(
            text("UPDATE submission SET created_at = created_at - :by, counts_from = counts_from - :by"),
            values,
        )
        superuser.execute(
            text("UPDATE delivery SET changed_at = changed_at - :by, next_at = next_at - :by"), values
        )

    return move


@pytest.fixture
def turns(sending, telling, pass_time):
    """The workers' turns, every so many minutes for so long."""

    def run(minutes_between=15, **told):
        left = timedelta(**told)
        while left > timedelta(0):
            pass_time(minutes=minutes_between)
            left -= timedelta(minutes=minutes_between)
            jobs.bell.redis.flushall()  # no relay rests
            sending.drain()
            telling.drain()

    return run


@pytest.fixture
def notes(opened, superuser):
    """The notices in somebody's inbox, oldest first: (view, source)."""

    def read(person):
        query = "SELECT message_id FROM message WHERE mailbox_id = :mailbox AND direction = 'in' ORDER BY received_at, message_id"
        ids = superuser.execute(text(query), {"mailbox": person.mailbox_id}).scalars().all()
        return opened(
            person, lambda keys: [(reading.load(keys, one), messages.source(keys, one)) for one in ids]
        )

    return read


def test_late_is_told_once_after_four_hours_and_the_end_once(
    sending, turns, sink, ann, write, notes, rows, superuser
):
    sink.says[FIRST] = [NOT_NOW]
    write(ann, f"{FIRST}, {SECOND}", ("Lunch ☃",))
    sending.drain()
    turns(hours=3, minutes=45)
    assert notes(ann) == []
    turns(minutes=15)
    [(late, raw)] = notes(ann)
    assert late.subject == "Still on its way: Lunch ☃"
    assert FIRST in late.text
    assert SECOND not in late.text
    assert "You need not send it again." in late.text
    assert '"451 4.3.0 not now"' in late.text
    report = bounces.read(mime.parse(raw), raw)
    [one] = report.recipients
    assert (one.address, one.action, one.status, one.reply_code) == (FIRST, "delayed", "4.3.0", 451)
    counts_from = superuser.execute(text("SELECT counts_from FROM submission")).scalar()
    assert abs(one.until - counts_from - outbox.GIVE_UP_AFTER) < timedelta(seconds=2)
    turns(120, hours=24)
    assert len(notes(ann)) == 1
    turns(120, days=4)
    assert rows()[FIRST].state == "failed"
    [_late, (failed, raw)] = notes(ann)
    assert failed.subject == "Not delivered: Lunch ☃"
    [one] = bounces.read(mime.parse(raw), raw).recipients
    assert (one.address, one.action, one.status[0]) == (FIRST, "failed", "5")
    turns(240, days=1)
    assert len(notes(ann)) == 2
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0
    assert [mail.recipients for mail in sink.mails] == [(SECOND,)], "nothing of this leaves"


def test_a_refusal_is_told_at_once_and_in_the_conversation(
    sending, telling, sink, ann, ben, write, notes, superuser, browser_of
):
    sink.says[FIRST] = ["550 5.1.1 nobody of that name"]
    write(ann, f"{FIRST}, {SECOND}, {THIRD}", ("Lunch",), bcc=THIRD)
    sending.drain()
    assert telling.drain() == 1
    [(view, raw)] = notes(ann)
    assert view.subject == "Not delivered: Lunch"
    assert "550 5.1.1 nobody of that name" in view.text
    assert raw.startswith(b"Auto-Submitted: auto-replied\r\n")
    assert b"\r\nFrom: Mail delivery <mailer-daemon@mtumail.test>\r\n" in raw
    assert b"report-type=delivery-status" in raw
    assert raw.partition(b"text/rfc822-headers")[2].count(b"Subject: Lunch") == 1
    threads = "SELECT count(*), count(DISTINCT thread_id) FROM message WHERE mailbox_id = :mailbox"
    assert superuser.execute(text(threads), {"mailbox": ann.mailbox_id}).one() == (2, 1)
    line = superuser.execute(
        text(
            "SELECT unread, folder_id, envelope_from, envelope_to, state FROM message WHERE direction = 'in'"
        )
    )
    assert line.one() == (True, 1, "", ann.address, "filed")
    assert notes(ben) == []
    assert telling.drain() == 0
    assert "Not delivered: Lunch" in browser_of(ann).get("/mail/inbox").text


def test_some_late_and_some_failed_are_one_mail(sending, turns, sink, ann, write, notes):
    sink.says[FIRST] = [NOT_NOW]
    sink.says[SECOND] = [*[NOT_NOW] * 6, "550 5.7.1 no"]
    write(ann, f"{FIRST}, {SECOND}")
    sending.drain()
    turns(30, hours=10)
    texts = [view.text for view, _raw in notes(ann)]
    assert len(texts) == 2
    assert [(FIRST in text, SECOND in text) for text in texts] == [(True, True), (False, True)]


def test_nobody_was_reached_for_no_relay_answers(sending, turns, sink, ann, write, notes):
    sink.stop()
    write(ann, FIRST)
    turns(hours=5)
    [(view, raw)] = notes(ann)
    assert "could not connect to the relay" in view.text
    assert b"Diagnostic-Code" not in raw


def test_it_is_told_although_no_attempt_was_made(telling, pass_time, ann, write, notes):
    """While every relay rests nothing is tried, and its author waits all the same."""
    write(ann, FIRST)
    pass_time(hours=4, minutes=1)
    telling.drain()
    [(view, _raw)] = notes(ann)
    assert "The next server could not be reached, or did not answer." in view.text


def test_what_has_left_is_told_of_by_nobody(sending, telling, pass_time, ann, write, notes, superuser):
    write(ann, FIRST, ("a", "b"))
    sending.drain()
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0
    pass_time(hours=5)
    assert telling.drain() == 0
    assert notes(ann) == []


def test_what_came_back_by_itself_is_not_told_again(
    sending, telling, sink, ann, write, notes, superuser, opened
):
    sink.says[SECOND] = [NOT_NOW]
    _, (submission,) = write(ann, f"{FIRST}, {SECOND}")
    sending.drain()
    opened(ann, lambda keys: outbox.mark_bounced(keys.mailbox_id, submission, 1, 550, "550 5.1.1 no"))
    superuser.execute(text("UPDATE work SET due_at = now()"))
    telling.drain()
    assert notes(ann) == []


def test_what_is_held_does_not_grow_old(sending, telling, turns, sink, ann, write, notes, rows, superuser):
    write(ann, FIRST)
    superuser.execute(text("UPDATE mailbox SET state = 'suspended'"))
    turns(180, days=6)
    assert (rows()[FIRST].state, rows()[FIRST].attempts) == ("queued", 0)
    assert notes(ann) == [], "it is not late: it may not leave"
    superuser.execute(text("UPDATE mailbox SET state = 'active'"))
    sink.says[FIRST] = [NOT_NOW, "250 2.1.5 ok"]
    turns(minutes=15)
    assert rows()[FIRST].state == "deferred", "it has its five days still"
    turns(hours=1)
    assert rows()[FIRST].state == "sent"
    assert notes(ann) == []


def test_a_message_that_is_gone_is_told_of_by_nobody(sending, telling, sink, ann, write, notes, superuser):
    sink.says[FIRST] = ["550 5.1.1 no"]
    (sent,), _ = write(ann, FIRST)
    sending.drain()
    superuser.execute(text("DELETE FROM message WHERE message_id = :id"), {"id": sent})
    assert telling.drain() == 1
    assert notes(ann) == []
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0


def test_addresses_of_other_scripts_are_told_as_they_are(sending, telling, sink, ann, write, notes):
    write(ann, "josé@exämple.org", ("Grüße",))
    sending.drain()  # the peer offers no SMTPUTF8
    telling.drain()
    [(view, raw)] = notes(ann)
    assert "josé@xn--exmple-cua.org" in view.text
    assert b"message/global-delivery-status" in raw
    [one] = bounces.read(mime.parse(raw), raw).recipients
    assert (one.address, one.action, one.status) == ("josé@xn--exmple-cua.org", "failed", "5.6.7")


def test_trouble_is_tried_again_and_then_set_aside(
    sending, telling, sink, ann, write, notes, superuser, monkeypatch, caplog
):
    def broken(*_args):
        raise ValueError(FIRST)

    sink.says[FIRST] = ["550 5.1.1 no"]
    write(ann, FIRST)
    sending.drain()
    monkeypatch.setattr(notices, "_file", broken)
    for _ in range(telling.ATTEMPTS + 1):
        superuser.execute(text("UPDATE work SET due_at = now()"))
        assert telling.drain() == 1
    assert superuser.execute(text("SELECT parked_at IS NOT NULL, problem FROM work")).one() == (True, "error")
    assert superuser.execute(text("SELECT told FROM delivery")).scalar() == ""
    assert FIRST not in caplog.text


@pytest.mark.parametrize("point", ["_write", "_file", "work.finish"])
def test_killed_anywhere_it_is_told_once(
    settings, sending, telling, sink, ann, write, notes, superuser, point
):
    sink.says[FIRST] = ["550 5.1.1 no"]
    write(ann, FIRST)
    sending.drain()
    app = create_core(settings("worker"), "worker")
    pid = os.fork()
    if not pid:
        home = notices.work if point == "work.finish" else notices
        setattr(home, point.removeprefix("work."), lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        telling.core = telling.keys_of.__globals__["core"] = telling.claimed.__globals__["core"] = lambda: app
        telling.drain()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert notes(ann) == []
    superuser.execute(text("UPDATE work SET due_at = now()"))
    assert telling.drain() == 1
    assert len(notes(ann)) == 1
    assert telling.drain() == 0


def test_it_is_rung_for(sending, sink, ann, write):
    sink.says[FIRST] = ["550 5.1.1 no"]
    write(ann, FIRST)
    sending.drain()
    assert jobs.bell.redis.exists("mtumail:rung:tell")


@pytest.mark.parametrize("change", ["told = 'perhaps'", "told = 'failed'"])
def test_the_database_refuses_nonsense(ann, write, superuser, change):
    write(ann, FIRST)
    with pytest.raises(Exception, match="delivery_told"):
        superuser.execute(text(f"UPDATE delivery SET {change}"))
