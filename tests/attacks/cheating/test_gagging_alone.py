"""Somebody keeps his own access from its owner: by himself, by who approved it, or without a legal order."""

from datetime import UTC, datetime, timedelta

import pytest

from webmail.governance.access.asking import Gag


@pytest.fixture
def gag():
    return Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=30))


def test_P09_a_gag_is_a_third_persons(desk, make_person, sam, sue, ann, message, gag, whys):
    lead = make_person("lea", "Lea Lead", "support_lead")
    grant, _none = desk.ask(lead, ann, [message], reason="legal", gag=gag)
    assert desk.gag(lead, grant, "approve") == "not-independent"
    assert desk.decide(sue, ann, grant) == ""
    assert desk.gag(sue, grant, "approve") == "not-independent"
    assert desk.gag(sam, grant, "approve") == "role"
    assert desk.read(lead, grant, message) == "gag-undecided"
    assert whys() == ["not-independent", "not-independent", "role", "gag-undecided"]


def test_P09_without_an_order_or_alone_there_is_none(desk, sam, ann, message, gag):
    assert desk.ask(sam, ann, [message], gag=gag)[1] == "reason"
    assert desk.ask(sam, ann, [message], reason="legal", gag=gag, is_emergency=True)[1] == "emergency-gag"


def test_P09_no_gag_is_slipped_under_a_grant_that_stands(refused, sam, grant):
    late = (
        "INSERT INTO access_gag (mailbox_id, grant_id, asked_by, words, review_at)"
        f" SELECT mailbox_id, grant_id, {sam.account_id}, '', now() + interval '1 day' FROM access_grant"
    )
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, late)
    assert "named with its request" in refused("owner", late)
