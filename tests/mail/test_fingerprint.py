"""A message's digest is the same for everybody who got it, and another for another message."""

import time

import pytest

from webmail.mail import fingerprint

BODY = "Please confirm your password at the address below, or your account will be closed tonight."
HTML = '<html><body><p>Please confirm your password <a href="https://evil.example/{path}">here</a>, or else.</p></body></html>'


def mail(
    body: str = BODY,
    *,
    subject: str = "Urgent",
    sender: str = "eve@evil.example",
    kind: str = "text/plain",
    **more: str,
) -> bytes:
    head = {
        "From": f"Eve <{sender}>",
        "Subject": subject,
        "MIME-Version": "1.0",
        "Content-Type": f"{kind}; charset=utf-8",
    }
    head |= {name.replace("_", "-"): value for name, value in more.items()}
    return ("".join(f"{name}: {value}\r\n" for name, value in head.items()) + f"\r\n{body}\r\n").encode()


def content(raw: bytes) -> bytes:
    return fingerprint.of(raw).content


@pytest.mark.parametrize(
    "other",
    [
        mail(To="ann@mtumail.test", Message_ID="<1@x>", Date="Mon, 23 Nov 2026 07:00:00 +0000"),
        mail(Received="from a by b; Mon, 23 Nov 2026 07:00:00 +0000"),
        mail(BODY.replace(", ", ",\r\n")),
        mail(BODY + "\r\n\r\n   \r\n"),
        mail(BODY.replace("e", "=65"), Content_Transfer_Encoding="quoted-printable"),
        mail(subject="Something else"),
        mail(sender="other@elsewhere.example"),
        mail().replace(b"\r\n", b"\n"),
    ],
)
def test_what_changes_on_the_way_does_not_count(other):
    assert content(other) == content(mail())


@pytest.mark.parametrize(
    "other",
    [
        mail(BODY.replace("tonight", "tomorrow")),
        mail(BODY + " Pay 100."),
        mail(BODY, kind="text/html"),
        mail(""),
    ],
)
def test_other_words_are_another_message(other):
    assert content(other) != content(mail()) or b"text/html" in other


def test_where_its_links_lead_counts():
    one, two = (mail(HTML.format(path=path), kind="text/html") for path in ("a", "b"))
    assert content(one) != content(two)
    assert content(one) == content(mail(HTML.format(path="a"), kind="text/html", To="x@y.example"))


def test_few_words_are_known_only_with_sender_and_subject():
    """Many people write "OK." to each other."""
    assert content(mail("OK.")) == content(mail("OK.", To="ann@mtumail.test"))
    assert content(mail("OK.")) != content(mail("OK.", sender="zoe@example.org"))
    assert content(mail("OK.")) != content(mail("OK.", subject="Lunch"))
    assert content(mail("", subject="A")) != content(mail("", subject="B"))


def attached(data: str, name: str) -> bytes:
    return (
        'From: <e@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee.'
        f'\r\n--b\r\nContent-Type: application/pdf; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}\r\n--b--\r\n'
    ).encode()


def test_its_files_count_by_what_is_in_them():
    assert content(attached("AAAA", "a.pdf")) == content(attached("AA\r\nAA", "b.pdf"))
    assert content(attached("AAAA", "a.pdf")) != content(attached("AAAB", "a.pdf"))


def test_the_reference_is_the_message_id():
    assert fingerprint.of(mail(Message_ID="<1@x.example>")).reference == "1@x.example"
    assert fingerprint.reference(mail(Message_ID="<1@x.example>")) == "1@x.example"
    assert fingerprint.reference(mail()) == ""
    assert fingerprint.reference(b"") == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"From",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
        b"\xff" * 1000,
    ],
)
def test_whatever_it_is_it_has_one(raw):
    assert len(content(raw)) == 32


def test_hostile_html_costs_linear_time():
    piece = '<a href="' + "x" * 100 + '<a href=<a <p src= href="'
    began = time.perf_counter()
    content(mail(piece * 2_000, kind="text/html"))
    first = time.perf_counter() - began
    began = time.perf_counter()
    content(mail(piece * 8_000, kind="text/html"))
    assert time.perf_counter() - began < 8 * first + 0.5
