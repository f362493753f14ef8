"""Telling authors of mail that is late or has failed. One transaction a message: it is told and noted, or neither."""

import logging
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import KeyTrouble
from webmail.sending import notices, outbox
from workers.context import claimed, core, keys_of

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=1)
ATTEMPTS = 12


def drain() -> int:
    """Tell what is to be told now; how many submissions were looked at. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.TELL)
        while claim := claimed(work.TELL, LEASE):
            _one(claim)
            done += 1
    return done


def _one(claim: work.Claim) -> None:
    about = {"mailbox": claim.mailbox_id, "item": claim.item_id}
    if claim.attempts > ATTEMPTS:
        with transaction():
            work.park(claim, "error")
        log.error("set aside", extra=about)
        return
    try:
        with transaction(claim.mailbox_id):
            became = notices.tell(keys_of(claim), claim)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except Exception as error:
        level = logging.CRITICAL if isinstance(error, KeyTrouble) else logging.ERROR
        log.log(level, "telling failed", extra=about | {"error": type(error).__name__})
        with transaction(claim.mailbox_id):
            work.again(claim, outbox.retry_after(claim.attempts), "error")
        return
    log.info("told", extra=about | {"became": became})
