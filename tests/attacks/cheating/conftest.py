"""What those hold who cheat: a letter of Ann's full of words to look for, a grant on it, browsers, and raw SQL as any role."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import show_id, transaction
from webmail.governance.quarantine import acting as quarantining
from webmail.identity import stepup
from workers import filing

STAFF = "SET LOCAL ROLE mtumail_staff"


@pytest.fixture
def canary() -> str:
    """A word that stands in every part of Ann's letter, and nowhere else."""
    return "CANARY-7d1c"


@pytest.fixture
def message(deliver, ann, canary: str) -> int:
    """A letter to Ann that tells the canary in its headers, its text and its two files."""
    raw = f"""From: Eve <eve@evil.example>\r
To: ann@mtumail.test\r
Subject: {canary} of the headers\r
Message-ID: <cheat@evil.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="x"\r
\r
--x\r
Content-Type: text/html\r
\r
<p>{canary} of the text <a href="https://evil.example/take">here</a><img src="https://evil.example/p.gif" width=90 height=90></p>\r
<script>parent.stolen = 1</script>\r
--x\r
Content-Type: text/html\r
Content-Disposition: attachment; filename="{canary}.html"\r
\r
<script>alert("{canary} of the file")</script>\r
--x\r
Content-Type: image/svg+xml\r
Content-Disposition: attachment; filename="picture.svg"\r
\r
<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>\r
--x--\r
"""
    return deliver(ann, raw.encode())


@pytest.fixture
def grant(desk, sam, sue, ann, message: int) -> int:
    """Sam may open all of it, as Sue has approved."""
    return desk.granted(sam, sue, ann, [message])


@pytest.fixture
def requested(desk, sam, ann, message: int) -> int:
    """Sam has asked to open all of it; nobody has said anything."""
    number, refusal = desk.ask(sam, ann, [message])
    assert refusal == ""
    return number


@pytest.fixture
def path() -> Callable[..., str]:
    """The address that opens a part: its last piece is headers, text, attachments, layout or file."""
    return lambda grant, message, part: f"/staff/access/{show_id(grant)}/{show_id(message)}/{part}"


@pytest.fixture
def press(browser_of, csrf) -> Callable[..., object]:
    """Send a form of ours as somebody, with its token; `who` is a person or a client of his."""
    clients, tokens = {}, {}

    def send(who, where: str, headers=None, **data):
        client = who
        if not isinstance(who, FlaskClient):
            client = clients[who.account_id] = clients.get(who.account_id) or browser_of(who)
        if client not in tokens:
            tokens[client] = csrf(client)
        return client.post(where, data={"csrf_token": tokens[client]} | data, headers=headers or {})

    return send


@pytest.fixture
def session_of(browser_of, token) -> Callable[..., FlaskClient]:
    """A second browser of somebody's, signed in by another session."""

    def sign_in(person, session_id: str = "sess_anotherone") -> FlaskClient:
        client = browser_of(person)
        client.set_cookie("__session", token(person.user_id, session_id), domain="mail.localhost")
        client.set_cookie("__client_uat", str(int(time.time()) - 60), domain="mail.localhost")
        return client

    return sign_in


@pytest.fixture
def proved(web_app) -> Callable[..., None]:
    """Let somebody have proved just now who he is, for one act on one target, in his first browser."""

    def prove(person, act: str, target: object) -> None:
        values = {
            "account": person.account_id,
            "session": person.user_id.replace("user_", "sess_"),
            "act": act,
            "target": stepup.target_hash(act, target),
        }
        with web_app.app_context(), transaction() as session:
            session.execute(_PROVE, values)

    return prove


_PROVE = text("""
    INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method)
    VALUES (floor(random() * 1e12)::bigint, :account, :session, :act, :target, 'totp')""")


@pytest.fixture
def may_read(proved, sam, grant: int) -> int:
    """The grant, and Sam has proved that it is he: his pages open it."""
    proved(sam, "access.open", grant)
    return grant


@pytest.fixture
def whys(desk) -> Callable[[], list[str]]:
    """Why the log says that somebody was refused, in order."""
    return lambda: [one["facts"]["why"] for one in desk.events("access.denied")]


@pytest.fixture
def log_shows(browser_of, make_person) -> Callable[[str], bool]:
    """Whether an auditor finds a kind of event on the page of the log."""

    def look(kind: str) -> bool:
        auditor = make_person("otto", "Otto Auditor", "auditor")
        page = browser_of(auditor).get(f"/staff/log?kind={kind}")
        assert page.status_code == 200
        return 'href="/staff/log/' in page.text

    return look


# --- a letter that came to many ------------------------------------------------------------------------------------------


@pytest.fixture
def spread(receive, worker, letter, ann, ben) -> dict[str, int]:
    """The same letter at Ann's and at Ben's, filed by the worker; message ids by address."""
    body = "Your account will be closed tonight unless you confirm your password at the address below.\r\n"
    found = {}
    for person in (ann, ben):
        raw = letter("CANARY-held", body, "Eve <eve@evil.example>", To=person.address)
        found[person.address] = receive(person, raw)
        filing.drain()
    return found


