"""`mtumail backup`: make a backup now, list what there is, and prove one again."""

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason


@click.group()
def backup() -> None:
    """Backups: made daily by the workers, and by hand. Reads MTUMAIL_BACKUP_* and DATABASE_URL."""


@backup.command("now")
@with_reason
def backup_now(operator: Operator) -> None:
    """Make a backup, read it back, and remove those that need not stay."""
    from workers import backing_up

    with database():
        manifest = backing_up.back_up(config.read(), operator.actor)
    click.echo(f"{manifest.name}: {manifest.count} rows, {manifest.bytes} bytes, read back and compared")


@backup.command("list")
def backup_list() -> None:
    """Show the backups that there are, oldest first. Reads no database."""
    from webmail.privacy.backup.making import read_manifest
    from webmail.privacy.backup.storing import MANIFEST
    from workers import backing_up

    means = backing_up.means(config.read())
    for name in means.place.names(MANIFEST):
        manifest = read_manifest(means.place, means.key, name)
        click.echo(f"{name} {manifest.count} rows {manifest.bytes} bytes")


@backup.command("verify")
@click.argument("name")
def backup_verify(name: str) -> None:
    """Read the backup NAME whole: its checksum, every chunk, every row counted. Reads no database."""
    from webmail.privacy.backup.making import compare, read_manifest
    from workers import backing_up

    means = backing_up.means(config.read())
    manifest = read_manifest(means.place, means.key, name)
    compare(means.place, means.key, manifest)
    click.echo(f"{name} is good: {manifest.count} rows")
