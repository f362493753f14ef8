"""Somebody traces years at once, or everybody at once, to learn who writes with whom."""

from datetime import UTC, datetime, timedelta

from webmail.db import show_id
from webmail.governance.access import tracing
from webmail.mail.addresses import Address

NOW = datetime.now(UTC)


def test_P08_seven_days_of_one_address(desk, sam, ann, message):
    case = desk.case("delivery")

    def look(since, until, local="ann"):
        with desk.staff():
            return tracing.look(
                Address(local, "mtumail.test"),
                case_id=case,
                account_id=sam.account_id,
                since=since,
                until=until,
            )

    week = timedelta(days=7)
    assert look(NOW - week + timedelta(hours=1), NOW + timedelta(hours=1)).refusal == ""
    assert look(NOW - week - timedelta(seconds=1), NOW).refusal == "window"
    assert look(NOW, NOW - week).refusal == "window"
    for local in ("%", "_nn", "*", "a%", ""):
        assert look(NOW - timedelta(days=1), NOW + timedelta(days=1), local).mailbox_id is None
    assert len(desk.events("trace.denied")) == 2


def test_P08_the_page_is_no_wider(press, desk, sam, ann, message):
    case = show_id(desk.case("delivery"))
    answer = press(
        sam, "/staff/tracing", case=case, address=ann.address, since="2020-01-01", until="2030-01-01"
    )
    assert answer.status_code == 422
    assert "someone@example.org" not in answer.text
