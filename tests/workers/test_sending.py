"""The outbox against a peer over sockets: what leaves, what is tried again, and what a killed worker leaves behind."""

import dataclasses
import itertools
import logging
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from webmail import jobs, work
from webmail.db import transaction
from webmail.governance.cases.sealing import open_secret
from webmail.governance.quarantine import marking
from webmail.mail import messages
from webmail.sending import leaving, outbox
from webmail.sending.relay.connection import Connection

FIRST, SECOND, THIRD = "carla@example.org", "dmitri@example.net", "eve@example.com"


def left(superuser):
    return superuser.execute(text("SELECT *, now() FROM work WHERE kind = 'send' ORDER BY due_at")).all()


def test_what_leaves_is_what_lies_in_sent_byte_for_byte(
    sending, sink, ann, write, rows, opened, superuser, master
):
    body = ".leading dot\n" + "long line " * 40 + "\n>From here\n\nčeština ☃\n.\nend"
    (message,), _ = write(ann, f"Carla <{FIRST}>", ("Grüße",), body, bcc=SECOND)
    assert sending.drain() == 1
    (mail,) = sink.mails
    envelope_from = superuser.execute(text("SELECT envelope_from FROM submission")).scalar()
    assert envelope_from.startswith("ann+b-")
    assert (mail.sender, mail.recipients) == (envelope_from, (FIRST, SECOND))
    assert mail.raw == opened(ann, lambda keys: messages.source(keys, message))
    assert mail.raw.count(b"\n") == mail.raw.count(b"\r\n")
    assert SECOND.encode() not in mail.raw
    states = rows()
    assert {(row.state, row.reply_code, row.attempts, row.repeated) for row in states.values()} == {
        ("sent", 250, 1, False)
    }
    assert states[FIRST].reply == "250 2.0.0 kept"
    assert left(superuser) == []
    assert superuser.execute(text("SELECT finished_at IS NOT NULL FROM submission")).scalar()
    bare = mail.raw.split(b"Message-ID: <")[1].split(b">")[0].decode()
    mark = opened(ann, lambda keys: marking.reference_mark(open_secret(master), bare))
    found = superuser.execute(text("SELECT message_id, reference, content FROM message_mark")).one()
    assert found == (message, mark, None), "found again by its Message-ID, where there is a case"
    assert sending.drain() == 0


def test_a_short_queue_leaves_over_one_connection(sending, sink, ann, write):
    count = sending.LANE_MESSAGES - 1
    write(ann, FIRST, [f"n{number}" for number in range(count)])
    assert sending.drain() == count
    assert (len(sink.mails), sink.sessions) == (count, 1)


def test_a_long_queue_leaves_over_a_few_at_the_same_time(sending, sink, ann, write, rows):
    names = [f"n{number:02}" for number in range(40)]
    write(ann, FIRST, names)
    assert sending.drain() == 40
    assert sink.subjects() == names
    assert 2 <= sink.sessions <= sending.LANES


# --- relays in trouble ---------------------------------------------------------------------------------------------------


@pytest.fixture
def relays(worker, sending, monkeypatch):
    """Have the worker use these relays."""

    def use(urls):
        told = dataclasses.replace(worker.extensions["settings"], relay_url=urls)
        monkeypatch.setitem(worker.extensions, "settings", told)

    return use


