"""Somebody's mail is opened by a grant alone, one part at a time, each written down first; and its owner sees it."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE access_grant (
    mailbox_id bigint NOT NULL CONSTRAINT access_grant_mailbox_id_exists REFERENCES mailbox,
    grant_id bigint NOT NULL CONSTRAINT access_grant_grant_id_taken_once UNIQUE,
    case_id bigint NOT NULL CONSTRAINT access_grant_case_id_exists REFERENCES case_file,
    requested_by bigint NOT NULL CONSTRAINT access_grant_requested_by_exists REFERENCES account,
    requested_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    kind text NOT NULL DEFAULT '',
    purpose text NOT NULL,
    basis text NOT NULL,
    words bytea NOT NULL,
    minutes smallint NOT NULL,
    is_emergency boolean NOT NULL DEFAULT false,
    legal bytea,
    legal_from date,
    legal_until date,
    state text NOT NULL DEFAULT 'requested',
    decided_by bigint CONSTRAINT access_grant_decided_by_exists REFERENCES account,
    decided_at timestamptz,
    decision_words bytea,
    opened_at timestamptz,
    expires_at timestamptz,
    closed_at timestamptz,
    closed_by bigint CONSTRAINT access_grant_closed_by_exists REFERENCES account,
    closed_why text,
    review_due_at timestamptz,
    reviewed_at timestamptz,
    told_at timestamptz,
    CONSTRAINT access_grant_key PRIMARY KEY (mailbox_id, grant_id),
    CONSTRAINT access_grant_reason_has_purpose_and_basis CHECK ((reason, purpose, basis) IN (
        ('abuse', 'prevent-abuse', 'legitimate-interests'),
        ('service', 'provide', 'contract'),
        ('delivery', 'troubleshoot', 'contract'),
        ('security', 'protect', 'legitimate-interests'),
        ('legal', 'comply-with-law', 'legal-obligation'))),
    CONSTRAINT access_grant_abuse_has_a_kind CHECK (CASE WHEN reason = 'abuse'
        THEN kind IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'other') ELSE kind = '' END),
    CONSTRAINT access_grant_minutes_are_few CHECK (minutes BETWEEN 5 AND 60),
    CONSTRAINT access_grant_emergency_is_legal CHECK (NOT is_emergency OR reason = 'legal'),
    CONSTRAINT access_grant_legal_names_its_order CHECK (CASE WHEN reason = 'legal'
        THEN legal IS NOT NULL AND legal_from IS NOT NULL AND legal_until >= legal_from
        ELSE legal IS NULL AND legal_from IS NULL AND legal_until IS NULL END),
    CONSTRAINT access_grant_state_is_known CHECK (state IN ('requested', 'approved', 'refused', 'closed')),
    CONSTRAINT access_grant_nobody_approves_his_own CHECK (decided_by <> requested_by),
    CONSTRAINT access_grant_decision_is_somebodys CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT access_grant_approved_by_a_second_person CHECK
        (state NOT IN ('approved', 'refused') OR is_emergency OR decided_by IS NOT NULL),
    CONSTRAINT access_grant_opened_after_approval CHECK (opened_at IS NULL OR is_emergency OR decided_by IS NOT NULL),
    CONSTRAINT access_grant_ends_by_itself CHECK ((opened_at IS NULL) = (expires_at IS NULL)
        AND (opened_at IS NULL OR expires_at = opened_at + minutes * interval '1 minute')),
    CONSTRAINT access_grant_closed_says_why CHECK ((state = 'closed') = (closed_at IS NOT NULL)
        AND (closed_at IS NULL) = (closed_why IS NULL) AND closed_why IN ('holder', 'colleague', 'case', 'role')),
    CONSTRAINT access_grant_opened_is_reviewed CHECK (review_due_at IS NOT NULL OR (opened_at IS NULL AND NOT is_emergency)),
    CONSTRAINT access_grant_words_are_short CHECK (octet_length(words) <= 9000 AND octet_length(decision_words) <= 9000
        AND octet_length(legal) <= 3000)
);
CREATE INDEX access_grant_requested ON access_grant (requested_at) WHERE state = 'requested';
CREATE INDEX access_grant_held ON access_grant (requested_by, requested_at);
CREATE INDEX access_grant_of_case ON access_grant (case_id, requested_at);
CREATE INDEX access_grant_unreviewed ON access_grant (review_due_at) WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL;
CREATE INDEX access_grant_untold ON access_grant (expires_at) WHERE opened_at IS NOT NULL AND told_at IS NULL;
CREATE INDEX access_grant_opened ON access_grant (mailbox_id, opened_at) WHERE opened_at IS NOT NULL;
CREATE INDEX access_grant_by_year ON access_grant (requested_at);

CREATE TABLE access_scope (
    mailbox_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    message_id bigint NOT NULL,
    headers boolean NOT NULL,
    body boolean NOT NULL,
    attachments boolean NOT NULL,
    CONSTRAINT access_scope_key PRIMARY KEY (mailbox_id, grant_id, message_id),
    CONSTRAINT access_scope_grant_exists FOREIGN KEY (mailbox_id, grant_id) REFERENCES access_grant,
    CONSTRAINT access_scope_names_a_part CHECK (headers OR body OR attachments)
);

CREATE TABLE access_act (
    mailbox_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    number smallint NOT NULL,
    message_id bigint NOT NULL,
    part text NOT NULL,
    file smallint NOT NULL DEFAULT 0,
    account_id bigint NOT NULL CONSTRAINT access_act_account_id_exists REFERENCES account,
    at timestamptz NOT NULL,
    event bigint NOT NULL CONSTRAINT access_act_event_taken_once UNIQUE,
    CONSTRAINT access_act_key PRIMARY KEY (mailbox_id, grant_id, number),
    CONSTRAINT access_act_in_scope FOREIGN KEY (mailbox_id, grant_id, message_id) REFERENCES access_scope,
    CONSTRAINT access_act_number_is_small CHECK (number BETWEEN 1 AND 200),
    CONSTRAINT access_act_part_is_known CHECK (part IN ('headers', 'text', 'attachments')),
    CONSTRAINT access_act_file_is_of_attachments CHECK (file >= 0 AND (file = 0 OR part = 'attachments'))
);

CREATE TABLE access_review (
    mailbox_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    reviewed_by bigint NOT NULL CONSTRAINT access_review_reviewed_by_exists REFERENCES account,
    verdict text NOT NULL,
    words bytea NOT NULL,
    due_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    event bigint NOT NULL CONSTRAINT access_review_event_taken_once UNIQUE,
    case_id bigint CONSTRAINT access_review_case_id_exists REFERENCES case_file,
    CONSTRAINT access_review_key PRIMARY KEY (mailbox_id, grant_id),
    CONSTRAINT access_review_grant_exists FOREIGN KEY (mailbox_id, grant_id) REFERENCES access_grant,
    CONSTRAINT access_review_verdict_is_known CHECK (verdict IN ('approve', 'flag')),
    CONSTRAINT access_review_flag_opens_a_case CHECK ((verdict = 'flag') = (case_id IS NOT NULL)),
    CONSTRAINT access_review_words_are_short CHECK (octet_length(words) <= 9000)
);

CREATE TABLE access_gag (
    mailbox_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    asked_by bigint NOT NULL CONSTRAINT access_gag_asked_by_exists REFERENCES account,
    asked_at timestamptz NOT NULL DEFAULT now(),
    words bytea NOT NULL,
    review_at timestamptz NOT NULL,
    approved_by bigint CONSTRAINT access_gag_approved_by_exists REFERENCES account,
    approved_at timestamptz,
    looked_by bigint CONSTRAINT access_gag_looked_by_exists REFERENCES account,
    looked_at timestamptz,
    ended_by bigint CONSTRAINT access_gag_ended_by_exists REFERENCES account,
    ended_at timestamptz,
    CONSTRAINT access_gag_key PRIMARY KEY (mailbox_id, grant_id),
    CONSTRAINT access_gag_grant_exists FOREIGN KEY (mailbox_id, grant_id) REFERENCES access_grant,
    CONSTRAINT access_gag_nobody_approves_his_own CHECK (approved_by <> asked_by AND looked_by <> asked_by),
    CONSTRAINT access_gag_approval_is_somebodys CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT access_gag_look_is_somebodys CHECK ((looked_by IS NULL) = (looked_at IS NULL)),
    CONSTRAINT access_gag_end_is_somebodys CHECK ((ended_by IS NULL) = (ended_at IS NULL)),
    CONSTRAINT access_gag_is_looked_at_again CHECK
        (review_at > asked_at AND review_at <= coalesce(looked_at, asked_at) + interval '90 days'),
    CONSTRAINT access_gag_words_are_short CHECK (octet_length(words) <= 9000)
);
CREATE INDEX access_gag_running ON access_gag (review_at) WHERE ended_at IS NULL;
"""

