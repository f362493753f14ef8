"""Names that follow from the app's origin: FAPI host, publishable key, cookie suffix, cookie domain. Pure."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

DEVELOPMENT = "development"
PRODUCTION = "production"
MODES = (DEVELOPMENT, PRODUCTION)


@dataclass(frozen=True, slots=True)
class Instance:
    """One Clerk instance as seen from outside. `origin` is the app's, without a trailing slash; `port` is ours."""

    mode: str
    origin: str
    port: int
    domain: str
    publishable_key: str
    suffix: str

    @property
    def development(self) -> bool:
        return self.mode == DEVELOPMENT

    @property
    def host(self) -> str:
        """The FAPI host with its port, as the publishable key spells it."""
        return f"clerk.{self.domain}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def issuer(self) -> str:
        """`iss` of every token: always https, whatever the instance is served over."""
        return f"https://{self.host}"

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https:")


def describe(mode: str, origin: str, port: int) -> Instance:
    """The instance that serves `origin` on `port`. Raises ValueError for an unusable mode or origin."""
    if mode not in MODES:
        raise ValueError(f"the mode is {mode!r}; it must be one of {', '.join(MODES)}")
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError(
            f"the origin is {origin!r}; it must be a scheme and a host, such as http://mail.localhost:8000"
        )
    domain = _parent_domain(parts.hostname)
    if mode == PRODUCTION and "." not in domain:
        # No cookie can be set for all of `localhost`, and a production instance works by such cookies.
        raise ValueError(
            "production mode needs a domain for cookies: an origin such as http://mail.demo.localhost:8000"
        )
    prefix = "pk_test_" if mode == DEVELOPMENT else "pk_live_"
    key = prefix + base64.b64encode(f"clerk.{domain}:{port}$".encode()).decode()
    return Instance(mode, origin, port, domain, key, cookie_suffix(key))


def _parent_domain(host: str) -> str:
    """What app and FAPI host share: `localhost` for `mail.localhost`, `demo.localhost` for `mail.demo.localhost`."""
    labels = host.split(".")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if len(labels) > 2 or (len(labels) == 2 and labels[1] != "localhost"):
            return ".".join(labels[-2:])
    return "localhost"


def cookie_suffix(publishable_key: str) -> str:
    """The eight characters that tell the cookies of two Clerk apps on one domain apart."""
    digest = hashlib.sha1(publishable_key.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode()[:8]
