"""What came back about mail that left: believed where it is about ours, written into the timeline, filed beside the message.

A report is believed if it came to the submission's tagged return path, or names the Message-ID of a message that left from this
very mailbox; and, in both cases, only about that message's own recipients. Anything else stays mere mail. A report that comes
twice changes nothing the second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import exists, func, select, update

from webmail.db import db, rows
from webmail.keys import MailboxKeys
from webmail.mail import bounces, correspondents, messages, mime, reading, threads
from webmail.mail.addresses import fold
from webmail.mail.models import Message, ThreadReference
from webmail.sending import events, outbox, returning
from webmail.sending.models import Delivery, Submission

WARN_FOR = timedelta(days=90)
QUIET = timedelta(days=1)
"""Mail that came back would have done so by then, most of it within minutes."""
MOST_LOOKED_AT = 20  # messages of a conversation that an untagged report may be about
_MACHINES = ("mailer-daemon", "postmaster", "mailerdaemon", "bounce", "bounces", "mdaemon")
_KINDS = {
    "failed": "bounced",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "handed",
    "expanded": "handed",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that was believed: about which sent message, and about which of its recipients."""

    message_id: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FailedBefore:
    """A recipient to whom mail failed for good, not long ago."""

    address: str
    failed_at: datetime
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Found:
    submission: Submission
    by_tag: bool


