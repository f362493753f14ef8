"""Groups: a name for several people, written into a field in place of their addresses."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from webmail.db import db, new_id, rows
from webmail.errors import NotFound
from webmail.keys import MailboxKeys
from webmail.mail.addresses import BLANKS, MAX_RECIPIENTS, NEEDS_QUOTES, SEPARATORS, Address, as_typed, pieces
from webmail.mail.charsets import clean_name
from webmail.mail.contacts import book, store
from webmail.mail.contacts.book import Entry
from webmail.mail.contacts.store import ContactError, Details, Item

MAX_GROUPS = 200
MAX_TYPED = 100_000  # characters of a field that are looked through for groups


@dataclass(frozen=True, slots=True)
class Group:
    """A group and who is in it, in alphabetical order."""

    contact_id: int
    name: str
    members: tuple[Entry, ...]
    is_suggested: bool


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in the list of groups."""

    contact_id: int
    name: str
    count: int


def groups(keys: MailboxKeys) -> list[GroupLine]:
    """All groups in alphabetical order."""
    found = [
        GroupLine(contact_id, store.open_head(keys, contact_id, head)[0], count)
        for contact_id, head, count in rows(_GROUPS, {"mailbox": keys.mailbox_id})
    ]
    return sorted(found, key=lambda one: (store.folded(one.name), one.contact_id))


_GROUPS = """
    SELECT c.contact_id, c.head,
           (SELECT count(*) FROM contact_member m JOIN contact p
                ON p.mailbox_id = m.mailbox_id AND p.contact_id = m.contact_id AND p.deleted_at IS NULL
             WHERE m.mailbox_id = c.mailbox_id AND m.group_id = c.contact_id)
      FROM contact c WHERE c.mailbox_id = %(mailbox)s AND c.kind = 'group' AND c.state = 'kept' AND c.deleted_at IS NULL"""


def group(keys: MailboxKeys, contact_id: int) -> Group:
    """One group. Raises NotFound, also for a contact that is none."""
    entry = book.load(keys, contact_id)
    if entry.kind != "group":
        raise NotFound("group")
    asked = {"mailbox": keys.mailbox_id, "groups": [contact_id]}
    members = [member for _, member in rows(_MEMBERS, asked)]
    return Group(contact_id, entry.name, tuple(book.some(keys, members)), entry.is_suggested)


_MEMBERS = """
    SELECT group_id, contact_id FROM contact_member
     WHERE mailbox_id = %(mailbox)s AND group_id = ANY(%(groups)s::bigint[])"""


def add_group(keys: MailboxKeys, name: str, members: Sequence[Address]) -> int:
    """Make a group; its id. Members who are in no contact become contacts.

    Raises ContactError: a name that is empty, too long, holds a character that parts addresses ("special") or is another group's
    ("taken"); no member, or more than one message can go to ("too-many").
    """
    return _write_group(keys, None, name, members)


def change_group(keys: MailboxKeys, contact_id: int, name: str, members: Sequence[Address]) -> None:
    """Give a group this name and these members. Raises NotFound, and ContactError as `add_group` does."""
    group(keys, contact_id)
    _write_group(keys, contact_id, name, members)


def _write_group(keys: MailboxKeys, contact_id: int | None, name: str, members: Sequence[Address]) -> int:
    name = checked_name(name)
    if not members:
        raise ContactError("members", "empty")
    if len(members) > MAX_RECIPIENTS:
        raise ContactError("members", "too-many")
    store.lock(keys.mailbox_id)
    store.forget_deleted(keys)
    for owner, _, is_deleted in store.owners(keys, [store.group_token(keys, name)]).values():
        if is_deleted:
            store.destroy(keys, [owner])
        elif owner != contact_id:
            raise ContactError("name", "taken", name, owner)
    if contact_id is None and len(groups(keys)) >= MAX_GROUPS:
        raise ContactError("name", "full")
    ids = people(keys, members)
    made = new_id() if contact_id is None else contact_id
    store.write(keys, [Item(made, Details(name), kind="group")])
    put_in(keys, made, ids, replace=True)
    return made


