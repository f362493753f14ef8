"""What a calendar object says, cleaned for display: no controls, no bidi overrides, every string of a bounded length."""

from dataclasses import dataclass
from datetime import date, datetime

Moment = date | datetime
"""A date (all day), an aware datetime (an instant), or a naive one (the same wall clock everywhere: floating)."""

ANSWERABLE = frozenset(("REQUEST", "ADD"))


@dataclass(frozen=True, slots=True)
class Person:
    """An organizer. `address` is "" where it is none that mail could be sent to."""

    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody invited. `partstat` and `role` are upper case; NEEDS-ACTION and REQ-PARTICIPANT where nothing is said."""

    name: str = ""
    address: str = ""
    partstat: str = "NEEDS-ACTION"
    role: str = "REQ-PARTICIPANT"
    rsvp: bool = False


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule (RFC 5545 section 3.3.10), never expanded. `by_day` are (ordinal or 0, "MO".."SU").

    `is_plain` is False when the rule has parts that these fields do not hold, or holds them out of range: then only `raw` is true.
    """

    raw: str
    freq: str = ""
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    by_day: tuple[tuple[int, str], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: str = ""
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Invitation:
    """One event or task of a calendar object, the first that stands for the series.

    `problems` are codes: cut, too-many-lines, too-deep, bad-line, bad-uid, no-start, bad-start, bad-end, end-before-start,
    unknown-zone, bad-rule, attendees-cut.
    """

    method: str = ""
    """REQUEST, PUBLISH, CANCEL, REPLY, COUNTER, REFRESH, ADD, DECLINECOUNTER, or ""."""
    component: str = "VEVENT"
    uid: str = ""
    sequence: int = 0
    recurrence_id: Moment | None = None
    summary: str = ""
    description: str = ""
    location: str = ""
    url: str = ""
    """Canonical http or https address, or ""."""
    start: Moment | None = None
    end: Moment | None = None
    """The end as calendars mean it: not part of the event. Of an all-day event, the day after its last."""
    zone: str = ""
    """The zone of `start` as its sender names it; "UTC"; "" for dates and floating times."""
    recurrence: Recurrence | None = None
    extra_dates: int = 0
    excluded_dates: int = 0
    organizer: Person | None = None
    attendees: tuple[Attendee, ...] = ()
    mine: Attendee | None = None
    """The attendee that is one of the reader's addresses."""
    is_own: bool = False
    """The organizer is the reader."""
    status: str = ""
    """TENTATIVE, CONFIRMED, CANCELLED, or a task's NEEDS-ACTION, COMPLETED, IN-PROCESS; "" where nothing is said."""
    comment: str = ""
    more_events: int = 0
    problems: tuple[str, ...] = ()

    @property
    def is_all_day(self) -> bool:
        """Dates without times."""
        return isinstance(self.start, date) and not isinstance(self.start, datetime)

    @property
    def is_floating(self) -> bool:
        """Times without a zone: the same wall clock wherever one is, or a zone that nobody could tell."""
        return isinstance(self.start, datetime) and self.start.tzinfo is None

    @property
    def is_cancelled(self) -> bool:
        """It does not take place."""
        return self.method == "CANCEL" or self.status == "CANCELLED"

    @property
    def can_be_answered(self) -> bool:
        """An answer to it would reach somebody else, and mean something."""
        return (
            self.method in ANSWERABLE
            and not self.is_cancelled
            and not self.is_own
            and "bad-uid" not in self.problems
            and self.organizer is not None
            and self.organizer.address != ""
        )
