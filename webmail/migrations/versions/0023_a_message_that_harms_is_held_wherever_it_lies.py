"""A message that harms is held wherever it lies, unopened; each owner is told and may object, and its end puts everything back."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# A mark is what a message is known again by, under a secret of the service: the same words have the same mark in every mailbox,
# and nothing else shows. No role reads a mark.
TABLES = """
CREATE TABLE message_mark (
    mailbox_id bigint NOT NULL,
    message_id bigint NOT NULL,
    content bytea,
    reference bytea,
    CONSTRAINT message_mark_key PRIMARY KEY (mailbox_id, message_id),
    CONSTRAINT message_mark_message_exists FOREIGN KEY (mailbox_id, message_id) REFERENCES message ON DELETE CASCADE,
    CONSTRAINT message_mark_is_blind CHECK (octet_length(content) = 16 AND octet_length(reference) = 16),
    CONSTRAINT message_mark_marks_something CHECK (num_nonnulls(content, reference) > 0)
);
CREATE INDEX message_mark_content ON message_mark (content, mailbox_id, message_id) WHERE content IS NOT NULL;
CREATE INDEX message_mark_reference ON message_mark (reference, mailbox_id, message_id) WHERE reference IS NOT NULL;

CREATE TABLE quarantine (
    quarantine_id bigint CONSTRAINT quarantine_key PRIMARY KEY,
    case_id bigint NOT NULL CONSTRAINT quarantine_case_id_exists REFERENCES case_file,
    item_id bigint NOT NULL CONSTRAINT quarantine_item_id_exists REFERENCES case_item,
    content bytea NOT NULL,
    rule text NOT NULL,
    words bytea NOT NULL,
    acted_by bigint NOT NULL CONSTRAINT quarantine_acted_by_exists REFERENCES account,
    acted_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'proposed',
    decided_by bigint CONSTRAINT quarantine_decided_by_exists REFERENCES account,
    decided_at timestamptz,
    in_force_at timestamptz,
    ended_at timestamptz,
    ended_by bigint CONSTRAINT quarantine_ended_by_exists REFERENCES account,
    ended_why text,
    is_moving boolean NOT NULL DEFAULT false,
    at_mailbox bigint NOT NULL DEFAULT 0,
    at_message bigint NOT NULL DEFAULT -1,
    CONSTRAINT quarantine_content_is_blind CHECK (octet_length(content) = 16),
    CONSTRAINT quarantine_rule_is_known CHECK
        (rule IN ('spam', 'phishing', 'malware', 'fraud', 'harassment', 'illegal', 'security', 'other')),
    CONSTRAINT quarantine_words_are_short CHECK (octet_length(words) <= 9000),
    CONSTRAINT quarantine_ends_within_a_year CHECK (until > acted_at AND until <= acted_at + interval '366 days'),
    CONSTRAINT quarantine_state_is_known CHECK (state IN ('proposed', 'in_force', 'declined', 'ended')),
    CONSTRAINT quarantine_nobody_approves_his_own CHECK (decided_by <> acted_by),
    CONSTRAINT quarantine_decision_is_somebodys CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT quarantine_declined_by_somebody CHECK (state <> 'declined' OR decided_by IS NOT NULL),
    CONSTRAINT quarantine_in_force_has_a_time CHECK ((state IN ('in_force', 'ended')) = (in_force_at IS NOT NULL)),
    CONSTRAINT quarantine_ended_says_why CHECK ((state = 'ended') = (ended_at IS NOT NULL)
        AND (ended_at IS NULL) = (ended_why IS NULL) AND ended_why IN ('colleague', 'appeal', 'time')
        AND (ended_why = 'time') = (ended_at IS NOT NULL AND ended_by IS NULL)),
    CONSTRAINT quarantine_moves_what_it_holds CHECK (NOT is_moving OR state IN ('in_force', 'ended'))
);
-- Also while an ended one still gives back: what a new one held would be given back with it.
CREATE UNIQUE INDEX quarantine_content_held_once ON quarantine (content) WHERE state IN ('proposed', 'in_force') OR is_moving;
CREATE INDEX quarantine_of_case ON quarantine (case_id, acted_at);
CREATE INDEX quarantine_proposed ON quarantine (acted_at) WHERE state = 'proposed';
CREATE INDEX quarantine_ending ON quarantine (until) WHERE state = 'in_force';
CREATE INDEX quarantine_moving ON quarantine (quarantine_id) WHERE is_moving;
CREATE INDEX quarantine_lately ON quarantine (acted_at DESC, quarantine_id);
"""

# The mark of what was reported is kept with the report, which stays when its owner deletes the message.
CHANGES = """
ALTER TABLE message ADD COLUMN held_by bigint CONSTRAINT message_held_by_exists REFERENCES quarantine;
CREATE INDEX message_held ON message (held_by, mailbox_id, message_id) WHERE held_by IS NOT NULL;
CREATE INDEX message_held_in_mailbox ON message (mailbox_id) WHERE held_by IS NOT NULL;
DROP INDEX message_unread_in_folder;
CREATE INDEX message_unread_in_folder ON message (mailbox_id, folder_id) WHERE unread AND state <> 'received' AND held_by IS NULL;
CREATE POLICY message_held_is_not_there ON message AS RESTRICTIVE TO mtumail_web, mtumail_worker USING (held_by IS NULL);

ALTER TABLE case_item ADD COLUMN mark bytea, ADD CONSTRAINT case_item_mark_is_blind CHECK (octet_length(mark) = 16);
ALTER TABLE case_item ADD COLUMN sent_mailbox_id bigint, ADD COLUMN sent_message_id bigint,
    ADD CONSTRAINT case_item_sent_is_named CHECK ((sent_mailbox_id IS NULL) = (sent_message_id IS NULL));

