"""How mail that leaves is taken: by receiving domain, by day, in numbers. No address and no person is in them.

The database counts what is told of each copy as it is written down (`delivery_tally`), and a schedule makes days of that. Of days
that are over, few letters to a rare domain are counted without its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Date, Identity, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow, rows

SPANS: Final = (7, 30, 90)
"""How many days a page may look back."""
MOST = 50
"""Domains that are shown."""
FEW = 3
"""Copies below which a domain is not named; the database does the same to days that are over."""
BATCH = 20_000
WAITS: Final = ("m1", "m15", "h1", "h4", "d1", "more")
"""How long a copy took until it was handed over: up to a minute, 15 minutes, an hour, 4 hours, a day; longer."""
OUTCOMES: Final = ("handed", "deferred", "failed", "bounced")


class DeliveryTally(Base):
    """Something that was told of copies, not yet counted into its day."""

    __tablename__ = "delivery_tally"

    tally_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[StampNow]
    measure: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")
    detail: Mapped[str] = mapped_column(Text, server_default="")
    number: Mapped[int] = mapped_column(Integer, server_default="1")


class DeliveryDay(Base):
    """How often it was told on a day (UTC): `name` is a receiving domain, or a relay; `detail` a code."""

    __tablename__ = "delivery_day"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    measure: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    detail: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    number: Mapped[BigId]


# --- the worker's side -----------------------------------------------------------------------------------------------------


def fold() -> int:
    """Count what was told into its day; how many lines. Call it until that is less than `BATCH`."""
    return int(rows("SELECT delivery_fold(%(most)s)", {"most": BATCH})[0][0])


def encrypted(relay: str, version: str, copies: int) -> None:
    """Note that a relay took this many copies over a connection with that version of TLS; "" for none."""
    values = {"name": relay[:253], "detail": version or "none", "number": copies}
    rows(_ENCRYPTED, values)


_ENCRYPTED = """
    WITH noted AS (INSERT INTO delivery_tally (measure, name, detail, number) VALUES ('tls', %(name)s, %(detail)s, %(number)s))
    SELECT 1"""


# --- reading ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Domain:
    """What became of copies for one domain; "" is all that are not named. `bounced` were handed over first."""

    name: str
    handed: int = 0
    deferred: int = 0
    failed: int = 0
    bounced: int = 0

    @property
    def copies(self) -> int:
        """Those of which it is known how it ended."""
        return self.handed + self.failed

    @property
    def accepted(self) -> float | None:
        """The share that was taken and did not come back, from 0 to 1; None without any."""
        return max(0.0, (self.handed - self.bounced) / self.copies) if self.copies else None


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day."""

    day: date
    handed: int = 0
    deferred: int = 0
    failed: int = 0
    bounced: int = 0
    complaints: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """So many of one kind: `name` and `detail` as `DeliveryDay` has them."""

    name: str
    detail: str
    number: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Copies for a domain that wait for their next attempt, the oldest since when."""

    name: str
    copies: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """Everything that the page shows of some days. `reasons`: failures and bounces by status class (`5.1`; "" unknown) and
    kind; `tls`: relays by version; `waited`: how long copies took, in the order of WAITS."""

    days: tuple[Day, ...]
    domains: tuple[Domain, ...]
    reasons: tuple[Count, ...]
    tls: tuple[Count, ...]
    waited: tuple[Count, ...]


def health(span: int, today: date | None = None) -> Health:
    """The last `span` days, today included, each of them there; domains with most copies first."""
    last = today or datetime.now(UTC).date()
    since = last - timedelta(days=span - 1)
    days = {since + timedelta(days=n): dict.fromkeys((*OUTCOMES, "complaint"), 0) for n in range(span)}
    for day, measure, number in rows(_BY_DAY, {"since": since, "last": last}):
        days[day][measure] = int(number)
    counted = [(*row[:3], int(row[3])) for row in rows(_BY_NAME, {"since": since, "last": last})]
    return Health(
        tuple(_day(day, told) for day, told in days.items()),
        _domains(counted),
        _largest(Count(measure, detail, number) for measure, name, detail, number in _by_reason(counted)),
        _largest(
            Count(name, detail, number) for measure, name, detail, number in counted if measure == "tls"
        ),
        _waited(counted),
    )


# Both follow the primary key from the first day on: at most some fifty names a day.
_BY_DAY = """
    SELECT day, measure, sum(number) FROM delivery_day
     WHERE day BETWEEN %(since)s AND %(last)s AND measure IN ('handed', 'deferred', 'failed', 'bounced', 'complaint')
     GROUP BY day, measure"""
_BY_NAME = """
    SELECT measure, name, detail, sum(number) FROM delivery_day
     WHERE day BETWEEN %(since)s AND %(last)s AND measure <> 'complaint' GROUP BY measure, name, detail"""


def _day(day: date, told: Mapping[str, int]) -> Day:
    return Day(day, told["handed"], told["deferred"], told["failed"], told["bounced"], told["complaint"])


_Counted = tuple[str, str, str, int]


def _domains(counted: Iterable[_Counted]) -> tuple[Domain, ...]:
    """The named domains, and last what is named no more."""
    sums: dict[str, dict[str, int]] = {}
    for measure, name, _detail, number in counted:
        if measure in OUTCOMES:
            told = sums.setdefault(name, {})
            told[measure] = told.get(measure, 0) + number
    found = sorted(
        (Domain(name, **told) for name, told in sums.items()), key=lambda one: (-one.copies, one.name)
    )
    enough = [one for one in found if one.name and one.copies + one.deferred >= FEW][:MOST]
    others = [one for one in found if one not in enough]
    if not others:
        return tuple(enough)
    rest = Domain("", *(sum(getattr(one, kind) for one in others) for kind in OUTCOMES))
    return (*enough, rest)


def _by_reason(counted: Iterable[_Counted]) -> list[_Counted]:
    sums: dict[tuple[str, str], int] = {}
    for measure, _name, detail, number in counted:
        if measure in ("failed", "bounced", "deferred"):
            sums[measure, detail] = sums.get((measure, detail), 0) + number
    return [(measure, "", detail, number) for (measure, detail), number in sums.items()]


def _largest(counts: Iterable[Count]) -> tuple[Count, ...]:
    return tuple(sorted(counts, key=lambda one: (-one.number, one.name, one.detail)))


def _waited(counted: Iterable[_Counted]) -> tuple[Count, ...]:
    told = {detail: number for measure, _name, detail, number in counted if measure == "waited"}
    return tuple(Count("", code, told.get(code, 0)) for code in WAITS)


def waiting() -> Sequence[Waiting]:
    """What waits for its next attempt now, by domain, those with most first; few to one domain together, under no name."""
    found = [Waiting(*row) for row in rows("SELECT name, copies, since FROM delivery_waiting()", {})]
    named = [one for one in found if one.name and one.copies >= FEW]
    others = [one for one in found if one not in named]
    if others:
        named.append(Waiting("", sum(one.copies for one in others), min(one.since for one in others)))
    return named
