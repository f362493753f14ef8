"""Whoever asks that their data is only kept, or objects to a use of it, is obeyed by the database itself; imports say what they took."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE processing_restriction (
    restriction_id bigint CONSTRAINT processing_restriction_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT processing_restriction_account_id_exists REFERENCES account,
    why text NOT NULL,
    scopes text[] NOT NULL,
    set_by bigint NOT NULL CONSTRAINT processing_restriction_set_by_exists REFERENCES account,
    since timestamptz NOT NULL DEFAULT now(),
    request_id bigint CONSTRAINT processing_restriction_request_exists REFERENCES privacy_request ON DELETE SET NULL,
    until timestamptz,
    until_by bigint CONSTRAINT processing_restriction_until_by_exists REFERENCES account,
    until_set_at timestamptz,
    ended_at timestamptz,
    ended_by bigint CONSTRAINT processing_restriction_ended_by_exists REFERENCES account,
    CONSTRAINT processing_restriction_why_is_known CHECK (why IN ('accuracy', 'unlawful', 'claims', 'objection')),
    CONSTRAINT processing_restriction_scopes_are_known CHECK
        (scopes <@ ARRAY['learning', 'staff', 'schedules'] AND cardinality(scopes) BETWEEN 1 AND 3),
    CONSTRAINT processing_restriction_end_is_told_a_week_before CHECK (num_nonnulls(until, until_by, until_set_at) IN (0, 3)
        AND until >= until_set_at + interval '7 days'),
    CONSTRAINT processing_restriction_end_is_somebodys CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT processing_restriction_only_its_person_ends_it_early CHECK
        (ended_at IS NULL OR ended_by = account_id OR coalesce(ended_at >= until AND ended_by = until_by, false)),
    CONSTRAINT processing_restriction_ends_after_it_began CHECK (ended_at >= since)
);
CREATE UNIQUE INDEX processing_restriction_one_at_a_time ON processing_restriction (account_id) WHERE ended_at IS NULL;
CREATE INDEX processing_restriction_of_account ON processing_restriction (account_id, since DESC);

CREATE TABLE objection (
    objection_id bigint CONSTRAINT objection_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT objection_account_id_exists REFERENCES account,
    purpose text NOT NULL,
    state text NOT NULL DEFAULT 'weighed',
    made_at timestamptz NOT NULL DEFAULT now(),
    request_id bigint CONSTRAINT objection_request_exists REFERENCES privacy_request ON DELETE SET NULL,
    decided_at timestamptz,
    decided_by bigint CONSTRAINT objection_decided_by_exists REFERENCES account,
    CONSTRAINT objection_purpose_rests_on_interests CHECK (purpose IN ('abuse', 'troubleshoot', 'reliability')),
    CONSTRAINT objection_state_is_known CHECK (state IN ('weighed', 'upheld', 'overruled', 'withdrawn')),
    CONSTRAINT objection_decision_is_somebodys CHECK
        ((state = 'weighed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT objection_its_person_withdraws_and_another_decides CHECK
        (decided_by IS NULL OR (decided_by = account_id) = (state = 'withdrawn'))
);
CREATE UNIQUE INDEX objection_one_a_purpose ON objection (account_id, purpose) WHERE state IN ('weighed', 'upheld');
CREATE INDEX objection_of_account ON objection (account_id, made_at DESC);
CREATE INDEX objection_request_id ON objection (request_id) WHERE state = 'weighed';

ALTER TABLE mail_import ADD COLUMN brought jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT mail_import_brought_is_counts CHECK (jsonb_typeof(brought) = 'object' AND octet_length(brought::text) <= 4000);
"""

