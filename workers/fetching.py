"""What readers ask of strangers' servers: remote pictures, and leaving a list with one click.

No transaction is open while the network is waited for: what is needed is read, then asked for, then kept if the lease still
holds. Killed anywhere, it is done again; a list's server may then be asked twice, which RFC 8058 allows for.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from webmail import jobs, work
from webmail.db import transaction
from webmail.errors import KeyTrouble, NotFound
from webmail.mail import pictures, reading, remote_pictures, unsubscribing
from webmail.remote import Budget, Client, Failed, Limits
from workers.context import claimed, core, keys_of

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
TURN_SECONDS = 20.0
"""Then the job ends and rings for the next, so that a stop never waits for a long queue."""
TRIES = 4
MESSAGE_SECONDS = (10.0, 20.0, 30.0, 30.0)
"""For all pictures of a message, by try: slow hosts wait for more time in the queue, not in front of it."""
PICTURE_WAITS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
UNSUBSCRIBE_WAITS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
THREADS = 6
MESSAGE_BYTES = 25_000_000
ONE_CLICK = {"List-Unsubscribe": "One-Click"}  # RFC 8058, 3.1


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of work here: what one claim does, and what is left when it cannot be done."""

    name: str
    act: Callable[[work.Claim], None]
    give_up: Callable[[work.Claim, str], None]


def drain_pictures() -> int:
    """Fetch what readers want to see, for 20 seconds and the message begun in them; how many messages were tried."""
    return _drain(Family(work.FETCH, _fetch, _no_pictures))


def drain_unsubscriptions() -> int:
    """Ask lists' servers what readers asked for, for 20 seconds; how many were tried."""
    return _drain(Family(work.UNSUBSCRIBE, _unsubscribe, _no_unsubscription))


def _drain(family: Family) -> int:
    done = 0
    with core().app_context():
        jobs.answered(family.name)
        until = time.monotonic() + TURN_SECONDS
        while time.monotonic() < until:
            claim = claimed(family.name, LEASE)
            if claim is None:
                return done
            _one(claim, family)
            done += 1
        jobs.ring(family.name)
    return done


def _one(claim: work.Claim, family: Family) -> None:
    if claim.attempts > TRIES:
        _end(claim, family, "killed")
        return
    about = {"job": family.name, "mailbox": claim.mailbox_id, "item": claim.item_id}
    try:
        family.act(claim)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except NotFound:
        _end(claim, family, "gone")
    except KeyTrouble as error:
        log.critical("key trouble", extra=about | {"error": type(error).__name__})
        _end(claim, family, "keys")
    except Exception as error:
        log.error("fetching failed", extra=about | {"error": type(error).__name__})
        if claim.attempts >= TRIES:
            _end(claim, family, "error")
            return
        with transaction(claim.mailbox_id):
            work.again(claim, PICTURE_WAITS[claim.attempts - 1], "error")


def _end(claim: work.Claim, family: Family, problem: str) -> None:
    """Tell the reader that it did not work. No row is parked: the next press is a new try."""
    with transaction(claim.mailbox_id):
        if work.holds(claim):
            family.give_up(claim, problem)
            work.finish(claim)
    log.warning(
        "given up",
        extra={"job": family.name, "mailbox": claim.mailbox_id, "item": claim.item_id, "problem": problem},
    )


def _client() -> Client:
    client: Client | None = core().extensions.get("remote")
    return client or Client()


# --- pictures ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a picture did not come, as a code: of `webmail.remote`, of `pictures` behind `picture-`, or `gone`."""

    problem: str
    may_pass: bool = False


@dataclass(slots=True)
class Haul:
    """What came of the pictures of one message, by number."""

    kept: dict[int, remote_pictures.Kept] = field(default_factory=dict)
    failed: dict[int, Trouble] = field(default_factory=dict)


def _fetch(claim: work.Claim) -> None:
    mailbox_id, message_id = claim.mailbox_id, claim.item_id
    with transaction(mailbox_id):
        if not work.holds(claim):
            return
        wanted = remote_pictures.wanted(mailbox_id, message_id)
        if not wanted:
            work.finish(claim)
            return
        urls = dict(reading.layout(keys_of(claim), message_id).images)
        spent = remote_pictures.state(mailbox_id, message_id).original_bytes
    began = time.monotonic()
    seconds = MESSAGE_SECONDS[claim.attempts - 1]
    haul = _haul(_client(), wanted, urls, Budget(MESSAGE_BYTES - spent), began + seconds)
    with transaction(mailbox_id):
        if not work.holds(claim):
            log.warning("lease lost", extra={"mailbox": mailbox_id, "item": message_id})
            return
        remote_pictures.keep(keys_of(claim), message_id, haul.kept)
        _settle(claim, haul)
    log.info(
        "pictures",
        extra={
            "mailbox": mailbox_id,
            "item": message_id,
            "wanted": len(wanted),
            "kept": len(haul.kept),
            "bytes": sum(item.original_bytes for item in haul.kept.values()),
            "problems": sorted({item.problem for item in haul.failed.values()}),
            "seconds": round(time.monotonic() - began, 2),
        },
    )


