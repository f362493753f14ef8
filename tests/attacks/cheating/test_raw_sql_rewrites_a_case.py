"""Whoever can run SQL as the staff's pages has a case be older, somebody else's doing, or never due."""

import pytest


@pytest.mark.parametrize("role", ["web", "staff", "worker", "inbound"])
def test_P16_what_a_case_came_from_stays(refused, desk, role):
    desk.case()
    for change in (
        "opened_at = opened_at - interval '1 year'",
        "opened_by = NULL",
        "source = 'event'",
        "case_id = 7",
        "items = 0",
    ):
        assert "permission denied" in refused(role, f"UPDATE case_file SET {change}")
    for table in ("case_file", "case_item", "case_note", "case_answer", "case_opening"):
        assert "permission denied" in refused(role, f"DELETE FROM {table}")


def test_P16_what_was_written_and_opened_stays(press, superuser, refused, ann, sam, message):
    from sqlalchemy import text

    from webmail.db import show_id

    assert press(ann, f"/report/{show_id(message)}", kind="phishing").status_code == 303
    item = superuser.execute(text("SELECT item_id FROM case_item")).scalar_one()
    assert press(sam, f"/staff/cases/items/{show_id(item)}/open", part="text").status_code == 303
    for role in ("owner", "superuser"):
        for change in ("UPDATE case_opening SET account_id = 1", "DELETE FROM case_opening"):
            assert "stays as it was written" in refused(role, change)
