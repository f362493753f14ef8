import base64
import contextlib
import ipaddress
import random
import re
import smtplib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webmail.sending.relay import Relay, RelaySettings, refuse_unclean
from webmail.sending.relay.content import CHUNK, stuffed
from webmail.sending.relay.outcomes import read_reply

ANN = "ann@mtumail.test"
BEN = "ben@example.org"
EVE = "eve@example.net"
RAW = b"From: ann@mtumail.test\r\nSubject: hello\r\n\r\nOne line.\r\n"

HANG, CLOSE, RESET = object(), object(), object()


class Half(bytes):
    """Send these octets, then close."""


class Talk:
    """The peer's end of one connection."""

    def __init__(self, sock: socket.socket, stop: threading.Event) -> None:
        self.sock, self.stop, self.buffer = sock, stop, b""
        self.lines: list[bytes] = []
        self.mails: list[bytes] = []
        self.ended = b""

    def read(self) -> None:
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        self.buffer += got

    def hear(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self.read()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.lines.append(line)
        return line

    def hear_mail(self) -> None:
        while not (self.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self.buffer):
            try:
                self.read()
            except (EOFError, OSError):
                self.ended, self.buffer = self.buffer, b""
                raise EOFError from None
        if self.buffer.startswith(b".\r\n"):
            mail, self.buffer = b"", self.buffer[3:]
        else:
            mail, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
            mail += b"\r\n"
        self.mails.append(mail)

    def answer(self, what: object) -> None:
        if what is HANG:
            self.stop.wait(5)
            raise EOFError
        if what is RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if what in (CLOSE, RESET):
            raise EOFError
        assert isinstance(what, bytes)
        self.sock.sendall(what)
        if isinstance(what, Half):
            raise EOFError


class Peer:
    """A scripted SMTP server on loopback. Each accepted connection gets the next script, the last one for all others."""

    def __init__(self, *scripts: Callable[[Talk], None]) -> None:
        self.scripts = scripts
        self.talks: list[Talk] = []
        self.stop = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> "Peer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(6)
        assert not self.thread.is_alive()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(5)
            talk = Talk(sock, self.stop)
            script = self.scripts[min(len(self.talks), len(self.scripts) - 1)]
            self.talks.append(talk)
            with contextlib.suppress(EOFError, OSError):
                script(talk)
            talk.sock.close()

    @property
    def settings(self) -> RelaySettings:
        return RelaySettings.parse(f"smtp://127.0.0.1:{self.port}?timeout=5")

    @property
    def hasty(self) -> RelaySettings:
        """For what is meant to time out."""
        return RelaySettings.parse(f"smtp://127.0.0.1:{self.port}?timeout=0.3")

    @property
    def mails(self) -> list[bytes]:
        return [mail for talk in self.talks for mail in talk.mails]

    @property
    def lines(self) -> list[bytes]:
        return [line for talk in self.talks for line in talk.lines]


def smtp(
    *,
    offers: tuple[str, ...] = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES"),
    greeting: object = b"220 relay.example.com ESMTP\r\n",
    mail: object = b"250 2.1.0 ok\r\n",
    rcpt: object = b"250 2.1.5 ok\r\n",
    data: object = b"354 go on\r\n",
    dot: object = b"250 2.0.0 taken as A1\r\n",
    **others: object,
) -> Callable[[Talk], None]:
    """A server that answers as told; `rcpt` may be a dict by address."""

    def script(talk: Talk) -> None:
        talk.answer(greeting)
        converse(talk)

    def converse(talk: Talk) -> None:
        while True:
            line = talk.hear()
            verb = line.split(b" ")[0].decode().upper()
            if verb in ("EHLO", "HELO"):
                words = ["relay.example.com greets you", *offers]
                plain = "".join(
                    f"250{'-' if number < len(words) else ' '}{word}\r\n"
                    for number, word in enumerate(words, 1)
                ).encode()
                talk.answer(others.get(verb.lower(), plain))
            elif verb == "MAIL":
                talk.answer(mail)
            elif verb == "RCPT":
                address = re.match(rb"RCPT TO:<(.*)>$", line)[1].decode()
                talk.answer(rcpt[address] if isinstance(rcpt, dict) else rcpt)
            elif verb == "DATA":
                talk.answer(data)
                if isinstance(data, bytes) and data.startswith(b"354"):
                    talk.hear_mail()
                    talk.answer(dot)
            elif verb == "QUIT":
                talk.answer(b"221 bye\r\n")
                return
            else:
                talk.answer(others.get(verb.lower(), b"250 ok\r\n"))

    script.converse = converse
    return script


NO_PIPELINING = ("SIZE 1000000", "8BITMIME")


@pytest.fixture(params=["pipelining", "step by step"])
def offers(request):
    return ("PIPELINING", *NO_PIPELINING) if request.param == "pipelining" else NO_PIPELINING


def one(peer: Peer, what: object = None, **kwargs: object):
    with Relay(peer.hasty if what is HANG else peer.settings) as relay:
        outcome = relay.send(ANN, [BEN], RAW, **kwargs)
    assert len(outcome.recipients) == 1
    return outcome.recipients[0]


# --- what a relay answers ---------------------------------------------------------------------------------------------


def test_sent_says_what_the_relay_said(offers):
    with Peer(smtp(offers=offers)) as peer:
        got = one(peer)
    assert (got.address, got.kind, got.code, got.enhanced) == (BEN, "sent", 250, "2.0.0")
    assert got.reply == "250 2.0.0 taken as A1"
    assert peer.mails == [RAW]
    assert [line.split(b" ")[0] for line in peer.lines] == [b"EHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT"]
    assert peer.lines[1] == b"MAIL FROM:<ann@mtumail.test> SIZE=%d" % len(RAW)


ANSWERS = [
    (b"421 4.3.2 closing\r\n", "deferred", 421, "4.3.2"),
    (b"450 mailbox busy\r\n", "deferred", 450, ""),
    (b"451 4.7.1 greylisted\r\n", "deferred", 451, "4.7.1"),
    (b"452 4.2.2 full\r\n", "deferred", 452, "4.2.2"),
    (b"550 5.1.1 nobody\r\n", "failed", 550, "5.1.1"),
    (b"552 5.2.2 quota\r\n", "failed", 552, "5.2.2"),
    (b"554 no\r\n", "failed", 554, ""),
    (b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n", "failed", 550, "5.7.1"),
    (b"550\r\n", "failed", 550, ""),
]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(("reply", "kind", "code", "enhanced"), ANSWERS)
def test_refusals_are_final_or_not_at_every_step(offers, step, reply, kind, code, enhanced):
    with Peer(smtp(offers=offers, **{step: reply})) as peer:
        got = one(peer)
    assert (got.kind, got.code, got.enhanced) == (kind, code, enhanced)
    assert peer.mails in ([], [b""]) or step == "dot"


BREAKS = [
    HANG,
    CLOSE,
    RESET,
    Half(b"25"),
    Half(b"250-more\r\n"),
    b"hello\r\n",
    b"250-a\r\n550 b\r\n",
    b"25x no\r\n",
]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_session_before_the_dot_is_deferred(offers, step, what):
    handed = []
    with Peer(smtp(offers=offers, **{step: what})) as peer:
        got = one(peer, what, before_dot=lambda: handed.append(1))
    assert got.kind == "deferred"
    assert got.code is None
    assert got.reply
    assert not handed
    assert peer.mails == []


@pytest.mark.parametrize("what", [*BREAKS, b"354 again\r\n", b"334 what\r\n"])
def test_no_clear_answer_after_the_dot_is_unknown(offers, what):
    handed = []
    with Peer(smtp(offers=offers, dot=what)) as peer:
        got = one(peer, what, before_dot=lambda: handed.append(1))
    assert got.kind == "unknown"
    assert handed == [1]
    assert peer.mails == [RAW]


@pytest.mark.parametrize("step", ["greeting", "ehlo"])
@pytest.mark.parametrize("what", [*BREAKS, b"421 busy\r\n", b"554 not you\r\n", b"500 what\r\n"])
def test_a_relay_that_does_not_let_us_in_defers_everything(step, what):
    with (
        Peer(smtp(**{step: what}, helo=b"502 no\r\n")) as peer,
        Relay(peer.hasty if what is HANG else peer.settings) as relay,
    ):
        outcome = relay.send(ANN, [BEN, EVE], RAW)
    assert outcome.of("deferred") == (BEN, EVE)
    assert not outcome.reached
    assert peer.mails == []


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Relay(RelaySettings.parse(f"smtp://127.0.0.1:{port}?timeout=1")) as relay:
        outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.recipients[0].kind == "deferred"
    assert "could not connect" in outcome.recipients[0].reply
    assert not outcome.reached


def test_a_wrong_sign_in_state_is_our_trouble_and_bounces_nothing(offers):
    with Peer(smtp(offers=offers, mail=b"530 5.7.0 Authentication required\r\n")) as peer:
        assert one(peer).kind == "deferred"


def test_helo_where_ehlo_is_unknown():
    with Peer(smtp(ehlo=b"502 what\r\n", helo=b"250 hello\r\n")) as peer:
        assert one(peer).kind == "sent"
    assert b"MAIL FROM:<ann@mtumail.test>" in peer.lines


def test_each_recipient_has_its_own_answer(offers):
    rcpt = {
        "a@example.org": b"250 ok\r\n",
        "b@example.org": b"550 5.1.1 nobody\r\n",
        "c@example.org": b"451 4.7.1 later\r\n",
        "d@example.org": b"251 will forward\r\n",
        "e@example.org": b"552 5.5.3 too many\r\n",
        "f@example.org": b"354 what\r\n",
    }
    seen = []
    with Peer(smtp(offers=offers, rcpt=rcpt)) as peer, Relay(peer.settings) as relay:
        outcome = relay.send(ANN, list(rcpt), RAW, before_dot=lambda: seen.append(relay.accepted))
        assert relay.accepted == ()
    kinds = [got.kind for got in outcome.recipients]
    assert kinds == ["sent", "failed", "deferred", "sent", "deferred", "deferred"]
    assert [got.address for got in outcome.recipients] == list(rcpt)
    assert seen == [("a@example.org", "d@example.org")]
    assert peer.mails == [RAW]


def test_refused_recipients_keep_their_answer_when_the_rest_is_lost(offers):
    rcpt = {BEN: b"550 5.1.1 nobody\r\n", EVE: b"250 ok\r\n"}
    with Peer(smtp(offers=offers, rcpt=rcpt, dot=CLOSE)) as peer, Relay(peer.settings) as relay:
        outcome = relay.send(ANN, [BEN, EVE], RAW)
    assert [got.kind for got in outcome.recipients] == ["failed", "unknown"]


def test_421_at_one_recipient_ends_the_transaction_for_all(offers):
    rcpt = {BEN: b"250 ok\r\n", EVE: Half(b"421 4.3.2 going down\r\n")}
    with Peer(smtp(offers=offers, rcpt=rcpt), smtp(offers=offers)) as peer, Relay(peer.settings) as relay:
        first = relay.send(ANN, [BEN, EVE], RAW)
        second = relay.send(ANN, [BEN], RAW)
    assert [got.kind for got in first.recipients] == ["deferred", "deferred"]
    assert second.is_sent
    assert len(peer.talks) == 2


def test_no_accepted_recipient_means_no_message(offers):
    """With pipelining, DATA is on its way already: an accepted DATA is ended with a lone dot (RFC 2920 section 3.1)."""
    with (
        Peer(smtp(offers=offers, rcpt=b"550 nobody\r\n", dot=b"554 no recipients\r\n")) as peer,
        Relay(peer.settings) as relay,
    ):
        assert relay.send(ANN, [BEN], RAW).of("failed") == (BEN,)
        assert relay.send(ANN, [EVE], RAW).of("failed") == (EVE,)
    assert all(mail == b"" for mail in peer.mails)
    assert len(peer.talks) == 1


def test_duplicate_recipients_are_told_once(offers):
    with Peer(smtp(offers=offers)) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN, BEN], RAW).of("sent") == (BEN,)
    assert peer.lines.count(b"RCPT TO:<ben@example.org>") == 1


