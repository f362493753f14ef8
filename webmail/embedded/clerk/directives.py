"""The Set-Cookie values that a handshake or a refresh hands to the app, and how they travel back. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from webmail.embedded.clerk.names import Instance

LONG = 315_360_000  # ten years, as the real service gives its hint cookies
GONE = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
ENVELOPE_BYTES = 2048  # what still fits a cookie; above it a nonce stands for the envelope
ENVELOPE_COOKIE = "__clerk_handshake"
NONCE_COOKIE = "__clerk_handshake_nonce"
_HANDSHAKE_COOKIES = (ENVELOPE_COOKIE, NONCE_COOKIE)


def _names(base: str, instance: Instance, suffixed: bool) -> list[str]:
    return [base, f"{base}_{instance.suffix}"] if suffixed else [base]


def _tail(instance: Instance, *, http_only: bool = False) -> str:
    return ("; Secure" if instance.secure else "") + ("; HttpOnly" if http_only else "") + "; SameSite=Lax"


def _hint(instance: Instance, value: int, suffixed: bool) -> list[str]:
    """`__client_uat`: for the whole domain in production, where a stale host-only twin is removed first."""
    names = _names("__client_uat", instance, suffixed)
    domain = "" if instance.development else f"; Domain={instance.domain}"
    removed = [] if instance.development else [f"{name}=; Path=/; {GONE}" for name in names]
    return removed + [f"{name}={value}; Path=/{domain}; Max-Age={LONG}{_tail(instance)}" for name in names]


def hint_cookies(instance: Instance, value: int) -> list[str]:
    """What the hosted pages set in production when somebody signs in or out: the hint for the whole domain."""
    tail = f"Path=/; Domain={instance.domain}; Max-Age={LONG}{_tail(instance)}"
    return [f"{name}={value}; {tail}" for name in _names("__client_uat", instance, True)]


def session_cookies(instance: Instance, token: str, suffixed: bool) -> list[str]:
    """A session token as cookies of the app's host: the answer of a refresh, and part of a handshake."""
    return [
        f"{name}={token}; Path=/; Max-Age={LONG}{_tail(instance)}"
        for name in _names("__session", instance, suffixed)
    ]


def refresh_cookie(instance: Instance, token: str) -> str:
    return f"__refresh_{instance.suffix}={token}; Path=/; Max-Age={LONG}{_tail(instance, http_only=True)}"


def _browser(instance: Instance, db_jwt: str, suffixed: bool) -> list[str]:
    """Removal of the envelope in production, the development browser's name in development."""
    if instance.development:
        names = _names("__clerk_db_jwt", instance, suffixed)
        return [f"{name}={db_jwt}; Path=/; Max-Age={LONG}{_tail(instance)}" for name in names]
    return [f"{name}=; Path=/; Domain={instance.domain}; {GONE}" for name in _HANDSHAKE_COOKIES]


def signed_in(
    instance: Instance, *, token: str, refresh: str, signed_in_at: int, db_jwt: str, suffixed: bool
) -> list[str]:
    """Everything a browser with a live session gets. `signed_in_at` in seconds; `db_jwt` matters in development."""
    return [
        *_browser(instance, db_jwt, suffixed),
        *_hint(instance, signed_in_at, suffixed),
        *session_cookies(instance, token, suffixed),
        refresh_cookie(instance, refresh),
    ]


def signed_out(instance: Instance, *, db_jwt: str, suffixed: bool) -> list[str]:
    gone = [*_names("__session", instance, suffixed), f"__refresh_{instance.suffix}"]
    return [
        *_browser(instance, db_jwt, suffixed),
        *_hint(instance, 0, suffixed),
        *(f"{name}=; Path=/; {GONE}" for name in gone),
    ]


def envelope_cookie(instance: Instance, name: str, value: str) -> str:
    """The production way of handing a payload over: a short cookie for the whole domain."""
    tail = f"Path=/; Domain={instance.domain}; Max-Age=60{_tail(instance, http_only=True)}"
    return f"{name}={value}; {tail}"


def with_parameter(url: str, name: str, value: str) -> str:
    """`url` with one more query parameter, the rest of it kept letter by letter. `value` needs no quoting."""
    base, hash_mark, fragment = url.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{name}={value}{hash_mark}{fragment}"


def is_allowed_redirect(url: str, *origins: str) -> bool:
    """Whether `url` is absolute, plain ASCII without tricks, and lies on one of `origins`."""
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if "@" in parts.netloc:
        return False
    return f"{parts.scheme}://{parts.netloc}" in origins and url.startswith(
        f"{parts.scheme}://{parts.netloc}"
    )
