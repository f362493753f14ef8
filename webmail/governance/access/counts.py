"""Figures of all accesses, for everybody: how often, for what, with what result. No person is in them, and none is left out."""

from typing import NamedTuple

from sqlalchemy import text

from webmail.db import db


class Count(NamedTuple):
    """One year's accesses for one reason. `parts`: how often one was opened; `late`: reviews that came, or are, past their time."""

    year: int
    reason: str
    asked: int
    refused: int
    opened: int
    parts: int
    emergencies: int
    kept_quiet: int
    reviewed: int
    flagged: int
    late: int


def by_year() -> list[Count]:
    """Newest year first."""
    return [Count(*row) for row in db.session.execute(text("SELECT * FROM access_counts()"))]
