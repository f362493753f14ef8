"""What comes out of a message as bytes of its own: attachments, sources, and the formatted view's frame."""

import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

from flask import Response, request

from webmail.mail import previews, sanitize
from webmail.mail.reading import File

INLINE_IMAGES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""Types that may be shown in the browser, and what their bytes must begin with."""
_DOWNLOAD_CSP = "sandbox;default-src 'none'"


def part(file: File, content: bytes, *, inline: bool) -> Response:
    """An attachment. Raster images that are what they say, and plain text, may be shown; all else is a download.

    What says nothing of itself but its name (many programs send so) is a picture if its first bytes are one's.
    """
    told = file.content_type
    if told == "application/octet-stream" and previews.kind(told, file.name) == "picture":
        told = next((kind for kind, begins in INLINE_IMAGES.items() if content.startswith(begins)), told)
    if inline and told in INLINE_IMAGES and content.startswith(INLINE_IMAGES[told]):
        return _bytes(content, told, f"inline; {_names(file.name)}")
    if inline and file.content_type == "text/plain":
        return _bytes(content, "text/plain; charset=utf-8", f"inline; {_names(file.name)}")
    return attachment(file.name, "application/octet-stream", content)


def picture(content_type: str, content: bytes) -> Response | None:
    """A raster image for the formatted view's frame, whose origin is not ours; None for what is not one."""
    if not content.startswith(INLINE_IMAGES.get(content_type, (b"\0\0not an image",))):
        return None
    response = _bytes(content, content_type, "inline")
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def small(content: bytes, content_type: str) -> Response:
    """A picture of our own making, for our own pages."""
    return _bytes(content, content_type, "inline")


def zipped(stream: Iterator[bytes], name: str) -> Response:
    """A zip file that is made while it is sent; nothing can be asked of its middle."""
    response = Response(stream, content_type="application/zip")
    response.headers["Content-Disposition"] = f"attachment; {_names(name)}"
    response.headers["Content-Security-Policy"] = _DOWNLOAD_CSP
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def attachment(name: str, content_type: str, content: bytes) -> Response:
    """Bytes to be saved as `name`."""
    return _bytes(content, content_type, f"attachment; {_names(name)}")


def _bytes(content: bytes, content_type: str, disposition: str) -> Response:
    response = Response(content, content_type=content_type)
    headers = response.headers
    headers["Content-Disposition"] = disposition
    headers["Content-Security-Policy"] = _DOWNLOAD_CSP
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cache-Control"] = "private, no-store"
    headers["Accept-Ranges"] = "bytes"
    response.make_conditional(request, accept_ranges=True, complete_length=len(content))
    return response


def _names(name: str) -> str:
    """A file name as RFC 6266 has it: an ASCII one for old clients, and the true one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = (
        "".join(letter if letter.isalnum() or letter in " ._-()" else "_" for letter in plain).strip(" .")
        or "file"
    )
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def frame(body: str) -> Response:
    """A formatted body as a document of its own, under its own policy, for a sandboxed frame."""
    response = Response(sanitize.document(body), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = sanitize.FRAME_CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
