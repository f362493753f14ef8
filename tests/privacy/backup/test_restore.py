"""A restore: into an empty database alone, closed until deletions since are replayed; nothing comes back, nothing is sent twice."""

import psycopg
import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import new_id, transaction
from webmail.errors import Refused, Tampered
from webmail.keys import MailboxKeys
from webmail.privacy.backup import container, making, restoring
from webmail.privacy.backup.storing import JOURNAL, Folder, NoPlace
from webmail.privacy.erasure import asking as erasing
from workers import backing_up


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


def test_P26_a_deletion_that_was_taken_back_since_is_not_carried_out_by_what_was_restored(
    back_up, go_on, restore, ask, ann, superuser, web_app
):
    superuser.execute(
        text(
            "INSERT INTO erasure (erasure_id, kind, account_id, asked_at, due_at)"
            " VALUES (7, 'account', :a, now() - interval '3 days', now() + interval '1 day')"
        ),
        {"a": ann.account_id},
    )
    manifest = back_up()
    with web_app.app_context(), transaction():
        erasing.undo(ann.account_id)
    go_on()
    assert restore(manifest).erased == 0
    assert ask("SELECT state, undone_at IS NOT NULL FROM erasure") == [("undone", True)]
    assert ask("SELECT tgenabled FROM pg_trigger WHERE tgname = 'erasure_goes_forward'") == [("O",)]


def test_P26_a_deletion_that_waits_leaves_time_to_take_it_back_once_more(
    back_up, restore, ask, ann, superuser
):
    superuser.execute(
        text(
            "INSERT INTO erasure (erasure_id, kind, account_id, asked_at, due_at)"
            " VALUES (7, 'account', :a, now() - interval '3 days', now() - interval '1 hour')"
        ),
        {"a": ann.account_id},
    )
    restore(back_up())
    assert ask("SELECT state, due_at > now() + interval '20 hours' FROM erasure") == [("waiting", True)]


def test_P26_who_came_and_was_erased_after_a_backup_does_not_stop_its_restore(
    back_up, go_on, restore, ask, ann, make_person, superuser
):
    manifest = back_up()
    carol = make_person("carol").account_id
    superuser.execute(
        text(
            "INSERT INTO erasure (erasure_id, kind, account_id, asked_at, due_at)"
            " VALUES (7, 'account', :a, now() - interval '3 days', now() - interval '1 day')"
        ),
        {"a": carol},
    )
    superuser.execute(text("SELECT erasure_begin(7)"))
    go_on()
    assert restore(manifest).erased == 0
    assert ask("SELECT count(*) FROM account WHERE account_id = %s", [carol]) == [(0,)]


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


def test_without_the_keys_of_mailboxes_nothing_is_restored(back_up, restore, ask, ann, means_of):
    manifest = back_up()
    (means_of.backup_to / "keys.mtb").rename(means_of.backup_to / "keys.away")
    with pytest.raises(NoPlace, match=r"keys\.mtb"):
        restore(manifest)
    assert ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    (means_of.backup_to / "keys.away").rename(means_of.backup_to / "keys.mtb")
    assert restore(manifest).mailboxes == 1


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

    monkeypatch.setattr(restoring, "replay", fail)
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


# --- killed, and begun again ----------------------------------------------------------------------------------------------


def test_a_restore_that_was_killed_after_its_data_is_gone_on_with(
    back_up, go_on, restore, ask, monkeypatch, deliver, ann, letter, superuser
):
    message_id = deliver(ann, letter())
    manifest = back_up()
    superuser.execute(text("DELETE FROM message WHERE message_id = :m"), {"m": message_id})
    go_on()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_tell", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(manifest)
    assert ask("SELECT count(*) FROM message") == [(1,)]
    assert (
        manifest.name
        in ask(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        )[0][0]
    )
    done = restore(manifest)
    assert (done.deleted, done.mailboxes, done.is_continuous) == (1, 1, True)
    assert ask("SELECT count(*) FROM audit_event WHERE kind = 'backup.restored'") == [(1,)]
    assert ask(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    ) == [(None,)]
    with pytest.raises(Refused, match="empty"):
        restore(manifest)


def test_another_restore_is_not_mixed_with_one_that_was_killed(back_up, restore, monkeypatch, ann):
    monkeypatch.setattr(backing_up.records, "prune", lambda *_: [])
    first, second = back_up(), back_up()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "replay", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(first)
    with pytest.raises(Refused, match=first.name):
        restore(second)
    assert restore(first).manifest == first


# --- what is held back ----------------------------------------------------------------------------------------------------


