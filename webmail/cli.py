"""The `mtumail` command. Each part of the service is one subcommand, configured by the environment; see `mtumail doctor`."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.errors import MtumailError, NotFound, SettingError

if TYPE_CHECKING:
    from webmail.settings.dkim_keys import Listed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """mtumail: a mail service that keeps its privacy policy by construction."""


@cli.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where everything is kept; .dev in the checkout if not given.",
)
@click.option(
    "--http-port", default=8000, show_default=True, help="Web app; 0 takes a free port, as for the others."
)
@click.option("--smtp-port", default=2525, show_default=True, help="Inbound SMTP.")
@click.option("--clerk-port", default=8001, show_default=True, help="Local Clerk.")
@click.option("--relay-port", default=2526, show_default=True, help="Relay sink.")
@click.option("--empty", is_flag=True, help="Seed the demo people without their mail.")
def dev(
    data_dir: Path | None, http_port: int, smtp_port: int, clerk_port: int, relay_port: int, empty: bool
) -> None:
    """Start everything on embedded parts, in the foreground. DATABASE_URL and REDIS_URL, when set, are used instead."""
    from webmail.embedded.dev import DevOptions, run_dev

    options = DevOptions(
        data_dir=data_dir,
        http_port=http_port,
        smtp_port=smtp_port,
        clerk_port=clerk_port,
        relay_port=relay_port,
        empty=empty,
    )
    sys.exit(run_dev(options))


@cli.command()
def web() -> None:
    """Run the web app under gunicorn.

    Reads MTUMAIL_HTTP_LISTEN, MTUMAIL_ORIGIN, DATABASE_URL, REDIS_URL, CLERK_*, and the master key.
    """
    settings = config.read()
    settings.require("origin", "database_url")
    host, port = settings.http_listen
    arguments = [
        "gunicorn", "wsgi:app", "--bind", f"{host}:{port}", "--workers", str(settings.web_processes),
        "--threads", str(settings.web_threads), "--worker-class", "gthread", "--preload", "--no-control-socket",
        "--timeout", "60", "--graceful-timeout", "20", "--keep-alive", "30", "--max-requests", "20000",
        "--max-requests-jitter", "2000", "--config", "python:webmail.web.serving",
    ]  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *arguments[1:], "--chdir", str(root)])


@cli.command()
def worker() -> None:
    """Run the RQ workers: filing, sending, and the clock.

    Reads DATABASE_URL, REDIS_URL, MTUMAIL_RELAY_URL, and the master key.
    """
    from workers.__main__ import main as run

    sys.exit(run())


@cli.command()
def inbound() -> None:
    """Run inbound SMTP.

    Reads MTUMAIL_SMTP_LISTEN, MTUMAIL_HOSTNAME, DATABASE_URL, REDIS_URL and MTUMAIL_TLS_*; it needs no master key.
    """
    from inbound.__main__ import main as run

    sys.exit(run())


@cli.command()
@click.option(
    "--to",
    "target",
    default="head",
    show_default=True,
    help="A revision, `head`, or `base` (removes all tables).",
)
@click.option("--check", is_flag=True, help="Only say what is pending; exit code 1 if anything is.")
@click.option(
    "--roles-from",
    metavar="URL",
    help="A role that may create roles and databases: makes ours first, with passwords from MTUMAIL_PASSWORD_OWNER, _WEB, …",
)
def migrate(target: str, check: bool, roles_from: str | None) -> None:
    """Bring the database to this version's schema. Reads DATABASE_URL (the role mtumail_owner). Two runs at once wait in line."""
    from webmail import provision

    if roles_from:
        passwords = {
            role: os.environ.get(f"MTUMAIL_PASSWORD_{role.removeprefix('mtumail_').upper()}", "")
            for role in provision.ROLES
        }
        missing = [role for role, password in passwords.items() if not password]
        if missing:
            raise click.UsageError(f"no password for {', '.join(missing)}: see --help")
        urls = provision.provision(roles_from, passwords)
        provision.migrate(urls["owner"], target)
        return
    settings = config.read()
    settings.require("database_url")
    if check:
        waiting = provision.pending(settings.database_url)
        click.echo("\n".join(waiting) if waiting else "up to date")
        sys.exit(1 if waiting else 0)
    provision.migrate(settings.database_url, target)


@cli.group()
def audit() -> None:
    """The audit log. Reads DATABASE_URL."""


