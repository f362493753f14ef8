"""Telling owners that their mail was opened. One transaction an access: it is told and noted, or neither."""

import logging

from sqlalchemy.exc import OperationalError

from webmail import jobs
from webmail.db import transaction
from webmail.governance.access import telling
from workers.context import core, master

log = logging.getLogger(__name__)


def is_due() -> bool:
    """Whether somebody is to be told. In a transaction."""
    return bool(telling.due(1))


def drain() -> int:
    """Tell whoever is to be told now; how many were. Safe to run many times at once."""
    done, failed = 0, set[tuple[int, int]]()
    with core().app_context():
        jobs.answered(jobs.OWNERS)
        origin = core().extensions["settings"].origin
        while True:
            with transaction():
                waiting = [one for one in telling.due(20 + len(failed)) if one not in failed]
            if not waiting:
                return done
            for mailbox_id, grant_id in waiting:
                try:
                    with transaction(mailbox_id):
                        done += telling.tell(master(), mailbox_id, grant_id, origin=origin)
                except OperationalError:
                    raise  # the database is away: it is due again
                except Exception as error:
                    failed.add((mailbox_id, grant_id))
                    log.error("owner not told", extra={"grant": grant_id, "error": type(error).__name__})
