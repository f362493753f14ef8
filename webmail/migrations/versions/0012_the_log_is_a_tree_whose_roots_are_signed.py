"""The audit log is a Merkle tree whose roots are signed; what is about a person, or sealed, is in it as a commitment."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TREE = """
ALTER TABLE audit_event
    ADD COLUMN case_id bigint,
    ADD COLUMN nodes bytea,
    ALTER COLUMN entry DROP NOT NULL,
    ALTER COLUMN actor DROP NOT NULL;

-- The root of the complete subtree of 2^level leaves that ends with event `ends`, a multiple of 2^level. It is kept in that event's
-- row: a row's `nodes` are the roots of all complete subtrees that its leaf completes, smallest first.
CREATE FUNCTION audit_node(level integer, ends bigint) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE level WHEN 0 THEN e.leaf ELSE substr(e.nodes, 32 * level - 31, 32) END FROM audit_event e WHERE e.number = ends
$$;

CREATE FUNCTION audit_subtrees(size bigint, leaf bytea) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    root bytea := leaf;
    roots bytea := '';
    level integer := 0;
BEGIN
    WHILE (size >> level) & 1 = 0 LOOP
        root := sha256('\\x01'::bytea || audit_node(level, size - (1::bigint << level)) || root);
        roots := roots || root;
        level := level + 1;
    END LOOP;
    RETURN roots;
END $$;

-- RFC 6962 section 2.1: the tree's root over the first `size` events; NULL where there are fewer.
CREATE FUNCTION audit_root(size bigint) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    rest bigint := size;
    level integer := 0;
    peak bytea;
    root bytea;
BEGIN
    IF size = 0 THEN
        RETURN sha256('');
    END IF;
    WHILE rest > 0 LOOP
        IF (rest >> level) & 1 = 1 THEN
            peak := audit_node(level, rest);
            IF peak IS NULL THEN
                RETURN NULL;
            END IF;
            root := CASE WHEN root IS NULL THEN peak ELSE sha256('\\x01'::bytea || peak || root) END;
            rest := rest - (1::bigint << level);
        END IF;
        level := level + 1;
    END LOOP;
    RETURN root;
END $$;
"""

# What was written before there was a tree gets its place in it.
GROWN = """
ALTER TABLE audit_event DISABLE TRIGGER USER;
GRANT UPDATE ON audit_event TO mtumail_owner;
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT number, leaf, entry::jsonb -> 'facts' -> 'case' AS of_case FROM audit_event ORDER BY number LOOP
        UPDATE audit_event SET nodes = audit_subtrees(one.number, one.leaf),
               case_id = CASE WHEN jsonb_typeof(one.of_case) = 'number' THEN one.of_case::text::bigint END
         WHERE number = one.number;
    END LOOP;
END $$;
REVOKE UPDATE ON audit_event FROM mtumail_owner;
ALTER TABLE audit_event ENABLE TRIGGER USER;
ALTER TABLE audit_event
    ALTER COLUMN nodes SET NOT NULL,
    ADD CONSTRAINT audit_event_nodes_are_whole CHECK (
        octet_length(nodes) % 32 = 0 AND (number & -number) = (1::bigint << (octet_length(nodes) / 32))),
    ADD CONSTRAINT audit_event_detail_goes_together CHECK ((entry IS NULL) = (actor IS NULL)),
    ADD CONSTRAINT audit_event_at_taken_once UNIQUE (at);
CREATE INDEX audit_event_actor_at ON audit_event (actor, at);
CREATE INDEX audit_event_case_at ON audit_event (case_id, at) WHERE case_id IS NOT NULL;
"""

TABLES = """
CREATE TABLE audit_key (
    purpose text CONSTRAINT audit_key_key PRIMARY KEY,
    name text NOT NULL,
    public_key bytea NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_key_purpose_is_known CHECK (purpose IN ('checkpoints', 'seals')),
    CONSTRAINT audit_key_name_is_one_word CHECK (name ~ '^[^[:space:]+]{1,200}$'),
    CONSTRAINT audit_key_public_key_is_whole CHECK (octet_length(public_key) = CASE purpose WHEN 'checkpoints' THEN 32 ELSE 1217 END)
);

