"""What cleaning a message gives back. Plain values only: they cross the border of the jail as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = 3
"""Part of every stored result's key: raise it whenever the output for any input can change."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this HTML is not shown. `code` is one of: long, deep, tags, entities, attribute, formatting,
    slow, memory, crash, error. The reader then gets the text part or the source."""

    code: str


@dataclass(frozen=True, slots=True)
class Link:
    """One distinct target. `url` is canonical ASCII (http, https or mailto), `host` is for people: Unicode where that cannot
    deceive, punycode otherwise, an address for mailto. `mismatch`: the words look like another host, or a user name stands
    before it."""

    number: int
    url: str
    host: str
    text: str
    mismatch: bool


@dataclass(frozen=True, slots=True)
class Image:
    """A remote picture that the reader may ask for. Tracking pixels never get a number."""

    number: int
    url: str
    host: str
    alt: str


@dataclass(frozen=True, slots=True)
class Part:
    """A run of the reading view, well-formed by itself. `quoted`: history that a page may fold."""

    html: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The reading view. At most one of the `parts` is quoted. `images` counts pictures that carry
    meaning (shown as their alt text); `trackers` and `blocked` are sorted host names: tracking pixels, and other remote parts
    that were left out."""

    parts: tuple[Part, ...] = ()
    links: tuple[Link, ...] = ()
    images: int = 0
    trackers: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def html(self) -> str:
        """The whole of it."""
        return "".join(part.html for part in self.parts)


@dataclass(frozen=True, slots=True)
class Formatted:
    """The formatted view: body markup for a sandboxed frame. `images` are the remote pictures, numbered as in the
    `src` that `image_prefix` makes, present whether or not they were let in."""

    html: str
    links: tuple[Link, ...] = ()
    images: tuple[Image, ...] = ()
    trackers: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refused: str | None = None


def words(text: str) -> frozenset[str]:
    """The names in a space-separated list; the lists of elements and properties here read better so."""
    return frozenset(text.split())


def to_plain(result: Reading | Formatted | Refusal) -> dict[str, Any]:
    return {"kind": type(result).__name__, **asdict(result)}


def from_plain(data: Mapping[str, Any]) -> Reading | Formatted | Refusal:
    """The inverse of `to_plain`. Raises KeyError or TypeError for anything else."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    for key in ("trackers", "blocked"):
        if key in fields:
            fields[key] = tuple(fields[key])
    if "links" in fields:
        fields["links"] = tuple(Link(**link) for link in fields["links"])
    if data["kind"] == "Reading":
        return Reading(**fields | {"parts": tuple(Part(**part) for part in fields["parts"])})
    if data["kind"] == "Formatted":
        return Formatted(**fields | {"images": tuple(Image(**image) for image in fields["images"])})
    return Refusal(**fields)