GUARDS = """
CREATE FUNCTION access_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER access_scope_stays BEFORE UPDATE OR DELETE ON access_scope FOR EACH ROW EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_act_stays BEFORE UPDATE OR DELETE ON access_act FOR EACH ROW EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_review_stays BEFORE UPDATE OR DELETE ON access_review FOR EACH ROW EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_grant_stays BEFORE DELETE ON access_grant FOR EACH ROW EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_gag_stays BEFORE DELETE ON access_gag FOR EACH ROW EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_grant_stays_whole BEFORE TRUNCATE ON access_grant FOR EACH STATEMENT EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_scope_stays_whole BEFORE TRUNCATE ON access_scope FOR EACH STATEMENT EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_act_stays_whole BEFORE TRUNCATE ON access_act FOR EACH STATEMENT EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_review_stays_whole BEFORE TRUNCATE ON access_review FOR EACH STATEMENT EXECUTE FUNCTION access_refuse_change();
CREATE TRIGGER access_gag_stays_whole BEFORE TRUNCATE ON access_gag FOR EACH STATEMENT EXECUTE FUNCTION access_refuse_change();

-- A grant says what was asked for: that never changes, what was decided is decided once, and what has ended does not begin again.
CREATE FUNCTION access_grant_goes_on() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.mailbox_id, NEW.grant_id, NEW.case_id, NEW.requested_by, NEW.requested_at, NEW.reason, NEW.kind, NEW.purpose, NEW.basis,
        NEW.words, NEW.minutes, NEW.is_emergency, NEW.legal, NEW.legal_from, NEW.legal_until)
       IS DISTINCT FROM
       (OLD.mailbox_id, OLD.grant_id, OLD.case_id, OLD.requested_by, OLD.requested_at, OLD.reason, OLD.kind, OLD.purpose, OLD.basis,
        OLD.words, OLD.minutes, OLD.is_emergency, OLD.legal, OLD.legal_from, OLD.legal_until)
       OR (OLD.decided_by IS NOT NULL AND (NEW.decided_by, NEW.decided_at, NEW.decision_words)
           IS DISTINCT FROM (OLD.decided_by, OLD.decided_at, OLD.decision_words))
       OR (OLD.opened_at IS NOT NULL AND (NEW.opened_at, NEW.expires_at) IS DISTINCT FROM (OLD.opened_at, OLD.expires_at))
       OR (OLD.closed_at IS NOT NULL AND (NEW.closed_at, NEW.closed_by, NEW.closed_why)
           IS DISTINCT FROM (OLD.closed_at, OLD.closed_by, OLD.closed_why))
       OR (OLD.review_due_at IS NOT NULL AND NEW.review_due_at IS DISTINCT FROM OLD.review_due_at)
       OR (OLD.reviewed_at IS NOT NULL AND NEW.reviewed_at IS DISTINCT FROM OLD.reviewed_at)
       OR (OLD.told_at IS NOT NULL AND NEW.told_at IS DISTINCT FROM OLD.told_at)
       OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (('requested', 'approved'), ('requested', 'refused'),
           ('requested', 'closed'), ('approved', 'closed'))) THEN
        RAISE EXCEPTION 'a grant stays what it was asked for and what was decided' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_grant_goes_on BEFORE UPDATE ON access_grant FOR EACH ROW EXECUTE FUNCTION access_grant_goes_on();

-- A request begins undecided, whoever writes it; an emergency begins approved by nobody, and is owed its review.
CREATE FUNCTION access_grant_begins() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.state <> (CASE WHEN NEW.is_emergency THEN 'approved' ELSE 'requested' END) OR NEW.requested_at <> now()
       OR num_nonnulls(NEW.decided_by, NEW.decided_at, NEW.opened_at, NEW.closed_at, NEW.reviewed_at, NEW.told_at) > 0
       OR (NEW.review_due_at IS NOT NULL) <> NEW.is_emergency THEN
        RAISE EXCEPTION 'a grant begins with its request' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_grant_begins BEFORE INSERT ON access_grant FOR EACH ROW EXECUTE FUNCTION access_grant_begins();

-- What may be read is named in the transaction of the request and never after it: nothing is slipped under an approval.
CREATE FUNCTION access_named_with_request() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
BEGIN
    SELECT * INTO g FROM access_grant WHERE mailbox_id = NEW.mailbox_id AND grant_id = NEW.grant_id;
    IF g.requested_at IS DISTINCT FROM now() OR g.decided_by IS NOT NULL OR g.opened_at IS NOT NULL THEN
        RAISE EXCEPTION 'what a grant is about is named with its request' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_TABLE_NAME = 'access_gag' AND g.reason <> 'legal' THEN
        RAISE EXCEPTION 'only a legal order can be kept from the owner' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_scope_named_with_request BEFORE INSERT ON access_scope FOR EACH ROW EXECUTE FUNCTION access_named_with_request();
CREATE TRIGGER access_gag_named_with_request BEFORE INSERT ON access_gag FOR EACH ROW EXECUTE FUNCTION access_named_with_request();

CREATE FUNCTION access_gag_goes_on() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
BEGIN
    SELECT * INTO g FROM access_grant WHERE mailbox_id = OLD.mailbox_id AND grant_id = OLD.grant_id;
    IF (NEW.mailbox_id, NEW.grant_id, NEW.asked_by, NEW.asked_at, NEW.words)
       IS DISTINCT FROM (OLD.mailbox_id, OLD.grant_id, OLD.asked_by, OLD.asked_at, OLD.words)
       OR (OLD.approved_by IS NOT NULL AND (NEW.approved_by, NEW.approved_at) IS DISTINCT FROM (OLD.approved_by, OLD.approved_at))
       OR OLD.ended_at IS NOT NULL
       OR (NEW.review_at IS DISTINCT FROM OLD.review_at AND NEW.looked_at IS NOT DISTINCT FROM OLD.looked_at) THEN
        RAISE EXCEPTION 'a gag stays what it was asked for, and ends once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.approved_by IN (g.requested_by, g.decided_by) OR NEW.looked_by IN (g.requested_by, g.decided_by) THEN
        RAISE EXCEPTION 'a gag has an approver of its own' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_gag_goes_on BEFORE UPDATE ON access_gag FOR EACH ROW EXECUTE FUNCTION access_gag_goes_on();

-- Nobody judges what he asked for, approved, opened or kept quiet, nor what was done to his own mailbox.
CREATE FUNCTION access_review_is_independent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM access_grant WHERE mailbox_id = NEW.mailbox_id AND grant_id = NEW.grant_id
                  AND (NEW.reviewed_by IN (requested_by, decided_by) OR case_is_about(case_id, NEW.reviewed_by)))
       OR EXISTS (SELECT 1 FROM access_act WHERE mailbox_id = NEW.mailbox_id AND grant_id = NEW.grant_id
                     AND account_id = NEW.reviewed_by)
       OR EXISTS (SELECT 1 FROM access_gag WHERE mailbox_id = NEW.mailbox_id AND grant_id = NEW.grant_id
                     AND NEW.reviewed_by IN (asked_by, approved_by, looked_by, ended_by))
       OR EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = NEW.mailbox_id AND account_id = NEW.reviewed_by) THEN
        RAISE EXCEPTION 'a review is by somebody who had no part in it' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_review_is_independent BEFORE INSERT ON access_review FOR EACH ROW EXECUTE FUNCTION access_review_is_independent();

-- A grant ends with its case, and with the role of who holds it: what begins again later does not bring it back.
CREATE FUNCTION access_ends_with_case() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g record;
BEGIN
    FOR g IN UPDATE access_grant SET state = 'closed', closed_at = clock_timestamp(), closed_why = 'case'
              WHERE case_id = NEW.case_id AND state IN ('requested', 'approved') RETURNING grant_id LOOP
        PERFORM audit_append('access.closed', 'system:database',
            jsonb_build_object('grant', g.grant_id, 'case', NEW.case_id, 'why', 'case'));
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER case_file_ends_access AFTER UPDATE OF state ON case_file FOR EACH ROW
    WHEN (NEW.state = 'closed' AND OLD.state <> 'closed') EXECUTE FUNCTION access_ends_with_case();

CREATE FUNCTION access_ends_with_role() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g record;
BEGIN
    IF EXISTS (SELECT 1 FROM account_role WHERE account_id = OLD.account_id AND role IN ('support', 'support_lead')) THEN
        RETURN NULL;
    END IF;
    FOR g IN UPDATE access_grant SET state = 'closed', closed_at = clock_timestamp(), closed_why = 'role'
              WHERE requested_by = OLD.account_id AND state IN ('requested', 'approved') RETURNING grant_id LOOP
        PERFORM audit_append('access.closed', 'system:database',
            jsonb_build_object('grant', g.grant_id, 'account', OLD.account_id, 'why', 'role'));
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER account_role_ends_access AFTER DELETE ON account_role FOR EACH ROW EXECUTE FUNCTION access_ends_with_role();
"""

