"""Mailboxes: making one, finding the one behind an address, and by what right it is opened."""

import re
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from webmail import audit, keys
from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.mail import folders
from webmail.mail.addresses import Address, base_local
from webmail.mail.models import MailAddress, Mailbox, MailboxKey, MailboxMember
from webmail.settings import domains


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox that takes mail, and the key that mail for it is sealed with."""

    mailbox_id: int
    public_key: bytes
    address: str


class Refusal(Enum):
    """Why an address takes no mail now; each has its own SMTP reply."""

    UNKNOWN = "unknown"
    NOT_LOCAL = "not_local"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
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
) -> int:
    """Make a mailbox with its keys, folders and primary address; its id. The open transaction must name it: see `new_mailbox_id`.

    Raises Refused when the address is taken (also by whoever asked for it in the same instant), the domain is not hosted, or the
    account has a mailbox: one that asks ten times at once gets one.
    """
    db.session.execute(_ONE_AT_A_TIME, {"account": account_id})
    if db.session.execute(_HAS_ONE, {"account": account_id}).scalar():
        raise Refused("You have a mailbox already.")
    domain_id = domains.find(domain)
    if domain_id is None:
        raise Refused(f"{domain} is not hosted here")
    mailbox_id = _named_mailbox()
    made = keys.new_mailbox_keys(master, mailbox_id)
    try:
        with db.session.begin_nested():
            db.session.add(
                Mailbox(
                    mailbox_id=mailbox_id,
                    display_name=name,
                    public_key=made.public_key,
                    quota_bytes=quota_bytes,
                )
            )
            db.session.flush()
            db.session.add(
                MailAddress(
                    domain_id=domain_id,
                    local_part=base_local(local_part),
                    mailbox_id=mailbox_id,
                    is_primary=True,
                )
            )
            db.session.flush()
    except IntegrityError:
        raise Refused("That address is taken.") from None
    db.session.add(MailboxKey(mailbox_id=mailbox_id, wrapped=made.wrapped))
    db.session.add(MailboxMember(mailbox_id=mailbox_id, account_id=account_id))
    db.session.flush()
    folders.create_all(mailbox_id)
    audit.record("mailbox.created", actor, mailbox=mailbox_id, account=account_id)
    return mailbox_id


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail first mailbox', :account))")
_HAS_ONE = text("SELECT EXISTS (SELECT 1 FROM mailbox_member WHERE account_id = :account)")

RESERVED = frozenset({
    "abuse", "admin", "administrator", "billing", "contact", "dmarc", "help", "hostmaster", "info", "legal", "list", "lists",
    "mail", "mailerdaemon", "marketing", "mtumail", "news", "noc", "nobody", "noreply", "postmaster", "privacy", "root",
    "security", "staff", "support", "sysadmin", "tlsrpt", "usenet", "webmaster", "www",
})  # fmt: skip
"""Local parts (without dots and dashes) that nobody can choose: RFC 2142 roles, and names that would pass for the service."""
_CHOSEN = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,38}[a-z0-9]")


def choose_name(wanted: str) -> str:
    """The local part that a person asks for, folded. Raises Refused, in words for them, for one that cannot be had."""
    name = wanted.strip().lower()
    if not _CHOSEN.fullmatch(name):
        raise Refused("Use 2 to 40 letters a to z, digits, and single dots or dashes between them.")
    if re.sub("[._-]", "", name) in RESERVED:
        raise Refused("That name is kept for the service itself.")
    return name


def new_mailbox_id() -> int:
    """An id to open the transaction with in which `create` makes the mailbox."""
    return new_id()


def _named_mailbox() -> int:
    named = db.session.execute(text("SELECT current_setting('mtumail.mailbox', true)")).scalar()
    if not named:
        raise RuntimeError("a mailbox is created in a transaction that names it")
    return int(named)


def resolve(address: Address) -> Recipient | Refusal:
    """Which mailbox takes mail for `address`. Case and plus tags do not matter; quotas and states do."""
    query = (
        select(Mailbox.mailbox_id, Mailbox.public_key, Mailbox.state, Mailbox.quota_bytes, Mailbox.used_bytes)
        .join(MailAddress, MailAddress.mailbox_id == Mailbox.mailbox_id)
        .where(MailAddress.local_part == base_local(address.local))
    )
    domain_id = domains.find(address.domain)
    if domain_id is None:
        return Refusal.NOT_LOCAL
    row = db.session.execute(query.where(MailAddress.domain_id == domain_id)).first()
    if row is None or row.state == "closed":
        return Refusal.UNKNOWN
    if row.state != "active":
        return Refusal.SUSPENDED if row.state == "suspended" else Refusal.REVOKED
    if row.used_bytes >= row.quota_bytes:
        return Refusal.FULL
    return Recipient(row.mailbox_id, row.public_key, address.email)


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
    """The right of somebody who is signed in and to whom the mailbox belongs."""

    account_id: int

    def admit(self, mailbox_id: int) -> bytes:
        """The wrapped bundle, if the mailbox is theirs and open. Raises NotFound otherwise."""
        found = rows(_OWNED, {"mailbox": mailbox_id, "account": self.account_id})
        if not found:
            raise NotFound("mailbox")
        return bytes(found[0][0])


_OWNED = """
    SELECT wrapped FROM mailbox_key JOIN mailbox_member USING (mailbox_id) JOIN mailbox USING (mailbox_id)
     WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s AND mailbox.state <> 'closed'"""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """The right of a job to the one mailbox whose work it holds."""

    job: str
    mailbox_id: int

    def admit(self, mailbox_id: int) -> bytes:
        """The wrapped bundle of the job's own mailbox. Raises NotFound for any other."""
        wrapped = None
        if mailbox_id == self.mailbox_id:
            wrapped = db.session.execute(
                select(MailboxKey.wrapped).where(MailboxKey.mailbox_id == mailbox_id)
            ).scalar()
        if wrapped is None:
            raise NotFound("mailbox")
        return bytes(wrapped)
