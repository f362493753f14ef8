"""How many people somebody may write to in an hour and in a day: what is too much waits, is said, and leaves."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail.db import db, new_id
from webmail.sending import drafts, later, limits
from webmail.sending.limits import DAY, HOUR, room

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
WINDOWS = ((HOUR, 10), (DAY, 20))


def ago(minutes):
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("sent", "wanted", "want"),
    [
        ([], 1, None),
        ([], 10, None),
        ([(ago(30), 9)], 1, None),
        ([(ago(30), 10)], 1, ago(30) + HOUR),
        ([(ago(50), 4), (ago(20), 6)], 3, ago(50) + HOUR),
        ([(ago(50), 4), (ago(20), 6)], 5, ago(20) + HOUR),
        ([(ago(600), 10), (ago(300), 10)], 1, ago(600) + DAY),
        ([(ago(600), 14), (ago(30), 6)], 10, ago(600) + DAY),
        ([], 50, None),
        ([(ago(30), 1)], 15, ago(30) + HOUR),
        ([(ago(30), 1)], 50, ago(30) + DAY),
        ([(ago(61), 10)], 10, None),
    ],
)
def test_when_there_is_room(sent, wanted, want):
    assert room(sent, wanted, NOW, WINDOWS) == want


def test_no_limit_is_no_limit():
    assert room([(ago(1), 10**6)], 10**6, NOW, ((HOUR, 0), (DAY, 0))) is None


@pytest.fixture
def limited(monkeypatch, superuser, ann):
    """Four recipients an hour, twelve a day, for somebody who is not new."""
    monkeypatch.setattr(limits, "allowed", lambda: ((HOUR, 4), (DAY, 12)))
    superuser.execute(text("UPDATE account SET created_at = now() - interval '8 days'"))


@pytest.fixture
def press(opened, ann):
    def send(to, **more):
        def call(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(keys, who, drafts.Fields(to, subject="Hi"))
            return later.send(
                keys, draft.message_id, 1, account_id=ann.account_id, author=who, limit=10**6, **more
            )

        return opened(ann, call)

    return send


@pytest.fixture
def drain(drain, superuser):
    """The worker's turn, when whatever waits is due."""

    def run():
        superuser.execute(text("UPDATE work SET due_at = now()"))
        return drain()

    return run


def age(superuser, hours):
    superuser.execute(
        text("UPDATE submission SET created_at = created_at - make_interval(hours => :hours)"),
        {"hours": hours},
    )


def several(count, first=0):
    return ", ".join(f"p{number}@example.org" for number in range(first, first + count))


def told(superuser):
    query = text(
        "SELECT kind, actor, entry::jsonb->'facts' FROM audit_event WHERE kind = 'security.sending_limit'"
    )
    return [tuple(row) for row in superuser.execute(query)]


def test_what_is_too_much_waits_and_leaves_when_there_is_room(limited, press, drain, superuser, opened, ann):
    assert press(several(3)) is None
    held = press(several(2))
    assert (held.way, held.held) == ("now", "limit")
    wait = superuser.execute(text("SELECT due_at - now() FROM work WHERE kind = 'submit'")).scalar()
    assert timedelta(minutes=59) < wait <= HOUR
    drain()
    assert [line.held for line in opened(ann, later.listed)] == ["limit"], "asked too early, it waits on"
    assert superuser.execute(text("SELECT attempts FROM work WHERE kind = 'submit'")).scalar() == 0
    age(superuser, 1)
    drain()
    assert opened(ann, later.listed) == []
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 2


def test_the_day_has_a_limit_of_its_own(limited, press, superuser):
    for _ in range(3):
        assert press(several(4)) is None
        age(superuser, 2)
    held = press(several(1))
    assert held.held == "limit"
    assert timedelta(hours=17) < held.send_at - datetime.now(UTC) < timedelta(hours=19)


