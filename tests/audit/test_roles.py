"""The database refuses: what each role may do with the log, by raw SQL as each (P15, P16)."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail import audit
from webmail.db import transaction

TABLES = ("audit_event", "audit_checkpoint", "audit_checkpoint_sent", "audit_sealed", "audit_opened")
EVERYTHING = (*TABLES, "audit_subject", "audit_key")
ZERO = "'\\x" + "00" * 32 + "'"


@pytest.fixture
def full(log, web_app, worker, master, checkpoint):
    """A row in every table of the log."""
    with web_app.app_context(), transaction():
        number = audit.seal(master, "access.opened", "account:1", b"x", about=5)
    checkpoint()
    with worker.app_context(), transaction():
        audit.unseal(master, number)
        audit.sent(7)


@pytest.fixture
def as_role(database):
    """Run statements as one role (`staff` is web that became it), in one transaction that is rolled back."""

    def run(role: str, *statements: str):
        engine = create_engine(database.urls["web" if role == "staff" else role], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                if role == "staff":
                    connection.execute(text("SET LOCAL ROLE mtumail_staff"))
                result = None
                for statement in statements:
                    result = connection.execute(text(statement))
                return result.all() if result is not None and result.returns_rows else []
        finally:
            engine.dispose()

    return run


@pytest.mark.parametrize("role", ["owner", "web", "worker", "inbound", "staff"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET at = now()", "UPDATE {} SET number = 1 WHERE false"])  # fmt: skip
def test_P16_nobody_takes_anything_back(full, as_role, role, table, verb):
    statement = verb.format(table)
    if "SET at" in verb and table == "audit_sealed":
        statement = "UPDATE audit_sealed SET sealed = ''"
    if "SET number" in verb and "checkpoint" in table:
        statement = f"UPDATE {table} SET size = 1 WHERE false"
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        as_role(role, statement)


@pytest.mark.parametrize("role", ["web", "worker", "inbound", "staff"])
@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO audit_event VALUES (99, now(), 'a.b', 'x', '{{}}', {ZERO}, {ZERO}, NULL, '')",
        f"INSERT INTO audit_subject VALUES (5, 1, {ZERO}, {ZERO})",
        f"INSERT INTO audit_sealed VALUES (1, {ZERO}, 'x')",
        f"INSERT INTO audit_opened VALUES (7, {ZERO}, 'x')",
        "DELETE FROM audit_subject",
        "DELETE FROM audit_key",
        "UPDATE audit_key SET public_key = public_key",
    ],
)
def test_P16_rows_come_from_functions_alone(full, as_role, role, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, statement)


@pytest.mark.parametrize("role", ["web", "inbound", "staff"])
@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO audit_checkpoint VALUES (6, {ZERO}, 'x')",
        "INSERT INTO audit_checkpoint_sent VALUES (7)",
        "SELECT audit_drop_detail(now() - interval '2 years')",
        "SELECT audit_forget(5)",
        f"SELECT audit_unseal(7, {ZERO}, 'x'::bytea)",
        "SELECT wrapped FROM audit_key",
        "SELECT body FROM audit_opened",
        "SELECT sealed FROM audit_sealed",
    ],
)
def test_P15_signing_forgetting_and_opening_are_the_workers(full, as_role, role, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, statement)


@pytest.mark.parametrize("table", EVERYTHING)
def test_P15_inbound_knows_nothing_of_the_log(full, as_role, table):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("inbound", f"SELECT * FROM {table}")
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("inbound", "SELECT audit_append('a.b', 'account:1', '{}')")


@pytest.mark.parametrize("column", ["entry", "actor", "kind", "at", "case_id"])
@pytest.mark.parametrize("role", ["web", "worker"])
def test_P15_pages_of_people_cannot_read_the_log(full, as_role, role, column):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, f"SELECT {column} FROM audit_event")
    assert as_role(role, "SELECT count(leaf) FROM audit_event") == [(8,)]


@pytest.mark.parametrize("column", ["salt", "commitment"])
def test_P15_the_staff_sees_whom_and_not_what_opens_it(full, as_role, column):
    assert as_role("staff", "SELECT account_id, number FROM audit_subject") == [(5, 7)]
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("staff", f"SELECT {column} FROM audit_subject")


@pytest.mark.parametrize("role", ["web", "staff"])
def test_P15_a_page_does_not_make_the_key_that_signs(empty, as_role, role):
    key = (
        f"INSERT INTO audit_key (purpose, name, public_key, wrapped) VALUES ('checkpoints', 'x', {ZERO}, 'x')"
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        as_role(role, key)
    assert as_role("worker", key, "SELECT purpose FROM audit_key") == [("checkpoints",)]


@pytest.mark.parametrize("role", ["web", "worker", "staff", "owner"])
def test_P16_an_event_says_which_role_wrote_it(empty, as_role, role):
    [(entry,)] = as_role(
        role, "SELECT audit_append('a.b', 'x', '{}')", "SELECT entry FROM audit_event" if role in ("staff", "owner") else "SELECT ''"
    )  # fmt: skip
    if entry:
        assert f'"role": "mtumail_{role}"' in entry


@pytest.mark.parametrize("role", ["web", "worker", "inbound", "staff"])
def test_P16_nobody_puts_the_triggers_to_sleep(full, as_role, role):
    for statement in ("ALTER TABLE audit_event DISABLE TRIGGER ALL", "SET session_replication_role = replica", "DROP FUNCTION audit_keep() CASCADE"):  # fmt: skip
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            as_role(role, statement)


def test_what_one_event_is_about_is_read_at_the_same_cost_in_a_long_log(full, as_role, superuser):
    superuser.execute(text("ANALYZE audit_event"))
    plans = (
        "SELECT * FROM audit_event WHERE kind = 'mailbox.created' ORDER BY at DESC LIMIT 50",
        "SELECT * FROM audit_event WHERE actor = 'account:1' ORDER BY at DESC LIMIT 50",
        "SELECT * FROM audit_event WHERE case_id = 7 ORDER BY at DESC LIMIT 50",
        "SELECT * FROM audit_event ORDER BY at DESC LIMIT 50",
    )
    for plan in plans:
        told = "\n".join(row[0] for row in as_role("staff", "SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off", f"EXPLAIN {plan}"))  # fmt: skip
        assert "Index Scan" in told
        assert "Sort" not in told, told
