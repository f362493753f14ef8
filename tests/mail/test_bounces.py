"""Reading reports: fields and prose, what is no bounce, hostile ones, and other people's by the hundred."""

import json
import re
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from webmail.mail import mime
from webmail.mail.bounces import REASONS, Report, clean_reply, enhanced, is_hard, read, reason_of


def told(text: str | bytes) -> Report | None:
    raw = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
    return read(mime.parse(raw), raw)


def dsn(fields: str, notice: str = "It could not be delivered.", inner: str = "", kind: str = "") -> str:
    kind = kind or "delivery-status"
    return (
        "From: MAILER-DAEMON@mx.example.org\nTo: ann@mtumail.test\nSubject: Undelivered\n"
        f"Content-Type: multipart/report; report-type={kind}; boundary=b\n\n"
        f"--b\nContent-Type: text/plain; charset=utf-8\n\n{notice}\n"
        f"--b\nContent-Type: message/{kind}\nContent-Transfer-Encoding: 8bit\n\n{fields}\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{inner or 'Message-ID: <m1@mtumail.test>'}\n\n--b--\n"
    )


FAILED = """Reporting-MTA: dns; mx.example.org

Original-Recipient: rfc822;carla@example.org
Final-Recipient: rfc822; c.b@inner.example
Action: failed
Status: 5.2.2
Remote-MTA: dns; mx.inner.example (192.0.2.7)
Diagnostic-Code: smtp; 552 5.2.2 <c.b@inner.example>: mailbox
 is full
"""


def test_fields_are_read():
    report = told(dsn(FAILED))
    assert (report.kind, report.by_machine, report.original_ids) == ("status", True, ("m1@mtumail.test",))
    [one] = report.recipients
    assert (one.address, one.original) == ("c.b@inner.example", "carla@example.org")
    assert (one.action, one.status, one.reason, one.hard) == ("failed", "5.2.2", "mailbox-full", False)
    assert (one.reply_code, one.remote) == (552, "mx.inner.example")
    assert one.diagnostic == "552 5.2.2 <c.b@inner.example>: mailbox is full"


def test_a_delay_says_until_when():
    fields = """
Final-Recipient: rfc822; carla@example.org
Action: delayed
Status: 4.4.1
Will-Retry-Until: Thu, 26 Nov 2026 10:00:00 +0200
"""
    [one] = told(dsn(fields)).recipients
    assert (one.action, one.status, one.hard) == ("delayed", "4.4.1", False)
    assert one.until == datetime(2026, 11, 26, 8, tzinfo=UTC)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_success_is_no_failure(action):
    [one] = told(
        dsn(f"Final-Recipient: rfc822; a@b.example\nAction: {action.title()}\nStatus: 2.0.0")
    ).recipients
    assert (one.action, one.status, one.hard) == (action, "2.0.0", False)


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("utf-8; jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        (r"utf-8; j\x{F6}rg@example.org", "jörg@example.org"),
        ("rfc822; <a@b.example>", "a@b.example"),
        ("RFC822;a@b.example (unknown)", "a@b.example"),
        ("a@b.example", "a@b.example"),
        (r"utf-8; \x{110000}\x{D800}@example.org", None),
        ("rfc822; nobody", None),
        ("rfc822;", None),
    ],
)
def test_addresses_of_any_kind(field, address):
    report = told(
        dsn(f"Final-Recipient: {field}\nAction: failed\nStatus: 5.1.1", kind="global-delivery-status")
    )
    found = report.recipients[0].address if report and report.by_machine else None
    assert found == address or (address is None and "nobody" not in str(found))


def test_several_recipients_without_a_blank_line_between_them():
    group = "Final-Recipient: rfc822; {}@example.org\nAction: failed\nStatus: 5.1.1\n"
    report = told(dsn("".join(group.format(name) for name in "abc")))
    assert [one.address[0] for one in report.recipients] == ["a", "b", "c"]


def test_the_last_servers_own_code_counts_where_it_says_more():
    fields = "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: {}\nDiagnostic-Code: smtp; {}"
    for status, said, want in (
        ("5.0.0", "550 5.1.1 unknown", "5.1.1"),
        ("5.1.1", "550 sorry", "5.1.1"),
        ("4.4.7", "550 5.0.0 no", "4.4.7"),
        ("5.4.7", "550 5.7.1 denied", "5.7.1"),
    ):
        assert told(dsn(fields.format(status, said))).recipients[0].status == want


EXIM = """From: Mail Delivery System <Mailer-Daemon@mx.example.org>
To: ann@mtumail.test
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  carla@example.org
    host mx.example.org [192.0.2.1]: 550 5.1.1 <carla@example.org>: User unknown
  dmitri@example.net
    host mx.example.net [192.0.2.2]: 552 5.2.2 <dmitri@example.net>: Over quota

------ This is a copy of the message, including all the headers. ------

Return-path: <ann@mtumail.test>
Message-ID: <m1@mtumail.test>
From: ann@mtumail.test
To: carla@example.org

550 5.7.1 eve@example.com is in the text, and says nothing.
"""


