"""Ordinary mail, and the commands around it."""

import smtplib
import time

import pytest

BODY = b"From: bob@peer.test\r\nSubject: hello\r\n\r\nfirst\r\n"


def test_a_message_is_stored_before_250_and_byte_for_byte(server, client):
    content = BODY + b"\x00 nul, \xff high, \xe2\x82\xac euro\r\n" + b"x" * 100_000 + b"\r\n"
    assert client.mail(content).startswith("250 2.0.0 Accepted as ")
    (delivery,) = server.deliveries
    assert delivery.raw.endswith(b"\r\n" + content)
    assert delivery.size == len(delivery.raw)
    assert delivery.envelope_from == "bob@peer.test"
    assert [one.mailbox_id for one in delivery.recipients] == [1]
    assert (delivery.helo, delivery.peer_ip, delivery.tls, delivery.smtputf8) == (
        "peer.test",
        "127.0.0.1",
        False,
        False,
    )


def test_our_fields_come_first_and_name_no_recipient(server, client):
    answer = client.mail(BODY)
    (delivery,) = server.deliveries
    ours = delivery.raw[: -len(BODY)].decode()
    assert ours.startswith("Return-Path: <bob@peer.test>\r\nReceived: from peer.test ([127.0.0.1])\r\n")
    assert f"with ESMTP id {delivery.id}" in ours
    assert answer.endswith(delivery.id)
    assert "ann@" not in ours
    assert "by mx.mtumail.test" in ours


def test_forged_trust_fields_stay_in_the_bytes_behind_ours(server, client):
    forged = b"Return-Path: <ceo@bank.test>\r\nAuthentication-Results: mx.mtumail.test; dmarc=pass\r\n" + BODY
    client.mail(forged)
    raw = server.deliveries[0].raw
    assert raw.endswith(forged)
    assert raw.index(b"Return-Path: <bob@peer.test>") == 0


def test_dots_are_unstuffed(server, client):
    assert client.mail(b"..one\r\n...two\r\nthree.\r\n..\r\n").startswith("250")
    assert server.deliveries[0].raw.endswith(b"\r\n.one\r\n..two\r\nthree.\r\n.\r\n")


def test_a_message_split_at_every_byte_is_the_same_message(server, client):
    content = b"Subject: x\r\n\r\n..a\r\nb\r\n"
    client.start()
    for byte in content + b".\r\n":
        client.send(bytes([byte]))
    assert client.read().startswith("250")
    assert server.deliveries[0].raw.endswith(b"\r\nSubject: x\r\n\r\n.a\r\nb\r\n")


def test_an_empty_message_is_accepted(server, client):
    assert client.mail(b"").startswith("250")
    assert server.deliveries[0].raw.endswith(b"+0000\r\n")


def test_two_recipients_of_one_mailbox_are_stored_once(server, client):
    assert client.mail(BODY, "ann@mtumail.test", "ANN+news@MTUMAIL.test", "ben@mtumail.test").startswith(
        "250"
    )
    (delivery,) = server.deliveries
    assert [one.mailbox_id for one in delivery.recipients] == [1, 2]


def test_the_null_sender_is_accepted(server, client):
    assert client.mail(BODY, sender="").startswith("250")
    assert server.deliveries[0].envelope_from == ""
    assert server.deliveries[0].raw.startswith(b"Return-Path: <>\r\n")


def test_postmaster_needs_no_domain(server, client):
    assert client.mail(BODY, "Postmaster").startswith("250")
    assert server.deliveries[0].recipients[0].mailbox_id == 3


@pytest.mark.parametrize("sender", ["first..last@peer.test", "dot.@peer.test", "under_score@peer_net.test"])
def test_senders_that_break_the_dot_rules_are_kept_as_they_came(server, client, sender):
    assert client.mail(BODY, sender=sender).startswith("250")
    assert server.deliveries[0].envelope_from == sender