# What stops, by code. Of a restriction: `learning` (who was written to and who wrote), `staff` (opening and tracing mail, but for legal
# claims and for what its owner brought up), `schedules` (removal by a schedule). Of an objection, while it is weighed and after it was
# upheld: `learning` and `traces` (device and network of sign-ins), `debugging`; and once it is upheld `policing`.
STATES = """
CREATE FUNCTION restriction_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF num_nonnulls(NEW.until, NEW.ended_at) > 0 THEN
            RAISE EXCEPTION 'a restriction begins before it ends' USING ERRCODE = 'check_violation', CONSTRAINT = 'restriction_goes_on';
        END IF;
    ELSIF OLD.ended_at IS NOT NULL AND (OLD.ended_at, OLD.ended_by) IS DISTINCT FROM (NEW.ended_at, NEW.ended_by)
       OR (OLD.restriction_id, OLD.account_id, OLD.why, OLD.scopes, OLD.set_by, OLD.since)
        IS DISTINCT FROM (NEW.restriction_id, NEW.account_id, NEW.why, NEW.scopes, NEW.set_by, NEW.since) THEN
        RAISE EXCEPTION 'a restriction stays what was asked for, and ends once' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'restriction_goes_on';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER restriction_goes_on BEFORE INSERT OR UPDATE ON processing_restriction FOR EACH ROW EXECUTE FUNCTION restriction_goes_on();

CREATE FUNCTION objection_goes_on() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (OLD.objection_id, OLD.account_id, OLD.purpose, OLD.made_at) IS DISTINCT FROM (NEW.objection_id, NEW.account_id, NEW.purpose, NEW.made_at)
       OR (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (('weighed', 'upheld'), ('weighed', 'overruled'),
           ('weighed', 'withdrawn'), ('upheld', 'withdrawn')))
       OR (OLD.state <> NEW.state AND NEW.state IN ('upheld', 'overruled') AND NOT EXISTS (SELECT FROM privacy_request q
           WHERE q.request_id = NEW.request_id AND q.answered_by = NEW.decided_by
             AND q.state = CASE NEW.state WHEN 'upheld' THEN 'done' ELSE 'refused' END)) THEN
        RAISE EXCEPTION 'an objection is decided once, by the answer to it' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'objection_goes_on';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER objection_goes_on BEFORE UPDATE ON objection FOR EACH ROW EXECUTE FUNCTION objection_goes_on();

-- The answer to the request is the decision on the objection.
CREATE FUNCTION objection_is_decided() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    o record;
BEGIN
    FOR o IN UPDATE objection SET state = CASE NEW.state WHEN 'done' THEN 'upheld' ELSE 'overruled' END, decided_at = now(),
                    decided_by = NEW.answered_by WHERE request_id = NEW.request_id AND state = 'weighed' RETURNING account_id, purpose, state LOOP
        IF o.purpose = 'abuse' AND o.state = 'upheld' THEN
            UPDATE sign_in SET device = 'Not noted', network = NULL WHERE account_id = o.account_id;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER privacy_request_decides_an_objection AFTER UPDATE OF state ON privacy_request FOR EACH ROW
    WHEN (OLD.state = 'open' AND NEW.state <> 'open') EXECUTE FUNCTION objection_is_decided();

CREATE FUNCTION account_stops(who bigint, what text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM processing_restriction r WHERE r.account_id = who AND r.ended_at IS NULL
                      AND (r.until IS NULL OR r.until > now()) AND what = ANY (r.scopes))
        OR EXISTS (SELECT FROM objection o WHERE o.account_id = who AND o.state IN ('weighed', 'upheld') AND CASE o.purpose
            WHEN 'abuse' THEN what IN ('learning', 'traces') OR (what = 'policing' AND o.state = 'upheld')
            WHEN 'troubleshoot' THEN what = 'debugging' ELSE false END)
$$;

CREATE FUNCTION mailbox_stops(box bigint, what text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM mailbox_member m WHERE m.mailbox_id = box AND m.role = 'owner' AND account_stops(m.account_id, what))
$$;

-- Whose data no schedule removes, and which mailboxes are theirs: few, asked for once a run.
CREATE FUNCTION restricted_accounts() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(account_id), '{}') FROM processing_restriction
     WHERE ended_at IS NULL AND (until IS NULL OR until > now()) AND 'schedules' = ANY (scopes)
$$;
CREATE FUNCTION restricted_mailboxes() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT m.mailbox_id), '{}') FROM mailbox_member m
     WHERE m.role = 'owner' AND m.account_id = ANY ((SELECT restricted_accounts())::bigint[])
$$;

-- Rules that a reader makes about an address are theirs, and are kept; counts are ours.
CREATE FUNCTION correspondent_learns() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.sealed IS NULL AND mailbox_stops(NEW.mailbox_id, 'learning') THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correspondent_learns BEFORE INSERT ON correspondent FOR EACH ROW EXECUTE FUNCTION correspondent_learns();

CREATE FUNCTION sign_in_leaves_no_trace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF account_stops(NEW.account_id, 'traces') THEN
        NEW.device := 'Not noted';
        NEW.network := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sign_in_leaves_no_trace BEFORE INSERT OR UPDATE OF device, network ON sign_in FOR EACH ROW
    EXECUTE FUNCTION sign_in_leaves_no_trace();
"""

