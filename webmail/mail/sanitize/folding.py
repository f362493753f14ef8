"""Which lines of a message are the history that it drags along, so that a page can fold them.

Folded is what stands at the end and nothing follows but a signature or a list's footer. Answers between quoted lines keep
what they answer open; what is forwarded is the message and stays; so does a message that is nothing but a quote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from webmail.mail.introductions import bar, candidates, introduction, is_header_block, is_rule
from webmail.mail.sanitize.model import words

Mark = Literal["", "quote", "intro", "history", "forward", "signature"]
"""What an element says of itself: a quote, the words that introduce one, the begin of all that is old, what is forwarded,
a signature."""

_MAX_FOOTER = 20
_PREFIX = re.compile(r"(?:x_|ecx|m_-?\d+)+")
_MARKS: dict[str, Mark] = {
    **dict.fromkeys(
        words(
            "yahoo_quoted protonmail_quote tutanota_quote nylas-quote mailspring-quote sh-quoted-content fastmail-quoted "
            "zmail_quote front-blockquote airmail_ext_on ntes-mailmaster-quote mail-quote-collapse outlookmessageheader "
            "mail-editor-reference-message-container ms-outlook-mobile-reference-message "
            "edo-original-message"
        ),
        "quote",
    ),
    **dict.fromkeys(words("moz-cite-prefix gmail_attr reply-intro attribution"), "intro"),
    **dict.fromkeys(words("divrplyfwdmsg appendonsend stopspelling olk_src_body_section"), "history"),
    **dict.fromkeys(words("moz-forward-container moz-email-headers-table"), "forward"),
    **dict.fromkeys(
        words("gmail_signature gmail_signature_prefix moz-signature ms-outlook-mobile-signature protonmail_signature_block"),
        "signature",
    ),
}  # fmt: skip
_SENT_FROM = re.compile(
    r"(?:sent from|sent via|get outlook for|envoyé d|gesendet |von meinem \S+ gesendet|enviado d|inviato d|verstuurd vanaf"
    r"|verzonden vanaf|skickat från|sendt fra|wysłane z|отправлено (?:с|из))",
    re.IGNORECASE,
)
_FOOTER = re.compile(r"--(?: |\u00a0)?|[_-]{10,}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as people see it. `marked`: it stands behind ">" or inside a quoting element, whose name says nothing more
    where `weak`; `begins`: a paragraph begins here; a blank text is no line of its own."""

    text: str
    mark: Mark = ""
    marked: bool = False
    weak: bool = False
    begins: bool = False


def mark_of(tag: str, attrs: dict[str, str]) -> Mark:
    """What the class, id or type of an element says of its content."""
    if tag == "blockquote" and attrs.get("type", "").lower() == "cite":
        return "quote"
    for name in f"{attrs.get('class', '')} {attrs.get('id', '')}"[:400].lower().split():
        name = _PREFIX.sub("", name, count=1) if name[:1] in "xem" else name
        found = _MARKS.get(name)
        if found:
            return found
        if name.startswith(("gmail_quote", "yahoo_quoted")) and (tag == "blockquote" or name[0] == "y"):
            return "quote"
    return ""


def folds(lines: Sequence[Line]) -> tuple[int, int]:
    """The run of `lines` to fold, from the first to before the second number; (0, 0) where nothing is. Linear time."""
    filled = [number for number, line in enumerate(lines) if line.text]
    old = _old([lines[number] for number in filled])
    end = _end(lines, filled, old)
    start = end
    while start and old[start - 1]:
        start -= 1
    if start == end or not any(_is_own(lines[number].text) for number in filled[:start]):
        return 0, 0
    while start > 1 and is_rule(lines[filled[start - 1]].text):
        start -= 1
    last = filled[end] if end < len(filled) else len(lines)
    return filled[start], last


def introduces(text: str) -> bool:
    """Whether a quote begins with who wrote it, in one line with what follows."""
    cut = text.find(":", 0, 200)
    for _ in range(5):
        if cut < 0:
            break
        if introduction([text[: cut + 1]], 0)[0]:
            return True
        cut = text.find(":", cut + 1, 200)
    return False


def _is_own(text: str) -> bool:
    return not is_rule(text)


def _old(lines: Sequence[Line]) -> list[bool]:
    """For each filled line whether it is old: quoted, or an introduction of what is."""
    texts = [line.text for line in lines]
    old = [line.marked and not line.weak for line in lines]
    soon = candidates(texts)
    introduced = False
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.mark == "forward" or (not old[at] and bar(line.text) == "forward"):
            return old[:at] + [False] * (len(lines) - at)
        if line.mark == "history" or (not old[at] and _headers(lines, texts, at)):
            return old[:at] + [True] * (len(lines) - at)
        if line.marked:
            old[at] = introduced or not line.weak
        elif old[at]:
            pass
        elif line.mark in ("quote", "intro"):
            old[at] = introduced = True
        else:
            length, plainly = introduction(texts, at) if at in soon else (0, False)
            after = at + length
            followed = any(
                line.marked or line.mark in ("quote", "history") for line in lines[after : after + 2]
            )
            introduced = bool(length) and (plainly or followed)
            if introduced:
                old[at:after] = [True] * length
                if not followed and not any(line.marked for line in lines[after:]):
                    return old[:at] + [True] * (len(lines) - at)
                at = after
                continue
        at += 1
    return old


def _headers(lines: Sequence[Line], texts: list[str], at: int) -> bool:
    return bar(texts[at]) == "reply" or is_header_block(texts, at, begins=lines[at].begins)


def _end(lines: Sequence[Line], filled: list[int], old: list[bool]) -> int:
    """How many of the filled lines stand before a signature or footer at the end."""
    end = len(filled)
    for at in range(end - 1, max(-1, end - 1 - _MAX_FOOTER), -1):
        line = lines[filled[at]]
        if old[at]:
            break
        if line.mark == "signature" or _FOOTER.fullmatch(line.text) or _SENT_FROM.match(line.text):
            end = at
    return end if end and old[end - 1] else len(filled)
