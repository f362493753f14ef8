"""What a page costs the server: CPU of the web process and of its Postgres backend, per request, on a mailbox of 1,000 messages.

    .venv/bin/python tests/bench/bench_pages.py                      # every page, twelve rounds of 25 requests
    .venv/bin/python tests/bench/bench_pages.py --only list --profile
    .venv/bin/python tests/bench/bench_pages.py --data /tmp/bench    # keeps the filled database for the next run

CPU time and not wall time, so that other work on the machine matters little: the web part is `time.thread_time` around one call
of the WSGI application (everything but the HTTP server), the Postgres part is the run time of the connection's backend as the
kernel counts it. A neighbour on the same core makes every instruction slower, so a fixed piece of work is timed with each round, and
the round's figure is scaled to the quickest that piece has ever been. Shown is the median of the rounds, in milliseconds.
No test: nothing here is asserted, and pytest does not collect it. Budgets stand beside the figures.
"""

import argparse
import base64
import cProfile
import io
import json
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask
from sqlalchemy import event, text, update
from werkzeug.test import EnvironBuilder

from webmail import create_app, create_core, jail, provision
from webmail.config import Settings
from webmail.db import db, show_id, transaction
from webmail.embedded.postgres import PostgresServer
from webmail.identity import accounts
from webmail.keys import open_mailbox
from webmail.mail import filing, mailboxes, receiving
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import Recipient, WorkerJob
from webmail.mail.models import Message
from webmail.settings import domains

ORIGIN = "http://mail.localhost:8000"
DOMAIN, LOCAL, USER = "bench.test", "ann", "user_bench00000000"
MESSAGES = 1000
BUDGETS = {"list": 3.0, "open": 4.0, "first": 150.0}
"""Milliseconds, Postgres included; the rest has none of its own. `first` is the first opening: parsed, cleaned, sealed, shown."""

_NAMES = (
    "Ann Whitfield",
    "Ben Okello",
    "Zoë Ñandú",
    "Grace Mwangi",
    "王小明",
    "Lars Öberg",
    "Priya Raman",
    "José Álvarez",
    "Tom",
)
_SUBJECTS = (
    "Rota for next week", "Minutes of the meeting on Tuesday", "Re: Keys to the store room", "Invoice 2291 for the projector",
    "Your train tickets", "A question about the second draft, and two about the first", "Lunch?", "Photos from the field station",
)  # fmt: skip
_TEXT = (
    "Dear Ann,\r\n\r\nthank you for the plan. I went through it with Ben and we would move the visit to Thursday, since the boat does"
    " not run on Wednesdays in winter.\r\nThe rest stands as it is: https://example.org/plan?id={number} has the current list.\r\n\r\n"
    "> Could you look at this before Friday?\r\n> It would help with the booking.\r\n\r\nBest wishes\r\n{name}\r\n"
)


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")


# --- a filled mailbox ----------------------------------------------------------------------------------------------------


