"""Runs of backups as they are written down, which backups stay, and when the next is due."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from webmail import audit
from webmail.db import rows
from webmail.privacy.backup.making import when
from webmail.privacy.backup.storing import DUMP, JOURNAL, MANIFEST, Store

GOOD, KILLED = "done", "killed"


@dataclass(frozen=True, slots=True)
class Run:
    """A run as a page tells of it. `outcome`: "" while it runs, "done", or a code that says why not."""

    run_id: int
    kind: str
    name: str
    started_at: datetime
    finished_at: datetime | None
    bytes: int
    rows: int
    outcome: str

    @property
    def is_bad(self) -> bool:
        """It failed, or was killed: nothing takes a day."""
        if self.finished_at is None:
            return datetime.now(UTC) - self.started_at > timedelta(days=1)
        return self.outcome != GOOD


def begin(kind: str, name: str = "") -> int:
    """Write down that a run begins; its id."""
    statement = "INSERT INTO backup_run (kind, name) VALUES (%(kind)s, %(name)s) RETURNING run_id"
    return int(rows(statement, {"kind": kind, "name": name})[0][0])


def give_up(kind: str) -> list[int]:
    """Write down that earlier runs of a kind were killed: nobody works on them, as whoever calls this is alone; their ids."""
    return [number for (number,) in rows(_GIVE_UP, {"kind": kind, "outcome": KILLED})]


_GIVE_UP = """
    UPDATE backup_run SET finished_at = clock_timestamp(), outcome = %(outcome)s
     WHERE kind = %(kind)s AND finished_at IS NULL RETURNING run_id"""


def finish(run_id: int, actor: str, outcome: str, size: int = 0, count: int = 0) -> None:
    """Write down how a run ended, in the log too."""
    values = {"run": run_id, "outcome": outcome, "bytes": size, "rows": count}
    tell(run_id, actor, rows(_FINISH, values)[0][0], outcome)


def tell(run_id: int, actor: str, kind: str, outcome: str) -> None:
    """Say in the audit log how a run ended."""
    audit.record(
        f"backup.{'finished' if outcome == GOOD else 'failed'}", actor, run=run_id, what=kind, code=outcome
    )


_FINISH = """
    UPDATE backup_run SET finished_at = clock_timestamp(), outcome = %(outcome)s, bytes = %(bytes)s, rows = %(rows)s
     WHERE run_id = %(run)s RETURNING kind"""


def past(kind: str, limit: int = 30) -> list[Run]:
    """The last runs of one kind, newest first."""
    return [Run(*row) for row in rows(_PAST, {"kind": kind, "limit": limit})]


_PAST = """
    SELECT run_id, kind, name, started_at, finished_at, bytes, rows, outcome FROM backup_run
     WHERE kind = %(kind)s ORDER BY run_id DESC LIMIT %(limit)s"""


def last_good(kind: str) -> datetime | None:
    """When the last good run of a kind began."""
    found = rows(_LAST_GOOD, {"kind": kind})
    return found[0][0] if found else None


_LAST_GOOD = """
    SELECT started_at FROM backup_run WHERE kind = %(kind)s AND outcome = 'done' ORDER BY run_id DESC LIMIT 1"""


def is_due(last: datetime | None, hour: int, now: datetime) -> bool:
    """Whether a daily backup is due: none was good since the last time that it was `hour` o'clock, UTC."""
    mark = now.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    if mark > now:
        mark -= timedelta(days=1)
    return last is None or last < mark


def staying(names: Iterable[str], daily: int, weekly: int) -> set[str]:
    """Which backups stay: the last of each of the `daily` latest days and `weekly` latest weeks that have any; and the newest."""
    newest_first = sorted(names, reverse=True)
    return (
        set(newest_first[:1])
        | _last_of_each(newest_first, daily, lambda at: at.date().isoformat())
        | _last_of_each(
            newest_first, weekly, lambda at: f"{at.isocalendar().year}-{at.isocalendar().week:02}"
        )
    )


def _last_of_each(newest_first: list[str], most: int, period: Callable[[datetime], str]) -> set[str]:
    found: dict[str, str] = {}
    for name in newest_first:
        found.setdefault(period(when(name)), name)
    return set(list(found.values())[:most])


def prune(place: Store, daily: int, weekly: int) -> list[str]:
    """Remove backups that need not stay, what never became one, and the journal before the oldest; the backups' names."""
    good = place.names(MANIFEST)
    if not good:
        return []
    stay = staying(good, daily, weekly)
    gone = [name for name in good if name not in stay]
    for name in gone:
        place.remove(MANIFEST, name)
    for name in place.names(DUMP):
        if name not in stay and name < good[-1]:
            place.remove(DUMP, name)
    # The part that follows the oldest backup may begin before it: nothing is lost by one part too many.
    for name in [part for part in place.names(JOURNAL) if part < min(stay)][:-1]:
        place.remove(JOURNAL, name)
    return gone
