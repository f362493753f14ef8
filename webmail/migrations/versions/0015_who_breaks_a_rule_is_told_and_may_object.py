"""Who breaks a rule is told what was done and why, may object to somebody else, and an act that was wrong is undone."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Each stop is by itself (P19), and `status` and `state` say what they said before: nothing here deletes anything.
CHANGES = """
ALTER TABLE account ADD COLUMN may_sign_in boolean NOT NULL DEFAULT true, ADD COLUMN may_send boolean NOT NULL DEFAULT true,
    ADD COLUMN send_day integer, ADD CONSTRAINT account_send_day_is_positive CHECK (send_day > 0);
ALTER TABLE mailbox ADD COLUMN may_receive boolean NOT NULL DEFAULT true, DROP CONSTRAINT mailbox_state_is_known,
    ADD CONSTRAINT mailbox_state_is_known CHECK (state IN ('active', 'suspended', 'revoked', 'reclaimed', 'closed'));
"""

TABLES = """
CREATE TABLE staff_action (
    action_id bigint CONSTRAINT staff_action_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT staff_action_case_id_exists REFERENCES case_file,
    kind text NOT NULL,
    account_id bigint NOT NULL CONSTRAINT staff_action_account_id_exists REFERENCES account,
    target_mailbox_id bigint CONSTRAINT staff_action_target_mailbox_id_exists REFERENCES mailbox,
    amount integer,
    rule text NOT NULL,
    words bytea NOT NULL,
    acted_by bigint NOT NULL CONSTRAINT staff_action_acted_by_exists REFERENCES account,
    acted_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz,
    state text NOT NULL DEFAULT 'proposed',
    decided_by bigint CONSTRAINT staff_action_decided_by_exists REFERENCES account,
    decided_at timestamptz,
    in_force_at timestamptz,
    withheld bytea,
    withheld_until timestamptz,
    lifted_at timestamptz,
    lifted_by bigint CONSTRAINT staff_action_lifted_by_exists REFERENCES account,
    lifted_why text,
    domain_id bigint CONSTRAINT staff_action_domain_id_exists REFERENCES domain,
    name_hash bytea,
    then_reserved boolean NOT NULL DEFAULT false,
    name_freed_at timestamptz,
    CONSTRAINT staff_action_kind_is_known CHECK
        (kind IN ('warn', 'limit', 'no_sign_in', 'no_sending', 'no_receiving', 'revoke', 'reclaim')),
    CONSTRAINT staff_action_rule_is_known CHECK
        (rule IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'illegal', 'security', 'name', 'other')),
    CONSTRAINT staff_action_nobody_acts_on_himself CHECK (acted_by <> account_id AND decided_by <> account_id AND lifted_by <> account_id),
    CONSTRAINT staff_action_nobody_approves_his_own CHECK (decided_by <> acted_by),
    CONSTRAINT staff_action_names_its_mailbox CHECK
        ((kind IN ('no_receiving', 'revoke', 'reclaim')) = (target_mailbox_id IS NOT NULL)),
    CONSTRAINT staff_action_limit_has_an_amount CHECK ((kind = 'limit') = (amount IS NOT NULL) AND amount BETWEEN 1 AND 1000),
    CONSTRAINT staff_action_ends_after_it_began CHECK (until IS NULL OR (until > acted_at AND kind NOT IN ('warn', 'reclaim'))),
    CONSTRAINT staff_action_state_is_known CHECK (state IN ('proposed', 'in_force', 'declined', 'lifted')),
    CONSTRAINT staff_action_in_force_has_a_time CHECK ((state IN ('in_force', 'lifted')) = (in_force_at IS NOT NULL)),
    CONSTRAINT staff_action_decision_is_somebodys CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT staff_action_declined_by_somebody CHECK (state <> 'declined' OR decided_by IS NOT NULL),
    CONSTRAINT staff_action_withheld_until_a_day CHECK ((withheld IS NULL) = (withheld_until IS NULL)
        AND withheld_until > acted_at AND withheld_until <= acted_at + interval '91 days'),
    CONSTRAINT staff_action_withheld_by_two CHECK (withheld IS NULL OR state IN ('proposed', 'declined') OR decided_by IS NOT NULL),
    CONSTRAINT staff_action_lifted_says_why CHECK ((state = 'lifted') = (lifted_at IS NOT NULL)
        AND (lifted_at IS NULL) = (lifted_why IS NULL) AND lifted_why IN ('colleague', 'appeal', 'time')
        AND (lifted_why = 'time') = (lifted_at IS NOT NULL AND lifted_by IS NULL)),
    CONSTRAINT staff_action_reclaims_a_name CHECK ((kind = 'reclaim') = (name_hash IS NOT NULL)
        AND (name_hash IS NULL) = (domain_id IS NULL) AND octet_length(name_hash) = 32),
    CONSTRAINT staff_action_words_are_short CHECK (octet_length(words) <= 9000 AND octet_length(withheld) <= 9000)
);
CREATE INDEX staff_action_of_case ON staff_action (case_id, acted_at);
CREATE INDEX staff_action_of_account ON staff_action (account_id, acted_at);
CREATE INDEX staff_action_of_mailbox ON staff_action (target_mailbox_id) WHERE target_mailbox_id IS NOT NULL;
CREATE INDEX staff_action_proposed ON staff_action (acted_at) WHERE state = 'proposed';
CREATE INDEX staff_action_ending ON staff_action (until) WHERE state = 'in_force' AND until IS NOT NULL;
CREATE INDEX staff_action_resting ON staff_action (in_force_at) WHERE state = 'in_force' AND kind = 'reclaim' AND name_freed_at IS NULL;