@pytest.fixture
def nobody():
    """The address of a relay that is away."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    return f"smtp://127.0.0.1:{port}?timeout=1&name=away&weight=1000"


def test_a_relay_that_is_away_is_asked_once_and_the_queue_waits(
    sending, sink, relays, nobody, ann, write, rows, superuser, caplog
):
    write(ann, FIRST, ["a", "b", "c"])
    relays(nobody)
    with caplog.at_level(logging.ERROR, "workers.sending"):
        assert sending.drain() == 1
        assert sending.drain() == 0, "the next job knows that it rests"
    (told,) = [record for record in caplog.records if record.message == "relay rests"]
    assert (told.relay, told.trouble, told.seconds) == ("away", "connect", 60)
    states = superuser.execute(text("SELECT state, attempts FROM delivery ORDER BY state")).all()
    assert states == [("deferred", 1), ("queued", 0), ("queued", 0)], "nothing is counted that was not tried"
    relays(sink.url)
    assert sending.drain() == 2, "another relay does not rest"


def test_a_rest_in_redis_is_believed_for_fifteen_minutes_and_nonsense_not_at_all(
    sending, sink, relays, ann, write
):
    relays(f"{sink.url}&name=one")
    write(ann, FIRST, ["a", "b"])
    redis, key = jobs.bell.redis, "mtumail:relay-rests:one"
    redis.set(key, f"[1, {time.time() + 1e9}]")
    assert sending.drain() == 0
    assert sending._recalled("one").until <= time.time() + 901
    for nonsense in (
        b"\xff",
        b"[",
        b"[1]",
        b'["1", 2.0]',
        b"[1, NaN]",
        b"{}",
        b"7",
        b"[1, 1e999]",
        b"[-1, 2.0]",
    ):
        redis.set(key, nonsense)
        rest = sending._recalled("one")
        assert rest is None or not rest.until > time.time() + 901, nonsense
    redis.set(key, b"[1]")
    assert sending.drain() == 2


def test_another_relay_takes_what_one_does_not_and_its_name_is_kept(
    sending, sink, relays, nobody, ann, write, rows
):
    relays(f"{nobody},{sink.url}&name=second&weight=0")
    write(ann, FIRST, ["a", "b"])
    assert sending.drain() == 2
    assert sink.subjects() == ["a", "b"]
    assert rows()[FIRST].reply == "250 2.0.0 kept (second)"
    assert rows()[FIRST].state == "sent"
    assert rows()[FIRST].attempts == 1


def test_waits_grow_from_five_minutes_to_four_hours_and_five_days_hold_fewer_than_we_allow(sending):
    for attempts in range(1, 25):
        middle = min(timedelta(minutes=5) * 2 ** (attempts - 1), timedelta(hours=4))
        for _ in range(20):
            assert middle * 0.8 <= outbox.retry_after(attempts) <= middle * 1.2
    assert len({outbox.retry_after(1) for _ in range(20)}) > 10, "many that failed together come back apart"
    shortest = itertools.accumulate(
        min(timedelta(minutes=5) * 2 ** min(attempt, 9), timedelta(hours=4)) * 0.8
        for attempt in itertools.count()
    )
    within = sum(1 for _ in itertools.takewhile(lambda passed: passed < outbox.GIVE_UP_AFTER, shortest))
    assert 30 < within + 1 < sending.ATTEMPTS


@pytest.mark.parametrize("pipelining", [False, True])
def test_each_recipient_gets_its_own_fate(sending, sink, ann, write, rows, due, superuser, pipelining):
    sink.pipelining = pipelining
    sink.says[SECOND] = ["450 4.2.1 greylisted", "250 2.1.5 ok"]
    sink.says[THIRD] = ["550 5.1.1 nobody of that name"]
    write(ann, f"{FIRST}, {SECOND}, {THIRD}")
    assert sending.drain() == 1
    states = rows()
    assert {address: row.state for address, row in states.items()} == {
        FIRST: "sent",
        SECOND: "deferred",
        THIRD: "failed",
    }
    assert (states[SECOND].reply_code, states[SECOND].reply) == (450, "450 4.2.1 greylisted")
    assert states[THIRD].reply == "550 5.1.1 nobody of that name"
    assert states[SECOND].next_at is not None
    assert states[THIRD].next_at is None
    (row,) = left(superuser)
    wait = row.due_at - states[SECOND].changed_at
    assert timedelta(minutes=4) <= wait <= timedelta(minutes=6)
    assert sending.drain() == 0, "not before its time"
    due()
    assert sending.drain() == 1
    assert sink.mails[1].recipients == (SECOND,)
    assert sink.mails[1].raw == sink.mails[0].raw
    states = rows()
    assert {address: row.state for address, row in states.items()} == {
        FIRST: "sent",
        SECOND: "sent",
        THIRD: "failed",
    }
    assert (states[FIRST].attempts, states[SECOND].attempts, states[THIRD].attempts) == (1, 2, 1)
    assert not any(row.repeated for row in states.values())
    assert left(superuser) == []


def test_a_relay_that_is_away_defers(worker, sending, sink, ann, write, rows, superuser):
    sink.stop()
    write(ann, f"{FIRST}, {SECOND}")
    assert sending.drain() == 1
    assert {row.state for row in rows().values()} == {"deferred"}
    (row,) = left(superuser)
    assert row.lease is None
    assert row.due_at > row.now + timedelta(minutes=3)
    assert "could not connect" in rows()[FIRST].reply


def test_no_answer_to_the_dot_is_tried_again_and_flagged(sending, sink, ann, write, rows, due):
    sink.says["DOT"] = ["CLOSE", "250 2.0.0 kept"]
    sink.says[THIRD] = ["550 5.1.1 no"]
    write(ann, f"{FIRST}, {THIRD}")
    sending.drain()
    assert rows()[FIRST].state == "unknown"
    assert rows()[FIRST].next_at is not None
    due()
    sending.drain()
    assert (rows()[FIRST].state, rows()[FIRST].repeated) == ("sent", True)
    assert (rows()[THIRD].state, rows()[THIRD].repeated, rows()[THIRD].attempts) == ("failed", False, 1)
    assert len(sink.mails) == 2
    assert sink.mails[0] == sink.mails[1], "the same bytes, the same Message-ID"


def test_a_relay_that_never_answers_the_dot_gets_five_copies_and_no_more(
    sending, sink, ann, write, rows, due, superuser
):
    sink.says["DOT"] = ["CLOSE"]
    write(ann, FIRST)
    for _ in range(8):
        sending.drain()
        due()
    assert len(sink.mails) == leaving.MOST_REPEATS
    row = rows()[FIRST]
    assert (row.state, row.repeated) == ("failed", True)
    assert "the message" in row.reply
    assert left(superuser) == []


def test_after_five_days_it_is_given_up(sending, sink, ann, write, rows, due, superuser):
    sink.says[FIRST] = ["451 4.3.0 not now"]
    write(ann, FIRST)
    sending.drain()
    superuser.execute(text("UPDATE submission SET counts_from = now() - interval '4 days 23 hours'"))
    due()
    sending.drain()
    assert rows()[FIRST].state == "deferred"
    superuser.execute(text("UPDATE submission SET counts_from = now() - interval '5 days 1 minute'"))
    due()
    sending.drain()
    assert (rows()[FIRST].state, rows()[FIRST].reply) == ("failed", "451 4.3.0 not now")
    assert left(superuser) == []
    assert sink.mails == []


# --- rows that cannot be sent --------------------------------------------------------------------------------------------


def spoil_source(superuser, message):
    superuser.execute(text("DELETE FROM message_source WHERE message_id = :id"), {"id": message})


def spoil_key(superuser, message):
    superuser.execute(
        text(
            "UPDATE message SET content_key = set_byte(content_key, 20, get_byte(content_key, 20) # 1) WHERE message_id = :id"
        ),
        {"id": message},
    )


@pytest.mark.parametrize("spoil", [spoil_source, spoil_key])
def test_a_row_that_cannot_be_sent_is_put_off_then_parked_and_the_rest_goes_on(
    sending, sink, ann, write, rows, due, superuser, spoil
):
    (message, *_), (submission, *_) = write(ann, FIRST, ["a", "b", "c"])
    superuser.execute(
        text("UPDATE work SET due_at = now() - interval '1 hour' WHERE item_id = :id"), {"id": submission}
    )
    spoil(superuser, message)
    assert sending.drain() == 3
    assert sink.subjects() == ["b", "c"]
    assert rows(submission)[FIRST].state == "deferred"
    (row,) = left(superuser)
    assert (row.item_id, row.attempts, row.problem, row.lease) == (submission, 1, "error", None)
    superuser.execute(text("UPDATE work SET attempts = :n"), {"n": sending.ATTEMPTS - 1})
    due()
    sending.drain()
    (row,) = left(superuser)
    assert row.parked_at is not None
    assert rows(submission)[FIRST].state == "failed"
    superuser.execute(text("UPDATE work SET due_at = now()"))
    assert sending.drain() == 0


def test_a_row_that_kills_its_worker_is_parked_and_delays_nobody(
    in_child, sending, sink, ann, write, rows, due, superuser
):
    _, (poison, *_) = write(ann, FIRST, ["poison", "b"])
    superuser.execute(
        text("UPDATE work SET due_at = now() - interval '1 hour' WHERE item_id = :id"), {"id": poison}
    )
    _, wait = in_child(kill_at("relay.send"))
    assert wait() == signal.SIGKILL
    sending.drain()
    assert sink.subjects() == ["b"], "another's lease is not held by the dead worker"
    superuser.execute(text("UPDATE work SET attempts = :n"), {"n": sending.ATTEMPTS})
    due()
    sending.drain()
    (row,) = left(superuser)
    assert row.problem == "poison"
    assert row.parked_at is not None
    assert rows(poison)[FIRST].state == "failed"
    assert sink.subjects() == ["b"]


# --- leases --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["RCPT", "DOT"])
def test_who_lost_the_lease_writes_nothing(sending, sink, ann, write, rows, superuser, event):
    write(ann, FIRST)
    before = {}

    def steal():
        superuser.execute(text("UPDATE work SET lease = 4711"))
        before.update(rows())

    sink.hooks[event] = steal
    assert sending.drain() == 1
    assert rows() == before
    assert rows()[FIRST].state == ("claimed" if event == "RCPT" else "handed")
    (row,) = left(superuser)
    assert row.lease == 4711
    assert len(sink.mails) == (event == "DOT"), "without its lease a worker does not write the dot"


def test_an_old_claim_cannot_put_off_or_park(worker, ann, write, rows, superuser):
    from workers import sending

    write(ann, FIRST)
    with worker.app_context():
        with transaction():
            [claim] = work.claim(work.SEND, 1, timedelta(seconds=30))
        superuser.execute(text("UPDATE work SET lease = 4711"))
        sending._put_off(claim)
        sending._set_aside(claim, "error")
    assert rows()[FIRST].state == "queued"
    assert left(superuser)[0].lease == 4711
    assert left(superuser)[0].parked_at is None


def no_hurry():
    import workers.sending

    workers.sending.TURN_SECONDS = 120


def test_a_turn_ends_and_the_next_is_rung_for(sending, sink, ann, write, monkeypatch):
    write(ann, FIRST, ["a", "b"])
    monkeypatch.setattr(sending, "TURN_SECONDS", 0.001)
    assert sending.drain() == 1
    assert jobs.bell.redis.llen("rq:queue:sending") == 1
    assert sending.drain() == 1
    assert sink.subjects() == ["a", "b"]


def strike_at_dot(sink, number, strike):
    """Call `strike` when the peer has read the dot of this many messages."""
    came = itertools.count(1)

    def dot():
        if next(came) == number:
            strike()
        else:
            sink.hooks["DOT"] = dot

    sink.hooks["DOT"] = dot


def test_what_was_claimed_at_once_is_given_back_when_the_turn_ends(
    sending, sink, ann, write, monkeypatch, superuser
):
    monkeypatch.setattr(sending, "LANES", 1)
    first = sending.LANE_MESSAGES
    write(ann, FIRST, [f"n{number:02}" for number in range(first + sending.BATCH)])
    turns, run = [], sending._Turn.run
    monkeypatch.setattr(sending._Turn, "run", lambda self: turns.append(self) or run(self))
    strike_at_dot(sink, first + 2, lambda: setattr(turns[0], "_until", 0))
    assert sending.drain() == first + 2
    waiting = left(superuser)
    assert len(waiting) == sending.BATCH - 2
    assert {(row.lease, row.attempts) for row in waiting} == {(None, 0)}
    assert all(row.due_at <= row.now for row in waiting)
    assert sending.drain() == sending.BATCH - 2


def test_what_was_claimed_by_a_dead_worker_waits_for_a_minute(in_child, sending, sink, ann, write, superuser):
    first = sending.LANE_MESSAGES
    write(ann, FIRST, [f"n{number:02}" for number in range(first + sending.BATCH)])
    child = []
    strike_at_dot(sink, first + 1, lambda: os.kill(child[0], signal.SIGKILL))
    pid, wait = in_child(one_lane)
    child.append(pid)
    assert wait() == signal.SIGKILL
    waits = sorted((row.due_at - row.now).total_seconds() for row in left(superuser))
    assert len(waits) == sending.BATCH
    assert waits[-2] <= sending.WAITS.total_seconds() < waits[-1] <= leaving.LEASE.total_seconds()


def one_lane():
    import workers.sending

    workers.sending.LANES = 1


@pytest.mark.parametrize("role", ["web", "inbound"])
@pytest.mark.parametrize(
    "call",
    [
        "outbox_begin(1, 1, 1, '1 minute')",
        "outbox_hand_over(1, 1, 1, '{1}', NULL)",
        "outbox_note_sent(1, 1, 1, '{1}', '{250}', '{ok}', '{1}', '{250}', '{ok}', ARRAY[sha256('a')])",
    ],
)
def test_the_outbox_is_emptied_by_workers_alone(database, role, call):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(f"SELECT {call}"))
    engine.dispose()


def test_two_processes_send_each_of_200_once(in_child, sink, ann, write, rows, superuser):
    names = [f"m{number:03}" for number in range(200)]
    write(ann, FIRST, names)
    waits = [in_child(no_hurry)[1] for _ in range(2)]
    assert [wait() for wait in waits] == [0, 0]
    assert sink.subjects() == names
    states = superuser.execute(text("SELECT DISTINCT state, attempts, repeated FROM delivery")).all()
    assert states == [("sent", 1, False)]
    assert left(superuser) == []


# --- killed at every step ------------------------------------------------------------------------------------------------


def die(*_args, **_named):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point, after=0):
    """What a child does to itself to die at its own side of a step, the second time it comes there."""

    def prepare():
        import workers.sending
        from webmail.sending.relay import Relay

        came = [0]

        def then(call):
            def instead(*args, **named):
                came[0] += 1
                if came[0] > after:
                    die()
                return call(*args, **named)

            return instead

        if point == "relay.send":
            Relay.send = then(Relay.send)
        elif point == "handed, not committed":
            leaving.hand_over = then(leaving.hand_over)
        elif point == "handed, committed":
            send = Connection.send
            dot = then(send)
            Connection.send = lambda self, data, *rest: (dot if data == b".\r\n" else send)(self, data, *rest)
        elif point == "answered, not committed":
            leaving.note_sent = then(leaving.note_sent)
        elif point == "committed":
            workers.sending.log.info = then(workers.sending.log.info)

    return prepare


ONCE, TWICE = 1, 2


@pytest.mark.parametrize(
    ("point", "copies", "flagged"),
    [
        ("relay.send", ONCE, False),
        ("handed, not committed", ONCE, False),
        ("handed, committed", ONCE, True),
        ("answered, not committed", TWICE, True),
        ("committed", ONCE, False),
    ],
)
def test_killed_at_its_own_step(
    in_child, sending, sink, ann, write, rows, due, superuser, point, copies, flagged
):
    _, (first, second, third) = write(ann, f"{FIRST}, {SECOND}", ["a", "b", "c"])
    order_work(superuser, first, second, third)
    _, wait = in_child(kill_at(point, after=1))
    assert wait() == signal.SIGKILL
    after_the_kill(sending, sink, rows, due, superuser, (first, second, third), copies, flagged)


@pytest.mark.parametrize(
    ("event", "copies", "flagged"),
    [
        ("connect", ONCE, False),
        ("MAIL", ONCE, False),
        ("RCPT", ONCE, False),
        ("DATA", ONCE, False),
        ("DOT", TWICE, True),
    ],
)
def test_killed_while_the_peer_waits(
    in_child, sending, sink, ann, write, rows, due, superuser, event, copies, flagged
):
    _, ids = write(ann, f"{FIRST}, {SECOND}", ["a", "b", "c"])
    order_work(superuser, *ids)
    child, dead = [], threading.Event()

    def kill():
        started.wait(5)
        os.kill(child[0], signal.SIGKILL)
        dead.set()

    def second_time():
        sink.hooks[event] = kill

    started = threading.Event()
    sink.hooks[event] = kill if event == "connect" else second_time
    pid, wait = in_child()
    child.append(pid)
    started.set()
    assert wait() == signal.SIGKILL
    assert dead.wait(5)
    struck = 0 if event in ("connect", "RCPT") else 1
    after_the_kill(sending, sink, rows, due, superuser, ids, copies, flagged, struck)


def order_work(superuser, *submissions):
    for number, submission in enumerate(submissions):
        superuser.execute(
            text("UPDATE work SET due_at = now() - make_interval(secs => :age) WHERE item_id = :id"),
            {"age": 100 - number, "id": submission},
        )


def after_the_kill(sending, sink, rows, due, superuser, ids, copies, flagged, struck=1):
    """Others go on at once; when the lease has ended, the struck message arrives too, and nothing is left."""
    names = ["a", "b", "c"]
    sending.drain()
    assert set(sink.subjects()) >= set(names) - {names[struck]}
    due()
    sending.drain()
    want = sorted([*names, *[names[struck]] * (copies - 1)])
    assert sink.subjects() == want
    struck_mails = [mail for mail in sink.mails if f"\r\nSubject: {names[struck]}\r\n".encode() in mail.raw]
    assert len(set(struck_mails)) == 1, "the same bytes to the same recipients"
    for number, submission in enumerate(ids):
        found = rows(submission)
        assert {row.state for row in found.values()} == {"sent"}
        assert {row.repeated for row in found.values()} == {flagged and number == struck}
    assert left(superuser) == []


KILLS = int(os.environ.get("MTUMAIL_KILLS", "12"))
AT_OUR_SIDE = (
    "relay.send",
    "handed, not committed",
    "handed, committed",
    "answered, not committed",
    "committed",
)
AT_THE_PEER = ("connect", "MAIL", "RCPT", "DATA", "DOT")


def in_child_killed_by_the_peer(in_child, sink, event, passing):
    """Start a child that the peer kills at an event, having let `passing` of them pass."""
    child, started, events = [], threading.Event(), itertools.count()

    def strike():
        if next(events) < passing:
            sink.hooks[event] = strike
            return
        started.wait(5)
        os.kill(child[0], signal.SIGKILL)

    sink.hooks[event] = strike
    pid, wait = in_child()
    child.append(pid)
    started.set()
    return wait


def test_killed_again_and_again(in_child, sending, sink, ann, write, rows, due, superuser, monkeypatch):
    """Nothing is lost, and who got a message twice is flagged. MTUMAIL_KILLS=200 for the long run."""
    chance, kills, names = random.Random(4), Counter(), {}
    points = itertools.cycle([*AT_OUR_SIDE, *AT_THE_PEER])
    jobs_run = 0
    while kills.total() < KILLS:
        fresh = [f"m{len(names) + number:04}" for number in range(3)]
        names |= zip(write(ann, f"{FIRST}, {SECOND}", fresh)[1], fresh, strict=True)
        point, after = next(points), chance.randrange(3)
        if point in AT_OUR_SIDE:
            _, wait = in_child(kill_at(point, after))
        else:
            wait = in_child_killed_by_the_peer(in_child, sink, point, 0 if point == "connect" else after)
        jobs_run += 1
        assert jobs_run < 3 * KILLS + 10
        kills[point] += wait() == signal.SIGKILL
        sink.hooks.clear()
        due()
    monkeypatch.setattr(sending, "TURN_SECONDS", 120)
    sending.drain()
    due()
    assert sending.drain() == 0
    copies = Counter(sink.subjects())
    assert set(copies) == set(names.values()), "nothing is lost"
    states = superuser.execute(
        text("SELECT submission_id, bool_or(repeated), bool_and(state = 'sent') FROM delivery GROUP BY 1")
    ).all()
    assert all(sent for _, _, sent in states)
    twice = {name for name, count in copies.items() if count > 1}
    flagged = {names[submission] for submission, repeated, _ in states if repeated}
    assert twice <= flagged, "only flagged ones repeat"
    assert len(flagged) <= kills.total() * sending.LANES
    assert len(set(sink.mails)) == len(names), "the same bytes to the same recipients"
    assert left(superuser) == []
    repeats, flagged = len(sink.mails) - len(names), len(flagged)
    told = f"{kills.total()} kills, {len(names)} messages, {len(sink.mails)} at the peer: {repeats} repeats, {flagged} flagged"
    print(told, dict(kills))  # noqa: T201
