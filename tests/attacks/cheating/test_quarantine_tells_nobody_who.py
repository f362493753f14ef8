"""Somebody of the staff holds a letter to learn who else got it: from tables, notices, pages, counts, the log."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id


@pytest.fixture
def number(hold, reported, sue):
    return hold(sue, *reported)[0]


def test_P10_the_role_of_the_staff_finds_no_hold_and_no_notice_of_one(connect, number):
    staff = connect("staff")
    for query in (
        "SELECT count(*) FROM staff_action",
        "SELECT count(*) FROM staff_notice",
        "SELECT count(*) FROM staff_action WHERE quarantine_id IS NOT NULL",
        "SELECT count(*) FROM appeal",
    ):
        assert staff.exec_driver_sql(query).scalar() == 0


def test_P10_nor_the_mail(refused, number):
    for statement in (
        "SELECT held_by FROM message",
        "SELECT * FROM held_here(1)",
        "SELECT held_count()",
        "SELECT * FROM message_mark",
    ):
        assert "permission denied" in refused("staff", statement)


def test_P10_nor_pages_nor_the_log(browser_of, number, reported, sue, ada, ann, ben, press):
    pages = [
        browser_of(sue).get(path).text
        for path in (
            "/staff",
            "/staff/quarantines",
            f"/staff/quarantines/{show_id(number)}",
            f"/staff/cases/{show_id(reported[0])}",
            "/staff/actions",
            "/staff/log?kind=quarantine.held",
            "/staff/log?kind=quarantine.taken",
        )
    ]
    pages.append(press(sue, "/staff/quarantines/new", case=show_id(reported[0])).text)
    for page in pages:
        shown = re.sub(r'(?s)<nav.*?</nav>|<input type="hidden"[^>]*>', "", page)
        for secret in (
            ben.address,
            ben.name,
            show_id(ben.mailbox_id),
            show_id(ben.account_id),
            str(ben.mailbox_id),
        ):
            assert secret not in shown


def test_P10_one_who_objects_makes_himself_known_and_nobody_else(connect, number, press, ben, superuser):
    action = superuser.execute(
        text("SELECT action_id FROM staff_action WHERE account_id = :a"), {"a": ben.account_id}
    ).scalar_one()
    told = press(ben, f"/appeals/{show_id(action)}", words="This is a real letter of my bank.")
    assert told.status_code == 303
    staff = connect("staff")
    assert staff.exec_driver_sql("SELECT account_id FROM staff_action").scalars().all() == [ben.account_id]
    assert staff.exec_driver_sql("SELECT count(*) FROM staff_notice").scalar() == 1
