"""Disorder: whatever comes, each session gets well-formed replies to the end, and mail still flows afterwards."""

import logging
import random
import re
import shutil
import socket
import subprocess
import time

import pytest

BODY = b"Subject: x\r\n\r\nbody\r\n"
PIECES = (
    b"EHLO p", b"HELO p", b"MAIL FROM:<b@p.test>", b"MAIL FROM:<>", b" SIZE=1", b" SMTPUTF8", b"RCPT TO:<ann@mtumail.test>",
    b"RCPT TO:<@a:b@c>", b"DATA", b"RSET", b"NOOP", b"VRFY x", b"HELP", b"STARTTLS", b"AUTH PLAIN", b"BDAT 5 LAST",
    b"\r\n", b"\r\n", b"\r\n", b"\r\n.\r\n", b"\n", b"\r", b".", b"\x00", b"\xff\xfe", b"<", b">", b'"', b"\\", b" ", b"x" * 600,
)  # fmt: skip
REPLY = re.compile(rb"[2-5]\d\d[ -][ -~]*\r\n")


def test_soup(serve, caplog):
    caplog.set_level(logging.INFO)
    server = serve()
    for seed in range(150):
        chance = random.Random(seed)
        data = b"".join(chance.choice(PIECES) for _ in range(chance.randrange(5, 60)))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := peer.recv(65_536):
                answer += chunk
        assert all(REPLY.fullmatch(line) for line in answer.splitlines(keepends=True)), seed
    assert "session failed" not in caplog.text
    assert server.server.bytes_in_flight == 0
    assert server.client().mail(BODY).startswith("250")


@pytest.mark.skipif(not shutil.which("smtp-source"), reason="smtp-source is not installed")
@pytest.mark.slow
def test_a_thousand_messages_from_twenty_peers(server):
    began = time.monotonic()
    command = [
        "smtp-source",
        "-m",
        "1000",
        "-s",
        "20",
        "-l",
        "5000",
        "-f",
        "b@p.test",
        "-t",
        "ann@mtumail.test",
    ]
    subprocess.run([*command, f"127.0.0.1:{server.port}"], check=True, timeout=60)
    assert time.monotonic() - began < 20
    assert len(server.deliveries) == len({one.id for one in server.deliveries}) == 1000
    assert server.server.bytes_in_flight == 0


@pytest.mark.skipif(not shutil.which("swaks"), reason="swaks is not installed")
@pytest.mark.slow
def test_swaks_over_tls(serve, certificate):
    server = serve(certificate)
    command = [
        "swaks",
        "--tls",
        "--server",
        f"127.0.0.1:{server.port}",
        "--from",
        "b@p.test",
        "--to",
        "ann@mtumail.test",
    ]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert server.deliveries[0].tls
