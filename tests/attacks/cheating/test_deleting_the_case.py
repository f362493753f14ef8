"""The case is removed, so that nobody finds the grant that was given for it."""

from sqlalchemy import text


def test_P07_P08_a_case_with_a_grant_stays(refused, superuser, sam, desk, grant, message):
    desk.read(sam, grant, message)
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, "DELETE FROM case_file")
        assert "permission denied" in refused(role, "UPDATE access_grant SET case_id = case_id + 1")
    for role in ("owner", "superuser"):
        assert "violates foreign key constraint" in refused(role, "DELETE FROM case_file")
        assert "stays what it was asked for" in refused(role, "UPDATE access_grant SET case_id = case_id + 1")
    assert (
        superuser.execute(text("SELECT count(*) FROM access_grant JOIN case_file USING (case_id)")).scalar()
        == 1
    )
