"""What is told of a file without its program: by what it is, not what it claims, and never beyond the limits."""

import io
import os
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from webmail import jail
from webmail.mail.mime import parse, part_content
from webmail.mail.previews import PdfPreview, Refused, TextPreview, kind, pdf_text, text

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")


@pytest.fixture(scope="module", autouse=True)
def _warm():
    jail.start()
    yield
    jail.stop()


def pdf(*contents, objects=(), extra=b"", head=b"%PDF-1.5\n"):
    """A PDF of one page for each content stream, in Helvetica; `objects` from number 1000 on."""
    pages = len(contents)
    kids = b" ".join(b"%d 0 R" % (10 + 2 * number) for number in range(pages))
    parts = {
        1: b"<</Type/Catalog/Pages 2 0 R%s>>" % extra,
        2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    }
    for number, content in enumerate(contents):
        parts[10 + 2 * number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F 3 0 R>>"
            b"/XObject<</X 1000 0 R>>>>>>" % (11 + 2 * number)
        )
        parts[11 + 2 * number] = stream(content)
    parts |= {1000 + number: body for number, body in enumerate(objects)}
    out = bytearray(head)
    places = {}
    for number, body in parts.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (max(parts) + 1, start)
    return bytes(out)


def stream(content, entries=b""):
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def line(words, at=700):
    return b"BT /F 12 Tf 50 %d Td (%s) Tj ET\n" % (at, words)


# --- PDF ---------------------------------------------------------------------------------------------------------------------


def test_the_words_of_the_first_page_and_the_number_of_pages():
    content = pdf(line(b"Dear Sir,", 700) + line(b"the roof leaks.", 680), line(b"second page"))
    assert pdf_text(content) == PdfPreview(2, "Dear Sir,\nthe roof leaks.", False)


def test_a_page_without_words_is_told_as_such():
    assert pdf_text(pdf(b"0 0 10 10 re f")) == PdfPreview(1, "", False)


def test_compressed_pages_are_read():
    packed = zlib.compress(line(b"packed words"))
    content = pdf(b"").replace(stream(b""), stream(packed, b"/Filter/FlateDecode"))
    assert pdf_text(content).text == "packed words"


def test_text_is_cut_where_asked():
    content = pdf(line(b"word " * 100))
    assert pdf_text(content, characters=14) == PdfPreview(1, "word word word", True)
    assert not pdf_text(content).cut


def test_controls_and_bidi_overrides_are_seen():
    cmap = b"/CIDInit /ProcSet findresource begin begincmap 1 beginbfchar <41> <202E> endbfchar endcmap"
    font = b"/Encoding/WinAnsiEncoding/ToUnicode 1000 0 R"
    content = pdf(line(b"xA"), objects=[stream(cmap)]).replace(b"/Encoding/WinAnsiEncoding", font)
    shown = pdf_text(content)
    assert isinstance(shown, PdfPreview)
    assert "\u202e" not in shown.text
    assert "\u27e6RLO\u27e7" in shown.text


def encrypted(user, algorithm):
    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(pdf(line(b"account 4711")))).pages:
        writer.add_page(page)
    writer.encrypt(user, "owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"])
def test_encrypted_says_so_unless_anybody_may_read_it(algorithm):
    assert pdf_text(encrypted("secret", algorithm)) == Refused("encrypted")
    assert pdf_text(encrypted("", algorithm)) == PdfPreview(1, "account 4711", False)


def test_a_cipher_that_nobody_knows_is_damage_or_encryption():
    content = pdf(line(b"x")).replace(b"trailer<<", b"trailer<</Encrypt<</Filter/Own/V 9>>")
    assert pdf_text(content).code in ("encrypted", "damaged")


@pytest.mark.parametrize("content", [b"", b"%PDF", b"hello", b"\xff\xd8\xff", b" " * 1025 + b"%PDF-1.4"])
def test_what_is_no_pdf_is_refused(content):
    assert pdf_text(content) == Refused("type")


def test_too_many_octets_are_refused():
    assert pdf_text(b"%PDF-1.4" + bytes(33 << 20)) == Refused("large")


