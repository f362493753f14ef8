"""A colleague whose own letter was reported holds it everywhere, so that nobody else can read it; or gives it back."""

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.governance.quarantine import acting


@pytest.fixture
def accuse(superuser):
    def about(person):
        superuser.execute(text("UPDATE case_file SET account_id = :a"), {"a": person.account_id})

    return about


def test_P12_he_neither_counts_nor_holds_nor_approves_nor_gives_back(
    hold, reported, sam, sue, accuse, desk, superuser, proved
):
    case, item = reported
    accuse(sue)
    assert hold(sue, case, item)[1] == "own"
    with desk.staff():
        assert acting.choices(case, by=sue.account_id) == ((), "own")
    number, answer = hold(sam, case, item)
    assert answer == "proposed"
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=True) == "own"
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=False) == "own"
    assert superuser.execute(text("SELECT count(*) FROM message WHERE held_by IS NOT NULL")).scalar() == 0
    accuse(sam)
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=True) == ""
    with desk.staff():
        assert acting.release(number, by=sam.account_id) == "own"
    assert [one["facts"]["why"] for one in desk.events("quarantine.denied")] == ["own"] * 5


def test_P12_nor_by_raw_sql(refused, reported, accuse, sue):
    accuse(sue)
    row = (
        "INSERT INTO quarantine (quarantine_id, case_id, item_id, content, rule, words, acted_by, until)"
        f" SELECT 9, case_id, item_id, mark, 'phishing', 'x', {sue.account_id}, now() + interval '1 day' FROM case_item"
    )
    assert refused("owner", row) == "a quarantine begins with what was reported, in its open case"


def test_P12_nor_by_the_page(press, reported, accuse, sue):
    accuse(sue)
    page = press(sue, "/staff/quarantines/new", case=show_id(reported[0]))
    assert page.status_code == 422
    assert "2 messages" not in page.text
