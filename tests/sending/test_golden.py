"""What leaves, octet for octet: each file in `golden/` is a whole message as it goes over the wire.

A file changes only with a change of the wire format that was meant. Beside the octets, what they mean is read back by the parser of
the standard library, which shares no line with our writer.
"""

import email
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email import policy
from email.headerregistry import Address as ParsedAddress
from pathlib import Path

import pytest

from webmail.mail.addresses import Address
from webmail.sending.composing import (
    Attachment,
    Composition,
    CompositionError,
    build,
    envelope_recipients,
    needs_smtputf8,
)

GOLDEN = Path(__file__).parent / "golden"
DATE = datetime(2026, 11, 22, 9, 5, 7, tzinfo=timezone(timedelta(hours=2)))
ANN = Address("ann", "mtumail.test", "Ann Whitfield")
BEN = Address("ben", "example.org", "Ben Okello")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000000030001015c"
    "cd1d7e0000000049454e44ae426082"
)
PLAIN = Composition(
    sender=ANN, to=(BEN,), subject="Lunch", body="At one?\n", message_id="<1a2b@mtumail.test>", date=DATE
)
LONG = (
    "Minutes of the meeting of the water committee of Upper Senga, with the budget for next year and the list of pumps "
    * 3
)
MARKED = "At **one**, at the *well*:\n\n- bread\n- [maps](https://maps.example/?q=a&b)\n\n> Where?\n"
CASES = {
    "plain": PLAIN,
    "formatted": replace(PLAIN, body=MARKED, formatted=True),
    "attachments": replace(
        PLAIN,
        attachments=(
            Attachment("notes.txt", "text/plain", "Größe\n".encode()),
            Attachment("plan.pdf", "application/pdf", b"%PDF-1.7 " + bytes(range(256))),
            Attachment("letter.eml", "message/rfc822", b"From: z@example.org\r\nSubject: Hi\r\n\r\nHello.\r\n"),
        ),
    ),
    "pictures": replace(
        PLAIN,
        body="Look:\n\n![a well](well.png)\n\n![two](<well (2).png>)\n",
        formatted=True,
        attachments=(
            Attachment("well.png", "image/png", PNG),
            Attachment("well (2).png", "image/png", PNG),
            Attachment("other.png", "image/png", PNG),
        ),
    ),
    "names": replace(
        PLAIN,
        sender=replace(ANN, name="Ann Größe-Whitfield"),
        to=(
            replace(BEN, name="佐藤 健"),
            Address("o.neil", "example.org", 'O"Neil, Pat'),
            Address("x", "xn--bcher-kva.example", "مريم"),
        ),
        reply_to=(Address("office", "mtumail.test", "Büro"),),
        subject="Größe 水 مرحبا",
        body="Schöne Grüße\n",
        attachments=(
            Attachment("Übersicht über die Pumpen in Senga, Tolwe und den Dörfern am Fluss.pdf", "application/pdf", b"%PDF"),
            Attachment("水位センサー.csv", "text/csv", b"a,b\n"),
            Attachment('plan "b".txt', "text/plain", b"x"),
        ),
    ),
    "long-subject": replace(PLAIN, subject=LONG + "Größe " * 20),
    "reply": replace(
        PLAIN,
        subject="Re: Lunch",
        body="One is fine.\n\nOn Sun, 22 Nov 2026 08:00, Ben wrote:\n> At one?\n>> When?\n\n-- \nAnn\n",
        in_reply_to="<3@example.org>",
        references=("<1@example.org>", "<2@example.org>", "<3@example.org>"),
    ),
    "smtputf8": replace(PLAIN, to=(Address("jürgen", "bücher.example", "Jürgen"),), cc=(BEN,)),
    "hidden": replace(PLAIN, to=(), bcc=(Address("secret", "example.com", "Hidden"), BEN)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_octets_are_those_of_the_golden_file(name):
    assert build(CASES[name]) == (GOLDEN / f"{name}.eml").read_bytes()


def test_there_is_no_golden_file_that_nothing_makes():
    assert {path.stem for path in GOLDEN.glob("*.eml")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_golden_files_keep_to_the_rules_of_the_wire(name):
    """RFC 5321 2.3.8 and 4.5.3.1.6, RFC 5322 2.1.1 and 3.6, RFC 2045 6.7 and 6.8, RFC 2047 2."""
    raw = (GOLDEN / f"{name}.eml").read_bytes()
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw)
    head, _, _body = raw.partition(b"\r\n\r\n")
    fields = [line.partition(b":")[0].lower() for line in re.sub(rb"\r\n[ \t]", b" ", head).split(b"\r\n")]
    assert len(fields) == len(set(fields))
    assert {b"date", b"from", b"to", b"subject", b"message-id", b"mime-version", b"content-type"} <= set(
        fields
    )
    assert b"bcc" not in raw.lower()
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998
    for line in head.split(b"\r\n"):
        assert len(line) <= 78
        assert line.strip(), "no line of the header is blank"
    for word in re.findall(rb"=\?[^?\s]+\?[QqBb]\?[^?\s]*\?=", head):
        assert len(word) <= 75
    assert head.isascii() == (not needs_smtputf8(CASES[name]))


def parsed(name: str) -> email.message.EmailMessage:
    return email.message_from_bytes((GOLDEN / f"{name}.eml").read_bytes(), policy=policy.default)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"smtputf8"}))
