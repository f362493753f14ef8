"""What is reported is a case: it is somebody's, it has a clock and an end, and whoever reported it hears of that."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = r"""
CREATE TABLE service_secret (
    purpose text CONSTRAINT service_secret_key PRIMARY KEY,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT service_secret_purpose_is_known CHECK (purpose IN ('cases')),
    CONSTRAINT service_secret_wrapped_is_wrapped CHECK (octet_length(wrapped) = 65)
);

CREATE TABLE service_mailbox (
    mailbox_id bigint CONSTRAINT service_mailbox_key PRIMARY KEY CONSTRAINT service_mailbox_mailbox_id_exists REFERENCES mailbox,
    purpose text NOT NULL CONSTRAINT service_mailbox_purpose_taken_once UNIQUE,
    CONSTRAINT service_mailbox_purpose_is_known CHECK (purpose IN ('cases'))
);

CREATE TABLE case_file (
    case_id bigint CONSTRAINT case_file_key PRIMARY KEY,
    kind text NOT NULL,
    source text NOT NULL DEFAULT 'staff',
    state text NOT NULL DEFAULT 'open',
    assigned_to bigint CONSTRAINT case_file_assigned_to_exists REFERENCES account,
    opened_by bigint CONSTRAINT case_file_opened_by_exists REFERENCES account,
    account_id bigint CONSTRAINT case_file_account_id_exists REFERENCES account,
    opened_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL,
    closed_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    outcome_words bytea,
    merged_into bigint CONSTRAINT case_file_merged_into_exists REFERENCES case_file,
    items integer NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 1,
    label bytea,
    label_item bigint,
    CONSTRAINT case_file_kind_is_known CHECK (kind IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'other',
        'service', 'delivery', 'security', 'legal', 'request')),
    CONSTRAINT case_file_source_is_known CHECK (source IN ('report', 'mail', 'feedback', 'form', 'event', 'staff')),
    CONSTRAINT case_file_state_is_known CHECK (state IN ('open', 'waiting', 'closed')),
    CONSTRAINT case_file_closed_has_a_time CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT case_file_outcome_is_known CHECK
        (outcome IN ('', 'acted', 'no_violation', 'not_ours', 'unclear', 'answered', 'mistake', 'merged')),
    CONSTRAINT case_file_outcome_is_of_what_is_closed CHECK (state = 'closed' OR (outcome = '' AND outcome_words IS NULL)),
    CONSTRAINT case_file_merged_says_into_which CHECK ((outcome = 'merged') = (merged_into IS NOT NULL)),
    CONSTRAINT case_file_not_merged_into_itself CHECK (merged_into <> case_id),
    CONSTRAINT case_file_items_is_not_negative CHECK (items >= 0),
    CONSTRAINT case_file_revision_is_positive CHECK (revision > 0),
    CONSTRAINT case_file_label_names_its_item CHECK (label IS NULL OR label_item IS NOT NULL)
);
CREATE INDEX case_file_due ON case_file (due_at, case_id) WHERE state <> 'closed';
CREATE INDEX case_file_due_of_state ON case_file (state, due_at, case_id) WHERE state <> 'closed';
CREATE INDEX case_file_due_of_kind ON case_file (kind, due_at, case_id) WHERE state <> 'closed';
CREATE INDEX case_file_due_of_somebody ON case_file (assigned_to, due_at, case_id) WHERE state <> 'closed';
CREATE INDEX case_file_closed ON case_file (closed_at DESC, case_id) WHERE state = 'closed';
CREATE INDEX case_file_closed_of_kind ON case_file (kind, closed_at DESC, case_id) WHERE state = 'closed';
CREATE INDEX case_file_closed_of_somebody ON case_file (assigned_to, closed_at DESC, case_id) WHERE state = 'closed';
CREATE INDEX case_file_merged_into ON case_file (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX case_file_about_an_account ON case_file (account_id, opened_at DESC) WHERE account_id IS NOT NULL;

CREATE TABLE case_item (
    item_id bigint CONSTRAINT case_item_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT case_item_case_exists REFERENCES case_file,
    kind text NOT NULL,
    source text NOT NULL,
    arrived_at timestamptz NOT NULL DEFAULT now(),
    account_id bigint CONSTRAINT case_item_account_id_exists REFERENCES account,
    report_mailbox_id bigint,
    report_id bigint,
    event_number bigint,
    subjects bytea[] NOT NULL DEFAULT '{}',
    reporter bytea,
    answerable boolean NOT NULL DEFAULT false,
    size_bytes bigint NOT NULL DEFAULT 0,
    secret bytea,
    label bytea,
    words bytea,
    contact bytea,
    content_key bytea,
    sealed bytea,
    CONSTRAINT case_item_report_exists FOREIGN KEY (report_mailbox_id, report_id) REFERENCES report,
    CONSTRAINT case_item_report_taken_once UNIQUE (report_mailbox_id, report_id),
    CONSTRAINT case_item_event_number_taken_once UNIQUE (event_number),
    CONSTRAINT case_item_secret_taken_once UNIQUE (secret),
    CONSTRAINT case_item_kind_is_known CHECK (kind IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'other',
        'service', 'delivery', 'security', 'legal', 'request')),
    CONSTRAINT case_item_source_is_known CHECK (source IN ('report', 'mail', 'feedback', 'form', 'event', 'staff')),
    CONSTRAINT case_item_report_is_named CHECK
        ((source = 'report') = (report_id IS NOT NULL) AND (report_id IS NULL) = (report_mailbox_id IS NULL)),
    CONSTRAINT case_item_event_is_numbered CHECK ((source = 'event') = (event_number IS NOT NULL)),
    CONSTRAINT case_item_content_key_is_of_what_is_sealed CHECK ((sealed IS NULL) = (content_key IS NULL)),
    CONSTRAINT case_item_report_keeps_its_own_copy CHECK (source <> 'report' OR sealed IS NULL),
    CONSTRAINT case_item_content_key_is_wrapped CHECK (octet_length(content_key) BETWEEN 61 AND 2048),
    CONSTRAINT case_item_reporter_is_blind CHECK (octet_length(reporter) = 32),
    CONSTRAINT case_item_secret_is_hashed CHECK (octet_length(secret) = 32),
    CONSTRAINT case_item_subjects_are_few CHECK (cardinality(subjects) <= 10),
    CONSTRAINT case_item_answerable_has_somebody CHECK
        (NOT answerable OR source = 'report' OR contact IS NOT NULL OR secret IS NOT NULL)
);
ALTER TABLE case_item ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX case_item_in_case ON case_item (case_id, arrived_at, item_id);
CREATE INDEX case_item_by_reporter ON case_item (reporter, arrived_at DESC) WHERE reporter IS NOT NULL;

