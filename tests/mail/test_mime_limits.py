"""Every limit of the parser: at it, and one over. And the inputs that other parsers fall over, in bounded time and memory."""

import resource
import time
import tracemalloc

import pytest

from webmail.mail.mime import limits, message_text, parse, part_content, snippet
from webmail.mail.mime.params import parse as parse_value


def with_headers(*lines: str, body: str = "body\n") -> bytes:
    return ("\n".join(lines) + "\n\n" + body).encode()


def test_header_count():
    at = with_headers(*(f"X-{n}: v" for n in range(limits.MAX_HEADERS)))
    over = with_headers(*(f"X-{n}: v" for n in range(limits.MAX_HEADERS + 1)))
    assert (len(parse(at).headers), parse(at).is_complete) == (1000, True)
    message = parse(over)
    assert len(message.headers) == 1000
    assert "too-many-headers" in message.problems
    assert not message.is_complete
    assert message.text == "body\n"  # the body is still found


@pytest.mark.parametrize(
    ("length", "cut"), [(limits.MAX_HEADER, False), (limits.MAX_HEADER + 1, True), (1_000_000, True)]
)
def test_one_header(length, cut):
    message = parse(b"Subject:" + b"x" * length + b"\nFrom: a@b.example\n\nbody")
    assert len(message.subject) == min(length, limits.MAX_HEADER)
    assert ("header-cut" in message.problems) is cut
    assert message.is_complete is not cut


def test_a_folded_header_has_the_same_limit():
    message = parse(b"Subject: a\n" + b" bcdefghi\n" * 5000 + b"To: b@c.example\n\nbody")
    assert len(message.subject) <= limits.MAX_HEADER
    assert "header-cut" in message.problems
    assert [one.email for one in message.to] == ["b@c.example"]


def test_header_block():
    line = b"X: " + b"v" * 1020 + b"\n"  # 1,024 octets
    at = parse(line * 256 + b"\nbody")
    over = parse(line * 256 + b"Y: 1\n\nbody")
    assert (len(at.headers), at.is_complete, at.text) == (256, True, "body")
    assert (len(over.headers), over.is_complete, over.text) == (256, False, "body")
    assert "headers-cut" in over.problems


def nested(depth: int, end: bytes = b"Content-Type: text/plain\n\ninner\n") -> bytes:
    heads = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return heads + end + b"".join(b"--b%d--\n" % n for n in reversed(range(depth)))


def test_depth():
    at, over = parse(nested(50)), parse(nested(51))
    assert (at.text, at.is_complete, at.parts[-1].path) == ("inner", True, ".".join("1" * 50))
    assert "too-deep" in over.problems
    assert not over.is_complete
    assert over.parts[-1].content_type == "multipart/mixed"
    assert b"inner" in part_content(nested(51), over.parts[-1])


@pytest.mark.parametrize("depth", [1000, 20_000])
def test_nesting_neither_recurses_nor_takes_long(depth):
    begun = time.process_time()
    message = parse(nested(depth))
    assert "too-deep" in message.problems
    assert len(message.parts) == 51
    assert time.process_time() - begun < 1


def test_nested_messages_are_not_opened():
    raw = b"Content-Type: message/rfc822\n\n" * 20_000 + b"text"
    message = parse(raw)
    assert [part.kind for part in message.parts] == ["message"]
    inner = parse(part_content(raw, message.parts[0]))
    assert inner.parts[0].kind == "message"


