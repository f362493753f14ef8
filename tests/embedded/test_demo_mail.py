import email
import functools
import io
import re
import zipfile
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest

from webmail.embedded.demo_mail import DemoMessage, messages

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOWS = [
    NOW,
    datetime(2026, 11, 23, 0, 5, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, tzinfo=timezone(timedelta(hours=-9))),
    datetime(2027, 1, 3, 6, 0, tzinfo=timezone(timedelta(hours=13))),
]


@functools.cache
def parsed(message: DemoMessage) -> EmailMessage:
    return email.message_from_bytes(message.raw, policy=policy.default)


@functools.cache
def of(name: str) -> list[DemoMessage]:
    return [one for one in messages(NOW) if one.mailbox == name]


def test_everybody_has_mail_and_all_of_it_is_small():
    counts = Counter(one.mailbox for one in messages(NOW))
    assert 60 <= counts["ann"] <= 80
    assert 12 <= counts["ben"] <= 25
    assert all(3 <= counts[name] <= 6 for name in ("sam", "sue", "rex", "ada"))
    assert set(counts) == {"ann", "ben", "sam", "sue", "rex", "ada"}
    assert sum(len(one.raw) for one in messages(NOW)) < 600_000
    folders = Counter(one.folder for one in of("ann"))
    assert set(folders) == {"inbox", "sent", "archive", "junk", "trash"}
    assert folders["sent"] >= 12
    assert folders["junk"] >= 2
    assert sum(one.unread for one in of("ann")) >= 4
    assert sum(one.starred for one in of("ann")) >= 3


def test_same_moment_same_bytes():
    assert messages(NOW) == messages(NOW)
    assert messages(NOW) != messages(NOW + timedelta(days=1))


def test_the_domain_is_the_callers():
    everything = b"".join(one.raw for one in messages(NOW, "post.example"))
    assert b"mtumail.test" not in everything
    assert b"ann@post.example" in everything


@pytest.mark.parametrize("now", NOWS)
def test_all_parse_without_defects(now):
    for one in messages(now):
        whole = parsed(one)
        for part in whole.walk():
            assert not part.defects, (one.mailbox, whole["Subject"], part.defects)
            if part.get_content_maintype() == "text" and part["Content-Transfer-Encoding"]:
                assert part.get_content().strip()
        for name, value in whole.items():
            assert not value.defects, (name, value)
        assert whole["From"].addresses
        assert parsedate_to_datetime(whole["Date"]) <= one.received_at


def test_line_ends_are_crlf_and_lines_are_short():
    for one in messages(NOW):
        assert one.raw.endswith(b"\r\n")
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", one.raw)
        assert max(map(len, one.raw.split(b"\r\n"))) <= 998
        head = one.raw.partition(b"\r\n\r\n")[0]
        assert head.isascii()
        if one.envelope_from.count("@") and b"\nList-Unsubscribe:" not in head:
            assert max(map(len, head.split(b"\r\n"))) <= 160


@pytest.mark.parametrize("now", NOWS)
def test_dates_are_believable(now):
    got = messages(now)
    for one in got:
        assert now - timedelta(days=135) < one.received_at <= now
        assert one.received_at.utcoffset() is not None
    ann = [one.received_at for one in got if one.mailbox == "ann"]
    assert ann == sorted(ann)
    assert max(ann) - min(ann) > timedelta(days=100)
    assert now - max(ann) < timedelta(hours=2)


@pytest.mark.parametrize("now", NOWS)
def test_threads_are_consistent(now):
    everything = {}
    for one in messages(now):
        whole = parsed(one)
        everything[whole["Message-ID"]] = whole
    answers = 0
    for whole in everything.values():
        parent = whole["In-Reply-To"]
        if not parent:
            assert whole["References"] is None
            continue
        answers += 1
        original = everything[parent]
        chain = whole["References"].split()
        assert chain == [*(original["References"] or "").split(), parent]
        assert parsedate_to_datetime(original["Date"]) < parsedate_to_datetime(whole["Date"])
    assert answers >= 29


