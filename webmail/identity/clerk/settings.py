"""What the Clerk protocol needs to know: read once from the environment, refused when it makes no sense."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from webmail.errors import SettingError
from webmail.identity.clerk.keys import PublishableKey, parse_pems, parse_publishable_key

Environment = Literal["production", "development", "test"]
Impersonation = Literal["off", "readonly"]

LOCAL_SECRET_PREFIXES = ("sk_test_local", "sk_live_local")
_SECRET = re.compile(r"sk_(live|test)_?[A-Za-z0-9_-]+")
_LOOPBACK = re.compile(r"(.*\.)?localhost|127\.\d+\.\d+\.\d+|::1")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class ClerkSettings:
    """Everything `webmail.identity.clerk` is configured by. Build it with `from_environment`."""

    key: PublishableKey
    secret_key: str = field(repr=False)
    origin: str
    """Scheme and host of this application as browsers see it, without a trailing slash."""
    environment: Environment
    api_url: str
    frontend_url: str
    sign_in_url: str
    authorized_parties: tuple[str, ...]
    cookie_domain: str | None
    """The registrable domain on which Clerk sets `__client_uat`; None where cookies stay on one host."""
    pems: tuple[RSAPublicKey, ...] = field(default=(), repr=False)
    """Signing keys given by hand; empty means they are fetched from Clerk."""
    webhook_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    instance_id: str | None = None
    impersonation: Impersonation = "off"
    refresh_unsafe: bool = True
    """Whether an expired token may be refreshed for POST, PUT, PATCH and DELETE."""
    clock_skew: int = 5
    """Seconds by which Clerk's clock and ours may differ."""

    @property
    def live(self) -> bool:
        return self.key.live

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def host(self) -> str:
        """What the `Host` header of a request to us says."""
        return self.origin.partition("://")[2]

    @property
    def issuer(self) -> str:
        """The `iss` of every acceptable token: the Frontend API of the key, never an override of its address."""
        return self.key.frontend_url

    @property
    def form_action_origins(self) -> tuple[str, ...]:
        """Origins a form may be redirected to; a Content-Security-Policy's `form-action` has to name them."""
        origins = (_origin_of(urlsplit(self.frontend_url)), _origin_of(urlsplit(self.sign_in_url)))
        return tuple(dict.fromkeys(origins))

    @classmethod
    def from_environment(
        cls, env: Mapping[str, str], *, origin: str, environment: Environment
    ) -> ClerkSettings:
        """Read the `CLERK_*` variables.

        CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY: of the same instance, live in production.
        CLERK_JWT_KEY: one or more PEM public keys; without it they are fetched from Clerk.
        CLERK_API_URL, CLERK_FAPI_URL, CLERK_SIGN_IN_URL: overrides of what follows from the key.
        CLERK_AUTHORIZED_PARTIES: accepted `azp` values, by default our own origin alone.
        CLERK_COOKIE_DOMAIN: by default what follows `clerk.` in a live key's host, if we are below it.
        CLERK_WEBHOOK_SIGNING_SECRET: one or more `whsec_...`. CLERK_INSTANCE_ID: `ins_...`, checked if given.
        CLERK_ALLOW_IMPERSONATION: off or readonly. CLERK_REFRESH_UNSAFE: 1 or 0. CLERK_CLOCK_SKEW: 0 to 60 s.

        Raises SettingError.
        """
        read = _Reader(env, environment)
        origin = read.origin(origin)
        key = read.publishable_key()
        frontend_url = read.url("CLERK_FAPI_URL", key.frontend_url)
        return cls(
            key=key,
            secret_key=read.secret_key(key),
            origin=origin,
            environment=environment,
            api_url=read.url("CLERK_API_URL", "https://api.clerk.com"),
            frontend_url=frontend_url,
            sign_in_url=read.url("CLERK_SIGN_IN_URL", f"{key.accounts_url}/sign-in"),
            authorized_parties=read.authorized_parties(origin),
            cookie_domain=read.cookie_domain(key, origin),
            pems=read.pems(),
            webhook_secrets=read.webhook_secrets(),
            instance_id=read.instance_id(),
            impersonation=read.impersonation(),
            refresh_unsafe=read.switch("CLERK_REFRESH_UNSAFE", default=True),
            clock_skew=read.clock_skew(),
        )


