"""Contacts as rows: sealed, with the tokens that they are found by. Only this package writes or opens them."""

import json
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from webmail.db import db, rows
from webmail.errors import MtumailError
from webmail.keys import MailboxKeys, Place
from webmail.mail.addresses import AddressError, fold, parse_recipients
from webmail.mail.charsets import clean_name, clean_text
from webmail.mail.search import words

MAX_CONTACTS = 10_000
"""Of people that were kept: the whole book is opened for its alphabetical order, and 10,000 take 40 ms."""
MAX_ADDRESSES, MAX_PHONES = 20, 20
MAX_NAME, MAX_PHONE, MAX_NOTES = 300, 60, 10_000
LONGEST_BEGINNING = 8
MAX_WORDS = 40  # of one contact that it is found by
MOST_AT_ONCE = 20_000  # beginnings in one statement: a busy server takes seconds for these, and has 15 for each statement


class ContactError(MtumailError):
    """A contact cannot be kept as it is. `field` is name, addresses, phones, organisation, notes or members; `reason` a code;
    `piece` what it is about; `contact_id` who has that address already."""

    def __init__(self, field: str, reason: str, piece: str = "", contact_id: int | None = None) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason, self.piece, self.contact_id = field, reason, piece[:200], contact_id


@dataclass(frozen=True, slots=True)
class Details:
    """All that is known of a person. Addresses are as they go into an envelope; the first one is written to."""

    name: str = ""
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    organisation: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A contact to write down."""

    contact_id: int
    details: Details
    kind: str = "person"
    state: str = "kept"


def checked(details: Details) -> Details:
    """`details` cleaned: one line where there is one, every address an address, each once. Raises ContactError."""
    addresses: dict[str, str] = {}
    for typed in details.addresses:
        address = address_in(typed)
        if address is None:
            raise ContactError("addresses", "bad-address", typed)
        addresses.setdefault(fold(address), address)
    phones = dict.fromkeys(filter(None, (clean_name(phone) for phone in details.phones)))
    made = Details(
        name=clean_name(details.name),
        addresses=tuple(addresses.values()),
        phones=tuple(phones),
        organisation=clean_name(details.organisation),
        notes=clean_text(details.notes).strip(),
    )
    if not made.addresses:
        raise ContactError("addresses", "empty")
    for field, count, most in (
        ("addresses", len(made.addresses), MAX_ADDRESSES),
        ("phones", len(made.phones), MAX_PHONES),
        ("phones", max(map(len, made.phones), default=0), MAX_PHONE),
        ("name", len(made.name), MAX_NAME),
        ("organisation", len(made.organisation), MAX_NAME),
        ("notes", len(made.notes), MAX_NOTES),
    ):
        if count > most:
            raise ContactError(field, "too-long")
    return made


def address_in(typed: str) -> str | None:
    """The one address in `typed`, as it goes into an envelope; None where there is not exactly one that mail can go to."""
    try:
        found = parse_recipients(typed.strip())
    except AddressError:
        return None
    return found[0].email if len(found) == 1 else None


def folded(name: str) -> str:
    """A name to sort and to compare by: case, width and accents do not count."""
    if name.isascii():
        return name.lower()
    flat = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in flat if not unicodedata.combining(letter))


# --- tokens --------------------------------------------------------------------------------------------------------------


def address_token(keys: MailboxKeys, address: str) -> bytes:
    """What a contact is found by that has this address."""
    return keys.blind("contact\0" + fold(address))


def group_token(keys: MailboxKeys, name: str) -> bytes:
    """What a group of this name is found by."""
    return keys.blind("group\0" + " ".join(folded(name).split()))


def beginning_token(keys: MailboxKeys, beginning: str) -> str:
    """What stands for the beginning of a word."""
    return keys.token("contact^" + beginning[:LONGEST_BEGINNING])


def words_of(name: str, addresses: Iterable[str]) -> list[str]:
    """The words that a person is found by: of the name, of local parts, of domains without their last label."""
    texts = [name]
    for address in addresses:
        local, _, domain = address.rpartition("@")
        texts += [local, domain.rpartition(".")[0]]
    return list(dict.fromkeys(word for one in texts for word in words(one)))[:MAX_WORDS]


def _beginnings(keys: MailboxKeys, item: Item) -> set[str]:
    own = words_of(item.details.name, item.details.addresses)
    begun = {word[:length] for word in own for length in range(1, min(len(word), LONGEST_BEGINNING) + 1)}
    return {beginning_token(keys, beginning) for beginning in begun}


def _handles(keys: MailboxKeys, item: Item) -> list[bytes]:
    if item.kind == "group":
        return [group_token(keys, item.details.name)]
    return [address_token(keys, address) for address in item.details.addresses]


def owners(keys: MailboxKeys, tokens: Sequence[bytes]) -> dict[bytes, tuple[int, str, bool]]:
    """Who has each of these tokens: (contact, its state, whether it is deleted); those that nobody has are left out."""
    asked = {"mailbox": keys.mailbox_id, "tokens": list(tokens)}
    return {bytes(row[0]): (row[1], row[2], row[3]) for row in rows(_OWNERS, asked)} if tokens else {}


_OWNERS = """
    SELECT h.token, c.contact_id, c.state, c.deleted_at IS NOT NULL
      FROM contact_handle h JOIN contact c USING (mailbox_id, contact_id)
     WHERE h.mailbox_id = %(mailbox)s AND h.token = ANY(%(tokens)s::bytea[])"""


# --- sealed --------------------------------------------------------------------------------------------------------------


def _seal(keys: MailboxKeys, contact_id: int, field: str, value: object) -> bytes:
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return keys.seal_value(content, Place("contact", keys.mailbox_id, contact_id, field))


def open_head(keys: MailboxKeys, contact_id: int, sealed: bytes) -> tuple[str, tuple[str, ...]]:
    """Name and addresses. Raises Tampered, KeyTrouble."""
    name, addresses = json.loads(
        keys.open_value(sealed, Place("contact", keys.mailbox_id, contact_id, "head"))
    )
    return name, tuple(addresses)


def open_details(keys: MailboxKeys, contact_id: int, head: bytes, more: bytes | None) -> Details:
    """Everything. Raises Tampered, KeyTrouble."""
    name, addresses = open_head(keys, contact_id, head)
    if more is None:
        return Details(name, addresses)
    told = json.loads(keys.open_value(more, Place("contact", keys.mailbox_id, contact_id, "more")))
    return Details(name, addresses, tuple(told["phones"]), told["organisation"], told["notes"])


def details_of(keys: MailboxKeys, contact_ids: Collection[int]) -> dict[int, Details]:
    """All that is known of each of these contacts; those that are not in this mailbox, or were deleted, are left out."""
    asked = {"mailbox": keys.mailbox_id, "contacts": list(contact_ids)}
    return {row[0]: open_details(keys, *row) for row in rows(_DETAILS, asked)}


_DETAILS = """
    SELECT contact_id, head, more FROM contact
     WHERE mailbox_id = %(mailbox)s AND contact_id = ANY(%(contacts)s::bigint[]) AND deleted_at IS NULL"""


# --- writing -------------------------------------------------------------------------------------------------------------


def lock(mailbox_id: int) -> None:
    """Wait for whoever else changes this mailbox's contacts; held until the transaction ends."""
    rows(_LOCK, {"mailbox": mailbox_id})


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('mtumail contacts', %(mailbox)s))"