def test_shared_mail_has_one_message_id_and_one_body():
    by_id: dict[str, set[str]] = {}
    bodies: dict[str, set[bytes]] = {}
    for one in messages(NOW):
        key = parsed(one)["Message-ID"]
        assert one.mailbox not in by_id.get(key, set()), "twice in one mailbox"
        by_id.setdefault(key, set()).add(one.mailbox)
        bodies.setdefault(key, set()).add(one.raw.partition(b"\r\n\r\n")[2])
    assert sum(boxes >= {"ann", "ben"} for boxes in by_id.values()) >= 10
    assert all(len(versions) == 1 for versions in bodies.values())


def test_sent_mail_is_from_its_owner_and_received_mail_is_not():
    for one in messages(NOW):
        own = parsed(one)["From"].addresses[0].addr_spec == f"{one.mailbox}@mtumail.test"
        assert own == (one.folder == "sent")
        assert one.raw.startswith(b"Received: ") != own


def test_scripts_and_character_sets():
    text = {}
    for one in of("ann"):
        for part in parsed(one).walk():
            if part.get_content_type() == "text/plain":
                text.setdefault(part.get_content_charset(), []).append(part.get_content())
    assert {"us-ascii", "utf-8", "iso-2022-jp", "gb18030", "koi8-r"} <= set(text)
    assert "カニ" in text["iso-2022-jp"][0]
    assert "砂" in "".join(text["gb18030"]) or "滤池" in "".join(text["gb18030"])
    assert "медведь" in text["koi8-r"][0]
    subjects = " ".join(parsed(one)["Subject"] for one in of("ann"))
    for word in (
        "水位",
        "滤料",
        "Данные",
        "ورشة",
        "טפטפות",
        "महिला",
        "δεξαμενή",
        "Kupplungen",
        "¿Cuánta",
        "🎉",
    ):
        assert word in subjects
    raw = b"".join(one.raw for one in of("ann"))
    assert b"=?iso-2022-jp?" in raw
    assert b"=?koi8-r?" in raw
    assert b"=?gb18030?" in raw


def test_attachments_open():
    kinds = Counter()
    names = []
    for one in of("ann"):
        for part in parsed(one).walk():
            if not part.get_filename():
                continue
            data = part.get_payload(decode=True)
            names.append(part.get_filename())
            kinds[part.get_content_type()] += 1
            if data.startswith(b"%PDF"):
                start = int(data.split(b"startxref\n")[1].split(b"\n")[0])
                assert data[start:].startswith(b"xref\n")
                for number, line in enumerate(data[start:].split(b"\n")[3:8], start=1):
                    assert data[int(line[:10]) :].startswith(b"%d 0 obj" % number)
            elif data.startswith(b"\x89PNG"):
                place = data.index(b"IDAT")
                size = int.from_bytes(data[place - 4 : place], "big")
                width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
                assert len(zlib.decompress(data[place + 4 : place + 4 + size])) == height * (width * 3 + 1)
            elif data.startswith(b"PK"):
                assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert {"application/pdf", "image/png", "text/csv", "application/ics"} <= set(kinds)
    assert {"Angebot Förderpumpe Größe 80.pdf", "滤料级配表.docx", "расходы_за_год.csv"} <= set(names)
    assert "برنامج الورشة.docx" in names
    assert b"filename*0*=" in b"".join(one.raw for one in of("ann"))


def test_inline_pictures_are_there():
    found = 0
    for one in of("ann"):
        whole = parsed(one)
        wanted = set(
            re.findall(
                rb'"cid:([^"]+)"',
                b"".join(
                    p.get_payload(decode=True) for p in whole.walk() if p.get_content_subtype() == "html"
                ),
            )
        )
        have = {p["Content-ID"].strip("<>").encode() for p in whole.walk() if p["Content-ID"]}
        assert wanted == have
        found += len(wanted)
    assert found >= 2


