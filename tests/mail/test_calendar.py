"""Calendar objects read from mail: the event, its times in any zone, its people, its rule, and what was wrong with it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from webmail.mail import calendar
from webmail.mail.calendar import Attendee, Invitation, Person
from webmail.mail.calendar.lines import parse
from webmail.mail.calendar.values import duration, mail_address, moment, rule, web_address
from webmail.mail.calendar.zones import Zones

OUTLOOK = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def ics(*lines: str, method: str = "REQUEST", zones: str = "", before: str = "UID:1") -> bytes:
    event = "\n".join((before, *lines))
    text = f"BEGIN:VCALENDAR\nMETHOD:{method}\n{zones}BEGIN:VEVENT\n{event}\nEND:VEVENT\nEND:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


def read(*lines: str, **more: str) -> Invitation:
    found = calendar.read(ics(*lines, **more), own_addresses=["ann@mtumail.test"])
    assert found is not None
    return found


def test_an_invitation_as_calendars_send_it():
    found = read(
        "SEQUENCE:3", "SUMMARY:Pump\\, valve\\; hose", "DESCRIPTION:One\\nTwo \\\\n", "LOCATION:Hall", "URL:https://Example.org/a b",
        "DTSTART;TZID=Europe/Berlin:20261126T100000", "DTEND;TZID=Europe/Berlin:20261126T110000", "STATUS:CONFIRMED",
        'ORGANIZER;CN="Mwangi, Grace":mailto:grace@Example.org', "ATTENDEE;CN=Ann;RSVP=TRUE;PARTSTAT=TENTATIVE:MAILTO:Ann+x@mtumail.test",
        "ATTENDEE;ROLE=OPT-PARTICIPANT;CN=ben@example.org:mailto:ben@example.org", "RRULE:FREQ=WEEKLY;BYDAY=TH", "EXDATE:20261203T090000Z,20261210T090000Z",
        zones="",
    )  # fmt: skip
    assert (found.method, found.uid, found.sequence, found.status) == ("REQUEST", "1", 3, "CONFIRMED")
    assert found.summary == "Pump, valve; hose"
    assert found.description == "One\nTwo \\n"
    assert found.url == "https://example.org/a%20b"
    assert found.start == datetime(2026, 11, 26, 9, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 26, 10, tzinfo=UTC)
    assert found.zone == "Europe/Berlin"
    assert found.organizer == Person("Mwangi, Grace", "grace@example.org")
    assert found.attendees == (
        Attendee("Ann", "Ann+x@mtumail.test", "TENTATIVE", "REQ-PARTICIPANT", True),
        Attendee("", "ben@example.org", "NEEDS-ACTION", "OPT-PARTICIPANT", False),
    )
    assert found.mine == found.attendees[0]
    assert found.recurrence.freq == "WEEKLY"
    assert (found.excluded_dates, found.extra_dates, found.more_events, found.problems) == (2, 0, 0, ())
    assert found.can_be_answered


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        ((), {"method": "PUBLISH"}),
        ((), {"method": "CANCEL"}),
        ((), {"method": "X-EVIL"}),
        (("STATUS:CANCELLED",), {}),
        ((), {"before": "SUMMARY:no uid"}),
        ((), {"before": "UID:\u202e1"}),
        ((), {"before": f"UID:{'1' * 1001}"}),
    ],
)
def test_what_cannot_be_answered(lines, more):
    assert not read("ORGANIZER:mailto:a@b.example", *lines, **more).can_be_answered


@pytest.mark.parametrize(
    "organizer",
    [
        "X-A:1",
        "ORGANIZER:invalid:nomail",
        "ORGANIZER:mailto:",
        "ORGANIZER:mailto:ANN@mtumail.test",
        "ORGANIZER:http://a@b.example",
    ],
)
def test_nobody_to_answer(organizer):
    assert not read(organizer).can_be_answered


def test_an_address_beside_an_odd_calendar_address():
    found = read("ORGANIZER;EMAIL=grace@example.org;CN=Grace:urn:uuid:1-2")
    assert found.organizer == Person("Grace", "grace@example.org")


@pytest.mark.parametrize(
    ("lines", "start", "end", "problems"),
    [
        (("DTSTART;VALUE=DATE:20261126",), date(2026, 11, 26), None, ()),
        (("DTSTART:20261126", "DTEND:20261128"), date(2026, 11, 26), date(2026, 11, 28), ()),
        (("DTSTART:20261126", "DURATION:P2D"), date(2026, 11, 26), date(2026, 11, 28), ()),
        (("DTSTART:20261126T100000",), datetime(2026, 11, 26, 10), None, ()),
        (("DTSTART:20261126T100000Z", "DURATION:PT90M"), datetime(2026, 11, 26, 10, tzinfo=UTC), datetime(2026, 11, 26, 11, 30, tzinfo=UTC), ()),
        (("DTSTART:20261126T100000Z", "DTEND:20261126T090000Z"), datetime(2026, 11, 26, 10, tzinfo=UTC), None, ("end-before-start",)),
        (("DTSTART:20261126T100000Z", "DTEND:20261127"), datetime(2026, 11, 26, 10, tzinfo=UTC), None, ("bad-end",)),
        (("DTSTART:20261126T100000Z", "DTEND:20261127T100000"), datetime(2026, 11, 26, 10, tzinfo=UTC), None, ("bad-end",)),
        (("DTSTART:20261126T100000Z", "DURATION:P999999W"), datetime(2026, 11, 26, 10, tzinfo=UTC), None, ("bad-end",)),
        (("DTSTART:20261126T100000Z", "DURATION:-PT1H"), datetime(2026, 11, 26, 10, tzinfo=UTC), None, ("bad-end",)),
        (("DTSTART:20261126T100060Z",), datetime(2026, 11, 26, 10, 0, 59, tzinfo=UTC), None, ()),
        (("DTSTART:20261326T100000Z",), None, None, ("bad-start",)),
        (("DTSTART:tomorrow", "DTEND:later"), None, None, ("bad-start", "bad-end")),
        (("DTSTART;TZID=Nowhere:20261126T100000",), datetime(2026, 11, 26, 10), None, ("unknown-zone",)),
        (("DTSTART;TZID=Etc/GMT+12:99991231T235959",), None, None, ("bad-start",)),
        ((), None, None, ("no-start",)),
    ],
)  # fmt: skip
def test_starts_and_ends(lines, start, end, problems):
    found = read(*lines)
    assert (found.start, found.end, found.problems) == (start, end, problems)


def test_an_hour_is_an_hour_when_clocks_change():
    found = read("DTSTART;TZID=Europe/Berlin:20261025T013000", "DURATION:PT3H")
    assert found.end - found.start == timedelta(hours=2)  # the wall clock's difference, of one zone
    assert found.end.astimezone(UTC) - found.start.astimezone(UTC) == timedelta(hours=3)


# --- zones ---------------------------------------------------------------------------------------------------------------


def test_a_zone_that_the_file_defines_is_the_zone_it_means():
    """Every noon of four years, and every half hour around the changes, skipped and repeated hours too."""
    root, _ = parse(ics(zones=OUTLOOK.format(name="Customized Time Zone")))
    zones, berlin = Zones(root.children[0]), ZoneInfo("Europe/Berlin")
    walls = [datetime(2025, 1, 1, 12) + timedelta(days=day) for day in range(4 * 365)]
    for sunday in (
        datetime(2025, 3, 30),
        datetime(2026, 10, 25),
        datetime(2028, 3, 26),
        datetime(2028, 10, 29),
    ):
        walls += [sunday + timedelta(minutes=30 * step) for step in range(-4, 14)]
    for wall in walls:
        told = zones.resolve(wall, "Customized Time Zone")
        assert told.utcoffset() == wall.replace(tzinfo=berlin).utcoffset(), wall


@pytest.mark.parametrize(
    ("rules", "years"),
    [
        ("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=SU;BYMONTHDAY=1,2,3,4,5,6,7", (2007, 2030)),
        ("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU", (2007, 2030)),
        ("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU;UNTIL=20301103T060000Z", (2007, 2030)),
        ("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU;COUNT=24", (2007, 2030)),
    ],
)
def test_other_ways_to_write_new_york(rules, years):
    definition = (
        "BEGIN:VTIMEZONE\nTZID:NY\nBEGIN:STANDARD\nDTSTART:20071104T020000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\n"
        f"{rules}\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20070311T020000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\n"
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
    )
    root, _ = parse(ics(zones=definition))
    zones, new_york = Zones(root.children[0]), ZoneInfo("America/New_York")
    for year in range(years[0] + 1, years[1] + 1):
        for wall in (
            datetime(year, 1, 5),
            datetime(year, 3, 15),
            datetime(year, 7, 1),
            datetime(year, 10, 31, 12),
            datetime(year, 11, 9),
        ):
            assert zones.resolve(wall, "NY").utcoffset() == wall.replace(tzinfo=new_york).utcoffset(), wall


def test_dates_instead_of_rules_and_times_before_all_of_them():
    definition = (
        "BEGIN:VTIMEZONE\nTZID:R\nBEGIN:STANDARD\nDTSTART:20200101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0130\n"
        "RDATE:20250101T000000\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20210101T000000\nTZOFFSETFROM:+0130\nTZOFFSETTO:+0200\n"
        "END:DAYLIGHT\nEND:VTIMEZONE\n"
    )
    root, _ = parse(ics(zones=definition))
    zones = Zones(root.children[0])
    told = {year: zones.resolve(datetime(year, 6, 1), "R").utcoffset() for year in (1999, 2020, 2022, 2026)}
    assert told == {
        1999: timedelta(), 2020: timedelta(minutes=90), 2022: timedelta(hours=2), 2026: timedelta(minutes=90)
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Berlin",
        "europe/berlin",
        "W. Europe Standard Time",
        "/freeassociation.sourceforge.net/Europe/Berlin",
        "/Europe/Berlin",
    ],
)
def test_names_that_need_no_definition(name):
    assert read(f"DTSTART;TZID={name}:20260726T100000").start == datetime(2026, 7, 26, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "broken",
    [
        "TZOFFSETTO:+2500", "TZOFFSETTO:", "DTSTART:x", "RRULE:FREQ=SECONDLY", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYHOUR=1",
        "RRULE:FREQ=YEARLY;BYMONTH=99", "RRULE:FREQ=YEARLY;COUNT=100000", "RRULE:FREQ=YEARLY;UNTIL=x", "RRULE:",
    ],
)  # fmt: skip
def test_a_broken_definition_is_no_definition(broken):
    name = broken.partition(":")[0]
    definition = "\n".join(
        broken if line.startswith(name) else line for line in OUTLOOK.format(name="Custom").split("\n")
    )
    found = read("DTSTART;TZID=Custom:20260726T100000", zones=definition)
    assert (found.start, found.problems, found.is_floating) == (
        datetime(2026, 7, 26, 10),
        ("unknown-zone",),
        True,
    )
    windows = definition.replace("Custom", "Eastern Standard Time")
    found = read("DTSTART;TZID=Eastern Standard Time:20260726T100000", zones=windows)
    assert found.start == datetime(2026, 7, 26, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "Europe", "posixrules/../x", "a" * 500, "/", "//", "/a/b"]
)
def test_names_that_are_paths(name):
    assert read(f"DTSTART;TZID={name}:20260726T100000").problems == ("unknown-zone",)


def test_one_messages_zone_is_not_anothers():
    """What a file defines must not be known to the next file, nor change what names mean."""
    evil = OUTLOOK.format(name="Europe/Berlin").replace("+0200", "+1100")
    assert read("DTSTART;TZID=Europe/Berlin:20260726T100000", zones=evil).start == datetime(
        2026, 7, 26, 8, tzinfo=UTC
    )
    read("DTSTART;TZID=Mine:20260726T100000", zones=OUTLOOK.format(name="Mine"))
    assert read("DTSTART;TZID=Mine:20260726T100000").problems == ("unknown-zone",)


# --- values --------------------------------------------------------------------------------------------------------------


def test_a_rule_in_parts():
    found = rule("FREQ=MONTHLY;INTERVAL=2;BYDAY=2MO,-1FR;COUNT=5;WKST=SU")
    assert (found.freq, found.interval, found.count, found.by_day, found.week_start) == (
        "MONTHLY", 2, 5, ((2, "MO"), (-1, "FR")), "SU"
    )  # fmt: skip
    assert found.is_plain
    assert rule("FREQ=DAILY;UNTIL=20270303").until == date(2027, 3, 3)
    assert rule("RSCALE=GREGORIAN;SKIP=OMIT;FREQ=DAILY").is_plain


@pytest.mark.parametrize(
    "raw",
    [
        "", "FREQ=", "FREQ=NEVER", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=" + "9" * 5000, "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;X=1",
        "FREQ=DAILY;BYDAY=" + "MO," * 300, "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYDAY=99MO", "FREQ=DAILY;UNTIL=x", "\0", "=" * 100,
    ],
)  # fmt: skip
def test_rules_that_are_not_understood_are_not_explained(raw):
    assert not rule(raw).is_plain


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mailto:a@b.example", "a@b.example"),
        ("MAILTO: a@B.example ", "a@b.example"),
        ("a@b.example", "a@b.example"),
        ("mailto:<a@b.example>", "a@b.example"),
        ("mailto:a%40b.example", "a@b.example"),
        ("mailto:a@b.example?subject=x", "a@b.example"),
        ("mailto:a@b.example%0d%0aBcc:x@y.example", ""),
        ("mailto:a@b.example,c@d.example", ""),
        ("mailto:", ""),
        ("urn:uuid:1", ""),
        ("", ""),
    ],
)
def test_calendar_addresses(text, address):
    assert mail_address(text) == address


def test_links_are_for_the_web_alone():
    assert web_address("https://example.org") == "https://example.org/"
    for text in (
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "mailto:a@b.example",
        "zoommtg://x",
        "",
    ):
        assert web_address(text) == ""


def test_times_and_durations_that_are_none():
    for text in (
        "",
        "2026",
        "20261126T10",
        "20261126t1000000",
        "２０２６1126",
        "20261126T250000",
        "00000101",
    ):
        assert moment(text) is None
    for text in ("", "P", "PT", "P1", "1D", "P9999999999D", "PT1M1M1M1M"):
        assert duration(text) is None


def test_strings_are_clean():
    found = read(
        "SUMMARY:a\u202eb\x1b[31m\x00c", "LOCATION:x\u2066y", "DESCRIPTION:a\u202e\\nb\x07", "ORGANIZER;CN=Gr\u200bace\u202e:mailto:g@b.example"
    )  # fmt: skip
    assert (found.summary, found.location, found.description) == ("ab[31m\ufffdc", "xy", "a\nb")
    assert found.organizer == Person("Grace", "g@b.example")
    assert len(read("SUMMARY:" + "x" * 5000).summary) == 500
    assert len(read("DESCRIPTION:" + "x" * 50_000).description) == 8_000


def test_the_series_is_shown_before_its_exceptions():
    event = "BEGIN:VEVENT\nUID:1\n{}\nEND:VEVENT\n"
    text = "BEGIN:VCALENDAR\n{}{}END:VCALENDAR\n".format(
        event.format("RECURRENCE-ID:20260101T000000Z\nSUMMARY:once"), event.format("SUMMARY:always")
    )
    found = calendar.read(text.encode())
    assert (found.summary, found.more_events, found.recurrence_id) == ("always", 1, None)


def test_lines_folded_inside_of_characters_and_odd_line_ends():
    content = ics("SUMMARY:Zoë").replace("ë".encode(), b"\xc3\r\n \xab")
    assert calendar.read(content).summary == "Zoë"
    assert calendar.read(content.replace(b"\r\n", b"\n")).summary == "Zoë"
    assert calendar.read(content.replace(b"\r\n", b"\r\r\n")).summary == "Zoë"
    assert calendar.read(b"\xef\xbb\xbf" + content).summary == "Zoë"
    assert calendar.read(ics("SUMMARY:Zoë").decode().encode("utf-16")).summary == "Zoë"
    assert calendar.read(ics("SUMMARY:Zoë").decode().encode("cp1252")).summary == "Zoë"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"hello",
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n",
    ],
)
def test_what_is_no_calendar(content):
    assert calendar.read(content) is None
