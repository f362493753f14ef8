"""Holding and giving back, in pieces of one transaction each: who is killed between two leaves a place to go on from."""

import logging

from sqlalchemy.exc import OperationalError

from webmail import jobs, schedules
from webmail.db import transaction
from webmail.governance.quarantine import moving
from workers.context import core

log = logging.getLogger(__name__)


def is_due() -> bool:
    """Whether something is to be held or given back now. In a transaction."""
    return moving.is_due()


def drain() -> int:
    """Do all of it; how many pieces that were. Safe to run many times at once: a piece waits for the one before it."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.QUARANTINE)
        while _end_one():
            done += 1
        with transaction():
            waiting = moving.waiting()
        for quarantine_id in waiting:
            done += _all_of(quarantine_id)
        if done:
            with transaction():
                schedules.soon(schedules.ACTIONS)  # notices leave with those of other actions
                jobs.ring_after_commit(jobs.KEEP)
    return done


def _end_one() -> bool:
    with transaction():
        return moving.end_one_by_time()


def _all_of(quarantine_id: int) -> int:
    done, more = 0, True
    while more:
        try:
            with transaction():
                more = moving.step(quarantine_id)
        except OperationalError:
            raise  # the database is away, or another transaction went first: it is due again
        except Exception as error:
            log.error("not moved", extra={"quarantine": quarantine_id, "error": type(error).__name__})
            return done
        done += 1
    return done
