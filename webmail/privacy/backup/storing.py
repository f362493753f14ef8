"""Where backups are kept: a folder, best on another machine's disk. A file appears there whole, or not at all."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from webmail.errors import MtumailError

DUMP, MANIFEST, KEYS, JOURNAL = "dump", "manifest", "keys", "journal"
LEFT_OUT = "mailbox_key"
"""The table whose rows are not in a dump but in the file of keys."""
_FILE = re.compile(r"(mtumail-\d{8}t\d{12}z)\.(dump|manifest|journal)\.mtb")
_KEYS = "keys.mtb"
_ABANDONED_SECONDS = 86_400


class NoPlace(MtumailError):
    """The place where backups are kept cannot be used."""


class Folder:
    """A folder of backups. It must be there: a disk that is not mounted is not written beside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise NoPlace(f"there is no folder {path} for backups")

    @contextmanager
    def writing(self, kind: str, name: str = "") -> Iterator[BinaryIO]:
        """A file to write; it takes its place, and the place of an older one, at the end. An error leaves nothing."""
        path = self._path(kind, name)
        making = path.with_suffix(".part")
        try:
            descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
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
        found = (_FILE.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(match[1] for match in found if match and match[2] == kind)

    def remove(self, kind: str, name: str) -> None:
        """Remove a file; none is as good."""
        self._path(kind, name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a run that was killed has begun; what is a day old is nobody's any more."""
        for path in self.path.glob("*.part"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()

    def _path(self, kind: str, name: str) -> Path:
        return self.path / (_KEYS if kind == KEYS else f"{name}.{kind}.mtb")

    def _settle(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
