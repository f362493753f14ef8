"""`mtumail init`: what the processes start with, the database, the first domain and the first admin. It may be repeated."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webmail.commands import answers, env_files

if TYPE_CHECKING:
    from webmail.config import Settings


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for name, question in reversed(answers.ASKED.items()):
        once = " Used once, written down nowhere." if name == "database" else ""
        command = click.option(f"--{name.replace('_', '-')}", help=f"{question.words}.{once}")(command)
    return command


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/mtumail"),
    show_default=True,
    help="Where the files go.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: what neither an option nor a file tells is an error.")
@_options
@click.option(
    "--admin", default="", help="The first admin, as Clerk knows them: a verified address, or user_…."
)
@click.option("--admin-address", default="", help="Their address here; made with their mailbox.")
@click.option("--tls-certificate", help="PEM chain of the MX name.")
@click.option("--tls-key", help="PEM private key of that certificate.")
@click.option("--clerk-webhook-secret", help="whsec_…: what Clerk signs its webhooks with.")
@click.option("--clerk-api-url", help="Another Clerk than Clerk's own.")
@click.option("--clerk-fapi-url", help="The same, for browsers.")
@click.option("--clerk-sign-in-url", help="The same: the page where people sign in.")
@click.option(
    "--environment",
    type=click.Choice(["production", "development"]),
    help="`development` is for trying out, with a development instance of Clerk. [default: production]",
)
@click.option("--offline", is_flag=True, help="Look at nothing that belongs to others when all is made.")
def init(folder: Path, yes: bool, admin: str, admin_address: str, offline: bool, **given: str | None) -> None:
    """Set up an installation: a master key, an environment file (0600) for each process, roles, database, tables, the first domain,
    and on request the first admin.

    Asks for what neither an option nor an earlier run tells, and looks at each answer. Repeated, it changes what it is told to and
    keeps all else. Last it looks at everything, as `mtumail doctor` does. Reads no setting.
    """
    if bool(admin) != bool(admin_address):
        raise click.UsageError(
            "--admin and --admin-address go together: who it is at Clerk, and their address here"
        )
    wanted = answers.wanted(folder, yes, given)
    answers.check(wanted)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _master_key(wanted)
    urls = _database(wanted)
    changed = _files(wanted, urls)
    _host(wanted)
    if admin:
        _make_admin(wanted, admin, admin_address)
    _look(wanted, offline)
    if wanted.answers.get("domain"):
        click.echo(_left(wanted, bool(admin)))
    elif changed:
        units = " ".join(f"mtumail@{part}" for part in changed)
        click.echo(f"\nWhat was changed is read at the next start: systemctl restart {units}")


# --- what is made --------------------------------------------------------------------------------------------------------


def _master_key(wanted: answers.Wanted) -> None:
    from webmail.keys import create_master_key

    try:
        create_master_key(wanted.key_file)
        click.echo(f"made  {wanted.key_file}")
    except FileExistsError:
        click.echo(f"kept  {wanted.key_file}")


def _database(wanted: answers.Wanted) -> dict[str, str]:
    """Roles, database and tables; the address of each role. A password that a file knows already stays.

    Without an administrator's address nothing is touched: an upgrade is `mtumail migrate`.
    """
    from webmail import provision

    if not wanted.answers.get("database"):
        return {part: env_files.read(wanted.file(part)).get("DATABASE_URL", "") for part in answers.PARTS}
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
        for value in env_files.read(file).values():
            try:
                url = make_url(value)
            except (ArgumentError, ValueError):
                continue
            if url.username == role and url.password:
                return str(url.password)
    return ""


def _as_owner(wanted: answers.Wanted) -> "Settings":
    """What web is told, with the rights of the owner."""
    from webmail.config import Settings

    owner = env_files.read(wanted.file("owner"))["DATABASE_URL"]
    return Settings.from_environment(env_files.read(wanted.file("web")) | {"DATABASE_URL": owner})


def _files(wanted: answers.Wanted, urls: dict[str, str]) -> list[str]:
    """The environments; the processes whose file was changed."""
    said = {variable: wanted.answers[name] for name, variable in answers.variables() if name in wanted.said}
    changed = []
    for part, lines in answers.environments(wanted, urls).items():
        mine = {name: said[name] for name, _value in lines if name in said}
        done = env_files.write(wanted.file(part), lines, mine)
        click.echo(f"{done:<5} {wanted.file(part)}")
        if done == "changed" and part != "owner":
            changed.append(part)
    return changed


def _host(wanted: answers.Wanted) -> None:
    from webmail.commands import first
    from webmail.mail.idn import to_ascii

    if name := wanted.answers.get("domain"):
        first.host(_as_owner(wanted), to_ascii(name) or "")
        click.echo(f"made  {name}, hosted here")


def _make_admin(wanted: answers.Wanted, who: str, address: str) -> None:
    from webmail.commands import first

    click.echo(first.make_admin(_as_owner(wanted), who, address))


# --- what is left --------------------------------------------------------------------------------------------------------


def _look(wanted: answers.Wanted, offline: bool) -> None:
    """Say of each process what is not well, each thing once."""
    from webmail import checkup
    from webmail.commands.doctor import show
    from webmail.config import Settings

    said: set[tuple[str, str]] = set()
    click.echo("\nLooking at what is there:")
    for part in ("web", "worker", "inbound"):
        settings = Settings.from_environment(env_files.read(wanted.file(part)))
        for one in checkup.examine(settings, offline=offline):
            if one.state != "ok" and (one.what, one.words) not in said:
                said.add((one.what, one.words))
                show(one, f"{part}: ")
    if not said:
        click.echo("all is well")


def _left(wanted: answers.Wanted, has_admin: bool) -> str:
    folder = wanted.folder
    domain = wanted.answers["domain"]
    owner = f"( set -a; . {folder}/owner.env; mtumail"
    steps = [
        f"Copy {wanted.key_file} to a safe place. Lost, all mail is lost.",
        f"{owner} keys dkim create {domain} ), publish the records that it prints, then `activate` instead of `create`.",
        f"For web, worker and inbound: ( set -a; . {folder}/web.env; mtumail doctor ), until nothing is bad.",
        "Start the units.",
    ]
    if not wanted.answers.get("tls_certificate"):
        steps.insert(
            2,
            f"A certificate for {wanted.answers['hostname']}:"
            " `mtumail init --tls-certificate CHAIN --tls-key KEY` writes it down.",
        )
    if not has_admin:
        steps.append(
            "The first admin, once they have signed up at Clerk:"
            f" mtumail init --admin ADDRESS-AT-CLERK --admin-address YOU@{domain}"
        )
    numbered = "\n".join(f" {number}. {step}" for number, step in enumerate(steps, 1))
    return f"\nLeft to do (docs/production.md has the whole of it):\n{numbered}\n"
