"""`mtumail invite`, `mtumail domain` and `mtumail names`: what an operator does without a page."""

import re

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail import cli


@pytest.fixture
def run(environment, database, ann, monkeypatch):
    """Run the command as an operator would: (exit code, what it printed)."""
    for name, value in (environment | {"DATABASE_URL": database.urls["owner"]}).items():
        monkeypatch.setenv(name, value)

    def call(*arguments):
        result = CliRunner().invoke(cli.cli, arguments)
        return result.exit_code, result.output

    return call


def test_an_invitation_is_printed_once_with_its_link(run, superuser):
    code, printed = run("invite", "--uses", "3", "--days", "2", "--for", "nia@elsewhere.example")
    assert code == 0
    shown = re.search(r"^([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})$", printed, re.MULTILINE)[1]
    assert f"http://mail.localhost:8000/welcome?code={shown}" in printed
    [row] = superuser.execute(
        text(
            "SELECT uses, contact_hash IS NOT NULL, expires_at - made_at < interval '49 hours' FROM registration_invitation"
        )
    ).all()
    assert tuple(row) == (3, True, True)
    [entry] = superuser.execute(
        text("SELECT entry FROM audit_event WHERE kind = 'invitation.made'")
    ).scalars()
    assert shown not in entry
    assert "elsewhere" not in entry


def test_an_invitation_needs_a_domain_that_is_hosted(run, superuser):
    assert run("invite", "--domain", "nowhere.test")[0] == 1
    superuser.execute(
        text("INSERT INTO domain (domain_id, name, verified_at) VALUES (7, 'other.test', now())")
    )
    code, printed = run("invite")
    assert (code, "--domain" in printed) == (2, True)
    assert run("invite", "--domain", "other.test")[0] == 0
    assert run("invite", "--domain", "other.test", "--uses", "0")[0] == 2


def test_a_closed_domain_says_that_the_code_is_of_no_use(run):
    run("domain", "set", "mtumail.test", "--registration", "closed")
    code, printed = run("invite")
    assert code == 0
    assert "closed, also to invitations" in printed


def test_a_domain_is_set_and_given_back(run, superuser):
    assert run("domain", "list") == (0, "mtumail.test open\n")
    assert run("domain", "set", "mtumail.test", "--registration", "invite")[0] == 0
    assert run("domain", "list") == (0, "mtumail.test invite *\n")
    assert run("domain", "set", "mtumail.test", "--registration", "usual")[0] == 0
    assert run("domain", "list") == (0, "mtumail.test open\n")
    assert run("domain", "set", "mtumail.test", "--registration", "ajar")[0] == 2
    assert run("domain", "set", "nowhere.test", "--registration", "open")[0] == 1
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_event WHERE kind = 'domain.registration'")
        ).scalar_one()
        == 2
    )


def test_names_are_reserved_and_freed(run):
    assert run("names", "reserve", "acme", "Acme-Sales")[0] == 0
    assert run("names", "list") == (0, "acme\nacme-sales\n")
    assert run("names", "free", "ACME") == (0, "")
    assert run("names", "free", "acme")[0] == 1
    assert run("names", "reserve", "...")[0] == 1
    assert run("names", "list") == (0, "acme-sales\n")
