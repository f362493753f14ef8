"""Reading knows who wrote before, fetches pictures on consent, and keeps answers, unsubscriptions and reports."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MAIL_TABLES = ("correspondent", "message_picture", "unsubscription", "invitation_answer", "report")

TABLES = """
CREATE TABLE correspondent (
    mailbox_id bigint NOT NULL CONSTRAINT correspondent_mailbox_id_exists REFERENCES mailbox,
    token bytea NOT NULL,
    received bigint NOT NULL DEFAULT 0,
    sent bigint NOT NULL DEFAULT 0,
    pictures boolean NOT NULL DEFAULT false,
    blocked_at timestamptz,
    sealed bytea,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT correspondent_key PRIMARY KEY (mailbox_id, token),
    CONSTRAINT correspondent_token_is_blind CHECK (octet_length(token) = 16),
    CONSTRAINT correspondent_counts_are_not_negative CHECK (received >= 0 AND sent >= 0),
    CONSTRAINT correspondent_rule_has_address CHECK (sealed IS NOT NULL OR NOT (pictures OR blocked_at IS NOT NULL))
);
CREATE INDEX correspondent_with_a_rule ON correspondent (mailbox_id) WHERE pictures OR blocked_at IS NOT NULL;

CREATE TABLE message_picture (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    number smallint NOT NULL,
    state text NOT NULL DEFAULT 'wanted',
    problem text NOT NULL DEFAULT '',
    original_bytes bigint NOT NULL DEFAULT 0,
    width integer NOT NULL DEFAULT 0,
    height integer NOT NULL DEFAULT 0,
    content_type text NOT NULL DEFAULT '',
    size_bytes bigint NOT NULL DEFAULT 0,
    sealed bytea,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT message_picture_key PRIMARY KEY (mailbox_id, message_id, number),
    CONSTRAINT message_picture_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT message_picture_state_is_known CHECK (state IN ('wanted', 'fetched', 'failed')),
    CONSTRAINT message_picture_number_is_small CHECK (number BETWEEN 1 AND 1000),
    CONSTRAINT message_picture_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT message_picture_sizes_are_not_negative CHECK (original_bytes >= 0 AND size_bytes >= 0 AND width >= 0 AND height >= 0),
    CONSTRAINT message_picture_fetched_is_sealed CHECK ((state = 'fetched') = (sealed IS NOT NULL))
);
ALTER TABLE message_picture ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE unsubscription (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    way text NOT NULL,
    state text NOT NULL DEFAULT 'asked',
    reply_code smallint,
    problem text NOT NULL DEFAULT '',
    asked_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unsubscription_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT unsubscription_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT unsubscription_way_is_known CHECK (way IN ('post', 'mail')),
    CONSTRAINT unsubscription_state_is_known CHECK (state IN ('asked', 'done', 'failed')),
    CONSTRAINT unsubscription_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$')
);

CREATE TABLE invitation_answer (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    answer text NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invitation_answer_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT invitation_answer_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT invitation_answer_answer_is_known CHECK (answer IN ('accepted', 'declined', 'tentative'))
);

CREATE TABLE service_key (
    purpose text CONSTRAINT service_key_key PRIMARY KEY,
    public_key bytea NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT service_key_purpose_is_known CHECK (purpose IN ('reports')),
    CONSTRAINT service_key_public_key_is_whole CHECK (octet_length(public_key) = 1217)
);

CREATE TABLE report (
    mailbox_id bigint NOT NULL CONSTRAINT report_mailbox_id_exists REFERENCES mailbox,
    report_id bigint NOT NULL,
    message_id bigint NOT NULL,
    account_id bigint NOT NULL CONSTRAINT report_account_id_exists REFERENCES account,
    kind text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    content_key bytea NOT NULL,
    sealed bytea NOT NULL,
    words bytea,
    reported_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT report_key PRIMARY KEY (mailbox_id, report_id),
    CONSTRAINT report_message_reported_once UNIQUE (mailbox_id, message_id),
    CONSTRAINT report_kind_is_known CHECK (kind IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'other')),
    CONSTRAINT report_state_is_known CHECK (state IN ('open', 'closed')),
    CONSTRAINT report_content_key_is_wrapped CHECK (octet_length(content_key) BETWEEN 61 AND 2048)
);
ALTER TABLE report ALTER COLUMN sealed SET STORAGE EXTERNAL;

ALTER TABLE message_view ADD COLUMN layout bytea;
ALTER TABLE message_view ALTER COLUMN layout SET STORAGE EXTERNAL;

ALTER TABLE account ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT account_preferences_is_small CHECK (jsonb_typeof(preferences) = 'object' AND octet_length(preferences::text) <= 4096);

ALTER TABLE work DROP CONSTRAINT work_kind_is_known,
    ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send', 'fetch', 'unsubscribe'));
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON correspondent, message_picture, unsubscription TO mtumail_web, mtumail_worker;
GRANT SELECT, INSERT, UPDATE ON invitation_answer TO mtumail_web, mtumail_worker;
GRANT SELECT, INSERT ON report, service_key TO mtumail_web;
GRANT SELECT ON report, service_key TO mtumail_worker;
GRANT UPDATE (preferences) ON account TO mtumail_web;
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
    op.execute(
        "DROP TABLE report, service_key, invitation_answer, unsubscription, message_picture, correspondent"
    )
    op.execute("ALTER TABLE message_view DROP COLUMN layout")
    op.execute("ALTER TABLE account DROP COLUMN preferences")
    op.execute("DELETE FROM work WHERE kind IN ('fetch', 'unsubscribe')")
    op.execute(
        "ALTER TABLE work DROP CONSTRAINT work_kind_is_known, ADD CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send'))"
    )
