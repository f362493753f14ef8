"""How long a mailbox of 10,000 messages takes out and back in again, and that it is the same then.

    .venv/bin/python tests/bench/bench_export.py                   # 10,000 messages as mbox
    .venv/bin/python tests/bench/bench_export.py --count 2000 --form zip

Messages are made here, of up to 10 KB, in conversations of four. The mailbox is exported, brought into an
empty one, and both are compared: checksums by folder, flags, times, conversations. Memory is the highest that the process had.
"""

import argparse
import base64
import hashlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from webmail import create_core, provision
from webmail.config import Settings
from webmail.db import db, rows, transaction
from webmail.embedded.postgres import PostgresServer
from webmail.identity import accounts
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail import mailboxes, messages
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import WorkerJob
from webmail.privacy.export import asking, making, parts
from webmail.privacy.taking_in import asking as bringing
from webmail.privacy.taking_in import taking
from webmail.settings import domains

DOMAIN = "bench.test"
WORDS = [
    "mail",
    "list",
    "river",
    "stone",
    "answer",
    "meeting",
    "Monday",
    "budget",
    "garden",
    "letter",
    "window",
    "train",
    "report",
    "project",
    "summer",
    "bicycle",
]


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def service(folder: Path) -> Iterator[Flask]:
    """The core as the owner of the tables, on a Postgres of its own."""
    server = PostgresServer(folder)
    server.start()
    try:
        urls = provision.provision(server.admin_url, dict.fromkeys(provision.ROLES, "bench"))
        provision.migrate(urls["owner"])
        environment = {
            "MTUMAIL_ENV": "test",
            "MTUMAIL_ORIGIN": "http://mail.localhost:8000",
            "MTUMAIL_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
            "DATABASE_URL": urls["owner"],
        }
        app = create_core(Settings.from_environment(environment), "bench")
        with app.app_context():
            yield app
            db.engine.dispose()
    finally:
        server.stop()


def mailbox(master: MasterKeys, name: str) -> tuple[int, int]:
    """A new mailbox and its account."""
    with transaction():
        domains.host(DOMAIN)
        account_id = accounts.meet(f"user_{name}000", name, f"{name}@elsewhere.example")
    mailbox_id = mailboxes.new_mailbox_id()
    with transaction(mailbox_id):
        mailboxes.create(
            master, account_id=account_id, name=name, local_part=name, domain=DOMAIN, quota_bytes=10**11, actor="system:bench"
        )  # fmt: skip
    return mailbox_id, account_id


def letters(count: int) -> Iterator[bytes]:
    """The same messages each time."""
    chance = random.Random(7)
    for number in range(count):
        body = " ".join(chance.choices(WORDS, k=chance.randrange(50, 1500))).replace(
            "Monday ", "Monday\r\nFrom "
        )
        first = number - number % 4
        yield (
            f"From: Person {number % 97} <p{number % 97}@example.org>\r\nTo: ann@{DOMAIN}\r\nSubject: About {number}\r\n"
            f"Message-ID: <{number}@example.org>\r\nReferences: <{first}@example.org>\r\n"
            f"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n\r\n{body}\r\n"
        ).encode()


def mbox(count: int) -> Iterator[bytes]:
    """As another program would have written them."""
    for raw in letters(count):
        yield b"From a@b Mon Jan  5 10:00:00 2026\r\n" + raw.replace(b"\nFrom ", b"\n>From ") + b"\r\n"


class Mailbox:
    """A mailbox and how it is opened."""

    def __init__(self, master: MasterKeys, name: str) -> None:
        self.master = master
        self.mailbox_id, self.account_id = mailbox(master, name)

    @contextmanager
    def keys(self) -> Iterator[MailboxKeys]:
        with transaction(self.mailbox_id):
            yield open_mailbox(self.master, self.mailbox_id, WorkerJob("bench", self.mailbox_id))

    def bring(self, content: bytes) -> int:
        """Bring a file in; the number of messages taken."""
        with self.keys() as keys:
            number = bringing.begin(keys, self.account_id, "bench", len(content), Kind.INBOX)
            bringing.put(keys, number, 0, content)
            bringing.start(keys, number, ring=False)
        more = True
        while more:
            with self.keys() as keys:
                more = taking.step(keys, number)
        with self.keys() as keys:
            told = bringing.listed(keys, self.account_id)[0]
        if told.state != "done" or told.unreadable:
            raise SystemExit(f"not taken: {told}")
        return told.taken

    def export(self, form: str) -> dict[str, bytes]:
        """Everything, by name of the file."""
        with self.keys() as keys:
            number = asking.ask(keys, self.account_id, asking.Wish(form=form), ring=False)
        more = True
        while more:
            with self.keys() as keys:
                more = making.step(keys, number)
        with self.keys() as keys:
            of = asking.opened(keys, self.account_id, number)
            found = parts.listed(keys.mailbox_id, number)
            return {one.name: b"".join(parts.pieces(of, one.number)) for one in found}

    def state(self) -> tuple[list[tuple[str, ...]], list[list[str]]]:
        """Each message by checksum with folder, flags and time; and which of them belong together."""
        with self.keys() as keys:
            found = rows(_STATE, {"mailbox": self.mailbox_id})
            sums = {row[0]: hashlib.sha256(messages.source(keys, row[0])).hexdigest() for row in found}
        threads: dict[int, list[str]] = {}
        for row in found:
            threads.setdefault(row[1], []).append(sums[row[0]])
        return sorted((sums[row[0]], *map(str, row[2:])) for row in found), sorted(
            map(sorted, threads.values())
        )


_STATE = """
    SELECT message_id, thread_id, folder_id, received_at, unread, starred, answered, state, direction
      FROM message WHERE mailbox_id = %(mailbox)s"""
_SPREAD = """
    UPDATE message SET folder_id = (ARRAY[1, 2, 4, 5, 6])[1 + message_id %% 5], unread = message_id %% 2 = 0, starred = message_id %% 7 = 0,
           received_at = received_at - make_interval(days => (message_id %% 400)::integer) WHERE mailbox_id = %(mailbox)s RETURNING 1"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--form", choices=("mbox", "zip"), default="mbox")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder) / "postgres") as app:
        master: MasterKeys = app.extensions["master_keys"]
        ann, ben = Mailbox(master, "ann"), Mailbox(master, "ben")
        began = time.monotonic()
        content = b"".join(mbox(chosen.count))
        taken = ann.bring(content)
        _out(
            f"in, as another program wrote it: {taken} messages, {len(content) >> 20} MiB, {time.monotonic() - began:.1f} s"
        )
        with ann.keys():
            rows(_SPREAD, {"mailbox": ann.mailbox_id})
        began = time.monotonic()
        files = ann.export(chosen.form)
        size = sum(map(len, files.values()))
        _out(f"out: {len(files)} files, {size >> 20} MiB, {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        again = sum(ben.bring(one) for name, one in files.items() if name.endswith(f".{chosen.form}"))
        _out(f"in again: {again} messages, {time.monotonic() - began:.1f} s")
        mine, theirs = ann.state(), ben.state()
        _out(f"checksums, folders, flags, times: {'the same' if mine[0] == theirs[0] else 'DIFFERENT'}")
        _out(f"conversations: {len(mine[1])}, {'the same' if mine[1] == theirs[1] else 'DIFFERENT'}")
        _out(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB, files of it included")
        if mine != theirs or again != chosen.count:
            raise SystemExit("not the same")


if __name__ == "__main__":
    main()
