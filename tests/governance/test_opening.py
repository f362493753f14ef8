"""Opening what was reported: written down first, by one who then reads it, for a quarter of an hour; and nothing else opens."""

from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.errors import NotFound
from webmail.governance import opening, reports
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import OwnerSession


@pytest.fixture
def sam(make_person):
    return make_person("sam", "Sam Lindgren", "support")


@pytest.fixture
def as_staff(web_app):
    @contextmanager
    def enter():
        with web_app.app_context(), transaction(staff=True):
            yield

    return enter


@pytest.fixture
def reported(web_app, master, deliver, letter, ann):
    message_id = deliver(ann, letter("You have won", "Claim your prize.\r\n"))
    deliver(ann, letter("Private", "Nobody's business.\r\n"))
    with web_app.app_context(), transaction(ann.mailbox_id):
        keys = open_mailbox(master, ann.mailbox_id, OwnerSession(ann.account_id))
        return reports.report(keys, master, message_id, account_id=ann.account_id, kind="fraud")


def events(superuser):
    query = "SELECT entry::jsonb -> 'facts' FROM audit_event WHERE kind = 'case.item_opened' ORDER BY number"
    return superuser.execute(text(query)).scalars().all()


def test_P07_P11_it_is_written_down_and_then_it_opens(reported, as_staff, master, sam, ann, superuser):
    with as_staff():
        opened = opening.open_reported(master, reported.report_id, sam.account_id)
    assert b"Claim your prize" in opened.raw
    [facts] = events(superuser)
    assert facts["mailbox"] == ann.mailbox_id
    assert (facts["message"], facts["part"], facts["item"]) == (
        reported.message_id,
        "text",
        reported.report_id,
    )
    assert (
        superuser.execute(text("SELECT account_id, event_number FROM case_opening")).one()[0]
        == sam.account_id
    )


def test_P11_without_its_event_nothing_opens(reported, as_staff, master, sam, superuser):
    superuser.execute(text("ALTER FUNCTION audit_append(text, text, jsonb) RENAME TO audit_append_away"))
    try:
        with pytest.raises(DBAPIError), as_staff():
            opening.open_reported(master, reported.report_id, sam.account_id)
    finally:
        superuser.execute(text("ALTER FUNCTION audit_append_away(text, text, jsonb) RENAME TO audit_append"))
    assert superuser.execute(text("SELECT count(*) FROM case_opening")).scalar_one() == 0


def test_P10_an_opening_is_for_one_person_and_a_quarter_of_an_hour(
    reported, as_staff, master, sam, ben, superuser
):
    with as_staff():
        made = opening.begin(reported.report_id, sam.account_id, "text")
    with as_staff(), pytest.raises(NotFound):
        opening.read(master, made, ben.account_id)
    superuser.exec_driver_sql(
        "SET session_replication_role = replica; UPDATE case_opening SET at = now() - interval '16 minutes';"
        " SET session_replication_role = origin"
    )
    with as_staff(), pytest.raises(NotFound):
        opening.read(master, made, sam.account_id)


@pytest.mark.parametrize(("item", "part"), [(12345, "text"), (None, "everything"), (None, "")])
def test_what_is_no_item_or_no_part_does_not_open(reported, as_staff, sam, superuser, item, part):
    with as_staff(), pytest.raises(NotFound):
        opening.begin(item or reported.report_id, sam.account_id, part)
    assert events(superuser) == []


