"""Whoever holds a database role has a request, a decision, an opening or an end be at another time than they were."""

import pytest

TIMES = (
    "requested_at = requested_at - interval '1 day'",
    "decided_at = decided_at - interval '1 day'",
    "opened_at = opened_at + interval '1 hour', expires_at = expires_at + interval '1 hour'",
    "minutes = 60, expires_at = opened_at + interval '60 minutes'",
    "review_due_at = review_due_at + interval '1 year'",
)


@pytest.fixture
def read(desk, sam, grant, message):
    desk.read(sam, grant, message)


def test_P11_no_time_of_a_grant_moves(refused, read):
    for change in TIMES:
        for role in ("web", "staff", "worker", "inbound"):
            assert "permission denied" in refused(role, f"UPDATE access_grant SET {change}")
        for role in ("owner", "superuser"):
            assert "a grant stays what it was" in refused(role, f"UPDATE access_grant SET {change}")


def test_P11_a_grant_is_not_born_old_or_approved(refused, read):
    columns = "grant_id, mailbox_id, case_id, requested_by, reason, kind, purpose, basis, words, minutes"
    copy = f"INSERT INTO access_grant ({columns}, {{0}}) SELECT grant_id + 1, {columns.partition(', ')[2]}, {{1}} FROM access_grant"
    for name, value in (("requested_at", "now() - interval '1 hour'"), ("state", "'approved'")):
        assert "begins with its request" in refused("owner", copy.format(name, value))


def test_P10_nothing_is_slipped_under_an_approval(refused, read):
    more = "INSERT INTO access_scope SELECT mailbox_id, grant_id, message_id + 1, true, true, true FROM access_scope"
    assert "named with its request" in refused("owner", more)
    assert "append-only" in refused("owner", "UPDATE access_scope SET message_id = message_id + 1")
    assert "append-only" in refused("owner", "DELETE FROM access_scope")