# Consent: the case holds something that an owner of this very mailbox brought, signed in.
ACCESS = """
CREATE FUNCTION access_is_stopped(of_mailbox bigint, of_case bigint, for_reason text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT for_reason <> 'legal'
       AND (mailbox_stops(of_mailbox, 'staff')
            OR (for_reason = 'delivery' AND mailbox_stops(of_mailbox, 'debugging'))
            OR (for_reason IN ('abuse', 'security') AND mailbox_stops(of_mailbox, 'policing')))
       AND NOT EXISTS (SELECT FROM case_item i WHERE i.case_id = of_case AND (i.report_mailbox_id = of_mailbox
            OR i.account_id IN (SELECT m.account_id FROM mailbox_member m WHERE m.mailbox_id = of_mailbox AND m.role = 'owner')))
$$;

ALTER FUNCTION access_request(bigint, bigint, bigint, bigint, text, text, text, text, bytea, smallint, bigint[], smallint[], boolean, bytea,
    date, date, bytea, timestamptz) RENAME TO access_request_unstopped;
CREATE FUNCTION access_request(new_grant bigint, by_account bigint, of_mailbox bigint, of_case bigint, for_reason text, for_kind text,
    for_purpose text, on_basis text, sealed_words bytea, for_minutes smallint, messages bigint[], parts smallint[],
    as_emergency boolean, sealed_order bytea, order_from date, order_until date, gag_words bytea, gag_review timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF access_may(by_account, ARRAY['support', 'support_lead']) AND access_is_stopped(of_mailbox, of_case, for_reason) THEN
        RETURN access_denied('request', by_account, new_grant, 'restricted', jsonb_build_object('case', of_case, 'mailbox', of_mailbox));
    END IF;
    RETURN access_request_unstopped(new_grant, by_account, of_mailbox, of_case, for_reason, for_kind, for_purpose, on_basis, sealed_words,
        for_minutes, messages, parts, as_emergency, sealed_order, order_from, order_until, gag_words, gag_review);
END $$;

-- What was granted before is stopped, too.
ALTER FUNCTION access_open(bigint, bigint, text, integer, bigint, bytea, bytea) RENAME TO access_open_unstopped;
CREATE FUNCTION access_open(of_grant bigint, of_message bigint, of_part text, of_file integer, by_account bigint,
    entry_commitment bytea, entry_sealed bytea)
RETURNS TABLE (refusal text, mailbox bigint, act smallint, log_event bigint, until timestamptz, bundle bytea, wrapped_key bytea, source bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    g access_grant;
BEGIN
    SELECT * INTO g FROM access_grant WHERE grant_id = of_grant;
    IF g.requested_by = by_account AND access_may(by_account, ARRAY['support', 'support_lead'])
       AND access_is_stopped(g.mailbox_id, g.case_id, g.reason) THEN
        PERFORM access_denied('open', by_account, of_grant, 'restricted', jsonb_build_object('message', of_message));
        RETURN QUERY SELECT 'restricted', g.mailbox_id, NULL::smallint, NULL::bigint, g.expires_at, NULL::bytea, NULL::bytea, NULL::bytea;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM access_open_unstopped(of_grant, of_message, of_part, of_file, by_account, entry_commitment, entry_sealed);
END $$;

ALTER FUNCTION trace_look(bigint, bigint, text, text, timestamptz, timestamptz, text, timestamptz, bigint) RENAME TO trace_look_unstopped;
CREATE FUNCTION trace_look(by_account bigint, of_case bigint, of_domain text, of_local text, since timestamptz, until timestamptz,
    other text, before_at timestamptz, before_id bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    box bigint;
BEGIN
    SELECT a.mailbox_id INTO box FROM address a JOIN domain d USING (domain_id) WHERE d.name = of_domain AND a.local_part = of_local;
    IF access_may(by_account, ARRAY['support', 'support_lead']) AND access_is_stopped(box, of_case, 'delivery') THEN
        PERFORM audit_append('trace.denied', 'account:' || by_account, jsonb_build_object('case', of_case, 'mailbox', box, 'since', since,
            'until', until, 'narrowed', other <> '', 'why', 'restricted'));
        RETURN jsonb_build_object('refusal', 'restricted', 'mailbox', NULL);
    END IF;
    RETURN trace_look_unstopped(by_account, of_case, of_domain, of_local, since, until, other, before_at, before_id);
END $$;
"""

