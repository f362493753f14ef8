"""The outbox: what leaves, row by row, until every recipient's server has answered or the time is up.

    queued ──claim──▶ claimed ──before the last dot──▶ handed ──relay's reply──▶ sent | failed | deferred | unknown
                                                                                     deferred, unknown ──later──▶ claimed

The one window in which a message can leave twice lies between the relay's 250 and our commit. A row found as `handed` after a
crash was in that window: it is sent again with the same bytes and Message-ID, and flagged `repeated`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Row, case, func, insert, select, update

from webmail import work
from webmail.db import db, new_id
from webmail.identity.models import Account
from webmail.mail.models import Mailbox, Message
from webmail.sending import events, returning
from webmail.sending.models import Delivery, Submission

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=5)
LOOK_AGAIN = timedelta(minutes=10)
"""How often mail of somebody suspended is looked at: it leaves that soon after they are back."""
MOST_REPEATS = 5
"""A relay that never answers the last dot may have taken each copy: after this many attempts nobody is sent another."""
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
    rows = [
        {"mailbox_id": mailbox_id, "submission_id": submission_id, "number": number, "recipient": recipient}
        for number, recipient in enumerate(dict.fromkeys(recipients), 1)
    ]
    db.session.execute(insert(Delivery), rows)
    events.record(mailbox_id, submission_id, range(1, len(rows) + 1), events.Told("queued"))
    work.add(work.SEND, mailbox_id, submission_id)
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


# --- the worker's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaving:
    """A submission that a worker holds: what to send, and to whom it has not been sent yet."""

    mailbox_id: int
    submission_id: int
    message_id: int
    envelope_from: str
    created_at: datetime
    recipients: dict[str, int]
    """Envelope recipient to its row's number."""


def open_claim(claim: work.Claim) -> Leaving | None:
    """What a claim is about, its open rows marked as claimed; None when nothing of it is to be sent now (or it is gone).

    Rows that a dead worker left as `handed` are flagged: the relay may have them already. The claim on mail of somebody who is
    suspended is given back: it waits, and leaves once they are back.
    """
    found = db.session.execute(
        _SUBMISSION.where(
            Submission.mailbox_id == claim.mailbox_id, Submission.submission_id == claim.item_id
        )
    ).first()
    if found is None:
        return None
    row, may_leave, now = found
    if not may_leave:
        work.hold(claim, now + LOOK_AGAIN, "suspended")
        return None
    statement = (
        update(Delivery)
        .where(*_open_rows(claim))
        .values(
            state="claimed",
            attempts=Delivery.attempts + 1,
            repeated=Delivery.repeated | Delivery.state.in_(["handed", "unknown"]),
            next_at=None,
            changed_at=func.now(),
        )
        .returning(Delivery.number, Delivery.recipient)
        .execution_options(synchronize_session=False)
    )
    recipients = {recipient: number for number, recipient in sorted(db.session.execute(statement).all())}
    if not recipients:
        return None
    return Leaving(
        claim.mailbox_id, claim.item_id, row.message_id, row.envelope_from, row.created_at, recipients
    )


# What answers by itself was submitted by nobody: then the mailbox alone decides.
_SUBMISSION = (
    select(
        Submission,
        (Mailbox.state == "active") & (func.coalesce(Account.status, "active") == "active"),
        func.clock_timestamp(),
    )
    .join(Mailbox, Mailbox.mailbox_id == Submission.mailbox_id)
    .outerjoin(Account, Account.account_id == Submission.account_id)
)


def mark_handed(leaving: Leaving, recipients: Sequence[str]) -> None:
    """Note that the last dot is about to be written for these recipients: from here on the relay may have the message."""
    _set(leaving, [leaving.recipients[item] for item in recipients], {"state": "handed"})


def note(leaving: Leaving, recipient: str, kind: str, code: int | None, reply: str) -> None:
    """Write down what became of one recipient: sent, deferred, failed or unknown."""
    number = leaving.recipients[recipient]
    values = {"state": kind, "reply_code": code, "reply": reply[:500], "next_at": None}
    _set(leaving, [number], values)
    events.record(leaving.mailbox_id, leaving.submission_id, [number], events.by_relay(kind, code, reply))


