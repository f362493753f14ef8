"""Sending: a draft becomes a message in Sent and a row in the outbox, in one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update

from webmail import jobs
from webmail.db import db, new_id, show_id
from webmail.errors import Conflict, Refused
from webmail.keys import MailboxKeys, seal
from webmail.mail import filing, messages, reading
from webmail.mail.addresses import Address, parse_recipients, parse_spec
from webmail.mail.folders import Kind
from webmail.mail.models import Message, MessageSource
from webmail.mail.receiving import source_place
from webmail.sending import drafts, outbox
from webmail.sending.composing import Attachment, Composition, CompositionError, build
from webmail.sending.models import Draft

MAX_RECIPIENTS = 100


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

    Runs in the caller's transaction; once that commits, the message cannot be lost. Raises Conflict when the draft was changed or
    sent meanwhile (two presses of Send make one message), Refused for what must not leave as it is.
    """
    query = select(Draft.revision).where(Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    if db.session.execute(query.with_for_update()).scalar() != revision:
        raise Conflict("draft")
    draft = drafts.load(keys, message_id)
    to, cc, bcc = (parse_recipients(item) for item in (draft.fields.to, draft.fields.cc, draft.fields.bcc))
    everybody = [address.email for address in (*to, *cc, *bcc)]
    if not everybody:
        raise Refused("There is nobody to send it to.")
    if len(set(everybody)) > MAX_RECIPIENTS:
        raise Refused(f"A message goes to {MAX_RECIPIENTS} people at the most.")
    answers = _answered(keys, draft.fields)
    files = [
        Attachment(item.name, item.content_type, item.content) for item in drafts.files(keys, message_id)
    ]
    raw = _build(draft.fields, author, (to, cc, bcc), answers, files)
    if len(raw) > limit * 2:
        raise Refused("The message is too large to leave.")
    _move_to_sent(keys, message_id, raw)
    if draft.fields.answers is not None or draft.fields.forwards is not None:
        origin = draft.fields.answers if draft.fields.answers is not None else draft.fields.forwards
        outbox.mark_answered(keys.mailbox_id, origin or 0, forwarded=draft.fields.answers is None)
    submission_id = outbox.submit(keys.mailbox_id, message_id, account_id, author[1], everybody)
    jobs.ring_after_commit(jobs.SEND)
    return submission_id


def _answered(keys: MailboxKeys, fields: drafts.Fields) -> reading.View | None:
    if fields.answers is None:
        return None
    return reading.load(keys, messages.line(keys, fields.answers).message_id)


def _build(
    fields: drafts.Fields,
    author: tuple[str, str],
    people: tuple[Sequence[Address], Sequence[Address], Sequence[Address]],
    answers: reading.View | None,
    files: Sequence[Attachment],
) -> bytes:
    sender = parse_spec(author[1])
    composition = Composition(
        sender=Address(sender.local, sender.domain, author[0]),
        to=tuple(people[0]),
        cc=tuple(people[1]),
        bcc=tuple(people[2]),
        subject=fields.subject,
        body=fields.body,
        attachments=tuple(files),
        in_reply_to=answers.message_id if answers and answers.message_id else None,
        references=answers.references if answers else (),
        message_id=f"{show_id(new_id())}.{show_id(new_id())}@{sender.domain}",
        date=datetime.now(UTC),
    )
    try:
        return build(composition)
    except CompositionError as error:
        raise Refused(str(error)) from None


def _move_to_sent(keys: MailboxKeys, message_id: int, raw: bytes) -> None:
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
    db.session.execute(
        delete(Draft).where(Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    )
