"""The worker's side of the outbox: a submission that is held, what becomes of each recipient, and when it is tried again.

Each message that leaves asks for all of this, in three transactions. So the steps of a message that is taken at once are one
statement each, a function of the database that is a transaction of its own; what is rarer is settled step by step in a transaction
of the caller's. Each first makes sure that the claim is still ours: who has lost it writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, case, func, update

from webmail import jobs, metrics, work
from webmail.db import after_commit, db, glance, new_id, rows
from webmail.errors import NotFound
from webmail.sending import events
from webmail.sending.models import Delivery
from webmail.sending.outbox import GIVE_UP_AFTER, LOOK_AGAIN, OPEN, retry_after

LEASE = timedelta(minutes=15)
"""From the moment an attempt begins: longer than a relay may take for one message."""
MOST_REPEATS = 5
"""A relay that never answers the last dot may have taken each copy: after this many attempts nobody is sent another."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A submission that a worker holds: what to send, and to whom it has not been sent yet."""

    claim: work.Claim
    message_id: int
    envelope_from: str
    counts_from: datetime
    """Since when it could leave: its five days begin here."""
    recipients: dict[str, int]
    """Envelope recipient to its row's number."""
    wrapped_keys: bytes
    """The mailbox's, as they are kept; with them alone the message opens."""
    content_key: bytes
    sealed: bytes


class Stays(Enum):
    """Why nothing leaves: there is nothing left to send, or the claim is lost; or its author may not send."""

    GONE = auto()
    SUSPENDED = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one recipient. `kind` is sent, deferred, failed or unknown; `code` the reply's, where a relay gave one."""

    recipient: str
    kind: str
    code: int | None
    reply: str


def begin(claim: work.Claim) -> Leaving | Stays:
    """What a claim is about, its open rows marked as claimed and the claim held for LEASE; or why nothing of it is to be sent.
    A transaction of its own. Raises NotFound for a message or a mailbox that cannot be opened any more.

    Rows that a dead worker left as `handed` are flagged: the relay may have them already.
    """
    found = glance(_BEGIN, _values(claim) | {"period": LEASE})
    if not found:
        return Stays.GONE
    message_id, envelope_from, counts_from, may_leave, numbers, recipients, keys, content_key, sealed = found[
        0
    ]
    if not may_leave:
        return Stays.SUSPENDED
    if not numbers:
        return Stays.GONE
    if keys is None or sealed is None:
        raise NotFound("message" if keys else "mailbox")
    to = dict(zip(recipients, numbers, strict=True))
    return Leaving(claim, message_id, envelope_from, counts_from, to, keys, content_key, sealed)


def leave_be(claim: work.Claim, why: Stays) -> None:
    """End work of which nothing is to be sent; or give it back, if it is of somebody who is suspended: it waits, does not grow
    old meanwhile, and leaves once they are back."""
    if why is Stays.GONE:
        work.finish(claim)
    elif work.holds(claim):
        [[now]] = rows(_HOLD, _values(claim))
        work.hold(claim, now + LOOK_AGAIN, "suspended")


def hand_over(leaving: Leaving, recipients: Sequence[str], mark: bytes | None = None) -> bool:
    """Commit that the last dot is about to be written for these recipients: from here on the relay may have the message. `mark`:
    by what its Message-ID is found again. False, and nothing is noted, when the claim was lost. A transaction of its own."""
    numbers = [leaving.recipients[item] for item in recipients]
    [[held]] = glance(_HAND, _values(leaving.claim) | {"numbers": numbers, "mark": mark})
    return bool(held)


def note_sent(leaving: Leaving, answers: Sequence[Answer]) -> str:
    """Commit that these recipients' copies were sent, as `note` and `settle` do it: lost, where the claim was and nothing is
    noted; left, where there is more to settle, which `note` begins; or finished. A transaction of its own."""
    [[word]] = glance(_NOTE_SENT, _values(leaving.claim) | _said(leaving, answers))
    for _ in answers if word == "finished" else ():
        metrics.count("deliveries_total", "sent")
    return str(word)


def note(leaving: Leaving, answers: Sequence[Answer]) -> bool:
    """Write down what became of these recipients, also in their timelines. False, and nothing is noted, when the claim was
    lost."""
    [[held]] = rows(_NOTE, _values(leaving.claim) | _said(leaving, answers))
    for one in answers if held else ():
        after_commit(lambda kind=one.kind: metrics.count("deliveries_total", kind))  # type: ignore[misc]
    return bool(held)


def _said(leaving: Leaving, answers: Sequence[Answer]) -> dict[str, Any]:
    told = [events.by_relay(one.kind, one.code, one.reply) for one in answers]
    return {
        "numbers": [leaving.recipients[one.recipient] for one in answers],
        "states": [one.kind for one in answers],
        "codes": [one.code for one in answers],
        "replies": [one.reply[:500] for one in answers],
        "ids": [new_id() for _ in answers],
        "events": [one.kind for one in told],
        "told_codes": [events.shown_code(one) for one in told],
        "statuses": [one.status for one in told],
        "reasons": [one.reason for one in told],
        "told_replies": [events.shown_reply(one) for one in told],
        "fingerprints": [events.fingerprint(one) for one in told],
    }


