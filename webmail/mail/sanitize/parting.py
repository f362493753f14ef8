"""Prints the blocks of the reading view, in parts where history is to be folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape

from webmail.mail.sanitize.folding import Line, Mark, folds, introduces

_TAG = re.compile(r"<[^>]*>")
_MAX_LINE = 1000

Block = tuple[str, str, Mark]
"""(element name, markup, what its surroundings say); for a paragraph the markup is without its `<p>`."""


def printed(block: Block) -> str:
    return f"<p>{block[1]}</p>" if block[0] == "p" else block[1]


def join(blocks: Iterable[Block]) -> str:
    return "\n".join(map(printed, blocks))


def inner(blocks: list[Block]) -> str:
    """Content of a list item or cell: a lone leading paragraph needs no `<p>`."""
    if blocks and blocks[0][0] == "p" and all(block[0] != "p" for block in blocks[1:]):
        return blocks[0][1] + "".join(block[1] for block in blocks[1:])
    return "".join(map(printed, blocks))


def parts(blocks: Sequence[Block]) -> list[tuple[str, bool]]:
    """(markup, whether it is history) of each part; a paragraph is parted at a line break where history begins in it."""
    lines: list[Line] = []
    places: list[tuple[int, int]] = []
    for number, block in enumerate(blocks):
        for inside, line in enumerate(_lines(block)):
            lines.append(line)
            places.append((number, inside))
    start, end = folds(lines)
    if start == end:
        return [(join(blocks), False)] if blocks else []
    head, rest = _cut(blocks, places[start])
    if end < len(lines):
        at, inside = places[end]
        first, skipped = places[start]
        inside -= skipped if at == first else 0
        old, tail = _cut(rest, (at - len(blocks) + len(rest), inside))
    else:
        old, tail = rest, []
    runs = [(run, quoted) for run, quoted in ((head, False), (old, True), (tail, False)) if run]
    return [(("\n" if number else "") + join(run), quoted) for number, (run, quoted) in enumerate(runs)]


def _lines(block: Block) -> list[Line]:
    """The lines of a block as people see them; all but paragraphs are one line, or one that begins old headers."""
    name, markup, mark = block
    if name == "p":
        texts = [unescape(_TAG.sub("", piece[:_MAX_LINE])) for piece in markup.split("<br>")]
        return [
            Line(
                text.strip(),
                mark,
                marked=mark == "quote" or text.startswith(">"),
                begins=number == 0,
            )
            for number, text in enumerate(texts)
        ]
    if name == "hr":
        return [Line("---", mark, marked=mark == "quote")]
    text = " ".join(unescape(_TAG.sub(" ", markup[:_MAX_LINE])).split()) or "\ufffc"
    quoting = name == "blockquote"
    weak = quoting and mark != "quote" and not introduces(text)
    return [Line(text, mark, marked=quoting or mark == "quote", weak=weak, begins=True)]


def _cut(blocks: Sequence[Block], place: tuple[int, int]) -> tuple[list[Block], list[Block]]:
    """The blocks before and from a place. No element is open at a line break (see `inline.Run`), so both halves hold."""
    number, line = place
    if not line:
        return list(blocks[:number]), list(blocks[number:])
    name, markup, mark = blocks[number]
    pieces = markup.split("<br>")
    before: Block = (name, "<br>".join(pieces[:line]), mark)
    after: Block = (name, "<br>".join(pieces[line:]), mark)
    return [*blocks[:number], before], [after, *blocks[number + 1 :]]
