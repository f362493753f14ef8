"""People are looked up and that is written down, queues are held and let go, and who answers for the service is told what is wrong."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TABLES = """
CREATE INDEX account_name_begins ON account (lower(name) text_pattern_ops, account_id) WHERE name <> '';
CREATE INDEX account_contact_is ON account (lower(contact_email)) WHERE contact_email <> '';
CREATE INDEX work_parked_at ON work (parked_at DESC, item_id DESC) WHERE parked_at IS NOT NULL;

CREATE TABLE staff_note (
    note_id bigint CONSTRAINT staff_note_key PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT staff_note_account_id_exists REFERENCES account,
    written_by bigint NOT NULL CONSTRAINT staff_note_written_by_exists REFERENCES account,
    written_at timestamptz NOT NULL DEFAULT now(),
    words bytea NOT NULL,
    CONSTRAINT staff_note_is_about_somebody_else CHECK (account_id <> written_by),
    CONSTRAINT staff_note_words_are_sealed CHECK (octet_length(words) BETWEEN 30 AND 10000)
);
CREATE INDEX staff_note_account_id ON staff_note (account_id, written_at DESC, note_id);
CREATE INDEX staff_note_written_at ON staff_note (written_at);

CREATE TABLE setting_secret (
    name text CONSTRAINT setting_secret_key PRIMARY KEY CONSTRAINT setting_secret_name_exists REFERENCES setting,
    wrapped bytea NOT NULL,
    CONSTRAINT setting_secret_wrapped_is_wrapped CHECK (octet_length(wrapped) BETWEEN 34 AND 1024)
);

