"""Addresses of the handshake: where a browser is sent to ask Clerk who it is, and where it comes back to."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_plus, urlencode

from webmail.identity.clerk.settings import ClerkSettings

API_VERSION = "2026-05-12"

_CLERK_PARAMETERS = frozenset(
    {
        "__clerk_handshake",
        "__clerk_handshake_nonce",
        "__clerk_db_jwt",
        "__clerk_help",
        "__clerk_synced",
        "__clerk_redirect_url",
        "__dev_session",
    }
)
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")


def handshake_url(
    settings: ClerkSettings, target: str, *, suffixed: bool, reason: str, db_jwt: str = ""
) -> str:
    """The Frontend API's address that answers with a fresh session, or with none.

    The current session token is left out, though Clerk's own SDK adds it for the times when its origin is down: it
    would stand in a URL, and URLs are logged."""
    parameters = {
        "redirect_url": clean_url(settings, target),
        "__clerk_api_version": API_VERSION,
        "suffixed_cookies": "true" if suffixed else "false",
        "__clerk_hs_reason": reason,
        "format": "nonce",
    }
    if db_jwt and not settings.live:
        parameters["__clerk_db_jwt"] = db_jwt
    return f"{settings.frontend_url}/v1/client/handshake?{urlencode(parameters, quote_via=quote, safe='')}"


def clean_url(settings: ClerkSettings, target: str) -> str:
    """The address of this very page without Clerk's parameters, on the configured origin: never on a host that the
    request names."""
    return settings.origin + clean_target(target)


def clean_target(target: str) -> str:
    """What is left of a path and query is byte for byte what the browser sent, so that `%2F` stays `%2F`."""
    path, mark, query = target.partition("#")[0].partition("?")
    kept = [part for part in query.split("&") if _name_of(part) not in _CLERK_PARAMETERS]
    rest = "&".join(kept)
    whole = f"{path}?{rest}" if mark and rest else path
    whole = whole if whole.startswith("/") else f"/{whole}"
    return _UNSAFE.sub(lambda match: quote(match.group(), safe="", errors="replace"), whole)


def query_value(target: str, name: str) -> str:
    """The first value of a query parameter that is not empty."""
    for part in target.partition("#")[0].partition("?")[2].split("&"):
        if _name_of(part) == name and (value := unquote_plus(part.partition("=")[2])):
            return value
    return ""


def _name_of(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
