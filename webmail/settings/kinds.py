"""What a setting may be: each kind reads what was typed, and refuses with a code what it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from webmail.errors import Refused

_ADDRESS = re.compile(r"[^\s@<>\"',;]{1,64}@[A-Za-z0-9.-]{1,253}|postmaster")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, counted in `unit` (a code: days, hours, seconds, bytes, people, times)."""

    low: int
    high: int
    unit: str

    def read(self, typed: str) -> int:
        """What was typed as a number. Raises Refused(code)."""
        if not re.fullmatch(r"[0-9]{1,15}", typed.strip()):
            raise Refused("not-a-number")
        if not self.low <= int(typed) <= self.high:
            raise Refused("out-of-range")
        return int(typed)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text of at most `most` characters; `is_address`: it is an address of mail, `is_link`: of the web."""

    most: int
    is_address: bool = False
    is_link: bool = False

    def read(self, typed: str) -> str:
        """What was typed, without blanks around it. Raises Refused(code)."""
        line = typed.strip()
        if len(line) > self.most:
            raise Refused("too-long")
        if _CONTROL.search(line) or "\n" in line:
            raise Refused("not-a-line")
        if self.is_address and line and not _ADDRESS.fullmatch(line):
            raise Refused("not-an-address")
        if self.is_link and line and not _is_link(line):
            raise Refused("not-a-link")
        return line


def _is_link(line: str) -> bool:
    try:
        parts = urlsplit(line)
        return parts.scheme == "https" and bool(parts.hostname) and not re.search(r"[\s<>\"]", line)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Words:
    """Text of several lines, at most `most` characters."""

    most: int

    def read(self, typed: str) -> str:
        """What was typed, its line ends as LF. Raises Refused(code)."""
        words = typed.replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(words) > self.most:
            raise Refused("too-long")
        if _CONTROL.search(words):
            raise Refused("not-text")
        return words


@dataclass(frozen=True, slots=True)
class Entries:
    """Lines of `parts` parts each, with | between them; at most `most` lines."""

    most: int
    parts: int

    def read(self, typed: str) -> str:
        """The lines with one blank around each |. Raises Refused(code)."""
        lines = [line for line in Words(self.most * 400).read(typed).split("\n") if line.strip()]
        if len(lines) > self.most:
            raise Refused("too-many")
        split = [[part.strip() for part in line.split("|")] for line in lines]
        if any(len(line) != self.parts or not all(line) for line in split):
            raise Refused("not-entries")
        return "\n".join(" | ".join(line) for line in split)


def entries(value: str) -> list[tuple[str, ...]]:
    """The parts of each line that an `Entries` setting holds."""
    return [tuple(line.split(" | ")) for line in value.split("\n") if line]


@dataclass(frozen=True, slots=True)
class Names:
    """Local parts of addresses, one a line or with blanks or commas between them; at most `most`."""

    most: int

    def read(self, typed: str) -> str:
        """The names in lower case and alphabetical order, one a line. Raises Refused(code)."""
        names = sorted(set(re.split(r"[\s,]+", typed.strip().lower())) - {""})
        if len(names) > self.most:
            raise Refused("too-many")
        if not all(_NAME.fullmatch(name) for name in names):
            raise Refused("not-names")
        return "\n".join(names)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these codes."""

    codes: tuple[str, ...]

    def read(self, typed: str) -> str:
        """The code. Raises Refused(code)."""
        if typed not in self.codes:
            raise Refused("no-such-choice")
        return typed


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that is put in and shown to nobody: `least` to `most` printable characters. Its value is when it was replaced."""

    least: int = 24
    most: int = 200

    def read(self, typed: str) -> str:
        """The secret itself; "" for none. Raises Refused(code)."""
        secret = typed.strip()
        if secret and not re.fullmatch(r"[!-~]*", secret):
            raise Refused("not-a-secret")
        if secret and not self.least <= len(secret) <= self.most:
            raise Refused("secret-length")
        return secret


Kind = Whole | Line | Words | Entries | Names | Choice | Secret
