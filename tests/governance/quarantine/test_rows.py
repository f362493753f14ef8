"""Every rule about marks, quarantines and holds is the database's: proved by a raw INSERT that is refused, as a superuser."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


@pytest.fixture
def ids(arrive, bad, report, ann, sue, sam):
    """Ann's reported message, and who there is."""
    message = arrive(ann, bad())
    case, item = report(ann, message)
    return {
        "case": case,
        "item": item,
        "box": ann.mailbox_id,
        "message": message,
        "ann": ann.account_id,
        "sue": sue.account_id,
        "sam": sam.account_id,
    }


@pytest.fixture
def broken(superuser):
    """The name of the rule that a statement breaks, or what its trigger says. `guards`: triggers sleep, so that the rule speaks."""

    def run(statement: str, values: dict[str, object], *, guards: bool = True) -> str:
        role = "origin" if guards else "replica"
        with superuser.engine.connect() as connection:
            connection.execute(text(f"SET session_replication_role = {role}"))
            with pytest.raises(DBAPIError) as caught:
                connection.execute(text(statement), values)
        told = caught.value.orig.diag
        return told.constraint_name or told.message_primary

    return run


MARK = {
    "mailbox_id": ":box",
    "message_id": ":message",
    "content": "NULL",
    "reference": "decode(repeat('ab', 16), 'hex')",
}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"content": "'x'"}, "message_mark_is_blind"),
        ({"reference": "'x'"}, "message_mark_is_blind"),
        ({"reference": "NULL"}, "message_mark_marks_something"),
        ({}, "message_mark_key"),
        ({"message_id": "7"}, "message_mark_message_exists"),
    ],
)
def test_what_is_no_mark_is_refused(broken, ids, change, rule):
    row = MARK | change
    statement = f"INSERT INTO message_mark ({', '.join(row)}) VALUES ({', '.join(row.values())})"
    assert broken(statement, ids) == rule


ROW = {
    "quarantine_id": "9", "case_id": ":case", "item_id": ":item", "content": "(SELECT mark FROM case_item WHERE item_id = :item)",
    "rule": "'phishing'", "words": "'x'", "acted_by": ":sue", "until": "now() + interval '9 days'",
}  # fmt: skip
IN_FORCE = {"state": "'in_force'", "in_force_at": "now()"}
ENDED = {
    "state": "'ended'",
    "in_force_at": "now()",
    "ended_at": "now()",
    "ended_why": "'colleague'",
    "ended_by": ":sue",
}
BEGINS = "a quarantine begins with what was reported, in its open case"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"content": "'x'"}, "quarantine_content_is_blind"),
        ({"rule": "'taste'"}, "quarantine_rule_is_known"),
        ({"words": "decode(repeat('00', 9001), 'hex')"}, "quarantine_words_are_short"),
        ({"until": "now() - interval '1 day'"}, "quarantine_ends_within_a_year"),
        ({"until": "now() + interval '400 days'"}, "quarantine_ends_within_a_year"),
        ({"state": "'perhaps'"}, "quarantine_state_is_known"),
        ({"decided_by": ":sue", "decided_at": "now()"}, "quarantine_nobody_approves_his_own"),
        ({"decided_by": ":sam"}, "quarantine_decision_is_somebodys"),
        ({"state": "'declined'"}, "quarantine_declined_by_somebody"),
        ({"state": "'in_force'"}, "quarantine_in_force_has_a_time"),
        ({"in_force_at": "now()"}, "quarantine_in_force_has_a_time"),
        (ENDED | {"ended_at": "NULL"}, "quarantine_ended_says_why"),
        (ENDED | {"ended_why": "'mood'"}, "quarantine_ended_says_why"),
        (ENDED | {"ended_by": "NULL"}, "quarantine_ended_says_why"),
        ({"is_moving": "true"}, "quarantine_moves_what_it_holds"),
    ],
)
def test_what_is_no_quarantine_is_refused(broken, ids, change, rule):
    row = ROW | change
    statement = f"INSERT INTO quarantine ({', '.join(row)}) VALUES ({', '.join(row.values())})"
    assert broken(statement, ids, guards=False) == rule