# What somebody may know of cases about them: those that are over, of which nothing has to be kept silent. Nobody else is in it.
CASES = """
CREATE FUNCTION cases_about(who bigint) RETURNS TABLE (kind text, opened_at timestamptz, closed_at timestamptz, outcome text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT f.kind, f.opened_at, f.closed_at, f.outcome FROM case_file f
     WHERE f.account_id = who AND f.state = 'closed' AND f.outcome <> 'merged' AND NOT EXISTS (
        SELECT FROM access_grant g JOIN access_gag x USING (mailbox_id, grant_id) WHERE g.case_id = f.case_id AND x.ended_at IS NULL)
     ORDER BY f.opened_at
$$;
"""

_BOX = "<> ALL ((SELECT restricted_mailboxes())::bigint[])"
_WHO = "<> ALL ((SELECT restricted_accounts())::bigint[])"
_THEIRS = "= ANY ((SELECT restricted_accounts())::bigint[])"
_BROUGHT = f"SELECT FROM case_item c WHERE c.case_id = f.case_id AND c.account_id {_THEIRS}"
_RETENTION = "(timestamptz,integer,boolean)"
# Function, what stands in it, and what shall: whichever else its own story and later ones put there stays.
CHANGED: tuple[tuple[str, str, str], ...] = (
    *(
        (f"retention_{rule}{_RETENTION}", f"t.{stamp} < before", f"t.{stamp} < before AND t.{column}")
        for rule, stamp, column in (
            ("deliveries", "at", f"mailbox_id {_BOX}"),
            ("activity", "at", f"mailbox_id {_BOX}"),
            ("sending_days", "day", f"mailbox_id {_BOX}"),
            ("sign_ins", "last_seen", f"account_id {_WHO}"),
            ("member_notices", "at", f"account_id {_WHO}"),
            ("trials", "asked_at", f"account_id {_WHO}"),
        )
    ),
    # What a Message-ID finds of others is told all the same.
    (
        "trace_message(bigint,bigint,bytea)",
        "AND m.state <> 'draft' AND m.state <> 'received'",
        "AND m.state <> 'draft' AND m.state <> 'received' AND NOT access_is_stopped(m.mailbox_id, of_case, 'delivery')",
    ),
    (
        f"retention_requests{_RETENTION}",
        "t.answered_at < before",
        f"t.answered_at < before AND coalesce(t.account_id, 0) {_WHO}",
    ),
    (
        f"retention_webhooks{_RETENTION}",
        "t.received_at < before",
        f"t.received_at < before AND NOT EXISTS (SELECT FROM account a WHERE a.clerk_user_id = t.user_id AND a.account_id {_THEIRS})",
    ),
    (
        f"retention_cases{_RETENTION}",
        "f.closed_at < before AND (",
        f"f.closed_at < before AND coalesce(f.account_id, 0) {_WHO} AND NOT EXISTS ({_BROUGHT}) AND (",
    ),
    (
        "folders_that_empty(bigint,integer)",
        "WHERE keep_days IS NOT NULL AND",
        f"WHERE keep_days IS NOT NULL AND folder.mailbox_id {_BOX} AND",
    ),
    ("erasure_person(bigint)", "ARRAY['sign_in',", "ARRAY['objection', 'processing_restriction', 'sign_in',"),
)  # fmt: skip


def changed(function: str, before: str, after: str) -> str:
    """Put `after` in place of `before` in a function; refused where that is not there."""
    return f"""
DO $change$
DECLARE
    told text := pg_get_functiondef('{function}'::regprocedure);
BEGIN
    IF strpos(told, $old${before}$old$) = 0 THEN
        RAISE EXCEPTION '{function} is another';
    END IF;
    EXECUTE replace(told, $old${before}$old$, $new${after}$new$);
END $change$;
"""