def _haul(
    client: Client, wanted: Mapping[int, int], urls: Mapping[int, str], budget: Budget, deadline: float
) -> Haul:
    """Fetch and reduce all of them, a few at a time; what is not begun by the deadline is slow."""
    haul = Haul()

    def one(number: int) -> remote_pictures.Kept | Trouble:
        if number not in urls:
            return Trouble("gone")
        left = deadline - time.monotonic()
        if left <= 0:
            return Trouble("slow", may_pass=True)
        answer = client.get(urls[number], Limits(whole=min(left, Limits().whole), budget=budget))
        if isinstance(answer, Failed):
            return Trouble(answer.short, answer.temporary)
        small = pictures.shrink(answer.content, wanted[number])
        if isinstance(small, pictures.Refused):
            return Trouble(f"picture-{small.code}", small.code == "busy")
        return remote_pictures.Kept(
            small.content_type, small.content, small.width, small.height, len(answer.content)
        )

    with ThreadPoolExecutor(THREADS) as pool:
        for number, result in zip(wanted, pool.map(one, wanted), strict=True):
            if isinstance(result, Trouble):
                haul.failed[number] = result
            else:
                haul.kept[number] = result
    return haul


def _settle(claim: work.Claim, haul: Haul) -> None:
    """Note what failed, and give the work back if there is more to do. The work's row is locked: what is wanted now is all."""
    mailbox_id, message_id = claim.mailbox_id, claim.item_id
    may_pass = {number: item.problem for number, item in haul.failed.items() if item.may_pass}
    lasting = {number: item.problem for number, item in haul.failed.items() if not item.may_pass}
    is_last = claim.attempts >= TRIES
    remote_pictures.fail(mailbox_id, message_id, lasting)
    remote_pictures.fail(mailbox_id, message_id, may_pass, for_good=is_last)
    left = remote_pictures.wanted(mailbox_id, message_id).keys()
    if not left:
        work.finish(claim)
    elif left - may_pass.keys():
        work.forgive(claim)  # wanted while the others were fetched
    else:
        work.again(claim, PICTURE_WAITS[claim.attempts - 1], "waiting")


def _no_pictures(claim: work.Claim, problem: str) -> None:
    wanted = remote_pictures.wanted(claim.mailbox_id, claim.item_id)
    remote_pictures.fail(claim.mailbox_id, claim.item_id, dict.fromkeys(wanted, problem))


# --- leaving lists -------------------------------------------------------------------------------------------------------


def _unsubscribe(claim: work.Claim) -> None:
    mailbox_id, message_id = claim.mailbox_id, claim.item_id
    with transaction(mailbox_id):
        if not work.holds(claim):
            return
        if not unsubscribing.waiting(mailbox_id, message_id):
            work.finish(claim)
            return
        offer = reading.load(keys_of(claim), message_id).offer
    answer = _client().post_form(offer.post if offer else "", ONE_CLICK)
    if isinstance(answer, int) and not 200 <= answer < 300:
        answer = Failed("status", answer)
    with transaction(mailbox_id):
        if not work.holds(claim):
            log.warning("lease lost", extra={"mailbox": mailbox_id, "item": message_id})
            return
        if isinstance(answer, int):
            unsubscribing.done(mailbox_id, message_id, answer)
            work.finish(claim)
        elif answer.temporary and claim.attempts < TRIES:
            work.again(claim, UNSUBSCRIBE_WAITS[claim.attempts - 1], answer.short)
        else:
            unsubscribing.failed(mailbox_id, message_id, answer.code, answer.status or None)
            work.finish(claim)
    said = answer.short if isinstance(answer, Failed) else f"status-{answer}"
    log.info("unsubscription", extra={"mailbox": mailbox_id, "item": message_id, "answer": said})


def _no_unsubscription(claim: work.Claim, problem: str) -> None:
    unsubscribing.failed(claim.mailbox_id, claim.item_id, problem)