def test_a_refusal_in_the_middle_of_the_content_is_heard(offers):
    def script(talk: Talk) -> None:
        server = smtp(offers=offers, data=Half(b"354 go\r\n552 5.3.4 that is too much\r\n"))
        server(talk)

    handed = []
    with Peer(script) as peer:
        got = one(peer, before_dot=lambda: handed.append(1))
    assert (got.kind, got.code) == ("failed", 552)
    assert not handed


def test_a_peer_that_stops_reading_is_deferred():
    big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000

    def script(talk: Talk) -> None:
        talk.answer(b"220 hi\r\n")
        talk.hear()
        talk.answer(b"250 hi\r\n")
        for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            talk.hear()
            talk.answer(reply)
        talk.answer(HANG)

    with Peer(script) as peer, Relay(peer.hasty) as relay:
        started = time.monotonic()
        outcome = relay.send(ANN, [BEN], big, before_dot=lambda: pytest.fail("not all was taken"))
    assert outcome.recipients[0].kind == "deferred"
    assert time.monotonic() - started < 4


def test_replies_are_made_fit_to_show():
    odd = b"550-5.1.1 \x1b[31mno\x00 \xff\xfe such\r\n550 5.1.1 \xe2\x80\xaeuser\t" + b"x" * 3000 + b"\r\n"
    with Peer(smtp(rcpt=odd)) as peer:
        got = one(peer)
    assert got.reply.startswith("550 5.1.1 [31mno \ufffd\ufffd such user xxx")
    assert len(got.reply) == 500
    assert got.reply.isprintable()


