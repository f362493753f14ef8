"""Where backups are kept: what such a place can do, and a folder, best on another machine's disk.

A file appears in a place whole, or not at all.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from webmail.errors import MtumailError

DUMP, MANIFEST, KEYS, JOURNAL = "dump", "manifest", "keys", "journal"
LEFT_OUT = "mailbox_key"
"""The table whose rows are not in a dump but in the file of keys."""
_FILE = re.compile(r"(mtumail-\d{8}t\d{12}z)\.(dump|manifest|journal)\.mtb")
_KEYS = "keys.mtb"
ABANDONED = timedelta(days=1)
"""After which what was begun, and not finished, is nobody's any more."""


class NoPlace(MtumailError):
    """The place where backups are kept cannot be used. `code` says why."""

    code = "no-place"


class Store(Protocol):
    """A place for backups. Each of these raises NoPlace where it cannot be used."""

    def writing(self, kind: str, name: str = "", expected: int = 0) -> AbstractContextManager[BinaryIO]:
        """A file to write, of about `expected` bytes; it takes its place, or an older one's, at the end. An error leaves none."""

    def open(self, kind: str, name: str = "") -> BinaryIO:
        """A file to read. Raises NoPlace where there is none."""

    def has(self, kind: str, name: str = "") -> bool:
        """Whether there is such a file."""

    def names(self, kind: str) -> list[str]:
        """The names of the files of one kind, oldest first."""

    def remove(self, kind: str, name: str) -> None:
        """Remove a file; none is as good."""

    def sweep(self, *, alone: bool = False) -> None:
        """Remove what a run that was killed has begun: dumps where no other run can be (`alone`), else what is a day old."""


def file_name(kind: str, name: str = "") -> str:
    """What a file is called."""
    return _KEYS if kind == KEYS else f"{name}.{kind}.mtb"


def kind_and_name(file: str) -> tuple[str, str] | None:
    """The kind and the name of what is called so, of all but the file of keys."""
    match = _FILE.fullmatch(file)
    return (match[2], match[1]) if match else None


class Folder:
    """A folder of backups. It must be there: a disk that is not mounted is not written beside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise NoPlace(f"there is no folder {path} for backups")

    @contextmanager
    def writing(self, kind: str, name: str = "", expected: int = 0) -> Iterator[BinaryIO]:
        """A file to write; it takes its place, and the place of an older one, at the end. An error leaves nothing."""
        path = self._path(kind, name)
        # Of two who write at once, neither writes into what the other has begun.
        making = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            making.rename(path)
            self._settle()
        except BaseException:
            making.unlink(missing_ok=True)
            raise

    def open(self, kind: str, name: str = "") -> BinaryIO:
        """A file to read. Raises NoPlace where there is none."""
        try:
            return self._path(kind, name).open("rb")
        except OSError as error:
            raise NoPlace(f"{self._path(kind, name)}: {error.strerror}") from None

    def has(self, kind: str, name: str = "") -> bool:
        """Whether there is such a file."""
        return self._path(kind, name).exists()

    def names(self, kind: str) -> list[str]:
        """The names of the files of one kind, oldest first."""
        found = (kind_and_name(path.name) for path in self.path.iterdir())
        return sorted(match[1] for match in found if match and match[0] == kind)

    def remove(self, kind: str, name: str) -> None:
        """Remove a file; none is as good."""
        self._path(kind, name).unlink(missing_ok=True)

    def sweep(self, *, alone: bool = False) -> None:
        """Remove what a run that was killed has begun: dumps where no other run can be (`alone`), else what is a day old."""
        for path in self.path.glob("*.part"):
            with suppress(OSError):
                is_dump = f".{DUMP}." in path.name
                if (alone and is_dump) or time.time() - path.stat().st_mtime > ABANDONED.total_seconds():
                    path.unlink()

    def _path(self, kind: str, name: str) -> Path:
        return self.path / file_name(kind, name)

    def _settle(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
