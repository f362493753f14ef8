"""A little formatting for mail that people write: typed as plain text, sent as HTML beside it. Pure, and linear in the text.

    **bold**   *italic* or _italic_   `code`   [words](https://example.org/)   ![words](picture.png) or ![words](<picture (1).png>)
    - a list, or 1. a numbered one; indented, a list within it
    > a quote                    ``` before and after lines that stay as they are

A mark stands for itself wherever it does not open and close around words, so that 2*3*4 and file_name_here stay as they are; a
backslash before a mark takes its meaning away. There are no headings and no HTML: whatever else is typed is text. What comes out
passes nh3 with a list of ten elements, and each address is one that `sanitize` would let in.
"""

import re
from collections.abc import Mapping
from html import escape
from typing import Final

import nh3

from webmail.mail.sanitize.urls import canonical

MAX_DEPTH: Final = 8
"""Quotes within quotes, and lists within lists; deeper ones stay at this depth."""

_TAGS = {"a", "blockquote", "br", "code", "em", "img", "li", "ol", "p", "pre", "strong", "ul"}
_ATTRIBUTES = {
    "a": {"href"},
    "img": {"alt", "src"},
    "ol": {"start"},
    "p": {"dir"},
    "li": {"dir"},
    "blockquote": {"dir"},
    "pre": {"dir"},
}
_URL = r"(?:[^\s()<>]++|\([^\s()<>]*+\))++"
_PICTURE = re.compile(r"!\[([^\[\]\n]{0,300})\]\((?:<([^<>\n]{1,300})>|([^()<>\n]{1,300}))\)")
_TOKEN = re.compile(
    r"\\(?P<plain>[\\`*_\[\]!>#+-])"
    r"|`(?P<code>[^`\n]++)`"
    rf"|(?P<picture>{_PICTURE.pattern})"
    rf"|\[(?P<words>[^\[\]\n]{{1,500}})\]\((?P<url>{_URL})\)"
    r"|(?<!\w)(?P<bare>https?://[^\s<>\"]{1,4000})"
    r"|(?P<mark>\*{1,3}(?!\*)|_(?!_))"
    r"|[*_]+",
    re.IGNORECASE,
)
_ITEM = re.compile(r"( {0,40})(?:([-*+])|(\d{1,9})[.)]) +(?=\S)")
_QUOTED = re.compile(r" {0,3}>[ ]?")
_FENCE = re.compile(r" {0,3}```")
_END_OF_SENTENCE = ".,;:!?'\"*_~|\u00bb\u201d\u2019\u3002\uff0c"
_ELEMENT = {"**": "strong", "*": "em", "_": "em"}


def to_html(text: str, pictures: Mapping[str, str] | None = None) -> str:
    """`text` as safe HTML for the body of a message. `pictures` are the addresses (`cid:…`) of pictures by their file names."""
    known = pictures or {}
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd").expandtabs(4).split("\n")
    sources = frozenset(known.values())
    return nh3.clean(
        _blocks(lines, known, 0),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=lambda tag, name, value: _let(tag, name, value, sources),
        url_schemes={"http", "https", "mailto", "cid"},
        link_rel=None,
    ).strip()


def pictures(text: str) -> frozenset[str]:
    """The file names that `text` shows as pictures, whether or not there are such files."""
    return frozenset(_named(match) for match in _PICTURE.finditer(text))


def picture(name: str, words: str) -> str:
    """What shows the file `name` as a picture, with `words` for who cannot see it; "" for a name that nothing can show."""
    plain = " ".join(re.sub(r"[\[\]]", " ", words).split())[:300]
    shown = name if not re.search(r"[()]", name) else f"<{name}>"
    written = f"![{plain}]({shown})"
    match = _PICTURE.fullmatch(written)
    return written if match and _named(match) == name else ""


def _named(match: re.Match[str]) -> str:
    return (match[2] or match[3]).strip()


def _let(_tag: str, name: str, value: str, sources: frozenset[str]) -> str | None:
    if name == "href":
        address = canonical(value)
        return value if address is not None and address.url == value else None
    if name == "src":
        return value if value in sources else None
    return value


# --- blocks ----------------------------------------------------------------------------------------------------------------


def _blocks(lines: list[str], known: Mapping[str, str], depth: int) -> str:
    out: list[str] = []
    paragraph: list[str] = []

    def close() -> None:
        if paragraph:
            out.append(f'<p dir="auto">{_inline(chr(10).join(paragraph), known)}</p>\n')
            paragraph.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        if _FENCE.fullmatch(line.rstrip()):
            close()
            end = _fenced(lines, at)
            out.append(f'<pre dir="auto">{escape(chr(10).join(lines[at + 1 : end]), quote=False)}</pre>\n')
            at = end + 1
            continue
        if depth < MAX_DEPTH and _QUOTED.match(line):
            close()
            end = at
            while end < len(lines) and _QUOTED.match(lines[end]):
                end += 1
            inner = [_QUOTED.sub("", one, count=1) for one in lines[at:end]]
            out.append(f'<blockquote dir="auto">\n{_blocks(inner, known, depth + 1)}</blockquote>\n')
            at = end
            continue
        if _ITEM.match(line):
            close()
            end = _list_end(lines, at)
            out.append(_list(lines[at:end], known))
            at = end
            continue
        if line.strip():
            paragraph.append(line.rstrip())
        else:
            close()
        at += 1
    close()
    return "".join(out)