def test_an_enhanced_code_of_another_class_is_not_believed():
    assert read_reply(250, [b"5.1.1 odd"]).enhanced == ""
    assert read_reply(550, [b"5.1.1", b"5.1.1 text"]).text == "text"


def test_a_reply_without_end_is_not_read_forever():
    endless = b"".join(b"250-%d\r\n" % number for number in range(1000))
    with Peer(smtp(mail=endless)) as peer:
        got = one(peer)
    assert got.kind == "deferred"
    assert "does not end" in got.reply
    with Peer(smtp(mail=b"250 " + b"x" * 50_000)) as peer:
        assert "too long" in one(peer).reply


def test_dripping_octets_do_not_keep_us(offers):
    def drip(talk: Talk) -> None:
        for _ in range(100):
            talk.sock.sendall(b"2")
            if talk.stop.wait(0.1):
                return

    started = time.monotonic()
    with Peer(drip) as peer:
        got = one(peer, HANG)
    assert got.kind == "deferred"
    assert time.monotonic() - started < 3


# --- before the dot ----------------------------------------------------------------------------------------------------


def test_before_dot_comes_after_the_content_and_before_the_dot(offers):
    seen = []

    def script(talk: Talk) -> None:
        with contextlib.suppress(EOFError):
            smtp(offers=offers)(talk)

    def look() -> None:
        end = time.monotonic() + 2
        while RAW not in peer.talks[0].buffer and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.05)
        seen.append(peer.talks[0].buffer)

    with Peer(script) as peer:
        assert one(peer, before_dot=look).kind == "sent"
    assert seen == [RAW]


