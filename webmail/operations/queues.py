"""Queues as whoever runs the service sees them: what waits and how long, what was put aside, what is held back; ids and codes.

In a transaction of the staff, or of the owner. A pause is a setting that workers ask for before they take a piece of work, so it
holds within seconds on every machine, and mail goes on being accepted and kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from webmail import audit, jobs, metrics, work
from webmail.db import rows
from webmail.errors import NotFound, Refused
from webmail.settings import kept

PAUSES: Final[Mapping[str, str]] = {
    work.SEND: "operations.pause_sending",
    work.FILE: "operations.pause_filing",
}
"""Kinds of work that can be held back, and the setting that says so."""
ERRAND: Final = "errand"
FINAL: Final = frozenset({work.SEND, work.SUBMIT})
"""Kinds that are not tried again: their author was told that it failed, and may have sent it anew."""
STATES: Final = ("held", "waiting", "deferred", "planned")
AGES: Final = ("minutes", "hour", "day", "older")
PAGE: Final = 50


def is_paused(kind: str) -> bool:
    """Whether work of this kind is held back now."""
    return kind in PAUSES and kept.is_on(PAUSES[kind])


def paused() -> dict[str, kept.State]:
    """The kinds that are held back, each with who did it and when."""
    told = {state.declared.name: state for state in kept.states("operations")}
    return {kind: told[name] for kind, name in PAUSES.items() if told[name].value == "on"}


def pause(kind: str, *, actor: str, reason: str = "") -> bool:
    """Hold a kind of work back from now on; False where it is so already. Raises Refused for one that cannot be."""
    return kept.change(_setting(kind), "on", actor=actor, reason=reason)


def resume(kind: str, *, actor: str, reason: str = "") -> bool:
    """Let it go on; what waits is begun at once. False where it was not held back. Raises Refused."""
    changed = kept.change(_setting(kind), "off", actor=actor, reason=reason) if is_paused(kind) else False
    jobs.ring_after_commit(kind)
    return changed


def _setting(kind: str) -> str:
    if kind not in PAUSES:
        raise Refused("no-such-queue")
    return PAUSES[kind]


# --- what waits ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    """One kind of work: how many pieces are due, are planned for later, were put aside; `since`: from when the oldest is due."""

    kind: str
    waiting: int
    planned: int
    parked: int
    since: datetime | None
    is_paused: bool


def queues() -> list[Queue]:
    """Every kind of work, as numbers. The same cost however much waits: counting ends at 10,000."""
    told = {(one.name, one.label): one.value for one in metrics.facts()}
    held = paused()
    now = datetime.now(UTC)

    def count(name: str, kind: str) -> int:
        return int(told.get((f"queue_{name}", kind), 0))

    def line(kind: str) -> Queue:
        waiting, oldest = count("waiting", kind), told.get(("queue_oldest_seconds", kind), 0)
        since = now - timedelta(seconds=oldest) if waiting else None
        return Queue(kind, waiting, count("planned", kind), count("parked", kind), since, kind in held)

    return [line(kind) for kind in work.KINDS]


def ages(kind: str) -> dict[tuple[str, str], int]:
    """(state, age) to how many pieces: one of STATES, one of AGES."""
    found = rows("SELECT state, age, pieces FROM queue_ages(%(kind)s)", {"kind": kind})
    return {(state, age): int(count) for state, age, count in found}


# --- what was put aside --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parked:
    """Work that failed too often. `mailbox_id` is None for an errand; `problem` a code."""

    kind: str
    mailbox_id: int | None
    item_id: int
    parked_at: datetime
    attempts: int
    problem: str

    @property
    def may_retry(self) -> bool:
        """Whether it can be tried again."""
        return self.kind not in FINAL


def parked(
    kind: str = "", before: tuple[datetime, int] | None = None, limit: int = PAGE
) -> tuple[Sequence[Parked], tuple[datetime, int] | None]:
    """What was put aside, latest first, and where to go on."""
    at, item = before or (None, None)
    found = [Parked(*row) for row in rows(_PARKED, {"kind": kind, "at": at, "item": item, "most": limit + 1})]
    older = (found[limit - 1].parked_at, found[limit - 1].item_id) if len(found) > limit else None
    return found[:limit], older


_PARKED = """
    SELECT kind, mailbox_id, item_id, parked_at, attempts, problem
      FROM queue_parked(%(kind)s, %(at)s, %(item)s, %(most)s)"""


def retry(kind: str, mailbox_id: int | None, item_id: int, *, actor: str) -> None:
    """Have one piece tried again from the beginning. Audited. Raises NotFound where there is none that can be."""
    if not _act("queue_retry", kind, mailbox_id, item_id):
        raise NotFound("work")
    audit.record("queue.retried", actor, queue=kind, mailbox=mailbox_id, item=item_id, count=1)
    jobs.ring_after_commit(kind)


def retry_all(kind: str, *, actor: str, most: int = 500) -> int:
    """Have what was put aside of a kind tried again, up to `most` pieces; how many. Audited once."""
    some, _older = parked(kind, limit=most)
    done = sum(_act("queue_retry", one.kind, one.mailbox_id, one.item_id) for one in some)
    if done:
        audit.record("queue.retried", actor, queue=kind, count=done)
        jobs.ring_after_commit(kind)
    return done


def forget(kind: str, mailbox_id: int | None, item_id: int, *, actor: str) -> None:
    """Let go of one piece that was put aside; what it was about stays as it is. Audited. Raises NotFound."""
    if not _act("queue_forget", kind, mailbox_id, item_id):
        raise NotFound("work")
    audit.record("queue.forgotten", actor, queue=kind, mailbox=mailbox_id, item=item_id)


def _act(verb: str, kind: str, mailbox_id: int | None, item_id: int) -> bool:
    values = {"kind": kind, "mailbox": mailbox_id, "item": item_id}
    return bool(rows(f"SELECT {verb}(%(kind)s, %(mailbox)s, %(item)s)", values)[0][0])
