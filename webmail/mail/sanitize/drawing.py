"""Which paragraphs of plain text only make sense in columns: tables, drawings, code and patches."""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLUMNS = re.compile(r"\S {3,}\S")
_STROKES = frozenset("|+-=_/\\*#<>^~.:'`()[]{}@%&$\u2502\u2500")
_CODE_ENDS = frozenset("{};:,()[]\\")
_PATCH = re.compile(r"@@ -\d{1,7}(?:,\d{1,7})? \+\d{1,7}(?:,\d{1,7})? @@|diff --git ")
_MAX_LINES = 2000
_MAX_WIDTH = 200


def is_drawn(lines: Sequence[str]) -> bool:
    """Whether a paragraph (its lines without quote marks, tabs expanded) needs letters of one width."""
    if not 2 <= len(lines) <= _MAX_LINES:
        return False
    if any(_PATCH.match(line) for line in lines[:3]):
        return True
    if max(map(len, lines)) > _MAX_WIDTH:
        return False
    drawn = sum(map(_is_drawn, lines))
    return (drawn >= 2 and drawn * 5 >= len(lines) * 3) or _is_code(lines)


def _is_drawn(line: str) -> bool:
    """Columns parted by three spaces or more, box lines, or more strokes than letters."""
    if _COLUMNS.search(line):
        return True
    ink = line.replace(" ", "")
    if len(ink) < 2 or "://" in line:
        return False
    boxes = sum("\u2500" <= char <= "\u259f" for char in ink)
    strokes = sum(char in _STROKES for char in ink)
    return boxes * 2 > len(ink) or (strokes * 2 > len(ink) and not line.startswith("-- "))


def _is_code(lines: Sequence[str]) -> bool:
    """Lines of several indents of which half end as statements do."""
    indents = {len(line) - len(line.lstrip(" ")) for line in lines}
    ends = sum(line[-1:] in _CODE_ENDS for line in lines)
    return len(lines) >= 3 and len(indents) >= 2 and max(indents) >= 2 and ends * 2 >= len(lines)
