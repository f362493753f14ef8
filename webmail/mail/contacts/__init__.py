"""People that a mailbox writes to: kept by its reader, or learned from what was sent; sealed, and found without being read.

Names, addresses and notes are sealed under the mailbox's store key. An address is found by a blind token of it, a name by blind
tokens of the beginnings of its words; so whoever holds the database sees how many contacts there are, which of them are groups,
who is in which group, and how often each was written to, and no name or address. Alphabetical order is made after opening, so
that the order of names does not show either: a page opens the heads of the whole book, at 4 us each.

All verbs work in the caller's transaction; those that write take one lock a mailbox, so that two of them make no contact twice.
"""

from webmail.mail.contacts.book import (
    Entry,
    Page,
    add,
    addresses,
    change,
    details,
    everybody,
    keep,
    keep_person,
    learned,
    load,
    never_suggest,
    page,
    remove,
    restore,
    search,
    total,
)
from webmail.mail.contacts.grouping import Group, add_group, change_group, expand, group, groups
from webmail.mail.contacts.store import ContactError, Details
from webmail.mail.contacts.suggesting import Suggestion, learn, often, suggest
from webmail.mail.contacts.taking import Taken, export, take_in

__all__ = [
    "ContactError",
    "Details",
    "Entry",
    "Group",
    "Page",
    "Suggestion",
    "Taken",
    "add",
    "add_group",
    "addresses",
    "change",
    "change_group",
    "details",
    "everybody",
    "expand",
    "export",
    "group",
    "groups",
    "keep",
    "keep_person",
    "learn",
    "learned",
    "load",
    "never_suggest",
    "often",
    "page",
    "remove",
    "restore",
    "search",
    "suggest",
    "take_in",
    "total",
]
