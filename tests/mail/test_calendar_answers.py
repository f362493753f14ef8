"""Answers to invitations: what RFC 5546 asks for, and not a line more, whatever the invitation held."""

from datetime import UTC, datetime, timedelta, timezone

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail import calendar
from webmail.mail.calendar import Unanswerable, answer

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=timezone(timedelta(hours=1)))
ZONE = (
    "BEGIN:VTIMEZONE\nTZID:Custom\nX-EVIL:1\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nX-EVIL:2\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\n"
    "TZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
)


def ics(*lines, zones="", kind="VEVENT"):
    event = "\n".join(lines)
    return (
        f"BEGIN:VCALENDAR\nMETHOD:REQUEST\n{zones}BEGIN:{kind}\n{event}\nEND:{kind}\nEND:VCALENDAR\n".replace(
            "\n", "\r\n"
        ).encode()
    )


BASE = ("UID:1@example.org", "ORGANIZER;CN=Grace:mailto:grace@example.org")


def lines(written: bytes) -> list[str]:
    return written.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def test_an_answer_holds_what_rfc_5546_asks_for():
    source = ics(
        *BASE, "SEQUENCE:4", "SUMMARY:Pump\\, valve", "RECURRENCE-ID;TZID=Europe/Berlin:20261126T100000", "DTSTART;TZID=Europe/Berlin:20261126T100000",
        "DTEND;TZID=Europe/Berlin:20261126T110000", "ATTENDEE:mailto:ann@mtumail.test", "ATTENDEE:mailto:ben@example.org", "DESCRIPTION:secret",
        "X-EVIL:1", "ATTACH:https://example.org", "RRULE:FREQ=DAILY",
    )  # fmt: skip
    assert lines(answer(source, ("Ann", "ann@mtumail.test"), "ACCEPTED", now=NOW)) == [
        "BEGIN:VCALENDAR", "PRODID:-//mtumail//mtumail//EN", "VERSION:2.0", "METHOD:REPLY", "BEGIN:VEVENT", "UID:1@example.org",
        "SEQUENCE:4", "DTSTAMP:20261123T000203Z", "ORGANIZER;CN=Grace:mailto:grace@example.org",
        "ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@mtumail.test", "RECURRENCE-ID;TZID=Europe/Berlin:20261126T100000",
        "DTSTART;TZID=Europe/Berlin:20261126T100000", "DTEND;TZID=Europe/Berlin:20261126T110000", "SUMMARY:Pump\\, valve",
        "REQUEST-STATUS:2.0;Success", "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip


@pytest.mark.parametrize("partstat", ["ACCEPTED", "DECLINED", "TENTATIVE"])
def test_what_is_written_is_what_is_read(partstat):
    source = ics(*BASE, "DTSTART;TZID=Custom:20260726T100000", "SUMMARY:" + "Tšč " * 60, zones=ZONE)
    written = answer(
        source, ('Ann "A" Ŵ', "ann@mtumail.test"), partstat, now=NOW, comment="One\nTwo; three, \\four"
    )
    found = calendar.read(written)
    assert (found.method, found.uid, found.problems) == ("REPLY", "1@example.org", ())
    assert found.start == datetime(2026, 7, 26, 8, tzinfo=UTC)
    assert found.zone == "Custom"
    assert found.summary == ("Tšč " * 60).strip()
    assert found.comment == "One\nTwo; three, \\four"
    assert [(item.name, item.address, item.partstat) for item in found.attendees] == [
        ("Ann 'A' Ŵ", "ann@mtumail.test", partstat)
    ]
    assert b"EVIL" not in written
    assert written.endswith(b"\r\n")
    assert written.count(b"\n") == written.count(b"\r\n") == written.count(b"\r")
    assert max(map(len, written.split(b"\r\n"))) <= 75
    [event] = icalendar.Calendar.from_ical(written).events
    assert event.errors == []
    assert event.DTSTART.astimezone(UTC) == datetime(2026, 7, 26, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("DTSTART;VALUE=DATE:20261126", "DTSTART;VALUE=DATE:20261126"),
        ("DTSTART:20261126", "DTSTART;VALUE=DATE:20261126"),
        ("DTSTART:20261126t100000z", "DTSTART:20261126T100000Z"),
        ("DTSTART;TZID=Nowhere:20261126T100000", "DTSTART;TZID=Nowhere:20261126T100000"),
        ("DTSTART;TZID=Nowhere:20261126T100000Z", "DTSTART:20261126T100000Z"),
        ("DTSTART;X-EVIL=1:20261126T100000", "DTSTART:20261126T100000"),
        ("DTSTART:x", None),
        (f"DTSTART;TZID={'x' * 200}:20261126T100000", None),
    ],
)
def test_times_stay_as_they_were_written(told, kept):
    found = [
        line
        for line in lines(answer(ics(*BASE, told), ("", "a@b.example"), "ACCEPTED", now=NOW))
        if line.startswith("DTSTART")
    ]
    assert found == ([kept] if kept else [])


