"""Pages of actions and notices: support proposes, a lead decides, the person reads why, also while suspended (P18, P19, P20)."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import new_id, read_id, show_id
from webmail.identity import stepup

WHY = "You sent the same advertisement to two hundred people."


@pytest.fixture
def confirm(superuser, token):
    """Confirm an act beforehand, as its person would on the page that asks."""

    def run(person, act, target):
        values = {"id": new_id(), "account": person.account_id, "session": person.user_id.replace("user_", "sess_"), "act": act,
                  "target": stepup.target_hash(act, target)}  # fmt: skip
        superuser.execute(
            text(
                "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method)"
                " VALUES (:id, :account, :session, :act, :target, 'password')"
            ),
            values,
        )

    return run


@pytest.fixture
def case(desk, superuser, ann) -> int:
    number = desk.case("spam")
    superuser.execute(
        text("UPDATE case_file SET account_id = :a WHERE case_id = :c"), {"a": ann.account_id, "c": number}
    )
    return number


@pytest.fixture
def act(csrf, case, ann):
    def send(client, kind="warn", **more):
        fields = {"step": "act", "case": show_id(case), "account": show_id(ann.account_id), "mailbox": show_id(ann.mailbox_id),
                  "kind": kind, "amount": "7", "rule": "spam", "words": WHY}  # fmt: skip
        return client.post("/staff/actions/new", data=fields | {"csrf_token": csrf(client)} | more)

    return send


def number_of(answer) -> str:
    return answer.headers["Location"].rsplit("/", 1)[1]


def test_P20_from_the_case_to_the_persons_page(browser_of, sam, ann, case, act):
    staff, person = browser_of(sam), browser_of(ann)
    page = staff.get(f"/staff/cases/{show_id(case)}").text
    assert f"/staff/actions/new?case={show_id(case)}" in page
    form = staff.get(f"/staff/actions/new?case={show_id(case)}").text
    assert "Ann Whitfield" in form
    assert "ann@mtumail.test" in form
    assert "from our staff" not in person.get("/mail/inbox").text
    answer = act(staff, "limit")
    assert answer.status_code == 303
    assert "Limit sending: 7 people a day" in staff.get(answer.headers["Location"]).text
    assert "Limit sending" in staff.get(f"/staff/cases/{show_id(case)}").text
    assert ">1 notice<" in person.get("/mail/inbox").text
    told = person.get("/notices").text
    for said in ("You may write to 7 people a day", "No unsolicited bulk mail", WHY, "You may object until"):
        assert said in told
    assert "Sam" not in told
    assert "from our staff" not in person.get("/mail/inbox").text


def test_P19_a_suspended_person_reads_why_and_objects_and_opens_nothing_else(
    browser_of, sue, ann, act, confirm, case, csrf
):
    staff, person = browser_of(sue), browser_of(ann)
    assert "Please confirm that it is you" in act(staff, "no_sign_in").text
    confirm(sue, "action.grave", f"{case}:no_sign_in:{ann.account_id}:None")
    answer = act(staff, "no_sign_in")
    assert answer.status_code == 303
    for path in ("/", "/mail/inbox", "/settings", "/notices", "/my-data"):
        refused = person.get(path)
        assert (refused.status_code, refused.headers["Location"]) == (303, "/suspended"), path
    page = person.get("/suspended")
    assert page.status_code == 403
    assert WHY in page.text
    assert "You cannot sign in" in page.text
    where = f"/suspended/{number_of(answer)}"
    form = person.get(where).text
    token = form.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    short = person.post(where, data={"csrf_token": token, "words": "no"})
    assert short.status_code == 422
    assert person.post(where, data={"words": "It was not me who sent these."}).status_code == 403
    sent = person.post(where, data={"csrf_token": token, "words": "It was not me who sent these."})
    assert sent.status_code == 303
    assert "waits for an answer" in person.get("/suspended").text
    assert (
        person.post(where, data={"csrf_token": token, "words": "And once more, please."}).status_code == 409
    )
    assert person.post("/settings", data={"csrf_token": token}).status_code in (401, 403)


def test_P19_nobody_else_gets_in_by_that_door(browser_of, ann, ben, stranger, act, sam):
    answer = act(browser_of(sam))
    number = number_of(answer)
    assert browser_of(ben).get("/suspended").headers["Location"] == "/"
    assert browser_of(ben).get(f"/appeals/{number}").status_code == 404
    assert stranger.get("/suspended").headers["Location"] == "/"
    assert WHY not in stranger.get(f"/suspended/{number}").text
    assert browser_of(ann).get(f"/appeals/{number}").status_code == 200


def test_P19_support_proposes_and_a_lead_decides(browser_of, sam, sue, ann, act, confirm, case, csrf):
    confirm(sam, "action.grave", f"{case}:no_sign_in:{ann.account_id}:None")
    support, lead = browser_of(sam), browser_of(sue)
    where = act(support, "no_sign_in").headers["Location"]
    assert "waits for a lead" in support.get(where).text
    assert "Approve" not in support.get(where).text
    assert browser_of(ann).get("/notices").status_code == 200
    assert "Sam Lindgren proposes" in lead.get("/staff").text
    fields = {"csrf_token": csrf(lead), "decision": "approve"}
    assert "Please confirm that it is you" in lead.post(f"{where}/decide", data=fields).text
    confirm(sue, "action.grave", f"approve:{read_id(where.rsplit('/', 1)[1])}")
    assert lead.post(f"{where}/decide", data=fields).status_code == 303
    assert "in force" in lead.get(where).text
    assert browser_of(ann).get("/notices").headers["Location"] == "/suspended"
    assert lead.post(f"{where}/lift", data={"csrf_token": csrf(lead)}).status_code == 303
    assert browser_of(ann).get("/notices").status_code == 200


@pytest.mark.parametrize("wrong", [{"kind": "banish"}, {"rule": "x"}, {"words": "short"}, {"kind": "limit", "amount": "0"},
                                   {"kind": "limit", "amount": "many"}, {"withheld": "later"}])  # fmt: skip
def test_what_is_wrong_comes_back_as_it_was_typed(browser_of, sam, act, wrong):
    answer = act(browser_of(sam), **wrong)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert wrong.get("words", WHY) in answer.text


def test_P19_who_is_not_of_the_staff_finds_no_such_page(browser_of, ann, rex, act, sam):
    where = act(browser_of(sam)).headers["Location"]
    for path in ("/staff/actions", where, "/staff/appeals", "/staff/memory"):
        assert browser_of(ann).get(path).status_code == 403, path
    assert browser_of(rex).get("/staff/actions").status_code == 403
    assert browser_of(rex).get(where).status_code == 200


def test_an_address_of_nobody_is_said(browser_of, sam, desk):
    number = show_id(desk.case("spam"))
    page = browser_of(sam).get(f"/staff/actions/new?case={number}&address=nobody@mtumail.test")
    assert page.status_code == 422
    assert "That is nobody here" in page.text


def test_P20_the_notice_leaves_by_mail_to_the_contact_address_once(
    browser_of, sam, ann, act, worker, superuser, monkeypatch
):
    from workers import acting, schedules

    monkeypatch.setattr("workers.acting.core", lambda: worker)
    monkeypatch.setattr("workers.schedules.core", lambda: worker)
    act(browser_of(sam))
    assert "actions" in schedules.run_due()
    query = "SELECT recipient FROM delivery"
    assert superuser.execute(text(query)).scalars().all() == ["ann@elsewhere.example"]
    with worker.app_context():
        assert acting.send_notices() == 0
    assert superuser.execute(text("SELECT mail FROM staff_notice")).scalars().all() == ["sent"]


def test_P20_who_approves_what_is_told_later_is_not_told_that_it_was_said(
    browser_of, sam, sue, ann, act, confirm, csrf
):
    day = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    proposed = act(browser_of(sam), withheld="The police asked us for three days.", withheld_until=day)
    where, lead = proposed.headers["Location"], browser_of(sue)
    confirm(sue, "action.grave", f"approve:{read_id(number_of(proposed))}")
    answer = lead.post(f"{where}/decide", data={"decision": "approve", "csrf_token": csrf(lead)})
    assert answer.status_code == 303
    assert "the person is told on the day that was chosen" in lead.get(where).text
    assert "two hundred people" not in browser_of(ann).get("/notices").text
