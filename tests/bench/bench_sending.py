"""How fast the outbox empties: 1,000 queued messages through the worker, beside what the same peer takes without us.

    .venv/bin/python tests/bench/bench_sending.py                       # our strict sink, which keeps what it takes
    .venv/bin/python tests/bench/bench_sending.py --peer null           # smtp-sink, which keeps nothing
    .venv/bin/python tests/bench/bench_sending.py --delay 20            # a peer whose network is 20 ms away, there and back
    .venv/bin/python tests/bench/bench_sending.py --count 200 --profile

The peer is our strict sink, which answers 250 once a message is on the disk, as every relay must (RFC 5321, section 6.1); or
Postfix's `smtp-sink`, which throws all away. What it takes on one connection is measured by Postfix's `smtp-source`, with messages
of the same length. Postgres runs as durable as in production: every commit waits for the disk. With `--delay` a forwarder stands between us
and the peer, and every octet takes half of that time each way; `smtp-source` goes the same way. No test: nothing is asserted but
that each message left once.
"""

import argparse
import asyncio
import base64
import contextlib
import cProfile
import logging
import os
import pstats
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from webmail import create_core, provision
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.embedded.postgres import PostgresServer
from webmail.identity import accounts
from webmail.keys import MasterKeys, open_mailbox
from webmail.mail import mailboxes
from webmail.mail.mailboxes import WorkerJob
from webmail.sending import drafts, submitting
from webmail.settings import domains

DOMAIN = "bench.test"
PEOPLE = 10


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("the peer did not start")


@contextmanager
def peer(kind: str, folder: Path) -> Iterator[int]:
    """A relay on loopback; its port. `kind` is strict or null."""
    port = _free_port()
    if kind == "null":
        arguments = ["smtp-sink", "-m", "50", *(["-u", "nobody"] if os.geteuid() == 0 else [])]
        arguments += [f"inet:127.0.0.1:{port}", "50"]
    else:
        arguments = [sys.executable, "-m", "webmail.embedded.relay", "--listen", f"127.0.0.1:{port}"]
        arguments += ["--data-dir", str(folder / "sink")]
    running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        running.terminate()
        running.wait(5)


@contextmanager
def distance(port: int, milliseconds: float) -> Iterator[int]:
    """A way to `port` on which every octet takes half of `milliseconds` in each direction; its own port."""
    if not milliseconds:
        yield port
        return
    own = _free_port()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            asyncio.run(_forward(own, port, milliseconds / 2000))
        os._exit(0)
    try:
        _wait_for(own)
        yield own
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)


