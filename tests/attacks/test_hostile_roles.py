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
    # A trigger says so: a mailbox with members is joined by an owner's invitation alone.
    assert refused("web", name, join) == "CheckViolation"
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


# --- who may do what for others: refused below every page, whoever asks -----------------------------------------------------

STAFF = "SET LOCAL ROLE mtumail_staff"
CHANGE = "INSERT INTO role_change (change_id, account_id, role, verb, made_by, confirmed_by, reason) VALUES"


@pytest.fixture
def people(make_person):
    """Two admins, a supporter and a person without a role, by account."""
    made = {
        "ada": make_person("ada", role="admin"),
        "eve": make_person("eve", role="admin"),
        "sam": make_person("sam", role="support"),
        "ben": make_person("ben"),
    }
    return {name: person.account_id for name, person in made.items()}


@pytest.fixture
def broken(database):
    """Run statements as one role; the name of the rule that the last one broke, or of the error."""

    def run(role, *statements):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                for statement in statements[:-1]:
                    connection.execute(text(statement))
                with pytest.raises(DBAPIError) as caught:
                    connection.execute(text(statements[-1]))
                return caught.value.orig.diag.constraint_name or type(caught.value.orig).__name__
        finally:
            engine.dispose()

    return run


@pytest.mark.parametrize("role", ["web", "worker", "inbound", "owner"])
@pytest.mark.parametrize(
    "verb",
    [
        "INSERT INTO account_role (account_id, role) VALUES ({ben}, 'admin')",
        "UPDATE account_role SET role = 'admin' WHERE account_id = {sam}",
        "DELETE FROM account_role WHERE account_id = {ada}",
    ],
)
def test_roles_are_written_by_nobody_directly(broken, people, role, verb):
    assert broken(role, verb.format(**people)) == "InsufficientPrivilege"
    if role == "web":
        assert broken(role, STAFF, verb.format(**people)) == "InsufficientPrivilege"


def test_web_changes_no_role_until_it_is_the_staff_and_inbound_never(broken, people):
    change = f"{CHANGE} (1, {people['ben']}, 'support', 'granted', {people['ada']}, NULL, 'because')"
    assert broken("web", change) == "InsufficientPrivilege"
    assert broken("inbound", change) == "InsufficientPrivilege"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("({ada}, 'reviewer', 'granted', {ada}, NULL", "nobody_changes_his_own"),
        ("({ada}, 'admin', 'revoked', {ada}, NULL", "nobody_changes_his_own"),
        ("({ben}, 'support', 'granted', {sam}, NULL", "is_made_by_an_admin"),
        ("({ben}, 'support', 'granted', {ben}, NULL", "nobody_changes_his_own"),
        ("({ben}, 'support', 'granted', 12345, NULL", "is_made_by_an_admin"),
        ("({ben}, 'support', 'granted', NULL, NULL", "is_granted_by_a_person"),
        ("({ben}, 'admin', 'granted', {ada}, NULL", "of_an_admin_has_a_second"),
        ("({ben}, 'admin', 'granted', {ada}, {sam}", "of_an_admin_has_a_second"),
        ("({ben}, 'admin', 'granted', {ada}, {ada}", "is_confirmed_by_a_second"),
        ("({ben}, 'admin', 'granted', {ada}, {ben}", "is_confirmed_by_a_second"),
        ("({ben}, 'admin', 'granted', {ada}, {eve}", "of_an_admin_was_proposed"),
        ("({ben}, 'support', 'granted', NULL, {ada}", "confirmation_has_a_first"),
        ("({ben}, 'root', 'granted', {ada}, NULL", "role_is_known"),
        ("({ben}, 'support', 'given', {ada}, NULL", "verb_is_known"),
        ("({sam}, 'auditor', 'granted', {ada}, NULL", "leaves_the_auditor_alone"),
        ("({ben}, 'support', 'revoked', {ada}, NULL", "revokes_what_is_held"),
    ],
)
def test_the_staff_role_breaks_no_rule_of_roles(broken, people, change, rule):
    statement = f"{CHANGE} (1, {change.format(**people).removeprefix('(')}, 'because')"
    assert broken("web", STAFF, statement) == f"role_change_{rule}"


