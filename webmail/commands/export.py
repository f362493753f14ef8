"""`mtumail export`: a mailbox as files in a folder, the same as its owner gets from the page."""

from pathlib import Path

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.mailboxes import opened, owner_of
from webmail.commands.reasons import Operator, with_reason


@click.command()
@click.argument("mailbox")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--form", type=click.Choice(["mbox", "zip"]), default="mbox", show_default=True)
@click.option("--mail-only", is_flag=True, help="Messages, and none of the records beside them.")
@with_reason
def export(mailbox: str, folder: Path, form: str, mail_only: bool, operator: Operator) -> None:
    """Write everything in MAILBOX (its address) into the folder given with --to: mbox or zip files, records, contacts.

    Reads DATABASE_URL (the role mtumail_owner or mtumail_worker) and the master key. Files that are there already are not replaced.
    """
    from webmail.db import transaction
    from webmail.errors import Refused
    from webmail.keys import MasterKeys
    from webmail.privacy.export import asking, making, parts

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database() as app:
        app.extensions["master_keys"] = MasterKeys.from_settings(config.read())
        mailbox_id, account_id = owner_of(mailbox)
        wish = asking.Wish(form=form, with_records=not mail_only)
        try:
            with opened(mailbox_id) as keys:
                number = asking.ask(keys, account_id, wish, actor=operator.actor, ring=False)
        except Refused as refusal:
            raise click.ClickException(f"not now: {refusal}") from None
        try:
            more = True
            while more:
                with opened(mailbox_id) as keys:
                    more = making.step(keys, number)
            with transaction(mailbox_id):
                found = parts.listed(mailbox_id, number)
            for part in found:
                with opened(mailbox_id) as keys, (folder / part.name).open("xb") as file:
                    file.writelines(parts.pieces(asking.opened(keys, account_id, number), part.number))
                click.echo(f"{part.name} {part.size_bytes}")
        except FileExistsError as error:
            raise click.ClickException(f"{error.filename} is there already") from None
        finally:
            with transaction(mailbox_id):
                asking.drop(mailbox_id, account_id, number, actor=operator.actor)
