"""The process itself: its signals, its exit codes, its health page, and death at the worst moments."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from inbound.__main__ import build, limits_from
from webmail.config import Settings
from webmail.errors import SettingError

ROOT = Path(__file__).parents[2]
BODY = b"Subject: x\r\n\r\nbody\r\n"

# A store of files: a message is committed once its file has its name.
PROGRAM = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from inbound.__main__ import main
    from inbound.ports import Ports, Recipient
    from webmail.config import Settings

    folder = Path(sys.argv[1])

    def resolve(address):
        return Recipient(1, b"key", "ann@mtumail.test")

    def receive(delivery):
        if b"die before" in delivery.raw:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"hang" in delivery.raw:
            time.sleep(60)
        part = folder / f"{delivery.id}.part"
        part.write_bytes(delivery.raw)
        part.rename(folder / f"{delivery.id}.eml")
        if b"die after" in delivery.raw:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.exit(main(Settings.from_environment(os.environ), Ports(resolve, receive)))
    """
)


class Process:
    def __init__(self, folder, **environment):
        self.folder = folder
        settings = {
            "MTUMAIL_SMTP_LISTEN": "127.0.0.1:0,127.0.0.1:0",
            "MTUMAIL_HOSTNAME": "mx.mtumail.test",
        } | environment
        self.log = (folder / "log").open("w+")
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stderr=self.log,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | settings,
        )

    def events(self):
        return [
            json.loads(line)
            for line in (self.folder / "log").read_text().splitlines()
            if line.startswith("{")
        ]

    def ports(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.child.poll() is None:
            for one in self.events():
                if one["event"] == "listening":
                    return [int(port) for port in one["ports"].split(",")]
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def connect(self, port=None):
        peer = socket.create_connection(("127.0.0.1", port or self.ports()[0]), timeout=15)
        return peer, peer.makefile("rb")

    def stored(self):
        return sorted(self.folder.glob("*.eml"))

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)
        self.log.close()


@pytest.fixture
def process(tmp_path):
    started = []

    def start(**environment):
        started.append(Process(tmp_path, **environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


def begin(file, peer):
    """Up to DATA."""
    file.readline()
    for line in (b"HELO p\r\n", b"MAIL FROM:<b@p.test>\r\n", b"RCPT TO:<ann@mtumail.test>\r\n", b"DATA\r\n"):
        peer.sendall(line)
        answer = file.readline()
    assert answer.startswith(b"354"), answer


def test_sigterm_lets_content_finish_and_exits_0(process):
    running = process()
    first, second = running.ports()
    peer, file = running.connect(second)
    idle, idle_file = running.connect(first)
    with peer, file, idle, idle_file:
        idle_file.readline()
        begin(file, peer)
        peer.sendall(BODY)
        running.child.send_signal(signal.SIGTERM)
        assert idle_file.readline().startswith(b"421")
        peer.sendall(b".\r\n")
        assert file.readline().startswith(b"250")
        assert file.readline().startswith(b"421")
    assert running.child.wait(10) == 0
    assert len(running.stored()) == 1
    assert running.events()[-1] | {"event": "stopped", "clean": True} == running.events()[-1]


def test_sigint_too(process):
    running = process()
    running.ports()
    running.child.send_signal(signal.SIGINT)
    assert running.child.wait(10) == 0


@pytest.mark.slow
def test_a_hung_database_does_not_keep_the_process_alive(process):
    running = process()
    peer, file = running.connect()
    with peer, file:
        begin(file, peer)
        peer.sendall(b"hang\r\n.\r\n")
        assert file.readline().startswith(b"451")
    running.child.send_signal(signal.SIGTERM)
    assert running.child.wait(10) == 0
    assert running.stored() == []


@pytest.mark.parametrize(("word", "kept"), [(b"die before", 0), (b"die after", 1)])
def test_killed_around_the_commit_there_was_no_250(process, word, kept):
    running = process()
    peer, file = running.connect()
    with peer, file:
        begin(file, peer)
        peer.sendall(word + b"\r\n.\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert file.readline() == b""
    assert running.child.wait(10) == -signal.SIGKILL
    assert len(running.stored()) == kept
    again = process()
    peer, file = again.connect()
    with peer, file:
        begin(file, peer)
        peer.sendall(b"sent again\r\n.\r\n")
        assert file.readline().startswith(b"250")
    assert len(again.stored()) == kept + 1


def test_sighup_reads_the_certificate_again(process, new_certificate):
    chain, key = new_certificate()
    running = process(MTUMAIL_TLS_CERTIFICATE=str(chain), MTUMAIL_TLS_KEY=str(key))
    port = running.ports()[0]

    def served():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        peer, file = running.connect(port)
        with peer, file:
            file.readline()
            peer.sendall(b"STARTTLS\r\n")
            assert file.readline().startswith(b"220")
            with context.wrap_socket(peer) as secured:
                return secured.getpeercert(binary_form=True)

    first = served()
    new_certificate()
    running.child.send_signal(signal.SIGHUP)
    end = time.monotonic() + 5
    while served() == first:
        assert time.monotonic() < end
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_page(process):
    port = free_port()
    running = process(MTUMAIL_SMTP_HEALTH_LISTEN=f"127.0.0.1:{port}")
    peer, file = running.connect()
    with peer, file:
        begin(file, peer)
        assert get(port, "/healthz") == (200, b"alive\n")
        assert get(port, "/readyz?now") == (200, b"ready\n")
        assert get(port, "/readyz", "HEAD") == (200, b"")
        assert get(port, "/") == (404, b"not found\n")
        assert get(port, "/healthz", "POST")[0] == 405
        running.child.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        while get(port, "/readyz")[0] != 503:
            assert time.monotonic() < end
        assert get(port, "/healthz")[0] == 200
        peer.sendall(b".\r\n")
        assert file.readline().startswith(b"250")
    assert running.child.wait(10) == 0


def test_a_taken_address_and_a_bad_setting_are_told(process):
    first = process()
    port = first.ports()[0]
    second = process(MTUMAIL_SMTP_LISTEN=f"127.0.0.1:{port}")
    assert second.child.wait(20) == 1
    third = process(MTUMAIL_TLS_CERTIFICATE="/nowhere/a.pem", MTUMAIL_TLS_KEY="/nowhere/b.pem")
    assert third.child.wait(20) == 2
    assert "MTUMAIL_TLS_CERTIFICATE" in (third.folder / "log").read_text()


def test_limits_come_from_the_settings():
    limits = limits_from(Settings(message_bytes=80_000_000, smtp_trusted_networks="10.0.0.0/8"))
    assert limits.message_bytes == 80_000_000
    assert limits.in_flight_bytes >= 2 * limits.message_bytes
    assert str(limits.trusted_networks[0]) == "10.0.0.0/8"
    with pytest.raises(SettingError, match="MTUMAIL_SMTP_TRUSTED_NETWORKS"):
        limits_from(Settings(smtp_trusted_networks="somewhere"))


def test_a_server_without_a_database_is_refused():
    with pytest.raises(SettingError, match="DATABASE_URL"):
        build(Settings())
