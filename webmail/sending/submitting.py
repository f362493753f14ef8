"""Sending: a draft becomes a message in Sent and a row in the outbox, in one transaction."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flask import current_app
from sqlalchemy import delete, insert, select, update

from webmail import jobs
from webmail.db import db, new_id
from webmail.errors import Conflict, KeyTrouble, NotFound, Refused
from webmail.keys import MailboxKeys, new_content_key, seal
from webmail.mail import contacts, correspondents, filing, idn, messages, reading, threads
from webmail.mail.addresses import Address, AddressError, parse_recipients, parse_spec
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import refuse_unless_active
from webmail.mail.models import Message, MessageSource
from webmail.mail.receiving import source_place
from webmail.sending import answering, dkim, drafts, outbox
from webmail.sending.composing import (
    Attachment,
    Composition,
    CompositionError,
    build,
    envelope_recipients,
    new_message_id,
    reply,
)
from webmail.sending.models import Draft, Scheduled
from webmail.settings import dkim_keys

log = logging.getLogger(__name__)
MAX_RECIPIENTS = 100


def most_bytes() -> int:
    """How many bytes of attachments leave: base64 adds a third, and the relay's limit is on the whole."""
    return int(current_app.extensions["settings"].message_bytes * 0.7)


def threaded(keys: MailboxKeys, fields: drafts.Fields, draft_id: int | None) -> drafts.Fields:
    """`fields` with the thread of the message that they answer, which is read once and then kept in the draft.

    Raises NotFound when that message is not in this mailbox and was not when the draft was begun.
    """
    origin = fields.answers if fields.answers is not None else fields.forwards
    if origin is None:
        return fields
    before = _saved(keys, draft_id)
    if before and (before.answers, before.forwards) == (fields.answers, fields.forwards):
        return replace(fields, in_reply_to=before.in_reply_to, references=before.references)
    messages.line(keys, origin)
    if fields.answers is None:
        return fields
    answer = reply(answering.original(reading.load(keys, origin)), (), "")
    return replace(fields, in_reply_to=answer.in_reply_to, references=answer.references)


