"""Backups are made by a role that reads everything and changes nothing; each run is written down, and how far the journal is."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE backup_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT backup_run_key PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    bytes bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    outcome text NOT NULL DEFAULT '',
    CONSTRAINT backup_run_kind_is_known CHECK (kind IN ('backup', 'journal', 'drill', 'restore')),
    CONSTRAINT backup_run_name_is_a_name CHECK (name ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT backup_run_outcome_is_a_code CHECK (outcome ~ '^[a-z0-9-]{0,60}$'),
    CONSTRAINT backup_run_finished_with_an_outcome CHECK ((finished_at IS NULL) = (outcome = '')),
    CONSTRAINT backup_run_counts_are_not_negative CHECK (bytes >= 0 AND rows >= 0)
);
CREATE INDEX backup_run_kind_run_id ON backup_run (kind, run_id DESC);

CREATE TABLE backup_journal (
    part text CONSTRAINT backup_journal_key PRIMARY KEY,
    written_at timestamptz NOT NULL,
    audit_number bigint NOT NULL,
    stones_at timestamptz NOT NULL,
    keys_mark text NOT NULL,
    CONSTRAINT backup_journal_is_one CHECK (part = 'all'),
    CONSTRAINT backup_journal_audit_number_is_not_negative CHECK (audit_number >= 0)
);
"""

# Tables of later versions get their grant by default, and their policy when this is called at the end of every migration.
RIGHTS = """
CREATE FUNCTION backup_reads_all() RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    one record;
BEGIN
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO mtumail_backup;
    GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO mtumail_backup;
    FOR one IN SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity
           AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'backup_reads') LOOP
        EXECUTE format('CREATE POLICY backup_reads ON %I FOR SELECT TO mtumail_backup USING (true)', one.relname);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION backup_reads_all() FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mtumail_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO mtumail_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO mtumail_backup;
SELECT backup_reads_all();
GRANT SELECT, INSERT (kind, name), UPDATE (name, finished_at, bytes, rows, outcome) ON backup_run TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE ON backup_journal TO mtumail_worker;
GRANT SELECT ON backup_run, backup_journal TO mtumail_staff;
"""

NO_RIGHTS = """
DROP TABLE backup_run, backup_journal;
DROP FUNCTION backup_reads_all();
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.polname = 'backup_reads' LOOP
        EXECUTE format('DROP POLICY backup_reads ON %I', one.relname);
    END LOOP;
END $$;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM mtumail_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON SEQUENCES FROM mtumail_backup;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM mtumail_backup;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM mtumail_backup;
REVOKE USAGE ON SCHEMA public FROM mtumail_backup;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(RIGHTS)


def downgrade() -> None:
    op.execute(NO_RIGHTS)