CREATE TABLE alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT alert_key PRIMARY KEY,
    code text NOT NULL,
    label text NOT NULL DEFAULT '',
    value double precision NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz,
    ended_at timestamptz,
    muted_until timestamptz,
    muted_by bigint CONSTRAINT alert_muted_by_exists REFERENCES account,
    CONSTRAINT alert_code_is_a_word CHECK (code ~ '^[a-z]+(-[a-z]+)*$' AND length(code) <= 40),
    CONSTRAINT alert_label_is_a_code CHECK (label ~ '^[a-z0-9_.-]{0,60}$'),
    CONSTRAINT alert_value_is_a_number CHECK (value > '-Infinity' AND value < 'Infinity'),
    CONSTRAINT alert_times_go_forward CHECK (seen_at >= since AND told_at >= since AND ended_at >= since),
    CONSTRAINT alert_muted_by_somebody CHECK ((muted_until IS NULL) = (muted_by IS NULL))
);
CREATE UNIQUE INDEX alert_lasts_once ON alert (code, label) WHERE ended_at IS NULL;
CREATE INDEX alert_ended_at ON alert (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE alert_telling (
    telling_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT alert_telling_key PRIMARY KEY,
    alert_id bigint CONSTRAINT alert_telling_alert_id_exists REFERENCES alert ON DELETE CASCADE,
    kind text NOT NULL,
    way text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    lease bigint,
    attempts smallint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    problem text NOT NULL DEFAULT '',
    CONSTRAINT alert_telling_kind_is_known CHECK (kind IN ('begins', 'lasts', 'ends', 'trial')),
    CONSTRAINT alert_telling_way_is_known CHECK (way IN ('mail', 'webhook')),
    CONSTRAINT alert_telling_outcome_is_known CHECK (outcome IN ('', 'told', 'failed')),
    CONSTRAINT alert_telling_problem_is_a_code CHECK (problem ~ '^[a-z0-9-]{0,40}$'),
    CONSTRAINT alert_telling_is_of_an_alert CHECK ((kind = 'trial') = (alert_id IS NULL)),
    CONSTRAINT alert_telling_finished_says_how CHECK ((finished_at IS NULL) = (outcome = '')),
    CONSTRAINT alert_telling_attempts_are_counted CHECK (attempts >= 0)
);
CREATE INDEX alert_telling_due ON alert_telling (way, due_at) WHERE finished_at IS NULL;
CREATE INDEX alert_telling_alert_id ON alert_telling (alert_id, telling_id);
CREATE INDEX alert_telling_made_at ON alert_telling (made_at);

CREATE TABLE alert_look (
    machine text CONSTRAINT alert_look_key PRIMARY KEY,
    looked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_look_machine_is_a_code CHECK (machine ~ '^[a-z0-9_.-]{1,60}$')
);
"""

# Each look at people is written down before its answer is given, with a commitment to everybody whom it showed; who looks very often
# is stopped, since a directory is not what this is for.
PEOPLE = """
-- Whom a term leads to, and what is told of somebody. Nobody may ask these but the functions below, and the owner's commands, which
-- write down the same.
CREATE FUNCTION people_ids(how text, term text, local text, of_domain text, number bigint) RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE how
        WHEN 'address' THEN ARRAY(
            SELECT m.account_id FROM domain d JOIN address a USING (domain_id) JOIN mailbox_member m USING (mailbox_id)
             WHERE d.name = of_domain AND a.local_part = local
             UNION SELECT a.account_id FROM account a WHERE a.contact_email <> '' AND lower(a.contact_email) = lower(term) LIMIT 21)
        WHEN 'number' THEN ARRAY(
            SELECT a.account_id FROM account a WHERE a.account_id = number
             UNION SELECT m.account_id FROM mailbox_member m WHERE m.mailbox_id = number LIMIT 21)
        WHEN 'user' THEN ARRAY(SELECT a.account_id FROM account a WHERE a.clerk_user_id = term)
        WHEN 'name' THEN CASE WHEN length(term) BETWEEN 2 AND 200 THEN ARRAY(
            SELECT a.account_id FROM account a WHERE a.name <> '' AND lower(a.name) ~>=~ lower(term)
               AND lower(a.name) ~<~ (lower(term) || chr(1114111)) ORDER BY lower(a.name) USING ~<~, a.account_id LIMIT 21) END
    END
$$;

CREATE FUNCTION people_lines(found bigint[]) RETURNS TABLE (account_id bigint, name text, address text, status text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.account_id, a.name, coalesce((SELECT ad.local_part || '@' || d.name FROM mailbox_member m
               JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary JOIN domain d USING (domain_id)
              WHERE m.account_id = a.account_id ORDER BY m.role <> 'owner', m.since, m.mailbox_id LIMIT 1), ''),
           CASE WHEN a.status <> 'active' THEN a.status WHEN a.clerk_state <> 'present' THEN a.clerk_state
                WHEN NOT a.may_sign_in THEN 'no_sign_in' WHEN NOT a.may_send THEN 'no_sending' ELSE 'active' END
      FROM unnest(found) WITH ORDINALITY AS f (id, place) JOIN account a ON a.account_id = f.id ORDER BY f.place
$$;

CREATE FUNCTION people_told(of_account bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object('refusal', '', 'account', who.account_id, 'name', who.name, 'contact', who.contact_email, 'user', who.clerk_user_id,
        'status', who.status, 'clerk_state', who.clerk_state, 'may_sign_in', who.may_sign_in, 'may_send', who.may_send,
        'send_day', who.send_day, 'since', who.created_at,
        'roles', (SELECT coalesce(jsonb_agg(role ORDER BY role), '[]') FROM account_role WHERE account_id = of_account),
        'sessions', (SELECT count(*) FROM sign_in WHERE account_id = of_account AND ended_at IS NULL),
        'last_seen', (SELECT max(last_seen) FROM sign_in WHERE account_id = of_account),
        'erased_at', (SELECT min(due_at) FROM erasure WHERE account_id = of_account AND kind = 'account' AND state NOT IN ('undone', 'done')),
        'mailboxes', (SELECT coalesce(jsonb_agg(to_jsonb(b) ORDER BY b.since, b.mailbox), '[]') FROM (
            SELECT m.mailbox_id AS mailbox, m.role, m.since, x.state, x.may_receive, x.quota_bytes AS quota, x.used_bytes AS used,
                   (SELECT count(*) FROM mailbox_member o WHERE o.mailbox_id = m.mailbox_id) AS members,
                   (SELECT coalesce(jsonb_agg(a.local_part || '@' || d.name ORDER BY a.is_primary DESC, a.local_part), '[]')
                      FROM address a JOIN domain d USING (domain_id) WHERE a.mailbox_id = m.mailbox_id) AS addresses
              FROM mailbox_member m JOIN mailbox x USING (mailbox_id) WHERE m.account_id = of_account ORDER BY m.since LIMIT 50) b),
        'cases', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.opened_at DESC), '[]') FROM (
            SELECT case_id AS "case", kind, state, opened_at, due_at FROM case_file WHERE account_id = of_account
             ORDER BY opened_at DESC LIMIT 20) c),
        'notes', (SELECT coalesce(jsonb_agg(to_jsonb(n) ORDER BY n.written_at DESC), '[]') FROM (
            SELECT s.note_id AS note, s.written_by AS by, w.name AS author, s.written_at, encode(s.words, 'hex') AS words
              FROM staff_note s JOIN account w ON w.account_id = s.written_by WHERE s.account_id = of_account
             ORDER BY s.written_at DESC LIMIT 50) n))
      FROM account who WHERE who.account_id = of_account
