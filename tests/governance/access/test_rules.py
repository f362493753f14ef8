"""What the tables of access refuse, whoever asks: shown by raw statements (P10, P12, P15, P16)."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

TABLES = ("access_grant", "access_scope", "access_act", "access_review", "access_gag")


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


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter())


@pytest.fixture
def used(desk, sam, sue, ann, message) -> int:
    grant = desk.granted(sam, sue, ann, [message])
    assert isinstance(desk.read(sam, grant, message), bytes)
    return grant


STAFF = "SET LOCAL ROLE mtumail_staff"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "verb", ["INSERT INTO {} DEFAULT VALUES", "UPDATE {} SET grant_id = 1", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_P15_the_staff_writes_no_table_of_access_itself(as_role, table, verb):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("web", STAFF, verb.format(table))


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "verb", ["INSERT INTO {} DEFAULT VALUES", "UPDATE {} SET grant_id = 1", "DELETE FROM {}"]
)
def test_P15_no_process_writes_one_either(as_role, role, table, verb):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, verb.format(table))


@pytest.mark.parametrize("table", TABLES)
def test_P15_inbound_reads_none(as_role, table):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("inbound", f"SELECT 1 FROM {table}")


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P06_only_the_staffs_role_may_ask_the_one_road(as_role, role):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role(role, "SELECT * FROM access_open(1, 1, 'text', 0, 1, NULL, NULL)")


@pytest.mark.parametrize("function", ["access_may(1, ARRAY['admin'])", "access_denied('x', 1, 1, 'x')"])
def test_P15_what_is_behind_the_verbs_is_not_called_from_outside(as_role, function):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("web", STAFF, f"SELECT {function}")


CHANGES = (
    "minutes = 60",
    "mailbox_id = 1",
    "requested_by = decided_by",
    "reason = 'service'",
    "is_emergency = true",
    "opened_at = now()",
    "opened_at = NULL, expires_at = NULL",
    "expires_at = expires_at + interval '1 hour'",
    "review_due_at = review_due_at + interval '1 year'",
    "review_due_at = NULL",
    "decided_by = NULL, decided_at = NULL",
    "state = 'requested'",
    "words = '\\x01'",
)


@pytest.mark.parametrize("change", CHANGES)
def test_P10_a_grant_stays_what_it_was_asked_for(superuser, used, change):
    with pytest.raises(DBAPIError):
        superuser.execute(text(f"UPDATE access_grant SET {change}"))


def test_P10_what_is_over_does_not_begin_again(superuser, desk, sam, used):
    desk.close(sam, used)
    for change in (
        "state = 'approved', closed_at = NULL, closed_by = NULL, closed_why = NULL",
        "closed_at = now()",
    ):
        with pytest.raises(DBAPIError):
            superuser.execute(text(f"UPDATE access_grant SET {change}"))


@pytest.mark.parametrize("table", ["access_grant", "access_scope", "access_act"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_P11_nothing_of_it_is_removed(superuser, used, table, verb):
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.execute(text(verb.format(table)))


@pytest.mark.parametrize("table", ["access_scope", "access_act"])
def test_P11_nothing_of_it_is_changed(superuser, used, table):
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.execute(text(f"UPDATE {table} SET message_id = message_id + 1"))


def test_P10_nothing_is_slipped_under_an_approval(superuser, used):
    slip = "INSERT INTO access_scope SELECT mailbox_id, grant_id, 4711, true, true, true FROM access_grant"
    with pytest.raises(DBAPIError, match="named with its request"):
        superuser.execute(text(slip))


def test_P09_no_gag_is_laid_on_what_was_opened(superuser, used):
    lay = (
        "INSERT INTO access_gag (mailbox_id, grant_id, asked_by, words, review_at)"
        " SELECT mailbox_id, grant_id, requested_by, '', now() + interval '1 day' FROM access_grant"
    )
    with pytest.raises(DBAPIError, match="named with its request"):
        superuser.execute(text(lay))


COLUMNS = "mailbox_id, grant_id, case_id, requested_by, reason, kind, purpose, basis, words, minutes"
GOOD = {
    "reason": "'abuse'",
    "kind": "'spam'",
    "purpose": "'prevent-abuse'",
    "basis": "'legitimate-interests'",
    "words": "''::bytea",
    "minutes": "15",
}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"minutes": "61"}, "access_grant_minutes_are_few"),
        ({"minutes": "4"}, "access_grant_minutes_are_few"),
        ({"reason": "'curiosity'", "kind": "''"}, "access_grant_reason_has_purpose_and_basis"),
        ({"purpose": "'provide'"}, "access_grant_reason_has_purpose_and_basis"),
        ({"basis": "'consent'"}, "access_grant_reason_has_purpose_and_basis"),
        ({"kind": "''"}, "access_grant_abuse_has_a_kind"),
        ({"state": "'approved'"}, "begins with its request"),
        (
            {"state": "'approved'", "is_emergency": "true", "review_due_at": "now()"},
            "access_grant_emergency_is_legal",
        ),
        ({"opened_at": "now()"}, "begins with its request"),
        ({"decided_by": "requested_by", "decided_at": "now()"}, "begins with its request"),
        ({"requested_at": "now() - interval '1 day'"}, "begins with its request"),
        ({"legal": "'\\x00'::bytea"}, "access_grant_legal_names_its_order"),
        (
            {
                "reason": "'legal'",
                "kind": "''",
                "purpose": "'comply-with-law'",
                "basis": "'legal-obligation'",
            },
            "access_grant_legal_names_its_order",
        ),
    ],
)
def test_P07_the_table_refuses_a_request_that_is_none(superuser, used, change, rule):
    values = GOOD | change
    row = f"SELECT mailbox_id, 99, case_id, requested_by, {', '.join(values.values())} FROM access_grant"
    with pytest.raises(DBAPIError, match=rule):
        superuser.execute(
            text(
                f"INSERT INTO access_grant (mailbox_id, grant_id, case_id, requested_by, {', '.join(values)}) {row}"
            )
        )


def test_P12_the_table_refuses_who_approves_his_own(superuser, desk, sam, ann, message):
    desk.ask(sam, ann, [message])
    change = "UPDATE access_grant SET state = 'approved', decided_by = requested_by, decided_at = now()"
    with pytest.raises(DBAPIError, match="access_grant_nobody_approves_his_own"):
        superuser.execute(text(change))
    with pytest.raises(DBAPIError, match="access_grant_approved_by_a_second_person"):
        superuser.execute(text("UPDATE access_grant SET state = 'approved'"))


def test_P10_an_act_is_of_what_the_scope_names(superuser, used):
    act = "INSERT INTO access_act SELECT mailbox_id, grant_id, 2, 4711, 'text', 0, account_id, now(), 99 FROM access_act"
    with pytest.raises(DBAPIError, match="access_act_in_scope"):
        superuser.execute(text(act))


@pytest.mark.parametrize("table", ["access_grant", "access_scope", "access_act", "access_review"])
def test_P15_an_owner_sees_his_own_and_nobody_elses(as_role, used, ann, ben, table):
    mine = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    other = f"SELECT set_config('mtumail.mailbox', '{ben.mailbox_id}', true)"
    assert as_role("web", mine, f"SELECT count(mailbox_id) FROM {table}") == [
        (0 if table == "access_review" else 1,)
    ]
    assert as_role("web", other, f"SELECT count(mailbox_id) FROM {table}") == [(0,)]
    assert as_role("web", f"SELECT count(mailbox_id) FROM {table}") == [(0,)]


@pytest.mark.parametrize("column", ["words", "legal", "decided_by", "decision_words"])
def test_P15_what_colleagues_wrote_is_not_the_owners_to_read(as_role, column):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_role("web", f"SELECT {column} FROM access_grant")
