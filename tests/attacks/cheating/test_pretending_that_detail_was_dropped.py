"""Whoever holds the tables takes the words of a fresh entry away, and an event says that retention dropped them."""

import pytest

DROPPED = (
    """SELECT audit_append('audit.detail_dropped', 'system:retention', '{"events": 1, "from": 3, "to": 3}')"""
)
SAID = "/* audit_drop_detail(timestamp with time zone) */"
EMPTIED = f"UPDATE audit_event SET entry = NULL, actor = NULL WHERE number = 3 {SAID}"


def test_P16_P25_no_young_entry_loses_its_words(log, refused, faults):
    """Not even where the statement wears the name of the function that may."""
    for role in ("owner", "superuser"):
        block = f"DO $$ BEGIN EXECUTE '{EMPTIED}'; END $$"
        assert refused(role, block) == "the audit log is append-only"
    look_alike = (
        "CREATE SCHEMA mine",
        "SET LOCAL search_path = mine, public",
        f"CREATE FUNCTION audit_drop_detail(timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN {EMPTIED}; END $$",
        "SELECT audit_drop_detail(now())",
    )
    assert refused("owner", *look_alike) == "the audit log is append-only"
    assert faults() == []


def test_P16_P25_and_where_it_did_an_event_is_no_excuse(log, behind, superuser, faults):
    behind("UPDATE audit_event SET entry = NULL, actor = NULL WHERE number = 3")
    assert faults() == ["event 3 lost its detail, and no event says that it was dropped"]
    superuser.exec_driver_sql(DROPPED)
    assert faults() == ["event 3 lost its detail before it was a year old"]
    behind("UPDATE audit_event SET at = at - interval '2 years' WHERE number = 3")
    assert faults() == ["event 3 has a time before the one it follows"]


@pytest.mark.parametrize("role", ["web", "staff", "inbound", "owner"])
def test_P25_nobody_drops_what_is_not_a_year_old(log, refused, role):
    said = refused(role, "SELECT audit_drop_detail(now() - interval '1 day')")
    assert "permission denied" in said or said == "the log keeps its detail for a year"
