"""In which folder another program kept a message: by the labels of Gmail, or by the folders in a zip. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

_NAMES: Mapping[str, tuple[str, ...]] = {
    "trash": (
        "trash", "bin", "deleted", "deleted items", "deleted messages", "papierkorb", "gelöscht", "corbeille", "papelera",
    ),
    "junk": ("junk", "spam", "junk e-mail", "junk email", "bulk mail", "courrier indésirable", "correo no deseado"),
    "sent": (
        "sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete elemente", "messages envoyés", "enviados",
    ),
    "inbox": ("inbox", "posteingang", "boîte de réception", "recibidos"),
    "archive": ("archive", "archives", "archived", "all mail", "archiv", "alle nachrichten", "tous les messages", "todos"),
}  # fmt: skip
"""Of ours, to what others call it, in lower case; in the order in which they win over each other."""
_FOLDERS: Final = {name: folder for folder, names in _NAMES.items() for name in names}
_UNREAD: Final = frozenset({"unread", "ungelesen", "non lus", "no leídos"})
_STARRED: Final = frozenset({"starred", "markiert", "suivis", "destacados"})
_HEADER: Final = re.compile(rb"(?:^|\n)X-Gmail-Labels:[ \t]*((?:[^\r\n]|\r?\n[ \t]){0,4000})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Labels:
    """What labels say: a folder of ours, and flags."""

    folder: str
    is_read: bool
    is_starred: bool


def read(head: bytes) -> Labels | None:
    """The labels that Gmail's export wrote into the headers of a message; None where there are none."""
    found = _HEADER.search(head)
    if found is None:
        return None
    written = re.sub(r"\r?\n[ \t]+", " ", found[1].decode("utf-8", "replace"))
    try:
        told = str(make_header(decode_header(written)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        told = written
    labels = {one.strip().strip('"').casefold() for one in told.split(",")}
    met = {_FOLDERS[one] for one in labels if one in _FOLDERS}
    folder = next((one for one in _NAMES if one in met), "archive")
    return Labels(folder, not labels & _UNREAD, bool(labels & _STARRED))


def of_path(path: str) -> str:
    """The folder of ours that a file in a zip lay in, by the nearest name that says one; "" for none."""
    for step in reversed(re.split(r"[/\\]", path)):
        for name in reversed(re.sub(r"\.(?:mbox|mbx)$", "", step.casefold()).strip(".").split(".")):
            if name in _FOLDERS:
                return _FOLDERS[name]
    return ""