@pytest.fixture
def reported(press, superuser, ann, spread) -> tuple[int, int]:
    """Ann has reported hers; (case, item)."""
    told = press(ann, f"/report/{show_id(spread[ann.address])}", kind="phishing", words="It is not my bank.")
    assert told.status_code == 303
    return tuple(superuser.execute(text("SELECT case_id, item_id FROM case_item")).one())


@pytest.fixture
def hold(desk, master) -> Callable[..., tuple[int, str]]:
    """Hold what was reported, below the web; (the quarantine, the answer)."""

    def run(by, case_id: int, item_id: int) -> tuple[int, str]:
        until = datetime.now(UTC) + timedelta(days=9)
        asked = quarantining.Hold(case_id, item_id, "phishing", "It takes passwords from people.", until)
        with desk.staff():
            return quarantining.take(master, asked, by=by.account_id)

    return run


# --- raw SQL --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _lines(database) -> Iterator[dict[str, Connection]]:
    """One connection a role for all tests: each begins in a transaction of its own."""
    engines = {
        role: create_engine(url, poolclass=NullPool)
        for role, url in (
            database.urls | {"staff": database.urls["web"], "superuser": database.admin_url}
        ).items()
    }
    opened = {role: engine.connect() for role, engine in engines.items()}
    yield opened
    for role, engine in engines.items():
        opened[role].close()
        engine.dispose()


@pytest.fixture
def connect(_lines) -> Iterator[Callable[[str], Connection]]:
    """A connection as web, staff, worker, inbound, owner or superuser; what it did is undone at the end, unless it committed."""

    def become(role: str) -> Connection:
        _lines[role].rollback()
        if role == "staff":
            _lines[role].execute(text(STAFF))
        return _lines[role]

    yield become
    for connection in _lines.values():
        connection.rollback()


@pytest.fixture
def refused(connect) -> Callable[..., str]:
    """Run statements as a role, all but the last in vain: what the database says to that, in its own words."""

    def run(role: str, *statements: str) -> str:
        connection = connect(role)
        for statement in statements[:-1]:
            connection.exec_driver_sql(statement.replace("%", "%%"))
        with pytest.raises(DBAPIError) as caught:
            connection.exec_driver_sql(statements[-1].replace("%", "%%"))
        connection.rollback()
        return str(caught.value.orig).partition("\n")[0]

    return run


@pytest.fixture
def behind(superuser) -> Callable[..., None]:
    """Do what only a superuser can: the triggers and the foreign keys asleep."""

    def run(*statements: str) -> None:
        body = "; ".join(statements).replace("%", "%%")
        superuser.exec_driver_sql(
            f"SET session_replication_role = replica; {body}; SET session_replication_role = origin"
        )

    return run


# --- the log --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(empty, owner_app) -> int:
    """A log of six events about Ann's mailboxes; how many they are."""
    from webmail import audit

    with owner_app.app_context(), transaction():
        for number in range(1, 7):
            audit.record("mailbox.created", "system:tests", mailbox=number)
    return 6


@pytest.fixture
def signed(worker, master) -> Callable[[], str]:
    """Sign the log as the worker does; the note, as the second place keeps it."""
    from webmail import audit

    def make() -> str:
        with worker.app_context(), transaction() as session:
            audit.make_checkpoint(master, "mail.test/audit")
            return audit.stored_checkpoints(session)[-1]

    return make


@pytest.fixture
def faults(connect, owner_app) -> Callable[..., list[str]]:
    """What `mtumail audit verify` finds wrong, with the checkpoints of the database and those of the second place."""
    from sqlalchemy.orm import Session

    from webmail import audit

    def verify(*kept: str, verifier=None) -> list[str]:
        owner = connect("owner")
        with Session(owner) as session:
            notes = [*audit.stored_checkpoints(session), *kept]
            found = audit.examine(session, notes=notes, verifier=verifier).faults
        owner.rollback()
        return [str(one) for one in found]

    return verify


@pytest.fixture
def rehash(behind) -> Callable[[], None]:
    """Make every hash anew from the entries, as somebody would who can write to the database and knows the rules."""
    return lambda: behind(
        r"UPDATE audit_event SET leaf = sha256('\x00'::bytea || convert_to(entry, 'UTF8')) WHERE entry IS NOT NULL",
        r"""DO $$ DECLARE one record; previous bytea := decode(repeat('00', 32), 'hex'); BEGIN
            FOR one IN SELECT number, leaf FROM audit_event ORDER BY number LOOP
                previous := sha256('\x01'::bytea || previous || one.leaf);
                UPDATE audit_event SET chain = previous, nodes = audit_subtrees(one.number, one.leaf) WHERE number = one.number;
            END LOOP; END $$""",
    )
