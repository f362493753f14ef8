"""The command: each part says what it reads, and trouble is one line with an exit code, never a traceback."""

import base64
import os
import re
import stat
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from webmail import cli, config, provision
from webmail.embedded import dev as embedded_dev

CONTRACT = ("dev", "web", "worker", "inbound", "migrate", "doctor", "audit", "keys", "psql")


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found = {}
    for name, command in group.commands.items():
        found[(*path, name)] = command
        if isinstance(command, click.Group):
            found |= _commands(command, (*path, name))
    return found


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in [
        name for name in os.environ if name.startswith(("MTUMAIL_", "CLERK_", "DATABASE_URL", "REDIS_URL"))
    ]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process as its entry point does; exit code, standard output, standard error."""

    def call(*arguments: str, **environment: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["mtumail", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_the_parts_are_there():
    assert set(CONTRACT) <= set(cli.cli.commands)


@pytest.mark.parametrize("path", [(), *_commands(cli.cli)], ids=lambda path: " ".join(path) or "mtumail")
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(path, option):
    result = CliRunner().invoke(cli.cli, [*path, option], prog_name="mtumail")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: {' '.join(['mtumail', *path])}")
    assert len(result.output.splitlines()) >= 4


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("web", {"MTUMAIL_HTTP_LISTEN", "MTUMAIL_ORIGIN", "DATABASE_URL", "REDIS_URL", "CLERK_"}),
        ("worker", {"DATABASE_URL", "REDIS_URL", "MTUMAIL_RELAY_URL"}),
        ("inbound", {"MTUMAIL_SMTP_LISTEN", "MTUMAIL_HOSTNAME", "DATABASE_URL", "REDIS_URL", "MTUMAIL_TLS_"}),
        ("migrate", {"DATABASE_URL"}),
    ],
)
def test_a_part_says_what_it_reads(name, reads):
    told = set(re.findall(r"[A-Z]+_[A-Z_]*", CliRunner().invoke(cli.cli, [name, "--help"]).output))
    assert reads <= told


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (["web"], {}, "MTUMAIL_ORIGIN"),
        (["web"], {"MTUMAIL_ORIGIN": "https://mail.example.com"}, "DATABASE_URL"),
        (["web"], {"MTUMAIL_HTTP_LISTEN": "here"}, "MTUMAIL_HTTP_LISTEN"),
        (["worker"], {}, "DATABASE_URL"),
        (
            ["worker"],
            {"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://127.0.0.1:1"},
            "MTUMAIL_RELAY_URL",
        ),
        (
            ["worker"],
            {
                "DATABASE_URL": "postgresql://db/x",
                "REDIS_URL": "redis://127.0.0.1:1",
                "MTUMAIL_RELAY_URL": "smtp://127.0.0.1:1",
            },
            "MTUMAIL_MASTER_KEY",
        ),
        (["inbound"], {}, "DATABASE_URL"),
        (["inbound"], {"MTUMAIL_SMTP_TRUSTED_NETWORKS": "everybody"}, "MTUMAIL_SMTP_TRUSTED_NETWORKS"),
        (["migrate"], {}, "DATABASE_URL"),
        (["migrate"], {"DATABASE_URL": "mysql://db/x"}, "DATABASE_URL"),
        (["audit", "verify"], {}, "DATABASE_URL"),
        (["psql", "--reason", "x"], {}, "DATABASE_URL"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(run, arguments, environment, name):
    code, out, err = run(*arguments, **environment)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert name in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["web", "--nonsense"],
        ["dev", "--http-port", "http"],
        ["keys", "create"],
        ["migrate", "--roles-from", "postgresql://db/postgres"],
    ],
)
def test_what_makes_no_sense_is_exit_code_2_and_says_where_help_is(run, arguments):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert "--help" in err
    assert "Traceback" not in err


def test_our_own_refusals_are_one_line_and_exit_code_1(run, monkeypatch):
    from webmail.errors import Refused

    def refuse() -> None:
        raise Refused("the audit log was never made")

    monkeypatch.setattr(config, "read", refuse)
    assert run("migrate") == (1, "", "mtumail: the audit log was never made\n")


def test_a_master_key_is_made_once(run, tmp_path):
    path = tmp_path / "master.key"
    assert run("keys", "create", str(path))[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_bytes()
    assert len(base64.b64decode(key)) == 32
    code, _out, err = run("keys", "create", str(path))
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "exists" in err
    assert path.read_bytes() == key


def test_a_key_that_others_may_read_stops_the_worker(run, tmp_path):
    path = tmp_path / "master.key"
    path.write_bytes(base64.b64encode(bytes(32)))
    path.chmod(0o644)
    code, _out, err = run(
        "worker",
        DATABASE_URL="postgresql://db/x",
        REDIS_URL="redis://127.0.0.1:1",
        MTUMAIL_RELAY_URL="smtp://127.0.0.1:1",
        MTUMAIL_MASTER_KEY_FILE=str(path),
    )
    assert code == 2
    assert "chmod 600" in err


def test_dev_hands_its_options_on(run, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(embedded_dev, "run_dev", lambda options: given.append(options) or 3)
    code, _out, _err = run(
        "dev",
        "--data-dir",
        str(tmp_path),
        "--http-port",
        "0",
        "--smtp-port",
        "1",
        "--clerk-port",
        "2",
        "--relay-port",
        "3",
        "--empty",
    )
    assert code == 3
    assert given == [
        embedded_dev.DevOptions(
            data_dir=tmp_path, http_port=0, smtp_port=1, clerk_port=2, relay_port=3, empty=True
        )
    ]


def test_the_web_process_becomes_gunicorn(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda *arguments: started.append(arguments))
    environment = {
        "MTUMAIL_ORIGIN": "https://mail.example.com",
        "DATABASE_URL": "postgresql://db/x",
        "MTUMAIL_HTTP_LISTEN": "127.0.0.1:81",
        "MTUMAIL_WEB_PROCESSES": "3",
    }
    assert CliRunner(env=environment).invoke(cli.cli, ["web"]).exit_code == 0
    [(program, arguments)] = started
    assert program == sys.executable
    assert arguments[1:4] == ["-m", "gunicorn", "wsgi:app"]
    assert "127.0.0.1:81" in arguments
    assert arguments[arguments.index("--workers") + 1] == "3"


def test_roles_are_made_with_passwords_from_the_environment(monkeypatch):
    made, migrated = [], []
    monkeypatch.setattr(
        provision,
        "provision",
        lambda url, passwords: made.append((url, dict(passwords))) or {"owner": "the-owner"},
    )
    monkeypatch.setattr(provision, "migrate", lambda url, target: migrated.append((url, target)))
    environment = {
        f"MTUMAIL_PASSWORD_{role}": role.lower() for role in ("OWNER", "WEB", "WORKER", "INBOUND", "BACKUP")
    }
    result = CliRunner(env=environment).invoke(
        cli.cli, ["migrate", "--roles-from", "postgresql://postgres@db/postgres"]
    )
    assert result.exit_code == 0
    assert made == [
        (
            "postgresql://postgres@db/postgres",
            {f"mtumail_{role}": role for role in ("owner", "web", "worker", "inbound", "backup")},
        )
    ]
    assert migrated == [("the-owner", "head")]


def test_pending_migrations_are_told(run, database):
    assert run("migrate", "--check", DATABASE_URL=database.urls["owner"]) == (0, "up to date\n", "")


def _as_program(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """The command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "webmail.cli", *arguments],
        capture_output=True, text=True, env={"PATH": os.environ["PATH"]} | environment, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_an_audit_log_is_verified(database, ann, superuser):
    code, out, _err = _as_program("audit", "verify", DATABASE_URL=database.urls["owner"])
    assert code == 0
    assert re.match(r"\d+ events, nothing changed\n", out)
    superuser.exec_driver_sql(
        "SET session_replication_role = replica; UPDATE audit_event SET actor = 'x' WHERE number = 1; SET session_replication_role = origin"
    )
    assert _as_program("audit", "verify", DATABASE_URL=database.urls["owner"]) == (
        1,
        "",
        "event 1 has columns that differ from its entry\n",
    )


