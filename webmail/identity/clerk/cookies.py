"""Clerk's cookies: which of two sets to believe, and how ours are written.

Each cookie comes plain (`__session`) and with the instance's suffix (`__session_naoXFJnI`), because several Clerk
applications may share a domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.tokens import Token, decode, is_number

HANDSHAKE = "__clerk_handshake"
NONCE = "__clerk_handshake_nonce"
REDIRECT_COUNT = "__clerk_redirect_count"
REDIRECT_COUNT_SECONDS = 20
"""Long enough for three laps of a handshake over a slow link."""

_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
_LEADING_INTEGER = re.compile(r"[ \t\r\n]*([+-]?[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class CookieNames:
    session: tuple[str, str]
    """(plain, suffixed), as the next two."""
    client_uat: tuple[str, str]
    db_jwt: tuple[str, str]
    refresh: str
    """Exists with the suffix alone."""


@lru_cache(maxsize=8)
def names_for(suffix: str) -> CookieNames:
    def both(base: str) -> tuple[str, str]:
        return base, f"{base}_{suffix}"

    return CookieNames(
        session=both("__session"),
        client_uat=both("__client_uat"),
        db_jwt=both("__clerk_db_jwt"),
        refresh=f"__refresh_{suffix}",
    )


@dataclass(frozen=True, slots=True)
class CookieJar:
    """The cookies of one request, from the set that is to be believed."""

    suffixed: bool
    session: str = field(repr=False)
    token: Token | None = field(repr=False)
    """`session` taken apart, not verified."""
    conflict: bool
    """One session cookie came twice with different values: a neighbour on our domain may have planted one."""
    client_uat: int
    refresh: str = field(repr=False)
    db_jwt: str = field(repr=False)
    handshake: str = field(repr=False)
    nonce: str = field(repr=False)
    redirect_count: int


def read_cookies(pairs: Iterable[tuple[str, str]], settings: ClerkSettings, now: float) -> CookieJar:
    """Names are compared exactly, never by their beginning; of duplicates the first that is not empty counts."""
    names = names_for(settings.key.suffix)
    values: dict[str, str] = {}
    conflict = False
    for name, value in pairs:
        if value and values.setdefault(name, value) != value:
            conflict = conflict or name in names.session
    get = values.get
    tokens = tuple(decode(get(name, "")) for name in names.session)
    suffixed = _trust_suffixed(values, names, tokens, settings, now)
    chosen = 1 if suffixed else 0
    return CookieJar(
        suffixed=suffixed,
        session=get(names.session[chosen], ""),
        token=tokens[chosen],
        conflict=conflict,
        client_uat=leading_integer(get(names.client_uat[chosen], "")),
        refresh=get(names.refresh, ""),
        db_jwt=get(names.db_jwt[chosen], ""),
        handshake=get(HANDSHAKE, ""),
        nonce=get(NONCE, ""),
        redirect_count=max(0, leading_integer(get(REDIRECT_COUNT, ""))),
    )


def _trust_suffixed(
    values: dict[str, str],
    names: CookieNames,
    tokens: tuple[Token | None, ...],
    settings: ClerkSettings,
    now: float,
) -> bool:
    """Clerk's own rule, in its own order; the tokens are compared unverified, which only ever picks a set."""
    plain, own = tokens
    plain_uat, own_uat = (values.get(name, "") for name in names.client_uat)
    if values.get(names.session[0]):
        if plain is None or "iss" not in plain.payload:
            return False
        if _without_scheme(plain.payload["iss"]) != _without_scheme(settings.key.host):
            return True
    if not own_uat and not values.get(names.session[1]):
        return False
    if own_uat != "0" and plain_uat != "0" and _time(plain, "iat") > _time(own, "iat"):
        return False
    if own_uat == "0" and plain_uat != "0":
        return False
    own_expired = own is not None and _time(own, "exp") <= now - settings.clock_skew
    if not settings.live and own_uat != "0" and plain_uat == "0" and own_expired:
        return False
    return bool(own_uat)


def _without_scheme(issuer: object) -> str | None:
    if not isinstance(issuer, str):
        return None
    return issuer.removeprefix("https://").removeprefix("http://")


def _time(token: Token | None, claim: str) -> float:
    value = token.payload.get(claim) if token else None
    return value if is_number(value) else 0.0


def leading_integer(text: str) -> int:
    """As JavaScript's `parseInt(text) || 0`, which is how Clerk reads its numbers."""
    match = _LEADING_INTEGER.match(text)
    return int(match.group(1)) if match else 0


def set_cookie(
    settings: ClerkSettings,
    name: str,
    value: str,
    *,
    attributes: str = "; Path=/",
    http_only: bool = False,
) -> str:
    """One `Set-Cookie` value. Always SameSite=Lax, and Secure wherever the application is https."""
    secure = "; Secure" if settings.secure else ""
    return f"{name}={value}{attributes}{secure}{'; HttpOnly' if http_only else ''}; SameSite=Lax"


def delete_cookie(settings: ClerkSettings, name: str, *, domain: str | None = None) -> str:
    domain_part = f"; Domain={domain}" if domain else ""
    return set_cookie(settings, name, "", attributes=f"; Path=/{domain_part}; Max-Age=0; Expires={_EPOCH}")


def delete_everywhere(settings: ClerkSettings, *names: str) -> tuple[str, ...]:
    """Delete our own cookies of these names and those planted for the whole domain."""
    domains = (None, settings.cookie_domain) if settings.cookie_domain else (None,)
    return tuple(delete_cookie(settings, name, domain=domain) for name in names for domain in domains)


def count_cookie(settings: ClerkSettings, count: int) -> str:
    """Without a path, and so tied to the folder of the page that loops. A count of 0 deletes it."""
    age = REDIRECT_COUNT_SECONDS if count else 0
    value = str(count) if count else ""
    return set_cookie(settings, REDIRECT_COUNT, value, attributes=f"; Max-Age={age}", http_only=True)


def sign_out_cookies(settings: ClerkSettings) -> tuple[str, ...]:
    """Everything Clerk has set on our host, and `__client_uat` on the domain set to "nobody"."""
    names = names_for(settings.key.suffix)
    gone = (*names.session, names.refresh, HANDSHAKE, NONCE, REDIRECT_COUNT)
    cookies = [delete_cookie(settings, name) for name in gone]
    for name in names.client_uat:
        if settings.cookie_domain:
            cookies.append(delete_cookie(settings, name))
            cookies.append(
                set_cookie(settings, name, "0", attributes=f"; Path=/; Domain={settings.cookie_domain}")
            )
        else:
            cookies.append(set_cookie(settings, name, "0"))
    return tuple(cookies)
