"""Actions by the clock: what has a last day ends, names that have rested are free, and notices leave when they are due."""

import logging

from sqlalchemy.exc import OperationalError

from webmail.db import transaction
from webmail.governance.actions import acting
from webmail.governance.cases import service
from webmail.governance.notices import mailing
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import WorkerJob
from workers.context import core, master

log = logging.getLogger(__name__)


def end_by_time() -> int:
    """End what is over; how many. One transaction."""
    with transaction():
        return acting.end_by_time()


def send_notices() -> int:
    """Mail every notice that is due, a transaction each; how many left. Safe to run many times at once."""
    origin, sent = core().extensions["settings"].origin, 0
    with transaction():
        home = service.ensure(master())
    tried = set[int]()
    while True:
        with transaction():
            waiting = [one for one in mailing.due(20 + len(tried)) if one not in tried]
        if not waiting:
            return sent
        for notice_id in waiting:
            tried.add(notice_id)
            try:
                with transaction(home):
                    keys = open_mailbox(master(), home, WorkerJob("notices", home))
                    sent += mailing.send(master(), keys, notice_id, origin=origin)
            except OperationalError:
                raise  # the database is away: it is due again
            except Exception as error:
                log.error("notice not mailed", extra={"notice": notice_id, "error": type(error).__name__})
                with transaction():
                    mailing.put_off(notice_id)