def letter(number: int) -> bytes:
    """One of the thousand: every third opens a conversation that the two after it answer."""
    name, subject = _NAMES[number % len(_NAMES)], _SUBJECTS[number // 3 % len(_SUBJECTS)]
    head = [
        f"From: {name} <{name.split()[0].encode('ascii', 'ignore').decode().lower() or 'wang'}@example.org>",
        f"To: {LOCAL}@{DOMAIN}, ben@example.org",
        f"Subject: {subject}",
        f"Message-ID: <{number}@example.org>",
        f"Date: Mon, 02 Mar 2026 10:{number % 60:02}:00 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
    ]
    if number % 3:
        head.append(f"In-Reply-To: <{number - number % 3}@example.org>")
    return ("\r\n".join(head) + "\r\n\r\n" + _TEXT.format(number=number, name=name)).encode()


def newsletter() -> bytes:
    """About 50 kB of HTML with tracking addresses and remote pictures."""
    block = (
        '<tr><td style="padding:8px;font-family:Arial;color:#333"><img src="https://img.example.org/{n}.png" width="120" alt="">'
        '<a href="https://click.example.org/t/{n}/{token}">Story number {n}</a><p style="margin:0 0 12px">A sentence about story'
        " {n} that says enough to make somebody read on, and one more that says a little more.</p></td></tr>"
    )
    rows = "".join(block.format(n=n, token=f"{n:04x}" * 60) for n in range(120))
    html = f"<html><body><table width=600>{rows}</table></body></html>"
    head = f"From: News <news@example.org>\r\nTo: {LOCAL}@{DOMAIN}\r\nSubject: All the news\r\nMessage-ID: <news@example.org>\r\n"
    return (
        head + "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html + "\r\n"
    ).encode()


@dataclass(frozen=True)
class Ids:
    plain: int
    newsletter: int


def fill(app: Flask) -> Ids:
    """The mailbox and its mail, by the verbs that real mail goes through. What is there stays."""
    with app.app_context():
        with transaction():
            domains.host(DOMAIN)
            account_id = accounts.meet(USER, "Ann Whitfield", "ann@elsewhere.example")
            known = db.session.execute(
                text("SELECT mailbox_id FROM mailbox_member WHERE account_id = :a"), {"a": account_id}
            ).scalar()
        mailbox_id = known or mailboxes.new_mailbox_id()
        with transaction(mailbox_id):
            if not known:
                mailboxes.create(
                    app.extensions["master_keys"], account_id=account_id, name="Ann Whitfield", local_part=LOCAL,
                    domain=DOMAIN, quota_bytes=10**10, actor="system:bench",
                )  # fmt: skip
                _deliver(app, mailbox_id)
            rows = db.session.execute(
                text(
                    "SELECT message_id, size_bytes FROM message WHERE mailbox_id = :m ORDER BY received_at DESC LIMIT 40"
                ),
                {"m": mailbox_id},
            ).all()
    big = next(row.message_id for row in rows if row.size_bytes > 30_000)
    alone = next(row.message_id for row in rows if row.size_bytes < 30_000)
    return Ids(alone, big)


def _deliver(app: Flask, mailbox_id: int) -> None:
    keys = open_mailbox(app.extensions["master_keys"], mailbox_id, WorkerJob("file", mailbox_id))
    recipient = mailboxes.resolve(parse_spec(f"{LOCAL}@{DOMAIN}"))
    if not isinstance(recipient, Recipient):
        raise RuntimeError(f"the new mailbox takes no mail: {recipient}")
    now = datetime.now(UTC)
    for number in range(MESSAGES):
        raw = newsletter() if number == MESSAGES - 20 else letter(number)
        [message_id] = receiving.receive(receiving.Envelope("someone@example.org", [recipient]), raw)
        filing.file(keys, message_id)
        values = {
            "received_at": now - timedelta(minutes=37 * (MESSAGES - number)),
            "unread": number % 7 == 0,
            "starred": number % 11 == 0,
        }
        statement = update(Message).where(Message.mailbox_id == mailbox_id, Message.message_id == message_id)
        db.session.execute(statement.values(**values).execution_options(synchronize_session=False))
    db.session.execute(text("DELETE FROM work WHERE mailbox_id = :m"), {"m": mailbox_id})


# --- asking --------------------------------------------------------------------------------------------------------------


@dataclass
class Person:
    """Whoever is signed in: cookies as a browser sends them, with a token that is renewed each minute, as Clerk does."""

    key: rsa.RSAPrivateKey
    _made: float = field(default=0.0, init=False)
    _cookie: str = field(default="", init=False)

    def cookie(self) -> str:
        now = time.time()
        if now - self._made > 40:
            told = {
                "sub": USER, "sid": USER.replace("user_", "sess_"), "azp": ORIGIN, "v": 2, "sts": "active", "fva": [0, -1],
                "iss": "https://clerk.localhost:8001", "iat": int(now) - 5, "nbf": int(now) - 15, "exp": int(now) + 55,
            }  # fmt: skip
            pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            token = jwt.encode(told, pem, "RS256", {"kid": "ins_local", "cat": "cl_B7d4PD111AAA"})
            self._cookie = f"__session={token}; __client_uat={int(now) - 60}; __clerk_db_jwt=dvb_x"
            self._made = now
        return self._cookie


@dataclass(frozen=True)
class Step:
    """One page that is asked for again and again."""

    name: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    budget: float | None = None


_FRAGMENT = (("HX-Request", "true"),)


def steps(ids: Ids, etag: Callable[[str], str]) -> Iterator[Step]:
    plain, news = (f"/mail/inbox/{show_id(number)}" for number in (ids.plain, ids.newsletter))
    yield Step("list", "/mail/inbox", budget=BUDGETS["list"])
    yield Step("list fragment", "/mail/inbox", _FRAGMENT, budget=BUDGETS["list"])
    yield Step("list 304", "/mail/inbox", (("If-None-Match", etag("/mail/inbox")),), 304)
    yield Step("open plain", plain, budget=BUDGETS["open"])
    yield Step("open plain fragment", plain, _FRAGMENT, budget=BUDGETS["open"])
    yield Step("open newsletter", news, budget=BUDGETS["open"])
    yield Step("open newsletter fragment", news, _FRAGMENT, budget=BUDGETS["open"])
    yield Step("compose", "/compose")
    yield Step("search", "/search?q=projector")


@dataclass(frozen=True)
class Asker:
    app: Flask
    person: Person
    encoding: str = "gzip, deflate, br, zstd"

    def environ(self, step: Step) -> dict[str, Any]:
        headers = {
            "Accept": "text/html", "Accept-Encoding": self.encoding, "Accept-Language": "en-GB,en;q=0.9", "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "same-origin", "Cookie": self.person.cookie(), "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
        } | dict(step.headers)  # fmt: skip
        if "HX-Request" in headers:
            del headers["Sec-Fetch-Dest"]
        return EnvironBuilder(path=step.path, base_url=ORIGIN, headers=headers).get_environ()

    def ask(self, environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        told: list[Any] = []

        def start(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], object]:
            told.append((int(status[:3]), {name.lower(): value for name, value in headers}))
            return io.BytesIO().write

        answer = self.app.wsgi_app(environ, start)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        return (*told[0], body)

    def etag(self, path: str) -> str:
        return self.ask(self.environ(Step("", path)))[1]["etag"]


def backend_seconds(pid: int) -> float:
    """CPU seconds of a process, from the scheduler's own count in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


_QUICKEST = [1e9]


def yardstick() -> float:
    """Seconds that a fixed piece of work took just now, of the kind that pages are: dicts, strings, calls."""
    told = {str(number): [number, str(number) * 3] for number in range(300)}
    began = time.thread_time()
    for _ in range(12):
        "".join(
            f"<td>{name}</td>{value[1].replace('1', '&')}"
            for name, value in json.loads(json.dumps(told)).items()
        )
    spent = time.thread_time() - began
    _QUICKEST[0] = min(_QUICKEST[0], spent)
    return spent


@dataclass(frozen=True)
class Cost:
    web: float
    postgres: float
    size: int


def measure(asker: Asker, step: Step, pids: Callable[[], list[int]], rounds: int, count: int) -> Cost:
    """Milliseconds a request. The first requests of a page fill caches and are not counted."""
    for _ in range(20):
        status, _headers, body = asker.ask(asker.environ(step))
        if status != step.status:
            raise RuntimeError(f"{step.name}: {status} instead of {step.status}")
    web, postgres, slowness = [], [], []
    for _ in range(rounds):
        environs = [asker.environ(step) for _ in range(count)]
        watched = pids()
        before = sum(map(backend_seconds, watched))
        spent, slow = 0.0, yardstick()
        for environ in environs:
            began = time.thread_time()
            asker.ask(environ)
            spent += time.thread_time() - began
        web.append(spent / count * 1000)
        postgres.append((sum(map(backend_seconds, watched)) - before) / count * 1000)
        slowness.append((slow + yardstick()) / 2)
    web, postgres = (
        [value * _QUICKEST[0] / slow for value, slow in zip(values, slowness, strict=True)]
        for values in (web, postgres)
    )
    return Cost(statistics.median(web), statistics.median(postgres), len(body))


def jail_seconds() -> float:
    """CPU seconds of the jail's warm process and of its children that ended, as the kernel counts them: in hundredths."""
    pid = jail._line.pid
    if pid is None:
        return 0.0
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")


def first_openings(
    asker: Asker, step: Step, message_id: int, pids: Callable[[], list[int]], count: int
) -> Cost:
    """Milliseconds of opening a message of which nothing is kept; the jail's work is counted with the web process's."""
    with asker.app.app_context(), transaction():
        mailbox_id = db.session.execute(text("SELECT min(mailbox_id) FROM mailbox_member")).scalar()
    web, postgres, slowness, jailed = 0.0, 0.0, 0.0, 0.0
    for number in range(count + 3):
        if number == 3:  # the first ones warm the jail
            web = postgres = slowness = 0.0
            jailed = jail_seconds()
        with asker.app.app_context(), transaction(mailbox_id):
            db.session.execute(
                text("UPDATE message_view SET version = 0 WHERE message_id = :m"), {"m": message_id}
            )
        environ, watched = asker.environ(step), pids()
        before, slow = sum(map(backend_seconds, watched)), yardstick()
        began = time.thread_time()
        status, _headers, body = asker.ask(environ)
        web += time.thread_time() - began
        if status != step.status:
            raise RuntimeError(f"{step.name}: {status} instead of {step.status}")
        postgres += sum(map(backend_seconds, watched)) - before
        slowness += (slow + yardstick()) / 2
    scale = _QUICKEST[0] * count / slowness * 1000 / count
    return Cost((web + jail_seconds() - jailed) * scale, postgres * scale, len(body))


def profile(asker: Asker, step: Step, count: int) -> None:
    for _ in range(20):
        asker.ask(asker.environ(step))
    environs = [asker.environ(step) for _ in range(count)]
    machine = cProfile.Profile()
    machine.enable()
    for environ in environs:
        asker.ask(environ)
    machine.disable()
    for order in ("tottime", "cumulative"):
        out = io.StringIO()
        pstats.Stats(machine, stream=out).sort_stats(order).print_stats(60)
        _out(out.getvalue().replace(str(Path(sys.prefix)), ""))


# --- the whole run -------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[tuple[Flask, Person, Ids]]:
    """A web application on a Postgres of its own, with the filled mailbox."""
    server = PostgresServer(folder / "postgres", settings={"fsync": "off"})
    server.start()
    try:
        passwords = dict.fromkeys(provision.ROLES, "for-benches-only")
        urls = provision.provision(server.admin_url, passwords)
        provision.migrate(urls["owner"])
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        environment = {
            "MTUMAIL_ENV": "test",
            "MTUMAIL_ORIGIN": ORIGIN,
            "MTUMAIL_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
            "MTUMAIL_DATA_DIR": str(folder / "data"),
            "MTUMAIL_RELAY_URL": "smtp://127.0.0.1:2526",
            "CLERK_PUBLISHABLE_KEY": "pk_test_" + base64.b64encode(b"clerk.localhost:8001$").decode(),
            "CLERK_SECRET_KEY": "sk_test_local_for_benches",
            "CLERK_JWT_KEY": pem,
            "CLERK_API_URL": "http://127.0.0.1:9",
            "CLERK_FAPI_URL": "http://clerk.localhost:8001",
            "CLERK_SIGN_IN_URL": "http://clerk.localhost:8001/sign-in",
        }
        owner = create_core(Settings.from_environment(environment | {"DATABASE_URL": urls["owner"]}), "bench")
        ids = fill(owner)
        with owner.app_context():
            with db.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
            db.engine.dispose()
        app = create_app(Settings.from_environment(environment | {"DATABASE_URL": urls["web"]}))
        yield app, Person(key), ids
        with app.app_context():
            db.engine.dispose()
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of the filled database, kept for the next run")
    parser.add_argument("--only", default="", help="steps whose name begins so")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--count", type=int, default=25, help="requests a round")
    parser.add_argument(
        "--encoding", default="gzip, deflate, br, zstd", help="what the browser says it reads"
    )
    parser.add_argument(
        "--profile", action="store_true", help="where the time goes, instead of how much it is"
    )
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, served(told.data or Path(scratch)) as (app, person, ids):
        asker, pids = Asker(app, person, told.encoding), []
        with app.app_context():
            event.listen(db.engine, "connect", lambda raw, _record: pids.append(raw.info.backend_pid))
        chosen = [step for step in steps(ids, asker.etag) if step.name.startswith(told.only)]
        if told.profile:
            for step in chosen[:1]:
                profile(asker, step, told.count)
            return
        _out(f"{'ms of CPU a request':26}{'web':>7}{'Postgres':>10}{'total':>8}{'budget':>8}{'bytes':>8}")
        for _ in range(100):
            yardstick()
        for step in chosen:
            cost = measure(asker, step, lambda: pids, told.rounds, told.count)
            budget = f"{step.budget:.1f}" if step.budget else ""
            total = cost.web + cost.postgres
            _out(f"{step.name:26}{cost.web:7.2f}{cost.postgres:10.2f}{total:8.2f}{budget:>8}{cost.size:8}")
        if "open newsletter, first".startswith(told.only):
            step = Step("open newsletter, first", f"/mail/inbox/{show_id(ids.newsletter)}")
            cost = first_openings(asker, step, ids.newsletter, lambda: pids, told.count)
            total = cost.web + cost.postgres
            _out(
                f"{step.name:26}{cost.web:7.2f}{cost.postgres:10.2f}{total:8.2f}{BUDGETS['first']:8.1f}{cost.size:8}"
            )


if __name__ == "__main__":
    main()
