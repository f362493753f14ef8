"""Appeals: once, in time, by the person; judged by somebody who had no part; upheld is undone (P20)."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.governance.actions import acting, reading
from webmail.governance.actions.acting import Act
from webmail.governance.appeals import appealing
from webmail.governance.notices import telling
from webmail.identity import accounts
from webmail.identity.viewer import Denied

WRONG = "I did not send this; my nephew sat at my desk."
ANSWER = "We have looked at the times: you were not signed in then."


@pytest.fixture
def act(desk, master):
    def run(by, who, kind="warn", case=None):
        told = Act(
            case or desk.case("spam"), kind, who.account_id, "spam", "Two hundred advertisements were sent."
        )
        with desk.staff():
            action_id, answer = acting.take(master, told, by=by.account_id)
        assert answer in ("done", "proposed")
        return action_id

    return run


@pytest.fixture
def appeal(web_app, master):
    def run(who, action_id, words=WRONG):
        with web_app.app_context(), transaction():
            return appealing.make(master, action_id, words, account_id=who.account_id)

    return run


@pytest.fixture
def judge(desk, master):
    def run(who, verdict="upheld", answer=ANSWER):
        with desk.staff():
            [found] = appealing.waiting(by=who.account_id) or appealing.judged(by=who.account_id)
            return appealing.judge(master, found.appeal_id, by=who.account_id, verdict=verdict, answer=answer)

    return run


def test_P20_what_is_upheld_is_undone_at_once_and_answered_with_reasons(
    act, appeal, judge, sue, rex, ann, web_app, master, desk
):
    action_id = act(sue, ann, "no_sign_in")
    assert appeal(ann, action_id) == ""  # suspended, and still heard
    assert judge(rex) == ""
    with web_app.app_context(), transaction():
        assert not isinstance(accounts.viewer(ann.user_id, "sess_x", (0,)), Denied)
        [told] = telling.told(master, ann.account_id)
    assert (told.state, told.verdict, told.answer, told.appeal_words, told.is_new) == (
        "lifted",
        "upheld",
        ANSWER,
        WRONG,
        True,
    )
    with desk.staff():
        assert reading.strikes(reading.of_account(ann.account_id)) == 0
    assert len(desk.events("appeal.upheld")) == 1


def test_P20_what_is_rejected_stays_and_is_answered_with_reasons(
    act, appeal, judge, sam, rex, ann, web_app, master
):
    action_id = act(sam, ann, "no_sending")
    appeal(ann, action_id)
    assert judge(rex, "rejected") == ""
    with web_app.app_context(), transaction():
        [told] = telling.told(master, ann.account_id)
    assert (told.state, told.verdict, told.answer) == ("in_force", "rejected", ANSWER)
    assert judge(rex) == "judged"


def test_P20_an_appeal_is_made_once_by_the_person_and_in_time(act, appeal, sam, ann, ben, superuser):
    action_id = act(sam, ann)
    assert appeal(ben, action_id) == "none"
    assert appeal(ann, action_id, "no") == "words"
    assert appeal(ann, action_id, "x" * 2001) == "words"
    late = act(sam, ann)
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text("UPDATE staff_notice SET due_at = now() - interval '21 days' WHERE action_id = :a"), {"a": late}
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert appeal(ann, late) == "late"
    assert appeal(ann, action_id) == ""
    assert appeal(ann, action_id) == "once"


def test_P20_what_was_proposed_only_is_nothing_to_object_to(act, appeal, sam, ann):
    assert appeal(ann, act(sam, ann, "no_sign_in")) == "none"


def test_P20_whoever_had_a_part_in_it_does_not_judge(act, appeal, judge, sam, sue, rex, ann, desk, superuser):
    case = desk.case("spam")
    action_id = act(sam, ann, "no_sign_in", case)
    with desk.staff():
        acting.decide(action_id, by=sue.account_id, approved=True)
    appeal(ann, action_id)
    assert judge(sam) == "role"
    assert judge(sue) == "not-independent"
    superuser.execute(
        text("UPDATE case_file SET assigned_to = :rex WHERE case_id = :case"),
        {"rex": rex.account_id, "case": case},
    )
    assert judge(rex) == "not-independent"
    assert {entry["facts"]["why"] for entry in desk.events("action.denied")} == {"role", "not-independent"}


def test_P20_the_actor_does_not_judge_with_a_role_he_was_given_since(act, appeal, judge, sue, ann):
    appeal(ann, act(sue, ann))
    assert judge(sue) == "not-independent"


@pytest.mark.parametrize("who", ["sue", "ann"])
def test_P20_the_table_refuses_such_a_judge_whoever_writes_it(act, appeal, sue, ann, superuser, who):
    appeal(ann, act(sue, ann))
    values = {"who": {"sue": sue, "ann": ann}[who].account_id}
    verdict = "UPDATE appeal SET verdict = 'rejected', judged_by = :who, judged_at = now(), answer = '\\x01'"
    with pytest.raises(DBAPIError):
        superuser.execute(text(verdict), values)


@pytest.mark.parametrize(
    "change",
    ["words = '\\x02'", "due_at = due_at + interval '1 day'", "made_at = now()", "account_id = account_id"],
)
def test_P20_an_appeal_stays_as_it_was_written(act, appeal, sam, ann, superuser, change):
    appeal(ann, act(sam, ann))
    with pytest.raises(DBAPIError):
        superuser.execute(text(f"UPDATE appeal SET {change}"))


def test_P20_a_verdict_is_not_changed(act, appeal, judge, sam, rex, ann, superuser):
    appeal(ann, act(sam, ann))
    judge(rex, "rejected")
    for change in ("UPDATE appeal SET verdict = 'upheld'", "DELETE FROM appeal", "TRUNCATE appeal"):
        with pytest.raises(DBAPIError):
            superuser.execute(text(change))


def test_P20_what_nobody_answered_in_a_week_is_late(act, appeal, sam, rex, ann, desk, superuser):
    appeal(ann, act(sam, ann))
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text("UPDATE appeal SET made_at = now() - interval '8 days', due_at = now() - interval '1 day'")
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    with desk.staff():
        assert appealing.counts() == (1, 1)
        assert appealing.waiting(by=rex.account_id)[0].is_late


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P20_no_process_judges_by_itself(database, role):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text("SELECT appeal_judge(1, 1, 'upheld', '\\x01')"))
    engine.dispose()
