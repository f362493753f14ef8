"""The outbox: what leaves, row by row, until every recipient's server has answered or the time is up.

    queued ──claim──▶ claimed ──before the last dot──▶ handed ──relay's reply──▶ sent | failed | deferred | unknown
                                                                                     deferred, unknown ──later──▶ claimed

The one window in which a message can leave twice lies between the relay's 250 and our commit. A row found as `handed` after a
crash was in that window: it is sent again with the same bytes and Message-ID, and flagged `repeated`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, insert, select, update

from webmail import jobs, metrics, work
from webmail.db import after_commit, db, new_id, rows
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


# --- the worker's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaving:
    """A submission that a worker holds: what to send, and to whom it has not been sent yet."""

    mailbox_id: int
    submission_id: int
    message_id: int
    envelope_from: str
    counts_from: datetime
    """Since when it could leave: its five days begin here."""
    recipients: dict[str, int]
    """Envelope recipient to its row's number."""


def open_claim(claim: work.Claim) -> Leaving | None:
    """What a claim is about, its open rows marked as claimed; None when nothing of it is to be sent now (or it is gone).

    Rows that a dead worker left as `handed` are flagged: the relay may have them already. The claim on mail of somebody who is
    suspended is given back: it waits, and leaves once they are back.
    """
    values = _of(claim.mailbox_id, claim.item_id)
    found = rows(_SUBMISSION, values)
    if not found:
        return None
    message_id, envelope_from, counts_from, may_leave, now = found[0]
    if not may_leave:
        rows(_HOLD, values)
        work.hold(claim, now + LOOK_AGAIN, "suspended")
        return None
    recipients = {recipient: number for number, recipient in sorted(rows(_CLAIM_OPEN, values))}
    if not recipients:
        return None
    return Leaving(claim.mailbox_id, claim.item_id, message_id, envelope_from, counts_from, recipients)


# By the driver alone, as `db.rows` does it: each message that leaves asks all of these, and building them anew took most of a
# worker's time.
_MINE = "mailbox_id = %(mailbox)s AND submission_id = %(submission)s"
_STILL = ", ".join(f"'{state}'" for state in OPEN)
# What answers by itself was submitted by nobody: then the mailbox alone decides.
_SUBMISSION = f"""
    SELECT message_id, envelope_from, counts_from, m.state = 'active' AND coalesce(a.status, 'active') = 'active'
               AND coalesce(a.may_send, NOT EXISTS (SELECT 1 FROM mailbox_member o JOIN account b ON b.account_id = o.account_id
                   WHERE o.mailbox_id = s.mailbox_id AND o.role = 'owner' AND NOT b.may_send)),
           clock_timestamp()
      FROM submission s JOIN mailbox m USING (mailbox_id) LEFT JOIN account a USING (account_id) WHERE {_MINE}"""
# What may not leave does not grow old.
_HOLD = f"UPDATE submission SET counts_from = clock_timestamp() WHERE {_MINE} RETURNING 1"
_CLAIM_OPEN = f"""
    UPDATE delivery SET state = 'claimed', attempts = attempts + 1, next_at = NULL, changed_at = now(),
           repeated = repeated OR state IN ('handed', 'unknown')
     WHERE {_MINE} AND state IN ({_STILL}) RETURNING number, recipient"""
# A bounce can overtake the relay's 250: what has failed meanwhile stays so.
_HAND = f"""
    UPDATE delivery SET state = 'handed', changed_at = now()
     WHERE {_MINE} AND number = ANY(%(numbers)s) AND state <> 'failed' RETURNING number"""
_NOTE = f"""
    UPDATE delivery SET state = %(state)s, reply_code = %(code)s, reply = %(reply)s, next_at = NULL, changed_at = now()
     WHERE {_MINE} AND number = %(number)s AND state <> 'failed' RETURNING number"""
_LEFT = f"""
    SELECT number, attempts, state, now() FROM delivery
     WHERE {_MINE} AND (state IN ({_STILL}) OR state = 'failed' AND told <> 'failed')"""