def _saved(keys: MailboxKeys, draft_id: int | None) -> drafts.Fields | None:
    if draft_id is None:
        return None
    try:
        return drafts.load(keys, draft_id).fields
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft that may leave: its bytes, not signed yet, and whom they go to."""

    fields: drafts.Fields
    sender: str
    recipients: Sequence[str]
    people: Sequence[Address]
    raw: bytes


def begin(keys: MailboxKeys) -> None:
    """Before a message is written that leaves in the same transaction.

    What is written holds the mailbox's row, and filing takes its own lock first: who took the two the other way round would be
    refused by the database as a deadlock, in the sight of the author.
    """
    threads.lock(keys.mailbox_id)


def submit(
    keys: MailboxKeys,
    message_id: int,
    revision: int,
    *,
    account_id: int | None,
    author: tuple[str, str],
    limit: int,
) -> int:
    """Send revision `revision` of a draft: it leaves the drafts for Sent, and its recipients are queued. The submission's id.

    Runs in the caller's transaction; once that commits, the message cannot be lost. Raises what `prepare` does.
    """
    ready = prepare(keys, message_id, revision, author=author, limit=limit)
    return leave(keys, message_id, ready, account_id=account_id)


def prepare(
    keys: MailboxKeys, message_id: int, revision: int, *, author: tuple[str, str], limit: int
) -> Ready:
    """Lock a draft until the transaction ends, and build what would leave of it.

    Raises Conflict when the draft was changed or sent meanwhile (two presses of Send make one message), CompositionError (with
    the field) or Refused for what must not leave as it is.
    """
    refuse_unless_active(keys.mailbox_id)
    if drafts.lock(keys.mailbox_id, message_id) != revision:
        raise Conflict("draft")
    fields = drafts.load(keys, message_id).fields
    composition = _composition(keys, message_id, fields, author)
    everybody = envelope_recipients(composition)
    if not everybody:
        raise CompositionError("to", "empty")
    if len(everybody) > MAX_RECIPIENTS:
        raise CompositionError("to", "too-many")
    raw = build(composition)
    if len(raw) > limit * 2:
        raise Refused("The message is too large to leave.")
    people = [*composition.to, *composition.cc, *composition.bcc]
    return Ready(fields, author[1], everybody, people, raw)


def leave(keys: MailboxKeys, message_id: int, ready: Ready, *, account_id: int | None) -> int:
    """Make a draft that was prepared in this transaction a message in Sent and in the outbox; the submission's id."""
    keep(keys, message_id, ready.sender, ready.raw)
    db.session.execute(
        delete(Draft).where(Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    )
    origin = ready.fields.answers if ready.fields.answers is not None else ready.fields.forwards
    if origin is not None:
        outbox.mark_answered(keys.mailbox_id, origin, forwarded=ready.fields.answers is None)
    submission_id = outbox.submit(keys.mailbox_id, message_id, account_id, ready.sender, ready.recipients)
    correspondents.written_to(keys, ready.recipients)
    contacts.learn(keys, ready.people)
    jobs.ring_after_commit(jobs.SEND)
    return submission_id


def was_sent(keys: MailboxKeys, message_id: int, fields: drafts.Fields) -> bool:
    """Whether what was typed has become this message in the outbox already: Send was pressed twice, or an answer was lost.

    Or waits to become it, see `later`. Blanks do not count: the wire folds lines. False when anything else differs, so that no
    text is thrown away.
    """
    if _waits(keys, message_id, fields):
        return True
    states = outbox.statuses(keys.mailbox_id, [message_id], timeline=False).get(message_id)
    if not states:
        return False
    try:
        typed = [*parse_recipients(fields.to), *parse_recipients(fields.cc), *parse_recipients(fields.bcc)]
    except AddressError:
        return False
    view = reading.load(keys, message_id)
    return (
        {person.email for person in typed} == {status.recipient for status in states}
        and _bare(view.subject) == _bare(fields.subject)
        and _bare(view.text) == _bare(fields.body)
    )


def _waits(keys: MailboxKeys, message_id: int, fields: drafts.Fields) -> bool:
    """Whether the draft waits to leave just as it was typed here."""
    query = select(Draft.revision).join(
        Scheduled, (Scheduled.mailbox_id == Draft.mailbox_id) & (Scheduled.message_id == Draft.message_id)
    )
    query = query.where(Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    if db.session.execute(query.where(Scheduled.revision == Draft.revision)).scalar() is None:
        return False
    there = drafts.load(keys, message_id).fields
    return all(
        _bare(getattr(there, name)) == _bare(getattr(fields, name))
        for name in ("to", "cc", "bcc", "subject", "body")
    )


def _bare(text: str) -> str:
    return "".join(text.split())


def _composition(
    keys: MailboxKeys, message_id: int, fields: drafts.Fields, author: tuple[str, str]
) -> Composition:
    sender = parse_spec(author[1])
    return Composition(
        sender=Address(sender.local, sender.domain, author[0]),
        to=_parsed("to", fields.to),
        cc=_parsed("cc", fields.cc),
        bcc=_parsed("bcc", fields.bcc),
        subject=fields.subject,
        body=fields.body,
        attachments=_files(keys, message_id),
        in_reply_to=fields.in_reply_to,
        references=fields.references,
        formatted=fields.formatted,
        reply_to=_parsed("body", fields.reply_to),
        message_id=new_message_id(sender.domain),
        date=datetime.now(UTC),
    )


def _parsed(field: str, text: str) -> tuple[Address, ...]:
    try:
        return parse_recipients(text)
    except AddressError as error:
        raise CompositionError(field, error.reason) from None


def _files(keys: MailboxKeys, message_id: int) -> tuple[Attachment, ...]:
    files: Sequence[drafts.Upload] = drafts.files(keys, message_id)
    return tuple(Attachment(item.name, item.content_type, item.content) for item in files)


def keep(keys: MailboxKeys, message_id: int, sender: str, raw: bytes) -> None:
    """Make a message that is there already (a draft) one in Sent: signed for the domain of `sender`, sealed, threaded, indexed.

    What is sealed is what leaves: every attempt with a relay sends these very bytes. The open transaction's.
    """
    raw = _signed(keys.mailbox_id, sender, raw)
    content_key = messages.content_key(keys, message_id)
    sealed = seal(content_key, raw, source_place(keys.mailbox_id, message_id))
    db.session.execute(
        insert(MessageSource), {"mailbox_id": keys.mailbox_id, "message_id": message_id, "sealed": sealed}
    )
    filing.write(keys, message_id, content_key, reading.build(raw, message_id))
    values = {
        "folder_id": int(Kind.SENT),
        "size_bytes": len(raw),
        "unread": False,
        "received_at": db.func.now(),
    }
    mine = (Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    db.session.execute(
        update(Message).where(*mine).values(**values).execution_options(synchronize_session=False)
    )


def keep_new(keys: MailboxKeys, sender: str, raw: bytes) -> int:
    """Put a message that nobody drafted into Sent, as `keep` does; its id."""
    begin(keys)
    message_id, content_key = new_id(), new_content_key()
    row = {
        "mailbox_id": keys.mailbox_id,
        "message_id": message_id,
        "folder_id": int(Kind.SENT),
        "state": "draft",  # until it has its summary and its thread
        "direction": "out",
        "size_bytes": len(raw),
        "unread": False,
        "envelope_from": sender,
        "content_key": keys.wrap_content_key(content_key, message_id),
    }
    db.session.execute(insert(Message), row)
    keep(keys, message_id, sender, raw)
    return message_id


def _signed(mailbox_id: int, sender: str, raw: bytes) -> bytes:
    """`raw` with the signatures of its sender's domain. Without a key that opens it leaves as it is: mail is not lost for that."""
    domain = idn.to_ascii(parse_spec(sender).domain) or ""
    problem = "no-key"
    try:
        signing = dkim_keys.signing(current_app.extensions["master_keys"], domain)
    except KeyTrouble:
        signing, problem = (), "key-trouble"
    if not signing:
        log.warning("unsigned", extra={"mailbox": mailbox_id, "problem": problem})
    return dkim.sign(raw, domain, signing, int(time.time()))