CREATE TABLE case_subject (
    subject bytea NOT NULL,
    case_id bigint NOT NULL CONSTRAINT case_subject_case_exists REFERENCES case_file,
    CONSTRAINT case_subject_key PRIMARY KEY (subject, case_id),
    CONSTRAINT case_subject_subject_is_blind CHECK (octet_length(subject) = 33 AND get_byte(subject, 0) BETWEEN 1 AND 4)
);
CREATE INDEX case_subject_case_id ON case_subject (case_id);

CREATE TABLE case_note (
    note_id bigint CONSTRAINT case_note_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT case_note_case_exists REFERENCES case_file,
    account_id bigint NOT NULL CONSTRAINT case_note_account_id_exists REFERENCES account,
    at timestamptz NOT NULL DEFAULT now(),
    words bytea NOT NULL
);
CREATE INDEX case_note_in_case ON case_note (case_id, at, note_id);

CREATE TABLE case_answer (
    answer_id bigint CONSTRAINT case_answer_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT case_answer_case_exists REFERENCES case_file,
    account_id bigint NOT NULL CONSTRAINT case_answer_account_id_exists REFERENCES account,
    at timestamptz NOT NULL DEFAULT now(),
    words bytea NOT NULL
);
CREATE INDEX case_answer_in_case ON case_answer (case_id, at, answer_id);