def test_P06_a_role_that_was_taken_since_is_not_given_back_and_one_given_since_is_there(
    back_up, go_on, restore, ask, sam, sue, ann, superuser
):
    manifest = back_up()
    change = text(
        "INSERT INTO role_change (change_id, account_id, role, verb, reason) VALUES (:i, :a, :r, :v, 'for a test')"
    )
    superuser.execute(change, {"i": 1, "a": sam.account_id, "r": "support", "v": "revoked"})
    superuser.execute(change, {"i": 2, "a": ann.account_id, "r": "reviewer", "v": "granted"})
    go_on()
    restore(manifest)
    assert set(ask("SELECT account_id, role FROM account_role")) == {
        (sue.account_id, "support_lead"), (ann.account_id, "reviewer"),
    }  # fmt: skip
    assert ask("SELECT account_id, verb FROM role_change WHERE change_id IN (1, 2) ORDER BY 1 = change_id DESC") == [
        (sam.account_id, "revoked"), (ann.account_id, "granted"),
    ]  # fmt: skip
    assert ask("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid IN ('role_change'::regclass, 'account_role'::regclass)"
               " AND NOT tgisinternal") == [("O",)]  # fmt: skip


def test_P12_nobody_goes_on_opening_mail_under_a_grant_from_before(
    back_up, restore, ask, deliver, ann, sam, sue, letter, desk, superuser
):
    grant = desk.granted(sam, sue, ann, [deliver(ann, letter())])
    assert (
        superuser.execute(text("SELECT state FROM access_grant WHERE grant_id = :g"), {"g": grant}).scalar()
        == "approved"
    )
    restore(back_up())
    assert ask("SELECT state, closed_why FROM access_grant WHERE grant_id = %s", [grant]) == [
        ("closed", "restored")
    ]
    assert ask(
        "SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'access_grant'::regclass AND NOT tgisinternal"
    ) == [("O",)]


WAITING = """
    INSERT INTO staff_action (action_id, case_id, kind, account_id, rule, words, acted_by)
        VALUES (3, :case, 'warn', :ann, 'spam', 'x', :sue);
    INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at)
        VALUES (:ann, 3, 'action', now() - interval '1 hour', now() - interval '1 minute'),
               (:ann, 3, 'lifted', now() + interval '1 hour', now() + interval '1 hour');
    INSERT INTO case_item (item_id, case_id, kind, source) VALUES (1, :case, 'spam', 'mail');
    INSERT INTO case_answer (answer_id, case_id, account_id, words) VALUES (1, :case, :sue, 'x');
    INSERT INTO case_letter (answer_id, item_id) VALUES (1, 1);
    INSERT INTO errand (errand_id, kind, account_id, facts)
        VALUES (1, 'tell', :ann, '{"what": "x"}'), (2, 'delete_user', :ann, '{"user": "user_gone"}');
    INSERT INTO alert_telling (kind, way) VALUES ('trial', 'mail');
    INSERT INTO schedule (code, next_at, lease, lease_until) VALUES ('emptying', now(), 7, now() + interval '1 hour')
        ON CONFLICT (code) DO UPDATE SET next_at = now(), lease = 7, lease_until = now() + interval '1 hour'"""


def test_letters_of_the_service_are_not_sent_twice_and_schedules_run_once(
    back_up, restore, ask, ann, sue, desk, superuser
):
    about = {"case": desk.case("spam"), "ann": ann.account_id, "sue": sue.account_id}
    for statement in WAITING.split(";\n"):
        superuser.execute(text(statement.replace('": "', '"\\: "')), about)
    restore(back_up())
    assert ask("SELECT kind, mail FROM staff_notice ORDER BY 1") == [
        ("action", "failed"),
        ("lifted", "waiting"),
    ]
    assert ask("SELECT state FROM case_letter") == [("failed",)]
    assert ask("SELECT kind FROM errand") == [("delete_user",)]
    assert ask("SELECT outcome, problem FROM alert_telling") == [("failed", "restored")]
    assert ask("SELECT lease IS NULL, next_at <= now() FROM schedule WHERE code = 'emptying'") == [
        (True, True)
    ]


def test_two_restores_do_not_work_in_one_database(back_up, restore, scratch, ann):
    manifest = back_up()
    with restoring._alone(scratch), pytest.raises(Refused, match="Another restore"):
        restore(manifest)
    restore(manifest)


def test_data_that_a_killed_restore_brought_after_all_are_gone_on_with(
    back_up, restore, ask, monkeypatch, means_of, scratch, deliver, ann, letter
):
    """Its `pg_restore` lives a moment longer than itself, and ends well while the next one begins."""
    deliver(ann, letter())
    manifest, means = back_up(), backing_up.means(means_of)
    real = restoring._begin

    def begin(connection, name):
        monkeypatch.setattr(restoring, "_begin", real)
        is_loaded = real(connection, name)
        connection.commit()
        restoring._load(means.place, means.key, manifest, scratch)
        return is_loaded

    monkeypatch.setattr(restoring, "_begin", begin)
    assert restore(manifest).mailboxes == 1
    assert ask("SELECT count(*) FROM message") == [(1,)]