def refuse_beyond(keys: MailboxKeys, more: int) -> None:
    """Raise ContactError when `more` kept contacts would be too many."""
    [[count]] = rows(_COUNT, {"mailbox": keys.mailbox_id})
    if count + more > MAX_CONTACTS:
        raise ContactError("name", "full")


_COUNT = (
    "SELECT count(*) FROM contact WHERE mailbox_id = %(mailbox)s AND state = 'kept' AND deleted_at IS NULL"
)


def forget_deleted(keys: MailboxKeys) -> None:
    """Remove for good what was deleted more than a day ago."""
    db.session.execute(_FORGET, {"mailbox": keys.mailbox_id})


_FORGET = text("DELETE FROM contact WHERE mailbox_id = :mailbox AND deleted_at < now() - interval '1 day'")


def destroy(keys: MailboxKeys, contact_ids: Sequence[int]) -> None:
    """Remove contacts for good, with everything that finds them."""
    if contact_ids:
        db.session.execute(_DESTROY, {"mailbox": keys.mailbox_id, "contacts": list(contact_ids)})


_DESTROY = text(
    "DELETE FROM contact WHERE mailbox_id = :mailbox AND contact_id = ANY(CAST(:contacts AS bigint[]))"
)


def write(keys: MailboxKeys, items: Sequence[Item]) -> None:
    """Write these contacts, new or over what they were, in few statements however many they are.

    The caller holds the lock, and has made sure that no other contact has their addresses (one that is to lose them is
    destroyed first). Counts of messages stay with addresses that stay.
    """
    if not items:
        return
    heads, mores = [], []
    handles: dict[bytes, tuple[int, int]] = {}
    beginnings: list[tuple[str, int]] = []
    for item in items:
        told = item.details
        heads.append(_seal(keys, item.contact_id, "head", [told.name, told.addresses]))
        rest = {"phones": told.phones, "organisation": told.organisation, "notes": told.notes}
        mores.append(_seal(keys, item.contact_id, "more", rest) if any(rest.values()) else None)
        for number, token in enumerate(_handles(keys, item)):
            handles.setdefault(token, (item.contact_id, number))
        beginnings += [(token, item.contact_id) for token in _beginnings(keys, item)]
    ids = [item.contact_id for item in items]
    mine: dict[str, object] = {"mailbox": keys.mailbox_id, "contacts": ids}
    kinds, states = [item.kind for item in items], [item.state for item in items]
    told_of = {"kinds": kinds, "states": states, "heads": heads, "mores": mores}
    db.session.execute(_WRITE, mine | told_of)
    found_by = {
        "tokens": list(handles),
        "owners": [owner for owner, _ in handles.values()],
        "numbers": [number for _, number in handles.values()],
    }
    db.session.execute(_DROP_HANDLES, mine | found_by)
    db.session.execute(_ADD_HANDLES, mine | found_by)
    db.session.execute(_DROP_BEGINNINGS, mine)
    for start in range(0, len(beginnings), MOST_AT_ONCE):
        some = beginnings[start : start + MOST_AT_ONCE]
        begun = {"tokens": [token for token, _ in some], "owners": [owner for _, owner in some]}
        db.session.execute(_ADD_BEGINNINGS, mine | begun)


