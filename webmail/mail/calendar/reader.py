"""A calendar object as an invitation: the one event or task that it is about."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from webmail.mail.addresses import AddressError, parse_spec
from webmail.mail.calendar import lines, values
from webmail.mail.calendar.lines import Component, Property
from webmail.mail.calendar.model import Attendee, Invitation, Moment, Person, Recurrence
from webmail.mail.calendar.zones import Zones
from webmail.mail.charsets import clean_line, clean_name

METHODS: Final = frozenset(
    ("REQUEST", "PUBLISH", "CANCEL", "REPLY", "COUNTER", "REFRESH", "ADD", "DECLINECOUNTER")
)
MAX_ATTENDEES: Final = 500
MAX_UID: Final = 1_000
_STATUSES: Final = frozenset(
    ("TENTATIVE", "CONFIRMED", "CANCELLED", "NEEDS-ACTION", "COMPLETED", "IN-PROCESS")
)
_PARTSTATS: Final = frozenset(
    ("NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "COMPLETED", "IN-PROCESS")
)
_ROLES: Final = frozenset(("CHAIR", "REQ-PARTICIPANT", "OPT-PARTICIPANT", "NON-PARTICIPANT"))


@dataclass(frozen=True, slots=True)
class Found:
    """The component that a calendar object is about, and its surroundings."""

    calendar: Component
    event: Component
    more: int
    problems: tuple[str, ...]


def find(content: bytes) -> Found | None:
    """The first event or task of the first calendar that has one; one that stands for a series goes before its exceptions."""
    root, problems = lines.parse(content)
    for calendar in [child for child in root.children if child.name == "VCALENDAR"]:
        for name in ("VEVENT", "VTODO"):
            events = [child for child in calendar.children if child.name == name]
            if events:
                whole = [event for event in events if event.first("RECURRENCE-ID") is None]
                return Found(calendar, (whole or events)[0], len(events) - 1, problems)
    return None


def read(content: bytes, *, own_addresses: Collection[str] = ()) -> Invitation | None:
    """A calendar object, whatever it is; None when there is no event and no task in it. Never raises.

    `own_addresses` are the reader's; case and plus tags do not count.
    """
    found = find(content)
    return _invitation(found, frozenset(map(_key, own_addresses)) - {""}) if found else None


def _invitation(found: Found, own: frozenset[str]) -> Invitation:
    event, zones = found.event, Zones(found.calendar)
    problems = dict.fromkeys(found.problems)
    times = _Times(event, zones, problems)
    method = found.calendar.value("METHOD").upper()
    status = event.value("STATUS").upper()
    organizer = _organizer(event.first("ORGANIZER"))
    attendees = _attendees(event, problems)
    uid = uid_of(event)
    if uid is None:
        problems["bad-uid"] = None
    return Invitation(
        method=method if method in METHODS else "",
        component=event.name,
        uid=uid or "",
        sequence=values.number(event.value("SEQUENCE")) or 0,
        recurrence_id=times.read("RECURRENCE-ID"),
        summary=values.line(_text(event, "SUMMARY"), 500),
        description=values.lines(_text(event, "DESCRIPTION"), 8_000),
        location=values.line(_text(event, "LOCATION"), 500),
        url=values.web_address(event.value("URL")),
        start=times.start,
        end=times.end,
        zone=times.zone,
        recurrence=_recurrence(event, problems),
        extra_dates=_listed(event, "RDATE"),
        excluded_dates=_listed(event, "EXDATE"),
        organizer=organizer,
        attendees=attendees,
        mine=next((item for item in attendees if item.address and _key(item.address) in own), None),
        is_own=organizer is not None and organizer.address != "" and _key(organizer.address) in own,
        status=status if status in _STATUSES else "",
        comment=values.lines(_text(event, "COMMENT"), 2_000),
        more_events=found.more,
        problems=tuple(problems),
    )


def uid_of(event: Component) -> str | None:
    """The UID, which must come back as it was; None when it cannot."""
    told = event.first("UID")
    text = told.text.strip() if told else ""
    return text if text and len(text) <= MAX_UID and clean_line(text) == text else None


class _Times:
    """When an event is: start, and an end that may be said as a duration."""

    def __init__(self, event: Component, zones: Zones, problems: dict[str, None]) -> None:
        self._event, self._zones, self._problems = event, zones, problems
        self.start = self.read("DTSTART")
        end = "DUE" if event.name == "VTODO" else "DTEND"
        self.end = self.read(end)
        first = event.first("DTSTART") or event.first(end)
        self.zone = _zone(first, self.start if self.start is not None else self.end)
        if self.end is None and self.start is not None:
            self.end = self._by_duration(self.start)
        if self.start is None and event.first("DTSTART") is None:
            if event.name == "VEVENT":
                problems["no-start"] = None
        elif self.start is None:
            problems["bad-start"] = None
        if self.end is None and event.first(end) is not None:
            problems["bad-end"] = None
        self._put_in_order()

    def read(self, name: str) -> Moment | None:
        told = self._event.first(name)
        return _moment(told, self._zones, self._problems) if told else None

    def _by_duration(self, start: Moment) -> Moment | None:
        told = self._event.first("DURATION")
        span = values.duration(told.value) if told else None
        if told is not None and (span is None or span < timedelta()):
            self._problems["bad-end"] = None
            return None
        if span is None:
            return None
        try:
            if isinstance(start, datetime) and start.tzinfo is not None:
                # Hours are exact, whatever clocks do meanwhile; what is shown is the same zone's wall clock.
                return (start.astimezone(UTC) + span).astimezone(start.tzinfo)
            return start + span
        except OverflowError:
            self._problems["bad-end"] = None
            return None

    def _put_in_order(self) -> None:
        start, end = self.start, self.end
        if start is None or end is None:
            return
        if isinstance(start, datetime) != isinstance(end, datetime):
            self.end = None
            self._problems["bad-end"] = None
        elif isinstance(start, datetime) and isinstance(end, datetime):
            if (start.tzinfo is None) != (end.tzinfo is None):
                self.end = None
                self._problems["bad-end"] = None
            elif end < start:
                self._backwards()
        elif end < start:
            self._backwards()

    def _backwards(self) -> None:
        self.end = None
        self._problems["end-before-start"] = None


def _moment(told: Property, zones: Zones, problems: dict[str, None]) -> Moment | None:
    """A DATE or DATE-TIME with its TZID. A zone that nobody knows leaves the time floating, and is a problem."""
    found = values.moment(told.value)
    if not isinstance(found, datetime) or found.tzinfo is not None or not told.params.get("TZID"):
        return found
    resolved = zones.resolve(found, told.params["TZID"])
    if resolved is None:
        problems["unknown-zone"] = None
        return found
    try:
        resolved.astimezone(UTC)
    except (OverflowError, ValueError):  # at the ends of time
        return None
    return resolved


def _zone(told: Property | None, moment: Moment | None) -> str:
    if told is None or not isinstance(moment, datetime):
        return ""
    if values.moment(told.value) == moment and moment.tzinfo is UTC:
        return "UTC"
    return values.line(told.params.get("TZID", ""), 100)


def _text(event: Component, name: str) -> str:
    told = event.first(name)
    return told.text if told else ""


def _listed(event: Component, name: str) -> int:
    return sum(line.value.count(",") + 1 for line in event.properties.get(name, ()))


def _recurrence(event: Component, problems: dict[str, None]) -> Recurrence | None:
    rules = event.properties.get("RRULE", [])
    if not rules:
        return None
    found = values.rule(rules[0].value)
    if len(rules) > 1:
        found = Recurrence(found.raw)
    if not found.is_plain:
        problems["bad-rule"] = None
    return found


# --- people --------------------------------------------------------------------------------------------------------------


def _organizer(told: Property | None) -> Person | None:
    if told is None:
        return None
    address = address_of(told)
    return Person(_name(told, address), address)


def _attendees(event: Component, problems: dict[str, None]) -> tuple[Attendee, ...]:
    told = event.properties.get("ATTENDEE", [])
    if len(told) > MAX_ATTENDEES:
        problems["attendees-cut"] = None
    return tuple(map(_attendee, told[:MAX_ATTENDEES]))


def _attendee(told: Property) -> Attendee:
    address = address_of(told)
    partstat, role = told.params.get("PARTSTAT", "").upper(), told.params.get("ROLE", "").upper()
    return Attendee(
        name=_name(told, address),
        address=address,
        partstat=partstat if partstat in _PARTSTATS else "NEEDS-ACTION",
        role=role if role in _ROLES else "REQ-PARTICIPANT",
        rsvp=told.params.get("RSVP", "").upper() == "TRUE",
    )


def address_of(told: Property) -> str:
    """Whom mail goes to: the calendar address, or where that is no mail address the EMAIL parameter (RFC 7986 section 6.2)."""
    return values.mail_address(told.value) or values.mail_address(told.params.get("EMAIL", ""))


def _name(told: Property, address: str) -> str:
    name = clean_name(told.params.get("CN", "")[:1_000])[:200].strip("\"' ")
    return "" if name.lower() == address.lower() else name


def _key(address: str) -> str:
    try:
        return parse_spec(address).key
    except AddressError:
        return ""
