"""What has not gone out yet, and what never will: for the places where people look. Nothing here changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webmail.db import rows
from webmail.keys import MailboxKeys
from webmail.mail.folders import Kind
from webmail.mail.list_rows import Summary
from webmail.mail.messages import line
from webmail.sending import outbox
from webmail.sending.outbox import Status

MOST = 200
"""So many of the last messages are looked at: what it costs does not grow with what was sent before."""
DAYS = 7
"""A message that was not delivered is pointed out for so long, unless it is thrown away before."""


@dataclass(frozen=True, slots=True)
class Mark:
    """When a draft leaves by itself; or `held`, why it does not, as a code (`changed`: since Send)."""

    send_at: datetime
    held: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages that wait as drafts (`held`: of them, those that do not leave), that are tried again, and that failed."""

    waiting: int
    held: int
    tried: int
    failed: int

    def __bool__(self) -> bool:
        return any((self.waiting, self.tried, self.failed))


@dataclass(frozen=True, slots=True)
class Stuck:
    """A message in Sent that has not reached somebody: still tried (`is_open`), or given up."""

    message_id: int
    sent_at: datetime
    is_open: bool
    summary: Summary | None
    statuses: Sequence[Status]
    """Of those whom it has not reached."""


def marks(mailbox_id: int, message_ids: Sequence[int]) -> dict[int, Mark]:
    """Which of these drafts leave by themselves, and when."""
    if not message_ids:
        return {}
    found = rows(_MARKS, {"mailbox": mailbox_id, "messages": list(message_ids)})
    return {message_id: Mark(send_at, held) for message_id, send_at, held in found}


def counts(mailbox_id: int) -> Counts:
    """How much of this mailbox waits, is tried again, or failed of late."""
    [(waiting, held, tried, failed)] = rows(_COUNTS, _asked(mailbox_id))
    return Counts(waiting, held, tried, failed)


def stuck(keys: MailboxKeys) -> list[Stuck]:
    """What is on its way or was not delivered to everybody, newest first, at most 50."""
    found = rows(_STUCK, _asked(keys.mailbox_id))
    statuses = outbox.statuses(keys.mailbox_id, [row[0] for row in found])
    return [
        Stuck(
            message_id,
            sent_at,
            is_open,
            line(keys, message_id).summary,
            [one for one in statuses.get(message_id, ()) if one.state in _UNREACHED],
        )
        for message_id, sent_at, is_open in found
    ]


def _asked(mailbox_id: int) -> dict[str, object]:
    return {
        "mailbox": mailbox_id,
        "most": MOST,
        "days": DAYS,
        "sent": int(Kind.SENT),
        "drafts": int(Kind.DRAFTS),
    }


_UNREACHED = (*outbox.OPEN, "failed")
_MARKS = """
    SELECT s.message_id, s.send_at, CASE WHEN s.revision = d.revision THEN s.held ELSE 'changed' END
      FROM scheduled s JOIN draft d USING (mailbox_id, message_id)
     WHERE s.mailbox_id = %(mailbox)s AND s.message_id = ANY(%(messages)s)"""
# What was thrown away is not told of any more. One submission after the other, so that the planner cannot read all deliveries.
_RECENT = """
    recent AS MATERIALIZED (
        SELECT submission_id, message_id, created_at FROM submission
         WHERE mailbox_id = %(mailbox)s AND created_at > now() - make_interval(days => %(days)s)
         ORDER BY created_at DESC LIMIT %(most)s),
    unreached AS (
        SELECT r.message_id, r.created_at, d.is_open, d.has_failed, d.is_tried
          FROM recent r CROSS JOIN LATERAL (
            SELECT bool_or(state <> 'failed') AS is_open, bool_or(state = 'failed') AS has_failed,
                   bool_or(state IN ('deferred', 'unknown')) AS is_tried
              FROM delivery WHERE mailbox_id = %(mailbox)s AND submission_id = r.submission_id
               AND state IN ('queued', 'claimed', 'handed', 'deferred', 'unknown', 'failed')) d
         WHERE d.is_open IS NOT NULL AND %(sent)s = (
            SELECT folder_id FROM message WHERE mailbox_id = %(mailbox)s AND message_id = r.message_id))"""
_COUNTS = f"""
    WITH {_RECENT},
    waits AS (
        SELECT count(*) AS waiting, count(*) FILTER (WHERE s.held <> '' OR s.revision <> d.revision) AS held
          FROM scheduled s JOIN draft d USING (mailbox_id, message_id) JOIN message m USING (mailbox_id, message_id)
         WHERE s.mailbox_id = %(mailbox)s AND m.folder_id = %(drafts)s)
    SELECT waiting, held, (SELECT count(*) FROM unreached WHERE is_tried), (SELECT count(*) FROM unreached WHERE has_failed)
      FROM waits"""
_STUCK = f"""
    WITH {_RECENT} SELECT message_id, created_at, is_open FROM unreached ORDER BY created_at DESC, message_id DESC LIMIT 50"""