$$;

CREATE FUNCTION people_find(by_account bigint, how text, term text, local text, of_domain text, number bigint)
RETURNS TABLE (account_id bigint, name text, address text, status text, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    why text := '';
    found bigint[];
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'admin']) THEN why := 'role';
    ELSIF (SELECT count(*) FROM audit_event e WHERE e.actor = 'account:' || by_account AND e.at > now() - interval '1 hour'
              AND e.kind = 'people.searched') >= 120 THEN why := 'too-many';
    ELSE
        found := people_ids(how, term, local, of_domain, number);
        IF found IS NULL THEN why := 'term'; END IF;
    END IF;
    PERFORM audit_append('people.searched', 'account:' || by_account,
        jsonb_build_object('how', left(how, 20), 'found', least(coalesce(cardinality(found), 0), 20), 'why', why), found[1:20], NULL, NULL);
    IF why <> '' THEN
        RETURN QUERY SELECT NULL::bigint, '', '', '', why;
        RETURN;
    END IF;
    RETURN QUERY SELECT l.account_id, l.name, l.address, l.status, '' FROM people_lines(found) l;
END $$;

CREATE FUNCTION people_show(by_account bigint, of_account bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    told jsonb := people_told(of_account);
    why text := '';
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'admin']) THEN why := 'role';
    ELSIF told IS NULL THEN why := 'none';
    END IF;
    PERFORM audit_append('people.viewed', 'account:' || by_account,
        jsonb_build_object('account', CASE WHEN told IS NOT NULL THEN of_account END, 'why', why),
        CASE WHEN why = '' THEN ARRAY[of_account] END, NULL, NULL);
    RETURN CASE WHEN why = '' THEN told ELSE jsonb_build_object('refusal', why) END;
END $$;

