"""Somebody holds what was reported elsewhere, or was not reported at all, by putting another number into the form."""

import pytest
from sqlalchemy import text

from webmail.db import show_id
from workers import filing


@pytest.fixture
def other(press, superuser, receive, worker, letter, ben):
    """A letter of Ben's, reported in a case of its own; its item."""
    body = "The minutes of the meeting of last Thursday are below, with all that was decided there.\r\n"
    message = receive(ben, letter("Minutes", body, "Zoe <zoe@example.org>"))
    filing.drain()
    assert press(ben, f"/report/{show_id(message)}", kind="other").status_code == 303
    query = text("SELECT item_id FROM case_item ORDER BY arrived_at DESC LIMIT 1")
    return superuser.execute(query).scalar_one(), message


def test_P10_only_what_was_reported_in_this_case(hold, reported, other, sue, superuser, desk, spread, ben):
    case, _item = reported
    item, message = other
    for number in (item, message, spread[ben.address], 5, 2**47):
        assert hold(sue, case, number)[1] == "item"
    assert superuser.execute(text("SELECT count(*) FROM message WHERE held_by IS NOT NULL")).scalar() == 0
    assert len(desk.events("quarantine.denied")) == 5


def test_P10_nor_by_the_form(press, proved, reported, other, sue, superuser):
    case, item = reported[0], other[0]
    proved(sue, "quarantine.hold", f"{case}:{item}")
    fields = {"step": "act", "case": show_id(case), "item": show_id(item), "rule": "phishing"}
    answer = press(sue, "/staff/quarantines/new", words="It takes passwords.", until="2026-12-24", **fields)
    assert answer.status_code == 422
    assert superuser.execute(text("SELECT count(*) FROM quarantine")).scalar() == 0


def test_P10_what_was_decided_is_not_turned_to_another_message(refused, hold, reported, other, sue):
    assert hold(sue, *reported)[1] == "done"
    for role in ("owner", "superuser"):
        for change in (f"item_id = {other[0]}", "content = decode(repeat('ab', 16), 'hex')", "until = now() + interval '300 days'",
                       f"acted_by = {sue.account_id} + 1", "words = 'y'"):  # fmt: skip
            told = refused(role, f"UPDATE quarantine SET {change}")
            assert told == "a quarantine stays what it was and what was decided"
        assert refused(role, "DELETE FROM quarantine") == "quarantine is kept"
