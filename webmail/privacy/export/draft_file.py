"""A draft as `draft.json`: what was typed, under whose name, which files; written by exports and read by imports. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from webmail.mail.identities import Identity
from webmail.privacy.export.collecting import stamp
from webmail.sending.drafts import Fields, Opened

FORMAT: Final = "mtumail-draft"
_TYPED = ("to", "cc", "bcc", "subject", "body", "reply_to")
_MOST = {"body": 2_000_000}
"""Characters of the text; 100,000 of any other field."""


@dataclass(frozen=True, slots=True)
class Told:
    """A draft that was exported. `files`: (name in its folder, name, type) of each file; `sender`: name and address it was written
    under, "" for what the mailbox would choose by itself."""

    fields: Fields
    saved_at: datetime
    sender: tuple[str, str]
    files: tuple[tuple[str, str, str], ...]


def tell(draft: Opened, people: Mapping[int, Identity], names: Sequence[str]) -> dict[str, Any]:
    """The object of the file; `names` are those of the files in the zip."""
    one = people.get(draft.fields.identity) if draft.fields.identity is not None else None
    files = [
        {"file": name, "name": kept.name, "type": kept.content_type}
        for kept, name in zip(draft.attachments, names, strict=True)
    ]
    return {
        "format": FORMAT,
        "saved_at": stamp(draft.saved_at),
        **{name: getattr(draft.fields, name) for name in _TYPED},
        "formatted": draft.fields.formatted,
        "from": list(one.author) if one else ["", ""],
        "in_reply_to": draft.fields.in_reply_to,
        "references": list(draft.fields.references),
        "files": files,
    }


def read(content: bytes) -> Told | None:
    """What such a file says; None for anything that `tell` would not write."""
    try:
        told = json.loads(content)
        if not isinstance(told, dict) or told["format"] != FORMAT:
            return None
        typed = {name: told[name] for name in _TYPED}
        name, address = told["from"]
        files = tuple((one["file"], one["name"], one["type"]) for one in told["files"])
        references = tuple(told["references"])
        answered = told["in_reply_to"]
        saved_at = datetime.fromisoformat(told["saved_at"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    strings = [*typed.values(), name, address, *references, *(one for file in files for one in file)]
    if not all(isinstance(one, str) for one in strings) or not isinstance(answered, str | None):
        return None
    is_long = any(len(value) > _MOST.get(field, 100_000) for field, value in typed.items())
    if is_long or len(references) > 1000 or not (saved_at.tzinfo and 1970 <= saved_at.year < 2200):
        return None
    fields = Fields(
        **typed, formatted=told.get("formatted") is True, in_reply_to=answered, references=references
    )
    return Told(fields, saved_at.astimezone(UTC), (name, address), files)
