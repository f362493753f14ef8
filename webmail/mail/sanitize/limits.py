"""Linear-time look at HTML before any real parser sees it.

A parser may build far more than it reads: `<p><b a=1><p><b a=2>...` makes html5ever build a square of the input (33 kB:
7 s and 900 MB), and nested tables of 45 kB make css-inline overflow its stack. This module tokenises as WHATWG HTML
section 13.2.5 does, builds nothing, and bounds depth and rebuilt formatting from above. Where it cannot follow the
tree builder it stops believing end tags, so that it errs on the side of refusing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from webmail.mail.sanitize.model import Refusal, words

MAX_BYTES = 512 * 1024
MAX_DEPTH = 256
MAX_TAGS = 60_000
MAX_ENTITIES = 40_000
MAX_ATTRIBUTES_BYTES = 64 * 1024
MAX_REBUILT = 200_000

_WS = r"[ \t\n\f\r]"
_NAME = r"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)"""
_TOKEN = re.compile(
    rf"""<!--(?:-?>|.*?(?:--!?>|\Z))
    |</>
    |<(?:[!?]|/[^a-zA-Z])[^>]*+>?
    |<(/?)([a-zA-Z][^ \t\n\f\r/>]*+)((?:(?:{_WS}|/)++|{_NAME}(?:{_WS}*+={_WS}*+{_VALUE}?+)?+)*+)>?""",
    re.DOTALL | re.VERBOSE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_DATA = re.compile(r"data:[a-zA-Z0-9.+/-]{0,60}(?:;[a-zA-Z0-9=-]{1,40}){0,3},[a-zA-Z0-9+/=%\r\n]{256,}+")

_VOID = words("area base br col embed frame hr img input keygen link meta param source track wbr")
_RAW = words("style script title textarea xmp iframe noembed noframes noscript")
_RAW_END = {name: re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE) for name in _RAW}
_FORMATTING = words("a b big code em font i nobr s small strike strong tt u")
_CLOSED_BY_OTHERS = words("p rp rt tr tbody thead tfoot colgroup html head body")
_ITEM_KIND = {"li": "li", "dd": "dd", "dt": "dd", "option": "option", "optgroup": "option"}
_CELL = frozenset(("td", "th", "caption"))
_MARKER = _CELL | {
    "object",
    "applet",
    "marquee",
    "template",
}  # clears what is inside from the formatting list
_FOREIGN = frozenset(("svg", "math"))
_SCOPE = _MARKER | _FOREIGN | {"table", "button", "select"}


@dataclass(frozen=True, slots=True)
class Survey:
    """Upper bounds of what a parser would build. `rules` counts opening braces in style sheets."""

    tags: int
    entities: int
    depth: int
    rebuilt: int
    longest: int
    rules: int


