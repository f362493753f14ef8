"""Cases: mail to the service becomes one, what our watch noticed becomes one, and answers leave. Each step is one transaction."""

import logging
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import db, transaction
from webmail.errors import KeyTrouble
from webmail.governance.cases import events, letters, mailing, service
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import WorkerJob
from workers.context import claimed, core, keys_of, master

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
ATTEMPTS = 5


def drain() -> int:
    """Take in everything that waits, and send every answer that is due; how many that were. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.INTAKE)
        with transaction():
            service.ensure(master())
        while claim := claimed(work.INTAKE, LEASE):
            done += _mail(claim)
        done += _events()
        done += _letters()
    return done


def look() -> bool:
    """Whether there is something to do that is no row of work; by the clock, inside the application. Makes what cases need."""
    with transaction():
        service.ensure(master())
        return bool(db.session.execute(_WAITS).scalar())


_WAITS = text("SELECT case_waits()")


def _mail(claim: work.Claim) -> int:
    try:
        with transaction(claim.mailbox_id):
            if not work.holds(claim):
                return 0
            if claim.attempts > ATTEMPTS:
                work.park(claim, "poison")
                log.error("set aside", extra={"mailbox": claim.mailbox_id, "item": claim.item_id})
                return 0
            case_id = mailing.take_in(master(), keys_of(claim), claim.item_id)
            work.finish(claim)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except Exception as error:
        _tell("not taken in", claim.item_id, error)
        with transaction(claim.mailbox_id):
            work.again(claim, timedelta(seconds=10 * claim.attempts), "error")
        return 0
    log.info("taken in", extra={"item": claim.item_id, "case": case_id})
    return 1


def _events() -> int:
    done, more = 0, True
    while more:
        with transaction():
            count, more = events.take_new(master())
        done += count
    return done


def _letters() -> int:
    done = 0
    while True:
        with transaction():
            batch = letters.due()
        sent = sum(map(_letter, batch))
        done += sent
        if not sent:
            return done


def _letter(letter: letters.Letter) -> int:
    origin = core().extensions["settings"].origin
    try:
        with transaction(letter.mailbox_id):
            keys = None
            if not letter.here:
                keys = open_mailbox(master(), letter.mailbox_id, WorkerJob(work.INTAKE, letter.mailbox_id))
            return int(letters.send(master(), letter, keys, origin))
    except OperationalError:
        raise
    except Exception as error:
        _tell("letter not sent", letter.item_id, error)
        with transaction():
            letters.put_off(letter)
        return 0


def _tell(what: str, item_id: int, error: Exception) -> None:
    level = logging.CRITICAL if isinstance(error, KeyTrouble) else logging.ERROR
    log.log(level, what, extra={"item": item_id, "error": type(error).__name__})
