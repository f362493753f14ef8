"""A process of ours in the hands of somebody else: what its database role still refuses."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from webmail.db import transaction


@pytest.fixture
def refused(database):
    """Run statements as one role in one transaction; the name of what the database said to the last."""

    def run(role, *statements):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                for statement in statements[:-1]:
                    connection.execute(text(statement))
                with pytest.raises(DBAPIError) as caught:
                    connection.execute(text(statements[-1]))
                return type(caught.value.orig).__name__
        finally:
            engine.dispose()

    return run


@pytest.mark.parametrize("who", ["ann", "ben"])
def test_the_web_role_gives_nobody_another_ones_mailbox(refused, ann, ben, who):
    account = {"ann": ann, "ben": ben}[who].account_id
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    join = f"INSERT INTO mailbox_member (mailbox_id, account_id) VALUES ({ann.mailbox_id}, {account})"
    assert refused("web", name, join) == "UniqueViolation"
    for verb in ("UPDATE mailbox_member SET account_id = 1", "DELETE FROM mailbox_member"):
        assert refused("web", verb) == "InsufficientPrivilege"


@pytest.mark.parametrize(
    "change", ["clerk_user_id = 'user_other'", "account_id = 1", "status = 'active'", "created_at = now()"]
)
def test_the_web_role_turns_nobody_into_somebody_else(refused, ann, change):
    assert (
        refused("web", f"UPDATE account SET {change} WHERE account_id = {ann.account_id}")
        == "InsufficientPrivilege"
    )


@pytest.mark.parametrize("verb", [
    "UPDATE address SET mailbox_id = 1", "DELETE FROM address", "UPDATE mailbox SET quota_bytes = 1", "UPDATE mailbox SET state = 'active'",
    "UPDATE mailbox SET public_key = public_key", "UPDATE mailbox_key SET wrapped = wrapped", "DELETE FROM mailbox_key", "INSERT INTO domain VALUES (1, 'x.example')",
    "DELETE FROM delivery", "DELETE FROM submission",
])  # fmt: skip
def test_the_web_role_turns_no_mail_aside(refused, ann, verb):
    assert refused("web", verb) == "InsufficientPrivilege"


def test_inbound_writes_nothing_into_the_audit_log(refused):
    assert refused("inbound", "SELECT audit_append('a.b', 'account:1', '{}')") == "InsufficientPrivilege"


def test_the_text_of_a_database_error_holds_no_values(web_app):
    def slow():
        with transaction() as session:
            session.execute(text("SET LOCAL statement_timeout = 50"))
            session.execute(text("SELECT pg_sleep(5) WHERE :secret <> ''"), {"secret": "canary-7c"})

    with web_app.app_context(), pytest.raises(OperationalError) as caught:
        slow()
    assert "pg_sleep" in str(caught.value)
    assert "canary-7c" not in str(caught.value)
