"""`mtumail relay`: which relays there are, and whether they take mail."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from webmail import config

if TYPE_CHECKING:
    from webmail.sending.relay.settings import RelaySettings


@click.group()
def relay() -> None:
    """The relays that outgoing mail leaves through. Reads MTUMAIL_RELAY_URL."""


@relay.command("list")
def relay_list() -> None:
    """Show each relay: name, address without its secrets, and weight. Reads MTUMAIL_RELAY_URL."""
    for one in _relays():
        click.echo(f"{one.name} {one.label} weight {one.weight}{'' if one.username else ', no sign-in'}")


@relay.command("test")
@click.argument("address")
@click.option("--from", "sender", help="Whom it is from; postmaster at MTUMAIL_HOSTNAME if not given.")
@click.option(
    "--relay", "name", help="Through this one alone, by its name; else through each, one after the other."
)
def relay_test(address: str, sender: str | None, name: str | None) -> None:
    """Send a small unsigned test mail to ADDRESS and show the whole conversation, secrets hidden; exit code 1 if any relay did
    not take it.

    Reads MTUMAIL_RELAY_URL and MTUMAIL_HOSTNAME, and, with DATABASE_URL and the master key, the password that was put in at
    Settings > Relay. It passes the outbox by.
    """
    from webmail.sending.relay import trial

    chosen = [one for one in _relays() if name in (None, one.name)]
    if not chosen:
        raise click.UsageError(f"no relay is called {name}: see `mtumail relay list`")
    sender = sender or f"postmaster@{config.read().host_name}"
    raw = trial.build_mail(sender, address, datetime.now(UTC))
    tried = []
    for one in chosen:
        tried.append(trial.try_relay(one, sender, address, raw))
        click.echo(f"{one.name} ({one.label})")
        for line in tried[-1].lines:
            click.echo(f"  {line.who} {line.text}")
        told = tried[-1].outcome.recipients[0]
        click.echo(f"  = {told.kind}{f': {told.reply}' if told.reply else ''}")
    sys.exit(0 if all(one.outcome.is_sent for one in tried) else 1)


def _relays() -> "tuple[RelaySettings, ...]":
    from webmail.checkup import outside
    from webmail.sending import roads
    from webmail.sending.relay.settings import RelaySettings

    settings = config.read()
    settings.require("relay_url")
    known = RelaySettings.for_host(settings.relay_url, settings.host_name)
    return roads.with_password(known, outside.relay_password(settings))
