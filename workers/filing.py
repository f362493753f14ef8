"""Filing what came in. A message that kills its worker is set aside after the second time, and shown as unreadable."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, metrics, work
from webmail.db import db, transaction
from webmail.errors import KeyTrouble
from webmail.governance.cases import service
from webmail.governance.quarantine.marking import Marking
from webmail.keys import MailboxKeys
from webmail.mail import filing, vacation
from webmail.sending import bounces
from webmail.sending.vacation import answer
from workers.context import claimed, core, keys_of, master

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=20)
ATTEMPTS = 2


def drain() -> int:
    """File everything that is due; how many messages that were. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.FILE)
        while claim := claimed(work.FILE, LEASE):
            done += _one(claim)
    return done


def _one(claim: work.Claim) -> int:
    if claim.attempts > ATTEMPTS:
        _give_up(claim, "poison")
        return 0
    began = time.monotonic()
    try:
        with transaction(claim.mailbox_id):
            if not work.holds(claim):
                return 0
            keys, marking = keys_of(claim), Marking(master(), claim.item_id)
            if filing.file(keys, claim.item_id, marking) and not marking.hold():
                _beside("bounce not heeded", bounces.take, keys, claim.item_id)
                if vacation.is_on(claim.mailbox_id):
                    _beside("vacation failed", answer, keys, claim.item_id)
            _to_the_staff(claim)
            work.finish(claim)
    except OperationalError:
        _forgive(claim)
        raise  # this job ends; what it did not file rings again
    except KeyTrouble as error:
        log.critical(
            "key trouble",
            extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "error": type(error).__name__},
        )
        _give_up(claim, "keys")
        return 0
    except Exception as error:
        log.error(
            "filing failed",
            extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "error": type(error).__name__},
        )
        with transaction(claim.mailbox_id):
            work.again(claim, timedelta(seconds=1), "error")
        return 0
    metrics.observe("mail_filing_seconds", time.monotonic() - began)
    return 1


def _beside(
    trouble: str, work_on: Callable[[MailboxKeys, int], object], keys: MailboxKeys, message_id: int
) -> None:
    """Do what a message that was filed is the occasion of. What goes wrong in it is undone and logged as `trouble`, and the
    message is filed all the same; only trouble with the database is the caller's."""
    try:
        with db.session.begin_nested():
            work_on(keys, message_id)
    except OperationalError:
        raise
    except Exception as error:
        log.error(
            trouble,
            extra={"mailbox": keys.mailbox_id, "item": message_id, "error": type(error).__name__},
        )


def _forgive(claim: work.Claim) -> None:
    """The database went away, which says nothing of the message: once it is back, the attempt does not count."""
    until = time.monotonic() + LEASE.total_seconds()
    while time.monotonic() < until:
        try:
            with transaction():
                work.forgive(claim)
            return
        except OperationalError:
            time.sleep(0.5)


def _give_up(claim: work.Claim, problem: str) -> None:
    with transaction(claim.mailbox_id):
        filing.give_up(claim.mailbox_id, claim.item_id)
        _to_the_staff(claim)
        work.park(claim, problem)
    log.error("set aside", extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "problem": problem})


def _to_the_staff(claim: work.Claim) -> None:
    """What came to the service's own mailbox becomes a case next, also where it cannot be read."""
    if service.mailbox() == claim.mailbox_id:
        work.ask(work.INTAKE, claim.mailbox_id, claim.item_id)
        jobs.ring_after_commit(jobs.INTAKE)
