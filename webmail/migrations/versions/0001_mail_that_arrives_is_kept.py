"""Mail that arrives is kept, sealed, in its owner's mailbox; each process may do its own part and no more."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MAIL_TABLES = (
    "mailbox_key",
    "folder",
    "message",
    "message_source",
    "message_view",
    "message_index",
    "thread_reference",
    "draft",
    "draft_attachment",
    "submission",
    "delivery",
)

TABLES = """
CREATE TABLE domain (
    domain_id bigint CONSTRAINT domain_key PRIMARY KEY,
    name text NOT NULL CONSTRAINT domain_name_taken_once UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT domain_name_is_lower_case CHECK (name = lower(name) AND name ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$')
);

CREATE TABLE account (
    account_id bigint CONSTRAINT account_key PRIMARY KEY,
    clerk_user_id text NOT NULL CONSTRAINT account_clerk_user_id_taken_once UNIQUE,
    name text NOT NULL DEFAULT '',
    contact_email text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'active',
    reading_preference text NOT NULL DEFAULT 'reading',
    rows_preference smallint NOT NULL DEFAULT 50,
    density_preference text NOT NULL DEFAULT 'comfortable',
    clerk_updated_at bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_clerk_user_id_is_a_clerk_id CHECK (clerk_user_id ~ '^user_[A-Za-z0-9]+$'),
    CONSTRAINT account_status_is_known CHECK (status IN ('active', 'suspended', 'closed')),
    CONSTRAINT account_reading_preference_is_known CHECK (reading_preference IN ('reading', 'formatted')),
    CONSTRAINT account_rows_preference_is_known CHECK (rows_preference IN (20, 50, 100)),
    CONSTRAINT account_density_preference_is_known CHECK (density_preference IN ('comfortable', 'compact'))
);

CREATE TABLE account_role (
    account_id bigint NOT NULL CONSTRAINT account_role_account_id_exists REFERENCES account,
    role text NOT NULL,
    granted_by bigint CONSTRAINT account_role_granted_by_exists REFERENCES account,
    granted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_role_key PRIMARY KEY (account_id, role),
    CONSTRAINT account_role_role_is_known CHECK (role IN ('support', 'support_lead', 'reviewer', 'admin', 'auditor')),
    CONSTRAINT account_role_nobody_grants_his_own CHECK (granted_by <> account_id)
);

CREATE TABLE session_denial (
    subject text CONSTRAINT session_denial_key PRIMARY KEY,
    reason text NOT NULL,
    until timestamptz NOT NULL,
    CONSTRAINT session_denial_subject_is_a_clerk_id CHECK (subject ~ '^(user|sess)_[A-Za-z0-9]+$')
);

CREATE TABLE mailbox (
    mailbox_id bigint CONSTRAINT mailbox_key_of_mailbox PRIMARY KEY,
    display_name text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'active',
    public_key bytea NOT NULL,
    quota_bytes bigint NOT NULL,
    used_bytes bigint NOT NULL DEFAULT 0,
    change_counter bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mailbox_state_is_known CHECK (state IN ('active', 'suspended', 'revoked', 'closed')),
    CONSTRAINT mailbox_public_key_is_whole CHECK (octet_length(public_key) = 1217),
    CONSTRAINT mailbox_quota_bytes_is_positive CHECK (quota_bytes > 0)
);

CREATE TABLE mailbox_key (
    mailbox_id bigint CONSTRAINT mailbox_key_key PRIMARY KEY CONSTRAINT mailbox_key_mailbox_id_exists REFERENCES mailbox,
    wrapped bytea NOT NULL,
    CONSTRAINT mailbox_key_wrapped_is_wrapped CHECK (octet_length(wrapped) > 100)
);

CREATE TABLE mailbox_member (
    mailbox_id bigint NOT NULL CONSTRAINT mailbox_member_mailbox_id_exists REFERENCES mailbox,
    account_id bigint NOT NULL CONSTRAINT mailbox_member_account_id_exists REFERENCES account,
    role text NOT NULL DEFAULT 'owner',
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mailbox_member_key PRIMARY KEY (mailbox_id, account_id),
    CONSTRAINT mailbox_member_role_is_known CHECK (role IN ('owner'))
);
CREATE INDEX mailbox_member_account_id ON mailbox_member (account_id);
CREATE UNIQUE INDEX mailbox_member_one_owner_a_mailbox ON mailbox_member (mailbox_id) WHERE role = 'owner';

CREATE TABLE address (
    domain_id bigint NOT NULL CONSTRAINT address_domain_id_exists REFERENCES domain,
    local_part text NOT NULL,
    mailbox_id bigint NOT NULL CONSTRAINT address_mailbox_id_exists REFERENCES mailbox,
    is_primary boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT address_key PRIMARY KEY (domain_id, local_part),
    CONSTRAINT address_local_part_is_folded CHECK (local_part = lower(local_part) AND local_part <> '' AND octet_length(local_part) <= 64),
    CONSTRAINT address_local_part_has_no_tag CHECK (position('+' in local_part) = 0)
);
CREATE INDEX address_mailbox_id ON address (mailbox_id);
CREATE UNIQUE INDEX address_one_primary_a_mailbox ON address (mailbox_id) WHERE is_primary;

CREATE TABLE folder (
    mailbox_id bigint NOT NULL CONSTRAINT folder_mailbox_id_exists REFERENCES mailbox,
    folder_id bigint NOT NULL,
    kind text NOT NULL,
    CONSTRAINT folder_key PRIMARY KEY (mailbox_id, folder_id),
    CONSTRAINT folder_kind_is_known CHECK (kind IN ('inbox', 'sent', 'drafts', 'archive', 'junk', 'trash')),
    CONSTRAINT folder_mailbox_id_kind_taken_once UNIQUE (mailbox_id, kind)
);

CREATE TABLE message (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    folder_id bigint NOT NULL,
    came_from_folder_id bigint,
    state text NOT NULL,
    direction text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    size_bytes bigint NOT NULL,
    thread_id bigint,
    unread boolean NOT NULL DEFAULT true,
    starred boolean NOT NULL DEFAULT false,
    answered boolean NOT NULL DEFAULT false,
    forwarded boolean NOT NULL DEFAULT false,
    attachments smallint NOT NULL DEFAULT 0,
    envelope_from text NOT NULL DEFAULT '',
    envelope_to text NOT NULL DEFAULT '',
    content_key bytea NOT NULL,
    summary bytea,
    CONSTRAINT message_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT message_folder_exists FOREIGN KEY (mailbox_id, folder_id) REFERENCES folder,
    CONSTRAINT message_came_from_folder_exists FOREIGN KEY (mailbox_id, came_from_folder_id) REFERENCES folder (mailbox_id, folder_id),
    CONSTRAINT message_state_is_known CHECK (state IN ('received', 'filed', 'unreadable', 'draft')),
    CONSTRAINT message_direction_is_known CHECK (direction IN ('in', 'out')),
    CONSTRAINT message_size_bytes_is_not_negative CHECK (size_bytes >= 0),
    CONSTRAINT message_content_key_is_wrapped CHECK (octet_length(content_key) BETWEEN 61 AND 2048),
    CONSTRAINT message_filed_has_summary_and_thread CHECK (state <> 'filed' OR (summary IS NOT NULL AND thread_id IS NOT NULL))
);
CREATE INDEX message_in_folder ON message (mailbox_id, folder_id, received_at DESC, message_id DESC) WHERE state <> 'received';
CREATE INDEX message_unread_in_folder ON message (mailbox_id, folder_id) WHERE unread AND state <> 'received';
CREATE INDEX message_in_thread ON message (mailbox_id, thread_id, received_at) WHERE state <> 'received';

CREATE TABLE message_source (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT message_source_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT message_source_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE
);
ALTER TABLE message_source ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE message_view (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    version integer NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT message_view_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT message_view_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE
);
ALTER TABLE message_view ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE message_index (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    words tsvector NOT NULL,
    beginnings tsvector NOT NULL,
    CONSTRAINT message_index_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT message_index_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE
);
CREATE INDEX message_index_words ON message_index USING gin (words);
CREATE INDEX message_index_beginnings ON message_index USING gin (beginnings);

CREATE TABLE thread_reference (
    mailbox_id bigint NOT NULL CONSTRAINT thread_reference_mailbox_id_exists REFERENCES mailbox,
    reference bytea NOT NULL,
    thread_id bigint NOT NULL,
    CONSTRAINT thread_reference_key PRIMARY KEY (mailbox_id, reference),
    CONSTRAINT thread_reference_reference_is_blind CHECK (octet_length(reference) = 16)
);
CREATE INDEX thread_reference_mailbox_id_thread_id ON thread_reference (mailbox_id, thread_id);

CREATE TABLE draft (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    sealed bytea NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT draft_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT draft_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT draft_revision_is_positive CHECK (revision > 0)
);

CREATE TABLE draft_attachment (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    number smallint NOT NULL,
    size_bytes bigint NOT NULL,
    description bytea NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT draft_attachment_key PRIMARY KEY (mailbox_id, message_id, number),
    CONSTRAINT draft_attachment_draft_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES draft ON DELETE CASCADE,
    CONSTRAINT draft_attachment_number_is_small CHECK (number BETWEEN 1 AND 100),
    CONSTRAINT draft_attachment_size_bytes_is_not_negative CHECK (size_bytes >= 0)
);
ALTER TABLE draft_attachment ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE submission (
    mailbox_id bigint NOT NULL,
    submission_id bigint NOT NULL,
    message_id bigint NOT NULL,
    account_id bigint CONSTRAINT submission_account_id_exists REFERENCES account,
    envelope_from text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT submission_key PRIMARY KEY (mailbox_id, submission_id),
    CONSTRAINT submission_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT submission_mailbox_id_message_id_taken_once UNIQUE (mailbox_id, message_id)
);

CREATE TABLE delivery (
    mailbox_id bigint NOT NULL,
    submission_id bigint NOT NULL,
    number smallint NOT NULL,
    recipient text NOT NULL,
    state text NOT NULL DEFAULT 'queued',
    attempts smallint NOT NULL DEFAULT 0,
    reply_code smallint,
    reply text NOT NULL DEFAULT '',
    repeated boolean NOT NULL DEFAULT false,
    next_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT delivery_key PRIMARY KEY (mailbox_id, submission_id, number),
    CONSTRAINT delivery_submission_exists FOREIGN KEY (mailbox_id, submission_id) REFERENCES submission ON DELETE CASCADE,
    CONSTRAINT delivery_mailbox_id_submission_id_recipient_taken_once UNIQUE (mailbox_id, submission_id, recipient),
    CONSTRAINT delivery_state_is_known CHECK (state IN ('queued', 'claimed', 'handed', 'sent', 'deferred', 'failed', 'unknown', 'cancelled')),
    CONSTRAINT delivery_reply_is_short CHECK (length(reply) <= 500)
);

CREATE TABLE work (
    mailbox_id bigint NOT NULL CONSTRAINT work_mailbox_id_exists REFERENCES mailbox,
    kind text NOT NULL,
    item_id bigint NOT NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts smallint NOT NULL DEFAULT 0,
    lease bigint,
    parked_at timestamptz,
    problem text NOT NULL DEFAULT '',
    CONSTRAINT work_key PRIMARY KEY (mailbox_id, kind, item_id),
    CONSTRAINT work_kind_is_known CHECK (kind IN ('file', 'send')),
    CONSTRAINT work_attempts_is_not_negative CHECK (attempts >= 0),
    CONSTRAINT work_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$')
);
CREATE INDEX work_due ON work (kind, due_at) WHERE parked_at IS NULL;

CREATE TABLE audit_event (
    number bigint CONSTRAINT audit_event_key PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    entry text NOT NULL,
    leaf bytea NOT NULL,
    chain bytea NOT NULL,
    CONSTRAINT audit_event_kind_is_dotted CHECK (kind ~ '^[a-z_]+(\\.[a-z_]+)+$'),
    CONSTRAINT audit_event_hashes_are_whole CHECK (octet_length(leaf) = 32 AND octet_length(chain) = 32)
);
CREATE INDEX audit_event_kind_at ON audit_event (kind, at);
"""

FUNCTIONS = """
CREATE FUNCTION audit_append(kind text, actor text, facts jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last record;
    n bigint;
    stamp timestamptz;
    body text;
    hash bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(1635083369);
    SELECT number, chain INTO last FROM audit_event ORDER BY number DESC LIMIT 1;
    n := coalesce(last.number, 0) + 1;
    stamp := clock_timestamp();
    body := jsonb_build_object('number', n, 'at', to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
                               'kind', kind, 'actor', actor, 'role', session_user, 'facts', facts)::text;
    hash := sha256('\\x00'::bytea || convert_to(body, 'UTF8'));
    INSERT INTO audit_event VALUES (n, stamp, kind, actor, body, hash,
        sha256('\\x01'::bytea || coalesce(last.chain, decode(repeat('00', 32), 'hex')) || hash));
    RETURN n;
END $$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_event_keeps_rows BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_event_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE FUNCTION message_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE mailbox SET change_counter = change_counter + 1, used_bytes = used_bytes + d.size
          FROM (SELECT mailbox_id, sum(size_bytes) AS size FROM added WHERE state <> 'received' GROUP BY 1) d
         WHERE mailbox.mailbox_id = d.mailbox_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE mailbox SET change_counter = change_counter + 1, used_bytes = used_bytes - d.size
          FROM (SELECT mailbox_id, sum(size_bytes) FILTER (WHERE state <> 'received') AS size FROM removed GROUP BY 1) d
         WHERE mailbox.mailbox_id = d.mailbox_id;
    ELSE
        UPDATE mailbox SET change_counter = change_counter + 1, used_bytes = used_bytes + d.size
          FROM (SELECT mailbox_id, sum(size) AS size FROM (
                    SELECT mailbox_id, size_bytes AS size FROM added WHERE state <> 'received'
                    UNION ALL SELECT mailbox_id, -size_bytes FROM removed WHERE state <> 'received') both_sides GROUP BY 1) d
         WHERE mailbox.mailbox_id = d.mailbox_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_added AFTER INSERT ON message REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION message_counts();
CREATE TRIGGER message_removed AFTER DELETE ON message REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION message_counts();
CREATE TRIGGER message_changed AFTER UPDATE ON message REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION message_counts();
"""

GRANTS = """
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_append(text, text, jsonb), audit_refuse(), message_counts() FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mtumail_web, mtumail_worker, mtumail_inbound;
REVOKE UPDATE, DELETE, TRUNCATE ON audit_event FROM mtumail_owner;
GRANT EXECUTE ON FUNCTION audit_append(text, text, jsonb) TO mtumail_web, mtumail_worker;

GRANT SELECT ON alembic_version TO mtumail_web, mtumail_worker, mtumail_inbound;
GRANT SELECT ON domain TO mtumail_web, mtumail_worker, mtumail_inbound;
GRANT SELECT, INSERT ON account TO mtumail_web;
GRANT UPDATE (name, contact_email, reading_preference, rows_preference, density_preference, clerk_updated_at) ON account TO mtumail_web;
GRANT SELECT ON account TO mtumail_worker;
GRANT SELECT ON account_role TO mtumail_web, mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON session_denial TO mtumail_web, mtumail_worker;
GRANT SELECT ON mailbox, mailbox_member, address TO mtumail_web, mtumail_worker;
GRANT INSERT ON mailbox, mailbox_member, address TO mtumail_web;
GRANT SELECT (mailbox_id, state, public_key, quota_bytes, used_bytes) ON mailbox TO mtumail_inbound;
GRANT SELECT ON address TO mtumail_inbound;

GRANT SELECT, INSERT ON mailbox_key, folder TO mtumail_web;
GRANT SELECT ON mailbox_key, folder TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON message, message_source, message_view, message_index, thread_reference, draft, draft_attachment
    TO mtumail_web, mtumail_worker;
GRANT SELECT, INSERT, UPDATE ON submission, delivery TO mtumail_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON submission, delivery TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON work TO mtumail_web, mtumail_worker;

GRANT INSERT ON message, message_source, work TO mtumail_inbound;
"""

POLICIES = """
ALTER TABLE work ENABLE ROW LEVEL SECURITY;
CREATE POLICY work_of_the_named_mailbox ON work TO mtumail_web
    USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint);
CREATE POLICY work_of_every_mailbox ON work TO mtumail_worker USING (true);
CREATE POLICY work_begins_unclaimed ON work FOR INSERT TO mtumail_inbound WITH CHECK (kind = 'file' AND attempts = 0 AND lease IS NULL);
CREATE POLICY message_arrives_unopened ON message FOR INSERT TO mtumail_inbound WITH CHECK (state = 'received' AND direction = 'in' AND summary IS NULL);
CREATE POLICY message_source_arrives ON message_source FOR INSERT TO mtumail_inbound WITH CHECK (true);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(GRANTS)
    for table in MAIL_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_the_named_mailbox ON {table} TO mtumail_web, mtumail_worker "
            "USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint)"
        )
    op.execute(POLICIES)


def downgrade() -> None:
    op.execute(
        "DROP TABLE work, delivery, submission, draft_attachment, draft, thread_reference, message_index, message_view, message_source, message, folder"
    )
    op.execute(
        "DROP TABLE address, mailbox_member, mailbox_key, mailbox, session_denial, account_role, account, domain, audit_event"
    )
    op.execute("DROP FUNCTION audit_append(text, text, jsonb), audit_refuse(), message_counts()")
    op.execute("REVOKE SELECT ON alembic_version FROM mtumail_web, mtumail_worker, mtumail_inbound")
    op.execute("REVOKE USAGE ON SCHEMA public FROM mtumail_web, mtumail_worker, mtumail_inbound")
