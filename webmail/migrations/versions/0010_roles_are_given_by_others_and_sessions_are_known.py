"""Roles are given by others, sessions are known to whom they belong, and what matters is confirmed once for each act."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# History outlives the people in it, so its ids refer to nobody by a foreign key; the trigger below looks whether they exist.
ROLES = """
CREATE TABLE role_proposal (
    proposal_id bigint CONSTRAINT role_proposal_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT role_proposal_account_id_exists REFERENCES account ON DELETE CASCADE,
    role text NOT NULL,
    proposed_by bigint NOT NULL CONSTRAINT role_proposal_proposed_by_exists REFERENCES account ON DELETE CASCADE,
    reason text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '3 days',
    outcome text,
    closed_by bigint CONSTRAINT role_proposal_closed_by_exists REFERENCES account ON DELETE CASCADE,
    closed_at timestamptz,
    CONSTRAINT role_proposal_role_needs_two CHECK (role = 'admin'),
    CONSTRAINT role_proposal_nobody_proposes_himself CHECK (proposed_by <> account_id),
    CONSTRAINT role_proposal_is_confirmed_by_a_second CHECK (outcome <> 'confirmed' OR closed_by <> proposed_by),
    CONSTRAINT role_proposal_nobody_decides_his_own CHECK (closed_by <> account_id),
    CONSTRAINT role_proposal_outcome_is_known CHECK (outcome IN ('confirmed', 'declined')),
    CONSTRAINT role_proposal_closed_has_all CHECK ((outcome IS NULL) = (closed_by IS NULL) AND (outcome IS NULL) = (closed_at IS NULL)),
    CONSTRAINT role_proposal_reason_is_said CHECK (length(btrim(reason)) BETWEEN 3 AND 500),
    CONSTRAINT role_proposal_expires_soon CHECK (expires_at > proposed_at AND expires_at <= proposed_at + interval '3 days')
);
CREATE UNIQUE INDEX role_proposal_one_open_a_person ON role_proposal (account_id, role) WHERE outcome IS NULL;

CREATE TABLE role_change (
    change_id bigint CONSTRAINT role_change_key PRIMARY KEY,
    account_id bigint NOT NULL,
    role text NOT NULL,
    verb text NOT NULL,
    made_by bigint,
    confirmed_by bigint,
    reason text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT role_change_role_is_known CHECK (role IN ('support', 'support_lead', 'reviewer', 'admin', 'auditor')),
    CONSTRAINT role_change_verb_is_known CHECK (verb IN ('granted', 'revoked')),
    CONSTRAINT role_change_nobody_changes_his_own CHECK (made_by <> account_id),
    CONSTRAINT role_change_is_confirmed_by_a_second CHECK (confirmed_by <> account_id AND confirmed_by <> made_by),
    CONSTRAINT role_change_confirmation_has_a_first CHECK (confirmed_by IS NULL OR made_by IS NOT NULL),
    CONSTRAINT role_change_reason_is_said CHECK (length(btrim(reason)) BETWEEN 3 AND 500)
);
CREATE INDEX role_change_made_at ON role_change (made_at DESC, change_id DESC);
CREATE INDEX role_change_account_id ON role_change (account_id, made_at DESC);

