"""`mtumail audit`: whether the log holds, what is in it, its signed roots, and proofs for whoever does not trust us."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from webmail.audit import Line
    from webmail.audit.notes import Verifier


@click.group()
def audit() -> None:
    """The audit log. Reads DATABASE_URL."""


@audit.command("verify")
@click.option(
    "--checkpoints",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also hold the log against the checkpoints in this folder: the second place.",
)
@click.option("--public-key", "key", help="Whose checkpoints to believe, as `audit checkpoint` has shown it.")
@click.option("--since", default=1, show_default=True, type=click.IntRange(1), help="From this event on.")
def verify(folder: Path | None, key: str | None, since: int) -> None:
    """Recompute every hash of the audit log; exit code 1 if an event was changed, removed, moved or slipped in, or a checkpoint
    tells another history.

    Who can write to the database can also write its key: give `--checkpoints` and `--public-key` from where they cannot. Reads
    DATABASE_URL, as the role mtumail_owner.
    """
    from webmail import audit

    known = _verifier(key)
    with _transaction() as session:
        notes = audit.stored_checkpoints(session)
        if folder is not None:
            notes += [note for _name, note in audit.kept(folder)]
        report = audit.examine(session, since=since, notes=notes, verifier=known or audit.verifier())
    for fault in report.faults:
        click.echo(str(fault), err=True)
    if report.faults:
        sys.exit(1)
    click.echo(f"{report.read} events, nothing changed")
    if report.hash_only:
        click.echo(f"{report.hash_only} of them are their hashes alone: their detail was dropped")
    if report.checkpoints:
        trusted = "" if known else ", by the key in the database"
        click.echo(f"signed up to event {report.vouched}: {report.checkpoints} checkpoints hold{trusted}")
    else:
        click.echo("no checkpoint: that the end was not cut off, nobody has signed")


@audit.command("show")
@click.argument("number", required=False, type=int)
@click.option("--kind", multiple=True, help="Of this kind; may be given more than once.")
@click.option("--actor", default="", help="By this actor: account:12, cli:sam.")
@click.option("--case", "case_id", type=int, help="Of this case.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@with_reason
def show(number: int | None, kind: tuple[str, ...], actor: str, case_id: int | None, limit: int) -> None:
    """Show the newest events, or event NUMBER: number, time, kind, actor, facts. Reads DATABASE_URL."""
    from webmail import audit

    kinds = list(kind) or None
    with _transaction():
        if number is not None:
            found = audit.one(number, kinds)
            lines = [found] if found else []
        else:
            lines = audit.page(audit.Filters(kinds, actor, case_id), limit=limit)
    if number is not None and not lines:
        raise click.ClickException(f"there is no event {number}")
    for line in lines:
        click.echo(_shown(line))


@audit.command("checkpoint")
@click.option("--list", "listed", is_flag=True, help="Only show the checkpoints that there are.")
def checkpoint(listed: bool) -> None:
    """Sign the log as it is, and put what was not yet there into the second place; show the last checkpoint and the public key.

    Reads DATABASE_URL (as mtumail_worker or mtumail_owner), the master key, MTUMAIL_ORIGIN, MTUMAIL_CHECKPOINTS.
    """
    from webmail import audit
    from webmail.keys import MasterKeys

    settings = config.read()
    if not listed:
        master = MasterKeys.from_settings(settings)
        with _transaction():
            audit.make_checkpoint(master, settings.log_origin)
        if settings.checkpoints:
            _send(settings.checkpoints)
    with _transaction() as session:
        notes, key = audit.stored_checkpoints(session), audit.verifier()
    for note in notes if listed else notes[-1:]:
        click.echo(note)
    click.echo(f"public key: {key}" if key else "nothing was ever recorded", err=not notes)


@audit.command("proof")
@click.argument("number", type=click.IntRange(1))
@click.option("--output", type=click.Path(path_type=Path), help="Write it here; else to standard output.")
@with_reason
def proof(number: int, output: Path | None, operator: Operator) -> None:
    """Write a proof for event NUMBER that holds without us: docs/audit.md says how it is checked. Reads DATABASE_URL."""
    from webmail import audit
    from webmail.errors import NotFound

    try:
        with _transaction():
            made = audit.proof(number)
    except NotFound:
        raise click.ClickException(f"there is no event {number}, or its detail was dropped") from None
    if made is None:
        raise click.ClickException("no checkpoint covers it yet: see `mtumail audit checkpoint`")
    if output is None:
        click.echo(made, nl=False)
    else:
        output.write_text(made, "utf-8")
        click.echo(f"{output} ({operator.actor})")


@contextmanager
def _transaction() -> Iterator["Session"]:
    from webmail.db import transaction

    with database(), transaction() as session:
        yield session


def _verifier(key: str | None) -> "Verifier | None":
    from webmail.audit.notes import NotANote, Verifier

    try:
        return Verifier.read(key) if key else None
    except NotANote as error:
        raise click.BadParameter(str(error), param_hint="--public-key") from None


def _send(place: str) -> None:
    from webmail import audit

    with _transaction():
        waiting = audit.unsent()
    for size, note, at in waiting:
        audit.send(place, size, note, at)
        with _transaction():
            audit.sent(size)


def _shown(line: "Line") -> str:
    at: datetime = line.at
    facts = "(detail dropped)" if line.facts is None else json.dumps(line.facts, ensure_ascii=False)
    sealed = "" if not line.is_sealed else " opened" if line.opened_at else " sealed"
    people = "".join(f" about account:{one}" for one in line.about)
    return f"{line.number} {at:%Y-%m-%dT%H:%M:%SZ} {line.kind} {line.actor or '-'} {facts}{people}{sealed}"
