"""Sending what is in the outbox, over one connection for a batch. Nothing is lost; only the last window may repeat, flagged."""

import logging
import time
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import KeyTrouble, MtumailError
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.mailboxes import WorkerJob
from webmail.sending import outbox
from webmail.sending.relay import Relay, RelaySettings
from workers.context import core, master

log = logging.getLogger(__name__)
# A lease covers one message and no other: one that kills its worker again and again delays nobody else's.
LEASE = timedelta(minutes=15)
ATTEMPTS = 45
"""More than five days of the outbox's waits can hold, so more failures than that are ours, not the relay's."""
TURN_SECONDS = 15.0
"""Then the job ends and rings for the next, so that a stop never waits for a long queue."""


def drain() -> int:
    """Send what is due, for 15 seconds at the most; how many submissions were attempted. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.SEND)
        until = time.monotonic() + TURN_SECONDS
        with Relay(_relay_settings()) as relay:
            while time.monotonic() < until:
                with transaction():
                    claims = work.claim(work.SEND, 1, LEASE)
                if not claims:
                    return done
                _one(claims[0], relay)
                done += 1
        jobs.ring(jobs.SEND)
    return done


def _relay_settings() -> RelaySettings:
    """The relay, greeted by our own host name unless its URL says another."""
    settings = core().extensions["settings"]
    relay = RelaySettings.parse(settings.relay_url)
    return relay if relay.helo else replace(relay, helo=settings.host_name)


def _one(claim: work.Claim, relay: Relay) -> None:
    if claim.attempts > ATTEMPTS:
        _set_aside(claim, "poison")
        return
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
    except KeyTrouble as error:
        log.critical(
            "key trouble",
            extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "error": type(error).__name__},
        )
        _put_off(claim)
    except Exception as error:
        log.error(
            "sending failed",
            extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "error": type(error).__name__},
        )
        _put_off(claim)


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


def _put_off(claim: work.Claim) -> None:
    """Something of ours failed: try again later, as after a temporary failure of the relay."""
    if claim.attempts >= ATTEMPTS:
        _set_aside(claim, "error")
        return
    with transaction(claim.mailbox_id):
        if work.holds(claim):
            outbox.put_off(claim, outbox.retry_after(claim.attempts))


def _set_aside(claim: work.Claim, problem: str) -> None:
    with transaction(claim.mailbox_id):
        if not work.holds(claim):
            return
        outbox.give_up(claim, problem)
    log.error("set aside", extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "problem": problem})
