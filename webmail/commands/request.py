"""`mtumail request`: what people ask by right, where there is no browser at hand. A decision is an admin's: --by says whose."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webmail import config
from webmail.commands.database import database
from webmail.commands.mailboxes import owner_of
from webmail.commands.reasons import Operator, with_reason

if TYPE_CHECKING:
    from webmail.keys import MasterKeys

KINDS = ("access", "correct", "delete", "port", "restrict", "object")
COMPLAINT = (
    "You may complain to a supervisory authority, in particular where you live, and you may go to court"
    " (GDPR Art. 77 and 79)."
)
"""What every refusal ends with, as the page adds it."""
_WHY = {
    "kind": "there is no such kind or source",
    "words": "words are 3 to 2,000 characters",
    "own": "nobody decides on their own request",
    "unchecked": "check first who asks: mtumail request identify",
    "late": "the first month is over: it can no longer be extended",
    "over": "it is answered, checked or extended already",
    "stopped": "this is stopped already",
}
_by = click.option("--by", required=True, metavar="ADDRESS", help="The admin whose decision it is.")
_words = click.option("--words", default="-", show_default=True, help="What is said; - reads it from the input.")  # fmt: skip


@click.group()
def request() -> None:
    """Requests about privacy (GDPR Art. 12 to 21). Reads DATABASE_URL (the role mtumail_owner) and the master key."""


@request.command("list")
@click.option("--all", "everything", is_flag=True, help="Also the last fifty that were answered.")
def request_list(everything: bool) -> None:
    """Show what is open, by its time: id, kind, how it came, whether who asks is known, until when. Exit code 1 if one is late."""
    from webmail.db import show_id, transaction
    from webmail.privacy.requests import asking

    with database(), transaction():
        master = _master()
        found = [*asking.queue(master), *(asking.answered(master) if everything else ())]
    for one in found:
        late = " LATE" if one.is_late else ""
        told = f"{one.kind} {one.source} {one.identity} {one.state}"
        click.echo(f"{show_id(one.request_id)} {told} {one.due_at:%Y-%m-%d}{late}")
    if any(one.is_late for one in found):
        sys.exit(1)


@request.command("show")
@click.argument("number", metavar="ID")
@with_reason
def request_show(number: str) -> None:
    """Show what was asked, and what was answered."""
    from webmail.db import transaction
    from webmail.privacy.requests import asking

    with _plainly(), database(), transaction():
        one = asking.one(_master(), _id(number))
    for name, said in (("asked", one.words), ("longer", one.extension), ("answer", one.answer)):
        if said:
            click.echo(f"{name}: {said}")


@request.command("add")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--source", type=click.Choice(["mail", "letter", "other"]), default="mail", show_default=True)
@click.option("--address", help="The address here of the person, if they have one.")
@_words
@_by
@with_reason
def request_add(kind: str, source: str, address: str | None, words: str, by: str, operator: Operator) -> None:
    """Write down what came by mail, on paper, or for somebody; its id. Who asks is to be checked after that."""
    from webmail.db import show_id, transaction
    from webmail.privacy.requests import asking

    said = _said(words)
    with _plainly(), database():
        admin, person = _admin(by), owner_of(address)[1] if address else None
        with transaction():
            number = asking.enter(
                _master(), kind, source, said, by=admin, account_id=person, actor=operator.actor
            )
    click.echo(show_id(number))


@request.command("identify")
@click.argument("number", metavar="ID")
@click.option("--address", help="Their address here, if they have one.")
@_by
@with_reason
def request_identify(number: str, address: str | None, by: str, operator: Operator) -> None:
    """Note that it was checked who asks."""
    from webmail.db import transaction
    from webmail.privacy.requests import asking

    with _plainly(), database():
        admin, person = _admin(by), owner_of(address)[1] if address else None
        with transaction():
            asking.identify(_id(number), by=admin, account_id=person, actor=operator.actor)
    click.echo("noted")


@request.command("restrict")
@click.argument("number", metavar="ID")
@click.option("--why", required=True, type=click.Choice(["accuracy", "unlawful", "claims", "objection"]))
@_by
@with_reason
def request_restrict(number: str, why: str, by: str, operator: Operator) -> None:
    """Obey a request for restriction: from now on the person's data is only kept."""
    from webmail.db import transaction
    from webmail.privacy.restricting import stopping

    with _plainly(), database():
        admin = _admin(by)
        with transaction():
            stopping.restrict_for(_id(number), why, stopping.SCOPES, by=admin, actor=operator.actor)
    click.echo("restricted")


