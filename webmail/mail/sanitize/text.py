"""Plain text as safe HTML. Text is escaped first; links are made of tokens of the text, never of the markup."""

from __future__ import annotations

import re
from html import escape

from webmail.mail.introductions import is_rule
from webmail.mail.sanitize import drawing, folding, limits, walls
from webmail.mail.sanitize.links import Links
from webmail.mail.sanitize.model import Part, Reading

MAX_QUOTES = 8
MAX_CHARACTERS = 512 * 1024
MAX_LINKS = 5000
MAX_WORD = 60
"""Characters of an address that are shown where links are short."""

_QUOTED = re.compile(r"(?:> ?)+")
_LINK = re.compile(
    r"(?<![\w@./-])(?:(?:https?://|www\.)[^\s<>\"\u0000-\u001f]{1,4000}|(?:mailto:)?[\w.!#$%&'*+/=?^`{|}~-]{1,64}+@(?:[\w-]{1,63}+\.){1,20}[^\W\d_]{2,24})",
    re.IGNORECASE,
)
_SPACES = re.compile(r"^ +|  +")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_NAMES = {
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
}
VISIBLE: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **{code: f"\u27e6{name}\u27e7" for code, name in _NAMES.items()},
    0xFEFF: "",
    0x2028: "\n",
    0x2029: "\n",
}


def plain(text: str, *, link_prefix: str | None = None) -> str:
    """Safe HTML for a text/plain body: paragraphs, line breaks, quotes (at most 8 deep) and links. Linear time."""
    return plain_reading(text, link_prefix=link_prefix).html


def plain_reading(text: str, *, link_prefix: str | None = None) -> Reading:
    """As `plain`, with the links. Text beyond 512 Ki characters is cut at a line and `refused` is "long"."""
    cut = len(text) > MAX_CHARACTERS
    if cut:
        end = text.rfind("\n", 0, MAX_CHARACTERS)
        text = text[: end if end > 0 else MAX_CHARACTERS]
    text = (
        limits.slim(text.replace("\0", "\u2400")).replace("\r\n", "\n").replace("\r", "\n").translate(VISIBLE)
    )
    links = Links(link_prefix)
    # Each part passes the wall alone, so that each is well-formed alone.
    parts = tuple(
        Part(walls.last(_blocks(lines, links), link_prefix), quoted)
        for lines, quoted in _parted(text.split("\n"))
    )
    return Reading(parts, links=links.finish(), refused="long" if cut else None)


def _parted(lines: list[str]) -> list[tuple[list[str], bool]]:
    """The lines with the history at their end apart."""
    seen: list[folding.Line] = []
    blank = True
    for line in lines:
        text = line[:1000].strip(" \t\u00a0") if line != "-- " else line
        seen.append(folding.Line(text, marked=line.startswith(">"), begins=blank))
        blank = not text or is_rule(text)
    start, end = folding.folds(seen)
    runs = ((lines[:start], False), (lines[start:end], True), (lines[end:], False))
    return [(run, quoted) for run, quoted in runs if run]


def _blocks(lines: list[str], links: Links) -> str:
    out: list[str] = []
    paragraph: list[str] = []
    depth = 0

    def close() -> None:
        if drawing.is_drawn(paragraph):
            out.append("<pre>" + "\n".join(_line(line, links, drawn=True) for line in paragraph) + "</pre>\n")
        elif paragraph:
            out.append("<p>" + "<br>".join(_line(line, links) for line in paragraph) + "</p>\n")
        paragraph.clear()

    for line in lines:
        line = line.rstrip()
        mark = _QUOTED.match(line)
        here = min(mark[0].count(">"), MAX_QUOTES) if mark else 0
        rest = line[mark.end() :] if mark else line
        if here != depth:
            if not rest and not mark:  # a blank line ends a quote only when unquoted text follows
                close()
                continue
            close()
            out.append("<blockquote>" * (here - depth) + "</blockquote>" * (depth - here))
            depth = here
        if rest:
            paragraph.append(rest.expandtabs(8) if "\t" in rest else rest)
        else:
            close()
    close()
    out.append("</blockquote>" * depth)
    return "".join(out)


def _line(line: str, links: Links, *, drawn: bool = False) -> str:
    if "@" not in line and "://" not in line and "www." not in line.lower():
        return _escape(line, drawn=drawn)
    out: list[str] = []
    position = 0
    for match in _LINK.finditer(line):
        word = _trimmed(match[0])
        href = word
        if word[:4].lower() == "www.":
            href = "http://" + word
        elif "://" not in word and word[:7].lower() != "mailto:":
            href = "mailto:" + word
        target = links.find(href) if len(links) < MAX_LINKS else None
        if target is None:
            continue
        target.add_text(word)
        out.append(_escape(line[position : match.start()], whole=position == 0, drawn=drawn))
        out.append(f'<a href="{escape(links.href(target))}">{escape(_short(word, links), quote=False)}</a>')
        if target.address.odd and not target.noted:
            target.noted = True
            out.append(f" <small>({escape(target.address.host)})</small>")
        position = match.start() + len(word)
    out.append(_escape(line[position:], whole=position == 0, drawn=drawn))
    return "".join(out)


def _short(word: str, links: Links) -> str:
    """The address as its author wrote it. Where links are short ones of our own the rest of a long one is not worth its
    bytes; its host always stays whole."""
    if links.prefix is None or len(word) <= MAX_WORD:
        return word
    start = word.find("://") + 3 if "://" in word[:10] else 0
    ends = [end for end in (word.find(mark, start) for mark in "/?#") if end >= 0]
    keep = max(MAX_WORD - 1, min(ends) + 1 if ends else len(word))
    return word if keep >= len(word) else word[:keep] + "\u2026"


def _trimmed(word: str) -> str:
    """Without the punctuation that belongs to the sentence; a closing bracket stays where its partner is inside."""
    end = len(word)
    opened = {pair: word.count(pair) for pair in "([{"}
    closed = {pair: word.count(pair) for pair in ")]}"}
    while end > 1:
        last = word[end - 1]
        if last in _PAIRS and closed[last] > opened[_PAIRS[last]]:
            closed[last] -= 1
        elif last not in ".,;:!?'\"*_~|\u00bb\u201d\u2019\u3002\uff0c":
            break
        end -= 1
    return word[:end]


def _escape(text: str, *, whole: bool = True, drawn: bool = False) -> str:
    """Escaped text; outside of drawings, spaces at the start of a line and in rows stand as they were typed, yet lines can wrap."""
    if drawn:
        return escape(text, quote=False)
    spaced = _SPACES.sub(
        lambda run: "\u00a0" * (len(run[0]) - 1) + (" " if run.start() or not whole else "\u00a0"), text
    )
    return escape(spaced, quote=False)
