"""`mtumail domain`: everything that the pages do, by an operator, with the reason in the audit log."""

import re

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Status
from webmail import cli


@pytest.fixture
def run(environment, database, ann, monkeypatch):
    """Run the command as an operator would: (exit code, what it printed)."""
    more = {"DATABASE_URL": database.urls["owner"], "MTUMAIL_HOSTNAME": "mx.example.net"}
    for name, value in (environment | more).items():
        monkeypatch.setenv(name, value)

    def call(*arguments):
        result = CliRunner().invoke(cli.cli, ["domain", *arguments])
        return result.exit_code, result.output

    return call


@pytest.fixture
def zone(monkeypatch):
    """What DNS says: (name, kind) to an answer; nothing of all else."""
    known = {}
    resolver = lambda _servers: lambda name, kind, _seconds: known.get((name, kind), NXDOMAIN)  # noqa: E731
    monkeypatch.setattr("inbound.authentication.resolver.DnsResolver", resolver)
    return known


@pytest.fixture
def kinds(superuser):
    def ask():
        sql = "SELECT kind FROM audit_event WHERE kind LIKE 'domain.%' OR kind = 'cli.used' ORDER BY number"
        return list(superuser.execute(text(sql)).scalars())

    return ask


def test_a_domain_is_added_verified_by_dns_and_listed(run, zone, kinds):
    code, printed = run("add", "Bücher.example", "--reason", "T1")
    assert code == 0
    wanted = re.search(
        r"^_mtumail\.xn--bcher-kva\.example TXT (mtumail-verification=[0-9a-f]{32})$", printed, re.MULTILINE
    )[1]
    assert run("list") == (0, "mtumail.test open\nxn--bcher-kva.example not verified\n")
    place = ("_mtumail.xn--bcher-kva.example", "TXT")
    for answer, words in (
        (NXDOMAIN, "nothing is there"),
        (TEMPORARY, "nobody answered"),
        (Answer(Status.FOUND, ("mtumail-verification=other",)), "mtumail-verification=other"),
    ):
        zone[place] = answer
        code, printed = run("verify", "bücher.example", "--reason", "T1")
        assert (code, words in printed) == (1, True)
    zone[place] = Answer(Status.FOUND, (wanted,))
    assert run("verify", "bücher.example", "--reason", "T1") == (0, "xn--bcher-kva.example is verified\n")
    assert run("list")[1] == "mtumail.test open\nxn--bcher-kva.example open\n"
    assert [kind for kind in kinds() if kind != "cli.used"] == ["domain.added", "domain.verified"]
    assert kinds().count("cli.used") == 5


def test_an_operator_may_vouch(run, kinds):
    assert run("add", "one.example", "--vouch") == (0, "one.example is hosted here\n")
    run("add", "two.example")
    assert run("verify", "two.example", "--vouch") == (0, "two.example is verified\n")
    assert run("list")[1] == "mtumail.test open\none.example open\ntwo.example open\n"


def test_records_are_printed_and_asked_for(run, zone):
    code, printed = run("records", "mtumail.test")
    assert code == 0
    assert "mtumail.test MX 10 mx.example.net.\n" in printed
    assert 'mtumail.test. IN TXT ( "v=spf1 mx ~all" )\n' in run("records", "mtumail.test", "--zone")[1]
    code, printed = run("records", "mtumail.test", "--check")
    assert code == 1
    assert "missing: mtumail.test MX 10 mx.example.net." in printed
    for line in run("records", "mtumail.test")[1].splitlines():
        owner, kind, value = line.split(" ", 2)
        answer = value.split()[-1] if kind == "MX" else value
        known = zone.get((owner, kind), Answer(Status.FOUND))
        zone[owner, kind] = Answer(Status.FOUND, (*known.records, answer))
    code, printed = run("records", "mtumail.test", "--check")
    assert code == 0
    assert {line.partition(":")[0] for line in printed.splitlines()} == {"good"}
    zone["mtumail.test", "MX"] = Answer(Status.FOUND, ("mx.elsewhere.example",))
    assert (
        "wrong (found: mx.elsewhere.example): mtumail.test MX" in run("records", "mtumail.test", "--check")[1]
    )


def test_aliases_routes_rest_and_removal(run, superuser, kinds, ann):
    run("add", "other.example", "--vouch")
    assert run("alias", "other.example", "mtumail.test") == (0, "other.example is an alias of mtumail.test\n")
    assert "other.example alias of mtumail.test" in run("list")[1]
    assert run("remove", "mtumail.test") == (1, "Error: mtumail.test: there are mailboxes at it\n")
    assert run("alias", "other.example") == (0, "other.example is no alias\n")
    assert run("route", "mtumail.test", "*", ann.address) == (0, f"*@mtumail.test goes to {ann.address}\n")
    assert run("route", "mtumail.test", "*") == (0, "*@mtumail.test goes to nobody\n")
    assert run("route", "mtumail.test", "abuse", "x@mtumail.test")[0] == 1
    assert run("rest", "other.example") == (0, "other.example gives no new names\n")
    assert "other.example no new names" in run("list")[1]
    assert run("rest", "other.example", "--wake") == (0, "other.example gives names again\n")
    assert run("remove", "other.example")[0] == 0
    assert run("list")[1] == "mtumail.test open\n"
    assert [kind for kind in kinds() if kind != "cli.used"] == [
        "domain.added", "domain.verified", "domain.alias", "domain.alias", "domain.routed", "domain.routed", "domain.rests",
        "domain.wakes", "domain.removed",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["verify", "records", "alias", "rest", "remove"])
def test_a_domain_that_is_not_hosted_is_one_clear_line(run, verb):
    assert run(verb, "nowhere.example") == (1, "Error: nowhere.example is not hosted here\n")
    assert run(verb, "no domain") == (1, "Error: no domain: no name of a domain\n")


def test_what_is_there_is_not_added_again(run):
    assert run("add", "mtumail.test") == (1, "Error: mtumail.test: hosted here already\n")