CREATE TABLE case_letter (
    answer_id bigint NOT NULL CONSTRAINT case_letter_answer_exists REFERENCES case_answer,
    item_id bigint NOT NULL CONSTRAINT case_letter_item_exists REFERENCES case_item,
    state text NOT NULL DEFAULT 'waiting',
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT case_letter_key PRIMARY KEY (answer_id, item_id),
    CONSTRAINT case_letter_state_is_known CHECK (state IN ('waiting', 'sent', 'shown', 'failed')),
    CONSTRAINT case_letter_attempts_is_not_negative CHECK (attempts >= 0)
);
CREATE INDEX case_letter_due ON case_letter (due_at) WHERE state = 'waiting';
CREATE INDEX case_letter_item_id ON case_letter (item_id);

CREATE TABLE canned_answer (
    canned_id bigint CONSTRAINT canned_answer_key PRIMARY KEY,
    title text NOT NULL,
    words text NOT NULL,
    changed_by bigint NOT NULL CONSTRAINT canned_answer_changed_by_exists REFERENCES account,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT canned_answer_title_taken_once UNIQUE (title),
    CONSTRAINT canned_answer_title_is_short CHECK (length(title) BETWEEN 1 AND 100),
    CONSTRAINT canned_answer_words_are_not_endless CHECK (length(words) BETWEEN 1 AND 5000)
);

CREATE TABLE case_opening (
    opening_id bigint CONSTRAINT case_opening_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT case_opening_case_exists REFERENCES case_file,
    item_id bigint NOT NULL CONSTRAINT case_opening_item_exists REFERENCES case_item,
    account_id bigint NOT NULL CONSTRAINT case_opening_account_id_exists REFERENCES account,
    part text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    event_number bigint NOT NULL,
    CONSTRAINT case_opening_part_is_known CHECK (part IN ('text', 'headers', 'formatted')),
    CONSTRAINT case_opening_event_number_taken_once UNIQUE (event_number)
);
CREATE INDEX case_opening_in_case ON case_opening (case_id, at);
CREATE INDEX case_opening_of_item ON case_opening (item_id, at);

CREATE TABLE form_visit (
    visit_id bigint CONSTRAINT form_visit_key PRIMARY KEY,
    visitor bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT form_visit_visitor_is_blind CHECK (octet_length(visitor) = 32)
);
CREATE INDEX form_visit_by_visitor ON form_visit (visitor, at);
CREATE INDEX form_visit_at ON form_visit (at);

CREATE TABLE case_watch (
    name text CONSTRAINT case_watch_key PRIMARY KEY,
    number bigint NOT NULL DEFAULT 0,
    CONSTRAINT case_watch_name_is_known CHECK (name IN ('audit'))
);
"""

# The list of kinds grows with each story; whichever came before stays in it.
WORK_KIND = r"""
DO $$
DECLARE told text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO told FROM pg_constraint
     WHERE conname = 'work_kind_is_known' AND conrelid = 'work'::regclass;
    EXECUTE 'ALTER TABLE work DROP CONSTRAINT work_kind_is_known, ADD CONSTRAINT work_kind_is_known '
        || regexp_replace(told, '\]', ', ''intake''::text]');
END $$;
"""
NO_WORK_KIND = r"""
DELETE FROM work WHERE kind = 'intake';
DO $$
DECLARE told text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO told FROM pg_constraint
     WHERE conname = 'work_kind_is_known' AND conrelid = 'work'::regclass;
    EXECUTE 'ALTER TABLE work DROP CONSTRAINT work_kind_is_known, ADD CONSTRAINT work_kind_is_known '
        || replace(told, ', ''intake''::text', '');