VERBS = """
-- Whether a person is active and has one of these roles, as of now; it stays so until the transaction ends.
CREATE FUNCTION access_may(by_account bigint, roles text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM account WHERE account_id = by_account AND status = 'active' FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM account_role WHERE account_id = by_account AND role = ANY (roles) FOR SHARE;
    RETURN FOUND;
END $$;

CREATE FUNCTION access_denied(verb text, by_account bigint, of_grant bigint, why text, more jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit_append('access.denied', 'account:' || by_account,
        jsonb_build_object('verb', verb, 'grant', of_grant, 'why', why) || more);
    RETURN why;
END $$;

CREATE FUNCTION access_is_gagged(of_mailbox bigint, of_grant bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT 1 FROM access_gag WHERE mailbox_id = of_mailbox AND grant_id = of_grant AND ended_at IS NULL)
$$;

-- A case is also about whose access a reviewer flagged by it.
CREATE OR REPLACE FUNCTION case_is_about(of_case bigint, person bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM case_file WHERE case_id = of_case AND account_id = person)
        OR EXISTS (SELECT FROM access_review v JOIN access_grant g USING (mailbox_id, grant_id)
                    WHERE v.case_id = of_case AND person IN (g.requested_by, g.decided_by))
$$;

-- Ask for a grant. `parts` are bits for each message: 1 headers, 2 text, 4 attachments. The answer is '' or why not.
CREATE FUNCTION access_request(new_grant bigint, by_account bigint, of_mailbox bigint, of_case bigint, for_reason text, for_kind text,
    for_purpose text, on_basis text, sealed_words bytea, for_minutes smallint, messages bigint[], parts smallint[],
    as_emergency boolean, sealed_order bytea, order_from date, order_until date, gag_words bytea, gag_review timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c record;
    why text := '';
BEGIN
    SELECT kind, state INTO c FROM case_file WHERE case_id = of_case FOR SHARE;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) THEN why := 'role';
    ELSIF c.state IS NULL OR c.state = 'closed' THEN why := 'case-closed';
    ELSIF NOT (CASE for_reason
        WHEN 'abuse' THEN c.kind IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'other', 'security')
        WHEN 'service' THEN c.kind IN ('service', 'delivery', 'request')
        WHEN 'delivery' THEN c.kind IN ('service', 'delivery', 'request')
        WHEN 'security' THEN c.kind IN ('security', 'phishing', 'malware', 'fraud')
        WHEN 'legal' THEN c.kind = 'legal' ELSE false END) THEN why := 'reason';
    ELSIF as_emergency AND gag_words IS NOT NULL THEN why := 'emergency-gag';
    -- Who is alone in it once, and was not looked at in time, is not alone in it again.
    ELSIF as_emergency AND EXISTS (SELECT 1 FROM access_grant WHERE requested_by = by_account AND is_emergency AND reviewed_at IS NULL
                                      AND review_due_at < clock_timestamp()) THEN why := 'unreviewed';
    ELSIF coalesce(cardinality(messages), 0) NOT BETWEEN 1 AND 20 OR cardinality(messages) <> cardinality(parts)
       OR EXISTS (SELECT 1 FROM unnest(parts) p WHERE p NOT BETWEEN 1 AND 7) THEN why := 'scope';
    ELSIF case_is_about(of_case, by_account)
       OR EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = of_mailbox AND account_id = by_account) THEN why := 'own';
    ELSIF (SELECT count(*) FROM message m WHERE m.mailbox_id = of_mailbox AND m.message_id = ANY (messages) AND m.state <> 'draft')
       <> (SELECT count(DISTINCT n) FROM unnest(messages) n) THEN why := 'gone';
    ELSIF for_reason = 'legal' AND order_until < current_date THEN why := 'order-over';
    END IF;
    IF why <> '' THEN
        RETURN access_denied('request', by_account, new_grant, why, jsonb_build_object('case', of_case, 'mailbox', of_mailbox));
    END IF;
    INSERT INTO access_grant (mailbox_id, grant_id, case_id, requested_by, reason, kind, purpose, basis, words, minutes, is_emergency,
        legal, legal_from, legal_until, state, review_due_at)
    VALUES (of_mailbox, new_grant, of_case, by_account, for_reason, for_kind, for_purpose, on_basis, sealed_words, for_minutes,
        as_emergency, sealed_order, order_from, order_until, CASE WHEN as_emergency THEN 'approved' ELSE 'requested' END,
        CASE WHEN as_emergency THEN now() + interval '24 hours' END);
    INSERT INTO access_scope (mailbox_id, grant_id, message_id, headers, body, attachments)
        SELECT of_mailbox, new_grant, n, bool_or(p & 1 > 0), bool_or(p & 2 > 0), bool_or(p & 4 > 0)
          FROM unnest(messages, parts) AS t(n, p) GROUP BY n;
    IF gag_words IS NOT NULL THEN
        INSERT INTO access_gag (mailbox_id, grant_id, asked_by, words, review_at)
            VALUES (of_mailbox, new_grant, by_account, gag_words, gag_review);
    END IF;
    PERFORM audit_append(CASE WHEN as_emergency THEN 'access.emergency' ELSE 'access.requested' END, 'account:' || by_account,
        jsonb_build_object('grant', new_grant, 'case', of_case, 'mailbox', of_mailbox, 'reason', for_reason, 'kind', for_kind,
            'minutes', for_minutes, 'messages', (SELECT count(DISTINCT n) FROM unnest(messages) n), 'gag', gag_words IS NOT NULL));
    RETURN '';
END $$;

-- Approve or refuse a request: a lead, who did not ask for it, while the case is open and the request is not a week old.
CREATE FUNCTION access_decide(of_grant bigint, by_account bigint, is_approved boolean, sealed_words bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
    case_state text;
    why text := '';
BEGIN
    SELECT * INTO g FROM access_grant WHERE grant_id = of_grant;
    SELECT state INTO case_state FROM case_file WHERE case_id = g.case_id FOR SHARE;
    IF NOT access_may(by_account, ARRAY['support_lead']) THEN why := 'role';
    ELSE
        SELECT * INTO g FROM access_grant WHERE grant_id = of_grant FOR UPDATE;
        IF g.grant_id IS NULL THEN why := 'none';
        ELSIF g.requested_by = by_account THEN why := 'own-request';
        ELSIF case_is_about(g.case_id, by_account)
           OR EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = g.mailbox_id AND account_id = by_account) THEN why := 'own';
        ELSIF EXISTS (SELECT 1 FROM access_gag x WHERE x.mailbox_id = g.mailbox_id AND x.grant_id = of_grant
                         AND by_account IN (x.approved_by, x.looked_by)) THEN why := 'own-gag';
        ELSIF g.state <> 'requested' THEN why := 'decided';
        ELSIF case_state = 'closed' THEN why := 'case-closed';
        ELSIF is_approved AND g.requested_at < clock_timestamp() - interval '7 days' THEN why := 'stale';
        END IF;
    END IF;
    IF why <> '' THEN
        RETURN access_denied(CASE WHEN is_approved THEN 'approve' ELSE 'refuse' END, by_account, of_grant, why);
    END IF;
    UPDATE access_grant SET state = CASE WHEN is_approved THEN 'approved' ELSE 'refused' END, decided_by = by_account,
           decided_at = clock_timestamp(), decision_words = sealed_words WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant;
    PERFORM audit_append(CASE WHEN is_approved THEN 'access.approved' ELSE 'access.refused' END, 'account:' || by_account,
        jsonb_build_object('grant', of_grant, 'case', g.case_id, 'mailbox', g.mailbox_id, 'requester', g.requested_by));
    RETURN '';
END $$;

-- End a grant: its holder, or a lead, a reviewer or an admin.
CREATE FUNCTION access_close(of_grant bigint, by_account bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
    why text := '';
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'reviewer', 'admin']) THEN why := 'role';
    ELSE
        SELECT * INTO g FROM access_grant WHERE grant_id = of_grant FOR UPDATE;
        IF g.grant_id IS NULL THEN why := 'none';
        ELSIF g.requested_by <> by_account AND NOT access_may(by_account, ARRAY['support_lead', 'reviewer', 'admin']) THEN why := 'not-yours';
        ELSIF g.state NOT IN ('requested', 'approved') THEN why := 'over';
        END IF;
    END IF;
    IF why <> '' THEN
        RETURN access_denied('close', by_account, of_grant, why);
    END IF;
    UPDATE access_grant SET state = 'closed', closed_at = clock_timestamp(), closed_by = by_account,
           closed_why = CASE WHEN by_account = requested_by THEN 'holder' ELSE 'colleague' END
     WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant;
    PERFORM audit_append('access.closed', 'account:' || by_account,
        jsonb_build_object('grant', of_grant, 'case', g.case_id, 'mailbox', g.mailbox_id, 'why', 'closed'));
    RETURN '';
END $$;

-- The one road to the content of mail that is not one's own. Whatever is asked for is checked here and written down here, and
-- only then does the sealed part come out; the caller commits before it unwraps anything. A refusal is written down as well.
-- Under a gag the log gets the entry sealed, as the caller brings it: in its place in the tree at once, and silent.
CREATE FUNCTION access_open(of_grant bigint, of_message bigint, of_part text, of_file integer, by_account bigint,
    entry_commitment bytea, entry_sealed bytea)
RETURNS TABLE (refusal text, mailbox bigint, act smallint, log_event bigint, until timestamptz, bundle bytea, wrapped_key bytea, source bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
    s access_scope;
    case_state text;
    m record;
    stamp timestamptz;
    acts bigint;
    people bigint[];
    why text := '';
BEGIN
    SELECT * INTO g FROM access_grant WHERE grant_id = of_grant;
    SELECT state INTO case_state FROM case_file WHERE case_id = g.case_id FOR SHARE;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) THEN why := 'role';
    ELSIF g.grant_id IS NULL THEN why := 'none';
    ELSIF of_part NOT IN ('headers', 'text', 'attachments') OR of_file NOT BETWEEN 0 AND 10000
       OR (of_file > 0 AND of_part <> 'attachments') THEN why := 'part';
    ELSE
        SELECT * INTO g FROM access_grant WHERE grant_id = of_grant FOR UPDATE;
        SELECT * INTO s FROM access_scope WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant AND message_id = of_message;
        SELECT count(*) INTO acts FROM access_act WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant;
        stamp := clock_timestamp();
        IF g.requested_by <> by_account THEN why := 'not-yours';
        ELSIF g.state = 'requested' THEN why := 'not-approved';
        ELSIF g.state = 'refused' THEN why := 'refused';
        ELSIF g.state <> 'approved' THEN why := 'closed';
        ELSIF case_state IS DISTINCT FROM 'open' AND case_state IS DISTINCT FROM 'waiting' THEN why := 'case-closed';
        ELSIF g.opened_at IS NULL AND coalesce(g.decided_at, g.requested_at) + interval '12 hours' <= stamp THEN why := 'lapsed';
        ELSIF g.expires_at <= stamp THEN why := 'expired';
        ELSIF g.reason = 'legal' AND (stamp AT TIME ZONE 'UTC')::date NOT BETWEEN g.legal_from AND g.legal_until THEN why := 'order-dates';
        ELSIF EXISTS (SELECT 1 FROM access_gag x WHERE x.mailbox_id = g.mailbox_id AND x.grant_id = of_grant
                         AND x.approved_at IS NULL AND x.ended_at IS NULL) THEN why := 'gag-undecided';
        ELSIF s.message_id IS NULL OR NOT (CASE of_part WHEN 'headers' THEN s.headers WHEN 'text' THEN s.body ELSE s.attachments END)
            THEN why := 'out-of-scope';
        ELSIF acts >= 200 THEN why := 'too-many';
        ELSE
            SELECT k.wrapped, msg.content_key, src.sealed, msg.state INTO m
              FROM message msg JOIN message_source src USING (mailbox_id, message_id) JOIN mailbox_key k USING (mailbox_id)
             WHERE msg.mailbox_id = g.mailbox_id AND msg.message_id = of_message;
            IF m.sealed IS NULL THEN why := 'gone';
            ELSIF m.state = 'unreadable' THEN why := 'unreadable';
            ELSIF m.state = 'draft' THEN why := 'out-of-scope';
            END IF;
        END IF;
    END IF;
    IF why <> '' THEN
        PERFORM access_denied('open', by_account, of_grant, why,
            jsonb_build_object('message', of_message, 'part', CASE WHEN why = 'part' THEN '' ELSE of_part END));
        RETURN QUERY SELECT why, g.mailbox_id, NULL::smallint, NULL::bigint, g.expires_at, NULL::bytea, NULL::bytea, NULL::bytea;
        RETURN;
    END IF;
    IF g.opened_at IS NULL THEN
        UPDATE access_grant SET opened_at = stamp, expires_at = stamp + minutes * interval '1 minute',
               review_due_at = coalesce(review_due_at, stamp + interval '7 days')
         WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant RETURNING * INTO g;
    END IF;
    act := (acts + 1)::smallint;
    -- Its owner gets the entry as a proof, and must not learn from it who of the staff it was: the entry names the grant, and holds
    -- a commitment to each of the two, which only those who may know can open.
    people := ARRAY(SELECT account_id FROM mailbox_member WHERE mailbox_id = g.mailbox_id AND role = 'owner') || by_account;
    IF access_is_gagged(g.mailbox_id, of_grant) THEN
        IF entry_commitment IS NULL OR entry_sealed IS NULL THEN
            RAISE EXCEPTION 'an entry under a gag is sealed' USING ERRCODE = 'insufficient_privilege';
        END IF;
        log_event := audit_append('access.opened', 'grant:' || of_grant, jsonb_build_object('case', g.case_id, 'reason', g.reason),
            people, entry_commitment, entry_sealed);
    ELSE
        log_event := audit_append('access.opened', 'grant:' || of_grant,
            jsonb_build_object('grant', of_grant, 'case', g.case_id, 'mailbox', g.mailbox_id, 'message', of_message, 'part', of_part,
                'file', of_file, 'act', act, 'reason', g.reason), people, NULL, NULL);
    END IF;
    INSERT INTO access_act (mailbox_id, grant_id, number, message_id, part, file, account_id, at, event)
        VALUES (g.mailbox_id, of_grant, act, of_message, of_part, of_file, by_account, stamp, log_event);
    RETURN QUERY SELECT '', g.mailbox_id, act, log_event, g.expires_at, m.wrapped, m.content_key, m.sealed;
END $$;

-- The verdict on a grant that is over. Who had a part in it is refused, here in words and by the table in any case.
CREATE FUNCTION access_judge(of_grant bigint, by_account bigint, of_verdict text, sealed_words bytea, flag_case bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
    why text := '';
    n bigint;
BEGIN
    IF NOT access_may(by_account, ARRAY['reviewer']) THEN why := 'role';
    ELSE
        SELECT * INTO g FROM access_grant WHERE grant_id = of_grant FOR UPDATE;
        IF g.grant_id IS NULL OR g.review_due_at IS NULL THEN why := 'none';
        ELSIF g.reviewed_at IS NOT NULL THEN why := 'reviewed';
        ELSIF by_account IN (g.requested_by, g.decided_by) OR case_is_about(g.case_id, by_account)
           OR EXISTS (SELECT 1 FROM access_gag x WHERE x.mailbox_id = g.mailbox_id AND x.grant_id = of_grant
                         AND by_account IN (x.asked_by, x.approved_by, x.looked_by, x.ended_by))
           OR EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = g.mailbox_id AND account_id = by_account) THEN why := 'not-independent';
        ELSIF g.state = 'approved' AND coalesce(g.expires_at, coalesce(g.decided_at, g.requested_at) + interval '12 hours') > clock_timestamp()
            THEN why := 'still-open';
        END IF;
    END IF;
    IF why <> '' THEN
        RETURN access_denied('review', by_account, of_grant, why);
    END IF;
    n := audit_append('access.reviewed', 'account:' || by_account, jsonb_build_object('grant', of_grant, 'case', g.case_id,
        'mailbox', g.mailbox_id, 'verdict', of_verdict, 'late', g.review_due_at < clock_timestamp(), 'opens', flag_case));
    INSERT INTO access_review (mailbox_id, grant_id, reviewed_by, verdict, words, due_at, at, event, case_id)
        VALUES (g.mailbox_id, of_grant, by_account, of_verdict, sealed_words, g.review_due_at, clock_timestamp(), n, flag_case);
    UPDATE access_grant SET reviewed_at = clock_timestamp() WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant;
    RETURN '';
END $$;

-- Keep a legal access from its owner for now, keep on doing so, or stop: `what` is approve, extend or end. A lead or an admin
-- who neither asked for the grant nor approved it; anyone with one of these roles may end it.
CREATE FUNCTION access_gag_decide(of_grant bigint, by_account bigint, what text, again_at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
    x access_gag;
    why text := '';
    stamp timestamptz;
BEGIN
    IF NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'role';
    ELSE
        SELECT * INTO g FROM access_grant WHERE grant_id = of_grant FOR UPDATE;
        SELECT * INTO x FROM access_gag WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant FOR UPDATE;
        stamp := clock_timestamp();
        IF x.grant_id IS NULL THEN why := 'none';
        ELSIF x.ended_at IS NOT NULL THEN why := 'over';
        ELSIF what NOT IN ('approve', 'extend', 'end') THEN why := 'part';
        ELSIF what <> 'end' AND (by_account IN (g.requested_by, g.decided_by) OR case_is_about(g.case_id, by_account)) THEN why := 'not-independent';
        ELSIF what = 'approve' AND x.approved_by IS NOT NULL THEN why := 'decided';
        ELSIF what = 'approve' AND g.state NOT IN ('requested', 'approved') THEN why := 'over';
        ELSIF what = 'extend' AND x.approved_by IS NULL THEN why := 'not-approved';
        ELSIF what = 'extend' AND (again_at IS NULL OR again_at <= stamp OR again_at > stamp + interval '90 days') THEN why := 'dates';
        END IF;
    END IF;
    IF why <> '' THEN
        RETURN access_denied('gag', by_account, of_grant, why);
    END IF;
    UPDATE access_gag SET approved_by = CASE WHEN what = 'approve' THEN by_account ELSE approved_by END,
           approved_at = CASE WHEN what = 'approve' THEN stamp ELSE approved_at END,
           looked_by = CASE WHEN what = 'extend' THEN by_account ELSE looked_by END,
           looked_at = CASE WHEN what = 'extend' THEN stamp ELSE looked_at END,
           review_at = CASE WHEN what = 'extend' THEN again_at ELSE review_at END,
           ended_by = CASE WHEN what = 'end' THEN by_account ELSE ended_by END,
           ended_at = CASE WHEN what = 'end' THEN stamp ELSE ended_at END
     WHERE mailbox_id = g.mailbox_id AND grant_id = of_grant;
    PERFORM audit_append(CASE what WHEN 'approve' THEN 'access.gag_approved' WHEN 'extend' THEN 'access.gag_extended' ELSE 'access.gag_ended' END,
        'account:' || by_account, jsonb_build_object('grant', of_grant, 'case', g.case_id, 'mailbox', g.mailbox_id));
    RETURN '';
END $$;

-- How often, for what and with what result: figures without persons, for everybody.
CREATE FUNCTION access_counts() RETURNS TABLE (year integer, reason text, asked bigint, refused bigint, opened bigint, parts bigint,
    emergencies bigint, kept_quiet bigint, reviewed bigint, flagged bigint, late bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT extract(year FROM g.requested_at AT TIME ZONE 'UTC')::integer, g.reason, count(*),
           count(*) FILTER (WHERE g.state = 'refused'), count(g.opened_at),
           coalesce(sum((SELECT count(*) FROM access_act a WHERE a.mailbox_id = g.mailbox_id AND a.grant_id = g.grant_id)), 0)::bigint,
           count(*) FILTER (WHERE g.is_emergency), count(x.approved_at), count(r.verdict),
           count(*) FILTER (WHERE r.verdict = 'flag'),
           count(*) FILTER (WHERE coalesce(r.at, clock_timestamp()) > g.review_due_at)
      FROM access_grant g LEFT JOIN access_review r USING (mailbox_id, grant_id) LEFT JOIN access_gag x USING (mailbox_id, grant_id)
     GROUP BY 1, 2 ORDER BY 1 DESC, 2
$$;

-- What is known of one address' mail in a few days without opening any: who, when, how large, how far. Written down, with its case.
CREATE FUNCTION trace_look(by_account bigint, of_case bigint, of_domain text, of_local text, since timestamptz, until timestamptz,
    other text, before_at timestamptz, before_id bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    case_state text;
    box record;
    told jsonb;
    why text := '';
BEGIN
    SELECT state INTO case_state FROM case_file WHERE case_id = of_case FOR SHARE;
    SELECT m.mailbox_id, m.state, m.quota_bytes, m.used_bytes INTO box
      FROM address a JOIN domain d USING (domain_id) JOIN mailbox m USING (mailbox_id) WHERE d.name = of_domain AND a.local_part = of_local;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) THEN why := 'role';
    ELSIF case_state IS NULL OR case_state = 'closed' THEN why := 'case-closed';
    ELSIF case_is_about(of_case, by_account) THEN why := 'own';
    ELSIF since IS NULL OR until IS NULL OR until <= since OR until - since > interval '7 days' THEN why := 'window';
    END IF;
    PERFORM audit_append(CASE WHEN why = '' THEN 'trace.looked_up' ELSE 'trace.denied' END, 'account:' || by_account,
        jsonb_build_object('case', of_case, 'mailbox', box.mailbox_id, 'since', since, 'until', until, 'narrowed', other <> '', 'why', why));
    IF why <> '' OR box.mailbox_id IS NULL THEN
        RETURN jsonb_build_object('refusal', why, 'mailbox', NULL);
    END IF;
    -- By folder, since that is what the index begins with: seven times 51 rows are looked at, however large the mailbox is.
    WITH arrived AS (
        SELECT m.* FROM folder f CROSS JOIN LATERAL (
            SELECT message_id, received_at, direction, state, size_bytes, attachments, envelope_from, envelope_to, f.kind AS folder
              FROM message WHERE mailbox_id = box.mailbox_id AND folder_id = f.folder_id AND state <> 'received' AND state <> 'draft'
               AND received_at BETWEEN since AND until
               AND (before_at IS NULL OR (received_at, message_id) < (before_at, before_id))
               AND (other = '' OR lower(envelope_from) = other OR right(lower(envelope_from), length(other) + 1) = '@' || other
                    OR EXISTS (SELECT 1 FROM submission s JOIN delivery d USING (mailbox_id, submission_id)
                                WHERE s.mailbox_id = box.mailbox_id AND s.message_id = message.message_id
                                  AND (lower(d.recipient) = other OR right(lower(d.recipient), length(other) + 1) = '@' || other)))
             ORDER BY received_at DESC, message_id DESC LIMIT 51) m
         WHERE f.mailbox_id = box.mailbox_id
         ORDER BY received_at DESC, message_id DESC LIMIT 51),
    waiting AS (
        SELECT w.kind, w.item_id, w.due_at, w.attempts, w.parked_at, w.problem FROM work w
         WHERE w.mailbox_id = box.mailbox_id ORDER BY w.due_at LIMIT 50)
    SELECT jsonb_build_object('refusal', '', 'mailbox', box.mailbox_id, 'state', box.state, 'quota', box.quota_bytes, 'used', box.used_bytes,
        'messages', coalesce((SELECT jsonb_agg(to_jsonb(a) || jsonb_build_object('deliveries', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('recipient', d.recipient, 'state', d.state, 'attempts', d.attempts,
                       'code', d.reply_code, 'next_at', d.next_at, 'changed_at', d.changed_at) ORDER BY d.number), '[]')
              FROM submission s JOIN delivery d USING (mailbox_id, submission_id)
             WHERE s.mailbox_id = box.mailbox_id AND s.message_id = a.message_id))
            ORDER BY a.received_at DESC, a.message_id DESC) FROM arrived a), '[]'),
        'queue', coalesce((SELECT jsonb_agg(to_jsonb(w)) FROM waiting w), '[]')) INTO told;
    RETURN told;
END $$;

-- The same lines for messages that are named already: what a request is about, before it is decided.
CREATE FUNCTION access_scope_lines(of_grant bigint)
RETURNS TABLE (message_id bigint, headers boolean, body boolean, attachments boolean, received_at timestamptz, direction text,
    size_bytes bigint, files smallint, state text, envelope_from text, envelope_to text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.message_id, s.headers, s.body, s.attachments, m.received_at, m.direction, m.size_bytes, m.attachments, m.state,
           m.envelope_from, m.envelope_to
      FROM access_scope s JOIN access_grant g USING (mailbox_id, grant_id) LEFT JOIN message m USING (mailbox_id, message_id)
     WHERE g.grant_id = of_grant ORDER BY m.received_at DESC NULLS LAST, s.message_id
$$;

-- And for those that are about to be named, found by a trace before: at most twenty of one mailbox, for an open case.
CREATE FUNCTION access_lines(by_account bigint, of_case bigint, of_mailbox bigint, messages bigint[])
RETURNS TABLE (message_id bigint, received_at timestamptz, direction text, size_bytes bigint, files smallint, state text,
    envelope_from text, envelope_to text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) OR cardinality(messages) > 20
       OR NOT EXISTS (SELECT 1 FROM case_file c WHERE c.case_id = of_case AND c.state <> 'closed') THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT m.message_id, m.received_at, m.direction, m.size_bytes, m.attachments, m.state, m.envelope_from, m.envelope_to
      FROM message m WHERE m.mailbox_id = of_mailbox AND m.message_id = ANY (messages) AND m.state <> 'draft'
     ORDER BY m.received_at DESC, m.message_id;
END $$;

CREATE FUNCTION access_mailbox_address(of_mailbox bigint) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.local_part || '@' || d.name FROM address a JOIN domain d USING (domain_id)
     WHERE a.mailbox_id = of_mailbox AND a.is_primary AND EXISTS (SELECT 1 FROM access_grant WHERE mailbox_id = of_mailbox)
$$;
"""

