"""What tests share: one Postgres and one Valkey a run, an empty database a test, people with mailboxes, clients that are signed in."""

import base64
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from webmail import create_app, create_core, jobs, provision, schedules, work
from webmail.config import Settings
from webmail.db import db, new_id, transaction
from webmail.governance.access import asking, opening, reviewing
from webmail.governance.access.register import Parts
from webmail.identity import accounts, roles
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail import filing, mailboxes, receiving
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import OwnerSession, Recipient, WorkerJob
from webmail.settings import domains

# Processes that tests start share compiled modules, also where the surroundings forbid to write any: a start costs a third.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).resolve().parent.parent / ".venv" / "pycache")

ORIGIN = "http://mail.localhost:8000"
DOMAIN = "mtumail.test"
ROOT = Path(__file__).resolve().parent.parent
CORPORA = Path(os.environ.get("MTUMAIL_CORPORA") or ROOT.parent / "shared" / "corpora")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


LONG = ("test_an_hour_on_a_slow_link.py", "journeys", "corpora", "browser", "embedded", "backup")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for long comes first, so that at the end no process is left alone with it."""

    def rank(item: pytest.Item) -> int:
        return next((at for at, part in enumerate(LONG) if part in item.path.parts), len(LONG))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of test material that other people wrote; skips where it is absent."""
    if not CORPORA.is_dir():
        pytest.skip(f"no test material at {CORPORA}: set MTUMAIL_CORPORA")
    return CORPORA


@pytest.fixture(scope="session")
def html_vectors(corpora: Path) -> list[dict[str, str]]:
    """Every collected attack on HTML cleaners: its `id` and `html`."""
    with (corpora / "html-sanitizer" / "vectors.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A part that runs in this process sends its log to the stream of one test, which is closed in the next."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., object]]:
    """Start Debian's Chromium, with these arguments too; it ends with the file. Skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        pytest.skip(f"no browser at {path} (CHROMIUM)")
    running = []

    def start(*more: str) -> object:
        running.append(play.chromium.launch(executable_path=path, args=[*CHROMIUM_ARGUMENTS, *more]))
        return running[-1]

    with playwright.sync_playwright() as play:
        yield start
        for browser in running:
            browser.close()


@pytest.fixture(scope="session")
def self_signed() -> Callable[..., tuple[bytes, bytes]]:
    """Make a certificate that is its own authority, for a name and perhaps an address; (it, its key) as PEM."""

    def make(name: str, address: str = "") -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        names = [x509.DNSName(name), *([x509.IPAddress(ip_address(address))] if address else [])]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), secret

    return make


# --- servers -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Database:
    """A migrated database: addresses by role (owner, web, worker, inbound) and the superuser's."""

    urls: dict[str, str]
    admin_url: str
    server_url: str


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from webmail.embedded.postgres import PostgresServer

    # Tests keep nothing: a run may be as quick as a disk that is never waited for.
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from webmail.embedded.valkey import ValkeyServer

    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def database(postgres) -> Database:
    passwords = dict.fromkeys(provision.ROLES, "for-tests-only")
    urls = provision.provision(postgres.admin_url, passwords)
    provision.migrate(urls["owner"])
    return Database(urls, postgres.admin_url.replace("/postgres?", "/mtumail?"), postgres.admin_url)


