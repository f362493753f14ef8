"""Complaints of servers are read for what they say; whatever is in them, reading ends and never fails."""

import json
import time

import pytest

from webmail.mail import feedback, mime

ARF = (
    "From: <fbl@isp.example>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n"
    "--b\r\nContent-Type: message/feedback-report\r\n\r\n{fields}\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nReturn-Path: <back@here.example>\r\nFrom: Ann <ann@here.example>\r\n"
    "Subject: Offer\r\nMessage-ID: <1@here.example>\r\n\r\nBuy now.\r\n--b--\r\n"
)


def read(raw):
    raw = raw.encode() if isinstance(raw, str) else raw
    return feedback.read(mime.parse(raw), raw)


def test_everything_that_a_complaint_says():
    fields = (
        "Feedback-Type: FRAUD\r\nUser-Agent: Isp/1.0\r\nVersion: 1\r\nOriginal-Mail-From: <ann+b-x@here.example>\r\n"
        "Source-IP: 192.0.2.1\r\nReported-Domain: Here.example\r\nIncidents: 7\r\nArrival-Date: Thu,\r\n 8 Mar 2005\r\n"
    )
    told = read(ARF.format(fields=fields))
    assert told is not None
    assert (told.type, told.kind, told.agent, told.incidents) == ("fraud", "phishing", "Isp/1.0", 7)
    assert told.paths == ("ann+b-x@here.example", "back@here.example")
    assert (told.sender, told.message_id, told.subject) == ("ann@here.example", "1@here.example", "Offer")
    assert (told.source_ip, told.domains) == ("192.0.2.1", ("here.example",))
    assert told.text.strip() == "Buy now."


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("Feedback-Type: virus", "malware"),
        ("Feedback-Type: not-spam", "other"),
        ("Feedback-Type: zzz", "other"),
        ("User-Agent: x", "other"),
    ],
)
def test_types_are_kinds_of_cases(fields, kind):
    told = read(ARF.format(fields=fields + "\r\n"))
    assert told is not None
    assert told.kind == kind


@pytest.mark.parametrize("value", ["0", "-1", "x", "99999999", ""])
def test_a_count_that_is_none_is_one(value):
    told = read(ARF.format(fields=f"Feedback-Type: abuse\r\nIncidents: {value}\r\n"))
    assert told is not None
    assert told.incidents == 1


@pytest.mark.parametrize(
    ("told", "kind", "sender"),
    [
        ({"Version": "3", "Report": {"ReportType": "Phishing", "SourceIp": "192.0.2.5"}}, "phishing", ""),
        (
            {
                "xarf_version": "4.0.0",
                "type": "spam",
                "source_identifier": "192.0.2.5",
                "smtp_from": "a@x.example",
            },
            "spam",
            "a@x.example",
        ),
    ],
)
def test_xarf_of_both_versions(told, kind, sender):
    raw = (
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/json\r\n\r\n'
        f"{json.dumps(told)}\r\n--b--\r\n"
    )
    found = read(raw)
    assert found is not None
    assert (found.kind, found.source_ip, found.sender) == (kind, "192.0.2.5", sender)


@pytest.mark.parametrize(
    "body", ["{}", "[1]", "[" * 5000, '{"Report": 3}', '{"xarf_version": 4, "type": []}', "nonsense"]
)
def test_other_json_is_no_complaint(body):
    assert read(f"Content-Type: application/json\r\n\r\n{body}\r\n") is None


def test_mere_mail_is_no_complaint():
    assert read("From: a@x.example\r\n\r\nFeedback-Type: abuse\r\n") is None


@pytest.mark.parametrize(
    "fields", ["Feedback-Type: abuse\r\n" + "X: y\r\n" * 60_000, "A" * 500_000 + ": b", "Feedback-Type:" + " \r\n " * 100_000]
)  # fmt: skip
def test_endless_fields_cost_little(fields):
    began = time.perf_counter()
    read(ARF.format(fields=fields))
    assert time.perf_counter() - began < 1.0


def test_complaints_that_others_collected(corpora):
    """Every feedback report of three programs' test suites is known for one, and its type is what they say."""
    seen = 0
    for path in sorted((corpora / "arf").glob("*.eml")):
        raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        told = read(raw)
        if b"message/feedback-report" not in raw.lower():
            continue
        assert told is not None, path.name
        seen += 1
        expected = path.with_suffix(".json")
        if expected.exists():
            said = (
                json.loads(expected.read_text())["feedback_type"]
                .lower()
                .replace("-", "")
                .replace("authfailure", "authfailure")
            )
            assert told.type.replace("-", "") == said, path.name
    assert seen >= 12


def test_xarf_samples_that_others_collected(corpora):
    seen = 0
    for path in sorted((corpora / "arf").glob("xarf_positive*.json")):
        found = read(b"Content-Type: application/json\r\n\r\n" + path.read_bytes())
        assert found is not None, path.name
        seen += 1
    assert seen >= 10
