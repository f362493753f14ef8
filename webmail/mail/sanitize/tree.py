"""A small tree of an HTML fragment: nh3 parses as a browser would, this reads its canonical output.

The parse is not a wall: it lets through all that the views need to decide by (styles, sizes, roles). What the views
make of it passes the walls afterwards.
"""

from __future__ import annotations

import re
import threading
from html import unescape

import nh3

from webmail.mail.sanitize.model import words

MAX_DEPTH = 100
"""Elements nested deeper become children of the last level: the order of the text stays, the nesting ends."""

# Their content is never text for a reader, or means something else to every parser.
DROPPED = words(
    "script style title textarea noscript template xmp iframe noembed noframes plaintext frameset svg math applet datalist"
)
_TAGS = words(
    "a abbr address article aside b big blockquote br button caption center cite code col colgroup dd del details dfn dir "
    "div dl dt em fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd label legend "
    "li listing main mark menu nav ol option p pre q s samp section small span strike strong sub summary sup table tbody td tfoot "
    "th thead tr tt u ul var wbr"
)
_EVERYWHERE = {"style", "hidden", "class", "id", "align", "dir"}
_SIZED = {"width", "height", "bgcolor", "background", "valign"}
_ATTRIBUTES = {
    "*": _EVERYWHERE,
    "a": {"href"},
    "div": {"bgcolor", "background", "text"},
    "blockquote": {"type"},
    "img": {"src", "alt", "width", "height", "border", "hspace", "vspace"},
    "table": {"role", "border", "cellpadding", "cellspacing", "summary"} | _SIZED,
    "td": {"colspan", "rowspan", "nowrap"} | _SIZED,
    "th": {"colspan", "rowspan", "nowrap", "scope"} | _SIZED,
    "tr": _SIZED,
    "tbody": _SIZED,
    "thead": _SIZED,
    "col": {"width", "span"},
    "colgroup": {"width", "span"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "hr": {"width", "size", "color", "noshade"},
}
# Addresses are only read here; what may be printed is decided by `urls` and held by the walls.
_SCHEMES = {
    "http",
    "https",
    "mailto",
    "cid",
    "data",
    "javascript",
    "vbscript",
    "file",
    "ftp",
    "tel",
    "sms",
    "blob",
    "about",
}
_TOKEN = re.compile(r'<(/?)([a-z0-9]+)((?: [a-z]+="[^"]*")*)>|([^<]+)')
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
VOID = frozenset(("br", "hr", "img", "wbr", "col"))

_local = threading.local()


class Node:
    """One element. `kids` are nodes and plain (unescaped) strings."""

    __slots__ = ("attrs", "kids", "tag")

    def __init__(self, tag: str, attrs: dict[str, str]) -> None:
        self.tag = tag
        self.attrs = attrs
        self.kids: list[Node | str] = []


def canonical(html: str) -> str:
    """Well-formed markup of the elements that the views know, everything else dropped."""
    cleaner = getattr(_local, "cleaner", None)
    if cleaner is None:
        cleaner = _local.cleaner = nh3.Cleaner(
            tags=set(_TAGS),
            clean_content_tags=set(DROPPED),
            attributes=_ATTRIBUTES,
            strip_comments=True,
            link_rel=None,
            url_schemes=_SCHEMES,
            url_relative="pass_through",
        )
    cleaned: str = cleaner.clean(html)
    return cleaned


def tokens(markup: str) -> list[tuple[str, str, str, str]]:
    """(slash, tag, attributes, text) of canonical markup; text is still escaped."""
    return _TOKEN.findall(markup)


def attributes(source: str) -> dict[str, str]:
    if not source:
        return {}
    return {name: unescape(value) if "&" in value else value for name, value in _ATTRIBUTE.findall(source)}


def parse(markup: str) -> Node:
    """The tree of canonical markup; its root has an empty tag."""
    root = Node("", {})
    stack = [root]
    for slash, tag, attrs, text in tokens(markup):
        if not tag:
            stack[-1].kids.append(unescape(text) if "&" in text else text)
        elif slash:
            if len(stack) > 1:
                stack.pop()
        else:
            node = Node(tag, attributes(attrs))
            stack[-1].kids.append(node)
            if tag not in VOID:
                stack.append(node if len(stack) < MAX_DEPTH else stack[-1])
    return root
