"""What is kept ends on a schedule: schedules with their last and next runs, what each run removed, folders that empty themselves."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE schedule (
    code text CONSTRAINT schedule_key PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT now(),
    lease bigint,
    lease_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    CONSTRAINT schedule_code_is_a_code CHECK (code ~ '^[a-z]+(-[a-z]+)*$'),
    CONSTRAINT schedule_outcome_is_a_code CHECK (outcome ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT schedule_lease_ends CHECK ((lease IS NULL) = (lease_until IS NULL))
);

CREATE TABLE retention_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT retention_run_key PRIMARY KEY,
    rule text NOT NULL,
    before timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz NOT NULL,
    removed bigint NOT NULL,
    oldest_at timestamptz,
    CONSTRAINT retention_run_rule_is_a_code CHECK (rule ~ '^[a-z]+(-[a-z]+)*$'),
    CONSTRAINT retention_run_removed_is_not_negative CHECK (removed >= 0)
);
CREATE INDEX retention_run_rule_run_id ON retention_run (rule, run_id DESC);

ALTER TABLE folder ADD COLUMN keep_days smallint,
    ADD CONSTRAINT folder_keep_days_is_sensible CHECK (keep_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT folder_keep_days_of_trash_and_junk_alone CHECK (keep_days IS NULL OR kind IN ('trash', 'junk'));
CREATE INDEX folder_that_empties ON folder (mailbox_id) WHERE keep_days IS NOT NULL;

ALTER TABLE message ADD COLUMN moved_at timestamptz;

ALTER TABLE report ALTER COLUMN sealed DROP NOT NULL, ALTER COLUMN content_key DROP NOT NULL,
    ADD CONSTRAINT report_content_key_is_of_what_is_sealed CHECK ((sealed IS NULL) = (content_key IS NULL));
"""

# Each of these may remove what its rule says and nothing else; `really` false only counts.
FUNCTIONS = """
CREATE FUNCTION message_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER message_moves BEFORE UPDATE OF folder_id ON message FOR EACH ROW
    WHEN (NEW.folder_id <> OLD.folder_id) EXECUTE FUNCTION message_moves();

CREATE FUNCTION folders_that_empty(above bigint, most integer) RETURNS TABLE (mailbox_id bigint, folder_id bigint, keep_days smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT mailbox_id, folder_id, keep_days FROM folder
     WHERE keep_days IS NOT NULL AND mailbox_id > above ORDER BY mailbox_id, folder_id LIMIT most
$$;
"""

RULES = {
    "uploads": ("draft_upload", "changed_at", "number IS NULL"),
    "denials": ("session_denial", "until", "true"),
    "deliveries": ("delivery_event", "at", "true"),
    "runs": ("retention_run", "finished_at", "true"),
    "webhooks": ("webhook_event", "received_at", "true"),
    "sign_ins": ("sign_in", "last_seen", "true"),
    "confirmations": ("confirmation", "made_at", "true"),
    "tries": ("confirmation_try", "at", "true"),
    "errands": ("errand", "made_at", "t.parked_at IS NOT NULL"),
    "activity": ("mailbox_activity", "at", "true"),
    "member_notices": ("member_notice", "at", "true"),
    "member_invitations": ("member_invitation", "expires_at", "true"),
    "names": ("resting_name", "until", "true"),
    "visits": ("form_visit", "at", "true"),
    "sending_days": ("sending_day", "day", "true"),
    "exports": ("export", "made_at", "true"),
    "imports": ("mail_import", "made_at", "true"),
}
"""Rule to the table it removes from, the time that counts, and what else must hold."""


# Its own function in the log keeps every hash, and refuses what is younger than a year.
DETAIL = """
CREATE FUNCTION retention_audit_detail(before timestamptz, most integer, really boolean)
    RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first timestamptz;
    counted bigint;
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    SELECT min(at), count(*) INTO first, counted FROM audit_event
     WHERE at < before AND entry IS NOT NULL AND kind <> 'audit.detail_dropped';
    IF really THEN
        counted := audit_drop_detail(before);
    END IF;
    RETURN QUERY SELECT counted, CASE WHEN counted > 0 THEN first END;
END $$;
REVOKE ALL ON FUNCTION retention_audit_detail(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_audit_detail(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
"""


