"""Invitations to take a name in a domain: a code, kept as a hash, for a time, for so many people, perhaps for one address."""

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import text

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound, Refused
from webmail.keys import MasterKeys
from webmail.mail.addresses import fold

DAYS = 14
MAX_DAYS, MAX_USES = 365, 1000
_CODE_BYTES = 10  # 80 bits: sixteen characters


class InvitationRefused(MtumailError):
    """A code that lets nobody in. `reason`: "unknown", "over", "used-up", "other-domain", "other-person"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as those who made it see it. `is_bound`: only for the person with one contact address."""

    invitation_id: int
    domain: str
    uses: int
    used: int
    is_bound: bool
    made_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None
    is_over: bool
    by: str


def make(
    master: MasterKeys,
    domain_id: int,
    *,
    actor: str,
    uses: int = 1,
    days: int = DAYS,
    contact: str = "",
    made_by: int | None = None,
) -> str:
    """Make an invitation; its code, which cannot be had again. Audited. Raises Refused for numbers out of bounds."""
    if not 1 <= uses <= MAX_USES or not 1 <= days <= MAX_DAYS:
        raise Refused("number")
    raw = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
    invitation_id = new_id()
    told = {
        "id": invitation_id, "domain": domain_id, "code": _hash(raw), "uses": uses, "days": timedelta(days=days), "by": made_by,
        "contact": _hash_contact(master, contact)[0] if contact.strip() else None,
    }  # fmt: skip
    db.session.execute(_MAKE, told)
    audit.record(
        "invitation.made",
        actor,
        invitation=invitation_id,
        domain=domain_id,
        uses=uses,
        bound=bool(contact.strip()),
    )
    return "-".join(raw[at : at + 4] for at in range(0, len(raw), 4))


_MAKE = text("""
    INSERT INTO registration_invitation (invitation_id, domain_id, code_hash, contact_hash, uses, made_by, expires_at)
    VALUES (:id, :domain, :code, :contact, :uses, :by, now() + :days)""")


def listed(before: int | None = None, count: int = 50) -> Sequence[Invitation]:
    """Invitations, newest first; `before` is the last one of the page before."""
    return [Invitation(*row) for row in rows(_LISTED, {"before": before, "count": count})]


_LISTED = """
    SELECT i.invitation_id, d.name, i.uses, i.used, i.contact_hash IS NOT NULL, i.made_at, i.expires_at, i.withdrawn_at,
           i.withdrawn_at IS NOT NULL OR i.expires_at <= now() OR i.used >= i.uses, coalesce(a.name, '')
      FROM registration_invitation i JOIN domain d USING (domain_id) LEFT JOIN account a ON a.account_id = i.made_by
     WHERE %(before)s::bigint IS NULL OR (i.made_at, i.invitation_id) <
           (SELECT made_at, invitation_id FROM registration_invitation WHERE invitation_id = %(before)s::bigint)
     ORDER BY i.made_at DESC, i.invitation_id DESC LIMIT %(count)s"""


def withdraw(invitation_id: int, actor: str) -> None:
    """Let nobody in by it any more; twice is once. Audited. Raises NotFound."""
    found = db.session.execute(_WITHDRAW, {"id": invitation_id}).first()
    if found is None:
        raise NotFound("invitation")
    audit.record("invitation.withdrawn", actor, invitation=invitation_id)


_WITHDRAW = text("""
    UPDATE registration_invitation SET withdrawn_at = coalesce(withdrawn_at, now()) WHERE invitation_id = :id RETURNING 1""")


def claim(master: MasterKeys, code: str, domain_id: int, contact: str) -> int:
    """Use a code up by one, within the transaction that makes the mailbox; the invitation's id.

    Of two people with the last use of one code, the second waits for the first. Raises InvitationRefused.
    """
    asked = {"code": _hash(re.sub(r"[^A-Z2-7]", "", code.upper()[:100])), "domain": domain_id}
    asked["contacts"] = _hash_contact(master, contact) if contact.strip() else []
    found = db.session.execute(_CLAIM, asked).scalar()
    if found is not None:
        return int(found)
    raise InvitationRefused(_why(asked))


_CLAIM = text("""
    UPDATE registration_invitation SET used = used + 1
     WHERE code_hash = :code AND domain_id = :domain AND used < uses AND withdrawn_at IS NULL AND expires_at > now()
       AND (contact_hash IS NULL OR contact_hash = ANY(:contacts)) RETURNING invitation_id""")


def _why(asked: dict[str, object]) -> str:
    row = db.session.execute(_REASON, asked).first()
    if row is None:
        return "unknown"
    is_over, is_used_up, is_elsewhere = row
    reasons = (("over", is_over), ("used-up", is_used_up), ("other-domain", is_elsewhere))
    return next((reason for reason, is_so in reasons if is_so), "other-person")


_REASON = text("""
    SELECT withdrawn_at IS NOT NULL OR expires_at <= now(), used >= uses, domain_id <> :domain
      FROM registration_invitation WHERE code_hash = :code""")


def _hash(code: str) -> bytes:
    """A code has 80 random bits: a plain hash gives nothing away."""
    return sha256(b"mtumail invitation " + code.encode()).digest()


def _hash_contact(master: MasterKeys, contact: str) -> list[bytes]:
    """An address can be guessed, so its hash is keyed; by the current master key first."""
    told = fold(contact).encode()
    return [hmac.new(key, told, sha256).digest() for key in master.derivations("invited contacts")]
