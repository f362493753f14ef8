"""Where backups go, and what they are encrypted with: asked only where this process is told of any."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.config import Settings
from webmail.errors import SettingError
from webmail.privacy.backup.container import read_key
from webmail.privacy.backup.places import bucket_of
from webmail.privacy.backup.s3.bucket import KeepsVersions
from webmail.privacy.backup.s3.client import Away, Patience, Refused

_QUICK = Patience(connect=5.0, silence=5.0, tries=1)


def folder(settings: Settings) -> Iterator[Finding]:
    """That the folder is there and elsewhere, and the key is nobody else's."""
    path, key = settings.backup_to, settings.backup_key_file
    if not path and not settings.backup_s3_bucket:
        return
    if not key or not settings.backup_url:
        missing = "MTUMAIL_BACKUP_KEY_FILE" if not key else "MTUMAIL_BACKUP_URL"
        yield bad("backup", f"none is made: {missing} is not set", "see docs/backup.md")
        return
    yield from _key(key, path)
    if path:
        yield _folder(path, settings.data_dir)


def _key(key: Path, folder: Path | None) -> Iterator[Finding]:
    try:
        read_key(key)
    except (SettingError, OSError) as error:
        words = str(error) if isinstance(error, SettingError) else f"{key} cannot be read"
        yield bad("backup key", words, "`mtumail keys backup PATH`, readable by the workers alone")
        return
    if folder and folder.resolve() in key.resolve().parents:
        yield bad(
            "backup key",
            "lies in the folder of backups",
            "keep it, and a copy of it, where the backups are not",
        )
    else:
        yield ok("backup key", "readable by its owner alone")


def _folder(path: Path, data_dir: Path) -> Finding:
    if not path.is_dir():
        return bad(
            "backup folder",
            f"{path} is not there",
            "mount its disk; it is not made, so that none is written beside it",
        )
    if data_dir.is_dir() and path.stat().st_dev == data_dir.stat().st_dev:
        return warn(
            "backup folder", "is on the disk that it is a backup of", "choose one on another machine's disk"
        )
    return ok("backup folder", "there")


def storage(settings: Settings) -> Iterator[Finding]:
    """That the bucket takes an object, gives it back, and lets it go."""
    if not settings.backup_s3_bucket:
        return
    parts = urlsplit(settings.backup_s3_endpoint)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield warn(
            "backup storage", "is reached without TLS", "an https:// address in MTUMAIL_BACKUP_S3_ENDPOINT"
        )
    try:
        keeps_versions = bucket_of(settings, _QUICK).probe()
    except SettingError as error:
        yield bad("backup storage", str(error), "see docs/backup.md")
    except KeepsVersions:
        yield bad("backup storage", "keeps what is removed, so that nothing erased is ever gone",
                  "a bucket without versions and without object lock; or let this key remove versions")  # fmt: skip
    except Refused as refused:
        yield bad("backup storage", f"refuses ({refused.status} {refused.told})".replace(" )", ")"),
                  "are its bucket, region, key and rights right? It needs to read, write, list and remove objects")  # fmt: skip
    except Away as away:
        yield bad(
            "backup storage", str(away), "is MTUMAIL_BACKUP_S3_ENDPOINT right, and reachable from here?"
        )
    else:
        if keeps_versions:
            yield warn(
                "backup storage",
                "keeps versions, which are removed one by one",
                "turn versions off for this bucket",
            )
        else:
            yield ok("backup storage", "takes, gives back and lets go")