CREATE FUNCTION role_change_refuse(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'role change refused: %', what USING ERRCODE = 'check_violation', CONSTRAINT = 'role_change_' || what;
END $$;

CREATE FUNCTION role_change_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    admins bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(1919904869);  -- one change at a time: two admins who revoke each other are not both right
    admins := ARRAY(SELECT r.account_id FROM account_role r JOIN account a USING (account_id)
                     WHERE r.role = 'admin' AND a.status = 'active');
    IF NEW.made_by IS NOT NULL AND NEW.made_by <> ALL (admins) THEN
        PERFORM role_change_refuse('is_made_by_an_admin');
    END IF;
    IF NEW.verb = 'revoked' THEN
        DELETE FROM account_role WHERE account_id = NEW.account_id AND role = NEW.role;
        IF NOT FOUND THEN
            PERFORM role_change_refuse('revokes_what_is_held');
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.made_by IS NULL AND session_user IN ('mtumail_web', 'mtumail_worker', 'mtumail_inbound') THEN
        PERFORM role_change_refuse('is_granted_by_a_person');
    END IF;
    IF NOT EXISTS (SELECT 1 FROM account WHERE account_id = NEW.account_id AND status = 'active') THEN
        PERFORM role_change_refuse('is_granted_to_the_active');
    END IF;
    IF NEW.role = 'admin' AND NEW.made_by IS NOT NULL THEN
        IF NEW.confirmed_by IS NULL OR NEW.confirmed_by <> ALL (admins) THEN
            PERFORM role_change_refuse('of_an_admin_has_a_second');
        END IF;
        UPDATE role_proposal SET outcome = 'confirmed', closed_by = NEW.confirmed_by, closed_at = now()
         WHERE account_id = NEW.account_id AND role = NEW.role AND proposed_by = NEW.made_by AND outcome IS NULL AND expires_at > now();
        IF NOT FOUND THEN
            PERFORM role_change_refuse('of_an_admin_was_proposed');
        END IF;
    END IF;
    IF EXISTS (SELECT 1 FROM account_role WHERE account_id = NEW.account_id AND (role = 'auditor') <> (NEW.role = 'auditor')) THEN
        PERFORM role_change_refuse('leaves_the_auditor_alone');
    END IF;
    INSERT INTO account_role (account_id, role, granted_by) VALUES (NEW.account_id, NEW.role, NEW.made_by);
    RETURN NEW;
END $$;
CREATE TRIGGER role_change_apply AFTER INSERT ON role_change FOR EACH ROW EXECUTE FUNCTION role_change_apply();
CREATE TRIGGER role_change_stays BEFORE UPDATE OR DELETE ON role_change FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER role_change_stays_whole BEFORE TRUNCATE ON role_change FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE FUNCTION account_role_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'roles follow from role_change alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER account_role_follows BEFORE INSERT OR UPDATE OR DELETE ON account_role
    FOR EACH ROW EXECUTE FUNCTION account_role_follows();

CREATE FUNCTION staff_account_at(wanted_local text, wanted_domain text) RETURNS TABLE (account_id bigint, name text, status text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.account_id, a.name, a.status FROM address ad
      JOIN domain d ON d.domain_id = ad.domain_id
      JOIN mailbox_member m ON m.mailbox_id = ad.mailbox_id
      JOIN account a ON a.account_id = m.account_id
     WHERE ad.local_part = wanted_local AND d.name = wanted_domain AND m.role = 'owner'
$$;

CREATE VIEW staff_role_holder AS
    SELECT r.account_id, r.role, r.granted_at, a.name, a.status,
           (SELECT ad.local_part || '@' || d.name FROM mailbox_member m
              JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary JOIN domain d ON d.domain_id = ad.domain_id
             WHERE m.account_id = r.account_id ORDER BY m.since LIMIT 1) AS address
      FROM account_role r JOIN account a ON a.account_id = r.account_id;
"""

SESSIONS = """
CREATE TABLE sign_in (
    sign_in_id bigint CONSTRAINT sign_in_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT sign_in_account_id_exists REFERENCES account ON DELETE CASCADE,
    session_id text NOT NULL CONSTRAINT sign_in_session_id_taken_once UNIQUE,
    device text NOT NULL,
    network cidr,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT sign_in_session_id_is_a_clerk_id CHECK (session_id ~ '^sess_[A-Za-z0-9]+$'),
    CONSTRAINT sign_in_device_is_a_few_words CHECK (device ~ '^[A-Za-z0-9 ]{1,60}$'),
    CONSTRAINT sign_in_network_is_shortened CHECK (masklen(network) <= CASE family(network) WHEN 4 THEN 24 ELSE 48 END),
    CONSTRAINT sign_in_goes_forward CHECK (last_seen >= first_seen AND ended_at >= first_seen)
);
CREATE INDEX sign_in_account_id ON sign_in (account_id, last_seen DESC);
CREATE INDEX sign_in_last_seen ON sign_in (last_seen);

CREATE TABLE errand (
    errand_id bigint CONSTRAINT errand_key PRIMARY KEY,
    kind text NOT NULL,
    account_id bigint CONSTRAINT errand_account_id_exists REFERENCES account ON DELETE CASCADE,
    facts jsonb NOT NULL DEFAULT '{}',
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts smallint NOT NULL DEFAULT 0,
    lease bigint,
    parked_at timestamptz,
    problem text NOT NULL DEFAULT '',
    CONSTRAINT errand_kind_is_known CHECK (kind IN ('revoke', 'revoke_others', 'tell')),
    CONSTRAINT errand_facts_are_few CHECK (jsonb_typeof(facts) = 'object' AND octet_length(facts::text) <= 2000),
    CONSTRAINT errand_revoke_names_a_session CHECK (kind <> 'revoke' OR coalesce(facts ->> 'session', '') ~ '^sess_[A-Za-z0-9]+$'),
    CONSTRAINT errand_is_for_somebody CHECK (kind = 'revoke' OR account_id IS NOT NULL),
    CONSTRAINT errand_attempts_is_not_negative CHECK (attempts >= 0),
    CONSTRAINT errand_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,60}$')
);
CREATE INDEX errand_due ON errand (kind, due_at) WHERE parked_at IS NULL;
CREATE INDEX errand_account_id ON errand (account_id);
"""

CONFIRMATIONS = """
CREATE TABLE confirmation (
    confirmation_id bigint CONSTRAINT confirmation_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT confirmation_account_id_exists REFERENCES account ON DELETE CASCADE,
    session_id text NOT NULL,
    act text NOT NULL,
    target bytea NOT NULL,
    method text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '10 minutes',
    used_at timestamptz,
    CONSTRAINT confirmation_session_id_is_a_clerk_id CHECK (session_id ~ '^sess_[A-Za-z0-9]+$'),
    CONSTRAINT confirmation_act_is_dotted CHECK (act ~ '^[a-z_]+(\\.[a-z_]+)+$'),
    CONSTRAINT confirmation_target_is_a_hash CHECK (octet_length(target) = 32),
    CONSTRAINT confirmation_method_is_known CHECK (method IN ('password', 'totp', 'both', 'clerk')),
    CONSTRAINT confirmation_is_short CHECK (expires_at > made_at AND expires_at <= made_at + interval '10 minutes'),
    CONSTRAINT confirmation_is_used_in_time CHECK (used_at >= made_at AND used_at <= expires_at)
);
CREATE INDEX confirmation_open ON confirmation (account_id, session_id) WHERE used_at IS NULL;
CREATE INDEX confirmation_made_at ON confirmation (made_at);

CREATE FUNCTION confirmation_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used_at IS NOT NULL OR NEW.used_at IS NULL
       OR (OLD.confirmation_id, OLD.account_id, OLD.session_id, OLD.act, OLD.target, OLD.method, OLD.made_at, OLD.expires_at)
          IS DISTINCT FROM
          (NEW.confirmation_id, NEW.account_id, NEW.session_id, NEW.act, NEW.target, NEW.method, NEW.made_at, NEW.expires_at) THEN
        RAISE EXCEPTION 'a confirmation is used once, as it was made' USING ERRCODE = 'check_violation', CONSTRAINT = 'confirmation_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER confirmation_once BEFORE UPDATE ON confirmation FOR EACH ROW EXECUTE FUNCTION confirmation_once();

CREATE TABLE confirmation_try (
    try_id bigint CONSTRAINT confirmation_try_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT confirmation_try_account_id_exists REFERENCES account ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL DEFAULT 'open',
    CONSTRAINT confirmation_try_outcome_is_known CHECK (outcome IN ('open', 'right', 'wrong', 'unsure'))
);
CREATE INDEX confirmation_try_account_id ON confirmation_try (account_id, at);

CREATE FUNCTION confirmation_try_limit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1668246896, hashint8(NEW.account_id));
    IF (SELECT count(*) FROM confirmation_try
         WHERE account_id = NEW.account_id AND at > now() - interval '10 minutes' AND outcome IN ('open', 'wrong')) >= 5 THEN
        RAISE EXCEPTION 'too many tries' USING ERRCODE = 'check_violation', CONSTRAINT = 'confirmation_try_limit';
    END IF;
    NEW.at := now();
    NEW.outcome := 'open';
    RETURN NEW;