def take(keys: MailboxKeys, message_id: int) -> Taken | None:
    """Heed a message that was just filed, if it reports about one that left from this mailbox; None for all other mail.

    Runs in filing's transaction and under its lock. Costs one look at the envelope for mail that cannot be a report.
    """
    mine = (Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    query = select(Message.envelope_from, Message.envelope_to, Message.received_at).where(*mine)
    row = db.session.execute(query).first()
    if row is None or not _may_report(row.envelope_from, row.envelope_to):
        return None
    raw = messages.source(keys, message_id)
    parsed = mime.parse(raw)
    report = bounces.read(parsed, raw)
    if report is None or report.kind != "status" or not report.recipients:
        return None
    found = _by_tag(keys.mailbox_id, row.envelope_to)
    if found is None and (report.by_machine or not row.envelope_from):
        found = _by_message_id(keys, report.original_ids)
    if found is None:
        return None
    numbers = _write(keys, found, report, row.received_at, message_id)
    if not numbers:
        return None
    _thread(keys, found.submission.message_id, message_id, parsed.message_id)
    return Taken(found.submission.message_id, numbers)


def warnings(keys: MailboxKeys, recipients: Sequence[str]) -> list[FailedBefore]:
    """Those of `recipients` to whom mail failed for good within the last 90 days, with what was said, in their order.

    Not those to whom mail left since then that did not come back within a day.
    """
    since = datetime.now(UTC) - WARN_FOR
    asked = list(dict.fromkeys(recipients))
    found = [
        FailedBefore(
            address, known.failed_at, known.failed_status, bounces.reason_of(known.failed_status, "")
        )
        for address, known in zip(asked, correspondents.known_all(keys, asked), strict=True)
        if known.failed_at is not None and known.failed_at >= since
    ]
    stayed = _stayed(keys.mailbox_id, found) if found else {}
    return [one for one in found if not stayed.get(fold(one.address), since) > one.failed_at]


def _stayed(mailbox_id: int, failed: Sequence[FailedBefore]) -> dict[str, datetime]:
    """When mail left last, more than a day ago, that did not come back: by folded address, for those of `failed`."""
    wanted = {fold(one.address) for one in failed}
    asked = {
        "mailbox": mailbox_id,
        "since": min(one.failed_at for one in failed),
        "quiet": QUIET,
        "addresses": [one.lower() for one in {*wanted, *(one.address for one in failed)}],
    }
    found: dict[str, datetime] = {}
    for recipient, at in rows(_STAYED, asked):
        found[fold(recipient)] = max(at, found.get(fold(recipient), at))
    return found


# By submission_by_time: what left since the oldest of those failures.
_STAYED = """
    SELECT recipient, max(s.created_at) FROM submission s JOIN delivery d USING (mailbox_id, submission_id)
     WHERE s.mailbox_id = %(mailbox)s AND s.created_at > %(since)s AND d.state = 'sent' AND d.changed_at < now() - %(quiet)s
       AND lower(recipient) = ANY(%(addresses)s) GROUP BY recipient"""


def refused(keys: MailboxKeys, recipient: str, code: int | None, reply: str) -> None:
    """Note that the relay itself refused a recipient: for good where its reply says that the address leads nowhere."""
    status = bounces.enhanced(reply)
    reason = bounces.reason_of(status, reply)
    if code is not None and 500 <= code <= 599 and bounces.is_hard(status, reason):
        correspondents.failed(keys, recipient, status)


# --- whose it is -----------------------------------------------------------------------------------------------------------


def _may_report(envelope_from: str, envelope_to: str) -> bool:
    """Reports have no return path (RFC 3464 section 2), or in the wild a machine's; or they come to a tagged address."""
    local = envelope_from.rpartition("@")[0].partition("+")[0].lower()
    return not envelope_from or local in _MACHINES or returning.submission_of(envelope_to) is not None


def _by_tag(mailbox_id: int, envelope_to: str) -> _Found | None:
    submission_id = returning.submission_of(envelope_to)
    if submission_id is None:
        return None
    mine = (Submission.mailbox_id == mailbox_id, Submission.submission_id == submission_id)
    row = db.session.execute(select(Submission).where(*mine)).scalar()
    return _Found(row, True) if row and returning.is_same(envelope_to, row.envelope_from) else None


def _by_message_id(keys: MailboxKeys, ids: Sequence[str]) -> _Found | None:
    """The submission of a message of ours that has one of these Message-IDs: looked for in the conversations they belong to."""
    if not ids:
        return None
    query = (
        select(Submission)
        .join(
            Message,
            (Message.mailbox_id == Submission.mailbox_id) & (Message.message_id == Submission.message_id),
        )
        .join(
            ThreadReference,
            (ThreadReference.mailbox_id == Message.mailbox_id)
            & (ThreadReference.thread_id == Message.thread_id),
        )
        .where(
            Submission.mailbox_id == keys.mailbox_id,
            ThreadReference.reference.in_([keys.blind(one) for one in ids]),
        )
        .order_by(Submission.created_at.desc())
        .limit(MOST_LOOKED_AT)
    )
    for row in db.session.execute(query).scalars().unique():
        if reading.load(keys, row.message_id).message_id in ids:
            return _Found(row, False)
    return None


# --- what it changes -------------------------------------------------------------------------------------------------------


def _write(
    keys: MailboxKeys, found: _Found, report: bounces.Report, at: datetime, report_id: int
) -> tuple[int, ...]:
    """The events of a report; the numbers of the recipients it is about."""
    submission = found.submission
    query = select(Delivery.number, Delivery.recipient).where(
        Delivery.mailbox_id == keys.mailbox_id, Delivery.submission_id == submission.submission_id
    )
    known = {fold(row.recipient): (row.number, row.recipient) for row in db.session.execute(query)}
    numbers: list[int] = []
    for one in report.recipients:
        hit = known.get(fold(one.original)) or known.get(fold(one.address))
        if hit is None and found.by_tag and len(known) == 1:
            [hit] = known.values()  # the only copy there is went on to another address
        if hit is None:
            continue
        number, recipient = hit
        numbers.append(number)
        _one(keys, submission.submission_id, number, recipient, one, at, report_id)
    if numbers:
        _finish(keys.mailbox_id, submission.submission_id)
    return tuple(dict.fromkeys(numbers))


def _one(
    keys: MailboxKeys,
    submission_id: int,
    number: int,
    recipient: str,
    one: bounces.Recipient,
    at: datetime,
    report_id: int,
) -> None:
    kind = _KINDS[one.action]
    reason = "" if kind in ("delivered", "handed") else one.reason
    told = events.Told(kind, one.reply_code, one.status, reason, one.diagnostic, one.until)
    is_news = bool(events.record(keys.mailbox_id, submission_id, [number], told, at=at, report_id=report_id))
    if kind == "bounced":
        outbox.mark_bounced(keys.mailbox_id, submission_id, number, one.reply_code, one.diagnostic)
        if is_news and one.hard:
            correspondents.failed(keys, recipient, one.status)
    elif kind == "delivered" and is_news:
        correspondents.delivered(keys, recipient)


def _finish(mailbox_id: int, submission_id: int) -> None:
    """Once a report closed the last open recipient, nothing is left to do for the submission."""
    still = exists().where(
        Delivery.mailbox_id == Submission.mailbox_id,
        Delivery.submission_id == Submission.submission_id,
        Delivery.state.in_(outbox.OPEN),
    )
    mine = (Submission.mailbox_id == mailbox_id, Submission.submission_id == submission_id)
    statement = update(Submission).where(*mine, Submission.finished_at.is_(None), ~still)
    statement = statement.values(finished_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def _thread(keys: MailboxKeys, sent_id: int, report_id: int, own_id: str) -> None:
    """Put the report into the conversation of the message it is about."""
    original = reading.load(keys, sent_id).message_id
    names = [name for name in (own_id, original) if name]
    if not names:
        return
    thread_id = threads.join(keys, names)
    for message_id in (sent_id, report_id):
        mine = (Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
        statement = update(Message).where(*mine, Message.thread_id.is_distinct_from(thread_id))
        db.session.execute(statement.values(thread_id=thread_id).execution_options(synchronize_session=False))
