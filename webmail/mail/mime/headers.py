"""One header block, read line by line: which fields it holds and where the body begins (RFC 5322 section 2.2).

A line that is neither a field, nor folded, nor empty ends the block and is the first line of the body, as Postfix has it: what
authentication looked at and what is shown are then the same headers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from webmail.mail.mime.limits import MAX_HEADER, MAX_HEADER_BLOCK, MAX_HEADERS

_NAME = re.compile(rb"([!-9;-~]{1,255}+)[ \t]{0,255}+:")
_BLANK = re.compile(rb"\n\r?\n")
_FOLDS = re.compile(rb"\r?\n|\r")


@dataclass(slots=True)
class Block:
    """The fields of one header block in order (name as written, unfolded value), and the offset of the body. Of a part below the
    top only Content-* fields are kept."""

    fields: list[tuple[str, bytes]] = field(default_factory=list)
    body: int = 0
    problems: list[str] = field(default_factory=list)

    def get(self, name: str) -> bytes:
        """The first value of a header (lower-case name), b"" where there is none."""
        return next((value for one, value in self.fields if one.lower() == name), b"")

    def get_all(self, name: str) -> list[bytes]:
        return [value for one, value in self.fields if one.lower() == name]


def scan(raw: bytes, at: int, is_delimiter: Callable[[int], bool]) -> Block:
    """Read the block that begins at an offset; `is_delimiter` says of a line's offset whether it ends the part itself."""
    block = Block()
    pos, size, fields = at, len(raw), _Fields(block, keep_all=at <= 3)
    while pos < size:
        newline = raw.find(b"\n", pos)
        after = size if newline < 0 else newline + 1
        if raw[pos] == 10 or raw.startswith(b"\r\n", pos):
            pos = after
            break
        if pos - at >= MAX_HEADER_BLOCK:
            pos = _skip(raw, at, pos, block, "headers-cut")
            break
        if raw[pos] in b" \t":
            fields.fold(raw, pos, after)
        elif raw.startswith(b"--", pos) and is_delimiter(pos):
            break
        elif name := _NAME.match(raw, pos, after):
            if fields.count >= MAX_HEADERS:
                pos = _skip(raw, at, pos, block, "too-many-headers")
                break
            fields.begin(name[1], raw, name.end(), after)
        elif not _is_junk(raw, at, pos, block):
            break
        pos = after
    fields.close()
    block.body = pos
    return block


def _skip(raw: bytes, at: int, pos: int, block: Block, problem: str) -> int:
    """Where the body begins after a block that is too big. Only the top of a message is searched for its end: doing so for
    each part would make the cost of a message the square of its size."""
    block.problems.append(problem)
    if at:
        return pos
    blank = _BLANK.search(raw, pos - 1)
    return blank.end() if blank else len(raw)


def _is_junk(raw: bytes, at: int, pos: int, block: Block) -> bool:
    """Lines of a header block that are stepped over: an mbox separator on top, and a field without a name."""
    if raw.startswith((b"From ", b">From "), pos) and pos == at == 0:
        return True
    block.problems.append("bad-header")
    return raw.startswith(b":", pos)


class _Fields:
    """Collects the lines of one field after the other, each up to its limit."""

    def __init__(self, block: Block, keep_all: bool) -> None:
        self.block = block
        self.keep_all = keep_all
        self.count = 0
        self.name = ""
        self.lines: list[bytes] = []
        self.room = 0

    def begin(self, name: bytes, raw: bytes, start: int, end: int) -> None:
        self.close()
        self.count += 1
        if not self.keep_all and name[:8].lower() != b"content-":
            return
        self.name, self.lines, self.room = name.decode("ascii"), [], MAX_HEADER
        self.block.fields.append((self.name, b""))
        self.fold(raw, start, end)

    def fold(self, raw: bytes, start: int, end: int) -> None:
        if not self.name:
            return  # a folded line before any field belongs to nothing
        while end > start and raw[end - 1] in b"\r\n":
            end -= 1
        if end - start > self.room:
            self.block.problems.append("header-cut")
            end = start + max(self.room, 0)
        self.lines.append(raw[start:end])
        self.room -= end - start

    def close(self) -> None:
        if self.name:
            self.block.fields[-1] = (self.name, _FOLDS.sub(b" ", b"".join(self.lines)).strip(b" \t"))
        self.name = ""