ALTER TABLE staff_action ADD COLUMN quarantine_id bigint CONSTRAINT staff_action_quarantine_id_exists REFERENCES quarantine,
    DROP CONSTRAINT staff_action_kind_is_known, DROP CONSTRAINT staff_action_names_its_mailbox,
    DROP CONSTRAINT staff_action_nobody_acts_on_himself, ALTER COLUMN words DROP NOT NULL,
    ADD CONSTRAINT staff_action_says_why CHECK ((words IS NULL) = (kind = 'hold')),
    ADD CONSTRAINT staff_action_kind_is_known CHECK
        (kind IN ('warn', 'limit', 'no_sign_in', 'no_sending', 'no_receiving', 'revoke', 'reclaim', 'hold')),
    ADD CONSTRAINT staff_action_names_its_mailbox CHECK
        ((kind IN ('no_receiving', 'revoke', 'reclaim', 'hold')) = (target_mailbox_id IS NOT NULL)),
    ADD CONSTRAINT staff_action_nobody_acts_on_himself CHECK
        (kind = 'hold' OR (acted_by <> account_id AND decided_by <> account_id AND lifted_by <> account_id)),
    ADD CONSTRAINT staff_action_hold_is_of_a_quarantine CHECK ((kind = 'hold') = (quarantine_id IS NOT NULL)),
    ADD CONSTRAINT staff_action_held_once UNIQUE (quarantine_id, account_id, target_mailbox_id);
DROP INDEX staff_action_of_case;
CREATE INDEX staff_action_of_case ON staff_action (case_id, acted_at) WHERE kind <> 'hold';
DROP TRIGGER staff_action_begins ON staff_action;
CREATE TRIGGER staff_action_begins BEFORE INSERT ON staff_action FOR EACH ROW WHEN (NEW.kind <> 'hold')
    EXECUTE FUNCTION staff_action_begins();
"""

RULES = """
CREATE FUNCTION case_item_is_marked() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.mark := (SELECT k.content FROM report r JOIN message_mark k USING (mailbox_id, message_id)
                  WHERE r.mailbox_id = NEW.report_mailbox_id AND r.report_id = NEW.report_id);
    RETURN NEW;
END $$;
CREATE TRIGGER case_item_is_marked BEFORE INSERT ON case_item FOR EACH ROW WHEN (NEW.report_id IS NOT NULL)
    EXECUTE FUNCTION case_item_is_marked();

-- It takes two, unless a lead or an admin answers for it.
CREATE FUNCTION quarantine_needs_second(by_account bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (SELECT 1 FROM account_role WHERE account_id = by_account AND role IN ('support_lead', 'admin'))
$$;

-- Only what was brought is held, from its own open case, and not by whom that case is about.
CREATE FUNCTION quarantine_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' OR NEW.acted_at <> now() OR NEW.is_moving OR num_nonnulls(NEW.decided_by, NEW.in_force_at, NEW.ended_at) > 0
       OR NOT EXISTS (SELECT 1 FROM case_file WHERE case_id = NEW.case_id AND state <> 'closed')
       OR NOT EXISTS (SELECT 1 FROM case_item WHERE item_id = NEW.item_id AND case_id = NEW.case_id AND mark = NEW.content)
       OR case_is_about(NEW.case_id, NEW.acted_by) THEN
        RAISE EXCEPTION 'a quarantine begins with what was reported, in its open case' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER quarantine_begins BEFORE INSERT ON quarantine FOR EACH ROW EXECUTE FUNCTION quarantine_begins();

CREATE FUNCTION quarantine_goes_on() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.quarantine_id, NEW.case_id, NEW.item_id, NEW.content, NEW.rule, NEW.words, NEW.acted_by, NEW.acted_at, NEW.until)
       IS DISTINCT FROM
       (OLD.quarantine_id, OLD.case_id, OLD.item_id, OLD.content, OLD.rule, OLD.words, OLD.acted_by, OLD.acted_at, OLD.until)
       OR (OLD.state <> 'proposed' AND (NEW.decided_by, NEW.in_force_at) IS DISTINCT FROM (OLD.decided_by, OLD.in_force_at))
       OR (OLD.ended_at IS NOT NULL AND (NEW.ended_at, NEW.ended_by, NEW.ended_why)
           IS DISTINCT FROM (OLD.ended_at, OLD.ended_by, OLD.ended_why))
       OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN
           (('proposed', 'in_force'), ('proposed', 'declined'), ('in_force', 'ended')))
       OR (OLD.state = 'proposed' AND NEW.state = 'in_force' AND NEW.decided_by IS NULL AND quarantine_needs_second(NEW.acted_by))
       OR case_is_about(NEW.case_id, NEW.decided_by) THEN
        RAISE EXCEPTION 'a quarantine stays what it was and what was decided' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER quarantine_goes_on BEFORE UPDATE ON quarantine FOR EACH ROW EXECUTE FUNCTION quarantine_goes_on();

CREATE FUNCTION quarantine_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'quarantine is kept' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER quarantine_stays BEFORE DELETE ON quarantine FOR EACH ROW EXECUTE FUNCTION quarantine_stays();
CREATE TRIGGER quarantine_stays_whole BEFORE TRUNCATE ON quarantine FOR EACH STATEMENT EXECUTE FUNCTION quarantine_stays();

-- What an owner is told of a quarantine is what it is; it ends with it, and one owner's appeal ends it for all.
CREATE FUNCTION staff_hold_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.quarantine_id = NEW.quarantine_id AND q.state = 'in_force' AND NEW.state = 'in_force'
                      AND (q.case_id, q.rule, q.acted_by) = (NEW.case_id, NEW.rule, NEW.acted_by))
       OR num_nonnulls(NEW.until, NEW.withheld, NEW.lifted_at) > 0 THEN
        RAISE EXCEPTION 'a hold is what its quarantine is' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER staff_hold_begins BEFORE INSERT ON staff_action FOR EACH ROW WHEN (NEW.kind = 'hold')
    EXECUTE FUNCTION staff_hold_begins();

