"""What jobs run in: the core application of this process, made once before RQ forks; and how they come to their work."""

from datetime import timedelta
from functools import lru_cache

from flask import Flask

from webmail import config, create_core, work
from webmail.db import transaction
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail.mailboxes import WorkerJob


@lru_cache(maxsize=1)
def core() -> Flask:
    """The core application of this process."""
    return create_core(config.read(), "worker")


def master() -> MasterKeys:
    """The master keys of this process."""
    keys: MasterKeys = core().extensions["master_keys"]
    return keys


def claimed(kind: str, lease: timedelta) -> work.Claim | None:
    """The next piece of work of this kind that is due, held for `lease`; None when there is none. One a lease: what kills its
    worker delays nothing else."""
    with transaction():
        claims = work.claim(kind, 1, lease)
    return claims[0] if claims else None


def keys_of(claim: work.Claim) -> MailboxKeys:
    """The keys of the mailbox whose work is held, opened in its transaction."""
    return open_mailbox(master(), claim.mailbox_id, WorkerJob(claim.kind, claim.mailbox_id))
