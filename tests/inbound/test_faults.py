"""Ports that fail: 451 in time, never 250 without a commit, never a word of why."""

import json
import logging
import threading
import time
from dataclasses import replace

import pytest

from inbound.authentication import limits
from inbound.ports import Refusal
from webmail.logs import JsonLines

BODY = b"Subject: cassowary\r\n\r\nbody cassowary\r\n"


def failing(*_):
    raise RuntimeError("password=hunter2 cassowary")


@pytest.fixture
def hang():
    """A port that hangs until the test is over."""
    over = threading.Event()
    yield lambda *_: over.wait(30)
    over.set()


def test_a_failing_resolver_is_451_and_no_recipient_error(serve, memory):
    server = serve(recipient_errors=1)
    resolve, memory.resolve = memory.resolve, failing
    client = server.client()
    client.say("EHLO p", "MAIL FROM:<b@p.test>")
    for _ in range(3):
        assert client.say("RCPT TO:<ann@mtumail.test>") == "451 4.3.0 Temporary trouble; try again later"
    memory.resolve = resolve
    assert client.say("RCPT TO:<ann@mtumail.test>").startswith("250")


def test_a_hanging_resolver_is_451_in_time_and_does_not_stop_others(serve, memory, hang):
    server = serve(port_deadline=0.3)
    resolve, memory.resolve = memory.resolve, hang
    client, other = server.client(), server.client()
    client.say("EHLO p", "MAIL FROM:<b@p.test>")
    began = time.monotonic()
    client.send(b"RCPT TO:<ann@mtumail.test>\r\n")
    assert other.say("NOOP").startswith("250")
    assert client.read().startswith("451 4.3.0")
    assert time.monotonic() - began < 2
    memory.resolve = resolve
    assert other.mail(BODY).startswith("250")


def test_a_failing_receiver_is_451(server, client, memory):
    receive, memory.receive = memory.receive, failing
    assert client.mail(BODY) == "451 4.3.0 Temporary trouble; try again later"
    assert memory.nudged == []
    memory.receive = receive
    assert client.mail(BODY).startswith("250")
    assert server.server.bytes_in_flight == 0


def test_the_default_deadline_is_under_ten_seconds(server):
    assert server.server.limits.port_deadline < 10


def test_a_hanging_receiver_is_451_and_its_bytes_are_counted_while_it_hangs(serve, memory, wait_until):
    over = threading.Event()
    memory.receive = lambda delivery: over.wait(30)
    server = serve(port_deadline=0.3)
    client = server.client()
    assert client.mail(BODY).startswith("451 4.3.0")
    assert server.server.bytes_in_flight > 0
    over.set()
    wait_until(lambda: server.server.bytes_in_flight == 0)


def test_with_every_thread_hung_the_answer_is_still_451_in_time(serve, memory, wait_until):
    over = threading.Event()
    receive, memory.receive = memory.receive, lambda delivery: over.wait(30)
    server = serve(port_deadline=0.3, threads=2)
    for _ in range(4):
        assert server.client().mail(BODY).startswith("451")
    over.set()
    memory.receive = receive
    wait_until(lambda: server.server.bytes_in_flight == 0)
    assert server.client().mail(BODY).startswith("250")
    assert len(server.deliveries) == 1


def test_messages_that_wait_for_name_servers_hold_up_no_other(serve, memory, wait_until):
    over, waiting = threading.Event(), []

    def judge(delivery):
        if delivery.envelope_from == "slow@peer.test":
            waiting.append(delivery.id)
            over.wait(30)
        return delivery

    memory.authenticate = judge
    server = serve(threads=2)
    slow = [server.client() for _ in range(limits.WAITING)]
    for client in slow:
        client.start(sender="slow@peer.test")
        client.send(BODY + b".\r\n")
    wait_until(lambda: len(waiting) == limits.WAITING)
    assert server.client().mail(BODY).startswith("250")
    over.set()
    assert all(client.read().startswith("250") for client in slow)


def test_only_so_many_commit_at_once(serve, memory):
    """Each takes a database connection, however many messages have been judged."""
    lock, now, most = threading.Lock(), [], []
    receive = memory.receive

    def slow(delivery):
        with lock:
            now.append(delivery.id)
            most.append(len(now))
        time.sleep(0.05)
        receive(delivery)
        with lock:
            now.remove(delivery.id)

    memory.receive = slow
    server = serve(threads=2)
    clients = [server.client() for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.send(BODY + b".\r\n")
    assert all(client.read().startswith("250") for client in clients)
    assert max(most) == 2


def test_a_slow_commit_outlives_a_peer_that_hangs_up(serve, memory, wait_until):
    started, over = threading.Event(), threading.Event()
    receive = memory.receive

    def slow(delivery):
        started.set()
        over.wait(10)
        receive(delivery)

    memory.receive = slow
    server = serve()
    client = server.client()
    client.start()
    client.send(BODY + b".\r\n")
    assert started.wait(5)
    client.close()
    time.sleep(0.1)
    over.set()
    wait_until(lambda: server.deliveries and memory.nudged and server.server.bytes_in_flight == 0)


def test_a_failing_nudge_is_still_250(client, memory):
    memory.nudge = failing
    assert client.mail(BODY).startswith("250")
    assert client.mail(BODY).startswith("250")


def test_authentication_may_add_refuse_or_fail(serve, memory):
    verdicts = {
        "add": lambda delivery: replace(delivery, raw=b"X-Verdict: pass\r\n" + delivery.raw),
        "refuse": lambda delivery: Refusal.UNAUTHENTICATED,
        "fail": failing,
    }
    chosen = []
    memory.authenticate = lambda delivery: verdicts[chosen[-1]](delivery)
    server = serve()
    client = server.client()
    chosen.append("add")
    assert client.mail(BODY).startswith("250")
    assert server.deliveries[0].raw.startswith(b"X-Verdict: pass\r\nReturn-Path:")
    chosen.append("refuse")
    assert client.mail(BODY).startswith("550 5.7.26")
    chosen.append("fail")
    assert client.mail(BODY).startswith("451")
    assert len(server.deliveries) == 1


def test_the_log_holds_ids_and_names_alone(serve, memory, caplog):
    caplog.set_level(logging.DEBUG)
    server = serve(bad_commands=2)
    client = server.client()
    client.mail(BODY)
    client.say(
        "RSET", "MAIL FROM:<secret.sender@p.test>", "RCPT TO:<secret.nobody@mtumail.test>", "secret-word"
    )
    memory.receive = failing
    client.say("RSET")
    client.mail(BODY, sender="secret.sender@p.test")
    client.say("QUIT")
    server.stop()
    lines = [JsonLines().format(record) for record in caplog.records if record.name != "asyncio"]
    text = "\n".join(lines)
    for word in ("secret", "cassowary", "hunter2", "bob", "ann@", "peer.test", "127.0.0.1", "mtumail.test"):
        assert word not in text, word
    events = [json.loads(line) for line in lines]
    assert {"accepted", "refused", "receive failed", "session"} <= {one["event"] for one in events}
    accepted = next(one for one in events if one["event"] == "accepted")
    assert accepted["delivery"] == server.deliveries[0].id
    assert {one.get("reply") for one in events} >= {"unknown", "unknown_command", "trouble"}


def test_records_of_other_loggers_lose_their_text():
    record = logging.LogRecord(
        "asyncio", logging.ERROR, "base_events.py", 7, "peer said %s", ("secret",), None
    )
    assert "secret" not in JsonLines().format(record)
