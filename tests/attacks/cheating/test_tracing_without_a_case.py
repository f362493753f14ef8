"""Somebody looks whom a person writes with, for no case, for a closed one, or without the role for it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.governance.access import tracing
from webmail.mail.addresses import parse_spec

NOW = datetime.now(UTC)


@pytest.fixture
def look(desk, ann):
    def do(who, case):
        with desk.staff():
            return tracing.look(
                parse_spec(ann.address),
                case_id=case,
                account_id=who.account_id,
                since=NOW - timedelta(days=1),
                until=NOW + timedelta(days=1),
            )

    return do


def test_P08_no_case_no_trace(look, desk, sam, rex, ada, message, superuser):
    closed = desk.case("delivery")
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now()"))
    mine = desk.case("delivery")
    for who, case, why in (
        (sam, 5, "case-closed"),
        (sam, closed, "case-closed"),
        (rex, mine, "role"),
        (ada, mine, "role"),
    ):
        assert look(who, case).refusal == why
    assert [one["facts"]["why"] for one in desk.events("trace.denied")] == [
        "case-closed",
        "case-closed",
        "role",
        "role",
    ]
    assert len(look(sam, mine).lines) == 1, "with one there is something to see"


def test_P08_the_form_asks_for_one(press, browser_of, sam, rex, message, ann):
    answer = press(sam, "/staff/tracing", address=ann.address, since="2026-01-01", until="2026-01-02")
    assert answer.status_code == 422
    assert browser_of(rex).get("/staff/tracing").status_code == 403
