"""A colleague is reported, and takes the report upon himself: to read who said it, to end it, or to open the reporter's mail."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id


@pytest.fixture
def accused(press, ann, sam, message, superuser):
    """Ann's report, which turns out to be about Sam; the case."""
    told = press(
        ann, f"/report/{show_id(message)}", kind="harassment", words="It is he who rings me at night."
    )
    assert told.status_code == 303
    about = "UPDATE case_file SET account_id = :sam RETURNING case_id"
    return superuser.execute(text(about), {"sam": sam.account_id}).scalar_one()


def forms(page):
    return {where: dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for where, form in re.findall(
        r'(?s)<form[^>]*action="(/staff/[^"]+)"(.*?)</form>', page)}  # fmt: skip


def test_P07_P16_he_reads_and_does_nothing_there(browser_of, sam, sue, accused, superuser, desk):
    where = f"/staff/cases/{show_id(accused)}"
    page = browser_of(sue).get(where).text
    assert "It is he who rings me at night." in page
    client = browser_of(sam)
    mine = client.get(where)
    assert mine.status_code == 403
    assert "rings me" not in mine.text
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/staff/cases/new").text)[1]
    tried = 0
    for action, fields in forms(page).items():
        if action.startswith((where, "/staff/cases/items/")):
            more = {"outcome": "no_violation", "words": "Nothing in it.", "kind": "spam", "to": "me"}
            answer = client.post(action, data=fields | more | {"csrf_token": token})
            assert answer.status_code in (403, 404, 422), action
            tried += 1
    assert tried >= 4
    row = superuser.execute(text("SELECT state, assigned_to, kind, revision FROM case_file")).one()
    assert tuple(row) == ("open", None, "harassment", 1)
    assert desk.events("case.item_opened") == []


def test_P07_P12_nor_does_it_open_mail_for_him(
    desk, sam, sue, ann, ben, accused, deliver, letter, superuser, whys
):
    other = deliver(ben, letter())
    assert desk.ask(sam, ben, [other], case=accused, kind="harassment")[1] == "own"
    superuser.execute(text("UPDATE case_file SET account_id = :sue"), {"sue": sue.account_id})
    grant, refusal = desk.ask(sam, ben, [other], case=accused, kind="harassment")
    assert refusal == ""
    assert desk.decide(sue, ben, grant) == "own", "who is accused approves nothing in it either"
    assert whys() == ["own", "own"]


def test_P07_whoever_lost_the_role_opens_no_report(connect, superuser, accused, ann):
    """Also by raw SQL as the staff, with any account's number."""
    item = superuser.execute(text("SELECT item_id FROM case_item")).scalar_one()
    staff = connect("staff")
    opened = staff.execute(
        text("SELECT case_open(1, :who, :item, 'text')"), {"who": ann.account_id, "item": item}
    )
    assert opened.scalar() is None
    assert (
        staff.execute(text("SELECT count(*) FROM case_read(1, :who)"), {"who": ann.account_id}).scalar() == 0
    )
