"""Relays are tried from a page: a test mail, and the whole conversation about it."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE relay_trial (
    trial_id bigint CONSTRAINT relay_trial_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT relay_trial_account_id_exists REFERENCES account ON DELETE CASCADE,
    asked_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    lines jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT relay_trial_outcome_is_known CHECK (outcome IN ('', 'sent', 'deferred', 'failed', 'unknown', 'no-relay')),
    CONSTRAINT relay_trial_finished_says_how CHECK ((finished_at IS NULL) = (outcome = '')),
    CONSTRAINT relay_trial_lines_are_few CHECK (jsonb_typeof(lines) = 'array' AND octet_length(lines::text) <= 2000000)
);
CREATE INDEX relay_trial_asked ON relay_trial (asked_at DESC, trial_id);
CREATE INDEX relay_trial_waiting ON relay_trial (asked_at) WHERE finished_at IS NULL;
CREATE INDEX relay_trial_account_id ON relay_trial (account_id);

CREATE FUNCTION retention_trials(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF before > now() - interval '23 hours' THEN
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (SELECT t.trial_id FROM relay_trial t WHERE t.asked_at < before LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM relay_trial t USING old WHERE t.trial_id = old.trial_id RETURNING t.asked_at AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.asked_at) FROM relay_trial t WHERE t.asked_at < before;
    END IF;
END $$;
"""

GRANTS = """
REVOKE ALL ON FUNCTION retention_trials(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_trials(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
GRANT SELECT, INSERT (trial_id, account_id) ON relay_trial TO mtumail_staff;
GRANT SELECT (account_id) ON relay_trial TO mtumail_web;
GRANT SELECT, UPDATE (started_at, finished_at, outcome, lines) ON relay_trial TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION retention_trials(timestamptz, integer, boolean)")
    op.execute("DROP TABLE relay_trial")