def checked_name(name: str) -> str:
    """A group's name as it can be typed into a field. Raises ContactError."""
    name = clean_name(name)
    if not name:
        raise ContactError("name", "empty")
    if len(name) > store.MAX_NAME:
        raise ContactError("name", "too-long")
    if NEEDS_QUOTES.search(name):
        raise ContactError("name", "special", name)
    return name


def people(keys: MailboxKeys, members: Sequence[Address]) -> list[int]:
    """The contacts of these addresses, kept from now on; made where there is none. The caller holds the lock."""
    ids = [book.keep_person(keys, person.name, person.email)[0] for person in members]
    return list(dict.fromkeys(ids))


def put_in(keys: MailboxKeys, group_id: int, contact_ids: Sequence[int], *, replace: bool) -> None:
    """Put contacts into a group, beside or in place of who is in it."""
    told = {"mailbox": keys.mailbox_id, "group": group_id, "contacts": list(contact_ids)}
    if replace:
        db.session.execute(_TAKE_OUT, told)
    db.session.execute(_PUT_IN, told)


_TAKE_OUT = text("""
    DELETE FROM contact_member
     WHERE mailbox_id = :mailbox AND group_id = :group AND contact_id <> ALL(CAST(:contacts AS bigint[]))""")
_PUT_IN = text("""
    INSERT INTO contact_member (mailbox_id, group_id, contact_id)
    SELECT :mailbox, :group, unnest(CAST(:contacts AS bigint[])) ON CONFLICT DO NOTHING""")


# --- in the composer -----------------------------------------------------------------------------------------------------


def expand(keys: MailboxKeys, typed: str) -> str:
    """What was typed into To, Cc or Bcc, with the members of a group in place of its name: `Choir` becomes `Ann <ann@…>, ben@…`.

    Only a piece that is a group's whole name, whatever its case, is replaced; everything else stays as it was typed. At most two
    queries, and none for text in which every piece is an address.
    """
    parts = pieces(typed) if len(typed) <= MAX_TYPED else []
    names = {part: part.strip(BLANKS).strip('"').strip() for part in parts if "@" not in part}
    tokens = {store.group_token(keys, name): name for name in names.values() if name not in ("", *SEPARATORS)}
    known = {
        tokens[token]: owner
        for token, (owner, _, is_deleted) in store.owners(keys, list(tokens)[:MAX_RECIPIENTS]).items()
        if not is_deleted
    }
    if not known:
        return typed
    written = _written(keys, list(known.values()))
    return "".join(
        _in_place(part, written[known[names[part]]]) if names.get(part) in known else part for part in parts
    )


def _in_place(piece: str, members: str) -> str:
    start = piece[: len(piece) - len(piece.lstrip(BLANKS))]
    return f"{start}{members}{piece[len(piece.rstrip()) :] if piece.strip() else ''}"


def _written(keys: MailboxKeys, group_ids: Sequence[int]) -> dict[int, str]:
    """The members of groups as one types them."""
    found: dict[int, list[tuple[str, str]]] = {group_id: [] for group_id in group_ids}
    for group_id, contact_id, head in rows(
        _WITH_HEADS, {"mailbox": keys.mailbox_id, "groups": list(group_ids)}
    ):
        name, addresses = store.open_head(keys, contact_id, head)
        found[group_id] += [(name, addresses[0])] if addresses else []
    return {
        group_id: ", ".join(as_typed(name, address) for name, address in sorted(members, key=_by_name))
        for group_id, members in found.items()
    }


def _by_name(person: tuple[str, str]) -> tuple[str, str]:
    return (store.folded(person[0] or person[1]), person[1])


_WITH_HEADS = """
    SELECT m.group_id, c.contact_id, c.head FROM contact_member m JOIN contact c USING (mailbox_id, contact_id)
     WHERE m.mailbox_id = %(mailbox)s AND m.group_id = ANY(%(groups)s::bigint[]) AND c.deleted_at IS NULL"""
