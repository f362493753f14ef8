"""Pages of reviews: the queue, a verdict, and what is overdue on the first pages of leads and admins (P16)."""

import pytest
from sqlalchemy import text

from webmail.db import show_id


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter("CANARY-SUBJECT", "CANARY-TEXT"))


@pytest.fixture
def used(desk, sam, sue, ann, message) -> int:
    grant = desk.granted(sam, sue, ann, [message])
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    return grant


@pytest.fixture
def judge(csrf):
    def send(client, grant, **data):
        return client.post(f"/staff/reviews/{show_id(grant)}", data={"csrf_token": csrf(client)} | data)

    return send


def test_P16_a_reviewer_sees_everything_but_the_content(browser_of, rex, used):
    client = browser_of(rex)
    assert show_id(used) in client.get("/staff").text
    assert show_id(used) in client.get("/staff/reviews").text
    page = client.get(f"/staff/reviews/{show_id(used)}").text
    for said in (
        "Sam Lindgren",
        "Sue Marchetti",
        "I have to see whether this is what was reported.",
        "ann@mtumail.test",
    ):
        assert said in page
    assert "CANARY" not in page


def test_P16_a_verdict_takes_it_from_the_queue(browser_of, rex, used, judge):
    client = browser_of(rex)
    assert judge(client, used, verdict="approve").status_code == 303
    page = client.get("/staff/reviews").text
    assert "Reviewed: in order." in page
    assert show_id(used) not in page
    assert judge(client, used, verdict="approve").status_code == 409
    assert "A verdict was given" in client.get(f"/staff/reviews/{show_id(used)}").text


def test_P16_a_flag_wants_words_and_opens_a_case(browser_of, rex, used, judge, superuser):
    client = browser_of(rex)
    answer = judge(client, used, verdict="flag", words="no")
    assert answer.status_code == 422
    assert ">no</textarea>" in answer.text
    assert judge(client, used, verdict="flag", words="These parts do not fit the case.").status_code == 303
    flagged = "SELECT count(*) FROM case_file WHERE kind = 'security'"
    assert superuser.execute(text(flagged)).scalar_one() == 1


@pytest.mark.parametrize("who", ["sue", "ada"])
def test_P16_what_is_overdue_stands_on_the_first_page_of_leads_and_admins(
    browser_of, desk, who, used, request
):
    client = browser_of(request.getfixturevalue(who))
    assert "Overdue" not in client.get("/staff").text
    desk.age(used, "8 days")
    for where in ("/staff", "/admin") if who == "ada" else ("/staff",):
        page = client.get(where).text
        assert "Overdue: who checks on us" in page
        assert show_id(used) in page
    assert client.get("/staff/reviews").status_code == 200


def test_P16_an_emergency_is_loud_and_first(browser_of, desk, sam, rex, ann, used, message):
    grant, _none = desk.ask(sam, ann, [message], reason="legal", is_emergency=True)
    page = browser_of(rex).get("/staff/reviews").text
    assert page.index(show_id(grant)) < page.index(show_id(used))
    assert "emergency" in page


@pytest.mark.parametrize("who", ["sue", "ada", "sam", "ann"])
def test_P16_the_page_lets_nobody_else_judge(browser_of, who, used, judge, request, superuser):
    assert judge(browser_of(request.getfixturevalue(who)), used, verdict="approve").status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM access_review")).scalar_one() == 0


def test_who_has_no_part_in_the_staff_is_stopped(browser_of, ann, stranger, used):
    assert browser_of(ann).get("/staff/reviews").status_code == 403
    assert stranger.get("/staff/reviews").headers["Location"].startswith("/auth/sign-in")


def test_what_needs_no_review_has_no_page(browser_of, desk, sam, sue, rex, ann, message):
    grant = desk.granted(sam, sue, ann, [message])
    client = browser_of(rex)
    assert client.get(f"/staff/reviews/{show_id(grant)}").status_code == 404
    assert client.get(f"/staff/reviews/{show_id(9)}").status_code == 404


def test_without_a_token_no_verdict(browser_of, rex, used, superuser):
    answer = browser_of(rex).post(f"/staff/reviews/{show_id(used)}", data={"verdict": "approve"})
    assert answer.status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM access_review")).scalar_one() == 0
