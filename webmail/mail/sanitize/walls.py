"""The last two steps of every view: bleach with a short list, then nh3. Nothing edits what nh3 gives back.

Each wall holds alone: both have their own list and both look at every address and style value again. bleach gets no
more fixes, which is why it stands in front and not behind.
"""

from __future__ import annotations

import re
import threading
import warnings

import nh3

from webmail.mail.sanitize import urls
from webmail.mail.sanitize.model import words
from webmail.mail.sanitize.styles import is_clean

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its vendored parser and its farewell must not stop a strict start
    import bleach

READING_TAGS = words(
    "a blockquote br code dd del dl dt em h2 h3 h4 h5 h6 hr li ol p pre small strong sub sup table tbody td th tr ul"
)
READING_ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
FORMATTED_TAGS = words(
    "a b big blockquote br caption center code col colgroup dd del div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins li "
    "ol p pre s small span strike strong sub sup table tbody td tfoot th thead tr tt u ul wbr"
)
_BOX = {"style", "align", "dir"}
_CELLS = {"width", "height", "bgcolor", "valign"}
FORMATTED_ATTRIBUTES = {
    "*": _BOX,
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height", "border"},
    "table": {"border", "cellpadding", "cellspacing"} | _CELLS,
    "td": {"colspan", "rowspan", "nowrap"} | _CELLS,
    "th": {"colspan", "rowspan", "nowrap"} | _CELLS,
    "tr": {"bgcolor", "valign", "height"},
    "col": {"width", "span"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "hr": {"width", "size", "color"},
}
_SCHEMES = frozenset(("http", "https", "mailto"))
_REL = "noopener noreferrer nofollow ugc"
_PRESENTATIONAL = re.compile(r"[A-Za-z0-9#%.,' _-]{0,120}")

_local = threading.local()


class _Styles:
    """What bleach asks about a style attribute: our grammar has spoken before, so anything else goes whole."""

    def sanitize_css(self, style: str) -> str:
        return style if is_clean(style) else ""


class _Wall:
    """Both cleaners for one view. One a thread: neither promises to be shared."""

    def __init__(self, tags: frozenset[str], allowed: dict[str, set[str]], target: dict[str, str]) -> None:
        self.link_prefix: str | None = None
        self.sources: frozenset[str] = frozenset()
        self.allowed = allowed
        self.first = bleach.Cleaner(
            tags=tags,
            attributes=self.permits,
            protocols=_SCHEMES,
            strip=True,
            strip_comments=True,
            css_sanitizer=_Styles(),  # type: ignore[arg-type]  # bleach only calls sanitize_css
        )
        self.last = nh3.Cleaner(
            tags=set(tags),
            clean_content_tags={
                "script",
                "style",
                "title",
                "textarea",
                "noscript",
                "template",
                "xmp",
                "svg",
                "math",
            },
            attributes=allowed,
            attribute_filter=self._filter,
            strip_comments=True,
            link_rel=_REL,
            url_schemes=set(_SCHEMES),
            url_relative=lambda url: url,
            set_tag_attribute_values={"a": target} if target else {},
        )

    def permits(self, tag: str, name: str, value: str) -> bool:
        if name not in self.allowed.get(tag, ()) and name not in self.allowed.get("*", ()):
            return False
        if name == "href":
            return self._own_link(value) or is_canonical(value)
        if name == "src":
            return value in self.sources
        if name == "style":
            return is_clean(value)
        return name in ("alt", "title") or _PRESENTATIONAL.fullmatch(value) is not None

    def _own_link(self, value: str) -> bool:
        prefix = self.link_prefix
        return (
            prefix is not None
            and value.startswith(prefix)
            and value[len(prefix) :].isdecimal()
            and value.isascii()
        )

    def _filter(self, tag: str, name: str, value: str) -> str | None:
        return value if name in ("rel", "target") or self.permits(tag, name, value) else None

    def clean(self, html: str, link_prefix: str | None, sources: frozenset[str]) -> str:
        self.link_prefix, self.sources = link_prefix, sources
        return self.last.clean(self.first.clean(html))


def is_canonical(url: str) -> bool:
    """Whether `url` is exactly what our own parser prints for it."""
    address = urls.canonical(url)
    return address is not None and address.url == url


def reading(html: str, link_prefix: str | None) -> str:
    wall: _Wall | None = getattr(_local, "reading", None)
    if wall is None:
        wall = _local.reading = _Wall(READING_TAGS, READING_ATTRIBUTES, {})
    return wall.clean(html, link_prefix, frozenset())


def formatted(html: str, link_prefix: str | None, sources: frozenset[str]) -> str:
    """`sources` are the very addresses that pictures may have: our own, made for this message."""
    wall: _Wall | None = getattr(_local, "formatted", None)
    if wall is None:
        wall = _local.formatted = _Wall(FORMATTED_TAGS, FORMATTED_ATTRIBUTES, {"target": "_blank"})
    return wall.clean(html, link_prefix, sources)


def last(html: str, link_prefix: str | None) -> str:
    """nh3 alone with the list of the reading view, for markup that this package wrote from plain text."""
    wall: _Wall | None = getattr(_local, "reading", None)
    if wall is None:
        wall = _local.reading = _Wall(READING_TAGS, READING_ATTRIBUTES, {})
    wall.link_prefix = link_prefix
    return wall.last.clean(html)
