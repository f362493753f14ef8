"""Each role may do its own part and no more: shown by connecting as each (P15)."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.provision import ROLES

MAIL_TABLES = (
    "mailbox_key", "folder", "message", "message_source", "message_view", "message_index", "thread_reference", "draft",
    "draft_attachment", "submission", "delivery", "correspondent", "message_picture", "unsubscription", "invitation_answer", "report",
    "contact", "contact_handle", "contact_beginning", "contact_member", "sender_identity", "vacation", "vacation_answer",
    "draft_upload", "draft_chunk", "kept_answer", "mailbox_activity",
)  # fmt: skip


@pytest.fixture
def as_role(database):
    """Run statements as one role, in one transaction that is rolled back."""

    def run(role: str, *statements: str):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                result = None
                for statement in statements:
                    result = connection.execute(text(statement))
                return result.all() if result is not None and result.returns_rows else []
        finally:
            engine.dispose()

    return run


def test_P15_roles_are_not_superusers_and_obey_row_security(superuser):
    rows = superuser.execute(
        text(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = ANY(:r)"
        ),
        {"r": list(ROLES)},
    ).all()
    assert len(rows) == len(ROLES) == 5
    assert all(not any(row[1:]) for row in rows)


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize("table", MAIL_TABLES)
def test_P15_a_transaction_that_names_no_mailbox_sees_no_mail(as_role, deliver, ann, letter, role, table):
    deliver(ann, letter())
    assert as_role(role, f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("role", ["web", "worker"])
def test_P15_a_transaction_sees_the_named_mailbox_alone(as_role, deliver, ann, ben, letter, role):
    deliver(ann, letter())
    deliver(ben, letter())
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    assert as_role(role, name, "SELECT DISTINCT mailbox_id FROM message") == [(ann.mailbox_id,)]


@pytest.mark.parametrize("role", ["web", "worker"])
def test_P15_nothing_can_be_written_into_a_mailbox_that_was_not_named(as_role, ann, ben, role):
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    with pytest.raises(ProgrammingError, match="row-level security"):
        as_role(role, name, f"INSERT INTO message_view VALUES ({ben.mailbox_id}, 1, 1, '')")


@pytest.mark.parametrize(
    "table",
    [*MAIL_TABLES, "account", "account_role", "session_denial", "mailbox_member", "audit_event", "work"],
)
def test_P15_inbound_can_read_no_mail_back(as_role, receive, ann, letter, table):
    receive(ann, letter())
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("inbound", name, f"SELECT * FROM {table}")


@pytest.mark.parametrize("table", ["message", "message_source", "work", "mailbox"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET mailbox_id = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_P15_inbound_can_change_nothing(as_role, ann, table, verb):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("inbound", verb.format(table))


def test_P15_inbound_adds_unopened_mail_alone(as_role, ann):
    columns = "mailbox_id, message_id, folder_id, state, direction, size_bytes, content_key"
    for state, direction in (("filed", "in"), ("draft", "in"), ("received", "out")):
        with pytest.raises(ProgrammingError, match="row-level security"):
            as_role(
                "inbound",
                f"INSERT INTO message ({columns}) VALUES ({ann.mailbox_id}, 1, 1, '{state}', '{direction}', 1, '\\x{'00' * 61}')",
            )


@pytest.mark.parametrize("role", ["owner", "web", "worker", "inbound"])
@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE audit_event SET kind = 'a.b'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_event SET kind = 'a.b' WHERE false",
    ],
)
def test_P16_nobody_of_ours_can_change_the_audit_log(as_role, ann, role, verb):
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        as_role(role, verb)


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P16_nobody_writes_past_the_function(as_role, role):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, "INSERT INTO audit_event VALUES (99, now(), 'a.b', 'x', '{}', '', '')")


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P15_nobody_but_the_owner_changes_the_schema(as_role, role):
    for statement in (
        "CREATE TABLE mine (x int)",
        "DROP TABLE message",
        "ALTER TABLE message DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            as_role(role, statement)


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P15_staff_roles_are_not_granted_by_a_process(as_role, ann, role):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, f"INSERT INTO account_role (account_id, role) VALUES ({ann.account_id}, 'admin')")


@pytest.fixture
def signing_domain(empty, superuser):
    """A hosted domain with a key, as rows alone."""
    superuser.execute(text("INSERT INTO domain (domain_id, name) VALUES (7, 'mtumail.test')"))
    superuser.execute(
        text(
            "INSERT INTO dkim_key (domain_id, selector, algorithm, public_key, wrapped, state, activated_at)"
            " VALUES (7, 'm202611a', 'ed25519', '\\x" + "00" * 32 + "', '\\x00', 'active', now())"
        )
    )


def test_P14_inbound_reads_public_halves_of_signing_keys_alone(as_role, signing_domain):
    readable = "domain_id, selector, algorithm, state, verifies_until, octet_length(public_key)"
    assert as_role("inbound", f"SELECT {readable} FROM dkim_key") == [
        (7, "m202611a", "ed25519", "active", None, 32)
    ]
    for columns in ("*", "wrapped", "wrapped IS NULL", "created_at", "count(*) FILTER (WHERE wrapped <> '')"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            as_role("inbound", f"SELECT {columns} FROM dkim_key")


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO dkim_key SELECT domain_id, 'm202611b', 'rsa', public_key FROM dkim_key",
        "UPDATE dkim_key SET public_key = public_key",
        "UPDATE dkim_key SET state = 'next'",
        "DELETE FROM dkim_key",
        "TRUNCATE dkim_key",
    ],
)
def test_P14_signing_keys_are_changed_by_the_owner_alone(as_role, signing_domain, role, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, statement)


@pytest.mark.parametrize("role", ["web", "worker"])
def test_P14_who_sends_reads_signing_keys_still_wrapped(as_role, signing_domain, role):
    assert as_role(role, "SELECT selector, wrapped IS NOT NULL FROM dkim_key") == [("m202611a", True)]


@pytest.mark.parametrize(
    "change",
    [
        "state = 'retired'",
        "wrapped = NULL",
        "state = 'retired', wrapped = NULL, retired_at = now()",
        "activated_at = NULL",
        "algorithm = 'dsa'",
        "selector = 'ann'",
        "retired_at = now()",
    ],
)
def test_P14_a_signing_key_is_whole_or_retired(as_role, signing_domain, change):
    with pytest.raises(DBAPIError, match="violates check constraint"):
        as_role("owner", f"UPDATE dkim_key SET {change}")


BECOME_STAFF = "SET LOCAL ROLE mtumail_staff"


@pytest.mark.parametrize("table", MAIL_TABLES)
def test_P12_the_role_of_staff_pages_has_no_right_to_mail(as_role, table):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("web", BECOME_STAFF, f"SELECT * FROM {table}")


def test_P12_web_alone_may_become_staff_and_has_none_of_its_rights_until_it_does(as_role):
    assert as_role("web", BECOME_STAFF, "SELECT count(*) FROM case_file") == [(0,)]
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("web", "SELECT count(*) FROM case_file")
    for role in ("worker", "inbound"):
        with pytest.raises(ProgrammingError, match="permission denied to set role"):
            as_role(role, BECOME_STAFF)
