"""People that one writes to are known, sealed; mail is sent under several names; absence is answered, once a sender."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MAIL_TABLES = (
    "contact",
    "contact_handle",
    "contact_beginning",
    "contact_member",
    "sender_identity",
    "vacation",
    "vacation_answer",
)

TABLES = """
CREATE TABLE contact (
    mailbox_id bigint NOT NULL CONSTRAINT contact_mailbox_id_exists REFERENCES mailbox,
    contact_id bigint NOT NULL,
    kind text NOT NULL DEFAULT 'person',
    state text NOT NULL DEFAULT 'kept',
    is_suggested boolean NOT NULL DEFAULT true,
    head bytea NOT NULL,
    more bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT contact_key PRIMARY KEY (mailbox_id, contact_id),
    CONSTRAINT contact_kind_is_known CHECK (kind IN ('person', 'group')),
    CONSTRAINT contact_state_is_known CHECK (state IN ('kept', 'learned')),
    CONSTRAINT contact_groups_are_not_learned CHECK (kind = 'person' OR state = 'kept'),
    CONSTRAINT contact_is_sealed CHECK (octet_length(head) > 28 AND (more IS NULL OR octet_length(more) > 28))
);
CREATE INDEX contact_kept ON contact (mailbox_id, kind, contact_id) WHERE state = 'kept' AND deleted_at IS NULL;
CREATE INDEX contact_learned ON contact (mailbox_id, changed_at DESC, contact_id DESC) WHERE state = 'learned' AND deleted_at IS NULL;
CREATE INDEX contact_deleted ON contact (mailbox_id, deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE contact_handle (
    mailbox_id bigint NOT NULL,
    token bytea NOT NULL,
    contact_id bigint NOT NULL,
    number smallint NOT NULL DEFAULT 0,
    written bigint NOT NULL DEFAULT 0,
    written_at timestamptz,
    CONSTRAINT contact_handle_key PRIMARY KEY (mailbox_id, token),
    CONSTRAINT contact_handle_contact_exists FOREIGN KEY (mailbox_id, contact_id) REFERENCES contact ON DELETE CASCADE,
    CONSTRAINT contact_handle_token_is_blind CHECK (octet_length(token) = 16),
    CONSTRAINT contact_handle_number_is_small CHECK (number BETWEEN 0 AND 100),
    CONSTRAINT contact_handle_written_is_not_negative CHECK (written >= 0)
);
CREATE INDEX contact_handle_of_contact ON contact_handle (mailbox_id, contact_id);

CREATE TABLE contact_beginning (
    mailbox_id bigint NOT NULL,
    beginning text NOT NULL,
    contact_id bigint NOT NULL,
    CONSTRAINT contact_beginning_key PRIMARY KEY (mailbox_id, beginning, contact_id),
    CONSTRAINT contact_beginning_contact_exists FOREIGN KEY (mailbox_id, contact_id) REFERENCES contact ON DELETE CASCADE,
    CONSTRAINT contact_beginning_is_blind CHECK (length(beginning) = 11)
);
CREATE INDEX contact_beginning_of_contact ON contact_beginning (mailbox_id, contact_id);

CREATE TABLE contact_member (
    mailbox_id bigint NOT NULL,
    group_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    CONSTRAINT contact_member_key PRIMARY KEY (mailbox_id, group_id, contact_id),
    CONSTRAINT contact_member_group_exists FOREIGN KEY (mailbox_id, group_id) REFERENCES contact ON DELETE CASCADE,
    CONSTRAINT contact_member_contact_exists FOREIGN KEY (mailbox_id, contact_id) REFERENCES contact ON DELETE CASCADE,
    CONSTRAINT contact_member_is_not_itself CHECK (group_id <> contact_id)
);
CREATE INDEX contact_member_of_contact ON contact_member (mailbox_id, contact_id);

CREATE TABLE sender_identity (
    mailbox_id bigint NOT NULL CONSTRAINT sender_identity_mailbox_id_exists REFERENCES mailbox,
    identity_id bigint NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sender_identity_key PRIMARY KEY (mailbox_id, identity_id),
    CONSTRAINT sender_identity_is_sealed CHECK (octet_length(sealed) > 28)
);
CREATE UNIQUE INDEX sender_identity_one_default ON sender_identity (mailbox_id) WHERE is_default;

CREATE TABLE vacation (
    mailbox_id bigint CONSTRAINT vacation_key PRIMARY KEY CONSTRAINT vacation_mailbox_id_exists REFERENCES mailbox,
    is_on boolean NOT NULL DEFAULT false,
    first_day date,
    last_day date,
    zone text NOT NULL DEFAULT 'UTC',
    sealed bytea NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vacation_days_are_in_order CHECK (first_day <= last_day),
    CONSTRAINT vacation_zone_is_a_name CHECK (zone ~ '^[A-Za-z0-9_+/-]{1,64}$'),
    CONSTRAINT vacation_is_sealed CHECK (octet_length(sealed) > 28)
);

CREATE TABLE vacation_answer (
    mailbox_id bigint NOT NULL CONSTRAINT vacation_answer_mailbox_id_exists REFERENCES mailbox,
    token bytea NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vacation_answer_key PRIMARY KEY (mailbox_id, token),
    CONSTRAINT vacation_answer_token_is_blind CHECK (octet_length(token) = 16)
);
CREATE INDEX vacation_answer_by_time ON vacation_answer (mailbox_id, answered_at);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON contact, contact_handle, contact_beginning, contact_member TO mtumail_web, mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON sender_identity, vacation TO mtumail_web;
GRANT SELECT ON sender_identity, vacation TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON vacation_answer TO mtumail_web, mtumail_worker;
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
        "DROP TABLE vacation_answer, vacation, sender_identity, contact_member, contact_beginning, contact_handle, contact"
    )