class _Frame:
    """What is open inside one scope boundary."""

    __slots__ = ("formatting", "item", "name", "opened", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened: dict[str, int] = {}
        self.total = 0
        self.formatting = 0
        self.item = ""


class _Count:
    """Follows start and end tags; `depth` never falls below what a tree builder would have."""

    __slots__ = ("deepest", "depth", "foreign", "formatting", "frames", "frozen", "rebuilt")

    def __init__(self) -> None:
        self.frames = [_Frame("")]
        self.depth = self.deepest = self.foreign = self.formatting = self.rebuilt = 0
        self.frozen = False

    def _pop(self) -> None:
        frame = self.frames.pop()
        self.depth -= frame.total + 1
        self.foreign -= frame.name in _FOREIGN
        if frame.name in _MARKER:
            self.formatting -= frame.formatting
        else:
            self.frames[-1].formatting += frame.formatting

    def start(self, name: str) -> None:
        self.rebuilt += self.formatting
        frame = self.frames[-1]
        if name in _VOID:
            return
        if (
            frame.name in _CELL
            and (name in _CELL or name in ("tr", "tbody", "thead", "tfoot"))
            and not self.frozen
        ):
            self._pop()
            frame = self.frames[-1]
        if name in _SCOPE:
            self.frames.append(_Frame(name))
            self.depth += 1
            self.foreign += name in _FOREIGN
        elif name in _CLOSED_BY_OTHERS:
            return
        else:
            kind = _ITEM_KIND.get(name)
            if kind is not None and frame.item == kind:
                return
            frame.item = kind or ""
            frame.opened[name] = frame.opened.get(name, 0) + 1
            frame.total += 1
            self.depth += 1
            if name in _FORMATTING:
                frame.formatting += 1
                self.formatting += 1
        if self.depth > self.deepest:
            self.deepest = self.depth

    def end(self, name: str) -> None:
        if self.frozen:
            return
        frame = self.frames[-1]
        if frame.name in _CELL and name in ("tr", "table"):
            self._pop()
            frame = self.frames[-1]
        if name in _SCOPE:
            if name == frame.name:
                if name in _FOREIGN and frame.total:
                    self.frozen = True
                else:
                    self._pop()
            return
        if frame.opened.get(name):
            frame.opened[name] -= 1
            frame.total -= 1
            self.depth -= 1
            frame.item = ""
            if name in _FORMATTING and frame.formatting:
                frame.formatting -= 1
                self.formatting -= 1


def _script_in_script(text: str) -> bool:
    """Whether `</script>` may not end this script (the "double escaped" state)."""
    start = text.find("<!--")
    return start >= 0 and "<script" in text[start:].lower()


def survey(html: str) -> Survey:
    """Count in one pass over the text; about 1 ms for 50 kB."""
    count = _Count()
    position = tags = longest = rules = 0
    find = _TOKEN.search
    while (match := find(html, position)) is not None:
        position = match.end()
        name = match[2]
        if name is None:
            count.frozen = count.frozen or count.foreign > 0
            continue
        tags += 1
        if tags > MAX_TAGS:
            break
        longest = max(longest, match.end(3) - match.start(3))
        name = name.lower()
        if match[1]:
            count.end(name)
        elif name in _RAW:
            # Inside svg and select these are ordinary elements: what they hide cannot be known from here.
            count.frozen = count.frozen or count.foreign > 0 or count.frames[-1].name == "select"
            if not count.frozen:
                end = _RAW_END[name].search(html, position)
                stop = end.start() if end else len(html)
                rules += html.count("{", position, stop) if name == "style" else 0
                count.frozen = name == "script" and _script_in_script(html[position:stop])
                position = stop
        elif name == "plaintext":
            count.frozen = True
        else:
            count.start(name)
        if count.deepest > MAX_DEPTH or count.rebuilt > MAX_REBUILT:
            break
    entities = html.count("&") + max(0, html.count("<") - tags)
    return Survey(tags, entities, count.deepest, count.rebuilt, longest, rules)


def slim(html: str) -> str:
    """Mend what no parser can encode (lone surrogates, NUL) and cut long data: addresses, which are never shown."""
    html = _SURROGATE.sub("\ufffd", html).replace("\0", "\ufffd")
    return _LONG_DATA.sub("data:,", html) if "data:" in html else html


def judge(html: str) -> tuple[Survey | None, Refusal | None]:
    """The survey of `html` (already slimmed) and the limit it breaks, if any."""
    if len(html) > MAX_BYTES or len(html.encode("utf-8", "replace")) > MAX_BYTES:
        return None, Refusal("long")
    found = survey(html)
    for code, value, limit in (
        ("tags", found.tags, MAX_TAGS),
        ("deep", found.depth, MAX_DEPTH),
        ("formatting", found.rebuilt, MAX_REBUILT),
        ("entities", found.entities, MAX_ENTITIES),
        ("attribute", found.longest, MAX_ATTRIBUTES_BYTES),
    ):
        if value > limit:
            return found, Refusal(code)
    return found, None


def guard(html: str) -> Refusal | None:
    """None where the later passes can neither crash nor stall on `html`, else the limit it breaks. Linear time."""
    return judge(slim(html))[1]
