"""What waited when a backup was made may have left or ended after it: it is not done a second time by what was restored."""

from webmail.privacy.backup.replaying import Connection


def keep_back(connection: Connection) -> int:
    """Hold back what may have left since, in the open transaction; of how many recipients.

    Its author sees that nobody knows. Letters of the service that waited count as not delivered, and are shown where they always
    are; nobody goes on opening mail under a grant that may have been closed since.
    """
    connection.execute("DELETE FROM scheduled WHERE send_at <= now()")
    connection.execute(_NO_WORK)
    connection.execute(_EVENTS)
    unsent = connection.execute(_NOT_SENT).rowcount
    connection.execute(_FINISHED)
    for statement in _LETTERS:
        connection.execute(statement)
    _leave_time(connection)
    _end_access(connection)
    return unsent


_NO_WORK = """
    DELETE FROM work w WHERE kind = 'send' OR kind = 'submit' AND NOT EXISTS (
        SELECT FROM scheduled s WHERE s.mailbox_id = w.mailbox_id AND s.message_id = w.item_id)"""
_FINISHED = """
    UPDATE submission s SET finished_at = now() WHERE finished_at IS NULL AND EXISTS (
        SELECT FROM delivery d WHERE d.mailbox_id = s.mailbox_id AND d.submission_id = s.submission_id)"""


_EVENTS = """
    INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, kind, reason, reply, fingerprint)
    SELECT mailbox_id, submission_id, number, floor(random() * 281474976710656)::bigint, 'failed', 'restored', '',
           substr(sha256(convert_to('restored' || submission_id || '.' || number || clock_timestamp(), 'UTF8')), 1, 16)
      FROM delivery WHERE state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown')"""
_NOT_SENT = """
    UPDATE delivery SET state = 'failed', next_at = NULL, repeated = true, changed_at = now()
     WHERE state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown')"""


_LETTERS = (
    "UPDATE staff_notice SET mail = 'failed' WHERE mail = 'waiting' AND mail_at <= now()",
    "UPDATE case_letter SET state = 'failed' WHERE state = 'waiting' AND due_at <= now()",
    "DELETE FROM errand WHERE kind = 'tell'",
    (
        "UPDATE alert_telling SET finished_at = now(), outcome = 'failed', problem = 'restored', lease = NULL"
        " WHERE finished_at IS NULL"
    ),
    "DELETE FROM confirmation WHERE used_at IS NULL",
    # Whoever had begun a run is no more: what is due runs once, and soon.
    "UPDATE schedule SET lease = NULL, lease_until = NULL WHERE lease IS NOT NULL",
    "UPDATE work SET lease = NULL, due_at = now() WHERE lease IS NOT NULL",
)


def _leave_time(connection: Connection) -> None:
    """Who took a deletion back, or had one held by law, after the last part of the journal has a day to do so once more."""
    connection.execute("ALTER TABLE erasure DISABLE TRIGGER USER")
    connection.execute(
        "UPDATE erasure SET due_at = greatest(due_at, now() + interval '1 day') WHERE state = 'waiting'"
    )
    connection.execute("ALTER TABLE erasure ENABLE TRIGGER USER")


def _end_access(connection: Connection) -> None:
    connection.execute("ALTER TABLE access_grant DISABLE TRIGGER USER")
    connection.execute(
        "UPDATE access_grant SET state = 'closed', closed_at = now(), closed_why = 'restored' WHERE state = 'approved'"
    )
    connection.execute("ALTER TABLE access_grant ENABLE TRIGGER USER")
