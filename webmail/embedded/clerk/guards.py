"""The local Clerk knows everybody's password and signs whatever it is asked to: where it may not run."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from webmail.embedded.clerk.credentials import SECRET_PREFIXES

ALLOWED_ENVIRONMENTS = ("development", "test")


class NotAllowed(Exception):
    """The local Clerk must not start here. The text says why, in one line."""


def check(environment: str, address: str, mode: str, given_secret: str = "", webhook_url: str = "") -> None:
    """Raise NotAllowed unless this is a development or test machine talking to itself.

    `given_secret` is a CLERK_SECRET_KEY of the surroundings: a real one means that a real instance is meant.
    """
    if environment not in ALLOWED_ENVIRONMENTS:
        allowed = " or ".join(ALLOWED_ENVIRONMENTS)
        raise NotAllowed(
            f"the local Clerk runs only where MTUMAIL_ENV is {allowed}; here it is {environment!r}"
        )
    if not is_loopback(address):
        raise NotAllowed(f"the local Clerk listens on loopback only; {address!r} is not")
    if given_secret and not given_secret.startswith(SECRET_PREFIXES[mode]):
        raise NotAllowed(
            f"CLERK_SECRET_KEY belongs to a real Clerk instance; the local one takes {SECRET_PREFIXES[mode]}_... alone"
        )
    if webhook_url and not delivers_locally(webhook_url):
        raise NotAllowed("webhooks of the local Clerk go to http addresses on this machine only")


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def delivers_locally(url: str) -> bool:
    """Whether a webhook to `url` stays here. Names are never looked up: see `webhooks.Sender`, which dials loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    reserved = host == "localhost" or host.endswith((".localhost", ".test"))
    return parts.scheme == "http" and (reserved or is_loopback(host))
