"""Which pictures carry meaning, which only take up room, and which only watch the reader."""

from __future__ import annotations

import re

from webmail.mail.sanitize import trackers, urls
from webmail.mail.sanitize.tree import Node

MAX_ALT = 200
_NUMBER = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*(?:!important)?\s*")
_STYLE_SIZE = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*(\d{1,5})(?:\.\d+)?\s*px", re.IGNORECASE)
_HIDDEN = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|opacity\s*:\s*0*(?:\.0*)?\s*(?:;|!|$)|max-height\s*:\s*0(?:px)?\s*(?:;|!|$))",
    re.IGNORECASE,
)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?\s*((?:https?:)?//[^\s'\")]{1,2000})", re.IGNORECASE)


def hidden(attrs: dict[str, str]) -> bool:
    """Whether an element is hidden by its own attributes."""
    if "hidden" in attrs:
        return True
    style = attrs.get("style")
    return bool(style) and _HIDDEN.search(style or "") is not None


def size(attrs: dict[str, str]) -> tuple[int | None, int | None]:
    """(width, height) in CSS pixels; the style goes before the attributes, as in a browser."""
    found: dict[str, int] = {}
    for name in ("width", "height"):
        match = _NUMBER.fullmatch(attrs.get(name, ""))
        if match:
            found[name] = int(match[1])
    for name, value in _STYLE_SIZE.findall(attrs.get("style", "")):
        found[name.lower()] = int(value)
    return found.get("width"), found.get("height")


def tiny(attrs: dict[str, str]) -> bool:
    """A spacer or a pixel: at most two pixels in one direction, or no area at all."""
    return any(side is not None and side <= 2 for side in size(attrs))


def alt_text(attrs: dict[str, str]) -> str:
    return " ".join(attrs.get("alt", "").split())[:MAX_ALT]


class Images:
    """What was found in one message. Hosts only: no full address of a watcher is kept."""

    def __init__(self) -> None:
        self.meaningful = 0
        self.trackers: set[str] = set()
        self.blocked: set[str] = set()

    def remote(self, source: str) -> urls.Address | None:
        """The address of a remote picture; protocol-relative ones count as https."""
        address = urls.canonical("https:" + source if source.strip().startswith("//") else source)
        return address if address is not None and address.scheme != "mailto" else None

    def watches(self, attrs: dict[str, str], *, unseen: bool = False) -> bool:
        """Note the picture; True where it is a tracking pixel or nothing to see."""
        source = attrs.get("src", "")
        address = self.remote(source)
        small = tiny(attrs) or unseen or hidden(attrs)
        if address is not None:
            sized = any(side is not None for side in size(attrs))  # and not tiny
            worded = bool(alt_text(attrs))
            watching = small or trackers.is_tracker(address.url, address.host, worded=worded, sized=sized)
            (self.trackers if watching else self.blocked).add(address.host)
            small = watching
        if not small:
            self.meaningful += 1
        return small

    def note_hidden(self, node: Node) -> None:
        """Count the pictures inside a hidden element as watchers."""
        if node.tag == "img":
            self.watches(node.attrs, unseen=True)
        for kid in node.kids:
            if isinstance(kid, Node):
                self.note_hidden(kid)

    def note_styles(self, text: str) -> None:
        """Note the hosts of remote parts named in style attributes, sheets and `background`."""
        if "url(" not in text and "URL(" not in text:
            return
        for source in _REMOTE_STYLE.findall(text):
            address = self.remote(source)
            if address is not None:
                self.blocked.add(address.host)