CREATE TABLE audit_checkpoint (
    size bigint CONSTRAINT audit_checkpoint_key PRIMARY KEY,
    root bytea NOT NULL,
    note text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_checkpoint_size_is_positive CHECK (size > 0),
    CONSTRAINT audit_checkpoint_note_says_so CHECK (
        position(E'\\n' || size || E'\\n' || encode(root, 'base64') || E'\\n\\n' || U&'\\2014' || ' ' IN note) > 0)
);

CREATE TABLE audit_checkpoint_sent (
    size bigint CONSTRAINT audit_checkpoint_sent_key PRIMARY KEY
        CONSTRAINT audit_checkpoint_sent_size_exists REFERENCES audit_checkpoint,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_subject (
    account_id bigint NOT NULL,
    number bigint NOT NULL CONSTRAINT audit_subject_number_exists REFERENCES audit_event,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    CONSTRAINT audit_subject_key PRIMARY KEY (account_id, number),
    CONSTRAINT audit_subject_salt_is_whole CHECK (octet_length(salt) = 32),
    CONSTRAINT audit_subject_commitment_holds CHECK (commitment = sha256(salt || convert_to('account:' || account_id, 'UTF8')))
);
CREATE INDEX audit_subject_number ON audit_subject (number);

CREATE TABLE audit_sealed (
    number bigint CONSTRAINT audit_sealed_key PRIMARY KEY CONSTRAINT audit_sealed_number_exists REFERENCES audit_event,
    commitment bytea NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT audit_sealed_commitment_is_whole CHECK (octet_length(commitment) = 32)
);

CREATE TABLE audit_opened (
    number bigint CONSTRAINT audit_opened_key PRIMARY KEY CONSTRAINT audit_opened_number_exists REFERENCES audit_sealed,
    salt bytea NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_opened_salt_is_whole CHECK (octet_length(salt) = 32)
);
"""

APPEND = """
CREATE FUNCTION audit_append(kind text, actor text, facts jsonb, about bigint[], commitment bytea, sealed bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last record;
    n bigint;
    stamp timestamptz;
    told jsonb;
    body text;
    hash bytea;
    people bigint[] := coalesce((SELECT array_agg(DISTINCT p) FROM unnest(about) p WHERE p IS NOT NULL), '{}');
    salts bytea[] := '{}';
    promises bytea[] := '{}';
BEGIN
    -- Whoever reads the log, and whoever verifies it, reads this for good: nothing gets in that they would choke on.
    IF jsonb_typeof(facts) IS DISTINCT FROM 'object' OR octet_length(facts::text) > 8000 OR octet_length(actor) > 200
       OR EXISTS (SELECT FROM jsonb_each(facts) f WHERE jsonb_typeof(f.value) IN ('object', 'array')) THEN
        RAISE EXCEPTION 'an event holds a few plain values' USING ERRCODE = 'check_violation';
    END IF;
    FOR i IN 1 .. cardinality(people) LOOP
        salts[i] := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        promises[i] := sha256(salts[i] || convert_to('account:' || people[i], 'UTF8'));
    END LOOP;
    PERFORM pg_advisory_xact_lock(1635083369);
    SELECT e.number, e.chain, e.at INTO last FROM audit_event e ORDER BY e.number DESC LIMIT 1;
    n := coalesce(last.number, 0) + 1;
    -- A clock that was put back never puts an event before the one it follows.
    stamp := greatest(clock_timestamp(), last.at + interval '1 microsecond');
    told := jsonb_build_object('number', n, 'at', to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
        'kind', kind, 'actor', actor, 'role', coalesce(nullif(current_setting('role'), 'none'), session_user), 'facts', facts);
    IF cardinality(people) > 0 THEN
        told := told || jsonb_build_object('about', (SELECT jsonb_agg(encode(p, 'hex') ORDER BY p) FROM unnest(promises) p));
    END IF;
    IF commitment IS NOT NULL THEN
        told := told || jsonb_build_object('sealed', encode(commitment, 'hex'));
    END IF;
    body := told::text;
    hash := sha256('\\x00'::bytea || convert_to(body, 'UTF8'));
    INSERT INTO audit_event (number, at, kind, actor, entry, leaf, chain, nodes, case_id) VALUES (n, stamp, kind, actor, body, hash,
        sha256('\\x01'::bytea || coalesce(last.chain, decode(repeat('00', 32), 'hex')) || hash), audit_subtrees(n, hash),
        CASE WHEN jsonb_typeof(facts -> 'case') = 'number' THEN (facts ->> 'case')::bigint END);
    IF cardinality(people) > 0 THEN
        INSERT INTO audit_subject (account_id, number, salt, commitment)
            SELECT p, n, s, c FROM unnest(people, salts, promises) AS u (p, s, c);
    END IF;
    IF commitment IS NOT NULL THEN
        INSERT INTO audit_sealed (number, commitment, sealed) VALUES (n, audit_append.commitment, audit_append.sealed);
    END IF;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION audit_append(kind text, actor text, facts jsonb) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT audit_append(kind, actor, facts, NULL, NULL, NULL)
$$;
"""

REST = """
-- Which functions we are in is read from the call stack, so that the tables refuse every statement but those of these functions,
-- whoever sends it. Where a stack is told in other words, they refuse.
CREATE FUNCTION audit_dropping() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    stack text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    RETURN stack ~ '(^|[[:space:]])audit_drop_detail\\(timestamp with time zone\\)';
END $$;

CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'TRUNCATE' AND audit_dropping() THEN
        IF TG_LEVEL = 'STATEMENT' THEN
            RETURN NULL;
        ELSIF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('audit_sealed', 'audit_opened') THEN
            IF EXISTS (SELECT FROM audit_event e WHERE e.number = OLD.number AND e.entry IS NULL) THEN
                RETURN OLD;
            END IF;
        ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_event' THEN
            -- A stack can be made to look like another by who may make functions: what is younger stays whatever it says.
            IF OLD.at < now() - interval '1 year' AND OLD.kind <> 'audit.detail_dropped' AND NEW.entry IS NULL AND NEW.actor IS NULL
               AND (NEW.number, NEW.at, NEW.kind, NEW.leaf, NEW.chain, NEW.nodes, NEW.case_id)
                   IS NOT DISTINCT FROM (OLD.number, OLD.at, OLD.kind, OLD.leaf, OLD.chain, OLD.nodes, OLD.case_id) THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
DROP TRIGGER audit_event_keeps_rows ON audit_event;
DROP TRIGGER audit_event_keeps_all ON audit_event;
CREATE TRIGGER audit_event_keeps_rows BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_event_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_sealed_keeps_rows BEFORE UPDATE OR DELETE ON audit_sealed FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_sealed_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_sealed FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_opened_keeps_rows BEFORE UPDATE OR DELETE ON audit_opened FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_opened_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_opened FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_checkpoint_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_checkpoint_sent_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint_sent FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_subject_keeps_rows BEFORE UPDATE OR TRUNCATE ON audit_subject FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE FUNCTION audit_checkpoint_is_true() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.root IS DISTINCT FROM audit_root(NEW.size) THEN
        RAISE EXCEPTION 'a checkpoint tells the log''s own root' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_checkpoint_tells_the_root BEFORE INSERT ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_is_true();

CREATE FUNCTION audit_drop_detail(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    dropped bigint[];
BEGIN
    IF before > now() - interval '1 year' THEN
        RAISE EXCEPTION 'the log keeps its detail for a year' USING ERRCODE = 'check_violation';
    END IF;
    -- Only what a signed root vouches for, nothing that is still sealed, and nothing that says what was dropped before.
    -- So many at a time: whoever calls this asks again.
    SELECT array_agg(o.number) INTO dropped FROM (
        SELECT e.number FROM audit_event e
         WHERE e.at < before AND e.entry IS NOT NULL AND e.kind <> 'audit.detail_dropped' AND e.number <= (SELECT max(c.size) FROM audit_checkpoint c)
           AND NOT EXISTS (SELECT FROM audit_sealed s LEFT JOIN audit_opened p USING (number) WHERE s.number = e.number AND p.number IS NULL)
         ORDER BY e.at LIMIT 10000) o;
    IF dropped IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE audit_event e SET entry = NULL, actor = NULL WHERE e.number = ANY (dropped);
    DELETE FROM audit_subject s WHERE s.number = ANY (dropped);
    DELETE FROM audit_opened o WHERE o.number = ANY (dropped);
    DELETE FROM audit_sealed s WHERE s.number = ANY (dropped);
    PERFORM audit_append('audit.detail_dropped', 'system:retention',
        jsonb_build_object('events', cardinality(dropped), 'from', dropped[1], 'to', dropped[cardinality(dropped)]));
    RETURN cardinality(dropped);
END $$;

CREATE FUNCTION audit_forget(account bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    DELETE FROM audit_subject s WHERE s.account_id = account;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    IF forgotten > 0 THEN
        PERFORM audit_append('audit.forgotten', 'system:erasure', jsonb_build_object('events', forgotten));
    END IF;
    RETURN forgotten;
END $$;

CREATE FUNCTION audit_unseal(event bigint, salt bytea, body bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    opened bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM audit_sealed s WHERE s.number = event
            AND s.commitment = sha256(audit_unseal.salt || audit_unseal.body)) THEN
        RAISE EXCEPTION 'this is not what was sealed' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO audit_opened (number, salt, body) VALUES (event, audit_unseal.salt, audit_unseal.body)
        ON CONFLICT (number) DO NOTHING RETURNING number INTO opened;
    IF opened IS NOT NULL THEN
        PERFORM audit_append('audit.unsealed', 'system:worker', jsonb_build_object('event', event));
    END IF;
    RETURN opened IS NOT NULL;
END $$;

-- What a person's own page asks. What is sealed is not there until it is opened: the gag forbids to say that it is.
CREATE FUNCTION audit_about(account bigint, before bigint, at_most integer)
    RETURNS TABLE (number bigint, at timestamptz, kind text, entry text, salt bytea, opened bytea, opened_salt bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.number, e.at, e.kind, e.entry, s.salt, o.body, o.salt
      FROM audit_subject s
      JOIN audit_event e ON e.number = s.number
      LEFT JOIN audit_sealed l ON l.number = s.number
      LEFT JOIN audit_opened o ON o.number = s.number
     WHERE s.account_id = account AND s.number < before AND (l.number IS NULL OR o.number IS NOT NULL)
     ORDER BY s.number DESC LIMIT at_most
$$;
"""

GRANTS = """
GRANT UPDATE (entry, actor) ON audit_event TO mtumail_owner;
REVOKE ALL ON FUNCTION audit_append(text, text, jsonb, bigint[], bytea, bytea), audit_node(integer, bigint), audit_subtrees(bigint, bytea),
    audit_root(bigint), audit_dropping(), audit_keep(), audit_checkpoint_is_true(), audit_drop_detail(timestamptz), audit_forget(bigint),
    audit_unseal(bigint, bytea, bytea), audit_about(bigint, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_append(text, text, jsonb, bigint[], bytea, bytea), audit_node(integer, bigint), audit_root(bigint)
    TO mtumail_web, mtumail_worker, mtumail_staff;
GRANT EXECUTE ON FUNCTION audit_about(bigint, bigint, integer) TO mtumail_web;
GRANT EXECUTE ON FUNCTION audit_drop_detail(timestamptz), audit_forget(bigint), audit_unseal(bigint, bytea, bytea) TO mtumail_worker;

GRANT SELECT ON audit_event TO mtumail_staff;
GRANT SELECT (number, leaf, nodes) ON audit_event TO mtumail_web, mtumail_worker;
GRANT SELECT ON audit_checkpoint TO mtumail_web, mtumail_worker, mtumail_staff;
GRANT INSERT ON audit_checkpoint, audit_checkpoint_sent TO mtumail_worker;
GRANT SELECT ON audit_checkpoint_sent TO mtumail_web, mtumail_worker, mtumail_staff;
GRANT SELECT (account_id, number) ON audit_subject TO mtumail_staff;
GRANT SELECT (number) ON audit_sealed TO mtumail_staff;
GRANT SELECT (number, at) ON audit_opened TO mtumail_staff;
GRANT SELECT ON audit_sealed, audit_opened TO mtumail_worker;
GRANT SELECT (purpose, name, public_key, created_at), INSERT ON audit_key TO mtumail_web, mtumail_staff;
GRANT SELECT, INSERT ON audit_key TO mtumail_worker;
ALTER TABLE audit_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_key_is_read ON audit_key FOR SELECT TO mtumail_web, mtumail_staff, mtumail_worker USING (true);
CREATE POLICY audit_key_of_seals_is_made ON audit_key FOR INSERT TO mtumail_web, mtumail_staff WITH CHECK (purpose = 'seals');
CREATE POLICY audit_key_is_made ON audit_key FOR INSERT TO mtumail_worker WITH CHECK (true);
"""

BEFORE = """
DROP TRIGGER audit_event_keeps_rows ON audit_event;
DROP TRIGGER audit_event_keeps_all ON audit_event;
DROP TABLE audit_checkpoint_sent, audit_checkpoint, audit_opened, audit_sealed, audit_subject, audit_key;
DROP FUNCTION audit_about(bigint, bigint, integer), audit_unseal(bigint, bytea, bytea), audit_forget(bigint), audit_drop_detail(timestamptz),
    audit_checkpoint_is_true(), audit_keep(), audit_dropping(), audit_append(text, text, jsonb, bigint[], bytea, bytea);
CREATE OR REPLACE FUNCTION audit_append(kind text, actor text, facts jsonb) RETURNS bigint
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
REVOKE ALL ON audit_event FROM mtumail_web, mtumail_worker, mtumail_staff;
REVOKE SELECT (number, leaf, nodes) ON audit_event FROM mtumail_web, mtumail_worker;
REVOKE UPDATE (entry, actor) ON audit_event FROM mtumail_owner;
GRANT UPDATE ON audit_event TO mtumail_owner;
UPDATE audit_event SET entry = '{}', actor = '' WHERE entry IS NULL;
REVOKE UPDATE ON audit_event FROM mtumail_owner;
ALTER TABLE audit_event
    DROP COLUMN case_id,
    DROP COLUMN nodes,
    DROP CONSTRAINT audit_event_detail_goes_together,
    DROP CONSTRAINT audit_event_at_taken_once,
    ALTER COLUMN entry SET NOT NULL,
    ALTER COLUMN actor SET NOT NULL;
DROP INDEX audit_event_actor_at;
DROP FUNCTION audit_root(bigint), audit_subtrees(bigint, bytea), audit_node(integer, bigint);
CREATE TRIGGER audit_event_keeps_rows BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_event_keeps_all BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""


def upgrade() -> None:
    for statements in (TREE, GROWN, TABLES, APPEND, REST, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    # What was dropped stays dropped: its events are empty ones, whose hashes no longer fit.
    op.execute(BEFORE)
