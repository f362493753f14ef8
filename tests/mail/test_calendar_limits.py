"""Hostile calendar files: none raises, none takes long, limits hold at the limit and one over; and what corpora expect."""

import re
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webmail.mail import calendar, mime
from webmail.mail.calendar import lines
from webmail.mail.calendar.reader import MAX_ATTENDEES

SECONDS = 4.0
"""Ten times what the slowest of these takes, for a machine that does other things too."""
HEAD = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n"
EVENT = b"BEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=Z:20260101T100000\r\nORGANIZER:mailto:a@b.example\r\n"
TAIL = b"END:VEVENT\r\nEND:VCALENDAR\r\n"
PART = (
    b"BEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n"
    b"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n"
)


def full(piece: bytes) -> bytes:
    return piece * (lines.MAX_BYTES // len(piece))


def zone(inside: bytes) -> bytes:
    return HEAD + b"BEGIN:VTIMEZONE\r\nTZID:Z\r\n" + inside + b"END:VTIMEZONE\r\n" + EVENT + TAIL


def many(head: bytes, piece: bytes, tail: bytes = b":mailto:a@b.example\r\n") -> bytes:
    line = head + piece * (8_000 // len(piece)) + tail
    return HEAD + EVENT + full(line)[: -len(line)] + TAIL


BOMBS = {
    "begins": full(b"BEGIN:VEVENT\r\n"), "ends": full(b"END:VEVENT\r\n"), "line feeds": full(b"\n"), "returns": full(b"\r"),
    "folds": full(b"\r\n "), "one line": full(b"A"), "nul": full(b"\0"), "utf-16": b"\xff\xfe" + full(b"A\0"),
    "attendees": HEAD + EVENT + full(b"ATTENDEE;CN=A:mailto:a@b.example\r\n") + TAIL,
    "bad attendees": HEAD + EVENT + full(b'ATTENDEE;A="b:m\r\n') + TAIL,
    "parameters": many(b"ATTENDEE", b";A=b"), "quotes": many(b"ATTENDEE", b';A="'), "commas": many(b"ATTENDEE;A=", b","),
    "carets": many(b"ATTENDEE;A=", b"^^"), "space": many(b"ATTENDEE;", b" ;"), "escapes": many(b'ATTENDEE;"', b" ;\\"),
    "percents": many(b"ATTENDEE:mailto:", b"%41", b"\r\n"), "dates": many(b"EXDATE:", b"20260101,", b"\r\n"),
    "rules": many(b"RRULE:FREQ=DAILY;BYDAY=", b"MO,", b"\r\n"), "texts": many(b"DESCRIPTION:", b"\\n\\\\", b"\r\n"),
    "secondly for ever": HEAD + EVENT + b"RRULE:FREQ=SECONDLY\r\n" + TAIL,
    "a zone that changes each second": zone(PART.replace(b"FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", b"FREQ=SECONDLY")),
    "a zone of many parts": zone(full(PART)[: -4 * len(PART)]),
    "a zone of many dates": zone((PART[:-14] + b"RDATE:" + b"20250101T000000," * 400 + b"\r\nEND:STANDARD\r\n") * 38),
    "many zones": HEAD + full(b"BEGIN:VTIMEZONE\r\nTZID:Z\r\nEND:VTIMEZONE\r\n") + EVENT + TAIL,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_no_bomb_goes_off(name):
    content = BOMBS[name]
    began = time.process_time()
    calendar.read(content, own_addresses=["ann@mtumail.test"])
    try:
        written = calendar.answer(content, ("", "ann@mtumail.test"), "ACCEPTED", now=datetime.now(UTC))
    except calendar.Unanswerable:
        written = b""
    assert time.process_time() - began < SECONDS
    assert len(written) < 40_000


def test_twice_as_much_takes_twice_as_long():
    """The whole reader over the worst line, at two sizes: quadratic work would take four times."""
    line = b"ATTENDEE;A=" + b"," * 4_000 + b":mailto:a@b.example\r\n"

    def took(count: int) -> float:
        content = HEAD + EVENT + line * count + TAIL
        best = []
        for _ in range(3):
            began = time.process_time()
            calendar.read(content)
            best.append(time.process_time() - began)
        return min(best)

    assert took(48) < took(16) * 3 * 2


def event(*inside: bytes) -> bytes:
    return HEAD + EVENT + b"".join(inside) + TAIL


def test_size_at_the_limit_and_one_over():
    room = lines.MAX_BYTES - len(event(b"X-A:\r\n"))
    at_limit, over = event(b"X-A:" + b"x" * room + b"\r\n"), event(b"X-A:" + b"x" * (room + 1) + b"\r\n")
    assert len(at_limit) == lines.MAX_BYTES
    assert "cut" not in calendar.read(at_limit).problems
    assert "cut" in calendar.read(over).problems


def test_attendees_at_the_limit_and_one_over():
    person = b"ATTENDEE:mailto:a@b.example\r\n"
    found = calendar.read(event(person * MAX_ATTENDEES))
    assert (len(found.attendees), "attendees-cut" in found.problems) == (MAX_ATTENDEES, False)
    found = calendar.read(event(person * (MAX_ATTENDEES + 1)))
    assert (len(found.attendees), "attendees-cut" in found.problems) == (MAX_ATTENDEES, True)


def test_lines_at_the_limit_and_one_over():
    rest = len(event().split(b"\r\n")) - 1
    assert "too-many-lines" not in calendar.read(event(b"X:1\r\n" * (lines.MAX_LINES - rest))).problems
    assert "too-many-lines" in calendar.read(event(b"X:1\r\n" * (lines.MAX_LINES - rest + 1))).problems


def nested(depth: int) -> bytes:
    return event(b"BEGIN:A\r\n" * depth + b"SUMMARY:deep\r\n" + b"END:A\r\n" * depth + b"SUMMARY:mine\r\n")


def test_depth_at_the_limit_and_one_over():
    inside = lines.MAX_DEPTH - 2  # VCALENDAR and VEVENT are two
    for depth, deep in ((inside, False), (inside + 1, True), (50, True)):
        found = calendar.read(nested(depth))
        assert found.summary == "mine"
        assert ("too-deep" in found.problems) is deep


SOUP = st.lists(
    st.sampled_from(
        [
            b"BEGIN:VCALENDAR", b"BEGIN:VEVENT", b"BEGIN:VTIMEZONE", b"BEGIN:STANDARD", b"END:VEVENT", b"END:STANDARD", b"END:VTIMEZONE",
            b"TZID:Z", b"TZID:", b"DTSTART:20260101T100000", b"DTSTART;TZID=Z:20260101T100000", b"DTSTART;TZID=:00010101T000000",
            b"DTEND:99991231T235959Z", b"DURATION:P999999W", b"DURATION:-PT1S", b"TZOFFSETFROM:+2359", b"TZOFFSETTO:-2359",
            b"RRULE:FREQ=YEARLY;BYDAY=5SU;BYMONTH=2", b"RRULE:FREQ=YEARLY;COUNT=500;BYMONTHDAY=31", b"RRULE:FREQ=DAILY;UNTIL=00010101",
            b"RDATE:00010101T000000,99991231T235959", b"RECURRENCE-ID;TZID=Z:99991231T235959", b"UID:1", b"SEQUENCE:-1", b"METHOD:REPLY",
            b"ORGANIZER;CN=:mailto:a@b", b"ATTENDEE;CN=\"a:mailto:b@c.example", b"ATTENDEE;;:", b"URL:https://[::1", b" folded", b"\xff\xfe",
            b"SUMMARY;LANGUAGE=en:\xe2\x80\xae", b"STATUS", b":", b";", b"END:", b"BEGIN",
        ]
    )
    | st.binary(max_size=30),
    max_size=40,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(SOUP)
@example([b"BEGIN:VCALENDAR", b"BEGIN:VEVENT", b"DTSTART;TZID=Etc/GMT-14:00010101T000000", b"DURATION:P1D"])
def test_soup_never_raises(pieces):
    content = b"\r\n".join(pieces)
    for whole in (
        content,
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nORGANIZER:mailto:a@b.example\r\n" + content,
    ):
        calendar.read(whole, own_addresses=["a@b.example", "", "nobody"])
        try:
            calendar.answer(whole, ("A", "a@b.example"), "ACCEPTED", now=datetime.now(UTC))
        except calendar.Unanswerable:
            continue


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_never_raise(content):
    calendar.read(content)


# --- corpora -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(corpora: Path) -> Path:
    return corpora / "calendar"


@pytest.mark.corpora
def test_no_file_of_the_corpus_raises(folder):
    files = [path for path in folder.iterdir() if path.suffix in (".ics", ".txt", ".eml")]
    assert len(files) > 100
    found = 0
    for path in files:
        for content in (path.read_bytes(), path.read_bytes().replace(b"\n", b"\r\n")):
            invitation = calendar.read(content)
            found += invitation is not None
            try:
                calendar.answer(content, ("", "a@b.example"), "ACCEPTED", now=datetime.now(UTC))
            except calendar.Unanswerable:
                continue
    assert found > 150


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("issue_218_bad_tzid.ics", datetime(2017, 2, 28, 12, tzinfo=UTC)),
        (
            "issue_237_fail_to_parse_timezone_with_non_ascii_tzid.ics",
            datetime(2017, 5, 11, 16, 30, tzinfo=UTC),
        ),
        ("issue_313_globally_unique_tzid.ics", datetime(2020, 4, 26, 12, tzinfo=UTC)),
        ("issue_321_assert_dst_offset_is_not_false.ics", datetime(2020, 4, 3, 8, 20, tzinfo=UTC)),
        ("issue_466_convert_tzid_with_slash.ics", datetime(2022, 10, 21, 18, tzinfo=UTC)),
        ("issue_836_do_not_quote_tzid.ics", datetime(2024, 10, 28, 21, tzinfo=UTC)),
        ("cyrus_ms_timezone.ics", datetime(2016, 9, 28, 17, tzinfo=UTC)),
        ("cyrus_utctime-with-tzid.ics", datetime(2019, 12, 19, 18, tzinfo=UTC)),
        ("america_new_york_forward_reference.ics", datetime(2014, 8, 29, 12, tzinfo=UTC)),
        ("fuzz_corpus__america_new_york.ics", datetime(2014, 8, 29, 12, tzinfo=UTC)),
        ("fuzz_corpus__pacific_fiji.ics", datetime(2014, 8, 28, 20, tzinfo=UTC)),
        ("fuzz_corpus__timezone_rdate.ics", datetime(2012, 2, 13, 9, tzinfo=UTC)),
        ("issue_1081_invalid_start_and_end.ics", None),
        ("property_params.ics", date(2012, 8, 14)),
    ],
)
def test_files_start_when_their_senders_meant(folder, name, start):
    assert calendar.read((folder / name).read_bytes()).start == start


@pytest.mark.corpora
def test_scheduling_messages_say_what_their_authors_expect(folder):
    """Files that hold calendar objects beside what another server read of them: start, title, people, rule."""
    checked = 0
    for path in folder.glob("stalwart_*.txt"):
        for block in re.split(r"(?m)^> expect.*\n", path.read_text("utf-8"))[1:]:
            expected, mark, rest = re.split(r"(?m)^> ", block)[0].partition("BEGIN:VCALENDAR")
            kind = re.search(r"^summary: (invite|update)", expected, re.MULTILINE)
            if not mark or not kind:
                continue
            found = calendar.read((mark + rest.partition("END:VCALENDAR")[0]).encode())
            assert found.method == "REQUEST"
            told = re.search(r"summary\.dtstart: Time\(ItipTime \{ start: (-?\d+)", expected)
            assert found.start.timestamp() == int(told[1])
            title = re.search(r'summary\.summary: Text\("(.*)"\)', expected)
            assert not title or found.summary == title[1]
            organizer = re.search(r'email: "([^"]+)", name: [^}]*is_organizer: true', expected)
            assert not organizer or found.organizer.address == organizer[1]
            count = re.search(r"summary\.rrule: .*count: Some\((\d+)\)", expected)
            assert not count or (found.recurrence.count == int(count[1]) and found.recurrence.is_plain)
            checked += 1
    assert checked >= 9


@pytest.mark.corpora
def test_an_invitation_of_outlook_is_found_in_its_message(folder):
    raw = (folder / "nextcloud_request_outlook_com.txt").read_bytes().replace(b"\n", b"\r\n")
    parsed = mime.parse(raw)
    [part] = [item for item in parsed.attachments if item.content_type == "text/calendar"]
    found = calendar.read(mime.part_content(raw, part), own_addresses=["bob@example.org"])
    assert (found.method, found.summary, found.zone) == ("REQUEST", "Imip Testing", "W. Europe Standard Time")
    assert (found.start, found.end) == (
        datetime(2025, 2, 26, 7, tzinfo=UTC),
        datetime(2025, 2, 26, 7, 30, tzinfo=UTC),
    )
    assert found.organizer.address == "alice@example.org"
    assert found.mine.rsvp
    assert found.can_be_answered
