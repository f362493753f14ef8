"""Operations are seen in numbers: what waits and since when, without a look at anybody's mail; kept for a time, to be drawn."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE metric_sample (
    at timestamptz NOT NULL,
    name text NOT NULL,
    label text NOT NULL DEFAULT '',
    value double precision NOT NULL,
    CONSTRAINT metric_sample_key PRIMARY KEY (name, label, at),
    CONSTRAINT metric_sample_name_is_a_word CHECK (name ~ '^[a-z][a-z_]{0,59}$'),
    CONSTRAINT metric_sample_label_is_a_code CHECK (label ~ '^[a-z0-9_.-]{0,60}$'),
    CONSTRAINT metric_sample_value_is_a_number CHECK (value > '-Infinity' AND value < 'Infinity')
);
CREATE INDEX metric_sample_at ON metric_sample (at);
CREATE INDEX work_parked ON work (kind) WHERE parked_at IS NOT NULL;
"""

# Numbers alone come out, whoever asks: the walls before `work` hold for its rows. Counting stops at 10,000, so that a flood does
# not make watching it slow; the oldest of a kind is the first entry of `work_due`.
FUNCTIONS = """
CREATE FUNCTION service_facts(kinds text[]) RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH k AS (SELECT unnest(kinds) AS kind)
    SELECT 'queue_waiting', k.kind, (SELECT count(*) FROM (
        SELECT FROM work w WHERE w.kind = k.kind AND w.parked_at IS NULL AND w.due_at <= now() LIMIT 10000) counted)::float8 FROM k
    UNION ALL
    SELECT 'queue_planned', k.kind, (SELECT count(*) FROM (
        SELECT FROM work w WHERE w.kind = k.kind AND w.parked_at IS NULL AND w.due_at > now() LIMIT 10000) counted)::float8 FROM k
    UNION ALL
    SELECT 'queue_oldest_seconds', k.kind, greatest(0, coalesce(extract(epoch FROM now() - (
        SELECT min(w.due_at) FROM work w WHERE w.kind = k.kind AND w.parked_at IS NULL)), 0))::float8 FROM k
    UNION ALL
    SELECT 'queue_parked', k.kind, (SELECT count(*) FROM (
        SELECT FROM work w WHERE w.kind = k.kind AND w.parked_at IS NOT NULL LIMIT 10000) counted)::float8 FROM k
    UNION ALL
    SELECT 'audit_events', '', coalesce((SELECT max(number) FROM audit_event), 0)::float8
    UNION ALL
    SELECT 'audit_checkpoint_age_seconds', '', extract(epoch FROM now() - c.at)::float8
      FROM (SELECT at FROM audit_checkpoint ORDER BY size DESC LIMIT 1) c
    UNION ALL
    SELECT 'audit_checkpoint_events', '', coalesce((SELECT max(size) FROM audit_checkpoint), 0)::float8
    UNION ALL
    SELECT 'schedule_age_seconds', s.code, extract(epoch FROM now() - s.finished_at)::float8 FROM schedule s WHERE s.finished_at IS NOT NULL
    UNION ALL
    SELECT 'schedule_late_seconds', s.code, greatest(0, extract(epoch FROM now() - s.next_at))::float8
      FROM schedule s WHERE s.lease_until IS NULL OR s.lease_until <= now()
    UNION ALL
    SELECT 'schedule_failed', s.code, (s.outcome NOT IN ('', 'done'))::int::float8 FROM schedule s
    UNION ALL
    SELECT 'backup_age_seconds', '', extract(epoch FROM now() - max(b.finished_at))::float8
      FROM backup_run b WHERE b.kind = 'backup' AND b.outcome = 'done' HAVING max(b.finished_at) IS NOT NULL
    UNION ALL
    SELECT 'database_bytes', '', pg_database_size(current_database())::float8
$$;
REVOKE ALL ON FUNCTION service_facts(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION service_facts(text[]) TO mtumail_web, mtumail_worker, mtumail_staff;

CREATE FUNCTION retention_metrics(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
            SELECT t.ctid FROM metric_sample t WHERE t.at < before LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM metric_sample t USING old WHERE t.ctid = old.ctid RETURNING t.at AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.at) FROM metric_sample t WHERE t.at < before;
    END IF;
END $$;
REVOKE ALL ON FUNCTION retention_metrics(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_metrics(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
"""

GRANTS = """
GRANT SELECT, INSERT ON metric_sample TO mtumail_worker;
GRANT SELECT ON metric_sample TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION service_facts(text[]), retention_metrics(timestamptz, integer, boolean)")
    op.execute("DROP INDEX work_parked")
    op.execute("DROP TABLE metric_sample")
