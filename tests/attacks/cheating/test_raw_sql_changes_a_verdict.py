"""A flagged colleague, or a friend with a database role, makes the verdict a kind one, or has it vanish."""

import pytest


@pytest.fixture
def flagged(desk, sam, rex, ann, grant, message):
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    assert desk.review(rex, ann, grant, "flag", "Nobody had reported this message.") == ""


def test_P16_a_verdict_stays_as_it_was_given(refused, superuser, flagged):
    for change in (
        "UPDATE access_review SET verdict = 'approve', case_id = NULL",
        "DELETE FROM access_review",
    ):
        for role in ("web", "staff", "worker", "inbound"):
            assert "permission denied" in refused(role, change)
        for role in ("owner", "superuser"):
            assert refused(role, change) == "access_review is append-only"
    assert superuser.exec_driver_sql("SELECT verdict FROM access_review").scalars().all() == ["flag"]


def test_P16_nor_is_its_date_undone_to_be_judged_anew(refused, flagged):
    again = "UPDATE access_grant SET reviewed_at = NULL"
    assert "stays what it was asked for" in refused("owner", again)
