"""Taking mail along and bringing it in: one step a transaction, so that what is killed goes on where it was."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import KeyTrouble
from webmail.keys import MailboxKeys
from webmail.privacy.export import making
from webmail.privacy.taking_in import taking
from workers.context import claimed, core, keys_of

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=120)
ATTEMPTS = 5

Step = Callable[[MailboxKeys, int], bool]
Fail = Callable[[int, int, str], None]


def drain_exports() -> int:
    """Make whatever was asked for, each a step in its turn; how many steps that were. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.EXPORT)
        while claim := claimed(work.EXPORT, LEASE):
            done += _one(claim, making.step, making.fail)
    return done


def drain_imports() -> int:
    """Read whatever was brought in, each a step in its turn; how many steps that were. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.IMPORT)
        while claim := claimed(work.IMPORT, LEASE):
            done += _import(claim)
    return done


def _import(claim: work.Claim) -> int:
    """After a step that did not return, messages are read one by one; the one that does not return either is set aside."""
    if claim.attempts == 1:
        return _one(claim, taking.step, taking.fail)
    with transaction(claim.mailbox_id):
        is_poison = work.holds(claim) and taking.is_deadly(claim.mailbox_id, claim.item_id)
    if is_poison:
        log.error("set aside", extra={"kind": claim.kind, "mailbox": claim.mailbox_id, "item": claim.item_id})

    def one(keys: MailboxKeys, number: int) -> bool:
        more = taking.step(keys, number, alone=True, is_poison=is_poison)
        if more and is_poison:
            work.plan(
                claim.kind, claim.mailbox_id, number, datetime.now(UTC)
            )  # the others are read as before
        return more

    return _one(claim, one, taking.fail)


def _one(claim: work.Claim, step: Step, fail: Fail) -> int:
    about = {"kind": claim.kind, "mailbox": claim.mailbox_id, "item": claim.item_id}
    try:
        with transaction(claim.mailbox_id):
            if not work.holds(claim):
                return 0
            if claim.attempts > ATTEMPTS:
                fail(claim.mailbox_id, claim.item_id, "error")
                work.finish(claim)
                log.error("given up", extra=about)
                return 0
            if step(keys_of(claim), claim.item_id):
                work.forgive(claim)  # the next step is the next turn
            else:
                work.finish(claim)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except Exception as error:
        level = logging.CRITICAL if isinstance(error, KeyTrouble) else logging.ERROR
        log.log(level, "step failed", extra=about | {"error": type(error).__name__})
        with transaction(claim.mailbox_id):
            work.again(claim, timedelta(seconds=5 * claim.attempts), "error")
        return 0
    return 1