@audit.command("verify")
def audit_verify() -> None:
    """Recompute every hash of the audit log; exit code 1 at the first event that was changed, removed, moved or slipped in.

    Reads DATABASE_URL.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    from webmail.audit import verify

    settings = config.read()
    settings.require("database_url")
    engine = create_engine(settings.database_url)
    with Session(engine) as session:
        read, fault = verify(session)
    engine.dispose()
    if fault:
        click.echo(f"event {fault.number} {fault.what}", err=True)
        sys.exit(1)
    click.echo(f"{read} events, nothing changed")


@cli.group()
def keys() -> None:
    """Key material: the master key, and what hosted domains sign their mail with."""


@keys.command("create")
@click.argument("path", type=click.Path(path_type=Path))
def keys_create(path: Path) -> None:
    """Write a new master key to PATH (mode 0600); refuses to replace one. Reads no setting."""
    from webmail.keys import create_master_key

    try:
        create_master_key(path)
    except FileExistsError:
        raise click.ClickException(f"{path} exists; a master key is never replaced") from None


@keys.group("dkim")
def keys_dkim() -> None:
    """The keys that hosted domains sign their mail with.

    Rotate in two steps: `create`, publish the records that it prints, wait until the world sees them, `activate`. Reads
    DATABASE_URL (the role mtumail_owner for all but `list`).
    """


@keys_dkim.command("list")
@click.argument("domain", required=False)
@click.option("--records", is_flag=True, help="Also the DNS records of keys that sign, or will.")
def keys_dkim_list(domain: str | None, records: bool) -> None:
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


@keys_dkim.command("create")
@click.argument("domain")
@click.option(
    "--algorithm",
    type=click.Choice(["rsa", "ed25519"]),
    multiple=True,
    default=["rsa", "ed25519"],
    show_default=True,
    help="May be given more than once.",
)
def keys_dkim_create(domain: str, algorithm: tuple[str, ...]) -> None:
    """Make the next keys of DOMAIN and print what to publish; they sign nothing before `activate`.

    Reads DATABASE_URL and the master key.
    """
    from webmail.keys import MasterKeys
    from webmail.settings import dkim_keys, dkim_records

    master = MasterKeys.from_settings(config.read())
    with _database():
        domain_id = _hosted(domain)
        wanted = (one for one in dkim_records.ALGORITHMS if one in algorithm)
        made = [dkim_keys.create(master, domain_id, one, _actor()) for one in wanted]
        found = [key for key in dkim_keys.listed(domain_id) if key.selector in made]
    for key in sorted(found, key=lambda key: key.selector):
        _show_record(key)


@keys_dkim.command("activate")
@click.argument("domain")
@click.option("--unpublished", is_flag=True, help="Do not look whether DNS has the records.")
def keys_dkim_activate(domain: str, unpublished: bool) -> None:
    """Sign the mail of DOMAIN with its next keys from now on; the ones before verify for a week.

    Refuses while DNS lacks their records: others would take the mail for forged. Reads DATABASE_URL, MTUMAIL_DNS_SERVERS.
    """
    from webmail.settings import dkim_keys

    with _database():
        waiting = [key for key in dkim_keys.listed(_hosted(domain)) if key.state == "next"]
    missing = [] if unpublished else [key.owner for key in waiting if not _is_published(key)]
    if missing:
        raise click.ClickException(f"not in DNS, or not the same: {', '.join(missing)}; see --help")
    with _database():
        selectors = dkim_keys.activate(_hosted(domain), _actor(), [key.selector for key in waiting])
    click.echo(f"{domain} signs with {' and '.join(selectors)}")


@keys_dkim.command("retire")
@click.argument("domain")
@click.argument("selector")
@click.option(
    "--leaked",
    is_flag=True,
    help="Somebody else may hold it: believe it no more, not even for mail on its way.",
)
def keys_dkim_retire(domain: str, selector: str, leaked: bool) -> None:
    """Sign with one key of DOMAIN no more, whether or not another follows it. Reads DATABASE_URL."""
    from webmail.settings import dkim_keys

    with _database():
        domain_id = _hosted(domain)
        try:
            dkim_keys.retire(domain_id, selector, _actor(), leaked=leaked)
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


def _actor() -> str:
    """Who is at the keyboard, for the audit log."""
    return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


@cli.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def relay(arguments: tuple[str, ...]) -> None:
    """List the relays that mail leaves through, or send a test mail by each. Reads MTUMAIL_RELAY_URL."""
    from webmail.sending.relay.command import relay as group

    group.main(list(arguments), prog_name="mtumail relay")


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on DATABASE_URL, with ARGUMENTS passed on."""
    from webmail.embedded.programs import postgres_programs

    settings = config.read()
    settings.require("database_url")
    url = settings.database_url.replace("postgresql+psycopg://", "postgresql://")
    folder, _major = postgres_programs()
    os.execv(folder / "psql", ["psql", url, *arguments])


@cli.command()
def doctor() -> None:
    """Check settings, Postgres, Redis and the master key, and say what is wrong. Exit code 1 if anything is.

    Reads every setting that the processes read: MTUMAIL_*, DATABASE_URL, REDIS_URL, CLERK_*.
    """
    from webmail.checkup import run

    findings = run()
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'BAD '} {finding.what}: {finding.words}")
    sys.exit(0 if all(finding.good for finding in findings) else 1)


def main() -> None:
    """Entry point: our own errors are one line and exit code 2, never a traceback."""
    try:
        cli(prog_name="mtumail")
    except SettingError as error:
        click.echo(f"mtumail: {error}", err=True)
        sys.exit(2)
    except MtumailError as error:
        click.echo(f"mtumail: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        # Postgres' own words may quote what it was asked; which kind of trouble it is says enough.
        if not type(error).__module__.startswith("sqlalchemy."):
            raise
        cause = type(getattr(error, "orig", None) or error).__name__
        click.echo(f"mtumail: the database cannot be used ({cause}): see `mtumail doctor`", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
