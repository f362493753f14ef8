"""The end of a server: who is answered what, and what is finished first."""

import threading
import time

import pytest

BODY = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def stopping(wait_until):
    """Begin to stop a server in the background; the thread."""
    threads = []

    def begin(server):
        thread = threading.Thread(target=server.stop)
        thread.start()
        threads.append(thread)
        wait_until(lambda: not server.server.ready)
        return thread

    yield begin
    for thread in threads:
        thread.join(20)


def test_waiting_sessions_hear_421_at_once_and_nobody_new_comes_in(server, stopping):
    clients = [server.client() for _ in range(3)]
    clients[1].say("EHLO p", "MAIL FROM:<b@p.test>")
    began = time.monotonic()
    thread = stopping(server)
    assert [one.read()[:9] for one in clients] == ["421 4.3.2"] * 3
    assert [one.read() for one in clients] == [""] * 3
    thread.join(5)
    assert time.monotonic() - began < 1.8, "an open session keeps a stop waiting for 2 s"
    with pytest.raises(OSError):
        server.client()
    assert server.stopped is True


def test_content_under_way_is_finished_and_answered(server, client, stopping):
    client.start()
    client.send(BODY)
    thread = stopping(server)
    time.sleep(0.2)
    client.send(b"late\r\n.\r\n")
    assert client.read().startswith("250")
    assert client.read().startswith("421 4.3.2")
    assert client.read() == ""
    thread.join(5)
    assert server.deliveries[0].raw.endswith(BODY + b"late\r\n")


def test_content_that_does_not_end_is_cut_with_421(serve, stopping):
    server = serve(shutdown=0.3)
    client = server.client()
    client.start()
    client.send(BODY)
    stopping(server)
    assert client.read().startswith("421 4.3.2")
    assert server.deliveries == []


def test_a_running_commit_is_waited_for(serve, memory, stopping):
    receive = memory.receive
    started = threading.Event()

    def slow(delivery):
        started.set()
        time.sleep(0.5)
        receive(delivery)

    memory.receive = slow
    server = serve(shutdown=0.1)
    client = server.client()
    client.start()
    client.send(BODY + b".\r\n")
    assert started.wait(5)
    stopping(server)
    assert client.read().startswith("250")
    assert client.read().startswith("421")
    assert len(server.deliveries) == 1


def test_a_hung_thread_is_told_of(serve, memory):
    over = threading.Event()
    memory.receive = lambda delivery: over.wait(20)
    server = serve(port_deadline=0.2, shutdown=0.1)
    assert server.client().mail(BODY).startswith("451")
    assert server.stop() is False
    over.set()
