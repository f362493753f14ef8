"""The reader's side of authentication: our own field is believed in its place, and nothing else is."""

import time

import pytest

from webmail.mail.authentication import Authentication, Signature, read
from webmail.mail.mime import parse

BLOCK = (
    b"Return-Path: <ann@example.org>\r\n"
    b"Authentication-Results: mx.mtumail.test;\r\n%s\r\n"
    b"Received: from mail.example.org ([198.51.100.1])\r\n\tby mx.mtumail.test with ESMTPS id 1-1\r\n"
    b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\t; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
)
GOOD = (
    b"\tspf=pass\r\n\t smtp.mailfrom=bounce.example.org;\r\n"
    b'\tdkim=pass\r\n\t header.d=example.org\r\n\t header.s=sel\r\n\t header.b="abcdefgh"\r\n\t header.i=@example.org;\r\n'
    b'\tdkim=fail reason="body has changed"\r\n\t header.d=list.example\r\n\t header.s=k1;\r\n'
    b"\tdmarc=pass\r\n\t header.from=example.org\r\n\t policy.dmarc=reject\r\n\t policy.by-dkim=example.org;\r\n"
    b"\tarc=pass\r\n\t header.oldest-pass=0\r\n\t policy.sealer=list.example"
)
MAIL = b"From: ann@example.org\r\nList-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
ONE_CLICK = ("List-Unsubscribe", "List-Unsubscribe-Post")


def of(results, rest=MAIL):
    return read(parse(BLOCK % results + rest + b"\r\nHello\r\n").headers)


def test_everything_is_read():
    assert of(GOOD) == Authentication(
        spf="pass",
        spf_domain="bounce.example.org",
        dkim=(
            Signature("pass", "example.org", "sel", "@example.org", "abcdefgh"),
            Signature("fail", "list.example", "k1", reason="body has changed"),
        ),
        dmarc="pass",
        dmarc_policy="reject",
        from_domain="example.org",
        by_dkim="example.org",
        arc="pass",
        arc_sealer="list.example",
    )
    assert of(b"\tnone") == Authentication()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        MAIL,
        b"Authentication-Results: mx.mtumail.test; dmarc=pass header.from=example.org\r\n" + MAIL,
        b"Return-Path: <a@b>\r\nReceived: from x ([::1])\r\n\tby mx.mtumail.test with SMTP id 1\r\n\t; x\r\n"
        b"Authentication-Results: mx.mtumail.test; dmarc=pass header.from=example.org\r\n" + MAIL,
        b"Return-Path: <a@b>\r\nX: y\r\n" + (BLOCK % GOOD).partition(b"\r\n")[2] + MAIL,
        (BLOCK % GOOD).replace(b"by mx.mtumail.test", b"by mx.example.net") + MAIL,
        (BLOCK % GOOD).replace(b"Results: mx", b"Results: other.mx") + MAIL,
        (BLOCK % GOOD).replace(b"Received: from mail.example.org", b"Received: by magic") + MAIL,
    ],
)
def test_nothing_else_is_believed(raw):
    assert read(parse(raw + b"\r\nHello\r\n").headers) is None


def test_what_came_with_the_message_changes_nothing():
    forged = b"Authentication-Results: mx.mtumail.test; dmarc=pass header.from=bank.example\r\n"
    assert of(b"\tdmarc=fail header.from=bank.example", forged + MAIL).verdict == "failed"
    assert of(b"\tspf=none", b" folded; dmarc=pass header.from=bank.example\r\n" + MAIL).dmarc == "none"


