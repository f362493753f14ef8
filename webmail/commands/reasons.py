"""Who runs a command on people's data, and why: asked first, and written into the audit log before the command does anything.

    @group.command("suspend")
    @click.argument("account")
    @with_reason
    def suspend(account: str, operator: Operator) -> None: ...

The event (`cli.used`) is committed by itself, so that a command that fails, or is killed, has been noted all the same. What the
command does then is recorded as always, with `operator.actor` as the actor.
"""

import functools
import inspect
import os
import pwd
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from webmail import config

MAX_REASON = 200
_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1
"""What Linux says of a process that no sign-in began."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is at the keyboard, and why. `number`: the event that says so; `account`: whose rights the process has."""

    name: str
    account: str
    reason: str
    number: int = 0

    @property
    def actor(self) -> str:
        """As the audit log names them: `cli:sam`, also where sam has become root."""
        return f"cli:{self.name}"


def with_reason(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--reason`, and have who runs it, and why, in the audit log before it begins.

    Put it right above the function. It gets a keyword `operator` (Operator) if it names one. In production there is no running
    it without a reason: at a terminal it is asked for, elsewhere its absence is a usage error. Reads DATABASE_URL.
    """
    takes_operator = "operator" in inspect.signature(command).parameters

    @click.option(
        "--reason",
        callback=_asked,
        help="Why, for the audit log: a case's or a ticket's number. No names, no addresses.",
    )
    @click.pass_context
    @functools.wraps(command)
    def run(context: click.Context, /, *args: Any, reason: str, **kwargs: Any) -> Any:
        operator = _note(context, reason)
        if takes_operator:
            kwargs["operator"] = operator
        return context.invoke(command, *args, **kwargs)

    return run


def actor() -> str:
    """Who is at the keyboard, as the audit log names them."""
    return f"cli:{_person()}"


def _asked(context: click.Context, _option: click.Parameter, reason: str | None) -> str:
    if context.resilient_parsing:
        return ""
    if reason is None and config.read().environment == "production":
        if not _is_terminal():
            raise click.UsageError("this touches people's data: say why with --reason")
        reason = click.prompt("Why (kept in the audit log)", type=str)
    reason = " ".join((reason or "").split())
    if len(reason) > MAX_REASON:
        raise click.BadParameter(f"at most {MAX_REASON} characters")
    if not reason and config.read().environment == "production":
        raise click.BadParameter("says nothing")
    return reason


def _note(context: click.Context, reason: str) -> Operator:
    from webmail import audit
    from webmail.commands.database import database
    from webmail.db import transaction

    command = context.command_path.removeprefix("mtumail").strip() or context.command_path
    operator = Operator(_person(), _name_of(os.geteuid()), reason)
    with database(), transaction():
        number = audit.record(
            "cli.used", operator.actor, command=command, reason=reason, run_as=operator.account
        )
    return Operator(operator.name, operator.account, reason, number)


def _person() -> str:
    """The name of whoever signed in to this machine: sudo and su do not change it; where Linux does not know, sudo says it."""
    try:
        signed_in = int(_LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        signed_in = _NOBODY
    if signed_in != _NOBODY:
        return _name_of(signed_in)
    # Only root may be told who it is by the environment: anybody else could write there what they like.
    return (config.sudo_user() if os.geteuid() == 0 else "") or _name_of(os.getuid())


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run as a number without a name
        return str(number)
