"""Sending what is in the outbox, over one connection for a batch. Nothing is lost; only the last window may repeat, flagged."""

import json
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.config import Settings
from webmail.db import transaction
from webmail.errors import KeyTrouble, MtumailError
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.governance.quarantine import marking
from webmail.keys import MailboxKeys, open_mailbox
from webmail.mail import fingerprint, messages
from webmail.mail.mailboxes import WorkerJob
from webmail.operations import deliveries
from webmail.sending import bounces, leaving, outbox, roads
from webmail.sending.relay import Forgetful, Outcome, RecipientOutcome, Relays, RelaySettings, Rest
from webmail.sending.relay.several import LONGEST_REST
from webmail.sending.ways import Ways
from webmail.settings import domains
from workers.context import claimed_many, core, master

log = logging.getLogger(__name__)
WAITS = timedelta(seconds=60)
"""How long what was claimed waits for its turn in a batch; what kills its worker delays the others by no more."""
ATTEMPTS = 45
"""More than five days of the outbox's waits can hold, so more failures than that are ours, not the relay's."""
TURN_SECONDS = 15.0
"""Then the job ends and rings for the next, so that a stop never waits for a long queue."""
LANES = 3
"""Connections that a long queue leaves by: while one waits for the relay or for a commit, the others go on."""
LANE_MESSAGES = 4
"""After so many without a pause the queue is long: the next lane is opened, and more is claimed at once."""
BATCH = 8


def drain() -> int:
    """Send what is due, for 15 seconds at the most; how many submissions were attempted. Safe to run many times at once."""
    with core().app_context():
        jobs.answered(jobs.SEND)
        turn = _Turn(*routes(core().extensions["settings"]))
        done = turn.run()
        if turn.is_over:
            jobs.ring(jobs.SEND)
    return done


def routes(settings: Settings) -> tuple[tuple[RelaySettings, ...], tuple[RelaySettings, ...]]:
    """The relays, and the way to our own inbound server where there is one. Raises SettingError."""
    outward = roads.outward(settings, master())
    if not settings.local_url:
        return outward, ()
    return outward, RelaySettings.for_host(settings.local_url, settings.host_name, "MTUMAIL_LOCAL_URL")


class _Turn:
    """One job's work: a lane that sends one message after the other over a connection of its own, and more if many wait."""

    def __init__(self, outward: tuple[RelaySettings, ...], inward: tuple[RelaySettings, ...]) -> None:
        self.is_over = False
        """Whether the time was up, so that there may be work left."""
        self._outward, self._inward = outward, inward
        self._rests = _Rests(outward + inward)
        self._until = time.monotonic() + TURN_SECONDS
        self._pool = ThreadPoolExecutor(max(1, LANES - 1), "lane")
        self._widening = threading.Lock()
        self._more: list[Future[int]] = []
        self._ended = self._is_wide = False

    def run(self) -> int:
        """Send until nothing is due, the time is up, or every relay rests; how many submissions were attempted."""
        with self._pool:
            try:
                done = self._lane()
            except BaseException:
                self._ended = True  # the others finish their message and no more
                raise
            finally:
                with self._widening:
                    self._is_wide = True
        return done + sum(lane.result() for lane in self._more)

    def _lane(self) -> int:
        done = 0
        with core().app_context(), self._ways() as ways:
            with transaction():
                secret = open_secret(master())
            while not self._stops(ways):
                batch = claimed_many(work.SEND, BATCH if done >= LANE_MESSAGES else 1, WAITS)
                if not batch:
                    break
                while batch and not self._stops(ways):
                    _one(batch.pop(0), ways, secret)
                    done += 1
                    self.is_over = self.is_over or time.monotonic() >= self._until
                if batch:
                    _give_back(batch)
                if done == LANE_MESSAGES:
                    self._widen()
            _count(ways.outward)
        return done

    def _stops(self, ways: Ways) -> bool:
        return self._ended or self.is_over or ways.outward.resting

    def _ways(self) -> Ways:
        inward = Relays(self._inward, self._rests, on_rest=_warn) if self._inward else None
        return Ways(Relays(self._outward, self._rests, on_rest=_warn), inward)

    def _widen(self) -> None:
        with self._widening:
            if len(self._more) < LANES - 1 and not self._is_wide:
                self._more.append(self._pool.submit(self._lane))


class _Rests(Forgetful):
    """Which relays rest, told to the next jobs by way of Redis; what is lost there costs each relay one try too many.

    Who can write there must not stop the mail: a rest is believed for fifteen minutes at the most.
    """

    def __init__(self, relays: tuple[RelaySettings, ...]) -> None:
        super().__init__()
        for one in relays:
            super().write(one.name, _recalled(one.name))

    def write(self, name: str, rest: Rest | None) -> None:
        super().write(name, rest)
        client = jobs.bell.redis
        if client is None:
            return
        try:
            if rest is None:
                client.delete(_rest_key(name))
            else:
                # It outlives the rest itself, so that a failure right after it is known for the next in a row.
                client.set(_rest_key(name), json.dumps([rest.failures, rest.until]), ex=int(2 * LONGEST_REST))
        except (RedisError, OSError):
            log.warning("bell unreachable", extra={"job": "rest"})


def _rest_key(name: str) -> str:
    return f"mtumail:relay-rests:{name}"


