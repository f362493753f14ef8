"""Whoever runs the database takes an entry out, swaps two, or slips one in between, with numbers and hashes made to fit."""

import pytest

RULE = "audit_event_nodes_are_whole"
REMOVED = (
    "DELETE FROM audit_event WHERE number = 3",
    "UPDATE audit_event SET number = -number WHERE number > 3",
    "UPDATE audit_event SET number = -number - 1 WHERE number < 0",
)
MOVED = (
    "UPDATE audit_event SET number = 99 WHERE number = 3",
    "UPDATE audit_event SET number = 3 WHERE number = 4",
    "UPDATE audit_event SET number = 4 WHERE number = 99",
)
INSERTED = (
    "UPDATE audit_event SET number = number + 100 WHERE number > 3",
    "UPDATE audit_event SET number = number - 99 WHERE number > 100",
    (
        "INSERT INTO audit_event SELECT 4, at + interval '1 microsecond', kind, actor, entry, leaf, chain, case_id, nodes"
        " FROM audit_event WHERE number = 3"
    ),
)


@pytest.fixture
def unruly(superuser, behind):
    """Without the rule of the table that a row in the wrong place would break."""
    told = f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{RULE}'"
    rule = superuser.exec_driver_sql(told).scalar_one()
    superuser.exec_driver_sql(f"ALTER TABLE audit_event DROP CONSTRAINT {RULE}")
    yield
    behind("DELETE FROM audit_event")
    superuser.exec_driver_sql(f"ALTER TABLE audit_event ADD CONSTRAINT {RULE} {rule.replace('%', '%%')}")


def test_P16_each_is_found_and_again_when_the_hashes_were_made_anew(
    log, unruly, behind, faults, signed, rehash, superuser
):
    note = signed()
    for statements in (REMOVED, MOVED, INSERTED):
        superuser.exec_driver_sql("CREATE TEMP TABLE kept AS SELECT * FROM audit_event")
        behind(*statements)
        assert faults(), statements
        rehash()
        assert faults(note), statements
        behind("DELETE FROM audit_event", "INSERT INTO audit_event SELECT * FROM kept")
        superuser.exec_driver_sql("DROP TABLE kept")
        assert faults(note) == []