_AGAIN = f"""
    UPDATE delivery SET next_at = now() + %(delay)s, changed_at = now()
     WHERE {_MINE} AND number = ANY(%(numbers)s) RETURNING number"""
_FINISH = f"""
    WITH nothing_to_tell AS (DELETE FROM work WHERE mailbox_id = %(mailbox)s AND kind = 'tell' AND item_id = %(submission)s)
    UPDATE submission SET finished_at = now() WHERE {_MINE} RETURNING finished_at"""


def mark_handed(leaving: Leaving, recipients: Sequence[str]) -> None:
    """Note that the last dot is about to be written for these recipients: from here on the relay may have the message."""
    numbers = [leaving.recipients[item] for item in recipients]
    rows(_HAND, _of(leaving.mailbox_id, leaving.submission_id) | {"numbers": numbers})


def note(leaving: Leaving, recipient: str, kind: str, code: int | None, reply: str) -> None:
    """Write down what became of one recipient: sent, deferred, failed or unknown."""
    number = leaving.recipients[recipient]
    told = {"number": number, "state": kind, "code": code, "reply": reply[:500]}
    rows(_NOTE, _of(leaving.mailbox_id, leaving.submission_id) | told)
    events.record(leaving.mailbox_id, leaving.submission_id, [number], events.by_relay(kind, code, reply))
    after_commit(lambda: metrics.count("deliveries_total", kind))


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


def settle(claim: work.Claim, leaving: Leaving) -> timedelta | None:
    """After an attempt: finish the work, or plan the next attempt and say in how long. Past five days, give up for good."""
    values = _of(leaving.mailbox_id, leaving.submission_id)
    left = rows(_LEFT, values)
    still = [row for row in left if row[2] != "failed"]
    again = {number: tries for number, tries, state, _ in still if state != "unknown" or tries < MOST_REPEATS}
    if again and still[0][3] - leaving.counts_from < GIVE_UP_AFTER:
        _fail(claim, [row[0] for row in still if row[0] not in again], "")
        if leaving.envelope_from and len(again) < len(left):
            _tell(claim)
        delay = retry_after(max(again.values()))
        rows(_AGAIN, values | {"numbers": list(again), "delay": delay})
        work.again(claim, delay, "deferred")
        return delay
    _fail(claim, [row[0] for row in still], "expired")
    _finished(claim)
    if leaving.envelope_from and left:
        _tell(claim)
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
    _tell(claim)
    work.park(claim, problem)


def _of(mailbox_id: int, submission_id: int) -> dict[str, object]:
    return {"mailbox": mailbox_id, "submission": submission_id}


def _open_rows(claim: work.Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.mailbox_id == claim.mailbox_id,
        Delivery.submission_id == claim.item_id,
        Delivery.state.in_(OPEN),
    )


def _fail(claim: work.Claim, numbers: Sequence[int] | None, reason: str) -> None:
    """Mark open rows as failed for good: those of `numbers`, or all. What the relay said last stays with them."""
    if numbers is not None and not numbers:
        return
    mine = _open_rows(claim) if numbers is None else (*_open_rows(claim), Delivery.number.in_(numbers))
    values = {"state": "failed", "next_at": None, "changed_at": func.now()}
    statement = update(Delivery).where(*mine).values(**values).returning(Delivery.number)
    failed = db.session.execute(statement.execution_options(synchronize_session=False)).scalars().all()
    events.record(claim.mailbox_id, claim.item_id, failed, events.Told("failed", reason=reason))


def _tell(claim: work.Claim) -> None:
    """Have the author told by mail of what failed; `notices` finds out of what."""
    work.ask(work.TELL, claim.mailbox_id, claim.item_id)
    jobs.ring_after_commit(jobs.TELL)


def _finished(claim: work.Claim) -> None:
    rows(_FINISH, _of(claim.mailbox_id, claim.item_id))


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
