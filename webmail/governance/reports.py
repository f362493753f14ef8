"""Reports: a person hands one message to the staff. The copy is sealed for them by its owner's act, and it is all they get."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db, new_id
from webmail.errors import Refused
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import open_secret
from webmail.governance.cases.taking import Brought, take
from webmail.governance.models import Report, ServiceKey
from webmail.governance.service_keys import PURPOSE, public_key
from webmail.keys import (
    MailboxKeys,
    MasterKeys,
    Place,
    new_content_key,
    open_service,
    seal,
    seal_for,
    unseal,
)
from webmail.mail import messages, reading

KINDS = ("spam", "phishing", "malware", "fraud", "harassment", "other")
MAX_WORDS = 2_000
MAX_A_DAY, MAX_BYTES_A_DAY = 100, 200 << 20
"""Of one mailbox: the copies are kept for the staff beyond its quota, and after their messages are gone."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What its reporter sees of a report."""

    report_id: int
    message_id: int
    kind: str
    state: str
    reported_at: datetime


def report(
    keys: MailboxKeys, master: MasterKeys, message_id: int, *, account_id: int, kind: str, words: str = ""
) -> Reported:
    """Hand a message of this mailbox to the staff; a second report of it changes nothing and gives the first one back.

    The copy and the words are sealed to the service's key for reports: deleting the message afterwards does not take the report
    back, and the report opens nothing else. Raises NotFound, and Refused for an unknown kind, too many words, or too much today.
    """
    if kind not in KINDS:
        raise Refused("there is no such kind of report")
    if len(words) > MAX_WORDS:
        raise Refused(f"at most {MAX_WORDS} characters")
    known = of_message(keys.mailbox_id, message_id)
    if known is not None:
        return known
    _refuse_a_flood(keys.mailbox_id)
    raw, service_key = messages.source(keys, message_id), public_key(master)
    report_id, content_key = new_id(), new_content_key()

    def place(field: str) -> Place:
        return Place("report", keys.mailbox_id, report_id, field)

    values = {
        "mailbox_id": keys.mailbox_id,
        "report_id": report_id,
        "message_id": message_id,
        "account_id": account_id,
        "kind": kind,
        "content_key": seal_for(service_key, content_key, place("content_key")),
        "sealed": seal(content_key, raw, place("sealed")),
        "words": seal(content_key, words.encode(), place("words")) if words.strip() else None,
    }
    db.session.execute(insert(Report).values(**values).on_conflict_do_nothing())
    found = of_message(keys.mailbox_id, message_id)
    assert found is not None
    if found.report_id == report_id:
        _bring(keys, master, found, account_id, words, len(raw))
    return found


def _bring(
    keys: MailboxKeys, master: MasterKeys, report: Reported, account_id: int, words: str, size: int
) -> None:
    """Put a new report into a case. What staff see at once is its kind, its reporter's words and whom it is about; no more."""
    secret = open_secret(master)
    view = _view(keys, report.message_id)
    told = view.authentication
    about = subjects.account_of(view.sender[1]) if told is None or told.verdict != "failed" else None
    if about == account_id:
        about = None  # in one's own name: that is somebody else's doing
    brought = Brought(
        item_id=report.report_id,
        kind=report.kind,
        source="report",
        subjects=subjects.of_view(secret, view, about),
        label=view.sender[1],
        about=about,
        account_id=account_id,
        report=(keys.mailbox_id, report.report_id),
        reporter=f"account:{account_id}",
        answerable=True,
        words=words.strip(),
        size=size,
    )
    take(master, secret, brought, actor=f"account:{account_id}")


def _view(keys: MailboxKeys, message_id: int) -> reading.View:
    """What a message says of itself; nothing where it cannot be read."""
    if messages.line(keys, message_id).state != "filed":
        return reading.View()
    return reading.load(keys, message_id)


def _refuse_a_flood(mailbox_id: int) -> None:
    today = Report.reported_at > func.now() - timedelta(days=1)
    query = select(func.count(), func.coalesce(func.sum(func.octet_length(Report.sealed)), 0))
    count, size = db.session.execute(query.where(Report.mailbox_id == mailbox_id, today)).one()
    if count >= MAX_A_DAY or size >= MAX_BYTES_A_DAY:
        raise Refused("You have reported very much today. Please go on tomorrow.")


_SHOWN = select(Report.report_id, Report.message_id, Report.kind, Report.state, Report.reported_at)


def of_message(mailbox_id: int, message_id: int) -> Reported | None:
    """The report of a message, if there is one."""
    query = _SHOWN.where(Report.mailbox_id == mailbox_id, Report.message_id == message_id)
    row = db.session.execute(query).first()
    return Reported(*row) if row else None


def of_mailbox(mailbox_id: int, limit: int = 100) -> list[Reported]:
    """What was reported from a mailbox, newest first."""
    query = _SHOWN.where(Report.mailbox_id == mailbox_id)
    rows = db.session.execute(query.order_by(Report.reported_at.desc(), Report.report_id).limit(limit))
    return [Reported(*row) for row in rows]


def open_report(master: MasterKeys, mailbox_id: int, report_id: int) -> tuple[bytes, str]:
    """The reported message and its reporter's words. Whoever calls this has written down before that, and why, it is opened."""
    query = (
        select(Report.content_key, Report.sealed, Report.words, ServiceKey.wrapped)
        .join(ServiceKey, ServiceKey.purpose == PURPOSE)
        .where(Report.mailbox_id == mailbox_id, Report.report_id == report_id)
    )
    row = db.session.execute(query).one()

    def place(field: str) -> Place:
        return Place("report", mailbox_id, report_id, field)

    content_key = open_service(master, PURPOSE, row.wrapped, row.content_key, place("content_key"))
    words = unseal(content_key, row.words, place("words")).decode() if row.words else ""
    return unseal(content_key, row.sealed, place("sealed")), words
