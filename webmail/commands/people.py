"""`mtumail people`: who somebody is and how the account stands, by command. Each look is written down, as on the page."""

import click

from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason


@click.group()
def people() -> None:
    """People, without anything of their mail. Reads DATABASE_URL (the role mtumail_owner)."""


@people.command("find")
@click.argument("term")
@with_reason
def people_find(term: str, operator: Operator) -> None:
    """Find people by an address, an id, or how a name begins."""
    from webmail.db import show_id, transaction
    from webmail.operations import people as verbs

    with database(), transaction():
        answer = verbs.find_as_operator(term, actor=operator.actor)
        if answer.refusal:
            raise click.ClickException(
                "write an address, an id, or at least two letters of how a name begins"
            )
        for one in answer.found:
            click.echo(f"{show_id(one.account_id)} {one.name or '-'} {one.address or '-'} {one.status}")
        if answer.is_cut:
            click.echo("these are the first 20: write more of the name", err=True)


@people.command("show")
@click.argument("account")
@with_reason
def people_show(account: str, operator: Operator) -> None:
    """Show how the account with this id stands: mailboxes, space, sessions, cases. Notes are for the page."""
    from webmail.db import read_id, show_id, transaction
    from webmail.operations import people as verbs

    with database(), transaction():
        one = verbs.show_as_operator(read_id(account), actor=operator.actor)
        click.echo(f"name {one.name or '-'}")
        click.echo(f"contact {one.contact or '-'}")
        click.echo(f"state {one.status}, {one.clerk_state} at Clerk")
        click.echo(f"may sign in {_yes(one.may_sign_in)}, may send {_yes(one.may_send)}")
        seen = f"{one.last_seen:%Y-%m-%d %H:%M}" if one.last_seen else "never"
        click.echo(f"here since {one.since:%Y-%m-%d}, sessions {one.sessions}, last seen {seen}")
        for box in one.boxes:
            click.echo(
                f"mailbox {show_id(box.mailbox_id)} {', '.join(box.addresses) or '-'} {box.role} {box.state}"
                f" {box.used} of {box.quota} bytes, members {box.members}"
            )
        for case in one.cases:
            click.echo(f"case {show_id(case.case_id)} {case.kind} {case.state}")
        click.echo(f"notes {one.note_count}")


def _yes(told: bool) -> str:
    return "yes" if told else "no"
