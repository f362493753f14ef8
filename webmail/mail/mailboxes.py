"""Mailboxes: making one, finding the one behind an address, and by what right it is opened."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from webmail import audit, keys
from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.identity.viewer import MEMBER_ROLES
from webmail.mail import folders
from webmail.mail.addresses import Address, base_local
from webmail.mail.models import MailAddress, Mailbox, MailboxKey, MailboxMember
from webmail.settings import domains


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox that takes mail, and the key that mail for it is sealed with. `since`: when it got this address, None for ever."""

    mailbox_id: int
    public_key: bytes
    address: str
    since: datetime | None = None


class Refusal(Enum):
    """Why an address takes no mail now; each has its own SMTP reply."""

    UNKNOWN = "unknown"
    NOT_LOCAL = "not_local"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    RECLAIMED = "reclaimed"
    FULL = "full"


def create(
    master: keys.MasterKeys,
    *,
    account_id: int,
    name: str,
    local_part: str,
    domain: str,
    quota_bytes: int,
    actor: str,
    most: int = 1,
) -> int:
    """Make a mailbox with its keys, folders and primary address; its id. The open transaction must name it: see `new_mailbox_id`.

    Raises Refused when the domain is not hosted, or the account owns `most` mailboxes: one that asks ten times at once gets no
    more. Raises NameRefused ("taken", "alike") when the address, or one that looks like it, is somebody's: also of whoever asked
    in the same instant. What was reserved and what rests is for `registering` to ask.
    """
    # Here and not above: inbound looks mailboxes up and makes none, and what compares names reads far more than names.
    from webmail.identity.names import NameRefused, likeness

    hold(account_id)
    if owned(account_id) >= most:
        raise Refused("You have a mailbox already.")
    domain_id = domains.giving(domain)
    if domain_id is None:
        raise Refused(f"{domain} is not hosted here, or gives no names")
    mailbox_id = _named_mailbox()
    made = keys.new_mailbox_keys(master, mailbox_id)
    mailbox = Mailbox(
        mailbox_id=mailbox_id, display_name=name, public_key=made.public_key, quota_bytes=quota_bytes
    )
    address = MailAddress(
        domain_id=domain_id,
        local_part=base_local(local_part),
        mailbox_id=mailbox_id,
        is_primary=True,
        likeness=likeness(local_part) or None,
    )
    try:
        with db.session.begin_nested():
            db.session.add(mailbox)
            db.session.flush()
            db.session.add(address)
            db.session.flush()
    except IntegrityError as error:
        broken = getattr(getattr(error.orig, "diag", None), "constraint_name", "")
        raise NameRefused("alike" if broken == "address_likeness_taken_once" else "taken") from None
    db.session.add(MailboxKey(mailbox_id=mailbox_id, wrapped=made.wrapped))
    db.session.add(MailboxMember(mailbox_id=mailbox_id, account_id=account_id))
    db.session.flush()
    db.session.execute(_HOME, {"account": account_id, "mailbox": mailbox_id})
    folders.create_all(mailbox_id)
    audit.record("mailbox.created", actor, mailbox=mailbox_id, account=account_id)
    return mailbox_id


_HOME = text(
    "UPDATE account SET home_mailbox_id = :mailbox WHERE account_id = :account AND home_mailbox_id IS NULL"
)


def hold(account_id: int) -> None:
    """One mailbox of an account is made at a time: whoever asks next waits for this transaction."""
    db.session.execute(_ONE_AT_A_TIME, {"account": account_id})


def owned(account_id: int) -> int:
    """How many mailboxes an account owns."""
    return int(db.session.execute(_OWNED_NOW, {"account": account_id}).scalar_one())


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail first mailbox', :account))")
_OWNED_NOW = text("SELECT count(*) FROM mailbox_member WHERE account_id = :account AND role = 'owner'")


def new_mailbox_id() -> int:
    """An id to open the transaction with in which `create` makes the mailbox."""
    return new_id()


def _named_mailbox() -> int:
    named = db.session.execute(text("SELECT current_setting('mtumail.mailbox', true)")).scalar()
    if not named:
        raise RuntimeError("a mailbox is created in a transaction that names it")
    return int(named)


def resolve(address: Address) -> Recipient | Refusal:
    """Which mailbox takes mail for `address`, at a domain or an alias of it. Case and plus tags do not matter; quotas and
    states do.

    A name that nobody has may have a route of its own, or go to a catch-all: see `settings.routes`.
    """
    query = (
        select(
            Mailbox.mailbox_id,
            Mailbox.public_key,
            Mailbox.state,
            Mailbox.may_receive,
            Mailbox.quota_bytes,
            Mailbox.used_bytes,
            MailAddress.created_at,
        )
        .join(MailAddress, MailAddress.mailbox_id == Mailbox.mailbox_id)
        .where(MailAddress.local_part == base_local(address.local))
    )
    place = domains.takes_mail(address.domain)
    if place is None:
        return Refusal.NOT_LOCAL
    domain_id, led_since = place
    row = db.session.execute(query.where(MailAddress.domain_id == domain_id)).first()
    if row is None:
        asked = {
            "domain": domain_id,
            "name": base_local(address.local),
            "never": sorted(SERVICE_NAMES | PROVING_NAMES),
        }
        row = db.session.execute(_ROUTED, asked).first()
    if row is None and base_local(address.local) in SERVICE_NAMES:
        return _of_the_service(address)
    if row is None or row.state == "closed":
        return Refusal.UNKNOWN
    if row.state != "active":
        return Refusal(row.state)
    if not row.may_receive:
        return Refusal.SUSPENDED
    if row.used_bytes >= row.quota_bytes:
        return Refusal.FULL
    since = max(row.created_at, led_since) if led_since else row.created_at
    return Recipient(row.mailbox_id, row.public_key, address.email, since)


