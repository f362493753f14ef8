"""What the service does by the clock: one run at a time of each schedule, however many workers there are."""

import logging
from collections.abc import Callable, Mapping

from sqlalchemy.exc import OperationalError

from webmail import jobs, samples, schedules
from webmail.db import transaction
from webmail.privacy import retention
from webmail.schedules import Run
from workers import acting, backing_up, domains, erasing, watching
from workers.context import core

log = logging.getLogger(__name__)


class Lost(Exception):
    """Another process has the run now."""


def run_due() -> list[str]:
    """Run every schedule whose time has come; their codes. Safe to run many times at once."""
    done = []
    with core().app_context():
        jobs.answered(jobs.KEEP)
        with transaction():
            codes = schedules.due(RUNS)
        for code in codes:
            with transaction():
                run = schedules.claim(code)
            if run is not None:
                done.append(code)
                _run(run)
    return done


def _run(run: Run) -> None:
    try:
        RUNS[run.code](run)
        outcome = "done"
    except (OperationalError, Lost):
        raise  # the lease ends by itself
    except Exception as error:
        log.error("schedule failed", extra={"schedule": run.code, "error": type(error).__name__})
        outcome = "failed"
    with transaction():
        schedules.finish(run, outcome, None if outcome == "done" else schedules.AGAIN)
    log.info("schedule ran", extra={"schedule": run.code, "outcome": outcome})


def go_on(run: Run) -> None:
    """Said inside each transaction of a long run: it is still ours. Raises Lost."""
    if not schedules.hold(run):
        raise Lost(run.code)


def _retain(run: Run) -> None:
    for rule in retention.RULES:
        with transaction():
            go_on(run)
            removed = retention.begin(rule)
        while not removed.is_all:
            with transaction():
                go_on(run)
                removed = retention.go_on(removed)


def _empty(run: Run) -> None:
    above = 0
    while True:
        with transaction():
            go_on(run)
            found = retention.folders_that_empty(above)
        if not found:
            return
        for folder in found:
            more = True
            while more:
                with transaction(folder.mailbox_id):
                    more = retention.empty_folder(folder) > 0
        above = found[-1].mailbox_id


def _act(_run: Run) -> None:
    acting.end_by_time()
    acting.send_notices()


def _sample(run: Run) -> None:
    with transaction():
        go_on(run)
        samples.write()


def _erase(run: Run) -> None:
    erasing.erase(lambda: go_on(run))


RUNS: Mapping[str, Callable[[Run], None]] = {
    schedules.RETENTION: _retain,
    schedules.EMPTYING: _empty,
    schedules.ERASING: _erase,
    schedules.ACTIONS: _act,
    schedules.BACKUP: lambda _run: backing_up.daily(),
    schedules.JOURNAL: lambda _run: backing_up.often(),
    schedules.DRILL: lambda _run: backing_up.monthly(),
    schedules.METRICS: _sample,
    schedules.SECRETS: lambda _run: watching.look(),
    schedules.DOMAINS: domains.look_daily,
    schedules.DELIVERIES: domains.fold,
}
