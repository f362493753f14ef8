"""What to point out before a message leaves: said once, gently, and never in the way of sending all the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from webmail.keys import MailboxKeys
from webmail.mail import contacts, correspondents, trust
from webmail.mail.addresses import Address, AddressError, parse_recipients
from webmail.sending import bounces, drafts
from webmail.sending.composing import MANY_RECIPIENTS, is_slip_of, speaks_of_files
from webmail.sending.drafts import Fields
from webmail.settings import domains
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

MAX_NOTED = 3
"""So many new addresses are named below a field; more would be a wall of words."""
_MAX_FAMILIAR = 2_000


@dataclass(frozen=True, slots=True)
class Reminder:
    """One thing to look at. `code` comes back with the form, so that nothing is said twice."""

    code: str
    words: str


def recipients(fields: Fields) -> list[Address]:
    """Everybody it goes to, each once; those of a field that cannot be read are left out."""
    found: dict[str, Address] = {}
    for typed in (fields.to, fields.cc, fields.bcc):
        try:
            people = parse_recipients(typed)
        except AddressError:
            continue
        for person in people:
            found.setdefault(person.email.lower(), person)
    return list(found.values())


def strangers(keys: MailboxKeys, fields: Fields) -> list[str]:
    """Addresses that this mailbox never wrote to nor had mail from: at most three, to be noted quietly."""
    return [person.email for person in _strangers(keys, recipients(fields))][:MAX_NOTED]


def before_sending(keys: MailboxKeys, draft: drafts.Opened) -> list[Reminder]:
    """What to point out about a draft. Costs one look-up by tokens; the book is opened only for an address that is new."""
    fields, people = draft.fields, recipients(draft.fields)
    found: list[Reminder] = []
    if not draft.attachments and speaks_of_files(fields.subject, fields.body):
        found.append(Reminder("file", _("You wrote that something is attached, but there is no file.")))
    if not fields.subject.strip():
        found.append(Reminder("subject", _("It has no subject.")))
    if fields.answers is not None and len(people) > MANY_RECIPIENTS:
        words = ngettext("It goes to %(num)s person.", "It goes to all of %(num)s people.", len(people))
        found.append(Reminder("many", words))
    found += _slips(keys, people)
    for failed in bounces.warnings(keys, [person.email for person in people])[:MAX_NOTED]:
        words = _(
            "The last mail to %(address)s came back for good. It may do so again.", address=failed.address
        )
        found.append(Reminder(f"failed:{keys.token(failed.address.lower())}", words))
    return found


def _strangers(keys: MailboxKeys, people: Sequence[Address]) -> list[Address]:
    known = correspondents.known_all(keys, [person.email for person in people])
    return [person for person, one in zip(people, known, strict=True) if one.sent == 0 and one.received == 0]


def _slips(keys: MailboxKeys, people: Sequence[Address]) -> list[Reminder]:
    """Addresses that are new and a slip of the finger away from one that is known, or whose domain looks like one of those."""
    new = _strangers(keys, people)
    if not new:
        return []
    familiar = contacts.addresses(keys, _MAX_FAMILIAR)
    known = {address.lower() for address in familiar}
    ours = domains.names()
    theirs = list(dict.fromkeys(address.rpartition("@")[2].lower() for address in familiar))[:200]
    found = []
    for person in new:
        email = person.email.lower()
        meant = None if email in known else _meant(email, familiar, ours, theirs)
        if meant:
            words = _(
                "You have not written to %(address)s before. Did you mean %(meant)s?",
                address=person.email,
                meant=meant,
            )
            found.append(Reminder(f"slip:{keys.token(email)}", words))
    return found[:MAX_NOTED]


def _meant(email: str, familiar: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The address, or the domain, that somebody probably meant; "" for an address that is simply new."""
    for address in familiar:
        if is_slip_of(email, address):
            return address
    local, _at, domain = email.rpartition("@")
    if domain in ours or domain in theirs:
        return ""
    for name in (*ours, *theirs):
        if is_slip_of(domain, name):
            return f"{local}@{name}"
    likeness = trust.likeness(domain, ours, theirs)
    return f"{local}@{likeness.target}" if likeness and likeness.kind in ("same-look", "one-edit") else ""
