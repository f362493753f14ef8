"""Pictures from strangers, made small and harmless: pixels in, WebP out, opened in the jail alone. Pure: no database, no Flask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from webmail import jail

MAX_BYTES: Final = 32 << 20
MAX_SIDE: Final = 8000
THUMBNAIL_SIDE: Final = 192
THUMBNAIL_BYTES: Final = 6000
VERSION: Final = 1
"""Part of every stored result's key: raise it whenever the output for any input can change."""

_LIMITS = jail.Limits(cpu=4, memory=640 << 20, wall=8)
_PROBE_LIMITS = jail.Limits(cpu=1, memory=256 << 20, wall=2)
_QUALITIES = (60, 40)
_THUMBNAIL_QUALITIES = (55, 40, 25, 10)


@dataclass(frozen=True, slots=True)
class Original:
    """What came: type as its bytes say, size in pixels as it is meant to be shown, octets."""

    content_type: str
    width: int
    height: int
    octets: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of our own making, without any metadata. The same bytes always give the same picture."""

    content_type: str
    width: int
    height: int
    content: bytes
    original: Original


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no picture. `code` is one of: type (no PNG, JPEG, GIF, WebP or AVIF), large (octets), pixels, damaged,
    slow, memory, deep, crash, error, long, and busy, which alone is worth another try."""

    code: str


def shrink(content: bytes, width: int, *, height: int = 4000) -> Picture | Refused:
    """`content` in a box of `width` by `height` pixels, turned upright, in sRGB, never enlarged.

    An animation of less than 200 kB stays one; of any other the first frame is taken. Raises ValueError for a box without room.
    """
    return _shrunk(content, width, height, qualities=_QUALITIES)


def thumbnail(content: bytes) -> Picture | Refused:
    """`content` in a box of 192 pixels, standing still, in about 2 to 6 kB."""
    side = THUMBNAIL_SIDE
    return _shrunk(content, side, side, qualities=_THUMBNAIL_QUALITIES, enough=THUMBNAIL_BYTES, animate=False)


def probe(content: bytes) -> tuple[str, int, int] | None:
    """Type, width and height as shown, from the header alone; None for what is no picture that `shrink` would take."""
    if not _may_be_picture(content) or len(content) > MAX_BYTES:
        return None
    reply = jail.run("picture.probe", content, limits=_PROBE_LIMITS)
    if isinstance(reply, jail.Refusal):
        return None
    try:
        found = json.loads(reply)
        return str(found["type"]), int(found["width"]), int(found["height"])
    except (ValueError, KeyError, TypeError):
        return None


def _may_be_picture(content: bytes) -> bool:
    """Spares the jail what cannot be a picture; what it is, the jail alone decides."""
    return content.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")) or content[4:8] == b"ftyp"


def _shrunk(content: bytes, width: int, height: int, **options: Any) -> Picture | Refused:
    if width < 1 or height < 1:
        raise ValueError("a box without room")
    if not _may_be_picture(content):
        return Refused("type")
    if len(content) > MAX_BYTES:
        return Refused("large")
    options |= {"width": min(width, MAX_SIDE), "height": min(height, MAX_SIDE)}
    reply = jail.run("picture.shrink", content, options, limits=_LIMITS)
    if isinstance(reply, jail.Refusal):
        return Refused(reply.code)
    return _read(reply, len(content))


def _read(reply: bytes, octets: int) -> Picture | Refused:
    """The jail's answer, believed in nothing but its pixels: it was made where the hostile bytes were."""
    head, _, content = reply.partition(b"\n")
    try:
        told = json.loads(head)
        kind, width, height = told["original"]
        sizes = [int(value) for value in (told["width"], told["height"], width, height)]
    except (ValueError, KeyError, TypeError):
        return Refused("crash")
    if not (content.startswith(b"RIFF") and content[8:12] == b"WEBP") or min(sizes) < 1:
        return Refused("crash")
    return Picture("image/webp", sizes[0], sizes[1], content, Original(str(kind), sizes[2], sizes[3], octets))