def test_when_before_dot_fails_the_relay_has_no_message():
    def fail() -> None:
        raise RuntimeError("the database is gone")

    with Peer(smtp(), smtp()) as peer, Relay(peer.settings) as relay:
        with pytest.raises(RuntimeError, match="database"):
            relay.send(ANN, [BEN], RAW, before_dot=fail)
        assert relay.send(ANN, [EVE], RAW).is_sent
    assert peer.mails == [RAW]
    assert peer.talks[0].mails == []
    assert peer.talks[0].ended == RAW


# --- one connection for many -------------------------------------------------------------------------------------------


def test_one_connection_for_a_batch_and_reset_after_trouble(offers):
    rcpt = {BEN: b"250 ok\r\n", EVE: b"550 no\r\n"}
    with Peer(smtp(offers=offers, rcpt=rcpt, dot=b"250 ok\r\n")) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], RAW).is_sent
        assert relay.send(ANN, [EVE], RAW).of("failed") == (EVE,)
        assert relay.send(ANN, [BEN], RAW).is_sent
        assert relay.send("", [BEN], RAW).is_sent
    assert len(peer.talks) == 1
    assert [mail for mail in peer.mails if mail] == [RAW] * 3
    assert any(line.startswith(b"MAIL FROM:<> ") for line in peer.lines)
    if "PIPELINING" not in offers:
        assert peer.lines.count(b"RSET") == 1


def test_a_new_connection_after_the_agreed_number():
    with Peer(smtp()) as peer, Relay(replace(peer.settings, max_messages=2)) as relay:
        for _ in range(5):
            assert relay.send(ANN, [BEN], RAW).is_sent
    assert [len(talk.mails) for talk in peer.talks] == [2, 2, 1]
    assert all(talk.lines[-1] == b"QUIT" for talk in peer.talks)


@pytest.mark.parametrize("goodbye", [b"", b"421 4.4.2 idle too long\r\n"])
def test_a_connection_dropped_between_messages_is_opened_again(offers, goodbye):
    def script(talk: Talk) -> None:
        talk.answer(b"220 hi\r\n")
        with contextlib.suppress(EOFError):
            smtp(offers=offers, dot=Half(b"250 ok\r\n" + goodbye)).converse(talk)

    with Peer(script) as peer, Relay(peer.settings) as relay:
        for _ in range(3):
            assert relay.send(ANN, [BEN], RAW).is_sent
            time.sleep(0.02)
    assert len(peer.talks) == 3
    assert peer.mails == [RAW] * 3


def test_a_connection_that_dies_at_the_next_mail_is_opened_again(offers):
    def script(talk: Talk) -> None:
        talk.answer(b"220 hi\r\n")
        mails = iter([b"250 ok\r\n", CLOSE])
        server = smtp(offers=offers)
        talk.answer_original = talk.answer

        def answer(what: object) -> None:
            talk.answer_original(next(mails) if what == b"250 2.1.0 ok\r\n" else what)

        talk.answer = answer
        server.converse(talk)

    with Peer(script, smtp(offers=offers)) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], RAW).is_sent
        assert relay.send(ANN, [EVE], RAW).is_sent
    assert len(peer.talks) == 2
    assert peer.mails == [RAW, RAW]


def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(offers):
    with Peer(smtp(offers=offers, dot=b"250 ok\r\n250 and again\r\n")) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], RAW).is_sent
        assert relay.send(ANN, [EVE], RAW).is_sent
    assert [len(talk.mails) for talk in peer.talks] == [1, 1]


def test_an_idle_connection_is_asked_first():
    with Peer(smtp()) as peer, Relay(replace(peer.settings, idle_check=0.0)) as relay:
        relay.send(ANN, [BEN], RAW)
        relay.send(ANN, [BEN], RAW)
    assert peer.lines.count(b"NOOP") == 1
    assert len(peer.talks) == 1


# --- extensions --------------------------------------------------------------------------------------------------------


