"""Deliveries tell what happened to them, by whom it was reported, and addresses that failed for good are known."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE delivery_event (
    mailbox_id bigint NOT NULL,
    submission_id bigint NOT NULL,
    number smallint NOT NULL,
    event_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    reply_code smallint,
    status text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    reply text NOT NULL DEFAULT '',
    until timestamptz,
    report_id bigint,
    fingerprint bytea NOT NULL,
    CONSTRAINT delivery_event_key PRIMARY KEY (mailbox_id, submission_id, number, event_id),
    CONSTRAINT delivery_event_delivery_exists FOREIGN KEY (mailbox_id, submission_id, number) REFERENCES delivery ON DELETE CASCADE,
    CONSTRAINT delivery_event_report_exists FOREIGN KEY (mailbox_id, report_id) REFERENCES message ON DELETE SET NULL (report_id),
    CONSTRAINT delivery_event_told_once UNIQUE (mailbox_id, submission_id, number, fingerprint),
    CONSTRAINT delivery_event_kind_is_known CHECK
        (kind IN ('queued', 'handed', 'deferred', 'failed', 'delayed', 'bounced', 'delivered', 'cancelled')),
    CONSTRAINT delivery_event_reply_code_has_three_digits CHECK (reply_code BETWEEN 200 AND 599),
    CONSTRAINT delivery_event_status_is_enhanced CHECK (status ~ '^([245][.][0-9]{1,3}[.][0-9]{1,3})?$'),
    CONSTRAINT delivery_event_reason_is_a_code CHECK (reason ~ '^[a-z-]{0,20}$'),
    CONSTRAINT delivery_event_reply_is_short CHECK (length(reply) <= 500),
    CONSTRAINT delivery_event_fingerprint_is_whole CHECK (octet_length(fingerprint) = 16)
);
CREATE INDEX delivery_event_from_a_report ON delivery_event (mailbox_id, report_id) WHERE report_id IS NOT NULL;

ALTER TABLE correspondent ADD COLUMN failed_at timestamptz,
    ADD COLUMN failed_status text NOT NULL DEFAULT '',
    ADD CONSTRAINT correspondent_failed_status_is_enhanced CHECK
        (failed_status ~ '^([245][.][0-9]{1,3}[.][0-9]{1,3})?$'),
    ADD CONSTRAINT correspondent_failed_status_says_when CHECK (failed_status = '' OR failed_at IS NOT NULL);
"""

GRANTS = """
GRANT SELECT, INSERT ON delivery_event TO mtumail_web, mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)
    op.execute("ALTER TABLE delivery_event ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY delivery_event_of_the_named_mailbox ON delivery_event TO mtumail_web, mtumail_worker "
        "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE delivery_event")
    op.execute("ALTER TABLE correspondent DROP COLUMN failed_at, DROP COLUMN failed_status")