SERVICE_NAMES = frozenset({"abuse", "postmaster", "security", "privacy"})
"""Names that every hosted domain answers to (RFC 2142, RFC 5321 section 4.5.1): where nobody holds one, the staff get the mail."""
PROVING_NAMES = frozenset({"admin", "administrator", "hostmaster", "webmaster"})
"""Names at which certificate authorities let somebody prove that a domain is theirs (CA/Browser Forum Baseline Requirements
3.2.2.4.4): no catch-all gets that mail."""


# While a name rests a catch-all would hand over mail that was meant for whoever gave it up: it pauses; and where the domain was
# another one's alias, names of that one are somebody's. Nobody has had what is left: who asks for its owner of some time (RFC 7293)
# does not mean whoever gets the rest.
_ROUTED = text("""
    SELECT m.mailbox_id, m.public_key, m.state, m.may_receive, m.quota_bytes, m.used_bytes, now() AS created_at
      FROM domain_route r JOIN mailbox m USING (mailbox_id)
     WHERE r.domain_id = :domain AND m.state = 'active' AND m.may_receive
       AND (r.name = :name OR (r.name = '*' AND :name <> ALL(CAST(:never AS text[]))
            AND NOT EXISTS (SELECT FROM domain d JOIN resting_name n ON n.domain_id = ANY (d.domain_id || d.alias_was)
                             WHERE d.domain_id = :domain AND n.until > now())
            AND NOT name_was_led(:domain, :name)))
     ORDER BY r.name = '*' LIMIT 1""")


def _of_the_service(address: Address) -> Recipient | Refusal:
    """The service's own mailbox, whose mail becomes cases; UNKNOWN before a worker has made it."""
    found = rows(_SERVICE, {})
    if not found:
        return Refusal.UNKNOWN
    mailbox_id, public_key, is_full = found[0]
    return Refusal.FULL if is_full else Recipient(mailbox_id, bytes(public_key), address.email)


_SERVICE = """
    SELECT m.mailbox_id, m.public_key, m.used_bytes >= m.quota_bytes FROM service_mailbox s JOIN mailbox m USING (mailbox_id)"""


def refuse_when_full(mailbox_id: int, more: int = 0) -> None:
    """Raise Refused when the mailbox has reached its quota, or would pass it by `more` bytes."""
    query = select(Mailbox.used_bytes, Mailbox.quota_bytes).where(Mailbox.mailbox_id == mailbox_id)
    used, quota = db.session.execute(query).one()
    if used >= quota or used + more > quota:
        raise Refused("This mailbox is full: delete something first.")


def refuse_unless_active(mailbox_id: int) -> None:
    """Raise Refused when nothing may leave this mailbox: it is suspended, revoked or closed."""
    if db.session.execute(select(Mailbox.state).where(Mailbox.mailbox_id == mailbox_id)).scalar() != "active":
        raise Refused("This mailbox may not send now.")


# --- by what right -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OwnerSession:
    """The right of somebody who is signed in and belongs to the mailbox, with at least the role `needs`.

    From then on the database knows who acts, and tells the other members of a shared mailbox what they should know.
    """

    account_id: int
    needs: str = "writer"

    def admit(self, mailbox_id: int) -> bytes:
        """The wrapped bundle, if the mailbox is theirs, they may, and it is open. Raises NotFound otherwise."""
        enough = list(MEMBER_ROLES[MEMBER_ROLES.index(self.needs) :])
        asked = {
            "mailbox": mailbox_id,
            "account": self.account_id,
            "roles": enough,
            "actor": str(self.account_id),
        }
        found = rows(_OWNED, asked)
        if not found:
            raise NotFound("mailbox")
        return bytes(found[0][0])


_OWNED = """
    SELECT wrapped, set_config('mtumail.account', %(actor)s, true)
      FROM mailbox_key JOIN mailbox_member USING (mailbox_id) JOIN mailbox USING (mailbox_id)
     WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s AND mailbox.state <> 'closed' AND role = ANY(%(roles)s)"""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """The right of a job to the one mailbox whose work it holds. `wrapped`: its bundle, where it was read with the work."""

    job: str
    mailbox_id: int
    wrapped: bytes | None = None

    def admit(self, mailbox_id: int) -> bytes:
        """The wrapped bundle of the job's own mailbox. Raises NotFound for any other."""
        wrapped = self.wrapped if mailbox_id == self.mailbox_id else None
        if mailbox_id == self.mailbox_id and wrapped is None:
            found = rows(_WRAPPED, {"mailbox": mailbox_id})
            wrapped = found[0][0] if found else None
        if wrapped is None:
            raise NotFound("mailbox")
        return bytes(wrapped)


_WRAPPED = "SELECT wrapped FROM mailbox_key WHERE mailbox_id = %(mailbox)s"
