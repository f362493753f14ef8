"""An attendee's answer (iTIP REPLY, RFC 5546 section 3.2.3) as a calendar object of its own."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

from icalendar.cal.calendar import Calendar
from icalendar.cal.component import Component as Written
from icalendar.cal.event import Event
from icalendar.cal.timezone import Timezone, TimezoneDaylight, TimezoneStandard
from icalendar.cal.todo import Todo
from icalendar.parser import Parameters
from icalendar.prop import vCalAddress, vText

from webmail.errors import MtumailError
from webmail.mail.addresses import AddressError, parse_spec
from webmail.mail.calendar import values
from webmail.mail.calendar.lines import Component, Property
from webmail.mail.calendar.reader import Found, address_of, find, uid_of
from webmail.mail.calendar.zones import Zones, offset_text
from webmail.mail.charsets import clean_line, clean_name

Partstat = Literal["ACCEPTED", "DECLINED", "TENTATIVE"]
PARTSTATS: Final = ("ACCEPTED", "DECLINED", "TENTATIVE")
PRODUCT: Final = "-//mtumail//mtumail//EN"
MAX_COMMENT: Final = 2_000
MAX_ZONE: Final = 100
MAX_DEFINED: Final = 200  # onsets and rules of a zone that are written again


class Unanswerable(MtumailError):
    """There is nothing that an answer could be about, or nobody to have it.

    `reason`: no-event, bad-uid, no-organizer, bad-attendee.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Verbatim:
    """A value that is written as it stands; the caller has checked its characters."""

    def __init__(self, text: str, params: dict[str, str]) -> None:
        self.text, self.params = text, Parameters(params)

    def to_ical(self) -> bytes:
        return self.text.encode()


def answer(
    invitation_source: bytes,
    attendee: tuple[str, str],
    partstat: Partstat,
    *,
    now: datetime,
    comment: str = "",
) -> bytes:
    """The REPLY of `attendee` (name, address) to an invitation: CRLF, folded at 75 octets, UTF-8.

    Everything in it is either ours, or was read and written anew; `now` (aware) becomes its DTSTAMP. Raises Unanswerable, and
    ValueError for a `partstat` that is none of the three.
    """
    if partstat not in PARTSTATS:
        raise ValueError("partstat")
    found = find(invitation_source)
    if found is None:
        raise Unanswerable("no-event")
    uid = uid_of(found.event)
    if uid is None:
        raise Unanswerable("bad-uid")
    reply: Written = Todo() if found.event.name == "VTODO" else Event()
    _put(reply, "UID", vText(uid))
    _put(reply, "SEQUENCE", _Verbatim(str(values.number(found.event.value("SEQUENCE")) or 0), {}))
    _put(reply, "DTSTAMP", _Verbatim(_utc(now), {}))
    _put(reply, "ORGANIZER", _organizer(found.event.first("ORGANIZER")))
    _put(reply, "ATTENDEE", _attendee(attendee, partstat))
    zone_names = []
    for name in ("RECURRENCE-ID", "DTSTART", "DTEND", "DUE"):
        told = found.event.first(name)
        kept = _time(told) if told else None
        if kept is not None:
            _put(reply, name, kept)
            zone_names.append(str(kept.params.get("TZID", "")))
    _put_words(reply, found.event, comment)
    _put(reply, "REQUEST-STATUS", _Verbatim("2.0;Success", {}))
    calendar = Calendar()
    _put(calendar, "PRODID", vText(PRODUCT))
    _put(calendar, "VERSION", vText("2.0"))
    _put(calendar, "METHOD", vText("REPLY"))
    _put_zones(calendar, found, zone_names)
    calendar.add_component(reply)
    return _checked(calendar)


def _put(component: Written, name: str, value: object) -> None:
    component.add(name, value, encode=False)


def _put_words(reply: Written, event: Component, comment: str) -> None:
    told = event.first("SUMMARY")
    summary = values.line(told.text, 500) if told else ""
    if summary:
        _put(reply, "SUMMARY", vText(summary))
    said = values.lines(comment, MAX_COMMENT)
    if said:
        _put(reply, "COMMENT", vText(said))