def settle(leaving: Leaving) -> timedelta | None:
    """After an attempt: finish the work, or plan the next attempt and say in how long. Past five days, give up for good."""
    claim = leaving.claim
    left = rows(_LEFT, _values(claim))
    still = [row for row in left if row[2] != "failed"]
    again = {number: tries for number, tries, state, _ in still if state != "unknown" or tries < MOST_REPEATS}
    if again and still[0][3] - leaving.counts_from < GIVE_UP_AFTER:
        _fail(claim, [row[0] for row in still if row[0] not in again], "")
        if leaving.envelope_from and len(again) < len(left):
            _tell(claim)
        delay = retry_after(max(again.values()))
        rows(_AGAIN, _values(claim) | {"numbers": list(again), "delay": delay})
        work.again(claim, delay, "deferred")
        return delay
    _fail(claim, [row[0] for row in still], "expired")
    rows(_FINISH, _values(claim))
    if leaving.envelope_from and left:
        _tell(claim)
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
    rows(_ENDED, _values(claim))
    _tell(claim)
    work.park(claim, problem)


def _values(claim: work.Claim) -> dict[str, Any]:
    return work.key(claim) | {"submission": claim.item_id}


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
    values: Mapping[str, object] = {"state": "failed", "next_at": None, "changed_at": func.now()}
    statement = update(Delivery).where(*mine).values(**values).returning(Delivery.number)
    failed = db.session.execute(statement.execution_options(synchronize_session=False)).scalars().all()
    events.record(claim.mailbox_id, claim.item_id, failed, events.Told("failed", reason=reason))


def _tell(claim: work.Claim) -> None:
    """Have the author told by mail of what failed; `notices` finds out of what."""
    work.ask(work.TELL, claim.mailbox_id, claim.item_id)
    jobs.ring_after_commit(jobs.TELL)


# --- the statements ------------------------------------------------------------------------------------------------------

_MINE = "mailbox_id = %(mailbox)s AND submission_id = %(submission)s"
_STILL = ", ".join(f"'{state}'" for state in OPEN)
_BEGIN = "SELECT * FROM outbox_begin(%(mailbox)s, %(submission)s, %(lease)s, %(period)s)"
_HOLD = f"UPDATE submission SET counts_from = clock_timestamp() WHERE {_MINE} RETURNING counts_from"
_HAND = "SELECT outbox_hand_over(%(mailbox)s, %(submission)s, %(lease)s, %(numbers)s::smallint[], %(mark)s::bytea)"
_NOTE_SENT = """
    SELECT outbox_note_sent(%(mailbox)s, %(submission)s, %(lease)s, %(numbers)s::smallint[], %(codes)s::smallint[],
                            %(replies)s::text[], %(ids)s::bigint[], %(told_codes)s::smallint[], %(told_replies)s::text[],
                            %(fingerprints)s::bytea[])"""
# A bounce can overtake the relay's 250: what has failed meanwhile stays so.
_NOTE = f"""
    WITH held AS MATERIALIZED (SELECT FROM work WHERE {work.HELD} FOR UPDATE),
    said AS MATERIALIZED (
        SELECT * FROM unnest(%(numbers)s::smallint[], %(states)s::text[], %(codes)s::smallint[], %(replies)s::text[],
                             %(ids)s::bigint[], %(events)s::text[], %(told_codes)s::smallint[], %(statuses)s::text[],
                             %(reasons)s::text[], %(told_replies)s::text[], %(fingerprints)s::bytea[])
               AS said (number, state, code, reply, id, event, told_code, status, reason, told_reply, fingerprint)
         WHERE EXISTS (SELECT FROM held)),
    noted AS (
        UPDATE delivery SET state = said.state, reply_code = said.code, reply = said.reply, next_at = NULL, changed_at = now()
          FROM said WHERE {_MINE} AND delivery.number = said.number AND delivery.state <> 'failed'),
    told AS (
        INSERT INTO delivery_event (mailbox_id, submission_id, number, event_id, at, kind, reply_code, status, reason, reply,
                                    fingerprint)
        SELECT %(mailbox)s, %(submission)s, number, id, clock_timestamp(), event, told_code, status, reason, told_reply,
               fingerprint FROM said
            ON CONFLICT ON CONSTRAINT delivery_event_told_once DO NOTHING)
    SELECT EXISTS (SELECT FROM held)"""
_LEFT = f"""
    SELECT number, attempts, state, now() FROM delivery
     WHERE {_MINE} AND (state IN ({_STILL}) OR state = 'failed' AND told <> 'failed')"""
_AGAIN = f"""
    UPDATE delivery SET next_at = now() + %(delay)s, changed_at = now()
     WHERE {_MINE} AND number = ANY(%(numbers)s) RETURNING number"""
_ENDS = f"""
    nothing_to_tell AS (DELETE FROM work WHERE mailbox_id = %(mailbox)s AND kind = 'tell' AND item_id = %(submission)s),
    ended AS (UPDATE submission SET finished_at = now() WHERE {_MINE})"""
_ENDED = f"WITH {_ENDS} SELECT 1"
_FINISH = f"WITH {_ENDS} DELETE FROM work WHERE {work.HELD} RETURNING 1"
