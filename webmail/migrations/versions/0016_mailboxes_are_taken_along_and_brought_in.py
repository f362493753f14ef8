"""Mailboxes are taken along and brought in: exports made part by part, sealed and for a time; imports that go on where they were."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MAIL_TABLES = (
    "export",
    "export_part",
    "export_chunk",
    "mail_import",
    "mail_import_chunk",
    "mail_import_message",
)

TABLES = """
CREATE TABLE export (
    mailbox_id bigint NOT NULL CONSTRAINT export_mailbox_id_exists REFERENCES mailbox,
    export_id bigint NOT NULL,
    account_id bigint NOT NULL CONSTRAINT export_account_id_exists REFERENCES account,
    state text NOT NULL DEFAULT 'waiting',
    form text NOT NULL,
    folders smallint[] NOT NULL,
    with_records boolean NOT NULL,
    content_key bytea NOT NULL,
    total_messages bigint NOT NULL DEFAULT 0,
    done_messages bigint NOT NULL DEFAULT 0,
    last_folder smallint NOT NULL DEFAULT 0,
    last_at timestamptz,
    last_message bigint,
    problem text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT export_key PRIMARY KEY (mailbox_id, export_id),
    CONSTRAINT export_state_is_known CHECK (state IN ('waiting', 'making', 'ready', 'failed')),
    CONSTRAINT export_form_is_known CHECK (form IN ('mbox', 'zip')),
    CONSTRAINT export_folders_are_known CHECK (folders <@ ARRAY[1, 2, 3, 4, 5, 6]::smallint[]),
    CONSTRAINT export_holds_something CHECK (with_records OR cardinality(folders) > 0),
    CONSTRAINT export_content_key_is_sealed CHECK (octet_length(content_key) > 28),
    CONSTRAINT export_counts_are_not_negative CHECK (total_messages >= 0 AND done_messages >= 0),
    CONSTRAINT export_goes_on_after_a_message CHECK ((last_at IS NULL) = (last_message IS NULL)),
    CONSTRAINT export_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT export_ends_once CHECK ((finished_at IS NOT NULL) = (state IN ('ready', 'failed')))
);
CREATE UNIQUE INDEX export_one_at_a_time ON export (mailbox_id) WHERE state IN ('waiting', 'making');
CREATE INDEX export_account_id ON export (account_id);

CREATE TABLE export_part (
    mailbox_id bigint NOT NULL,
    export_id bigint NOT NULL,
    number smallint NOT NULL,
    name text NOT NULL,
    folder_id smallint,
    month date,
    messages bigint NOT NULL DEFAULT 0,
    size_bytes bigint NOT NULL DEFAULT 0,
    sha256 bytea,
    CONSTRAINT export_part_key PRIMARY KEY (mailbox_id, export_id, number),
    CONSTRAINT export_part_export_exists FOREIGN KEY (mailbox_id, export_id) REFERENCES export ON DELETE CASCADE,
    CONSTRAINT export_part_name_taken_once UNIQUE (mailbox_id, export_id, name),
    CONSTRAINT export_part_name_says_nothing CHECK (name ~ '^[a-z]+(-[0-9]+)*[.][a-z0-9.]+$'),
    CONSTRAINT export_part_number_is_positive CHECK (number > 0),
    CONSTRAINT export_part_counts_are_not_negative CHECK (messages >= 0 AND size_bytes >= 0),
    CONSTRAINT export_part_sha256_is_whole CHECK (octet_length(sha256) = 32),
    CONSTRAINT export_part_of_a_folder_has_a_month CHECK ((folder_id IS NULL) = (month IS NULL))
);

CREATE TABLE export_chunk (
    mailbox_id bigint NOT NULL,
    export_id bigint NOT NULL,
    number smallint NOT NULL,
    start_byte bigint NOT NULL,
    size_bytes integer NOT NULL,
    sealed bytea NOT NULL,
    entries bytea,
    CONSTRAINT export_chunk_key PRIMARY KEY (mailbox_id, export_id, number, start_byte),
    CONSTRAINT export_chunk_part_exists FOREIGN KEY (mailbox_id, export_id, number) REFERENCES export_part ON DELETE CASCADE,
    CONSTRAINT export_chunk_start_byte_is_not_negative CHECK (start_byte >= 0),
    CONSTRAINT export_chunk_size_bytes_is_small CHECK (size_bytes BETWEEN 1 AND 1048576)
);
ALTER TABLE export_chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE mail_import (
    mailbox_id bigint NOT NULL CONSTRAINT mail_import_mailbox_id_exists REFERENCES mailbox,
    import_id bigint NOT NULL,
    account_id bigint NOT NULL CONSTRAINT mail_import_account_id_exists REFERENCES account,
    state text NOT NULL DEFAULT 'uploading',
    folder_id smallint NOT NULL,
    content_key bytea NOT NULL,
    name bytea NOT NULL,
    total_bytes bigint NOT NULL,
    received_bytes bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    places bigint NOT NULL DEFAULT 0,
    trying bigint,
    read_bytes bigint NOT NULL DEFAULT 0,
    taken bigint NOT NULL DEFAULT 0,
    known bigint NOT NULL DEFAULT 0,
    unreadable bigint NOT NULL DEFAULT 0,
    too_large bigint NOT NULL DEFAULT 0,
    no_mail bigint NOT NULL DEFAULT 0,
    problem text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT mail_import_key PRIMARY KEY (mailbox_id, import_id),
    CONSTRAINT mail_import_state_is_known CHECK (state IN ('uploading', 'waiting', 'taking', 'done', 'failed')),
    CONSTRAINT mail_import_folder_takes_mail CHECK (folder_id IN (1, 2, 4, 5, 6)),
    CONSTRAINT mail_import_is_sealed CHECK (octet_length(content_key) > 28 AND octet_length(name) > 28),
    CONSTRAINT mail_import_receives_what_was_said CHECK (received_bytes BETWEEN 0 AND total_bytes),
    CONSTRAINT mail_import_is_whole_before_it_is_read CHECK (state IN ('uploading', 'failed') OR received_bytes = total_bytes),
    CONSTRAINT mail_import_counts_are_not_negative CHECK (least(position, places, read_bytes, taken, known, unreadable, too_large, no_mail) >= 0),
    CONSTRAINT mail_import_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT mail_import_ends_once CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'failed')))
);
CREATE INDEX mail_import_account_id ON mail_import (account_id);

