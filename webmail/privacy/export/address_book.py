"""Contacts as records tell them: kept people, groups, and who was learned; with what vCards have no place for."""

from collections.abc import Mapping
from typing import Any, Final

from webmail.db import rows
from webmail.keys import MailboxKeys
from webmail.mail import contacts
from webmail.privacy.export.collecting import Asked, Collect

_PAGE: Final = 500


def _people(keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    silent = {contacts.details(keys, number) for (number,) in rows(_SILENT, asked)}
    return [
        {
            "name": one.name,
            "addresses": list(one.addresses),
            "phones": list(one.phones),
            "organisation": one.organisation,
            "notes": one.notes,
            "is_suggested": one not in silent,
        }
        for one in contacts.everybody(keys)
    ]


_SILENT = """
    SELECT contact_id FROM contact WHERE mailbox_id = %(mailbox)s AND NOT is_suggested AND kind = 'person' AND state = 'kept'
       AND deleted_at IS NULL"""


def _groups(keys: MailboxKeys, _asked: Asked) -> list[dict[str, Any]]:
    found = [contacts.group(keys, line.contact_id) for line in contacts.groups(keys)]
    return [
        {"name": one.name, "members": [person.addresses[0] for person in one.members if person.addresses]}
        for one in found
    ]


def _learned(keys: MailboxKeys, _asked: Asked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: int | None = None
    while True:
        page = contacts.learned(keys, start, _PAGE)
        found += [
            {"name": one.name, "addresses": list(one.addresses), "written": one.written} for one in page.entries
        ]  # fmt: skip
        if page.after is None:
            return found
        start = page.after


KINDS: Mapping[str, Collect] = {
    "contacts": _people,
    "contact_groups": _groups,
    "learned_contacts": _learned,
}