def test_another_parser_reads_what_was_meant(name):
    message, meant = parsed(name), CASES[name]
    assert not message.defects
    assert not any(part.defects for part in message.walk())
    assert message["Subject"] == meant.subject.strip()
    assert message["Message-ID"] == meant.message_id
    assert message["Date"].datetime == meant.date
    for field, people in (("From", (meant.sender,)), ("To", meant.to), ("Reply-To", meant.reply_to)):
        if people:
            assert list(message[field].addresses) == [
                ParsedAddress(p.name, p.local, p.domain) for p in people
            ]
    assert message["References"] == (" ".join(meant.references) or None)
    files = [part for part in message.walk() if part.get_content_disposition() is not None]
    assert {(part.get_filename(), _content(part)) for part in files} == {
        (item.name, item.content) for item in meant.attachments
    }
    plain = message.get_body(("plain",)).get_content().replace(" \n", " ")
    assert plain.split() == meant.body.split()


def _content(part: email.message.EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        return part.get_content().as_bytes(policy=policy.SMTP)
    return part.get_payload(decode=True)


def test_the_parts_lie_as_readers_expect_them():
    def shape(part):
        kind = part.get_content_type().partition("/")[2]
        return (kind, [shape(one) for one in part.iter_parts()]) if part.is_multipart() else kind

    assert shape(parsed("plain")) == "plain"
    assert shape(parsed("formatted")) == ("alternative", ["plain", "html"])
    assert shape(parsed("attachments"))[0] == "mixed"
    assert shape(parsed("pictures")) == (
        "mixed",
        [("alternative", ["plain", ("related", ["html", "png", "png"])]), "png"],
    )


def test_every_picture_in_the_text_is_a_part_beside_it():
    """RFC 2392: what the text names by cid is there, once, and nothing else is inline."""
    message = parsed("pictures")
    page = message.get_body(("html",)).get_content()
    named = re.findall(r'<img src="cid:([^"]+)"', page)
    parts = {part["Content-ID"].strip("<>"): part for part in message.walk() if part["Content-ID"]}
    assert sorted(named) == sorted(parts)
    assert len(named) == 2
    assert all(part.get_payload(decode=True) == PNG for part in parts.values())
    assert all(part.get_content_disposition() == "inline" for part in parts.values())


def test_an_address_in_letters_of_its_own_travels_as_it_is():
    raw = (GOLDEN / "smtputf8.eml").read_bytes()
    assert "jürgen@".encode() in raw
    assert needs_smtputf8(CASES["smtputf8"])
    assert envelope_recipients(CASES["smtputf8"])[0].startswith("jürgen@")


@pytest.mark.parametrize("end", ["\r\nBcc: e@example.org", "\n", "\r", "\0", "\u2028"])
def test_nothing_that_is_typed_adds_a_field_to_a_reply_address(end):
    for person in (
        Address("office", "mtumail.test", f"Office{end}x"),
        Address(f"office{end}", "mtumail.test"),
        Address("office", f"mtumail.test{end}"),
    ):
        with pytest.raises(CompositionError):
            build(replace(PLAIN, reply_to=(person,)))
