"""The workers' health page: what it asks of the children, the clock, Postgres and Redis, and as the process serves it."""

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text

from workers import context, filing, health

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def boards():
    children, sweep = health.Board(("filing", "clock")), health.Board(("sweep",))
    for name in ("filing", "clock"):
        children.mark(name)
    sweep.mark("sweep")
    return children, sweep


def test_it_is_ready_while_nothing_is_missing(boards, valkey):
    with contextlib.closing(Redis.from_url(valkey)) as redis:
        assert health.missing(*boards, redis) == ""


def test_a_child_that_is_away_is_named(boards, valkey):
    children, _ = boards
    children.clear("filing")
    with contextlib.closing(Redis.from_url(valkey)) as redis:
        assert health.missing(*boards, redis) == "filing"
        children.mark("filing")
        assert health.missing(*boards, redis) == ""


def test_a_clock_that_cannot_look_into_the_database_is_told(boards, valkey, monkeypatch):
    with contextlib.closing(Redis.from_url(valkey)) as redis:
        monkeypatch.setattr(health, "STALE", -1.0)
        assert health.missing(*boards, redis) == "database"
        assert health.missing(boards[0], health.Board(("sweep",)), redis) == "database"


def test_redis_that_is_away_is_told(boards):
    with contextlib.closing(Redis(port=1, socket_connect_timeout=1)) as redis:
        assert health.missing(*boards, redis) == "redis"


def test_a_mark_is_seen_by_a_process_that_was_forked_before(boards):
    _, sweep = boards
    sweep.clear("sweep")
    pid = os.fork()
    if not pid:
        sweep.mark("sweep")
        os._exit(0)
    os.waitpid(pid, 0)
    assert 0 <= sweep.age("sweep") < 5


@pytest.fixture
def manager(tmp_path):
    """Where a service manager listens; what it was told last."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.settimeout(30)
        yield ear


@pytest.fixture
def page(manager, environment, database, sink, empty, tmp_path):
    """A whole worker with its page; asks it for a path."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {
        "DATABASE_URL": database.urls["worker"],
        "MTUMAIL_RELAY_URL": sink.url,
        "MTUMAIL_WORKER_HEALTH_LISTEN": f"127.0.0.1:{port}",
        "NOTIFY_SOCKET": str(tmp_path / "ear"),
    }
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "workers"], env=os.environ | environment | told, stderr=log, cwd=ROOT
        )

    def ask(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    ask.process, ask.log = child, tmp_path / "log"
    yield ask
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _until(ask, path, wanted, seconds=30):
    end = time.monotonic() + seconds
    while (answer := ask(path)) != wanted:
        assert time.monotonic() < end, (answer, ask.log.read_text()[-2000:])
        time.sleep(0.05)


def test_the_process_says_that_it_is_ready_serves_its_page_and_takes_it_along(page, manager):
    assert manager.recv(100) == b"READY=1"
    _until(page, "/readyz", (200, "ready\n"))
    assert page("/healthz") == (200, "alive\n")
    assert page("/") == (404, "not found\n")
    page.process.send_signal(signal.SIGTERM)
    assert page.process.wait(15) == 0
    assert page("/healthz") == (0, "")
    events = [json.loads(line)["event"] for line in page.log.read_text().splitlines() if line[:1] == "{"]
    assert "ready" in events
    assert "child ended" not in events


def test_a_worker_that_is_to_end_claims_nothing_more_wherever_it_was_forked_to(
    worker, receive, ann, letter, superuser, monkeypatch
):
    """A queue that never empties must not hold up the end: the job ends after the message that it is about."""
    monkeypatch.setattr(context, "_closing", mmap.mmap(-1, 1))
    for number in range(3):
        receive(ann, letter(f"No. {number}"))
    pid = os.fork()
    if not pid:
        context.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert context.is_closing()
    assert filing.drain() == 0
    waiting = text("SELECT count(*) FROM work WHERE kind = 'file' AND lease IS NULL AND attempts = 0")
    assert superuser.execute(waiting).scalar_one() == 3
    context._closing[0] = 0
    assert filing.drain() == 3
