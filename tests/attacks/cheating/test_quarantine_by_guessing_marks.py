"""Somebody of the staff knows the words of a letter, and looks who else has it, or holds it, by the number that they make."""

import inspect

from sqlalchemy import text

from webmail.governance.cases.sealing import open_secret
from webmail.governance.quarantine import acting, marking
from webmail.mail import fingerprint


def test_P10_no_role_of_a_process_reads_a_mark(refused, spread, reported):
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, "SELECT content FROM message_mark")
        assert "permission denied" in refused(role, "SELECT content FROM quarantine")
    for role in ("web", "staff", "inbound"):
        assert "permission denied" in refused(role, "SELECT mark FROM case_item")


def test_P10_nothing_that_the_staff_may_call_takes_one(superuser):
    """A Message-ID is looked for by its mark, within a case; what a message says is not."""
    rows = superuser.execute(
        text("""
            SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
               AND has_function_privilege('mtumail_staff', p.oid, 'EXECUTE') AND p.proname LIKE 'quarantine%'
               AND 'bytea'::regtype = ANY (p.proargtypes::oid[])""")
    ).scalars()
    assert set(rows) == {"quarantine_take"}, "the words, sealed"
    assert "content" not in inspect.signature(acting.Hold).parameters


def test_P10_a_known_mark_given_as_words_or_as_a_message_id_finds_nobody(desk, master, sue, spread, letter):
    body = "Your account will be closed tonight unless you confirm your password at the address below.\r\n"
    with desk.staff() as session:
        mark = marking.content_mark(open_secret(master), fingerprint.of(letter("Another", body)).content)
        case = desk.case("phishing")
        told = session.execute(
            text("SELECT trace_message(:by, :case, :mark)"),
            {"by": sue.account_id, "case": case, "mark": mark},
        ).scalar_one()
        there = desk.superuser.execute(
            text("SELECT count(*) FROM message_mark WHERE content = :m"), {"m": mark}
        )
        assert there.scalar() == 2, "the mark is the right one"
        assert told["messages"] == []


def test_P10_raw_sql_cannot_begin_with_another_mark_than_what_was_reported(refused, reported, sue):
    row = (
        "INSERT INTO quarantine (quarantine_id, case_id, item_id, content, rule, words, acted_by, until)"
        f" SELECT 9, case_id, item_id, decode(repeat('ab', 16), 'hex'), 'phishing', 'x', {sue.account_id},"
        " now() + interval '1 day' FROM case_item"
    )
    for role in ("owner", "superuser"):
        assert refused(role, row) == "a quarantine begins with what was reported, in its open case"
