"""Mail for whoever had a name before is refused for whoever has it now: RRVS with RCPT and in the header (P18, RFC 7293)."""

import dataclasses
import time
from datetime import UTC, datetime

import pytest

from inbound.ports import Recipient
from inbound.valid_since import read_fields, read_parameter
from webmail.db import transaction
from webmail.mail import mailboxes
from webmail.mail.addresses import parse_spec

SINCE = datetime(2025, 6, 1, tzinfo=UTC)
HEAD = "From: <shop@peer.test>\r\nSubject: Your new password\r\n"


@pytest.fixture
def owned(memory):
    """Ann has had her name since June 2025; postmaster is nobody's in particular."""
    real = memory.resolve

    def resolve(address):
        found = real(address)
        if isinstance(found, Recipient) and found.mailbox_id in (1, 2):
            return dataclasses.replace(found, since=SINCE)
        return found

    memory.resolve = resolve
    return memory


def begin(client):
    client.say("EHLO peer.test", "MAIL FROM:<shop@peer.test>")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("2014-04-03T23:01:00Z", "550 5.7.17"),
        ("2025-05-31T23:59:59Z", "550 5.7.17"),
        ("2025-06-01T01:00:00+02:00;R", "550 5.7.17"),
        ("2025-06-01T00:00:00Z", "250 2.1.5"),
        ("2026-01-01T00:00:00.5Z;C", "250 2.1.5"),
        ("2026-01-01t00:00:00z", "250 2.1.5"),
    ],
)
def test_P18_rcpt_asks_since_when(client, owned, asked, answer):
    begin(client)
    assert client.say(f"RCPT TO:<ann@mtumail.test> RRVS={asked}").startswith(answer)
    assert client.say("RCPT TO:<postmaster@mtumail.test> RRVS=1990-01-01T00:00:00Z").startswith("250")


@pytest.mark.parametrize("asked", ["RRVS", "RRVS=yesterday", "RRVS=2014-13-45T00:00:00Z", "RRVS=2014-04-03", "RRVS=2014-04-03T23:01:00",
                                   "RRVS=2014-04-03T23:01:00Z;X", "RRVS=2014-04-03T23:01:00Z RRVS=2014-04-03T23:01:00Z"])  # fmt: skip
def test_what_is_no_moment_is_a_syntax_error(client, owned, asked):
    begin(client)
    assert client.say(f"RCPT TO:<ann@mtumail.test> {asked}").startswith("501")


def test_it_is_an_extension_and_needs_ehlo(client, owned):
    client.say("HELO peer.test", "MAIL FROM:<shop@peer.test>")
    answer = client.say("RCPT TO:<ann@mtumail.test> RRVS=2014-04-03T23:01:00Z")
    assert answer.startswith("555")


def deliver(client, field, *to):
    begin(client)
    for one in to:
        assert client.say(f"RCPT TO:<{one}@mtumail.test>").startswith("250")
    client.say("DATA")
    client.send(f"{HEAD}{field}\r\n\r\nHere it is.\r\n.\r\n".encode())
    return client.read()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("ann@mtumail.test; Sat, 1 Jun 2013 09:23:01 -0700", "550 5.7.17"),
        ("ann+shop@MTUMAIL.test; Sat, 1 Jun 2013 09:23:01 -0700", "550 5.7.17"),
        ("ann@mtumail.test;\r\n Sat, 1 Jun 2013 09:23:01 -0700 (a comment)", "550 5.7.17"),
        ("ann@mtumail.test; Sat, 1 Nov 2025 09:23:01 -0700", "250"),
        ("carla@mtumail.test; Sat, 1 Jun 2013 09:23:01 -0700", "250"),
        ("ann@mtumail.test; the other day", "250"),
        ("ann@mtumail.test", "250"),
        ("", "250"),
    ],
)
def test_P18_so_does_the_header(client, owned, value, code):
    assert deliver(client, f"Require-Recipient-Valid-Since: {value}", "ann").startswith(code)
    assert len(owned.deliveries) == (1 if code == "250" else 0)


def test_P18_where_one_of_several_is_another_owner_none_gets_it_and_the_sender_is_told(client, owned):
    field = "Require-Recipient-Valid-Since: ann@mtumail.test; Sat, 1 Jun 2013 09:23:01 -0700"
    assert deliver(client, field, "ben", "ann").startswith("550 5.7.17")
    assert owned.deliveries == []


def test_a_field_in_the_body_asks_for_nothing(client, owned):
    field = "X-A: b\r\n\r\nRequire-Recipient-Valid-Since: ann@mtumail.test; Sat, 1 Jun 2013 09:23:01 -0700"
    assert deliver(client, field, "ann").startswith("250")


def test_P18_a_name_is_its_owners_since_he_got_it(owner_app, ann):
    with owner_app.app_context(), transaction():
        found = mailboxes.resolve(parse_spec(ann.address))
    assert isinstance(found, mailboxes.Recipient)
    assert found.since is not None
    assert abs((datetime.now(UTC) - found.since).total_seconds()) < 120


def test_hostile_headers_cost_linear_time():
    piece = b"Require-Recipient-Valid-Since: " + b"(" * 400 + b"a@b; x\r\n"
    began = time.perf_counter()
    read_fields(piece * 200 + b"\r\n")
    assert read_fields(b"Require-Recipient-Valid-Since: " + b" \r\n " * 20_000 + b"\r\n\r\n") == []
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "value", [None, "", "x" * 10_000, "0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", "٢٠١٤-04-03T23:01:00Z"]
)
def test_no_value_is_too_odd(value):
    assert read_parameter(value) is None
