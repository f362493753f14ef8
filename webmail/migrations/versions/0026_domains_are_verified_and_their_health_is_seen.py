"""Domains are verified, have other names, and are looked at by day; how mail is taken is counted by receiving domain."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# What was hosted before is believed: its mail has been coming here. `token` is public: it is what DNS has to say.
CHANGES = """
ALTER TABLE domain
    ADD COLUMN state text NOT NULL DEFAULT 'active',
    ADD COLUMN token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN alias_of bigint CONSTRAINT domain_alias_of_exists REFERENCES domain,
    ADD COLUMN alias_was bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN sts_mode text NOT NULL DEFAULT 'none',
    ADD CONSTRAINT domain_state_is_known CHECK (state IN ('active', 'resting', 'removed')),
    ADD CONSTRAINT domain_token_cannot_be_guessed CHECK (token ~ '^[a-z0-9]{20,64}$'),
    ADD CONSTRAINT domain_alias_is_of_another CHECK (alias_of <> domain_id),
    ADD CONSTRAINT domain_removed_is_nothing CHECK (state <> 'removed' OR (verified_at IS NULL AND alias_of IS NULL)),
    ADD CONSTRAINT domain_sts_mode_is_known CHECK (sts_mode IN ('none', 'testing', 'enforce'));
UPDATE domain SET verified_at = created_at;
CREATE INDEX domain_alias_of ON domain (alias_of);
CREATE INDEX resting_name_domain_id_until ON resting_name (domain_id, until);
"""

TABLES = """
CREATE TABLE domain_route (
    domain_id bigint NOT NULL CONSTRAINT domain_route_domain_id_exists REFERENCES domain,
    name text NOT NULL,
    mailbox_id bigint NOT NULL CONSTRAINT domain_route_mailbox_id_exists REFERENCES mailbox ON DELETE CASCADE,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT domain_route_key PRIMARY KEY (domain_id, name),
    CONSTRAINT domain_route_name_is_known CHECK (name IN ('*', 'postmaster', 'abuse'))
);
CREATE INDEX domain_route_mailbox_id ON domain_route (mailbox_id);

CREATE TABLE domain_check (
    check_id bigint CONSTRAINT domain_check_key PRIMARY KEY,
    domain_id bigint NOT NULL CONSTRAINT domain_check_domain_id_exists REFERENCES domain,
    asked_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    found jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT domain_check_found_is_a_short_list CHECK (jsonb_typeof(found) = 'array' AND octet_length(found::text) <= 100000),
    CONSTRAINT domain_check_finished_was_started CHECK (finished_at IS NULL OR started_at IS NOT NULL)
);
CREATE INDEX domain_check_of_domain ON domain_check (domain_id, asked_at DESC);
CREATE INDEX domain_check_asked_at ON domain_check (asked_at);
CREATE UNIQUE INDEX domain_check_one_waits ON domain_check (domain_id) WHERE finished_at IS NULL;

-- What happened, one line each, so that nobody who sends waits for anybody else's line; every few minutes it becomes `delivery_day`.
CREATE TABLE delivery_tally (
    tally_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT delivery_tally_key PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    measure text NOT NULL,
    name text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    number integer NOT NULL DEFAULT 1,
    CONSTRAINT delivery_tally_measure_is_known CHECK
        (measure IN ('handed', 'deferred', 'failed', 'bounced', 'delayed', 'delivered', 'waited', 'complaint', 'tls')),
    CONSTRAINT delivery_tally_name_is_no_address CHECK (name ~ '^[^@\\s\\x01-\\x1f\\x7f]{0,253}$'),
    CONSTRAINT delivery_tally_detail_is_a_code CHECK (detail ~ '^[A-Za-z0-9._-]{0,40}$'),
    CONSTRAINT delivery_tally_number_is_positive CHECK (number > 0)
);

CREATE TABLE delivery_day (
    day date NOT NULL,
    measure text NOT NULL,
    name text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    number bigint NOT NULL,
    CONSTRAINT delivery_day_key PRIMARY KEY (day, measure, name, detail),
    CONSTRAINT delivery_day_measure_is_known CHECK
        (measure IN ('handed', 'deferred', 'failed', 'bounced', 'delayed', 'delivered', 'waited', 'complaint', 'tls')),
    CONSTRAINT delivery_day_name_is_no_address CHECK (name ~ '^[^@\\s\\x01-\\x1f\\x7f]{0,253}$'),
    CONSTRAINT delivery_day_detail_is_a_code CHECK (detail ~ '^[A-Za-z0-9._-]{0,40}$'),
    CONSTRAINT delivery_day_number_is_positive CHECK (number > 0)
);
"""

DOMAINS = """
CREATE FUNCTION domain_in_use(which bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM address WHERE domain_id = which)
$$;

