"""A restore: into an empty database alone, closed until deletions since are replayed; nothing comes back, nothing is sent twice."""

from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import new_id, transaction
from webmail.errors import Refused, Tampered
from webmail.keys import MailboxKeys, create_master_key
from webmail.privacy.backup import container, making, restoring
from webmail.privacy.backup.storing import JOURNAL, Folder
from workers import backing_up


@pytest.fixture
def means_of(tmp_path, database, settings):
    create_master_key(tmp_path / "backup.key")
    (tmp_path / "backups").mkdir()
    return replace(
        settings("worker"),
        backup_to=tmp_path / "backups",
        backup_key_file=tmp_path / "backup.key",
        backup_url=database.urls["backup"],
    )


@pytest.fixture
def scratch(database):
    """An empty database on the same server, and what asks it as a superuser."""
    name = f"mtumail_restored_{new_id():x}"
    admin = database.admin_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER mtumail_owner".encode())
        yield admin.replace("/mtumail?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def back_up(means_of, owner_app):
    def run():
        with owner_app.app_context():
            return backing_up.back_up(means_of)

    return run


@pytest.fixture
def go_on(means_of, owner_app):
    def run():
        with owner_app.app_context():
            backing_up.write_journal(backing_up.means(means_of))

    return run


@pytest.fixture
def restore(means_of, scratch):
    def run(manifest):
        means = backing_up.means(means_of)
        return restoring.restore(means.place, means.key, manifest.name, scratch, "cli:test")

    return run


@pytest.fixture
def ask(scratch):
    def run(statement, values=None):
        with psycopg.connect(scratch, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    return run


def log(ask_or_superuser):
    return "SELECT number, leaf, chain, nodes, entry FROM audit_event ORDER BY number"


def test_P26_what_was_deleted_since_does_not_come_back_and_the_rest_opens(
    back_up, go_on, restore, ask, deliver, ann, letter, superuser, master
):
    ids = [deliver(ann, letter(subject=f"number {number}")) for number in range(6)]
    manifest = back_up()
    gone = ids[:4]
    superuser.execute(text("DELETE FROM message WHERE message_id = ANY(:ids)"), {"ids": gone})
    go_on()
    done = restore(manifest)
    assert (done.deleted, done.is_continuous) == (4, True)
    assert {row[0] for row in ask("SELECT message_id FROM message WHERE state = 'filed'")} == set(ids[4:])
    assert {row[0] for row in ask("SELECT message_id FROM tombstone")} >= set(gone)
    wrapped = ask("SELECT wrapped FROM mailbox_key")[0][0]
    keys = MailboxKeys(master, ann.mailbox_id, wrapped)
    for message_id in ids[4:]:
        content_key = ask("SELECT content_key FROM message WHERE message_id = %s", [message_id])[0][0]
        assert len(keys.open_content_key(content_key, message_id)) == 32


def test_P26_the_log_goes_on_where_it_stood(back_up, go_on, restore, ask, ann, owner_app, superuser):
    manifest = back_up()
    with owner_app.app_context(), transaction():
        for number in range(5):
            audit.record("stepup.used", f"account:{ann.account_id}", about=ann.account_id, number=number)
    go_on()
    before = superuser.execute(text(log(superuser))).all()
    done = restore(manifest)
    after = ask(log(ask))
    assert done.events >= 5
    assert [
        tuple(bytes(one) if isinstance(one, memoryview) else one for one in row) for row in before
    ] == after[: len(before)]
    assert [row[4].count('"backup.restored"') for row in after[len(before) :]] == [1]
    assert ask("SELECT count(*) FROM audit_subject WHERE account_id = %s", [ann.account_id])[0][0] >= 5


def test_P26_a_closed_mailbox_is_noise_in_an_older_backup(
    back_up, go_on, restore, ask, deliver, ann, ben, letter, superuser, means_of, master
):
    deliver(ann, letter(body="heliotrope"))
    deliver(ben, letter())
    manifest = back_up()
    superuser.execute(text("DELETE FROM mailbox_key WHERE mailbox_id = :m"), {"m": ann.mailbox_id})
    go_on()
    # Whatever is in any file, with every key that is left: nothing opens this mailbox's messages.
    key = container.read_key(means_of.backup_key_file)
    held = dict(making.read_keys(Folder(means_of.backup_to), key))
    assert set(held) == {ben.mailbox_id}
    with pytest.raises(Tampered):
        MailboxKeys(master, ann.mailbox_id, held[ben.mailbox_id])
    restore(manifest)
    assert ask("SELECT mailbox_id FROM mailbox_key") == [(ben.mailbox_id,)]
    assert ask("SELECT state FROM mailbox WHERE mailbox_id = %s", [ann.mailbox_id]) == [("closed",)]
    assert ask("SELECT count(*) FROM message WHERE mailbox_id = %s", [ann.mailbox_id]) == [(0,)]
    assert ask(
        "SELECT count(*) FROM message WHERE mailbox_id = %s AND state = 'filed'", [ben.mailbox_id]
    ) == [(1,)]


def test_P26_an_account_that_was_erased_since_is_erased_again(
    back_up, go_on, restore, ask, deliver, ann, letter, superuser
):
    deliver(ann, letter())
    manifest = back_up()
    superuser.execute(
        text(
            "INSERT INTO erasure (erasure_id, kind, account_id, asked_at, due_at)"
            " VALUES (7, 'account', :a, now() - interval '3 days', now() - interval '1 day')"
        ),
        {"a": ann.account_id},
    )
    superuser.execute(text("SELECT erasure_begin(7)"))
    while superuser.execute(text("SELECT erasure_rows(7, 100)")).scalar():
        pass
    superuser.execute(text("SELECT erasure_person(7)"))
    go_on()
    done = restore(manifest)
    assert done.erased == 1
    assert ask("SELECT name, contact_email, status FROM account WHERE account_id = %s", [ann.account_id]) == [
        ("", "", "closed")
    ]
    assert ask("SELECT count(*) FROM mailbox_key") == ask("SELECT count(*) FROM message") == [(0,)]
    assert ask("SELECT tgenabled FROM pg_trigger WHERE tgname = 'erasure_goes_forward'") == [("O",)]


def test_what_may_have_left_is_not_sent_again_and_says_so(
    back_up, go_on, restore, ask, deliver, ann, letter, superuser
):
    message_id = deliver(ann, letter())
    superuser.execute(
        text(
            "INSERT INTO submission (mailbox_id, submission_id, message_id, envelope_from) VALUES (:m, 1, :i, 'a@b.test')"
        ),
        {"m": ann.mailbox_id, "i": message_id},
    )
    for number, state in enumerate(("queued", "claimed", "handed", "deferred", "sent")):
        superuser.execute(
            text(
                "INSERT INTO delivery (mailbox_id, submission_id, number, recipient, state) VALUES (:m, 1, :n, :r, :s)"
            ),
            {"m": ann.mailbox_id, "n": number, "r": f"{number}@b.test", "s": state},
        )
    superuser.execute(
        text("INSERT INTO work (mailbox_id, kind, item_id) VALUES (:m, 'send', 1)"), {"m": ann.mailbox_id}
    )
    manifest = back_up()
    done = restore(manifest)
    assert done.unsent == 4
    assert ask("SELECT state, repeated FROM delivery ORDER BY number") == [("failed", True)] * 4 + [
        ("sent", False)
    ]
    assert ask("SELECT DISTINCT kind, reason FROM delivery_event") == [("failed", "restored")]
    assert ask("SELECT count(*) FROM work WHERE kind = 'send'") == [(0,)]
    assert ask("SELECT count(*) FROM submission WHERE finished_at IS NULL") == [(0,)]


def test_sessions_that_were_ended_since_stay_ended(back_up, go_on, restore, ask, ann, superuser):
    manifest = back_up()
    superuser.execute(
        text("INSERT INTO session_denial VALUES ('sess_late', 'ended', now() + interval '1 day')")
    )
    go_on()
    superuser.execute(text("SELECT audit_append('session.ended', 'system:test', '{}')"))
    go_on()
    restore(manifest)
    assert ("sess_late",) in ask("SELECT subject FROM session_denial")


def test_a_database_that_is_not_empty_is_refused(back_up, means_of, database, ann):
    manifest, means = back_up(), backing_up.means(means_of)
    url = database.admin_url.replace("postgresql+psycopg", "postgresql")
    with pytest.raises(Refused, match="empty"):
        restoring.restore(means.place, means.key, manifest.name, url, "cli:test")


def test_nobody_signs_in_before_the_replay_is_done(
    back_up, means_of, restore, scratch, monkeypatch, ann, database
):
    manifest = back_up()

    def fail(*_arguments):
        raise KeyError("killed")

    monkeypatch.setattr(restoring, "_replay", fail)
    with pytest.raises(KeyError):
        restore(manifest)
    name = scratch.partition("?")[0].rpartition("/")[2]
    for role in ("web", "worker", "inbound"):
        url = (
            database.urls[role].replace("postgresql+psycopg", "postgresql").replace("/mtumail?", f"/{name}?")
        )
        with pytest.raises(psycopg.OperationalError, match="CONNECT privilege"):
            psycopg.connect(url)


def test_a_missing_part_of_the_journal_is_told_and_the_log_holds(
    back_up, go_on, restore, ask, ann, means_of, superuser
):
    manifest = back_up()
    for _ in range(3):
        superuser.execute(text("SELECT audit_append('session.ended', 'system:test', '{}')"))
        go_on()
    place = Folder(means_of.backup_to)
    place.remove(JOURNAL, place.names(JOURNAL)[0])
    done = restore(manifest)
    assert not done.is_continuous
    assert ask("SELECT max(number) = count(*) FROM audit_event") == [(True,)]


def test_the_processes_may_come_in_afterwards(back_up, restore, scratch, database, ann, web_app, master):
    restore(back_up())
    name = scratch.partition("?")[0].rpartition("/")[2]
    url = database.urls["web"].replace("postgresql+psycopg", "postgresql").replace("/mtumail?", f"/{name}?")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (0,)
