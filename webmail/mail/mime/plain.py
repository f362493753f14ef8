"""Text out of a message for the search index and the list row. Linear; nothing here is ever shown as HTML."""

import html
import re
from typing import Final

from webmail.mail.mime.limits import MAX_BODY
from webmail.mail.mime.model import Message
from webmail.mail.text import fold_quotes

_RAW: Final = frozenset(("script", "style", "title", "textarea", "iframe", "noscript"))
_PREVIEW: Final = (
    200_000  # characters of a body that a snippet is looked for in: a newsletter begins with its styles
)
_BLOCKS = """
    address article aside blockquote body br center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr html li
    main nav ol p pre section table tbody tfoot thead tr ul
"""
_BLOCK: Final = frozenset(_BLOCKS.split())
_TAG = re.compile(r"/?([a-zA-Z][^\s/>]{0,40})(?:[^>\"'=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+|[\"'])*+>")
_NAME = re.compile(r"/?([a-zA-Z][^\s/>]{0,40})")
_SPACES = re.compile(r"[ \t\xa0\u2000-\u200a\u3000]+")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
# What senders pad a preview with: it has no ink.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc]"
)


def strip_html(source: str) -> str:
    """The text of an HTML document: scripts, styles and comments gone, blocks on lines of their own. Never raises."""
    out: list[str] = []
    at, size, careful = 0, len(source), True
    while at < size:
        tag = source.find("<", at)
        if tag < 0:
            out.append(_unescaped(source[at:]))
            break
        out.append(_unescaped(source[at:tag]))
        if source.startswith("<!--", tag):
            end = source.find("-->", tag + 2)
            at = size if end < 0 else end + 3
            continue
        name = _NAME.match(source, tag + 1)
        if not name:
            at = _after_odd(source, tag, out)
            continue
        match = _TAG.match(source, tag + 1) if careful else None
        careful = (
            careful and match is not None
        )  # a tag that never ends would be looked for again from each "<"
        end = match.end() if match else source.find(">", tag) + 1
        at = end or size
        element = name[1].lower()
        if element in _RAW and source[tag + 1] != "/":
            at = _after_raw(source, at, element)
        out.append("\n" if element in _BLOCK else " " if element in ("td", "th") else "")
    text = _SPACES.sub(" ", "".join(out))
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()


def _after_odd(source: str, tag: int, out: list[str]) -> int:
    """A "<" that begins no tag: a declaration is stepped over, anything else is text."""
    if source[tag + 1 : tag + 2] in ("!", "?", "/"):
        end = source.find(">", tag)
        return len(source) if end < 0 else end + 1
    out.append("<")
    return tag + 1


def _after_raw(source: str, at: int, element: str) -> int:
    """The end of an element whose content is not markup; an open one takes the rest, as in a browser."""
    end = re.compile(rf"</{element}(?=[\s/>])", re.IGNORECASE).search(source, at)
    return end.start() if end else len(source)


def _unescaped(text: str) -> str:
    text = text.replace("\n", " ")
    if "&" not in text:
        return text
    try:
        return html.unescape(text).replace("\x00", "")
    except ValueError:  # a character reference of thousands of digits
        return text


def message_text(message: Message) -> str:
    """The words of a message, for search: its plain text, or text made from the HTML where there is none beside it."""
    return _words(message, MAX_BODY)


def _words(message: Message, room: int) -> str:
    texts = [message.text[:room]] if message.text.strip() else []
    kinds = {part.number: part.kind for part in message.parts}
    order = [number for number in message.html_body if kinds.get(number) == "body-html"]
    for number, source in zip(order, message.html_parts, strict=False):
        if not texts or number in message.text_body:
            texts.append(strip_html(source[:room]))
    return "\n".join(texts)


def snippet(message: Message, length: int = 160) -> str:
    """One line of what is new in a message: no quotes, signature, padding or invisible characters."""
    text = _words(message, _PREVIEW)[:20_000]
    blocks = fold_quotes(text)
    own = " ".join(block.text for block in blocks if block.kind == "text")
    if not own.strip():
        own = " ".join(block.text for block in blocks)
    line = " ".join(_INVISIBLE.sub("", own).split())
    if len(line) <= length:
        return line
    cut = line[: max(length - 1, 0)]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > length // 2 else cut).rstrip() + "…"
