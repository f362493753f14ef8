"""A process turns off, or talks round, what shows it the rows of one mailbox alone."""

from sqlalchemy import text


def test_P06_no_process_turns_it_off(refused, grant):
    for role in ("web", "staff", "worker", "inbound"):
        for table in ("access_grant", "message", "mailbox_key"):
            assert "must be owner" in refused(role, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            said = refused(role, f"CREATE POLICY mine ON {table} USING (true)")
            assert "must be owner" in said


def test_P06_asked_to_do_without_it_is_refused_rather_than_answered(refused, grant):
    assert "row-level security" in refused(
        "web", "SET row_security = off", "SELECT grant_id FROM access_grant"
    )


def test_P06_without_a_name_or_with_a_wrong_one_there_are_no_rows(connect, desk, sam, ben, grant, message):
    desk.read(sam, grant, message)
    web = connect("web")
    for name in ("", str(ben.mailbox_id), "0"):
        web.execute(text("SELECT set_config('mtumail.mailbox', :name, true)"), {"name": name})
        for table in ("access_grant", "access_act", "access_scope", "access_review", "message"):
            assert web.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0, (table, name)
