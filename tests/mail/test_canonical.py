"""The canonical forms of DKIM, held to those of dkimpy."""

import re
import time

import dkim as dkimpy
import pytest

from webmail.mail import canonical


@pytest.mark.parametrize(
    "body",
    [b"", b"\r\n", b"\r\n\r\n", b"x", b"x\r\n", b" \r\n", b"\t \r\n\r\n", b"a \t b\t\r\n\r\n \r\n", b"a\r\n b  \r\n c", b"\r\na\r\n\r\n\r\n"],
)  # fmt: skip
def test_bodies_in_relaxed_form(body):
    assert canonical.relaxed_body(body) == dkimpy.canonicalization.Relaxed.canonicalize_body(body)


def test_a_run_of_blanks_costs_no_more_than_its_length():
    begun = time.perf_counter()
    canonical.relaxed_body(b"x" + b" \t" * 2_000_000 + b"x \r\n" * 10)
    canonical.relaxed_body(b"\r\n" * 1_000_000)
    assert time.perf_counter() - begun < 2


@pytest.mark.corpora
def test_canonical_forms_agree_with_those_of_others(corpora):
    """Header fields and bodies of flanker's messages."""
    count = 0
    for path in sorted((corpora / "dkim").glob("flanker_email.*")):
        raw = re.sub(rb"\r?\n", b"\r\n", path.read_bytes()) + b"\r\n"
        head, _, body = raw.partition(b"\r\n\r\n")
        theirs = dkimpy.canonicalization.Relaxed
        assert canonical.relaxed_body(body) == theirs.canonicalize_body(body), path.name
        for field in re.split(rb"\r\n(?![ \t])", head):
            if b":" in field:
                name, _, value = field.partition(b":")
                [(key, expected)] = theirs.canonicalize_headers([(name, value + b"\r\n")])
                assert canonical.relaxed_field(field) + b"\r\n" == key + b":" + expected, path.name
        count += 1
    assert count > 10


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"", b""), (b"\r\n\r\n", b""), (b"a", b"a"), (b"a\r\n", b"a"), (b"a\r\n\r\n", b"a"), (b"a\n", b"a\n"), (b"a\r", b"a\r"),
        (b"a\n\r\n", b"a\n"), (b"a\r\r\n\r\n", b"a\r"), (b"\n\n\r\n", b"\n\n"), (b"\r\n\n\r\n", b"\r\n\n"), (b"a\r\n\r", b"a\r\n\r"),
    ],
)  # fmt: skip
def test_empty_lines_at_the_end(data, kept):
    assert data[: canonical.content_end(data, 0)] == kept
