"""What the service does by the clock: each schedule is a row that says when it ran last and when it runs next.

A worker claims what is due with a lease, as it does with work (`webmail.work`): killed in the middle, it is due again when the
lease ends, and whoever lost it cannot finish it. Every run may happen twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, Stamp, StampNow, rows

RETENTION, EMPTYING, ERASING = "retention", "emptying", "erasing"
ACTIONS = "actions"
BACKUP, JOURNAL, DRILL = "backup", "journal", "drill"
METRICS = "metrics"
SECRETS = "secrets"
DOMAINS, DELIVERIES = "domains", "deliveries"
PERIODS = {
    RETENTION: timedelta(hours=24),
    EMPTYING: timedelta(hours=6),
    ERASING: timedelta(minutes=10),
    ACTIONS: timedelta(minutes=10),
    BACKUP: timedelta(minutes=30),  # it looks whether it is its hour
    JOURNAL: timedelta(minutes=5),
    DRILL: timedelta(hours=12),  # it looks whether a month is over
    METRICS: timedelta(minutes=5),
    SECRETS: timedelta(hours=1),
    DOMAINS: timedelta(hours=24),
    DELIVERIES: timedelta(minutes=5),
}
"""Schedule to the time from the end of one run to the next."""
LEASE = timedelta(minutes=30)
AGAIN = timedelta(minutes=15)
"""When a run that failed is tried again."""


class Schedule(Base):
    __tablename__ = "schedule"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    next_at: Mapped[StampNow]
    lease: Mapped[int | None] = mapped_column(BigInteger)
    lease_until: Mapped[Stamp | None]
    started_at: Mapped[Stamp | None]
    finished_at: Mapped[Stamp | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is ours until its lease ends."""

    code: str
    lease: int


@dataclass(frozen=True, slots=True)
class Told:
    """A schedule as a page tells of it. `outcome` is a code: "done" or why not; "" before the first run."""

    code: str
    period: timedelta
    next_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    outcome: str
    is_running: bool


def due(codes: Iterable[str] = PERIODS) -> list[str]:
    """Schedules whose time has come; those never seen before are written down, and are due."""
    wanted = list(codes)
    rows(
        "INSERT INTO schedule (code) SELECT unnest(%(codes)s::text[]) ON CONFLICT DO NOTHING RETURNING code",
        {"codes": wanted},
    )
    return [code for (code,) in rows(_DUE, {"codes": wanted})]


_DUE = """
    SELECT code FROM schedule WHERE code = ANY(%(codes)s::text[]) AND next_at <= now()
       AND (lease_until IS NULL OR lease_until <= now()) ORDER BY next_at"""


def claim(code: str) -> Run | None:
    """Take a run that is due; None where it is not, or another process has it."""
    lease = secrets.randbits(62)
    found = rows(_CLAIM, {"code": code, "lease": lease, "period": LEASE})
    return Run(code, lease) if found else None


_CLAIM = """
    UPDATE schedule SET lease = %(lease)s, lease_until = now() + %(period)s, started_at = now()
     WHERE code = %(code)s AND next_at <= now() AND (lease_until IS NULL OR lease_until <= now()) RETURNING code"""


def hold(run: Run) -> bool:
    """Lengthen the lease of a run that goes on. False where it was lost: then stop."""
    return bool(
        rows(
            "UPDATE schedule SET lease_until = now() + %(period)s WHERE code = %(code)s AND lease = %(lease)s RETURNING code",
            {"code": run.code, "lease": run.lease, "period": LEASE},
        )
    )


def finish(run: Run, outcome: str = "done", again: timedelta | None = None) -> bool:
    """End a run: the next is due after the schedule's period, or after `again`. False where the lease was lost."""
    period = again if again is not None else PERIODS[run.code]
    return bool(rows(_FINISH, {"code": run.code, "lease": run.lease, "period": period, "outcome": outcome}))


_FINISH = """
    UPDATE schedule SET lease = NULL, lease_until = NULL, finished_at = now(), outcome = %(outcome)s, next_at = now() + %(period)s
     WHERE code = %(code)s AND lease = %(lease)s RETURNING code"""


def soon(code: str) -> None:
    """Have a schedule run now, and not wait for its time."""
    rows(
        "INSERT INTO schedule (code) VALUES (%(code)s) ON CONFLICT (code) DO UPDATE SET next_at = now() RETURNING code",
        {"code": code},
    )


def listed() -> list[Told]:
    """Every schedule with its last and next run."""
    known = {code: more for code, *more in rows(_LISTED, {})}
    return [
        Told(code, period, *known.get(code, (None, None, None, "", False)))
        for code, period in PERIODS.items()
    ]


_LISTED = """
    SELECT code, next_at, started_at, finished_at, outcome, coalesce(lease_until > now(), false) FROM schedule"""
