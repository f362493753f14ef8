"""Reports: one message for the staff, sealed by its owner's act, and nothing else."""

from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.errors import NotFound, Refused, Tampered
from webmail.governance import reports
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.mailboxes import OwnerSession


@pytest.fixture
def as_owner(web_app, master):
    @contextmanager
    def enter(person):
        with web_app.app_context(), transaction(person.mailbox_id):
            yield open_mailbox(master, person.mailbox_id, OwnerSession(person.account_id))

    return enter


@pytest.fixture
def reported(as_owner, deliver, master, ann, letter):
    message_id = deliver(ann, letter("You have won", "Claim your prize at once."))
    with as_owner(ann) as keys:
        made = reports.report(
            keys, master, message_id, account_id=ann.account_id, kind="fraud", words="He called me too."
        )
    return message_id, made


def test_P07_a_report_carries_the_message_and_its_reporters_words(reported, as_owner, master, ann):
    _, made = reported
    with as_owner(ann) as keys:
        raw, words = reports.open_report(master, keys.mailbox_id, made.report_id)
    assert b"Subject: You have won" in raw
    assert words == "He called me too."
    assert (made.kind, made.state) == ("fraud", "open")


def test_a_second_report_of_a_message_gives_the_first_one_back(reported, as_owner, master, ann):
    message_id, made = reported
    with as_owner(ann) as keys:
        again = reports.report(keys, master, message_id, account_id=ann.account_id, kind="spam")
        assert again == made
        assert reports.of_mailbox(keys.mailbox_id) == [made]
        assert reports.of_message(keys.mailbox_id, message_id) == made


def test_the_report_outlives_the_message(reported, as_owner, master, ann):
    message_id, made = reported
    with as_owner(ann) as keys:
        messages.act(keys.mailbox_id, [message_id], "trash")
        messages.act(keys.mailbox_id, [message_id], "delete")
        assert b"won" in reports.open_report(master, keys.mailbox_id, made.report_id)[0]


def test_strangers_cannot_report_or_see_it(reported, as_owner, master, ann, ben, deliver, letter):
    message_id, _ = reported
    with as_owner(ben) as keys:
        with pytest.raises(NotFound):
            reports.report(keys, master, message_id, account_id=ben.account_id, kind="spam")
        assert reports.of_mailbox(ann.mailbox_id) == []


def test_nothing_of_it_is_readable_in_the_database(reported, superuser):
    row = superuser.execute(text("SELECT sealed, words, content_key FROM report")).one()
    for value in row:
        assert b"won" not in bytes(value)
        assert b"called" not in bytes(value)


def test_a_report_moved_to_another_row_does_not_open(reported, as_owner, superuser, master, ann):
    _, made = reported
    # Behind the back of the foreign key by which its case holds it, as only the database's owner can.
    superuser.exec_driver_sql(
        "SET session_replication_role = replica; UPDATE report SET report_id = report_id + 1; SET session_replication_role = origin"
    )
    with as_owner(ann) as keys, pytest.raises(Tampered):
        reports.open_report(master, keys.mailbox_id, made.report_id + 1)


@pytest.mark.parametrize(("kind", "words"), [("boring", ""), ("spam", "x" * 2001)])
def test_unknown_kinds_and_endless_words_are_refused(as_owner, deliver, master, ann, letter, kind, words):
    message_id = deliver(ann, letter())
    with as_owner(ann) as keys, pytest.raises(Refused):
        reports.report(keys, master, message_id, account_id=ann.account_id, kind=kind, words=words)


def test_web_cannot_change_a_report_or_the_key(reported, database):
    engine = create_engine(database.urls["web"], poolclass=NullPool)
    for statement in (
        "UPDATE report SET kind = 'spam'",
        "DELETE FROM report",
        "UPDATE service_key SET wrapped = ''",
    ):
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()
