"""`mtumail queue`: what waits, what was put aside, and holding mail back, from the command line."""

import click

from webmail.commands.database import database
from webmail.commands.reasons import Operator, with_reason
from webmail.errors import NotFound, Refused

_QUEUES = {"sending": "send", "filing": "file"}


@click.group()
def queue() -> None:
    """What waits and since when, what was put aside, pausing and going on. Reads DATABASE_URL (the role mtumail_owner)."""


@queue.command("list")
@click.option("--parked", is_flag=True, help="What was put aside, latest first, instead of counts.")
@click.option("--kind", default="", help="Only this kind of work.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="So many pieces.")
def queue_list(parked: bool, kind: str, limit: int) -> None:
    """Show each kind of work: due, later or in hand, put aside, and since when the oldest is due."""
    from webmail.db import show_id, transaction
    from webmail.operations import queues

    with database(), transaction():
        if parked:
            for one in queues.parked(kind, limit=limit)[0]:
                mailbox = show_id(one.mailbox_id) if one.mailbox_id else "-"
                click.echo(
                    f"{one.kind} {mailbox} {show_id(one.item_id)} {one.parked_at:%Y-%m-%d %H:%M} {one.attempts} {one.problem}"
                )
            return
        for line in queues.queues():
            if kind in ("", line.kind):
                since = f" since {line.since:%Y-%m-%d %H:%M}" if line.since else ""
                paused = " paused" if line.is_paused else ""
                click.echo(
                    f"{line.kind} due {line.waiting}{since} later {line.planned} aside {line.parked}{paused}"
                )


@queue.command("retry")
@click.argument("kind")
@click.argument("mailbox", required=False)
@click.argument("item", required=False)
@with_reason
def queue_retry(kind: str, mailbox: str | None, item: str | None, operator: Operator) -> None:
    """Try again what was put aside of KIND: all of it, or one piece by its MAILBOX (- for none) and ITEM, as `list` shows them."""
    from webmail.db import transaction
    from webmail.operations import queues

    if kind in queues.FINAL:
        raise click.ClickException(
            f"{kind} is not tried again: its author was told, and may have sent it anew"
        )
    with database(), transaction():
        if mailbox is None or item is None:
            click.echo(f"{queues.retry_all(kind, actor=operator.actor)} tried again")
            return
        with _one(kind, item):
            queues.retry(kind, *_ids(mailbox, item), actor=operator.actor)
        click.echo("tried again")


@queue.command("forget")
@click.argument("kind")
@click.argument("mailbox")
@click.argument("item")
@with_reason
def queue_forget(kind: str, mailbox: str, item: str, operator: Operator) -> None:
    """Let go of one piece that was put aside; what it was about stays as it is."""
    from webmail.db import transaction
    from webmail.operations import queues

    with database(), transaction(), _one(kind, item):
        queues.forget(kind, *_ids(mailbox, item), actor=operator.actor)
        click.echo("forgotten")


@queue.command("pause")
@click.argument("name", type=click.Choice(sorted(_QUEUES)))
@with_reason
def queue_pause(name: str, operator: Operator) -> None:
    """Hold mail back: `sending`, what people send waits in the outbox; `filing`, what comes is kept and filed later."""
    from webmail.db import transaction
    from webmail.operations import queues

    with database(), transaction():
        queues.pause(_QUEUES[name], actor=operator.actor, reason=operator.reason)
        held = sum(count for (state, _age), count in queues.ages(_QUEUES[name]).items() if state == "held")
        click.echo(f"{name} is paused; {held} in hand")


@queue.command("resume")
@click.argument("name", type=click.Choice(sorted(_QUEUES)))
@with_reason
def queue_resume(name: str, operator: Operator) -> None:
    """Let it go on."""
    from webmail.db import transaction
    from webmail.operations import queues

    with database(), transaction():
        changed = queues.resume(_QUEUES[name], actor=operator.actor, reason=operator.reason)
        click.echo(f"{name} goes on{'' if changed else ', as before'}")


def _ids(mailbox: str, item: str) -> tuple[int | None, int]:
    from webmail.db import read_id

    return None if mailbox == "-" else read_id(mailbox), read_id(item)


class _one:
    """Turns a refusal into one clear line."""

    def __init__(self, kind: str, item: str) -> None:
        self.what = f"{kind} {item}"

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NotFound | Refused):
            raise click.ClickException(f"{self.what}: there is nothing put aside of that name") from None