_REQUEST = (
    "access_request{0}(bigint, bigint, bigint, bigint, text, text, text, text, bytea, smallint, bigint[], smallint[], boolean, bytea,"
    " date, date, bytea, timestamptz)"
)
_OPEN = "access_open{0}(bigint, bigint, text, integer, bigint, bytea, bytea)"
_TRACE = "trace_look{0}(bigint, bigint, text, text, timestamptz, timestamptz, text, timestamptz, bigint)"
ROADS = (_REQUEST, _OPEN, _TRACE)
STATE_FUNCTIONS = """restriction_goes_on(), objection_goes_on(), objection_is_decided(), account_stops(bigint, text), mailbox_stops(bigint, text),
    restricted_accounts(), restricted_mailboxes(), correspondent_learns(), sign_in_leaves_no_trace(),
    access_is_stopped(bigint, bigint, text), cases_about(bigint)"""

# The worker files what an import of our own export brings back: drafts, names, texts, settings.
GRANTS = """
GRANT EXECUTE ON FUNCTION account_stops(bigint, text), mailbox_stops(bigint, text) TO mtumail_web, mtumail_worker, mtumail_staff;
GRANT SELECT, INSERT (restriction_id, account_id, why, scopes, set_by, request_id), UPDATE (ended_at, ended_by) ON processing_restriction
    TO mtumail_web;
GRANT SELECT, INSERT (restriction_id, account_id, why, scopes, set_by, request_id),
    UPDATE (until, until_by, until_set_at, ended_at, ended_by) ON processing_restriction TO mtumail_staff;
GRANT SELECT, INSERT (objection_id, account_id, purpose, request_id), UPDATE (state, decided_at, decided_by) ON objection TO mtumail_web;
GRANT SELECT, INSERT (objection_id, account_id, purpose, request_id) ON objection TO mtumail_staff;
GRANT SELECT ON processing_restriction, objection, privacy_request, webhook_event TO mtumail_worker;
GRANT EXECUTE ON FUNCTION cases_about(bigint), notices_of(bigint), reports_told(), report_answers(bigint) TO mtumail_worker;
GRANT INSERT, UPDATE ON sender_identity, vacation, kept_answer TO mtumail_worker;
GRANT UPDATE (keep_days) ON folder TO mtumail_worker;
GRANT UPDATE (preferences, reading_preference, rows_preference, density_preference) ON account TO mtumail_worker;
"""
UNGRANTS = """
REVOKE SELECT ON privacy_request, webhook_event FROM mtumail_worker;
REVOKE EXECUTE ON FUNCTION notices_of(bigint), reports_told(), report_answers(bigint) FROM mtumail_worker;
REVOKE INSERT, UPDATE ON sender_identity, vacation, kept_answer FROM mtumail_worker;
REVOKE UPDATE (keep_days) ON folder FROM mtumail_worker;
REVOKE UPDATE (preferences, reading_preference, rows_preference, density_preference) ON account FROM mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(STATES)
    op.execute(ACCESS)
    op.execute(CASES)
    for function, before, after in CHANGED:
        op.execute(changed(function, before, after))
    op.execute(f"REVOKE ALL ON FUNCTION {STATE_FUNCTIONS} FROM PUBLIC")
    for road in ROADS:
        op.execute(f"REVOKE ALL ON FUNCTION {road.format('')} FROM PUBLIC")
        op.execute(f"REVOKE ALL ON FUNCTION {road.format('_unstopped')} FROM mtumail_staff")
        op.execute(f"GRANT EXECUTE ON FUNCTION {road.format('')} TO mtumail_staff")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute(UNGRANTS)
    for road in ROADS:
        name = road.partition("{")[0]
        op.execute(f"DROP FUNCTION {road.format('')}")
        op.execute(f"ALTER FUNCTION {road.format('_unstopped')} RENAME TO {name}")
        op.execute(f"GRANT EXECUTE ON FUNCTION {road.format('')} TO mtumail_staff")
    for function, before, after in CHANGED:
        op.execute(changed(function, after, before))
    op.execute("DROP TRIGGER correspondent_learns ON correspondent")
    op.execute("DROP TRIGGER sign_in_leaves_no_trace ON sign_in")
    op.execute("DROP TRIGGER privacy_request_decides_an_objection ON privacy_request")
    op.execute("ALTER TABLE mail_import DROP CONSTRAINT mail_import_brought_is_counts, DROP COLUMN brought")
    op.execute("DROP TABLE objection, processing_restriction")
    op.execute(f"DROP FUNCTION {STATE_FUNCTIONS}")
