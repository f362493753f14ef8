"""`mtumail invite`, `mtumail domain` and `mtumail names`: who may take a name here, and which names nobody can."""

from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.reasons import actor, with_reason

if TYPE_CHECKING:
    from webmail.settings.domains import Hosted


@click.command()
@click.option("--domain", "name", help="Where they may take a name; needed if several domains are hosted.")
@click.option(
    "--uses", default=1, show_default=True, type=click.IntRange(1, 1000), help="For so many people."
)
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 365), help="Holds so long.")
@click.option("--for", "contact", default="", help="Only for the person whom Clerk knows by this address.")
@with_reason
def invite(name: str | None, uses: int, days: int, contact: str) -> None:
    """Make an invitation to take a mailbox name, and print its code: the one time that it can be seen.

    Reads DATABASE_URL (the role mtumail_owner), MTUMAIL_ORIGIN, and the master key.
    """
    from webmail.db import transaction
    from webmail.identity import invitations
    from webmail.keys import MasterKeys
    from webmail.settings import kept

    settings = config.read()
    master = MasterKeys.from_settings(settings)
    with database(), transaction():
        place = _chosen(name)
        code = invitations.make(master, place.domain_id, actor=actor(), uses=uses, days=days, contact=contact)
        usual = kept.text("registration.mode")
    if place.mode(usual) == "closed":
        click.echo(f"{place.name} is closed, also to invitations: see `mtumail domain set --help`", err=True)
    click.echo(code)
    if settings.origin:
        click.echo(f"{settings.origin}/welcome?code={code}")


@click.group()
def domain() -> None:
    """The hosted domains, and who may take a name in each. Reads DATABASE_URL."""


@domain.command("set")
@click.argument("name")
@click.option(
    "--registration",
    "mode",
    required=True,
    type=click.Choice(["open", "invite", "closed", "usual"]),
    help="Whoever signs in; who has an invitation; nobody; or as MTUMAIL_REGISTRATION says.",
)
@with_reason
def domain_set(name: str, mode: str) -> None:
    """Say who may take a name in the domain NAME. It holds at once. Reads DATABASE_URL (the role mtumail_owner)."""
    from webmail import audit
    from webmail.db import transaction
    from webmail.settings import domains

    with database(), transaction():
        place = _chosen(name)
        domains.set_registration(place.domain_id, None if mode == "usual" else mode)
        audit.record("domain.registration", actor(), domain=place.domain_id, mode=mode)
    click.echo(f"{place.name} {mode}")


@click.group()
def names() -> None:
    """Names that nobody can choose, beside those that never can be chosen. Reads DATABASE_URL (the role mtumail_owner)."""


@names.command("list")
def names_list() -> None:
    """Show the names that were reserved here. Reads DATABASE_URL."""
    from webmail.db import transaction
    from webmail.identity import names as kept

    with database(), transaction():
        for name in kept.reserved():
            click.echo(name)


@names.command("reserve")
@click.argument("name", nargs=-1, required=True)
@with_reason
def names_reserve(name: tuple[str, ...]) -> None:
    """Let nobody choose NAME, or what looks like it, on any domain. Who has it keeps it. Reads DATABASE_URL."""
    from webmail import audit
    from webmail.db import transaction
    from webmail.identity import names as kept

    with database(), transaction():
        for one in name:
            try:
                kept.reserve(one)
            except kept.NameRefused:
                raise click.ClickException(f"{one!r} is no name") from None
        audit.record("name.reserved", actor(), number=len(name))


@names.command("free")
@click.argument("name")
@with_reason
def names_free(name: str) -> None:
    """Let people choose NAME again. Reads DATABASE_URL."""
    from webmail import audit
    from webmail.db import transaction
    from webmail.identity import names as kept

    with database(), transaction():
        if not kept.unreserve(name):
            raise click.ClickException(f"{name} was not reserved here")
        audit.record("name.freed", actor(), number=1)


def _chosen(name: str | None) -> "Hosted":
    """The domain of this name, or the only one. Raises ClickException."""
    from webmail.mail.idn import to_ascii
    from webmail.settings import domains

    hosted = domains.hosted()
    if name is None and len(hosted) == 1:
        return hosted[0]
    if name is None:
        raise click.UsageError("say which domain with --domain")
    found = next((one for one in hosted if one.name == (to_ascii(name) or "")), None)
    if found is None:
        raise click.ClickException(f"{name} is not hosted here")
    return found