@pytest.fixture(scope="session")
def superuser(database: Database):
    """A connection as superuser, each statement its own transaction: to look behind every wall."""
    engine = create_engine(database.admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def empty(superuser) -> None:
    """A database without a row. Triggers sleep meanwhile: the audit log would refuse."""
    tables = superuser.execute(
        text(
            "SELECT string_agg(format('DELETE FROM %I', tablename), ';') FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
    ).scalar_one()
    superuser.exec_driver_sql(
        f"SET session_replication_role = replica; {tables}; SET session_replication_role = origin"
    )
    # What runs by the clock runs in tests that let it strike.
    superuser.execute(
        text(
            "INSERT INTO schedule (code, next_at) SELECT unnest(CAST(:codes AS text[])), now() + interval '1 year'"
        ),
        {"codes": list(schedules.PERIODS)},
    )


# --- applications --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def clerk_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, clerk_key, valkey: str) -> dict[str, str]:
    """What a process reads, without the address of its database."""
    pem = clerk_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "MTUMAIL_ENV": "test",
        "MTUMAIL_ORIGIN": ORIGIN,
        "MTUMAIL_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
        "MTUMAIL_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "MTUMAIL_REGISTRATION": "open",
        "MTUMAIL_UNDO_SECONDS": "0",
        "MTUMAIL_SEND_HOUR": "0",
        "MTUMAIL_SEND_DAY": "0",
        "MTUMAIL_RELAY_URL": "smtp://127.0.0.1:2526",
        "REDIS_URL": valkey,
        "CLERK_PUBLISHABLE_KEY": "pk_test_" + base64.b64encode(b"clerk.localhost:8001$").decode(),
        "CLERK_SECRET_KEY": "sk_test_local_for_tests",
        "CLERK_WEBHOOK_SIGNING_SECRET": "whsec_" + base64.b64encode(b"webhooks of the tests").decode(),
        "CLERK_JWT_KEY": pem,
        "CLERK_API_URL": "http://127.0.0.1:9",
        "CLERK_FAPI_URL": "http://clerk.localhost:8001",
        "CLERK_SIGN_IN_URL": "http://clerk.localhost:8001/sign-in",
    }


@pytest.fixture(scope="session")
def settings(environment: dict[str, str], database: Database) -> Callable[[str], Settings]:
    return lambda role: Settings.from_environment(environment | {"DATABASE_URL": database.urls[role]})


class Browser(FlaskClient):
    """Asks as a browser at our origin that loads a page; a test's own headers win."""

    def open(self, *args, **kwargs):
        kwargs.setdefault("base_url", ORIGIN)
        return super().open(*args, **kwargs)


@pytest.fixture(scope="session")
def web_app(settings) -> Iterator[Flask]:
    app = create_app(settings("web"))
    app.test_client_class = Browser
    app.extensions["auth"].clerk.reach._ask = lambda: True  # nobody plays Clerk here
    app.config["TESTING"] = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def owner_app(settings) -> Iterator[Flask]:
    """The core as the owner of the tables: what seeding and migrations run as."""
    app = create_core(settings("owner"), "tests")
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def _worker_core(settings) -> Iterator[Flask]:
    app = create_core(settings("worker"), "worker")
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def worker(_worker_core: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Lets jobs run in this process, as the worker's role."""
    for module in (
        "workers.context",
        "workers.filing",
        "workers.intake",
        "workers.sending",
        "workers.scheduled",
        "workers.telling",
        "workers.owners",
        "workers.quarantining",
        "workers.errands",
        "workers.fetching",
        "workers.keeping",
        "workers.trials",
        "workers.alerting",
        "workers.domains",
    ):
        monkeypatch.setattr(f"{module}.core", lambda: _worker_core)
    return _worker_core


@pytest.fixture(scope="session")
def master(owner_app: Flask) -> MasterKeys:
    return owner_app.extensions["master_keys"]


# --- people --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Somebody:
    """A person with a mailbox."""

    user_id: str
    account_id: int
    mailbox_id: int
    address: str
    name: str


@pytest.fixture
def make_person(empty: None, owner_app: Flask, master: MasterKeys) -> Callable[..., Somebody]:
    def make(local: str, name: str = "", role: str | None = None) -> Somebody:
        user_id = f"user_{local}00000000"
        with owner_app.app_context():
            with transaction():
                domains.host(DOMAIN)
                account_id = accounts.meet(user_id, name or local.title(), f"{local}@elsewhere.example")
                if role:
                    roles.grant(account_id, role, by=None, reason="tests", actor="system:tests")
            mailbox_id = mailboxes.new_mailbox_id()
            with transaction(mailbox_id):
                mailboxes.create(
                    master, account_id=account_id, name=name or local.title(), local_part=local, domain=DOMAIN,
                    quota_bytes=10**9, actor="system:tests",
                )  # fmt: skip
        return Somebody(user_id, account_id, mailbox_id, f"{local}@{DOMAIN}", name or local.title())

    return make


@pytest.fixture
def ann(make_person) -> Somebody:
    return make_person("ann", "Ann Whitfield")


@pytest.fixture
def ben(make_person) -> Somebody:
    return make_person("ben", "Ben Okello")


@pytest.fixture
def token(clerk_key) -> Callable[..., str]:
    """Session tokens as Clerk signs them."""
    pem = clerk_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(user_id: str, session_id: str = "", **claims: object) -> str:
        now = int(time.time())
        told = {
            "sub": user_id, "sid": session_id or user_id.replace("user_", "sess_"), "azp": ORIGIN, "v": 2, "sts": "active",
            "iss": "https://clerk.localhost:8001", "iat": now - 5, "nbf": now - 15, "exp": now + 55, "fva": [0, -1],
        }  # fmt: skip
        return jwt.encode(told | claims, pem, "RS256", {"kid": "ins_local", "cat": "cl_B7d4PD111AAA"})

    return sign


@pytest.fixture
def browser_of(web_app: Flask, token) -> Callable[[Somebody], FlaskClient]:
    """A client that is signed in as somebody."""

    def sign_in(person: Somebody) -> FlaskClient:
        client = web_app.test_client()
        client.environ_base |= {"HTTP_ACCEPT": "text/html"}
        for name, value in (
            ("__session", token(person.user_id)),
            ("__client_uat", str(int(time.time()) - 60)),
            ("__clerk_db_jwt", "dvb_x"),
        ):
            client.set_cookie(name, value, domain="mail.localhost")
        return client

    return sign_in


@pytest.fixture
def stranger(web_app: Flask) -> FlaskClient:
    """A client that is not signed in."""
    client = web_app.test_client()
    client.environ_base |= {"HTTP_ACCEPT": "text/html"}
    client.set_cookie("__clerk_db_jwt", "dvb_x", domain="mail.localhost")
    return client


# --- mail ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def receive(owner_app: Flask, settings) -> Iterator[Callable[..., int]]:
    """Take a message in as inbound does, without filing it; the message's id."""
    app = create_core(settings("inbound"), "inbound")

    def take(person: Somebody, raw: bytes, sender: str = "someone@example.org") -> int:
        with app.app_context(), transaction():
            recipient = mailboxes.resolve(parse_spec(person.address))
            assert isinstance(recipient, Recipient)
            return receiving.receive(receiving.Envelope(sender, [recipient]), raw)[0]

    yield take
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def deliver(receive, worker: Flask, master: MasterKeys) -> Callable[..., int]:
    """Take a message in and file it; the message's id."""

    def take(person: Somebody, raw: bytes, sender: str = "someone@example.org") -> int:
        message_id = receive(person, raw, sender)
        with worker.app_context():
            with transaction():
                [claim] = work.claim(work.FILE, 1, timedelta(seconds=30))
            with transaction(person.mailbox_id):
                keys = open_mailbox(master, person.mailbox_id, WorkerJob("file", person.mailbox_id))
                filing.file(keys, claim.item_id)
                work.finish(claim)
        return message_id

    return take


@pytest.fixture
def opened(web_app: Flask, master: MasterKeys) -> Callable[..., object]:
    """Run a function with somebody's opened mailbox, as the web role."""

    def run(person: Somebody, call: Callable[[MailboxKeys], object]) -> object:
        with web_app.app_context(), transaction(person.mailbox_id):
            return call(open_mailbox(master, person.mailbox_id, OwnerSession(person.account_id)))

    return run


@pytest.fixture
def letter() -> Callable[..., bytes]:
    """A small message with the given headers and text, as it comes over the wire."""

    def write(
        subject: str = "Hello",
        text_: str = "How are you?\r\n",
        sender: str = "Zoë Ñandú <zoe@example.org>",
        **headers: str,
    ) -> bytes:
        lines = {
            "From": sender,
            "To": f"ann@{DOMAIN}",
            "Subject": subject,
            "Message-ID": f"<{os.urandom(6).hex()}@example.org>",
        }
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{head}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text_}".encode()

    return write


@pytest.fixture(autouse=True)
def _quiet_bell(valkey: str) -> None:
    """No test's ring is heard in the next."""
    jobs.bell.connect(valkey)
    jobs.bell.redis.flushall()


@pytest.fixture
def csrf() -> Callable[[FlaskClient], str]:
    """A form token for a signed-in client."""

    def ask(client: FlaskClient) -> str:
        page = client.get("/settings").text
        return page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]

    return ask


