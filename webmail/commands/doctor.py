"""`mtumail doctor`: what is wrong and how to mend it, in one screen."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from webmail.checkup.findings import Finding

_SIGNS = {"ok": "ok  ", "warn": "warn", "bad": "BAD "}


@click.command()
@click.option("--offline", is_flag=True, help="Ask neither Clerk nor the relays nor DNS.")
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: a list of objects with what, state, words, mend."
)
@click.option("--quiet", is_flag=True, help="Only what is not well.")
def doctor(offline: bool, as_json: bool, quiet: bool) -> None:
    """Check everything that a process needs, and say what is wrong and how to mend it. Exit code 1 if anything is bad.

    Reads every setting that the processes read: MTUMAIL_*, DATABASE_URL, REDIS_URL, CLERK_*. Run it with the environment of each
    process. It sends nothing and changes nothing.
    """
    from webmail.checkup import run

    findings = run(offline=offline)
    shown = [one for one in findings if not quiet or one.state != "ok"]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in shown], ensure_ascii=False, indent=1))
    for one in [] if as_json else shown:
        show(one)
    sys.exit(0 if all(one.good for one in findings) else 1)


def show(one: "Finding", before: str = "") -> None:
    """Print a finding, and below it how to mend it."""
    click.echo(f"{_SIGNS[one.state]} {before}{one.what}: {one.words}")
    if one.mend:
        click.echo(f"     -> {one.mend}")
