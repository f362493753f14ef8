"""Uploads go on where they broke off, and answers are kept for the next time they are needed; both sealed."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MAIL_TABLES = ("draft_upload", "draft_chunk", "kept_answer")

TABLES = """
CREATE TABLE draft_upload (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    upload bytea NOT NULL,
    total_bytes bigint NOT NULL,
    received_bytes bigint NOT NULL DEFAULT 0,
    number smallint,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT draft_upload_key PRIMARY KEY (mailbox_id, message_id, upload),
    CONSTRAINT draft_upload_draft_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES draft ON DELETE CASCADE,
    CONSTRAINT draft_upload_is_named_by_a_token CHECK (octet_length(upload) = 16),
    CONSTRAINT draft_upload_receives_what_was_said CHECK (received_bytes BETWEEN 0 AND total_bytes),
    CONSTRAINT draft_upload_is_attached_when_it_is_whole CHECK (number IS NULL OR received_bytes = total_bytes),
    CONSTRAINT draft_upload_number_is_small CHECK (number BETWEEN 1 AND 100)
);
CREATE INDEX draft_upload_by_time ON draft_upload (mailbox_id, changed_at);

CREATE TABLE draft_chunk (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    upload bytea NOT NULL,
    start_byte bigint NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT draft_chunk_key PRIMARY KEY (mailbox_id, message_id, upload, start_byte),
    CONSTRAINT draft_chunk_upload_exists FOREIGN KEY (mailbox_id, message_id, upload) REFERENCES draft_upload ON DELETE CASCADE,
    CONSTRAINT draft_chunk_start_byte_is_not_negative CHECK (start_byte >= 0)
);
ALTER TABLE draft_chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE kept_answer (
    mailbox_id bigint NOT NULL CONSTRAINT kept_answer_mailbox_id_exists REFERENCES mailbox,
    answer_id bigint NOT NULL,
    name bytea NOT NULL,
    words bytea NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kept_answer_key PRIMARY KEY (mailbox_id, answer_id),
    CONSTRAINT kept_answer_is_sealed CHECK (octet_length(name) > 28 AND octet_length(words) > 28)
);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON draft_upload, draft_chunk, kept_answer TO mtumail_web;
GRANT SELECT, DELETE ON draft_upload, draft_chunk, kept_answer TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)
    for table in MAIL_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_the_named_mailbox ON {table} TO mtumail_web, mtumail_worker "
            "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
        )


def downgrade() -> None:
    op.execute("DROP TABLE kept_answer, draft_chunk, draft_upload")