FUNCTIONS = """access_refuse_change(), access_grant_goes_on(), access_grant_begins(), access_named_with_request(), access_gag_goes_on(),
    access_review_is_independent(), access_ends_with_case(), access_ends_with_role(), access_may(bigint, text[]),
    access_denied(text, bigint, bigint, text, jsonb), access_is_gagged(bigint, bigint),
    access_request(bigint, bigint, bigint, bigint, text, text, text, text, bytea, smallint, bigint[], smallint[], boolean, bytea, date,
        date, bytea, timestamptz),
    access_decide(bigint, bigint, boolean, bytea), access_close(bigint, bigint), access_open(bigint, bigint, text, integer, bigint, bytea, bytea),
    access_judge(bigint, bigint, text, bytea, bigint), access_gag_decide(bigint, bigint, text, timestamptz), access_counts(),
    trace_look(bigint, bigint, text, text, timestamptz, timestamptz, text, timestamptz, bigint), access_scope_lines(bigint),
    access_lines(bigint, bigint, bigint, bigint[]), access_mailbox_address(bigint)"""

GRANTS = f"""
REVOKE ALL ON FUNCTION {FUNCTIONS} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    access_request(bigint, bigint, bigint, bigint, text, text, text, text, bytea, smallint, bigint[], smallint[], boolean, bytea, date,
        date, bytea, timestamptz),
    access_decide(bigint, bigint, boolean, bytea), access_close(bigint, bigint), access_open(bigint, bigint, text, integer, bigint, bytea, bytea),
    access_judge(bigint, bigint, text, bytea, bigint), access_gag_decide(bigint, bigint, text, timestamptz),
    trace_look(bigint, bigint, text, text, timestamptz, timestamptz, text, timestamptz, bigint), access_scope_lines(bigint),
    access_lines(bigint, bigint, bigint, bigint[]), access_mailbox_address(bigint) TO mtumail_staff;
GRANT EXECUTE ON FUNCTION access_counts() TO mtumail_web;
GRANT EXECUTE ON FUNCTION access_is_gagged(bigint, bigint) TO mtumail_web, mtumail_worker;
GRANT SELECT ON access_grant, access_scope, access_act, access_review, access_gag TO mtumail_staff;
GRANT SELECT (mailbox_id, grant_id, case_id, requested_by, requested_at, reason, kind, purpose, basis, minutes, is_emergency, state,
    opened_at, expires_at, closed_at, review_due_at, reviewed_at, told_at) ON access_grant TO mtumail_web, mtumail_worker;
GRANT UPDATE (told_at) ON access_grant TO mtumail_worker;
GRANT SELECT ON access_scope, access_act TO mtumail_web, mtumail_worker;
GRANT SELECT (mailbox_id, grant_id, verdict, at, event, due_at) ON access_review TO mtumail_web, mtumail_worker;
"""

