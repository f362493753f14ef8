"""Settings: typed, frozen, read once from the environment. Nothing else in mtumail reads the environment.

A setting is one field of `Settings`; its metadata holds the variable's name, what it means and an example. `mtumail doctor`,
the error messages and the README's table are all made from these fields, so they cannot disagree.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webmail import setting_texts as texts
from webmail.errors import SettingError
from webmail.setting_fields import BackupSettings
from webmail.setting_fields import setting as _setting


@dataclass(frozen=True)
class Settings(BackupSettings):
    """Everything that differs between one installation and another."""

    environment: str = _setting(
        "MTUMAIL_ENV",
        "`production`, `development` or `test`. Only the last two accept the local Clerk.",
        "production",
        "production",
        texts.environment,
    )
    origin: str = _setting(
        "MTUMAIL_ORIGIN",
        "Where people reach the web app: scheme and host. Links, cookies and the Host check are made from it.",
        "https://mail.example.com",
        "",
        texts.origin,
    )
    database_url: str = _setting(
        "DATABASE_URL",
        "Postgres, with the role of the process that reads it.",
        "postgresql://mtumail_web:secret@db.internal/mtumail",
        "",
        texts.database_url,
    )
    redis_url: str = _setting(
        "REDIS_URL",
        "Redis or Valkey; only wakes workers, holds nothing that can be lost.",
        "redis://127.0.0.1:6379/0",
        "",
        texts.redis_url,
    )
    master_keys: tuple[bytes, ...] = _setting(
        "MTUMAIL_MASTER_KEY",
        "32 bytes in base64; several, the current one first, while rotating. Not given to inbound.",
        "kq3N…=",
        (),
        texts.master_keys,
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
        texts.listen,
    )
    web_processes: int = _setting(
        "MTUMAIL_WEB_PROCESSES", "Web worker processes.", "2", 2, texts.whole(1, 64)
    )
    web_threads: int = _setting(
        "MTUMAIL_WEB_THREADS", "Threads of each web process.", "4", 4, texts.whole(1, 64)
    )
    trusted_proxies: int = _setting(
        "MTUMAIL_TRUSTED_PROXIES",
        "How many reverse proxies of yours stand before the web app.",
        "1",
        0,
        texts.whole(0, 5),
    )
    smtp_listen: tuple[tuple[str, int], ...] = _setting(
        "MTUMAIL_SMTP_LISTEN",
        "Where inbound accepts mail; several with commas.",
        "0.0.0.0:25",
        (("127.0.0.1", 2525),),
        texts.listens,
    )
    smtp_health_listen: tuple[str, int] | None = _setting(
        "MTUMAIL_SMTP_HEALTH_LISTEN",
        "Health page of inbound, off unless set.",
        "127.0.0.1:8026",
        None,
        texts.listen,
    )
    worker_health_listen: tuple[str, int] | None = _setting(
        "MTUMAIL_WORKER_HEALTH_LISTEN",
        "Health page of the workers, off unless set.",
        "127.0.0.1:8027",
        None,
        texts.listen,
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
        texts.host_name,
    )
    authenticate: bool = _setting(
        "MTUMAIL_AUTHENTICATE",
        "Whether inbound looks into SPF, DKIM, DMARC and ARC; it records what it finds, and refuses nothing for it.",
        "no",
        True,
        texts.switch,
    )
    dns_servers: tuple[tuple[str, int], ...] = _setting(
        "MTUMAIL_DNS",
        "Resolvers that inbound asks, `address:port`, several with commas; the system's where empty. Choose validating ones.",
        "127.0.0.1:53",
        (),
        texts.listens,
    )
    relay_url: str = _setting(
        "MTUMAIL_RELAY_URL",
        "The SMTP relay that outgoing mail leaves through: `smtp+starttls://`, `smtps://`, `mailcheap://`, or `smtp://` on"
        " loopback. Several with commas, each with `?name=…&weight=…`.",
        "smtp+starttls://user:secret@smtp.mailcheap.example:587",
        "",
    )
    local_url: str = _setting(
        "MTUMAIL_LOCAL_URL",
        "Inbound's own address: mail between people of this installation is handed there, for the relay would only bring it back."
        " Empty: it goes by the relay like all other mail.",
        "smtp://127.0.0.1:25",
        "",
    )
    undo_seconds: int = _setting(
        "MTUMAIL_UNDO_SECONDS",
        "How long what was sent waits for a second thought, for people who did not choose; 0 to 30.",
        "0",
        10,
        texts.whole(0, 30),
    )
    send_hour: int = _setting(
        "MTUMAIL_SEND_HOUR",
        "Recipients a person may write to in an hour, a fifth in the first week; more wait for room. 0: any number.",
        "500",
        200,
        texts.whole(0, 1_000_000),
    )
    send_day: int = _setting(
        "MTUMAIL_SEND_DAY", "The same in a day.", "5000", 1_000, texts.whole(0, 1_000_000)
    )
    message_bytes: int = _setting(
        "MTUMAIL_MESSAGE_BYTES",
        "The largest message taken in or sent.",
        "26214400",
        26_214_400,
        texts.whole(65_536, 104_857_600),
    )
    quota_bytes: int = _setting(
        "MTUMAIL_QUOTA_BYTES",
        "Space of a new mailbox.",
        "5000000000",
        5_000_000_000,
        texts.whole(1_000_000, 10**14),
    )
    registration: str = _setting(
        "MTUMAIL_REGISTRATION",
        "`open`: whoever Clerk signs in may take a mailbox name; `invite`: who has a code; `closed`: nobody. A domain may differ.",
        "closed",
        "closed",
    )
    signups_hour: int = _setting(
        "MTUMAIL_SIGNUPS_HOUR",
        "New mailboxes an hour, of all people together; 0: any number.",
        "200",
        60,
        texts.whole(0, 1_000_000),
    )
    person_mailboxes: int = _setting(
        "MTUMAIL_PERSON_MAILBOXES", "Mailboxes that a person may own.", "1", 3, texts.whole(1, 1000)
    )
    person_bytes: int = _setting(
        "MTUMAIL_PERSON_BYTES",
        "Space of all mailboxes that a person owns.",
        "15000000000",
        15_000_000_000,
        texts.whole(1_000_000, 10**15),
    )
    contact: str = _setting(
        "MTUMAIL_CONTACT",
        "Where questions about privacy go; printed in the policy.",
        "privacy@example.com",
        "postmaster",
    )
    checkpoints: str = _setting(
        "MTUMAIL_CHECKPOINTS",
        "The second place of the audit log's signed checkpoints: a folder on another mount (one file each, never written again),"
        " or `run:` and a program that is given each on its standard input.",
        "/mnt/elsewhere/checkpoints",
        "",
        texts.second_place,
    )
    checkpoint_minutes: int = _setting(
        "MTUMAIL_CHECKPOINT_MINUTES",
        "How often the audit log is signed at most, while it grows.",
        "5",
        10,
        texts.whole(1, 1440),
    )
    case_hours: tuple[tuple[str, int], ...] = _setting(
        "MTUMAIL_CASE_HOURS",
        "Hours until a case of a kind is due, where they differ from 24 (malware, phishing, security), 48 (fraud, harassment),"
        " 72 (legal) and 168 (all others).",
        "phishing=12,spam=96",
        (),
        texts.hours,
    )
    metrics_token: str = _setting(
        "MTUMAIL_METRICS_TOKEN",
        "What a Prometheus shows to read `/metrics` of the web app (`Authorization: Bearer …`), 24 characters or more; empty:"
        " there is no such page.",
        "xGw1…",
        "",
        texts.long_secret,
    )
    alert_webhook: str = _setting(
        "MTUMAIL_ALERT_WEBHOOK",
        "Where alerts are posted to, signed as Standard Webhooks; read by workers. The secret is kept in the admin's settings.",
        "https://alerts.example.com/hook",
        "",
        texts.web_address,
    )
    log_file: Path | None = _setting(
        "MTUMAIL_LOG_FILE",
        "A file that a process logs to, instead of standard error. Opened anew when logrotate has moved it.",
        "/var/log/mtumail/web.log",
        None,
        Path,
    )
    log_megabytes: int = _setting(
        "MTUMAIL_LOG_MEGABYTES",
        "How large that file grows before it is put aside by itself, nine of them; 0: never, logrotate does it.",
        "0",
        50,
        texts.whole(0, 100_000),
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
        if self.registration not in ("open", "invite", "closed"):
            raise SettingError("MTUMAIL_REGISTRATION", f"is {self.registration!r}", "open")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingError(
                "MTUMAIL_TLS_KEY",
                "a certificate and its key are set together or not at all",
                "/etc/ssl/mail.key",
            )
        if self.environment == "production" and self.origin.startswith("http:"):
            raise SettingError("MTUMAIL_ORIGIN", "must be https in production", "https://mail.example.com")
        if self.backup_to and self.backup_s3_bucket:
            raise SettingError(
                "MTUMAIL_BACKUP_TO", "is set beside MTUMAIL_BACKUP_S3_BUCKET; keep one of them"
            )
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
    def log_origin(self) -> str:
        """What the audit log calls itself in its first checkpoint, and from then on (c2sp.org/tlog-checkpoint: origin)."""
        return f"{urlsplit(self.origin).hostname or self.host_name}/audit"

    @cached_property
    def secure(self) -> bool:
        """True where people reach us over https."""
        return self.origin.startswith("https:")


def read() -> Settings:
    """The settings of this process, from its environment."""
    return Settings.from_environment(os.environ)


def handed_over() -> int:
    """How many listening sockets the service manager opened for this process: descriptors 3 and on (sd_listen_fds(3)).

    Asked once: the children of this process are not told of them.
    """
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    return int(count) if mine and count.isdigit() else 0


def notify_socket() -> str:
    """Where the service manager wants to hear that this process is ready (sd_notify(3)); "" where nobody does. Asked once."""
    return os.environ.pop("NOTIFY_SOCKET", "")


def log_file() -> tuple[Path | None, int]:
    """Where this process logs to, and at how many bytes that file is put aside: known before anything else may go wrong.

    Raises SettingError."""
    ours = {name: os.environ.get(name, "") for name in ("MTUMAIL_LOG_FILE", "MTUMAIL_LOG_MEGABYTES")}
    settings = Settings.from_environment(ours)
    return settings.log_file, settings.log_megabytes * 1_000_000


def sudo_user() -> str:
    """Who called sudo, as sudo says: nobody's setting, but told by the environment alone."""
    return os.environ.get("SUDO_USER", "")


def unknown() -> list[tuple[str, str]]:
    """Variables of ours in the environment that nothing reads, each with the name that may be meant or "": typing errors."""
    known = [item.metadata["name"] for item in fields(Settings)]
    strange = (
        name
        for name in sorted(os.environ)
        if name.startswith("MTUMAIL_") and name not in known and not name.startswith(_READ_BY_TOOLS)
    )
    return [(name, next(iter(difflib.get_close_matches(name, known, 1)), "")) for name in strange]


_READ_BY_TOOLS = ("MTUMAIL_PASSWORD_", "MTUMAIL_PG_BIN", "MTUMAIL_CORPORA")
