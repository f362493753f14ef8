"""What Clerk tells is kept once, and what is older than what we know changes nothing."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE webhook_event (
    number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT webhook_event_key PRIMARY KEY,
    message_id text NOT NULL CONSTRAINT webhook_event_message_id_taken_once UNIQUE,
    kind text NOT NULL,
    user_id text,
    session_id text,
    outcome text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL DEFAULT 1,
    CONSTRAINT webhook_event_message_id_is_printable CHECK (message_id ~ '^[\\x21-\\x7e]{1,128}$'),
    CONSTRAINT webhook_event_kind_is_a_name CHECK (kind ~ '^[A-Za-z0-9_.]{1,64}$'),
    CONSTRAINT webhook_event_user_id_is_a_clerk_id CHECK (user_id ~ '^user_[A-Za-z0-9]{1,64}$'),
    CONSTRAINT webhook_event_session_id_is_a_clerk_id CHECK (session_id ~ '^sess_[A-Za-z0-9]{1,64}$'),
    CONSTRAINT webhook_event_outcome_is_known CHECK (outcome IN ('applied', 'late', 'nothing')),
    CONSTRAINT webhook_event_came_at_least_once CHECK (deliveries >= 1)
);
CREATE INDEX webhook_event_received_at ON webhook_event (received_at);

ALTER TABLE account
    ADD COLUMN clerk_state text NOT NULL DEFAULT 'present',
    ADD CONSTRAINT account_clerk_state_is_known CHECK (clerk_state IN ('present', 'banned', 'deleted'));

CREATE FUNCTION account_clerk_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.clerk_state = 'deleted' AND NEW.clerk_state <> 'deleted' THEN
        RAISE EXCEPTION 'who was deleted at Clerk does not come back' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.clerk_updated_at < OLD.clerk_updated_at THEN
        RAISE EXCEPTION 'what Clerk told earlier does not replace what it told later' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_clerk_goes_forward BEFORE UPDATE OF clerk_state, clerk_updated_at ON account
    FOR EACH ROW EXECUTE FUNCTION account_clerk_goes_forward();
"""

# The web process takes events in, the staff looks.
GRANTS = """
REVOKE ALL ON FUNCTION account_clerk_goes_forward() FROM PUBLIC;
GRANT SELECT, INSERT ON webhook_event TO mtumail_web;
GRANT UPDATE (outcome, deliveries) ON webhook_event TO mtumail_web;
GRANT SELECT ON webhook_event TO mtumail_staff;
GRANT UPDATE (clerk_state) ON account TO mtumail_web;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP TRIGGER account_clerk_goes_forward ON account")
    op.execute("DROP FUNCTION account_clerk_goes_forward()")
    op.execute("ALTER TABLE account DROP COLUMN clerk_state")
    op.execute("DROP TABLE webhook_event")