@pytest.fixture
def as_web(database):
    """Statements as the web process, in one transaction that is rolled back."""

    def run(*statements):
        engine = create_engine(database.urls["web"], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                for statement in statements:
                    result = connection.execute(text(statement))
                return result.all() if result.returns_rows else []
        finally:
            engine.dispose()

    return run


BECOME_STAFF = "SET LOCAL ROLE mtumail_staff"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sealed FROM case_item",
        "SELECT content_key FROM case_item",
        "SELECT secret FROM case_item",
        "SELECT report_mailbox_id FROM case_item",
        "SELECT * FROM report",
        "SELECT * FROM service_key",
        "SELECT * FROM form_visit",
        "INSERT INTO case_opening VALUES (1, 1, 1, 1, 'text', now(), 1)",
        "UPDATE case_opening SET at = now()",
        "DELETE FROM case_opening",
        "UPDATE case_note SET words = ''",
        "DELETE FROM case_note",
        "UPDATE case_answer SET words = ''",
        "DELETE FROM case_file",
        "DELETE FROM case_item",
        "UPDATE case_item SET words = NULL",
        "SELECT reports_told()",
        "SELECT form_told('')",
        "SELECT case_events(1)",
        "SELECT submission_author('', '', 1, '')",
    ],
)
def test_P06_P15_raw_sql_as_the_staff_leads_nowhere_else(reported, as_web, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_web(BECOME_STAFF, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM case_item",
        "SELECT * FROM case_note",
        "SELECT case_read(1, 1)",
        "SELECT case_open(1, 1, 1, 'text')",
    ],
)
def test_P15_web_that_is_not_staff_sees_no_case(reported, as_web, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_web(statement)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE case_file SET kind = 'nonsense'", "case_file_kind_is_known"),
        ("UPDATE case_file SET source = 'x'", "case_file_source_is_known"),
        ("UPDATE case_file SET state = 'gone'", "case_file_state_is_known"),
        ("UPDATE case_file SET state = 'closed'", "case_file_closed_has_a_time"),
        ("UPDATE case_file SET outcome = 'won'", "case_file_outcome_is_known"),
        ("UPDATE case_file SET outcome = 'acted'", "case_file_outcome_is_of_what_is_closed"),
        ("UPDATE case_file SET state = 'closed', closed_at = now(), outcome = 'merged'", "case_file_merged_says_into_which"),
        ("UPDATE case_file SET state = 'closed', closed_at = now(), outcome = 'merged', merged_into = case_id", "case_file_not_merged_into_itself"),
        ("UPDATE case_file SET items = -1", "case_file_items_is_not_negative"),
        ("UPDATE case_file SET revision = 0", "case_file_revision_is_positive"),
        ("UPDATE case_file SET label_item = NULL", "case_file_label_names_its_item"),
        ("UPDATE case_item SET source = 'mail', answerable = false", "case_item_report_is_named"),
        ("UPDATE case_item SET event_number = 1", "case_item_event_is_numbered"),
        ("UPDATE case_item SET sealed = 'x'", "case_item_content_key_is_of_what_is_sealed"),
        ("UPDATE case_item SET sealed = 'x', content_key = decode(repeat('00', 61), 'hex')", "case_item_report_keeps_its_own_copy"),
        ("UPDATE case_item SET sealed = 'x', content_key = 'x'", "case_item_content_key_is_wrapped"),
        ("UPDATE case_item SET reporter = 'x'", "case_item_reporter_is_blind"),
        ("UPDATE case_item SET secret = 'x'", "case_item_secret_is_hashed"),
        ("UPDATE case_item SET kind = 'x'", "case_item_kind_is_known"),
        ("UPDATE case_item SET subjects = array_fill('x'::bytea, ARRAY[11])", "case_item_subjects_are_few"),
        ("UPDATE case_subject SET subject = 'x'", "case_subject_subject_is_blind"),
        ("INSERT INTO case_watch VALUES ('mail', 1)", "case_watch_name_is_known"),
        ("INSERT INTO service_secret VALUES ('mail', '')", "service_secret_purpose_is_known"),
        ("UPDATE service_secret SET wrapped = ''", "service_secret_wrapped_is_wrapped"),
        ("INSERT INTO form_visit VALUES (1, 'x')", "form_visit_visitor_is_blind"),
        ("INSERT INTO canned_answer SELECT 1, '', 'x', min(account_id) FROM account", "canned_answer_title_is_short"),
        ("INSERT INTO canned_answer SELECT 1, 'x', '', min(account_id) FROM account", "canned_answer_words_are_not_endless"),
        ("INSERT INTO service_mailbox SELECT mailbox_id, 'x' FROM mailbox LIMIT 1", "service_mailbox_purpose_is_known"),
        (
            "INSERT INTO case_item (item_id, case_id, kind, source, answerable) SELECT 1, case_id, 'spam', 'mail', true FROM case_file",
            "case_item_answerable_has_somebody",
        ),
    ],
)  # fmt: skip
def test_the_database_refuses_nonsense(reported, superuser, statement, name):
    with pytest.raises(DBAPIError, match=name):
        superuser.execute(text(statement))


def test_a_note_an_answer_and_an_opening_stay_as_they_are(reported, as_staff, master, sam, superuser):
    with as_staff():
        opening.begin(reported.report_id, sam.account_id, "text")
    superuser.execute(
        text("INSERT INTO case_note SELECT 1, case_id, :sam, now(), 'x' FROM case_file"),
        {"sam": sam.account_id},
    )
    for statement in (
        "UPDATE case_note SET words = 'y'",
        "UPDATE case_opening SET part = 'headers'",
        "DELETE FROM case_opening",
    ):
        with pytest.raises(DBAPIError, match="stays as it was written"):
            superuser.execute(text(statement))


def test_the_count_of_a_case_is_kept_by_the_database(reported, superuser):
    superuser.execute(text("DELETE FROM case_item"))
    assert superuser.execute(text("SELECT items FROM case_file")).scalar_one() == 0
