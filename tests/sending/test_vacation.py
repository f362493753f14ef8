"""Answering while away: whom, whom not, once, and what leaves."""

import dataclasses
import email
import email.policy
import os
import signal
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import create_core, jobs
from webmail.mail import identities, vacation
from webmail.mail.authentication import Authentication
from webmail.mail.identities import Identity, Own
from webmail.mail.vacation import Vacation, VacationError, why_not
from webmail.mail.view import View
from webmail.sending import returning
from webmail.sending import vacation as answers

OWN = Own("ann@mtumail.test", frozenset({"ann@mtumail.test", "ann.w@mtumail.test"}))
AWAY = Vacation(True, subject="Away", text="Back on Monday.\n\nÄnn")


# --- which messages ------------------------------------------------------------------------------------------------------


def a_view(*headers, to="ann@mtumail.test", cc="", sender="zoe@example.org", **more):
    return View(
        sender=("Zoe", sender),
        to=(("", to),) if to else (),
        cc=(("", cc),) if cc else (),
        headers=headers,
        **more,
    )


def test_an_ordinary_letter_is_answered():
    for view in (
        a_view(),
        a_view(to="ANN@MTUMAIL.TEST"),
        a_view(to="ann+shop@mtumail.test"),
        a_view(to="other@x.example", cc="Ann.W@mtumail.test"),
        a_view(
            ("Auto-Submitted", "no"),
            ("Precedence", "first-class"),
            ("X-Auto-Response-Suppress", "DR, RN, NRN"),
        ),
        a_view(("Auto-Submitted", "No; x=y"), ("Content-Type", "multipart/mixed")),
        a_view(authentication=Authentication(dmarc="pass", spf="pass")),
        a_view(authentication=Authentication(spf="none")),
        a_view(authentication=Authentication(spf="softfail", dmarc="pass", from_domain="example.org")),
    ):
        assert why_not(view, "zoe@example.org", OWN) is None


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("list", [("List-Id", "<l.example.org>")]),
        ("list", [("LIST-UNSUBSCRIBE", "<mailto:x@y.example>")]),
        ("list", [("List-Post", "NO")]),
        ("list", [("Mailing-List", "contact x")]),
        ("bulk", [("Precedence", "bulk")]),
        ("bulk", [("Precedence", " List ")]),
        ("bulk", [("precedence", "JUNK; x")]),
        ("automatic", [("Auto-Submitted", "auto-replied")]),
        ("automatic", [("Auto-Submitted", "auto-generated; owner-email=x@y.example")]),
        ("automatic", [("Auto-Submitted", "anything")]),
        ("automatic", [("Auto-Submitted", "")]),
        ("automatic", [("Auto-Submitted", "no"), ("Auto-Submitted", "auto-notified")]),
        ("automatic", [("X-Auto-Response-Suppress", "DR, OOF, AutoReply")]),
        ("automatic", [("X-Auto-Response-Suppress", "All")]),
        ("automatic", [("X-Autoreply", "yes")]),
        ("report", [("Content-Type", "multipart/report; report-type=delivery-status")]),
        ("odd", [("X-Pad", "x")] * 200),
    ],
)
def test_headers_that_forbid_it(code, headers):
    assert why_not(a_view(*headers), "zoe@example.org", OWN) == code


@pytest.mark.parametrize(
    "local",
    ["noreply", "no-reply", "No.Reply", "donotreply", "do-not-reply", "do_not_reply".replace("_not_", "-not-"), "noreply-123", "orders-noreply",
     "MAILER-DAEMON", "postmaster", "owner-list", "list-owner", "list-request", "bounces", "bounce+x=y", "list-bounces+ann=mtumail.test",
     "majordomo", "listserv", "auto-reply", "nobody"],
)  # fmt: skip
def test_addresses_that_nobody_reads(local):
    assert why_not(a_view(), f"{local}@example.org", OWN) == "nobody-reads"
    assert why_not(a_view(sender=f"{local}@example.org"), "zoe@example.org", OWN) == "nobody-reads"


@pytest.mark.parametrize(
    "local",
    ["zoe", "noreen", "owner", "bouncer", "replying", "request", "automat.huber", "b.ounce", "prvs=12=zoe"],
)
def test_addresses_that_look_like_them(local):
    assert why_not(a_view(sender=f"{local}@example.org"), f"{local}@example.org", OWN) is None


def test_senders_that_forbid_it():
    assert why_not(a_view(), "", OWN) == "bounce"
    assert why_not(a_view(), "not an address", OWN) == "bad-sender"
    assert why_not(a_view(), "zoe@example.org\r\nX: y", OWN) == "bad-sender"
    assert why_not(a_view(), "Ann+tag@mtumail.test", OWN) == "oneself"
    assert why_not(a_view(sender="ann.w@mtumail.test"), "zoe@example.org", OWN) == "oneself"


