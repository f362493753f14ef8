"""Taking mail in: sealed for each recipient and committed, before anybody has looked inside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert

from webmail import work
from webmail.db import db, new_id
from webmail.keys import Place, new_content_key, seal, seal_content_key
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import Recipient
from webmail.mail.models import Message, MessageSource


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP said about a message: the return path ('' for a bounce) and who gets it."""

    sender: str
    recipients: Sequence[Recipient]


def receive(envelope: Envelope, raw: bytes) -> list[int]:
    """Store `raw` in every recipient's mailbox, each copy sealed under a key of its own; the new message ids.

    Runs in the caller's transaction: all copies or none. Needs no key that opens anything, reads nothing back, and nothing of
    the content is parsed, so nothing in it can make it fail. Two addresses of one mailbox get one copy.
    """
    made = []
    for recipient in {item.mailbox_id: item for item in envelope.recipients}.values():
        mailbox_id, message_id, content_key = recipient.mailbox_id, new_id(), new_content_key()
        db.session.execute(
            insert(Message).inline(),
            {
                "mailbox_id": mailbox_id,
                "message_id": message_id,
                "folder_id": int(Kind.INBOX),
                "state": "received",
                "direction": "in",
                "size_bytes": len(raw),
                "envelope_from": envelope.sender,
                "envelope_to": recipient.address,
                "content_key": seal_content_key(content_key, recipient.public_key, mailbox_id, message_id),
            },
        )
        sealed = seal(content_key, raw, source_place(mailbox_id, message_id))
        db.session.execute(
            insert(MessageSource).inline(),
            {"mailbox_id": mailbox_id, "message_id": message_id, "sealed": sealed},
        )
        work.add(work.FILE, mailbox_id, message_id)
        made.append(message_id)
    return made


def source_place(mailbox_id: int, message_id: int) -> Place:
    """Where a sealed source belongs."""
    return Place("message_source", mailbox_id, message_id, "sealed")
