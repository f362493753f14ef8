"""Values of properties: dates, times, durations, rules, addresses, text. Each from a short string, none raises."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import unquote

from icalendar.prop import vDuration, vRecur

from webmail.mail.addresses import AddressError, parse_spec
from webmail.mail.calendar.model import Moment, Recurrence
from webmail.mail.charsets import clean_line, clean_text
from webmail.mail.sanitize.urls import canonical

MAX_RULE: Final = 600
MAX_LIST: Final = 60  # values of one part of a rule
MAX_NUMBER: Final = 100_000

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME = re.compile(r"([0-9]{8})T([0-9]{2})([0-9]{2})([0-9]{2})(Z?)")
_DURATION = re.compile(r"[+-]?P(?:[0-9]{1,6}W|(?:[0-9]{1,6}D)?(?:T(?:[0-9]{1,6}[HMS]){1,3})?)", re.IGNORECASE)
_FREQUENCIES: Final = frozenset(("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"))
_HELD: Final = frozenset(
    ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
)
_DEFAULTS = re.compile(
    r"(?<![^;])(?:RSCALE=GREGORIAN|SKIP=OMIT)(?:;|$)"
)  # RFC 7529: what is meant without them
_BY_DAY = re.compile(r"([+-]?[0-9]{0,2})(MO|TU|WE|TH|FR|SA|SU)")


def day(text: str) -> date | None:
    """A DATE (RFC 5545 section 3.3.4)."""
    found = _DATE.fullmatch(text.strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def moment(text: str) -> Moment | None:
    """A DATE or DATE-TIME as it stands: aware for UTC, naive without; its zone is not looked at."""
    text = text.strip().upper()
    found = _TIME.fullmatch(text)
    if found is None:
        return day(text)
    base = day(found[1])
    try:
        clock = datetime.combine(base, datetime.min.time()) if base else None
        if clock is None:
            return None
        clock = clock.replace(hour=int(found[2]), minute=int(found[3]), second=min(int(found[4]), 59))
    except ValueError:
        return None
    return clock.replace(tzinfo=UTC) if found[5] else clock


def wall_clock(text: str) -> datetime | None:
    """A DATE-TIME or DATE as a naive time; midnight for a date; "Z" is dropped."""
    found = moment(text)
    if found is None:
        return None
    if isinstance(found, datetime):
        return found.replace(tzinfo=None)
    return datetime.combine(found, datetime.min.time())


def duration(text: str) -> timedelta | None:
    """A DURATION (RFC 5545 section 3.3.6)."""
    text = text.strip().upper()
    if len(text) < 3 or not _DURATION.fullmatch(text):
        return None
    try:
        found = vDuration.from_ical(text)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError):
        return None
    return found if isinstance(found, timedelta) else None


def number(text: str, most: int = 2**31 - 1) -> int | None:
    """A whole number from 0 to `most`."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) <= most else None


def line(text: str, most: int) -> str:
    """One line for display, cut to `most` characters."""
    return clean_line(text[: most * 4])[:most]


def lines(text: str, most: int) -> str:
    """Several lines for display, without bidi overrides, cut to `most` characters."""
    cut = clean_text(text[: most * 2])
    return "\n".join(map(clean_line, cut.split("\n"))).strip("\n")[:most]


def web_address(text: str) -> str:
    """A canonical http or https address, or ""."""
    found = canonical(text.strip())
    return found.url if found is not None and found.scheme in ("http", "https") else ""


def mail_address(text: str) -> str:
    """The address in a `mailto:` address, or ""."""
    head, colon, rest = text.strip().partition(":")
    if colon and head.lower() != "mailto" and "@" not in head:
        return ""
    told = unquote((rest if colon and "@" not in head else text).partition("?")[0]).strip().strip("<>")
    try:
        return parse_spec(told).email if len(told) < 1000 else ""
    except AddressError:
        return ""


def rule(text: str) -> Recurrence:
    """An RRULE in parts. One that is not understood in whole has `is_plain` False."""
    raw = line(text, MAX_RULE)
    text = _DEFAULTS.sub("", text.strip().upper())
    vague = Recurrence(raw)
    if len(text) > MAX_RULE or text.count(",") > MAX_LIST * 4:
        return vague
    try:
        told = {str(key).upper(): list(items) for key, items in vRecur.from_ical(text).items()}
        freq = str(told["FREQ"][0])
        read = Recurrence(
            raw=raw,
            freq=freq,
            interval=_one(told.get("INTERVAL", [1])),
            count=_one(told["COUNT"]) if "COUNT" in told else None,
            until=_until(text),
            by_day=tuple(_weekday(str(item)) for item in told.get("BYDAY", ())),
            by_month_day=tuple(map(int, told.get("BYMONTHDAY", ()))),
            by_month=tuple(map(int, told.get("BYMONTH", ()))),
            by_set_pos=tuple(map(int, told.get("BYSETPOS", ()))),
            week_start=str(told.get("WKST", [""])[0]),
            is_plain=told.keys() <= _HELD and freq in _FREQUENCIES and text.count("FREQ=") == 1,
        )
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, AttributeError):
        return vague
    return read if _is_sound(read, "UNTIL" in told) else vague


def _one(items: list[object]) -> int:
    if len(items) != 1:
        raise ValueError("one number is needed")
    return int(str(items[0]))


def _weekday(text: str) -> tuple[int, str]:
    found = _BY_DAY.fullmatch(text)
    if found is None:
        raise ValueError("no weekday")
    return (int(found[1]) if found[1].strip("+-") else 0, found[2])


def _until(text: str) -> Moment | None:
    for part in text.split(";"):
        if part.strip().startswith("UNTIL="):
            return moment(part.partition("=")[2])
    return None


def _is_sound(read: Recurrence, has_until: bool) -> bool:
    numbers = (read.interval, 1 if read.count is None else read.count)
    return (
        read.is_plain
        and all(1 <= item <= MAX_NUMBER for item in numbers)
        and (read.until is not None) == has_until
        and max(map(len, (read.by_day, read.by_month_day, read.by_month, read.by_set_pos))) <= MAX_LIST
        and all(-53 <= nth <= 53 for nth, _ in read.by_day)
        and all(1 <= abs(item) <= 31 for item in read.by_month_day)
        and all(1 <= item <= 12 for item in read.by_month)
        and all(1 <= abs(item) <= 366 for item in read.by_set_pos)
    )
