"""`mtumail import`: mail from files into a mailbox, as its owner brings it in by the page, without the page's limit."""

from pathlib import Path

import click

from webmail.commands.database import database
from webmail.commands.mailboxes import opened, owner_of
from webmail.commands.reasons import Operator, with_reason


@click.command("import")
@click.argument("mailbox")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--into", type=click.Choice(["inbox", "archive", "sent"]), default="archive", show_default=True)
@with_reason
def import_(mailbox: str, files: tuple[Path, ...], into: str, operator: Operator) -> None:
    """Bring FILES into MAILBOX (its address): mbox, zip of messages or of a maildir, .eml, .vcf, all files of our own export.

    What our own export wrote comes back as it was; other mail goes by its labels and folders, or --into a folder. What is there
    already is not taken twice.
    Reads DATABASE_URL (the role mtumail_owner or mtumail_worker) and the master key. Exit code 1 if a file was not read to its end.
    """
    from webmail.provision import import_models

    with database():
        import_models()  # whatever comes back may refer to a table of any of them
        mailbox_id, account_id = owner_of(mailbox)
        problems = [_one(path, mailbox_id, account_id, into, operator) for path in files]
    if any(problems):
        raise click.ClickException("not every file was read to its end")


def _one(path: Path, mailbox_id: int, account_id: int, into: str, operator: Operator) -> str:
    """Bring one file in; why it was not read to its end, or ""."""
    from webmail.errors import Refused
    from webmail.mail.folders import by_slug
    from webmail.privacy.taking_in import asking, taking

    try:
        with opened(mailbox_id) as keys:
            size = path.stat().st_size
            number = asking.begin(keys, account_id, path.name, size, by_slug(into), actor=operator.actor)
        with path.open("rb") as file:
            at = 0
            while piece := file.read(8 * asking.CHUNK):
                with opened(mailbox_id) as keys:
                    at = asking.put(keys, number, at, piece)
        with opened(mailbox_id) as keys:
            asking.start(keys, number, ring=False)
    except Refused as refusal:
        click.echo(f"{path.name}: {refusal}", err=True)
        return str(refusal)
    more = True
    while more:
        with opened(mailbox_id) as keys:
            more = taking.step(keys, number)
    with opened(mailbox_id) as keys:
        told = next(one for one in asking.listed(keys, account_id) if one.import_id == number)
    click.echo(
        f"{path.name}: {told.taken} taken, {told.known} there already, {told.unreadable} unreadable,"
        f" {told.too_large} too large, {told.no_mail} no mail{f': {told.problem}' if told.problem else ''}"
    )
    if told.brought:
        click.echo(
            f"{path.name}: " + ", ".join(f"{count} {what}" for what, count in sorted(told.brought.items()))
        )
    return told.problem