CREATE FUNCTION staff_hold_ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.quarantine_id IS DISTINCT FROM OLD.quarantine_id THEN
        RAISE EXCEPTION 'an action stays what it was and what was decided' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.kind = 'hold' AND OLD.state = 'in_force' AND NEW.state = 'lifted'
       AND EXISTS (SELECT 1 FROM quarantine WHERE quarantine_id = NEW.quarantine_id AND state = 'in_force') THEN
        IF NEW.lifted_why <> 'appeal' THEN
            RAISE EXCEPTION 'a hold ends with its quarantine' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM quarantine_end(NEW.quarantine_id, NEW.lifted_by, 'appeal');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER staff_hold_ends AFTER UPDATE ON staff_action FOR EACH ROW EXECUTE FUNCTION staff_hold_ends();
"""

VERBS = """
CREATE FUNCTION quarantine_denied(verb text, by_account bigint, of_quarantine bigint, of_case bigint, why text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit_append('quarantine.denied', 'account:' || by_account,
        jsonb_build_object('verb', verb, 'quarantine', of_quarantine, 'case', of_case, 'why', why));
    RETURN why;
END $$;

-- Whether somebody may hold messages from a case, as a code; '' for yes.
CREATE FUNCTION quarantine_refusal(by_account bigint, of_case bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'admin']) THEN RETURN 'role'; END IF;
    PERFORM 1 FROM case_file WHERE case_id = of_case AND state <> 'closed' FOR SHARE;
    IF NOT FOUND THEN RETURN 'case-closed'; END IF;
    IF case_is_about(of_case, by_account) THEN RETURN 'own'; END IF;
    RETURN '';
END $$;

-- New mail with these words waits for who begins or ends a quarantine of them, and the other way round: none slips through between.
CREATE FUNCTION quarantine_lock(of_content bytea, is_shared boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF is_shared THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(of_content, 'hex'), 23));
    ELSE
        PERFORM pg_advisory_xact_lock(hashtextextended(encode(of_content, 'hex'), 23));
    END IF;
END $$;

-- Tell the owners of these mailboxes, once each; the log says to each of them that he was, and to nobody else.
CREATE FUNCTION quarantine_tell(of_quarantine bigint, boxes bigint[], moved bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
    people bigint[];
BEGIN
    SELECT * INTO q FROM quarantine WHERE quarantine_id = of_quarantine;
    WITH acted AS (
        INSERT INTO staff_action (action_id, case_id, kind, account_id, target_mailbox_id, rule, acted_by, state, decided_by,
            decided_at, in_force_at, quarantine_id)
        SELECT ('x' || encode(substr(uuid_send(gen_random_uuid()), 1, 6), 'hex'))::bit(48)::bigint, q.case_id, 'hold', m.account_id,
               m.mailbox_id, q.rule, q.acted_by, 'in_force', q.decided_by, q.decided_at, now(), q.quarantine_id
          FROM mailbox_member m WHERE m.mailbox_id = ANY (boxes) AND m.role = 'owner' ORDER BY m.account_id, m.mailbox_id
            ON CONFLICT (quarantine_id, account_id, target_mailbox_id) DO NOTHING RETURNING action_id, account_id),
    told AS (
        INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at)
        SELECT account_id, action_id, 'action', now(), now() FROM acted RETURNING account_id)
    SELECT array_agg(DISTINCT account_id) INTO people FROM told;
    PERFORM audit_append('quarantine.held', 'quarantine:' || of_quarantine,
        jsonb_build_object('quarantine', of_quarantine, 'case', q.case_id, 'rule', q.rule, 'messages', moved), coalesce(people, '{}'), NULL, NULL);
END $$;