def test_a_task_is_answered_as_a_task():
    written = answer(
        ics(*BASE, "DUE:20261126T100000Z", kind="VTODO"), ("", "a@b.example"), "ACCEPTED", now=NOW
    )
    assert "BEGIN:VTODO" in lines(written)
    assert "DUE:20261126T100000Z" in lines(written)


@pytest.mark.parametrize(
    ("source", "attendee", "reason"),
    [
        (b"", "a@b.example", "no-event"),
        (ics("ORGANIZER:mailto:a@b.example"), "a@b.example", "bad-uid"),
        (ics("UID:1"), "a@b.example", "no-organizer"),
        (ics("UID:1", "ORGANIZER:mailto:a@b.example%0d%0aX-A:1"), "a@b.example", "no-organizer"),
        (ics(*BASE), "nobody", "bad-attendee"),
        (ics(*BASE), "a@b.example\r\nX-A: 1", "bad-attendee"),
    ],
)
def test_what_cannot_be_answered(source, attendee, reason):
    with pytest.raises(Unanswerable) as raised:
        answer(source, ("", attendee), "ACCEPTED", now=NOW)
    assert raised.value.reason == reason


def test_there_are_three_answers():
    with pytest.raises(ValueError, match="partstat"):
        answer(ics(*BASE), ("", "a@b.example"), "ACCEPTED\r\nX-A:1", now=NOW)


HOSTILE = st.text(
    st.sampled_from("ab\\\"';:,=^n\r\n\t \u2028\u0085\x0b\x00\u202e\ud800é\U0001f600BEGIN-"), max_size=120
)


@settings(max_examples=150, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_nothing_said_anywhere_adds_a_line(summary, name, zone, comment):
    source = ics(*BASE, f"SUMMARY:{summary}", f'DTSTART;TZID="{zone}":20261126T100000', f"RECURRENCE-ID;TZID={zone}:20261126T100000",
                 f"ORGANIZER;CN={name}:mailto:x@example.org".replace("\r", "").replace("\n", ""))  if "\ud800" not in summary + name + zone else ics(*BASE)  # fmt: skip
    try:
        written = answer(source, (name, "ann@mtumail.test"), "DECLINED", now=NOW, comment=comment)
    except Unanswerable:
        return
    names = [line.replace(";", ":").partition(":")[0] for line in lines(written)]
    assert names[:5] == ["BEGIN", "PRODID", "VERSION", "METHOD", "BEGIN"]
    assert len(names) == len(set(names)) + 2  # BEGIN and END, twice each
    assert set(names) <= {
        "BEGIN", "END", "PRODID", "VERSION", "METHOD", "UID", "SEQUENCE", "DTSTAMP", "ORGANIZER", "ATTENDEE", "RECURRENCE-ID", "DTSTART",
        "SUMMARY", "COMMENT", "REQUEST-STATUS",
    }  # fmt: skip
    assert max(map(len, written.split(b"\r\n"))) <= 75
    [attendee] = calendar.read(written).attendees
    assert attendee.partstat == "DECLINED"
