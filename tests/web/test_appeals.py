"""Pages of appeals: the person's, the judge's, and what is overdue on the first pages (P20)."""

import pytest
from sqlalchemy import text

from webmail.db import show_id, transaction
from webmail.governance.actions import acting
from webmail.governance.actions.acting import Act
from webmail.governance.appeals import appealing

WRONG = "I did not send <b>this</b>; my nephew sat at my desk."
ANSWER = "We have looked at the times: you were not signed in then."


@pytest.fixture
def appealed(desk, master, sam, ann, web_app) -> int:
    with desk.staff():
        told = Act(
            desk.case("spam"), "no_sending", ann.account_id, "spam", "Two hundred advertisements were sent."
        )
        action_id, _done = acting.take(master, told, by=sam.account_id)
    with web_app.app_context(), transaction():
        assert appealing.make(master, action_id, WRONG, account_id=ann.account_id) == ""
    return action_id


@pytest.fixture
def number(appealed, superuser) -> str:
    return show_id(superuser.execute(text("SELECT appeal_id FROM appeal")).scalar_one())


def test_P20_a_reviewer_judges_with_reasons_and_the_person_reads_them(
    browser_of, rex, ann, number, appealed, csrf, superuser
):
    client = browser_of(rex)
    assert number in client.get("/staff").text
    assert number in client.get("/staff/appeals").text
    page = client.get(f"/staff/appeals/{number}").text
    assert "&lt;b&gt;this&lt;/b&gt;" in page
    data = {"csrf_token": csrf(client), "verdict": "upheld", "answer": "no"}
    assert client.post(f"/staff/appeals/{number}", data=data).status_code == 422
    assert client.post(f"/staff/appeals/{number}", data=data | {"answer": ANSWER}).status_code == 303
    assert client.post(f"/staff/appeals/{number}", data=data | {"answer": ANSWER}).status_code == 409
    person = browser_of(ann)
    assert ">2 notices<" in person.get("/mail/inbox").text
    assert "upheld: the action was undone" in person.get("/notices").text
    assert ANSWER in person.get(f"/appeals/{show_id(appealed)}").text
    assert superuser.execute(
        text("SELECT may_send FROM account WHERE account_id = :a"), {"a": ann.account_id}
    ).scalar()


def test_P20_who_acted_gets_no_button(browser_of, sam, sue, number, superuser, csrf):
    assert browser_of(sam).get(f"/staff/appeals/{number}").status_code == 403
    superuser.execute(text("UPDATE case_file SET assigned_to = :s"), {"s": sue.account_id})
    client = browser_of(sue)
    page = client.get(f"/staff/appeals/{number}").text
    assert "You had a part in this" in page
    assert 'value="upheld"' not in page
    data = {"csrf_token": csrf(client), "verdict": "rejected", "answer": ANSWER}
    assert client.post(f"/staff/appeals/{number}", data=data).status_code == 409


def test_P20_what_is_late_is_loud_for_everybody_of_the_staff(browser_of, sam, sue, number, superuser):
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text("UPDATE appeal SET made_at = now() - interval '8 days', due_at = now() - interval '1 day'")
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert "Overdue appeals" in browser_of(sam).get("/staff").text
    assert "Appeals, some overdue" in browser_of(sue).get("/staff").text
    assert "Overdue since" in browser_of(sue).get("/staff/appeals").text


def test_P19_the_memory_is_asked_by_post_with_a_case(browser_of, sam, desk, csrf):
    client = browser_of(sam)
    assert "each look is written down" in client.get("/staff/memory").text
    data = {"csrf_token": csrf(client), "identifier": "ann@mtumail.test", "case": show_id(desk.case("spam"))}
    assert "Nothing is remembered under this." in client.post("/staff/memory", data=data).text
    assert client.post("/staff/memory", data=data | {"case": "nonsense"}).status_code == 422
    assert len(desk.events("memory.looked_up")) == 1