def test_mail_that_does_not_name_the_reader():
    for view in (
        a_view(to="others@x.example"),
        a_view(to=""),
        a_view(to="ann@example.org"),
        a_view(to="undisclosed-recipients:;"),
    ):
        assert why_not(view, "zoe@example.org", OWN) == "not-addressed"


def test_mail_that_may_be_forged():
    for told in (
        Authentication(dmarc="fail"),
        Authentication(dmarc="fail", spf="pass"),
        Authentication(spf="fail"),
        Authentication(spf="softfail", dmarc="none"),
        Authentication(spf="fail", dmarc="pass", from_domain="other.example"),
    ):
        assert why_not(a_view(authentication=told), "zoe@example.org", OWN) == "unauthenticated"
    assert why_not(a_view(problems=("headers-cut",)), "zoe@example.org", OWN) == "odd"


# --- when ----------------------------------------------------------------------------------------------------------------


def test_days_are_those_of_the_zone():
    told = Vacation(True, date(2026, 12, 24), date(2026, 12, 26), "Pacific/Auckland", text="x")
    at = lambda day, hour: datetime(2026, 12, day, hour, tzinfo=UTC)  # noqa: E731 - 13 hours behind
    assert [told.covers(at(*moment)) for moment in ((23, 10), (23, 11), (26, 10), (26, 11))] == [
        False,
        True,
        True,
        False,
    ]
    assert Vacation(True, text="x").covers(at(1, 1))
    assert not Vacation(False, text="x").covers(at(1, 1))
    assert not Vacation(True, date(2026, 12, 2), text="x").covers(at(1, 1))


@pytest.fixture
def away(opened, ann):
    """Set what is answered for Ann."""

    def set_to(told=AWAY):
        opened(ann, lambda keys: vacation.set_to(keys, told))

    return set_to


@pytest.mark.parametrize(
    ("told", "field", "reason"),
    [
        (Vacation(True), "text", "empty"),
        (Vacation(True, text=" \n "), "text", "empty"),
        (Vacation(True, text="x" * 10_001), "text", "too-long"),
        (Vacation(True, subject="x" * 201, text="x"), "subject", "too-long"),
        (Vacation(True, date(2026, 2, 2), date(2026, 2, 1), text="x"), "last_day", "order"),
        (Vacation(True, zone="Mars/Olympus", text="x"), "zone", "unknown"),
        (Vacation(True, zone="../../etc/passwd", text="x"), "zone", "unknown"),
    ],
)
def test_what_cannot_be_set(away, told, field, reason):
    with pytest.raises(VacationError) as refused:
        away(told)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_what_is_set_is_read_back_and_sealed(away, opened, ann, ben, superuser):
    assert opened(ann, vacation.load) == Vacation()
    told = Vacation(
        True, date(2026, 2, 1), date(2026, 2, 1), "Africa/Kampala", "Canary subject", "Canary text"
    )
    away(told)
    assert opened(ann, vacation.load) == told
    assert opened(ben, vacation.load) == Vacation()
    assert b"anary" not in bytes(superuser.execute(text("SELECT sealed FROM vacation")).scalar())
    away(Vacation(False, text="kept"))
    assert opened(ann, vacation.load) == Vacation(False, text="kept")


# --- what leaves ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def filing(worker):
    from workers import filing as module

    return module


@pytest.fixture
def arrive(receive, filing, ann):
    """Let a message come in for Ann and be filed by the worker."""

    def take(raw, sender="zoe@example.org"):
        message = receive(ann, raw, sender)
        filing.drain()
        return message

    return take


@pytest.fixture
def outbox(superuser):
    """(envelope sender, recipient, message id) of what is in the outbox."""
    query = text(
        "SELECT s.envelope_from, d.recipient, s.message_id FROM submission s JOIN delivery d USING (mailbox_id, submission_id) ORDER BY s.created_at"
    )
    return lambda: [tuple(row) for row in superuser.execute(query)]