CREATE TABLE staff_notice (
    notice_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT staff_notice_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT staff_notice_account_id_exists REFERENCES account,
    action_id bigint NOT NULL CONSTRAINT staff_notice_action_id_exists REFERENCES staff_action,
    kind text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL,
    seen_at timestamptz,
    mail text NOT NULL DEFAULT 'waiting',
    mail_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    CONSTRAINT staff_notice_action_id_kind_taken_once UNIQUE (action_id, kind),
    CONSTRAINT staff_notice_kind_is_known CHECK (kind IN ('action', 'lifted', 'appeal')),
    CONSTRAINT staff_notice_mail_is_known CHECK (mail IN ('waiting', 'sent', 'shown', 'failed')),
    CONSTRAINT staff_notice_seen_when_due CHECK (seen_at >= due_at),
    CONSTRAINT staff_notice_mailed_when_due CHECK (mail_at >= due_at)
);
CREATE INDEX staff_notice_unseen ON staff_notice (account_id, due_at) WHERE seen_at IS NULL;
CREATE INDEX staff_notice_unmailed ON staff_notice (mail_at) WHERE mail = 'waiting';

CREATE TABLE appeal (
    appeal_id bigint CONSTRAINT appeal_key PRIMARY KEY,
    action_id bigint NOT NULL CONSTRAINT appeal_action_id_taken_once UNIQUE CONSTRAINT appeal_action_id_exists REFERENCES staff_action,
    account_id bigint NOT NULL CONSTRAINT appeal_account_id_exists REFERENCES account,
    words bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now() + interval '7 days',
    verdict text,
    judged_by bigint CONSTRAINT appeal_judged_by_exists REFERENCES account,
    judged_at timestamptz,
    answer bytea,
    CONSTRAINT appeal_due_within_a_week CHECK (due_at = made_at + interval '7 days'),
    CONSTRAINT appeal_verdict_is_known CHECK (verdict IN ('upheld', 'rejected')),
    CONSTRAINT appeal_nobody_judges_his_own CHECK (judged_by <> account_id),
    CONSTRAINT appeal_judged_with_reasons CHECK ((verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)
        AND (verdict IS NULL) = (answer IS NULL)),
    CONSTRAINT appeal_words_are_short CHECK (octet_length(words) <= 9000 AND octet_length(answer) <= 9000)
);
CREATE INDEX appeal_open ON appeal (due_at) WHERE verdict IS NULL;
CREATE INDEX appeal_of_account ON appeal (account_id, made_at);

CREATE TABLE abuse_memory (
    memory_id bigint CONSTRAINT abuse_memory_key PRIMARY KEY,
    sealed bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT abuse_memory_sealed_is_short CHECK (octet_length(sealed) <= 20000)
);
CREATE INDEX abuse_memory_kept_at ON abuse_memory (kept_at);

CREATE TABLE abuse_memory_handle (
    handle bytea NOT NULL,
    memory_id bigint NOT NULL CONSTRAINT abuse_memory_handle_memory_id_exists REFERENCES abuse_memory ON DELETE CASCADE,
    wrapped bytea NOT NULL,
    CONSTRAINT abuse_memory_handle_key PRIMARY KEY (handle, memory_id),
    CONSTRAINT abuse_memory_handle_is_blind CHECK (octet_length(handle) = 32)
);
CREATE INDEX abuse_memory_handle_memory_id ON abuse_memory_handle (memory_id);
"""

RULES = """
-- Whether a colleague may act on somebody, as a code; '' for yes. Who is of the staff is judged by a higher role than his own.
CREATE FUNCTION action_refusal(by_account bigint, of_account bigint, of_mailbox bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    mine text[] := ARRAY(SELECT role FROM account_role JOIN account USING (account_id)
                          WHERE account_id = by_account AND status = 'active' AND may_sign_in);
    theirs text[] := ARRAY(SELECT role FROM account_role WHERE account_id = of_account);
BEGIN
    IF NOT mine && ARRAY['support', 'support_lead', 'admin'] THEN RETURN 'role'; END IF;
    IF by_account = of_account OR EXISTS (SELECT 1 FROM mailbox_member a JOIN mailbox_member b USING (mailbox_id)
            WHERE a.account_id = by_account AND b.account_id = of_account)
       OR EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = of_mailbox AND account_id = by_account) THEN RETURN 'own'; END IF;
    -- An admin is acted on when the role was taken from him, which takes two (0010).
    IF 'admin' = ANY (theirs)
       OR (theirs && ARRAY['support_lead', 'reviewer', 'auditor'] AND NOT 'admin' = ANY (mine))
       OR ('support' = ANY (theirs) AND NOT mine && ARRAY['support_lead', 'admin']) THEN RETURN 'colleague'; END IF;
    RETURN '';
END $$;

