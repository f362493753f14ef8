"""When a message leaves after Send was pressed: what its author chose, and what they typed."""

from datetime import UTC, date, datetime, time

from flask import current_app, g
from flask_babel import to_utc

from webmail.sending import later


def undo_seconds() -> int:
    """How long Send can be undone for the viewer: as they chose, else as this installation does it."""
    chosen: int | None = g.viewer.preferences.undo
    usual: int = current_app.extensions["settings"].undo_seconds
    return max(0, min(chosen if chosen is not None else usual, later.LONGEST_UNDO))


def typed_time(day: str, clock: str) -> datetime | None:
    """The moment that was typed as a day and a time on the viewer's clock; None when both are empty. Raises ValueError."""
    if not day.strip() and not clock.strip():
        return None
    typed = datetime.combine(date.fromisoformat(day.strip()), time.fromisoformat(clock.strip()))
    if typed.tzinfo is not None:
        raise ValueError("a time on the viewer's clock names no zone")
    return to_utc(typed).replace(tzinfo=UTC)