def sent(opened, ann, message_id):
    from webmail.mail import messages

    raw = opened(ann, lambda keys: messages.source(keys, message_id))
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_an_answer(away, arrive, outbox, opened, ann, letter, superuser):
    away()
    arrived = arrive(
        letter(
            "Re: Rota",
            sender="Zoe <zoe@example.org>",
            Message_ID="<m1@example.org>",
            References="<m0@example.org>",
        )
    )
    [(envelope, recipient, message_id)] = outbox()
    assert (envelope, recipient) == ("", "zoe@example.org")
    made = sent(opened, ann, message_id)
    assert made["Auto-Submitted"] == "auto-replied"
    assert made["X-Auto-Response-Suppress"] == "All"
    assert (made["From"], made["To"]) == ("Ann Whitfield <ann@mtumail.test>", "Zoe <zoe@example.org>")
    assert made["Subject"] == "Auto: Away"
    assert (made["In-Reply-To"], made["References"]) == (
        "<m1@example.org>",
        "<m0@example.org> <m1@example.org>",
    )
    assert made["Message-ID"].endswith("@mtumail.test>")
    assert made.get_content().replace("\r\n", "\n") == "Back on Monday.\n\nÄnn\n"
    folder, state, unread, thread = superuser.execute(
        text("SELECT folder_id, state, unread, thread_id FROM message WHERE message_id = :id"),
        {"id": message_id},
    ).one()
    assert (folder, state, unread) == (2, "filed", False)
    assert (
        thread
        == superuser.execute(
            text("SELECT thread_id FROM message WHERE message_id = :id"), {"id": arrived}
        ).scalar()
    )
    assert jobs.bell.redis.llen("rq:queue:sending") == 1


def test_subject_of_the_message_where_none_is_set(away, arrive, outbox, opened, ann, letter):
    away(Vacation(True, text="x"))
    arrive(letter("Re: AW: Rota " + "é" * 500))
    made = sent(opened, ann, outbox()[0][2])
    assert made["Subject"] == "Auto: Rota " + "é" * 195


def test_a_hostile_header_adds_nothing(away, arrive, outbox, opened, ann, letter):
    away(Vacation(True, text="x"))
    arrive(
        letter(
            "=?utf-8?Q?a=0D=0ABcc:_x@y.example?= \x1b[31m",
            sender='"=?utf-8?Q?Z=0D=0AX-A:_b?=" <zoe@example.org>',
            Message_ID='<a b"@x>',
        )
    )
    made = sent(opened, ann, outbox()[0][2])
    assert (made["Bcc"], made["X-A"]) == (None, None)
    assert [recipient for _, recipient, _ in outbox()] == ["zoe@example.org"]


def test_once_a_sender_and_period_whatever_the_tag(away, arrive, outbox, letter, superuser):
    away()
    arrive(letter(sender="zoe@example.org"), "zoe+b-1@example.org")
    arrive(letter(sender="ZOE@example.org"), "zoe+b-2@example.org")
    arrive(letter(sender="other@example.org"), "zoe@example.org")
    assert len(outbox()) == 1
    superuser.execute(text("UPDATE vacation_answer SET answered_at = now() - interval '6 days 23 hours'"))
    arrive(letter(sender="zoe@example.org"))
    assert len(outbox()) == 1
    superuser.execute(text("UPDATE vacation_answer SET answered_at = now() - interval '7 days 1 hour'"))
    arrive(letter(sender="zoe@example.org"))
    arrive(letter(sender="ben@example.org"), "ben@example.org")
    assert len(outbox()) == 3
    away(Vacation(True, text="another text"))
    arrive(letter(sender="zoe@example.org"))
    assert len(outbox()) == 3, "other words are no other absence"
    away(Vacation(False))
    arrive(letter(sender="new@example.org"), "new@example.org")
    assert len(outbox()) == 3
    away()
    arrive(letter(sender="zoe@example.org"))
    assert len(outbox()) == 4, "a new absence is told anew"


def test_not_before_not_after_and_not_without(away, arrive, outbox, letter):
    today = datetime.now(UTC).date()
    arrive(letter())
    away(Vacation(True, today + timedelta(days=2), text="x"))
    arrive(letter())
    away(Vacation(True, None, today - timedelta(days=2), text="x"))
    arrive(letter())
    assert outbox() == []
    away(Vacation(True, today - timedelta(days=1), today + timedelta(days=1), text="x"))
    arrive(letter())
    assert len(outbox()) == 1


def test_not_to_what_is_none_to_answer(away, arrive, outbox, letter, opened, ann, filing, caplog):
    from webmail.mail import correspondents

    caplog.set_level("INFO")
    away()
    arrive(letter(), "")
    arrive(letter(List_Id="<l.example.org>"))
    arrive(letter(To="others@x.example"))
    arrive(letter(sender="ann@mtumail.test"), "ann@mtumail.test")
    arrive(b"not a message\r\n")
    opened(ann, lambda keys: correspondents.block(keys, "junk@example.org"))
    arrive(letter(sender="junk@example.org"), "junk@example.org")
    assert outbox() == []
    assert caplog.text.count("not answered") >= 4
    assert "example" not in caplog.text


def test_not_to_what_answers_a_return_path(away, receive, filing, outbox, ann, letter):
    away()
    path = returning.tagged(ann.address, 4711)
    receive(dataclasses.replace(ann, address=path), letter("Re: Rota", To=path), "robot@example.org")
    assert filing.drain() == 1
    assert outbox() == []