CREATE FUNCTION action_needs_second(by_account bigint, of_kind text, is_withheld boolean) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT is_withheld OR (of_kind IN ('no_sign_in', 'revoke', 'reclaim')
        AND NOT EXISTS (SELECT 1 FROM account_role WHERE account_id = by_account AND role IN ('support_lead', 'admin')))
$$;

CREATE FUNCTION staff_action_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text := action_refusal(NEW.acted_by, NEW.account_id, NEW.target_mailbox_id);
BEGIN
    IF why = '' AND NOT EXISTS (SELECT 1 FROM case_file WHERE case_id = NEW.case_id AND state <> 'closed') THEN why := 'case-closed'; END IF;
    IF why = '' AND (NEW.state <> 'proposed' OR NEW.acted_at <> now()
        OR num_nonnulls(NEW.decided_by, NEW.in_force_at, NEW.lifted_at, NEW.name_freed_at) > 0) THEN why := 'begins'; END IF;
    IF why <> '' THEN
        RAISE EXCEPTION 'action refused: %', why USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER staff_action_begins BEFORE INSERT ON staff_action FOR EACH ROW EXECUTE FUNCTION staff_action_begins();

-- An action stays what it was; it comes into force once, by two where it takes two, and ends once.
CREATE FUNCTION staff_action_goes_on() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.action_id, NEW.case_id, NEW.kind, NEW.account_id, NEW.target_mailbox_id, NEW.amount, NEW.rule, NEW.words, NEW.acted_by,
        NEW.acted_at, NEW.until, NEW.withheld, NEW.withheld_until, NEW.domain_id, NEW.name_hash, NEW.then_reserved)
       IS DISTINCT FROM
       (OLD.action_id, OLD.case_id, OLD.kind, OLD.account_id, OLD.target_mailbox_id, OLD.amount, OLD.rule, OLD.words, OLD.acted_by,
        OLD.acted_at, OLD.until, OLD.withheld, OLD.withheld_until, OLD.domain_id, OLD.name_hash, OLD.then_reserved)
       OR (OLD.state <> 'proposed' AND (NEW.decided_by, NEW.in_force_at) IS DISTINCT FROM (OLD.decided_by, OLD.in_force_at))
       OR (OLD.lifted_at IS NOT NULL AND (NEW.lifted_at, NEW.lifted_by, NEW.lifted_why)
           IS DISTINCT FROM (OLD.lifted_at, OLD.lifted_by, OLD.lifted_why))
       OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN
           (('proposed', 'in_force'), ('proposed', 'declined'), ('in_force', 'lifted')))
       OR (OLD.state = 'proposed' AND NEW.state = 'in_force' AND NEW.decided_by IS NULL
           AND action_needs_second(NEW.acted_by, NEW.kind, NEW.withheld IS NOT NULL)) THEN
        RAISE EXCEPTION 'an action stays what it was and what was decided' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER staff_action_goes_on BEFORE UPDATE ON staff_action FOR EACH ROW EXECUTE FUNCTION staff_action_goes_on();

-- What is in force was told, or says when it will be: at the commit there is a notice, whoever wrote the action (P20).
CREATE FUNCTION staff_action_is_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM staff_action a WHERE a.action_id = NEW.action_id AND a.state = 'in_force' AND NOT EXISTS (
            SELECT 1 FROM staff_notice n WHERE n.action_id = a.action_id AND n.kind = 'action' AND n.account_id = a.account_id
               AND n.due_at <= greatest(a.in_force_at, a.withheld_until))) THEN
        RAISE EXCEPTION 'nobody is acted on without a notice' USING ERRCODE = 'check_violation', CONSTRAINT = 'staff_action_is_told';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER staff_action_is_told AFTER INSERT OR UPDATE ON staff_action DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION staff_action_is_told();

-- Gone with the person alone, when the account is closed.
CREATE FUNCTION staff_row_stays() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT 1 FROM account WHERE account_id = OLD.account_id AND status = 'closed') THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION '% is kept', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER staff_action_stays BEFORE DELETE ON staff_action FOR EACH ROW EXECUTE FUNCTION staff_row_stays();
CREATE TRIGGER staff_notice_stays BEFORE DELETE ON staff_notice FOR EACH ROW EXECUTE FUNCTION staff_row_stays();
CREATE TRIGGER appeal_stays BEFORE DELETE ON appeal FOR EACH ROW EXECUTE FUNCTION staff_row_stays();
CREATE TRIGGER staff_action_stays_whole BEFORE TRUNCATE ON staff_action FOR EACH STATEMENT EXECUTE FUNCTION staff_row_stays();
CREATE TRIGGER staff_notice_stays_whole BEFORE TRUNCATE ON staff_notice FOR EACH STATEMENT EXECUTE FUNCTION staff_row_stays();
CREATE TRIGGER appeal_stays_whole BEFORE TRUNCATE ON appeal FOR EACH STATEMENT EXECUTE FUNCTION staff_row_stays();

