"""From a wall clock and the name of a zone to an instant.

A name of the IANA database means that zone. Any other is what the file's own VTIMEZONE says (RFC 5545 section 3.6.5), read for
the one moment that is asked for: yearly rules and dates, in constant time. Without a usable definition, Windows names and names
with a vendor before them are looked up. What is left is unknown, and its times float.
"""

import re
import zoneinfo
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from webmail.mail.calendar import values
from webmail.mail.calendar.lines import Component
from webmail.mail.charsets import clean_line

MAX_OBSERVANCES: Final = 400
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})([0-9]{2})?")
_RULE = re.compile(r"[A-Z]{1,10}=[A-Z0-9,+-]{1,60}(?:;[A-Z]{1,10}=[A-Z0-9,+-]{1,60}){0,8}")
_BY_DAY = re.compile(r"([+-]?[1-5])(MO|TU|WE|TH|FR|SA|SU)")
_ORDER: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PARTS: Final = frozenset(("FREQ", "INTERVAL", "BYDAY", "BYMONTH", "BYMONTHDAY", "UNTIL", "WKST"))
_UTC_NAMES: Final = frozenset(("utc", "z", "gmt", "etc/utc", "etc/gmt", "zulu", "coordinated universal time"))


@dataclass(frozen=True, slots=True)
class _Yearly:
    """A rule once a year: in `month`, on a day, on the nth weekday, or (`nth` 0) on the first such weekday from a day on."""

    text: str
    month: int
    day: int = 0
    nth: int = 0
    weekday: int | None = None
    until: datetime | None = None
    until_is_utc: bool = False


@dataclass(frozen=True, slots=True)
class Observance:
    """A STANDARD or DAYLIGHT part: from its onsets on, the offset `before` becomes `after`."""

    name: str
    start: datetime
    before: timedelta
    after: timedelta
    rule: _Yearly | None = None
    dates: tuple[datetime, ...] = ()


class Zones:
    """The zones of one calendar object."""

    def __init__(self, calendar: Component) -> None:
        self._defined: dict[str, Component] = {}
        self._read: dict[str, tuple[Observance, ...]] = {}
        for child in calendar.children:
            zone_id = child.first("TZID")
            if child.name == "VTIMEZONE" and zone_id is not None:
                self._defined.setdefault(_key(zone_id.text), child)

    def resolve(self, wall: datetime, zone_id: str) -> datetime | None:
        """The instant at which clocks of that zone show `wall`; None when nobody can tell."""
        known = named(zone_id)
        if known is not None:
            return wall.replace(tzinfo=known)
        offset = offset_at(wall, self.defined(zone_id))
        if offset is not None:
            return wall.replace(tzinfo=timezone(offset))
        guessed = guessed_zone(zone_id)
        return wall.replace(tzinfo=guessed) if guessed is not None else None

    def defined(self, zone_id: str) -> tuple[Observance, ...]:
        """What the file says of a zone; empty when it says nothing, or nothing that can be understood."""
        key = _key(zone_id)
        if key not in self._read:
            self._read[key] = _observances(self._defined[key]) if key in self._defined else ()
        return self._read[key]


def _key(zone_id: str) -> str:
    return clean_line(zone_id).strip('"')


@lru_cache(maxsize=1)
def _database() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


def named(zone_id: str) -> tzinfo | None:
    """The zone of exactly that IANA name, whatever its case."""
    name = _key(zone_id).lower()
    if name in _UTC_NAMES:
        return UTC
    known = _database().get(name)
    return zoneinfo.ZoneInfo(known) if known else None


def guessed_zone(zone_id: str) -> tzinfo | None:
    """The zone behind a Windows name, or behind a vendor's prefix ("/freeassociation.sourceforge.net/Europe/Berlin")."""
    key = _key(zone_id)
    if key in WINDOWS_TO_OLSON:
        return named(WINDOWS_TO_OLSON[key])
    parts = key.strip("/").split("/")[-8:] if key.startswith("/") and len(key) < 300 else []
    for start in range(len(parts)):
        found = named("/".join(parts[start:]))
        if found is not None:
            return found
    return None


# --- VTIMEZONE -----------------------------------------------------------------------------------------------------------


def _observances(definition: Component) -> tuple[Observance, ...]:
    """Empty when any part of the definition is not understood: half a definition is a wrong one."""
    found = []
    parts = [child for child in definition.children if child.name in ("STANDARD", "DAYLIGHT")]
    for child in parts[:MAX_OBSERVANCES]:
        start = values.wall_clock(child.value("DTSTART"))
        before, after = _offset(child.value("TZOFFSETFROM")), _offset(child.value("TZOFFSETTO"))
        rules = child.properties.get("RRULE", [])
        if start is None or before is None or after is None or len(rules) > 1:
            return ()
        rule = _yearly(rules[0].value, start) if rules else None
        if rules and rule is None:
            return ()
        dates = tuple(
            moment
            for line in child.properties.get("RDATE", [])
            for item in line.value.split(",")[:MAX_OBSERVANCES]
            if (moment := values.wall_clock(item.partition("/")[0])) is not None
        )
        found.append(Observance(child.name, start, before, after, rule, dates))
    return tuple(found) if len(parts) <= MAX_OBSERVANCES else ()


