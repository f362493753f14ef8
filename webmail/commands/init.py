"""`mtumail init`: what the processes start with, the database and the first domain. It may be repeated, and replaces nothing."""

import contextlib
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

_ASKED = {
    "origin": ("Where people reach the web app", "https://mail.example.com"),
    "hostname": ("The name that mail comes in at (MX)", "mx.example.com"),
    "domain": ("The first domain to host", "example.com"),
    "contact": ("Where questions about privacy go", "privacy@example.com"),
    "relay": ("The relay that mail leaves through", "smtp+starttls://user:password@smtp.relay.example:587"),
    "redis": ("Redis or Valkey", "redis://127.0.0.1:6379/0"),
    "clerk_publishable_key": ("Clerk's publishable key", "pk_live_…"),
    "clerk_secret_key": ("Clerk's secret key", "sk_live_…"),
    "database": (
        "Postgres, as a role that may create roles and databases",
        "postgresql://postgres:…@127.0.0.1/postgres",
    ),
}
_HIDDEN = ("relay", "clerk_secret_key", "database")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, by the names of _ASKED, and the folder that it goes to."""

    folder: Path
    answers: Mapping[str, str]

    @property
    def key_file(self) -> Path:
        return self.folder / "master.key"

    def file(self, part: str) -> Path:
        """The environment of a part: web, worker, inbound, owner."""
        return self.folder / f"{part}.env"


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/mtumail"),
    show_default=True,
    help="Where the files go.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: what no option tells is an error.")
@click.option("--origin", help=_ASKED["origin"][0])
@click.option("--hostname", help=_ASKED["hostname"][0])
@click.option("--domain", help=_ASKED["domain"][0])
@click.option("--contact", help=_ASKED["contact"][0])
@click.option("--relay", help=_ASKED["relay"][0])
@click.option("--redis", help=_ASKED["redis"][0])
@click.option("--clerk-publishable-key", help=_ASKED["clerk_publishable_key"][0])
@click.option("--clerk-secret-key", help=_ASKED["clerk_secret_key"][0])
@click.option("--database", help=f"{_ASKED['database'][0]}. Used once, written down nowhere.")
def init(folder: Path, yes: bool, **given: str | None) -> None:
    """Set up an installation: a master key, an environment file (0600) for each process, roles, database, tables, first domain.

    Asks for what no option tells. What is there already is kept as it is, so that it may be repeated. Afterwards it says what is
    left to do. Reads no setting.
    """
    wanted = Wanted(folder, {name: given[name] or _ask(name, yes) for name in _ASKED})
    _check(wanted)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _master_key(wanted)
    urls = _database(wanted)
    for part, lines in environments(wanted, urls).items():
        _write(wanted.file(part), lines)
    _host(wanted, urls["owner"])
    click.echo(_left(wanted))


def _ask(name: str, yes: bool) -> str:
    words, example = _ASKED[name]
    if yes:
        raise click.UsageError(f"--{name.replace('_', '-')} is needed with --yes")
    answer: str = click.prompt(f"{words} (such as {example})", hide_input=name in _HIDDEN)
    return answer


def _check(wanted: Wanted) -> None:
    """Refuse what the processes would refuse, before anything is made. Raises SettingError."""
    from webmail.config import Settings
    from webmail.identity.clerk.settings import ClerkSettings
    from webmail.mail.idn import to_ascii
    from webmail.sending.relay.settings import RelaySettings

    if not to_ascii(wanted.answers["domain"]):
        raise click.UsageError(f"{wanted.answers['domain']} is no domain")
    urls = dict.fromkeys(("web", "worker", "inbound", "owner"), wanted.answers["database"])
    settings = Settings.from_environment(dict(environments(wanted, urls)["web"]))
    ClerkSettings.from_environment(settings.clerk, origin=settings.origin, environment="production")
    worker = Settings.from_environment(dict(environments(wanted, urls)["worker"]))
    RelaySettings.for_host(worker.relay_url, wanted.answers["hostname"])
    Settings.from_environment(dict(environments(wanted, urls)["inbound"]))


def environments(wanted: Wanted, urls: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """What each process reads. `urls`: the database's address by role. Inbound gets no key that opens anything."""
    told = wanted.answers
    key = ("MTUMAIL_MASTER_KEY_FILE", str(wanted.key_file))
    clerk = [
        ("MTUMAIL_ORIGIN", told["origin"]),
        ("CLERK_PUBLISHABLE_KEY", told["clerk_publishable_key"]),
        ("CLERK_SECRET_KEY", told["clerk_secret_key"]),
    ]
    redis, host = ("REDIS_URL", told["redis"]), ("MTUMAIL_HOSTNAME", told["hostname"])
    parts = {
        "web": [
            key,
            redis,
            *clerk,
            ("MTUMAIL_CONTACT", told["contact"]),
            ("MTUMAIL_TRUSTED_PROXIES", "1"),
            ("MTUMAIL_DATA_DIR", "/var/lib/mtumail"),
            ("MTUMAIL_METRICS_TOKEN", secrets.token_urlsafe(24)),
        ],
        "worker": [key, redis, *clerk, host, ("MTUMAIL_RELAY_URL", told["relay"])],
        "inbound": [
            redis,
            host,
            ("MTUMAIL_SMTP_LISTEN", "0.0.0.0:25,[::]:25"),
            ("MTUMAIL_SMTP_HEALTH_LISTEN", "127.0.0.1:8026"),
        ],
        "owner": [key, ("MTUMAIL_ORIGIN", told["origin"])],
    }
    if "backup" in urls:  # it is used once MTUMAIL_BACKUP_TO and a key are set too
        parts["worker"].append(("MTUMAIL_BACKUP_URL", urls["backup"]))
    return {part: [("DATABASE_URL", urls[part]), *lines] for part, lines in parts.items()}