def test_prose_is_read():
    report = told(EXIM)
    assert (report.by_machine, report.original_ids) == (False, ("m1@mtumail.test",))
    assert [(one.address, one.status, one.reason, one.hard) for one in report.recipients] == [
        ("carla@example.org", "5.1.1", "no-such-user", True),
        ("dmitri@example.net", "5.2.2", "mailbox-full", False),
    ]


def test_a_header_names_whom_it_is_about():
    text = EXIM.replace("Subject:", "X-Failed-Recipients: dmitri@example.net\nSubject:")
    assert [one.address for one in told(text).recipients] == ["dmitri@example.net"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("From: carla@example.org\nSubject: Lunch?", None),
        ("From: carla@example.org\nSubject: Re: Undelivered mail", None),
        ("From: carla@example.org\nSubject: Out of office: until Monday\nAuto-Submitted: auto-replied", "autoreply"),
        ("From: carla@example.org\nSubject: Thank you\nAuto-Submitted: auto-replied", "autoreply"),
        ("From: carla@example.org\nSubject: Hello\nX-Autoreply: yes", "autoreply"),
        ("From: carla@example.org\nSubject: Please verify your message\nAuto-Submitted: auto-replied", "challenge"),
        ("From: <>\nSubject: Lunch", None),
    ],
)  # fmt: skip
def test_what_is_no_bounce(head, kind):
    report = told(f"{head}\nTo: ann@mtumail.test\n\nI wrote to dmitri@example.net as well.\n")
    assert (report.kind if report else None) == kind


