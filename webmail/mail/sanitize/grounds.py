"""A ground for text that stood on a picture: background pictures are left out, and light words on white cannot be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tinycss2 import color4

from webmail.mail.sanitize import tree

_DARK, _LIGHT = "#4a4a4a", "#f4f4f4"
_PICTURE = re.compile(r"background(?:-image)?\s*:[^;]*url\(", re.IGNORECASE)
_COLOUR = re.compile(r"(?:^|;)\s*color\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_GROUND = re.compile(r"(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]{1,300})", re.IGNORECASE)
_ANY_COLOUR = re.compile(r"#[0-9a-f]{3,8}\b|rgba?\([^)]{1,60}\)|\b(?!url\b)[a-z]{3,20}\b", re.IGNORECASE)
_ADDRESS = re.compile(r"url\([^)]{0,2000}\)", re.IGNORECASE)

Token = tuple[str, str, str, str]


def lost(tokens: Sequence[Token]) -> dict[int, str]:
    """The colour that a start tag (by its number in `tokens`) needs in place of its background picture. Linear time."""
    if not any("background" in source for _, _, source, _ in tokens):
        return {}
    stack: list[tuple[bool, bool, int]] = [
        (False, True, -1)
    ]  # text is light, ground is light, on which picture
    letters: dict[int, list[int]] = {}
    behind: dict[int, bool] = {}
    for number, (slash, tag, source, text) in enumerate(tokens):
        light_text, light_ground, picture = stack[-1]
        if not tag:
            if picture >= 0:
                letters[picture][light_text] += len(text.strip())
        elif slash:
            if len(stack) > 1:
                stack.pop()
        elif tag not in tree.VOID:
            text_colour, ground, has_picture = _colours(tree.attributes(source))
            light_text = light_text if text_colour is None else text_colour
            if ground is None and has_picture:
                picture = number
                letters[number], behind[number] = [0, 0], light_ground
            elif ground is not None:
                light_ground, picture = ground, -1
            stack.append((light_text, light_ground, picture))
    return _chosen(letters, behind)


def _chosen(letters: dict[int, list[int]], behind: dict[int, bool]) -> dict[int, str]:
    """A dark ground where most letters on a picture are light and what is behind it is light as well, and the reverse."""
    chosen = {}
    for number, (dark, light) in letters.items():
        if light > dark and behind[number]:
            chosen[number] = _DARK
        elif dark > light and not behind[number]:
            chosen[number] = _LIGHT
    return chosen


def _colours(attrs: dict[str, str]) -> tuple[bool | None, bool | None, bool]:
    """Whether the text and the ground that an element sets are light (None: sets none), and whether it has a picture."""
    style = attrs.get("style", "")
    own = _COLOUR.findall(style)
    text = _is_light(own[-1]) if own else _is_light(attrs.get("color", "") or attrs.get("text", ""))
    ground = _is_light(attrs.get("bgcolor", ""))
    for value in _GROUND.findall(style):
        found = [_is_light(word) for word in _ANY_COLOUR.findall(_ADDRESS.sub("", value))]
        ground = next((one for one in found if one is not None), ground)
    return text, ground, bool(attrs.get("background")) or _PICTURE.search(style) is not None


@lru_cache(maxsize=1024)
def _is_light(colour: str) -> bool | None:
    """Whether a colour is nearer to white; None for what is no colour, or can be seen through."""
    found = color4.parse_color(colour.strip()) if colour.strip() else None
    if found is None or found == "currentcolor" or found.alpha < 0.5:
        return None
    red, green, blue = ((part or 0) for part in found.to("srgb").coordinates)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.55
