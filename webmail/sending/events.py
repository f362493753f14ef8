"""What happened to each recipient's copy, in order: the delivery timeline. Written down once, however often it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select

from webmail.db import db, new_id, rows
from webmail.mail import bounces
from webmail.sending.models import DeliveryEvent, Submission

MOST_SHOWN = 100
"""Events of one recipient that are read: a relay that says something new each time says little."""


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody said of a copy. `kind` is a word of the table; `reply` is cleaned when it is recorded."""

    kind: str
    reply_code: int | None = None
    status: str = ""
    reason: str = ""
    reply: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something told, and when. `report_id` is the message that told it, where one did and is still there."""

    at: datetime
    kind: str
    reply_code: int | None
    status: str
    reason: str
    reply: str
    until: datetime | None
    report_id: int | None


_OF_RELAY = {"sent": "handed", "failed": "failed", "deferred": "deferred", "unknown": "deferred"}


def by_relay(state: str, code: int | None, reply: str) -> Told:
    """What the relay's answer comes to; `state` is the delivery's new one."""
    kind = _OF_RELAY[state]
    if kind == "handed":
        return Told(kind, code, reply=reply)
    status = bounces.enhanced(reply)
    return Told(kind, code, status, bounces.reason_of(status, reply) if reply else "", reply)


def record(
    mailbox_id: int,
    submission_id: int,
    numbers: Sequence[int],
    told: Told,
    *,
    at: datetime | None = None,
    report_id: int | None = None,
) -> set[int]:
    """Write down what was told of these recipients, now or `at`; the numbers of those of whom it is news."""
    if not numbers:
        return set()
    values = {
        "mailbox": mailbox_id,
        "submission": submission_id,
        "numbers": list(numbers),
        "ids": [new_id() for _ in numbers],
        "at": at,
        "kind": told.kind,
        "code": shown_code(told),
        "status": told.status,
        "reason": told.reason,
        "reply": shown_reply(told),
        "until": told.until,
        "report": report_id,
        "fingerprint": fingerprint(told),
    }
    return {number for (number,) in rows(_RECORD, values)}


# By the driver alone: each message that leaves is told of at least twice.
_RECORD = """
    INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, at, kind, reply_code, status, reason, reply, until,
                                report_id, fingerprint)
    SELECT %(mailbox)s, %(submission)s, item.number, item.id, coalesce(%(at)s, clock_timestamp()), %(kind)s, %(code)s, %(status)s,
           %(reason)s, %(reply)s, %(until)s, %(report)s, %(fingerprint)s
      FROM unnest(%(numbers)s::smallint[], %(ids)s::bigint[]) AS item (number, id)
        ON CONFLICT ON CONSTRAINT delivery_event_told_once DO NOTHING
    RETURNING number"""


def shown_code(told: Told) -> int | None:
    """The reply's code as it is kept: one that SMTP knows, or None."""
    return told.reply_code if told.reply_code and 200 <= told.reply_code <= 599 else None


def shown_reply(told: Told) -> str:
    """What was said, as it is kept: one line without control marks."""
    return bounces.clean_reply(told.reply)


def fingerprint(told: Told) -> bytes:
    """16 octets that stand for what was said, so that the same is written down once."""
    until = told.until.isoformat() if told.until else ""
    said = (told.kind, str(told.reply_code), told.status, bounces.clean_reply(told.reply), until)
    return sha256("\0".join(said).encode("utf-8", "replace")).digest()[:16]


def of_messages(mailbox_id: int, message_ids: Sequence[int]) -> dict[tuple[int, int], list[Event]]:
    """The events of sent messages by message and recipient's number, in order; the newest 100 of a recipient."""
    mine = (DeliveryEvent.mailbox_id == Submission.mailbox_id) & (
        DeliveryEvent.submission_id == Submission.submission_id
    )
    query = (
        select(Submission.message_id, DeliveryEvent)
        .join(DeliveryEvent, mine)
        .where(Submission.mailbox_id == mailbox_id, Submission.message_id.in_(message_ids))
        .order_by(DeliveryEvent.at, DeliveryEvent.event_id)
    )
    found: dict[tuple[int, int], list[Event]] = {}
    for message_id, row in db.session.execute(query):
        found.setdefault((message_id, row.number), []).append(
            Event(
                row.at,
                row.kind,
                row.reply_code,
                row.status,
                row.reason,
                row.reply,
                row.until,
                row.report_id,
            )
        )
    return {key: events[-MOST_SHOWN:] for key, events in found.items()}
