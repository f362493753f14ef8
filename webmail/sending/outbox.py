"""The outbox: what leaves, row by row, until every recipient's server has answered or the time is up.

    queued ──claim──▶ claimed ──before the last dot──▶ handed ──relay's reply──▶ sent | failed | deferred | unknown
                                                                                     deferred, unknown ──later──▶ claimed

The one window in which a message can leave twice lies between the relay's 250 and our commit. A row found as `handed` after a
crash was in that window: it is sent again with the same bytes and Message-ID, and flagged `repeated`. The worker's side is in
`leaving`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from webmail import work
from webmail.db import db, new_id
from webmail.mail.models import Message
from webmail.sending import events, limits, returning
from webmail.sending.models import Delivery, Submission

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=5)
TOLD_AFTER = timedelta(hours=4)
"""The author is told then that a message is still on its way: see `notices`."""
LOOK_AGAIN = timedelta(minutes=10)
"""How often mail of somebody suspended is looked at: it leaves that soon after they are back."""
OPEN = ("queued", "claimed", "handed", "deferred", "unknown")


@dataclass(frozen=True, slots=True)
class Status:
    """How far a message got with one recipient."""

    recipient: str
    state: str
    attempts: int
    reply: str
    repeated: bool
    next_at: datetime | None
    changed_at: datetime
    timeline: tuple[events.Event, ...] = ()
    """What happened so far, in order."""


def submit(
    mailbox_id: int, message_id: int, account_id: int | None, sender: str, recipients: Sequence[str]
) -> int:
    """Put a message that lies in Sent into the outbox, for these envelope recipients; the submission's id.

    It leaves with a return path of its own, by which bounces find it: see `returning`.
    """
    submission_id = new_id()
    db.session.execute(
        insert(Submission),
        {
            "mailbox_id": mailbox_id,
            "submission_id": submission_id,
            "message_id": message_id,
            "account_id": account_id,
            "envelope_from": returning.tagged(sender, submission_id),
        },
    )
    deliveries = [
        {"mailbox_id": mailbox_id, "submission_id": submission_id, "number": number, "recipient": recipient}
        for number, recipient in enumerate(dict.fromkeys(recipients), 1)
    ]
    db.session.execute(insert(Delivery), deliveries)
    events.record(mailbox_id, submission_id, range(1, len(deliveries) + 1), events.Told("queued"))
    work.add(work.SEND, mailbox_id, submission_id)
    if sender:
        work.add(work.TELL, mailbox_id, submission_id, TOLD_AFTER)
    if account_id is not None:
        limits.watch(mailbox_id, account_id, len(deliveries))
    return submission_id


def statuses(
    mailbox_id: int, message_ids: Sequence[int], *, timeline: bool = True
) -> dict[int, list[Status]]:
    """The recipients' states of sent messages, by message; with what happened so far, unless no `timeline` is wanted."""
    told = events.of_messages(mailbox_id, message_ids) if timeline and message_ids else {}
    query = (
        select(Submission.message_id, Delivery)
        .join(
            Delivery,
            (Delivery.mailbox_id == Submission.mailbox_id)
            & (Delivery.submission_id == Submission.submission_id),
        )
        .where(Submission.mailbox_id == mailbox_id, Submission.message_id.in_(message_ids))
        .order_by(Delivery.number)
    )
    found: dict[int, list[Status]] = {}
    for message_id, row in db.session.execute(query):
        found.setdefault(message_id, []).append(
            Status(
                row.recipient,
                row.state,
                row.attempts,
                row.reply,
                row.repeated,
                row.next_at,
                row.changed_at,
                tuple(told.get((message_id, row.number), ())),
            )
        )
    return found


def overall(states: Sequence[Status]) -> str:
    """One word for all recipients together: sending, deferred, failed or sent."""
    kinds = {status.state for status in states}
    if kinds & {"queued", "claimed", "handed"}:
        return "sending"
    if kinds & {"deferred", "unknown"}:
        return "deferred"
    return "failed" if "failed" in kinds else "sent"


def mark_bounced(mailbox_id: int, submission_id: int, number: int, code: int | None, reply: str) -> None:
    """Note that a recipient's copy came back: not delivered, whatever the relay said when it took it."""
    statement = update(Delivery).where(
        Delivery.mailbox_id == mailbox_id,
        Delivery.submission_id == submission_id,
        Delivery.number == number,
        Delivery.state.not_in(["failed", "cancelled"]),
    )
    # The report itself tells its author.
    values = {"state": "failed", "reply_code": code, "reply": reply[:500], "next_at": None, "told": "failed"}
    statement = statement.values(**values, changed_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def retry_after(attempts: int) -> timedelta:
    """The wait before the next attempt: 5 minutes, doubling to 4 hours, each up to a fifth longer or shorter."""
    doublings = min(max(0, attempts - 1), 10)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY) * random.uniform(0.8, 1.2)


def mark_answered(mailbox_id: int, message_id: int, *, forwarded: bool) -> None:
    """Note on a message that it was answered, or passed on."""
    column = {"forwarded": True} if forwarded else {"answered": True}
    mine = (Message.mailbox_id == mailbox_id, Message.message_id == message_id)
    db.session.execute(
        update(Message).where(*mine).values(**column).execution_options(synchronize_session=False)
    )
