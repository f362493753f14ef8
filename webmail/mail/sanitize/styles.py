"""Style attributes by grammar: colours, lengths and keywords, read with tinycss2 and written anew.

No source text is ever copied through, so there is nothing in the result that could name an address: no function, no
string, no escape, no comment, no at-rule. What can cover, move or hide (position, z-index, transform, float, negative
margins, opacity) has no entry here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import tinycss2
from tinycss2 import color4

from webmail.mail.sanitize.model import words

MAX_STYLE = 4096
_MAX_NUMBER = 5000.0
_UNITS = words("px pt em rem ex ch in cm mm pc")
_WIDE = words("inherit initial unset")

_COLOURS = words(
    "color background-color border-color border-top-color border-right-color border-bottom-color border-left-color"
)
_SIDES = ("top", "right", "bottom", "left")
_LENGTHS = {
    "font-size": "xx-small x-small small medium large x-large xx-large smaller larger",
    "line-height": "normal",
    "letter-spacing": "normal",
    "word-spacing": "normal",
    "text-indent": "",
    "margin": "auto",
    "padding": "",
    "width": "auto",
    "height": "auto",
    "min-width": "auto",
    "max-width": "none",
    "min-height": "auto",
    "max-height": "none",
    "border-radius": "",
    "border-spacing": "",
    "border-width": "thin medium thick",
    **{f"margin-{side}": "auto" for side in _SIDES},
    **{f"padding-{side}": "" for side in _SIDES},
    **{f"border-{side}-width": "thin medium thick" for side in _SIDES},
    **{f"border-{v}-{h}-radius": "" for v in ("top", "bottom") for h in ("left", "right")},
}
_LINE_STYLES = "none hidden dotted dashed solid double groove ridge inset outset"
_KEYWORDS = {
    "font-weight": "normal bold bolder lighter",
    "font-style": "normal italic oblique",
    "font-variant": "normal small-caps",
    "text-align": "left right center justify start end",
    "text-decoration": "none underline overline line-through",
    "text-decoration-line": "none underline overline line-through",
    "text-transform": "none capitalize uppercase lowercase",
    "vertical-align": "baseline sub super top text-top middle bottom text-bottom",
    "white-space": "normal nowrap pre pre-wrap pre-line",
    "word-break": "normal break-all keep-all break-word",
    "overflow-wrap": "normal break-word anywhere",
    "word-wrap": "normal break-word",
    "direction": "ltr rtl",
    "display": "none block inline inline-block list-item table table-row table-cell table-row-group table-header-group "
    "table-footer-group table-caption inline-table",
    "table-layout": "auto fixed",
    "border-collapse": "collapse separate",
    "caption-side": "top bottom",
    "empty-cells": "show hide",
    "box-sizing": "border-box content-box",
    "list-style-type": "none disc circle square decimal lower-alpha upper-alpha lower-latin upper-latin lower-roman upper-roman",
    "border-style": _LINE_STYLES,
    **{f"border-{side}-style": _LINE_STYLES for side in _SIDES},
}
_KEYWORD_SETS = {name: frozenset(words.split()) for name, words in _KEYWORDS.items()}
_LENGTH_SETS = {name: frozenset(words.split()) for name, words in _LENGTHS.items()}
_BORDERS = frozenset(("border", *(f"border-{side}" for side in _SIDES)))
_BORDER_WORDS = frozenset((*_LINE_STYLES.split(), "thin", "medium", "thick"))
_FONT_WORDS = (
    _KEYWORD_SETS["font-weight"] | _KEYWORD_SETS["font-style"] | _LENGTH_SETS["font-size"] | {"small-caps"}
)
_MANY = words(
    "margin padding border-radius border-spacing border-width border-style border-color text-decoration"
)
PROPERTIES = frozenset((*_COLOURS, *_LENGTHS, *_KEYWORDS, *_BORDERS, "background", "font", "font-family"))

_FAMILY = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?: [A-Za-z][A-Za-z0-9-]*){0,5}")
_PRINTED = "|".join(sorted(PROPERTIES - {"background"}, key=len, reverse=True))
_CLEAN = re.compile(rf"(?:(?:{_PRINTED}):[A-Za-z0-9#%., /-]{{1,400}}(?:;|$))*")
_NEGATIVE = re.compile(r"[:, /]-[0-9.]")
_NAMES_ONLY = re.compile(r"[a-z-]+:[^;]*?(?:url|image|attr|var|env|expression|calc)\(", re.IGNORECASE)


def is_clean(style: str) -> bool:
    """Whether `style` is in the form that `clean` prints: the walls' own look, by a grammar without functions."""
    return (
        len(style) <= 2 * MAX_STYLE
        and _CLEAN.fullmatch(style) is not None
        and _NEGATIVE.search(style) is None
    )


