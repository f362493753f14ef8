"""Sending what is in the outbox, over one connection for a batch. Nothing is lost; only the last window may repeat, flagged."""

import logging
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import MtumailError
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.mailboxes import WorkerJob
from webmail.sending import outbox
from webmail.sending.relay import Relay, RelaySettings
from workers.context import core, master

log = logging.getLogger(__name__)
BATCH = 10
LEASE = timedelta(minutes=15)
ATTEMPTS = 60  # failures of our own, not of the relay: five days of them


def drain() -> int:
    """Send everything that is due; how many submissions were attempted. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.SEND)
        settings = RelaySettings.parse(core().extensions["settings"].relay_url)
        with Relay(settings) as relay:
            while True:
                with transaction():
                    claims = work.claim(work.SEND, BATCH, LEASE)
                if not claims:
                    return done
                for claim in claims:
                    _one(claim, relay)
                    done += 1


def _one(claim: work.Claim, relay: Relay) -> None:
    try:
        with transaction(claim.mailbox_id):
            if not work.holds(claim):
                return
            leaving = outbox.open_claim(claim)
            if leaving is None:
                work.finish(claim)
                return
            keys = open_mailbox(master(), claim.mailbox_id, WorkerJob("send", claim.mailbox_id))
            raw = messages.source(keys, leaving.message_id)
        _attempt(claim, leaving, raw, relay)
    except OperationalError:
        raise  # the database is away: the lease ends by itself, and what was handed over is flagged then
    except LeaseLost:
        log.warning("lease lost", extra={"mailbox": claim.mailbox_id, "item": claim.item_id})
    except Exception as error:
        _put_off(claim, type(error).__name__)


def _attempt(claim: work.Claim, leaving: outbox.Leaving, raw: bytes, relay: Relay) -> None:
    """One try with the relay. The rows say `handed` before the last dot is written, and the outcome after the reply."""

    def before_dot() -> None:
        with transaction(claim.mailbox_id):
            if not work.holds(claim):
                raise LeaseLost("lease")
            outbox.mark_handed(leaving, relay.accepted)

    outcome = relay.send(leaving.envelope_from, tuple(leaving.recipients), raw, before_dot=before_dot)
    with transaction(claim.mailbox_id):
        if not work.holds(claim):
            raise LeaseLost("lease")
        for item in outcome.recipients:
            outbox.note(leaving, item.address, item.kind, item.code, item.reply)
        outbox.settle(claim, leaving)
    log.info(
        "attempted",
        extra={
            "mailbox": claim.mailbox_id,
            "item": claim.item_id,
            "recipients": len(outcome.recipients),
        },
    )


class LeaseLost(MtumailError):
    """Another worker holds the row now: nothing of ours may be written any more."""


def _put_off(claim: work.Claim, error: str) -> None:
    """Something of ours failed: try again later, as after a temporary failure of the relay."""
    log.error(
        "sending failed", extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "error": error}
    )
    with transaction(claim.mailbox_id):
        if claim.attempts < ATTEMPTS:
            work.again(claim, outbox.retry_after(claim.attempts), "error")
        else:
            work.park(claim, "error")
