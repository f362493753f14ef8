"""The encrypted stream that every file of a backup is: written once, front to back, with no clear byte on the disk.

    "MTUB" 0x01 │ length, wrapped file key │ length, sealed chunk │ ... │ length, sealed last chunk

A file's key is random, and wrapped under the backup key for the file's kind and name. Each chunk of 1 MiB is sealed for its number
and for being, or not being, the last: a file that was cut, reordered, joined or renamed does not open (STREAM construction). All
lengths are four bytes, big-endian.
"""

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from webmail.errors import KeyTrouble, SettingError, Tampered
from webmail.keys import CHUNK, MasterKeys, Place, new_content_key, read_master_keys, seal, unseal

MAGIC = b"MTUB\x01"
_LONGEST = CHUNK + 4096


def read_key(path: Path) -> MasterKeys:
    """The backup key in the file at `path`, older ones after it. Raises SettingError."""
    try:
        return MasterKeys(read_master_keys(path))
    except SettingError as error:
        raise SettingError("MTUMAIL_BACKUP_KEY_FILE", error.why, "/etc/mtumail-backup/backup.key") from None


class Writer:
    """Seals what is written to it into `target`. `close` seals the last chunk; without it the file does not open."""

    def __init__(self, target: BinaryIO, key: MasterKeys, kind: str, name: str) -> None:
        self._target, self._waiting, self._number = target, bytearray(), 0
        self._file_key = new_content_key()
        self.digest, self.size = sha256(), 0
        self._put(MAGIC)
        self._part(key.wrap(self._file_key, _head(kind, name)))

    def write(self, value: bytes) -> int:
        """Take more; chunks that are full, and not the last, are written."""
        self._waiting += value
        while len(self._waiting) > CHUNK:
            self._chunk(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(value)

    def close(self) -> None:
        """Write the last chunk. Call it once."""
        self._chunk(bytes(self._waiting), last=True)

    def _chunk(self, value: bytes, *, last: bool) -> None:
        self._part(seal(self._file_key, value, _place(self._number, last=last)))
        self._number += 1

    def _part(self, value: bytes) -> None:
        self._put(len(value).to_bytes(4, "big") + value)

    def _put(self, value: bytes) -> None:
        self._target.write(value)
        self.digest.update(value)
        self.size += len(value)


def read(source: BinaryIO, key: MasterKeys, kind: str, name: str) -> Iterator[bytes]:
    """The chunks of what a Writer made for this kind and name. Raises Tampered at the first that is not right, KeyTrouble."""
    if source.read(len(MAGIC)) != MAGIC:
        raise KeyTrouble("this is no file of a backup")
    file_key = key.unwrap(_part(source), _head(kind, name))
    number, part = 0, _part(source)
    while True:
        following = source.read(4)
        last = not following
        yield unseal(file_key, part, _place(number, last=last), limit=CHUNK)
        if last:
            return
        number, part = number + 1, _part(source, following)


def seal_bytes(value: bytes, key: MasterKeys, kind: str, name: str) -> bytes:
    """A short value as such a file."""
    target = BytesIO()
    writer = Writer(target, key, kind, name)
    writer.write(value)
    writer.close()
    return target.getvalue()


def _part(source: BinaryIO, length: bytes = b"") -> bytes:
    length = length or source.read(4)
    size = int.from_bytes(length, "big")
    value = source.read(size) if len(length) == 4 and size <= _LONGEST else b""
    if not value or len(value) != size:
        raise Tampered("a file of a backup was cut")
    return value


def _head(kind: str, name: str) -> Place:
    return Place("backup", 0, 0, f"{kind} {name}")


def _place(number: int, *, last: bool) -> Place:
    return Place("backup", 0, number, "last" if last else "more")
