import email
import re
import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail import text as plain_text
from webmail.mail.address_lists import parse_list
from webmail.mail.addresses import Address
from webmail.sending.composing import (
    Attachment,
    Composition,
    CompositionError,
    ForwardLabels,
    Original,
    build,
    envelope_recipients,
    forward,
    inserted,
    is_slip_of,
    needs_smtputf8,
    new_message_id,
    prefixed,
    reply,
    reply_all,
    speaks_of_files,
    trimmed,
)
from webmail.sending.relay import refuse_unclean

ANN = Address("ann", "mtumail.test", "Ann Whitfield")
BEN = Address("ben", "example.org", "Ben Okello")
CLEO = Address("cleo", "example.net")
DATE = datetime(2026, 11, 22, 9, 5, 7, tzinfo=timezone(timedelta(hours=2)))
PLAIN = Composition(
    sender=ANN, to=(BEN,), subject="Lunch", body="At one?\n", message_id="<1a2b@mtumail.test>", date=DATE
)


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=policy.default)


def made(**changes: object) -> EmailMessage:
    return parsed(build(replace(PLAIN, **changes)))


# --- golden bytes ------------------------------------------------------------------------------------------------------


def test_plain_ascii():
    assert build(PLAIN) == (
        b"Date: Sun, 22 Nov 2026 09:05:07 +0200\r\n"
        b"From: Ann Whitfield <ann@mtumail.test>\r\n"
        b"To: Ben Okello <ben@example.org>\r\n"
        b"Subject: Lunch\r\n"
        b"Message-ID: <1a2b@mtumail.test>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii; format=flowed\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"At one?\r\n"
    )


def test_other_scripts_with_everything():
    composition = replace(
        PLAIN,
        to=(
            Address("jurgen", "xn--bcher-kva.example", "Jürgen Groß"),
            Address("o.neil", "example.org", 'O"Neil, Pat'),
        ),
        cc=(CLEO,),
        bcc=(Address("secret", "example.com", "Hidden"),),
        subject="Größe",
        body="Schöne Grüße\n\n-- \nAnn\n",
        in_reply_to="<2@example.org>",
        references=("<1@example.org>", "<2@example.org>"),
    )
    assert build(composition) == (
        b"Date: Sun, 22 Nov 2026 09:05:07 +0200\r\n"
        b"From: Ann Whitfield <ann@mtumail.test>\r\n"
        b"To: =?utf-8?Q?J=C3=BCrgen_Gro=C3=9F?= <jurgen@xn--bcher-kva.example>,\r\n"
        b' "O\\"Neil, Pat" <o.neil@example.org>\r\n'
        b"Cc: cleo@example.net\r\n"
        b"Subject: =?utf-8?Q?Gr=C3=B6=C3=9Fe?=\r\n"
        b"Message-ID: <1a2b@mtumail.test>\r\n"
        b"In-Reply-To: <2@example.org>\r\n"
        b"References: <1@example.org>\r\n <2@example.org>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n"
        b"\r\n"
        b"Sch=C3=B6ne Gr=C3=BC=C3=9Fe\r\n"
        b"\r\n"
        b"--=20\r\n"
        b"Ann\r\n"
    )


def test_attachments():
    composition = replace(
        PLAIN,
        attachments=(
            Attachment('plan "b".txt', "text/plain", "é\n".encode()),
            Attachment("Übersicht.pdf", "application/pdf", b"%PDF"),
        ),
    )
    raw = build(composition)
    head, _, body = raw.partition(b"\r\n\r\n")
    boundary = re.search(rb'boundary="([^"]+)"', head)[1]
    assert head.endswith(b'Content-Type: multipart/mixed;\r\n boundary="' + boundary + b'"')
    assert body == b"\r\n".join(
        [
            b"--" + boundary,
            b"Content-Type: text/plain; charset=us-ascii; format=flowed",
            b"Content-Transfer-Encoding: 7bit",
            b"",
            b"At one?",
            b"",
            b"--" + boundary,
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment;",
            b' filename="plan \\"b\\".txt"',
            b"",
            b"w6kK",
            b"--" + boundary,
            b"Content-Type: application/pdf",
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment;",
            b" filename*=utf-8''%C3%9Cbersicht.pdf",
            b"",
            b"JVBERg==",
            b"--" + boundary + b"--",
            b"",
        ]
    )
    assert build(composition) == raw