def flat(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * count + b"--b--\n"


def test_parts():
    at, over = parse(flat(1000)), parse(flat(1001))
    assert (len(at.parts), at.is_complete) == (1001, True)
    assert (len(over.parts), over.is_complete) == (1001, False)
    assert "too-many-parts" in over.problems
    assert parse(flat(100_000)).problems == over.problems


def test_boundary():
    for length, known in ((limits.MAX_BOUNDARY, True), (limits.MAX_BOUNDARY + 1, False)):
        boundary = "b" * length
        message = parse(
            f'Content-Type: multipart/mixed; boundary="{boundary}"\n\n--{boundary}\n\nx\n--{boundary}--\n'.encode()
        )
        assert (message.parts[0].kind == "container") is known
        assert ("bad-boundary" in message.problems) is not known


def test_parameters():
    at = parse_value("a/b" + "".join(f"; p{n}=v" for n in range(100)) + "; last=v")
    assert len(at.params) == 100
    assert "last" not in at.params
    assert "p99" in at.params


def test_rfc_2231_segments():
    segments = "".join(f"; filename*{n}=a" for n in range(100))
    assert parse_value("attachment" + segments).params["filename"] == "a" * 100
    beyond = parse_value("attachment; filename*0=a; filename*100=b")
    assert beyond.params["filename"] == "a"
    assert "too-many-segments" in beyond.problems


@pytest.mark.parametrize(("count", "more"), [(1000, 0), (1001, 1)])
def test_addresses(count, more):
    message = parse(("To: " + ",".join(f"u{n}@b.example" for n in range(count)) + "\n\n").encode())
    assert (len(message.to), message.to.more) == (1000, more)
    assert message.is_complete is not bool(more)


def test_addresses_of_repeated_headers_share_the_limit():
    message = parse((("To: " + ",".join(f"u{n}@b.example" for n in range(600)) + "\n") * 2 + "\n").encode())
    assert (len(message.to), message.to.more) == (1000, 200)


@pytest.mark.parametrize(("count", "first"), [(100, "0@b"), (101, "1@b"), (1200, "1100@b")])
def test_references(count, first):
    message = parse(("References:" + "".join(f" <{n}@b>" for n in range(count)) + "\n\n").encode())
    assert len(message.references) == 100
    assert message.references[0] == first


def test_a_message_id_of_998_characters():
    assert len(parse(b"Message-ID: <" + b"a" * 998 + b">\n\n").message_id) == 998
    assert parse(b"Message-ID: <" + b"a" * 999 + b">\n\n").message_id == ""


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_text_bodies(subtype):
    head = f"Content-Type: text/{subtype}\n\n".encode()
    at, over = parse(head + b"x" * limits.MAX_BODY), parse(head + b"x" * (limits.MAX_BODY + 1))
    assert len(at.text or at.html or "") == len(over.text or over.html or "") == limits.MAX_BODY
    assert at.is_complete
    assert "text-cut" in over.problems
    assert over.parts[0].size == limits.MAX_BODY + 1


def test_the_room_for_text_is_shared_by_all_parts():
    part = b"--b\n\n" + b"x" * 1_000_000 + b"\n"
    message = parse(b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 4 + b"--b--\n")
    assert len(message.text) <= limits.MAX_BODY + 10
    assert "text-cut" in message.problems


def test_file_names():
    for name, kept in (("a" * 146 + ".pdf", 150), ("a" * 147 + ".pdf", 150)):
        message = parse(f'Content-Type: application/pdf; name="{name}"\n\nx'.encode())
        assert len(message.parts[0].name) == kept
        assert message.parts[0].name.endswith(".pdf")


# --- hostile, each under a second or two and a few times its size

MEGABYTE = 1 << 20
MANY = 400_000
HOSTILE = {
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\n\n",
    "encoded words, never closed": b"Subject: " + b"=?a?q?" * 50_000 + b"\n\n",
    "nested comments": b"To: " + b"(" * 20_000 + b")" * 20_000 + b"\n\n",
    "one endless line": b"x" * (4 * MEGABYTE),
    "no line ends but CR": b"Subject: a\r\r" + b"x\r" * MEGABYTE,
    "only line feeds": b"\n" * (4 * MEGABYTE),
    "headers only": b"a:\n" * MANY,
    "folded lines only": b"a:\n" + b" \n" * MANY,
    "delimiters that are none": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--a\n" * MANY,
    "hyphens": b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * (4 * MEGABYTE),
    "hyphens and lines": b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-\n" * MANY,
    "many parts, many headers": b"Content-Type: multipart/mixed; boundary=b\n\n" + (b"--b\n" + b"a:\n" * 1100) * 200,
    "nested, all unclosed, long preamble": nested(50, b"\n" + b"--x\n" * MANY),
    "boundaries that begin alike": b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\n\n--%b\n" % (b"a" * n, b"a" * n) for n in range(1, 51)
    ) + (b"--" + b"a" * 60 + b"\n") * 60_000,
    "base64 of padding": b"Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + b"=" * (4 * MEGABYTE),
    "base64 in pieces": b"Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + b"YQ==" * MANY,
    "quoted-printable spaces": b"Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable\n\n" + b" " * (4 * MEGABYTE) + b"x",
    "quoted-printable equals": b"Content-Type: a/b\nContent-Transfer-Encoding: quoted-printable\n\n" + b"= \n" * MANY,
    "uuencode lines": b"Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b"!\n" * MANY,
    "html tags": b"Content-Type: text/html\n\n" + b"<a><b>" * 300_000,
    "html tag never closed": b"Content-Type: text/html\n\n" + b"<a '" * 500_000,
    "html quotes": b"Content-Type: text/html\n\n" + b"<a x=\"" * 300_000,
    "html comments": b"Content-Type: text/html\n\n" + b"<!--" * 500_000,
    "html scripts": b"Content-Type: text/html\n\n" + b"<script>" * 250_000,
    "html entities": b"Content-Type: text/html\n\n" + b"&aaaaaaaaaaaaaaaa" * 100_000,
    "html digits": b"Content-Type: text/html\n\n&#" + b"9" * 2_000_000 + b";",
    "html cids": b"Content-Type: text/html\n\n" + b"cid:" * 500_000,
    "html meta": b"Content-Type: text/html\n\n" + b"<meta" * 400_000,
    "parameters": b"Content-Type: a/b" + b";" * 32_000 + b"\n\n",
    "parameter quotes": b"Content-Type: a/b" + b';a="\\' * 8000 + b"\n\n",
    "segments": b"Content-Disposition: attachment" + b"".join(b"; filename*%d=a" % n for n in range(2000)) + b"\n\n",
    "references": b"References: " + b"<a" * 16_000 + b"\n\n",
    "date": b"Date: " + b"(" * 16_000 + b"1" * 16_000 + b"\n\n",
    "bad utf-16": b"Content-Type: text/plain; charset=utf-16\n\n" + b"\xd8\x00" * MEGABYTE,
    "bad windows-1255": b"Content-Type: text/plain; charset=windows-1255\n\n" + b"\xff" * MANY,
    "flowed": b"Content-Type: text/plain; format=flowed; delsp=yes\n\n" + b"a \n" * 700_000,
    "quotes": b"Content-Type: text/plain; format=flowed\n\n" + b">" * MANY,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_input_is_linear(name):
    raw = HOSTILE[name]
    begun = time.process_time()
    message = parse(raw)
    snippet(message)
    message_text(message)
    for part in message.parts[:20]:
        part_content(raw, part)
    assert "unreadable" not in message.problems
    assert time.process_time() - begun < 4


@pytest.mark.parametrize("name", ["encoded words", "base64 in pieces", "headers only", "bad utf-16"])
def test_memory_is_bounded(name):
    raw = HOSTILE[name]
    tracemalloc.start()
    try:
        parse(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"--a\n", b"\n", b"--b\na:\n", b"--b\n" + b"a:\n" * 1000])
def test_a_message_of_the_size_limit(line):
    """25 MiB of what costs the walker most: lines that could each be a delimiter, a part, a header."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + line * (25 * MEGABYTE // len(line))
    begun = time.process_time()
    parse(raw)
    assert time.process_time() - begun < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
