"""A mailbox as a command works with it: found by its address, opened with the master key."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webmail import config

if TYPE_CHECKING:
    from webmail.keys import MailboxKeys


def owner_of(address: str) -> tuple[int, int]:
    """The mailbox behind an address, and the account that has owned it longest. A usage error where there is none."""
    from webmail.db import rows, transaction
    from webmail.mail.addresses import AddressError, base_local, parse_spec

    try:
        spec = parse_spec(address)
    except AddressError:
        raise click.BadParameter(f"{address!r} is no address", param_hint="MAILBOX") from None
    with transaction():
        found = rows(_OWNER, {"local": base_local(spec.local), "domain": spec.domain})
    if not found:
        raise click.ClickException(f"there is no mailbox {address}")
    return found[0][0], found[0][1]


_OWNER = """
    SELECT mailbox_id, account_id FROM address JOIN domain USING (domain_id) JOIN mailbox_member USING (mailbox_id)
     WHERE local_part = %(local)s AND name = %(domain)s AND role = 'owner' ORDER BY since LIMIT 1"""


@contextmanager
def opened(mailbox_id: int) -> "Iterator[MailboxKeys]":
    """A transaction on the mailbox, with its keys."""
    from webmail.db import transaction
    from webmail.keys import MasterKeys, open_mailbox
    from webmail.mail.mailboxes import WorkerJob

    master = MasterKeys.from_settings(config.read())
    with transaction(mailbox_id):
        yield open_mailbox(master, mailbox_id, WorkerJob("command", mailbox_id))
