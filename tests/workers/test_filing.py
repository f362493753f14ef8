"""Filing by the worker: a message that cannot be read, or kills who reads it, is set aside; two workers file once."""

import os
import signal
import threading

import pytest
from sqlalchemy import text

from webmail import create_core, jobs
from webmail.db import show_id


@pytest.fixture
def filing(worker):
    from workers import filing as module

    return module


@pytest.fixture
def state(superuser):
    """What the database says of a message."""
    query = text("SELECT state FROM message WHERE message_id = :id")
    return lambda message: superuser.execute(query, {"id": message}).scalar_one()


def work_rows(superuser):
    return superuser.execute(text("SELECT * FROM work")).all()


def refuse(*_):
    raise MemoryError


def test_what_came_in_is_filed_and_its_work_is_done(
    filing, receive, ann, letter, state, superuser, browser_of
):
    ids = [receive(ann, letter(f"n{number}")) for number in range(3)]
    assert filing.drain() == 3
    assert {state(message) for message in ids} == {"filed"}
    assert work_rows(superuser) == []
    assert browser_of(ann).get("/").text.count("n1") >= 1
    assert filing.drain() == 0


def test_a_message_that_cannot_be_read_is_set_aside_after_two_tries(
    filing, receive, ann, letter, state, superuser, due, browser_of, monkeypatch, caplog
):
    bad = receive(ann, letter("Canary words"))
    with monkeypatch.context() as patch:
        patch.setattr("webmail.mail.reading.build", refuse)
        for attempt in (1, 2):
            assert filing.drain() == 0
            assert state(bad) == "received"
            (row,) = work_rows(superuser)
            assert (row.attempts, row.lease, row.problem, row.parked_at) == (attempt, None, "error", None)
            due()
    assert filing.drain() == 0
    assert state(bad) == "unreadable"
    (row,) = work_rows(superuser)
    assert row.problem == "poison"
    assert row.parked_at is not None
    due()
    good = receive(ann, letter("after it"))
    assert filing.drain() == 1
    assert (state(good), state(bad)) == ("filed", "unreadable")
    client = browser_of(ann)
    page = client.get(f"/mail/inbox/{show_id(bad)}")
    assert page.status_code == 200
    assert "cannot be shown" in page.text
    assert b"Canary words" in client.get(f"/mail/inbox/{show_id(bad)}/message.eml").data
    assert "Canary" not in caplog.text


def test_a_message_that_kills_its_reader_is_set_aside_too_and_the_others_are_filed(
    filing, receive, ann, letter, state, superuser, due, settings
):
    bad = receive(ann, letter("poison"))

    def die(raw, message_id, **more):
        if b"poison" in raw:
            os.kill(os.getpid(), signal.SIGKILL)
        return build(raw, message_id, **more)

    from webmail.mail import reading

    others: list[int] = []
    build, goods = reading.build, [receive(ann, letter("before")) for _ in range(3)]
    superuser.execute(
        text("UPDATE work SET due_at = now() - interval '1 hour' WHERE item_id <> :id"), {"id": bad}
    )
    for number in range(2):
        good = receive(ann, letter(f"n{number}"))
        pid = os.fork()
        if not pid:
            try:
                app = create_core(settings("worker"), "worker")
                filing.core = lambda: app
                __import__("workers.context").context.core = filing.core
                reading.build = die
                filing.drain()
            finally:
                os._exit(7)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        due()  # the lease is over
        assert state(bad) == "received"
        assert {state(message) for message in goods} == {"filed"}
        others.append(good)
    filing.drain()
    assert state(bad) == "unreadable"
    assert {state(message) for message in others} == {"filed"}, "who was tried beside it is none the worse"
    (row,) = work_rows(superuser)
    assert (row.item_id, row.problem) == (bad, "poison")


def test_a_message_under_a_wrong_key_is_set_aside_at_once(filing, receive, ann, letter, state, superuser):
    bad, good = receive(ann, letter("a")), receive(ann, letter("b"))
    superuser.execute(
        text(
            "UPDATE message SET content_key = set_byte(content_key, 40, get_byte(content_key, 40) # 1) WHERE message_id = :id"
        ),
        {"id": bad},
    )
    assert filing.drain() == 1
    assert (state(bad), state(good)) == ("unreadable", "filed")
    (row,) = work_rows(superuser)
    assert row.problem == "keys"


