"""Settings: typed, frozen, read once from the environment. Nothing else in mtumail reads the environment.

A setting is one field of `Settings`; its metadata holds the variable's name, what it means and an example. `mtumail doctor`,
the error messages and the README's table are all made from these fields, so they cannot disagree.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webmail.errors import SettingError

ENVIRONMENTS = ("production", "development", "test")


def _setting(
    name: str, help: str, example: str, default: Any = None, parse: Callable[[str], Any] = str
) -> Any:
    """Declare a setting: its variable, what it means, an example, the default, and how text becomes a value."""
    return field(default=default, metadata={"name": name, "help": help, "example": example, "parse": parse})


def _environment(text: str) -> str:
    if text not in ENVIRONMENTS:
        raise ValueError(f"is {text!r}; it must be one of {', '.join(ENVIRONMENTS)}")
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
    ):
        raise ValueError("must be a scheme and a host, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port")
    return host.strip("[]"), int(port)


def _listens(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(_listen(item.strip()) for item in text.split(",") if item.strip())


def _database_url(text: str) -> str:
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("must be a postgresql:// address; mtumail has no second database")
    return f"postgresql+psycopg://{rest}"


def _redis_url(text: str) -> str:
    if urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def _master_keys(text: str) -> tuple[bytes, ...]:
    keys = []
    for item in text.replace(",", " ").split():
        try:
            key = base64.b64decode(item, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be base64, one key or several with the current one first") from None
        if len(key) != 32:
            raise ValueError(f"holds a key of {len(key)} bytes; each must be 32")
        keys.append(key)
    if not keys:
        raise ValueError("is empty")
    return tuple(keys)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _switch(text: str) -> bool:
    words = {"yes": True, "no": False}
    if text not in words:
        raise ValueError("is neither yes nor no")
    return words[text]


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?", text):
        raise ValueError("must be a host name")
    return text.lower()


@dataclass(frozen=True)
class Settings:
    """Everything that differs between one installation and another."""

    environment: str = _setting(
        "MTUMAIL_ENV",
        "`production`, `development` or `test`. Only the last two accept the local Clerk.",
        "production",
        "production",
        _environment,
    )
    origin: str = _setting(
        "MTUMAIL_ORIGIN",
        "Where people reach the web app: scheme and host. Links, cookies and the Host check are made from it.",
        "https://mail.example.com",
        "",
        _origin,
    )
    database_url: str = _setting(
        "DATABASE_URL",
        "Postgres, with the role of the process that reads it.",
        "postgresql://mtumail_web:secret@db.internal/mtumail",
        "",
        _database_url,
    )
    redis_url: str = _setting(
        "REDIS_URL",
        "Redis or Valkey; only wakes workers, holds nothing that can be lost.",
        "redis://127.0.0.1:6379/0",
        "",
        _redis_url,
    )
    master_keys: tuple[bytes, ...] = _setting(
        "MTUMAIL_MASTER_KEY",
        "32 bytes in base64; several, the current one first, while rotating. Not given to inbound.",
        "kq3N…=",
        (),
        _master_keys,
    )
    master_key_file: Path | None = _setting(
        "MTUMAIL_MASTER_KEY_FILE",
        "A file (mode 0600) that holds the master key instead.",
        "/etc/mtumail/master.key",
        None,
        Path,
    )
    data_dir: Path = _setting(
        "MTUMAIL_DATA_DIR", "Where a process may keep files of its own.", "/var/lib/mtumail", Path("."), Path
    )
    http_listen: tuple[str, int] = _setting(
        "MTUMAIL_HTTP_LISTEN",
        "Address and port of the web app.",
        "127.0.0.1:8000",
        ("127.0.0.1", 8000),
        _listen,
    )
    web_processes: int = _setting("MTUMAIL_WEB_PROCESSES", "Web worker processes.", "2", 2, _whole(1, 64))
    web_threads: int = _setting("MTUMAIL_WEB_THREADS", "Threads of each web process.", "4", 4, _whole(1, 64))
    trusted_proxies: int = _setting(
        "MTUMAIL_TRUSTED_PROXIES",
        "How many reverse proxies of yours stand before the web app.",
        "1",
        0,
        _whole(0, 5),
    )
    smtp_listen: tuple[tuple[str, int], ...] = _setting(
        "MTUMAIL_SMTP_LISTEN",
        "Where inbound accepts mail; several with commas.",
        "0.0.0.0:25",
        (("127.0.0.1", 2525),),
        _listens,
    )
    smtp_health_listen: tuple[str, int] | None = _setting(
        "MTUMAIL_SMTP_HEALTH_LISTEN",
        "Health page of inbound, off unless set.",
        "127.0.0.1:8026",
        None,
        _listen,
    )
    smtp_trusted_networks: str = _setting(
        "MTUMAIL_SMTP_TRUSTED_NETWORKS",
        "Networks exempt from the per-address connection limits.",
        "10.0.0.0/8",
        "127.0.0.0/8,::1/128",
    )
    tls_certificate: Path | None = _setting(
        "MTUMAIL_TLS_CERTIFICATE",
        "PEM chain for STARTTLS on inbound; read again on SIGHUP.",
        "/etc/ssl/mail.pem",
        None,
        Path,
    )
    tls_key: Path | None = _setting(
        "MTUMAIL_TLS_KEY", "PEM private key of that certificate.", "/etc/ssl/mail.key", None, Path
    )
    host_name: str = _setting(
        "MTUMAIL_HOSTNAME",
        "The name inbound greets with and the relay is greeted by.",
        "mx.example.com",
        "localhost",
        _host_name,
    )
    authenticate: bool = _setting(
        "MTUMAIL_AUTHENTICATE",
        "Whether inbound looks into SPF, DKIM, DMARC and ARC; it records what it finds, and refuses nothing for it.",
        "no",
        True,
        _switch,
    )
    dns_servers: tuple[tuple[str, int], ...] = _setting(
        "MTUMAIL_DNS",
        "Resolvers that inbound asks, `address:port`, several with commas; the system's where empty. Choose validating ones.",
        "127.0.0.1:53",
        (),
        _listens,
    )
    relay_url: str = _setting(
        "MTUMAIL_RELAY_URL",
        "The SMTP relay that outgoing mail leaves through: `smtp+starttls://`, `smtps://`, `mailcheap://`, or `smtp://` on"
        " loopback. Several with commas, each with `?name=…&weight=…`.",
        "smtp+starttls://user:secret@smtp.mailcheap.example:587",
        "",
    )
    undo_seconds: int = _setting(
        "MTUMAIL_UNDO_SECONDS",
        "How long what was sent waits for a second thought, for people who did not choose; 0 to 30.",
        "0",
        10,
        _whole(0, 30),
    )
    send_hour: int = _setting(
        "MTUMAIL_SEND_HOUR",
        "Recipients a person may write to in an hour, a fifth in the first week; more wait for room. 0: any number.",
        "500",
        200,
        _whole(0, 1_000_000),
    )
    send_day: int = _setting("MTUMAIL_SEND_DAY", "The same in a day.", "5000", 1_000, _whole(0, 1_000_000))
    message_bytes: int = _setting(
        "MTUMAIL_MESSAGE_BYTES",
        "The largest message taken in or sent.",
        "26214400",
        26_214_400,
        _whole(65_536, 104_857_600),
    )
    quota_bytes: int = _setting(
        "MTUMAIL_QUOTA_BYTES",
        "Space of a new mailbox.",
        "5000000000",
        5_000_000_000,
        _whole(1_000_000, 10**14),
    )
    registration: str = _setting(
        "MTUMAIL_REGISTRATION",
        "`open`: whoever Clerk signs in may take a mailbox name; `closed`: nobody.",
        "closed",
        "closed",
    )
    contact: str = _setting(
        "MTUMAIL_CONTACT",
        "Where questions about privacy go; printed in the policy.",
        "privacy@example.com",
        "postmaster",
    )
    clerk: Mapping[str, str] = _setting("CLERK_*", "Clerk's settings: see the table below.", "", None)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Settings":
        """Read all settings from `env`. Raises SettingError for the first that cannot be used."""
        values: dict[str, Any] = {}
        for item in fields(cls):
            name, parse = item.metadata["name"], item.metadata["parse"]
            if name == "CLERK_*":
                continue
            text = env.get(name, "").strip()
            if not text:
                continue
            try:
                values[item.name] = parse(text)
            except ValueError as error:
                raise SettingError(name, str(error), item.metadata["example"]) from None
        clerk = {key: value for key, value in env.items() if key.startswith("CLERK_")}
        settings = cls(**values, clerk=clerk)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.registration not in ("open", "closed"):
            raise SettingError("MTUMAIL_REGISTRATION", f"is {self.registration!r}", "open")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingError(
                "MTUMAIL_TLS_KEY",
                "a certificate and its key are set together or not at all",
                "/etc/ssl/mail.key",
            )
        if self.environment == "production" and self.origin.startswith("http:"):
            raise SettingError("MTUMAIL_ORIGIN", "must be https in production", "https://mail.example.com")
        if self.master_keys and self.master_key_file:
            raise SettingError(
                "MTUMAIL_MASTER_KEY", "is set beside MTUMAIL_MASTER_KEY_FILE; keep one of them"
            )

    def require(self, *names: str) -> None:
        """Refuse to go on unless the named fields are set. Raises SettingError naming the variable."""
        for item in fields(self):
            if item.name in names and not getattr(self, item.name):
                raise SettingError(item.metadata["name"], "is not set", item.metadata["example"])

    @cached_property
    def secure(self) -> bool:
        """True where people reach us over https."""
        return self.origin.startswith("https:")


def read() -> Settings:
    """The settings of this process, from its environment."""
    return Settings.from_environment(os.environ)