@request.command("object")
@click.argument("number", metavar="ID")
@click.option("--purpose", required=True, type=click.Choice(["abuse", "troubleshoot", "reliability"]))
@_by
@with_reason
def request_object(number: str, purpose: str, by: str, operator: Operator) -> None:
    """Note what a person objects to: what can stop stops, and the answer decides."""
    from webmail.db import transaction
    from webmail.privacy.restricting import stopping

    with _plainly(), database():
        admin = _admin(by)
        with transaction():
            stopping.object_for(_id(number), purpose, by=admin, actor=operator.actor)
    click.echo("noted")


@request.command("extend")
@click.argument("number", metavar="ID")
@_words
@_by
@with_reason
def request_extend(number: str, words: str, by: str, operator: Operator) -> None:
    """Take two months more, once, with reasons that the person is told."""
    from webmail.db import transaction
    from webmail.privacy.requests import asking

    said = _said(words)
    with _plainly(), database():
        admin = _admin(by)
        with transaction():
            asking.extend(_master(), _id(number), said, by=admin, actor=operator.actor)
    click.echo("extended")


@request.command("answer")
@click.argument("number", metavar="ID")
@_words
@_by
@with_reason
def request_answer(number: str, words: str, by: str, operator: Operator) -> None:
    """Answer: it was done. Once, for good."""
    _answer(number, words, by, operator, refused=False)


@request.command("refuse")
@click.argument("number", metavar="ID")
@_words
@_by
@with_reason
def request_refuse(number: str, words: str, by: str, operator: Operator) -> None:
    """Refuse, with reasons; how to complain is added by itself. Once, for good."""
    _answer(number, words, by, operator, refused=True)


def _answer(number: str, words: str, by: str, operator: Operator, *, refused: bool) -> None:
    from webmail.db import transaction
    from webmail.privacy.requests import asking
    from webmail.privacy.restricting import stopping

    said = _said(words)
    if refused and said.strip():
        said = f"{said.strip()}\n\n{COMPLAINT}"
    with _plainly(), database():
        admin = _admin(by)
        with transaction():
            asking.answer(_master(), _id(number), said, refused=refused, by=admin, actor=operator.actor)
            if refused:
                stopping.refused(_id(number), by=admin, actor=operator.actor)
    click.echo("refused" if refused else "answered")


# --- shared --------------------------------------------------------------------------------------------------------------


@contextmanager
def _plainly() -> Iterator[None]:
    """Refusals in a line."""
    from webmail.errors import NotFound
    from webmail.privacy.requests.asking import RequestRefused
    from webmail.privacy.restricting.stopping import StopRefused

    try:
        yield
    except (RequestRefused, StopRefused) as refusal:
        raise click.ClickException(f"not done: {_WHY.get(refusal.reason, refusal.reason)}") from None
    except NotFound:
        raise click.ClickException("there is no such open request of somebody who is known") from None


def _admin(address: str) -> int:
    from webmail.db import rows, transaction

    account_id = owner_of(address)[1]
    with transaction():
        found = rows(_IS_ADMIN, {"account": account_id})
    if not found:
        raise click.ClickException(f"{address} is no admin")
    return account_id


_IS_ADMIN = "SELECT 1 FROM account_role WHERE account_id = %(account)s AND role = 'admin'"


def _id(shown: str) -> int:
    from webmail.db import read_id

    return read_id(shown)


def _said(words: str) -> str:
    return sys.stdin.read() if words == "-" else words


def _master() -> MasterKeys:
    from webmail.keys import MasterKeys

    return MasterKeys.from_settings(config.read())
