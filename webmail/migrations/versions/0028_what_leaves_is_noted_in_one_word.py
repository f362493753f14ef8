"""What leaves is noted in one word: the three commits of a message on its way out are one statement each."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# Each is a transaction of its own and names its mailbox itself: row-level security holds for it as for any statement.
FUNCTIONS = """
CREATE FUNCTION outbox_begin(box bigint, item bigint, held bigint, period interval)
RETURNS TABLE (message bigint, sender text, since timestamptz, may_leave boolean, numbers smallint[],
               recipients text[], keys bytea, content_key bytea, sealed bytea)
LANGUAGE plpgsql SET search_path = public, pg_temp SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM set_config('mtumail.mailbox', box::text, true);
    -- Nothing has left yet: what a power cut takes back of this is asked for again.
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE work SET due_at = now() + period WHERE mailbox_id = box AND kind = 'send' AND item_id = item AND lease = held;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- What answers by itself was submitted by nobody: then the mailbox alone decides.
    SELECT s.message_id, s.envelope_from, s.counts_from,
           m.state = 'active' AND coalesce(a.status, 'active') = 'active'
           AND coalesce(a.may_send, NOT EXISTS (SELECT 1 FROM mailbox_member o JOIN account b ON b.account_id = o.account_id
               WHERE o.mailbox_id = s.mailbox_id AND o.role = 'owner' AND NOT b.may_send))
      INTO message, sender, since, may_leave
      FROM submission s JOIN mailbox m USING (mailbox_id) LEFT JOIN account a USING (account_id)
     WHERE s.mailbox_id = box AND s.submission_id = item;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF may_leave THEN
        WITH claimed AS (
            UPDATE delivery SET state = 'claimed', attempts = attempts + 1, next_at = NULL, changed_at = now(),
                   repeated = repeated OR state IN ('handed', 'unknown')
             WHERE mailbox_id = box AND submission_id = item
               AND state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown') RETURNING number, recipient)
        SELECT array_agg(number ORDER BY number), array_agg(recipient ORDER BY number) INTO numbers, recipients FROM claimed;
        SELECT k.wrapped INTO keys FROM mailbox_key k WHERE k.mailbox_id = box;
        SELECT m.content_key, s.sealed INTO content_key, sealed
          FROM message_source s JOIN message m USING (mailbox_id, message_id)
         WHERE s.mailbox_id = box AND s.message_id = message;
    END IF;
    RETURN NEXT;
END $$;

CREATE FUNCTION outbox_hand_over(box bigint, item bigint, held bigint, given smallint[], mark bytea) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM set_config('mtumail.mailbox', box::text, true);
    PERFORM FROM work WHERE mailbox_id = box AND kind = 'send' AND item_id = item AND lease = held FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE delivery SET state = 'handed', changed_at = now()
     WHERE mailbox_id = box AND submission_id = item AND number = ANY(given) AND state <> 'failed';
    IF mark IS NOT NULL THEN
        PERFORM message_named(s.message_id, mark) FROM submission s WHERE s.mailbox_id = box AND s.submission_id = item;
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION outbox_note_sent(box bigint, item bigint, held bigint, given smallint[], codes smallint[], replies text[],
                                 ids bigint[], shown smallint[], cleaned text[], prints bytea[]) RETURNS text
LANGUAGE plpgsql SET search_path = public, pg_temp SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM set_config('mtumail.mailbox', box::text, true);
    PERFORM FROM work WHERE mailbox_id = box AND kind = 'send' AND item_id = item AND lease = held FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    UPDATE delivery SET state = 'sent', reply_code = said.code, reply = said.reply, next_at = NULL, changed_at = now()
      FROM unnest(given, codes, replies) AS said (number, code, reply)
     WHERE mailbox_id = box AND submission_id = item AND delivery.number = said.number AND state <> 'failed';
    INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, at, kind, reply_code, reply, fingerprint)
    SELECT box, item, said.number, said.id, clock_timestamp(), 'handed', said.code, said.reply, said.print
      FROM unnest(given, ids, shown, cleaned, prints) AS said (number, id, code, reply, print)
        ON CONFLICT ON CONSTRAINT delivery_event_told_once DO NOTHING;
    PERFORM FROM delivery WHERE mailbox_id = box AND submission_id = item
        AND (state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown') OR state = 'failed' AND told <> 'failed');
    IF FOUND THEN
        RETURN 'left';
    END IF;
    DELETE FROM work WHERE mailbox_id = box AND item_id = item AND (kind = 'tell' OR kind = 'send' AND lease = held);
    UPDATE submission SET finished_at = now() WHERE mailbox_id = box AND submission_id = item;
    RETURN 'finished';
END $$;

REVOKE ALL ON FUNCTION outbox_begin(bigint, bigint, bigint, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION outbox_hand_over(bigint, bigint, bigint, smallint[], bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION outbox_note_sent(bigint, bigint, bigint, smallint[], smallint[], text[], bigint[], smallint[], text[], bytea[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_begin(bigint, bigint, bigint, interval) TO mtumail_worker;
GRANT EXECUTE ON FUNCTION outbox_hand_over(bigint, bigint, bigint, smallint[], bytea) TO mtumail_worker;
GRANT EXECUTE ON FUNCTION outbox_note_sent(bigint, bigint, bigint, smallint[], smallint[], text[], bigint[], smallint[], text[], bytea[])
    TO mtumail_worker;
"""


def upgrade() -> None:
    op.execute(FUNCTIONS)


def downgrade() -> None:
    op.execute("DROP FUNCTION outbox_begin, outbox_hand_over, outbox_note_sent")
