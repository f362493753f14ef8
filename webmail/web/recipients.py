"""Names that somebody typed where addresses belong, and whom they may mean: completion that needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webmail.keys import MailboxKeys
from webmail.mail import contacts
from webmail.mail.addresses import BLANKS, MAX_TYPED, AddressError, parse_recipients, pieces
from webmail.sending.drafts import Fields

FIELDS = ("to", "cc", "bcc")
MAX_OFFERED = 5
_KEY = "person:"
MAX_NAMES = 10
MAX_OFTEN = 12
MAX_OFTEN_CHARACTERS = 480
"""Of the list that comes with the page: it is there for who needs it, and costs everybody."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Somebody whom a typed name may mean. `key` and `text` are name and value of the button that puts them in its place."""

    key: str
    text: str


def meant(keys: MailboxKeys, fields: Fields) -> dict[str, list[Meant]]:
    """By field, the people and groups that fit what was typed there without an address; nothing where all can be read."""
    found: dict[str, list[Meant]] = {}
    for field in FIELDS:
        for name in _names(getattr(fields, field))[:MAX_NAMES]:
            people = contacts.suggest(keys, name, MAX_OFFERED)
            if any(one.text == name for one in people):
                continue  # a group's name stands for its people
            for one in people:
                found.setdefault(field, []).append(Meant(f"{_KEY}{field}:{name}", one.text))
    return found


def pressed(form: Mapping[str, str]) -> Meant | None:
    """Which of `meant` was pressed, if one was."""
    return next((Meant(key, text) for key, text in form.items() if key.startswith(_KEY)), None)


def chosen(fields: Fields, one: Meant) -> Fields:
    """The fields with one of `meant` in place of the name that was typed; as they are when that is not there any more."""
    field, _colon, name = one.key.removeprefix(_KEY).partition(":")
    if field not in FIELDS or not name:
        return fields
    parts = pieces(getattr(fields, field))
    for place, part in enumerate(parts):
        if part.strip(BLANKS) == name:
            parts[place] = part.replace(name, one.text[:MAX_TYPED], 1)
            changed: dict[str, Any] = {field: "".join(parts)}
            return replace(fields, **changed)
    return fields


def often(keys: MailboxKeys) -> Sequence[str]:
    """Those whom one writes to most, as they are typed: few, and short together."""
    told: list[str] = []
    left = MAX_OFTEN_CHARACTERS
    for one in contacts.often(keys, MAX_OFTEN):
        left -= len(one.text)
        if left < 0:
            break
        told.append(one.text)
    return told


def _names(typed: str) -> list[str]:
    """What stands in a field and is neither an address nor looks like one that was mistyped."""
    try:
        parse_recipients(typed)
    except AddressError:
        return [name for part in pieces(typed) if len(name := part.strip(BLANKS)) > 1 and "@" not in name]
    return []
