"""A message as its signatures see it: raw fields, and hashes of canonical forms. Linear in time."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from inbound.authentication.limits import MAX_FIELDS, MAX_HEADER_BLOCK
from webmail.mail.canonical import content_end, relaxed_body, relaxed_field

# The same name, and the same end of the header section, as `webmail.mail.mime`: what is verified is what is shown.
_NAME = re.compile(rb"([!-9;-~]{1,255}+)[ \t]{0,255}+:")
_B_TAG = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


@dataclass(frozen=True)
class Field:
    """One header field: its name in lower case, and all its octets with the last line end."""

    name: bytes
    raw: bytes
    at: int
    """Its offset in the message."""

    @property
    def value(self) -> bytes:
        """What follows the colon, folded as it came."""
        return self.raw[self.raw.index(b":") + 1 :]

    @cached_property
    def relaxed(self) -> bytes:
        """Relaxed form, with its line end. Kept: each of many signatures may cover the field."""
        return relaxed_field(self.raw) + b"\r\n"


class Mail:
    """A message from offset `start`: its fields, and hashes of its body, each computed once."""

    def __init__(self, raw: bytes, start: int = 0) -> None:
        self.raw = raw
        self.fields: list[Field] = []
        self.problem = ""
        """Why the header section cannot be verified; "" where it can."""
        self.body = self._split(start)
        self._places: dict[bytes, list[int]] = {}
        for number, field in enumerate(self.fields):
            self._places.setdefault(field.name, []).append(number)

    def get_all(self, name: bytes) -> list[Field]:
        """The fields of that name (lower case), from the top."""
        return [self.fields[number] for number in self._places.get(name, ())]

    def select(self, names: Iterable[bytes]) -> list[Field]:
        """The fields that an h= tag means: of each name the last one not yet taken; none where there is none left."""
        left = {name: list(places) for name, places in self._places.items()}
        return [self.fields[left[name].pop()] for name in names if left.get(name)]

    def body_digest(self, relaxed: bool, length: int | None) -> tuple[bytes, bool]:
        """SHA-256 of the canonical body, or of its first `length` octets; and whether that is all of it."""
        if relaxed:
            data: bytes | memoryview = self._relaxed_body
            total = len(data)
            tail = b""
        else:
            end = content_end(self.raw, self.body)
            data, tail = memoryview(self.raw)[self.body : end], b"\r\n"
            total = len(data) + 2
        size = total if length is None else length
        digest = hashlib.sha256(data[:size])
        digest.update(tail[: max(0, size - len(data))])
        return digest.digest(), size == total

    @cached_property
    def _relaxed_body(self) -> bytes:
        return relaxed_body(self.raw[self.body :])

    def _split(self, start: int) -> int:
        raw, pos, size = self.raw, start, len(self.raw)
        begun: tuple[bytes, int] | None = None
        while pos < size:
            newline = raw.find(b"\n", pos)
            after = size if newline < 0 else newline + 1
            if raw[pos] == 10 or raw.startswith(b"\r\n", pos):
                self._close(begun, pos)
                return after
            if pos - start > MAX_HEADER_BLOCK:
                self.problem = "header section too large"
                break
            if raw[pos] in b" \t":
                if begun is None:
                    self.problem = "header section begins with a folded line"
            elif name := _NAME.match(raw, pos, after):
                self._close(begun, pos)
                begun = None
                if len(self.fields) >= MAX_FIELDS:
                    self.problem = "header section too large"
                    break
                begun = name[1].lower(), pos
            else:
                self.problem = "header section has a line that is no field"
                break
            pos = after
        self._close(begun, pos)
        return pos

    def _close(self, begun: tuple[bytes, int] | None, end: int) -> None:
        if begun is not None:
            self.fields.append(Field(begun[0], self.raw[begun[1] : end], begun[1]))


def unsigned(field: Field, relaxed: bool) -> bytes:
    """A signature field as it was signed: the value of b= taken out, no line end after it (RFC 6376 section 3.7)."""
    head, _, value = field.raw.partition(b":")
    emptied = _B_TAG.sub(rb"\1", value, count=1)
    whole = head + b":" + emptied
    return relaxed_field(whole) if relaxed else whole.removesuffix(b"\r\n")
