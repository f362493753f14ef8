"""Somebody is support and reviewer, and judges what he opened himself: on the page, and by raw SQL as anybody."""

import pytest

from webmail.db import show_id, transaction
from webmail.identity import roles


@pytest.fixture
def read_it(owner_app, desk, sam, grant, message):
    with owner_app.app_context(), transaction():
        roles.grant(sam.account_id, "reviewer", by=None, reason="few people", actor="system:tests")
    desk.read(sam, grant, message)
    desk.close(sam, grant)


def test_P16_the_page_refuses_and_offers_nothing(browser_of, press, sam, read_it, grant, whys):
    where = f"/staff/reviews/{show_id(grant)}"
    answer = press(sam, where, verdict="approve", words="All was well.")
    assert answer.status_code == 409
    assert "You had a part in this" in answer.text
    assert whys() == ["not-independent"]
    assert 'name="verdict"' not in browser_of(sam).get(where).text


def test_P16_the_table_refuses_it_from_everybody(refused, superuser, sam, read_it):
    row = (
        "INSERT INTO access_review (mailbox_id, grant_id, reviewed_by, verdict, words, due_at, at, event)"
        f" SELECT mailbox_id, grant_id, {sam.account_id}, 'approve', '', now(), now(), 99 FROM access_grant"
    )
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, row)
    for role in ("owner", "superuser"):
        assert refused(role, row) == "a review is by somebody who had no part in it"