def test_who_is_new_may_write_to_a_fifth(limited, press, superuser, ann):
    superuser.execute(text("UPDATE account SET created_at = now() - interval '6 days'"))
    assert press(several(1)) is None
    assert press(several(1)).held == "limit"


def test_it_is_told_once_an_hour_by_ids(limited, press, superuser, ann):
    press(several(4))
    assert told(superuser) == []
    press(several(1))
    press(several(1))
    assert told(superuser) == [
        (
            "security.sending_limit",
            f"account:{ann.account_id}",
            {"mailbox": ann.mailbox_id, "account": ann.account_id},
        )
    ]
    superuser.execute(text("UPDATE limit_told SET told_at = told_at - interval '1 hour'"))
    press(several(1))
    assert len(told(superuser)) == 2


def test_at_once_from_several_windows_no_more_leave(limited, press, superuser):
    threads = [threading.Thread(target=press, args=(several(1, number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert superuser.execute(text("SELECT count(*) FROM delivery")).scalar() == 4
    assert superuser.execute(text("SELECT count(*) FROM scheduled WHERE held = 'limit'")).scalar() == 4


def test_what_others_send_counts_for_them(limited, press, superuser, make_person, opened):
    press(several(4))
    ben = make_person("ben")

    def call(keys):
        who = (ben.name, ben.address)
        draft = drafts.create(keys, who, drafts.Fields(several(1)))
        return later.send(keys, draft.message_id, 1, account_id=ben.account_id, author=who, limit=10**6)

    assert opened(ben, call) is None


def test_counting_reads_by_an_index_however_full_the_tables_are(limited, superuser, ann, make_person):
    """Thousands of others, and two thousand old ones of hers: neither is read."""
    ben = make_person("ben")
    fill = """
        WITH s AS (INSERT INTO submission (mailbox_id, submission_id, message_id, account_id, envelope_from, created_at)
                   SELECT :mailbox, :base + n, :base + n, :account, 'x', now() - interval '2 days' FROM generate_series(1, :count) n)
        INSERT INTO delivery (mailbox_id, submission_id, number, recipient)
        SELECT :mailbox, :base + n, 1, 'x' FROM generate_series(1, :count) n"""
    for person, count in ((ben, 8000), (ann, 2000)):
        values = {
            "mailbox": person.mailbox_id,
            "account": person.account_id,
            "count": count,
            "base": new_id() // 2,
        }
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(text(fill), values)
        superuser.exec_driver_sql("SET session_replication_role = origin")
    superuser.exec_driver_sql("ANALYZE submission, delivery")
    plan = (
        superuser.exec_driver_sql(
            "EXPLAIN (ANALYZE, BUFFERS, TIMING off) " + limits._SENT,
            {"mailbox": ann.mailbox_id, "account": ann.account_id, "period": DAY},
        )
        .scalars()
        .all()
    )
    shown = "\n".join(plan)
    assert "submission_by_time" in shown, shown
    assert "Seq Scan" not in shown, shown


# --- what answers by itself, and what is sudden --------------------------------------------------------------------------


def events(superuser, kind):
    query = text("SELECT entry::jsonb->'facts' FROM audit_event WHERE kind = :kind ORDER BY number")
    return list(superuser.execute(query, {"kind": kind}).scalars())


def test_what_answers_by_itself_has_room_of_its_own(limited, press, superuser, opened, ann):
    def answered(count):
        fill = """
            WITH m AS (INSERT INTO message (mailbox_id, message_id, folder_id, state, direction, size_bytes, content_key)
                       SELECT :mailbox, 900 + n, 1, 'draft', 'out', 1, repeat('x', 61)::bytea FROM generate_series(1, :count) n RETURNING message_id)
            INSERT INTO submission (mailbox_id, submission_id, message_id, envelope_from)
            SELECT :mailbox, message_id, message_id, '' FROM m"""
        superuser.execute(text(fill), {"mailbox": ann.mailbox_id, "count": count})

    may_answer = lambda: opened(ann, lambda keys: limits.may_answer(keys.mailbox_id))  # noqa: E731
    superuser.execute(text("UPDATE mailbox SET created_at = now() - interval '8 days'"))
    press(several(4))
    assert may_answer(), "what a person writes takes none of it"
    answered(11)
    assert may_answer()
    assert press(several(1)).held == "limit"
    superuser.execute(text("UPDATE mailbox SET created_at = now() - interval '6 days'"))
    assert not may_answer(), "a fifth for who is new"
    superuser.execute(text("UPDATE mailbox SET created_at = now() - interval '8 days'"))
    superuser.execute(text("DELETE FROM message WHERE message_id BETWEEN 901 AND 911"))
    answered(12)
    assert not may_answer()
    age(superuser, 25)
    assert may_answer()


def days(superuser, person, *counts):
    for back, count in enumerate(counts, 1):
        superuser.execute(
            text(
                "INSERT INTO sending_day VALUES (:mailbox, (now() AT TIME ZONE 'UTC')::date - CAST(:back AS integer), :count)"
            ),
            {"mailbox": person.mailbox_id, "back": back, "count": count},
        )


def watch(opened, person, *counts):
    for count in counts:
        opened(person, lambda keys, count=count: limits.watch(keys.mailbox_id, person.account_id, count))


def test_ten_times_the_usual_is_told_once_a_day(opened, ann, ben, superuser):
    days(superuser, ann, 10, 6, 8)
    watch(opened, ann, 40, 39)
    assert events(superuser, "security.sending_surge") == []
    watch(opened, ann, 1, 50, 500)
    told = {"mailbox": ann.mailbox_id, "account": ann.account_id, "recipients": 80, "usual": 8}
    assert events(superuser, "security.sending_surge") == [told]
    superuser.execute(text("UPDATE sending_day SET day = day - 10"))
    watch(opened, ann, 50)
    watch(opened, ben, 49)
    assert len(events(superuser, "security.sending_surge")) == 1, "that flood is usual now; ben's are few"
    watch(opened, ben, 1)
    assert events(superuser, "security.sending_surge")[1]["usual"] == 5


def test_a_letter_to_many_each_week_is_usual(opened, ann, superuser):
    for back in (7, 14, 21, 28):
        superuser.execute(
            text("INSERT INTO sending_day VALUES (:mailbox, CURRENT_DATE - CAST(:back AS integer), 200)"),
            {"mailbox": ann.mailbox_id, "back": back},
        )
    watch(opened, ann, 210)
    assert events(superuser, "security.sending_surge") == []


def test_days_are_kept_for_a_month(opened, ann, superuser):
    days(superuser, ann, *([1] * 40))
    watch(opened, ann, 1, 1)
    assert superuser.execute(text("SELECT count(*), max(recipients) FROM sending_day")).one() == (31, 2)


def test_whoever_presses_send_is_counted_and_nobody_sees_it_of_another(press, superuser, ann, ben, opened):
    press(several(3))
    press(several(2))
    query = "SELECT mailbox_id, recipients, is_told FROM sending_day"
    assert superuser.execute(text(query)).all() == [(ann.mailbox_id, 5, False)]
    count = text("SELECT count(*) FROM sending_day")
    assert opened(ben, lambda _keys: db.session.execute(count).scalar()) == 0


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("INSERT INTO sending_day VALUES (:mailbox, '2026-01-01', 0)", "sending_day_recipients_is_positive"),
        ("INSERT INTO sending_day VALUES (1, '2026-01-01', 1)", "sending_day_mailbox_id_exists"),
        (
            "INSERT INTO sending_day VALUES (:mailbox, '2026-01-01', 1), (:mailbox, '2026-01-01', 2)",
            "sending_day_key",
        ),
    ],
)
def test_the_database_refuses_nonsense(ann, superuser, statement, name):
    with pytest.raises(IntegrityError, match=name):
        superuser.execute(text(statement), {"mailbox": ann.mailbox_id})
