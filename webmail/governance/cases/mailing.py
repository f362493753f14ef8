"""Mail to abuse@, postmaster@, security@ and privacy@ that nobody holds: each one becomes a case, and leaves the mailbox.

A message that waits in the service's mailbox is itself the work: whoever is killed while he makes a case of it has made none.
"""

from typing import NamedTuple

from sqlalchemy import select, text

from webmail.db import db
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.governance.cases.taking import Brought, take
from webmail.governance.quarantine.marking import reference_mark
from webmail.keys import MailboxKeys, MasterKeys
from webmail.mail import feedback, messages, mime, reading, vacation
from webmail.mail.addresses import AddressError, base_local, fold, parse_spec
from webmail.mail.identities import Own
from webmail.mail.models import Message
from webmail.mail.view import View
from webmail.sending import returning

KINDS = {"abuse": "other", "security": "security", "postmaster": "request", "privacy": "request"}
"""What mail to each name is, until somebody has read it."""
MAX_WORDS = 4_000


def take_in(master: MasterKeys, keys: MailboxKeys, message_id: int) -> int | None:
    """Make a case of a message in the service's mailbox, and destroy it there; the case. None where it is gone, or came back to a
    letter of ours: filing has told that letter's timeline. In the open transaction, which names that mailbox."""
    mine = (
        Message.mailbox_id == keys.mailbox_id,
        Message.message_id == message_id,
        Message.direction == "in",
    )
    query = select(Message.state, Message.envelope_from, Message.envelope_to).where(*mine).with_for_update()
    row = db.session.execute(query).first()
    if row is None or row.state == "received":
        return None
    case_id = None
    if returning.submission_of(row.envelope_to) is None:
        brought = _read(master, keys, message_id, row.state, row.envelope_from, row.envelope_to)
        case_id = take(master, open_secret(master), brought, actor="system:worker")
    for act in ("trash", "delete"):
        messages.act(keys.mailbox_id, [message_id], act)
    return case_id


def _read(master: MasterKeys, keys: MailboxKeys, message_id: int, state: str, path: str, to: str) -> Brought:
    """What a message brings. One that cannot be read brings itself alone."""
    secret, raw = open_secret(master), messages.source(keys, message_id)
    if state != "filed":
        return Brought(message_id, "other", "mail", label=path, raw=raw)
    told = feedback.read(mime.parse(raw), raw)
    if told is not None:
        return _complaint(secret, message_id, told, raw)
    return _letter(secret, message_id, reading.load(keys, message_id), path, to, raw)


def _complaint(secret: CaseSecret, message_id: int, told: feedback.Feedback, raw: bytes) -> Brought:
    """A server's complaint. Nobody answers it: what sent it does not read."""
    author = _author(told) or _named(secret, told)
    about = author.account_id if author else None
    found = [subjects.account(secret, about)] if about is not None else []
    if told.sender:
        found.append(subjects.sender(secret, told.sender))
    if told.message_id:
        found.append(subjects.message(secret, told.message_id))
    words = subjects.body(secret, told.text)
    lines = [
        f"{told.type} · {told.agent}".strip(" ·"),
        f"Source-IP: {told.source_ip}" if told.source_ip else "",
    ]
    return Brought(
        message_id,
        told.kind,
        "feedback",
        subjects=tuple(dict.fromkeys([*found, words] if words else found)),
        label=told.sender or told.source_ip or told.agent,
        about=about,
        words="\n".join(filter(None, lines)),
        raw=raw,
        sent=(author.mailbox_id, author.message_id) if author and author.message_id else None,
    )


class _Author(NamedTuple):
    """Who wrote what is complained of, None where nobody is known any more, and which message of his it is, while it is there."""

    account_id: int | None
    mailbox_id: int
    message_id: int | None


def _author(told: feedback.Feedback) -> _Author | None:
    """Whose message is complained of: somebody of ours, as a return path proves that only who has the message can name."""
    for path in told.paths:
        submission_id = returning.submission_of(path)
        if submission_id is None:
            continue
        try:
            address = parse_spec(path)
        except AddressError:
            continue
        values = {
            "local": base_local(address.local),
            "domain": address.domain,
            "submission": submission_id,
            "path": path,
        }
        found = db.session.execute(_AUTHOR, values).first()
        if found is not None:
            return _Author(*found)
    return None


_AUTHOR = text("""
    SELECT a.account_id, a.mailbox_id, submission_message(a.mailbox_id, :submission)
      FROM submission_author(:local, :domain, :submission, :path) a""")


def _named(secret: CaseSecret, told: feedback.Feedback) -> _Author | None:
    """The same where the complaint says no return path: by the Message-ID, which those know who got the message, and its author's
    address, which must be of the very mailbox that it left from."""
    mark = reference_mark(secret, told.message_id)
    try:
        address = parse_spec(told.sender)
    except AddressError:
        return None
    values = {"mark": mark, "local": base_local(address.local), "domain": address.domain}
    found = db.session.execute(_NAMED, values).first() if mark is not None else None
    return _Author(*found) if found is not None else None


_NAMED = text("SELECT account_id, mailbox_id, message_id FROM submission_referred(:mark, :local, :domain)")


def _letter(secret: CaseSecret, message_id: int, view: View, path: str, to: str, raw: bytes) -> Brought:
    """What somebody wrote to the service. Known again by his address; what a machine sent is not answered (RFC 3834)."""
    answered = vacation.why_not(view, path, Own(to, frozenset({_key(to)}))) in (None, "not-addressed")
    name = base_local(to.partition("@")[0])
    contact = {
        "to": path,
        "from": to,
        "name": view.sender[0],
        "message_id": view.message_id,
        "subject": view.subject[:300],
    }
    return Brought(
        message_id,
        KINDS.get(name, "request"),
        "mail",
        subjects=(subjects.message(secret, view.message_id),) if view.message_id else (),
        label=view.subject or view.sender[1] or path,
        reporter=f"address:{fold(path)}" if path else "",
        answerable=answered,
        words=view.text.strip()[:MAX_WORDS],
        contact=contact if answered else {},
        raw=raw,
    )


def _key(address: str) -> str:
    try:
        return parse_spec(address).key
    except AddressError:
        return fold(address)
