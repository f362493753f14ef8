"""What is sent can wait: for somebody to think better of it, for a time, or for room under a limit."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE scheduled (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    revision integer NOT NULL,
    account_id bigint NOT NULL CONSTRAINT scheduled_account_id_exists REFERENCES account,
    way text NOT NULL,
    send_at timestamptz NOT NULL,
    held text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT scheduled_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT scheduled_draft_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES draft ON DELETE CASCADE,
    CONSTRAINT scheduled_revision_is_positive CHECK (revision > 0),
    CONSTRAINT scheduled_way_is_known CHECK (way IN ('undo', 'later', 'now')),
    CONSTRAINT scheduled_held_is_known CHECK (held IN ('', 'limit', 'suspended', 'changed', 'unsendable', 'error'))
);

CREATE TABLE limit_told (
    mailbox_id bigint NOT NULL CONSTRAINT limit_told_mailbox_id_exists REFERENCES mailbox,
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT limit_told_key PRIMARY KEY (mailbox_id)
);

CREATE INDEX submission_by_time ON submission (mailbox_id, created_at);

ALTER TABLE work DROP CONSTRAINT work_kind_is_known,
    ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send', 'fetch', 'unsubscribe', 'submit'));
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON scheduled, limit_told TO mtumail_web, mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)
    for table in ("scheduled", "limit_told"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_the_named_mailbox ON {table} TO mtumail_web, mtumail_worker "
            "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
        )


def downgrade() -> None:
    # Drafts stay drafts: what waited does not leave.
    op.execute("""
        DROP TABLE limit_told, scheduled;
        DROP INDEX submission_by_time;
        DELETE FROM work WHERE kind = 'submit';
        ALTER TABLE work DROP CONSTRAINT work_kind_is_known,
            ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send', 'fetch', 'unsubscribe'))""")
