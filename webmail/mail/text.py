"""Plain text as mail has it: quoting, format=flowed (RFC 3676), and where a reply ends and what it quotes begins.

Nothing is lost here: every line that is not blank comes out again, in order. All of it is linear.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from webmail.mail.introductions import bar, candidates, introduction, is_header_block, is_rule

WIDTH: Final = 72  # columns of flowed text; RFC 3676 section 4.2 says 78 at most
_MAX_DEPTH: Final = 100  # more ">" than this are text

_QUOTE_MARKS = re.compile(r"(?:>[ ]?){1,100}")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines of one kind. `depth` is the quote level, 0 for text that is not quoted; a quote's marks are taken off,
    and so is the line that begins a signature."""

    kind: Literal["text", "quote", "signature"]
    depth: int
    text: str


def quote(text: str, who_line: str) -> str:
    """Text quoted for a reply: `who_line`, then every line behind one more ">", without the signature of the one quoted."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines):
        if line in ("-- ", "--\u00a0"):
            lines = lines[:number]
            break
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    quoted = "".join(f">{line}\n" if line.startswith(">") else f"> {line}".rstrip() + "\n" for line in lines)
    return f"{who_line}\n{quoted}" if who_line else quoted


def depth_of(line: str) -> tuple[int, str]:
    """Quote level of a line and the rest of it, as people write them: "> > a" and ">> a" are both two deep."""
    marks = _QUOTE_MARKS.match(line)
    if not marks:
        return 0, line
    return marks[0].count(">"), line[marks.end() :]


def unflow(text: str, delsp: bool = False) -> str:
    """Paragraphs out of format=flowed (RFC 3676 section 4): soft breaks joined, space-stuffing undone, quote levels kept as
    marks before each paragraph. A line of text that itself begins with ">" keeps one space, so that it stays text."""
    out: list[str] = []
    pieces: list[str] = []
    open_depth = -1  # the quote level of the paragraph being joined; -1: none

    def end_paragraph() -> None:
        nonlocal open_depth
        if open_depth >= 0:
            out.append(_marked("".join(pieces), open_depth))
            pieces.clear()
            open_depth = -1

    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        body = bare.removeprefix(" ")
        if open_depth >= 0 and (depth != open_depth or body == "-- "):
            end_paragraph()  # an improper flow: RFC 3676 section 4.5
        flows = body.endswith(" ") and body != "-- "
        pieces.append(body[:-1] if flows and delsp else body)
        open_depth = depth
        if not flows:
            end_paragraph()
    end_paragraph()
    return "\n".join(out)


def _marked(body: str, depth: int) -> str:
    if depth:
        return f"{'>' * min(depth, _MAX_DEPTH)} {body}" if body else ">" * min(depth, _MAX_DEPTH)
    return " " + body if body.startswith(">") else body


def flow(text: str, width: int = WIDTH) -> str:
    """Text as format=flowed (RFC 3676): paragraphs broken at spaces with a soft break, lines space-stuffed. A line that begins
    with ">" is a quote of that depth. A word longer than a line stays whole."""
    out: list[str] = []
    for line in text.split("\n"):
        depth, body = depth_of(line) if line.startswith(">") else (0, line)
        if body == "-- ":
            out.append(">" * depth + (" " if depth else "") + body)
            continue
        for piece in _wrapped(body.rstrip(" "), max(width - depth - 1, 20)):
            stuffed = " " if depth or piece.startswith((" ", ">", "From ")) else ""
            out.append((">" * depth + stuffed + piece) if piece or not depth else ">" * depth)
    return "\n".join(out)


def _wrapped(body: str, width: int) -> list[str]:
    """Lines of at most `width` columns; all but the last end in the space they are broken at."""
    lines, start = [], 0
    while len(body) - start > width:
        cut = body.rfind(" ", start, start + width)
        if cut < start or not body[start:cut].strip():
            cut = body.find(" ", start + width)
        if cut < 0:
            break
        while cut + 1 < len(body) and body[cut + 1] == " ":
            cut += 1
        lines.append(body[start : cut + 1])
        start = cut + 1
    lines.append(body[start:])
    return lines


def fold_quotes(text: str) -> list[Block]:
    """Split a message into what is new, what it quotes, and the signature, so that a view can fold the last two.

    Quotes are lines with marks, with the line that introduces them; and all that follows the headers Outlook and its kind put
    above the mail they answer. Blank lines at the edges of a block are dropped.
    """
    return _Folder(text.split("\n")).blocks()


class _Folder:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.out: list[Block] = []
        self.kind: Literal["text", "quote", "signature"] = "text"
        self.depth = 0
        self.held: list[str] = []

    def blocks(self) -> list[Block]:
        at = 0
        soon = candidates(self.lines)
        while at < len(self.lines):
            line = self.lines[at]
            depth, body = depth_of(line)
            if depth:
                self._add("quote", depth, body)
            elif not line.strip():
                self.held.append("")
            elif _stands_out(line) and (
                bar(line) or is_header_block(self.lines, at, begins=self._begins(at))
            ):
                self._rest(at)
                break
            elif at in soon and (length := self._introduction(at)):
                for one in self.lines[at : at + length]:
                    self._add("quote", 1, one)
                at += length
                continue
            elif line.rstrip() == "--" and (line != "--" or at + 12 >= len(self.lines)):
                self._add("signature", 0, "")
            else:
                self._add("signature" if self.kind == "signature" else "text", 0, line)
            at += 1
        self._flush()
        return self.out

    def _add(self, kind: Literal["text", "quote", "signature"], depth: int, line: str) -> None:
        if (kind, depth) != (self.kind, self.depth) or (kind == "signature" and not line):
            self._flush()
            self.kind, self.depth = kind, depth
        self.held.append(line)

    def _flush(self) -> None:
        while self.held and not self.held[-1].strip():
            self.held.pop()
        first = next((n for n, line in enumerate(self.held) if line.strip()), 0)
        if self.held:
            self.out.append(Block(self.kind, self.depth, "\n".join(self.held[first:])))
        self.held = []

    def _rest(self, at: int) -> None:
        """What stands below the headers of an old mail is one quote; marks in it are one level deeper."""
        for line in self.lines[at:]:
            depth, body = depth_of(line)
            self._add("quote", depth + 1, body) if line.strip() else self.held.append("")

    def _begins(self, at: int) -> bool:
        return at == 0 or not self.lines[at - 1].strip() or is_rule(self.lines[at - 1])

    def _introduction(self, at: int) -> int:
        """How many lines, from here, say who wrote the quote that follows; 0: none do."""
        length, plainly = introduction(self.lines, at)
        return length if length and (plainly or self._quote_follows(at + length)) else 0

    def _quote_follows(self, at: int) -> bool:
        return any(line.startswith(">") for line in self.lines[at : at + 3])


def _stands_out(line: str) -> bool:
    """A quick look that most lines do not pass: whether a line could begin the headers of an old mail."""
    return ":" in line or "：" in line or line.lstrip().startswith(("--", "__"))