_WRITE = text("""
    INSERT INTO contact (mailbox_id, contact_id, kind, state, head, more)
    SELECT :mailbox, * FROM unnest(CAST(:contacts AS bigint[]), CAST(:kinds AS text[]), CAST(:states AS text[]),
                                   CAST(:heads AS bytea[]), CAST(:mores AS bytea[]))
    ON CONFLICT (mailbox_id, contact_id)
    DO UPDATE SET state = excluded.state, head = excluded.head, more = excluded.more, changed_at = now()""")
_DROP_HANDLES = text("""
    DELETE FROM contact_handle
     WHERE mailbox_id = :mailbox AND contact_id = ANY(CAST(:contacts AS bigint[])) AND token <> ALL(CAST(:tokens AS bytea[]))""")
_ADD_HANDLES = text("""
    INSERT INTO contact_handle (mailbox_id, token, contact_id, number)
    SELECT :mailbox, * FROM unnest(CAST(:tokens AS bytea[]), CAST(:owners AS bigint[]), CAST(:numbers AS smallint[]))
    ON CONFLICT (mailbox_id, token) DO UPDATE SET contact_id = excluded.contact_id, number = excluded.number""")
_DROP_BEGINNINGS = text(
    "DELETE FROM contact_beginning WHERE mailbox_id = :mailbox AND contact_id = ANY(CAST(:contacts AS bigint[]))"
)
_ADD_BEGINNINGS = text("""
    INSERT INTO contact_beginning (mailbox_id, beginning, contact_id)
    SELECT :mailbox, * FROM unnest(CAST(:tokens AS text[]), CAST(:owners AS bigint[]))""")
