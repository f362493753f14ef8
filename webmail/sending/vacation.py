"""Answering for somebody who is away (RFC 3834): composed here, kept in Sent, and sent through the outbox as any other mail."""

import logging
from datetime import UTC, datetime

from webmail import jobs
from webmail.db import rows
from webmail.errors import Refused
from webmail.keys import MailboxKeys
from webmail.mail import identities, reading, vacation
from webmail.mail.addresses import Address, parse_spec
from webmail.mail.folders import Kind
from webmail.mail.identities import Identity, Own
from webmail.mail.mailboxes import refuse_unless_active, refuse_when_full
from webmail.mail.vacation import Vacation
from webmail.mail.view import View
from webmail.sending import answering, limits, outbox, returning, submitting
from webmail.sending.composing import Composition, CompositionError, build, new_message_id, reply
from webmail.sending.composing.answers import base_subject

log = logging.getLogger(__name__)
_AUTOMATIC = b"Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n"
"""Fields that keep other automata from answering (RFC 3834 section 3.1.7)."""


def answer(keys: MailboxKeys, message_id: int) -> int | None:
    """Answer a message that was filed just now, if its reader is away and it is one to answer; the answer's id in Sent, or None.

    In the transaction that files the message: either both are there or neither, and filing again finds nothing to file. Never
    raises for what is in the message; whoever calls still wraps it in a savepoint, so that trouble here costs an answer and not
    a message, and asks `vacation.is_on` before.
    """
    found = rows(_FILED, {"mailbox": keys.mailbox_id, "message": message_id})
    if not found:
        return None
    folder_id, envelope_from, envelope_to, received_at = found[0]
    wanted = vacation.load(keys)
    if folder_id != Kind.INBOX or not wanted.covers(received_at):
        return None
    view, mine = reading.load(keys, message_id), identities.own(keys.mailbox_id)
    code = vacation.why_not(view, envelope_from, mine)
    if returning.submission_of(envelope_to) is not None:
        code = "report"  # only what answers by itself writes to a return path
    if code is not None:
        log.info("not answered", extra={"mailbox": keys.mailbox_id, "item": message_id, "why": code})
        return None
    return _send(keys, wanted, view, envelope_from, mine)


_FILED = """
    SELECT folder_id, envelope_from, envelope_to, received_at FROM message
     WHERE mailbox_id = %(mailbox)s AND message_id = %(message)s AND state = 'filed' AND direction = 'in'"""


def _send(keys: MailboxKeys, wanted: Vacation, view: View, envelope_from: str, mine: Own) -> int | None:
    try:
        refuse_unless_active(keys.mailbox_id)
        refuse_when_full(keys.mailbox_id)
        to = parse_spec(envelope_from)
        # The identity that was written to; one's own name where only a tag was made up.
        me = identities.answering(identities.of(keys), [vacation.own_recipient(view, mine)])
        raw = _AUTOMATIC + build(_composition(wanted, view, me, to))
    except (Refused, CompositionError):
        return None
    if not limits.may_answer(keys.mailbox_id):
        log.warning("not answered", extra={"mailbox": keys.mailbox_id, "why": "limit"})
        return None
    if not vacation.allowed(keys, envelope_from, view.sender[1]):
        return None
    sent_id = submitting.keep_new(keys, me.address, raw)
    # The null sender: a bounce of it goes nowhere, and no automaton answers it (RFC 3834 section 3.3).
    outbox.submit(keys.mailbox_id, sent_id, None, "", [to.email])
    jobs.ring_after_commit(jobs.SEND)
    return sent_id


def _composition(wanted: Vacation, view: View, me: Identity, to: Address) -> Composition:
    sender = parse_spec(me.address)
    thread = reply(answering.original(view), [sender], "")
    subject = wanted.subject or base_subject(view.subject)[: vacation.MAX_SUBJECT]
    name = view.sender[0] if view.sender[1].casefold() == to.email.casefold() else ""
    return Composition(
        sender=Address(sender.local, sender.domain, me.name),
        to=(Address(to.local, to.domain, name),),
        subject=f"Auto: {subject}".strip(),
        body=wanted.text,
        in_reply_to=thread.in_reply_to,
        references=thread.references,
        message_id=new_message_id(sender.domain),
        date=datetime.now(UTC),
    )
