"""Sending and filing take their locks in one order: neither is refused as the other's deadlock."""

import threading

import pytest
from sqlalchemy import text

from webmail.sending import submitting

FILING = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail filing', :mailbox))")
COUNT = text("UPDATE mailbox SET change_counter = change_counter + 1 WHERE mailbox_id = :mailbox")
WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
def filing(superuser, ann, eventually):
    """Somebody files in Ann's mailbox: the lock now, the mailbox's row once `act` waits for the lock."""

    def run(act):
        engine = superuser.engine.execution_options(isolation_level="READ COMMITTED")
        done = []
        thread = threading.Thread(target=lambda: done.append(act()))
        with engine.connect() as connection, connection.begin():
            connection.execute(FILING, {"mailbox": ann.mailbox_id})
            thread.start()
            eventually(lambda: superuser.execute(WAITING).scalar_one())
            connection.execute(COUNT, {"mailbox": ann.mailbox_id})
        thread.join(10)
        assert not thread.is_alive()
        return done[0]

    return run


@pytest.fixture
def eventually():
    def wait(look):
        for _ in range(500):
            if look():
                return
            threading.Event().wait(0.02)
        raise AssertionError("nobody waits")

    return wait


def test_who_presses_send_while_mail_comes_in_is_not_refused(filing, browser_of, csrf, ann, superuser):
    client = browser_of(ann)
    token = csrf(client)
    fields = {
        "csrf_token": token,
        "to": "zoe@example.org",
        "subject": "Hello",
        "body": "It goes on.\n",
        "send": "1",
    }
    answer = filing(lambda: client.post("/compose", data=fields))
    assert answer.status_code in (200, 303)
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar_one() == 1


def test_what_nobody_drafted_leaves_while_mail_comes_in(filing, opened, ann, letter, superuser):
    raw = letter("An answer", sender=f"Ann <{ann.address}>")
    filing(lambda: opened(ann, lambda keys: submitting.keep_new(keys, ann.address, raw)))
    assert superuser.execute(text("SELECT count(*) FROM message WHERE direction = 'out'")).scalar_one() == 1
