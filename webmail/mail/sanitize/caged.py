"""The sanitiser as the jail runs it: bytes in, bytes out."""

from __future__ import annotations

import json
from typing import Any

from webmail.mail.sanitize import layout, model, structure


def warm() -> None:
    """Fill the caches that every message needs."""
    reading(b"<p>warm &eacute;")
    formatted(b"<style>p{color:red}</style><p style='color:#fff'>warm")


def reading(payload: bytes, **options: Any) -> bytes:
    """`structure.reading` of UTF-8; its result as JSON."""
    return json.dumps(model.to_plain(structure.reading(payload.decode(), **options))).encode()


def formatted(payload: bytes, **options: Any) -> bytes:
    """`layout.formatted` of UTF-8; its result as JSON."""
    return json.dumps(model.to_plain(layout.formatted(payload.decode(), **options))).encode()