def test_size_is_respected_without_sending():
    with Peer(smtp(offers=("SIZE 20",))) as peer:
        got = one(peer)
    assert (got.kind, got.enhanced) == ("failed", "5.3.4")
    assert not any(line.startswith(b"MAIL") for line in peer.lines)
    with Peer(smtp(offers=("SIZE 0",))) as peer:
        assert one(peer).kind == "sent"
    with Peer(smtp(offers=("SIZE",))) as peer:
        assert one(peer).kind == "sent"


def test_eight_bit_text_needs_the_extension():
    raw = b"Subject: a\r\n\r\n\xc3\xa9\r\n"
    with Peer(smtp(offers=("8BITMIME",))) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], raw).is_sent
    assert b"MAIL FROM:<ann@mtumail.test> BODY=8BITMIME" in peer.lines
    with Peer(smtp(offers=())) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], raw).recipients[0].enhanced == "5.6.3"
    assert peer.mails == []


def test_smtputf8_only_when_needed_and_offered():
    with Peer(smtp(offers=("SMTPUTF8", "8BITMIME"))) as peer, Relay(peer.settings) as relay:
        assert relay.send(ANN, [BEN], RAW).is_sent
        assert relay.send(ANN, ["jürgen@example.org"], RAW).is_sent
        assert relay.send(ANN, ["a@bücher.example"], RAW).is_sent
    mails = [line for line in peer.lines if line.startswith(b"MAIL")]
    assert [b"SMTPUTF8" in line for line in mails] == [False, True, False]
    assert "RCPT TO:<jürgen@example.org>".encode() in peer.lines
    assert b"RCPT TO:<a@xn--bcher-kva.example>" in peer.lines


def test_without_smtputf8_only_the_addresses_that_need_it_fail():
    with Peer(smtp()) as peer, Relay(peer.settings) as relay:
        outcome = relay.send(ANN, ["jürgen@example.org", BEN], RAW)
        assert [got.kind for got in outcome.recipients] == ["failed", "sent"]
        assert outcome.recipients[0].enhanced == "5.6.7"
        header = relay.send(ANN, [BEN], "To: jürgen@example.org\r\n\r\nx\r\n".encode())
        assert header.of("failed") == (BEN,)


# --- octets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: x\r\n\r\nno end",
        b"Subject: x\n\r\nbody\r\n",
        b"Subject: x\r\n\r\na\rb\r\n",
        b"Subject: x\r\n\r\na\r\r\n",
        b"Subject: x\r\n\r\na\n\r\n",
        b"Subject: x\r\n\r\nsmuggle\n.\r\nMAIL FROM:<x@y>\r\n",
        b"Subject: x\r\n\r\nsmuggle\r.\r\n",
        b"Subject: x\r\n\r\na\0b\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
    ],
)
def test_unclean_octets_are_refused_before_anything_is_sent(raw):
    with Peer(smtp()) as peer, Relay(peer.settings) as relay:
        with pytest.raises(ValueError):
            relay.send(ANN, [BEN], raw)
        assert peer.talks == []


def test_a_line_of_998_octets_is_fine():
    refuse_unclean(b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n")


@pytest.mark.parametrize(
    "bad",
    [
        "x@y> SIZE=1\r\nRCPT TO:<e@x",
        "a@example.org\r\n",
        "a\0b@example.org",
        "a@example.org> NOTIFY=NEVER",
        "<a@example.org>",
        "@a.example:b@example.org",
        "a b@example.org",
        "nobody",
        "a@example.org,b@example.org",
        "a@[127.0.0.1",
        "",
    ],
)
def test_envelope_injection_is_refused(bad):
    with Peer(smtp()) as peer, Relay(peer.settings) as relay:
        with pytest.raises(ValueError):
            relay.send(ANN, [BEN, bad], RAW)
        if bad:
            with pytest.raises(ValueError):
                relay.send(bad, [BEN], RAW)
        with pytest.raises(ValueError):
            relay.send(ANN, [], RAW)
        assert peer.talks == []


def test_dot_stuffing_is_exact():
    assert b"".join(stuffed(b".a\r\n.\r\n..\r\na.\r\n")) == b"..a\r\n..\r\n...\r\na.\r\n"
    rng = random.Random(7)
    lines = [rng.choice([b".", b"..", b".x", b"x.", b"", b"y" * rng.randrange(900)]) for _ in range(9000)]
    raw = b"\r\n".join(lines) + b"\r\n"
    assert len(raw) > CHUNK
    expected = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert b"".join(stuffed(raw)) == expected


@pytest.fixture
def sink() -> Iterator[tuple[RelaySettings, list[tuple[str, list[str], bytes]]]]:
    taken: list[tuple[str, list[str], bytes]] = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port, data_size_limit=2**25)
    controller.start()
    yield RelaySettings.parse(f"smtp://127.0.0.1:{port}"), taken
    controller.stop()


