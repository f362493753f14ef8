"""What an export says of a message beside the message, as a line of ASCII: where it lay, when it came, its flags, its checksum."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

VERSION = "1"
_FLAGS = {"R": "is_read", "F": "is_starred", "A": "is_answered", "P": "is_forwarded"}
_WAYS = ("in", "out")
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"
_PAIR = re.compile(r"([a-z0-9]+)=([^;\s]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """`folder` is its name in addresses of pages; `size` and `sha256` (hex) are those of its exact bytes; `thread` names its
    conversation within this mailbox; `sender` and `recipient` are what SMTP said."""

    folder: str
    received_at: datetime
    size: int
    sha256: str
    way: str
    is_read: bool
    is_starred: bool
    is_answered: bool
    is_forwarded: bool
    thread: str = ""
    sender: str = ""
    recipient: str = ""

    def line(self) -> str:
        """As it is written: `1; folder=inbox; received=…`."""
        flags = "".join(letter for letter, name in _FLAGS.items() if getattr(self, name))
        pairs = {
            "folder": self.folder,
            "received": self.received_at.astimezone(UTC).strftime(_STAMP),
            "bytes": str(self.size),
            "sha256": self.sha256,
            "way": self.way,
            "flags": flags,
            "thread": self.thread,
            "from": quote(self.sender, safe="@+."),
            "to": quote(self.recipient, safe="@+."),
        }
        return "; ".join([VERSION, *(f"{name}={value}" for name, value in pairs.items())])


def read(line: str, folders: frozenset[str]) -> Told | None:
    """What such a line says; None for anything that `line` would not write, or that names a folder which is none of `folders`."""
    version, _, rest = line.strip().partition(";")
    if version != VERSION or len(line) > 4000:
        return None
    said = dict(_PAIR.findall(rest))
    try:
        received_at = datetime.strptime(said["received"], _STAMP).replace(tzinfo=UTC)
        size = int(said["bytes"])
        checks = (
            said["folder"] in folders,
            said["way"] in _WAYS,
            re.fullmatch(r"[0-9a-f]{64}", said["sha256"]) is not None,
            1970 <= received_at.year < 2200,
        )
    except (KeyError, ValueError):
        return None
    if not all(checks):
        return None
    flags = {name: letter in said.get("flags", "") for letter, name in _FLAGS.items()}
    sender, recipient = (_clean(unquote(said.get(name, ""))) for name in ("from", "to"))
    return Told(
        said["folder"], received_at, size, said["sha256"], said["way"], **flags,
        thread=said.get("thread", "")[:20], sender=sender, recipient=recipient,
    )  # fmt: skip


def _clean(address: str) -> str:
    return "".join(letter for letter in address if letter.isprintable())[:320]
