"""`mtumail audit`, and how commands that touch people's data ask why."""

import json
import os
import pwd

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail import cli, config
from webmail.audit import notes
from webmail.commands import reasons
from webmail.commands.reasons import Operator, with_reason


@pytest.fixture
def command(database, environment, monkeypatch):
    """`mtumail audit …` as the owner; the result."""
    for name in [name for name in os.environ if name.startswith(("MTUMAIL_", "DATABASE_URL"))]:
        monkeypatch.delenv(name)

    def run(*arguments: str, code: int = 0, **more: str):
        told = {
            "DATABASE_URL": database.urls["owner"],
            "MTUMAIL_MASTER_KEY": environment["MTUMAIL_MASTER_KEY"],
            "MTUMAIL_ORIGIN": "https://mail.test",
        }
        result = CliRunner().invoke(cli.cli, ["audit", *arguments], env=told | more, prog_name="mtumail")
        assert result.exit_code == code, result.output
        return result

    return run


def test_P16_a_log_is_signed_and_verified(log, command, tmp_path):
    assert "no checkpoint" in command("verify").output
    shown = command("checkpoint", MTUMAIL_CHECKPOINTS=str(tmp_path)).output
    note, _, key = shown.partition("\npublic key: ")
    assert notes.Verifier.read(key).signed(note.rstrip("\n") + "\n")
    assert note.startswith("mail.test/audit\n6\n")
    assert (
        command("verify").output
        == "6 events, nothing changed\nsigned up to event 6: 1 checkpoints hold, by the key in the database\n"
    )
    told = command("verify", "--checkpoints", str(tmp_path), "--public-key", key.strip()).output
    assert told == "6 events, nothing changed\nsigned up to event 6: 1 checkpoints hold\n"
    assert command("checkpoint", "--list").output.count("mail.test/audit\n6\n") == 1


def test_P16_what_was_done_to_it_is_one_line_each_and_an_exit_code(
    log, command, tmp_path, tamper, rehash, append
):
    key = command("checkpoint", MTUMAIL_CHECKPOINTS=str(tmp_path)).output.partition("public key: ")[2].strip()
    where = ("--checkpoints", str(tmp_path), "--public-key", key)
    (tmp_path / "2026-01").mkdir()
    (tmp_path / "2026-01" / "000000000003.txt").write_text(
        notes.Checkpoint("mail.test/audit", 3, bytes(32)).sign(notes.new_key()[1])
    )
    assert (
        command("verify", *where, code=1).stderr
        == "checkpoint 3 is forged: mail.test/audit did not sign it\n"
    )
    (tmp_path / "2026-01" / "000000000003.txt").unlink()
    tamper("DELETE FROM audit_event WHERE number = 6", "DELETE FROM audit_checkpoint")
    result = command("verify", *where, code=1)
    assert result.stderr == "event 6 is missing, and all after it: a checkpoint was signed over 6 events\n"
    append(1)
    assert "tells another history" in command("verify", *where, code=1).stderr
    tamper("UPDATE audit_event SET actor = 'x' WHERE number = 2")
    assert command("verify", *where, code=1).stderr == "event 2 has columns that differ from its entry\n"


def test_a_key_that_is_none_is_said(log, command):
    assert "--public-key" in command("verify", "--public-key", "x", code=2).output


def test_events_are_shown_and_who_looks_is_noted(log, command, superuser):
    shown = command("show", "--limit", "3", "--reason", "ticket 12").output.splitlines()
    assert [line.split()[0] for line in shown] == ["7", "6", "5"]
    assert "cli.used" in shown[0]
    entry = superuser.execute(text("SELECT entry FROM audit_event WHERE number = 7")).scalar_one()
    told = json.loads(entry)
    assert told["actor"] == f"cli:{reasons._person()}"
    assert told["facts"] == {
        "command": "audit show",
        "reason": "ticket 12",
        "run_as": pwd.getpwuid(os.geteuid()).pw_name,
    }
    assert '"mailbox": 3' in command("show", "3", "--reason", "x").output
    assert command("show", "--kind", "cli.used", "--actor", "nobody", "--reason", "x").output == ""
    assert "there is no event 99" in command("show", "99", "--reason", "x", code=1).output