def _fenced(lines: list[str], at: int) -> int:
    """Where the fence that opens at `at` closes; the end of the text for one that never does."""
    for number in range(at + 1, len(lines)):
        if lines[number].strip() == "```":
            return number
    return len(lines)


def _list_end(lines: list[str], at: int) -> int:
    """The first line after a list: a blank one, or one that is neither an item nor indented below one."""
    while at < len(lines) and lines[at].strip() and (_ITEM.match(lines[at]) or lines[at].startswith("  ")):
        at += 1
    return at


def _list(lines: list[str], known: Mapping[str, str]) -> str:
    """A list, with lists in it by indentation. `open_` holds (indentation, element) of the lists that are not closed yet."""
    out: list[str] = []
    held: list[str] = []
    open_: list[tuple[int, str]] = []

    def flush() -> None:
        if held:
            out.append(_inline("\n".join(held), known))
            held.clear()

    def close() -> None:
        out.append(f"</li>\n</{open_.pop()[1]}>\n")

    for line in lines:
        item = _ITEM.match(line)
        if item is None:
            held.append(line.strip())
            continue
        flush()
        indent, element = len(item[1]), "ul" if item[2] else "ol"
        while len(open_) > 1 and indent < open_[-1][0]:
            close()
        if open_ and (indent <= open_[-1][0] + 1 or len(open_) >= MAX_DEPTH) and element == open_[-1][1]:
            out.append("</li>\n")
        else:
            if open_ and indent <= open_[-1][0] + 1:
                close()
            start = f' start="{int(item[3])}"' if item[3] and int(item[3]) != 1 else ""
            out.append(
                f"<{element}{start}>\n" if not out or out[-1].endswith("\n") else f"\n<{element}{start}>\n"
            )
            open_.append((indent, element))
        out.append('<li dir="auto">')
        held.append(line[item.end() :].rstrip())
    flush()
    while open_:
        close()
    return "".join(out)


# --- within a line ---------------------------------------------------------------------------------------------------------


def _inline(text: str, known: Mapping[str, str]) -> str:
    """Text with its marks as elements. Marks that find no partner stay as they were typed."""
    out: list[str] = []
    waiting: list[
        tuple[str, int]
    ] = []  # marks that are open, with their place in `out`; each kind at most once
    at = 0
    for token in _TOKEN.finditer(text):
        out.append(_text(text[at : token.start()]))
        at = token.end()
        if token["mark"]:
            before = text[token.start() - 1 : token.start()]
            _mark(token["mark"], before, text[at : at + 1], out, waiting)
        else:
            made, at = _piece(token, known)
            out.append(made)
    out.append(_text(text[at:]))
    return "".join(out)


def _piece(token: re.Match[str], known: Mapping[str, str]) -> tuple[str, int]:
    """What a token that is no mark becomes, and where it ends."""
    if token["plain"]:
        return _text(token["plain"]), token.end()
    if token["code"]:
        return f"<code>{escape(token['code'], quote=False)}</code>", token.end()
    if token["picture"]:
        shown = _PICTURE.fullmatch(token["picture"])
        source = known.get(_named(shown)) if shown else None
        if shown and source:
            return f'<img src="{escape(source)}" alt="{escape(shown[1])}">', token.end()
    elif token["words"]:
        link = _link(token["url"], token["words"])
        if link:
            return link, token.end()
    elif token["bare"]:
        word = _trimmed(token["bare"])
        link = _link(word, word)
        if link:
            return link, token.start() + len(word)
    return _text(token[0]), token.end()


def _link(url: str, words: str) -> str:
    address = canonical(url)
    return f'<a href="{escape(address.url)}">{escape(words, quote=False)}</a>' if address else ""


def _trimmed(word: str) -> str:
    """An address without the punctuation of the sentence it stands in; a bracket stays where its partner is inside."""
    end, open_left = len(word), word.count("(") - word.count(")")
    while end > 8 and (word[end - 1] in _END_OF_SENTENCE or (word[end - 1] == ")" and open_left < 0)):
        open_left += word[end - 1] == ")"
        end -= 1
    return word[:end]


def _mark(run: str, before: str, after: str, out: list[str], waiting: list[tuple[str, int]]) -> None:
    """Open or close with a run of marks, by what stands on either side of it."""
    kinds = ("**", "*") if run == "***" else (run,)
    names = [name for name, _place in waiting]
    if before.strip() and not _is_word(after) and any(kind in names for kind in kinds):
        # Three close in the order in which they are open.
        for kind in sorted(kinds, key=lambda name: names.index(name) if name in names else -1, reverse=True):
            if kind in names:
                names = names[: names.index(kind)]
                _close(kind, out, waiting)
            else:
                out.append(kind)
        return
    for kind in kinds:
        if after.strip() and not _is_word(before) and kind not in names:
            waiting.append((kind, len(out)))
        out.append(kind)


def _close(kind: str, out: list[str], waiting: list[tuple[str, int]]) -> None:
    while waiting:
        name, place = waiting.pop()
        if name == kind:
            out[place] = f"<{_ELEMENT[kind]}>"
            out.append(f"</{_ELEMENT[kind]}>")
            return


def _is_word(character: str) -> bool:
    """A letter or digit of a script that parts its words by spaces."""
    return character.isalnum() and character < "\u2e80"


def _text(text: str) -> str:
    return escape(text, quote=False).replace("\n", "<br>\n")