CREATE FUNCTION domain_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Two who change how domains belong together wait in line: what each sees is then how it is.
    PERFORM pg_advisory_xact_lock(hashtext('mtumail domains'));
    IF NEW.state = 'removed' THEN
        NEW.verified_at := NULL;
        NEW.alias_of := NULL;
    END IF;
    IF (NEW.verified_at IS NULL OR NEW.alias_of IS NOT NULL) AND domain_in_use(NEW.domain_id) THEN
        RAISE EXCEPTION 'a domain with mailboxes stays what it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'domain_has_mailboxes';
    END IF;
    IF NEW.alias_of IS NOT NULL AND NOT EXISTS
        (SELECT FROM domain WHERE domain_id = NEW.alias_of AND alias_of IS NULL AND state <> 'removed' AND verified_at IS NOT NULL) THEN
        RAISE EXCEPTION 'an alias is of a domain that has names itself'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'domain_alias_is_of_a_domain';
    END IF;
    IF NEW.alias_of IS NOT NULL AND EXISTS (SELECT FROM resting_name WHERE domain_id = NEW.domain_id AND until > now()) THEN
        RAISE EXCEPTION 'mail for a name that rests goes to nobody'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'domain_names_rest';
    END IF;
    -- Whoever got mail by way of an alias has told others that name: it is given to nobody else, however the alias goes on.
    IF TG_OP = 'UPDATE' AND OLD.verified_at IS NOT NULL AND OLD.alias_of IS NOT NULL AND OLD.alias_of <> ALL (OLD.alias_was) THEN
        NEW.alias_was := OLD.alias_was || OLD.alias_of;
    END IF;
    IF EXISTS (SELECT FROM address a JOIN address b USING (local_part)
            WHERE a.domain_id = NEW.alias_of AND b.domain_id = ANY (array_remove(NEW.alias_was, NEW.alias_of))) THEN
        RAISE EXCEPTION 'names at an alias do not become somebody else''s'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'domain_alias_keeps_names';
    END IF;
    IF (NEW.alias_of IS NOT NULL OR NEW.state = 'removed') AND EXISTS (SELECT FROM domain WHERE alias_of = NEW.domain_id) THEN
        RAISE EXCEPTION 'a domain that has aliases stays what it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'domain_has_aliases';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER domain_is_made BEFORE INSERT ON domain FOR EACH ROW WHEN (NEW.alias_of IS NOT NULL)
    EXECUTE FUNCTION domain_changes();
CREATE TRIGGER domain_is_changed BEFORE UPDATE OF state, verified_at, alias_of ON domain
    FOR EACH ROW EXECUTE FUNCTION domain_changes();

-- Whether mail for a name went to somebody at another domain while this one, or one that leads to it, was that one's alias.
CREATE FUNCTION name_was_led(which bigint, name text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM domain d JOIN address a ON a.domain_id = ANY (array_remove(d.alias_was, which)) AND a.local_part = $2
                    WHERE d.domain_id = which OR d.alias_of = which)
$$;

CREATE FUNCTION address_needs_a_domain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Locked against changes: a domain is not put to rest beside a name that begins.
    PERFORM 1 FROM domain WHERE domain_id = NEW.domain_id AND state = 'active' AND verified_at IS NOT NULL AND alias_of IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a name begins at a domain that is verified, and at no alias'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'address_domain_gives_names';
    END IF;
    IF name_was_led(NEW.domain_id, NEW.local_part) THEN
        RAISE EXCEPTION 'mail for this name is known to be somebody else''s'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'address_name_was_led';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER address_begins BEFORE INSERT ON address FOR EACH ROW EXECUTE FUNCTION address_needs_a_domain();

