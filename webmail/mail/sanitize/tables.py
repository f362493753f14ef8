"""Tables of data and tables of layout: the first keep their markup, the second become blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape

from webmail.mail.sanitize.images import hidden, tiny
from webmail.mail.sanitize.model import words
from webmail.mail.sanitize.tree import Node

MAX_CELL_TEXT = 240
MAX_LINE_CELL = 40
MAX_LINE = 160
MAX_SPAN = 50
_BLOCKS = words("ul ol dl blockquote pre form hr h1 h2 h3 h4 h5 h6 fieldset")
_SECTIONS = frozenset(("tbody", "thead", "tfoot"))
_MARKUP = re.compile(r"<[^>]*>")
_HOST_NOTE = re.compile(r" <small>[^<]*</small>")


def rows(table: Node) -> list[Node]:
    """The rows in order; a caption, or content that a parser put outside of rows, becomes a row of one cell."""
    found: list[Node] = []
    for kid in table.kids:
        if isinstance(kid, str):
            continue
        if kid.tag == "tr":
            found.append(kid)
        elif kid.tag in _SECTIONS:
            if not hidden(kid.attrs):
                found.extend(row for row in kid.kids if isinstance(row, Node))
        elif kid.tag == "caption":
            row = Node("tr", {})
            row.kids.append(kid)
            found.append(row)
    return found


def cells(row: Node) -> list[Node]:
    return [cell for cell in row.kids if isinstance(cell, Node) and not hidden(cell.attrs)]


def is_data(table: Node, found: list[Node]) -> bool:
    """Judge by what tables of data have in common: several rows of several short cells, no blocks, few pictures."""
    if table.attrs.get("role", "").strip().lower() in ("presentation", "none"):
        return False
    widths: list[int] = []
    headed = False
    for row in found:
        filled = 0
        for cell in cells(row):
            text = _Content(cell)
            if text.blocks or text.length > MAX_CELL_TEXT:
                return False
            headed = headed or (cell.tag == "th" and text.length > 0)
            filled += text.length > 0
        if filled:
            widths.append(filled)
    several = [width for width in widths if width > 1]
    if headed and several:
        return True
    return len(several) >= 2 and len(several) * 2 > len(widths)


class _Content:
    """Length of a cell's text, and whether it holds blocks. Stops at the first table or block: linear over all levels."""

    __slots__ = ("blocks", "length", "paragraphs", "pictures")

    def __init__(self, cell: Node) -> None:
        self.length = self.pictures = self.paragraphs = 0
        self.blocks = False
        self._look(cell)

    def _look(self, node: Node) -> None:
        for kid in node.kids:
            if isinstance(kid, str):
                self.length += len(kid.strip())
            elif kid.tag == "table" or kid.tag in _BLOCKS:
                self.blocks = True
            elif kid.tag == "img":
                self.pictures += not tiny(kid.attrs)
                self.length += len(kid.attrs.get("alt", ""))
            else:
                self.paragraphs += kid.tag == "p"
                self._look(kid)
            if self.blocks or self.paragraphs > 2 or self.pictures > 1 or self.length > MAX_CELL_TEXT:
                self.blocks = self.blocks or self.paragraphs > 2 or self.pictures > 1
                return


def printed(found: list[Node], content: Callable[[Node], str]) -> str:
    """Lean table markup; empty rows are left out."""
    out: list[str] = []
    for row in found:
        if hidden(row.attrs):
            continue
        parts = [(cell, content(cell)) for cell in cells(row)]
        if not any(text for _, text in parts):
            continue
        out.append("<tr>")
        for cell, text in parts:
            name = "th" if cell.tag == "th" else "td"
            out.append(f"<{name}{_span(cell, 'colspan')}{_span(cell, 'rowspan')}>{text}</{name}>")
        out.append("</tr>")
    return "<table><tbody>" + "".join(out) + "</tbody></table>" if out else ""


def _span(cell: Node, name: str) -> str:
    value = cell.attrs.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) <= 3):
        return ""
    return f' {name}="{int(value)}"' if 1 < int(value) <= MAX_SPAN else ""


def _words(markup: str) -> str:
    return unescape(_MARKUP.sub("", _HOST_NOTE.sub("", markup)))


def reads_as_line(filled: Sequence[Sequence[tuple[str, str, str]]]) -> bool:
    """Whether a layout row is a bar of short entries, such as a menu or a label with its value."""
    if len(filled) < 2 or any(
        len(blocks) != 1 or blocks[0][0] != "p" or "<br>" in blocks[0][1] for blocks in filled
    ):
        return False
    lengths = [len(_words(blocks[0][1])) for blocks in filled]
    return max(lengths) <= MAX_LINE_CELL and sum(lengths) <= MAX_LINE


def as_line(filled: Sequence[Sequence[tuple[str, str, str]]]) -> str:
    return " \u00b7 ".join(blocks[0][1] for blocks in filled)