END $$;
"""

FUNCTIONS = r"""
CREATE FUNCTION case_note_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was written about a case stays as it was written' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER case_note_stays BEFORE UPDATE ON case_note FOR EACH ROW EXECUTE FUNCTION case_note_stays();
CREATE TRIGGER case_answer_stays BEFORE UPDATE ON case_answer FOR EACH ROW EXECUTE FUNCTION case_note_stays();
CREATE TRIGGER case_opening_stays BEFORE UPDATE OR DELETE ON case_opening FOR EACH ROW EXECUTE FUNCTION case_note_stays();

CREATE FUNCTION case_counts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND TG_OP = 'UPDATE' AND NEW.case_id = OLD.case_id THEN RETURN NULL; END IF;
    IF TG_OP <> 'INSERT' THEN UPDATE case_file SET items = items - 1 WHERE case_id = OLD.case_id; END IF;
    IF TG_OP <> 'DELETE' THEN UPDATE case_file SET items = items + 1 WHERE case_id = NEW.case_id; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER case_item_counts AFTER INSERT OR UPDATE OF case_id OR DELETE ON case_item FOR EACH ROW EXECUTE FUNCTION case_counts();

-- What came in joins the open case that has one of its subjects, the oldest first, or opens one. Twice is once.
CREATE FUNCTION case_take(new_case bigint, item bigint, kind text, source text, wants interval, subjects bytea[], label bytea,
    about bigint, by_account bigint, of_mailbox bigint, of_report bigint, of_event bigint, reporter bytea, answerable boolean,
    size_bytes bigint, secret bytea, words bytea, contact bytea, content_key bytea, sealed bytea, actor text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found bigint;
    is_new boolean := false;
    one bytea;
BEGIN
    SELECT i.case_id INTO found FROM case_item i
     WHERE i.item_id = item OR (i.report_mailbox_id = of_mailbox AND i.report_id = of_report) OR i.event_number = of_event;
    IF found IS NOT NULL THEN RETURN found; END IF;
    -- Two of the same subject at once make one case. In one order, so that nobody waits in a ring.
    FOR one IN SELECT DISTINCT u.s FROM unnest(subjects) AS u(s) ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(encode(one, 'hex'), 13));
    END LOOP;
    SELECT f.case_id INTO found FROM case_subject s JOIN case_file f USING (case_id)
     WHERE s.subject = ANY (subjects) AND f.state <> 'closed' ORDER BY f.opened_at, f.case_id LIMIT 1;
    IF found IS NULL THEN
        found := new_case;
        is_new := true;
        INSERT INTO case_file (case_id, kind, source, account_id, opened_by, due_at, label, label_item)
        VALUES (found, kind, source, about, CASE WHEN source = 'staff' THEN by_account END, now() + wants, label, item);
    ELSE
        -- The more urgent of the two is what it is, and the clock only ever runs out sooner.
        UPDATE case_file f SET kind = CASE WHEN now() + wants < f.due_at THEN kind ELSE f.kind END,
               due_at = least(f.due_at, now() + wants), account_id = coalesce(f.account_id, about),
               state = CASE WHEN f.state = 'waiting' THEN 'open' ELSE f.state END
         WHERE f.case_id = found;
    END IF;
    INSERT INTO case_item (item_id, case_id, kind, source, account_id, report_mailbox_id, report_id, event_number, subjects, reporter,
        answerable, size_bytes, secret, label, words, contact, content_key, sealed)
    VALUES (item, found, kind, source, by_account, of_mailbox, of_report, of_event, subjects, reporter,
        answerable, size_bytes, secret, label, words, contact, content_key, sealed);
    INSERT INTO case_subject (subject, case_id) SELECT DISTINCT u.s, found FROM unnest(subjects) AS u(s) ON CONFLICT DO NOTHING;
    IF is_new THEN
        PERFORM audit_append('case.opened', actor, jsonb_build_object('case', found, 'kind', kind, 'source', source));
    END IF;
    RETURN found;
END $$;

-- Nobody of the staff works on what was brought against himself.
CREATE FUNCTION case_is_about(of_case bigint, person bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM case_file WHERE case_id = of_case AND account_id = person)
$$;