@pytest.mark.parametrize("reason", ["", "  ", "ab"])
def test_no_role_changes_without_a_reason(broken, people, reason):
    change = f"{CHANGE} (1, {people['ben']}, 'support', 'granted', {people['ada']}, NULL, '{reason}')"
    assert broken("web", STAFF, change) == "role_change_reason_is_said"


def test_a_worker_may_take_but_never_give(broken, people):
    assert (
        broken("worker", f"{CHANGE} (1, {people['ben']}, 'support', 'granted', NULL, NULL, 'because')")
        == "role_change_is_granted_by_a_person"
    )
    # With a name that is not its own it could, and so the page asks for a proof: what holds here is that nobody takes what is not there.
    assert (
        broken("worker", f"{CHANGE} (1, {people['ben']}, 'support', 'revoked', NULL, NULL, 'because')")
        == "role_change_revokes_what_is_held"
    )


@pytest.mark.parametrize(
    "verb", ["UPDATE role_change SET reason = 'another'", "DELETE FROM role_change", "TRUNCATE role_change"]
)
def test_the_history_of_roles_stays(broken, people, verb):
    for role in ("web", "worker", "owner"):
        assert broken(role, verb) in ("InsufficientPrivilege", "RaiseException", "CheckViolation")
    assert broken("web", STAFF, verb) == "InsufficientPrivilege"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ("1, {ben}, 'support', {ada}, 'because', NULL, NULL, NULL", "role_proposal_role_needs_two"),
        ("1, {ada}, 'admin', {ada}, 'because', NULL, NULL, NULL", "role_proposal_nobody_proposes_himself"),
        (
            "1, {ben}, 'admin', {ada}, 'because', 'confirmed', {ada}, now()",
            "role_proposal_is_confirmed_by_a_second",
        ),
        (
            "1, {ben}, 'admin', {ada}, 'because', 'declined', {ben}, now()",
            "role_proposal_nobody_decides_his_own",
        ),
        ("1, {ben}, 'admin', {ada}, 'because', 'confirmed', NULL, NULL", "role_proposal_closed_has_all"),
        ("1, {ben}, 'admin', {ada}, 'because', 'maybe', {eve}, now()", "role_proposal_outcome_is_known"),
        ("1, {ben}, 'admin', {ada}, '', NULL, NULL, NULL", "role_proposal_reason_is_said"),
    ],
)
def test_a_proposal_makes_sense_or_is_none(broken, people, values, rule):
    columns = "proposal_id, account_id, role, proposed_by, reason, outcome, closed_by, closed_at"
    statement = f"INSERT INTO role_proposal ({columns}) VALUES ({values.format(**people)})"
    assert broken("web", STAFF, statement) == rule


CONFIRM = "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method, made_at, expires_at, used_at) VALUES"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (
            "'x', 'a.b', sha256(''), 'totp', now(), now() + interval '1 minute', NULL",
            "session_id_is_a_clerk_id",
        ),
        ("'sess_a', 'ab', sha256(''), 'totp', now(), now() + interval '1 minute', NULL", "act_is_dotted"),
        ("'sess_a', 'a.b', 'short', 'totp', now(), now() + interval '1 minute', NULL", "target_is_a_hash"),
        ("'sess_a', 'a.b', sha256(''), 'nod', now(), now() + interval '1 minute', NULL", "method_is_known"),
        ("'sess_a', 'a.b', sha256(''), 'totp', now(), now() + interval '1 hour', NULL", "is_short"),
        (
            "'sess_a', 'a.b', sha256(''), 'totp', now(), now() + interval '1 minute', now() + interval '2 minutes'",
            "is_used_in_time",
        ),
    ],
)
def test_a_confirmation_makes_sense_or_is_none(broken, people, values, rule):
    assert broken("web", f"{CONFIRM} (1, {people['ben']}, {values})") == f"confirmation_{rule}"


def test_a_confirmation_is_used_once_and_never_changed(broken, people):
    made = f"{CONFIRM} (1, {people['ben']}, 'sess_a', 'a.b', sha256(''), 'totp', now(), now() + interval '5 minutes', NULL)"
    use = "UPDATE confirmation SET used_at = now()"
    assert broken("web", made, use, use) == "confirmation_once"
    assert broken("web", made, use, "UPDATE confirmation SET used_at = NULL") == "confirmation_once"
    assert broken("web", made, use, STAFF, use) == "confirmation_once"
    for change in ("expires_at = now()", "target = sha256('other')", "act = 'b.c'", "account_id = 1"):
        assert broken("web", made, f"UPDATE confirmation SET {change}") == "InsufficientPrivilege"
        assert broken("owner", made, f"UPDATE confirmation SET used_at = now(), {change}").startswith(
            "confirmation_"
        )
    assert broken("web", STAFF, made) == "InsufficientPrivilege", (
        "the staff's transaction cannot confirm what it does"
    )
    assert broken("worker", made) == "InsufficientPrivilege"