def test_a_proof_is_written(log, command, tmp_path):
    assert "no checkpoint covers it yet" in command("proof", "3", "--reason", "x", code=1).output
    command("checkpoint")
    extra, index, _path, _note = notes.read_proof(command("proof", "3", "--reason", "x").output)
    assert (index, json.loads(extra)["entry"].count('"mailbox": 3')) == (2, 1)
    path = tmp_path / "three.tlog-proof"
    command("proof", "3", "--reason", "x", "--output", str(path))
    assert notes.read_proof(path.read_text())[1] == 2
    assert "there is no event 99" in command("proof", "99", "--reason", "x", code=1).output


# --- why -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def invoke(database, empty, superuser, monkeypatch):
    """Run a command made for the test; (result, the operators it was given, the facts that were noted)."""
    given = []

    @click.command("touch")
    @click.argument("what")
    @with_reason
    def touch(what: str, operator: Operator) -> None:
        given.append((what, operator))
        if what == "fail":
            raise click.ClickException("failed")

    def run(*arguments: str, environment: str = "production", input: str | None = None):
        env = {"DATABASE_URL": database.urls["owner"], "MTUMAIL_ENV": environment}
        result = CliRunner().invoke(touch, arguments, env=env, input=input)
        entries = superuser.execute(text("SELECT entry FROM audit_event ORDER BY number")).scalars()
        return result, given, [json.loads(entry)["facts"] for entry in entries]

    return run


def test_P16_a_command_on_peoples_data_says_who_and_why_first(invoke):
    result, [(what, operator)], [facts] = invoke("x", "--reason", "  ticket   12 ")
    assert result.exit_code == 0
    assert (what, operator.reason, operator.number) == ("x", "ticket 12", 1)
    assert operator.actor == f"cli:{operator.name}" == reasons.actor()
    assert facts == {"command": "touch", "reason": "ticket 12", "run_as": operator.account}


def test_P16_what_fails_was_noted_all_the_same(invoke):
    result, _given, facts = invoke("fail", "--reason", "ticket 12")
    assert result.exit_code == 1
    assert len(facts) == 1


@pytest.mark.parametrize("arguments", [(), ("--reason", ""), ("--reason", "   "), ("--reason", "x" * 201)])
def test_P16_without_a_reason_nothing_is_done(invoke, arguments):
    result, given, facts = invoke("x", *arguments)
    assert result.exit_code == 2
    assert (given, facts) == ([], [])


def test_at_a_terminal_it_is_asked_for(invoke, monkeypatch):
    monkeypatch.setattr(reasons, "_is_terminal", lambda: True)
    result, _given, [facts] = invoke("x", input="ticket 12\n")
    assert result.exit_code == 0
    assert facts["reason"] == "ticket 12"


def test_elsewhere_than_in_production_it_may_be_left_out(invoke):
    result, _given, [facts] = invoke("x", environment="development")
    assert result.exit_code == 0
    assert facts["reason"] == ""


def test_no_database_no_command(invoke, database, monkeypatch):
    monkeypatch.setitem(database.urls, "owner", "postgresql://nobody@127.0.0.1:1/x")
    result, given, _facts = invoke("x", "--reason", "y")
    assert result.exit_code == 1
    assert given == []


@pytest.mark.parametrize(
    ("loginuid", "euid", "sudo", "name"),
    [("0", 0, "eve", "root"), ("4294967295", 0, "sam", "sam"), ("4294967295", 0, "", "root"), ("4294967295", 65534, "sam", "root"), ("x", 0, "sam", "sam")],
)  # fmt: skip
def test_P16_who_it_is_is_not_what_anybody_may_write(monkeypatch, tmp_path, loginuid, euid, sudo, name):
    """Who signed in to the machine comes first; what the environment says is believed of root alone."""
    told = tmp_path / "loginuid"
    told.write_text(loginuid)
    monkeypatch.setattr(reasons, "_LOGIN", told)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(config, "sudo_user", lambda: sudo)
    assert reasons._person() == name


def test_the_decorator_leaves_a_commands_help_alone():
    told = CliRunner().invoke(cli.cli, ["audit", "show", "--help"]).output
    assert "--reason" in told
    assert "Show the newest events" in told
