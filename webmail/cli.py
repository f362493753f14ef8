"""The `mtumail` command. Each part of the service is one subcommand, configured by the environment; see `mtumail doctor`."""

import os
import sys
from pathlib import Path

import click

from webmail import config
from webmail.commands.dkim import dkim
from webmail.commands.relay import relay
from webmail.errors import MtumailError, SettingError


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


keys.add_command(dkim)
cli.add_command(relay)


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
