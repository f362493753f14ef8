"""Two of each process on one database, replaced while people read and write and mail comes in: nobody is refused, nothing is lost.

The test is the service manager (it holds the sockets, as docs/systemd does) and the proxy (it asks the next web app, and never asks
twice: a request that fails, fails the test).
"""

import contextlib
import http.client
import itertools
import os
import selectors
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MANAGER = """
import os, sys
if sys.argv[1] != "-":
    os.dup2(int(sys.argv[1]), 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "webmail.cli", sys.argv[2]])
"""
ROUNDS = int(os.environ.get("MTUMAIL_ROLLING", "1"))
"""How often each process is replaced: more for an evening's run."""
START, STOP = 90, 40
"""Seconds, of a machine that has other things to do; all of it takes half a minute on an idle one with two cores."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


class Unit:
    """A process as a service manager keeps it: its socket outlives it."""

    def __init__(self, kind, environment, folder, *, listens=True):
        self.kind, self.log = kind, folder / f"{kind}-{id(self)}.log"
        self.held = socket.create_server(("127.0.0.1", 0), backlog=512) if listens else None
        self.port = self.held.getsockname()[1] if self.held else 0
        self.health = self.port if kind == "web" else free_port()
        names = {"inbound": "MTUMAIL_SMTP_HEALTH_LISTEN", "worker": "MTUMAIL_WORKER_HEALTH_LISTEN"}
        self.environment = dict(environment)
        if kind in names:
            self.environment[names[kind]] = f"127.0.0.1:{self.health}"
        self.process = None

    def start(self):
        number = str(self.held.fileno()) if self.held else "-"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MANAGER, number, self.kind],
                env=self.environment, cwd=ROOT, stderr=log, stdout=log, stdin=subprocess.DEVNULL,
                pass_fds=[self.held.fileno()] if self.held else [],
            )  # fmt: skip

    def await_ready(self):
        end = time.monotonic() + START
        while not ready(self.health):
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        return self.process.wait(STOP)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.held:
            self.held.close()


class Proxy:
    """Hands each connection to the next web app, as bytes; asks once, and mends nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.turns = iter(())
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._pass_on, args=(client, next(self.turns)), daemon=True).start()

    def _pass_on(self, client, port):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 150) as web:
            other = {client: web, web: client}
            with selectors.DefaultSelector() as selector:
                for one in other:
                    selector.register(one, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select(150):
                        block = key.fileobj.recv(65536)
                        if not block:
                            return
                        other[key.fileobj].sendall(block)


class Crowd:
    """Threads that go on until the end; what they saw."""

    def __init__(self):
        self.over = threading.Event()
        self.threads, self.failed = [], []
        self.times = []
        self.sent, self.taken = [], []

    def begin(self, act, pause):
        def run():
            for number in itertools.count():
                if self.over.is_set():
                    return
                began = time.monotonic()
                try:
                    act(number)
                except Exception as error:
                    self.failed.append(f"{act.__name__}: {error!r}"[:300])
                    self.over.set()
                self.times.append(time.monotonic() - began)
                self.over.wait(pause)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join(160)
            assert not thread.is_alive()


@pytest.fixture
def told(environment, database, tmp_path):
    """The environment of a process of a kind; the origin is the proxy's."""
    proxy, relay = Proxy(), free_port()
    path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def of(kind):
        return path | environment | {
            "DATABASE_URL": database.urls[kind],
            "MTUMAIL_ORIGIN": f"http://mail.localhost:{proxy.port}",
            "MTUMAIL_RELAY_URL": f"smtp://127.0.0.1:{relay}",
            "MTUMAIL_HOSTNAME": "mx.mtumail.test",
            "MTUMAIL_AUTHENTICATE": "no",
            "MTUMAIL_WEB_PROCESSES": "1",
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    of.proxy, of.relay = proxy, relay
    yield of
    proxy.listener.close()


@pytest.fixture
def units(told, tmp_path, empty):
    """Two of each, and the relay that mail leaves through."""
    command = [sys.executable, "-m", "webmail.embedded.relay", "--data-dir", str(tmp_path)]
    with (tmp_path / "relay.log").open("wb") as log:
        relay = subprocess.Popen([*command, "--listen", f"127.0.0.1:{told.relay}"], stderr=log, cwd=ROOT)
    made = [
        Unit(kind, told(kind), tmp_path, listens=kind != "worker")
        for _ in range(2)
        for kind in ("web", "inbound", "worker")
    ]
    yield made
    for one in made:
        one.end()
    relay.terminate()
    relay.wait(10)


class Patient(http.client.HTTPConnection):
    """Waits as long as a browser does: how long a start takes is up to the machine."""

    def __init__(self, host, port=None, **more):
        super().__init__(host, port, **more | ({"timeout": 150} if port else {}))


@pytest.fixture
def ann_reads(told, new_client, token, ann, monkeypatch):
    """Ann's browser, whose session outlasts the test."""
    monkeypatch.setattr(http.client, "HTTPConnection", Patient)
    origin = f"http://mail.localhost:{told.proxy.port}"
    now = int(time.time())
    cookies = {
        "__session": token(ann.user_id, azp=origin, exp=now + 900),
        "__client_uat": str(now - 60),
        "__clerk_db_jwt": "dvb_x",
    }

    def browser():
        client = new_client(clerk=None, origin=origin, clerk_url="")
        client.jar = {(name, "mail.localhost", False): value for name, value in cookies.items()}
        return client

    return browser


def reading(crowd, client):
    def read(_number):
        page = client.get("/")
        assert (page.status, "Inbox" in page.text) == (200, True)

    crowd.begin(read, 0.05)


def writing(crowd, client, batch):
    def write(number):
        page = client.get("/compose")
        assert page.status == 200
        subject = f"out {batch} {number:04d}"
        values = {"to": "friend@outside.example", "subject": subject, "body": "It goes on.\n"}
        page = client.press(page, page.form(id="compose"), "Send", **values)
        assert page.status == 200
        crowd.sent.append(subject)

    crowd.begin(write, 0.2)


def mailing(crowd, ports, batch):
    """As an MTA: what was not taken is tried again, at the next exchanger."""
    turns = itertools.cycle(ports)

    def mail(number):
        subject = f"in {batch} {number:04d}"
        raw = (
            f"From: Friend <friend@outside.example>\r\nTo: ann@mtumail.test\r\nSubject: {subject}\r\n"
            f"Message-ID: <{batch}.{number}@outside.example>\r\n\r\nNumber {number}.\r\n"
        ).encode()
        said, is_taken = "", False
        for _attempt in range(40):
            try:
                with smtplib.SMTP("127.0.0.1", next(turns), timeout=150) as server:
                    server.sendmail("friend@outside.example", ["ann@mtumail.test"], raw)
                    is_taken = True
            except (OSError, smtplib.SMTPException) as error:
                said = repr(error)
            # What was taken is taken, also where QUIT is answered by 421 or by nobody.
            if is_taken:
                crowd.taken.append(subject)
                return
            time.sleep(0.2)
        raise AssertionError(f"never taken: {said}")

    crowd.begin(mail, 0.1)


@contextlib.contextmanager
def widened(superuser):
    """As the first half of an upgrade does to tables in use: columns that the running code does not know."""
    tables = ("message", "account", "mailbox", "submission", "delivery", "work")
    superuser.exec_driver_sql("SET lock_timeout = '5s'")
    try:
        for table in tables:
            superuser.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN a_new_one integer NOT NULL DEFAULT 7")
        yield
    finally:
        for table in tables:
            superuser.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN IF EXISTS a_new_one")
        superuser.exec_driver_sql("SET lock_timeout = 0")


def test_a_rolling_restart_and_an_upgrade_of_tables_under_load_lose_nothing(
    units, told, ann_reads, superuser, eventually, tmp_path
):
    webs, inbounds = ([one for one in units if one.kind == kind] for kind in ("web", "inbound"))
    told.proxy.turns = itertools.cycle([one.port for one in webs])
    for one in units:
        one.start()
    for one in units:
        one.await_ready()
    crowd = Crowd()
    reading(crowd, ann_reads())
    writing(crowd, ann_reads(), "a")
    mailing(crowd, [one.port for one in inbounds], "a")
    mailing(crowd, [one.port for one in reversed(inbounds)], "b")
    eventually(lambda: crowd.failed or (len(crowd.sent) > 1 and len(crowd.taken) > 5), 60, "there is traffic")
    with widened(superuser):
        for one in units * ROUNDS:
            assert one.stop() == 0, crowd.failed
            one.start()
            one.await_ready()
        time.sleep(1)
    crowd.finish()
    assert crowd.failed == [], crowd.failed
    waiting = text("SELECT count(*) FROM work WHERE kind IN ('file', 'send')")
    eventually(lambda: superuser.execute(waiting).scalar_one() == 0, 60, "all work is done")
    _all_of_it_once(crowd, superuser, tmp_path)
    slowest = max(crowd.times)
    print(  # noqa: T201
        f"\n{len(crowd.times)} acts, {len(crowd.sent)} sent, {len(crowd.taken)} taken in, the slowest {slowest:.1f} s"
    )


def _all_of_it_once(crowd, superuser, folder):
    states = text("SELECT state, count(*) FROM message WHERE direction = 'in' GROUP BY state")
    assert dict(superuser.execute(states).all()) == {"filed": len(crowd.taken)}
    left = Counter()
    for path in (folder / "relay").glob("*.eml"):
        lines = path.read_bytes().split(b"\r\n")
        left[next(one for one in lines if one.startswith(b"Subject: ")).decode()] += 1
    assert left == Counter(f"Subject: {subject}" for subject in crowd.sent)
