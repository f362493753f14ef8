"""Submitting drafts whose time has come. One transaction a draft: it is in the outbox and a draft no more, or nothing happened."""

import logging
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import KeyTrouble
from webmail.sending import later, outbox
from workers.context import claimed, core, keys_of

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=1)
ATTEMPTS = 12
"""With the outbox's waits between them, more than a day: then its author is told."""


def drain() -> int:
    """Submit every draft that is due; how many were looked at. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.SUBMIT)
        while claim := claimed(work.SUBMIT, LEASE):
            _one(claim)
            done += 1
    return done


def _one(claim: work.Claim) -> None:
    try:
        if claim.attempts > ATTEMPTS:
            with transaction(claim.mailbox_id):
                later.give_up(claim)
            log.error("set aside", extra={"mailbox": claim.mailbox_id, "item": claim.item_id})
            return
        with transaction(claim.mailbox_id):
            became = later.submit(keys_of(claim), claim)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except Exception as error:
        level = logging.CRITICAL if isinstance(error, KeyTrouble) else logging.ERROR
        told = {"mailbox": claim.mailbox_id, "item": claim.item_id, "error": type(error).__name__}
        log.log(level, "submitting failed", extra=told)
        with transaction(claim.mailbox_id):
            work.again(claim, outbox.retry_after(claim.attempts), "error")
        return
    log.info("submitted", extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "became": became})