@pytest.mark.parametrize(
    ("part", "kind"), [("feedback-report", "feedback"), ("disposition-notification", "receipt")]
)
def test_complaints_and_receipts_are_told_apart(part, kind):
    report = told(dsn("Final-Recipient: rfc822; a@b.example\nDisposition: x; displayed", kind=part))
    assert (report.kind, report.recipients, report.original_ids) == (kind, (), ("m1@mtumail.test",))


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        ("5.1.1", "550 5.1.1 User unknown", "no-such-user"),
        ("5.0.0", "550 The email account that you tried to reach does not exist", "no-such-user"),
        ("5.0.0", "552 mailbox is full", "mailbox-full"),
        ("5.0.0", "550 Host unknown", "host-unknown"),
        ("5.1.8", "553 Domain of sender address a@b.example does not exist", "policy"),
        ("5.0.0", "552 message size exceeds fixed limit", "too-large"),
        ("5.0.0", "554 Relay access denied", "relay-denied"),
        ("5.0.0", "550 This account has been disabled", "suspended"),
        ("5.0.0", "554 Spam message rejected", "spam"),
        ("5.0.0", "554 your IP is on a blacklist", "blocked"),
        ("5.0.0", "554 virus found", "content"),
        ("4.4.7", "delivery time expired", "expired"),
        ("4.4.2", "connection refused", "network"),
        ("5.2.2", "no", "mailbox-full"),
        ("5.7.9", "no", "blocked"),
        ("5.7.3", "no", "policy"),
        ("5.0.0", "no", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_reasons(status, text, reason):
    assert reason in REASONS
    assert reason_of(status, text) == reason


def test_only_what_leads_nowhere_for_good_is_hard():
    assert is_hard("5.1.1", "no-such-user")
    assert is_hard("", "host-unknown")
    assert not is_hard("4.1.1", "no-such-user")
    assert not is_hard("5.2.2", "mailbox-full")


def test_replies_are_one_clean_line():
    assert clean_reply("550\r\n 5.1.1  no\x1b[31m \u202eevil" + "x" * 900)[:21] == "550 5.1.1 no[31m evil"
    assert len(clean_reply("x" * 900)) == 500
    assert enhanced("host 192.5.1.1 said 250 2.1.5, then 550 5.1.1") == "5.1.1"
    assert enhanced("version 5.1.1.2 of 1.2.3") == ""


def test_hostile_ones_take_no_longer_and_raise_nothing():
    prose = b"From: mailer-daemon@x.example\r\nSubject: undelivered mail failure\r\n\r\n"
    fields = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    one = b"Final-Recipient: rfc822; a@b.example\r\n"
    cases = [
        prose + b"a" * 2_000_000, prose + b"a@" * 500_000, prose + b"a@" + b"a." * 500_000, prose + b"a@b.cc " * 100_000,
        prose + b"".join(b"<a%d@b.cc>: 550 no\r\n" % number for number in range(30_000)), prose + b"-" * 1_000_000,
        prose + b"------ x\r\n" * 100_000, prose + b"550 " * 300_000, prose + b"5.1.1." * 200_000, prose + b"Message-ID: <" * 100_000,
        prose + b"<a@b.cc>: quota exceed mailbox is full " * 30_000, prose + b" " * 1_000_000, prose + b"To: a@b.cc\r\n" * 100_000,
        fields + one * 30_000, fields + one + b"Diagnostic-Code: smtp;" + b" x\r\n" * 200_000, fields + b"Final-Recipient: rfc822; " + b"(" * 300_000,
        fields + b"Final-Recipient: utf-8; " + rb"\x{110000}" * 50_000, fields + b"\x00\xff\xfe" * 100_000,
        b"X-Failed-Recipients: " + b"a@b.cc," * 100_000 + b"\r\n" + prose, b"Subject: " + b"mail " * 200_000 + b"\r\n\r\nx",
    ]  # fmt: skip
    for raw in cases:
        parsed = mime.parse(raw)
        begin = time.process_time()
        read(parsed, raw)
        assert time.process_time() - begin < 1, raw[:120]


def test_any_beginning_of_a_report_is_read_without_an_error():
    from webmail.mail.bounces import reader

    raw = dsn(FAILED).replace("\n", "\r\n").encode()
    for end in range(0, len(raw), 7):
        reader._read(mime.parse(raw[:end]), raw[:end])


# --- other people's --------------------------------------------------------------------------------------------------------

REASON = {
    "userunknown": "no-such-user", "hasmoved": "no-such-user", "hostunknown": "host-unknown", "notaccept": "host-unknown",
    "mailboxfull": "mailbox-full", "expired": "expired", "suspend": "suspended", "mesgtoobig": "too-large", "norelaying": "relay-denied",
    "spamdetected": "spam", "virusdetected": "content", "contenterror": "content", "networkerror": "network", "blocked": "blocked",
    "badreputation": "blocked", "toomanyconn": "blocked", "requireptr": "blocked", "rejected": "policy", "authfailure": "policy",
    "policyviolation": "policy", "securityerror": "policy", "failedstarttls": "policy",
}  # fmt: skip
KINDS = {"vacation": "autoreply", "feedback": "feedback"}


@pytest.mark.corpora
def test_other_peoples_bounces_are_read_as_their_collectors_did(corpora: Path):
    """Shares of 313 reports of 73 servers: number of recipients, status code, hard or soft, reason. A code that the collectors
    made up (x.0.9nn) is not compared, nor a reason of theirs that we have no word for."""
    counts = {True: Counter(), False: Counter()}
    for told_by in sorted((corpora / "dsn-bounces").glob("*.expected.json")):
        expected = json.loads(told_by.read_text())["expected"]
        if not expected or expected[0]["reason"] in KINDS:
            continue
        raw = told_by.with_name(told_by.name.replace(".expected.json", ".eml")).read_bytes()
        report = read(mime.parse(raw), raw)
        _compare(expected, report, counts[bool(report and report.by_machine)])
    machine, prose = ({name: count[name] / count[f"{name} of"] for name in ("recipients", "status", "hard", "reason")} for count in counts.values())  # fmt: skip
    assert counts[True]["recipients of"] >= 165
    assert counts[False]["recipients of"] >= 130
    for shares, floor in (
        (machine, {"recipients": 0.97, "status": 0.97, "hard": 0.88, "reason": 0.75}),
        (prose, {"recipients": 0.95, "status": 0.96, "hard": 0.88, "reason": 0.75}),
    ):
        assert {name: share for name, share in shares.items() if share < floor[name]} == {}


def _compare(expected: list[dict[str, object]], report: Report | None, count: Counter[str]) -> None:
    found = report.recipients if report else ()
    count["recipients of"] += 1
    count["recipients"] += len(found) == len(expected)
    for want, one in zip(expected, found, strict=False):
        status = str(want["status"])
        if status and not re.match(r"[45]\.0\.9\d\d", status):
            count["status of"] += 1
            count["status"] += one.status == status
        count["hard of"] += 1
        count["hard"] += one.hard == want["hardbounce"]
        if want["reason"] in REASON:
            count["reason of"] += 1
            count["reason"] += one.reason == REASON[str(want["reason"])]


@pytest.mark.corpora
def test_nothing_anybody_sent_raises_and_ordinary_mail_is_no_bounce(corpora: Path):
    from webmail.mail.bounces import reader

    for path in sorted((corpora / "dsn-bounces").glob("*.eml")):
        raw = path.read_bytes()
        reader._read(mime.parse(raw), raw)
    folders = (
        "threading",
        "dkim",
        "mime-generated",
        "mime-notmuch",
        "spam-phish",
        "mime-rspamd",
        "mime-stalwart",
    )
    counts = Counter()
    for path in (path for name in folders for path in (corpora / name).rglob("*") if path.is_file()):
        raw = path.read_bytes()[:500_000]
        parsed = mime.parse(raw)
        if parsed.from_:
            report = read(parsed, raw)
            counts[report.kind if report else None] += 1
    assert counts["status"] == 0
    assert counts[None] > 500
