"""Which place the settings name for backups."""

from webmail.config import Settings
from webmail.privacy.backup.s3.bucket import Bucket
from webmail.privacy.backup.s3.client import Client, Patience, Target
from webmail.privacy.backup.s3.signing import Credentials
from webmail.privacy.backup.storing import Folder, Store


def bucket_of(settings: Settings, patience: Patience | None = None) -> Bucket:
    """The bucket that MTUMAIL_BACKUP_S3_* name. Raises SettingError."""
    settings.require("backup_s3_endpoint", "backup_s3_bucket", "backup_s3_key_id", "backup_s3_secret")
    prefix = settings.backup_s3_prefix.strip("/")
    target = Target(
        settings.backup_s3_endpoint,
        settings.backup_s3_bucket,
        f"{prefix}/" if prefix else "",
        settings.backup_s3_path_style,
    )
    who = Credentials(settings.backup_s3_key_id, settings.backup_s3_secret, settings.backup_s3_region)
    return Bucket(Client(target, who, patience))


def place_of(settings: Settings) -> Store:
    """The place of backups: a bucket, or a folder. Raises SettingError, NoPlace."""
    if settings.backup_s3_bucket:
        return bucket_of(settings)
    settings.require("backup_to")
    assert settings.backup_to is not None
    return Folder(settings.backup_to)
