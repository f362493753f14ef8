"""A process puts on another role, sleeps its triggers, or gives itself a right. Its own role, and that of the staff, is all it has."""

import pytest

ROLES = ("mtumail_owner", "mtumail_worker", "mtumail_inbound", "mtumail_staff", "postgres")


@pytest.mark.parametrize("role", ["web", "worker", "inbound", "owner"])
def test_P15_nobody_sleeps_the_triggers_or_becomes_another(refused, role):
    assert "permission denied" in refused(role, "SET session_replication_role = replica")
    assert "permission denied" in refused(role, f"ALTER ROLE mtumail_{role} SUPERUSER")
    for other in ROLES:
        if other in (f"mtumail_{role}", "mtumail_staff" if role == "web" else ""):
            continue
        assert "permission denied" in refused(role, f"SET ROLE {other}")
        said = refused(role, f"GRANT {other} TO mtumail_{role}")
        assert "permission denied" in said or "must" in said


def test_P15_the_staff_takes_no_right_and_gives_none_away(connect, refused):
    assert "permission denied" in refused("staff", "GRANT SELECT ON message_source TO mtumail_staff")
    assert "permission denied" in refused("staff", "GRANT mtumail_staff TO mtumail_worker")
    staff = connect("staff")
    staff.exec_driver_sql(
        "GRANT UPDATE ON access_grant TO mtumail_staff, mtumail_worker"
    )  # a warning, and nothing is granted
    for role in ("mtumail_staff", "mtumail_worker"):
        may = f"SELECT has_table_privilege('{role}', 'access_grant', 'UPDATE')"
        assert staff.exec_driver_sql(may).scalar() is False