def test_the_doctor_finds_what_is_wrong(run, environment, database, empty):
    good = {
        "DATABASE_URL": database.urls["owner"],
        "REDIS_URL": environment["REDIS_URL"],
        "MTUMAIL_MASTER_KEY": environment["MTUMAIL_MASTER_KEY"],
    }
    code, out, _err = run("doctor", **good)
    lines = dict(re.findall(r"^(?:ok  |BAD ) ([a-z_ ]+): (.*)$", out, re.M))
    assert lines["database"].startswith("PostgreSQL ")
    assert lines["schema"] == "up to date"
    assert lines["redis"] == "answers"
    assert code == 1
    assert re.findall("^BAD  ([a-z_ ]+):", out, re.M) == [
        "fsync"
    ]  # the tests' Postgres saves itself the waiting
    code, out, _err = run(
        "doctor",
        **good | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1"},
    )
    assert code == 1
    assert re.findall("^BAD  ([a-z_ ]+):", out, re.M) == ["database", "redis"]


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_the_doctor_can_be_asked_by_every_process(environment, database, empty, role):
    good = {
        "DATABASE_URL": database.urls[role],
        "REDIS_URL": environment["REDIS_URL"],
        "MTUMAIL_MASTER_KEY": environment["MTUMAIL_MASTER_KEY"],
    }
    code, out, err = _as_program("doctor", **good)
    assert "Traceback" not in err
    assert code == 1  # the tests' Postgres saves itself the waiting
    assert re.findall("^BAD  ([a-z_ ]+):", out, re.M) == ["fsync"]


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--check"), ("audit", "verify")])
def test_a_database_that_is_away_is_one_line(arguments):
    code, out, err = _as_program(*arguments, DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert code in (1, 2)
    assert out == ""
    assert len(err.splitlines()) == 1


def test_a_revision_that_does_not_exist_is_one_line(database):
    code, _out, err = _as_program("migrate", "--to", "nonsense", DATABASE_URL=database.urls["owner"])
    assert code == 2
    assert len(err.splitlines()) <= 4
    assert "nonsense" in err
    assert "Traceback" not in err


def test_the_doctor_names_a_bad_setting(run):
    code, out, _err = run("doctor", MTUMAIL_ENV="prod")
    assert code == 1
    assert out.startswith("BAD  settings: MTUMAIL_ENV: ")


def test_as_a_program_of_its_own():
    code, out, err = _as_program("web")
    assert (code, out) == (2, "")
    assert err == "mtumail: MTUMAIL_ORIGIN: is not set (for example: https://mail.example.com)\n"