def test_two_drains_at_once_file_each_message_once(filing, receive, ann, letter, superuser):
    for number in range(40):
        receive(ann, letter(f"n{number}"))
    done = []
    threads = [threading.Thread(target=lambda: done.append(filing.drain())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 40
    assert superuser.execute(text("SELECT count(*) FROM message_view")).scalar() == 40
    assert work_rows(superuser) == []


def test_a_lost_lease_files_nothing(filing, receive, ann, letter, state, superuser, monkeypatch):
    message = receive(ann, letter())
    holds = filing.work.holds

    def late(claim):
        superuser.execute(text("UPDATE work SET lease = 4711"))
        return holds(claim)

    monkeypatch.setattr(filing.work, "holds", late)
    assert filing.drain() == 0
    assert state(message) == "received"
    (row,) = work_rows(superuser)
    assert row.lease == 4711


def test_a_sweep_rings_for_what_is_due(worker, receive, ann, letter):
    from workers import keeping

    assert keeping.sweep() == []
    receive(ann, letter())
    assert keeping.sweep() == ["file"]
    waiting = jobs.bell.redis.llen("rq:queue:filing")
    assert waiting >= 1
    assert keeping.sweep() == ["file"]
    assert jobs.bell.redis.llen("rq:queue:filing") == waiting, "one job for many rings"


def test_a_database_that_goes_away_is_not_the_messages_fault(
    filing, receive, ann, letter, state, superuser, due, monkeypatch
):
    from sqlalchemy.exc import OperationalError

    def away(*_):
        raise OperationalError("away", None, ConnectionError())

    message = receive(ann, letter())
    with monkeypatch.context() as patch:
        patch.setattr("webmail.mail.filing.file", away)
        for _ in range(4):
            with pytest.raises(OperationalError):
                filing.drain()
            (row,) = work_rows(superuser)
            assert (row.attempts, row.lease, row.parked_at) == (0, None, None)
    assert filing.drain() == 1
    assert state(message) == "filed"


# --- where it is put -----------------------------------------------------------------------------------------------------

BLOCK = (
    "Return-Path: <zoe@example.org>\r\nAuthentication-Results: mail.example.net;\r\n\tspf=fail smtp.mailfrom=example.org;\r\n\tdkim=none;\r\n"
    "\tdmarc={dmarc} header.from=example.org policy.dmarc={policy};\r\n\tarc={arc} policy.sealer=lists.example\r\n"
    "Received: from mx.example.org ([192.0.2.7])\r\n\tby mail.example.net with ESMTPS id 1;\r\n\tMon, 23 Nov 2026 00:00:00 +0000\r\n"
)
LIST = {
    "To": "dev@lists.example",
    "List_Id": "Dev <dev.lists.example>",
    "List_Unsubscribe": "<mailto:leave@lists.example>",
}


@pytest.fixture
def folder(superuser):
    query = text("SELECT kind FROM message JOIN folder USING (mailbox_id, folder_id) WHERE message_id = :id")
    return lambda message: superuser.execute(query, {"id": message}).scalar_one()


@pytest.mark.parametrize(
    ("dmarc", "policy", "where"),
    [
        ("fail", "reject", "junk"),
        ("fail", "quarantine", "junk"),
        ("fail", "none", "inbox"),
        ("pass", "reject", "inbox"),
        ("temperror", "reject", "inbox"),
    ],
)
def test_what_its_domain_disowns_is_put_into_junk(filing, receive, ann, letter, folder, dmarc, policy, where):
    message = receive(ann, BLOCK.format(dmarc=dmarc, policy=policy, arc="none").encode() + letter())
    assert filing.drain() == 1
    assert folder(message) == where


@pytest.mark.parametrize(
    ("arc", "written", "headers", "where"),
    [
        ("pass", True, LIST, "inbox"),
        ("pass", False, LIST, "junk"),
        ("fail", True, LIST, "junk"),
        ("none", True, LIST, "junk"),
        ("pass", True, {"To": "dev@lists.example"}, "junk"),
        ("pass", True, LIST | {"To": "ann@mtumail.test"}, "junk"),
    ],
)
def test_only_a_list_that_its_reader_wrote_to_may_change_what_it_passes_on(
    filing, receive, ann, letter, folder, opened, arc, written, headers, where
):
    from webmail.mail import correspondents

    if written:
        opened(ann, lambda keys: correspondents.written_to(keys, ["dev@lists.example"]))
    message = receive(ann, BLOCK.format(dmarc="fail", policy="reject", arc=arc).encode() + letter(**headers))
    assert filing.drain() == 1
    assert folder(message) == where


def test_a_name_of_our_own_domain_without_its_proof_is_put_into_junk(filing, receive, ann, letter, folder):
    raw = (
        BLOCK.format(dmarc="fail", policy="none", arc="none")
        .replace("=example.org", "=mtumail.test")
        .encode()
    )
    message = receive(ann, raw + letter(sender="Postmaster <postmaster@mtumail.test>"))
    assert filing.drain() == 1
    assert folder(message) == "junk"


def test_a_strangers_own_verdict_moves_nothing(filing, receive, ann, letter, folder):
    forged = BLOCK.format(dmarc="fail", policy="reject", arc="none").encode() + letter()
    ours = BLOCK.format(dmarc="pass", policy="reject", arc="none").encode()
    messages = [receive(ann, ours + forged), receive(ann, b"X-First: 1\r\n" + forged)]
    assert filing.drain() == 2
    assert [folder(message) for message in messages] == ["inbox", "inbox"]


def test_a_blocked_sender_is_put_into_junk_and_each_message_counts_once(
    filing, receive, ann, letter, folder, opened, superuser
):
    from webmail.mail import correspondents

    receive(ann, letter())
    filing.drain()
    opened(ann, lambda keys: correspondents.block(keys, "ZOE@example.org"))
    message = receive(ann, letter())
    assert filing.drain() == 1
    assert folder(message) == "junk"
    known = opened(ann, lambda keys: correspondents.known(keys, "zoe@example.org"))
    assert (known.received, known.blocked) == (2, True)
    opened(ann, lambda keys: correspondents.unblock(keys, "zoe@example.org"))
    again = receive(ann, letter())
    filing.drain()
    assert folder(again) == "inbox"
