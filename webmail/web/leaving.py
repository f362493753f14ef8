"""When a message leaves after Send was pressed: what its author chose, what they typed, and how it is said."""

from datetime import UTC, date, datetime, time

from flask import g
from flask_babel import format_datetime, to_user_timezone, to_utc

from webmail.sending import later
from webmail.settings import kept


def undo_seconds() -> int:
    """How long Send can be undone for the viewer: as they chose, else as this installation does it."""
    chosen: int | None = g.viewer.preferences.undo
    usual = chosen if chosen is not None else int(kept.glance("limits.undo"))
    return max(0, min(usual, later.LONGEST_UNDO))


def typed_time(day: str, clock: str) -> datetime | None:
    """The moment that was typed as a day and a time on the viewer's clock; None when both are empty. Raises ValueError."""
    if not day.strip() and not clock.strip():
        return None
    typed = datetime.combine(date.fromisoformat(day.strip()), time.fromisoformat(clock.strip()))
    if typed.tzinfo is not None:
        raise ValueError("a time on the viewer's clock names no zone")
    return to_utc(typed).replace(tzinfo=UTC)


def moment(at: datetime) -> str:
    """`10:42` today, `24 Dec 10:42` on another day of this year, with its year in another one; on the viewer's clock."""
    there, here = to_user_timezone(at).date(), to_user_timezone(datetime.now(UTC)).date()
    pattern = "HH:mm" if there == here else "d MMM HH:mm" if there.year == here.year else "d MMM yyyy HH:mm"
    return str(format_datetime(at, pattern))
