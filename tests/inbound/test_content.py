"""The end of a message, its dots and its line ends, without a network."""

import itertools
import random

import pytest

from inbound.content import Content, fault, unstuff

HEAD = b"Return-Path: <>\r\n"


def collect(stream, cuts=(), limit=1000):
    """Feed `stream` cut at `cuts`; the content, and what came after its end (None: no end)."""
    content = Content(HEAD, limit)
    edges = [0, *sorted(cuts), len(stream)]
    for start, stop in itertools.pairwise(edges):
        rest = content.feed(stream[start:stop])
        if rest is not None:
            return content, rest + stream[stop:]
    return content, None


def stored(content):
    wire, head = content.take()
    assert wire[:head] == HEAD
    return unstuff(wire)[head:]


@pytest.mark.parametrize(
    ("stream", "message", "rest"),
    [
        (b".\r\n", b"", b""),
        (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n..\r\n.\r\n", b"..\r\n.\r\n", b""),
        (b".a\r\n.\r\n", b"a\r\n", b""),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
        (b"a\r\n.\r\nb\r\n.\r\n", b"a\r\n", b"b\r\n.\r\n"),
    ],
)
def test_any_cutting_gives_the_same(stream, message, rest):
    for size in range(4):
        for cuts in itertools.combinations(range(1, len(stream)), size):
            content, after = collect(stream, cuts)
            assert after == rest, cuts
            assert content.size == len(message), cuts
            assert stored(content) == message, cuts


@pytest.mark.parametrize(
    "near",
    [
        b"\n.\n",
        b"\r.\r",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r.\n",
        b"\n.\r",
        b"\r\r\n.\r\r\n",
    ],
)
def test_what_looks_like_an_end_is_none_and_refuses_the_message(near):
    for lead in (b"", b"Subject: x\r\n\r\nbody"):
        content, rest = collect(lead + near + b"MAIL FROM:<evil@x.test>\r\n" + b"\r\n.\r\n")
        assert rest == b""
        assert fault(*content.take(), 50, 1000) == "bare_line_end"


@pytest.mark.parametrize(
    "near", [b"\r\n\x00.\r\n", b"\xc2\x85.\xc2\x85", b"\x0b.\x0b", b"\r\n..\r\n", b"\r\n. \r\n"]
)
def test_what_only_resembles_it_is_content(near):
    content, rest = collect(b"Subject: x\r\n\r\nbody" + near + b"more\r\n.\r\n")
    assert rest == b""
    assert fault(*content.take(), 50, 1000) is None


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (b"Subject: a\rBcc: x\r\n\r\nbody\r\n", "bare_line_end"),
        (b"Subject: a\nBcc: x\r\n\r\nbody\r\n", "bare_line_end"),
        (b"Subject: a\r\r\n\r\nbody\r\n", "bare_line_end"),
        (b"Subject: a\n\nall in lf\n", "bare_line_end"),
        (b"Subject: a\r\n\r\nbody\rwith\nboth\r\n", None),
        (b"\r\nbody\nonly\r\n", None),
    ],
)
def test_bare_line_ends_are_refused_in_the_header_and_kept_in_the_body(message, reply):
    assert fault(HEAD + message, len(HEAD), 50, 1000) == reply


def test_hops_are_counted_in_the_header_alone():
    def check(count, body=b""):
        return fault(HEAD + b"received: x\r\n" * count + b"\r\n" + body, len(HEAD), 50, 1000)

    assert check(50) is None
    assert check(51) == "too_many_hops"
    assert check(50, b"Received: quoted\r\n" * 60) is None


def test_line_limit_counts_the_line_end():
    for length, reply in ((98, None), (99, "line_limit")):
        lines = b"\r\n" + b"a" * 60 + b"\r\n" + b"b" * length + b"\r\n" + b"c\r\n"
        assert fault(HEAD + lines, len(HEAD), 50, 100) == reply


@pytest.mark.parametrize("dots", [0, 7])
def test_size_is_of_the_unstuffed_message_and_exact(dots):
    message = b"..\r\n" * dots + b"x" * (100 - 3 * dots - 2) + b"\r\n"
    for cuts in ((), (5,), (len(message), len(message) + 1, len(message) + 2)):
        at, over = (
            collect(message + b".\r\n", cuts, limit=100)[0],
            collect(message + b".\r\n", cuts, limit=99)[0],
        )
        assert (at.refusal, at.size) == (None, 100)
        assert over.refusal == "too_large"


def test_after_a_refusal_nothing_is_kept_and_the_end_is_still_found():
    content = Content(HEAD, 1000)
    for _ in range(2000):
        assert content.feed(b"x" * 98 + b"\r\n") is None
        assert len(content._buffer) <= 1000 + len(HEAD) + 100
    assert content.refusal == "too_large"
    assert content.feed(b".\r") is None
    assert content.feed(b"\nQUIT\r\n") == b"QUIT\r\n"


def test_random_streams_agree_with_a_plain_reading():
    chance = random.Random(7)
    for _ in range(3000):
        stream = (
            b"".join(chance.choice((b"\r", b"\n", b".", b"\r\n", b"a", b"\r\n.")) for _ in range(30))
            + b"\r\n.\r\n"
        )
        body, _, rest = (b"\r\n" + stream).partition(b"\r\n.\r\n")
        cuts = chance.sample(range(1, len(stream)), 5)
        content, after = collect(stream, cuts)
        assert after == rest
        assert stored(content) == unstuff(body + b"\r\n")[2:]
