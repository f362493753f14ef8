"""Under which names and addresses a mailbox sends: its own address, plus-addresses of it, other names; each with a signature.

An identity's address always leads to the mailbox itself. That is checked when it is kept and again whenever it is used, because
an address can be taken away; so nobody sends as somebody else, whatever a form says. What is kept is sealed.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import text

from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound
from webmail.keys import MailboxKeys, Place
from webmail.mail.addresses import Address, AddressError, parse_recipients, parse_spec
from webmail.mail.charsets import clean_text

OWN = 0
"""The identity that every mailbox has: its primary address."""
NEW = -1
"""The id of one that is not kept yet."""
MAX_IDENTITIES = 50
MAX_NAME, MAX_SIGNATURE = 200, 5_000


class IdentityError(MtumailError):
    """An identity cannot be kept as it is. `field` is name, address, reply_to or signature; `reason` a code."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody to send as. `signature` is plain text without its delimiter; `reply_to` an address, or "" for none."""

    id: int
    name: str
    address: str
    signature: str = ""
    reply_to: str = ""
    is_default: bool = False

    @property
    def author(self) -> tuple[str, str]:
        """Name and address, as drafts and submitting take them."""
        return (self.name, self.address)


@dataclass(frozen=True, slots=True)
class Own:
    """The addresses that lead to a mailbox, whatever their tag and case: `"ann+x@example.org" in own`."""

    primary: str
    keys: frozenset[str]
    """As `Address.key` has them."""

    def __contains__(self, address: str) -> bool:
        try:
            return parse_spec(address).key in self.keys
        except AddressError:
            return False


def own(mailbox_id: int) -> Own:
    """The addresses that lead to a mailbox; one look-up. Raises NotFound for a mailbox without any."""
    found = rows(_OWN, {"mailbox": mailbox_id})
    if not found:
        raise NotFound("mailbox")
    addresses = [f"{local}@{domain}" for local, domain in found]
    return Own(addresses[0], frozenset(addresses))


_OWN = """
    SELECT a.local_part, d.name FROM address a
      JOIN domain d ON d.domain_id = a.domain_id OR (d.alias_of = a.domain_id AND d.verified_at IS NOT NULL)
     WHERE a.mailbox_id = %(mailbox)s ORDER BY a.is_primary DESC, d.alias_of IS NOT NULL, a.local_part, d.name"""


def of(keys: MailboxKeys, name: str = "") -> list[Identity]:
    """Everybody that the mailbox may send as: its own address first, then by address and name; exactly one is the default.

    `name` is what its owner goes by (`g.viewer.name`); the own address has it until another one was chosen. Two queries.
    """
    mine = own(keys.mailbox_id)
    found = {}
    for identity_id, is_default, sealed in rows(_ALL, {"mailbox": keys.mailbox_id}):
        told = _open(keys, identity_id, sealed)
        found[identity_id] = Identity(identity_id, **told, is_default=is_default)
    first = found.pop(OWN, Identity(OWN, name or _display_name(keys.mailbox_id), ""))
    others = sorted(
        (one for one in found.values() if one.address in mine),
        key=lambda one: (one.address, one.name, one.id),
    )
    everybody = [replace(first, address=mine.primary), *others]
    if not any(one.is_default for one in everybody):
        everybody[0] = replace(everybody[0], is_default=True)
    return everybody


_ALL = "SELECT identity_id, is_default, sealed FROM sender_identity WHERE mailbox_id = %(mailbox)s"


def _display_name(mailbox_id: int) -> str:
    [[name]] = rows(
        "SELECT display_name FROM mailbox WHERE mailbox_id = %(mailbox)s", {"mailbox": mailbox_id}
    )
    return str(name)


def chosen(keys: MailboxKeys, ident: int | None = None, name: str = "") -> Identity:
    """The identity of this id, or the default one for None. Raises NotFound for one that is not there, or whose address leads
    here no more."""
    for one in of(keys, name):
        if one.id == ident or (ident is None and one.is_default):
            return one
    raise NotFound("identity")


def answering(everybody: Sequence[Identity], addresses: Iterable[str]) -> Identity:
    """Whom of them to answer as, for a message to these addresses: the first of them that is an identity's, else the default."""
    # The default first, so that of several names with one address it is the one.
    by_address: dict[str, Identity] = {}
    for one in sorted(everybody, key=lambda one: not one.is_default):
        by_address.setdefault(one.address.casefold(), one)
    found = (by_address[address.casefold()] for address in addresses if address.casefold() in by_address)
    return next(found, next(one for one in everybody if one.is_default))


