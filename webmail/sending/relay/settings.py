"""Where the relays are and how they are spoken to: one URL each."""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from webmail.errors import SettingError

Security = Literal["none", "starttls", "tls"]

_SCHEMES: Final[dict[str, tuple[Security, int]]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}
_OPTIONS: Final = frozenset(("tls", "timeout", "max", "helo", "ca", "weight", "name"))
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_NEXT_URL = re.compile(r"\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
MOST_RELAYS: Final = 10


@dataclass(frozen=True, slots=True)
class Preset:
    """What a provider's own documentation says of its relays, so that only a host and a sign-in are left to tell."""

    ports: Mapping[int, Security]
    """The first one is taken where the URL names none."""
    documented_at: str


PRESETS: Final[Mapping[str, Preset]] = {
    # Each customer has a server of its own there: there is no host name to preset.
    "mailcheap": Preset({587: "starttls", 465: "tls"}, "https://www.mailcheap.co/help/clientconfig/"),
}
"""Schemes beside the generic ones: `mailcheap://user:password@host`. They need a sign-in, and know no way without TLS."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """A relay, its TLS and its sign-in. Times in seconds, after RFC 5321 section 4.5.3.2 but less patient."""

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)
    name: str = ""
    """What it is called in logs, pages and replies; by `parse` its host and port where the URL names it nothing else."""
    weight: int = 1
    """How often it is chosen, beside others. 0: only when no other will do."""
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
        never with a password. `mailcheap://user:password@host`: see PRESETS. User and password are percent-encoded.
        Options: `timeout` (seconds for each step), `max` (messages a connection), `name`, `weight` (0 to 1000), `helo`,
        `ca` (PEM file), `tls=none`.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        host = parts.hostname or ""
        if parts.scheme not in _SCHEMES and parts.scheme not in PRESETS:
            raise ValueError("must begin with smtps://, smtp+starttls://, smtp:// or mailcheap://")
        if not _is_host(host) or parts.path not in ("", "/") or parts.fragment or port == 0:
            raise ValueError("must be a scheme, a host and a port")
        security, port = _way(parts.scheme, port)
        if parts.scheme in PRESETS and not (parts.username and parts.password):
            raise ValueError("needs a user name and a password")
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
            port=port,
            security=security,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            name=_named(options.get("name", f"{host}:{port}"), "name" in options),
            weight=int(_number(options, "weight", 1, 0, 1000)),
            helo=_helo(options.get("helo", "")),
            max_messages=int(_number(options, "max", 100, 1, 10_000)),
            ca_file=options.get("ca", ""),
            must_be_loopback=security == "none" and local and "tls" not in options,
            connect_timeout=_number(options, "timeout", 15.0, 0.1, 600.0),
            command_timeout=_number(options, "timeout", 60.0, 0.1, 600.0),
            data_timeout=_number(options, "timeout", 120.0, 0.1, 600.0),
            final_timeout=_number(options, "timeout", 300.0, 0.1, 600.0),
        )

    @classmethod
    def parse_all(cls, urls: str) -> "tuple[RelaySettings, ...]":
        """Read one URL or several with commas between them. Raises ValueError as `parse` does, saying which one it means."""
        texts = _NEXT_URL.split(urls.strip().rstrip(","))
        found = []
        for number, url in enumerate(texts, 1):
            try:
                found.append(cls.parse(url))
            except ValueError as error:
                raise ValueError(f"{f'number {number} ' if len(texts) > 1 else ''}{error}") from None
        if len(found) > MOST_RELAYS:
            raise ValueError(f"names more than {MOST_RELAYS} relays")
        if len({one.name for one in found}) != len(found):
            raise ValueError("names two relays alike: tell them apart with ?name=")
        return tuple(found)

    @classmethod
    def for_host(
        cls, urls: str, host_name: str, setting: str = "MTUMAIL_RELAY_URL"
    ) -> "tuple[RelaySettings, ...]":
        """The relays of this installation: those whose URL says no other name are greeted by `host_name`. Raises SettingError,
        which names the `setting`."""
        try:
            found = cls.parse_all(urls)
        except ValueError as error:
            raise SettingError(setting, str(error)) from None
        return tuple(one if one.helo else replace(one, helo=host_name) for one in found)

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with the certificate and the host name checked. Raises OSError for a bad `ca_file`."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _way(scheme: str, port: int | None) -> tuple[Security, int]:
    """TLS and port that a scheme stands for, with the port that the URL names."""
    preset = PRESETS.get(scheme)
    if preset is None:
        security, default_port = _SCHEMES[scheme]
        return security, port or default_port
    port = port or next(iter(preset.ports))
    if port not in preset.ports:
        raise ValueError(f"has no such port: {scheme} has {' and '.join(map(str, preset.ports))}")
    return preset.ports[port], port


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
        raise ValueError("knows the options tls, timeout, max, name, weight, helo and ca, each once")
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


def _named(name: str, chosen: bool) -> str:
    if chosen and not _NAME.fullmatch(name):
        raise ValueError("name must be 1 to 40 letters, digits, dots and dashes")
    return name
