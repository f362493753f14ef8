"""Whom one writes to: learned from what is sent, suggested while one types."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text

from webmail.db import db, new_id, rows
from webmail.keys import MailboxKeys
from webmail.mail.addresses import Address, as_typed
from webmail.mail.contacts import book, store
from webmail.mail.contacts.store import Details, Item

CANDIDATES = 64
MAX_LEARNED = 5_000
"""Beyond, those whom one has not written to for longest are forgotten."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Somebody to write to. A group has a name and no address: `contacts.expand` puts its members in its place."""

    name: str
    address: str

    @property
    def text(self) -> str:
        """What to put into the field."""
        return as_typed(self.name, self.address) if self.address else self.name


def suggest(keys: MailboxKeys, typed: str, limit: int = 8) -> list[Suggestion]:
    """People and groups with a word of name or address beginning with each word of `typed`; most written to first.

    Nobody whom the reader wants never suggested. One query, by blind tokens of beginnings: it costs the same beside a million
    other mailboxes, and reads only who fits. Nothing typed suggests nobody.
    """
    tokens, words = book.matching(keys, typed)
    if not tokens or limit < 1:
        return []
    asked = {
        "mailbox": keys.mailbox_id, "tokens": tokens, "count": len(tokens), "limit": max(CANDIDATES, 2 * limit)
    }  # fmt: skip
    found = []
    for contact_id, head, number in rows(_SUGGEST, asked):
        name, addresses = store.open_head(keys, contact_id, head)
        address = addresses[number] if number < len(addresses) else ""
        if book.fits(words, name, [address] if address else []):
            found.append(Suggestion(name, address))
    return found[:limit]


_SUGGEST = f"""
    SELECT c.contact_id, c.head, h.number
      FROM contact c JOIN contact_handle h USING (mailbox_id, contact_id)
     WHERE c.mailbox_id = %(mailbox)s AND c.is_suggested AND c.deleted_at IS NULL AND c.contact_id IN {book.MATCHING}
     ORDER BY h.written DESC, h.written_at DESC NULLS LAST, c.contact_id, h.number LIMIT %(limit)s"""


def often(keys: MailboxKeys, limit: int) -> list[Suggestion]:
    """Those whom one wrote to most, for a list that is there before anything is typed."""
    found = []
    for contact_id, head, number in rows(_OFTEN, {"mailbox": keys.mailbox_id, "limit": limit}):
        name, addresses = store.open_head(keys, contact_id, head)
        if number < len(addresses):
            found.append(Suggestion(name, addresses[number]))
    return found


_OFTEN = """
    SELECT c.contact_id, c.head, h.number
      FROM contact_handle h JOIN contact c USING (mailbox_id, contact_id)
     WHERE h.mailbox_id = %(mailbox)s AND h.written > 0 AND c.is_suggested AND c.deleted_at IS NULL AND c.kind = 'person'
     ORDER BY h.written DESC, h.written_at DESC NULLS LAST, c.contact_id, h.number LIMIT %(limit)s"""


def learn(keys: MailboxKeys, people: Iterable[Address]) -> None:
    """Count a message that goes to each of `people`, and remember those who are unknown, with the name that was typed.

    For submitting, in its transaction: a press that is repeated finds the message sent and does not count again. Who is learned
    stands under "Learned", apart from the book, until the reader keeps them; who was deleted and is written to again is learned
    anew.
    """
    named: dict[bytes, tuple[str, str]] = {}
    for person in people:
        if person.domain:
            named.setdefault(
                store.address_token(keys, person.email), (person.name[: store.MAX_NAME], person.email)
            )
    if not named or rows(_STOPPED, {"mailbox": keys.mailbox_id})[0][0]:
        return
    store.lock(keys.mailbox_id)
    known = store.owners(keys, list(named))
    deleted = {owner for owner, _, is_deleted in known.values() if is_deleted}
    store.destroy(keys, sorted(deleted))
    fresh = [told for token, told in named.items() if token not in known or known[token][0] in deleted]
    store.write(keys, [Item(new_id(), Details(name, (address,)), state="learned") for name, address in fresh])
    written_to = {"mailbox": keys.mailbox_id, "tokens": list(named)}
    for statement in (_COUNT, _TOUCH):
        db.session.execute(statement, written_to)
    db.session.execute(_FORGET, {"mailbox": keys.mailbox_id, "most": MAX_LEARNED})


# Its owner may have had all learning stopped.
_STOPPED = "SELECT mailbox_stops(%(mailbox)s, 'learning')"
_COUNT = text("""
    UPDATE contact_handle SET written = written + 1, written_at = now()
     WHERE mailbox_id = :mailbox AND token = ANY(CAST(:tokens AS bytea[]))""")
_TOUCH = text("""
    UPDATE contact SET changed_at = now()
      FROM contact_handle h
     WHERE contact.mailbox_id = :mailbox AND h.mailbox_id = :mailbox AND h.contact_id = contact.contact_id
       AND h.token = ANY(CAST(:tokens AS bytea[])) AND contact.state = 'learned'""")
_FORGET = text("""
    DELETE FROM contact WHERE mailbox_id = :mailbox AND contact_id IN (
        SELECT contact_id FROM contact WHERE mailbox_id = :mailbox AND state = 'learned' AND deleted_at IS NULL
         ORDER BY changed_at DESC, contact_id DESC OFFSET :most)""")
