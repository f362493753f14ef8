"""Looks at the records of hosted domains: asked for by an admin or by the clock, made by a worker, kept for a while.

Where a worker was killed, a look is made twice; two that are asked for at once are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from psycopg.types.json import Jsonb

from webmail import jobs
from webmail.config import Settings
from webmail.db import new_id, rows
from webmail.errors import NotFound
from webmail.settings import dkim_keys, domains, kept
from webmail.settings.domain_records import NEEDED, Facts, Finding, Record, State, wanted

LEASE = timedelta(minutes=5)
PAUSE = timedelta(seconds=20)
"""So soon after a look nothing new is to be seen, and nobody's name server is asked for sport."""
STATES: tuple[State, ...] = ("good", "wrong", "missing", "unknown")


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `finished_at` None: it is under way; `findings` then are none."""

    check_id: int
    asked_at: datetime
    finished_at: datetime | None
    findings: tuple[Finding, ...] = ()

    def of(self, code: str) -> Finding | None:
        """What it says of one record; None where it did not look at it."""
        return next((one for one in self.findings if one.code == code), None)

    @property
    def troubles(self) -> int:
        """How many records that are needed are missing, or something else."""
        return sum(
            one.state in ("wrong", "missing") and one.code.partition(":")[0] in NEEDED
            for one in self.findings
        )

    def count(self, state: State) -> int:
        """How many records were found so."""
        return sum(one.state == state for one in self.findings)


def facts(domain: domains.Kept, settings: Settings) -> Facts:
    """What the records of a domain are made of, as things are now."""
    keys = [key for key in dkim_keys.listed(domain.domain_id) if key.state != "retired"]
    contact = kept.text("service.contact")
    return Facts(
        name=domain.name,
        token=domain.token,
        host=settings.host_name,
        web=urlsplit(settings.origin).hostname or settings.host_name,
        spf=kept.text("service.spf"),
        reports=contact if "@" in contact else f"{contact}@{domain.name}",
        sts_mode=domain.sts_mode,
        keys=tuple((key.owner, key.record) for key in sorted(keys, key=lambda key: key.selector)),
    )


def records(domain: domains.Kept, settings: Settings) -> list[Record]:
    """The records that a domain has to have now."""
    return wanted(facts(domain, settings))


# --- asking ----------------------------------------------------------------------------------------------------------------


def ask(domain_id: int) -> bool:
    """Have a domain's records looked at soon; False where that is under way, or was just done. Raises NotFound."""
    domains.one(domain_id)
    asked = rows(_ASK, {"check": new_id(), "domain": domain_id, "pause": PAUSE})
    if asked:
        jobs.ring_after_commit(jobs.DOMAINS)
    return bool(asked)


_ASK = """
    INSERT INTO domain_check (check_id, domain_id) SELECT %(check)s, %(domain)s
     WHERE NOT EXISTS (SELECT FROM domain_check WHERE domain_id = %(domain)s AND finished_at > now() - %(pause)s)
        ON CONFLICT DO NOTHING RETURNING check_id"""


def ask_all() -> int:
    """Have every domain looked at; how many were asked for."""
    ids = [domain.domain_id for domain in domains.kept()]
    values = {"domains": ids, "checks": [new_id() for _ in ids]}
    return len(rows(_ASK_ALL, values))


_ASK_ALL = """
    INSERT INTO domain_check (check_id, domain_id) SELECT * FROM unnest(%(checks)s::bigint[], %(domains)s::bigint[])
        ON CONFLICT DO NOTHING RETURNING check_id"""


# --- reading ---------------------------------------------------------------------------------------------------------------


def last(domain_id: int) -> Look | None:
    """The last look that is done."""
    return next(iter(history(domain_id, 1)), None)


def is_under_way(domain_id: int) -> bool:
    """Whether one was asked for that is not done."""
    sql = "SELECT 1 FROM domain_check WHERE domain_id = %(domain)s AND finished_at IS NULL"
    return bool(rows(sql, {"domain": domain_id}))


def history(domain_id: int, limit: int = 60) -> list[Look]:
    """The last looks that are done, newest first."""
    return [_look(row) for row in rows(_HISTORY, {"domain": domain_id, "limit": limit})]


_HISTORY = """
    SELECT check_id, asked_at, finished_at, found FROM domain_check
     WHERE domain_id = %(domain)s AND finished_at IS NOT NULL ORDER BY asked_at DESC LIMIT %(limit)s"""


def latest() -> dict[int, Look]:
    """The last look of each domain, by its id."""
    return {row[0]: _look(row[1:]) for row in rows(_LATEST, {})}


# One step down the index for each domain, however long its history.
_LATEST = """
    SELECT d.domain_id, c.check_id, c.asked_at, c.finished_at, c.found FROM domain d
      CROSS JOIN LATERAL (SELECT * FROM domain_check c WHERE c.domain_id = d.domain_id AND c.finished_at IS NOT NULL
                           ORDER BY c.asked_at DESC LIMIT 1) c WHERE d.state <> 'removed'"""


def _look(row: Sequence[Any]) -> Look:
    check_id, asked_at, finished_at, found = row
    return Look(check_id, asked_at, finished_at, tuple(Finding(*one) for one in found))


# --- the worker's side -----------------------------------------------------------------------------------------------------


def is_due() -> bool:
    """Whether a look waits to be made."""
    return bool(rows(f"SELECT 1 FROM domain_check WHERE {_WAITS} LIMIT 1", {"lease": LEASE}))


_WAITS = "finished_at IS NULL AND (started_at IS NULL OR started_at < now() - %(lease)s)"


def claim() -> tuple[int, int] | None:
    """Take a look that waits: (its id, the domain's). None when there is none."""
    found = rows(_CLAIM, {"lease": LEASE})
    return cast("tuple[int, int]", tuple(found[0])) if found else None


_CLAIM = f"""
    WITH waits AS MATERIALIZED (
        SELECT check_id FROM domain_check WHERE {_WAITS} ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE domain_check c SET started_at = now() FROM waits WHERE c.check_id = waits.check_id
 RETURNING c.check_id, c.domain_id"""


def finish(check_id: int, domain_id: int, findings: Sequence[Finding]) -> None:
    """Write down what was seen; a domain that shows its token is verified by that."""
    values = {"check": check_id, "found": Jsonb([[one.code, one.state, one.found] for one in findings])}
    rows(
        "UPDATE domain_check SET finished_at = now(), found = %(found)s WHERE check_id = %(check)s AND finished_at IS NULL"
        " RETURNING check_id",
        values,
    )
    if any(one.code == "ownership" and one.state == "good" for one in findings):
        domains.verified(domain_id, actor="system:dns")


def is_published(domain_id: int) -> bool:
    """Whether the last look saw the records of all keys that wait to sign. Raises NotFound where none waits."""
    waiting = [key for key in dkim_keys.listed(domain_id) if key.state == "next"]
    if not waiting:
        raise NotFound("key")
    seen = last(domain_id)
    states = [seen.of(f"dkim:{key.selector}") if seen else None for key in waiting]
    return all(one is not None and one.state == "good" for one in states)