def mark_bounced(mailbox_id: int, submission_id: int, number: int, code: int | None, reply: str) -> None:
    """Note that a recipient's copy came back: not delivered, whatever the relay said when it took it."""
    statement = update(Delivery).where(
        Delivery.mailbox_id == mailbox_id,
        Delivery.submission_id == submission_id,
        Delivery.number == number,
        Delivery.state.not_in(["failed", "cancelled"]),
    )
    values = {"state": "failed", "reply_code": code, "reply": reply[:500], "next_at": None}
    statement = statement.values(**values, changed_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def _set(leaving: Leaving, numbers: Sequence[int], values: Mapping[str, object]) -> None:
    # A bounce can overtake the relay's 250: what has failed meanwhile stays so.
    statement = update(Delivery).where(
        Delivery.mailbox_id == leaving.mailbox_id,
        Delivery.submission_id == leaving.submission_id,
        Delivery.number.in_(numbers),
        Delivery.state != "failed",
    )
    statement = statement.values(**values, changed_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def settle(claim: work.Claim, leaving: Leaving) -> timedelta | None:
    """After an attempt: finish the work, or plan the next attempt and say in how long. Past five days, give up for good."""
    still: list[Row[int, int, str]] = list(
        db.session.execute(
            select(Delivery.number, Delivery.attempts, Delivery.state).where(*_open_rows(claim))
        ).all()
    )
    age = db.session.execute(select(func.now())).scalar_one() - leaving.created_at
    again = [row for row in still if row.state != "unknown" or row.attempts < MOST_REPEATS]
    if again and age < GIVE_UP_AFTER:
        _fail(claim, [row.number for row in still if row not in again], "")
        delay = retry_after(max(row.attempts for row in again))
        _set(leaving, [row.number for row in again], {"next_at": func.now() + delay})
        work.again(claim, delay, "deferred")
        return delay
    _fail(claim, [row.number for row in still], "expired")
    _finished(claim)
    work.finish(claim)
    return None


def put_off(claim: work.Claim, delay: timedelta) -> None:
    """Something of ours failed in the middle of an attempt: the next one in `delay`. What was handed over may be there."""
    statement = (
        update(Delivery)
        .where(*_open_rows(claim))
        .values(
            state=case((Delivery.state.in_(["handed", "unknown"]), "unknown"), else_="deferred"),
            next_at=func.now() + delay,
            changed_at=func.now(),
        )
        .returning(Delivery.number)
    )
    numbers = db.session.execute(statement.execution_options(synchronize_session=False)).scalars().all()
    events.record(claim.mailbox_id, claim.item_id, numbers, events.Told("deferred"))
    work.again(claim, delay, "error")


def give_up(claim: work.Claim, problem: str) -> None:
    """Set a submission aside that cannot be sent: its author sees that, and its work waits for a person to look at it."""
    _fail(claim, None, "")
    _finished(claim)
    work.park(claim, problem)


def _open_rows(claim: work.Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.mailbox_id == claim.mailbox_id,
        Delivery.submission_id == claim.item_id,
        Delivery.state.in_(OPEN),
    )


def _fail(claim: work.Claim, numbers: Sequence[int] | None, reason: str) -> None:
    """Mark open rows as failed for good: those of `numbers`, or all. What the relay said last stays with them."""
    rows = _open_rows(claim) if numbers is None else (*_open_rows(claim), Delivery.number.in_(numbers))
    values = {"state": "failed", "next_at": None, "changed_at": func.now()}
    statement = update(Delivery).where(*rows).values(**values).returning(Delivery.number)
    failed = db.session.execute(statement.execution_options(synchronize_session=False)).scalars().all()
    events.record(claim.mailbox_id, claim.item_id, failed, events.Told("failed", reason=reason))


def _finished(claim: work.Claim) -> None:
    mine = (Submission.mailbox_id == claim.mailbox_id, Submission.submission_id == claim.item_id)
    db.session.execute(update(Submission).where(*mine).values(finished_at=func.now()))


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
