"""Notes about people and alerts that are over end on their schedules, and nothing else does."""

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.privacy import retention


@pytest.fixture
def run(worker):
    def rule(code):
        found = retention.find(code)
        assert found is not None
        with worker.app_context():
            with transaction():
                removed = retention.begin(found)
            while not removed.is_all:
                with transaction():
                    removed = retention.go_on(removed)
        return removed.count

    return rule


@pytest.fixture
def note(superuser, sam):
    def write(number, person, days):
        superuser.execute(
            text(
                "INSERT INTO staff_note VALUES (:n, :a, :s, now() - make_interval(days => :d), repeat('x', 40)::bytea)"
            ),
            {"n": number, "a": person.account_id, "s": sam.account_id, "d": days},
        )

    return write


def test_P25_old_notes_go_and_those_of_whoever_restricted_that_stay(run, note, ann, ben, superuser):
    note(1, ann, 731)
    note(2, ann, 729)
    note(3, ben, 900)
    superuser.execute(
        text(
            "INSERT INTO processing_restriction (restriction_id, account_id, why, scopes, set_by)"
            " VALUES (7, :b, 'claims', '{schedules}', :b)"
        ),
        {"b": ben.account_id},
    )
    assert run("staff-notes") == 1
    assert superuser.execute(text("SELECT note_id FROM staff_note ORDER BY 1")).scalars().all() == [2, 3]


def test_P25_old_alerts_go_with_what_was_told_of_them_and_what_lasts_stays(run, empty, superuser):
    superuser.execute(
        text(
            "INSERT INTO alert (code, label, value, since, seen_at, ended_at) VALUES"
            " ('disk-low', 'old', 1, now() - interval '400 days', now() - interval '399 days', now() - interval '399 days'),"
            " ('disk-low', 'new', 1, now() - interval '4 days', now() - interval '3 days', now() - interval '3 days'),"
            " ('disk-low', 'lasts', 1, now() - interval '900 days', now(), NULL)"
        )
    )
    superuser.execute(
        text("INSERT INTO alert_telling (alert_id, kind, way) SELECT alert_id, 'begins', 'mail' FROM alert")
    )
    assert run("alerts") == 1
    assert superuser.execute(text("SELECT label FROM alert ORDER BY 1")).scalars().all() == ["lasts", "new"]
    assert superuser.execute(text("SELECT count(*) FROM alert_telling")).scalar() == 2
