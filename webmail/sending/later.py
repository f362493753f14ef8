"""What is to leave by itself: in some seconds, so that Send can be undone; at a time; or when there is room under the limit.

Until then it is a draft like any other, which is why taking it back loses nothing, Bcc included. `scheduled` says which revision
leaves, and when; a draft that was changed since stays. Whoever schedules, takes back or submits locks the draft's row first:
one of them wins, and the others see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from webmail import jobs, work
from webmail.db import db
from webmail.errors import Conflict, MtumailError, NotFound, Refused
from webmail.keys import MailboxKeys
from webmail.mail import identities
from webmail.mail.folders import Kind
from webmail.mail.models import Message
from webmail.sending import drafts, limits, outbox, submitting
from webmail.sending.composing import CompositionError
from webmail.sending.models import Draft, Scheduled

LONGEST_UNDO = 30
FARTHEST = timedelta(days=366)
LATE = timedelta(minutes=2)


class TimeError(MtumailError):
    """A time that nothing can be sent at. `reason` is past or far."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A draft that leaves by itself. `way` is undo, later or now; `held` is empty, or a code for why it does not leave."""

    message_id: int
    way: str
    send_at: datetime
    held: str
    is_late: bool = False
    subject: str = ""
    to: str = ""


def send(
    keys: MailboxKeys,
    message_id: int,
    revision: int,
    *,
    account_id: int,
    author: tuple[str, str],
    limit: int,
    undo: int = 0,
    at: datetime | None = None,
) -> Waiting | None:
    """Send a revision of a draft: at `at`, else in `undo` seconds, else at once; later where there is no room under the limit.

    None when it is in the outbox. Raises what `submitting.submit` does, Conflict also when this revision waits already (Send was
    pressed twice), and TimeError.
    """
    ready = submitting.prepare(keys, message_id, revision, author=author, limit=limit)
    now = db.session.execute(select(func.clock_timestamp())).scalar_one()
    if at is not None and at <= now:
        raise TimeError("past")
    if at is not None and at > now + FARTHEST:
        raise TimeError("far")
    there = _row(keys.mailbox_id, message_id)
    if there is not None and there.revision == revision:
        raise Conflict("draft")
    way = "later" if at is not None else "undo" if undo else "now"
    due = at or now + timedelta(seconds=min(undo, LONGEST_UNDO))
    held = ""
    if at is None:
        room_at = limits.room_at(keys.mailbox_id, account_id, len(ready.recipients))
        if room_at is not None:
            limits.tell(keys.mailbox_id, account_id)
            due, held = max(due, room_at), "limit"
        elif not undo:
            if there is not None:
                work.drop(work.SUBMIT, keys.mailbox_id, message_id)
            submitting.leave(keys, message_id, ready, account_id=account_id)
            return None
    values = {"revision": revision, "account_id": account_id, "way": way, "send_at": due, "held": held}
    statement = insert(Scheduled).values(mailbox_id=keys.mailbox_id, message_id=message_id, **values)
    statement = statement.on_conflict_do_update(
        constraint="scheduled_key", set_=values | {"created_at": func.now()}
    )
    db.session.execute(statement)
    work.plan(work.SUBMIT, keys.mailbox_id, message_id, due)
    return Waiting(message_id, way, due, held)


def cancel(keys: MailboxKeys, message_id: int) -> bool:
    """Make what waits a mere draft again. False when there is nothing to take back: it has left, or was taken back before."""
    if not drafts.lock(keys.mailbox_id, message_id):
        return False
    row = _row(keys.mailbox_id, message_id)
    if row is None:
        return False
    db.session.delete(row)
    work.drop(work.SUBMIT, keys.mailbox_id, message_id)
    db.session.flush()
    return True


def send_now(keys: MailboxKeys, message_id: int) -> bool:
    """Have what waits leave at once, as the draft stands now. False when it waits no more. What is over the limit waits on."""
    revision = drafts.lock(keys.mailbox_id, message_id)
    row = _row(keys.mailbox_id, message_id) if revision else None
    if revision is None or row is None:
        return False
    now = db.session.execute(select(func.clock_timestamp())).scalar_one()
    row.revision, row.send_at, row.way, row.held = revision, now, "now", ""
    work.plan(work.SUBMIT, keys.mailbox_id, message_id, now)
    db.session.flush()
    jobs.ring_after_commit(jobs.SUBMIT)
    return True


