"""A gag is asked for, or extended, so far ahead that nobody looks again; or its day passes and nobody does."""

from datetime import UTC, datetime, timedelta

import pytest

from webmail.governance.access.asking import Gag


def later(days):
    return datetime.now(UTC) + timedelta(days=days)


@pytest.fixture
def gagged(desk, sam, sue, ada, ann, message):
    grant, refusal = desk.ask(
        sam, ann, [message], reason="legal", gag=Gag("The order forbids it.", later(30))
    )
    assert refusal == ""
    desk.decide(sue, ann, grant)
    assert desk.gag(ada, grant, "approve") == ""
    return grant


def test_P09_ninety_days_at_most_and_then_again(desk, sam, sue, ada, ann, message, gagged, refused):
    assert desk.ask(sam, ann, [message], reason="legal", gag=Gag("Always.", later(91)))[1] == "gag-dates"
    assert desk.gag(ada, gagged, "extend", later(400)) == "dates"
    assert desk.gag(ada, gagged, "extend", later(-1)) == "dates"
    assert desk.gag(sue, gagged, "extend", later(30)) == "not-independent"
    for_ever = "UPDATE access_gag SET review_at = 'infinity', looked_at = now(), looked_by = approved_by"
    assert "is_looked_at_again" in refused("owner", for_ever)
    assert "stays what it was asked for" in refused(
        "owner", "UPDATE access_gag SET review_at = now() + interval '9 d'"
    )


def test_P09_past_its_day_it_is_loud(browser_of, behind, desk, sue, ada, gagged):
    assert "kept from its owner beyond its date" not in browser_of(ada).get("/admin").text
    behind(
        "UPDATE access_gag SET asked_at = asked_at - interval '60 days', review_at = review_at - interval '60 days'"
    )
    for who, where in ((ada, "/admin"), (sue, "/staff")):
        assert "kept from its owner beyond its date" in browser_of(who).get(where).text
