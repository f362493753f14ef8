"""`mtumail keys`: key material: the master key, the key of backups, and what hosted domains sign their mail with."""

import sys
from pathlib import Path

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason


@click.group()
def keys() -> None:
    """Key material: the master key, the key of backups, and what hosted domains sign their mail with."""


@keys.command("create")
@click.argument("path", type=click.Path(path_type=Path))
def keys_create(path: Path) -> None:
    """Write a new master key to PATH (mode 0600); refuses to replace one. Reads no setting."""
    _create(path, "a master key")


@keys.command("backup")
@click.argument("path", type=click.Path(path_type=Path))
def keys_backup(path: Path) -> None:
    """Write a new key of backups to PATH (mode 0600); refuses to replace one. Reads no setting.

    Without it no backup opens: keep a copy elsewhere, and not beside the backups or the master key.
    """
    _create(path, "a key of backups")


def _create(path: Path, what: str) -> None:
    from webmail.keys import create_master_key

    try:
        create_master_key(path)
    except FileExistsError:
        raise click.ClickException(f"{path} exists; {what} is never replaced") from None


@keys.group("rotate")
def keys_rotate() -> None:
    """Change a key while the service runs."""


@keys_rotate.command("master")
@with_reason
def keys_rotate_master(operator: Operator) -> None:
    """Wrap everything anew that an older master key wraps. May be stopped, and begun again; `/admin/keys` shows how far it is.

    Before: put a new key (`mtumail keys create`) as the first line of the file of MTUMAIL_MASTER_KEY_FILE, the older ones below,
    everywhere, and restart web and workers. Reads DATABASE_URL (the role mtumail_owner) and the master keys.
    """
    from webmail.db import transaction
    from webmail.keys import MasterKeys
    from webmail.privacy import rotation

    master = MasterKeys.from_settings(config.read())
    with database():
        with transaction():
            run = rotation.begin(master)
        for one in rotation.EVERYTHING:
            done = rotation.BATCH
            while done:
                with transaction():
                    done = rotation.rewrap(master, one)
                    rotation.moved(run, done)
        with transaction():
            count = rotation.finish(run, operator.actor)
    click.echo(f"{count} values wrapped anew; `mtumail keys check` says whether the older key may go")


@keys.command("check")
def keys_check() -> None:
    """Say what an older master key wraps still; exit code 1 if anything. Reads DATABASE_URL (the role mtumail_owner)."""
    from webmail.db import transaction
    from webmail.keys import MasterKeys
    from webmail.privacy import rotation

    master = MasterKeys.from_settings(config.read())
    with database(), transaction():
        left = rotation.older(master)
    for name, count in left.items():
        click.echo(f"{name}: {count} under an older key")
    if left:
        sys.exit(1)
    click.echo(
        "everything in the database is wrapped under the current master key. Keep the older one, apart, until the last backup from"
        " before the rotation is gone; and in the file while names rest, invitations wait or abuse is remembered from before it."
    )