def _offset(text: str) -> timedelta | None:
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    span = timedelta(hours=int(found[2]), minutes=int(found[3]), seconds=int(found[4] or 0))
    return None if span >= timedelta(hours=24) else -span if found[1] == "-" else span


def offset_text(offset: timedelta) -> str:
    """A UTC-OFFSET (RFC 5545 section 3.3.14)."""
    seconds = abs(int(offset.total_seconds()))
    text = f"{'-' if offset < timedelta() else '+'}{seconds // 3600:02}{seconds // 60 % 60:02}"
    return text + (f"{seconds % 60:02}" if seconds % 60 else "")


def _yearly(text: str, start: datetime) -> _Yearly | None:
    """None for a rule of any other kind: those of real zones are yearly, those of attackers are not."""
    head, mark, count = text.strip().upper().partition(";COUNT=")
    digits, semicolon, tail = count.partition(";")
    rule = _without_count(head + semicolon + tail, start)
    if rule is None or not mark:
        return rule
    times = values.number(digits, 500)
    if rule.until is not None or not times or abs(rule.nth) == 5 or _onset(rule, start.year, start) != start:
        return None
    return replace(rule, text=text.strip().upper(), until=_onset(rule, start.year + times - 1, start))


def _without_count(text: str, start: datetime) -> _Yearly | None:
    text = text.rstrip(";")
    if not _RULE.fullmatch(text):
        return None
    told = dict(part.partition("=")[::2] for part in text.split(";"))
    if told.get("FREQ") != "YEARLY" or told.get("INTERVAL", "1") != "1" or not told.keys() <= _PARTS:
        return None
    month, day = _small(told.get("BYMONTH"), start.month, 12), _small(told.get("BYMONTHDAY"), 0, 31)
    until = values.wall_clock(told["UNTIL"]) if "UNTIL" in told else None
    if month is None or ("UNTIL" in told and until is None):
        return None
    if until is not None and "T" not in told["UNTIL"]:
        until += timedelta(days=1)
    is_utc = told.get("UNTIL", "").endswith("Z")
    if "BYDAY" not in told:
        return _Yearly(text, month, day or start.day, 0, None, until, is_utc) if day is not None else None
    by_day = _BY_DAY.fullmatch(told["BYDAY"])
    if by_day is not None and "BYMONTHDAY" not in told:
        return _Yearly(text, month, 0, int(by_day[1]), _ORDER.index(by_day[2]), until, is_utc)
    # "The first Sunday from the 8th on" is also written as seven days of a month and a weekday.
    days = told.get("BYMONTHDAY", "").split(",")
    if told["BYDAY"] in _ORDER and all(item.isascii() and item.isdigit() and len(item) < 3 for item in days):
        run = sorted(map(int, days))
        if run == list(range(run[0], run[0] + 7)) and 1 <= run[0] <= 25:
            return _Yearly(text, month, run[0], 0, _ORDER.index(told["BYDAY"]), until, is_utc)
    return None


def _small(text: str | None, default: int, most: int) -> int | None:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= most):
        return -1 if "," in text else None
    return int(text)


def _onset(rule: _Yearly, year: int, clock: datetime) -> datetime | None:
    """The wall clock of the onset in `year`; None where that month has no such day."""
    try:
        if rule.weekday is None:
            day = date(year, rule.month, rule.day)
        elif rule.nth < 0:
            last = (date(year, rule.month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
            day = last - timedelta(days=(last.weekday() - rule.weekday) % 7 + 7 * (-rule.nth - 1))
        else:
            first = date(year, rule.month, rule.day or 1)
            ahead = (rule.weekday - first.weekday()) % 7
            day = first + timedelta(days=ahead + 7 * max(rule.nth - 1, 0))
    except (ValueError, OverflowError):
        return None
    return datetime.combine(day, clock.time()) if day.month == rule.month else None


def _latest(item: Observance, wall: datetime) -> datetime | None:
    """The last onset of an observance that is not after `wall`."""
    onsets = [moment for moment in (item.start, *item.dates) if moment <= wall]
    rule = item.rule
    if rule is not None and item.start <= wall:
        end = rule.until if rule.until is not None and rule.until < wall else wall
        for year in (end.year + 1, end.year, end.year - 1):
            onset = _onset(rule, year, item.start)
            if onset is None or not item.start <= onset <= wall:
                continue
            compared = onset - item.before if rule.until_is_utc else onset
            if rule.until is None or compared <= rule.until:
                onsets.append(onset)
                break
    return max(onsets, default=None)


def offset_at(wall: datetime, observances: tuple[Observance, ...]) -> timedelta | None:
    """The offset from UTC when clocks show `wall`. In the hour that a spring skips, the offset before it counts; in the one
    that an autumn repeats, its first time (RFC 5545 section 3.3.5)."""
    best: tuple[datetime, Observance] | None = None
    for item in observances:
        onset = _latest(item, wall)
        if onset is not None and (best is None or onset > best[0]):
            best = (onset, item)
    if best is None:
        first = min(observances, key=lambda item: item.start, default=None)
        return first.before if first is not None else None
    onset, item = best
    skipped = max(item.after - item.before, timedelta())
    return item.before if wall - onset < skipped else item.after
