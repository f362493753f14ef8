"""Quotes in what is being written: trimmed to what the last author wrote, and where other words may be put before them."""

from webmail.mail import text
from webmail.mail.introductions import candidates, introduction

_MARK = ">"


def trimmed(body: str) -> str:
    """`body` with each quote cut down to the words of the one who is answered: without what they quoted, the lines that
    introduce it, the headers of older mail, and their signature. What is not quoted stays to the letter. Linear."""
    lines = body.split("\n")
    out: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].startswith(_MARK):
            out.append(lines[at])
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end].startswith(_MARK):
            end += 1
        out += _last_author(lines[at:end])
        at = end
    return "\n".join(out)


def _last_author(quoted: list[str]) -> list[str]:
    inner = [line[1:].removeprefix(" ").rstrip("\r") for line in quoted]
    own = [block.text for block in text.fold_quotes("\n".join(inner)) if block.kind == "text"]
    if not own:
        return quoted
    kept = "\n\n".join(own).split("\n")
    if [line.rstrip() for line in kept] == [line.rstrip() for line in inner]:
        return quoted
    return [f"> {line}".rstrip() for line in kept]


def inserted(body: str, words: str) -> str:
    """`body` with `words` after what was written so far: before the first quote with the line that introduces it, before a
    forwarded message, and before a signature."""
    lines = body.replace("\r\n", "\n").split("\n")
    place = _first_quote(lines)
    before, after = "\n".join(lines[:place]).rstrip(), "\n".join(lines[place:])
    parts = [part for part in (before, words.strip("\n")) if part]
    return "\n\n".join(parts) + (f"\n\n{after}" if after.strip() else "\n")


def _first_quote(lines: list[str]) -> int:
    soon = candidates(lines)
    for number, line in enumerate(lines):
        if line.startswith((_MARK, "----------")) or line.rstrip() == "--":
            return number
        if number in soon and introduction(lines, number)[0]:
            return number
    return len(lines)
