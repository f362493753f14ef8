"""`mtumail restore`: a backup into an empty database, or a drill that proves that this would work."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands import reasons
from webmail.commands.database import database

if TYPE_CHECKING:
    from webmail.privacy.backup.drilling import Proof
    from workers.backing_up import Means


@click.command()
@click.argument("name", required=False)
@click.option(
    "--into", metavar="URL", help="An empty database, by a role that is or may become mtumail_owner."
)
@click.option(
    "--drill", is_flag=True, help="Restore into a scratch server, prove it, write that down, throw it away."
)
def restore(name: str | None, into: str | None, drill: bool) -> None:
    """Restore the backup NAME (the newest if not given). Nothing that was deleted since comes back, and no mail is sent twice.

    One that was stopped is begun again with the same command, and the same NAME. Reads MTUMAIL_BACKUP_*; a drill also
    DATABASE_URL and the master key.
    """
    from webmail.privacy.backup.storing import MANIFEST
    from workers import backing_up

    if drill == bool(into):
        raise click.UsageError("either --into URL, or --drill")
    means = backing_up.means(config.read())
    names = means.place.names(MANIFEST)
    if not names or (name and name not in names):
        raise click.ClickException("there is no such backup; see `mtumail backup list`")
    if into:
        _restore(means, name or names[-1], into)
    else:
        proof = _drill(means, name or names[-1])
        click.echo(
            f"good: {proof.events} events of the log hold, {proof.opened} messages of {proof.mailboxes} mailboxes opened"
        )


def _restore(means: Means, name: str, url: str) -> None:
    from webmail.privacy.backup import restoring

    done = restoring.restore(means.place, means.key, name, url, reasons.actor())
    click.echo(
        f"{done.manifest.count} rows and the keys of {done.mailboxes} mailboxes restored; {done.events} events put back into"
        f" the log, {done.deleted} messages and {done.erased} accounts or mailboxes deleted again, {done.unsent} recipients"
        " not sent to again"
    )
    if not done.is_continuous:
        click.echo(
            "a part of the journal is missing: the audit log ends before it, and goes on from there", err=True
        )


def _drill(means: Means, name: str) -> Proof:
    from webmail.db import transaction
    from webmail.embedded.process import EmbeddedError
    from webmail.keys import MasterKeys
    from webmail.privacy.backup import drilling, records, restoring
    from webmail.privacy.backup.programs import BackupFailed
    from workers.backing_up import TROUBLE, code_of

    settings = config.read()
    master, actor = MasterKeys.from_settings(settings), reasons.actor()
    with database():
        with transaction():
            run_id = records.begin("drill", name)
        try:
            with _scratch(settings.data_dir) as url:
                done = restoring.restore(means.place, means.key, name, url, actor)
                proof = drilling.prove(url, done, master)
        except (*TROUBLE, EmbeddedError) as error:
            code = "no-program" if isinstance(error, EmbeddedError) else code_of(error)
            with transaction():
                records.finish(run_id, actor, code)
            raise BackupFailed(code, "the drill failed") from None
        with transaction():
            records.finish(run_id, actor, records.GOOD, done.manifest.bytes, done.manifest.count)
    return proof


@contextmanager
def _scratch(data_dir: Path) -> Iterator[str]:
    """An empty database on a server of its own, gone afterwards."""
    from webmail import provision
    from webmail.embedded.postgres import PostgresServer
    from webmail.privacy.backup import scratch

    scratch.sweep(data_dir)
    with scratch.folder(data_dir) as folder:
        server = PostgresServer(folder / "postgres", settings={"fsync": "off"})
        server.start()
        try:
            passwords = {role: secrets.token_urlsafe(24) for role in provision.ROLES}
            provision.provision(server.admin_url, passwords)
            yield server.admin_url.replace("/postgres?", "/mtumail?")
        finally:
            server.stop()