@pytest.mark.parametrize(
    "change",
    [
        IN_FORCE,
        {"acted_at": "now() - interval '1 day'"},
        {"case_id": "7"},
        {"item_id": "7"},
        {"content": "decode(repeat('ab', 16), 'hex')"},
    ],
)
def test_P07_it_begins_proposed_with_what_was_reported(broken, ids, change):
    row = ROW | change
    statement = f"INSERT INTO quarantine ({', '.join(row)}) VALUES ({', '.join(row.values())})"
    assert broken(statement, ids) == BEGINS


def test_P12_what_takes_two_does_not_come_into_force_by_one(broken, hold, ids, sam):
    assert hold(sam, ids["case"], ids["item"])[1] == "proposed"
    stays = "a quarantine stays what it was and what was decided"
    assert broken("UPDATE quarantine SET state = 'in_force', in_force_at = now()", ids) == stays
    assert broken("UPDATE quarantine SET acted_by = :sue", ids) == stays
    again = f"INSERT INTO quarantine ({', '.join(ROW)}) VALUES ({', '.join(ROW.values())})"
    assert broken(again, ids) == "quarantine_content_held_once"


def test_P20_a_hold_is_what_its_quarantine_is_and_ends_with_it(broken, hold, ids, sue, superuser):
    assert hold(sue, ids["case"], ids["item"])[1] == "done"
    columns = "action_id, case_id, kind, account_id, target_mailbox_id, rule, acted_by, state, in_force_at, quarantine_id, until, words"
    source = "9, :case, 'hold', :sam, :box, 'phishing', :sue, 'in_force', now(), quarantine_id, NULL, NULL"

    def other(old: str, new: str, **more: bool) -> str:
        assert old in source
        return broken(
            f"INSERT INTO staff_action ({columns}) SELECT {source.replace(old, new, 1)} FROM quarantine",
            ids,
            **more,
        )

    whole = "a hold is what its quarantine is"
    assert other("'phishing'", "'spam'") == whole
    assert other(":sue", ":ann") == whole
    assert other("quarantine_id, NULL, NULL", "quarantine_id, now() + interval '1 day', NULL") == whole
    assert (
        other("quarantine_id, NULL, NULL", "NULL, NULL, NULL", guards=False)
        == "staff_action_hold_is_of_a_quarantine"
    )
    assert (
        other("quarantine_id, NULL, NULL", "quarantine_id, NULL, 'x'", guards=False)
        == "staff_action_says_why"
    )
    assert other(":box", "NULL", guards=False) == "staff_action_names_its_mailbox"
    assert other(":sam", ":ann", guards=False) == "staff_action_held_once"
    lift = "UPDATE staff_action SET state = 'lifted', lifted_at = now(), lifted_by = :sue, lifted_why = 'colleague'"
    assert broken(lift, ids) == "a hold ends with its quarantine"
    assert broken("UPDATE staff_action SET quarantine_id = NULL", ids) in (
        "staff_action_hold_is_of_a_quarantine",
        "an action stays what it was and what was decided",
    )


@pytest.mark.parametrize("column", ["sent_mailbox_id", "sent_message_id"])
def test_a_complaint_names_a_message_of_ours_whole(broken, ids, column):
    assert broken(f"UPDATE case_item SET {column} = 5", ids) == "case_item_sent_is_named"
    assert broken("UPDATE case_item SET mark = 'x'", ids) == "case_item_mark_is_blind"


def test_the_mark_of_what_was_reported_stays_when_its_message_goes(ids, superuser):
    superuser.execute(text("DELETE FROM message"))
    assert superuser.execute(text("SELECT count(*) FROM message_mark")).scalar() == 0
    assert superuser.execute(text("SELECT octet_length(mark) FROM case_item")).scalar() == 16


def test_P25_the_mark_goes_with_what_is_kept_of_a_case_that_is_long_closed(ids, superuser):
    closed = "UPDATE case_file SET state = 'closed', outcome = 'acted', opened_at = now() - interval '9 days', closed_at = now() - interval '8 days'"
    superuser.execute(text(closed))
    superuser.execute(text("SELECT retention_cases(now() - interval '2 days', 10, true)"))
    assert superuser.execute(text("SELECT mark FROM case_item")).scalar() is None
