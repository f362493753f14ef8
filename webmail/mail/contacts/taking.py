"""Contacts from a file, and into one: vCards. Whoever has one of a card's addresses already takes in what is new in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from webmail.db import new_id
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail import vcard
from webmail.mail.addresses import MAX_RECIPIENTS, NEEDS_QUOTES, fold
from webmail.mail.contacts import book, grouping, store
from webmail.mail.contacts.store import ContactError, Details, Item


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file of cards: numbers of people and groups.

    `left_out` counts cards by a code: "no-address", "bad-address" (none that mail can go to), "full"; `properties` counts what had
    no place, by its name in vCards; `problems` are those of `vcard.Cards`.
    """

    new: int = 0
    merged: int = 0
    unchanged: int = 0
    groups: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Book:
    """What is known while a file is read: contacts by id, who has which address (folded), and what changed."""

    details: dict[int, Details] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)
    learned: set[int] = field(default_factory=set)
    new: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    uids: dict[str, int] = field(default_factory=dict)
    absorbed: set[int] = field(default_factory=set)


def take_in(keys: MailboxKeys, content: bytes) -> Taken:
    """Put the people and groups of a vCard file into the book. All or nothing, in the caller's transaction.

    A card is a contact's if they share an address: its name stays, what is new in the card is added. Several contacts that one
    card ties together are not joined; the first takes the card. Twice is once.
    """
    cards = vcard.read(content)
    usable = [_usable(card) for card in cards.people]
    store.lock(keys.mailbox_id)
    store.forget_deleted(keys)
    known = _known(keys, usable)
    left_out: dict[str, int] = {}
    unchanged: set[int] = set()
    room = store.MAX_CONTACTS - book.total(keys)[0]
    for card, addresses in zip(cards.people, usable, strict=True):
        if not addresses:
            why = "bad-address" if card.addresses else "no-address"
            left_out[why] = left_out.get(why, 0) + 1
            continue
        contact_id = next((known.owners[fold(one)] for one in addresses if fold(one) in known.owners), None)
        is_one_more = contact_id is None or contact_id in known.learned
        if is_one_more and room < 1:
            left_out["full"] = left_out.get("full", 0) + 1
            continue
        room -= is_one_more
        contact_id = _put(known, contact_id, card, addresses)
        if contact_id not in known.new | known.changed:
            unchanged.add(contact_id)
        if card.uid:
            known.uids.setdefault(card.uid, contact_id)
    store.write(keys, [Item(one, known.details[one]) for one in sorted(known.new | known.changed)])
    store.destroy(keys, sorted(known.absorbed))  # afterwards: their addresses have moved, with their counts
    made = _take_groups(keys, cards, usable, known)
    merged = len(known.changed - known.new)
    return Taken(len(known.new), merged, len(unchanged), made, left_out, cards.left_out, cards.problems)


def _usable(card: vcard.Card) -> list[str]:
    found = {fold(one): one for one in map(store.address_in, card.addresses) if one is not None}
    return list(found.values())


def _known(keys: MailboxKeys, usable: Sequence[Sequence[str]]) -> _Book:
    """Who of the mailbox's contacts is met in these cards. Deleted ones with their addresses go for good."""
    tokens = {
        store.address_token(keys, address): fold(address) for addresses in usable for address in addresses
    }
    known = _Book()
    met = store.owners(keys, list(tokens))
    store.destroy(keys, sorted({owner for owner, _, is_deleted in met.values() if is_deleted}))
    for token, (owner, state, is_deleted) in met.items():
        if is_deleted:
            continue
        known.owners[tokens[token]] = owner
        if state == "learned":
            known.learned.add(owner)
    known.details = store.details_of(keys, set(known.owners.values()))
    return known


