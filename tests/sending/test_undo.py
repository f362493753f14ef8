"""Undoing Send: until the seconds are over it is a draft, as it was typed; then it leaves, once."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from webmail import work
from webmail.db import transaction
from webmail.errors import Conflict, NotFound
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.mailboxes import WorkerJob
from webmail.sending import drafts, later, submitting

FIELDS = drafts.Fields(
    "Al <a@example.org>", "b@example.org", "secret@example.com", "Lunch?", "At one?\n  Two?\r\n"
)


@pytest.fixture
def due(superuser):
    return lambda: superuser.execute(text("UPDATE work SET due_at = now() - interval '1 second'"))


@pytest.fixture
def count(superuser):
    return lambda table: superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar()


@pytest.fixture
def press(opened, ann):
    """Write a draft and press Send; the message's id."""

    def send(undo=10, fields=FIELDS, files=(), **more):
        def call(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(keys, who, fields)
            drafts.attach(keys, draft.message_id, files, 10**6)
            later.send(
                keys,
                draft.message_id,
                1,
                account_id=ann.account_id,
                author=who,
                limit=10**6,
                undo=undo,
                **more,
            )
            return draft.message_id

        return opened(ann, call)

    return send


def test_without_seconds_it_leaves_at_once(press, count):
    press(undo=0)
    assert (count("submission"), count("draft"), count("scheduled")) == (1, 0, 0)


def test_it_waits_and_then_leaves_once_with_everything(press, drain, due, count, superuser, opened, ann):
    message = press(files=[drafts.Upload("a.txt", "text/plain", b"content")])
    assert (count("submission"), count("scheduled")) == (0, 1)
    seconds = superuser.execute(text("SELECT extract(epoch FROM due_at - now()) FROM work")).scalar()
    assert 8 < seconds <= 10
    assert drain() == 0, "not yet"
    assert count("submission") == 0
    due()
    assert drain() == 1
    assert drain() == 0
    assert (count("submission"), count("draft"), count("scheduled")) == (1, 0, 0)
    sent_to = superuser.execute(text("SELECT recipient FROM delivery ORDER BY number")).scalars().all()
    assert sent_to == ["a@example.org", "b@example.org", "secret@example.com"]
    raw = opened(ann, lambda keys: messages.source(keys, message))
    assert b"secret" not in raw
    assert b"a.txt" in raw
    assert b"From: Ann Whitfield <ann@mtumail.test>" in raw
    assert superuser.execute(text("SELECT array_agg(kind) FROM work")).scalar() == ["send", "tell"]


def test_taken_back_it_is_the_draft_as_it_was_typed(press, drain, due, count, opened, ann):
    message = press(files=[drafts.Upload("a.txt", "text/plain", b"content")])
    assert opened(ann, lambda keys: later.cancel(keys, message)) is True
    assert opened(ann, lambda keys: later.cancel(keys, message)) is False
    due()
    assert drain() == 0
    assert (count("submission"), count("scheduled"), count("work")) == (0, 0, 0)
    draft = opened(ann, lambda keys: drafts.load(keys, message))
    assert draft.fields == FIELDS
    assert opened(ann, lambda keys: drafts.files(keys, message)) == [
        drafts.Upload("a.txt", "text/plain", b"content")
    ]


def test_after_the_window_nothing_is_taken_back(press, drain, due, count, opened, ann):
    message = press()
    due()
    drain()
    assert opened(ann, lambda keys: later.cancel(keys, message)) is False
    assert count("submission") == 1


def test_nobody_takes_back_what_is_anothers(press, opened, ben, count):
    message = press()
    assert opened(ben, lambda keys: later.cancel(keys, message)) is False
    assert opened(ben, lambda keys: later.send_now(keys, message)) is False
    assert count("scheduled") == 1


def test_a_second_press_is_told_so_and_what_it_typed_is_known(press, opened, ann):
    message = press()

    def again(keys):
        who = (ann.name, ann.address)
        later.send(keys, message, 1, account_id=ann.account_id, author=who, limit=10**6, undo=10)

    with pytest.raises(Conflict):
        opened(ann, again)
    assert opened(ann, lambda keys: submitting.was_sent(keys, message, FIELDS))
    other = drafts.Fields(FIELDS.to, subject="Lunch!")
    assert not opened(ann, lambda keys: submitting.was_sent(keys, message, other))


@pytest.mark.parametrize("first", ["cancel", "worker"])
def test_taking_back_and_leaving_at_once_has_one_winner(
    first, press, worker, web_app, master, ann, due, count
):
    """Whoever is first holds the draft; the other waits for them, and then sees what they did."""
    message = press()
    due()
    with worker.app_context(), transaction():
        [claim] = work.claim(work.SUBMIT, 1, timedelta(minutes=1))
    inside, go_on, told = threading.Event(), threading.Event(), {}

    def run(name, app, call, right):
        with app.app_context(), transaction(ann.mailbox_id):
            told[name] = call(open_mailbox(master, ann.mailbox_id, right))
            if name == first:
                inside.set()
                assert go_on.wait(5)

    right = WorkerJob("submit", ann.mailbox_id)
    runs = {
        "cancel": (web_app, lambda keys: later.cancel(keys, message), right),
        "worker": (worker, lambda keys: later.submit(keys, claim), right),
    }
    threads = {name: threading.Thread(target=run, args=(name, *args)) for name, args in runs.items()}
    threads[first].start()
    assert inside.wait(5)
    (second,) = set(runs) - {first}
    threads[second].start()
    threads[second].join(0.3)
    assert second not in told, "it waits"
    go_on.set()
    for thread in threads.values():
        thread.join(10)
    if first == "cancel":
        assert told == {"cancel": True, "worker": "lost"}
        assert (count("submission"), count("draft")) == (0, 1)
    else:
        assert told == {"cancel": False, "worker": "left"}
        assert (count("submission"), count("draft")) == (1, 0)
    assert count("scheduled") == 0


def _submit_and_die(master, person, claim):
    with transaction(person.mailbox_id):
        keys = open_mailbox(master, person.mailbox_id, WorkerJob("submit", person.mailbox_id))
        assert later.submit(keys, claim) == "left"
        raise KeyboardInterrupt


def test_a_worker_that_dies_inside_left_everything_as_it_was(press, worker, drain, due, count, master, ann):
    press()
    due()
    with worker.app_context():
        with transaction():
            [claim] = work.claim(work.SUBMIT, 1, timedelta(minutes=1))
        with pytest.raises(KeyboardInterrupt):
            _submit_and_die(master, ann, claim)
    assert (count("submission"), count("draft"), count("scheduled")) == (0, 1, 1)
    due()
    drain()
    assert (count("submission"), count("draft"), count("scheduled")) == (1, 0, 0)


def test_many_workers_send_it_once(press, drain, due, count):
    for _ in range(6):
        press()
    due()
    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (count("submission"), count("scheduled")) == (6, 0)


def test_a_draft_that_was_changed_or_thrown_away_stays(press, drain, due, count, opened, ann, superuser):
    changed, trashed, gone = press(), press(), press()
    opened(ann, lambda keys: drafts.save(keys, (ann.name, ann.address), changed, 1, drafts.Fields("x@y.org")))
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [trashed], "trash"))
    opened(ann, lambda keys: drafts.discard(keys, gone))
    due()
    assert drain() == 3
    assert count("submission") == 0
    [line] = opened(ann, later.listed)
    assert (line.message_id, line.held) == (changed, "changed")
    assert opened(ann, lambda keys: later.send_now(keys, changed))
    drain()
    assert superuser.execute(text("SELECT array_agg(recipient) FROM delivery")).scalar() == ["x@y.org"]
    with pytest.raises(NotFound):
        opened(ann, lambda keys: drafts.load(keys, gone))


def test_what_breaks_on_our_side_is_tried_again_and_then_said(
    press, drain, due, count, superuser, opened, ann, monkeypatch
):
    press()
    due()

    def broken(*_values, **_more):
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(submitting, "leave", broken)
        drain()
        assert superuser.execute(text("SELECT problem, due_at > now() FROM work")).one() == ("error", True)
        superuser.execute(text("UPDATE work SET attempts = 12, due_at = now()"))
        drain()
    assert [line.held for line in opened(ann, later.listed)] == ["error"]
    assert drain() == 0
    assert opened(ann, lambda keys: later.send_now(keys, opened_id(superuser)))
    drain()
    assert count("submission") == 1


def opened_id(superuser):
    return superuser.execute(text("SELECT message_id FROM scheduled")).scalar()
