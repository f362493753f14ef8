"""The relay sink: it keeps what is sent, hands hosted mail back without losing any, and fails where it is told to."""

import email
import email.policy
import json
import re
import select
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from webmail.embedded.relay import Trial, trial
from webmail.embedded.relay_bounce import bounce, status_of
from webmail.embedded.relay_forward import Entry, transmit
from webmail.embedded.relay_store import Envelope, Store

MESSAGE = (
    b"From: ann@mtumail.test\r\nSubject: Hello\r\n\r\nFirst line\r\n.leading dot\r\n..two dots\r\nend\r\n"
)


class Inbound:
    """A small SMTP server that answers as told, and remembers what it was given."""

    def __init__(self):
        self.taken = []
        self.answers = {}
        self.data_answer = "250 2.0.0 taken"
        self.drop_after_data = 0
        self.port = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, args=(self.listener,), daemon=True)
        self.thread.start()

    def close(self):
        # A listener closed while another thread is in accept() goes on accepting: wake it first.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.listener.close()

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self._session(stream)

    def _session(self, stream):
        def say(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 inbound.test ESMTP")
        sender, recipients, options = "", [], ""
        for line in stream:
            command = line.decode().strip()
            verb = command[:4].upper()
            if verb == "EHLO":
                say("250-inbound.test\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender, options = re.match(r"MAIL FROM:<(.*?)>(.*)", command).groups()
                say("250 ok")
            elif verb == "RCPT":
                address = re.match(r"RCPT TO:<(.*?)>", command)[1]
                answer = self.answers.get(address, "250 ok")
                if answer.startswith("2"):
                    recipients.append(address)
                say(answer)
            elif verb == "DATA":
                say("354 go on")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += stream.readline()
                if self.drop_after_data:
                    self.drop_after_data -= 1
                    return
                if self.data_answer.startswith("2"):
                    content = re.sub(rb"(\A|\r\n)\.", rb"\1", body[:-3])
                    self.taken.append((sender, tuple(recipients), content, options.strip()))
                say(self.data_answer)
                recipients = []
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture
def inbound():
    server = Inbound()
    yield server
    server.close()


class Running:
    def __init__(self, folder, port, process):
        self.relay, self.port, self.process = folder / "relay", port, process

    def send(self, sender, recipients, content=MESSAGE, mail_options=()):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
            return client.sendmail(sender, recipients, content, mail_options)

    def kept(self):
        return sorted(path.name for path in self.relay.glob("[0-9]*"))

    def spooled(self):
        return list((self.relay / "spool").glob("*.json"))


@contextmanager
def sink(folder: Path, inbound_port=None, *arguments):
    listen = ["--listen", "127.0.0.1:0", "--data-dir", str(folder)]
    if inbound_port is not None:
        listen += [
            "--hosted",
            "mtumail.test",
            "--hosted",
            "Two.Test",
            "--inbound",
            f"127.0.0.1:{inbound_port}",
        ]
    process = subprocess.Popen(
        [sys.executable, "-m", "webmail.embedded.relay", *listen, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert select.select([process.stdout], [], [], 20)[0]
        port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
        yield Running(folder, port, process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with sink(tmp_path_factory.mktemp("plain")) as running:
        yield running


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_keeps_the_exact_bytes_and_the_envelope(plain):
    before = len(plain.kept())
    plain.send("ann@mtumail.test", ["zoe@far.example", "yan@far.example"], MESSAGE, ["BODY=8BITMIME"])
    eml, envelope = plain.kept()[before:]
    assert (plain.relay / eml).read_bytes() == MESSAGE
    record = json.loads((plain.relay / envelope).read_bytes())
    assert record["mail_from"] == "ann@mtumail.test"
    assert record["rcpt_to"] == ["zoe@far.example", "yan@far.example"]
    assert record["size"] == len(MESSAGE)
    assert (record["auth"], record["body"], record["smtputf8"]) == (None, "8BITMIME", False)
    assert record["time"].endswith("+00:00")
    assert (plain.relay / eml).stat().st_mode & 0o777 == 0o600


def test_null_sender_bare_lf_nul_and_very_long_lines_are_kept_as_they_are(plain):
    content = b"Subject: x\r\n\r\nbare\n.dot after bare LF\x00\r\n" + b"a" * 200_000 + b"\r\n"
    with smtplib.SMTP("127.0.0.1", plain.port, timeout=10) as client:
        client.ehlo()
        assert client.docmd("MAIL", "FROM:<>")[0] == 250
        assert client.docmd("RCPT", "TO:<zoe@far.example>")[0] == 250
        assert client.docmd("DATA")[0] == 354
        client.send(content + b".\r\n")
        code, text = client.getreply()
    assert code == 250
    number = text.decode().rpartition(" ")[2]
    assert (plain.relay / f"{number}.eml").read_bytes() == content
    assert json.loads((plain.relay / f"{number}.json").read_bytes())["mail_from"] == ""


def test_smtputf8_and_pipelining_are_offered_and_work(plain):
    with smtplib.SMTP("127.0.0.1", plain.port, timeout=10) as client:
        client.ehlo()
        assert {"pipelining", "8bitmime", "smtputf8", "size", "auth"} <= set(client.esmtp_features)
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw, raw.makefile("rb") as stream:
        stream.readline()
        raw.sendall(
            "EHLO x\r\nMAIL FROM:<åsa@mtumail.test> SMTPUTF8\r\nRCPT TO:<жук@far.example>\r\nDATA\r\n".encode()
        )
        raw.sendall("Subject: ж\r\n\r\nж\r\n.\r\nQUIT\r\n".encode())
        replies = stream.read().decode()
    assert "354" in replies
    number = re.search(r"Kept as (\d+)", replies)[1]
    record = json.loads((plain.relay / f"{number}.json").read_bytes())
    assert (record["mail_from"], record["rcpt_to"], record["smtputf8"]) == (
        "åsa@mtumail.test",
        ["жук@far.example"],
        True,
    )


def test_numbers_go_on_after_a_restart(tmp_path):
    store = Store(tmp_path / "relay")
    assert [store.keep(Envelope("", ("a@b",)), b"x") for _ in range(3)] == ["000001", "000002", "000003"]
    (tmp_path / "relay" / "000002.json").unlink()
    assert Store(tmp_path / "relay").keep(Envelope("", ("a@b",)), b"x") == "000004"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("bounce-550@any.example", Trial("bounce", 550)),
        ("Bounce-550+tag@any.example", Trial("bounce", 550)),
        ("defer-451@any.example", Trial("defer", 451)),
        ("defer-once@any.example", Trial("once", 451)),
        ("data-554@any.example", Trial("data", 554)),
        ("late-550@any.example", Trial("late", 550)),
        ("slow@any.example", Trial("slow", 10)),
        ("slow-2@any.example", Trial("slow", 2)),
        ("slow-999@any.example", Trial("slow", 300)),
        ("drop@any.example", Trial("drop", 451)),
        ("bounce-250@any.example", None),
        ("defer-550@any.example", None),
        ("slowly@any.example", None),
        ("ann@bounce-550.example", None),
    ],
)
def test_trial_addresses(address, expected):
    assert trial(address) == expected


def test_ordered_failures_are_answered(plain):
    before = plain.kept()
    for address, code in [("bounce-552@x.example", 552), ("defer-450@x.example", 450)]:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            plain.send("ann@mtumail.test", [address])
        assert refused.value.recipients[address][0] == code
    with pytest.raises(smtplib.SMTPDataError) as failed:
        plain.send("ann@mtumail.test", ["data-554@x.example"])
    assert failed.value.smtp_code == 554
    with pytest.raises(smtplib.SMTPServerDisconnected):
        plain.send("ann@mtumail.test", ["drop@x.example"])
    assert plain.kept() == before
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        plain.send("ann@mtumail.test", ["defer-once@x.example"])
    assert plain.send("ann@mtumail.test", ["defer-once@x.example"]) == {}
    started = time.monotonic()
    plain.send("ann@mtumail.test", ["slow-1@x.example"])
    assert time.monotonic() - started >= 1


def test_one_refused_recipient_does_not_stop_the_other(plain):
    refused = plain.send("ann@mtumail.test", ["bounce-550@x.example", "zoe@x.example"])
    assert list(refused) == ["bounce-550@x.example"]
    assert json.loads((plain.relay / plain.kept()[-1]).read_bytes())["rcpt_to"] == ["zoe@x.example"]


def test_auth_is_demanded_where_it_is_set(tmp_path):
    with sink(tmp_path, None, "--auth", "relay-user:s3cret:x") as running:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            running.send("ann@mtumail.test", ["zoe@x.example"])
        assert refused.value.smtp_code == 530
        with smtplib.SMTP("127.0.0.1", running.port, timeout=10) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("relay-user", "wrong")
            client.login("relay-user", "s3cret:x")
            client.sendmail("ann@mtumail.test", ["zoe@x.example"], MESSAGE)
        assert json.loads((running.relay / "000001.json").read_bytes())["auth"] == "relay-user"


def test_hosted_mail_goes_back_to_inbound_whole(tmp_path, inbound):
    with sink(tmp_path, inbound.port) as running:
        running.send(
            "zoe@far.example",
            ["ann@mtumail.test", "yan@far.example", "bob@TWO.test"],
            MESSAGE,
            ["BODY=8BITMIME"],
        )
        eventually(lambda: inbound.taken and not running.spooled())
    sender, recipients, content, options = inbound.taken[0]
    assert (sender, recipients, options) == (
        "zoe@far.example",
        ("ann@mtumail.test", "bob@TWO.test"),
        "BODY=8BITMIME",
    )
    assert content.startswith(b"Received: from ")
    assert content.endswith(MESSAGE)
    assert len(inbound.taken) == 1


def test_mail_waits_for_inbound_and_survives_kill_and_lost_answers(tmp_path, inbound):
    inbound.close()
    with sink(tmp_path, inbound.port) as running:
        running.send("zoe@far.example", ["ann@mtumail.test"])
        time.sleep(0.3)
        assert len(running.spooled()) == 1
        running.process.kill()
        running.process.wait()
    inbound.open()
    inbound.answers["ann@mtumail.test"] = "451 4.3.0 later"
    inbound.drop_after_data = 1
    with sink(tmp_path, inbound.port) as running:
        time.sleep(0.3)
        assert len(running.spooled()) == 1
        del inbound.answers["ann@mtumail.test"]
        eventually(lambda: inbound.taken and not running.spooled())
    assert [item[1] for item in inbound.taken] == [("ann@mtumail.test",)]
    assert inbound.drop_after_data == 0


def test_refusal_by_inbound_becomes_a_delivery_status_notification(tmp_path, inbound):
    inbound.answers["nobody@mtumail.test"] = "550 5.1.1 No such mailbox"
    with sink(tmp_path, inbound.port) as running:
        running.send("ben@mtumail.test", ["nobody@mtumail.test", "ann@mtumail.test"])
        eventually(lambda: len(inbound.taken) == 2 and not running.spooled())
    report = next(item for item in inbound.taken if item[0] == "")
    assert report[1] == ("ben@mtumail.test",)
    message = email.message_from_bytes(report[2], policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, header = message.iter_parts()
    assert "nobody@mtumail.test" in text.get_content()
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns; relay.localhost"
    assert per_recipient["Final-Recipient"] == "rfc822; nobody@mtumail.test"
    assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", "5.1.1")
    assert per_recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 No such mailbox"
    assert "Subject: Hello" in header.get_content()
    assert b"First line" not in report[2]


def test_the_null_sender_gets_no_bounce_and_a_late_failure_reports(tmp_path, inbound):
    inbound.answers["nobody@mtumail.test"] = "550 5.1.1 No such mailbox"
    with sink(tmp_path, inbound.port) as running:
        with smtplib.SMTP("127.0.0.1", running.port, timeout=10) as client:
            client.ehlo()
            client.docmd("MAIL", "FROM:<>")
            client.docmd("RCPT", "TO:<nobody@mtumail.test>")
            client.data(MESSAGE)
        eventually(lambda: not running.spooled())
        assert inbound.taken == []
        running.send("ann@mtumail.test", ["late-552@far.example"])
        eventually(lambda: inbound.taken and not running.spooled())
        assert b"Status: 5.2.2" in inbound.taken[0][2]
        running.send("zoe@far.example", ["nobody@mtumail.test"])
        eventually(lambda: len(running.kept()) == 8)
        record = json.loads((running.relay / running.kept()[-1]).read_bytes())
        assert (record["mail_from"], record["rcpt_to"]) == ("", ["zoe@far.example"])


def test_a_loop_ends(tmp_path, inbound):
    looping = b"Received: from x by y\r\n" * 31 + MESSAGE
    with sink(tmp_path, inbound.port) as running:
        running.send("ben@mtumail.test", ["ann@mtumail.test"], looping)
        eventually(lambda: inbound.taken and not running.spooled())
    assert [item[0] for item in inbound.taken] == [""]
    assert b"Status: 5.4.6" in inbound.taken[0][2]


def test_the_log_holds_no_address(tmp_path, inbound):
    with sink(tmp_path, inbound.port) as running:
        running.send("zoe@far.example", ["ann@mtumail.test"])
        eventually(lambda: inbound.taken and not running.spooled())
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        output = running.process.stdout.read().decode()
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events[:2] == ["kept", "attempt"]
    assert "zoe" not in output
    assert "ann@" not in output


def test_transmit_quotes_dots_after_crlf_alone(inbound):
    content = b"Subject: x\r\n\r\n.a\r\n..b\nbare\n.c\r\n"
    entry = Entry("n", "zoe@far.example", ("ann@mtumail.test",), 0.0, "")
    assert transmit(("127.0.0.1", inbound.port), entry, content)["ann@mtumail.test"][0] == 250
    assert inbound.taken[0][2] == content


def test_status_codes_and_international_reports():
    assert status_of(550, "5.7.26 Unauthenticated") == "5.7.26"
    assert status_of(550, "No such user") == "5.1.1"
    assert status_of(571, "") == "5.0.0"
    report = bounce(
        "åsa@mtumail.test",
        {"жук@far.example": (550, "no\r\nX-Evil: 1")},
        b"Subject: \xff\xfe\r\n\r\nbody",
        "now",
    )
    assert b"Final-Recipient: utf-8; " + "жук".encode() in report
    assert b"message/global-delivery-status" in report
    assert b"\r\nX-Evil" not in report
    assert b"message/global-headers" in report