def _put(known: _Book, contact_id: int | None, card: vcard.Card, addresses: Sequence[str]) -> int:
    """Put a card into the book; the contact that it is in now."""
    before = known.details.get(contact_id, Details()) if contact_id is not None else Details()
    if contact_id is None:
        contact_id = new_id()
        known.new.add(contact_id)
    mine = {fold(address): address for address in before.addresses}
    for address in addresses:
        owner = known.owners.get(fold(address), contact_id)
        if (owner == contact_id or owner in known.learned) and len(mine) < store.MAX_ADDRESSES:
            mine.setdefault(fold(address), address)
            known.owners[fold(address)] = contact_id
            known.absorbed |= {owner} - {contact_id}
    notes = before.notes
    if card.notes and card.notes not in notes:
        notes = f"{notes}\n\n{card.notes}".strip()[: store.MAX_NOTES]
    phones = [phone for phone in card.phones if len(phone) <= store.MAX_PHONE]
    made = Details(
        name=before.name or card.name,
        addresses=tuple(mine.values()),
        phones=tuple(dict.fromkeys([*before.phones, *phones]))[: store.MAX_PHONES],
        organisation=before.organisation or card.organisation,
        notes=notes,
    )
    if made != before or contact_id in known.learned:
        known.changed.add(contact_id)
        known.learned.discard(contact_id)
    known.details[contact_id] = made
    return contact_id


# --- groups --------------------------------------------------------------------------------------------------------------


def _take_groups(keys: MailboxKeys, cards: vcard.Cards, usable: Sequence[Sequence[str]], known: _Book) -> int:
    """Groups of the file, and the categories of its people; how many were met. Members that are nobody's stay out."""
    wanted: dict[str, tuple[str, dict[int, None]]] = {}

    def into(name: str, contact_id: int | None) -> None:
        if contact_id is None:
            return
        try:
            name = grouping.checked_name(_typeable(name))
        except ContactError:
            return
        _, ids = wanted.setdefault(store.folded(name), (name, {}))
        if len(ids) < MAX_RECIPIENTS:
            ids[contact_id] = None

    for card, addresses in zip(cards.people, usable, strict=True):
        owner = next((known.owners[fold(one)] for one in addresses if fold(one) in known.owners), None)
        for name in card.categories:
            into(name, owner)
    for group in cards.groups:
        for member in group.members:
            uid = member.removeprefix("uid:")
            into(group.name, known.uids.get(uid) if uid != member else known.owners.get(fold(member)))
    there = {store.folded(line.name): line.contact_id for line in grouping.groups(keys)}
    room = grouping.MAX_GROUPS - len(there)
    fresh = [name for name in wanted if name not in there][: max(room, 0)]
    made = {name: new_id() for name in fresh}
    tokens = [store.group_token(keys, wanted[name][0]) for name in fresh]
    store.destroy(
        keys, sorted({owner for owner, _, is_gone in store.owners(keys, tokens).values() if is_gone})
    )
    store.write(keys, [Item(made[name], Details(wanted[name][0]), kind="group") for name in fresh])
    for name, (_, ids) in wanted.items():
        group_id = there.get(name, made.get(name))
        if group_id is not None:
            grouping.put_in(keys, group_id, list(ids), replace=False)
    return sum(name in there or name in made for name in wanted)


def _typeable(name: str) -> str:
    """A name without the characters that a group's cannot have."""
    return " ".join(NEEDS_QUOTES.sub(" ", name).split())[: store.MAX_NAME]


# --- out -----------------------------------------------------------------------------------------------------------------


def export(keys: MailboxKeys, contact_id: int | None = None) -> bytes:
    """All kept people and the groups as vCard 4.0; or one person. Raises NotFound."""
    if contact_id is not None:
        if book.load(keys, contact_id).kind != "person":
            raise NotFound("contact")
        return vcard.write([_card(book.details(keys, contact_id))])
    lines = grouping.groups(keys)
    found = [grouping.group(keys, line.contact_id) for line in lines]
    return vcard.write(
        [_card(told) for told in book.everybody(keys)],
        [
            vcard.GroupCard(
                one.name, tuple(person.addresses[0] for person in one.members if person.addresses)
            )
            for one in found
        ],
    )


def _card(told: Details) -> vcard.Card:
    return vcard.Card(told.name, told.addresses, told.phones, told.organisation, told.notes)
