"""Taking a name: who may, where, how many, and which names; the database decides between two who ask for the same one."""

from dataclasses import dataclass

from sqlalchemy import text

from webmail import keys
from webmail.config import Settings
from webmail.db import db
from webmail.errors import MtumailError
from webmail.identity import invitations, names
from webmail.mail import mailboxes
from webmail.settings import domains, kept

LEAST_BYTES = 10_000_000
"""A new mailbox has at least so much space."""


class RegistrationRefused(MtumailError):
    """No mailbox was made. `reason`: "closed", "no-domain", "no-code", "busy", "enough", "no-space", "has-one"; an invitation that
    is none raises InvitationRefused and a name that cannot be had NameRefused."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one person, and everybody together, may take."""

    mode: str
    """Who may take a name in a domain that says nothing of its own: see `domains.MODES`."""
    an_hour: int
    """Mailboxes that all people together take in an hour; 0 for any number."""
    mailboxes: int
    """Mailboxes that a person owns."""
    bytes_each: int
    bytes_together: int
    """Space of all mailboxes that a person owns."""

    @classmethod
    def now(cls, settings: Settings) -> "Limits":
        """As they are in the open transaction."""
        return cls(
            kept.text("registration.mode"),
            kept.whole("registration.signups_hour"),
            kept.whole("limits.person_mailboxes"),
            kept.whole("limits.quota"),
            kept.whole("limits.person_bytes"),
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `contact` is his address elsewhere, for invitations that are bound to one; `is_first`: he has none
    yet, and a second press of the button makes no second one."""

    account_id: int
    full_name: str
    local_part: str
    domain: str
    code: str = ""
    contact: str = ""
    is_first: bool = True


def register(master: keys.MasterKeys, wish: Wish, limits: Limits) -> int:
    """Make the mailbox; its id. The open transaction must name it: see `mailboxes.new_mailbox_id`.

    Raises NameRefused, InvitationRefused or RegistrationRefused, and then nothing has happened: no invitation is used up.
    """
    name = names.read(wish.local_part)
    mailboxes.hold(wish.account_id)
    quota = _refuse_who_has_enough(wish, limits)
    place = next((one for one in domains.hosted() if one.name == wish.domain), None)
    if place is None:
        raise RegistrationRefused("no-domain")
    mode = place.mode(limits.mode)
    if mode == "closed":
        raise RegistrationRefused("closed")
    if mode == "invite" and not wish.code.strip():
        raise RegistrationRefused("no-code")
    names.look(master, name, place.domain_id)
    _refuse_when_busy(limits)
    invitation = None
    if mode == "invite":
        invitation = invitations.claim(master, wish.code, place.domain_id, wish.contact)
    mailbox_id = mailboxes.create(
        master,
        account_id=wish.account_id,
        name=wish.full_name,
        local_part=name,
        domain=place.name,
        quota_bytes=quota,
        actor=f"account:{wish.account_id}",
        most=limits.mailboxes,
    )
    names.refuse_unless_free(master, name, place.domain_id)
    told = {
        "mailbox": mailbox_id,
        "account": wish.account_id,
        "domain": place.domain_id,
        "invitation": invitation,
    }
    db.session.execute(_SIGNED_UP, told)
    return mailbox_id


_SIGNED_UP = text("""
    INSERT INTO sign_up (mailbox_id, account_id, domain_id, invitation_id) VALUES (:mailbox, :account, :domain, :invitation)""")


def _refuse_who_has_enough(wish: Wish, limits: Limits) -> int:
    """The space of one more mailbox. A mailbox that was handed to somebody else still counts for who made it."""
    count, owned, taken = db.session.execute(_HAS, {"account": wish.account_id}).one()
    if wish.is_first and owned:
        raise RegistrationRefused("has-one")
    if count >= limits.mailboxes:
        raise RegistrationRefused("enough")
    quota = min(limits.bytes_each, limits.bytes_together - int(taken))
    if quota < min(LEAST_BYTES, limits.bytes_each):
        raise RegistrationRefused("no-space")
    return quota


_HAS = text("""
    SELECT count(*), count(*) FILTER (WHERE is_owner), coalesce(sum(quota_bytes), 0) FROM (
        SELECT mailbox_id, bool_or(is_owner) AS is_owner FROM (
            SELECT mailbox_id, true AS is_owner FROM mailbox_member WHERE account_id = :account AND role = 'owner'
            UNION ALL SELECT mailbox_id, false FROM sign_up WHERE account_id = :account) both_ways GROUP BY 1) his
      JOIN mailbox USING (mailbox_id) WHERE mailbox.state <> 'closed'""")


def _refuse_when_busy(limits: Limits) -> None:
    """The limit on all people together. Those who ask in the same instant may pass it by as many as they are."""
    if limits.an_hour and db.session.execute(_THIS_HOUR).scalar_one() >= limits.an_hour:
        raise RegistrationRefused("busy")


_THIS_HOUR = text("SELECT count(*) FROM sign_up WHERE at > now() - interval '1 hour'")


def suggest(master: keys.MasterKeys, wish: Wish) -> list[str]:
    """Names near the wanted one that can be had in that domain now; none where the domain is not hosted."""
    domain_id = domains.find(wish.domain)
    return [] if domain_id is None else names.suggest(master, wish.local_part, domain_id, wish.full_name)


def look(master: keys.MasterKeys, local_part: str, domain: str) -> str:
    """The name as it would be taken. Raises NameRefused, or RegistrationRefused("no-domain")."""
    domain_id = domains.find(domain)
    if domain_id is None:
        raise RegistrationRefused("no-domain")
    name = names.read(local_part)
    names.look(master, name, domain_id)
    return name
