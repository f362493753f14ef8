"""`mtumail role`: who may do what for others. The command line stands in for a second admin: it holds the database anyway."""

import click

from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason
from webmail.db import transaction
from webmail.identity.roles import ROLES

_WHY = {
    "held": "has this role already",
    "not-held": "does not have this role",
    "not-active": "is suspended or closed",
    "auditor": "cannot be auditor and have another role",
    "reason": "needs a reason of 3 to 500 characters: --reason",
}


@click.group()
def role() -> None:
    """Roles of the staff: support, support_lead, reviewer, admin, auditor. Reads DATABASE_URL (the role mtumail_owner)."""


@role.command("grant")
@click.argument("address")
@click.argument("name", metavar="ROLE", type=click.Choice(ROLES))
@with_reason
def role_grant(address: str, name: str, operator: Operator) -> None:
    """Give the owner of the mailbox ADDRESS a ROLE. Takes effect with the next page, and the person is told."""
    _change("grant", address, name, operator)
    click.echo(f"{address} has the role {name}")


@role.command("revoke")
@click.argument("address")
@click.argument("name", metavar="ROLE", type=click.Choice(ROLES))
@with_reason
def role_revoke(address: str, name: str, operator: Operator) -> None:
    """Take a ROLE from the owner of the mailbox ADDRESS. Takes effect with the next page, and the person is told."""
    _change("revoke", address, name, operator)
    click.echo(f"{address} no longer has the role {name}")


@role.command("list")
def role_list() -> None:
    """Show everybody with a role, one a line: address, state of the account, roles."""
    from webmail.identity import roles

    with database(), transaction():
        for one in roles.holders():
            click.echo(f"{one.address or '-'} {one.status} {' '.join(one.roles)}")


def _change(verb: str, address: str, name: str, operator: Operator) -> None:
    from webmail.identity import roles
    from webmail.mail.addresses import AddressError, base_local, parse_spec

    try:
        spec = parse_spec(address)
    except AddressError:
        raise click.UsageError(f"{address} is no address") from None
    with database(), transaction():
        person = roles.find(base_local(spec.local), spec.domain.lower())
        if person is None:
            raise click.ClickException(f"nobody here has the address {address}")
        act = roles.grant if verb == "grant" else roles.revoke
        try:
            act(
                person.account_id,
                name,
                by=None,
                reason=operator.reason or "command line",
                actor=operator.actor,
            )
        except roles.RoleRefused as refused:
            raise click.ClickException(f"{address} {_WHY.get(refused.code, refused.code)}") from None
