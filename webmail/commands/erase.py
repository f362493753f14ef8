"""`mtumail erase`: deletion of a mailbox or an account for whoever asked for it another way; the same steps as from the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from webmail.commands.database import database
from webmail.commands.mailboxes import owner_of
from webmail.commands.reasons import Operator, with_reason

_WHY = {
    "asked": "it is to be deleted already",
    "last-owner": "others belong to a mailbox that nobody else owns: make one of them an owner first",
    "not-owner": "only an owner has a mailbox deleted",
    "other-owners": "the mailbox has other owners, and stays theirs",
    "last-admin": "there is no other admin: make somebody else one first",
}


@click.group()
def erase() -> None:
    """Deletion of mailboxes and accounts. Reads DATABASE_URL (the role mtumail_owner)."""


@erase.command("account")
@click.argument("address")
@with_reason
def erase_account(address: str, operator: Operator) -> None:
    """Have the account that owns the mailbox ADDRESS deleted when the time to undo is over, with what it alone owns."""
    _ask(address, operator, is_account=True)


@erase.command("mailbox")
@click.argument("address")
@with_reason
def erase_mailbox(address: str, operator: Operator) -> None:
    """Have the mailbox ADDRESS deleted when the time to undo is over."""
    _ask(address, operator, is_account=False)


def _ask(address: str, operator: Operator, *, is_account: bool) -> None:
    from webmail.db import show_id, transaction
    from webmail.privacy.erasure import asking

    with _plainly(), database():
        mailbox_id, account_id = owner_of(address)
        with transaction():
            number = asking.ask(account_id, None if is_account else mailbox_id, actor=operator.actor)
            [told] = [one for one in asking.mine(account_id) if one.erasure_id == number]
    click.echo(
        f"{show_id(number)} {told.kind} due {told.due_at:%Y-%m-%d %H:%M} UTC{' HELD' if told.is_held else ''}"
    )


@erase.command("undo")
@click.argument("address")
@click.argument("number", metavar="ID")
@with_reason
def erase_undo(address: str, number: str, operator: Operator) -> None:
    """Take a deletion back that has not begun; ADDRESS is a mailbox of its person."""
    from webmail.db import read_id, transaction
    from webmail.privacy.erasure import asking

    with _plainly(), database():
        account_id = owner_of(address)[1]
        with transaction():
            asking.undo(account_id, read_id(number), actor=operator.actor)
    click.echo("taken back")


@erase.command("list")
def erase_list() -> None:
    """Show what waits or is being deleted, by its time: id, kind, state, due, and HELD where law forbids it."""
    from webmail.db import show_id, transaction
    from webmail.privacy.erasure import asking

    with database(), transaction():
        found = asking.under_way()
    for one in found:
        held = " HELD" if one.is_held else ""
        click.echo(f"{show_id(one.erasure_id)} {one.kind} {one.state} {one.due_at:%Y-%m-%d %H:%M}{held}")


@contextmanager
def _plainly() -> Iterator[None]:
    """Refusals in a line."""
    from webmail.errors import NotFound
    from webmail.privacy.erasure.asking import ErasureRefused

    try:
        yield
    except ErasureRefused as refusal:
        raise click.ClickException(f"not done: {_WHY.get(refusal.reason, refusal.reason)}") from None
    except NotFound:
        raise click.ClickException("there is no such deletion that waits") from None