def test_flowed_text_on_the_wire():
    body = "word " * 20 + "end\n> quoted\n>> deeper\nFrom here\n>not a quote? it is\n  indented  \n-- \nAnn"
    raw = build(replace(PLAIN, body=body))
    assert raw.partition(b"\r\n\r\n")[2] == (
        b"word word word word word word word word word word word word word word \r\n"
        b"word word word word word word end\r\n"
        b"> quoted\r\n"
        b">> deeper\r\n"
        b" From here\r\n"
        b"> not a quote? it is\r\n"
        b"   indented\r\n"
        b"-- \r\n"
        b"Ann\r\n"
    )


# --- header fields -----------------------------------------------------------------------------------------------------


def test_no_recipients_in_the_header():
    raw = build(replace(PLAIN, to=(), bcc=(BEN,)))
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in raw
    assert b"ben@example.org" not in raw
    assert b"bcc" not in raw.lower()


def test_bcc_is_in_the_envelope_only():
    composition = replace(PLAIN, cc=(CLEO,), bcc=(Address("x", "example.com", "Hidden One"), BEN))
    assert envelope_recipients(composition) == ("ben@example.org", "cleo@example.net", "x@example.com")
    raw = build(composition)
    assert b"Hidden" not in raw
    assert b"x@example.com" not in raw


def test_message_ids_are_ours_and_say_nothing():
    first, second = new_message_id("mtumail.test"), new_message_id("mtumail.test")
    assert first != second
    assert re.fullmatch(r"<[0-9a-f]{32}@mtumail\.test>", first)
    build(replace(PLAIN, message_id=first))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "1@mtumail.test",
        "<1@example.org>",
        "<1@mtumail.test>\r\nX: y",
        "<1 2@mtumail.test>",
        "<é@mtumail.test>",
    ],
)
def test_a_message_id_of_somebody_else_is_refused(bad):
    with pytest.raises(CompositionError) as caught:
        build(replace(PLAIN, message_id=bad))
    assert caught.value.field == "message-id"


def test_a_date_without_a_zone_is_refused():
    with pytest.raises(CompositionError, match="date"):
        build(replace(PLAIN, date=DATE.replace(tzinfo=None)))


LINE_ENDS = [
    "\r\nBcc: e@example.org",
    "\nX: y",
    "\rX: y",
    "\0",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\ud800",
]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_header_injection_is_refused_in_every_field(end):
    person = Address("ben", "example.org", f"Ben{end}x")
    spot = Address(f"ben{end}x", "example.org")
    domain = Address("ben", f"example.org{end}x")
    cases = {
        "subject": [{"subject": f"Hi{end}x"}],
        "from": [{"sender": replace(ANN, name=f"Ann{end}x")}],
        "to": [{"to": (CLEO, one)} for one in (person, spot, domain)],
        "cc": [{"cc": (one,)} for one in (person, spot, domain)],
        "bcc": [{"bcc": (one,)} for one in (person, spot, domain)],
        "message-id": [{"message_id": f"<1{end}x@mtumail.test>"}],
        "in-reply-to": [{"in_reply_to": f"<1{end}x@example.org>"}, {"in_reply_to": f"<1@example.org>{end}x"}],
        "references": [{"references": ("<1@example.org>", f"<2{end}x@example.org>")}],
        "attachment": [{"attachments": (Attachment(f"a{end}x.txt", "text/plain", b"x"),)}],
    }
    for field, changes in cases.items():
        for change in changes:
            with pytest.raises(CompositionError) as caught:
                build(replace(PLAIN, **change))
            assert caught.value.field == field, change