HOSTILE = {
    "pages that are their own parents": pdf(line(b"x")).replace(b"/Kids[10 0 R]", b"/Kids[2 0 R ]"),
    "a page tree of a million": pdf(line(b"x")).replace(
        b"/Kids[10 0 R]", b"/Kids[" + b"10 0 R " * 300_000 + b"]"
    ),
    "a form within itself": pdf(
        b"/X Do\n" * 100,
        objects=[
            stream(b"/X Do\n" * 100, b"/Type/XObject/Subtype/Form/Resources<</XObject<</X 1000 0 R>>>>")
        ],
    ),
    "forms within forms": pdf(
        b"/X Do\n" * 10,
        objects=[
            stream(
                b"/X Do\n" * 10,
                b"/Type/XObject/Subtype/Form/Resources<</XObject<</X %d 0 R>>>>" % (1001 + number),
            )
            for number in range(20)
        ],
    ),
    "a bomb": pdf(b"").replace(
        stream(b""), stream(zlib.compress(b" " * 300_000_000, 9), b"/Filter/FlateDecode")
    ),
    "a bomb in a bomb": pdf(b"").replace(
        stream(b""),
        stream(zlib.compress(zlib.compress(b"(" * 200_000_000, 9), 9), b"/Filter[/FlateDecode/FlateDecode]"),
    ),
    "open brackets": pdf(b"[" * 200_000),
    "open dictionaries": pdf(b"<<" * 200_000),
    "nested dictionaries": pdf(line(b"x"), extra=b"/A" + b"<</A" * 50_000),
    "open parentheses": pdf(b"BT (" + b"(" * 500_000),
    "a million words": pdf(b"BT /F 12 Tf " + b"(x) Tj " * 1_000_000 + b" ET"),
    "a reference to itself": pdf(line(b"x"), objects=[b"1000 0 R"]),
    "a length that is itself": pdf(b"").replace(b"<</Length 0>>", b"<</Length 11 0 R>>"),
    "an object stream in itself": pdf(line(b"x")).replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev 0/XRefStm 9"),
    "previous tables in a ring": pdf(line(b"x")).replace(b"trailer<<", b"trailer<</Prev 10 "),
    "nothing but a head": b"%PDF-1.7\n",
    "no pages": pdf(),
    "a large count": pdf(line(b"x")).replace(b"/Count 1", b"/Count 99999999999999999999"),
    "many open objects": b"%PDF-1.4\n" + b"1 0 obj " * 300_000,
    "a range of characters": pdf(
        line(b"x"),
        objects=[stream(b"begincmap 1 beginbfrange <0000> <ffffffff> <0000> endbfrange endcmap")],
    ).replace(b"/Encoding/WinAnsiEncoding", b"/Encoding/WinAnsiEncoding/ToUnicode 1000 0 R"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_bounded(name):
    began = time.monotonic()
    result = pdf_text(HOSTILE[name])
    assert isinstance(result, PdfPreview | Refused)
    if isinstance(result, PdfPreview):
        assert len(result.text) <= 6100
    assert time.monotonic() - began < 7.5


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_never_raise(data):
    content = bytearray(pdf(line(b"Dear Sir,") + b"/X Do", line(b"second"), objects=[stream(b"BT ET")]))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    began = time.monotonic()
    result = pdf_text(bytes(content[:end]))
    assert isinstance(result, PdfPreview) or result.code in ("type", "damaged", "large", "encrypted", "deep")
    assert time.monotonic() - began < 7.5


@pytest.mark.parametrize("reply", [b"", b"{}", b"[]", b'{"pages": "many", "text": "", "cut": false}'])
def test_an_answer_that_is_none_is_not_believed(monkeypatch, reply):
    monkeypatch.setattr(jail, "run", lambda *_given, **_options: reply)
    assert pdf_text(b"%PDF-1.4") == Refused("crash")


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no test material in {CORPORA}")
def test_every_pdf_of_the_corpora():
    seen: dict[bytes, PdfPreview | Refused] = {}
    for folder in sorted(CORPORA.iterdir()):
        for path in sorted(path for path in folder.glob("*") if path.is_file()):
            raw = path.read_bytes()
            if b"/pdf" not in raw.lower() and b".pdf" not in raw.lower():
                continue
            for part in parse(raw).parts:
                if part.content_type.endswith("/pdf") or part.name.lower().endswith(".pdf"):
                    content = part_content(raw, part)
                    seen[content] = pdf_text(content)
    assert len(seen) >= 3
    codes = {result.code for result in seen.values() if isinstance(result, Refused)}
    assert codes <= {"type", "damaged", "encrypted"}


# --- text --------------------------------------------------------------------------------------------------------------------


def test_text_is_decoded_as_it_says():
    assert text("Grüße\r\nзавтра".encode(), "utf-8") == TextPreview("Grüße\nзавтра", 2, False, True)
    assert text("завтра".encode("koi8-r"), "koi8-r").text == "завтра"
    assert text("Grüße".encode("cp1252"), "").text == "Grüße"
    assert text(b"+ADw-script+AD4-", "utf-7") == TextPreview("+ADw-script+AD4-", 1, False, False)
    assert text(b"", "") == TextPreview("", 0, False, True)


def test_controls_and_bidi_overrides_in_text_are_seen():
    shown = text("a\x1b[31mb\0c\u202egnp.exe\x7f\t|".encode(), "utf-8").text
    assert shown == "a\u241b[31mb\u2400c\u27e6RLO\u27e7gnp.exe\u2421\t|"


def test_text_is_cut_with_a_flag_at_the_limit_and_not_before():
    assert text(b"x\n" * 200, "") == TextPreview("\n".join("x" * 200), 200, False, True)
    shown = text(b"x\n" * 201, "")
    assert (shown.lines, shown.cut) == (200, True)
    assert text(b"1\n2\n3", "", lines=2) == TextPreview("1\n2", 2, True, True)
    assert not text(b"x" * 2000, "").cut
    assert text(b"x" * 2001, "") == TextPreview("x" * 2000, 1, True, True)
    assert text(b"\r" * 500_000, "").cut


def test_a_huge_file_costs_no_more_than_its_beginning():
    content = "日本語 text\n".encode() * 2_000_000
    began = time.process_time()
    shown = text(content, "utf-8")
    assert time.process_time() - began < 0.5
    assert shown.cut
    assert shown.text.startswith("日本語 text\n日")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.binary(max_size=300),
    st.sampled_from(["", "utf-8", "utf-16", "iso-2022-jp", "hz", "big5", "zlib", "x" * 90]),
)
def test_any_bytes_are_text_without_controls(content, charset):
    shown = text(content, charset)
    assert not set(shown.text) & {*map(chr, range(9)), *map(chr, range(11, 32)), "\x7f", "\u202e", "\u2066"}
    assert shown.lines == (shown.text.count("\n") + 1 if shown.lines else 0)
    shown.text.encode()


# --- which preview --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "name", "offered"),
    [
        ("image/png", "a.png", "picture"),
        ("IMAGE/JPEG; name=x", "photo.JPG", "picture"),
        ("image/png", "", "picture"),
        ("image/png", "photo", "picture"),
        ("image/png", "a.jpeg", "picture"),
        ("application/octet-stream", "scan.pdf", "pdf"),
        ("", "notes.md", "text"),
        ("text/plain", "mail.log", "text"),
        ("text/csv", "a.csv", "text"),
        ("application/json", "", "text"),
        ("application/pdf", "a.pdf ", "pdf"),
        ("message/rfc822", "", "message"),
        ("message/rfc822", "Re: version 1.2", "message"),
        ("application/octet-stream", "fwd.eml", "message"),
        ("text/calendar", "invite.ics", "calendar"),
        ("text/plain", "invite.ics", "calendar"),
        ("text/calendar; method=REQUEST", "", "calendar"),
        # what differs, or could run, has none
        ("image/png", "a.exe", None),
        ("image/png", "a.png.html", None),
        ("image/png", "a.pdf", None),
        ("application/pdf", "a.png", None),
        ("text/html", "a.txt", None),
        ("text/html", "", None),
        ("text/plain", "a.html", None),
        ("image/svg+xml", "a.svg", None),
        ("image/svg+xml", "a.png", None),
        ("image/tiff", "a.tif", None),
        ("application/octet-stream", "a.exe", None),
        ("application/octet-stream", "", None),
        ("application/zip", "a.zip", None),
        ("application/ms-tnef", "winmail.dat", None),
        ("", "", None),
        ("text/plain", "run.bat", None),
        ("application/x-msdownload", "a.txt", None),
    ],
)
def test_which_preview_a_file_is_offered(content_type, name, offered):
    assert kind(content_type, name) == offered