END $$;
CREATE TRIGGER confirmation_try_limit BEFORE INSERT ON confirmation_try FOR EACH ROW EXECUTE FUNCTION confirmation_try_limit();

CREATE FUNCTION confirmation_try_settle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome <> 'open' OR (OLD.try_id, OLD.account_id, OLD.at) IS DISTINCT FROM (NEW.try_id, NEW.account_id, NEW.at) THEN
        RAISE EXCEPTION 'a try has one outcome' USING ERRCODE = 'check_violation', CONSTRAINT = 'confirmation_try_settle';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER confirmation_try_settle BEFORE UPDATE ON confirmation_try FOR EACH ROW EXECUTE FUNCTION confirmation_try_settle();
"""

FUNCTIONS = (
    "role_change_refuse(text)",
    "role_change_apply()",
    "account_role_follows()",
    "staff_account_at(text, text)",
    "confirmation_once()",
    "confirmation_try_limit()",
    "confirmation_try_settle()",
)

# Roles change by way of pages of the staff alone. Who confirms is asked by web itself, before it becomes the staff; the staff
# may use up what was confirmed. Workers run errands and forget what is old.
GRANTS = """
GRANT USAGE ON SCHEMA public TO mtumail_staff;
GRANT EXECUTE ON FUNCTION audit_append(text, text, jsonb) TO mtumail_staff;
GRANT SELECT (account_id, name, status, created_at) ON account TO mtumail_staff;
GRANT SELECT ON account_role, domain TO mtumail_staff;
GRANT EXECUTE ON FUNCTION staff_account_at(text, text) TO mtumail_staff;
GRANT SELECT ON staff_role_holder TO mtumail_staff;
GRANT SELECT, INSERT ON role_change, role_proposal TO mtumail_staff;
GRANT UPDATE (outcome, closed_by, closed_at) ON role_proposal TO mtumail_staff;
GRANT INSERT ON errand TO mtumail_staff;
GRANT SELECT ON confirmation TO mtumail_staff;
GRANT UPDATE (used_at) ON confirmation TO mtumail_staff;