def _master_key(wanted: Wanted) -> None:
    from webmail.keys import create_master_key

    try:
        create_master_key(wanted.key_file)
        click.echo(f"made  {wanted.key_file}")
    except FileExistsError:
        click.echo(f"kept  {wanted.key_file}")


def _database(wanted: Wanted) -> dict[str, str]:
    """Roles, database and tables; the address of each role. A password that a file knows already stays."""
    from webmail import provision

    passwords = {role: _known(wanted.folder, role) or secrets.token_urlsafe(24) for role in provision.ROLES}
    urls = provision.provision(wanted.answers["database"], passwords)
    provision.migrate(urls["owner"])
    click.echo("made  roles, database and tables, where they were not there")
    return {part: url.replace("postgresql+psycopg://", "postgresql://") for part, url in urls.items()}


def _known(folder: Path, role: str) -> str:
    """The password of a role in the environment files that are there; "" without one."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    for file in sorted(folder.glob("*.env")):
        for line in file.read_text("utf-8").splitlines():
            with contextlib.suppress(ArgumentError, ValueError):
                url = make_url("".join(shlex.split(line.partition("=")[2])))
                if url.username == role and url.password:
                    return str(url.password)
    return ""


def _write(file: Path, lines: list[tuple[str, str]]) -> None:
    """An environment file, as systemd and a shell read it. One that exists is kept."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        click.echo(f"kept  {file}")
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.writelines(f"{name}={shlex.quote(value)}\n" for name, value in lines)
        opened.flush()
        os.fsync(opened.fileno())
    click.echo(f"made  {file}")


def _host(wanted: Wanted, owner_url: str) -> None:
    from flask import Flask

    from webmail import db
    from webmail.mail.idn import to_ascii
    from webmail.settings import domains

    app = Flask("mtumail.cli", static_folder=None, template_folder=None)
    url = owner_url.replace("postgresql://", "postgresql+psycopg://")
    db.init_app(app, url, pool_size=1, application_name="mtumail-cli")
    with app.app_context():
        with db.transaction():
            domains.host(to_ascii(wanted.answers["domain"]) or "")
        db.db.engine.dispose()
    click.echo(f"made  {wanted.answers['domain']}, hosted here")


def _left(wanted: Wanted) -> str:
    domain, folder = wanted.answers["domain"], wanted.folder
    return f"""
Left to do (docs/production.md has the whole of it):
 1. Copy {wanted.key_file} to a safe place. Lost, all mail is lost.
 2. ( set -a; . {folder}/owner.env; mtumail keys dkim create {domain} ), publish the records, then `activate` instead of `create`.
 3. A certificate for {wanted.answers["hostname"]}: MTUMAIL_TLS_CERTIFICATE and MTUMAIL_TLS_KEY in {folder}/inbound.env.
 4. For web, worker and inbound: ( set -a; . {folder}/web.env; mtumail doctor ), until nothing is bad.
 5. Start the units. Sign in with an invitation: ( set -a; . {folder}/owner.env; mtumail invite --domain {domain} )
 6. Make that person the first admin, with the same environment: mtumail role grant YOU@{domain} admin --reason "first admin"
"""