CREATE TABLE mail_import_chunk (
    mailbox_id bigint NOT NULL,
    import_id bigint NOT NULL,
    start_byte bigint NOT NULL,
    size_bytes integer NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT mail_import_chunk_key PRIMARY KEY (mailbox_id, import_id, start_byte),
    CONSTRAINT mail_import_chunk_import_exists FOREIGN KEY (mailbox_id, import_id) REFERENCES mail_import ON DELETE CASCADE,
    CONSTRAINT mail_import_chunk_start_byte_is_not_negative CHECK (start_byte >= 0),
    CONSTRAINT mail_import_chunk_size_bytes_is_small CHECK (size_bytes BETWEEN 1 AND 1048576)
);
ALTER TABLE mail_import_chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE mail_import_message (
    mailbox_id bigint NOT NULL,
    import_id bigint NOT NULL,
    message_id bigint NOT NULL,
    CONSTRAINT mail_import_message_key PRIMARY KEY (mailbox_id, import_id, message_id),
    CONSTRAINT mail_import_message_import_exists FOREIGN KEY (mailbox_id, import_id) REFERENCES mail_import ON DELETE CASCADE,
    CONSTRAINT mail_import_message_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE
);
CREATE INDEX mail_import_message_message_id ON mail_import_message (mailbox_id, message_id);

CREATE INDEX message_by_size ON message (mailbox_id, size_bytes);
"""

# The list of kinds grows with each story; whichever came before stays in it.
WORK_KIND = r"""
DO $$
DECLARE told text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO told FROM pg_constraint
     WHERE conname = 'work_kind_is_known' AND conrelid = 'work'::regclass;
    EXECUTE 'ALTER TABLE work DROP CONSTRAINT work_kind_is_known, ADD CONSTRAINT work_kind_is_known '
        || regexp_replace(told, '\]', ', ''export''::text, ''import''::text]');
END $$;
"""
NO_WORK_KIND = r"""
DELETE FROM work WHERE kind IN ('export', 'import');
DO $$
DECLARE told text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO told FROM pg_constraint
     WHERE conname = 'work_kind_is_known' AND conrelid = 'work'::regclass;
    EXECUTE 'ALTER TABLE work DROP CONSTRAINT work_kind_is_known, ADD CONSTRAINT work_kind_is_known '
        || replace(told, ', ''export''::text, ''import''::text', '');
END $$;
"""

# What a part holds is never changed: it was told with its checksum, and half of it may be with its reader already.
STAYS = """
CREATE FUNCTION export_chunk_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was exported stays as it was exported' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER export_chunk_stays BEFORE UPDATE ON export_chunk FOR EACH ROW EXECUTE FUNCTION export_chunk_stays();
CREATE TRIGGER export_part_stays BEFORE UPDATE ON export_part FOR EACH ROW WHEN (OLD.sha256 IS NOT NULL)
    EXECUTE FUNCTION export_chunk_stays();
"""

GRANTS = """
REVOKE ALL ON FUNCTION export_chunk_stays() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_about(bigint, bigint, integer) TO mtumail_worker;
GRANT SELECT, INSERT, DELETE ON export TO mtumail_web;
GRANT SELECT ON export_part, export_chunk TO mtumail_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON export, export_part, export_chunk TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON mail_import, mail_import_chunk TO mtumail_web, mtumail_worker;
GRANT SELECT, DELETE ON mail_import_message TO mtumail_web;
GRANT SELECT, INSERT, DELETE ON mail_import_message TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(WORK_KIND)
    op.execute(STAYS)
    op.execute(GRANTS)
    for table in MAIL_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_the_named_mailbox ON {table} TO mtumail_web, mtumail_worker "
            "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
        )


def downgrade() -> None:
    op.execute("REVOKE EXECUTE ON FUNCTION audit_about(bigint, bigint, integer) FROM mtumail_worker")
    op.execute("DROP INDEX message_by_size")
    op.execute(
        "DROP TABLE mail_import_message, mail_import_chunk, mail_import, export_chunk, export_part, export"
    )
    op.execute("DROP FUNCTION export_chunk_stays()")
    op.execute(NO_WORK_KIND)
