"""Telling authors by mail what became of what they sent: once after four hours on its way, and once for whom it has not reached.

A notice is a report as any server makes one (RFC 3464), but it goes nowhere: it is written straight into the author's inbox, in the
conversation of its message. So no notice can bounce, be answered, or come back. Mail with the null return path (what answers by
itself) gets none (RFC 3834 section 3.3, RFC 5321 section 4.5.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import current_app
from sqlalchemy import insert

from webmail import phrases, work
from webmail.db import db, new_id, rows
from webmail.keys import MailboxKeys, new_content_key, seal
from webmail.mail import bounces, filing, messages, reading, threads
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.mail.folders import Kind
from webmail.mail.models import Message, MessageSource
from webmail.mail.receiving import source_place
from webmail.phrases import gettext as _
from webmail.sending import outbox
from webmail.sending.composing import Composition, new_message_id
from webmail.sending.composing.notice import Copy, build_notice, words
from webmail.settings import languages

_AUTOMATIC = b"Auto-Submitted: auto-replied\r\n"
MAX_SUBJECT = 150


@dataclass(frozen=True, slots=True)
class _About:
    """What a notice is about: the message, since when it could leave, and the moment it is looked at."""

    message_id: int
    created_at: datetime
    counts_from: datetime
    now: datetime

    @property
    def is_late(self) -> bool:
        return self.now - self.counts_from >= outbox.TOLD_AFTER


def tell(keys: MailboxKeys, claim: work.Claim) -> str:
    """Tell the author what is to be told now of the submission of a claim: told, waits, nothing, or lost (the claim was).

    In one transaction with the note that it was told and with the work's end, so that killed anywhere it is told once.
    """
    of = {"mailbox": claim.mailbox_id, "submission": claim.item_id}
    # In the order in which filing and sending lock the same.
    threads.lock(claim.mailbox_id)
    copies = rows(_LOCK, of)
    if not work.holds(claim):
        return "lost"
    found = rows(_SUBMISSION, of)
    if not found or not copies:
        work.finish(claim)
        return "nothing"
    about = _About(*found[0])
    news = [made for row in copies if (made := _news(about, *row)) is not None]
    if news:
        _write(keys, about, [copy for _number, copy in news])
        for word in ("failed", "delayed"):
            numbers = [number for number, copy in news if (copy.until is None) == (word == "failed")]
            rows(_NOTE, of | {"word": word, "numbers": numbers})
    told = {number for number, _copy in news}
    if any(row[2] in outbox.OPEN and not row[6] and row[0] not in told for row in copies):
        work.hold(claim, about.counts_from + outbox.TOLD_AFTER, "")
        return "told" if news else "waits"
    work.finish(claim)
    return "told" if news else "nothing"


_MINE = "mailbox_id = %(mailbox)s AND submission_id = %(submission)s"
_LOCK = f"""
    SELECT number, recipient, state, reply_code, reply, changed_at, told FROM delivery WHERE {_MINE} ORDER BY number FOR UPDATE"""
_SUBMISSION = f"""
    SELECT message_id, created_at, counts_from, clock_timestamp() FROM submission WHERE {_MINE} AND envelope_from <> ''"""
_NOTE = f"UPDATE delivery SET told = %(word)s WHERE {_MINE} AND number = ANY(%(numbers)s) RETURNING number"


def _news(
    about: _About,
    number: int,
    recipient: str,
    state: str,
    code: int | None,
    reply: str,
    at: datetime,
    told: str,
) -> tuple[int, Copy] | None:
    """What is to be told of one copy, by its number; None for nothing new."""
    status = bounces.enhanced(reply)
    if state == "failed" and told != "failed":
        # What was put off until the end has a last reply that says "for now"; the status says what it came to.
        status = status if status.startswith("5") else "5.4.7" if code and code < 500 else ""
        return number, Copy(recipient, reply, code, status, at)
    if state in outbox.OPEN and not told and about.is_late:
        until = about.counts_from + outbox.GIVE_UP_AFTER
        return number, Copy(recipient, reply, code, status if status.startswith("4") else "", at, until)
    return None


def _write(keys: MailboxKeys, about: _About, copies: Sequence[Copy]) -> int:
    """File a notice into the inbox, unread, in the conversation of its message; its id."""
    view = reading.load(keys, about.message_id)
    header = messages.source(keys, about.message_id).partition(b"\r\n\r\n")[0]
    author = _address(view.sender[1])
    about_it = " ".join(view.subject.split())[:MAX_SUBJECT]
    with phrases.written_in(languages.standard()):
        if any(copy.until is None for copy in copies):
            subject = _("Not delivered: %(subject)s", subject=about_it)
        else:
            subject = _("Still on its way: %(subject)s", subject=about_it)
        name, body = _("Mail delivery"), words(copies)
    composition = Composition(
        sender=Address("mailer-daemon", author.domain, name),
        to=(author,),
        subject=subject.strip(),
        body=body,
        in_reply_to=f"<{view.message_id}>",
        references=(f"<{view.message_id}>",),
        message_id=new_message_id(author.domain),
        date=datetime.now(UTC),
    )
    host = current_app.extensions["settings"].host_name
    raw = _AUTOMATIC + build_notice(
        composition, copies, reporter=host, arrived=about.created_at, header=header
    )
    return _file(keys, author.email, raw)


def _address(written: str) -> Address:
    try:
        return parse_spec(written)
    except AddressError:  # it left, so it was an address: only another reading of it can say otherwise
        return Address("postmaster", current_app.extensions["settings"].host_name)


def _file(keys: MailboxKeys, to: str, raw: bytes) -> int:
    """Put a message into the inbox as if it had come in, filed already."""
    message_id, content_key = new_id(), new_content_key()
    row = {
        "mailbox_id": keys.mailbox_id,
        "message_id": message_id,
        "folder_id": int(Kind.INBOX),
        "state": "received",
        "direction": "in",
        "size_bytes": len(raw),
        "envelope_from": "",
        "envelope_to": to,
        "content_key": keys.wrap_content_key(content_key, message_id),
    }
    db.session.execute(insert(Message), row)
    sealed = seal(content_key, raw, source_place(keys.mailbox_id, message_id))
    db.session.execute(
        insert(MessageSource), {"mailbox_id": keys.mailbox_id, "message_id": message_id, "sealed": sealed}
    )
    filing.write(keys, message_id, content_key, reading.build(raw, message_id))
    return message_id
