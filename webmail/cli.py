"""The `mtumail` command. Each part of the service is one subcommand, configured by the environment; see `mtumail doctor`."""

import os
import sys
from pathlib import Path

import click

from webmail import config, logs
from webmail.commands.audit import audit
from webmail.commands.backup import backup
from webmail.commands.dkim import dkim
from webmail.commands.doctor import doctor
from webmail.commands.domain import domain
from webmail.commands.erase import erase
from webmail.commands.export import export
from webmail.commands.import_ import import_
from webmail.commands.init import init
from webmail.commands.keys import keys
from webmail.commands.people import people
from webmail.commands.queue import queue
from webmail.commands.reasons import with_reason
from webmail.commands.registration import invite, names
from webmail.commands.relay import relay
from webmail.commands.request import request
from webmail.commands.restore import restore
from webmail.commands.role import role
from webmail.commands.setting import setting
from webmail.errors import MtumailError, SettingError


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from webmail.version import own_version

    click.echo(f"mtumail {own_version()}")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
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

    Reads DATABASE_URL, REDIS_URL, MTUMAIL_RELAY_URL, CLERK_*, and the master key.
    """
    from workers.__main__ import main as run

    logs.write_to(*config.log_file())
    sys.exit(run())


@cli.command()
def inbound() -> None:
    """Run inbound SMTP.

    Reads MTUMAIL_SMTP_LISTEN, MTUMAIL_HOSTNAME, DATABASE_URL, REDIS_URL and MTUMAIL_TLS_*; it needs no master key.
    """
    from inbound.__main__ import main as run

    logs.write_to(*config.log_file())
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


cli.add_command(audit)
cli.add_command(backup)
cli.add_command(keys)
cli.add_command(restore)
keys.add_command(dkim)
cli.add_command(relay)
cli.add_command(role)
cli.add_command(invite)
cli.add_command(domain)
cli.add_command(names)
cli.add_command(setting)
cli.add_command(queue)
cli.add_command(people)
cli.add_command(export)
cli.add_command(import_)
cli.add_command(request)
cli.add_command(erase)
cli.add_command(doctor)
cli.add_command(init)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_reason
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on DATABASE_URL, with ARGUMENTS passed on. In production it asks why first, and the audit log keeps that."""
    from webmail.embedded.programs import postgres_programs

    settings = config.read()
    settings.require("database_url")
    url = settings.database_url.replace("postgresql+psycopg://", "postgresql://")
    folder, _major = postgres_programs()
    os.execv(folder / "psql", ["psql", url, *arguments])


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