@pytest.mark.parametrize("end", ["\r\nX: y", "\n", "\r", "\0"])
def test_injection_by_content_type_is_refused(end):
    with pytest.raises(CompositionError, match="attachment"):
        build(replace(PLAIN, attachments=(Attachment("a.txt", f"text/plain{end}", b"x"),)))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "..\\x", "a\u202egpj.exe", "x" * 256])
def test_bad_file_names_are_refused(name):
    with pytest.raises(CompositionError, match="attachment"):
        build(replace(PLAIN, attachments=(Attachment(name, "text/plain", b"x"),)))


@pytest.mark.parametrize(
    "address", [Address("a b>,<c", ""), Address("", "", "Nobody"), Address("x", "not a domain")]
)
def test_addresses_that_are_none_are_refused(address):
    with pytest.raises(CompositionError, match="cc"):
        build(replace(PLAIN, cc=(address,)))


def test_a_name_that_looks_encoded_stays_what_it_is():
    name = "=?utf-8?q?boss?="
    assert made(to=(replace(BEN, name=name),))["To"].addresses[0].display_name == name
    assert made(subject="=?utf-8?q?x?= y")["Subject"] == "=?utf-8?q?x?= y"


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "a",
        "many   spaces   inside",
        "x" * 500,
        "word " * 300 + "end",
        "Ω" * 300,
        "水" * 400,
        "👩‍👩‍👧‍👦 family " * 30,
        "e\u0301" * 200,
        "a" * 60 + " " * 30 + "b" * 60,
        "mixed " * 20 + "é",
        "שלום " * 40,
        "=?utf-8?b?",
        "don't = panic? _underscores_",
    ],
)
def test_subjects_come_back_exactly(subject):
    raw = build(replace(PLAIN, subject=subject))
    assert parsed(raw)["Subject"] == subject.strip()
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    for line in head.split(b"\r\n"):
        assert len(line) <= 78
        assert line.strip()
    words = re.findall(rb"=\?utf-8\?[QB]\?[^?\s]*\?=", head)
    assert all(len(word) <= 75 for word in words)
    if subject.isascii() and "=?" not in subject and len(subject) < 60:
        assert not words


def test_every_encoded_word_holds_whole_characters():
    head = build(replace(PLAIN, subject="éß水👍🏽" * 60)).partition(b"\r\n\r\n")[0]
    words = re.findall(rb"=\?utf-8\?[QB]\?[^?\s]*\?=", head)
    assert len(words) > 5
    for word in words:
        assert "\ufffd" not in parsed(b"Subject: " + word + b"\r\n\r\n")["Subject"]
    lines = head.split(b"\r\n")
    assert all(len(line) <= 76 for line in lines if b"=?" in line)


@pytest.mark.parametrize("character", ["e\u0301", "क्षि", "👩‍👧"])
def test_encoded_words_do_not_part_a_mark_from_its_letter(character):
    head = build(replace(PLAIN, subject=character * 60)).partition(b"\r\n\r\n")[0]
    words = re.findall(rb"=\?utf-8\?[QB]\?[^?\s]*\?=", head)
    assert len(words) > 5
    starts = {parsed(b"Subject: " + word + b"\r\n\r\n")["Subject"][0] for word in words}
    assert starts <= {one for one in character if unicodedata.category(one) in ("Ll", "Lo", "So")}