GRANT SELECT, INSERT ON confirmation, confirmation_try TO mtumail_web;
GRANT UPDATE (used_at) ON confirmation TO mtumail_web;
GRANT UPDATE (outcome) ON confirmation_try TO mtumail_web;
GRANT SELECT, INSERT ON sign_in TO mtumail_web;
GRANT UPDATE (device, network, last_seen, ended_at) ON sign_in TO mtumail_web;
GRANT INSERT ON errand TO mtumail_web;

GRANT SELECT, INSERT ON role_change TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON errand TO mtumail_worker;
GRANT SELECT, DELETE ON sign_in, confirmation, confirmation_try, role_proposal TO mtumail_worker;
GRANT UPDATE (ended_at) ON sign_in TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(SESSIONS)
    op.execute(CONFIRMATIONS)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP VIEW staff_role_holder")
    op.execute("DROP TRIGGER account_role_follows ON account_role")
    op.execute("DROP TABLE confirmation_try, confirmation, errand, sign_in, role_change, role_proposal")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("REVOKE ALL ON account_role, domain FROM mtumail_staff")
    op.execute("REVOKE SELECT (account_id, name, status, created_at) ON account FROM mtumail_staff")
    op.execute("REVOKE ALL ON FUNCTION audit_append(text, text, jsonb) FROM mtumail_staff")
    op.execute("REVOKE USAGE ON SCHEMA public FROM mtumail_staff")