def test_the_bounce_reports_a_message_ann_sent():
    bounces = [one for one in of("ann") if parsed(one).get_content_type() == "multipart/report"]
    assert len(bounces) == 1
    assert bounces[0].envelope_from == ""
    report = parsed(bounces[0])
    assert report.get_param("report-type") == "delivery-status"
    _, status, original = report.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    whole_mail, recipient = status.get_payload()
    assert whole_mail["Reporting-MTA"] == "dns; relay.mtumail.test"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    returned = original.get_payload()[0]
    sent = {parsed(one)["Message-ID"] for one in of("ann") if one.folder == "sent"}
    assert returned["Message-ID"] in sent
    assert returned["To"].addresses[0].addr_spec == recipient["Final-Recipient"].split("; ")[1]


def test_newsletters_can_be_left_and_do_track():
    letters = [one for one in of("ann") if b"\r\nList-Unsubscribe-Post:" in one.raw]
    assert len({parsed(one)["List-Id"] for one in letters}) == 2
    for one in letters:
        whole = parsed(one)
        assert whole["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "<https://" in whole["List-Unsubscribe"]
        assert "<mailto:" in whole["List-Unsubscribe"]
        page = whole.get_body(("html",)).get_content()
        assert 'width="1" height="1"' in page
        assert "display:none" in page
        assert "<style" in page
        assert "utm_source" in page


def test_the_invitation_can_be_answered():
    calendars = [
        part for one in of("ann") for part in parsed(one).walk() if part.get_content_type() == "text/calendar"
    ]
    assert len(calendars) == 1
    assert calendars[0].get_param("method") == "REQUEST"
    event = calendars[0].get_content().replace("\r\n", "\n")
    assert "METHOD:REQUEST\n" in event
    assert "RSVP=TRUE:mailto:ann@mtumail.test" in event
    start = datetime.strptime(re.search(r"DTSTART:(\w+)Z", event)[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    assert NOW < start < NOW + timedelta(days=12)


def test_junk_cannot_be_mistaken_for_aligned_mail():
    phish = next(one for one in of("ann") if "full" in parsed(one)["Subject"])
    whole = parsed(phish)
    author = whole["From"].addresses[0].domain
    assert phish.folder == "junk"
    assert author != "mtumail.test"
    assert author.startswith("mtumai")
    assert phish.envelope_from.rpartition("@")[2] != author
    assert f"d={author}" not in whole["DKIM-Signature"]


def test_odd_ones():
    ann = [parsed(one) for one in of("ann")]
    assert [one for one in ann if one["Subject"] == ""]
    assert [one for one in ann if len(one["Subject"]) > 250]
    assert [one for one in ann if one.get_content_type() == "image/png"]
    assert [one for one in ann if one["Auto-Submitted"] == "auto-replied" and one["In-Reply-To"]]
    assert [one for one in ann if one.get_content_type() == "multipart/mixed" and "Digest" in one["Subject"]]
    flowed = [p for one in ann for p in one.walk() if p.get_param("format") == "flowed"]
    assert flowed
    assert any(" \n" in p.get_content().replace("\r\n", "\n") for p in flowed)
    assert [one for one in ann if not one.is_multipart() and "+-----" in str(one.get_payload())]
    assert [
        one for one in ann if one.get_body(("plain",)) and "\n>> " in one.get_body(("plain",)).get_content()
    ]


def test_every_address_is_at_a_reserved_domain():
    for one in messages(NOW):
        for host in re.findall(rb"[\w.+-]+@([a-z][\w-]*(?:\.[\w-]+)+)", one.raw):
            if re.search(rb"[a-z]$", host):
                assert re.search(rb"(?:^|\.)example\.(?:com|net|org)$|(?:^|\.)mtumail\.test$", host), host
