"""What the database itself refuses about exports and imports: by a raw row each."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

KEY = f"'\\x{'00' * 40}'"
EXPORT = "INSERT INTO export (mailbox_id, export_id, account_id, form, folders, with_records, content_key, state, finished_at)"
PART = "INSERT INTO export_part (mailbox_id, export_id, number, name, folder_id, month, sha256)"
CHUNK = "INSERT INTO export_chunk (mailbox_id, export_id, number, start_byte, size_bytes, sealed)"
IMPORT = "INSERT INTO mail_import (mailbox_id, import_id, account_id, folder_id, content_key, name, total_bytes, received_bytes, state, finished_at)"
IMPORT_CHUNK = "INSERT INTO mail_import_chunk (mailbox_id, import_id, start_byte, size_bytes, sealed)"


@pytest.fixture
def there(superuser, ann):
    """An export with a whole part and a piece, and an import; statements may name :m and :a."""

    def run(statement):
        values = {"m": ann.mailbox_id, "a": ann.account_id}
        told = {name: one for name, one in values.items() if f":{name}" in statement}
        superuser.execute(text(statement), told)

    run(f"{EXPORT} VALUES (:m, 1, :a, 'mbox', '{{1}}', true, {KEY}, 'making', NULL)")
    run(f"{PART} VALUES (:m, 1, 1, 'inbox-2026-11.mbox', 1, '2026-11-01', sha256('x'))")
    run(f"{CHUNK} VALUES (:m, 1, 1, 0, 1, 'x')")
    run(f"{IMPORT} VALUES (:m, 1, :a, 4, {KEY}, {KEY}, 10, 0, 'uploading', NULL)")
    return run


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{1}}', true, {KEY}, 'waiting', NULL)", "export_one_at_a_time"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'tar', '{{1}}', true, {KEY}, 'failed', now())", "export_form_is_known"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{7}}', true, {KEY}, 'failed', now())", "export_folders_are_known"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{}}', false, {KEY}, 'failed', now())", "export_holds_something"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{1}}', true, 'x', 'failed', now())", "export_content_key_is_sealed"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{1}}', true, {KEY}, 'ready', NULL)", "export_ends_once"),
        (f"{EXPORT} VALUES (:m, 2, :a, 'mbox', '{{1}}', true, {KEY}, 'lost', NULL)", "export_state_is_known"),
        (f"{EXPORT} VALUES (:m, 2, 1, 'mbox', '{{1}}', true, {KEY}, 'failed', now())", "export_account_id_exists"),
        ("UPDATE export SET last_at = now()", "export_goes_on_after_a_message"),
        ("UPDATE export SET done_messages = -1", "export_counts_are_not_negative"),
        ("UPDATE export SET problem = 'Words of it'", "export_problem_is_a_code"),
        (f"{PART} VALUES (:m, 1, 2, 'inbox-2026-11.mbox', 1, '2026-11-01', NULL)", "export_part_name_taken_once"),
        (f"{PART} VALUES (:m, 1, 2, '../x', NULL, NULL, NULL)", "export_part_name_says_nothing"),
        (f"{PART} VALUES (:m, 1, 2, 'a.txt', 1, NULL, NULL)", "export_part_of_a_folder_has_a_month"),
        (f"{PART} VALUES (:m, 1, 0, 'a.txt', NULL, NULL, NULL)", "export_part_number_is_positive"),
        (f"{PART} VALUES (:m, 1, 2, 'a.txt', NULL, NULL, 'x')", "export_part_sha256_is_whole"),
        (f"{PART} VALUES (:m, 9, 2, 'a.txt', NULL, NULL, NULL)", "export_part_export_exists"),
        (f"{CHUNK} VALUES (:m, 1, 9, 0, 1, 'x')", "export_chunk_part_exists"),
        (f"{CHUNK} VALUES (:m, 1, 1, -1, 1, 'x')", "export_chunk_start_byte_is_not_negative"),
        (f"{CHUNK} VALUES (:m, 1, 1, 5, 1048577, 'x')", "export_chunk_size_bytes_is_small"),
        ("UPDATE export_chunk SET sealed = 'y'", "stays as it was exported"),
        ("UPDATE export_part SET size_bytes = 5", "stays as it was exported"),
        (f"{IMPORT} VALUES (:m, 2, :a, 3, {KEY}, {KEY}, 10, 0, 'uploading', NULL)", "mail_import_folder_takes_mail"),
        (f"{IMPORT} VALUES (:m, 2, :a, 4, {KEY}, 'x', 10, 0, 'uploading', NULL)", "mail_import_is_sealed"),
        (f"{IMPORT} VALUES (:m, 2, :a, 4, {KEY}, {KEY}, 10, 11, 'uploading', NULL)", "mail_import_receives_what_was_said"),
        (f"{IMPORT} VALUES (:m, 2, :a, 4, {KEY}, {KEY}, 10, 9, 'waiting', NULL)", "mail_import_is_whole_before_it_is_read"),
        (f"{IMPORT} VALUES (:m, 2, :a, 4, {KEY}, {KEY}, 10, 10, 'done', NULL)", "mail_import_ends_once"),
        (f"{IMPORT} VALUES (:m, 2, :a, 4, {KEY}, {KEY}, 10, 10, 'lost', NULL)", "mail_import_state_is_known"),
        ("UPDATE mail_import SET taken = -1", "mail_import_counts_are_not_negative"),
        ("UPDATE mail_import SET problem = 'Words of it'", "mail_import_problem_is_a_code"),
        (f"{IMPORT_CHUNK} VALUES (:m, 9, 0, 1, 'x')", "mail_import_chunk_import_exists"),
        (f"{IMPORT_CHUNK} VALUES (:m, 1, -1, 1, 'x')", "mail_import_chunk_start_byte_is_not_negative"),
        (f"{IMPORT_CHUNK} VALUES (:m, 1, 0, 0, 'x')", "mail_import_chunk_size_bytes_is_small"),
        ("INSERT INTO mail_import_message VALUES (:m, 9, 1)", "mail_import_message_import_exists"),
        ("INSERT INTO mail_import_message VALUES (:m, 1, 1)", "mail_import_message_message_exists"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_a_rule_is_refused(there, statement, rule):
    with pytest.raises((IntegrityError, DBAPIError), match=rule):
        there(statement)


TABLES = (
    "export",
    "export_part",
    "export_chunk",
    "mail_import",
    "mail_import_chunk",
    "mail_import_message",
)


@pytest.mark.parametrize("table", TABLES)
def test_P15_each_role_sees_its_part_and_no_more(database, there, table):
    def ask(role, *before):
        engine = create_engine(database.urls[role], poolclass=NullPool)
        try:
            with engine.connect() as connection:
                for statement in before:
                    connection.execute(text(statement))
                return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
        finally:
            engine.dispose()

    assert ask("web") == ask("worker") == 0, "no mailbox was named"
    for role, before in (("inbound", ()), ("web", ("SET LOCAL ROLE mtumail_staff",))):
        with pytest.raises(ProgrammingError, match="permission denied"):
            ask(role, *before)