def test_it_answers_as_who_was_written_to(away, arrive, outbox, opened, ann, letter):
    away()
    opened(ann, lambda keys: identities.keep(keys, Identity(-1, "The Shop", "ann+shop@mtumail.test")))
    arrive(letter(To="Ann+Shop@mtumail.test"))
    assert sent(opened, ann, outbox()[0][2])["From"] == "The Shop <ann+shop@mtumail.test>"
    arrive(letter(To="ann+made.up@mtumail.test", sender="ben@example.org"), "ben@example.org")
    assert sent(opened, ann, outbox()[1][2])["From"] == "Ann Whitfield <ann@mtumail.test>"


def test_a_flood_of_senders_makes_no_flood_of_answers(
    away, arrive, receive, filing, outbox, ann, letter, monkeypatch
):
    away()
    monkeypatch.setattr(vacation, "MOST_ANSWERS", 3)
    for n in range(5):
        receive(ann, letter(sender=f"n{n}@example.org"), f"n{n}@example.org")
    assert filing.drain() == 5
    assert len(outbox()) == 3


def test_who_may_not_send_does_not_answer(away, receive, filing, outbox, ann, letter, superuser):
    away()
    receive(ann, letter())
    superuser.execute(text("UPDATE mailbox SET state = 'suspended'"))
    assert filing.drain() == 1
    assert outbox() == []


def test_a_full_mailbox_does_not_answer(away, receive, filing, outbox, ann, letter, superuser):
    away()
    receive(ann, letter())
    superuser.execute(text("UPDATE mailbox SET quota_bytes = 1"))
    assert filing.drain() == 1
    assert outbox() == []


# --- twice, and killed ---------------------------------------------------------------------------------------------------


def test_a_job_that_runs_twice_answers_once(away, arrive, outbox, opened, ann, letter, superuser, filing):
    away()
    message = arrive(letter())
    superuser.execute(
        text("INSERT INTO work (mailbox_id, kind, item_id) VALUES (:m, 'file', :i)"),
        {"m": ann.mailbox_id, "i": message},
    )
    filing.drain()
    assert opened(ann, lambda keys: answers.answer(keys, message)) is None
    assert len(outbox()) == 1


def test_trouble_costs_the_answer_and_not_the_message(
    away, arrive, outbox, letter, superuser, monkeypatch, caplog
):
    away()

    def refuse(*_):
        raise RuntimeError("Canary words")

    monkeypatch.setattr("webmail.sending.outbox.submit", refuse)
    message = arrive(letter())
    state = text("SELECT state FROM message WHERE message_id = :id")
    assert superuser.execute(state, {"id": message}).scalar() == "filed"
    assert outbox() == []
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1, "nothing half made in Sent"
    assert superuser.execute(text("SELECT count(*) FROM vacation_answer")).scalar() == 0
    assert "vacation failed" in caplog.text
    assert "Canary" not in caplog.text


@pytest.mark.parametrize(
    "where",
    [
        "webmail.mail.vacation.allowed",
        "webmail.sending.submitting.keep_new",
        "webmail.sending.outbox.submit",
        "webmail.work.finish",
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_there_is_one_answer(
    away, receive, filing, outbox, ann, letter, superuser, due, settings, where, moment
):
    away()
    receive(ann, letter())
    module, _, name = where.rpartition(".")

    pid = os.fork()
    if not pid:
        try:
            app = create_core(settings("worker"), "worker")
            filing.core = lambda: app
            __import__("workers.context").context.core = filing.core
            home = __import__(module, fromlist=[name])
            plain = getattr(home, name)

            def die(*values):
                if moment == "after":
                    plain(*values)
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(home, name, die)
            filing.drain()
        finally:
            os._exit(7)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert outbox() == []
    due()
    assert filing.drain() == 1
    assert len(outbox()) == 1


@pytest.fixture
def due(superuser):
    return lambda: superuser.execute(text("UPDATE work SET due_at = now() WHERE parked_at IS NULL"))


# --- walls ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        "UPDATE vacation SET sealed = ''",
        "UPDATE vacation SET zone = ''",
        "UPDATE vacation SET first_day = '2026-02-02', last_day = '2026-02-01'",
        "UPDATE vacation_answer SET token = ''",
    ],
)
def test_the_database_refuses_nonsense(away, arrive, letter, superuser, nonsense):
    away()
    arrive(letter())
    with pytest.raises(IntegrityError):
        superuser.execute(text(nonsense))


def test_who_was_answered_cannot_be_read(away, arrive, letter, superuser):
    away()
    arrive(letter(sender="canary@example.org"), "canary@example.org")
    [row] = superuser.execute(text("SELECT * FROM vacation_answer"))
    assert b"canary" not in bytes(row.token)
