"""Letters that came to many, a case of who reported one, and holding it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.governance import reports
from webmail.governance.quarantine import acting, reading
from webmail.governance.quarantine.acting import Hold
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import OwnerSession
from workers import filing, quarantining

WHY = "It leads to a page that takes passwords."
BODY = "Your account will be closed tonight unless you confirm your password at the address below.\r\n"


@pytest.fixture
def bad(letter):
    """The same message as it comes to one of many: another Message-ID, another trace, other line ends."""

    def write(number: int = 0, body: str = BODY, **headers: str) -> bytes:
        trace = f"Received: from x by mx{number}.example; Mon, 23 Nov 2026 0{number % 10}:00:00 +0000\r\n".encode()
        return trace + letter("Urgent", body, "Eve <eve@evil.example>", **headers)

    return write


@pytest.fixture
def arrive(receive, worker):
    """Take a message in and let the worker file it; its id."""

    def take(person, raw: bytes) -> int:
        message_id = receive(person, raw)
        assert filing.drain() == 1
        return message_id

    return take


@pytest.fixture
def report(web_app, master, superuser):
    """Report a message as its owner; (the case, the item)."""

    def run(person, message_id: int) -> tuple[int, int]:
        with web_app.app_context(), transaction(person.mailbox_id):
            keys = open_mailbox(master, person.mailbox_id, OwnerSession(person.account_id))
            told = reports.report(keys, master, message_id, account_id=person.account_id, kind="phishing")
        query = text("SELECT case_id, item_id FROM case_item WHERE report_id = :r")
        return tuple(superuser.execute(query, {"r": told.report_id}).one())

    return run


@pytest.fixture
def hold(desk, master):
    """Hold what was reported; (the quarantine, the answer)."""

    def run(by, case_id: int, item_id: int, *, days: float = 30, rule: str = "phishing", words: str = WHY):
        until = datetime.now(UTC) + timedelta(days=days)
        with desk.staff():
            return acting.take(master, Hold(case_id, item_id, rule, words, until), by=by.account_id)

    return run


@pytest.fixture
def finish(worker):
    """Let the worker do what is left."""
    return quarantining.drain


@pytest.fixture
def counted(desk):
    def run(quarantine_id: int) -> tuple[int, int]:
        with desk.staff():
            return tuple(reading.counts(quarantine_id))

    return run


@pytest.fixture
def release(desk):
    def run(by, quarantine_id: int) -> str:
        with desk.staff():
            return acting.release(quarantine_id, by=by.account_id)

    return run


@pytest.fixture
def listed(opened):
    """What somebody finds in a folder: (message, unread), in order."""

    def run(person, folder=Kind.INBOX):
        page = opened(person, lambda keys: messages.in_folder(keys, folder, None, 50))
        return [(line.message_id, line.unread) for line in page.lines]

    return run


@pytest.fixture
def held(opened):
    """What somebody reads of what is held of his."""
    return lambda person: opened(person, lambda keys: reading.held_here(keys, person.account_id))