-- The one way for the staff to say where mail for '*', postmaster or abuse goes; an empty local part: nowhere of its own.
CREATE FUNCTION domain_route_set(which bigint, route text, local text, at_domain text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target bigint;
BEGIN
    DELETE FROM domain_route WHERE domain_id = which AND name = route AND local = '';
    IF local = '' THEN
        RETURN 0;
    END IF;
    SELECT a.mailbox_id INTO target FROM address a JOIN domain d USING (domain_id) JOIN mailbox m USING (mailbox_id)
     WHERE a.local_part = local AND d.name = at_domain AND m.state = 'active';
    IF target IS NOT NULL THEN
        INSERT INTO domain_route (domain_id, name, mailbox_id) VALUES (which, route, target)
            ON CONFLICT (domain_id, name) DO UPDATE SET mailbox_id = excluded.mailbox_id, since = now();
    END IF;
    RETURN target;
END $$;

CREATE FUNCTION domain_routes(which bigint) RETURNS TABLE (name text, address text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.name, a.local_part || '@' || d.name, r.since
      FROM domain_route r JOIN address a ON a.mailbox_id = r.mailbox_id AND a.is_primary JOIN domain d ON d.domain_id = a.domain_id
     WHERE r.domain_id = which ORDER BY r.name
$$;

-- Private halves go in once, and out never: whoever holds the staff's rights can neither read nor exchange one that signs.
CREATE FUNCTION dkim_key_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.domain_id, NEW.selector, NEW.algorithm, NEW.public_key) IS DISTINCT FROM
            (OLD.domain_id, OLD.selector, OLD.algorithm, OLD.public_key)
        OR (OLD.state = 'retired' AND NEW.state <> 'retired') OR (OLD.state = 'active' AND NEW.state = 'next')
        OR (current_user = 'mtumail_staff' AND NEW.wrapped <> OLD.wrapped) THEN
        RAISE EXCEPTION 'a key goes from next to active to retired, and stays the key that it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dkim_key_goes_forward';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER dkim_key_goes_forward AFTER UPDATE ON dkim_key FOR EACH ROW EXECUTE FUNCTION dkim_key_goes_forward();
"""

DELIVERIES = """
CREATE FUNCTION delivery_wait(waited interval) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN waited < interval '1 minute' THEN 'm1' WHEN waited < interval '15 minutes' THEN 'm15'
                WHEN waited < interval '1 hour' THEN 'h1' WHEN waited < interval '4 hours' THEN 'h4'
                WHEN waited < interval '1 day' THEN 'd1' ELSE 'more' END
$$;

CREATE FUNCTION delivery_is_counted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- One line a copy, as whoever sends waits for this; of one that was handed over it says how long that took. What a report says
    -- was passed on had been handed over before. Each looks up its rows by their keys, whatever a plan that is kept expected.
    INSERT INTO delivery_tally (measure, name, detail)
    SELECT e.kind, coalesce(substring((SELECT lower(d.recipient) FROM delivery d WHERE d.mailbox_id = e.mailbox_id
               AND d.submission_id = e.submission_id AND d.number = e.number) FROM '@([^@\\s\\x01-\\x1f\\x7f]{1,253})$'), ''),
           CASE WHEN e.kind IN ('deferred', 'failed', 'bounced', 'delayed')
                THEN coalesce(substring(e.status FROM '^[245][.][0-9]{1,3}'), '')
                WHEN e.kind = 'handed' THEN (SELECT delivery_wait(e.at - s.counts_from) FROM submission s
                                              WHERE s.mailbox_id = e.mailbox_id AND s.submission_id = e.submission_id)
                ELSE '' END
      FROM told e WHERE e.kind NOT IN ('queued', 'cancelled') AND NOT (e.kind = 'handed' AND e.report_id IS NOT NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER delivery_event_is_counted AFTER INSERT ON delivery_event REFERENCING NEW TABLE AS told
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_is_counted();

CREATE FUNCTION complaint_is_counted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO delivery_tally (measure) VALUES ('complaint');
    RETURN NULL;
END $$;
CREATE TRIGGER case_item_is_counted AFTER INSERT ON case_item FOR EACH ROW WHEN (NEW.source = 'feedback')
    EXECUTE FUNCTION complaint_is_counted();

-- Lines become numbers of a day. Of days that are over, the 50 domains with most mail keep their names, and of them those with three
-- copies or more: all others are counted together, for few letters to a rare domain may tell whose they were.
CREATE FUNCTION delivery_fold(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    folded bigint;
BEGIN
    WITH taken AS (
        DELETE FROM delivery_tally WHERE tally_id IN (SELECT tally_id FROM delivery_tally ORDER BY tally_id LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING (at AT TIME ZONE 'UTC')::date AS day, measure, name, detail, number),
    added AS (
        INSERT INTO delivery_day AS d (day, measure, name, detail, number)
        SELECT day, measure, name, detail, sum(number) FROM (
            SELECT day, measure, name, CASE measure WHEN 'handed' THEN '' ELSE detail END AS detail, number FROM taken
            UNION ALL SELECT day, 'waited', '', detail, number FROM taken WHERE measure = 'handed') t
         GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
            ON CONFLICT (day, measure, name, detail) DO UPDATE SET number = d.number + excluded.number)
    SELECT count(*) INTO folded FROM taken;
    WITH sums AS (
        SELECT day, name, sum(number) AS copies, row_number() OVER (PARTITION BY day ORDER BY sum(number) DESC, name) AS place
          FROM delivery_day WHERE measure NOT IN ('waited', 'complaint', 'tls') AND name <> ''
           AND day BETWEEN (now() AT TIME ZONE 'UTC')::date - 7 AND (now() AT TIME ZONE 'UTC')::date - 1 GROUP BY day, name),
    gone AS (
        DELETE FROM delivery_day d USING sums s
         WHERE d.day = s.day AND d.name = s.name AND (s.place > 50 OR s.copies < 3) AND d.measure NOT IN ('waited', 'complaint', 'tls')
        RETURNING d.day, d.measure, d.detail, d.number)
    INSERT INTO delivery_day AS d (day, measure, name, detail, number)
    SELECT day, measure, '', detail, sum(number) FROM gone GROUP BY 1, 2, 4 ORDER BY 1, 2, 4
        ON CONFLICT (day, measure, name, detail) DO UPDATE SET number = d.number + excluded.number;
    RETURN folded;
END $$;

-- What waits for its next attempt, by domain: of the 2000 that are due first.
CREATE FUNCTION delivery_waiting() RETURNS TABLE (name text, copies bigint, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(substring(lower(d.recipient) FROM '@([^@\\s\\x01-\\x1f\\x7f]{1,253})$'), ''), count(*), min(s.counts_from)
      FROM (SELECT mailbox_id, item_id FROM work WHERE kind = 'send' AND parked_at IS NULL AND attempts > 0 ORDER BY due_at LIMIT 2000) w
      JOIN submission s ON s.mailbox_id = w.mailbox_id AND s.submission_id = w.item_id
      JOIN delivery d ON d.mailbox_id = s.mailbox_id AND d.submission_id = s.submission_id AND d.state IN ('deferred', 'unknown')
     GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
$$;
"""

RETENTION = """
CREATE FUNCTION retention_domain_checks(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF before > now() - interval '23 hours' THEN
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (SELECT t.check_id FROM domain_check t WHERE t.asked_at < before LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM domain_check t USING old WHERE t.check_id = old.check_id RETURNING t.asked_at AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.asked_at) FROM domain_check t WHERE t.asked_at < before;
    END IF;
END $$;

CREATE FUNCTION retention_delivery_days(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF before > now() - interval '23 hours' THEN
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
                SELECT t.ctid FROM delivery_day t WHERE t.day < (before AT TIME ZONE 'UTC')::date LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM delivery_day t USING old WHERE t.ctid = old.ctid RETURNING t.day AS stamp)
            SELECT count(*), min(stamp)::timestamp AT TIME ZONE 'UTC' FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.day)::timestamp AT TIME ZONE 'UTC' FROM delivery_day t
         WHERE t.day < (before AT TIME ZONE 'UTC')::date;
    END IF;
END $$;
"""

FUNCTIONS = (
    "domain_in_use(bigint)",
    "domain_changes()",
    "name_was_led(bigint, text)",
    "address_needs_a_domain()",
    "domain_route_set(bigint, text, text, text)",
    "domain_routes(bigint)",
    "dkim_key_goes_forward()",
    "delivery_wait(interval)",
    "delivery_is_counted()",
    "complaint_is_counted()",
    "delivery_fold(integer)",
    "delivery_waiting()",
    "retention_domain_checks(timestamptz, integer, boolean)",
    "retention_delivery_days(timestamptz, integer, boolean)",
)

GRANTS = """
GRANT EXECUTE ON FUNCTION domain_in_use(bigint), domain_route_set(bigint, text, text, text), domain_routes(bigint),
    delivery_waiting() TO mtumail_staff;
GRANT EXECUTE ON FUNCTION delivery_fold(integer) TO mtumail_worker;
GRANT EXECUTE ON FUNCTION name_was_led(bigint, text) TO mtumail_web, mtumail_worker, mtumail_inbound, mtumail_staff;
GRANT EXECUTE ON FUNCTION retention_domain_checks(timestamptz, integer, boolean),
    retention_delivery_days(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;

GRANT INSERT (domain_id, name, alias_of), UPDATE (state, token, alias_of, sts_mode) ON domain TO mtumail_staff;
GRANT UPDATE (verified_at) ON domain TO mtumail_worker;
GRANT SELECT ON domain_route TO mtumail_web, mtumail_worker;
GRANT SELECT (domain_id, name, mailbox_id) ON domain_route TO mtumail_inbound;
GRANT SELECT (domain_id, until) ON resting_name TO mtumail_inbound;
GRANT SELECT, INSERT (check_id, domain_id) ON domain_check TO mtumail_staff;
GRANT SELECT, INSERT (check_id, domain_id), UPDATE (started_at, finished_at, found) ON domain_check TO mtumail_worker;
GRANT SELECT (domain_id, selector, algorithm, public_key, state, created_at, activated_at, retired_at, verifies_until),
    INSERT (domain_id, selector, algorithm, public_key, wrapped, state),
    UPDATE (wrapped, state, activated_at, retired_at, verifies_until) ON dkim_key TO mtumail_staff;
GRANT INSERT (measure, name, detail, number) ON delivery_tally TO mtumail_worker;
GRANT SELECT ON delivery_day TO mtumail_staff;
"""


def upgrade() -> None:
    for statements in (CHANGES, TABLES, DOMAINS, DELIVERIES, RETENTION):
        op.execute(statements)
    op.execute(f"REVOKE ALL ON FUNCTION {', '.join(FUNCTIONS)} FROM PUBLIC")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("""
        DROP TRIGGER case_item_is_counted ON case_item;
        DROP TRIGGER delivery_event_is_counted ON delivery_event;
        DROP TRIGGER dkim_key_goes_forward ON dkim_key;
        DROP TRIGGER address_begins ON address;
        DROP TRIGGER domain_is_changed ON domain;
        DROP TRIGGER domain_is_made ON domain;
        DROP TABLE delivery_day, delivery_tally, domain_check, domain_route;
        REVOKE ALL ON dkim_key FROM mtumail_staff;
        REVOKE SELECT (domain_id, selector, algorithm, public_key, state, created_at, activated_at, retired_at, verifies_until),
            INSERT (domain_id, selector, algorithm, public_key, wrapped, state),
            UPDATE (wrapped, state, activated_at, retired_at, verifies_until) ON dkim_key FROM mtumail_staff;
        REVOKE SELECT (domain_id, until) ON resting_name FROM mtumail_inbound;
        REVOKE INSERT (domain_id, name) ON domain FROM mtumail_staff;
        DROP INDEX resting_name_domain_id_until""")
    op.execute(f"DROP FUNCTION {', '.join(FUNCTIONS)}")
    # Older code knows no alias and no domain that waits: neither is hosted then, as long as nothing hangs on it.
    op.execute("""
        DELETE FROM domain d WHERE (verified_at IS NULL OR alias_of IS NOT NULL)
           AND NOT EXISTS (SELECT FROM dkim_key o WHERE o.domain_id = d.domain_id)
           AND NOT EXISTS (SELECT FROM resting_name o WHERE o.domain_id = d.domain_id)
           AND NOT EXISTS (SELECT FROM registration_invitation o WHERE o.domain_id = d.domain_id)
           AND NOT EXISTS (SELECT FROM sign_up o WHERE o.domain_id = d.domain_id);
        ALTER TABLE domain DROP COLUMN sts_mode, DROP COLUMN alias_of, DROP COLUMN alias_was, DROP COLUMN verified_at, DROP COLUMN token, DROP COLUMN state""")