# --- access to mail ------------------------------------------------------------------------------------------------------


class Desk:
    """What the staff does about somebody's mail, below the web: cases, requests, decisions, openings, reviews."""

    def __init__(self, app: Flask, master: MasterKeys, superuser) -> None:
        self.app, self.master, self.superuser = app, master, superuser

    @contextmanager
    def staff(self) -> Iterator[object]:
        """A transaction of the staff's pages."""
        with self.app.app_context(), transaction(staff=True) as session:
            yield session

    def case(self, kind: str = "phishing") -> int:
        """A case of this kind; its id."""
        case_id = new_id()
        row = {"case": case_id, "kind": kind}
        insert = (
            "INSERT INTO case_file (case_id, kind, due_at) VALUES (:case, :kind, now() + interval '1 day')"
        )
        self.superuser.execute(text(insert), row)
        return case_id

    def ask(self, who: Somebody, owner: Somebody, messages, *, reason="abuse", case=None, **more):
        """Ask for a grant: `messages` are ids, or ids with names of parts; (its id, the refusal)."""
        if not isinstance(messages, dict):
            messages = {one: {"headers", "text", "attachments"} for one in messages}
        named = {one: Parts.named(set(parts)) for one, parts in messages.items()}
        fitting = {"abuse": "phishing", "service": "service"}.get(reason, reason)
        fields = {"words": "I have to see whether this is what was reported.", "minutes": 15}
        fields |= {"kind": "phishing"} if reason == "abuse" else {}
        if reason == "legal":
            today = datetime.now(UTC).date()
            fields["order"] = asking.Order(
                "12 Js 34/26", "Court of Springfield", today, today + timedelta(days=9)
            )
        asked = asking.Request(
            owner.mailbox_id, case or self.case(fitting), reason, messages=named, **fields | more
        )
        with self.staff():
            return asking.request(self.master, asked, account_id=who.account_id)

    def decide(self, who: Somebody, owner: Somebody, grant: int, *, approved: bool = True) -> str:
        with self.staff():
            return asking.decide(
                self.master, owner.mailbox_id, grant, account_id=who.account_id, approved=approved
            )

    def granted(self, holder: Somebody, approver: Somebody, owner: Somebody, messages, **more) -> int:
        """A grant that opens."""
        grant, refusal = self.ask(holder, owner, messages, **more)
        assert refusal == ""
        assert self.decide(approver, owner, grant) == ""
        return grant

    def open(self, who: Somebody, grant: int, message: int, part: str = "text", file: int = 0):
        """Open a part as the web does: written down, committed. What is held, or the refusal."""
        with self.staff():
            return opening.ask(grant, message, part, account_id=who.account_id, file=file)

    def read(self, who: Somebody, grant: int, message: int, part: str = "text", file: int = 0) -> bytes | str:
        """The whole source, or the code of the refusal."""
        held = self.open(who, grant, message, part, file)
        return held.code if isinstance(held, opening.Refusal) else opening.source(self.master, held)

    def close(self, who: Somebody, grant: int) -> str:
        with self.staff():
            return asking.close(grant, account_id=who.account_id)

    def gag(self, who: Somebody, grant: int, what: str, again_at: datetime | None = None) -> str:
        with self.staff():
            return asking.decide_gag(grant, account_id=who.account_id, what=what, again_at=again_at)

    def review(
        self, who: Somebody, owner: Somebody, grant: int, verdict: str = "approve", words: str = ""
    ) -> str:
        with self.staff():
            if verdict == "flag":
                return reviewing.flag(
                    self.master, owner.mailbox_id, grant, account_id=who.account_id, words=words
                )
            values = {"account_id": who.account_id, "verdict": verdict, "words": words}
            return reviewing.judge(self.master, owner.mailbox_id, grant, **values)

    def later(self, grant: int, **columns: str) -> None:
        """Set columns of a grant behind every wall, as if time had gone by: SQL expressions."""
        told = ", ".join(f"{name} = {value}" for name, value in columns.items())
        self.superuser.exec_driver_sql("SET session_replication_role = replica")
        self.superuser.execute(
            text(f"UPDATE access_grant SET {told} WHERE grant_id = :grant"), {"grant": grant}
        )
        self.superuser.exec_driver_sql("SET session_replication_role = origin")

    def age(self, grant: int, period: str) -> None:
        """Make a grant older by `period`."""
        columns = ("requested_at", "decided_at", "opened_at", "expires_at", "review_due_at")
        self.later(grant, **{name: f"{name} - interval '{period}'" for name in columns})

    def events(self, kind: str) -> list[dict[str, object]]:
        """What the log says of a kind, in order: each entry."""
        rows = self.superuser.execute(
            text("SELECT entry FROM audit_event WHERE kind = :kind ORDER BY number"), {"kind": kind}
        )
        return [json.loads(entry) for entry in rows.scalars()]

    def acts(self, grant: int) -> list[tuple[object, ...]]:
        query = (
            "SELECT number, message_id, part, file FROM access_act WHERE grant_id = :grant ORDER BY number"
        )
        return [tuple(row) for row in self.superuser.execute(text(query), {"grant": grant})]


@pytest.fixture
def desk(web_app: Flask, master: MasterKeys, superuser) -> Desk:
    return Desk(web_app, master, superuser)


@pytest.fixture
def sam(make_person) -> Somebody:
    return make_person("sam", "Sam Lindgren", "support")


@pytest.fixture
def sue(make_person) -> Somebody:
    return make_person("sue", "Sue Marchetti", "support_lead")


@pytest.fixture
def rex(make_person) -> Somebody:
    return make_person("rex", "Rex Abara", "reviewer")


@pytest.fixture
def ada(make_person) -> Somebody:
    return make_person("ada", "Ada Novak", "admin")
