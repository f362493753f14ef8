"""Telling of alerts: each message by each way is a row, claimed with a lease, tried again for hours, then given up loudly."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from webmail import audit
from webmail.db import rows
from webmail.errors import Refused

MAIL, WEBHOOK = "mail", "webhook"
LEASE: Final = timedelta(minutes=2)
WAITS: Final = tuple(timedelta(minutes=one) for one in (1, 2, 5, 15, 30, 60, 120))
"""After each try that failed; after the last of them it is given up."""
STUCK: Final = timedelta(minutes=2)
"""What is due for longer than this was rung for and heard by nobody: the clock tells it itself."""
HOPELESS: Final = frozenset({"no-address", "no-secret", "not-configured", "url"})
"""What a trial is not repeated for: whoever asked for it has to set something first."""
MOST: Final = 50
MOST_TRIALS: Final = 10


@dataclass(frozen=True, slots=True)
class Telling:
    """One message. `kind`: begins, lasts, ends or trial; of a trial, the facts of an alert are empty."""

    telling_id: int
    kind: str
    made_at: datetime
    attempts: int
    alert_id: int
    code: str
    label: str
    value: float
    since: datetime


def is_due(stuck_only: bool = False) -> bool:
    """Whether anything is to be told; `stuck_only`: that was due for a while, and nobody took."""
    after = STUCK if stuck_only else timedelta(0)
    return bool(rows(_DUE, {"after": after})[0][0])


_DUE = "SELECT EXISTS (SELECT 1 FROM alert_telling WHERE finished_at IS NULL AND due_at <= now() - %(after)s)"


def claim(way: str, most: int) -> tuple[int, Sequence[Telling]]:
    """Take what is due by one way, oldest first; (lease, messages). In a transaction of a worker, which commits before it tells."""
    lease = secrets.randbits(62)
    found = rows(_CLAIM, {"way": way, "most": most, "lease": lease, "period": LEASE})
    return lease, sorted((Telling(*row) for row in found), key=lambda one: one.telling_id)


_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT telling_id FROM alert_telling WHERE way = %(way)s AND finished_at IS NULL AND due_at <= now()
         ORDER BY telling_id LIMIT %(most)s FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE alert_telling t SET due_at = now() + %(period)s, lease = %(lease)s, attempts = attempts + 1 FROM due
         WHERE t.telling_id = due.telling_id RETURNING t.telling_id, t.kind, t.made_at, t.attempts, t.alert_id)
    SELECT t.telling_id, t.kind, t.made_at, t.attempts, coalesce(t.alert_id, 0), coalesce(a.code, ''), coalesce(a.label, ''),
           coalesce(a.value, 0), coalesce(a.since, t.made_at)
      FROM taken t LEFT JOIN alert a USING (alert_id)"""


def finish(lease: int, tellings: Sequence[Telling], problem: str = "") -> None:
    """Note that these were told, or with a problem (a code) that they were not, to be tried again or given up."""
    for one in tellings:
        is_last = one.attempts > len(WAITS) or (one.kind == "trial" and problem in HOPELESS)
        values = {
            "telling": one.telling_id,
            "lease": lease,
            "problem": problem[:40],
            "outcome": "told" if not problem else "failed" if is_last else "",
            "wait": WAITS[min(one.attempts, len(WAITS)) - 1],
        }
        rows(_FINISH, values)


_FINISH = """
    UPDATE alert_telling SET lease = NULL, problem = %(problem)s, outcome = %(outcome)s, due_at = now() + %(wait)s,
           finished_at = CASE WHEN %(outcome)s <> '' THEN now() END
     WHERE telling_id = %(telling)s AND lease = %(lease)s RETURNING telling_id"""


# --- trials, and what a page shows ---------------------------------------------------------------------------------------


def trial(ways: Sequence[str], *, actor: str) -> int:
    """Have a trial told by these ways; how many. Audited. Raises Refused("too-many"): ten in the last hour are enough."""
    [[count]] = rows(
        "SELECT count(*) FROM alert_telling WHERE kind = 'trial' AND made_at > now() - interval '1 hour'", {}
    )
    if count >= MOST_TRIALS:
        raise Refused("too-many")
    for way in ways:
        rows("INSERT INTO alert_telling (kind, way) VALUES ('trial', %(way)s) RETURNING 1", {"way": way})
    audit.record("alert.tried", actor, count=len(ways))
    return len(ways)


@dataclass(frozen=True, slots=True)
class Told:
    """A message as a page shows it. `outcome`: "" while it is under way, told or failed; `problem`: why the last try failed."""

    kind: str
    way: str
    made_at: datetime
    finished_at: datetime | None
    attempts: int
    outcome: str
    problem: str
    code: str
    label: str


def last(limit: int = 20) -> list[Told]:
    """The latest messages."""
    return [Told(*row) for row in rows(_LAST, {"limit": limit})]


_LAST = """
    SELECT t.kind, t.way, t.made_at, t.finished_at, t.attempts, t.outcome, t.problem, coalesce(a.code, ''), coalesce(a.label, '')
      FROM alert_telling t LEFT JOIN alert a USING (alert_id) ORDER BY t.telling_id DESC LIMIT %(limit)s"""