def test_a_hundred_recipients_fold():
    people = tuple(
        Address(f"person{n}", "example.org", f"Përson Number {n}" if n % 2 else f"Dr. {n}")
        for n in range(100)
    )
    message = made(to=people)
    assert [(a.display_name, a.addr_spec) for a in message["To"].addresses] == [
        (p.name, p.email) for p in people
    ]
    assert max(map(len, build(replace(PLAIN, to=people)).split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "name",
    [
        "Ann",
        "A. B.",
        'Say "hi"',
        "back\\slash",
        "a,b;c:d<e>f@g",
        "(comment)",
        "x" * 290,
        "名前 太郎",
        "Ünï " * 60,
    ],
)
def test_names_come_back_exactly(name):
    raw = build(replace(PLAIN, to=(replace(BEN, name=name),), sender=replace(ANN, name=name)))
    for field, address in (("To", BEN.email), ("From", ANN.email)):
        value = email.message_from_bytes(raw)[
            field
        ]  # the new policy of Python 3.11 puts spaces between encoded words
        assert str(make_header(decode_header(value))).endswith(f"<{address}>")
        assert [(one.name, one.email) for one in parse_list(value)] == [(name.strip(), address)]
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_smtputf8_only_for_addresses():
    assert not needs_smtputf8(replace(PLAIN, subject="é", body="é", to=(replace(BEN, name="é"),)))
    assert not needs_smtputf8(replace(PLAIN, to=(Address("x", "xn--bcher-kva.example"),)))
    person = Address("jürgen", "example.org", "Jürgen")
    for field in ("to", "cc", "bcc"):
        assert needs_smtputf8(replace(PLAIN, **{field: (person,)}))
    assert "<jürgen@example.org>\r\n".encode() in build(replace(PLAIN, to=(person,)))


@pytest.mark.parametrize(
    "name",
    [
        "a.txt", "with space.txt", 'q"uote.txt', "100%.txt", "semi;colon='x'*.txt", "Résumé final (2).docx", "отчёт за год.pdf", "報告書" * 30,
        "برنامج الورشة.docx", "x" * 200 + ".txt", "👍.png", "می‌خواهم.txt", "-rf", "=?utf-8?q?x?=.txt",
    ],
)  # fmt: skip
def test_file_names_come_back_exactly(name):
    raw = build(replace(PLAIN, attachments=(Attachment(name, "application/pdf", b"x" * 200),)))
    part = next(parsed(raw).iter_attachments())
    assert part.get_filename() == name
    assert part.get_content() == b"x" * 200
    assert max(map(len, raw.split(b"\r\n"))) <= 78


# --- bodies and parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["a\0b", "a\x1bb", "a\x08b", "\ud800", "a\x7f"])
def test_bodies_that_cannot_be_sent_are_refused(body):
    with pytest.raises(CompositionError) as caught:
        build(replace(PLAIN, body=body))
    assert caught.value.field == "body"


def test_line_ends_of_all_systems():
    assert build(replace(PLAIN, body="a\r\nb\rc\nd")).endswith(b"\r\n\r\na\r\nb\r\nc\r\nd\r\n")


def test_empty_body():
    assert build(replace(PLAIN, body="")).endswith(b"\r\n\r\n\r\n")


def test_a_long_word_is_quoted_printable():
    url = "https://example.org/" + "x" * 2000
    message = made(body=url)
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert message.get_content().strip() == url
    assert made(body="https://example.org/" + "x" * 300)["Content-Transfer-Encoding"] == "7bit"


def test_forwarded_messages_keep_their_bytes():
    seven, eight = build(PLAIN), "Subject: x\r\n\r\né\r\n".encode()
    message = made(
        attachments=(
            Attachment("a.eml", "message/rfc822", seven),
            Attachment("b.eml", "message/rfc822", eight),
            Attachment("c.eml", "message/rfc822", b"Subject: bare\n\nx\n"),
        )
    )
    first, second, third = message.iter_attachments()
    assert first.get_content_type() == "message/rfc822"
    assert first["Content-Transfer-Encoding"] == "7bit"
    assert first.get_content()["Message-ID"] == PLAIN.message_id
    assert seven in build(replace(PLAIN, attachments=(Attachment("a.eml", "message/rfc822", seven),)))
    assert second.get_content_type() == "application/octet-stream"
    assert second.get_content() == eight
    assert third.get_content() == b"Subject: bare\n\nx\n"


@pytest.mark.parametrize(
    ("given_type", "sent"),
    [
        ("image/png", "image/png"), ("IMAGE/PNG", "image/png"), ("text/plain; charset=latin1", "text/plain"), ("", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"), ("message/delivery-status", "application/octet-stream"), ("a/b/c", "application/octet-stream"),
        ("é/x", "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_types(given_type, sent):
    part = next(made(attachments=(Attachment("a", given_type, b"\xff\0"),)).iter_attachments())
    assert part.get_content_type() == sent
    assert part.get_payload(decode=True) == b"\xff\0"


def test_an_empty_file_arrives_empty():
    part = next(made(attachments=(Attachment("empty.bin", "application/pdf", b""),)).iter_attachments())
    assert part.get_content() == b""


def test_a_body_cannot_hold_the_boundary():
    composition = replace(PLAIN, attachments=(Attachment("a.bin", "application/pdf", b"x"),))
    boundary = parsed(build(composition)).get_boundary()
    forged = replace(
        composition, body=f"--{boundary}--\n\n--{boundary}\nContent-Type: text/html\n\n<b>x</b>\n"
    )
    message = parsed(build(forged))
    assert message.get_boundary() != boundary
    assert len(list(message.iter_parts())) == 2
    assert boundary in message.get_body().get_content()


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=150)


@settings(max_examples=150, deadline=None, database=None)
@given(
    subject=PRINTABLE,
    name=PRINTABLE,
    file_name=PRINTABLE,
    body=st.text(max_size=400),
    content=st.binary(max_size=300),
)
def test_whatever_is_built_may_leave_and_comes_back(subject, name, file_name, body, content):
    composition = replace(
        PLAIN,
        subject=subject,
        to=(replace(BEN, name=name),),
        body=body,
        attachments=(Attachment(file_name, "application/pdf", content),),
    )
    bad_name = not file_name.strip(". ") or re.search("[/\\\\\u202a-\u202e\u2066-\u2069]", file_name)
    bad_body = re.search("[\0-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]", body)
    if bad_name or bad_body:
        with pytest.raises(CompositionError):
            build(composition)
        return
    raw = build(composition)
    refuse_unclean(raw)
    assert raw.isascii()
    message = parsed(raw)
    assert message.keys() == ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]
    body_part, attached = message.iter_parts()
    assert attached.get_payload(decode=True) == content
    got = plain_text.unflow(body_part.get_payload(decode=True).decode().replace("\r\n", "\n"))
    kept = re.sub(r"[>\s]", "", body)
    assert re.sub(r"[>\s]", "", got) == kept


# --- replies and forwards ----------------------------------------------------------------------------------------------

DORA = Address("dora", "example.com", "Dora")
ORIGINAL = Original(
    sender=(BEN,),
    to=(ANN, CLEO),
    cc=(DORA,),
    subject="Lunch",
    text="At one?\n\n> really\n\n-- \nBen",
    message_id="<b@example.org>",
    references=("<a@example.org>",),
)
WROTE = "On Sunday, Ben wrote:"


def test_reply():
    answer = reply(ORIGINAL, [ANN], WROTE)
    assert (answer.to, answer.cc) == ((BEN,), ())
    assert answer.subject == "Re: Lunch"
    assert answer.body == "On Sunday, Ben wrote:\n> At one?\n>\n>> really\n"
    assert answer.in_reply_to == "<b@example.org>"
    assert answer.references == ("<a@example.org>", "<b@example.org>")


def test_reply_follows_reply_to():
    assert reply(replace(ORIGINAL, reply_to=(DORA, DORA)), [ANN], WROTE).to == (DORA,)
    assert reply(replace(ORIGINAL, reply_to=(ANN,)), [ANN], WROTE).to == (BEN,)
    assert reply(replace(ORIGINAL, reply_to=(Address("", "", "junk"),)), [ANN], WROTE).to == (BEN,)


def test_reply_to_ones_own_message_goes_on_to_its_recipients():
    own = replace(ORIGINAL, sender=(ANN,), to=(BEN, CLEO))
    assert reply(own, [ANN], WROTE).to == (BEN, CLEO)
    assert reply_all(own, [ANN], WROTE).cc == (DORA,)
    assert reply(replace(own, to=(ANN,)), [ANN], WROTE).to == (ANN,)


def test_reply_all_keeps_order_and_leaves_oneself_out():
    tagged = Address("Ann+list", "mtumail.test")
    original = replace(ORIGINAL, to=(CLEO, tagged, BEN), cc=(DORA, CLEO, ANN, Address("BEN", "example.org")))
    answer = reply_all(original, [ANN], WROTE)
    assert answer.to == (BEN, CLEO)
    assert answer.cc == (DORA,)


def test_reply_all_knows_all_own_addresses():
    alias = Address("ann.w", "example.com")
    assert reply_all(replace(ORIGINAL, cc=(alias, DORA)), [ANN, alias], WROTE).cc == (DORA,)


def test_reply_all_with_reply_to_does_not_add_the_author():
    answer = reply_all(replace(ORIGINAL, reply_to=(DORA,)), [ANN], WROTE)
    assert answer.to == (DORA, CLEO)
    assert answer.cc == ()


@pytest.mark.parametrize(
    "subject",
    [
        "Lunch", "Re: Lunch", "RE: Re: re : Lunch", "AW: WG: Lunch", "Sv: Lunch", "VS: Lunch", "Antw: Lunch", "Rép : Lunch", "Rép: Lunch", "Odp: Lunch",
        "Re[2]: Lunch", "Re(3): Lunch", "YNT: Lunch", "Fwd: Re: Lunch", "FW: Lunch", "TR: Lunch", "RV: Lunch", "回复：Lunch", "转发: Lunch", "Ответ: Lunch",
        "רד: Lunch", "  Re:\r\n Lunch", "Re:Lunch", "RES: ENC: Lunch", "Απ: Lunch",
    ],
)  # fmt: skip
def test_one_prefix_only(subject):
    assert prefixed("Re", subject) == "Re: Lunch"
    assert prefixed("Fwd", subject) == "Fwd: Lunch"


@pytest.mark.parametrize(
    "subject", ["Reform: vote", "Ref: 1234", "Restaurant", "A: b", "I: robot", "[list] Re: x"]
)
def test_what_is_no_prefix_stays(subject):
    assert prefixed("Re", subject) == f"Re: {subject}"


def test_prefixes_of_an_attack_are_quick():
    assert prefixed("Re", "Re: " * 20_000) == "Re:"
    assert prefixed("Re", "re" + " " * 50_000 + "x").startswith("Re: re x")


def test_references_are_bounded_and_the_first_is_kept():
    ids = tuple(f"<{n}@example.org>" for n in range(50))
    chain = reply(replace(ORIGINAL, references=ids), [ANN], WROTE).references
    assert len(chain) == 20
    assert chain[0] == "<0@example.org>"
    assert chain[-2:] == ("<49@example.org>", "<b@example.org>")


def test_references_without_references():
    parent = "<b@example.org>"
    bare = replace(ORIGINAL, references=())
    assert reply(replace(bare, in_reply_to=("<z@example.org>",)), [ANN], WROTE).references == (
        "<z@example.org>",
        parent,
    )
    assert reply(
        replace(bare, in_reply_to=("<y@example.org>", "<z@example.org>")), [ANN], WROTE
    ).references == (parent,)
    assert reply(bare, [ANN], WROTE).references == (parent,)


def test_hostile_message_ids_are_left_out_and_the_answer_can_be_built():
    bad = (
        "<a b@x>",
        "<a\r\nBcc: e@example.org>",
        "no brackets",
        "<é@x>",
        "<" + "x" * 2000 + ">",
        "<fine@example.org>",
    )
    answer = reply(replace(ORIGINAL, references=bad, message_id="<\r\n>"), [ANN], WROTE)
    assert answer.in_reply_to is None
    assert answer.references == ("<fine@example.org>",)
    build(
        replace(PLAIN, to=answer.to, subject=answer.subject, body=answer.body, references=answer.references)
    )


def test_hostile_subjects_of_others_can_be_answered():
    answer = reply(replace(ORIGINAL, subject="Hi\r\nBcc: e@example.org\0\u2028x"), [ANN], WROTE)
    assert answer.subject == "Re: Hi Bcc: e@example.org x"
    assert made(subject=answer.subject)["Subject"] == answer.subject


def test_forward():
    answer = forward(ORIGINAL, "Sunday 22 November")
    assert (answer.to, answer.cc, answer.in_reply_to, answer.references) == ((), (), None, ())
    assert answer.subject == "Fwd: Lunch"
    assert answer.body == (
        "---------- Forwarded message ----------\n"
        "From: Ben Okello <ben@example.org>\n"
        "Date: Sunday 22 November\n"
        "Subject: Lunch\n"
        "To: Ann Whitfield <ann@mtumail.test>, cleo@example.net\n"
        "Cc: Dora <dora@example.com>\n"
        "\n"
        "At one?\n\n> really\n\n-- \nBen\n"
    )
    german = forward(
        ORIGINAL, "Sonntag", ForwardLabels("Weitergeleitet", "Von", "Datum", "Betreff", "An", "Kopie")
    )
    assert "Von: Ben Okello" in german.body


def test_an_answer_to_nothing_has_no_quote():
    assert reply(replace(ORIGINAL, text=" \n"), [ANN], WROTE).body == ""


# --- with formatting ---------------------------------------------------------------------------------------------------


TEXT_PART = (
    b"Content-Type: text/plain; charset=us-ascii; format=flowed\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n"
    b"\r\n"
    b"At **one**?\r\n"
)
HTML_PART = (
    b"Content-Type: text/html; charset=us-ascii\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n"
    b"\r\n"
    b"<!DOCTYPE html>\r\n"
    b"<html>\r\n"
    b"<body>\r\n"
    b'<p dir="auto">At <strong>one</strong>?</p>\r\n'
    b"</body>\r\n"
    b"</html>\r\n"
)


def test_formatted_text_goes_beside_the_text_as_typed():
    raw = build(replace(PLAIN, body="At **one**?\n", formatted=True))
    boundary = re.search(rb'boundary="([^"]+)"', raw)[1]
    head = build(PLAIN).partition(b"Content-Type")[0]
    assert raw == (
        head + b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
        b"--" + boundary + b"\r\n" + TEXT_PART + b"\r\n"
        b"--" + boundary + b"\r\n" + HTML_PART + b"\r\n"
        b"--" + boundary + b"--\r\n"
    )
    assert raw == build(replace(PLAIN, body="At **one**?\n", formatted=True))


def test_files_stand_beside_the_alternatives_and_pictures_below_them():
    pixel = b"\x89PNG\r\n\x1a\n"
    composition = replace(
        PLAIN,
        body="Look: ![a well](well.png) and ![no](notes.txt)",
        formatted=True,
        attachments=(
            Attachment("well.png", "image/png", pixel),
            Attachment("notes.txt", "text/plain", b"x"),
            Attachment("other.png", "image/png", pixel),
        ),
    )
    raw = build(composition)
    assert (
        len({re.search(rb"boundary=.*", line)[0] for line in raw.split(b"\r\n") if b"boundary=" in line}) == 3
    )
    message = parsed(raw)
    assert message.get_content_type() == "multipart/mixed"
    body, notes, other = message.iter_parts()
    assert [part.get_filename() for part in (notes, other)] == ["notes.txt", "other.png"]
    plain, related = body.iter_parts()
    assert (body.get_content_type(), plain.get_content_type()) == ("multipart/alternative", "text/plain")
    assert plain.get_content().strip() == "Look: ![a well](well.png) and ![no](notes.txt)"
    page, picture = related.iter_parts()
    assert related.get_content_type() == "multipart/related"
    assert picture.get_content() == pixel
    assert picture.get_content_disposition() == "inline"
    told = picture["Content-ID"].strip("<>")
    assert re.fullmatch(r"[0-9a-f]{24}@mtumail\.test", told)
    assert f'<img src="cid:{told}" alt="a well">' in page.get_content()
    assert "![no](notes.txt)" in page.get_content()
    assert set(picture.keys()) == {
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-ID",
        "Content-Disposition",
    }


def test_text_without_formatting_never_becomes_html():
    assert b"html" not in build(replace(PLAIN, body="**a** <b>"))


def test_nothing_typed_becomes_an_element_of_its_own():
    raw = build(replace(PLAIN, body="</body><script>x</script> Größe " + "long " * 300, formatted=True))
    page = parsed(raw).get_body(("html",)).get_content()
    assert "<script" not in page
    assert page.count("</body>") == 1
    assert "Größe" in page
    refuse_unclean(raw)


def test_answers_can_go_elsewhere():
    raw = build(replace(PLAIN, cc=(CLEO,), reply_to=(Address("office", "mtumail.test", "The Office"),)))
    assert b"Cc: cleo@example.net\r\nReply-To: The Office <office@mtumail.test>\r\nSubject: Lunch\r\n" in raw
    assert b"Reply-To" not in build(PLAIN)


# --- quotes and reminders ----------------------------------------------------------------------------------------------

LONG_QUOTE = """My first answer.

On Mon, 23 Nov 2026 09:00, Zoe wrote:
> I think so.
>
> On Sun, 22 Nov 2026 08:00, Ben wrote:
>> What do you think?
>>> Older still.
>
> And this, too.
> --
> Zoe
> Nowhere Ltd.

In between: yes.
> Good.
"""


def test_quotes_are_trimmed_to_what_the_last_author_wrote():
    assert trimmed(LONG_QUOTE) == (
        "My first answer.\n\nOn Mon, 23 Nov 2026 09:00, Zoe wrote:\n> I think so.\n>\n> And this, too.\n\n"
        "In between: yes.\n> Good.\n"
    )
    assert trimmed(trimmed(LONG_QUOTE)) == trimmed(LONG_QUOTE)


@pytest.mark.parametrize(
    "body", ["", "No quote.\n\n-- \nAnn", "> one\n> two\n>\n> three", "> > only deeper\n> > lines"]
)
def test_what_has_nothing_to_trim_stays_to_the_letter(body):
    assert trimmed(body) == body


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ("", "Words\n"),
        ("Hi\n", "Hi\n\nWords\n"),
        ("Hi\n\n-- \nAnn", "Hi\n\nWords\n\n-- \nAnn"),
        ("\n\nOn Mon, 23 Nov 2026 09:00, Zoe wrote:\n> x\n", "Words\n\nOn Mon, 23 Nov 2026 09:00, Zoe wrote:\n> x\n"),
        ("See:\n\n---------- Forwarded message ----------\nFrom: a", "See:\n\nWords\n\n---------- Forwarded message ----------\nFrom: a"),
    ],
)  # fmt: skip
def test_words_are_put_before_quotes_and_signatures(body, made):
    assert inserted(body, "Words\n") == made


@pytest.mark.parametrize(
    "body",
    ["See attached.", "I enclose the enclosed", "Anbei der Plan.", "Im Anhang", "Größe ist angehängt", "ci-joint", "la pièce jointe",
     "adjunto el plan", "segue em anexo", "in allegato", "附件", "添付します", "во вложении", "مرفق"],
)  # fmt: skip
def test_who_writes_that_something_is_attached_is_understood(body):
    assert speaks_of_files("Plan", body)


@pytest.mark.parametrize(
    "body",
    ["Unattached", "Nothing here", "> see attached\n\nThanks", "Hi\n-- \nattached to nobody", "Hi\n\n---------- Forwarded message ----------\nsee attached"],
)  # fmt: skip
def test_what_others_wrote_reminds_nobody(body):
    assert not speaks_of_files("Re: attached", body)


def test_a_slip_of_the_finger_is_one_letter():
    known = "carla@example.org"
    assert all(
        is_slip_of(slip, known)
        for slip in ("carla@exmple.org", "carlo@example.org", "calra@example.org", "CARLAS@example.org")
    )
    assert not any(
        is_slip_of(other, known)
        for other in (known, "Carla@Example.org", "dmitri@example.org", "crl@example.org")
    )
    assert not is_slip_of("team1@example.org", "team2@example.org")
