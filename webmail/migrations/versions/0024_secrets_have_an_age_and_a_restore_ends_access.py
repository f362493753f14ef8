"""It is seen when a secret was changed last, and how far a new master key has come; a restore closes what staff had open; and keys
that were destroyed are gone from the files of the database, too."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# `mark` is a keyed hash of the secret, under a key made from the master key: it tells that a secret changed, and nothing of it.
TABLES = """
CREATE TABLE secret_mark (
    name text CONSTRAINT secret_mark_key PRIMARY KEY,
    mark bytea NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    is_first boolean NOT NULL DEFAULT true,
    CONSTRAINT secret_mark_name_is_a_code CHECK (name ~ '^[a-z]+(-[a-z0-9]+)*$' AND length(name) <= 60),
    CONSTRAINT secret_mark_mark_is_a_hash CHECK (octet_length(mark) = 32),
    CONSTRAINT secret_mark_goes_forward CHECK (seen_at >= since)
);

CREATE TABLE key_rotation (
    rotation_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT key_rotation_key PRIMARY KEY,
    key_id bytea NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL,
    CONSTRAINT key_rotation_key_id_is_short CHECK (octet_length(key_id) = 4),
    CONSTRAINT key_rotation_counts_are_not_negative CHECK (done >= 0 AND total >= 0),
    CONSTRAINT key_rotation_goes_forward CHECK (moved_at >= started_at AND finished_at >= started_at)
);
CREATE TABLE key_sweep (
    part text CONSTRAINT key_sweep_key PRIMARY KEY,
    swept_at timestamptz NOT NULL,
    CONSTRAINT key_sweep_is_one CHECK (part = 'all')
);
CREATE UNIQUE INDEX key_rotation_one_at_a_time ON key_rotation (key_id) WHERE finished_at IS NULL;
"""

ACCESS = """
ALTER TABLE access_grant DROP CONSTRAINT access_grant_closed_says_why,
    ADD CONSTRAINT access_grant_closed_says_why CHECK ((state = 'closed') = (closed_at IS NOT NULL)
        AND (closed_at IS NULL) = (closed_why IS NULL) AND closed_why IN ('holder', 'colleague', 'case', 'role'{more}))
"""

# What Postgres has deleted stays in its pages until something else is written there, also after a vacuum. The table of keys is small:
# it is written anew, and the old file removed. A snapshot that was open, as a backup's is for hours, has its rows copied all the same:
# so for a day after the last mailbox was erased it is done again now and then. Readers wait for it; it waits for them for three seconds.
SWEEP = """
CREATE FUNCTION mailbox_keys_sweep() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '3s' AS $$
BEGIN
    IF EXISTS (SELECT FROM key_sweep WHERE swept_at > now() - interval '6 hours' AND swept_at > coalesce(
            (SELECT max(deleted_at) FROM tombstone WHERE message_id IS NULL AND deleted_at > now() - interval '6 hours'), '-infinity'))
       OR NOT EXISTS (SELECT FROM tombstone WHERE message_id IS NULL AND deleted_at > now() - interval '26 hours') THEN
        RETURN false;
    END IF;
    CLUSTER mailbox_key USING mailbox_key_key;
    INSERT INTO key_sweep VALUES ('all', now()) ON CONFLICT (part) DO UPDATE SET swept_at = excluded.swept_at;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
REVOKE ALL ON FUNCTION mailbox_keys_sweep() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailbox_keys_sweep() TO mtumail_worker;
"""

RUNS = """
ALTER TABLE backup_run DROP CONSTRAINT backup_run_kind_is_known,
    ADD CONSTRAINT backup_run_kind_is_known CHECK (kind IN ('backup', 'journal', 'drill', 'restore'{more}))
"""

GRANTS = """
GRANT SELECT, INSERT (name, mark), UPDATE (mark, since, seen_at, is_first) ON secret_mark TO mtumail_web, mtumail_worker;
GRANT SELECT (name, since, seen_at, is_first) ON secret_mark TO mtumail_staff;
GRANT SELECT ON key_rotation TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(ACCESS.format(more=", 'restored'"))
    op.execute(RUNS.format(more=", 'pruning'"))
    op.execute(SWEEP)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("ALTER TABLE access_grant DISABLE TRIGGER USER")
    op.execute("UPDATE access_grant SET closed_why = 'case' WHERE closed_why = 'restored'")
    op.execute("ALTER TABLE access_grant ENABLE TRIGGER USER")
    op.execute(ACCESS.format(more=""))
    op.execute("DROP FUNCTION mailbox_keys_sweep()")
    op.execute("ALTER TABLE mailbox_key SET WITHOUT CLUSTER")
    op.execute("DELETE FROM backup_run WHERE kind = 'pruning'")
    op.execute(RUNS.format(more=""))
    op.execute("DROP TABLE key_rotation, key_sweep, secret_mark")