def _organizer(told: Property | None) -> vCalAddress:
    """The organizer as the invitation names him: his calendar looks for the same address."""
    address = address_of(told) if told else ""
    if told is None or not address:
        raise Unanswerable("no-organizer")
    return _person(address, told.params.get("CN", ""), {})


def _attendee(attendee: tuple[str, str], partstat: str) -> vCalAddress:
    try:
        address = parse_spec(attendee[1]).email
    except AddressError:
        raise Unanswerable("bad-attendee") from None
    return _person(address, attendee[0], {"PARTSTAT": partstat})


def _person(address: str, name: str, params: dict[str, str]) -> vCalAddress:
    # A backslash means nothing in a parameter, and to some readers it takes the delimiter after it away.
    shown = clean_name(name[:1_000])[:200].replace('"', "'").replace("\\", "").strip()
    return vCalAddress(f"mailto:{address}", params=({"CN": shown} if shown else {}) | params)


def _time(told: Property) -> _Verbatim | None:
    """A time as it stands, its zone's name with it: calendars may find an occurrence by these very characters."""
    text, zone = told.value.strip().upper(), values.line(told.params.get("TZID", ""), MAX_ZONE + 1)
    found = values.moment(text)
    if found is None or len(zone) > MAX_ZONE or "\\" in zone:
        return None
    if not isinstance(found, datetime):
        return _Verbatim(text, {"VALUE": "DATE"})
    return _Verbatim(text, {"TZID": zone} if zone and found.tzinfo is None else {})


def _put_zones(calendar: Written, found: Found, names: Iterable[str]) -> None:
    """The definitions of the zones that the answer names, written anew from what was understood of them."""
    zones = Zones(found.calendar)
    for name in dict.fromkeys(filter(None, names)):
        observances = zones.defined(name)
        if not 0 < sum(1 + len(item.dates) for item in observances) <= MAX_DEFINED:
            continue
        zone = Timezone()
        _put(zone, "TZID", vText(name))
        for item in observances:
            part: Written = TimezoneDaylight() if item.name == "DAYLIGHT" else TimezoneStandard()
            _put(part, "DTSTART", _Verbatim(_digits(item.start), {}))
            _put(part, "TZOFFSETFROM", _Verbatim(offset_text(item.before), {}))
            _put(part, "TZOFFSETTO", _Verbatim(offset_text(item.after), {}))
            if item.rule is not None:
                _put(part, "RRULE", _Verbatim(item.rule.text, {}))
            if item.dates:
                _put(part, "RDATE", _Verbatim(",".join(map(_digits, item.dates)), {}))
            zone.add_component(part)
        calendar.add_component(zone)


def _utc(moment: datetime) -> str:
    return _digits(moment.astimezone(UTC)) + "Z"


def _digits(moment: datetime) -> str:
    return f"{moment.year:04}{moment:%m%dT%H%M%S}"


_NAMES: Final = frozenset(
    (
        "BEGIN", "END", "PRODID", "VERSION", "METHOD", "UID", "SEQUENCE", "DTSTAMP", "ORGANIZER", "ATTENDEE", "RECURRENCE-ID",
        "DTSTART", "DTEND", "DUE", "SUMMARY", "COMMENT", "REQUEST-STATUS", "TZID", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "RDATE",
    )
)  # fmt: skip


def _checked(calendar: Calendar) -> bytes:
    """The object's bytes, with just the lines that were put there: one more would be a stranger's."""
    written = bytes(calendar.to_ical(sorted=False))
    lines = written.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    put = sum(2 + len(component) for component in calendar.walk())
    names = {line.replace(";", ":").partition(":")[0] for line in lines}
    if len(lines) != put or not names <= _NAMES or any(clean_line(line) != line.strip(" ") for line in lines):
        raise AssertionError("an answer holds a line that is not ours")
    return written