async def _forward(own: int, port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            loop.call_later(seconds, writer.write, piece)
        loop.call_later(seconds, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(pump(reader, far), pump(near, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", own) as server:
        await server.serve_forever()


def alone(port: int, count: int, octets: int) -> float:
    """Messages a second that the peer takes from `smtp-source` on one connection."""
    command = ["smtp-source", "-d", "-s", "1", "-m", str(count), "-l", str(octets), "-f", f"ann@{DOMAIN}"]
    begun = time.perf_counter()
    subprocess.run([*command, "-t", "carla@example.org", f"inet:127.0.0.1:{port}"], check=True)
    return count / (time.perf_counter() - begun)


@contextmanager
def outbox(folder: Path, relay_url: str) -> Iterator[tuple[Flask, Flask, str]]:
    """An empty database: the core as owner and as worker, and the superuser's address."""
    server = PostgresServer(folder / "postgres")
    server.start()
    try:
        urls = provision.provision(server.admin_url, dict.fromkeys(provision.ROLES, "for-benches-only"))
        provision.migrate(urls["owner"])
        environment = {
            "MTUMAIL_ENV": "test",
            "MTUMAIL_ORIGIN": "http://mail.localhost:8000",
            "MTUMAIL_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
            "MTUMAIL_DATA_DIR": str(folder),
            "MTUMAIL_RELAY_URL": relay_url,
        }
        made = [
            create_core(Settings.from_environment(environment | {"DATABASE_URL": urls[role]}), "bench")
            for role in ("owner", "worker")
        ]
        yield made[0], made[1], server.admin_url.replace("/postgres?", "/mtumail?")
        for app in made:
            with app.app_context():
                db.engine.dispose()
    finally:
        server.stop()


def fill(app: Flask, count: int, body: str) -> int:
    """Queue `count` messages of PEOPLE people, in turns; the octets of one on the wire."""
    master: MasterKeys = app.extensions["master_keys"]
    writers = []
    with app.app_context():
        for number in range(PEOPLE):
            with transaction():
                domains.host(DOMAIN)
                account = accounts.meet(f"user_bench{number:08}", f"Ann {number}", "a@elsewhere.example")
            mailbox_id = mailboxes.new_mailbox_id()
            with transaction(mailbox_id):
                mailboxes.create(
                    master, account_id=account, name=f"Ann {number}", local_part=f"ann{number}", domain=DOMAIN,
                    quota_bytes=10**9, actor="system:bench",
                )  # fmt: skip
            writers.append((mailbox_id, account, (f"Ann {number}", f"ann{number}@{DOMAIN}")))
        for number in range(count):
            mailbox_id, account, author = writers[number % PEOPLE]
            with transaction(mailbox_id):
                keys = open_mailbox(master, mailbox_id, WorkerJob("send", mailbox_id))
                fields = drafts.Fields(to="carla@example.org", subject=f"Message {number}", body=body)
                draft = drafts.create(keys, author, fields)
                submitting.submit(
                    keys, draft.message_id, draft.revision, account_id=account, author=author, limit=10**7
                )
        with transaction(writers[0][0]):
            return int(db.session.execute(text("SELECT max(size_bytes) FROM message")).scalar_one())


def drain(app: Flask, profile: bool) -> tuple[int, float]:
    """Run the worker's job in children, as RQ does, until nothing is due; how many jobs that took, and their seconds of CPU."""
    import workers.context
    import workers.sending

    jobs, seconds = 0, 0.0
    while True:
        with app.app_context():
            with transaction():
                due = db.session.execute(text("SELECT count(*) FROM work WHERE kind = 'send'")).scalar()
            db.engine.dispose()
        if not due:
            return jobs, seconds
        pid = os.fork()
        if not pid:
            workers.context.core = workers.sending.core = lambda: app
            profiler = cProfile.Profile()
            if profile:
                profiler.enable()
            workers.sending.drain()
            if profile:
                profiler.disable()
                pstats.Stats(profiler, stream=sys.stdout).sort_stats("cumtime").print_stats(75)
                sys.stdout.flush()
            os._exit(0)
        _, status, used = os.wait4(pid, 0)
        if status:
            raise SystemExit("a job failed")
        jobs, seconds = jobs + 1, seconds + used.ru_utime + used.ru_stime


def check(url: str, count: int) -> None:
    """Each message was sent, once."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        query = "SELECT state, attempts, repeated, count(*) FROM delivery GROUP BY 1, 2, 3"
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    if found != [("sent", 1, False, count)]:
        raise SystemExit(f"not each message left once: {found}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--octets", type=int, default=3000, help="length of each text")
    parser.add_argument("--delay", type=float, default=0, help="milliseconds to the peer and back")
    parser.add_argument("--options", default="", help="of the relay's URL, for example max=1000")
    parser.add_argument("--profile", action="store_true", help="where the time of each job goes")
    parser.add_argument("--peer", choices=("strict", "null"), default="strict")
    told = parser.parse_args()
    logging.disable(logging.ERROR)
    if not shutil.which("smtp-source"):
        raise SystemExit("Postfix's smtp-sink and smtp-source are needed")
    folder = Path(tempfile.mkdtemp(prefix="bench-sending-"))
    body = ("A line of the length that lines of letters have, more or less so.\n" * 1000)[: told.octets]
    try:
        with peer(told.peer, folder) as sink, distance(sink, told.delay) as port:
            url = f"smtp://127.0.0.1:{port}" + (f"?{told.options}" if told.options else "")
            with outbox(folder, url) as (owner, worker, admin_url):
                octets = fill(owner, told.count, body)
                before = alone(port, told.count, octets)
                begun = time.perf_counter()
                jobs, seconds = drain(worker, told.profile)
                took = time.perf_counter() - begun
                check(admin_url, told.count)
                after = alone(port, told.count, octets)
        best = max(before, after)
        _out(
            f"{told.count} messages of {octets} octets, {told.peer} peer {told.delay:g} ms away: it takes {best:.0f}/s on one connection, "
            f"ours {told.count / took:.0f}/s ({took:.1f} s, {jobs} jobs), {told.count / took / best:.0%}; "
            f"{1000 * seconds / told.count:.1f} ms of our CPU a message"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
