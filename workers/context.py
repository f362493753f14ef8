"""What jobs run in: the core application of this process, made once before RQ forks; and how they come to their work."""

import mmap
from datetime import timedelta
from functools import lru_cache

from flask import Flask

from webmail import config, create_core, work
from webmail.db import transaction
from webmail.governance.quarantine import models as _models  # noqa: F401  (rows of messages refer to its table)
from webmail.keys import MailboxKeys, MasterKeys, open_mailbox
from webmail.mail.mailboxes import WorkerJob
from webmail.operations import queues


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
    claims = claimed_many(kind, 1, lease)
    return claims[0] if claims else None


def claimed_many(kind: str, most: int, lease: timedelta) -> list[work.Claim]:
    """Up to `most` pieces of work of this kind that are due, held for `lease`; none while its queue is paused."""
    with transaction():
        return [] if is_closing() or queues.is_paused(kind) else list(work.claim(kind, most, lease))


def close() -> None:
    """Let every job end after the work that it holds, in all processes that were forked from this one: they claim nothing more."""
    _closing[0] = 1


def is_closing() -> bool:
    """True once this worker is to end."""
    return bool(_closing[0])


_closing = mmap.mmap(-1, 1)
"""A byte that forks share: the horse that does a job hears no signal of its own."""


def keys_of(claim: work.Claim) -> MailboxKeys:
    """The keys of the mailbox whose work is held, opened in its transaction."""
    return open_mailbox(master(), claim.mailbox_id, WorkerJob(claim.kind, claim.mailbox_id))
