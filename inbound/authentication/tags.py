"""Tag lists of DKIM and ARC (RFC 6376 section 3.2), and what is in them. Pure, linear."""

import base64
import binascii
import re

from inbound.authentication.limits import MAX_SIGNATURE
from webmail.mail.idn import to_ascii

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}){0,9}")
_SPACE = " \t\r\n"
_NO_SPACE = str.maketrans("", "", _SPACE)


class Malformed(Exception):
    """A signature that cannot be read; its text says why, in our words alone."""


def parse(value: bytes | str) -> dict[str, str]:
    """Tags and values, blanks around both taken off. Raises Malformed: a tag twice, no tag, or far too long."""
    if len(value) > MAX_SIGNATURE:
        raise Malformed("signature too long")
    try:
        text = value if isinstance(value, str) else value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    specs = text.split(";")
    if not specs[-1].strip(_SPACE):
        specs.pop()
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, content = spec.partition("=")
        name = name.strip(_SPACE)
        if not equals or not _TAG.fullmatch(name):
            raise Malformed("not a tag list")
        if name in tags:
            raise Malformed("a tag twice")
        tags[name] = content.strip(_SPACE)
    return tags


def require(tags: dict[str, str], *names: str) -> None:
    """Raises Malformed if a tag is absent or empty."""
    if not all(tags.get(name) for name in names):
        raise Malformed("a tag is missing")


def binary(text: str) -> bytes:
    """Base64 with blanks anywhere in it. Raises Malformed."""
    try:
        return base64.b64decode(text.translate(_NO_SPACE), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None


def number(text: str) -> int:
    """A decimal number. Raises Malformed."""
    if not text.isascii() or not text.isdigit() or len(text) > 76:
        raise Malformed("not a number")
    return int(text)


def domain(text: str) -> str:
    """A domain in ASCII form. Raises Malformed."""
    name = to_ascii(text)
    if name is None or "." not in name:
        raise Malformed("not a domain")
    return name


def selector(text: str) -> str:
    """A selector. Raises Malformed."""
    if not _SELECTOR.fullmatch(text):
        raise Malformed("not a selector")
    return text.lower()


def names(text: str) -> list[bytes]:
    """Field names of an h= tag, in lower case."""
    return [name.strip(_SPACE).lower().encode() for name in text.split(":")]


def canonicalization(text: str) -> tuple[bool, bool]:
    """Whether header and body are in relaxed form. Raises Malformed."""
    header, _, body = text.partition("/")
    body = body or "simple"
    if header not in ("simple", "relaxed") or body not in ("simple", "relaxed"):
        raise Malformed("unknown canonicalization")
    return header == "relaxed", body == "relaxed"