@pytest.mark.parametrize(
    "results",
    [
        b"", b"\t;", b"\tmagic=pass", b"\tspf=perfect", b"\tspf", b"\tspf=pass;;dkim=none", b"\tspf=pass; spf=fail", b"\tspf=\"pass",
        b"\tdmarc=pass; dmarc=pass", b"\tspf=pass (comment)", b"\tSPF=pass", b"\tspf=pass header.x.y.z=1", b"\tnone; dmarc=pass",
        b"\tspf=pass " + b"a=" * 20_000,
    ],
)  # fmt: skip
def test_what_we_never_write_is_not_read(results):
    assert of(results) is None


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (b"\tdmarc=pass header.from=example.org", "verified"),
        (b"\tdmarc=fail header.from=example.org policy.dmarc=none", "failed"),
        (b"\tdkim=pass header.d=example.org; dmarc=fail header.from=example.org", "failed"),
        (b"\tdkim=pass header.d=example.org; dmarc=none header.from=example.org", "verified"),
        (b"\tdkim=pass header.d=example.org; dmarc=none header.from=news.example.org", "verified"),
        (b"\tdkim=pass header.d=evil.example.org; dmarc=none header.from=example.org", "unknown"),
        (b"\tdkim=pass header.d=ample.org; dmarc=none header.from=example.org", "unknown"),
        (b"\tdkim=policy header.d=example.org; dmarc=none header.from=example.org", "unknown"),
        (b"\tdkim=pass header.d=example.org; dmarc=temperror header.from=example.org", "verified"),
        (b"\tspf=pass smtp.mailfrom=example.org; dmarc=none header.from=example.org", "verified"),
        (b"\tspf=pass smtp.mailfrom=other.example; dmarc=none header.from=example.org", "unknown"),
        (b"\tspf=softfail smtp.mailfrom=example.org; dmarc=none header.from=example.org", "unknown"),
        (b"\tspf=pass; dkim=pass; dmarc=permerror", "unknown"),
        (b"\tdmarc=temperror header.from=example.org", "unknown"),
        (b"\tnone", "unknown"),
    ],
)
def test_in_one_word(results, verdict):
    assert of(results).verdict == verdict


SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=sel;\r\n\th=From:List-Unsubscribe : list-unsubscribe-post;\r\n\tb=abcd\r\n\tefghijkl\r\n"


@pytest.mark.parametrize(
    ("mail", "covered"),
    [
        (SIGNATURE + MAIL, True),
        (MAIL + SIGNATURE, True),
        (MAIL, False),
        (SIGNATURE.replace(b" list-unsubscribe-post", b"x") + MAIL, False),
        (SIGNATURE.replace(b"abcd", b"wxyz") + MAIL, False),
        (SIGNATURE.replace(b"d=example.org", b"d=other.example") + MAIL, False),
        (SIGNATURE.replace(b"s=sel", b"s=other") + MAIL, False),
        (SIGNATURE + SIGNATURE + MAIL, False),
        (SIGNATURE + b"List-Unsubscribe: <https://evil.example/>\r\n" + MAIL, False),
        (SIGNATURE + b"From: ann@example.org\r\nList-Unsubscribe: <https://example.org/>\r\n", False),
    ],
    ids=["yes", "below", "no field", "not signed", "another signature", "another domain", "another key", "two could be meant",
         "one was added", "one is missing"],
)  # fmt: skip
def test_whether_a_signature_covers_fields(mail, covered):
    headers = parse(BLOCK % GOOD + mail + b"\r\nHello\r\n").headers
    assert read(headers).covers(headers, ONE_CLICK) is covered


def test_only_a_passing_aligned_signature_covers():
    for old, new in (
        (b"dkim=pass", b"dkim=fail"),
        (b"policy.by-dkim=example.org", b"policy.by-spf=example.org"),
    ):
        results = GOOD.replace(old, new).replace(b"header.from=example.org", b"header.from=example.net")
        headers = parse(BLOCK % results + SIGNATURE + MAIL + b"\r\n").headers
        assert not read(headers).covers(headers, ONE_CLICK)
    headers = parse(BLOCK % GOOD + SIGNATURE + MAIL + b"\r\n").headers
    assert not read(headers).covers(headers, ())


def test_hostile_text_costs_linear_time():
    began = time.process_time()
    for results in (
        b"\t" + b"a" * 30_000,
        b"\t" + b" " * 30_000 + b"!",
        b'\tspf="' * 5_000,
        b"\tspf=pass;" * 3_000,
    ):
        of(results)
    many = parse(BLOCK % GOOD + (SIGNATURE[:-2] + b";" * 200 + b"\r\n") * 900 + MAIL + b"\r\n").headers
    read(many).covers(many, ONE_CLICK)
    assert time.process_time() - began < 2