def _recalled(name: str) -> Rest | None:
    client = jobs.bell.redis
    try:
        told: Any = json.loads(client.get(_rest_key(name)) or "null") if client else None
        failures, until = told or (0, 0.0)
        if type(failures) is int and type(until) is float and failures > 0:
            return Rest(min(failures, 100), min(until, time.time() + LONGEST_REST), "session")
    except (RedisError, OSError, ValueError, TypeError):
        log.warning("bell unreachable", extra={"job": "rest"})
    return None


def _warn(name: str, rest: Rest) -> None:
    """A relay in trouble is an administrator's business: mail waits, and a wrong password does not mend itself."""
    level = logging.CRITICAL if rest.trouble == "sign-in" else logging.ERROR
    facts = {"relay": name, "trouble": rest.trouble, "failures": rest.failures}
    log.log(level, "relay rests", extra=facts | {"seconds": round(rest.until - time.time())})


def _count(relays: Relays) -> None:
    """Write down how what was handed over was encrypted: once a lane, for numbers that may miss some where a worker is killed."""
    told = {key: number for key, number in relays.handed.items() if number}
    if told:
        with transaction():
            for (name, version), number in told.items():
                deliveries.encrypted(name, version, number)


def _hosted() -> Sequence[str]:
    with transaction():
        return domains.names()


def _give_back(claims: Sequence[work.Claim]) -> None:
    with transaction():
        for claim in claims:
            work.forgive(claim)


def _one(claim: work.Claim, ways: Ways, secret: CaseSecret) -> None:
    if claim.attempts > ATTEMPTS:
        _set_aside(claim, "poison")
        return
    try:
        about = leaving.begin(claim)
        if isinstance(about, leaving.Stays):
            with transaction(claim.mailbox_id):
                leaving.leave_be(claim, about)
            return
        keys = open_mailbox(
            master(), claim.mailbox_id, WorkerJob(claim.kind, claim.mailbox_id, about.wrapped_keys)
        )
        raw = messages.opened_source(keys, about.message_id, about.content_key, about.sealed)
        mark = marking.reference_mark(secret, fingerprint.reference(raw))
        parts = ways.parts(about.recipients, _hosted() if ways.inward else ())
        for number, (relays, recipients) in enumerate(parts, 1):
            outcome = _attempt(about, raw, relays, recipients, mark, is_last=number == len(parts))
            _warn_of(keys, outcome)
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


def _attempt(
    about: leaving.Leaving,
    raw: bytes,
    relays: Relays,
    recipients: Sequence[str],
    mark: bytes | None,
    *,
    is_last: bool,
) -> Outcome:
    """One try for those who go one way. The rows say `handed` before the last dot is written, and the outcome after the reply."""

    claim = about.claim

    def before_dot() -> None:
        if not leaving.hand_over(about, relays.accepted, mark):
            raise LeaseLost("lease")

    outcome = relays.send(about.envelope_from, recipients, raw, before_dot=before_dot)
    answers = [_answer(item) for item in outcome.recipients]
    if not (is_last and _is_sent(about, answers)):
        with transaction(claim.mailbox_id):
            if not leaving.note(about, answers):
                raise LeaseLost("lease")
            if is_last:
                leaving.settle(about)
    log.info(
        "attempted",
        extra={
            "mailbox": claim.mailbox_id,
            "item": claim.item_id,
            "recipients": len(outcome.recipients),
            "relay": outcome.relay,
        },
    )
    return outcome


def _is_sent(about: leaving.Leaving, answers: Sequence[leaving.Answer]) -> bool:
    """Whether all was sent, and is written down so: nearly always. What it leaves to settle can be noted once more."""
    if any(one.kind != "sent" for one in answers):
        return False
    word = leaving.note_sent(about, answers)
    if word == "lost":
        raise LeaseLost("lease")
    return word == "finished"


def _answer(item: RecipientOutcome) -> leaving.Answer:
    # What we found out by ourselves has a status beside our words, where a relay's reply holds its own.
    reply = item.reply if item.code else f"{item.enhanced} {item.reply}".strip()
    return leaving.Answer(item.address, item.kind, item.code, reply)


def _warn_of(keys: MailboxKeys, outcome: Outcome) -> None:
    """Have whoever writes next to an address that leads nowhere be told. After the outcome is kept, and one address in a
    transaction: nothing that this waits for may undo, or delay, the note of what left."""
    for item in outcome.recipients:
        if item.kind == "failed":
            with transaction(keys.mailbox_id):
                bounces.refused(keys, item.address, item.code, item.reply)


class LeaseLost(MtumailError):
    """Another worker holds the row now: nothing of ours may be written any more."""


def _put_off(claim: work.Claim) -> None:
    """Something of ours failed: try again later, as after a temporary failure of the relay."""
    if claim.attempts >= ATTEMPTS:
        _set_aside(claim, "error")
        return
    with transaction(claim.mailbox_id):
        if work.holds(claim):
            leaving.put_off(claim, outbox.retry_after(claim.attempts))


def _set_aside(claim: work.Claim, problem: str) -> None:
    with transaction(claim.mailbox_id):
        if not work.holds(claim):
            return
        leaving.give_up(claim, problem)
    log.error("set aside", extra={"mailbox": claim.mailbox_id, "item": claim.item_id, "problem": problem})
