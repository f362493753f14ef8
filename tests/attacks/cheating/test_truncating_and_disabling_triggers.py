"""Whoever holds a database role empties a table of governance at once, or puts to sleep what watches over it."""

import pytest

TABLES = ("access_grant", "access_scope", "access_act", "access_review", "access_gag", "audit_event", "audit_checkpoint",
          "audit_subject", "audit_sealed", "role_change", "case_opening")  # fmt: skip


@pytest.mark.parametrize("role", ["web", "staff", "worker", "inbound"])
def test_P15_a_process_does_neither(refused, role):
    for table in TABLES:
        for verb in (
            f"TRUNCATE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"DROP TABLE {table} CASCADE",
            f"DELETE FROM {table}",
            f"CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        ):
            said = refused(role, verb)
            assert "permission denied" in said or "must be owner" in said, (verb, said)


def test_P15_nobody_truncates_what_is_append_only(refused):
    for table in TABLES:
        if table == "case_opening":
            continue
        said = refused("superuser", f"TRUNCATE {table} CASCADE")
        assert "append-only" in said, (table, said)
