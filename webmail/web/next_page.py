"""Where to go afterwards: only ever a page of our own."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote, unquote, urlsplit

MAX_CHARS = 2048
DONE = "/auth/done"
"""The one page under /auth/ that is somewhere to go to: it tells a person to return to the other tab."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]")


def safe_next(value: str | None) -> str:
    """`value` if it is the path of a page here, else `/`. Percent-encoded tricks count as what they stand for."""
    if not value or len(value) > MAX_CHARS:
        return "/"
    decoded = unquote(value)
    if _UNFIT.search(value) or _UNFIT.search(decoded):
        return "/"
    if not value.startswith("/") or decoded.startswith("//"):
        return "/"
    path = posixpath.normpath(decoded.partition("?")[0].partition("#")[0])
    if path != DONE and (path == "/auth" or path.startswith("/auth/")):
        return "/"
    return quote(value, safe="/?#%&=+:@!$'()*,;~[]", errors="replace")


def path_of(url: str, origin: str) -> str:
    """Path and query of an address on our own origin, else `/`: for what a browser says in `HX-Current-URL`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    if f"{parts.scheme}://{parts.netloc}" != origin:
        return "/"
    return safe_next((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
