"""The wire-level cases of the test material: every row of smtp-streams, by name."""

import json
import os
from pathlib import Path

import pytest

FOLDER = (
    Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[2] / ".." / "shared" / "corpora"))
    / "smtp-streams"
)
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the corpora are not here (MTUMAIL_CORPORA)"),
]


def rows():
    if not FOLDER.is_dir():
        return {}
    return {row["id"]: row for row in map(json.loads, (FOLDER / "rows.jsonl").read_text().splitlines())}


ROWS = rows()
ENDINGS = [name for name, row in ROWS.items() if row["group"] == "end-of-data"]
BODY = b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("lead", [b"Subject: x\r\n\r\nbody", b""])
def test_end_of_data(server, client, name, lead):
    payload = bytes.fromhex(ROWS[name]["payload_utf8_escaped"])
    smuggled = (
        b"MAIL FROM:<admin@example.org>\r\nRCPT TO:<ben@mtumail.test>\r\nDATA\r\nSubject: two\r\n\r\n2\r\n"
    )
    sent = lead + payload + smuggled
    answer = client.mail(sent)
    assert client.say("NOOP").startswith("250"), "the session is out of step"
    if answer.startswith("250"):
        (delivery,) = server.deliveries
        stored = sent.replace(b"\r\n..\r\n", b"\r\n.\r\n")
        if not lead and sent.startswith(b".."):
            stored = sent[1:]
        assert delivery.raw.endswith(b"\r\n" + stored)
        assert delivery.envelope_from == "bob@peer.test"
        assert [one.mailbox_id for one in delivery.recipients] == [1]
    else:
        assert answer.startswith("550 5.6.11")
        assert server.deliveries == []


def _answer(client, *commands):
    return client.say("EHLO peer.test", *commands)


def _long_command(server, client):
    client.send(b"EHLO " + b"x" * 100_000)
    assert client.read()[:3] in ("500", "421")


def _rcpt_flood(server, client):
    assert _answer(client, "MAIL FROM:<b@p.test>").startswith("250")
    client.send(b"RCPT TO:<ann@mtumail.test>\r\n" * 1001)
    codes = [client.read()[:3] for _ in range(1001)]
    assert codes == ["250"] * 100 + ["452"] * 901
    assert client.say("DATA").startswith("354")
    client.send(b".\r\n")
    assert client.read().startswith("250")


def _bare_cr_header(server, client):
    assert client.mail(b"Subject: a\rBcc: x\r\n\r\nbody\r\n").startswith("550 5.6.11")
    assert server.deliveries == []


def _null_sender(server, client):
    assert client.mail(BODY, sender="").startswith("250")
    assert server.deliveries[0].envelope_from == ""


def _rcpt(path, code):
    def check(server, client):
        assert _answer(client, "MAIL FROM:<b@p.test>", f"RCPT TO:<{path}>").startswith(code)
        assert client.say("DATA").startswith("503")

    return check


def _says(code, *commands):
    def check(server, client):
        assert _answer(client, *commands)[:3] in code

    return check


def _rset_in_data(server, client):
    assert client.mail(b"RSET\r\nQUIT\r\n").startswith("250")
    assert server.deliveries[0].raw.endswith(b"\r\nRSET\r\nQUIT\r\n")


def _auth(server, client):
    assert "AUTH" not in _answer(client)
    assert client.say("AUTH PLAIN AGEAYg==").startswith("503")


def _proxy(server, client):
    assert client.say("PROXY TCP4 1.2.3.4 5.6.7.8 1111 25").startswith("500")
    assert client.mail(BODY).startswith("250")
    assert server.deliveries[0].peer_ip == "127.0.0.1"


def _loop(server, client):
    assert client.mail(b"Received: from a by b\r\n" * 101 + BODY).startswith("554 5.4.6")
    assert server.deliveries == []


def _no_headers(server, client):
    assert client.mail(b"only a body\r\n").startswith("250")
    raw = server.deliveries[0].raw
    assert raw.endswith(b"\r\nonly a body\r\n")
    assert b"Message-ID" not in raw


def _empty(server, client):
    assert client.mail(b"").startswith("250")


def _disconnect(server, client):
    client.start()
    client.send(BODY)
    client.close()
    server.stop()
    assert server.deliveries == []


def _reuse(server, client):
    assert client.mail(BODY).startswith("250")
    assert client.say("RCPT TO:<ann@mtumail.test>").startswith("503")
    assert client.mail(BODY, sender="c@p.test").startswith("250")
    assert [one.envelope_from for one in server.deliveries] == ["bob@peer.test", "c@p.test"]


def _trouble(server, client):
    def receive(delivery):
        raise OSError(28, "No space left on device")

    receive_well, server.memory.receive = server.memory.receive, receive
    assert client.mail(BODY) == "451 4.3.0 Temporary trouble; try again later"
    server.memory.receive = receive_well
    assert client.mail(BODY).startswith("250")
    assert len(server.deliveries) == 1


CHECKS = {
    "stream/long-command": _long_command,
    "stream/data-limit": _says(("552",), "MAIL FROM:<b@p.test> SIZE=200000000"),
    "stream/rcpt-flood": _rcpt_flood,
    "stream/nul-in-envelope": _says(("501",), "MAIL FROM:<a\0@b>"),
    "stream/bare-cr-header": _bare_cr_header,
    "stream/null-sender": _null_sender,
    "stream/relay": _rcpt("x@foreign.example", "550 5.7.1"),
    "stream/relay-percent": _rcpt("x%foreign.example@mtumail.test", "550"),
    "stream/relay-source-route": _rcpt("@mtumail.test:x@foreign.example", "550"),
    "stream/relay-quoted": _rcpt('"x@foreign.example"@mtumail.test', "550"),
    "stream/relay-bang": _rcpt("foreign.example!x@mtumail.test", "550"),
    "stream/bdat": _says(("502",), "BDAT 100 LAST"),
    "stream/rset-in-data": _rset_in_data,
    "stream/auth-plain-clear": _auth,
    "stream/http-smuggle": _says(("421",), "GET / HTTP/1.1"),
    "stream/proxy-proto": _proxy,
    "stream/xclient": _says(("502",), "XCLIENT ADDR=127.0.0.1"),
    "stream/loop": _loop,
    "stream/no-headers": _no_headers,
    "stream/empty-data": _empty,
    "stream/disconnect-in-data": _disconnect,
    "stream/db-down": _trouble,
    "stream/disk-full": _trouble,
    "stream/reuse-session": _reuse,
}
# These need TLS, or a process to kill: they are held in test_tls and test_process.
ELSEWHERE = {
    "stream/ehlo-after-tls",
    "stream/tls-old",
    "stream/kill-between-commit-and-250",
    "stream/kill-before-commit",
}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_session(server, client, name):
    assert name in ROWS
    CHECKS[name](server, client)


def test_every_row_is_held():
    assert {name for name in ROWS if name not in ENDINGS} == set(CHECKS) | ELSEWHERE
