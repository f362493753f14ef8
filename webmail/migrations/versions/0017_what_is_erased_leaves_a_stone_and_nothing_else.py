"""What is deleted leaves a stone, so that no restore brings it back; accounts and mailboxes are erased in steps, keys first."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# A stone: `message_id` NULL says that the whole mailbox is gone. It outlives what it is about, so it references nothing.
TABLES = """
CREATE TABLE tombstone (
    mailbox_id bigint NOT NULL,
    tombstone_id bigint GENERATED ALWAYS AS IDENTITY,
    message_id bigint,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tombstone_key PRIMARY KEY (mailbox_id, tombstone_id)
);
CREATE UNIQUE INDEX tombstone_of_a_message ON tombstone (mailbox_id, message_id) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX tombstone_of_a_mailbox ON tombstone (mailbox_id) WHERE message_id IS NULL;
CREATE INDEX tombstone_deleted_at ON tombstone (deleted_at);

CREATE TABLE legal_hold (
    hold_id bigint CONSTRAINT legal_hold_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT legal_hold_account_id_exists REFERENCES account,
    case_id bigint NOT NULL CONSTRAINT legal_hold_case_id_exists REFERENCES case_file,
    set_by bigint NOT NULL CONSTRAINT legal_hold_set_by_exists REFERENCES account,
    set_at timestamptz NOT NULL DEFAULT now(),
    ended_by bigint CONSTRAINT legal_hold_ended_by_exists REFERENCES account,
    ended_at timestamptz,
    CONSTRAINT legal_hold_nobody_holds_himself CHECK (set_by <> account_id AND ended_by <> account_id),
    CONSTRAINT legal_hold_end_is_somebodys CHECK ((ended_by IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX legal_hold_once_a_case ON legal_hold (account_id, case_id) WHERE ended_at IS NULL;

CREATE TABLE erasure (
    erasure_id bigint CONSTRAINT erasure_key PRIMARY KEY,
    kind text NOT NULL,
    account_id bigint NOT NULL CONSTRAINT erasure_account_id_exists REFERENCES account,
    mailboxes bigint[] NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'waiting',
    asked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL,
    undone_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    destroyed jsonb NOT NULL DEFAULT '{}',
    event bigint,
    contact text NOT NULL DEFAULT '',
    tries smallint NOT NULL DEFAULT 0,
    CONSTRAINT erasure_kind_is_known CHECK (kind IN ('account', 'mailbox')),
    CONSTRAINT erasure_state_is_known CHECK (state IN ('waiting', 'undone', 'rows', 'person', 'telling', 'done')),
    CONSTRAINT erasure_of_a_mailbox_names_it CHECK (kind = 'account' OR cardinality(mailboxes) = 1),
    CONSTRAINT erasure_leaves_time_to_undo CHECK (due_at >= asked_at + interval '23 hours'),
    CONSTRAINT erasure_undone_says_when CHECK ((state = 'undone') = (undone_at IS NOT NULL)),
    CONSTRAINT erasure_started_says_when CHECK ((state IN ('waiting', 'undone')) = (started_at IS NULL)),
    CONSTRAINT erasure_finished_is_in_the_log CHECK
        ((state IN ('telling', 'done')) = (finished_at IS NOT NULL) AND (finished_at IS NULL) = (event IS NULL)),
    CONSTRAINT erasure_keeps_no_contact CHECK (contact = '' OR state IN ('rows', 'person', 'telling')),
    CONSTRAINT erasure_destroyed_is_counts CHECK (jsonb_typeof(destroyed) = 'object'),
    CONSTRAINT erasure_tries_is_not_negative CHECK (tries >= 0)
);
CREATE UNIQUE INDEX erasure_one_an_account ON erasure (account_id) WHERE kind = 'account' AND state NOT IN ('undone', 'done');
CREATE UNIQUE INDEX erasure_one_a_mailbox ON erasure (mailboxes) WHERE kind = 'mailbox' AND state NOT IN ('undone', 'done');
CREATE INDEX erasure_account_id ON erasure (account_id, asked_at DESC);
CREATE INDEX erasure_due ON erasure (due_at) WHERE state NOT IN ('undone', 'done');

CREATE TABLE privacy_request (
    request_id bigint CONSTRAINT privacy_request_key PRIMARY KEY,
    kind text NOT NULL,
    account_id bigint CONSTRAINT privacy_request_account_id_exists REFERENCES account,
    source text NOT NULL,
    identity text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    words bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now() + interval '1 month',
    extended_at timestamptz,
    extension bytea,
    entered_by bigint CONSTRAINT privacy_request_entered_by_exists REFERENCES account,
    answered_by bigint CONSTRAINT privacy_request_answered_by_exists REFERENCES account,
    answered_at timestamptz,
    answer bytea,
    CONSTRAINT privacy_request_kind_is_known CHECK (kind IN ('access', 'correct', 'delete', 'port', 'restrict', 'object')),
    CONSTRAINT privacy_request_source_is_known CHECK (source IN ('self', 'mail', 'letter', 'other')),
    CONSTRAINT privacy_request_identity_is_known CHECK (identity IN ('proved', 'unchecked', 'checked')),
    CONSTRAINT privacy_request_state_is_known CHECK (state IN ('open', 'done', 'refused')),
    CONSTRAINT privacy_request_own_is_proved CHECK ((source = 'self') = (identity = 'proved') AND (source <> 'self' OR account_id IS NOT NULL)),
    CONSTRAINT privacy_request_others_are_entered CHECK ((source = 'self') = (entered_by IS NULL)),
    CONSTRAINT privacy_request_within_a_month_or_three CHECK
        (due_at = received_at + CASE WHEN extended_at IS NULL THEN interval '1 month' ELSE interval '3 months' END),
    CONSTRAINT privacy_request_extended_with_reasons_in_the_first CHECK
        ((extended_at IS NULL) = (extension IS NULL) AND extended_at <= received_at + interval '1 month'),
    CONSTRAINT privacy_request_answer_is_somebodys CHECK ((state = 'open') = (answered_at IS NULL)
        AND (answered_at IS NULL) = (answer IS NULL) AND (answered_at IS NULL) = (answered_by IS NULL)),
    CONSTRAINT privacy_request_nobody_answers_his_own CHECK (answered_by <> account_id),
    CONSTRAINT privacy_request_done_for_whom_we_know CHECK (state <> 'done' OR identity <> 'unchecked'),
    CONSTRAINT privacy_request_words_are_short CHECK (octet_length(words) <= 9000 AND octet_length(extension) <= 9000
        AND octet_length(answer) <= 9000)
);
CREATE INDEX privacy_request_open ON privacy_request (due_at, request_id) WHERE state = 'open';
CREATE INDEX privacy_request_answered ON privacy_request (answered_at DESC, request_id) WHERE state <> 'open';
CREATE INDEX privacy_request_of_account ON privacy_request (account_id, received_at DESC);

-- What was deleted of it lies in its pages until they are vacuumed: after any deletion, and not after the fiftieth.
ALTER TABLE mailbox_key SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

ALTER TABLE errand DROP CONSTRAINT errand_kind_is_known,
    ADD CONSTRAINT errand_kind_is_known CHECK (kind IN ('revoke', 'revoke_others', 'tell', 'delete_user')),
    ADD CONSTRAINT errand_delete_names_a_user CHECK (kind <> 'delete_user' OR coalesce(facts ->> 'user', '') ~ '^user_[A-Za-z0-9]+$');
"""

STONES = """
CREATE FUNCTION message_leaves_a_stone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO tombstone (mailbox_id, message_id) SELECT r.mailbox_id, r.message_id FROM removed r
     WHERE NOT EXISTS (SELECT FROM tombstone t WHERE t.mailbox_id = r.mailbox_id AND t.message_id IS NULL)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER message_leaves_a_stone AFTER DELETE ON message REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION message_leaves_a_stone();

-- A mailbox is gone when its key is: whatever of it remains anywhere cannot be read.
CREATE FUNCTION mailbox_leaves_a_stone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO tombstone (mailbox_id) VALUES (OLD.mailbox_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER mailbox_key_leaves_a_stone AFTER DELETE ON mailbox_key FOR EACH ROW EXECUTE FUNCTION mailbox_leaves_a_stone();

CREATE FUNCTION tombstone_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a stone is not changed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER tombstone_stays BEFORE UPDATE ON tombstone FOR EACH ROW EXECUTE FUNCTION tombstone_stays();

CREATE FUNCTION retention_tombstones(before timestamptz, most integer, really boolean)
    RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
            SELECT t.ctid FROM tombstone t WHERE t.deleted_at < before AND t.message_id IS NOT NULL LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM tombstone t USING old WHERE t.ctid = old.ctid RETURNING t.deleted_at AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.deleted_at) FROM tombstone t WHERE t.deleted_at < before AND t.message_id IS NOT NULL;
    END IF;
END $$;
"""

GUARDS = """
CREATE FUNCTION privacy_request_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.request_id, OLD.kind, OLD.source, OLD.received_at, OLD.entered_by)
        IS DISTINCT FROM (NEW.request_id, NEW.kind, NEW.source, NEW.received_at, NEW.entered_by)
       OR (OLD.state <> 'open' AND (OLD.state, OLD.answered_at, OLD.answered_by, OLD.due_at, OLD.extended_at)
        IS DISTINCT FROM (NEW.state, NEW.answered_at, NEW.answered_by, NEW.due_at, NEW.extended_at))
       OR (OLD.extended_at IS NOT NULL AND OLD.extended_at IS DISTINCT FROM NEW.extended_at) THEN
        RAISE EXCEPTION 'a request is answered once, and extended once' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'privacy_request_goes_on';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER privacy_request_goes_on BEFORE UPDATE ON privacy_request FOR EACH ROW EXECUTE FUNCTION privacy_request_goes_on();

CREATE FUNCTION retention_requests(before timestamptz, most integer, really boolean)
    RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
            SELECT t.ctid FROM privacy_request t WHERE t.answered_at < before LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM privacy_request t USING old WHERE t.ctid = old.ctid RETURNING t.answered_at AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.answered_at) FROM privacy_request t WHERE t.answered_at < before;
    END IF;
END $$;

CREATE FUNCTION legal_hold_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL OR (OLD.hold_id, OLD.account_id, OLD.case_id, OLD.set_by, OLD.set_at)
        IS DISTINCT FROM (NEW.hold_id, NEW.account_id, NEW.case_id, NEW.set_by, NEW.set_at) THEN
        RAISE EXCEPTION 'a legal hold is set once and ended once' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER legal_hold_stays BEFORE UPDATE OR DELETE ON legal_hold FOR EACH ROW EXECUTE FUNCTION legal_hold_stays();

CREATE FUNCTION erasure_is_held(who bigint, boxes bigint[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM legal_hold h WHERE h.ended_at IS NULL AND (h.account_id = who OR h.account_id IN (
        SELECT m.account_id FROM mailbox_member m WHERE m.mailbox_id = ANY(boxes) AND m.role = 'owner')))
$$;

CREATE FUNCTION erasure_goes_forward() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (OLD.erasure_id, OLD.kind, OLD.account_id, OLD.asked_at, OLD.due_at)
        IS DISTINCT FROM (NEW.erasure_id, NEW.kind, NEW.account_id, NEW.asked_at, NEW.due_at)
       OR (OLD.state <> 'waiting' AND OLD.mailboxes <> NEW.mailboxes) OR OLD.event <> NEW.event THEN
        RAISE EXCEPTION 'an erasure stays what was asked for' USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_stays';
    END IF;
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('waiting', 'undone'), ('waiting', 'rows'), ('rows', 'person'), ('rows', 'telling'), ('person', 'telling'), ('telling', 'done')) THEN
        RAISE EXCEPTION 'an erasure goes forward' USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_goes_forward';
    END IF;
    IF NEW.state = 'rows' AND OLD.state = 'waiting' AND (NEW.due_at > now() OR erasure_is_held(NEW.account_id, NEW.mailboxes)) THEN
        RAISE EXCEPTION 'an erasure waits for its time, and for a legal hold' USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_waits';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erasure_goes_forward BEFORE UPDATE ON erasure FOR EACH ROW EXECUTE FUNCTION erasure_goes_forward();

CREATE FUNCTION erasure_begins_at_home() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.kind = 'mailbox' AND NOT EXISTS (SELECT FROM mailbox_member
        WHERE mailbox_id = NEW.mailboxes[1] AND account_id = NEW.account_id AND role = 'owner') THEN
        RAISE EXCEPTION 'an owner has a mailbox erased' USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_is_an_owners';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erasure_begins_at_home BEFORE INSERT ON erasure FOR EACH ROW EXECUTE FUNCTION erasure_begins_at_home();
"""

# What a worker may do of it, and nothing besides: each step asks which state the erasure is in, and keeps the count with it.
STEPS = """
CREATE FUNCTION erasure_counted(counts jsonb, what text, more bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN more = 0 THEN counts
                ELSE counts || jsonb_build_object(what, coalesce((counts ->> what)::bigint, 0) + more) END
$$;

CREATE FUNCTION erasure_mailboxes(which bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT unnest(mailboxes) FROM erasure WHERE erasure_id = which AND (kind = 'mailbox' OR state <> 'waiting')
    UNION SELECT m.mailbox_id FROM erasure e JOIN mailbox_member m ON m.account_id = e.account_id AND m.role = 'owner'
     WHERE e.erasure_id = which AND e.kind = 'account' AND e.state = 'waiting' AND NOT EXISTS (
        SELECT FROM mailbox_member o WHERE o.mailbox_id = m.mailbox_id AND o.role = 'owner' AND o.account_id <> m.account_id)
$$;

-- The addresses that are gone, as pairs of domain and name, which are to rest; NULL where it is not the time, or law forbids.
CREATE FUNCTION erasure_begin(which bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this erasure;
    counts jsonb := '{}';
    gone jsonb;
    n bigint;
BEGIN
    SELECT * INTO this FROM erasure WHERE erasure_id = which FOR UPDATE;
    IF this IS NULL OR this.state <> 'waiting' OR this.due_at > now() THEN
        RETURN NULL;
    END IF;
    PERFORM member_lock(box) FROM unnest(ARRAY(SELECT m.mailbox_id FROM mailbox_member m WHERE m.account_id = this.account_id
        ORDER BY 1) || this.mailboxes) box;
    this.mailboxes := ARRAY(SELECT * FROM erasure_mailboxes(which) ORDER BY 1);
    IF erasure_is_held(this.account_id, this.mailboxes) THEN
        RETURN NULL;
    END IF;
    INSERT INTO member_notice (account_id, kind, address)
        SELECT m.account_id, 'closed', ad.local_part || '@' || d.name FROM mailbox_member m
          JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary JOIN domain d USING (domain_id)
         WHERE m.mailbox_id = ANY(this.mailboxes) AND m.account_id <> this.account_id;
    UPDATE mailbox SET state = 'closed', display_name = '', public_key = decode(repeat('00', 1217), 'hex')
     WHERE mailbox_id = ANY(this.mailboxes);
    DELETE FROM mailbox_key WHERE mailbox_id = ANY(this.mailboxes);
    GET DIAGNOSTICS n = ROW_COUNT;
    counts := erasure_counted(counts, 'mailbox_key', n);
    WITH deleted AS (DELETE FROM address WHERE mailbox_id = ANY(this.mailboxes) RETURNING domain_id, local_part)
        SELECT coalesce(jsonb_agg(jsonb_build_array(domain_id, local_part)), '[]') INTO gone FROM deleted;
    counts := erasure_counted(counts, 'address', jsonb_array_length(gone));
    DELETE FROM mailbox_member WHERE mailbox_id = ANY(this.mailboxes);
    GET DIAGNOSTICS n = ROW_COUNT;
    counts := erasure_counted(counts, 'mailbox_member', n);
    UPDATE erasure SET state = 'rows', started_at = now(), mailboxes = this.mailboxes, destroyed = counts,
           contact = (SELECT contact_email FROM account WHERE account_id = this.account_id)
     WHERE erasure_id = which;
    IF this.kind = 'account' THEN
        UPDATE account SET status = 'closed' WHERE account_id = this.account_id;
    END IF;
    RETURN gone;
END $$;

-- Every table of mail that there is, also of later versions, those that refer to others first. What staff opened, and what was
-- reported, ends on schedules of its own.
CREATE FUNCTION erasure_tables() RETURNS TABLE (name text)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH RECURSIVE mail AS (
        SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'mailbox_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('mailbox', 'tombstone', 'report',
            'service_mailbox', 'access_grant', 'access_scope', 'access_act', 'access_review', 'access_gag')),
    tree AS (
        SELECT oid, 0 AS level FROM mail
        UNION ALL SELECT k.conrelid, level + 1 FROM tree JOIN pg_constraint k ON k.confrelid = tree.oid AND k.contype = 'f'
         WHERE k.conrelid <> k.confrelid AND level < 10)
    SELECT c.relname::text FROM tree JOIN mail USING (oid) JOIN pg_class c USING (oid) GROUP BY c.relname ORDER BY max(level) DESC, 1
$$;

CREATE FUNCTION erasure_rows(which bigint, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this erasure;
    one text;
    n bigint;
BEGIN
    SELECT * INTO this FROM erasure WHERE erasure_id = which FOR UPDATE;
    IF this IS NULL OR this.state <> 'rows' THEN
        RAISE EXCEPTION 'rows go after the keys' USING ERRCODE = 'check_violation';
    END IF;
    FOR one IN SELECT name FROM erasure_tables() LOOP
        EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY(ARRAY(SELECT ctid FROM %1$I WHERE mailbox_id = ANY($1) LIMIT $2))', one)
            USING this.mailboxes, most;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n > 0 THEN
            UPDATE erasure SET destroyed = erasure_counted(destroyed, one, n) WHERE erasure_id = which;
            RETURN n;
        END IF;
    END LOOP;
    UPDATE mailbox SET used_bytes = 0 WHERE mailbox_id = ANY(this.mailboxes);
    IF this.kind = 'account' THEN
        UPDATE erasure SET state = 'person' WHERE erasure_id = which;
    END IF;
    RETURN 0;
END $$;

CREATE FUNCTION erasure_person(which bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this erasure;
    who account;
    one text;
    n bigint;
BEGIN
    SELECT * INTO this FROM erasure WHERE erasure_id = which FOR UPDATE;
    IF this IS NULL OR this.state <> 'person' THEN
        RAISE EXCEPTION 'the person goes after the mail' USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO who FROM account WHERE account_id = this.account_id FOR UPDATE;
    INSERT INTO role_change (change_id, account_id, role, verb, reason)
        SELECT floor(random() * 281474976710656)::bigint, account_id, role, 'revoked', 'account erased'
          FROM account_role WHERE account_id = this.account_id;
    DELETE FROM session_denial WHERE subject IN (SELECT session_id FROM sign_in WHERE account_id = this.account_id);
    FOREACH one IN ARRAY ARRAY['sign_in', 'relay_trial', 'confirmation', 'confirmation_try', 'role_proposal', 'member_invitation', 'member_notice',
                               'mailbox_member', 'scheduled', 'sign_up', 'errand', 'export', 'mail_import'] LOOP
        EXECUTE format('DELETE FROM %I WHERE account_id = $1', one) USING this.account_id;
        GET DIAGNOSTICS n = ROW_COUNT;
        this.destroyed := erasure_counted(this.destroyed, one, n);
    END LOOP;
    DELETE FROM role_proposal WHERE this.account_id IN (proposed_by, closed_by);
    DELETE FROM member_invitation WHERE invited_by = this.account_id;
    UPDATE member_notice SET by_account_id = NULL WHERE by_account_id = this.account_id;
    UPDATE mailbox_activity SET account_id = NULL WHERE account_id = this.account_id;
    UPDATE mailbox_activity SET other_account_id = NULL WHERE other_account_id = this.account_id;
    UPDATE submission SET account_id = NULL WHERE account_id = this.account_id;
    UPDATE registration_invitation SET made_by = NULL WHERE made_by = this.account_id;
    DELETE FROM webhook_event WHERE user_id = who.clerk_user_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    this.destroyed := erasure_counted(erasure_counted(this.destroyed, 'webhook_event', n), 'account', 1);
    -- That something was asked and answered in time is kept as long as other requests are; what was said is not.
    UPDATE privacy_request SET words = '', extension = substr(extension, 1, 0), answer = substr(answer, 1, 0) WHERE account_id = this.account_id;
    -- For as long as Clerk may repeat what it told earlier, nobody is made an account by it.
    INSERT INTO session_denial (subject, reason, until) VALUES (who.clerk_user_id, 'deleted-at-clerk', now() + interval '30 days')
        ON CONFLICT (subject) DO UPDATE SET reason = excluded.reason, until = greatest(session_denial.until, excluded.until);
    UPDATE account SET clerk_user_id = 'user_erased' || account_id, name = '', contact_email = '', preferences = '{}',
           reading_preference = DEFAULT, rows_preference = DEFAULT, density_preference = DEFAULT, clerk_state = 'deleted'
     WHERE account_id = this.account_id;
    UPDATE erasure SET destroyed = this.destroyed WHERE erasure_id = which;
    RETURN who.clerk_user_id;
END $$;
"""

FUNCTIONS = (
    "message_leaves_a_stone()",
    "mailbox_leaves_a_stone()",
    "tombstone_stays()",
    "retention_tombstones(timestamptz, integer, boolean)",
    "retention_requests(timestamptz, integer, boolean)",
    "privacy_request_goes_on()",
    "legal_hold_stays()",
    "erasure_goes_forward()",
    "erasure_begins_at_home()",
    "erasure_begin(bigint)",
    "erasure_rows(bigint, integer)",
    "erasure_person(bigint)",
    "erasure_mailboxes(bigint)",
    "erasure_tables()",
    "erasure_counted(jsonb, text, bigint)",
    "erasure_is_held(bigint, bigint[])",
)

# Web asks for an erasure and takes that back; the rest is a worker's, and the contact address nobody's but his.
GRANTS = """
GRANT EXECUTE ON FUNCTION retention_tombstones(timestamptz, integer, boolean), retention_requests(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
GRANT EXECUTE ON FUNCTION erasure_begin(bigint), erasure_rows(bigint, integer), erasure_person(bigint), erasure_mailboxes(bigint)
    TO mtumail_worker;
GRANT EXECUTE ON FUNCTION erasure_is_held(bigint, bigint[]) TO mtumail_web, mtumail_worker;
GRANT SELECT ON tombstone TO mtumail_worker;
GRANT SELECT (erasure_id, kind, account_id, mailboxes, state, asked_at, due_at, undone_at, started_at, finished_at, destroyed, event)
    ON erasure TO mtumail_web, mtumail_staff;
GRANT INSERT (erasure_id, kind, account_id, mailboxes, due_at), UPDATE (state, undone_at) ON erasure TO mtumail_web;
GRANT SELECT, UPDATE (state, event, finished_at, contact, tries) ON erasure TO mtumail_worker;
GRANT SELECT, INSERT (hold_id, account_id, case_id, set_by), UPDATE (ended_by, ended_at) ON legal_hold TO mtumail_staff;
GRANT SELECT ON privacy_request TO mtumail_web, mtumail_staff;
GRANT INSERT (request_id, kind, account_id, source, identity, words) ON privacy_request TO mtumail_web;
GRANT INSERT (request_id, kind, account_id, source, identity, words, entered_by),
    UPDATE (account_id, identity, state, due_at, extended_at, extension, answered_by, answered_at, answer) ON privacy_request TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(STONES)
    op.execute(GUARDS)
    op.execute(STEPS)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DELETE FROM errand WHERE kind = 'delete_user'")
    op.execute("""
        ALTER TABLE errand DROP CONSTRAINT errand_delete_names_a_user, DROP CONSTRAINT errand_kind_is_known,
            ADD CONSTRAINT errand_kind_is_known CHECK (kind IN ('revoke', 'revoke_others', 'tell'))""")
    op.execute("ALTER TABLE mailbox_key RESET (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor)")
    op.execute("DROP TRIGGER message_leaves_a_stone ON message")
    op.execute("DROP TRIGGER mailbox_key_leaves_a_stone ON mailbox_key")
    op.execute("DROP TABLE erasure, legal_hold, tombstone, privacy_request")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