def test_a_source_route_of_the_sender_is_dropped(server, client):
    assert client.mail(BODY, sender="@a.test,@b.test:bob@peer.test").startswith("250")
    assert server.deliveries[0].envelope_from == "bob@peer.test"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("MAIL FROM:<bob@peer.test> SIZE=1000 BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
        ("mail from: <bob@peer.test> body=7bit", "250 2.1.0"),
        ('MAIL FROM:<"b> SIZE=1"@peer.test> SIZE=9', "250 2.1.0"),
        (r'MAIL FROM:<"b\">x"@peer.test>', "250 2.1.0"),
        ("MAIL FROM:<bob@peer.test> SIZE=26214400", "250 2.1.0"),
        ("MAIL FROM:<bob@peer.test> SIZE=26214401", "552 5.3.4"),
        ("MAIL FROM:<bob@peer.test> SIZE=99999999999999999999", "552 5.3.4"),
        ("MAIL FROM:<bob@peer.test> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test> SIZE", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test> SIZE=1 SIZE=2", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test> SMTPUTF8=yes", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test> RET=HDRS", "555 5.5.4"),
        ("MAIL FROM:<bob@peer.test> AUTH=<>", "555 5.5.4"),
        ("MAIL FROM:<bob@peer.test>SIZE=1", "501 5.5.4"),
        ("MAIL FROM:bob@peer.test", "501 5.5.4"),
        ("MAIL FROM:<bob@peer.test", "501 5.5.4"),
        ("MAIL bob@peer.test", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM:<bob>", "501 5.1.7"),
        ("MAIL FROM:<b b@peer.test>", "501 5.1.7"),
        ("MAIL FROM:<a@b@peer.test>", "501 5.1.7"),
        ("MAIL FROM:<bøb@peer.test>", "553 5.6.7"),
        ("MAIL FROM:<bøb@peer.test> SMTPUTF8", "250 2.1.0"),
        (b"MAIL FROM:<b\xff@peer.test> SMTPUTF8", "501 5.5.2"),
        (b"MAIL FROM:<a\x00@b.test>", "501 5.5.2"),
        (b"MAIL FROM:<a\r@b.test>", "501 5.5.2"),
    ],
)
def test_mail(client, command, code):
    client.say("EHLO peer.test")
    assert client.say(command).startswith(code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ann@mtumail.test", "250 2.1.5"),
        ('"ann"@mtumail.test', "250 2.1.5"),
        ("ANN@MTUMAIL.TEST.", "250 2.1.5"),
        ("nobody@mtumail.test", "550 5.1.1"),
        ("gone@mtumail.test", "550 5.1.1"),
        ("frozen@mtumail.test", "550 5.1.1"),
        ("stuffed@mtumail.test", "452 4.2.2"),
        ("flooded@mtumail.test", "450 4.2.1"),
        ("x@foreign.test", "550 5.7.1"),
        ("x%foreign.test@mtumail.test", "550 5.1.1"),
        ("foreign.test!x@mtumail.test", "550 5.1.1"),
        ('"x@foreign.test"@mtumail.test', "550 5.1.1"),
        ("@mtumail.test:x@foreign.test", "550 5.7.1"),
        ("ann@mtumail.test,x@foreign.test", "501 5.1.3"),
        ("ann", "501 5.1.3"),
        ("", "501 5.1.3"),
        ("änn@mtumail.test", "553 5.6.7"),
    ],
)
def test_rcpt(client, path, code):
    client.say("EHLO peer.test", "MAIL FROM:<bob@peer.test>")
    assert client.say(f"RCPT TO:<{path}>").startswith(code)


def test_never_existed_suspended_and_revoked_are_worded_alike(client):
    client.say("EHLO peer.test", "MAIL FROM:<bob@peer.test>")
    answers = {client.say(f"RCPT TO:<{name}@mtumail.test>") for name in ("nobody", "gone", "frozen")}
    assert len(answers) == 1


def test_rcpt_parameters_are_refused(client):
    client.say("EHLO peer.test", "MAIL FROM:<bob@peer.test>")
    assert client.say("RCPT TO:<ann@mtumail.test> NOTIFY=NEVER").startswith("555")


