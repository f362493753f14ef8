"""`mtumail setting`: the settings of the service that are kept in the database, from the command line."""

import sys

import click
from flask import Flask

from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason
from webmail.errors import NotFound, Refused


@click.group()
def setting() -> None:
    """Settings kept in the database: what they are, were, and will be. Reads DATABASE_URL (the role mtumail_owner)."""


@setting.command("list")
@click.argument("group", required=False)
def setting_list(group: str | None) -> None:
    """Show every setting, or those of GROUP, with its value; a star marks what is not the standard."""
    from webmail.db import transaction
    from webmail.settings import declared, kept

    if group and group not in declared.GROUPS:
        raise click.UsageError(f"there is no group {group}: {', '.join(declared.GROUPS)}")
    with database(), transaction():
        for one in [
            state for name in ((group,) if group else declared.GROUPS) for state in kept.states(name)
        ]:
            click.echo(f"{one.declared.name} {'* ' if one.is_own else ''}{one.value!r}")


@setting.command("get")
@click.argument("name")
def setting_get(name: str) -> None:
    """Print the value of NAME."""
    from webmail.db import transaction
    from webmail.settings import kept

    with database(), transaction(), _refusals(name):
        click.echo(kept.value(name))


@setting.command("set")
@click.argument("name")
@click.argument("value")
@with_reason
def setting_set(name: str, value: str, operator: Operator) -> None:
    """Give NAME the VALUE. It holds at once, in every process.

    A secret is read from standard input, with - for its value, so that it stands in no list of processes. Needs the master key.
    """
    from webmail.settings import declared
    from webmail.settings.kinds import Secret

    known = declared.SETTINGS.get(name)
    if known is not None and isinstance(known.kind, Secret):
        if value != "-":
            raise click.UsageError(f"{name} is a secret: give - and write it to standard input")
        value = sys.stdin.readline().strip()
        if not value:
            raise click.UsageError("nothing came on standard input; `unset` takes a secret away")
    _change(name, value, operator)


@setting.command("unset")
@click.argument("name")
@with_reason
def setting_unset(name: str, operator: Operator) -> None:
    """Give NAME its standard value again."""
    _change(name, None, operator)


def _change(name: str, value: str | None, operator: Operator) -> None:
    from webmail.db import transaction
    from webmail.settings import kept

    with database() as app, transaction(), _refusals(name):
        _give_keys(app, name)
        is_changed = kept.change(name, value, actor=operator.actor, reason=operator.reason)
        click.echo(f"{name} is {kept.value(name)!r}{'' if is_changed else ', as before'}")


def _give_keys(app: Flask, name: str) -> None:
    """The master keys, for what is wrapped by them alone: other settings are changed without them."""
    from webmail.keys import MasterKeys
    from webmail.settings import declared
    from webmail.settings.kinds import Secret

    known = declared.SETTINGS.get(name)
    if known is not None and isinstance(known.kind, Secret):
        app.extensions["master_keys"] = MasterKeys.from_settings(app.extensions["settings"])


@setting.command("history")
@click.argument("name", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="So many changes.")
def setting_history(name: str | None, limit: int) -> None:
    """Show what was changed, newest first, with a number for `mtumail setting return`."""
    from webmail.db import transaction
    from webmail.settings import kept

    with database(), transaction():
        for one in kept.history(name or "", limit=limit):
            reason = f" ({one.reason})" if one.reason else ""
            click.echo(
                f"{one.change_id} {one.at:%Y-%m-%d %H:%M} {one.by} {one.name}: {one.before!r} to {one.after!r}{reason}"
            )


@setting.command("return")
@click.argument("change", type=int)
@with_reason
def setting_return(change: int, operator: Operator) -> None:
    """Make a setting again what it was before CHANGE."""
    from webmail.db import transaction
    from webmail.settings import kept

    with database(), transaction(), _refusals(str(change)):
        name = kept.past(change).name
        kept.go_back(change, actor=operator.actor, reason=operator.reason)
        click.echo(f"{name} is {kept.value(name)!r}")


class _refusals:
    """Turns a refusal into one clear line."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused):
            raise click.ClickException(f"{self.what}: {error}") from None
        if isinstance(error, NotFound):
            raise click.ClickException(f"{self.what}: there is no such change") from None
