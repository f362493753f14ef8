"""Trials of the relays that admins ask for on a page: asked there, made by a worker, kept for a while.

A trial goes to the address of whoever asks, and to nobody else's. Where a worker was killed it may be made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail import audit, jobs
from webmail.db import Base, BigId, Stamp, StampNow, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.sending.relay.trial import Line

LEASE = timedelta(minutes=5)
MOST_AN_HOUR = 20
WORST_FIRST = ("unknown", "failed", "deferred", "sent")


class RelayTrial(Base):
    __tablename__ = "relay_trial"
    __table_args__ = (
        Index("relay_trial_asked", text("asked_at DESC"), "trial_id"),
        Index("relay_trial_waiting", "asked_at", postgresql_where=text("finished_at IS NULL")),
        Index("relay_trial_account_id", "account_id"),
    )

    trial_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    asked_at: Mapped[StampNow]
    started_at: Mapped[Stamp | None]
    finished_at: Mapped[Stamp | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    lines: Mapped[Any] = mapped_column(JSONB, server_default=text("'[]'"))


@dataclass(frozen=True, slots=True)
class Told:
    """A trial as a page tells of it. `outcome`: sent, deferred, failed, unknown, no-relay; "" while it is under way."""

    trial_id: int
    asked_at: datetime
    finished_at: datetime | None
    outcome: str
    lines: tuple[Line, ...] = ()


def ask(account_id: int, *, actor: str) -> int:
    """Have every relay tried with a mail to the asker; the trial's id. Audited. Raises Refused for too many in an hour."""
    sql = "SELECT count(*) FROM relay_trial WHERE asked_at > now() - interval '1 hour'"
    if rows(sql, {})[0][0] >= MOST_AN_HOUR:
        raise Refused("too-many")
    trial_id = new_id()
    values = {"trial": trial_id, "account": account_id}
    rows(
        "INSERT INTO relay_trial (trial_id, account_id) VALUES (%(trial)s, %(account)s) RETURNING trial_id",
        values,
    )
    jobs.ring_after_commit(jobs.TRIAL)
    audit.record("relay.tried", actor, trial=trial_id)
    return trial_id


def one(trial_id: int) -> Told:
    """A trial with its conversation. Raises NotFound."""
    found = rows(f"{_TOLD}, lines FROM relay_trial WHERE trial_id = %(trial)s", {"trial": trial_id})
    if not found:
        raise NotFound("trial")
    *facts, lines = found[0]
    return replace(Told(*facts), lines=tuple(Line(who, said) for who, said in lines))


def last(limit: int = 20) -> list[Told]:
    """The last trials, newest first, without their conversations."""
    found = rows(
        f"{_TOLD} FROM relay_trial ORDER BY asked_at DESC, trial_id LIMIT %(limit)s", {"limit": limit}
    )
    return [Told(*row) for row in found]


_TOLD = "SELECT trial_id, asked_at, finished_at, outcome"


# --- the worker's side ---------------------------------------------------------------------------------------------------


def is_due() -> bool:
    """Whether a trial waits to be made."""
    return bool(rows(f"SELECT 1 FROM relay_trial WHERE {_WAITS} LIMIT 1", {"lease": LEASE}))


_WAITS = "finished_at IS NULL AND (started_at IS NULL OR started_at < now() - %(lease)s)"


def claim() -> tuple[int, str] | None:
    """Take a trial that waits: (its id, the asker's own address). None when there is none."""
    found = rows(_CLAIM, {"lease": LEASE})
    return (found[0][0], found[0][1]) if found else None


_CLAIM = f"""
    WITH waits AS MATERIALIZED (
        SELECT trial_id FROM relay_trial WHERE {_WAITS} ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE relay_trial t SET started_at = now() FROM waits, account a
     WHERE t.trial_id = waits.trial_id AND a.account_id = t.account_id
 RETURNING t.trial_id, a.contact_email"""


def finish(trial_id: int, outcome: str, lines: Sequence[Line]) -> None:
    """Write down how a trial went."""
    values = {
        "trial": trial_id,
        "outcome": outcome,
        "lines": Jsonb([[line.who, line.text.replace("\x00", "")] for line in lines]),
    }
    rows(
        "UPDATE relay_trial SET finished_at = now(), outcome = %(outcome)s, lines = %(lines)s"
        " WHERE trial_id = %(trial)s AND finished_at IS NULL RETURNING trial_id",
        values,
    )
