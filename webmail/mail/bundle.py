"""All attachments of a message as one zip, written as it is sent. Pure: no database, no Flask."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from webmail.mail.charsets import clean_name

MAX_NAME: Final = 150
MAX_NAME_OCTETS: Final = 240
"""Of UTF-8: file systems stop at 255."""
MAX_EXTENSION: Final = 16
CHUNK: Final = 64 * 1024

_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100600 << 16
_UNIX = 3
_SAMPLE = 8 * 1024
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\u2044\u2215\u29f8\uff0f\uff3c\uff1a]')
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$)",
    re.IGNORECASE,
)


def stream(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The bytes of a zip of `files` (name as it came, content), one file in memory at a time.

    Names become those of `names`; contents are deflated where that helps. The same files give the same bytes.
    """
    sink = _Sink()
    namer = _Namer()
    with zipfile.ZipFile(sink, "w", allowZip64=True) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(namer.name(name), _TIME)
            entry.external_attr, entry.create_system = _MODE, _UNIX
            entry.compress_type = zipfile.ZIP_DEFLATED if _shrinks(content) else zipfile.ZIP_STORED
            entry.file_size = len(content)
            with archive.open(entry, "w") as out:
                for start in range(0, len(content), CHUNK):
                    out.write(content[start : start + CHUNK])
                    yield from sink.taken()
            yield from sink.taken()
    yield from sink.taken()


def names(given: Iterable[str]) -> list[str]:
    """A name for each that is safe to unpack on any system: no path, drive, device, control or bidi character, not hidden.

    At most 150 characters and 240 octets, the extension kept; no two alike to a system that knows no case ("a (2).txt").
    """
    namer = _Namer()
    return [namer.name(name) for name in given]


class _Namer:
    """Gives out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def name(self, given: str) -> str:
        safe = _safe(given)
        if self._take(safe):
            return safe
        key = _key(safe)
        number = self._next.get(key, 2)
        while not self._take(found := _cut(safe, f" ({number})")):
            number += 1
        self._next[key] = number + 1
        return found

    def _take(self, name: str) -> bool:
        key = _key(name)
        if key in self._taken:
            return False
        self._taken.add(key)
        return True


def _key(name: str) -> str:
    """Equal for names that some file system would take for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _safe(given: str) -> str:
    base = re.split(r"[/\\]", given[-4096:].rstrip("/\\ "))[-1]
    base = _FORBIDDEN.sub("_", clean_name(re.sub(r"^[A-Za-z]:", "", base.lstrip())))
    base = base.rstrip(" .").lstrip(" ")
    if not base.strip("._- "):
        return "attachment"
    if base[0] in ".-~" or _RESERVED.match(base):
        base = "_" + base
    return _cut(base, "")


def _cut(name: str, suffix: str) -> str:
    """`name` with `suffix` before its extension, shortened between the two."""
    stem, dot, extension = name.rpartition(".")
    if not stem or not extension or len(extension) > MAX_EXTENSION:
        stem, extension = name, ""
    else:
        extension = dot + extension
    tail = suffix + extension
    stem = stem[: MAX_NAME - len(tail)]
    while len((stem + tail).encode()) > MAX_NAME_OCTETS:
        stem = stem[:-1]
    return (stem.rstrip(" .") or "_") + tail


def _shrinks(content: bytes) -> bool:
    """Whether deflating is worth it, by samples: not of the start, which tells little of a picture or an archive."""
    if len(content) < 64:
        return False
    sample = content
    if len(content) > 8 * _SAMPLE:
        sample = b"".join(content[(at := len(content) * part // 8) : at + _SAMPLE] for part in (1, 3, 5, 7))
    return len(zlib.compress(sample, 1)) < len(sample) * 0.93


class _Sink(io.RawIOBase):
    """A file that can only be written to, and is emptied as it is."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is, and not seekable."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> Iterator[bytes]:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        yield from parts