-- Nobody of whom a note speaks writes or drops it; action_refusal knows who is whose colleague.
CREATE FUNCTION people_note(by_account bigint, of_account bigint, note bigint, sealed bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text := action_refusal(by_account, of_account, NULL);
BEGIN
    IF why = '' AND NOT EXISTS (SELECT FROM account WHERE account_id = of_account AND status <> 'closed') THEN why := 'none';
    ELSIF why = '' AND (SELECT count(*) FROM staff_note WHERE account_id = of_account) >= 50 THEN why := 'enough';
    END IF;
    IF why <> '' THEN
        RETURN why;
    END IF;
    INSERT INTO staff_note (note_id, account_id, written_by, words) VALUES (note, of_account, by_account, sealed);
    PERFORM audit_append('people.noted', 'account:' || by_account, jsonb_build_object('note', note), ARRAY[of_account], NULL, NULL);
    RETURN '';
END $$;

CREATE FUNCTION people_unnote(by_account bigint, of_account bigint, note bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text := action_refusal(by_account, of_account, NULL);
    author bigint;
BEGIN
    SELECT written_by INTO author FROM staff_note WHERE note_id = note AND account_id = of_account FOR UPDATE;
    IF why = '' AND author IS NULL THEN why := 'none';
    ELSIF why = '' AND author <> by_account AND NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'not-yours';
    END IF;
    IF why <> '' THEN
        RETURN why;
    END IF;
    DELETE FROM staff_note WHERE note_id = note;
    PERFORM audit_append('people.unnoted', 'account:' || by_account, jsonb_build_object('note', note), ARRAY[of_account], NULL, NULL);
    RETURN '';
END $$;

CREATE FUNCTION staff_note_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a note is kept as it was written, or dropped' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER staff_note_stays BEFORE UPDATE ON staff_note FOR EACH ROW EXECUTE FUNCTION staff_note_stays();

-- Who is erased leaves nothing that was noted about him.
CREATE FUNCTION staff_note_goes_with_its_person() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM staff_note WHERE account_id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER account_takes_notes_along AFTER UPDATE OF clerk_user_id ON account FOR EACH ROW
    WHEN (NEW.clerk_user_id LIKE 'user\\_erased%') EXECUTE FUNCTION staff_note_goes_with_its_person();
"""

# Queues as the staff's role may see them: kinds, ids, times, codes. The walls before `work` hold for everything else.
QUEUES = """
CREATE FUNCTION queue_parked(of_kind text, before_at timestamptz, before_item bigint, most integer)
RETURNS TABLE (kind text, mailbox_id bigint, item_id bigint, parked_at timestamptz, attempts smallint, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM (
        (SELECT w.kind, w.mailbox_id, w.item_id, w.parked_at, w.attempts, w.problem FROM work w
          WHERE w.parked_at IS NOT NULL AND (of_kind = '' OR w.kind = of_kind)
            AND (before_at IS NULL OR (w.parked_at, w.item_id) < (before_at, before_item))
          ORDER BY w.parked_at DESC, w.item_id DESC LIMIT most)
        UNION ALL
        (SELECT 'errand', NULL, e.errand_id, e.parked_at, e.attempts, e.problem FROM errand e
          WHERE e.parked_at IS NOT NULL AND of_kind IN ('', 'errand')
            AND (before_at IS NULL OR (e.parked_at, e.errand_id) < (before_at, before_item))
          ORDER BY e.parked_at DESC, e.errand_id DESC LIMIT most)) both_kinds
     ORDER BY 4 DESC, 3 DESC LIMIT most
$$;
CREATE INDEX errand_parked_at ON errand (parked_at DESC, errand_id DESC) WHERE parked_at IS NOT NULL;

-- Work that is put aside is tried again from the beginning. Not so mail and drafts that their author was told of: they would leave a
-- second time, behind his back.
CREATE FUNCTION queue_retry(of_kind text, of_mailbox bigint, of_item bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF of_kind = 'errand' THEN
        UPDATE errand SET parked_at = NULL, attempts = 0, due_at = now(), problem = '' WHERE errand_id = of_item AND parked_at IS NOT NULL;
        RETURN FOUND;
    ELSIF of_kind IN ('send', 'submit') THEN
        RETURN false;
    END IF;
    UPDATE work SET parked_at = NULL, attempts = 0, due_at = now(), lease = NULL, problem = ''
     WHERE mailbox_id = of_mailbox AND kind = of_kind AND item_id = of_item AND parked_at IS NOT NULL;
    IF FOUND AND of_kind = 'file' THEN
        UPDATE message SET state = 'received' WHERE mailbox_id = of_mailbox AND message_id = of_item AND state = 'unreadable';
        RETURN true;
    END IF;
    RETURN FOUND;
END $$;

CREATE FUNCTION queue_forget(of_kind text, of_mailbox bigint, of_item bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF of_kind = 'errand' THEN
        DELETE FROM errand WHERE errand_id = of_item AND parked_at IS NOT NULL;
    ELSE
        DELETE FROM work WHERE mailbox_id = of_mailbox AND kind = of_kind AND item_id = of_item AND parked_at IS NOT NULL;
    END IF;
    RETURN FOUND;
END $$;

-- How old what waits is, by state; up to 10,000 pieces are looked at. Mail that leaves counts from when it was sent, mail that came
-- from when it came.
CREATE FUNCTION queue_ages(of_kind text) RETURNS TABLE (state text, age text, pieces bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH piece AS (
        SELECT w.mailbox_id, w.item_id, w.due_at, w.lease, w.problem, w.parked_at FROM work w
         WHERE w.kind = of_kind AND w.parked_at IS NULL ORDER BY w.due_at LIMIT 10000),
    aged AS (
        SELECT CASE WHEN piece.lease IS NOT NULL AND piece.due_at > now() THEN 'held' WHEN piece.due_at <= now() THEN 'waiting'
                    WHEN piece.problem <> '' THEN 'deferred' ELSE 'planned' END AS state,
               now() - CASE of_kind
                   WHEN 'send' THEN coalesce((SELECT s.created_at FROM submission s
                        WHERE s.mailbox_id = piece.mailbox_id AND s.submission_id = piece.item_id), piece.due_at)
                   WHEN 'file' THEN coalesce((SELECT m.received_at FROM message m
                        WHERE m.mailbox_id = piece.mailbox_id AND m.message_id = piece.item_id), piece.due_at)
                   ELSE least(piece.due_at, now()) END AS age
          FROM piece)
    SELECT aged.state, CASE WHEN aged.age < interval '5 minutes' THEN 'minutes' WHEN aged.age < interval '1 hour' THEN 'hour'
                       WHEN aged.age < interval '1 day' THEN 'day' ELSE 'older' END AS age_code, count(*)
      FROM aged GROUP BY 1, 2
$$;

-- Numbers alone: what is past its time, and whether the last backup failed. What is counted stops at 1,000.
CREATE FUNCTION alert_facts() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'cases_overdue', '', (SELECT count(*) FROM (SELECT FROM case_file WHERE state <> 'closed' AND due_at < now() LIMIT 1000) c)::float8
    UNION ALL
    SELECT 'reviews_overdue', '', (SELECT count(*) FROM (
        SELECT FROM access_grant WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL AND review_due_at < now() LIMIT 1000) r)::float8
    UNION ALL
    SELECT 'requests_overdue', '', (SELECT count(*) FROM (
        SELECT FROM privacy_request WHERE state = 'open' AND due_at < now() LIMIT 1000) q)::float8
    UNION ALL
    SELECT 'errands_parked', '', (SELECT count(*) FROM (SELECT FROM errand WHERE parked_at IS NOT NULL LIMIT 1000) e)::float8
    UNION ALL
    SELECT 'backup_failed', '', coalesce((SELECT (outcome <> 'done')::int FROM backup_run
        WHERE kind = 'backup' AND finished_at IS NOT NULL ORDER BY run_id DESC LIMIT 1), 0)::float8
$$;
"""

RULES = {
    # Of whoever has restricted that (0025), schedules remove nothing.
    "staff_notes": (
        "staff_note",
        "written_at",
        "t.account_id <> ALL ((SELECT restricted_accounts())::bigint[])",
    ),
    "alerts": ("alert", "ended_at", "t.ended_at IS NOT NULL"),
}


def remover(rule: str, table: str, stamp: str, condition: str) -> str:
    """The function that a rule of retention removes by."""
    return f"""
CREATE FUNCTION retention_{rule}(before timestamptz, most integer, really boolean) RETURNS TABLE (removed bigint, oldest_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF before > now() - interval '23 hours' THEN  -- a day, and clocks that differ a little
        RAISE EXCEPTION 'nothing younger than a day is removed by a schedule' USING ERRCODE = 'check_violation';
    END IF;
    IF really THEN
        RETURN QUERY WITH old AS (
            SELECT t.ctid FROM {table} t WHERE t.{stamp} < before AND {condition} LIMIT most FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM {table} t USING old WHERE t.ctid = old.ctid RETURNING t.{stamp} AS stamp)
            SELECT count(*), min(stamp) FROM gone;
    ELSE
        RETURN QUERY SELECT count(*), min(t.{stamp}) FROM {table} t WHERE t.{stamp} < before AND {condition};
    END IF;
END $$;
REVOKE ALL ON FUNCTION retention_{rule}(timestamptz, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_{rule}(timestamptz, integer, boolean) TO mtumail_worker, mtumail_staff;
"""


STAFF = """people_find(bigint, text, text, text, text, bigint), people_show(bigint, bigint), people_note(bigint, bigint, bigint, bytea),
    people_unnote(bigint, bigint, bigint), queue_parked(text, timestamptz, bigint, integer), queue_retry(text, bigint, bigint),
    queue_forget(text, bigint, bigint), queue_ages(text), alert_facts()"""

OWN = """people_ids(text, text, text, text, bigint), people_lines(bigint[]), people_told(bigint), staff_note_stays(),
    staff_note_goes_with_its_person()"""

# A telling that the staff makes is a trial: the rule of the table says so. What is kept secret is put in, and read by workers alone.
GRANTS = f"""
REVOKE ALL ON FUNCTION {STAFF}, {OWN} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {STAFF} TO mtumail_staff;
GRANT EXECUTE ON FUNCTION alert_facts() TO mtumail_worker;
GRANT SELECT (account_id) ON staff_note TO mtumail_web;
GRANT SELECT ON staff_note TO mtumail_worker;
GRANT SELECT (name), INSERT, DELETE ON setting_secret TO mtumail_staff;
GRANT SELECT ON setting_secret TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE ON alert, alert_telling TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_look TO mtumail_worker;
GRANT DELETE ON alert_telling TO mtumail_worker;
GRANT SELECT ON alert, alert_telling, alert_look TO mtumail_staff;
GRANT UPDATE (muted_until, muted_by) ON alert TO mtumail_staff;
GRANT INSERT (kind, way) ON alert_telling TO mtumail_staff;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(PEOPLE)
    op.execute(QUEUES)
    for rule, (table, stamp, condition) in RULES.items():
        op.execute(remover(rule, table, stamp, condition))
    op.execute(GRANTS)


def downgrade() -> None:
    for rule in RULES:
        op.execute(f"DROP FUNCTION retention_{rule}(timestamptz, integer, boolean)")
    op.execute("DROP TRIGGER account_takes_notes_along ON account")
    op.execute("DROP TABLE alert_telling, alert, alert_look, setting_secret, staff_note")
    op.execute(f"DROP FUNCTION {STAFF}, {OWN}")
    op.execute("DROP INDEX account_name_begins, account_contact_is, work_parked_at, errand_parked_at")
