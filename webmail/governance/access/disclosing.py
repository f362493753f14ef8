"""Of an opened message, the one part that may be seen, and nothing of the others. Pure: no database, no keys.

Hostile mail is shown as its owner would see it, and tamer: no pictures at all, and links are words. Where they lead stands
beside them, for whoever has to judge that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import nh3

from webmail.errors import NotFound
from webmail.mail import mime, sanitize
from webmail.mail.sanitize import walls
from webmail.mail.view import File, Piece, View, build, file_of

FRAME_CSP: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
MAX_LINKS: Final = 200


@dataclass(frozen=True, slots=True)
class Headers:
    """Every header, decoded, in order."""

    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """The body as reading text, without a link that leads anywhere; `links` are where they led, in order."""

    pieces: tuple[Piece, ...]
    links: tuple[str, ...]
    laid_out: bool
    refused: str


@dataclass(frozen=True, slots=True)
class Files:
    """What is attached: names, types and sizes."""

    files: tuple[File, ...]


def headers(raw: bytes) -> Headers:
    """The headers of a message, and nothing below them."""
    parsed = mime.parse(raw)
    return Headers(tuple((one.name, one.value[:2000]) for one in parsed.headers[:200]))


def body(raw: bytes, message_id: int) -> Text:
    """The body of a message, without its headers and attachments."""
    view = build(raw, message_id, full_links=True).view
    inert = _inert(walls.READING_TAGS, walls.READING_ATTRIBUTES, ("a",))
    pieces = tuple(Piece(inert.clean(piece.html), piece.quoted) for piece in view.pieces)
    return Text(pieces, _targets(view), view.laid_out, view.refused)


def laid_out(raw: bytes) -> str:
    """The body as its sender laid it out, a document for a frame under FRAME_CSP, without pictures and links. Raises NotFound."""
    parsed = mime.parse(raw)
    bodies = [html for html in (parsed.html_parts or (parsed.html or "",)) if html.strip()]
    made = [sanitize.safely("formatted", one, link_prefix=None, cids={}, image_prefix=None) for one in bodies]
    good = [one.html for one in made if isinstance(one, sanitize.Formatted) and not one.refused]
    if not good or len(good) < len(bodies):
        raise NotFound("layout")
    inert = _inert(walls.FORMATTED_TAGS, walls.FORMATTED_ATTRIBUTES, ("a", "img"))
    return sanitize.document(inert.clean("".join(good)), csp_note=FRAME_CSP)


def files(raw: bytes) -> Files:
    """What is attached to a message."""
    return Files(tuple(file_of(part) for part in mime.parse(raw).attachments))


def file(raw: bytes, number: int) -> tuple[File, bytes]:
    """One attachment and its decoded bytes. Raises NotFound."""
    for part in mime.parse(raw).attachments:
        if part.number == number:
            return file_of(part), mime.part_content(raw, part)
    raise NotFound("part")


def _targets(view: View) -> tuple[str, ...]:
    """Where the links led: taken from the cleaned text itself, so that nothing is told that it did not hold."""
    found: dict[str, None] = {}
    for piece in view.pieces:
        _collect(piece.html, found)
    return tuple(list(found)[:MAX_LINKS])


def _collect(html: str, found: dict[str, None]) -> None:
    def keep(tag: str, name: str, value: str) -> str | None:
        if tag == "a" and name == "href":
            found.setdefault(value)
        return None

    nh3.clean(html, tags={"a"}, attributes={"a": {"href"}}, attribute_filter=keep, link_rel=None)


def _inert(tags: frozenset[str], allowed: dict[str, set[str]], without: Sequence[str]) -> nh3.Cleaner:
    """What `walls` let through, once more, without these elements: their words stay. Made anew, as none promises to be shared."""
    return nh3.Cleaner(
        tags=set(tags) - set(without),
        attributes={tag: names for tag, names in allowed.items() if tag not in without},
        strip_comments=True,
        link_rel=None,
        url_schemes=set(),
    )
