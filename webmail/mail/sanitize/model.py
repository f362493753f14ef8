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
    before it.

    `warning` is the gravest thing that people should know before they follow it, or empty: "text" (its words name another
    host), "userinfo" (what looks like the host is a user name), "lookalike" (letters of several scripts, or of one that is
    made to be mistaken), "address" (a bare IP address), "port" (not the usual one), "short" (a shortening service, so the
    true target is not known)."""

    number: int
    url: str
    host: str
    text: str
    mismatch: bool
    warning: str = ""


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
    """The reading view. The `parts` joined are `html`; at most one of them is quoted. `images` counts pictures that carry
    meaning (shown as their alt text); `trackers` and `blocked` are sorted host names: tracking pixels, and other remote parts
    that were left out."""

    html: str
    links: tuple[Link, ...] = ()
    images: int = 0
    trackers: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refused: str | None = None
    parts: tuple[Part, ...] = ()


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
    told = {"kind": type(result).__name__, **asdict(result)}
    if told.get("parts"):
        del told["html"]  # it is the parts, joined
    return told


def from_plain(data: Mapping[str, Any]) -> Reading | Formatted | Refusal:
    """The inverse of `to_plain`. Raises KeyError or TypeError for anything else."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    for key in ("trackers", "blocked"):
        if key in fields:
            fields[key] = tuple(fields[key])
    if "links" in fields:
        fields["links"] = tuple(Link(**link) for link in fields["links"])
    if fields.get("parts"):
        fields["parts"] = tuple(Part(**part) for part in fields["parts"])
        fields["html"] = "".join(part.html for part in fields["parts"])
    elif data["kind"] == "Reading":
        fields["parts"] = ()
    if data["kind"] == "Formatted":
        fields["images"] = tuple(Image(**image) for image in fields["images"])
        return Formatted(**fields)
    return Reading(**fields) if data["kind"] == "Reading" else Refusal(**fields)
