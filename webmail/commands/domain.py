"""`mtumail domain`: the mail domains, from the command line. Who may take a name is set in `commands.registration`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason
from webmail.commands.registration import domain
from webmail.errors import NotFound, Refused

if TYPE_CHECKING:
    from webmail.settings.domain_records import Finding, Record
    from webmail.settings.domains import Kept

__all__ = ["domain"]

_WORDS = {
    "not-a-domain": "no name of a domain",
    "known": "hosted here already",
    "in-use": "there are mailboxes at it",
    "has-aliases": "other domains are aliases of it",
    "not-a-target": "an alias needs a verified domain that has names itself",
    "names-rest": "names rest at it: mail for whoever had them must reach nobody else",
    "names-given": "it was another one's alias, and both have the same names",
    "not-an-address": "that address leads to no mailbox here that is open",
}


@domain.command("list")
def domain_list() -> None:
    """Show each domain: who may take a name in it (a star marks what was set for it alone), or what else it is.

    Reads DATABASE_URL, MTUMAIL_REGISTRATION.
    """
    from webmail.db import transaction
    from webmail.settings import domains, kept

    with database(), transaction():
        usual = kept.text("registration.mode")
        for one in domains.kept():
            if one.stage == "active":
                click.echo(f"{one.name} {one.registration or usual}{' *' if one.registration else ''}")
            else:
                told = {
                    "waiting": "not verified",
                    "resting": "no new names",
                    "alias": f"alias of {one.alias_of}",
                }
                click.echo(f"{one.name} {told[one.stage]}")


@domain.command("add")
@click.argument("name")
@click.option("--vouch", is_flag=True, help="It is ours: do not wait for a proof in DNS.")
@with_reason
def domain_add(name: str, vouch: bool, operator: Operator) -> None:
    """Host the domain NAME (letters of any script), once DNS shows the record that this prints. Reads DATABASE_URL."""
    from webmail.db import transaction
    from webmail.settings import domains

    with database(), transaction(), _refusals(name):
        domain_id = domains.add(name, actor=operator.actor)
        if vouch:
            domains.verified(domain_id, actor=operator.actor)
        added = domains.one(domain_id)
    if vouch:
        click.echo(f"{added.name} is hosted here")
        return
    click.echo(f"{added.name} waits for its proof. Publish this, then `mtumail domain verify {added.name}`:")
    click.echo(f"_mtumail.{added.name} TXT mtumail-verification={added.token}")


@domain.command("verify")
@click.argument("name")
@click.option("--vouch", is_flag=True, help="It is ours: do not ask DNS.")
@with_reason
def domain_verify(name: str, vouch: bool, operator: Operator) -> None:
    """Ask DNS whether the domain NAME is ours to host; exit code 1 if it does not say so. Reads DATABASE_URL, MTUMAIL_DNS."""
    from webmail.db import transaction
    from webmail.settings import domains

    with database():
        with transaction(), _refusals(name):
            chosen = _chosen(name)
            wanted = [record for record in _records(chosen) if record.code == "ownership"]
        if not vouch:
            [finding] = _asked(wanted)
            if finding.state != "good":
                told = (
                    "nobody answered" if finding.state == "unknown" else finding.found or "nothing is there"
                )
                raise click.ClickException(f"{wanted[0].owner} TXT is not {wanted[0].value}: {told}")
        with transaction():
            domains.verified(chosen.domain_id, actor=operator.actor)
    click.echo(f"{chosen.name} is verified")


@domain.command("records")
@click.argument("name")
@click.option(
    "--check",
    is_flag=True,
    help="Ask DNS for each; exit code 1 if any that is needed is not as it should be.",
)
@click.option("--zone", is_flag=True, help="As lines of a zone file.")
def domain_records(name: str, check: bool, zone: bool) -> None:
    """Show the records that the domain NAME has to have. Reads DATABASE_URL, MTUMAIL_HOSTNAME, MTUMAIL_DNS."""
    from webmail.db import transaction
    from webmail.settings.domain_records import zone_line

    with database(), transaction(), _refusals(name):
        records = _records(_chosen(name))
    findings = {one.code: one for one in _asked(records)} if check else {}
    for record in records:
        told = findings.get(record.code)
        state = f"{told.state}{f' (found: {told.found})' if told.found else ''}: " if told else ""
        click.echo(zone_line(record) if zone else f"{state}{record.owner} {record.kind} {record.value}")
    if any(record.is_needed and findings[record.code].state != "good" for record in records if check):
        raise SystemExit(1)


@domain.command("alias")
@click.argument("name")
@click.argument("of", required=False)
@with_reason
def domain_alias(name: str, of: str | None, operator: Operator) -> None:
    """Have mail for the domain NAME go to the same names at OF; without OF it is no alias any more. Reads DATABASE_URL."""
    from webmail.db import transaction
    from webmail.settings import domains

    with database(), transaction(), _refusals(name):
        target = _chosen(of) if of else None
        domains.make_alias(
            _chosen(name).domain_id, target.domain_id if target else None, actor=operator.actor
        )
    click.echo(f"{name} is an alias of {target.name}" if target else f"{name} is no alias")


@domain.command("route")
@click.argument("name")
@click.argument("local", type=click.Choice(["postmaster", "abuse", "*"]))
@click.argument("address", required=False)
@with_reason
def domain_route(name: str, local: str, address: str | None, operator: Operator) -> None:
    """Have mail for LOCAL at the domain NAME go to the mailbox of ADDRESS, where nobody has that name; `*` is any name.

    Without ADDRESS: to the staff, or for `*` to nobody. Reads DATABASE_URL.
    """
    from webmail.db import transaction
    from webmail.settings import routes

    with database(), transaction(), _refusals(name):
        routes.set_route(_chosen(name).domain_id, local, address or "", actor=operator.actor)
    click.echo(f"{local}@{name} goes to {address or ('nobody' if local == '*' else 'the staff')}")


@domain.command("rest")
@click.argument("name")
@click.option("--wake", is_flag=True, help="Give new names again.")
@with_reason
def domain_rest(name: str, wake: bool, operator: Operator) -> None:
    """Give no new names in the domain NAME; its mailboxes go on as before. Reads DATABASE_URL."""
    from webmail.db import transaction
    from webmail.settings import domains

    with database(), transaction(), _refusals(name):
        domains.rest(_chosen(name).domain_id, resting=not wake, actor=operator.actor)
    click.echo(f"{name} gives {'names again' if wake else 'no new names'}")


@domain.command("remove")
@click.argument("name")
@with_reason
def domain_remove(name: str, operator: Operator) -> None:
    """Host the domain NAME no more, once there are no mailboxes at it. Reads DATABASE_URL (the role mtumail_owner)."""
    from webmail.db import transaction
    from webmail.settings import dkim_keys, domains

    with database(), transaction(), _refusals(name):
        domain_id = _chosen(name).domain_id
        domains.refuse_unless_removable(domain_id)
        dkim_keys.retire_all(domain_id, operator.actor)
        domains.remove(domain_id, actor=operator.actor)
    click.echo(f"{name} is removed: its mail is refused from now on")


def _chosen(name: str) -> "Kept":
    from webmail.settings import domains

    found = domains.find(domains.read(name))
    if found is None:
        raise NotFound("domain")
    return domains.one(found)


def _records(chosen: "Kept") -> "list[Record]":
    from webmail.settings import domain_health

    return domain_health.records(chosen, config.read())


def _asked(records: "list[Record]") -> "list[Finding]":
    from inbound.authentication.resolver import DnsResolver
    from workers.domains import ask

    return ask(DnsResolver(config.read().dns_servers), records)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turns a refusal into one clear line."""
    try:
        yield
    except Refused as refusal:
        raise click.ClickException(f"{what}: {_WORDS.get(str(refusal), refusal)}") from None
    except NotFound:
        raise click.ClickException(f"{what} is not hosted here") from None