CREATE FUNCTION quarantine_untell(of_quarantine bigint, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
    people bigint[];
BEGIN
    SELECT * INTO q FROM quarantine WHERE quarantine_id = of_quarantine;
    WITH acted AS (
        UPDATE staff_action SET state = 'lifted', lifted_at = clock_timestamp(), lifted_by = q.ended_by, lifted_why = q.ended_why
         WHERE action_id IN (SELECT action_id FROM staff_action WHERE quarantine_id = of_quarantine AND state = 'in_force' LIMIT most)
        RETURNING action_id, account_id),
    told AS (
        INSERT INTO staff_notice (account_id, action_id, kind, due_at, mail_at)
        SELECT account_id, action_id, 'lifted', now(), now() FROM acted RETURNING account_id)
    SELECT array_agg(account_id) INTO people FROM told;
    IF people IS NOT NULL THEN
        PERFORM audit_append('quarantine.released', 'quarantine:' || of_quarantine,
            jsonb_build_object('quarantine', of_quarantine, 'case', q.case_id, 'why', q.ended_why, 'owners', cardinality(people)),
            people, NULL, NULL);
    END IF;
    RETURN coalesce(cardinality(people), 0);
END $$;

-- The next piece of holding or giving back, in one transaction with its notices and the log; whether there may be more. Giving back
-- is over only where no message of these words is on its way in, which the worker alone waits for: nobody waits before a page.
CREATE FUNCTION quarantine_step(of_quarantine bigint, most integer, is_worker boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
    looked record;
    boxes bigint[];
    moved bigint := 0;
    untold integer;
BEGIN
    SELECT * INTO q FROM quarantine WHERE quarantine_id = of_quarantine AND is_moving FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    IF q.state = 'in_force' THEN
        WITH next AS MATERIALIZED (
            SELECT mailbox_id, message_id FROM message_mark
             WHERE content = q.content AND (mailbox_id, message_id) > (q.at_mailbox, q.at_message)
             ORDER BY mailbox_id, message_id LIMIT most)
        SELECT count(*) AS rows, (array_agg(mailbox_id ORDER BY mailbox_id DESC, message_id DESC))[1] AS box,
               (array_agg(message_id ORDER BY mailbox_id DESC, message_id DESC))[1] AS message INTO looked FROM next;
        IF looked.rows > 0 THEN
            WITH held AS (
                UPDATE message m SET held_by = of_quarantine FROM message_mark k
                 WHERE k.content = q.content AND (k.mailbox_id, k.message_id) > (q.at_mailbox, q.at_message)
                   AND (k.mailbox_id, k.message_id) <= (looked.box, looked.message)
                   AND m.mailbox_id = k.mailbox_id AND m.message_id = k.message_id
                   AND m.held_by IS NULL AND m.direction = 'in' AND m.state = 'filed'
                   AND NOT EXISTS (SELECT 1 FROM service_mailbox s WHERE s.mailbox_id = m.mailbox_id)
                RETURNING m.mailbox_id)
            SELECT array_agg(DISTINCT mailbox_id), count(*) INTO boxes, moved FROM held;
            IF moved > 0 THEN PERFORM quarantine_tell(of_quarantine, boxes, moved); END IF;
        END IF;
        UPDATE quarantine SET at_mailbox = coalesce(looked.box, at_mailbox), at_message = coalesce(looked.message, at_message),
               is_moving = looked.rows = most WHERE quarantine_id = of_quarantine;
        RETURN looked.rows = most;
    END IF;
    IF is_worker THEN PERFORM quarantine_lock(q.content, false); END IF;
    WITH given AS (
        UPDATE message SET held_by = NULL WHERE held_by = of_quarantine AND (mailbox_id, message_id) IN
            (SELECT mailbox_id, message_id FROM message WHERE held_by = of_quarantine ORDER BY mailbox_id, message_id LIMIT most)
        RETURNING 1)
    SELECT count(*) INTO moved FROM given;
    untold := quarantine_untell(of_quarantine, most);
    UPDATE quarantine SET is_moving = moved = most OR untold = most OR NOT is_worker WHERE quarantine_id = of_quarantine;
    RETURN moved = most OR untold = most OR NOT is_worker;
END $$;

CREATE FUNCTION quarantine_begin(of_quarantine bigint, by_account bigint, is_approval boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
BEGIN
    UPDATE quarantine SET state = 'in_force', in_force_at = clock_timestamp(), is_moving = true,
           decided_by = CASE WHEN is_approval THEN by_account END, decided_at = CASE WHEN is_approval THEN clock_timestamp() END
     WHERE quarantine_id = of_quarantine RETURNING * INTO q;
    PERFORM quarantine_lock(q.content, false);
    -- The log last: whoever files mail holds his mailbox and then waits for the log.
    PERFORM quarantine_step(of_quarantine, 500, false);
    PERFORM audit_append(CASE WHEN is_approval THEN 'quarantine.approved' ELSE 'quarantine.taken' END, 'account:' || by_account,
        jsonb_build_object('quarantine', of_quarantine, 'case', q.case_id, 'item', q.item_id, 'rule', q.rule, 'until', q.until));
END $$;

CREATE FUNCTION quarantine_end(of_quarantine bigint, by_account bigint, of_why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
BEGIN
    UPDATE quarantine SET state = 'ended', ended_at = clock_timestamp(), ended_by = by_account, ended_why = of_why, is_moving = true
     WHERE quarantine_id = of_quarantine AND state = 'in_force' RETURNING * INTO q;
    IF NOT FOUND THEN RETURN; END IF;
    -- A verdict is in the log already: there the worker gives back, a moment later.
    IF of_why <> 'appeal' THEN PERFORM quarantine_step(of_quarantine, 500, false); END IF;
    PERFORM audit_append('quarantine.ended', CASE WHEN of_why = 'time' THEN 'system:worker' ELSE 'account:' || by_account END,
        jsonb_build_object('quarantine', of_quarantine, 'case', q.case_id, 'why', of_why));
END $$;

-- What could be held from a case: what was reported there and is known again, and in how many messages; never whose they are.
CREATE FUNCTION quarantine_choices(by_account bigint, of_case bigint)
RETURNS TABLE (refusal text, item_id bigint, arrived_at timestamptz, messages bigint, mailboxes bigint, quarantine_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    why text := quarantine_refusal(by_account, of_case);
BEGIN
    PERFORM audit_append(CASE WHEN why = '' THEN 'quarantine.counted' ELSE 'quarantine.denied' END, 'account:' || by_account,
        jsonb_build_object('verb', 'count', 'case', of_case, 'why', why));
    IF why <> '' THEN
        RETURN QUERY SELECT why, NULL::bigint, NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT '', i.item_id, i.arrived_at, n.messages, n.mailboxes, (SELECT q.quarantine_id FROM quarantine q
                  WHERE q.content = i.mark AND (q.state IN ('proposed', 'in_force') OR q.is_moving))
          FROM (SELECT DISTINCT ON (c.mark) c.item_id, c.arrived_at, c.mark FROM case_item c
                 WHERE c.case_id = of_case AND c.mark IS NOT NULL ORDER BY c.mark, c.arrived_at, c.item_id LIMIT 20) i
         CROSS JOIN LATERAL (SELECT count(*) AS messages, count(DISTINCT k.mailbox_id) AS mailboxes
                               FROM (SELECT t.mailbox_id FROM message_mark t WHERE t.content = i.mark LIMIT 10001) k) n
         ORDER BY i.arrived_at, i.item_id;
END $$;

-- Hold a reported message wherever it lies: 'done', 'proposed' (a lead decides), or why not. What it is comes from the report alone.
CREATE FUNCTION quarantine_take(new_quarantine bigint, by_account bigint, of_case bigint, of_item bigint, of_rule text,
    sealed_words bytea, ends timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    why text := quarantine_refusal(by_account, of_case);
    i case_item;
BEGIN
    SELECT * INTO i FROM case_item WHERE item_id = of_item AND case_id = of_case;
    IF why <> '' THEN NULL;
    ELSIF i.item_id IS NULL OR i.mark IS NULL THEN why := 'item';
    ELSIF ends IS NULL OR ends <= now() OR ends > now() + interval '366 days' THEN why := 'dates';
    ELSE
        PERFORM quarantine_lock(i.mark, false);
        IF EXISTS (SELECT 1 FROM quarantine WHERE content = i.mark AND (state IN ('proposed', 'in_force') OR is_moving)) THEN
            why := 'already';
        END IF;
    END IF;
    IF why <> '' THEN RETURN quarantine_denied('take', by_account, NULL, of_case, why); END IF;
    INSERT INTO quarantine (quarantine_id, case_id, item_id, content, rule, words, acted_by, until)
    VALUES (new_quarantine, of_case, of_item, i.mark, of_rule, sealed_words, by_account, ends);
    IF quarantine_needs_second(by_account) THEN
        PERFORM audit_append('quarantine.proposed', 'account:' || by_account, jsonb_build_object('quarantine', new_quarantine,
            'case', of_case, 'item', of_item, 'rule', of_rule, 'until', ends));
        RETURN 'proposed';
    END IF;
    PERFORM quarantine_begin(new_quarantine, by_account, false);
    RETURN 'done';
END $$;

CREATE FUNCTION quarantine_decide(of_quarantine bigint, by_account bigint, is_approved boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
    why text := '';
BEGIN
    SELECT * INTO q FROM quarantine WHERE quarantine_id = of_quarantine FOR UPDATE;
    IF NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'role';
    ELSIF q.quarantine_id IS NULL THEN why := 'none';
    ELSIF q.acted_by = by_account THEN why := 'own-request';
    ELSIF case_is_about(q.case_id, by_account) THEN why := 'own';
    ELSIF q.state <> 'proposed' THEN why := 'decided';
    ELSIF is_approved THEN
        why := quarantine_refusal(by_account, q.case_id);
        IF why = '' AND (q.acted_at < now() - interval '7 days' OR q.until <= now()) THEN why := 'stale'; END IF;
    END IF;
    IF why <> '' THEN RETURN quarantine_denied('decide', by_account, of_quarantine, q.case_id, why); END IF;
    IF is_approved THEN
        PERFORM quarantine_begin(of_quarantine, by_account, true);
    ELSE
        UPDATE quarantine SET state = 'declined', decided_by = by_account, decided_at = clock_timestamp() WHERE quarantine_id = of_quarantine;
        PERFORM audit_append('quarantine.declined', 'account:' || by_account,
            jsonb_build_object('quarantine', of_quarantine, 'case', q.case_id));
    END IF;
    RETURN '';
END $$;

-- Give everything back: who began it, or a lead or an admin.
CREATE FUNCTION quarantine_release(of_quarantine bigint, by_account bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    q quarantine;
    why text := '';
BEGIN
    SELECT * INTO q FROM quarantine WHERE quarantine_id = of_quarantine;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead', 'admin']) THEN why := 'role';
    ELSIF q.quarantine_id IS NULL THEN why := 'none';
    ELSIF q.state <> 'in_force' THEN why := 'over';
    ELSIF case_is_about(q.case_id, by_account) THEN why := 'own';
    ELSIF q.acted_by <> by_account AND NOT access_may(by_account, ARRAY['support_lead', 'admin']) THEN why := 'not-yours';
    END IF;
    IF why <> '' THEN RETURN quarantine_denied('release', by_account, of_quarantine, q.case_id, why); END IF;
    PERFORM quarantine_end(of_quarantine, by_account, 'colleague');
    RETURN '';
END $$;

-- The next one whose last day is over; whether there was one.
CREATE FUNCTION quarantine_ends_by_time() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found bigint;
BEGIN
    SELECT quarantine_id INTO found FROM quarantine WHERE state = 'in_force' AND until <= now() ORDER BY until LIMIT 1
       FOR UPDATE SKIP LOCKED;
    IF found IS NULL THEN RETURN false; END IF;
    PERFORM quarantine_end(found, NULL, 'time');
    RETURN true;
END $$;

-- How much a quarantine holds now, and one that waits for a second person would: figures, and true ones.
CREATE FUNCTION quarantine_counts(of_quarantine bigint) RETURNS TABLE (messages bigint, mailboxes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted bytea;
BEGIN
    SELECT content INTO wanted FROM quarantine WHERE quarantine_id = of_quarantine AND state = 'proposed';
    IF wanted IS NULL THEN
        RETURN QUERY SELECT count(*), count(DISTINCT m.mailbox_id) FROM message m WHERE m.held_by = of_quarantine;
    ELSE
        RETURN QUERY SELECT count(*), count(DISTINCT k.mailbox_id)
                       FROM (SELECT t.mailbox_id FROM message_mark t WHERE t.content = wanted LIMIT 10001) k;
    END IF;
END $$;

-- A message of the named mailbox is marked. The answer is the quarantine that waits for its words, which stays until the commit.
CREATE FUNCTION message_marked(of_message bigint, of_content bytea, of_reference bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    box bigint := nullif(current_setting('mtumail.mailbox', true), '')::bigint;
    found bigint;
BEGIN
    IF of_content IS NOT NULL THEN PERFORM quarantine_lock(of_content, true); END IF;
    INSERT INTO message_mark (mailbox_id, message_id, content, reference)
    SELECT mailbox_id, message_id, of_content, of_reference FROM message WHERE mailbox_id = box AND message_id = of_message
        ON CONFLICT (mailbox_id, message_id) DO UPDATE SET content = excluded.content, reference = excluded.reference;
    SELECT quarantine_id INTO found FROM quarantine WHERE content = of_content AND state = 'in_force'
       AND NOT EXISTS (SELECT 1 FROM service_mailbox WHERE mailbox_id = box);
    RETURN found;
END $$;

CREATE FUNCTION message_arrives_held(of_message bigint, of_quarantine bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    box bigint := nullif(current_setting('mtumail.mailbox', true), '')::bigint;
BEGIN
    UPDATE message m SET held_by = of_quarantine FROM message_mark k, quarantine q
     WHERE m.mailbox_id = box AND m.message_id = of_message AND m.direction = 'in' AND m.state = 'filed'
       AND k.mailbox_id = box AND k.message_id = of_message AND q.quarantine_id = of_quarantine AND q.content = k.content
       AND q.state = 'in_force';
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM quarantine_tell(of_quarantine, ARRAY[box], 1);
    RETURN true;
END $$;

-- The Message-ID of what somebody writes here, so that a complaint about it finds it.
CREATE FUNCTION message_named(of_message bigint, of_reference bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO message_mark (mailbox_id, message_id, reference)
    SELECT mailbox_id, message_id, of_reference FROM message
     WHERE mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint AND message_id = of_message AND direction = 'out'
        ON CONFLICT (mailbox_id, message_id) DO UPDATE SET reference = excluded.reference
$$;

-- What is held in the named mailbox, for those whose it is: the line in the list, and no more. `action`: what the account was told.
CREATE FUNCTION held_here(of_account bigint) RETURNS TABLE (message_id bigint, received_at timestamptz, folder_id bigint,
    size_bytes bigint, envelope_from text, content_key bytea, summary bytea, rule text, since timestamptz, until timestamptz,
    action bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.message_id, m.received_at, m.folder_id, m.size_bytes, m.envelope_from, m.content_key, m.summary, q.rule, q.in_force_at,
           q.until, a.action_id
      FROM message m JOIN quarantine q ON q.quarantine_id = m.held_by
      LEFT JOIN staff_action a ON a.quarantine_id = q.quarantine_id AND a.account_id = of_account AND a.target_mailbox_id = m.mailbox_id
     WHERE m.mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint
     ORDER BY m.received_at DESC, m.message_id DESC LIMIT 200
$$;

CREATE FUNCTION held_count() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM message WHERE mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint AND held_by IS NOT NULL
$$;

-- Tracing by Message-ID: where that message came in and from where it left, by what is known of it unopened. Written down, with its case.
CREATE FUNCTION trace_message(by_account bigint, of_case bigint, of_reference bytea) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    case_state text;
    why text := '';
    told jsonb;
BEGIN
    SELECT state INTO case_state FROM case_file WHERE case_id = of_case FOR SHARE;
    IF NOT access_may(by_account, ARRAY['support', 'support_lead']) THEN why := 'role';
    ELSIF case_state IS NULL OR case_state = 'closed' THEN why := 'case-closed';
    ELSIF case_is_about(of_case, by_account) THEN why := 'own';
    END IF;
    IF why = '' THEN
        SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.received_at DESC, t.message_id DESC), '[]') INTO told FROM (
            SELECT m.mailbox_id, m.message_id, m.received_at, m.direction, m.state, f.kind AS folder, m.size_bytes, m.attachments,
                   m.envelope_from, m.envelope_to, m.held_by IS NOT NULL AS held,
                   (SELECT coalesce(jsonb_agg(jsonb_build_object('recipient', d.recipient, 'state', d.state, 'attempts', d.attempts,
                               'code', d.reply_code, 'next_at', d.next_at, 'changed_at', d.changed_at) ORDER BY d.number), '[]')
                      FROM submission s JOIN delivery d USING (mailbox_id, submission_id)
                     WHERE s.mailbox_id = m.mailbox_id AND s.message_id = m.message_id) AS deliveries
              FROM message_mark k JOIN message m USING (mailbox_id, message_id) JOIN folder f USING (mailbox_id, folder_id)
             WHERE k.reference = of_reference AND m.state <> 'draft' AND m.state <> 'received'
             ORDER BY k.mailbox_id, k.message_id LIMIT 51) t;
    END IF;
    PERFORM audit_append(CASE WHEN why = '' THEN 'trace.looked_up' ELSE 'trace.denied' END, 'account:' || by_account,
        jsonb_build_object('case', of_case, 'by', 'message-id', 'found', jsonb_array_length(told), 'why', why));
    RETURN jsonb_build_object('refusal', why, 'messages', told);
END $$;

-- Whose message a complaint is about that names its Message-ID alone: only where the complaint names an address of the same mailbox.
CREATE FUNCTION submission_referred(of_reference bytea, local text, domain_name text)
RETURNS TABLE (account_id bigint, mailbox_id bigint, message_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.account_id, s.mailbox_id, s.message_id
      FROM domain d JOIN address a USING (domain_id) JOIN message_mark k ON k.mailbox_id = a.mailbox_id AND k.reference = $1
      JOIN submission s ON s.mailbox_id = k.mailbox_id AND s.message_id = k.message_id
     WHERE d.name = $3 AND a.local_part = $2 LIMIT 1
$$;

CREATE FUNCTION submission_message(of_mailbox bigint, of_submission bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT message_id FROM submission WHERE mailbox_id = of_mailbox AND submission_id = of_submission
$$;

CREATE FUNCTION case_item_sent(of_item bigint, of_mailbox bigint, of_message bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE case_item SET sent_mailbox_id = of_mailbox, sent_message_id = of_message WHERE item_id = of_item AND source = 'feedback'
$$;
"""

# Their owner's proof says what was done and not by whom: the entry is the action's, and holds a commitment to each of the two. And
# what a report was known again by goes with the rest of a case that is long closed.
CHANGED = (
    (
        "retention_cases(timestamptz,integer,boolean)",
        "UPDATE case_item SET label = NULL,",
        "UPDATE case_item SET mark = NULL, sent_mailbox_id = NULL, sent_message_id = NULL, label = NULL,",
    ),
    (
        "action_begin(bigint,bigint,boolean)",
        "'action.taken' END, 'account:' || by_account,",
        "'action.taken' END, 'action:' || of_action,",
    ),
    (
        "action_begin(bigint,bigint,boolean)",
        "'withheld', a.withheld IS NOT NULL));",
        "'withheld', a.withheld IS NOT NULL), ARRAY[a.account_id, a.acted_by, by_account], NULL, NULL);",
    ),
    (
        "action_end(bigint,bigint,text)",
        "'system:worker' ELSE 'account:' || by_account END,",
        "'system:worker' ELSE 'action:' || of_action END,",
    ),
    (
        "action_end(bigint,bigint,text)",
        "'mailbox', a.target_mailbox_id, 'why', of_why));",
        "'mailbox', a.target_mailbox_id, 'why', of_why), ARRAY[a.account_id, by_account], NULL, NULL);",
    ),
    (
        "appeal_make(bigint,bigint,bigint,bytea)",
        "'action', of_action, 'case', of_case));",
        "'action', of_action, 'case', of_case), ARRAY[by_account], NULL, NULL);",
    ),
    (
        "appeal_judge(bigint,bigint,text,bytea)",
        "'appeal.' || of_verdict, 'account:' || by_account,",
        "'appeal.' || of_verdict, 'action:' || p.action_id,",
    ),
    (
        "appeal_judge(bigint,bigint,text,bytea)",
        "'late', p.due_at < clock_timestamp()));",
        "'late', p.due_at < clock_timestamp()), ARRAY[p.account_id, by_account], NULL, NULL);",
    ),
)

_NOTICES = """
CREATE FUNCTION notices_of(of_account bigint) RETURNS TABLE (action_id bigint, kind text, address text, amount integer, rule text,
    words bytea, since timestamptz, until timestamptz, state text, lifted_at timestamptz, lifted_why text, told_at timestamptz,
    is_new boolean, may_appeal boolean, appeal_id bigint, appeal_words bytea, appealed_at timestamptz, appeal_due_at timestamptz,
    verdict text, answer bytea, judged_at timestamptz{more})
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.action_id, a.kind, coalesce((SELECT ad.local_part || '@' || d.name FROM address ad JOIN domain d USING (domain_id)
                WHERE ad.mailbox_id = a.target_mailbox_id AND ad.is_primary), ''), a.amount, a.rule, {words}, a.in_force_at, {until},
           CASE WHEN l.due_at > now() AND a.lifted_why <> 'appeal' THEN 'in_force' ELSE a.state END, a.lifted_at, a.lifted_why, n.due_at,
           EXISTS (SELECT 1 FROM staff_notice u WHERE u.action_id = a.action_id AND u.due_at <= now() AND u.seen_at IS NULL),
           appeal_refusal(of_account, a.action_id) = '', p.appeal_id, p.words, p.made_at, p.due_at, p.verdict, p.answer, p.judged_at{value}
      FROM staff_action a JOIN staff_notice n ON n.action_id = a.action_id AND n.kind = 'action'
      LEFT JOIN staff_notice l ON l.action_id = a.action_id AND l.kind = 'lifted' LEFT JOIN appeal p ON p.action_id = a.action_id{join}
     WHERE a.account_id = of_account AND n.due_at <= now() ORDER BY n.due_at DESC, a.action_id LIMIT 100
$$;
REVOKE ALL ON FUNCTION notices_of(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION notices_of(bigint) TO mtumail_web;
"""
# The words of a hold are its quarantine's, sealed for that one.
NOTICES = _NOTICES.format(
    more=", quarantine_id bigint, mailbox_id bigint",
    words="coalesce(a.words, q.words)",
    until="coalesce(a.until, q.until)",
    value=", a.quarantine_id, a.target_mailbox_id",
    join="\n      LEFT JOIN quarantine q ON q.quarantine_id = a.quarantine_id",
)
NOTICES_BEFORE = _NOTICES.format(more="", words="a.words", until="a.until", value="", join="")

_STAFF = """quarantine_choices(bigint, bigint), quarantine_take(bigint, bigint, bigint, bigint, text, bytea, timestamptz),
    quarantine_decide(bigint, bigint, boolean), quarantine_release(bigint, bigint), quarantine_counts(bigint),
    trace_message(bigint, bigint, bytea)"""
_WEB = "held_here(bigint), held_count(), message_named(bigint, bytea)"
_WORKER = """quarantine_step(bigint, integer, boolean), quarantine_ends_by_time(), message_marked(bigint, bytea, bytea),
    message_arrives_held(bigint, bigint), submission_referred(bytea, text, text), submission_message(bigint, bigint), case_item_sent(bigint, bigint, bigint)"""
_INNER = """case_item_is_marked(), quarantine_needs_second(bigint), quarantine_begins(), quarantine_goes_on(), quarantine_stays(),
    staff_hold_begins(), staff_hold_ends(), quarantine_denied(text, bigint, bigint, bigint, text), quarantine_refusal(bigint, bigint),
    quarantine_lock(bytea, boolean), quarantine_tell(bigint, bigint[], bigint), quarantine_untell(bigint, integer),
    quarantine_begin(bigint, bigint, boolean), quarantine_end(bigint, bigint, text)"""

# Who got a message is not told by the holds of it: the staff sees one when its owner objects.
GRANTS = f"""
REVOKE ALL ON FUNCTION {_STAFF}, {_WEB}, {_WORKER}, {_INNER} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {_STAFF} TO mtumail_staff;
GRANT EXECUTE ON FUNCTION {_WEB} TO mtumail_web, mtumail_worker;
GRANT EXECUTE ON FUNCTION {_WORKER} TO mtumail_worker;
GRANT SELECT (quarantine_id, case_id, item_id, rule, words, acted_by, acted_at, until, state, decided_by, decided_at, in_force_at,
    ended_at, ended_by, ended_why, is_moving) ON quarantine TO mtumail_staff;
GRANT SELECT (quarantine_id, words, state, until, is_moving) ON quarantine TO mtumail_worker;
GRANT SELECT (sent_mailbox_id, sent_message_id) ON case_item TO mtumail_staff;

ALTER TABLE staff_action ENABLE ROW LEVEL SECURITY;
CREATE POLICY staff_action_to_be_told ON staff_action TO mtumail_worker USING (true);
CREATE POLICY staff_action_of_the_staff ON staff_action FOR SELECT TO mtumail_staff
    USING (kind <> 'hold' OR EXISTS (SELECT 1 FROM appeal p WHERE p.action_id = staff_action.action_id));
ALTER TABLE audit_subject ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_subject_of_the_staff ON audit_subject FOR SELECT TO mtumail_staff USING (NOT EXISTS
    (SELECT 1 FROM audit_event e WHERE e.number = audit_subject.number AND e.kind IN ('quarantine.held', 'quarantine.released')));
DROP POLICY staff_notice_of_everybody ON staff_notice;
CREATE POLICY staff_notice_to_be_sent ON staff_notice TO mtumail_worker USING (true);
CREATE POLICY staff_notice_of_the_staff ON staff_notice FOR SELECT TO mtumail_staff
    USING (EXISTS (SELECT 1 FROM staff_action a WHERE a.action_id = staff_notice.action_id));
"""

NO_GRANTS = """
DROP POLICY staff_notice_of_the_staff ON staff_notice;
DROP POLICY staff_notice_to_be_sent ON staff_notice;
CREATE POLICY staff_notice_of_everybody ON staff_notice TO mtumail_staff, mtumail_worker USING (true);
DROP POLICY staff_action_of_the_staff ON staff_action;
DROP POLICY staff_action_to_be_told ON staff_action;
DROP POLICY audit_subject_of_the_staff ON audit_subject;
DROP POLICY IF EXISTS backup_reads ON staff_action;
DROP POLICY IF EXISTS backup_reads ON audit_subject;
ALTER TABLE staff_action DISABLE ROW LEVEL SECURITY;
ALTER TABLE audit_subject DISABLE ROW LEVEL SECURITY;
"""

BEFORE = """
ALTER TABLE staff_action DISABLE TRIGGER USER;
ALTER TABLE staff_notice DISABLE TRIGGER USER;
ALTER TABLE appeal DISABLE TRIGGER USER;
DELETE FROM staff_notice WHERE action_id IN (SELECT action_id FROM staff_action WHERE kind = 'hold');
DELETE FROM appeal WHERE action_id IN (SELECT action_id FROM staff_action WHERE kind = 'hold');
DELETE FROM staff_action WHERE kind = 'hold';
ALTER TABLE staff_action ENABLE TRIGGER USER;
ALTER TABLE staff_notice ENABLE TRIGGER USER;
ALTER TABLE appeal ENABLE TRIGGER USER;
DROP TRIGGER staff_hold_begins ON staff_action;
DROP TRIGGER staff_hold_ends ON staff_action;
DROP TRIGGER staff_action_begins ON staff_action;
CREATE TRIGGER staff_action_begins BEFORE INSERT ON staff_action FOR EACH ROW EXECUTE FUNCTION staff_action_begins();
DROP INDEX staff_action_of_case;
CREATE INDEX staff_action_of_case ON staff_action (case_id, acted_at);
ALTER TABLE staff_action DROP CONSTRAINT staff_action_held_once, DROP CONSTRAINT staff_action_hold_is_of_a_quarantine,
    DROP CONSTRAINT staff_action_says_why, ALTER COLUMN words SET NOT NULL, DROP CONSTRAINT staff_action_kind_is_known, DROP CONSTRAINT staff_action_names_its_mailbox,
    DROP CONSTRAINT staff_action_nobody_acts_on_himself, DROP COLUMN quarantine_id,
    ADD CONSTRAINT staff_action_kind_is_known CHECK
        (kind IN ('warn', 'limit', 'no_sign_in', 'no_sending', 'no_receiving', 'revoke', 'reclaim')),
    ADD CONSTRAINT staff_action_names_its_mailbox CHECK
        ((kind IN ('no_receiving', 'revoke', 'reclaim')) = (target_mailbox_id IS NOT NULL)),
    ADD CONSTRAINT staff_action_nobody_acts_on_himself CHECK (acted_by <> account_id AND decided_by <> account_id AND lifted_by <> account_id);
DROP TRIGGER case_item_is_marked ON case_item;
ALTER TABLE case_item DROP CONSTRAINT case_item_sent_is_named, DROP COLUMN sent_mailbox_id, DROP COLUMN sent_message_id, DROP COLUMN mark;
DROP POLICY message_held_is_not_there ON message;
DROP INDEX message_unread_in_folder, message_held, message_held_in_mailbox;
CREATE INDEX message_unread_in_folder ON message (mailbox_id, folder_id) WHERE unread AND state <> 'received';
ALTER TABLE message DROP COLUMN held_by;
DROP TABLE quarantine, message_mark;
"""


def _rewrite(function: str, old: str, new: str) -> None:
    """Change one piece of a function's text, which stands in it once. Fails where it does not."""
    quoted = [part.replace("'", "''") for part in (function, old, new)]
    op.execute(f"""
DO $do$
DECLARE
    told text := pg_get_functiondef('{quoted[0]}'::regprocedure);
BEGIN
    IF array_length(string_to_array(told, '{quoted[1]}'), 1) IS DISTINCT FROM 2 THEN
        RAISE EXCEPTION '% is not as it was', '{quoted[0]}';
    END IF;
    EXECUTE replace(told, '{quoted[1]}', '{quoted[2]}');
END $do$""")


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(CHANGES)
    op.execute(RULES)
    op.execute(VERBS)
    for function, old, new in CHANGED:
        _rewrite(function, old, new)
    op.execute("DROP FUNCTION notices_of(bigint)")
    op.execute(NOTICES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute(NO_GRANTS)
    op.execute("DROP FUNCTION notices_of(bigint)")
    for function, old, new in CHANGED:
        _rewrite(function, new, old)
    op.execute(BEFORE)
    op.execute(NOTICES_BEFORE)
    op.execute(f"DROP FUNCTION {_STAFF}, {_WEB}, {_WORKER}, {_INNER}")