CREATE FUNCTION staff_notice_goes_on() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.notice_id, NEW.account_id, NEW.action_id, NEW.kind, NEW.made_at, NEW.due_at)
       IS DISTINCT FROM (OLD.notice_id, OLD.account_id, OLD.action_id, OLD.kind, OLD.made_at, OLD.due_at)
       OR (OLD.seen_at IS NOT NULL AND NEW.seen_at IS DISTINCT FROM OLD.seen_at) THEN
        RAISE EXCEPTION 'a notice stays as it was written' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER staff_notice_goes_on BEFORE UPDATE ON staff_notice FOR EACH ROW EXECUTE FUNCTION staff_notice_goes_on();

-- An appeal is the affected person's, within twenty days of being told; it is judged once, by somebody who had no part in it.
CREATE FUNCTION appeal_refusal(by_account bigint, of_action bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
    told timestamptz;
BEGIN
    SELECT * INTO a FROM staff_action WHERE action_id = of_action AND account_id = by_account AND state IN ('in_force', 'lifted');
    SELECT due_at INTO told FROM staff_notice WHERE action_id = a.action_id AND kind = 'action' AND due_at <= now();
    IF told IS NULL THEN RETURN 'none'; END IF;
    IF EXISTS (SELECT 1 FROM appeal WHERE action_id = of_action) THEN RETURN 'once'; END IF;
    IF told + interval '20 days' < now() THEN RETURN 'late'; END IF;
    RETURN '';
END $$;

CREATE FUNCTION appeal_judge_refusal(by_account bigint, of_action bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
BEGIN
    SELECT * INTO a FROM staff_action WHERE action_id = of_action;
    IF NOT EXISTS (SELECT 1 FROM account_role JOIN account USING (account_id) WHERE account_id = by_account AND status = 'active'
                      AND may_sign_in AND role IN ('support_lead', 'reviewer')) THEN RETURN 'role'; END IF;
    IF by_account IN (a.acted_by, a.decided_by, a.lifted_by, a.account_id)
       OR EXISTS (SELECT 1 FROM case_file WHERE case_id = a.case_id AND assigned_to = by_account)
       OR EXISTS (SELECT 1 FROM mailbox_member x JOIN mailbox_member y USING (mailbox_id)
                   WHERE x.account_id = by_account AND y.account_id = a.account_id) THEN RETURN 'not-independent'; END IF;
    RETURN '';
END $$;

CREATE FUNCTION appeal_goes_on() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text := '';
BEGIN
    IF TG_OP = 'INSERT' THEN
        why := CASE WHEN NEW.verdict IS NOT NULL OR NEW.made_at <> now() THEN 'begins' ELSE appeal_refusal(NEW.account_id, NEW.action_id) END;
    ELSIF OLD.verdict IS NOT NULL OR NEW.verdict IS NULL
       OR (NEW.appeal_id, NEW.action_id, NEW.account_id, NEW.words, NEW.made_at, NEW.due_at)
          IS DISTINCT FROM (OLD.appeal_id, OLD.action_id, OLD.account_id, OLD.words, OLD.made_at, OLD.due_at) THEN why := 'judged';
    ELSE
        why := appeal_judge_refusal(NEW.judged_by, NEW.action_id);
    END IF;
    IF why <> '' THEN
        RAISE EXCEPTION 'appeal refused: %', why USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER appeal_goes_on BEFORE INSERT OR UPDATE ON appeal FOR EACH ROW EXECUTE FUNCTION appeal_goes_on();
"""

VERBS = """
CREATE FUNCTION action_denied(verb text, by_account bigint, of_action bigint, of_case bigint, why text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit_append('action.denied', 'account:' || by_account,
        jsonb_build_object('verb', verb, 'action', of_action, 'case', of_case, 'why', why));
    RETURN why;
END $$;

-- What somebody and a mailbox may do follows from what is in force, and from nothing else: one action ends, another holds on.
CREATE FUNCTION action_settle(of_account bigint, of_mailbox bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM account WHERE account_id = of_account FOR UPDATE;
    UPDATE account SET
        may_sign_in = NOT EXISTS (SELECT 1 FROM staff_action WHERE account_id = of_account AND kind = 'no_sign_in' AND state = 'in_force'),
        may_send = NOT EXISTS (SELECT 1 FROM staff_action WHERE account_id = of_account AND kind = 'no_sending' AND state = 'in_force'),
        send_day = (SELECT min(amount) FROM staff_action WHERE account_id = of_account AND kind = 'limit' AND state = 'in_force')
     WHERE account_id = of_account;
    UPDATE mailbox SET
        may_receive = NOT EXISTS (SELECT 1 FROM staff_action WHERE target_mailbox_id = of_mailbox AND kind = 'no_receiving' AND state = 'in_force'),
        state = CASE WHEN state NOT IN ('active', 'revoked', 'reclaimed') THEN state
            WHEN EXISTS (SELECT 1 FROM staff_action WHERE target_mailbox_id = of_mailbox AND kind = 'reclaim' AND state = 'in_force') THEN 'reclaimed'
            WHEN EXISTS (SELECT 1 FROM staff_action WHERE target_mailbox_id = of_mailbox AND kind = 'revoke' AND state = 'in_force') THEN 'revoked'
            ELSE 'active' END
     WHERE mailbox_id = of_mailbox;
END $$;

CREATE FUNCTION action_begin(of_action bigint, by_account bigint, is_approval boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
    tells timestamptz;
BEGIN
    UPDATE staff_action SET state = 'in_force', in_force_at = clock_timestamp(),
           decided_by = CASE WHEN is_approval THEN by_account END, decided_at = CASE WHEN is_approval THEN clock_timestamp() END
     WHERE action_id = of_action RETURNING * INTO a;
    PERFORM action_settle(a.account_id, a.target_mailbox_id);
    IF a.kind = 'reclaim' THEN
        INSERT INTO resting_name (domain_id, name_hash, reason, until)
        VALUES (a.domain_id, a.name_hash, 'reclaimed', now() + interval '731 days')
        ON CONFLICT (domain_id, name_hash) DO UPDATE
            SET reason = excluded.reason, since = now(), until = greatest(resting_name.until, excluded.until);
    END IF;
    tells := greatest(now(), a.withheld_until);
    INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at) VALUES (a.account_id, of_action, 'action', tells, tells);
    PERFORM audit_append(CASE WHEN is_approval THEN 'action.approved' ELSE 'action.taken' END, 'account:' || by_account,
        jsonb_build_object('action', of_action, 'case', a.case_id, 'kind', a.kind, 'account', a.account_id, 'mailbox', a.target_mailbox_id,
            'rule', a.rule, 'withheld', a.withheld IS NOT NULL));
END $$;

CREATE FUNCTION action_end(of_action bigint, by_account bigint, of_why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
    tells timestamptz;
BEGIN
    UPDATE staff_action SET state = 'lifted', lifted_at = clock_timestamp(), lifted_by = by_account, lifted_why = of_why
     WHERE action_id = of_action AND state = 'in_force' RETURNING * INTO a;
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM action_settle(a.account_id, a.target_mailbox_id);
    IF a.kind = 'reclaim' THEN
        DELETE FROM resting_name WHERE domain_id = a.domain_id AND name_hash = a.name_hash AND reason = 'reclaimed';
    END IF;
    IF of_why <> 'appeal' THEN
        SELECT greatest(now(), due_at) INTO tells FROM staff_notice WHERE action_id = of_action AND kind = 'action';
        INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at) VALUES (a.account_id, of_action, 'lifted', tells, tells);
    END IF;
    PERFORM audit_append(CASE WHEN of_why = 'time' THEN 'action.ended' ELSE 'action.lifted' END,
        CASE WHEN of_why = 'time' THEN 'system:worker' ELSE 'account:' || by_account END,
        jsonb_build_object('action', of_action, 'case', a.case_id, 'kind', a.kind, 'account', a.account_id,
            'mailbox', a.target_mailbox_id, 'why', of_why));
END $$;

-- Act: the strike, its effect, the notice and the log, or none of them. 'done', 'proposed' (a lead decides), or why not.
CREATE FUNCTION action_take(new_action bigint, by_account bigint, of_case bigint, of_kind text, of_account bigint, of_mailbox bigint,
    of_amount integer, of_rule text, sealed_words bytea, ends timestamptz, sealed_withheld bytea, withheld_to timestamptz,
    of_domain bigint, of_name bytea, reserve boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text;
BEGIN
    PERFORM 1 FROM case_file WHERE case_id = of_case AND state <> 'closed' FOR SHARE;
    IF NOT FOUND THEN RETURN action_denied('take', by_account, new_action, of_case, 'case-closed'); END IF;
    PERFORM 1 FROM account WHERE account_id = of_account AND status <> 'closed' FOR UPDATE;
    IF NOT FOUND THEN RETURN action_denied('take', by_account, new_action, of_case, 'none'); END IF;
    why := action_refusal(by_account, of_account, of_mailbox);
    IF why <> '' THEN NULL;
    ELSIF of_mailbox IS NOT NULL AND NOT EXISTS (SELECT 1 FROM mailbox_member JOIN mailbox USING (mailbox_id)
            WHERE mailbox_id = of_mailbox AND account_id = of_account AND role = 'owner' AND state <> 'closed') THEN why := 'mailbox';
    ELSIF of_kind NOT IN ('warn', 'limit') AND EXISTS (SELECT 1 FROM staff_action WHERE account_id = of_account AND kind = of_kind
            AND target_mailbox_id IS NOT DISTINCT FROM of_mailbox AND state IN ('proposed', 'in_force')) THEN why := 'already';
    ELSIF ends IS NOT NULL AND (ends <= now() OR ends > now() + interval '2 years') THEN why := 'dates';
    ELSIF withheld_to IS NOT NULL AND (withheld_to <= now() OR withheld_to > now() + interval '90 days') THEN why := 'withheld-dates';
    END IF;
    IF why <> '' THEN RETURN action_denied('take', by_account, new_action, of_case, why); END IF;
    INSERT INTO staff_action (action_id, case_id, kind, account_id, target_mailbox_id, amount, rule, words, acted_by, until, withheld,
        withheld_until, domain_id, name_hash, then_reserved)
    VALUES (new_action, of_case, of_kind, of_account, of_mailbox, of_amount, of_rule, sealed_words, by_account, ends, sealed_withheld,
        withheld_to, of_domain, of_name, reserve);
    IF action_needs_second(by_account, of_kind, sealed_withheld IS NOT NULL) THEN
        PERFORM audit_append('action.proposed', 'account:' || by_account, jsonb_build_object('action', new_action, 'case', of_case,
            'kind', of_kind, 'account', of_account, 'mailbox', of_mailbox, 'rule', of_rule, 'withheld', sealed_withheld IS NOT NULL));
        RETURN 'proposed';
    END IF;
    PERFORM action_begin(new_action, by_account, false);
    RETURN 'done';
END $$;

-- The second person: a lead or an admin who did not propose it.
CREATE FUNCTION action_decide(of_action bigint, by_account bigint, is_approved boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
    why text := '';
BEGIN
    SELECT * INTO a FROM staff_action WHERE action_id = of_action FOR UPDATE;
    IF NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'role';
    ELSIF a.action_id IS NULL THEN why := 'none';
    ELSIF a.acted_by = by_account THEN why := 'own-request';
    ELSIF a.state <> 'proposed' THEN why := 'decided';
    ELSE
        why := action_refusal(by_account, a.account_id, a.target_mailbox_id);
        IF why = '' AND is_approved AND NOT EXISTS (SELECT 1 FROM case_file WHERE case_id = a.case_id AND state <> 'closed') THEN
            why := 'case-closed';
        ELSIF why = '' AND is_approved AND (a.acted_at < now() - interval '7 days' OR a.until <= now() OR a.withheld_until <= now()) THEN
            why := 'stale';
        END IF;
    END IF;
    IF why <> '' THEN RETURN action_denied('decide', by_account, of_action, a.case_id, why); END IF;
    IF is_approved THEN
        PERFORM action_begin(of_action, by_account, true);
    ELSE
        UPDATE staff_action SET state = 'declined', decided_by = by_account, decided_at = clock_timestamp() WHERE action_id = of_action;
        PERFORM audit_append('action.declined', 'account:' || by_account,
            jsonb_build_object('action', of_action, 'case', a.case_id, 'kind', a.kind, 'account', a.account_id));
    END IF;
    RETURN '';
END $$;

-- Undo: who acted, or a lead or an admin.
CREATE FUNCTION action_lift(of_action bigint, by_account bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a staff_action;
    why text := '';
BEGIN
    SELECT * INTO a FROM staff_action WHERE action_id = of_action FOR UPDATE;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'admin']) THEN why := 'role';
    ELSIF a.action_id IS NULL THEN why := 'none';
    ELSIF a.state <> 'in_force' THEN why := 'over';
    ELSIF a.name_freed_at IS NOT NULL THEN why := 'freed';
    ELSIF a.acted_by <> by_account AND NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'not-yours';
    ELSE why := action_refusal(by_account, a.account_id, a.target_mailbox_id);
    END IF;
    IF why <> '' THEN RETURN action_denied('lift', by_account, of_action, a.case_id, why); END IF;
    PERFORM action_end(of_action, by_account, 'colleague');
    RETURN '';
END $$;

CREATE FUNCTION appeal_make(new_appeal bigint, by_account bigint, of_action bigint, sealed_words bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text;
    of_case bigint;
BEGIN
    SELECT case_id INTO of_case FROM staff_action WHERE action_id = of_action AND account_id = by_account FOR UPDATE;
    why := appeal_refusal(by_account, of_action);
    IF why <> '' THEN RETURN why; END IF;
    INSERT INTO appeal (appeal_id, action_id, account_id, words) VALUES (new_appeal, of_action, by_account, sealed_words);
    PERFORM audit_append('appeal.made', 'account:' || by_account,
        jsonb_build_object('appeal', new_appeal, 'action', of_action, 'case', of_case));
    RETURN '';
END $$;

-- The verdict, once; what is upheld is undone in the same transaction, and the person is answered.
CREATE FUNCTION appeal_judge(of_appeal bigint, by_account bigint, of_verdict text, sealed_answer bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    p appeal;
    of_case bigint;
    why text := '';
BEGIN
    SELECT * INTO p FROM appeal WHERE appeal_id = of_appeal FOR UPDATE;
    SELECT case_id INTO of_case FROM staff_action WHERE action_id = p.action_id;
    IF NOT access_may(by_account, ARRAY['support_lead', 'reviewer']) THEN why := 'role';
    ELSIF p.appeal_id IS NULL THEN why := 'none';
    ELSIF p.verdict IS NOT NULL THEN why := 'judged';
    ELSIF of_verdict NOT IN ('upheld', 'rejected') THEN why := 'verdict';
    ELSE why := appeal_judge_refusal(by_account, p.action_id);
    END IF;
    IF why <> '' THEN RETURN action_denied('judge', by_account, p.action_id, of_case, why); END IF;
    UPDATE appeal SET verdict = of_verdict, judged_by = by_account, judged_at = clock_timestamp(), answer = sealed_answer
     WHERE appeal_id = of_appeal;
    INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at) VALUES (p.account_id, p.action_id, 'appeal', now(), now());
    PERFORM audit_append('appeal.' || of_verdict, 'account:' || by_account, jsonb_build_object('appeal', of_appeal,
        'action', p.action_id, 'case', of_case, 'late', p.due_at < clock_timestamp()));
    IF of_verdict = 'upheld' THEN
        PERFORM action_end(p.action_id, by_account, 'appeal');
    END IF;
    RETURN '';
END $$;

-- What somebody was told; nothing before it is due.
CREATE FUNCTION notices_of(of_account bigint) RETURNS TABLE (action_id bigint, kind text, address text, amount integer, rule text,
    words bytea, since timestamptz, until timestamptz, state text, lifted_at timestamptz, lifted_why text, told_at timestamptz,
    is_new boolean, may_appeal boolean, appeal_id bigint, appeal_words bytea, appealed_at timestamptz, appeal_due_at timestamptz,
    verdict text, answer bytea, judged_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.action_id, a.kind, coalesce((SELECT ad.local_part || '@' || d.name FROM address ad JOIN domain d USING (domain_id)
                WHERE ad.mailbox_id = a.target_mailbox_id AND ad.is_primary), ''), a.amount, a.rule, a.words, a.in_force_at, a.until,
           CASE WHEN l.due_at > now() AND a.lifted_why <> 'appeal' THEN 'in_force' ELSE a.state END, a.lifted_at, a.lifted_why, n.due_at,
           EXISTS (SELECT 1 FROM staff_notice u WHERE u.action_id = a.action_id AND u.due_at <= now() AND u.seen_at IS NULL),
           appeal_refusal(of_account, a.action_id) = '', p.appeal_id, p.words, p.made_at, p.due_at, p.verdict, p.answer, p.judged_at
      FROM staff_action a JOIN staff_notice n ON n.action_id = a.action_id AND n.kind = 'action'
      LEFT JOIN staff_notice l ON l.action_id = a.action_id AND l.kind = 'lifted' LEFT JOIN appeal p ON p.action_id = a.action_id
     WHERE a.account_id = of_account AND n.due_at <= now() ORDER BY n.due_at DESC, a.action_id LIMIT 100
$$;

CREATE FUNCTION notices_seen(of_account bigint) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH seen AS (UPDATE staff_notice SET seen_at = now() WHERE account_id = of_account AND due_at <= now() AND seen_at IS NULL RETURNING 1)
    SELECT count(*)::integer FROM seen
$$;

-- By the clock: what has a last day ends, and a name that has rested is anybody's, or the service's. How many.
CREATE FUNCTION actions_end_by_time() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a record;
    ended integer := 0;
BEGIN
    FOR a IN SELECT action_id FROM staff_action WHERE state = 'in_force' AND until <= now() ORDER BY until LIMIT 500
              FOR UPDATE SKIP LOCKED LOOP
        PERFORM action_end(a.action_id, NULL, 'time');
        ended := ended + 1;
    END LOOP;
    FOR a IN SELECT * FROM staff_action WHERE state = 'in_force' AND kind = 'reclaim' AND name_freed_at IS NULL
                AND in_force_at <= now() - interval '731 days' ORDER BY in_force_at LIMIT 500 FOR UPDATE SKIP LOCKED LOOP
        IF a.then_reserved THEN
            INSERT INTO reserved_name (name, likeness) SELECT local_part, likeness FROM address
             WHERE mailbox_id = a.target_mailbox_id AND domain_id = a.domain_id AND likeness IS NOT NULL ON CONFLICT DO NOTHING;
        END IF;
        DELETE FROM address WHERE mailbox_id = a.target_mailbox_id AND domain_id = a.domain_id;
        DELETE FROM resting_name WHERE domain_id = a.domain_id AND name_hash = a.name_hash;
        UPDATE staff_action SET name_freed_at = now() WHERE action_id = a.action_id;
        PERFORM audit_append('action.name_freed', 'system:worker', jsonb_build_object('action', a.action_id, 'case', a.case_id,
            'mailbox', a.target_mailbox_id, 'reserved', a.then_reserved));
        ended := ended + 1;
    END LOOP;
    RETURN ended;
END $$;

-- The mailboxes that somebody owns, for who may act on him in an open case.
CREATE FUNCTION action_targets(by_account bigint, of_case bigint, of_account bigint)
RETURNS TABLE (mailbox_id bigint, address text, state text, may_receive boolean, domain_id bigint, local_part text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.mailbox_id, ad.local_part || '@' || d.name, m.state, m.may_receive, ad.domain_id, ad.local_part
      FROM mailbox_member mm JOIN mailbox m USING (mailbox_id)
      JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary JOIN domain d USING (domain_id)
     WHERE mm.account_id = of_account AND mm.role = 'owner' AND m.state <> 'closed' AND action_refusal(by_account, of_account, NULL) = ''
       AND EXISTS (SELECT 1 FROM case_file WHERE case_id = of_case AND state <> 'closed') ORDER BY mm.since
$$;

-- With the person, when the account is closed: what was held about him goes. How many actions.
CREATE FUNCTION actions_forget(of_account bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM staff_notice WHERE account_id = of_account;
    DELETE FROM appeal WHERE account_id = of_account;
    DELETE FROM staff_action WHERE account_id = of_account;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- The memory of abuse: opened by who holds an identifier, for an open case, and never without a line in the log.
CREATE FUNCTION memory_look(by_account bigint, of_case bigint, handles bytea[]) RETURNS TABLE (memory_id bigint, sealed bytea,
    wrapped bytea, kept_at timestamptz, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    why text := '';
    found_rows integer;
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) THEN why := 'role';
    ELSIF NOT EXISTS (SELECT 1 FROM case_file WHERE case_id = of_case AND state <> 'closed') THEN why := 'case-closed';
    ELSIF coalesce(cardinality(handles), 0) NOT BETWEEN 1 AND 20 THEN why := 'address';
    END IF;
    SELECT count(DISTINCT h.memory_id) INTO found_rows FROM abuse_memory_handle h WHERE why = '' AND h.handle = ANY (handles);
    PERFORM audit_append(CASE WHEN why = '' THEN 'memory.looked_up' ELSE 'memory.denied' END, 'account:' || by_account,
        jsonb_build_object('case', of_case, 'why', why, 'found', found_rows));
    IF why <> '' THEN
        RETURN QUERY SELECT NULL::bigint, NULL::bytea, NULL::bytea, NULL::timestamptz, why;
        RETURN;
    END IF;
    RETURN QUERY SELECT DISTINCT ON (m.memory_id) m.memory_id, m.sealed, h.wrapped, m.kept_at, ''
                   FROM abuse_memory_handle h JOIN abuse_memory m USING (memory_id)
                  WHERE h.handle = ANY (handles) ORDER BY m.memory_id;
END $$;

CREATE FUNCTION retention_memory(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH gone AS (DELETE FROM abuse_memory m WHERE m.memory_id IN
            (SELECT t.memory_id FROM abuse_memory t WHERE t.kept_at < before LIMIT most) RETURNING m.kept_at)
            SELECT count(*), min(gone.kept_at) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(m.kept_at) FROM abuse_memory m WHERE m.kept_at < before;
    END IF;
END $$;
"""

_STAFF_VERBS = """action_take(bigint, bigint, bigint, text, bigint, bigint, integer, text, bytea, timestamptz, bytea, timestamptz, bigint,
        bytea, boolean),
    action_decide(bigint, bigint, boolean), action_lift(bigint, bigint), appeal_judge(bigint, bigint, text, bytea),
    action_targets(bigint, bigint, bigint), memory_look(bigint, bigint, bytea[]), action_refusal(bigint, bigint, bigint),
    appeal_judge_refusal(bigint, bigint)"""
_WEB_VERBS = "notices_of(bigint), notices_seen(bigint), appeal_make(bigint, bigint, bigint, bytea)"
_WORKER_VERBS = "actions_end_by_time(), actions_forget(bigint)"
_INNER = """staff_action_begins(), staff_action_goes_on(), staff_action_is_told(), staff_row_stays(), staff_notice_goes_on(),
    appeal_goes_on(), appeal_refusal(bigint, bigint), action_needs_second(bigint, text, boolean),
    action_denied(text, bigint, bigint, bigint, text), action_settle(bigint, bigint), action_begin(bigint, bigint, boolean),
    action_end(bigint, bigint, text), retention_memory(timestamptz, integer, boolean)"""

GRANTS = f"""
REVOKE ALL ON FUNCTION {_STAFF_VERBS}, {_WEB_VERBS}, {_WORKER_VERBS}, {_INNER} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {_STAFF_VERBS} TO mtumail_staff;
GRANT EXECUTE ON FUNCTION {_WEB_VERBS} TO mtumail_web;
GRANT EXECUTE ON FUNCTION {_WORKER_VERBS} TO mtumail_worker;
GRANT EXECUTE ON FUNCTION retention_memory(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
GRANT SELECT ON staff_action, staff_notice, appeal TO mtumail_staff, mtumail_worker;
GRANT SELECT (may_sign_in, may_send, send_day) ON account TO mtumail_staff;
GRANT SELECT (account_id, action_id, due_at, seen_at) ON staff_notice TO mtumail_web;
GRANT UPDATE (mail, mail_at, attempts) ON staff_notice TO mtumail_worker;
GRANT SELECT (may_receive) ON mailbox TO mtumail_inbound;
GRANT INSERT ON abuse_memory, abuse_memory_handle TO mtumail_worker;

ALTER TABLE staff_notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY staff_notice_when_it_is_due ON staff_notice FOR SELECT TO mtumail_web USING (due_at <= now());
CREATE POLICY staff_notice_of_everybody ON staff_notice TO mtumail_staff, mtumail_worker USING (true);
"""


def upgrade() -> None:
    op.execute(CHANGES)
    op.execute(TABLES)
    op.execute(RULES)
    op.execute(VERBS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP TABLE abuse_memory_handle, abuse_memory, appeal, staff_notice, staff_action")
    op.execute(f"DROP FUNCTION {_STAFF_VERBS}, {_WEB_VERBS}, {_WORKER_VERBS}, {_INNER}")
    op.execute("REVOKE SELECT (may_sign_in, may_send, send_day) ON account FROM mtumail_staff")
    op.execute("ALTER TABLE account DROP COLUMN may_sign_in, DROP COLUMN may_send, DROP COLUMN send_day")
    op.execute("""
        UPDATE mailbox SET state = 'revoked' WHERE state = 'reclaimed';
        ALTER TABLE mailbox DROP COLUMN may_receive, DROP CONSTRAINT mailbox_state_is_known,
            ADD CONSTRAINT mailbox_state_is_known CHECK (state IN ('active', 'suspended', 'revoked', 'closed'))""")
