"""Telling a person what happened to the account: a message in the own mailbox, and a copy to the contact address by the relay.

Both are made from codes (`Told.what` and the facts of an errand), hold nothing secret, ask for nothing, and link to no page but the
one where something can be done. The null return path and RFC 3834's field keep machines from answering.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from flask import current_app
from sqlalchemy import text

from webmail import jobs
from webmail.db import db
from webmail.mail import mailboxes, receiving
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.sending import dkim
from webmail.sending.composing import Composition, build
from webmail.settings import dkim_keys, domains

_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
_ROLES = {
    "support": "Support",
    "support_lead": "Support lead",
    "reviewer": "Reviewer",
    "admin": "Admin",
    "auditor": "Auditor",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who is told: the address of the own mailbox, "" without one, and where else, "" for nowhere."""

    name: str
    address: str
    contact: str

    @property
    def elsewhere(self) -> str:
        """The contact address, unless it is the mailbox itself or no address."""
        try:
            contact = parse_spec(self.contact).email
        except AddressError:
            return ""
        return "" if contact.lower() == self.address.lower() else contact


def person(account_id: int) -> Person | None:
    """Who an account is; None when there is no such account any more, or it is closed."""
    row = db.session.execute(_PERSON, {"account": account_id}).first()
    return Person(*row) if row else None


_PERSON = text("""
    SELECT a.name, coalesce(ad.local_part || '@' || d.name, ''), a.contact_email FROM account a
      LEFT JOIN mailbox_member m ON m.account_id = a.account_id AND m.role = 'owner'
      LEFT JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary LEFT JOIN domain d ON d.domain_id = ad.domain_id
     WHERE a.account_id = :account AND a.status <> 'closed' ORDER BY m.since LIMIT 1""")


def mailbox_of(who: Person) -> mailboxes.Recipient | None:
    """The mailbox that takes the message, None where there is none that takes mail now."""
    if not who.address:
        return None
    found = mailboxes.resolve(parse_spec(who.address))
    return found if isinstance(found, mailboxes.Recipient) else None


def keep(recipient: mailboxes.Recipient, raw: bytes) -> int:
    """Put it into the mailbox, as mail that comes in, to be filed; its id. In a transaction of that mailbox."""
    [message_id] = receiving.receive(receiving.Envelope("", [recipient]), raw)
    jobs.ring_after_commit(jobs.FILE)
    return message_id


def letter(
    number: int, who: Person, to: str, what: str, facts: Mapping[str, Any], made_at: datetime
) -> bytes:
    """The message to `to` about an errand `number`, signed for its author's domain.

    The same errand makes the same Message-ID, so that a copy that is sent twice is known as one. Raises ValueError for a `what`
    that there are no words for.
    """
    settings = current_app.extensions["settings"]
    home = who.address.rpartition("@")[2] or next(iter(domains.names()), settings.host_name)
    sender = Address("noreply", home, "mtumail")
    subject, body = words(what, facts, made_at, settings.origin)
    composition = Composition(
        sender=sender,
        to=(parse_spec(to),),
        subject=subject,
        body=f"{f'Hello {who.name},' if who.name else 'Hello,'}\n\n{body}",
        message_id=f"<{sha256(f'told:{number}'.encode()).hexdigest()[:32]}@{home}>",
        date=datetime.now(UTC),
    )
    raw = _AUTOMATIC + build(composition)
    keys = dkim_keys.signing(current_app.extensions["master_keys"], home)
    return dkim.sign(raw, home, keys, int(time.time()))


def words(what: str, facts: Mapping[str, Any], made_at: datetime, origin: str) -> tuple[str, str]:
    """Subject and text. Raises ValueError for a `what` that there are no words for."""
    moment = f"{made_at.astimezone(UTC):%d %B %Y, %H:%M} UTC"
    match what:
        case "sign-in":
            network = facts.get("network") or "unknown"
            body = (
                "Somebody signed in to your account from a device or a network that it was not used from before.\n\n"
                f"Device: {facts['device']}\nNetwork: {network}\nTime: {moment}\n\n"
                "If that was you, there is nothing to do. If not, sign out everywhere and change your password:\n"
                f"{origin}/settings/sessions\n"
            )
            return f"New sign-in: {facts['device']}", body
        case "role-granted" | "role-revoked":
            role = _ROLES[facts["role"]]
            given = what == "role-granted"
            ending = (
                f"What waits for you is here:\n{origin}/staff"
                if given
                else "If this is a mistake, ask an admin."
            )
            return (
                f"You {'have' if given else 'no longer have'} the role {role}",
                f"The role {role} was {'given to' if given else 'taken from'} you.\n\nTime: {moment}\n\n{ending}\n",
            )
        case "request-answered" | "request-extended":
            said = "is answered" if what == "request-answered" else "takes longer, and we say why"
            return (
                f"Your request about privacy {said}",
                f"Your request about privacy {said}:\n{origin}/my-data/requests\n\nTime: {moment}\n",
            )
    raise ValueError(f"no words for {what}")
