"""Alerts: what wants a person, from the look at which it was seen first to five minutes after the last.

A look (`look`) takes what is wrong now, and writes down what began, what lasts and what has ended; each is told once when it
begins, once a day while it lasts, and once when it ends (`alerts_telling`). Numbers, codes, and names of queues, schedules and
machines alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from webmail import audit
from webmail.db import rows
from webmail.errors import NotFound

QUIET: Final = timedelta(minutes=5)
"""What was not seen for so long has ended: a value that goes back and forth over its limit is one alert."""
ABANDONED: Final = timedelta(days=1)
"""What one machine alone can see, and nobody has seen for so long: that machine is gone."""
AGAIN: Final = timedelta(days=1)
MUTED: Final = timedelta(days=1)
LATE: Final = timedelta(minutes=5)
"""Somebody looks every minute; after so long without a look nobody does."""
LOCAL: Final = frozenset({"certificate-ends", "disk-low"})
"""What each machine sees for itself; the label is the machine's."""
CODES: Final = (
    "backup-failed", "backup-old", "queue-old", "queue-paused", "review-overdue", "case-overdue", "request-overdue",
    "certificate-ends", "disk-low", "error-rate", "checkpoint-old", "schedule-failed", "schedule-late", "work-parked",
    "worker-gone", "bell-away",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong now. `value` is a number in the unit of its code: minutes, hours, days, percent, or how many."""

    code: str
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is wrong."""

    queue_minutes: int
    late_minutes: int
    parked: int
    backup_hours: int
    checkpoint_minutes: int
    certificate_days: int
    disk_percent: int
    error_percent: int


Facts = Mapping[tuple[str, str], float]
"""(name, label) to a number: those of `metrics.facts` and of `alert_facts`, and what the machine knows of itself."""
LEAST_ERRORS: Final = 20
"""Fewer pages that failed are no rate."""


def judge(facts: Facts, limits: Limits, paused: Iterable[str] = ()) -> list[Wrong]:
    """What is wrong, by the facts. `paused`: kinds of work that are held back, whose waiting is nobody's surprise."""
    held = frozenset(paused)
    found = [
        *_counted(facts, "cases_overdue", "case-overdue", 1),
        *_counted(facts, "reviews_overdue", "review-overdue", 1),
        *_counted(facts, "requests_overdue", "request-overdue", 1),
        *_counted(facts, "backup_failed", "backup-failed", 1),
        *_counted(facts, "schedule_failed", "schedule-failed", 1),
        *_counted(facts, "queue_parked", "work-parked", limits.parked),
        *(
            Wrong("work-parked", "errand", one.value)
            for one in _counted(facts, "errands_parked", "", limits.parked)
        ),
        *_counted(facts, "worker_gone", "worker-gone", 1),
        *_counted(facts, "bell_away", "bell-away", 1),
        *_over(facts, "schedule_late_seconds", "schedule-late", limits.late_minutes, 60),
        *_over(facts, "backup_age_seconds", "backup-old", limits.backup_hours, 3600),
    ]
    for one in _over(facts, "queue_oldest_seconds", "queue-old", limits.queue_minutes, 60):
        if one.label not in held:
            found.append(one)
        elif facts.get(("queue_waiting", one.label), 0):
            found.append(Wrong("queue-paused", one.label, one.value))
    if facts.get(("audit_events", ""), 0) > facts.get(("audit_checkpoint_events", ""), 0):
        found += _over(facts, "audit_checkpoint_age_seconds", "checkpoint-old", limits.checkpoint_minutes, 60)
    found += _under(facts, "certificate_days", "certificate-ends", limits.certificate_days)
    found += _under(facts, "disk_free_percent", "disk-low", limits.disk_percent)
    failed, asked = facts.get(("pages_failed", ""), 0), facts.get(("pages", ""), 0)
    if failed >= LEAST_ERRORS and failed * 100 >= asked * limits.error_percent:
        found.append(Wrong("error-rate", "", round(failed * 100 / max(asked, 1), 1)))
    return found


def _counted(facts: Facts, name: str, code: str, least: float) -> list[Wrong]:
    return [
        Wrong(code, label, value)
        for (known, label), value in facts.items()
        if known == name and value >= least
    ]


def _over(facts: Facts, name: str, code: str, limit: int, unit: int) -> list[Wrong]:
    return [
        Wrong(code, one.label, round(one.value / unit)) for one in _counted(facts, name, code, limit * unit)
    ]


def _under(facts: Facts, name: str, code: str, limit: int) -> list[Wrong]:
    return [
        Wrong(code, label, value)
        for (known, label), value in facts.items()
        if known == name and value < limit
    ]


def facts_of_people() -> dict[tuple[str, str], float]:
    """What people owe to others: cases, reviews and requests past their time; whether the last backup failed."""
    return {(name, label): value for name, label, value in rows("SELECT * FROM alert_facts()", {})}


# --- looking -------------------------------------------------------------------------------------------------------------


def look(wrong: Sequence[Wrong], machine: str, ways: Sequence[str]) -> int:
    """Write down what is wrong now as `machine` sees it, and what is to be told of it by these ways; how many tellings.

    One look at a time: where another has the lock, 0 and nothing is written. In a transaction of a worker.
    """
    if not rows("SELECT pg_try_advisory_xact_lock(hashtext('mtumail alerts'))", {})[0][0]:
        return 0
    rows(_LOOKED, {"machine": machine})
    rows("DELETE FROM alert_look WHERE looked_at < now() - interval '7 days' RETURNING machine", {})
    rows(
        "DELETE FROM alert_telling WHERE kind = 'trial' AND made_at < now() - interval '30 days' RETURNING 1",
        {},
    )
    if wrong:
        columns = {
            "codes": [one.code for one in wrong],
            "labels": [one.label for one in wrong],
            "values": [float(one.value) for one in wrong],
        }
        rows(_SEEN, columns)
    values = {"quiet": QUIET, "abandoned": ABANDONED, "machine": machine, "local": sorted(LOCAL)}
    ended = [number for (number,) in rows(_ENDED, values)]
    due = rows(_DUE, {"again": AGAIN}) + [(number, "ends") for number in ended]
    return sum(
        len(rows(_TELL, {"alert": number, "kind": kind, "way": way})) for number, kind in due for way in ways
    )


_LOOKED = """
    INSERT INTO alert_look (machine) VALUES (%(machine)s) ON CONFLICT (machine) DO UPDATE SET looked_at = now() RETURNING machine"""
_SEEN = """
    INSERT INTO alert (code, label, value)
    SELECT DISTINCT ON (c, l) c, l, v FROM unnest(%(codes)s::text[], %(labels)s::text[], %(values)s::float8[]) AS t (c, l, v)
        ON CONFLICT (code, label) WHERE ended_at IS NULL DO UPDATE SET seen_at = now(), value = excluded.value RETURNING alert_id"""
# What somebody else's machine sees for itself is not over because this one does not see it.
_ENDED = """
    WITH over AS (
        UPDATE alert SET ended_at = now()
         WHERE ended_at IS NULL AND (seen_at < now() - %(abandoned)s
               OR (seen_at < now() - %(quiet)s AND (code <> ALL(%(local)s::text[]) OR label = %(machine)s)))
     RETURNING alert_id, told_at)
    SELECT alert_id FROM over WHERE told_at IS NOT NULL"""
_DUE = """
    WITH said AS (
        SELECT alert_id, told_at FROM alert
         WHERE ended_at IS NULL AND (told_at IS NULL OR (told_at < now() - %(again)s AND coalesce(muted_until, now()) <= now()))
         FOR UPDATE)
    UPDATE alert SET told_at = now() FROM said WHERE alert.alert_id = said.alert_id
    RETURNING alert.alert_id, CASE WHEN said.told_at IS NULL THEN 'begins' ELSE 'lasts' END"""
_TELL = """
    INSERT INTO alert_telling (alert_id, kind, way) VALUES (%(alert)s, %(kind)s, %(way)s) RETURNING telling_id"""


# --- what a page shows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. `ended_at` None: it lasts. `muted_by`: whoever acknowledged it, by name."""

    alert_id: int
    code: str
    label: str
    value: float
    since: datetime
    seen_at: datetime
    told_at: datetime | None
    ended_at: datetime | None
    muted_until: datetime | None
    muted_by: str


_SELECT = """
    SELECT l.alert_id, l.code, l.label, l.value, l.since, l.seen_at, l.told_at, l.ended_at, l.muted_until, coalesce(p.name, '')
      FROM alert l LEFT JOIN account p ON p.account_id = l.muted_by"""


def lasting() -> list[Alert]:
    """What is wrong now, the longest first."""
    return [
        Alert(*row)
        for row in rows(f"{_SELECT} WHERE l.ended_at IS NULL ORDER BY l.since, l.alert_id LIMIT 200", {})
    ]


def past(below: int | None = None, limit: int = 50) -> list[Alert]:
    """What was wrong and is not any more, latest first; `below`: those with smaller ids than this."""
    where = "WHERE l.ended_at IS NOT NULL AND (%(below)s::bigint IS NULL OR l.alert_id < %(below)s)"
    found = rows(
        f"{_SELECT} {where} ORDER BY l.alert_id DESC LIMIT %(limit)s", {"below": below, "limit": limit}
    )
    return [Alert(*row) for row in found]


def since(code: str) -> dict[str, datetime]:
    """Label to since when an alert of this code lasts."""
    return dict(
        rows("SELECT label, since FROM alert WHERE code = %(code)s AND ended_at IS NULL", {"code": code})
    )


def looked_at() -> datetime | None:
    """When anybody looked last; None for never."""
    found: datetime | None = rows("SELECT max(looked_at) FROM alert_look", {})[0][0]
    return found


def mute(alert_id: int, account_id: int) -> None:
    """Somebody knows of it: for a day it is not told again. Audited. Raises NotFound for one that has ended."""
    done = rows(_MUTE, {"alert": alert_id, "by": account_id, "period": MUTED})
    if not done:
        raise NotFound("alert")
    audit.record("alert.muted", f"account:{account_id}", alert=alert_id, code=done[0][0])


_MUTE = """
    UPDATE alert SET muted_until = now() + %(period)s, muted_by = %(by)s
     WHERE alert_id = %(alert)s AND ended_at IS NULL RETURNING code"""
