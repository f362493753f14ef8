"""Runs of text and what they are wrapped in, printed as lean inline markup."""

from __future__ import annotations

import re
from html import escape

from webmail.mail.sanitize.links import Links, Target

Wrapper = str | Target
"""An inline element: a tag name without attributes, or a link."""

_SPACES = " \t\n\f\r\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
_UNSEEN = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u2060\ufeff"
_PADDING = re.compile(rf"[{_SPACES}{_UNSEEN}]{{2,}}|[\t\n\f\r]")
_EDGE = re.compile(rf"[{_SPACES}{_UNSEEN}]*")
_ANY_SPACE = re.compile(rf"[{_SPACES}]")
_JOINERS = "\u200c\u200d"
_OVERRIDES = dict.fromkeys([0x202D, 0x202E])


def collapse(text: str) -> tuple[bool, str, bool]:
    """(space before, text, space after): white space and invisible padding become single spaces, overrides go."""
    if not text.isascii():
        text = text.translate(_OVERRIDES)
    start = _EDGE.match(text)
    head = start.end() if start else 0
    tail = len(text)
    while tail > head and _EDGE.fullmatch(text[tail - 1]):
        tail -= 1
    before = _ANY_SPACE.search(text, 0, head) is not None
    after = _ANY_SPACE.search(text, tail) is not None
    return before, _PADDING.sub(_one, text[head:tail]), after


def _one(run: re.Match[str]) -> str:
    if _ANY_SPACE.search(run[0]):
        return " "
    return next((char for char in run[0] if char in _JOINERS), "")


def blank(text: str) -> bool:
    return _EDGE.fullmatch(text) is not None


class Run:
    """Pieces of text between two block borders; a None piece is a line break."""

    __slots__ = ("links", "pieces")

    def __init__(self, links: Links) -> None:
        self.links = links
        self.pieces: list[tuple[tuple[Wrapper, ...], str | None]] = []

    def paragraphs(self) -> list[str]:
        """Markup of each paragraph; two line breaks in a row part paragraphs. Empties the run."""
        pieces, self.pieces = self.pieces, []
        groups: list[list[tuple[tuple[Wrapper, ...], str | None]]] = [[]]
        breaks = 0
        for piece in pieces:
            if piece[1] is None:
                breaks += 1
                continue
            if blank(piece[1]):
                if not breaks and groups[-1]:
                    groups[-1].append((piece[0], " "))
                continue
            if breaks > 1 and groups[-1]:
                groups.append([])
            elif breaks and groups[-1]:
                groups[-1].append(((), None))
            breaks = 0
            groups[-1].append(piece)
        return [printed for printed in map(self._print, groups) if printed]

    def _print(self, pieces: list[tuple[tuple[Wrapper, ...], str | None]]) -> str:
        out: list[str] = []
        stack: list[Wrapper] = []
        space = False
        for wrappers, text in pieces:
            if text is None:
                self._close(stack, 0, out)
                out.append("<br>")
                space = False
                continue
            before, core, after = collapse(text)
            if not core:
                space = space or before
                continue
            common = 0
            while common < min(len(stack), len(wrappers)) and stack[common] is wrappers[common]:
                common += 1
            self._close(stack, common, out)
            if (space or before) and out and out[-1] != "<br>":
                out.append(" ")
            for wrapper in wrappers[common:]:
                stack.append(wrapper)
                out.append(f"<{wrapper}>" if isinstance(wrapper, str) else self._open_link(wrapper))
            out.append(escape(core, quote=False))
            space = after
        self._close(stack, 0, out)
        return "".join(out)

    def _open_link(self, target: Target) -> str:
        return f'<a href="{escape(self.links.href(target))}">'

    @staticmethod
    def _close(stack: list[Wrapper], keep: int, out: list[str]) -> None:
        """Close wrappers down to `keep`; behind a link stands its host in words unless the text shows it."""
        notes = ""
        while len(stack) > keep:
            wrapper = stack.pop()
            if isinstance(wrapper, str):
                out.append(f"</{wrapper}>")
                continue
            out.append("</a>")
            if not wrapper.shown and not wrapper.noted:
                notes = f" <small>({escape(wrapper.address.host)})</small>"
        if notes:
            out.append(notes)
