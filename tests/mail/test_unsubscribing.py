"""Leaving a list: asked once, by a press, and told how it went."""

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.db import transaction
from webmail.errors import NotFound, Refused
from webmail.mail import unsubscribing
from webmail.mail.unsubscribe import Offer

OFFER = Offer(post="https://lists.example/u?t=opaque")


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter())


@pytest.fixture
def ask(opened):
    return lambda person, message, offer=OFFER: opened(
        person, lambda keys: unsubscribing.ask(keys, message, offer)
    )


@pytest.fixture
def told(opened):
    """(way, state, reply code, problem)"""

    def read(person, message):
        found = opened(person, lambda keys: unsubscribing.state(keys.mailbox_id, message))
        return found and (found.way, found.state, found.reply_code, found.problem)

    return read


@pytest.fixture
def works(superuser):
    query = text("SELECT mailbox_id, kind, item_id FROM work")
    return lambda: [tuple(row) for row in superuser.execute(query)]


def test_one_click_is_asked_once_and_waits_for_a_worker(ann, message, ask, told, works, superuser):
    assert told(ann, message) is None
    for _ in range(3):
        ask(ann, message)
    assert told(ann, message) == ("post", "asked", None, "")
    assert works() == [(ann.mailbox_id, "unsubscribe", message)]
    assert jobs.bell.redis.llen("rq:queue:fetching") == 1
    dump = superuser.execute(text("SELECT string_agg(t::text, '') FROM unsubscription t")).scalar()
    assert "lists.example" not in dump


@pytest.mark.parametrize("offer", [Offer(), Offer(page="https://lists.example/")])
def test_without_one_click_nothing_is_asked(ann, message, ask, told, works, offer):
    with pytest.raises(Refused):
        ask(ann, message, offer)
    assert told(ann, message) is None
    assert works() == []


def test_what_is_done_stays_done(ann, message, ask, told, works, opened, superuser):
    ask(ann, message)
    opened(ann, lambda keys: unsubscribing.done(keys.mailbox_id, message, 202))
    superuser.execute(text("DELETE FROM work"))
    ask(ann, message)
    opened(ann, lambda keys: unsubscribing.failed(keys.mailbox_id, message, "slow"))
    assert told(ann, message) == ("post", "done", 202, "")
    assert works() == []


def test_what_failed_may_be_asked_anew_or_by_mail(ann, message, ask, told, works, opened, superuser):
    ask(ann, message)
    opened(ann, lambda keys: unsubscribing.failed(keys.mailbox_id, message, "status", 500))
    assert told(ann, message) == ("post", "failed", 500, "status")
    superuser.execute(text("DELETE FROM work"))
    ask(ann, message)
    assert told(ann, message) == ("post", "asked", None, "")
    assert works() == [(ann.mailbox_id, "unsubscribe", message)]
    opened(ann, lambda keys: unsubscribing.failed(keys.mailbox_id, message, "private"))
    opened(ann, lambda keys: unsubscribing.mailed(keys, message))
    assert told(ann, message) == ("mail", "done", None, "")


def test_mail_is_noted_without_work(ann, message, told, works, opened):
    opened(ann, lambda keys: unsubscribing.mailed(keys, message))
    assert told(ann, message) == ("mail", "done", None, "")
    assert works() == []
    assert opened(ann, lambda keys: unsubscribing.waiting(keys.mailbox_id, message)) is False


def test_a_strangers_message_is_not_found(ann, ben, message, ask, told, opened, web_app):
    with pytest.raises(NotFound):
        ask(ben, message)
    with pytest.raises(NotFound):
        opened(ben, lambda keys: unsubscribing.mailed(keys, message))
    ask(ann, message)
    assert told(ben, message) is None
    with web_app.app_context(), transaction(ben.mailbox_id):
        unsubscribing.done(ann.mailbox_id, message, 200)
        assert unsubscribing.state(ann.mailbox_id, message) is None
    assert told(ann, message) == ("post", "asked", None, "")
