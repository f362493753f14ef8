"""What a message is read as: headers, structure, bodies, attachments, encodings, charsets, search text and snippet."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail.charsets import clean_line, clean_text, codec_for, decode, decode_words
from webmail.mail.mime import (
    Message,
    message_text,
    parse,
    parser,
    part_content,
    part_text,
    snippet,
    strip_html,
)
from webmail.mail.mime.params import file_name
from webmail.mail.mime.transfer import decode as decode_transfer


def mail(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def kinds(message: Message) -> list[tuple[str, str, str]]:
    return [(part.path, part.content_type, part.kind) for part in message.parts]


# --- headers


def test_a_plain_message():
    raw = mail(
        "From: Ann <ann@Example.org>", "To: bob@example.org, Eve <eve@example.org>", "Cc: c@example.org", "Reply-To: r@example.org",
        "Subject: Hello =?utf-8?q?W=C3=B6rld?=", "Date: Sun, 22 Nov 2026 10:00:00 +0100", "Message-ID: <m1@example.org>",
        "In-Reply-To: <m0@example.org>", "References: <a@x> <m0@example.org>", "", "Hi there", "",
    )  # fmt: skip
    message = parse(raw)
    assert message.sender is not None
    assert (message.sender.name, message.sender.email) == ("Ann", "ann@example.org")
    assert [one.email for one in message.to] == ["bob@example.org", "eve@example.org"]
    assert [one.email for one in message.cc] == ["c@example.org"]
    assert [one.email for one in message.reply_to] == ["r@example.org"]
    assert message.subject == "Hello Wörld"
    assert message.date == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert (message.message_id, message.in_reply_to, message.references) == (
        "m1@example.org",
        "m0@example.org",
        ("a@x", "m0@example.org"),
    )
    assert (message.text, message.html, message.attachments, message.problems) == ("Hi there\n", None, (), ())
    assert message.header("subject") == "Hello Wörld"
    assert message.header("x-none") == ""
    assert message.size == len(raw)
    assert part_content(raw, message.parts[0]) == b"Hi there\r\n"


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"\r\n\r\n", b"\0", b"\xff\xfe", b":", b"--", b"From ", b" folded\n", b"a", b"\xef\xbb\xbf"],
)
def test_scraps_are_messages_too(raw):
    message = parse(raw)
    assert len(message.parts) == 1
    assert "unreadable" not in message.problems


def test_a_body_without_headers():
    message = parse(b"Just words.\nAnd more: of them\n")
    assert message.headers == ()
    assert message.text == "Just words.\nAnd more: of them\n"


def test_a_line_that_is_no_header_begins_the_body():
    message = parse(b"Subject: x\nthis is the body\nTo: a@b.example\n")
    assert message.subject == "x"
    assert len(message.to) == 0
    assert message.text.startswith("this is the body")
    assert "bad-header" in message.problems


def test_headers_that_other_programs_write():
    message = parse(
        b"\xef\xbb\xbfSubject : folded\r\n\tover lines\r\n: no name\r\nTo: a@b.example\r\n\r\nbody"
    )
    assert message.subject == "folded over lines"
    assert len(message.to) == 1
    assert parse(b"From ann@example.org Mon Jan 1\nSubject: x\n\nb").subject == "x"


@pytest.mark.parametrize("name", ["From", "Subject", "Date", "Content-Type"])
def test_doubled_headers_are_named_and_the_first_stands(name):
    message = parse(f"{name}: text/plain\n{name}: text/html\n\n<b>x</b>".encode())
    assert f"duplicate-header:{name.lower()}" in message.problems
    assert message.html is None


def test_every_from_is_seen_and_the_first_is_the_sender():
    message = parse(b"From: a@b.example\nFrom: c@d.example, e@f.example\n\n")
    assert [one.email for one in message.from_] == ["a@b.example", "c@d.example", "e@f.example"]
    assert message.sender == message.from_.addresses[0]


def test_raw_8_bit_headers_are_utf_8_or_windows_1252():
    assert parse("Subject: Größe\n\n".encode()).subject == "Größe"
    assert parse("Subject: Größe\n\n".encode("latin-1")).subject == "Größe"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?b?w7w=?=", "ü"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),  # a character that its sender split
        ("=?iso-8859-1*de?Q?=FC?=", "ü"),
        ("=?utf-8?Q?Really??=", "Really?"),
        ("=?utf-8?q?a_b c?=", "a b c"),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=", "=?utf-8?q?x?="),  # once only
        ("=?x-unknown?q?=FC?=", "ü"),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?q?unclosed", "=?utf-8?q?unclosed"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("x=?utf-8?q?a?=y", "xay"),
        ("=?iso-8859-1?Q?Fr\u00f6sche?=", "Frösche"),
        ("=?utf-8?q?=ED=A0=80?=", "\ufffd\ufffd\ufffd"),
    ],
)
def test_encoded_words(written, text):
    assert decode_words(written) == text


def test_decoded_headers_stay_on_one_line():
    message = parse(b"Subject: =?utf-8?q?a=0D=0ABcc:_x=00=1b=E2=80=AEz=E2=80=A8?=\n\n")
    assert message.subject == "a  Bcc: x\ufffdz"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Sun, 22 Nov 2026 10:00:00 -0000", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("22 Nov 2026 10:00 EST", datetime(2026, 11, 22, 15, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 10:00:60 +0000", datetime(2026, 11, 22, 10, 0, 59, tzinfo=UTC)),
        ("Sun Nov 22 10:00:00 2026", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("Sun, 22 Nov 9999 10:00:00 +0000", None),
        ("Sun, 32 Nov 2026 10:00:00 +0000", None),
        ("Sun, 22 Nov 2026 10:00:00 +9900", None),
        ("Mon, 01 Jan 1900 00:00:00 +0000", None),
        ("tomorrow", None),
        ("0" * 5000, None),
        ("1" * 190, None),
    ],
)
def test_dates(written, read):
    message = parse(f"Date: {written}\n\n".encode())
    assert message.date == read
    assert ("bad-date" in message.problems) is (read is None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<a@b>", "a@b"),
        (" < a@b > ", "a@b"),
        ("a@b", "a@b"),
        ("noise <a@b> (x)", "a@b"),
        ("odd", "odd"),
        ("", ""),
        ("two words", ""),
    ],
)
def test_message_ids(written, read):
    assert parse(f"Message-ID: {written}\n\n".encode()).message_id == read


def test_references_in_the_wild():
    raw = b'References: <a@b><c@d>\n "noise" <a@b>\n\t<e f@g>\n\n'
    assert parse(raw).references == ("a@b", "c@d")
    assert parse(b"References: a@b, c@d\n\n").references == ("a@b", "c@d")


# --- structure


ALTERNATIVE = mail(
    "Content-Type: multipart/mixed; boundary=m", "", "preamble", "--m",
    "Content-Type: multipart/alternative; boundary=a", "", "--a", "", "plain", "--a",
    "Content-Type: multipart/related; boundary=r", "", "--r", "Content-Type: text/html", "", '<p>html <img src="cid:i1"></p>', "--r",
    "Content-Type: image/png", "Content-ID: <i1>", "Content-Transfer-Encoding: base64", "", "iVBORw0K", "--r--", "--a--", "--m",
    'Content-Type: application/pdf; name="a.pdf"', "Content-Disposition: attachment", "", "%PDF", "--m--", "epilogue",
)  # fmt: skip


def test_the_usual_tree():
    message = parse(ALTERNATIVE)
    assert kinds(message) == [
        ("", "multipart/mixed", "container"),
        ("1", "multipart/alternative", "container"),
        ("1.1", "text/plain", "body-text"),
        ("1.2", "multipart/related", "container"),
        ("1.2.1", "text/html", "body-html"),
        ("1.2.2", "image/png", "inline-image"),
        ("2", "application/pdf", "attachment"),
    ]
    assert (message.text, message.html) == ("plain", '<p>html <img src="cid:i1"></p>')
    assert [part.name for part in message.attachments] == ["a.pdf"]
    assert list(message.inline_images) == ["i1"]
    assert message.parts[5].size == 6
    assert part_content(ALTERNATIVE, message.parts[5]) == b"\x89PNG\r\n"
    assert part_content(ALTERNATIVE, message.parts[6]) == b"%PDF"
    assert part_text(ALTERNATIVE, message.parts[2]) == "plain"
    assert message.problems == ()
    assert [part.number for part in message.parts] == list(range(7))


def test_the_same_message_with_line_feeds_has_the_same_tree():
    assert kinds(parse(ALTERNATIVE.replace(b"\r\n", b"\n"))) == kinds(parse(ALTERNATIVE))
    assert kinds(parse(ALTERNATIVE.replace(b"\r\n", b"\r"))) == kinds(parse(ALTERNATIVE))


def test_an_image_that_no_html_shows_is_an_attachment():
    message = parse(ALTERNATIVE.replace(b"cid:i1", b"cid:i2"))
    assert [part.content_type for part in message.attachments] == ["image/png", "application/pdf"]


def test_an_svg_is_never_an_inline_image():
    message = parse(ALTERNATIVE.replace(b"image/png", b"image/svg+xml"))
    assert message.inline_images == {}


def test_a_content_id_given_twice_is_the_first_ones():
    raw = mail(
        "Content-Type: multipart/related; boundary=b", "", "--b", "Content-Type: text/html", "", "<img src='cid:a%40x'>",
        "--b", "Content-Type: image/png", "Content-ID: <a@x>", "", "1", "--b", "Content-Type: image/gif", "Content-ID: <a@x>", "", "2", "--b--",
    )  # fmt: skip
    message = parse(raw)
    assert [part.content_type for part in message.inline_images.values()] == ["image/png"]
    assert [part.content_type for part in message.attachments] == ["image/gif"]


def test_the_last_html_of_an_alternative_is_the_best():
    raw = mail(
        "Content-Type: multipart/alternative; boundary=b",
        "",
        "--b",
        "Content-Type: text/html",
        "",
        "one",
        "--b",
        "Content-Type: text/html",
        "",
        "two",
        "--b--",
    )
    message = parse(raw)
    assert message.html_parts == ("two",)
    assert [part.number for part in message.attachments] == [1]


def test_html_parts_are_never_joined():
    raw = mail(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: text/html", "", '<img src="https://x/', "--b", "",
        "secret", "--b", "Content-Type: text/html", "", '">', "--b--",
    )  # fmt: skip
    message = parse(raw)
    assert message.html_parts == ('<img src="https://x/', '">')
    assert (message.html, message.text) == ('<img src="https://x/', "secret")
    assert message.html_body == (1, 2, 3)


def test_text_that_follows_the_first_and_has_a_name_is_a_file():
    raw = mail(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "body",
        "--b",
        "Content-Type: text/plain; name=notes.txt",
        "",
        "notes",
        "--b",
        "",
        "footer",
        "--b--",
    )
    message = parse(raw)
    assert message.text == "body\nfooter"
    assert [part.name for part in message.attachments] == ["notes.txt"]


def test_an_outer_boundary_ends_whatever_is_inside():
    raw = mail(
        "Content-Type: multipart/mixed; boundary=o",
        "",
        "--o",
        "Content-Type: multipart/mixed; boundary=i",
        "",
        "--i",
        "",
        "inner",
        "--o",
        "",
        "outer",
        "--o--",
    )
    message = parse(raw)
    assert [(part.path, part.kind) for part in message.parts] == [
        ("", "container"),
        ("1", "container"),
        ("1.1", "body-text"),
        ("2", "body-text"),
    ]
    assert message.text == "inner\nouter"


def test_a_boundary_used_twice_hides_nothing():
    raw = mail(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "one",
        "--b",
        "",
        "two",
        "--b--",
    )
    assert parse(raw).text == "one\ntwo"


@pytest.mark.parametrize("line", ["--bx", "--b -", " --b", "-b", "---b", "x--b"])
def test_what_is_not_a_delimiter(line):
    raw = mail("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", line, "two", "--b--")
    message = parse(raw)
    assert len(message.parts) == 2
    assert message.text == f"one\n{line}\ntwo"


def test_a_delimiter_may_have_space_after_it_and_need_no_end():
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b\t\r\n\ntwo"
    message = parse(raw)
    assert message.text == "one\ntwo"
    assert "unclosed-multipart" in message.problems


@pytest.mark.parametrize(
    "kind", ["multipart/mixed", "multipart/mixed; boundary=none", 'multipart/mixed; boundary=""']
)
def test_a_multipart_without_parts_is_shown_as_text(kind):
    message = parse(f"Content-Type: {kind}\n\n--x\n\nstill readable\n--x--\n".encode())
    assert "still readable" in message.text
    assert message.parts[0].kind == "body-text"


def test_an_encoded_multipart_is_read_as_it_lies():
    message = parse(
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n"
    )
    assert message.text == "x"
    assert "encoded-multipart" in message.problems


def test_a_header_cut_by_a_delimiter():
    message = parse(
        b"Content-Type: multipart/mixed; boundary=a:b\n\n--a:b\nContent-Type: text/html\n--a:b\n\nx\n--a:b--\n"
    )
    assert [part.content_type for part in message.parts] == ["multipart/mixed", "text/html", "text/plain"]


def test_attached_messages_stay_closed():
    raw = mail(
        "Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: inner", "", "words", "--b--"
    )
    message = parse(raw)
    assert kinds(message)[1] == ("1", "message/rfc822", "message")
    assert message.attachments[0].download_name == "part-1.eml"
    assert parse(part_content(raw, message.parts[1])).subject == "inner"
    assert message.text == ""


@pytest.mark.parametrize(
    ("header", "read", "params"),
    [
        ("TEXT/HTML; CHARSET=utf-8", "text/html", "utf-8"),
        ('text/html; charset="utf-8" (comment)', "text/html", "utf-8"),
        ("text/html charset=utf-8", "text/html", "utf-8"),
        ("text/html;;;charset=utf-8;charset=x", "text/html", "utf-8"),
        ("text", "text/plain", ""),
        ("text/ht<ml", "text/plain", ""),
        ("text/html/x", "text/plain", ""),
        ("", "text/plain", ""),
    ],
)
def test_content_types(header, read, params):
    (part,) = parse(f"Content-Type: {header}\n\nx".encode()).parts
    assert (part.content_type, part.charset) == (read, params)


def test_a_bad_type_on_a_file_is_octets():
    (part,) = parse(b"Content-Type: te xt/ht<ml\nContent-Disposition: inline; filename=a\n\nx").parts
    assert part.content_type == "application/octet-stream"
    assert part.kind == "attachment"


def test_readable_text_of_another_kind_stands_in_for_a_body():
    assert parse(b"Content-Type: text/markdown\n\n# Hi").text == "# Hi"
    assert parse(b"Content-Type: text/calendar\n\nBEGIN:VCALENDAR").text == ""


# --- names


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('filename="a b.txt"', "a b.txt"),
        ("filename=a b.txt; size=1", "a b.txt"),
        ("filename*=utf-8''%E2%82%AC.txt; filename=euro.txt", "€.txt"),
        ("filename*0*=utf-8''%E2%82; filename*1*=%AC; filename*2=.txt", "€.txt"),
        ("filename*1=b; filename*0=a", "ab"),
        ("filename*0=a; filename*2=c", "a"),
        ("filename*=x-bad''%FC.txt", "ü.txt"),
        ('filename="=?utf-8?b?w7wudHh0?="', "ü.txt"),
        ('filename="../../etc/passwd"', "passwd"),
        ("filename=/etc/passwd", "passwd"),
        (r'filename="C:\temp\a.exe"', "a.exe"),
        (r'filename="a\"b;c=d.txt"', "ab;c=d.txt"),
        ('filename="a\u202egpj.exe"', "agpj.exe"),
        ('filename="=?utf-8?q?a=E2=80=AEgpj.exe?="', "agpj.exe"),
        ("filename*=utf-8''a%0D%0AX-Evil:%201.txt", "a X-Evil_ 1.txt"),
        ("filename*=utf-8''a%00b.txt", "a\ufffdb.txt"),
        ('filename="invoice.pdf                 .exe"', "invoice.pdf .exe"),
        ("filename=con.txt", "_con.txt"),
        ("filename=...", ""),
        ("filename=.htaccess", "htaccess"),
        ("filename=a.txt; filename=b.exe", "a.txt"),
    ],
)
def test_file_names(header, name):
    raw = f"Content-Type: application/octet-stream\nContent-Disposition: attachment; {header}\n\nx".encode()
    (part,) = parse(raw).parts
    assert part.name == name
    assert part.download_name == (name or "part-0.bin")
    assert part.turned == ("agpj" in name)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_a_file_name_is_never_a_path_and_never_long(written):
    name = file_name(written)
    assert len(name) <= 150
    assert not set(name) & set('/\\"\0\r\n<>|:*?\u202e')
    assert name.strip(" .") == name
    assert name.encode().decode() == name


# --- encodings and charsets


@pytest.mark.parametrize(
    ("encoding", "data", "octets"),
    [
        ("base64", b"SGVs\r\nbG8=", b"Hello"),
        ("base64", b"!!!!SGVs*bG8=@@@@", b"Hello"),
        ("base64", b"SGVsbG8", b"Hello"),
        ("base64", b"SGVsbG8A=", b"Hello\0"),
        ("base64", b"YQ==YQ==\n", b"a"),
        ("base64", b"=YQ", b"a"),
        ("base64", b"A", b""),
        ("base64", b"====", b""),
        ("quoted-printable", b"a=20b=\r\nc=\n", b"a bc"),
        ("quoted-printable", b"a= \r\nb  \r\n", b"ab\r\n"),
        ("quoted-printable", b"=zz=4=", b"=zz=4"),
        ("uuencode", b"begin 644 x\n%2&5L;&\\\n`\nend\nafter", b"Hello"),
        ("uuencode", b"no begin", b""),
        ("7bit", b"=41", b"=41"),
    ],
)
def test_transfer_encodings(encoding, data, octets):
    assert decode_transfer(data, encoding) == octets


def test_an_unknown_encoding_is_shown_as_it_is_and_named():
    message = parse(b"Content-Type: text/html\nContent-Transfer-Encoding: x-rot\n\n<p>x")
    assert message.html == "<p>x"
    assert "unknown-encoding" in message.problems


@pytest.mark.parametrize("label", ["utf-7", "zlib", "hex", "base64", "rot13", "rot_13", "unicode_escape", "raw_unicode_escape", "idna", "punycode",
                                   "undefined", "mbcs", "oem", "uu", "quopri", "bz2", "../../etc/passwd", "x-unknown", "utf\u00ad-8"])  # fmt: skip
def test_codecs_that_are_no_charsets_are_refused(label):
    assert codec_for(label) is None
    message = parse(
        f"Content-Type: text/html; charset={label}\n\n".encode() + b"+ADw-script+AD4- \\u003c \xc3\xbc"
    )
    assert message.html == "+ADw-script+AD4- \\u003c ü"
    assert "bad-charset" in message.problems


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("utf-8", "utf-8", "ü€"), ("UTF8", "utf-8", "ü€"), ("iso-8859-1", "cp1252", "ü"), ("iso-8859-1", "cp1252", "“€”"), ("windows-1251", "cp1251", "Привет"),
        ("iso-8859-2", "iso8859-2", "žluť"), ("iso-8859-15", "iso8859-15", "€"), ("koi8-r", "koi8-r", "Привет"), ("koi8-u", "koi8-u", "Ґ"),
        ("gb2312", "gb18030", "你好"), ("gbk", "gb18030", "你好"), ("gb18030", "gb18030", "你好"), ("hz-gb-2312", "hz", "你好"), ("big5", "big5hkscs", "你好"),
        ("shift_jis", "cp932", "日本①"), ("iso-2022-jp", "iso2022_jp", "日本"), ("euc-jp", "euc_jp", "日本"), ("euc-kr", "cp949", "한국"),
        ("ks_c_5601-1987", "cp949", "한국"), ("iso-2022-kr", "iso2022_kr", "한국"), ("utf-16", "utf-16", "ü"), ("utf-16le", "utf-16-le", "ü"),
        ("tis-620", "cp874", "ไทย"), ("windows-1255", "cp1255", "שלום"), ("iso-8859-8-i", "iso8859-8", "שלום"), ("macintosh", "mac_roman", "ü"),
        ("cp866", "cp866", "Привет"), ("us-ascii", "utf-8", "ü"), ("us-ascii", "cp1252", "ü"), ("", "utf-8", "ü"),
    ],
)  # fmt: skip
def test_charsets(label, codec, text):
    assert decode(text.encode(codec), label) == (text, True)


def test_html_says_its_charset_itself_where_the_header_does_not():
    body = '<meta charset="koi8-r"><p>Привет'.encode("koi8-r")
    assert "Привет" in (parse(b"Content-Type: text/html\n\n" + body).html or "")
    both = '<meta charset="koi8-r"><p>ü'.encode()
    assert "ü" in (parse(b"Content-Type: text/html; charset=utf-8\n\n" + both).html or "")


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        ["utf-8", "utf-16", "utf-32", "iso-2022-jp", "gb18030", "hz", "windows-1255", "", "utf-7", "idna"]
    ),
)
def test_whatever_the_bytes_the_text_is_clean(data, label):
    text = clean_text(decode(data, label)[0])
    assert "\0" not in text
    assert "\r" not in text
    assert text.encode().decode() == text
    assert not set("\0\r\n\x1b\u202e") & set(clean_line(text))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: text/html\n", b"--b\n", b"--b--\n", b"\n", b"\r", b"\0", b"--", b"b",
                                 b"Subject: =?utf-8?b?", b"Content-Transfer-Encoding: base64\n", b"\xff", b" ", b"To: (<\"@", b"x: y\n", b"Content-Disposition: a; filename*0*=''%ff\n"]), max_size=40))  # fmt: skip
def test_no_soup_breaks_it(pieces):
    raw = b"".join(pieces)
    message = parse(raw)
    assert "unreadable" not in message.problems
    assert "\n" not in snippet(message)
    for part in message.parts:
        assert 0 <= part.head <= part.start <= part.end <= len(raw)
        part_content(raw, part)


def test_the_last_wall_holds(monkeypatch):
    def broken(raw: bytes) -> Message:
        raise RecursionError

    monkeypatch.setattr(parser, "_parse", broken)
    message = parse(b"Subject: x\n\n")
    assert message.problems == ("unreadable",)
    assert not message.is_complete
    assert snippet(message) == ""


# --- text of the bodies


def test_flowed_text_is_joined():
    message = parse(b"Content-Type: text/plain; format=flowed\n\none \ntwo\n> a \n> b\n-- \nAnn")
    assert message.text == "one two\n> a b\n-- \nAnn"


def test_terminal_escapes_and_nul_do_not_come_through():
    assert parse(b"\n\x1b[31mred\0\x07\r\nb\x0cc").text == "[31mred\ufffd\nb\nc"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<i>c</i>", "a\nbc"),
        ("<style>a{}</style><script>alert('</b>')</script>x", "x"),
        ("<title>t</title>x<!-- c > --> y", "x y"),
        ("<!-- never closed x", ""),
        ("<script>never closed", ""),
        ("a &lt;b&gt; &amp; &#252;&nbsp;c", "a <b> & ü c"),
        ('<a title="x > y">z</a>', "z"),
        ('<a title="never closed>z</a>', "z"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("<table><tr><td>a<td>b</tr></table>", "a b"),
        ("&#" + "9" * 5000 + ";", None),
    ],
)
def test_text_out_of_html(source, text):
    assert text is None or strip_html(source) == text


def test_search_takes_the_plain_text_or_else_the_html():
    assert message_text(parse(ALTERNATIVE)) == "plain"
    assert message_text(parse(b"Content-Type: text/html\n\n<p>Words</p><style>no{}</style>")) == "Words"
    mixed = mail(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/html",
        "",
        "<b>main</b>",
        "--b",
        "",
        "footer",
        "--b--",
    )
    assert sorted(message_text(parse(mixed)).split()) == ["footer", "main"]


def test_snippet_is_one_line_of_what_is_new():
    body = "Yes,\n\nlet us.\n\nOn Tue, 1 Sep 2026 at 10:00, Ann <a@b.example> wrote:\n> Lunch?\n-- \nBob"
    assert snippet(parse(b"\n" + body.encode())) == "Yes, let us."
    assert snippet(parse(b"\n> only\n> quoted")) == "only quoted"
    assert snippet(parse(b"\n" + b"word " * 100), 20) == "word word word…"
    assert len(snippet(parse(b"\n" + b"x" * 500), 20)) == 20


def test_snippet_has_no_padding():
    filler = "&#847;&zwnj;&nbsp;&#8199;&#65279;&#173;" * 50
    message = parse(
        f"Content-Type: text/html; charset=utf-8\n\n<div>Sale</div><div>{filler}</div><p>Now</p>".encode()
    )
    assert snippet(message) == "Sale Now"