def test_what_ehlo_offers(client):
    lines = client.say("EHLO peer.test").splitlines()
    assert lines[0] == "250-mx.mtumail.test"
    words = {line[4:] for line in lines[1:]}
    assert words == {"PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "RRVS"}


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (("MAIL FROM:<>",), "503"),
        (("EHLO x", "RCPT TO:<ann@mtumail.test>"), "503"),
        (("EHLO x", "DATA"), "503"),
        (("EHLO x", "MAIL FROM:<>", "DATA"), "503"),
        (("EHLO x", "MAIL FROM:<>", "MAIL FROM:<>"), "503"),
        (("EHLO x", "MAIL FROM:<>", "RSET", "RCPT TO:<ann@mtumail.test>"), "503"),
        (("EHLO x", "MAIL FROM:<>", "EHLO x", "RCPT TO:<ann@mtumail.test>"), "503"),
        (("EHLO x", "MAIL FROM:<>", "RCPT TO:<ann@mtumail.test>", "DATA x"), "501"),
        (("HELO x", "MAIL FROM:<> SIZE=1"), "555"),
        (("EHLO",), "501"),
        (("HELO " + "x" * 256,), "501"),
        (("EHLO my computer",), "250"),
        (("VRFY ann",), "252"),
        (("EXPN all",), "502"),
        (("HELP",), "214"),
        (("NOOP whatever",), "250"),
        (("RSET",), "250"),
        (("AUTH PLAIN AGEAYg==",), "503"),
        (("BDAT 100 LAST",), "502"),
        (("XCLIENT ADDR=127.0.0.1",), "502"),
        (("PROXY TCP4 1.2.3.4 5.6.7.8 1 2",), "500"),
        (("STARTTLS",), "454"),
        (("WIBBLE",), "500"),
        (("",), "500"),
        (("GET / HTTP/1.1",), "421"),
        (("QUIT",), "221"),
        (("QUIT now",), "501"),
    ],
)
def test_answers(client, commands, code):
    assert client.say(*commands).startswith(code)


def test_a_line_that_ends_in_a_bare_lf_is_told_so(client):
    client.send(b"EHLO peer.test\n")
    assert client.read().startswith("500 5.5.2")


def test_a_second_transaction_starts_clean(server, client):
    client.mail(BODY)
    assert client.say("RCPT TO:<ben@mtumail.test>").startswith("503")
    assert client.mail(BODY + b"second\r\n", "ben@mtumail.test", sender="eve@peer.test").startswith("250")
    first, second = server.deliveries
    assert first.id != second.id
    assert second.envelope_from == "eve@peer.test"
    assert [one.mailbox_id for one in second.recipients] == [2]


def test_everything_pipelined_in_one_packet(server, client):
    client.send(
        b"EHLO p\r\nMAIL FROM:<b@p.test>\r\nRCPT TO:<x@mtumail.test>\r\nRCPT TO:<ann@mtumail.test>\r\nDATA\r\n"
        b"Subject: one\r\n\r\n1\r\n.\r\nMAIL FROM:<c@p.test>\r\nRCPT TO:<ben@mtumail.test>\r\nDATA\r\n2\r\n.\r\nQUIT\r\n"
    )
    client.socket.shutdown(1)  # a peer that has said all and only listens is still served
    codes = [client.read()[:3] for _ in range(11)]
    assert codes == ["250", "250", "550", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [one.envelope_from for one in server.deliveries] == ["b@p.test", "c@p.test"]


def test_talking_before_the_greeting_is_tolerated(server):
    client = server.client(greet=False)
    client.send(b"EHLO peer.test\r\n")
    assert client.read().startswith("220 ")
    assert client.read().startswith("250-")


def test_hanging_up_before_the_final_dot_stores_nothing(server, client, wait_until):
    client.start()
    client.send(BODY)
    client.close()
    wait_until(lambda: server.server.sessions == 0)
    assert server.deliveries == []
    assert server.server.bytes_in_flight == 0


def test_smtplib_and_smtputf8(server):
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="peer.test", timeout=10) as peer:
        peer.sendmail(
            "jörg@peer.test", ["ann@mtumail.test"], BODY, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    (delivery,) = server.deliveries
    assert delivery.smtputf8
    assert delivery.envelope_from == "jörg@peer.test"
    assert b"with UTF8SMTP id" in delivery.raw


def test_helo_is_smtp_and_never_breaks_the_received_field(server, client):
    client.say("HELO p(e)e;r<x>", "MAIL FROM:<b@peer.test>", "RCPT TO:<ann@mtumail.test>", "DATA")
    client.send(b".\r\n")
    client.read()
    raw = server.deliveries[0].raw
    assert b"Received: from p?e?e?r?x? ([127.0.0.1])" in raw
    assert b"with SMTP id" in raw


def test_a_nudge_follows_the_commit_without_the_bytes(server, client, memory, wait_until):
    client.mail(BODY)
    wait_until(lambda: memory.nudged)
    assert memory.nudged[0].raw == b""
    assert memory.nudged[0].id == server.deliveries[0].id


def test_a_hanging_or_failing_nudge_delays_nothing(serve, memory):
    def nudge(_):
        time.sleep(0.5)
        raise RuntimeError

    memory.nudge = nudge
    client = serve().client()
    began = time.monotonic()
    for _ in range(3):
        assert client.mail(BODY).startswith("250")
    assert time.monotonic() - began < 1.5, "three nudges take that long"