def test_octets_arrive_exactly_at_another_implementation(sink):
    settings, taken = sink
    rng = random.Random(3)
    mails = [RAW, b"S: x\r\n\r\n.\r\n..\r\n.\r\n", b"S: x\r\n\r\n\r\n\r\n"]
    for _ in range(40):
        lines = [
            rng.choice([b".", b".x", b"", rng.randbytes(rng.randrange(90))])
            for _ in range(rng.randrange(1, 400))
        ]
        body = b"\r\n".join(re.sub(rb"[\r\n\0]", b"?", line) for line in lines)
        mails.append(b"Subject: x\r\n\r\n" + body + b"\r\n")
    with Relay(settings) as relay:
        for raw in mails:
            assert relay.send(ANN, [BEN, EVE], raw).is_sent
    assert [content for _, _, content in taken] == mails
    assert taken[0][:2] == (ANN, [BEN, EVE])


def test_many_messages_over_one_connection_are_quick(sink, capsys):
    """At least half of what smtplib does with the same peer at the same time; in an idle moment it is the same."""
    settings, taken = sink
    raw = RAW + b"A line of some text, as people write it.\r\n" * 100
    count, best = 60, {"relay": 0.0, "smtplib": 0.0}
    with (
        Relay(replace(settings, max_messages=1000)) as relay,
        smtplib.SMTP(settings.host, settings.port, local_hostname="test.example.org") as other,
    ):
        for _ in range(3):
            started = time.perf_counter()
            for _ in range(count):
                assert relay.send(ANN, [BEN], raw).is_sent
            between = time.perf_counter()
            for _ in range(count):
                other.sendmail(ANN, [BEN], raw)
            ended = time.perf_counter()
            best["relay"] = max(best["relay"], count / (between - started))
            best["smtplib"] = max(best["smtplib"], count / (ended - between))
    assert len(taken) == 6 * count
    with capsys.disabled():
        rates = ", ".join(f"{name} {rate:.0f}/s" for name, rate in best.items())
        sys.stdout.write(f"\n{len(raw)} octets over one connection without pipelining: {rates}\n")
    assert best["relay"] > best["smtplib"] / 2


