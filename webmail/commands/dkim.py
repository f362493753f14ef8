"""`mtumail keys dkim`: the keys that hosted domains sign their mail with, and their records in DNS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands.reasons import Operator, with_reason
from webmail.errors import NotFound

if TYPE_CHECKING:
    from webmail.settings.dkim_keys import Listed


@click.group()
def dkim() -> None:
    """The keys that hosted domains sign their mail with.

    Rotate in two steps: `create`, publish the records that it prints, wait until the world sees them, `activate`. Reads
    DATABASE_URL (the role mtumail_owner for all but `list`).
    """


@dkim.command("list")
@click.argument("domain", required=False)
@click.option("--records", is_flag=True, help="Also the DNS records of keys that sign, or will.")
def dkim_list(domain: str | None, records: bool) -> None:
    """Show the keys of DOMAIN, or of all domains: domain, selector, algorithm, state, and since when. Reads DATABASE_URL."""
    from webmail.settings import dkim_keys

    with _database():
        found = dkim_keys.listed(_hosted(domain) if domain else None)
        unsigned = dkim_keys.unsigned_domains()
    for key in found:
        until = f", verifies until {key.verifies_until:%Y-%m-%d %H:%M}" if key.verifies_until else ""
        click.echo(
            f"{key.domain} {key.selector} {key.algorithm} {key.state} since {key.since:%Y-%m-%d %H:%M}{until}"
        )
        if records and key.state != "retired":
            _show_record(key)
    for name in unsigned:
        if domain in (None, name):
            click.echo(f"{name} has no active key: its mail leaves unsigned", err=True)


@dkim.command("create")
@click.argument("domain")
@click.option(
    "--algorithm",
    type=click.Choice(["rsa", "ed25519"]),
    multiple=True,
    default=["rsa", "ed25519"],
    show_default=True,
    help="May be given more than once.",
)
@with_reason
def dkim_create(domain: str, algorithm: tuple[str, ...], operator: Operator) -> None:
    """Make the next keys of DOMAIN and print what to publish; they sign nothing before `activate`.

    Reads DATABASE_URL and the master key.
    """
    from webmail.keys import MasterKeys
    from webmail.settings import dkim_keys, dkim_records

    master = MasterKeys.from_settings(config.read())
    with _database():
        domain_id = _hosted(domain)
        wanted = (one for one in dkim_records.ALGORITHMS if one in algorithm)
        made = [dkim_keys.create(master, domain_id, one, operator.actor) for one in wanted]
        found = [key for key in dkim_keys.listed(domain_id) if key.selector in made]
    for key in sorted(found, key=lambda key: key.selector):
        _show_record(key)


@dkim.command("activate")
@click.argument("domain")
@click.option("--unpublished", is_flag=True, help="Do not look whether DNS has the records.")
@with_reason
def dkim_activate(domain: str, unpublished: bool, operator: Operator) -> None:
    """Sign the mail of DOMAIN with its next keys from now on; the ones before verify for a week.

    Refuses while DNS lacks their records: others would take the mail for forged. Reads DATABASE_URL, MTUMAIL_DNS.
    """
    from webmail.settings import dkim_keys

    with _database():
        waiting = [key for key in dkim_keys.listed(_hosted(domain)) if key.state == "next"]
    missing = [] if unpublished else [key.owner for key in waiting if not _is_published(key)]
    if missing:
        raise click.ClickException(f"not in DNS, or not the same: {', '.join(missing)}; see --help")
    with _database():
        selectors = dkim_keys.activate(_hosted(domain), operator.actor, [key.selector for key in waiting])
    click.echo(f"{domain} signs with {' and '.join(selectors)}")


@dkim.command("retire")
@click.argument("domain")
@click.argument("selector")
@click.option(
    "--leaked",
    is_flag=True,
    help="Somebody else may hold it: believe it no more, not even for mail on its way.",
)
@with_reason
def dkim_retire(domain: str, selector: str, leaked: bool, operator: Operator) -> None:
    """Sign with one key of DOMAIN no more, whether or not another follows it. Reads DATABASE_URL."""
    from webmail.settings import dkim_keys

    with _database():
        domain_id = _hosted(domain)
        try:
            dkim_keys.retire(domain_id, selector, operator.actor, leaked=leaked)
        except NotFound:
            raise click.ClickException(f"{domain} has no key {selector}") from None
        until = next(key.verifies_until for key in dkim_keys.listed(domain_id) if key.selector == selector)
    if leaked:
        click.echo(f"{domain} {selector} is retired: take its record out of DNS now")
    else:
        click.echo(f"{domain} {selector} is retired: keep its record in DNS until {until:%Y-%m-%d %H:%M}")


@contextmanager
def _database() -> Iterator[None]:
    """One transaction with DATABASE_URL."""
    from flask import Flask

    from webmail import db

    settings = config.read()
    settings.require("database_url")
    app = Flask("mtumail.cli", static_folder=None, template_folder=None)
    db.init_app(app, settings.database_url, pool_size=1, application_name="mtumail-cli")
    with app.app_context():
        try:
            with db.transaction():
                yield
        finally:
            db.db.engine.dispose()


def _hosted(name: str) -> int:
    from webmail.mail.idn import to_ascii
    from webmail.settings import domains

    found = domains.find(to_ascii(name) or "")
    if found is None:
        raise click.ClickException(f"{name} is not hosted here")
    return found


def _is_published(key: "Listed") -> bool:
    """Whether DNS has the very key."""
    from inbound.authentication import dns, keys
    from inbound.authentication.resolver import DnsResolver

    try:
        found = keys.fetch(dns.Asker(DnsResolver(config.read().dns_servers)), key.domain, key.selector)
    except keys.Unusable:
        return False
    return found == keys.parse(key.record)


def _show_record(key: "Listed") -> None:
    from webmail.settings.dkim_records import zone_line

    click.echo(f"{key.owner} TXT {key.record}")
    click.echo(zone_line(key.owner, key.record))