# --- changing ------------------------------------------------------------------------------------------------------------


def keep(keys: MailboxKeys, identity: Identity) -> int:
    """Write an identity down, over the one with its id, or one more for `NEW`; its id.

    The own address (id 0) keeps its address whatever is given. Raises IdentityError: "not-yours" for an address that does not lead
    to this very mailbox (one that leads nowhere included), "bad-address", "control", "too-long", "too-many"; NotFound for an id
    that is not there.
    """
    checked = _checked(keys.mailbox_id, identity)
    rows(_LOCK, {"mailbox": keys.mailbox_id})
    known = {row[0] for row in rows(_ALL, {"mailbox": keys.mailbox_id})}
    if identity.id == NEW:
        if len(known) >= MAX_IDENTITIES:
            raise IdentityError("name", "too-many")
        checked = replace(checked, id=new_id())
    elif identity.id not in known | {OWN}:
        raise NotFound("identity")
    sealed = _seal(keys, checked)
    told = {"mailbox": keys.mailbox_id, "identity": checked.id, "sealed": sealed}
    db.session.execute(_WRITE, told)
    if identity.is_default:
        prefer(keys, checked.id)
    return checked.id


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('mtumail identities', %(mailbox)s))"
_WRITE = text("""
    INSERT INTO sender_identity (mailbox_id, identity_id, sealed) VALUES (:mailbox, :identity, :sealed)
    ON CONFLICT (mailbox_id, identity_id) DO UPDATE SET sealed = excluded.sealed""")


def prefer(keys: MailboxKeys, ident: int) -> None:
    """Make an identity the default. Raises NotFound."""
    chosen(keys, ident)
    rows(_LOCK, {"mailbox": keys.mailbox_id})
    for statement in (_NO_DEFAULT, _DEFAULT):
        db.session.execute(statement, {"mailbox": keys.mailbox_id, "identity": ident})


_NO_DEFAULT = text(
    "UPDATE sender_identity SET is_default = false WHERE mailbox_id = :mailbox AND is_default AND identity_id <> :identity"
)
_DEFAULT = text(
    "UPDATE sender_identity SET is_default = true WHERE mailbox_id = :mailbox AND identity_id = :identity"
)


def remove(keys: MailboxKeys, ident: int) -> None:
    """Forget an identity; of the own address (id 0) what was chosen for it. Twice is once."""
    mine = {"mailbox": keys.mailbox_id, "identity": ident}
    db.session.execute(
        text("DELETE FROM sender_identity WHERE mailbox_id = :mailbox AND identity_id = :identity"), mine
    )


def _checked(mailbox_id: int, identity: Identity) -> Identity:
    mine = own(mailbox_id)
    name, signature = identity.name.strip(), clean_text(identity.signature).strip("\n")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Zl", "Zp") for letter in name):
        raise IdentityError("name", "control")
    if len(name) > MAX_NAME:
        raise IdentityError("name", "too-long")
    if len(signature) > MAX_SIGNATURE:
        raise IdentityError("signature", "too-long")
    address = mine.primary if identity.id == OWN else _one(identity.address, "address").email
    if address not in mine:
        raise IdentityError("address", "not-yours")
    reply_to = _one(identity.reply_to, "reply_to").email if identity.reply_to.strip() else ""
    return Identity(identity.id, name, address, signature, reply_to)


def _one(typed: str, field: str) -> Address:
    try:
        found = parse_recipients(typed)
    except AddressError:
        raise IdentityError(field, "bad-address") from None
    if len(found) != 1 or found[0].name:
        raise IdentityError(field, "bad-address")
    return found[0]


def _place(keys: MailboxKeys, ident: int) -> Place:
    return Place("sender_identity", keys.mailbox_id, ident, "sealed")


def _seal(keys: MailboxKeys, one: Identity) -> bytes:
    told = {"name": one.name, "address": one.address, "signature": one.signature, "reply_to": one.reply_to}
    return keys.seal_value(json.dumps(told, ensure_ascii=False).encode(), _place(keys, one.id))


def _open(keys: MailboxKeys, ident: int, sealed: bytes) -> dict[str, str]:
    told: dict[str, str] = json.loads(keys.open_value(sealed, _place(keys, ident)))
    return told
