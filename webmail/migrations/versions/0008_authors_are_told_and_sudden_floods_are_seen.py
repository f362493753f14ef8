"""Authors are told of mail that is late or failed, what is held does not grow old, and sudden floods are seen."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE submission ADD COLUMN counts_from timestamptz NOT NULL DEFAULT now();
UPDATE submission SET counts_from = created_at;

ALTER TABLE delivery ADD COLUMN told text NOT NULL DEFAULT '',
    ADD CONSTRAINT delivery_told_is_known CHECK (told IN ('', 'delayed', 'failed')),
    ADD CONSTRAINT delivery_told_of_failure_has_failed CHECK (told <> 'failed' OR state = 'failed');
-- What failed before anybody was told by mail is known from the page of the message.
UPDATE delivery SET told = 'failed' WHERE state = 'failed';

CREATE TABLE sending_day (
    mailbox_id bigint NOT NULL CONSTRAINT sending_day_mailbox_id_exists REFERENCES mailbox,
    day date NOT NULL,
    recipients integer NOT NULL,
    is_told boolean NOT NULL DEFAULT false,
    CONSTRAINT sending_day_key PRIMARY KEY (mailbox_id, day),
    CONSTRAINT sending_day_recipients_is_positive CHECK (recipients > 0)
);

ALTER TABLE work DROP CONSTRAINT work_kind_is_known,
    ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send', 'fetch', 'unsubscribe', 'submit', 'tell'));
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON sending_day TO mtumail_web, mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)
    op.execute("ALTER TABLE sending_day ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY sending_day_of_the_named_mailbox ON sending_day TO mtumail_web, mtumail_worker "
        "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
    )


def downgrade() -> None:
    op.execute("""
        DROP TABLE sending_day;
        ALTER TABLE submission DROP COLUMN counts_from;
        ALTER TABLE delivery DROP COLUMN told;
        DELETE FROM work WHERE kind = 'tell';
        ALTER TABLE work DROP CONSTRAINT work_kind_is_known,
            ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send', 'fetch', 'unsubscribe', 'submit'))""")