def test_tries_are_counted_by_the_database(broken, people):
    once = (
        "INSERT INTO confirmation_try (try_id, account_id, at, outcome) VALUES ({}, "
        + str(people["ben"])
        + ", now() - interval '1 day', 'right')"
    )
    five = [once.format(number) for number in range(5)]
    assert broken("web", *five, once.format(5)) == "confirmation_try_limit", (
        "whatever it says of time and outcome"
    )
    settle = "UPDATE confirmation_try SET outcome = 'wrong'"
    assert (
        broken("web", five[0], settle, "UPDATE confirmation_try SET outcome = 'right'")
        == "confirmation_try_settle"
    )
    assert broken("web", five[0], "DELETE FROM confirmation_try") == "InsufficientPrivilege"


SIGN_IN = "INSERT INTO sign_in (sign_in_id, account_id, session_id, device, network) VALUES"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ("'user_a', 'w3m', NULL", "sign_in_session_id_is_a_clerk_id"),
        ("'sess_a', '', NULL", "sign_in_device_is_a_few_words"),
        ("'sess_a', 'Mozilla/5.0 (X11)', NULL", "sign_in_device_is_a_few_words"),
        ("'sess_a', 'w3m', '203.0.113.7/32'", "sign_in_network_is_shortened"),
        ("'sess_a', 'w3m', '2001:db8:1:2::/64'", "sign_in_network_is_shortened"),
    ],
)
def test_of_a_sign_in_no_more_is_kept_than_is_shown(broken, people, values, rule):
    assert broken("web", f"{SIGN_IN} (1, {people['ben']}, {values})") == rule


ERRAND = "INSERT INTO errand (errand_id, kind, account_id, facts) VALUES"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ("'mail', {ben}, '{{}}'", "errand_kind_is_known"),
        ("'revoke', NULL, '{{}}'", "errand_revoke_names_a_session"),
        ("'revoke', NULL, '{{\"session\": \"../users\"}}'", "errand_revoke_names_a_session"),
        ("'tell', NULL, '{{}}'", "errand_is_for_somebody"),
        ("'tell', {ben}, '[]'", "errand_facts_are_few"),
    ],
)
def test_an_errand_makes_sense_or_is_none(broken, people, values, rule):
    statement = f"{ERRAND} (1, {values.format(**people)})".replace(":", "\\:")
    assert broken("web", statement) == rule


def test_web_reads_no_errand_and_takes_none_away(broken, people):
    assert broken("web", "SELECT * FROM errand") == "InsufficientPrivilege"
    assert broken("web", "DELETE FROM errand") == "InsufficientPrivilege"
    assert broken("inbound", f"{ERRAND} (1, 'tell', {people['ben']}, '{{}}')") == "InsufficientPrivilege"


@pytest.mark.parametrize(
    "table", ["sign_in", "confirmation_try", "mailbox_member", "address", "session_denial"]
)
def test_the_staff_looks_up_no_session_and_no_address_on_its_own(broken, people, table):
    assert broken("web", STAFF, f"SELECT * FROM {table}") == "InsufficientPrivilege"


def test_two_admins_who_revoke_each_other_are_not_both_right(database, people):
    from concurrent.futures import ThreadPoolExecutor

    def take(number, account, by):
        engine = create_engine(database.urls["web"], poolclass=NullPool)
        try:
            with engine.begin() as connection:
                connection.execute(text(STAFF))
                connection.execute(
                    text(f"{CHANGE} ({number}, {account}, 'admin', 'revoked', {by}, NULL, 'because')")
                )
                connection.execute(text("SELECT pg_sleep(0.2)"))
            return True
        except DBAPIError:
            return False
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(take, 1, people["ada"], people["eve"]),
            pool.submit(take, 2, people["eve"], people["ada"]),
        ]
        assert sorted(one.result() for one in done) == [False, True]
