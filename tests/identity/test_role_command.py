"""`mtumail role`: the first admin, and the last resort."""

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail import cli


@pytest.fixture
def mtumail(database, environment):
    """Run the command as the operator does, with the owner's database; its result."""

    def run(*arguments, **more):
        told = environment | {"DATABASE_URL": database.urls["owner"]} | more
        return CliRunner(env=told).invoke(cli.cli, ["role", *arguments], prog_name="mtumail")

    return run


def _roles(superuser):
    return list(superuser.execute(text("SELECT role FROM account_role ORDER BY role")).scalars())


def test_the_first_admin_is_made_here(mtumail, ann, superuser):
    done = mtumail("grant", "Ann@mtumail.test", "admin", "--reason", "first admin")
    assert (done.exit_code, done.output) == (0, "Ann@mtumail.test has the role admin\n")
    assert mtumail("list").output == "ann@mtumail.test active admin\n"
    told = superuser.execute(text("SELECT verb, made_by, reason FROM role_change")).one()
    assert tuple(told) == ("granted", None, "first admin")
    kinds = superuser.execute(text("SELECT kind, actor LIKE 'cli:%' FROM audit_event ORDER BY number")).all()
    assert [tuple(row) for row in kinds if row[0].startswith(("cli", "role"))] == [
        ("cli.used", True),
        ("role.granted", True),
    ]


def test_it_takes_roles_too_and_says_what_is_wrong(mtumail, ann, superuser):
    mtumail("grant", "ann@mtumail.test", "support", "--reason", "case 1")
    for arguments, words in (
        (("grant", "ann@mtumail.test", "support"), "has this role already"),
        (("grant", "ann@mtumail.test", "auditor"), "cannot be auditor"),
        (("revoke", "ann@mtumail.test", "admin"), "does not have this role"),
        (("revoke", "nobody@mtumail.test", "admin"), "nobody here has the address"),
        (("grant", "no address", "admin"), "is no address"),
        (("grant", "ann@mtumail.test", "root"), "is not one of"),
    ):
        failed = mtumail(*arguments, "--reason", "case 1")
        assert failed.exit_code != 0
        assert words in failed.output
        assert "Traceback" not in failed.output
    assert _roles(superuser) == ["support"]
    assert mtumail("revoke", "ann@mtumail.test", "support", "--reason", "case 1").exit_code == 0
    assert _roles(superuser) == []


@pytest.mark.parametrize("role", ["web", "worker"])
def test_with_the_rights_of_a_process_it_gives_nothing(mtumail, database, ann, superuser, role):
    failed = mtumail(
        "grant", "ann@mtumail.test", "admin", "--reason", "case 1", DATABASE_URL=database.urls[role]
    )
    assert failed.exit_code != 0
    assert _roles(superuser) == []