@lru_cache(maxsize=4096)
def clean(style: str) -> str:
    """The declarations of `style` that are allowed, printed in canonical form; an empty string where none is."""
    if len(style) > MAX_STYLE or sum(map(style.count, "([{")) > 40:
        return ""
    out: dict[str, str] = {}
    for item in tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True):
        if item.type != "declaration":
            continue
        if item.lower_name in ("background", "background-image"):
            shade = _shade(item.value)
            if shade is not None:
                out.setdefault("background-color", shade)
        if item.lower_name not in PROPERTIES:
            continue
        name, value = _declaration(
            item.lower_name, [token for token in item.value if token.type not in ("whitespace", "comment")]
        )
        if value:
            out.pop(name, None)
            out[name] = value
    printed = ";".join(f"{name}:{value}" for name, value in out.items())
    return printed if is_clean(printed) else ""


def _shade(tokens: list[Any]) -> str | None:
    """The first colour of a gradient, to stand for the whole of it."""
    for token in tokens:
        if token.type == "function" and token.lower_name.endswith("linear-gradient"):
            return next(filter(None, map(_colour, token.arguments)), None)
    return None


def _declaration(name: str, tokens: list[Any]) -> tuple[str, str | None]:
    if not 0 < len(tokens) <= 24:
        return name, None
    if name == "background":
        return "background-color", next(filter(None, map(_colour, tokens)), None)
    if len(tokens) == 1 and tokens[0].type == "ident" and tokens[0].lower_value in _WIDE:
        return name, tokens[0].lower_value
    if name == "font-family":
        return name, _families(tokens)
    if name == "font":
        return name, _font(tokens)
    parts = [_value(name, token) for token in tokens]
    if None in parts or (len(parts) > 1 and name not in _MANY and name not in _BORDERS) or len(parts) > 4:
        return name, None
    return name, " ".join(part for part in parts if part is not None)


def _value(name: str, token: Any) -> str | None:
    if name in _COLOURS:
        return _colour(token)
    if name in _BORDERS:
        return _word(token, _BORDER_WORDS) or _length(token, percent=False) or _colour(token)
    if name in _LENGTH_SETS:
        plain = name == "line-height"
        return _word(token, _LENGTH_SETS[name]) or _length(token, number=plain)
    found = _word(token, _KEYWORD_SETS[name])
    if found is None and name == "font-weight":
        return _weight(token)
    if found is None and name == "text-decoration":
        return _colour(token) or _word(token, frozenset(("solid", "dotted", "dashed", "double", "wavy")))
    if found is None and name == "vertical-align":
        return _length(token)
    return found


def _word(token: Any, words: frozenset[str]) -> str | None:
    return token.lower_value if token.type == "ident" and token.lower_value in words else None


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def _length(token: Any, *, percent: bool = True, number: bool = False) -> str | None:
    """A length of at least zero: what is negative would move one part of a mail over another."""
    if token.type not in ("dimension", "percentage", "number") or not 0 <= token.value <= _MAX_NUMBER:
        return None
    if token.type == "dimension":
        return _number(token.value) + token.lower_unit if token.lower_unit in _UNITS else None
    if token.type == "percentage":
        return _number(token.value) + "%" if percent else None
    return _number(token.value) if number or token.value == 0 else None


def _weight(token: Any) -> str | None:
    whole = token.type == "number" and token.is_integer and 1 <= token.int_value <= 1000
    return str(token.int_value) if whole else None


def _colour(token: Any) -> str | None:
    if token.type not in ("ident", "hash", "function"):
        return None
    if token.type == "function" and token.lower_name not in ("rgb", "rgba", "hsl", "hsla"):
        return None
    colour = color4.parse_color(token)
    if colour is None or colour == "currentcolor":
        return None
    red, green, blue = (min(255, max(0, round((part or 0) * 255))) for part in colour.to("srgb").coordinates)
    alpha = min(255, max(0, round(colour.alpha * 255)))
    return f"#{red:02x}{green:02x}{blue:02x}" + (f"{alpha:02x}" if alpha < 255 else "")


def _families(tokens: list[Any]) -> str | None:
    """Names that need no quotes, so that none are printed."""
    names: list[str] = []
    words: list[str] = []
    for token in [*tokens, None]:
        if token is None or (token.type == "literal" and token.value == ","):
            name = " ".join(words)
            if _FAMILY.fullmatch(name) and name.lower() not in _WIDE and len(name) <= 60:
                names.append(name)
            words = []
        elif token.type in ("ident", "string"):
            words.append(token.value)
        else:
            return None
    return ",".join(names[:8]) or None


def _font(tokens: list[Any]) -> str | None:
    """`font: [style weight] size[/line-height] family`."""
    out: list[str] = []
    for index, token in enumerate(tokens):
        size = (
            _length(token)
            if token.type in ("dimension", "percentage")
            else _word(token, _LENGTH_SETS["font-size"])
        )
        if size is None:
            word = _word(token, _FONT_WORDS) or _weight(token)
            if word is None:
                return None
            out.append(word)
            continue
        rest = tokens[index + 1 :]
        if len(rest) > 1 and rest[0].type == "literal" and rest[0].value == "/":
            height = _word(rest[1], _LENGTH_SETS["line-height"]) or _length(rest[1], number=True)
            if height is None:
                return None
            size, rest = f"{size}/{height}", rest[2:]
        families = _families(rest)
        return " ".join([*out, size, families]) if families else None
    return None
