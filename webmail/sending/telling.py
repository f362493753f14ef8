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

from webmail import jobs, phrases
from webmail.db import db
from webmail.mail import mailboxes, receiving
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.phrases import gettext as _
from webmail.phrases import marked
from webmail.sending import dkim
from webmail.sending.composing import Composition, build
from webmail.settings import dkim_keys, domains, languages

_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
_ROLES = {
    "support": marked("Support"),
    "support_lead": marked("Support lead"),
    "reviewer": marked("Reviewer"),
    "admin": marked("Admin"),
    "auditor": marked("Auditor"),
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
    with phrases.written_in(languages.standard()):
        subject, body = words(what, facts, made_at, settings.origin)
        hello = _("Hello %(name)s,", name=who.name) if who.name else _("Hello,")
    composition = Composition(
        sender=sender,
        to=(parse_spec(to),),
        subject=subject,
        body=f"{hello}\n\n{body}",
        message_id=f"<{sha256(f'told:{number}'.encode()).hexdigest()[:32]}@{home}>",
        date=datetime.now(UTC),
    )
    raw = _AUTOMATIC + build(composition)
    keys = dkim_keys.signing(current_app.extensions["master_keys"], home)
    return dkim.sign(raw, home, keys, int(time.time()))


def words(what: str, facts: Mapping[str, Any], made_at: datetime, origin: str) -> tuple[str, str]:
    """Subject and text, in the language of `phrases.written_in`. Raises ValueError for a `what` that there are no words for."""
    match what:
        case "sign-in":
            subject, paragraphs = _sign_in(facts, made_at, origin)
        case "role-granted" | "role-revoked":
            subject, paragraphs = _role(what, _(_ROLES[facts["role"]]), made_at, origin)
        case "request-answered":
            link = f"{origin}/my-data/requests"
            subject = _("Your request about privacy is answered")
            paragraphs = [_("Your request about privacy is answered:\n%(link)s", link=link), _time(made_at)]
        case "request-extended":
            link = f"{origin}/my-data/requests"
            subject = _("Your request about privacy takes longer, and we say why")
            said = _("Your request about privacy takes longer, and we say why:\n%(link)s", link=link)
            paragraphs = [said, _time(made_at)]
        case "restriction-ends":
            subject = _("The restriction of your data ends in seven days")
            said = _(
                "You asked that your data is only kept. What had to be looked at has been looked at, and the restriction ends"
                " seven days from now. You can have it stopped again:\n%(link)s",
                link=f"{origin}/my-data/stops",
            )
            paragraphs = [said, _time(made_at)]
        case _:
            raise ValueError(f"no words for {what}")
    return subject, "\n\n".join(paragraphs) + "\n"


def _time(made_at: datetime) -> str:
    return _("Time: %(moment)s", moment=phrases.moment(made_at))


def _sign_in(facts: Mapping[str, Any], made_at: datetime, origin: str) -> tuple[str, list[str]]:
    network = facts.get("network")
    where = [
        _("Device: %(device)s", device=facts["device"]),
        _("Network: %(network)s", network=network) if network else _("Network: unknown"),
        _time(made_at),
    ]
    return _("New sign-in: %(device)s", device=facts["device"]), [
        _("Somebody signed in to your account from a device or a network that it was not used from before."),
        "\n".join(where),
        _(
            "If that was you, there is nothing to do. If not, sign out everywhere and change your password:\n%(link)s",
            link=f"{origin}/settings/sessions",
        ),
    ]


def _role(what: str, role: str, made_at: datetime, origin: str) -> tuple[str, list[str]]:
    if what == "role-granted":
        return _("You have the role %(role)s", role=role), [
            _("The role %(role)s was given to you.", role=role),
            _time(made_at),
            _("What waits for you is here:\n%(link)s", link=f"{origin}/staff"),
        ]
    return _("You no longer have the role %(role)s", role=role), [
        _("The role %(role)s was taken from you.", role=role),
        _time(made_at),
        _("If this is a mistake, ask an admin."),
    ]