def waiting(keys: MailboxKeys, message_id: int) -> Waiting | None:
    """How a draft waits; None when it does not."""
    row = _row(keys.mailbox_id, message_id)
    return None if row is None else Waiting(message_id, row.way, row.send_at, row.held)


def listed(keys: MailboxKeys) -> Sequence[Waiting]:
    """What waits in this mailbox, soonest first, at most 200."""
    query = (
        select(Scheduled, Draft.revision, func.now())
        .join(Draft, (Draft.mailbox_id == Scheduled.mailbox_id) & (Draft.message_id == Scheduled.message_id))
        .where(Scheduled.mailbox_id == keys.mailbox_id)
        .order_by(Scheduled.send_at, Scheduled.message_id)
        .limit(200)
    )
    found = []
    for row, revision, now in db.session.execute(query).all():
        fields = drafts.load(keys, row.message_id).fields
        held = "changed" if revision != row.revision else row.held
        to = ", ".join(item.strip() for item in (fields.to, fields.cc, fields.bcc) if item.strip())
        is_late = not held and row.send_at < now - LATE
        found.append(Waiting(row.message_id, row.way, row.send_at, held, is_late, fields.subject, to[:200]))
    return found


# --- the worker's side ---------------------------------------------------------------------------------------------------


def submit(keys: MailboxKeys, claim: work.Claim) -> str:
    """Submit the draft that a claim is about, if it may leave now. What became of it: left, held, gone or lost (the claim was)."""
    mailbox_id, message_id = claim.mailbox_id, claim.item_id
    revision = drafts.lock(mailbox_id, message_id)
    if not work.holds(claim):
        return "lost"
    row = _row(mailbox_id, message_id) if revision else None
    if row is None or _folder(mailbox_id, message_id) != Kind.DRAFTS:
        if row is not None:
            db.session.delete(row)
        work.finish(claim)
        return "gone"
    if revision != row.revision:
        return _keep(claim, row, "changed")
    name = db.session.execute(_SENDER, {"mailbox": mailbox_id, "account": row.account_id}).scalar()
    if name is None:
        return _hold(claim, row, "suspended", None)
    try:
        fields = drafts.load(keys, message_id).fields
        author = identities.chosen(keys, fields.identity, name).author
        ready = submitting.prepare(keys, message_id, revision, author=author, limit=submitting.most_bytes())
    except (CompositionError, Refused, NotFound):
        return _keep(claim, row, "unsendable")
    room_at = limits.room_at(mailbox_id, row.account_id, len(ready.recipients))
    if room_at is not None:
        limits.tell(mailbox_id, row.account_id)
        return _hold(claim, row, "limit", room_at)
    account_id = row.account_id
    db.session.expunge(row)  # it goes with the draft
    submitting.leave(keys, message_id, ready, account_id=account_id)
    work.finish(claim)
    return "left"


# None unless both the person and the mailbox may send.
_SENDER = text("""
    SELECT a.name FROM account a, mailbox m
     WHERE a.account_id = :account AND a.status = 'active' AND a.may_send AND m.mailbox_id = :mailbox AND m.state = 'active'""")


def give_up(claim: work.Claim) -> None:
    """Stop trying, after errors of ours: the draft stays, and its author is told."""
    mine = (Scheduled.mailbox_id == claim.mailbox_id, Scheduled.message_id == claim.item_id)
    db.session.execute(update(Scheduled).where(*mine).values(held="error"))
    work.park(claim, "error")


def _keep(claim: work.Claim, row: Scheduled, held: str) -> str:
    """It does not leave until its author does something."""
    row.held = held
    work.finish(claim)
    return "held"


def _hold(claim: work.Claim, row: Scheduled, held: str, until: datetime | None) -> str:
    """It leaves as soon as it may; `send_at` stays when it should have left, unless it is known when it will."""
    row.held = held
    if until is None:
        until = db.session.execute(select(func.clock_timestamp() + outbox.LOOK_AGAIN)).scalar_one()
    else:
        row.send_at = until
    work.hold(claim, until, held)
    return "held"


def _row(mailbox_id: int, message_id: int) -> Scheduled | None:
    return db.session.get(Scheduled, (mailbox_id, message_id), populate_existing=True)


def _folder(mailbox_id: int, message_id: int) -> int | None:
    query = select(Message.folder_id).where(
        Message.mailbox_id == mailbox_id, Message.message_id == message_id
    )
    return db.session.execute(query).scalar()
