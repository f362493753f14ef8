"""What a worker does for quarantines: the pieces that a page leaves to it, and what ends by its date. In its transactions."""

from collections.abc import Sequence

from webmail.db import rows

PIECE = 500
"""Messages of one transaction: about a tenth of a second, in which their mailboxes wait."""


def is_due() -> bool:
    """Whether there is anything to hold, to give back or to end."""
    [[due]] = rows(_DUE, {})
    return bool(due)


_DUE = """
    SELECT EXISTS (SELECT FROM quarantine WHERE is_moving)
        OR EXISTS (SELECT FROM quarantine WHERE state = 'in_force' AND until <= now())"""


def waiting(limit: int = 100) -> Sequence[int]:
    """Quarantines that are not where they should be yet."""
    found = rows(
        "SELECT quarantine_id FROM quarantine WHERE is_moving ORDER BY quarantine_id LIMIT %(most)s",
        {"most": limit},
    )
    return [number for (number,) in found]


def step(quarantine_id: int, most: int = PIECE) -> bool:
    """Hold or give back some more, with notices and the log; whether something is left. Nothing for one that rests."""
    [[more]] = rows(
        "SELECT quarantine_step(%(quarantine)s, %(most)s, true)", {"quarantine": quarantine_id, "most": most}
    )
    return bool(more)


def end_one_by_time() -> bool:
    """End the next one whose last day is over; whether there was one."""
    [[ended]] = rows("SELECT quarantine_ends_by_time()", {})
    return bool(ended)
