"""Deletion: time to undo, keys before rows, nothing left that opens, what law keeps, and stones for restores."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail import schedules
from webmail.db import new_id, transaction
from webmail.errors import NotFound
from webmail.governance.memory import keeping
from webmail.identity import memberships, names
from webmail.mail import contacts, identities, messages
from webmail.mail.contacts import Details
from webmail.mail.identities import Identity
from webmail.privacy import retention
from webmail.privacy.erasure import asking, doing
from webmail.privacy.erasure.asking import ErasureRefused
from webmail.sending import drafts
from webmail.sending.drafts import Fields, Upload
from workers import erasing
from workers import errands as worker_errands
from workers import schedules as clock

KEPT_TABLES = {"mailbox", "tombstone", "report", "service_mailbox", "access_grant", "access_scope", "access_act", "access_review",
               "access_gag"}  # fmt: skip


@pytest.fixture
def ask(web_app):
    def put(person, mailbox_id=None):
        with web_app.app_context(), transaction():
            return asking.ask(person.account_id, mailbox_id)

    return put


@pytest.fixture
def later(superuser):
    """Let the time to undo be over."""

    def pass_by(erasure_id, days=40):
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(
            text("UPDATE erasure SET asked_at = asked_at - make_interval(days => :d), due_at = due_at - make_interval(days => :d)"
                 " WHERE erasure_id = :e"), {"d": days, "e": erasure_id},
        )  # fmt: skip
        superuser.exec_driver_sql("SET session_replication_role = origin")

    return pass_by


@pytest.fixture
def sent(monkeypatch):
    """Letters that leave, as (address, message)."""
    left = []
    monkeypatch.setattr(erasing, "_leave", lambda to, raw: not left.append((to, raw)))
    return left


@pytest.fixture
def strike(worker, monkeypatch, sent):
    """Let the clock strike for what is to be erased."""
    monkeypatch.setattr("workers.schedules.core", lambda: worker)

    def run():
        with worker.app_context(), transaction():
            schedules.soon(schedules.ERASING)
        monkeypatch.setattr(clock, "RUNS", {schedules.ERASING: clock._erase})
        clock.run_due()

    return run


def one(superuser, sql, **values):
    return superuser.execute(text(sql), values).scalar()


def state(superuser, erasure_id):
    return one(superuser, "SELECT state FROM erasure WHERE erasure_id = :e", e=erasure_id)


def tables(superuser):
    found = superuser.execute(
        text("SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'mailbox_id'")
    ).scalars()  # fmt: skip
    views = superuser.execute(text("SELECT viewname FROM pg_views WHERE schemaname = 'public'")).scalars()
    return set(found) - set(views)


def held(superuser, mailbox_id):
    """Tables that hold rows of a mailbox, with how many."""
    counts = {
        name: one(superuser, f"SELECT count(*) FROM {name} WHERE mailbox_id = :m", m=mailbox_id)
        for name in tables(superuser)
    }
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def rich(ann, opened, deliver, letter):
    """A mailbox with something in every corner."""
    deliver(ann, letter("Kanarienvogel", "Kanarienwort im Text\r\n", sender="Kanari <kanari@example.org>"))

    def fill(keys):
        draft = drafts.create(
            keys, (ann.name, ann.address), Fields(subject="Kanarienentwurf", body="Kanarienwort")
        )
        drafts.attach(keys, draft.message_id, [Upload("kanari.txt", "text/plain", b"Kanarienbeilage")], 10**6)
        contacts.add(keys, Details(name="Kanarienfreund", addresses=("freund@example.org",)))
        identities.keep(keys, Identity(0, "Ann", ann.address, signature="Kanarienunterschrift"))

    opened(ann, fill)
    return ann


# --- asking --------------------------------------------------------------------------------------------------------------


def test_P24_a_deletion_waits_and_is_taken_back_with_one_press(ask, ann, web_app, strike, superuser):
    erasure = ask(ann)
    strike()
    assert state(superuser, erasure) == "waiting"
    with web_app.app_context(), transaction():
        [told] = asking.mine(ann.account_id)
        assert told.due_at - told.asked_at == timedelta(days=14)
        asking.undo(ann.account_id, erasure)
    assert state(superuser, erasure) == "undone"
    assert one(superuser, "SELECT count(*) FROM mailbox_key") == 1
    with web_app.app_context(), pytest.raises(NotFound), transaction():
        asking.undo(ann.account_id, erasure)


def test_one_does_not_undo_anothers_nor_asks_twice(ask, ann, ben, web_app):
    erasure = ask(ann)
    with web_app.app_context(), pytest.raises(NotFound), transaction():
        asking.undo(ben.account_id, erasure)
    with pytest.raises(ErasureRefused, match="asked"):
        ask(ann)


def test_a_mailbox_is_deleted_by_its_only_owner(ask, ann, ben, web_app):
    with pytest.raises(ErasureRefused, match="not-owner"):
        ask(ben, ann.mailbox_id)
    with web_app.app_context(), transaction(ann.mailbox_id):
        memberships.invite(ann.mailbox_id, ann.account_id, "ben", "mtumail.test", "owner")
        memberships.answer(ann.mailbox_id, ben.account_id, accepts=True)
    with pytest.raises(ErasureRefused, match="other-owners"):
        ask(ann, ann.mailbox_id)


def test_the_last_owner_hands_over_or_deletes_first(ask, ann, ben, web_app):
    with web_app.app_context(), transaction(ann.mailbox_id):
        memberships.invite(ann.mailbox_id, ann.account_id, "ben", "mtumail.test", "reader")
        memberships.answer(ann.mailbox_id, ben.account_id, accepts=True)
    with pytest.raises(ErasureRefused, match="last-owner"):
        ask(ann)
    ask(ann, ann.mailbox_id)
    assert ask(ann)


def test_the_last_admin_stays(ask, ada, make_person):
    with pytest.raises(ErasureRefused, match="last-admin"):
        ask(ada)
    make_person("eve", role="admin")
    assert ask(ada)


# --- erasing -------------------------------------------------------------------------------------------------------------


def test_P24_a_deleted_account_leaves_nothing_that_opens(
    rich, ask, later, strike, superuser, web_app, master, browser_of, sent, monkeypatch
):
    client = browser_of(rich)
    assert client.get("/").status_code == 200
    before = held(superuser, rich.mailbox_id)
    assert {
        "message",
        "message_source",
        "draft_attachment",
        "contact",
        "sender_identity",
        "message_index",
    } <= set(before)
    erasure = ask(rich)
    later(erasure)
    strike()
    assert state(superuser, erasure) == "done"
    assert set(held(superuser, rich.mailbox_id)) == {"mailbox", "tombstone"}
    assert (
        one(superuser, "SELECT octet_length(replace(encode(public_key, 'hex'), '00', '')) FROM mailbox") == 0
    )

    # Every row of every table, read as text and as bytes: no word, no name, no address, and no identifier of Clerk's but where
    # it keeps him out for a month.
    everything = ""
    for name in (
        superuser.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
    ):
        if name not in ("session_denial", "errand"):
            everything += "\n".join(
                superuser.execute(text(f"SELECT row_to_json(t)::text FROM {name} t")).scalars()
            )
    for word in ("anarien", "anari", "freund@", "ann@", "elsewhere.example", rich.user_id):
        assert word not in everything, word
        assert word.encode().hex() not in everything, word
    assert everything.count("user_erased") == 1

    # The name rests, the roles and sessions are gone, Clerk is asked to delete him.
    with web_app.app_context(), transaction(), pytest.raises(names.NameRefused, match="resting"):
        names.look(master, "ann", one(superuser, "SELECT domain_id FROM domain"))
    assert client.get("/").status_code in (302, 303, 307, 401, 403)
    deleted = []
    monkeypatch.setattr(
        worker_errands,
        "_backend",
        lambda: type("C", (), {"delete_user": lambda _, user: deleted.append(user)})(),
    )
    worker_errands.drain()
    assert deleted == [rich.user_id]
    assert one(superuser, "SELECT count(*) FROM errand") == 0

    [(to, raw)] = sent
    assert to == "ann@elsewhere.example"
    with web_app.app_context():
        secret = asking.link(master, erasure)
        assert secret.encode() in raw.replace(b"=\r\n", b"").replace(b"=3D", b"=")
        with transaction():
            told = asking.by_link(master, erasure, secret)
    assert told.destroyed["mailbox_key"] == 1
    for table in ("message", "message_source", "draft_attachment", "contact", "sender_identity"):
        assert told.destroyed[table] == before[table]
    entry = json.loads(one(superuser, "SELECT entry FROM audit_event WHERE number = :n", n=told.event))
    assert entry["kind"] == "erasure.finished"
    assert one(superuser, "SELECT count(*) FROM audit_subject WHERE account_id = :a", a=rich.account_id) == 0


def test_P24_a_deleted_mailbox_leaves_the_person(rich, ben, ask, later, strike, superuser, deliver, letter):
    deliver(ben, letter())
    erasure = ask(rich, rich.mailbox_id)
    later(erasure)
    strike()
    assert state(superuser, erasure) == "done"
    assert set(held(superuser, rich.mailbox_id)) == {"mailbox", "tombstone"}
    assert one(superuser, "SELECT status FROM account WHERE account_id = :a", a=rich.account_id) == "active"
    assert one(superuser, "SELECT name FROM account WHERE account_id = :a", a=rich.account_id) == rich.name
    assert one(superuser, "SELECT count(*) FROM message WHERE mailbox_id = :m", m=ben.mailbox_id) == 1
    assert one(superuser, "SELECT count(*) FROM mailbox_key") == 1


def test_P24_killed_at_any_step_it_is_gone_on_with(rich, ask, later, strike, superuser, monkeypatch):
    """Every transaction of it fails once at its end, as if the process had been killed there."""
    monkeypatch.setattr(doing, "BATCH", 1)
    erasure = ask(rich)
    later(erasure)
    real, kills = doing.go_on, []

    def killed(master, step):
        done = real(master, step)
        if len(kills) % 2 == 0:
            kills.append(step.state)
            raise KeyboardInterrupt
        kills.append("")
        return done

    monkeypatch.setattr(doing, "go_on", killed)
    for _ in range(300):
        try:
            strike()
        except KeyboardInterrupt:
            superuser.execute(
                text("UPDATE schedule SET lease_until = now() - interval '1 second' WHERE lease IS NOT NULL")
            )
        if state(superuser, erasure) == "done":
            break
    assert state(superuser, erasure) == "done"
    assert {"waiting", "rows", "person"} <= set(kills)
    assert set(held(superuser, rich.mailbox_id)) == {"mailbox", "tombstone"}
    assert one(superuser, "SELECT count(*) FROM audit_event WHERE kind = 'erasure.keys_destroyed'") == 1
    assert one(superuser, "SELECT count(*) FROM audit_event WHERE kind = 'erasure.finished'") == 1


def test_P24_keys_go_before_any_row(rich, ask, later, worker, master, superuser):
    erasure = ask(rich)
    later(erasure)
    messages_before = one(superuser, "SELECT count(*) FROM message")
    with worker.app_context(), transaction():
        assert doing.go_on(master, doing.look(erasure))
    assert one(superuser, "SELECT count(*) FROM mailbox_key") == 0
    assert one(superuser, "SELECT count(*) FROM message") == messages_before
    assert one(superuser, "SELECT count(*) FROM tombstone WHERE message_id IS NULL") == 1


def test_members_of_a_deleted_mailbox_are_told(ann, ben, ask, later, strike, web_app):
    with web_app.app_context(), transaction(ann.mailbox_id):
        memberships.invite(ann.mailbox_id, ann.account_id, "ben", "mtumail.test", "writer")
        memberships.answer(ann.mailbox_id, ben.account_id, accepts=True)
    erasure = ask(ann, ann.mailbox_id)
    later(erasure)
    strike()
    with web_app.app_context(), transaction():
        assert [told.kind for told in memberships.notices(ben.account_id)] == ["closed"]
        assert [box.mailbox_id for box in memberships.mine(ben.account_id)] == [ben.mailbox_id]


def test_a_letter_that_does_not_leave_ends_nothing(ann, ask, later, strike, superuser, monkeypatch):
    monkeypatch.setattr(erasing, "_leave", lambda to, raw: False)
    erasure = ask(ann)
    later(erasure)
    for _ in range(doing.TRIES - 1):
        strike()
        assert state(superuser, erasure) == "telling"
    strike()
    assert state(superuser, erasure) == "done"
    assert one(superuser, "SELECT contact FROM erasure") == ""


def test_the_link_is_right_or_leads_nowhere(ann, ben, ask, web_app, master):
    first, second = ask(ann), ask(ben)
    with web_app.app_context(), transaction():
        assert asking.by_link(master, first, asking.link(master, first)).erasure_id == first
        for secret in (asking.link(master, second), "", "x" * 24, "ä"):
            with pytest.raises(NotFound):
                asking.by_link(master, first, secret)


def test_who_broke_a_rule_is_known_by_the_memory_and_nobody_else_is(
    ann, ben, sue, desk, ask, later, strike, superuser, master, web_app
):
    superuser.execute(
        text("INSERT INTO staff_action (action_id, case_id, kind, account_id, rule, words, acted_by)"
             " VALUES (3, :c, 'warn', :a, 'spam', 'x', :b)"),
        {"c": desk.case("spam"), "a": ann.account_id, "b": sue.account_id},
    )  # fmt: skip
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(text("UPDATE staff_action SET state = 'in_force', in_force_at = now()"))
    superuser.exec_driver_sql("SET session_replication_role = origin")
    for person in (ann, ben):
        later(ask(person))
    strike()
    assert [row[0] for row in superuser.execute(text("SELECT state FROM erasure"))] == ["done", "done"]
    assert one(superuser, "SELECT count(*) FROM staff_action") == 0
    assert one(superuser, "SELECT count(*) FROM abuse_memory") == 1
    case = desk.case("spam")
    with web_app.app_context(), transaction(staff=True):
        [[file], _] = keeping.look(master, "ann@mtumail.test", case, by=sue.account_id)
        assert file.facts["actions"][0].startswith("warn spam 2")
        assert keeping.look(master, "ben@mtumail.test", case, by=sue.account_id) == ([], "")


# --- law -----------------------------------------------------------------------------------------------------------------


def test_a_legal_hold_beats_deletion_until_it_ends(ann, ada, desk, ask, later, strike, web_app, superuser):
    case = desk.case("legal")
    hold = new_id()
    superuser.execute(
        text("INSERT INTO legal_hold (hold_id, account_id, case_id, set_by) VALUES (:h, :a, :c, :b)"),
        {"h": hold, "a": ann.account_id, "c": case, "b": ada.account_id},
    )
    erasure = ask(ann)
    later(erasure)
    strike()
    assert state(superuser, erasure) == "waiting"
    with web_app.app_context(), transaction():
        assert asking.mine(ann.account_id)[0].is_held
    superuser.execute(
        text("UPDATE legal_hold SET ended_by = :b, ended_at = now() WHERE hold_id = :h"),
        {"h": hold, "b": ada.account_id},
    )
    strike()
    assert state(superuser, erasure) == "done"


# --- the database's own rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "sql", "match"),
    [
        ("web", "UPDATE erasure SET state = 'rows'", "erasure"),
        ("web", "SELECT erasure_begin(1)", "permission denied"),
        ("web", "SELECT contact FROM erasure", "permission denied"),
        ("web", "INSERT INTO tombstone (mailbox_id) VALUES (1)", "permission denied"),
        ("web", "DELETE FROM mailbox_key", "permission denied"),
        ("worker", "DELETE FROM mailbox_key", "permission denied"),
        ("worker", "SELECT erasure_person(erasure_id) FROM erasure", "after the mail"),
        ("worker", "SELECT erasure_rows(erasure_id, 5) FROM erasure", "after the keys"),
        ("worker", "UPDATE erasure SET state = 'done', event = 1, finished_at = now()", "forward"),
        ("inbound", "SELECT * FROM erasure", "permission denied"),
    ],
)
def test_no_process_does_more_than_its_part(database, ask, ann, role, sql, match):
    ask(ann)
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(DBAPIError, match=match):
        connection.execute(text(sql))
    engine.dispose()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ("1, 'everything', :a, '{}', now() + interval '2 days'", "erasure_kind_is_known"),
        ("1, 'mailbox', :a, '{5}', now() + interval '2 days'", "an owner has a mailbox erased"),
        ("1, 'account', :a, '{}', now()", "erasure_leaves_time_to_undo"),
        ("1, 'account', 5, '{}', now() + interval '2 days'", "erasure_account_id_exists"),
    ],
)
def test_what_is_no_erasure_is_refused(superuser, ann, values, match):
    with pytest.raises(DBAPIError, match=match):
        superuser.execute(
            text(f"INSERT INTO erasure (erasure_id, kind, account_id, mailboxes, due_at) VALUES ({values})"),
            {"a": ann.account_id},
        )


def test_nobody_holds_himself_and_an_end_is_an_end(superuser, ann, ada, desk):
    sql = text("INSERT INTO legal_hold (hold_id, account_id, case_id, set_by) VALUES (7, :a, :c, :b)")
    case = desk.case("legal")
    with pytest.raises(DBAPIError, match="nobody_holds_himself"):
        superuser.execute(sql, {"a": ada.account_id, "c": case, "b": ada.account_id})
    superuser.execute(sql, {"a": ann.account_id, "c": case, "b": ada.account_id})
    with pytest.raises(DBAPIError, match="once"):
        superuser.execute(text("DELETE FROM legal_hold"))
    superuser.execute(text("UPDATE legal_hold SET ended_by = set_by, ended_at = now()"))
    with pytest.raises(DBAPIError, match="once"):
        superuser.execute(text("UPDATE legal_hold SET ended_by = NULL, ended_at = NULL"))


def test_every_table_with_mail_is_erased_or_known_to_stay(superuser):
    erased = set(superuser.execute(text("SELECT name FROM erasure_tables()")).scalars())
    assert erased | KEPT_TABLES == tables(superuser)
    assert not erased & KEPT_TABLES


def test_every_table_about_an_account_is_erased_or_known_to_stay(superuser):
    """Whoever adds one decides: `erasure_person` deletes it, or it stays by a schedule of its own."""
    source = one(superuser, "SELECT prosrc FROM pg_proc WHERE proname = 'erasure_person'")
    found = superuser.execute(
        text("SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)"
             " WHERE table_schema = 'public' AND column_name = 'account_id' AND table_type = 'BASE TABLE'")
    ).scalars()  # fmt: skip
    by_mailbox = set(superuser.execute(text("SELECT name FROM erasure_tables()")).scalars())
    stays = {
        "account", "account_role", "role_change",  # the row without anything in it, and what it was in the staff
        "audit_subject",  # forgotten by the log itself
        "report", "case_file", "case_item", "case_note", "case_answer", "case_opening", "access_act",  # with the case
        "staff_action", "staff_notice", "appeal",  # by `acting.forget`
        "erasure", "legal_hold", "privacy_request",  # without words
        "staff_note",  # by a trigger of its own, when its account is emptied
    }  # fmt: skip
    left = {name for name in found if name not in stays | by_mailbox and f"'{name}'" not in source}
    assert left == set()


# --- stones --------------------------------------------------------------------------------------------------------------


def test_P26_a_message_that_is_deleted_leaves_a_stone(deliver, ann, letter, web_app, superuser):
    first, second = deliver(ann, letter()), deliver(ann, letter())
    with web_app.app_context(), transaction(ann.mailbox_id):
        messages.act(ann.mailbox_id, [first], "trash")
    assert one(superuser, "SELECT count(*) FROM tombstone") == 0
    with web_app.app_context(), transaction(ann.mailbox_id):
        messages.act(ann.mailbox_id, [first], "delete")
    [row] = superuser.execute(text("SELECT mailbox_id, message_id FROM tombstone")).all()
    assert tuple(row) == (ann.mailbox_id, first)
    assert second != first
    with pytest.raises(DBAPIError, match="not changed"):
        superuser.execute(text("UPDATE tombstone SET message_id = 5"))


def test_P26_an_erased_mailbox_leaves_one_stone_and_not_one_a_message(rich, ask, later, strike, superuser):
    erasure = ask(rich)
    later(erasure)
    strike()
    rows = [tuple(row) for row in superuser.execute(text("SELECT mailbox_id, message_id FROM tombstone"))]
    assert rows == [(rich.mailbox_id, None)]


def test_P25_stones_of_messages_end_after_every_backup_and_those_of_mailboxes_stay(superuser, worker, empty):
    superuser.execute(
        text("INSERT INTO tombstone (mailbox_id, message_id, deleted_at) VALUES (1, 2, now() - interval '500 days'),"
             " (1, 3, now() - interval '300 days'), (2, NULL, now() - interval '900 days')")
    )  # fmt: skip
    with worker.app_context(), transaction():
        assert retention.go_on(retention.begin(retention.find("tombstones"))).count == 1
    assert one(superuser, "SELECT count(*) FROM tombstone") == 2
