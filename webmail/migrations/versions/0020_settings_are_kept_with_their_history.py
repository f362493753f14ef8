"""Settings of the service are kept here, with all they ever were and who changed them."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE setting (
    name text CONSTRAINT setting_key PRIMARY KEY,
    value jsonb,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    CONSTRAINT setting_name_is_dotted CHECK (name ~ '^[a-z_]+(\\.[a-z0-9_]+)+$' AND length(name) <= 100),
    CONSTRAINT setting_value_is_small CHECK (octet_length(value::text) <= 65536),
    CONSTRAINT setting_changed_by_is_an_actor CHECK (changed_by ~ '^(account|cli|system):.+' AND length(changed_by) <= 200),
    CONSTRAINT setting_reason_is_short CHECK (length(reason) <= 1000)
);

CREATE TABLE setting_change (
    change_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT setting_change_key PRIMARY KEY,
    name text NOT NULL,
    before jsonb,
    after jsonb,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX setting_change_name_change_id ON setting_change (name, change_id DESC);
"""

# The history is written by the database itself: no road to the value passes it by.
FUNCTIONS = """
CREATE FUNCTION setting_remember() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO setting_change (name, before, after, changed_at, changed_by, reason)
        VALUES (NEW.name, NULL, NEW.value, NEW.changed_at, NEW.changed_by, NEW.reason);
    ELSIF NEW.value IS DISTINCT FROM OLD.value THEN
        INSERT INTO setting_change (name, before, after, changed_at, changed_by, reason)
        VALUES (NEW.name, OLD.value, NEW.value, NEW.changed_at, NEW.changed_by, NEW.reason);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER setting_remembers AFTER INSERT OR UPDATE ON setting FOR EACH ROW EXECUTE FUNCTION setting_remember();

CREATE FUNCTION setting_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
        RAISE EXCEPTION 'a setting keeps its name' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.changed_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER setting_stamps BEFORE INSERT OR UPDATE ON setting FOR EACH ROW EXECUTE FUNCTION setting_stamp();

CREATE FUNCTION setting_change_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of settings is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER setting_change_keeps_rows BEFORE UPDATE OR DELETE ON setting_change FOR EACH ROW EXECUTE FUNCTION setting_change_refuse();
CREATE TRIGGER setting_change_keeps_all BEFORE TRUNCATE ON setting_change FOR EACH STATEMENT EXECUTE FUNCTION setting_change_refuse();
CREATE TRIGGER setting_stays BEFORE DELETE ON setting FOR EACH ROW EXECUTE FUNCTION setting_change_refuse();
"""

GRANTS = """
REVOKE ALL ON FUNCTION setting_remember(), setting_stamp(), setting_change_refuse() FROM PUBLIC;
GRANT SELECT ON setting TO mtumail_web, mtumail_worker, mtumail_inbound;
GRANT SELECT, INSERT, UPDATE ON setting TO mtumail_staff;
GRANT SELECT ON setting_change TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP TABLE setting, setting_change")
    op.execute("DROP FUNCTION setting_remember(), setting_stamp(), setting_change_refuse()")