CREATE FUNCTION case_may_read(of_case bigint, person bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM account a JOIN account_role r USING (account_id)
                    WHERE a.account_id = person AND a.status = 'active' AND r.role IN ('support', 'support_lead'))
       AND NOT case_is_about(of_case, person)
$$;

-- Looking is an act: written down first, and only then is there anything to read.
CREATE FUNCTION case_open(opening bigint, viewer bigint, item bigint, part text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    the case_item%ROWTYPE;
    number bigint;
    message bigint;
BEGIN
    SELECT * INTO the FROM case_item i WHERE i.item_id = item AND (i.sealed IS NOT NULL OR EXISTS
        (SELECT FROM report r WHERE r.mailbox_id = i.report_mailbox_id AND r.report_id = i.report_id AND r.sealed IS NOT NULL));
    IF NOT FOUND OR NOT case_may_read(the.case_id, viewer) THEN RETURN NULL; END IF;
    SELECT r.message_id INTO message FROM report r WHERE r.mailbox_id = the.report_mailbox_id AND r.report_id = the.report_id;
    number := audit_append('case.item_opened', 'account:' || viewer, jsonb_build_object('case', the.case_id, 'item', item,
        'part', part, 'source', the.source, 'mailbox', the.report_mailbox_id, 'message', message));
    INSERT INTO case_opening (opening_id, case_id, item_id, account_id, part, event_number)
    VALUES (opening, the.case_id, item, viewer, part, number);
    RETURN number;
END $$;

CREATE FUNCTION case_read(opening bigint, viewer bigint)
RETURNS TABLE (case_id bigint, item_id bigint, part text, source text, mailbox_id bigint, report_id bigint, content_key bytea,
    sealed bytea, wrapped bytea, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.case_id, o.item_id, o.part, i.source, i.report_mailbox_id, i.report_id, coalesce(r.content_key, i.content_key),
           coalesce(r.sealed, i.sealed), k.wrapped, o.at + interval '15 minutes'
      FROM case_opening o JOIN case_item i USING (item_id)
      LEFT JOIN report r ON r.mailbox_id = i.report_mailbox_id AND r.report_id = i.report_id
      JOIN service_key k ON k.purpose = 'reports'
     WHERE o.opening_id = $1 AND o.account_id = $2 AND o.at > now() - interval '15 minutes' AND case_may_read(i.case_id, $2)
$$;

-- What a person hears of what he reported himself: the named mailbox's, and nobody else's.
CREATE FUNCTION reports_told() RETURNS TABLE (report_id bigint, case_id bigint, state text, outcome text, outcome_words bytea,
    closed_at timestamptz, opened integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.report_id, f.case_id, f.state, f.outcome, f.outcome_words, f.closed_at,
           (SELECT count(DISTINCT o.account_id) FROM case_opening o WHERE o.item_id = i.item_id)::integer
      FROM case_item i JOIN case_file g USING (case_id) JOIN case_file f ON f.case_id = coalesce(g.merged_into, g.case_id)
     WHERE i.report_mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint
$$;

CREATE FUNCTION report_answers(report bigint) RETURNS TABLE (answer_id bigint, at timestamptz, words bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT a.answer_id, a.at, a.words FROM case_item i
      JOIN case_item j ON j.case_id = i.case_id AND j.reporter = i.reporter
      JOIN case_letter l ON l.item_id = j.item_id JOIN case_answer a USING (answer_id)
     WHERE i.report_mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint AND i.report_id = $1
     ORDER BY a.at, a.answer_id
$$;

-- Whether there is anything for the job that takes cases in and answers them.
CREATE FUNCTION case_waits() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM case_letter WHERE state = 'waiting' AND due_at <= now())
        OR coalesce((SELECT max(number) FROM audit_event), 0) > coalesce((SELECT number FROM case_watch WHERE name = 'audit'), 0)
$$;

-- What somebody without an account hears: who holds the link's secret.
CREATE FUNCTION form_told(hash bytea) RETURNS TABLE (item_id bigint, arrived_at timestamptz, case_id bigint, state text,
    outcome text, outcome_words bytea, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.item_id, i.arrived_at, f.case_id, f.state, f.outcome, f.outcome_words, f.closed_at
      FROM case_item i JOIN case_file g USING (case_id) JOIN case_file f ON f.case_id = coalesce(g.merged_into, g.case_id)
     WHERE i.secret = $1
$$;

CREATE FUNCTION form_answers(hash bytea) RETURNS TABLE (answer_id bigint, at timestamptz, words bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.answer_id, a.at, a.words FROM case_item i JOIN case_letter l USING (item_id) JOIN case_answer a USING (answer_id)
     WHERE i.secret = $1 ORDER BY a.at, a.answer_id
$$;

-- Events of the log that nobody has looked at for a case: numbers come without gaps and in order, so that none is passed over.
CREATE FUNCTION case_events(most integer) RETURNS TABLE (number bigint, kind text, actor text, facts jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    seen bigint;
    until bigint;
BEGIN
    INSERT INTO case_watch (name) VALUES ('audit') ON CONFLICT DO NOTHING;
    SELECT w.number INTO seen FROM case_watch w WHERE w.name = 'audit' FOR UPDATE;
    SELECT max(e.number) INTO until FROM (SELECT number FROM audit_event WHERE number > seen ORDER BY number LIMIT most) e;
    IF until IS NULL THEN RETURN; END IF;
    UPDATE case_watch SET number = until WHERE name = 'audit';
    RETURN QUERY SELECT e.number, e.kind, e.actor, (e.entry::jsonb)->'facts' FROM audit_event e
                  WHERE e.number > seen AND e.number <= until AND (e.kind LIKE 'security.%' OR e.kind = 'sending.limited')
                  ORDER BY e.number;
END $$;

CREATE FUNCTION service_mailbox_make(mailbox bigint, public_key bytea, wrapped bytea, quota bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mtumail service mailbox', 13));
    SELECT m.mailbox_id INTO found FROM service_mailbox m WHERE m.purpose = 'cases';
    IF found IS NOT NULL THEN RETURN found; END IF;
    INSERT INTO mailbox (mailbox_id, display_name, public_key, quota_bytes) VALUES (mailbox, '', public_key, quota);
    INSERT INTO mailbox_key (mailbox_id, wrapped) VALUES (mailbox, wrapped);
    INSERT INTO folder (mailbox_id, folder_id, kind) VALUES (mailbox, 1, 'inbox'), (mailbox, 2, 'sent'), (mailbox, 3, 'drafts'),
        (mailbox, 4, 'archive'), (mailbox, 5, 'junk'), (mailbox, 6, 'trash');
    INSERT INTO service_mailbox (mailbox_id, purpose) VALUES (mailbox, 'cases');
    PERFORM audit_append('mailbox.created', 'system:worker', jsonb_build_object('mailbox', mailbox, 'purpose', 'cases'));
    RETURN mailbox;
END $$;

CREATE FUNCTION account_of_address(domain_name text, local text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.account_id FROM domain d JOIN address a USING (domain_id) JOIN mailbox_member m USING (mailbox_id)
     WHERE d.name = $1 AND a.local_part = $2
$$;

-- Whose submission a complaint is about: by the return path that it left with, which only who has the message can name.
CREATE FUNCTION submission_author(local text, domain_name text, submission bigint, path text)
RETURNS TABLE (account_id bigint, mailbox_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.account_id, s.mailbox_id FROM domain d JOIN address a USING (domain_id) JOIN submission s USING (mailbox_id)
     WHERE d.name = $2 AND a.local_part = $1 AND s.submission_id = $3 AND lower(s.envelope_from) = lower($4)
$$;
"""

_STAFF_FUNCTIONS = "case_open(bigint, bigint, bigint, text), case_read(bigint, bigint), case_is_about(bigint, bigint), case_may_read(bigint, bigint)"
_TAKE = (
    "case_take(bigint, bigint, text, text, interval, bytea[], bytea, bigint, bigint, bigint, bigint, bigint, bytea, boolean,"
    " bigint, bytea, bytea, bytea, bytea, bytea, text)"
)

GRANTS = f"""
REVOKE ALL ON FUNCTION {_TAKE}, {_STAFF_FUNCTIONS}, reports_told(), report_answers(bigint), form_told(bytea), form_answers(bytea),
    case_events(integer), case_waits(), service_mailbox_make(bigint, bytea, bytea, bigint),
    submission_author(text, text, bigint, text), account_of_address(text, text), case_counts(), case_note_stays() FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mtumail_staff;
GRANT EXECUTE ON FUNCTION audit_append(text, text, jsonb) TO mtumail_staff;
GRANT SELECT (account_id, name, status, created_at) ON account TO mtumail_staff;
GRANT SELECT ON account_role, domain TO mtumail_staff;

GRANT SELECT, INSERT, UPDATE (kind, state, assigned_to, account_id, due_at, closed_at, outcome, outcome_words, merged_into, revision,
    label, label_item) ON case_file TO mtumail_staff;
GRANT SELECT (item_id, case_id, kind, source, arrived_at, account_id, event_number, subjects, reporter, answerable, size_bytes,
    label, words, contact), UPDATE (case_id) ON case_item TO mtumail_staff;
GRANT SELECT, INSERT, DELETE ON case_subject TO mtumail_staff;
GRANT SELECT, INSERT ON case_note, case_answer, case_letter TO mtumail_staff;
GRANT SELECT ON case_opening TO mtumail_staff;
GRANT SELECT, INSERT ON service_secret TO mtumail_staff;
GRANT SELECT, INSERT, UPDATE, DELETE ON canned_answer TO mtumail_staff;
GRANT EXECUTE ON FUNCTION {_STAFF_FUNCTIONS}, {_TAKE}, account_of_address(text, text) TO mtumail_staff;

GRANT SELECT, INSERT ON service_secret TO mtumail_web, mtumail_worker;
GRANT INSERT ON service_key TO mtumail_worker;
GRANT EXECUTE ON FUNCTION {_TAKE}, account_of_address(text, text) TO mtumail_web, mtumail_worker;
GRANT EXECUTE ON FUNCTION reports_told(), report_answers(bigint), form_told(bytea), form_answers(bytea) TO mtumail_web;
GRANT SELECT, INSERT, DELETE ON form_visit TO mtumail_web;

GRANT SELECT ON service_mailbox TO mtumail_inbound, mtumail_worker, mtumail_web;
GRANT EXECUTE ON FUNCTION case_events(integer), case_waits(), service_mailbox_make(bigint, bytea, bytea, bigint),
    submission_author(text, text, bigint, text) TO mtumail_worker;
GRANT SELECT ON case_item, case_file, case_answer, case_letter TO mtumail_worker;
GRANT UPDATE (state, attempts, due_at) ON case_letter TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(WORK_KIND)
    op.execute(FUNCTIONS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute(NO_WORK_KIND)
    op.execute("REVOKE INSERT ON service_key FROM mtumail_worker")
    op.execute(f"""
        DROP FUNCTION {_TAKE}, {_STAFF_FUNCTIONS}, reports_told(), report_answers(bigint), form_told(bytea), form_answers(bytea),
            case_events(integer), case_waits(), service_mailbox_make(bigint, bytea, bytea, bigint),
            submission_author(text, text, bigint, text), account_of_address(text, text)""")
    op.execute(
        "DROP TABLE case_watch, form_visit, case_opening, canned_answer, case_letter, case_answer, case_note, case_subject,"
        " case_item, case_file, service_mailbox, service_secret"
    )
    op.execute("DROP FUNCTION case_counts(), case_note_stays()")
    op.execute("REVOKE ALL ON account, account_role, domain FROM mtumail_staff")
    op.execute("REVOKE SELECT (account_id, name, status, created_at) ON account FROM mtumail_staff")
    op.execute("REVOKE ALL ON FUNCTION audit_append(text, text, jsonb) FROM mtumail_staff")
    op.execute("REVOKE USAGE ON SCHEMA public FROM mtumail_staff")