TABLE_NAMES = ("access_grant", "access_scope", "access_act", "access_review", "access_gag")
NAMED = "mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint"


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GUARDS)
    op.execute(VERBS)
    op.execute(GRANTS)
    for table in TABLE_NAMES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_of_everybody ON {table} FOR SELECT TO mtumail_staff USING (true)")
        if table == "access_grant":
            op.execute(
                "CREATE POLICY access_grant_of_the_named_mailbox ON access_grant TO mtumail_web "
                f"USING ({NAMED} AND opened_at IS NOT NULL AND NOT access_is_gagged(mailbox_id, grant_id))"
            )
        elif table != "access_gag":
            op.execute(
                f"CREATE POLICY {table}_of_the_named_mailbox ON {table} TO mtumail_web USING ({NAMED} AND EXISTS "
                f"(SELECT 1 FROM access_grant g WHERE g.mailbox_id = {table}.mailbox_id AND g.grant_id = {table}.grant_id))"
            )
        if table != "access_gag":
            op.execute(f"CREATE POLICY {table}_to_be_told ON {table} TO mtumail_worker USING (true)")


BEFORE = """
CREATE OR REPLACE FUNCTION case_is_about(of_case bigint, person bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM case_file WHERE case_id = of_case AND account_id = person)
$$;
"""


def downgrade() -> None:
    op.execute(BEFORE)
    op.execute("DROP TRIGGER case_file_ends_access ON case_file")
    op.execute("DROP TRIGGER account_role_ends_access ON account_role")
    op.execute("DROP TABLE access_gag, access_review, access_act, access_scope, access_grant")
    op.execute(f"DROP FUNCTION {FUNCTIONS}")
