"""Sockets that a service manager holds open: who connects while inbound is replaced waits, and is served by the next process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from inbound.tls import Certificate

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
from inbound.__main__ import main
from inbound.ports import Ports, Recipient
from webmail.config import Settings

def resolve(address):
    return Recipient(1, b"key", "ann@mtumail.test")

def reach():
    if os.path.exists(sys.argv[1]):
        raise OSError

sys.exit(main(Settings.from_environment(os.environ), Ports(resolve, lambda delivery: None, reach=reach)))
"""
MANAGER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held


@pytest.fixture
def start(listener, tmp_path):
    started = []

    def begin(**more):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "MTUMAIL_HOSTNAME": "mx.mtumail.test",
        } | more
        number = str(listener.fileno())
        arguments = [sys.executable, "-c", MANAGER, number, PROGRAM, str(tmp_path / "away")]
        with (tmp_path / f"log{len(started)}").open("wb") as log:
            child = subprocess.Popen(
                arguments, env=environment, pass_fds=[listener.fileno()], stderr=log, cwd=ROOT
            )
        started.append(child)
        return child

    yield begin
    for child in started:
        child.kill()
        child.wait()


def _connect(listener):
    peer = socket.create_connection(listener.getsockname(), 20)
    return peer, peer.makefile("rb")


def test_nobody_is_refused_while_it_is_replaced(start, listener):
    first = start()
    peer, file = _connect(listener)
    with peer, file:
        assert file.readline().startswith(b"220")
        first.send_signal(signal.SIGTERM)
        assert file.readline().startswith(b"421")
    assert first.wait(10) == 0
    waiting = [_connect(listener) for _ in range(5)]  # nobody is there, and nobody is turned away
    start()
    for peer, file in waiting:
        with peer, file:
            assert file.readline().startswith(b"220 mx.mtumail.test")
            peer.sendall(b"EHLO other.example\r\n")
            assert file.readline().startswith(b"250")


def test_sockets_of_another_process_are_left_alone(start, listener, monkeypatch):
    from webmail import config

    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert config.handed_over() == 0
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    assert config.handed_over() == 2
    assert config.handed_over() == 0  # children are not told


def _ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_it_is_not_ready_while_the_database_is_away(start, listener, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start(MTUMAIL_SMTP_HEALTH_LISTEN=f"127.0.0.1:{port}")
    peer, file = _connect(listener)
    with peer, file:
        file.readline()
    assert _ready(port) == (200, b"ready\n")
    (tmp_path / "away").touch()
    assert _ready(port) == (503, b"not ready: database\n")
    (tmp_path / "away").unlink()
    assert _ready(port) == (200, b"ready\n")


def test_a_renewed_certificate_is_found_without_being_told(tmp_path, self_signed):
    chain, key = tmp_path / "mx.pem", tmp_path / "mx.key"

    def write():
        for path, content in zip((chain, key), self_signed("mx.example.com"), strict=True):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.rename(path)

    write()
    certificate = Certificate(chain, key)
    before = certificate.context
    certificate.follow()
    assert certificate.context is before
    write()
    certificate.follow()
    assert certificate.context is not before
    renewed = certificate.context
    with contextlib.suppress(FileNotFoundError):
        key.unlink()
    certificate.follow()
    assert certificate.context is renewed  # half a renewal changes nothing
