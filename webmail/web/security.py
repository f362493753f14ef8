"""What every response says and every unsafe request must carry: headers, CSRF, limits.

The CSRF token is an HMAC of the Clerk session's id, masked anew in each page: nothing is stored, a token of another session (or
person) is refused, and no secret stands twice the same in a compressed page (BREACH).
"""

import hmac
import secrets
from hashlib import sha256
from io import BytesIO

from flask import Flask, Request, Response, abort, current_app, g, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.config import Settings
from webmail.identity.clerk.settings import ClerkSettings
from webmail.keys import MasterKeys
from webmail.web.auth_answers import kept_form
from webmail.web.htmx import is_fragment

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
EXEMPT_ENDPOINTS = frozenset({"webhooks.clerk", "pages.abuse"})
"""Endpoints that prove who calls by a signature of their own."""
_MASK = 16


class MemoryRequest(Request):
    """A request whose uploads stay in memory: werkzeug would write what is larger than half a megabyte to a file in clear."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> BytesIO:
        return BytesIO()


def init_app(app: Flask, settings: Settings, master: MasterKeys, form_targets: tuple[str, ...]) -> None:
    """Guard unsafe requests and set headers. `form_targets` are origins that a form's answer may redirect to (Clerk's)."""
    app.request_class = MemoryRequest
    app.config["MAX_CONTENT_LENGTH"] = settings.message_bytes + (4 << 20)
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 << 20
    app.config["MAX_FORM_PARTS"] = 1000
    app.extensions["csrf_key"] = master.derive("csrf")
    targets = " ".join(("'self'", *form_targets))
    app.extensions["csp"] = (
        "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';frame-src 'self';"
        f"form-action {targets};base-uri 'none';frame-ancestors 'none'"
    )
    app.extensions["hsts"] = settings.secure
    app.before_request(_guard)
    app.after_request(_headers)
    app.add_template_global(csrf_token)


def csrf_token() -> str:
    """A token for the forms of this response: masked anew for each, the same within one."""
    if "csrf_token" not in g:
        mask = secrets.token_bytes(_MASK)
        g.csrf_token = (mask + _xor(_secret(), mask)).hex()
    return str(g.csrf_token)


def csrf_is_good(token: str) -> bool:
    """True for a token that `csrf_token` made for this session."""
    try:
        raw = bytes.fromhex(token)
    except ValueError:
        return False
    return (
        bool(_session())
        and len(raw) == 2 * _MASK
        and hmac.compare_digest(_xor(raw[_MASK:], raw[:_MASK]), _secret())
    )


def _secret() -> bytes:
    return hmac.new(current_app.extensions["csrf_key"], _session().encode(), sha256).digest()[:_MASK]


def _session() -> str:
    """The session that forms belong to: the viewer's, or the one whose authentic token has run out; "" for nobody."""
    if viewer := g.get("viewer"):
        return str(viewer.session_id)
    verdict = g.get("auth")
    return verdict.known.session_id if verdict is not None and verdict.known is not None else ""


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def same_origin() -> bool:
    """False when the browser says that another site sent this request."""
    if request.headers.get("Sec-Fetch-Site") not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin == current_app.extensions["origin"]


def _guard() -> BaseResponse | None:
    if request.method in SAFE_METHODS or request.endpoint is None or request.endpoint in EXEMPT_ENDPOINTS:
        return None
    if not same_origin():
        abort(403)
    if csrf_is_good(request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")):
        return None
    if g.get("viewer") is None:
        abort(403)
    # Signed in again since the page was made: nothing is done, what was typed comes back to be sent once more.
    settings: ClerkSettings = current_app.extensions["auth"].settings
    return kept_form(403, "again", "", settings)


def _headers(response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "private, no-store"
    if response.mimetype != "text/html" or "Content-Security-Policy" in headers:
        return response
    if is_fragment(request):
        return response
    headers["Content-Security-Policy"] = current_app.extensions["csp"]
    headers.setdefault("Referrer-Policy", "same-origin")
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(),geolocation=(),microphone=(),payment=(),usb=()"
    headers["X-DNS-Prefetch-Control"] = "off"
    if current_app.extensions["hsts"]:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
