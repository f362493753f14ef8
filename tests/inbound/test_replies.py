"""The table of replies, and the fields that we write."""

import re
from datetime import UTC, datetime

import pytest

from inbound.ports import Refusal
from inbound.replies import REPLIES, ehlo
from inbound.trace import Peer, head, with_protocol

NOW = datetime(2026, 11, 22, 21, 0, 0, tzinfo=UTC)
HEAD = {"host": "mx.test", "sender": "b@p.test", "smtputf8": False, "delivery_id": "abc-1", "now": NOW}


@pytest.mark.parametrize("name", sorted(REPLIES))
def test_reply_is_well_formed(name):
    reply = REPLIES[name]
    line = reply.wire(host="mx.test", id="abc-1", limit="10")
    assert re.fullmatch(rb"[2-5][0-5]\d( [245]\.\d{1,3}\.\d{1,3})? [ -z|~]+\r\n", line)
    assert len(line) <= 512
    if reply.enhanced:
        assert reply.enhanced[0] == str(reply.code)[0]
    assert reply.name == name


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_reply(refusal):
    assert REPLIES[refusal.value].code >= 400


def test_our_own_trouble_is_never_permanent():
    assert {REPLIES[name].code for name in ("trouble", "no_room", "tls_unavailable", "shutting_down")} == {
        451,
        452,
        454,
        421,
    }


def test_ehlo_ends_with_a_space():
    assert ehlo("mx.test", 10, True).splitlines()[-1] == b"250 STARTTLS"
    assert all(line.startswith(b"250-") for line in ehlo("mx.test", 10, True).splitlines()[:-1])


@pytest.mark.parametrize(
    ("peer", "smtputf8", "word"),
    [
        (Peer("192.0.2.1", "p"), False, "SMTP"),
        (Peer("192.0.2.1", "p", extended=True), False, "ESMTP"),
        (Peer("192.0.2.1", "p", extended=True, tls="TLSv1.3 X"), False, "ESMTPS"),
        (Peer("192.0.2.1", "p", extended=True), True, "UTF8SMTP"),
        (Peer("192.0.2.1", "p", extended=True, tls="TLSv1.3 X"), True, "UTF8SMTPS"),
    ],
)
def test_with_protocol(peer, smtputf8, word):
    assert with_protocol(peer, smtputf8) == word


def test_head():
    text = head(Peer("2001:db8::1", "p.test", True, "TLSv1.3 X"), **HEAD).decode()
    assert text == (
        "Return-Path: <b@p.test>\r\nReceived: from p.test ([IPv6:2001:db8::1])\r\n\tby mx.test with ESMTPS id abc-1\r\n"
        "\t(TLSv1.3 X)\r\n\t; Sun, 22 Nov 2026 21:00:00 +0000\r\n"
    )


def test_no_claim_of_the_peer_breaks_out_of_its_field():
    for helo in ("a\r\nBcc: x", "a) (b", "ü" * 400, "\x00", "a;b<c>"):
        text = head(Peer("not an ip", helo), **HEAD)
        assert text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r") == 4
        assert re.search(rb"from [A-Za-z0-9.:_?-]{1,255} \(unknown\)\r\n", text)
