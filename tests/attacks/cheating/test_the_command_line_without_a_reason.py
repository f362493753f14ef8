"""Whoever sits at the machine looks at people's data, or changes it, by a command: without a reason, or without a trace."""

import os

import click
import pytest
from click.testing import CliRunner

from webmail import cli

# What starts a part, shows no data of anybody (ids, codes and times at most), only checks, or makes what nobody uses yet. Whatever comes new asks why.
HARMLESS = {
    "audit checkpoint", "audit verify", "dev", "doctor", "domain list", "inbound", "keys create", "keys dkim list", "migrate", "names list",
    "relay list", "relay test", "role list", "setting get", "setting history", "setting list", "web", "worker", "init", "metrics", "checkup",
    "domain records", "erase list", "queue list", "request list",
    "backup list", "backup verify", "keys list", "keys check", "keys backup",
}  # fmt: skip
# Fills an empty database, where nothing can be written down before; who did it is the first event after what it held.
TELLS_ITSELF = {"restore"}


def commands(one, path=()):
    if isinstance(one, click.Group):
        for name, child in one.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield " ".join(path), one


def test_P16_every_command_on_peoples_data_asks_why():
    found = dict(commands(cli.cli))
    assert {"psql", "role grant", "audit show", "setting set"} <= set(found)
    silent = {name for name, one in found.items() if "reason" not in {param.name for param in one.params}}
    assert silent <= HARMLESS | TELLS_ITSELF


@pytest.fixture
def psql(database, empty, monkeypatch):
    """`mtumail psql` in production; the result, and what would have been run."""
    ran = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: ran.append(arguments))

    def run(*arguments):
        env = {"DATABASE_URL": database.urls["owner"], "MTUMAIL_ENV": "production"}
        return CliRunner().invoke(cli.cli, ["psql", *arguments], env=env, prog_name="mtumail"), ran

    return run


def test_P16_psql_says_who_and_why_before_it_opens(psql, desk):
    for arguments in (["-c", "SELECT 1"], ["--reason", " ", "-c", "SELECT 1"]):
        result, ran = psql(*arguments)
        assert result.exit_code == 2
        assert ran == []
    result, [arguments] = psql("--reason", "ticket 12", "-c", "SELECT 1")
    assert result.exit_code == 0
    assert arguments[-2:] == ["-c", "SELECT 1"]
    [told] = desk.events("cli.used")
    assert told["actor"].startswith("cli:")
    assert (told["facts"]["command"], told["facts"]["reason"]) == ("psql", "ticket 12")
