"""Signing the audit log: a checkpoint when it has grown, and each of them into the second place. May run twice at once."""

import logging
import time

from webmail import jobs
from webmail.audit import checkpoints
from webmail.db import transaction
from webmail.errors import Tampered
from webmail.keys import MasterKeys
from workers.context import core, master

log = logging.getLogger(__name__)


LOOK_SECONDS = 15.0
_looked = [-LOOK_SECONDS]


def nudge() -> bool:
    """For the clock, as often as it likes: look now and then whether there is something to do, and ring for it."""
    if time.monotonic() - _looked[0] < LOOK_SECONDS:
        return False
    _looked[0] = time.monotonic()
    with core().app_context():
        return is_due() and jobs.ring(jobs.CHECKPOINT)


def is_due() -> bool:
    """Whether there is something to sign, or to put into the second place."""
    settings = core().extensions["settings"]
    with transaction():
        stands = checkpoints.state()
    return stands.is_due(settings.checkpoint_minutes) or bool(settings.checkpoints and stands.unsent)


def drain() -> int:
    """Sign the log if it has grown, and send what has not been sent; how many went into the second place."""
    with core().app_context():
        jobs.answered(jobs.CHECKPOINT)
        settings = core().extensions["settings"]
        try:
            sign(master(), settings.log_origin)
        except Tampered:
            # What is signed already still goes where nobody can change it: it is wanted more than ever.
            log.critical("audit log tampered with")
        return send(settings.checkpoints) if settings.checkpoints else 0


def sign(keys: MasterKeys, origin: str) -> int | None:
    """Make a checkpoint of the log as it is; its size, None if the log has not grown. Raises Tampered."""
    with transaction():
        made = checkpoints.make(keys, origin)
    if made is not None:
        log.info("audit checkpoint", extra={"size": made.size})
    return made.size if made else None


def send(place: str) -> int:
    """Put what is unsent into the second place, oldest first; how many. One that is not taken stops the rest: order is evidence."""
    sent = 0
    with transaction():
        waiting = checkpoints.unsent()
    for size, note, at in waiting:
        try:
            checkpoints.send(place, size, note, at)
        except checkpoints.NotKept as error:
            log.error("audit checkpoint not kept", extra={"size": size, "problem": str(error)})
            break
        with transaction():
            checkpoints.sent(size)
        sent += 1
    return sent
