"""Filing: a received message is opened, read, threaded, indexed, and given its line in the list. One transaction a message."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select, update

from webmail.db import db
from webmail.keys import MailboxKeys
from webmail.mail import correspondents, fingerprint, messages, mime, passed_on, reading, search, threads
from webmail.mail.messages import Summary
from webmail.mail.models import Message
from webmail.mail.references import thread_keys
from webmail.settings import domains, kept


@dataclass(frozen=True, slots=True)
class Filed:
    """Where a message was put."""

    message_id: int
    thread_id: int


def file(
    keys: MailboxKeys, message_id: int, mark: Callable[[fingerprint.Fingerprint], object] | None = None
) -> Filed | None:
    """File a received message of this mailbox; None when it is gone or was filed before (a job may run twice).

    `mark` is called with what the message is known again by, before anything is written.
    """
    query = select(Message.state, Message.content_key).where(
        Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id
    )
    row = db.session.execute(query.with_for_update()).first()
    if row is None or row.state != "received":
        return None
    content_key = keys.open_content_key(row.content_key, message_id)
    raw = messages.source(keys, message_id)
    parsed = mime.parse(raw)
    if mark is not None:
        mark(fingerprint.of(raw, parsed))
    built = reading.build(raw, message_id, parsed=parsed)
    thread_id = write(keys, message_id, content_key, built)
    _place(keys, message_id, built.view)
    return Filed(message_id, thread_id)


def _place(keys: MailboxKeys, message_id: int, view: reading.View) -> None:
    """Count the sender, and put into Junk what is blocked, and what is not from whom it says."""
    address = view.sender[1]
    blocked = False
    if address:
        correspondents.wrote(keys, address)
        blocked = correspondents.known(keys, address).blocked
    if blocked or _is_forged(keys, view):
        messages.act(keys.mailbox_id, [message_id], "junk")


def _is_forged(keys: MailboxKeys, view: reading.View) -> bool:
    """Disowned by its domain (RFC 7489 section 6.3, p=), or in the name of a domain of ours without its proof, or from several
    authors at once, so that each program shows another one. What a list changed that the reader writes to is not meant."""
    told = view.authentication
    if told is None or told.verdict != "failed":
        return False
    if told.reason.startswith("several From"):
        return True
    disowned = told.dmarc_policy in ("quarantine", "reject") and kept.text("spam.disowned") == "junk"
    forged = disowned or _is_ours(view.sender[1])
    return forged and not passed_on.by_known_list(keys, view)


def _is_ours(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    return any(domain == one or domain.endswith(f".{one}") for one in domains.names())


def write(
    keys: MailboxKeys, message_id: int, content_key: bytes, built: reading.Built, *, state: str = "filed"
) -> int:
    """Write everything that is made from a message: summary, thread, index, and what it shows. The conversation's id."""
    view = built.view
    threads.lock(keys.mailbox_id)
    names = thread_keys(view.message_id, "", view.references)
    thread_id = threads.join(keys, names)
    reading.store(keys, message_id, content_key, built)
    search.index(keys, message_id, _text(view))
    summary = Summary(view.subject[:500], view.sender, view.to[:3], view.snippet)
    values = {
        "state": state,
        "content_key": keys.wrap_content_key(content_key, message_id),
        "summary": summary.seal(content_key, keys.mailbox_id, message_id),
        "thread_id": thread_id,
        "attachments": min(len(view.files), 32_000),
    }
    mine = (Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    db.session.execute(
        update(Message).where(*mine).values(**values).execution_options(synchronize_session=False)
    )
    return thread_id


def give_up(mailbox_id: int, message_id: int) -> None:
    """Show a message that cannot be read as just that: in its folder, unread, with its source to download."""
    mine = (Message.mailbox_id == mailbox_id, Message.message_id == message_id, Message.state == "received")
    db.session.execute(
        update(Message).where(*mine).values(state="unreadable").execution_options(synchronize_session=False)
    )


def _text(view: reading.View) -> search.Text:
    people = " ".join(f"{name} {address}" for name, address in (*view.to, *view.cc, *view.bcc))
    names = " ".join(item.name for item in view.files)
    return search.Text(
        view.subject, " ".join(view.sender), people, f"{names}\n{view.text}" if names else view.text
    )