class _Reader:
    """One method a setting; each returns a good value or raises SettingError."""

    def __init__(self, env: Mapping[str, str], environment: Environment) -> None:
        self.env = env
        self.production = environment == "production"

    def text(self, name: str) -> str:
        return self.env.get(name, "").strip()

    def required(self, name: str, example: str) -> str:
        if value := self.text(name):
            return value
        raise SettingError(name, "is missing", example)

    def origin(self, value: str) -> str:
        name, example = "MTUMAIL_ORIGIN", "https://mail.example.com"
        parts = _split(value.strip().rstrip("/"), name, example)
        if parts.path or parts.query or parts.fragment:
            raise SettingError(name, "is more than a scheme and a host", example)
        if self.production and parts.scheme != "https":
            raise SettingError(name, "is not https, and session cookies would travel in the clear", example)
        return _origin_of(parts)

    def url(self, name: str, default: str) -> str:
        value = (self.text(name) or default).rstrip("/")
        parts = _split(value, name, default)
        if parts.scheme != "https" and (self.production or not _LOOPBACK.fullmatch(parts.hostname or "")):
            raise SettingError(name, "is not https; plain http is for a local stand-in alone", default)
        return value

    def publishable_key(self) -> PublishableKey:
        name, example = "CLERK_PUBLISHABLE_KEY", "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
        try:
            key = parse_publishable_key(self.required(name, example))
        except ValueError as error:
            raise SettingError(name, str(error), example) from error
        if self.production and not key.live:
            raise SettingError(name, "belongs to a development instance", example)
        return key

    def secret_key(self, key: PublishableKey) -> str:
        name = "CLERK_SECRET_KEY"
        example = "sk_live_..." if key.live else "sk_test_..."
        secret = self.required(name, example)
        if not _SECRET.fullmatch(secret):
            raise SettingError(name, "is not sk_live_ or sk_test_ followed by letters and digits", example)
        if secret.startswith(LOCAL_SECRET_PREFIXES) and self.production:
            raise SettingError(name, "belongs to the local stand-in for Clerk", example)
        if secret.startswith("sk_live") != key.live:
            raise SettingError(name, "and CLERK_PUBLISHABLE_KEY belong to different instances", example)
        return secret

    def pems(self) -> tuple[RSAPublicKey, ...]:
        text = self.text("CLERK_JWT_KEY")
        try:
            return parse_pems(text) if text else ()
        except ValueError as error:
            raise SettingError(
                "CLERK_JWT_KEY", str(error), "-----BEGIN PUBLIC KEY-----\\nMIIB...\\n-----END PUBLIC KEY-----"
            ) from error

    def authorized_parties(self, origin: str) -> tuple[str, ...]:
        name = "CLERK_AUTHORIZED_PARTIES"
        values = _list(self.text(name)) or (origin,)
        return tuple(_origin_of(_split(value.rstrip("/"), name, origin)) for value in values)

    def cookie_domain(self, key: PublishableKey, origin: str) -> str | None:
        name = "CLERK_COOKIE_DOMAIN"
        host = urlsplit(origin).hostname or ""
        if given := self.text(name).lower().removeprefix("."):
            if not _DOMAIN.fullmatch(given) or "." not in given or not _is_below(host, given):
                raise SettingError(name, f"is not a domain that {host} belongs to", "example.com")
            return given
        derived = key.host.removeprefix("clerk.")
        return derived if key.live and derived != key.host and _is_below(host, derived) else None

    def webhook_secrets(self) -> tuple[bytes, ...]:
        name, example = "CLERK_WEBHOOK_SIGNING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        secrets = []
        for value in _list(self.text(name)):
            try:
                secret = base64.b64decode(value.removeprefix("whsec_"), validate=True)
            except binascii.Error:
                secret = b""
            if not value.startswith("whsec_") or len(secret) < 16:
                raise SettingError(name, "is not whsec_ followed by at least 16 bytes of base64", example)
            secrets.append(secret)
        return tuple(secrets)

    def instance_id(self) -> str | None:
        name = "CLERK_INSTANCE_ID"
        value = self.text(name)
        if value and not re.fullmatch(r"ins_[A-Za-z0-9_]+", value):
            raise SettingError(name, "is not an instance id", "ins_2abcDEF")
        return value or None

    def impersonation(self) -> Impersonation:
        match self.text("CLERK_ALLOW_IMPERSONATION"):
            case "" | "off":
                return "off"
            case "readonly":
                return "readonly"
            case _:
                raise SettingError("CLERK_ALLOW_IMPERSONATION", "is neither off nor readonly", "off")

    def switch(self, name: str, *, default: bool) -> bool:
        match self.text(name):
            case "":
                return default
            case "0" | "1" as value:
                return value == "1"
            case _:
                raise SettingError(name, "is neither 0 nor 1", "1")

    def clock_skew(self) -> int:
        value = self.text("CLERK_CLOCK_SKEW") or "5"
        if not re.fullmatch("[0-9]{1,2}", value) or int(value) > 60:
            raise SettingError("CLERK_CLOCK_SKEW", "is not a number of seconds from 0 to 60", "5")
        return int(value)


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _split(value: str, name: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise SettingError(name, "is not an address", example) from error
    plain = parts.username is None and parts.password is None and port != 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise SettingError(name, "is not an http or https address", example)
    return parts


def _origin_of(parts: SplitResult) -> str:
    """As browsers spell an origin: lower case, no port where it is the scheme's own."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, standard) else "")
