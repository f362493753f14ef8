"""`python -m workers` as it runs: killed, flushed, stopped, and nothing lost by it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from webmail import jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def wait_for(condition, seconds=10.0):
    """What `condition` says once it is true; fails when it is not in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("not in time")


def parent_of(pid):
    with contextlib.suppress(OSError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
        return 0 if state == "Z" else int(parent)
    return 0


def children(pid):
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and parent_of(entry.name) == pid
    }


def is_jail(pid):
    """Whether this is where hostile bytes are read: a process of its own, which is no worker."""
    with contextlib.suppress(OSError):
        return b"jail/cell.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


WORKERS = 5  # filing, sending, fetching, keeping, and the clock


class Workers:
    """A running `python -m workers`."""

    def __init__(self, environment, log):
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers"], env=environment, stderr=file, stdout=file
            )
        wait_for(lambda: "ready" in self.events(), 30)
        wait_for(lambda: len(self.children()) == WORKERS)

    def events(self):
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["event"] for line in lines]

    def children(self):
        return {pid for pid in children(self.process.pid) if not is_jail(pid)}

    def horses(self):
        """Those that do one job each, for a child."""
        return set().union(*(children(pid) for pid in self.children()))

    def everyone(self):
        """The parent, its children and its jail, and the horses they run."""
        found, more = {self.process.pid}, children(self.process.pid)
        while more:
            found |= more
            more = set().union(*(children(pid) for pid in more))
        return found

    def end(self):
        """At once: how it stops in order is a test of its own."""
        for pid in self.everyone() if self.process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def workers(environment, database, sink, tmp_path, empty):
    told = os.environ | environment | {"DATABASE_URL": database.urls["worker"], "MTUMAIL_RELAY_URL": sink.url}
    running = Workers(told, tmp_path / "workers.log")
    yield running
    running.end()


@pytest.fixture
def filed(superuser):
    """How many messages came in and were filed."""
    query = text("SELECT count(*) FROM message WHERE direction = 'in' AND state = 'filed'")
    return lambda: superuser.execute(query).scalar_one()


def test_work_is_done_within_two_seconds_of_a_ring_and_soon_without(
    workers, receive, write, ann, letter, filed, sink, rows
):
    receive(ann, letter("rung"))
    jobs.ring(jobs.FILE)
    wait_for(lambda: filed() == 1, 2.0)
    receive(ann, letter("not rung"))
    wait_for(lambda: filed() == 2, 5.0)
    write(ann, "carla@example.org", ["Left alone"])
    wait_for(lambda: sink.subjects() == ["Left alone"])
    wait_for(lambda: {row.state for row in rows().values()} == {"sent"})


def test_every_child_that_is_killed_is_started_again(workers, receive, write, ann, letter, filed, sink):
    time.sleep(1.0)  # a child that lived for a second is started again at once
    before = workers.children()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(workers.children() - before) == WORKERS)
    receive(ann, letter())
    write(ann, "carla@example.org")
    wait_for(lambda: filed() == 1)
    wait_for(lambda: len(sink.mails) == 1)
    assert workers.events().count("child ended") == WORKERS


@pytest.fixture
def on_its_way(write, ann, sink):
    """A message whose relay takes three seconds for its answer to MAIL."""
    sink.hooks["MAIL"] = lambda: time.sleep(3)
    write(ann, "carla@example.org")
    jobs.ring(jobs.SEND)
    wait_for(lambda: any(command.startswith("MAIL") for command in sink.commands))


def test_no_child_outlives_its_parent(workers, on_its_way, sink):
    wait_for(lambda: len(workers.horses()) == 1)
    everyone = workers.everyone()
    jails = [pid for pid in everyone if is_jail(pid)]
    assert len(everyone) - len(jails) == 1 + WORKERS + 1, "the parent, its workers, and the horse that sends"
    assert jails
    workers.process.kill()
    workers.process.wait()
    wait_for(lambda: not any(parent_of(pid) for pid in everyone))


def test_a_horse_does_not_outlive_its_worker(workers, on_its_way, sink, due, rows):
    wait_for(lambda: len(workers.horses()) == 1)  # the one that sends; what else was rung for is done soon
    (horse,) = workers.horses()
    os.kill(parent_of(horse), signal.SIGKILL)
    wait_for(lambda: not parent_of(horse), 1.5)
    due()  # its lease is over
    wait_for(lambda: len(sink.mails) == 1)
    wait_for(lambda: {(row.state, row.repeated) for row in rows().values()} == {("sent", False)})


def test_two_hundred_are_filed_once_although_valkey_forgets(workers, receive, ann, letter, filed, superuser):
    for number in range(200):
        receive(ann, letter(f"n{number}"))
        if number % 20 == 0:
            jobs.ring(jobs.FILE)
        if number in (60, 120, 199):
            jobs.bell.redis.flushall()
    wait_for(lambda: filed() == 200, 30)
    assert superuser.execute(text("SELECT count(*) FROM message_view")).scalar() == 200
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 200
    wait_for(lambda: superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0)
    assert "filing failed" not in workers.events()
    receive(ann, letter("after"))
    jobs.ring(jobs.FILE)
    wait_for(lambda: filed() == 201, 5)


def test_sigterm_ends_it_in_order_and_lets_a_message_go(workers, write, ann, sink, rows):
    sink.hooks["RCPT"] = lambda: time.sleep(1)
    write(ann, "carla@example.org")
    jobs.ring(jobs.SEND)
    wait_for(lambda: any(command.startswith("RCPT") for command in sink.commands))
    everyone = workers.everyone()
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(20) == 0
    assert not any(parent_of(pid) for pid in everyone)
    assert {(row.state, row.repeated) for row in rows().values()} == {("sent", False)}
    assert "child failed" not in workers.events()


def test_settings_that_cannot_work_are_named(environment, database):
    told = (
        os.environ
        | environment
        | {"DATABASE_URL": database.urls["worker"], "MTUMAIL_RELAY_URL": "smtp://mail.example.org"}
    )
    done = subprocess.run(
        [sys.executable, "-m", "workers"], env=told, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert b"MTUMAIL_RELAY_URL: plain smtp:// is for this host" in done.stderr
    assert b"Traceback" not in done.stderr
