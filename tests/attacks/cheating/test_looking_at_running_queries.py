"""Whoever may ask the database what it is doing reads mail in the text of the statements: their values never stand in it."""

from sqlalchemy import text


def test_P15_statements_hold_no_values(superuser, connect, press, sam, may_read, message, path, canary):
    for part in ("headers", "text", "file"):
        assert press(sam, path(may_read, message, part), number="2").status_code == 200
    told = "\n".join(superuser.execute(text("SELECT query FROM pg_stat_activity")).scalars())
    assert "access_" in told or "SELECT" in told
    for word in (canary, canary.encode().hex(), "evil.example"):
        assert word not in told
    has_statements = text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'")
    assert superuser.execute(has_statements).scalar() == 0


def test_P15_a_process_sees_what_others_do_no_more_than_their_number(connect, owner_app, grant):
    for role in ("web", "staff", "worker", "inbound"):
        seen = connect(role).execute(
            text("SELECT query FROM pg_stat_activity WHERE usename <> session_user AND datname = 'mtumail'")
        )
        assert set(seen.scalars()) <= {"<insufficient privilege>", ""}
