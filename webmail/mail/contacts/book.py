"""The address book: keeping, changing, looking through, deleting with a way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from webmail.db import db, new_id, rows
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail.contacts import store
from webmail.mail.contacts.store import ContactError, Details, Item
from webmail.mail.search import words as words_in

MAX_FOUND = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A contact as a list shows it; a group has no addresses. `written`: messages to it."""

    contact_id: int
    kind: str
    state: str
    is_suggested: bool
    name: str
    addresses: tuple[str, ...]
    written: int = 0

    @property
    def label(self) -> str:
        """The name, or the first address of somebody without one."""
        return self.name or next(iter(self.addresses), "")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list in its order. `after` and `before` are contacts to go on from: see `page`; None where a list ends."""

    entries: tuple[Entry, ...]
    after: int | None = None
    before: int | None = None


_ENTRY = """
    SELECT c.contact_id, c.kind, c.state, c.is_suggested, c.head,
           (SELECT coalesce(sum(h.written), 0) FROM contact_handle h
             WHERE h.mailbox_id = c.mailbox_id AND h.contact_id = c.contact_id)
      FROM contact c WHERE c.mailbox_id = %(mailbox)s AND c.deleted_at IS NULL"""


def _entry(keys: MailboxKeys, row: Sequence[Any]) -> Entry:
    contact_id, kind, state, is_suggested, head, written = row
    name, addresses = store.open_head(keys, contact_id, head)
    return Entry(contact_id, kind, state, is_suggested, name, addresses, int(written))


def some(keys: MailboxKeys, contact_ids: Sequence[int]) -> list[Entry]:
    """These contacts in alphabetical order; what is not in this mailbox, or was deleted, is left out."""
    asked = {"mailbox": keys.mailbox_id, "contacts": list(contact_ids)}
    found = [
        _entry(keys, row) for row in rows(_ENTRY + " AND c.contact_id = ANY(%(contacts)s::bigint[])", asked)
    ]
    return sorted(found, key=_place)


def _place(entry: Entry) -> tuple[str, int]:
    return (store.folded(entry.label), entry.contact_id)


# --- looking -------------------------------------------------------------------------------------------------------------


def total(keys: MailboxKeys) -> tuple[int, int]:
    """How many people are kept, and how many more were learned."""
    found = dict(rows(_TOTAL, {"mailbox": keys.mailbox_id}))
    return found.get("kept", 0), found.get("learned", 0)


_TOTAL = """
    SELECT state, count(*) FROM contact
     WHERE mailbox_id = %(mailbox)s AND kind = 'person' AND deleted_at IS NULL GROUP BY state"""


def page(keys: MailboxKeys, start: int | None, limit: int) -> Page:
    """Kept people in alphabetical order, from the contact `start` on; from the first one where that is gone or None.

    By keyset: whoever is added or deleted meanwhile moves nobody past an edge unseen. Opens every head, fills in `limit` of them.
    """
    order = [contact_id for _, contact_id, _ in _alphabet(keys)]
    at = order.index(start) if start in order else 0
    shown = some(keys, order[at : at + limit])
    return Page(
        tuple(shown),
        order[at + limit] if at + limit < len(order) else None,
        order[max(0, at - limit)] if at else None,
    )


def addresses(keys: MailboxKeys, most: int) -> list[str]:
    """The addresses of the first `most` kept people in alphabetical order. Opens every head, and nothing else."""
    return [address for _, _, own in _alphabet(keys)[:most] for address in own]


def _alphabet(keys: MailboxKeys) -> list[tuple[str, int, tuple[str, ...]]]:
    """(what they are sorted by, id, addresses) of all kept people, in the order of their names."""
    found = []
    for contact_id, head in rows(_HEADS, {"mailbox": keys.mailbox_id}):
        name, own = store.open_head(keys, contact_id, head)
        found.append((store.folded(name or next(iter(own), "")), contact_id, own))
    return sorted(found)


_HEADS = """
    SELECT contact_id, head FROM contact
     WHERE mailbox_id = %(mailbox)s AND kind = 'person' AND state = 'kept' AND deleted_at IS NULL"""


def learned(keys: MailboxKeys, start: int | None, limit: int) -> Page:
    """Learned people, whom one wrote to last first, from the contact `start` on. Raises NotFound for a `start` that is gone."""
    asked = {"mailbox": keys.mailbox_id, "start": start, "limit": limit + 1}
    if start is not None:
        load(keys, start)
    found = [_entry(keys, row) for row in rows(_LEARNED_FROM if start is not None else _LEARNED, asked)]
    return Page(tuple(found[:limit]), found[limit].contact_id if len(found) > limit else None)


_LEARNED_ORDER = " ORDER BY c.changed_at DESC, c.contact_id DESC LIMIT %(limit)s"
_LEARNED = _ENTRY + " AND c.state = 'learned'" + _LEARNED_ORDER
_LEARNED_FROM = (
    _ENTRY
    + """ AND c.state = 'learned' AND (c.changed_at, c.contact_id) <=
    (SELECT s.changed_at, s.contact_id FROM contact s WHERE s.mailbox_id = %(mailbox)s AND s.contact_id = %(start)s)"""
    + _LEARNED_ORDER
)


def search(keys: MailboxKeys, typed: str) -> Page:
    """People and groups, kept or learned, that have a word beginning with each word of `typed`; at most 100, in order."""
    tokens, words = matching(keys, typed)
    if not tokens:
        return Page(())
    asked = {"mailbox": keys.mailbox_id, "tokens": tokens, "count": len(tokens), "limit": MAX_FOUND}
    found = [_entry(keys, row) for row in rows(_SEARCH, asked)]
    hits = [entry for entry in found if fits(words, entry.name, entry.addresses)]
    return Page(tuple(sorted(hits, key=_place)))


MATCHING = """(
    SELECT contact_id FROM contact_beginning
     WHERE mailbox_id = %(mailbox)s AND beginning = ANY(%(tokens)s::text[])
     GROUP BY contact_id HAVING count(*) = %(count)s)"""
_SEARCH = _ENTRY + f" AND c.contact_id IN {MATCHING} ORDER BY c.state, c.contact_id LIMIT %(limit)s"


def matching(keys: MailboxKeys, typed: str) -> tuple[list[str], list[str]]:
    """(tokens, words) of what was typed, for the query `MATCHING` and for `fits`."""
    words = list(dict.fromkeys(words_in(typed[:200])))[:8]
    return sorted({store.beginning_token(keys, word) for word in words}), words


def fits(words: Sequence[str], name: str, addresses: Sequence[str]) -> bool:
    """Whether each of `words` begins a word of these: tokens stand for eight letters, this looks at all."""
    own = store.words_of(name, addresses)
    return all(any(one.startswith(word) for one in own) for word in words)


def load(keys: MailboxKeys, contact_id: int) -> Entry:
    """One contact of this mailbox. Raises NotFound, also for one that was deleted."""
    found = some(keys, [contact_id])
    if not found:
        raise NotFound("contact")
    return found[0]


def details(keys: MailboxKeys, contact_id: int) -> Details:
    """All that is known of one contact. Raises NotFound."""
    found = store.details_of(keys, [contact_id])
    if not found:
        raise NotFound("contact")
    return found[contact_id]


def everybody(keys: MailboxKeys) -> list[Details]:
    """All that is known of all kept people, in alphabetical order."""
    found = [
        (contact_id, store.open_details(keys, contact_id, head, more))
        for contact_id, head, more in rows(_EVERYBODY, {"mailbox": keys.mailbox_id})
    ]
    ordered = sorted(found, key=lambda one: (store.folded(one[1].name or one[1].addresses[0]), one[0]))
    return [told for _, told in ordered]


_EVERYBODY = _HEADS.replace("contact_id, head", "contact_id, head, more")


# --- changing ------------------------------------------------------------------------------------------------------------


def add(keys: MailboxKeys, told: Details) -> int:
    """Keep a new contact; its id. Whoever was learned with one of its addresses becomes it.

    Raises ContactError: for a field that is wrong, "taken" with the contact that has an address already, "full".
    """
    told = store.checked(told)
    store.lock(keys.mailbox_id)
    store.forget_deleted(keys)
    contact_id, gone = _room_for(keys, told, None)
    if contact_id is None:
        store.refuse_beyond(keys, 1)
        contact_id = new_id()
    store.write(keys, [Item(contact_id, told)])
    store.destroy(keys, gone)
    return contact_id


def change(keys: MailboxKeys, contact_id: int, told: Details) -> None:
    """Write `told` over a contact, which is kept from then on. Raises NotFound, and ContactError as `add` does."""
    told = store.checked(told)
    store.lock(keys.mailbox_id)
    if load(keys, contact_id).kind != "person":
        raise NotFound("contact")
    _, gone = _room_for(keys, told, contact_id)
    store.write(keys, [Item(contact_id, told)])
    store.destroy(keys, gone)


def _room_for(keys: MailboxKeys, told: Details, contact_id: int | None) -> tuple[int | None, list[int]]:
    """(who takes the addresses of `told`: `contact_id`, else somebody who was learned with one of them; who goes for it).

    Those who go were learned or deleted; they go after the writing, which takes their addresses over with their counts.
    """
    tokens = [store.address_token(keys, address) for address in told.addresses]
    others = []
    for token, (owner, state, is_deleted) in store.owners(keys, tokens).items():
        if owner == contact_id:
            continue
        if state == "kept" and not is_deleted:
            raise ContactError("addresses", "taken", told.addresses[tokens.index(token)], owner)
        if contact_id is None and not is_deleted:
            contact_id = owner
        else:
            others.append(owner)
    return contact_id, [owner for owner in others if owner != contact_id]


def keep_person(keys: MailboxKeys, name: str, address: str) -> tuple[int, bool]:
    """Keep whoever wrote a message: (contact, whether it is new in the book). Raises ContactError for what is no address."""
    told = store.checked(Details(name[: store.MAX_NAME], (address,)))
    store.lock(keys.mailbox_id)
    known = store.owners(keys, [store.address_token(keys, told.addresses[0])])
    for owner, state, is_deleted in known.values():
        if state == "kept" and not is_deleted:
            return owner, False
        if not is_deleted:
            before = details(keys, owner)
            told = replace(before, name=before.name or told.name)
    return add(keys, told), True


def keep(keys: MailboxKeys, contact_id: int) -> None:
    """Put somebody who was learned into the book. Raises NotFound, ContactError ("full")."""
    store.lock(keys.mailbox_id)
    if load(keys, contact_id).state == "learned":
        store.refuse_beyond(keys, 1)
        _set(keys, contact_id, "state = 'kept'")


def never_suggest(keys: MailboxKeys, contact_id: int, never: bool) -> None:
    """Leave a contact out of what is suggested while one types, or let it in again. Raises NotFound."""
    load(keys, contact_id)
    _set(keys, contact_id, "is_suggested = false" if never else "is_suggested = true")


def remove(keys: MailboxKeys, contact_id: int) -> None:
    """Delete a contact or a group; for a day it can be taken back. Raises NotFound."""
    store.lock(keys.mailbox_id)
    store.forget_deleted(keys)
    load(keys, contact_id)
    _set(keys, contact_id, "deleted_at = now()")


def restore(keys: MailboxKeys, contact_id: int) -> None:
    """Take a deletion back, memberships included. Raises NotFound when it is too late, or somebody new has its addresses."""
    store.lock(keys.mailbox_id)
    found = rows(_DELETED, {"mailbox": keys.mailbox_id, "contact": contact_id})
    if not found:
        load(keys, contact_id)  # twice is once
        return
    _set(keys, contact_id, "deleted_at = NULL")


_DELETED = """
    SELECT 1 FROM contact WHERE mailbox_id = %(mailbox)s AND contact_id = %(contact)s
       AND deleted_at >= now() - interval '1 day'"""


def _set(keys: MailboxKeys, contact_id: int, change_to: str) -> None:
    db.session.execute(
        text(f"UPDATE contact SET {change_to} WHERE mailbox_id = :mailbox AND contact_id = :contact"),
        {"mailbox": keys.mailbox_id, "contact": contact_id},
    )
