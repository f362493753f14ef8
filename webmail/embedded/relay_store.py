"""What the relay sink keeps: each message as it came, and its envelope, in two numbered files.

`NNNNNN.eml` holds the bytes of DATA after dot-unstuffing; `NNNNNN.json` the envelope: `number`, `time` (ISO 8601, UTC),
`mail_from` ("" for the null sender), `rcpt_to` (a list), `size` (octets of the .eml), `auth` (the user, or null), `helo`, `body`
("7BIT" or "8BITMIME"), `smtputf8` (true or false), `mail_options`.
"""

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP said around a message."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    auth: str | None = None
    helo: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    mail_options: tuple[str, ...] = ()
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


class Store:
    """The numbered files in `folder`; numbers go on after a restart. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        taken = (path.stem for path in folder.iterdir() if path.suffix in (".eml", ".json"))
        self._last = max((int(stem) for stem in taken if stem.isdigit()), default=0)

    def keep(self, envelope: Envelope, content: bytes) -> str:
        """Write both files, durably, the envelope last: where it is, all is there. Returns the number."""
        with self._lock:
            self._last += 1
            number = f"{self._last:06d}"
        write_durably(self.folder / f"{number}.eml", content)
        record = {"number": number, **asdict(envelope), "size": len(content)}
        write_durably(self.folder / f"{number}.json", json.dumps(record, indent=1).encode() + b"\n")
        return number


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there, also after a power cut."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
