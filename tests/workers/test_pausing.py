"""Sending held back: what people send is taken and waits, and leaves when it goes on; a turn that runs stops at its next message."""

import pytest

from webmail.db import transaction
from webmail.operations import queues
from workers import keeping


@pytest.fixture
def act(web_app):
    def do(verb):
        with web_app.app_context(), transaction(staff=True):
            verb("send", actor="account:1")

    return do


def test_while_sending_is_paused_mail_is_taken_and_waits_and_leaves_afterwards(
    ann, write, sending, sink, act, rows
):
    act(queues.pause)
    write(ann, "someone@example.org", ["One", "Two"])
    assert sending.drain() == 0
    assert "send" not in keeping.sweep()
    assert sink.mails == []
    assert rows()["someone@example.org"].state == "queued"
    act(queues.resume)
    assert sending.drain() == 2
    assert sink.subjects() == ["One", "Two"]


def test_a_turn_that_runs_stops_within_its_message(ann, write, sending, sink, act):
    write(ann, "someone@example.org", [f"No {number}" for number in range(6)])
    sink.hooks["DOT"] = lambda: act(queues.pause)
    assert 1 <= sending.drain() <= 3
    left = len(sink.mails)
    assert sending.drain() == 0
    act(queues.resume)
    while sending.drain():
        pass
    assert len(sink.mails) == 6 > left
