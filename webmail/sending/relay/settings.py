"""Where the relay is and how it is spoken to, from one URL."""

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Security = Literal["none", "starttls", "tls"]

_SCHEMES: Final[dict[str, tuple[Security, int]]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}
_OPTIONS: Final = frozenset(("tls", "timeout", "max", "helo", "ca"))
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """A relay, its TLS and its sign-in. Times in seconds, after RFC 5321 section 4.5.3.2 but less patient."""

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)
    helo: str = ""
    """The name in EHLO; empty: the address literal of our end of the connection."""
    max_messages: int = 100
    """Messages over one connection before a new one is opened."""
    ca_file: str = ""
    """PEM file of the authorities to trust instead of the system's."""
    must_be_loopback: bool = False
    connect_timeout: float = 15.0
    command_timeout: float = 60.0
    data_timeout: float = 120.0
    final_timeout: float = 300.0
    idle_check: float = 20.0
    """A connection idle for longer is asked with NOOP before it is used again."""

    def __post_init__(self) -> None:
        if (self.username or self.password) and self.security == "none":
            raise ValueError("a user name and password need smtps:// or smtp+starttls://")
        if "\0" in self.username + self.password:
            raise ValueError("the user name or password has a NUL")

    @property
    def label(self) -> str:
        """The relay without its secrets, for logs and pages."""
        schemes = {security: scheme for scheme, (security, _) in _SCHEMES.items()}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{schemes[self.security]}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "RelaySettings":
        """Read a relay's URL. Raises ValueError, which never repeats the URL: it may hold a password.

        `smtp+starttls://user:password@host:587`: STARTTLS or nothing. `smtps://user:password@host:465`: TLS from the
        first octet. `smtp://127.0.0.1:2526`: plain, for a relay on this host; elsewhere only with `?tls=none`, and
        never with a password. User and password are percent-encoded. Options: `timeout` (seconds for each step),
        `max` (messages a connection), `helo`, `ca` (PEM file), `tls=none`.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in _SCHEMES:
            raise ValueError("must begin with smtps://, smtp+starttls:// or smtp://")
        security, default_port = _SCHEMES[parts.scheme]
        host = parts.hostname or ""
        if not _is_host(host) or parts.path not in ("", "/") or parts.fragment or port == 0:
            raise ValueError("must be a scheme, a host and a port")
        options = _options(parts.query)
        if "tls" in options and (options["tls"] != "none" or security != "none"):
            raise ValueError("tls can only be none, and only with smtp://")
        local = is_loopback(host)
        if security == "none" and not local and "tls" not in options:
            raise ValueError(
                "plain smtp:// is for this host; use smtps:// or smtp+starttls://, or say ?tls=none"
            )
        return cls(
            host=host,
            port=port or default_port,
            security=security,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            helo=_helo(options.get("helo", "")),
            max_messages=int(_number(options, "max", 100, 1, 10_000)),
            ca_file=options.get("ca", ""),
            must_be_loopback=security == "none" and local and "tls" not in options,
            connect_timeout=_number(options, "timeout", 15.0, 0.1, 600.0),
            command_timeout=_number(options, "timeout", 60.0, 0.1, 600.0),
            data_timeout=_number(options, "timeout", 120.0, 0.1, 600.0),
            final_timeout=_number(options, "timeout", 300.0, 0.1, 600.0),
        )

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with the certificate and the host name checked. Raises OSError for a bad `ca_file`."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def is_loopback(host: str) -> bool:
    """Whether the host, as written, is this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("has options that cannot be read") from None
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= _OPTIONS:
        raise ValueError("knows the options tls, timeout, max, helo and ca, each once")
    return options


def _number(options: dict[str, str], name: str, default: float, low: float, high: float) -> float:
    if name not in options:
        return default
    text = options[name]
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text) or not low <= float(text) <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}")
    return float(text)


def _helo(name: str) -> str:
    if name and not _HOST.fullmatch(name):
        raise ValueError("helo must be a host name")
    return name
