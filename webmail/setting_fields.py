"""How a setting is declared; and the settings of backups, which `Settings` has beside its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webmail import setting_texts as texts


def setting(
    name: str, help: str, example: str, default: Any = None, parse: Callable[[str], Any] = str
) -> Any:
    """Declare a setting: its variable, what it means, an example, the default, and how text becomes a value."""
    return field(default=default, metadata={"name": name, "help": help, "example": example, "parse": parse})


@dataclass(frozen=True)
class BackupSettings:
    """Where backups go, and with what they are made."""

    backup_to: Path | None = setting(
        "MTUMAIL_BACKUP_TO",
        "The folder of backups, best on another machine's disk. Backups are made where this and the next two are set.",
        "/mnt/backup/mtumail",
        None,
        Path,
    )
    backup_key_file: Path | None = setting(
        "MTUMAIL_BACKUP_KEY_FILE",
        "A file (mode 0600) with the key of backups, made by `mtumail keys backup`; kept apart from the master key.",
        "/etc/mtumail-backup/backup.key",
        None,
        Path,
    )
    backup_url: str = setting(
        "MTUMAIL_BACKUP_URL",
        "Postgres, with the role mtumail_backup; read by workers and by `mtumail backup`.",
        "postgresql://mtumail_backup:secret@db.internal/mtumail",
        "",
        texts.database_url,
    )
    backup_s3_endpoint: str = setting(
        "MTUMAIL_BACKUP_S3_ENDPOINT",
        "Instead of the folder, a storage that speaks S3: its scheme and host.",
        "https://s3.eu-central-1.amazonaws.com",
        "",
        texts.origin,
    )
    backup_s3_bucket: str = setting(
        "MTUMAIL_BACKUP_S3_BUCKET",
        "The bucket of backups, with nothing else in it, and one that keeps no versions.",
        "mtumail-backups",
        "",
        texts.bucket,
    )
    backup_s3_prefix: str = setting(
        "MTUMAIL_BACKUP_S3_PREFIX",
        "What the names of all objects there begin with.",
        "mail",
        "",
        texts.prefix,
    )
    backup_s3_region: str = setting(
        "MTUMAIL_BACKUP_S3_REGION", "The storage's region, as it calls it.", "eu-central-1", "us-east-1"
    )
    backup_s3_key_id: str = setting(
        "MTUMAIL_BACKUP_S3_KEY_ID",
        "The id of the access key. It needs rights to that bucket alone.",
        "AKIA…",
        "",
    )
    backup_s3_secret: str = setting(
        "MTUMAIL_BACKUP_S3_SECRET",
        "The secret of the access key. It is in no backup and in no log.",
        "wJalr…",
        "",
    )
    backup_s3_path_style: bool = setting(
        "MTUMAIL_BACKUP_S3_PATH_STYLE",
        "Whether the bucket stands in the path of an address (`yes`), or before the host (`no`).",
        "no",
        True,
        texts.switch,
    )