# --- TLS and sign-in ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """(path of the CA's certificate, function that makes a server context for given names)."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)

    def certificate(names, issuer_name, issuer_key, days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mtumail test")])
        is_ca = not names
        builder = (
            x509.CertificateBuilder()
            .subject_name(name if is_ca else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")]))
            .issuer_name(issuer_name or name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            shown = [
                x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
                for one in names
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
        return key, builder.sign(issuer_key or key, hashes.SHA256())

    ca_key, ca = certificate((), None, None)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    def context(*names, days=30, trusted=True):
        key, made = certificate(
            names, ca.subject, ca_key if trusted else ec.generate_private_key(ec.SECP256R1()), days
        )
        path = folder / f"{made.serial_number}.pem"
        path.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(path)
        return server

    return ca_file, context


def starttls(context: ssl.SSLContext, inner, offers=("STARTTLS", "AUTH PLAIN"), injected: bytes = b""):
    def script(talk: Talk) -> None:
        talk.answer(b"220 hi\r\n")
        talk.hear()
        talk.answer(
            b"250-relay\r\n" + "".join(f"250-{word}\r\n" for word in offers).encode() + b"250 HELP\r\n"
        )
        if talk.hear() != b"STARTTLS":
            talk.answer(b"503 no\r\n")
            return
        talk.answer(b"220 go\r\n" + injected)
        talk.sock = context.wrap_socket(talk.sock, server_side=True)
        inner.converse(talk)

    return script


def implicit(context: ssl.SSLContext, inner):
    def script(talk: Talk) -> None:
        talk.sock = context.wrap_socket(talk.sock, server_side=True)
        inner(talk)

    return script


def secure(peer: Peer, scheme: str, ca_file, login: str = "ann:p%40ss%3Aw%C3%B6rd@") -> RelaySettings:
    return RelaySettings.parse(f"{scheme}://{login}127.0.0.1:{peer.port}?timeout=5&ca={ca_file}")


SECRETS = (b"\0ann\0" + "p@ss:wörd".encode(), "p@ss:wörd".encode())


def password_seen(peer: Peer) -> bool:
    everything = b"\n".join(peer.lines) + b"".join(talk.buffer for talk in peer.talks)
    return any(base64.b64encode(secret) in everything or secret in everything for secret in SECRETS)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "=LOGIN PLAIN"])
@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_signed_in_over_tls(authority, scheme, mechanism):
    ca_file, context = authority
    answers = iter([b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 2.7.0 welcome\r\n"])

    class Server:
        """Takes what AUTH needs of lines, then goes on as the ordinary script."""

        def converse(self, talk: Talk) -> None:
            plain_hear = talk.hear

            def hear() -> bytes:
                line = plain_hear()
                while line.startswith(b"AUTH") or (
                    b"@" not in line
                    and re.fullmatch(rb"[A-Za-z0-9+/]{4,}=*", line)
                    and line not in (b"EHLO", b"DATA", b"QUIT", b"RSET", b"NOOP")
                ):
                    talk.sock.sendall(b"235 welcome\r\n" if b"PLAIN" in line else next(answers))
                    line = plain_hear()
                return line

            talk.hear = hear
            smtp(offers=("PIPELINING", f"AUTH{'' if mechanism[0] == '=' else ' '}{mechanism}")).converse(talk)

        def __call__(self, talk: Talk) -> None:
            talk.answer(b"220 hi\r\n")
            self.converse(talk)

    wrap = implicit if scheme == "smtps" else starttls
    spoken: list[tuple[str, str]] = []
    with (
        Peer(wrap(context("127.0.0.1"), Server())) as peer,
        Relay(secure(peer, scheme, ca_file), lambda who, line: spoken.append((who, line))) as relay,
    ):
        sent = relay.send(ANN, [BEN], RAW)
        assert sent.is_sent
        assert sent.tls in ("TLSv1.2", "TLSv1.3")
        assert relay.check().code == 250
    assert peer.mails == [RAW]
    assert password_seen(peer)
    told = "\n".join(line for _, line in spoken)
    assert "AUTH" in told
    assert "***" in told
    assert "p@ss" not in told
    assert base64.b64encode(SECRETS[0]).decode() not in told
    assert base64.b64encode(SECRETS[1]).decode() not in told
    assert "One line." not in told


BAD_CERTIFICATES = {
    "another name": {"names": ("other.example",)},
    "expired": {"names": ("127.0.0.1",), "days": -1},
    "nobody we trust": {"names": ("127.0.0.1",), "trusted": False},
}


@pytest.mark.parametrize("why", BAD_CERTIFICATES)
@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_P13_a_wrong_certificate_defers_and_gives_nothing_away(authority, scheme, why):
    ca_file, context = authority
    options = dict(BAD_CERTIFICATES[why])
    server = context(*options.pop("names"), **options)
    wrap = implicit if scheme == "smtps" else starttls
    with (
        Peer(wrap(server, smtp(offers=("AUTH PLAIN",)))) as peer,
        Relay(secure(peer, scheme, ca_file)) as relay,
    ):
        outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.of("deferred") == (BEN,)
    assert not outcome.reached
    assert "certificate" in outcome.recipients[0].reply
    assert not password_seen(peer)
    assert peer.mails == []


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (smtp(offers=("AUTH PLAIN LOGIN",)), "offers no STARTTLS"),
        (smtp(offers=("STARTTLS", "AUTH PLAIN"), starttls=b"454 4.7.0 not now\r\n"), "454 4.7.0 not now"),
        (smtp(offers=("STARTTLS", "AUTH PLAIN"), starttls=b"501 no\r\n"), "501 no"),
        (smtp(offers=("STARTTLS", "AUTH PLAIN"), starttls=Half(b"220 go\r\n")), "no secure connection"),
        (smtp(offers=("STARTTLS", "AUTH PLAIN"), starttls=b"220 go\r\n250 AUTH\r\n"), "in clear"),
    ],
)
def test_P13_without_tls_no_password_and_no_message(authority, script, says):
    with Peer(script) as peer, Relay(secure(peer, "smtp+starttls", authority[0])) as relay:
        outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.of("deferred") == (BEN,)
    assert says in outcome.recipients[0].reply
    assert not any(line.split(b" ")[0] in (b"AUTH", b"MAIL") for line in peer.lines)
    assert not password_seen(peer)


def test_a_tls_alert_from_a_plain_server_is_deferred(authority):
    with Peer(smtp()) as peer, Relay(secure(peer, "smtps", authority[0])) as relay:
        assert relay.send(ANN, [BEN], RAW).of("deferred") == (BEN,)
    assert not password_seen(peer)


@pytest.mark.parametrize(
    ("offer", "reply", "says"),
    [
        ("AUTH PLAIN", b"535 5.7.8 wrong\r\n", "535 5.7.8 wrong"),
        ("AUTH PLAIN", b"454 4.7.0 later\r\n", "454"),
        ("AUTH CRAM-MD5 XOAUTH2", b"500 no\r\n", "neither AUTH PLAIN nor AUTH LOGIN"),
        ("SIZE 1", b"500 no\r\n", "neither AUTH PLAIN nor AUTH LOGIN"),
    ],
)
def test_a_refused_sign_in_defers_and_bounces_nothing(authority, offer, reply, says):
    ca_file, context = authority
    inner = smtp(offers=(offer,), auth=reply)
    with (
        Peer(implicit(context("127.0.0.1"), inner)) as peer,
        Relay(secure(peer, "smtps", ca_file)) as relay,
    ):
        outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.of("deferred") == (BEN,)
    assert not outcome.reached
    assert says in outcome.recipients[0].reply
    assert peer.mails == []


def test_a_relay_that_repeats_our_secret_is_not_quoted(authority):
    ca_file, context = authority
    token = base64.b64encode(SECRETS[0])
    said = (
        b"535 5.7.8 not "
        + token
        + b" nor "
        + base64.b64encode(SECRETS[1])
        + b" nor "
        + SECRETS[1]
        + b" today\r\n"
    )
    spoken: list[str] = []
    with (
        Peer(implicit(context("127.0.0.1"), smtp(offers=("AUTH PLAIN",), auth=said))) as peer,
        Relay(secure(peer, "smtps", ca_file), lambda _, line: spoken.append(line)) as relay,
    ):
        outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.recipients[0].reply.endswith("not ******** nor ******** nor ******** today")
    assert "AUTH PLAIN ********" in spoken
    for told in (outcome.recipients[0].reply, *spoken):
        assert token.decode() not in told
        assert SECRETS[1].decode() not in told


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        (smtp(offers=("AUTH PLAIN",), auth=b"535 5.7.8 wrong\r\n"), "sign-in"),
        (smtp(offers=("AUTH PLAIN",), auth=b"454 4.7.0 later\r\n"), "session"),
        (smtp(offers=("AUTH GSSAPI",)), "sign-in"),
        (smtp(offers=("AUTH PLAIN",), greeting=b"421 busy\r\n"), "session"),
    ],
)
def test_what_the_trouble_was_is_told_apart(authority, script, trouble):
    ca_file, context = authority
    with (
        Peer(implicit(context("127.0.0.1"), script)) as peer,
        Relay(secure(peer, "smtps", ca_file)) as relay,
    ):
        outcome = relay.send(ANN, [BEN], RAW)
    assert (outcome.trouble, outcome.reached, outcome.handed) == (trouble, False, False)


def test_a_wrong_certificate_is_a_trouble_of_its_own(authority):
    ca_file, context = authority
    with (
        Peer(implicit(context("other.example"), smtp())) as peer,
        Relay(secure(peer, "smtps", ca_file)) as relay,
    ):
        assert relay.send(ANN, [BEN], RAW).trouble == "tls"


# --- settings ----------------------------------------------------------------------------------------------------------


def test_urls_that_are_understood():
    parsed = RelaySettings.parse("smtp+starttls://us%65r:p%3Aw@relay.example.com")
    assert (parsed.host, parsed.port, parsed.security) == ("relay.example.com", 587, "starttls")
    assert (parsed.username, parsed.password) == ("user", "p:w")
    assert parsed.label == "smtp+starttls://relay.example.com:587"
    assert "p:w" not in repr(parsed)
    assert RelaySettings.parse("smtps://relay.example.com").port == 465
    assert RelaySettings.parse("smtp://127.0.0.1:2526").must_be_loopback
    assert RelaySettings.parse("smtp://localhost:2526").must_be_loopback
    assert RelaySettings.parse("smtp://[::1]:2526").label == "smtp://[::1]:2526"
    far = RelaySettings.parse("smtp://relay.example.com?tls=none&max=7&helo=mail.example.org&timeout=9")
    assert (far.port, far.max_messages, far.helo, far.command_timeout) == (25, 7, "mail.example.org", 9.0)
    assert not far.must_be_loopback


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example.com",
        "http://relay.example.com",
        "smtp://relay.example.com:25",
        "smtp://10.0.0.1:25",
        "smtp://user:sesame@127.0.0.1:25",
        "smtp://user:sesame@relay.example.com:25?tls=none",
        "smtps://user:sesame@relay.example.com?tls=none",
        "smtps://user:sesame@relay.example.com?tls=maybe",
        "smtps://user:sesame@relay.example.com:sesame",
        "smtps://user:sesame@relay.example.com:0",
        "smtps://user:sesame@relay.example.com/sesame",
        "smtps://user:sesame@relay.example.com?frog=1",
        "smtps://user:sesame@relay.example.com?max=1&max=2",
        "smtps://user:sesame@relay.example.com?max=0",
        "smtps://user:sesame@relay.example.com?timeout=x",
        "smtps://user:sesame@relay.example.com?helo=a%0d%0ab",
        "smtps://user:ses%00ame@relay.example.com",
        "smtps://user:sesame@re%0d%0alay",
        "smtps://user:sesame@",
        "smtps://[::1",
    ],
)
def test_urls_that_are_refused_and_not_repeated(url):
    with pytest.raises(ValueError) as caught:
        RelaySettings.parse(url)
    assert "sesame" not in str(caught.value)


def test_a_name_that_claims_to_be_this_host_is_checked(monkeypatch):
    with Peer(smtp()) as peer:
        settings = peer.settings
        monkeypatch.setattr(
            "webmail.sending.relay.connection.ipaddress.ip_address",
            lambda _, elsewhere=ipaddress.IPv4Address("192.0.2.1"): elsewhere,
        )
        with Relay(settings) as relay:
            outcome = relay.send(ANN, [BEN], RAW)
    assert outcome.of("deferred") == (BEN,)
    assert "not on this host" in outcome.recipients[0].reply
