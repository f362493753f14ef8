"""Set-Cookie directives that come from Clerk: read strictly, and written anew.

A handshake's payload carries no expiry and arrives by way of the browser, so no text of it reaches a response header:
known names, cookie values and three attributes are taken over, everything else is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from webmail.identity.clerk.cookies import HANDSHAKE, NONCE, delete_cookie, names_for, set_cookie
from webmail.identity.clerk.settings import ClerkSettings

MAX_DIRECTIVES = 12
MAX_DIRECTIVE_CHARS = 4096

_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265, section 4.1.1: cookie-octet
_MAX_AGE = re.compile(r"-?[0-9]{1,10}")
_EXPIRES = re.compile(r"[A-Z][a-z]{2}, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Directives:
    set_cookies: tuple[str, ...] = field(repr=False)
    session_token: str = field(repr=False)
    """Of the last directive that sets a session cookie; empty when that one deletes it, or there is none."""


def read_directives(raw: Sequence[object], settings: ClerkSettings) -> Directives | None:
    """None when the whole payload is unfit: too many or too long, control characters, values no cookie can have.

    Cookies of other names, or for a domain that is not ours, are left out singly.
    """
    if len(raw) > MAX_DIRECTIVES:
        return None
    names = names_for(settings.key.suffix)
    allowed = {*names.session, *names.client_uat, names.refresh, HANDSHAKE, NONCE}
    if not settings.live:
        allowed.update(names.db_jwt)
    secret = {*names.session, names.refresh}
    cookies: list[str] = []
    session_token = ""
    for directive in raw:
        if (
            not isinstance(directive, str)
            or len(directive) > MAX_DIRECTIVE_CHARS
            or _CONTROL.search(directive)
        ):
            return None
        pair, *attributes = directive.split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        if name not in allowed:
            continue
        if not _VALUE.fullmatch(value):
            return None
        written = _write(settings, name, value, _attributes(attributes), http_only=name in secret)
        if written is None:
            continue
        cookies.append(written)
        if name in names.session:
            session_token = value
    return Directives(tuple(cookies), session_token)


def _attributes(parts: Sequence[str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in parts)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _write(
    settings: ClerkSettings, name: str, value: str, attributes: dict[str, str], *, http_only: bool
) -> str | None:
    domain = attributes.get("domain", "").lower().removeprefix(".") or None
    if domain is not None and domain != settings.cookie_domain:
        return None
    if not value:
        return delete_cookie(settings, name, domain=domain)
    written = "; Path=/"
    if domain:
        written += f"; Domain={domain}"
    if _MAX_AGE.fullmatch(attributes.get("max-age", "")):
        written += f"; Max-Age={attributes['max-age']}"
    if _EXPIRES.fullmatch(attributes.get("expires", "")):
        written += f"; Expires={attributes['expires']}"
    return set_cookie(settings, name, value, attributes=written, http_only=http_only)