# Of a case that is long closed, what was said and shown goes; that there was one, what it led to, and who looked, stays.
CASES = """
CREATE FUNCTION retention_cases(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old bigint[];
    first timestamptz;
BEGIN
    IF before > now() - interval '23 hours' THEN
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    SELECT array_agg(o.case_id), min(o.closed_at) INTO old, first FROM (
        SELECT f.case_id, f.closed_at FROM case_file f
         WHERE f.state = 'closed' AND f.closed_at < before AND (
               f.label IS NOT NULL OR f.outcome_words IS NOT NULL
               OR EXISTS (SELECT FROM case_note n WHERE n.case_id = f.case_id)
               OR EXISTS (SELECT FROM case_answer a WHERE a.case_id = f.case_id)
               OR EXISTS (SELECT FROM case_item i LEFT JOIN report r ON r.mailbox_id = i.report_mailbox_id AND r.report_id = i.report_id
                           WHERE i.case_id = f.case_id AND (i.sealed IS NOT NULL OR i.words IS NOT NULL OR i.label IS NOT NULL
                                 OR i.contact IS NOT NULL OR r.sealed IS NOT NULL)))
         ORDER BY f.closed_at LIMIT CASE WHEN really THEN most END) o;
    IF really AND old IS NOT NULL THEN
        UPDATE report r SET sealed = NULL, content_key = NULL, words = NULL FROM case_item i
         WHERE i.case_id = ANY (old) AND r.mailbox_id = i.report_mailbox_id AND r.report_id = i.report_id;
        UPDATE case_item SET label = NULL, words = NULL, contact = NULL, sealed = NULL, content_key = NULL, answerable = false
         WHERE case_id = ANY (old);
        DELETE FROM case_note WHERE case_id = ANY (old);
        DELETE FROM case_letter l USING case_answer a WHERE a.answer_id = l.answer_id AND a.case_id = ANY (old);
        DELETE FROM case_answer WHERE case_id = ANY (old);
        UPDATE case_file SET label = NULL, label_item = NULL, outcome_words = NULL WHERE case_id = ANY (old);
    END IF;
    RETURN QUERY SELECT coalesce(cardinality(old), 0)::bigint, first;
END $$;
REVOKE ALL ON FUNCTION retention_cases(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_cases(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
"""


def remover(rule: str, table: str, stamp: str, condition: str) -> str:
    """The function that a rule removes by."""
    return f"""
CREATE FUNCTION retention_{rule}(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
            SELECT t.ctid FROM {table} t WHERE t.{stamp} < before AND {condition} LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM {table} t USING old WHERE t.ctid = old.ctid RETURNING t.{stamp}::timestamptz AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.{stamp})::timestamptz FROM {table} t WHERE t.{stamp} < before AND {condition};
    END IF;
END $$;
REVOKE ALL ON FUNCTION retention_{rule}(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_{rule}(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
"""


GRANTS = """
REVOKE ALL ON FUNCTION folders_that_empty(bigint, integer), message_moves() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION folders_that_empty(bigint, integer) TO mtumail_worker;
GRANT UPDATE (keep_days) ON folder TO mtumail_web;
GRANT SELECT, INSERT, UPDATE ON schedule TO mtumail_worker;
GRANT SELECT, INSERT ON retention_run TO mtumail_worker;
GRANT SELECT ON schedule, retention_run TO mtumail_staff;
GRANT SELECT ON retention_run TO mtumail_web;
GRANT INSERT (code), UPDATE (next_at) ON schedule TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    for rule, (table, stamp, condition) in RULES.items():
        op.execute(remover(rule, table, stamp, condition))
    op.execute(DETAIL)
    op.execute(CASES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION retention_audit_detail(timestamptz, integer, boolean)")
    op.execute("DROP FUNCTION retention_cases(timestamptz, integer, boolean)")
    op.execute("ALTER TABLE report DROP CONSTRAINT report_content_key_is_of_what_is_sealed")
    op.execute("DELETE FROM case_item WHERE report_id IN (SELECT report_id FROM report WHERE sealed IS NULL)")
    op.execute("DELETE FROM report WHERE sealed IS NULL")
    op.execute("ALTER TABLE report ALTER COLUMN sealed SET NOT NULL, ALTER COLUMN content_key SET NOT NULL")
    for rule in RULES:
        op.execute(f"DROP FUNCTION retention_{rule}(timestamptz, integer, boolean)")
    op.execute("DROP TRIGGER message_moves ON message")
    op.execute("DROP FUNCTION folders_that_empty(bigint, integer), message_moves()")
    op.execute("ALTER TABLE message DROP COLUMN moved_at")
    op.execute("ALTER TABLE folder DROP COLUMN keep_days")
    op.execute("DROP TABLE schedule, retention_run")
