"""Keys of hosted domains: made, rotated in two steps, retired; what the command prints of them, and what it records."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inbound.authentication.dns import NXDOMAIN, Answer, Status
from webmail import cli
from webmail.db import transaction
from webmail.errors import NotFound, Refused
from webmail.settings import dkim_keys, dkim_records, domains

DOMAIN = "mtumail.test"
ACTOR = "system:tests"


@pytest.fixture
def as_owner(empty, owner_app):
    """Run a verb in a transaction of the owner's."""

    def run(call):
        with owner_app.app_context(), transaction():
            return call()

    return run


@pytest.fixture
def domain_id(as_owner):
    return as_owner(lambda: domains.host(DOMAIN))


@pytest.fixture
def create(as_owner, master, domain_id):
    return lambda algorithm="ed25519": as_owner(lambda: dkim_keys.create(master, domain_id, algorithm, ACTOR))


@pytest.fixture
def activate(as_owner, domain_id):
    return lambda: as_owner(lambda: dkim_keys.activate(domain_id, ACTOR))


@pytest.fixture
def states(superuser):
    def ask():
        rows = superuser.execute(text("SELECT selector, state, wrapped IS NOT NULL FROM dkim_key ORDER BY 1"))
        return [tuple(row) for row in rows]

    return ask


@pytest.fixture
def published(settings, empty):
    """A key record as inbound is told it, by its own role."""
    from flask import Flask

    from webmail import db

    app = Flask("published")
    db.init_app(app, settings("inbound").database_url, pool_size=1)

    def ask(selector, domain=DOMAIN):
        with app.app_context():
            return dkim_keys.published(selector, domain)

    yield ask
    with app.app_context():
        db.db.engine.dispose()


def month():
    return f"m{datetime.now(UTC):%Y%m}"


def test_selectors_say_the_month_and_a_counter():
    day = date(2026, 11, 23)
    assert dkim_records.next_selector(day, []) == "m202611a"
    assert dkim_records.next_selector(day, ["m202611a", "m202611c", "m202610b"]) == "m202611b"
    taken = []
    for _ in range(26 + 26 * 26):
        taken.append(dkim_records.next_selector(day, taken))
    assert taken[26] == "m202611aa"
    assert len(set(taken)) == len(taken) == 702
    with pytest.raises(ValueError, match="no selector is left"):
        dkim_records.next_selector(day, taken)


def test_a_rotation_has_two_steps(create, activate, states, as_owner, master, published):
    first = create()
    assert states() == [(first, "next", True)]
    assert as_owner(lambda: dkim_keys.signing(master, DOMAIN)) == []
    assert published(first), "known to inbound before it signs: no message may be faster"
    assert activate() == [first]
    [signing] = as_owner(lambda: dkim_keys.signing(master, DOMAIN))
    assert (signing.selector, signing.algorithm) == (first, "ed25519")
    second = create()
    assert [one.selector for one in as_owner(lambda: dkim_keys.signing(master, DOMAIN))] == [first]
    assert activate() == [second]
    assert states() == [(first, "retired", False), (second, "active", True)]
    assert [one.selector for one in as_owner(lambda: dkim_keys.signing(master, DOMAIN))] == [second]


def test_a_retired_key_verifies_for_a_week_and_then_no_more(
    create, activate, as_owner, domain_id, published, superuser
):
    first = create()
    activate()
    create()
    activate()
    record = published(first)
    assert re.fullmatch(r"v=DKIM1; k=ed25519; t=s; p=[A-Za-z0-9+/]{43}=", record)
    [until] = superuser.execute(
        text("SELECT verifies_until - retired_at FROM dkim_key WHERE state = 'retired'")
    ).scalars()
    assert until == timedelta(days=7)
    superuser.execute(
        text("UPDATE dkim_key SET verifies_until = now() - interval '1 second' WHERE state = 'retired'")
    )
    assert published(first) == "v=DKIM1; p=", "revoked, whatever DNS still says"


def test_a_leaked_key_verifies_no_more_at_once(create, activate, as_owner, domain_id, published):
    first = create()
    activate()
    as_owner(lambda: dkim_keys.retire(domain_id, first, ACTOR))
    assert published(first).endswith("=")
    with pytest.raises(Refused):
        as_owner(lambda: dkim_keys.retire(domain_id, first, ACTOR))
    as_owner(lambda: dkim_keys.retire(domain_id, first, ACTOR, leaked=True))
    assert published(first) == "v=DKIM1; p="
    assert as_owner(dkim_keys.unsigned_domains) == [DOMAIN]


def test_a_key_is_of_one_domain_alone(create, activate, as_owner, published):
    selector = create()
    activate()
    as_owner(lambda: domains.host("other.test"))
    assert published(selector)
    for name in ("other.test", f"sub.{DOMAIN}", "test", ""):
        assert published(selector, name) is None
    assert published("m209901a") is None


def test_what_is_refused(create, activate, as_owner, master, domain_id):
    with pytest.raises(Refused):
        activate()
    create()
    with pytest.raises(Refused):
        create()
    for call in (
        lambda: dkim_keys.create(master, 4711, "ed25519", ACTOR),
        lambda: dkim_keys.activate(4711, ACTOR),
        lambda: dkim_keys.retire(domain_id, "m209901a", ACTOR),
    ):
        with pytest.raises(NotFound):
            as_owner(call)


@pytest.mark.parametrize("state", ["next", "active"])
def test_the_table_holds_one_key_of_a_kind(create, activate, superuser, state):
    create()
    if state == "active":
        activate()
    with pytest.raises(IntegrityError, match=f"dkim_key_one_{state}"):
        superuser.execute(
            text(
                "INSERT INTO dkim_key (domain_id, selector, algorithm, public_key, wrapped, state, activated_at)"
                " SELECT domain_id, 'm200001a', algorithm, public_key, wrapped, state, activated_at FROM dkim_key"
            )
        )


def test_a_domain_that_begins_gets_both_keys_once(as_owner, master, domain_id, states):
    assert as_owner(dkim_keys.unsigned_domains) == [DOMAIN]
    for _ in range(2):
        as_owner(lambda: dkim_keys.ensure(master, domain_id, ACTOR))
    assert [state for _selector, state, _private in states()] == ["active", "active"]
    signing = as_owner(lambda: dkim_keys.signing(master, DOMAIN))
    assert [one.algorithm for one in signing] == ["rsa", "ed25519"]
    assert signing[0].private.key_size == 2048
    assert as_owner(dkim_keys.unsigned_domains) == []


def test_what_happened_is_in_the_audit_log(create, activate, superuser):
    first = create()
    activate()
    second = create()
    activate()
    rows = superuser.execute(
        text("SELECT kind, actor, entry::jsonb -> 'facts' ->> 'selector' FROM audit_event ORDER BY number")
    )
    assert [tuple(row) for row in rows] == [
        ("dkim_key.created", ACTOR, first),
        ("dkim_key.activated", ACTOR, first),
        ("dkim_key.created", ACTOR, second),
        ("dkim_key.retired", ACTOR, first),
        ("dkim_key.activated", ACTOR, second),
    ]


# --- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(database, environment):
    """`mtumail keys dkim …` as the owner; the result."""

    def run(*arguments, code=0):
        urls = {
            "DATABASE_URL": database.urls["owner"],
            "MTUMAIL_MASTER_KEY": environment["MTUMAIL_MASTER_KEY"],
        }
        why = () if arguments[0] == "list" else ("--reason", "ticket 12")
        result = CliRunner().invoke(cli.cli, ["keys", "dkim", *arguments, *why], env=urls)
        if code == 0:
            assert result.exit_code == 0, result.output
        return result

    return run


def strings(line):
    """The strings of a zone-file record."""
    found = re.fullmatch(r"(\S+)\. IN TXT \( ((?:\"[^\"]*\" ?)+)\)", line)
    return found[1], re.findall(r'"([^"]*)"', found[2])


def test_the_command_prints_records_to_publish(command, domain_id, states, superuser):
    lines = command("create", DOMAIN).output.splitlines()
    assert [(selector, state) for selector, state, _ in states()] == [
        (f"{month()}a", "next"),
        (f"{month()}b", "next"),
    ]
    assert len(lines) == 4
    for plain, zoned, letter, kind in ((*lines[:2], "a", "rsa"), (*lines[2:], "b", "ed25519")):
        owner, _, record = plain.partition(" TXT ")
        assert owner == f"{month()}{letter}._domainkey.{DOMAIN}"
        assert record.startswith(f"v=DKIM1; k={kind}; t=s; p=")
        name, parts = strings(zoned)
        assert (name, "".join(parts)) == (owner, record)
        assert max(map(len, parts)) <= 255
    assert len(strings(lines[1])[1]) == 2, "an RSA key does not fit into one string"
    assert (
        command("activate", DOMAIN, "--unpublished").output
        == f"{DOMAIN} signs with {month()}a and {month()}b\n"
    )
    shown = command("list", "--records").output
    assert all(line in shown for line in lines)
    assert superuser.execute(text("SELECT count(*) FROM audit_event WHERE actor LIKE 'cli:_%'")).scalar() == 6


def test_the_command_retires_and_warns(command, domain_id):
    command("create", DOMAIN, "--algorithm", "ed25519")
    command("activate", DOMAIN, "--unpublished")
    selector = f"{month()}a"
    assert f"{DOMAIN} {selector} ed25519 active since 2" in command("list", DOMAIN).output
    told = command("retire", DOMAIN, selector).output
    until = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"
    assert f"keep its record in DNS until {until}" in told
    result = command("list")
    assert f"retired since {datetime.now(UTC):%Y-%m-%d}" in result.output
    assert f"{DOMAIN} has no active key" in result.stderr
    assert "out of DNS now" in command("retire", DOMAIN, selector, "--leaked").output


def test_the_command_says_what_is_not_there(command, domain_id):
    assert "nowhere.test is not hosted here" in command("create", "nowhere.test", code=1).output
    assert "has no key m209901a" in command("retire", DOMAIN, "m209901a", code=1).output
    assert isinstance(command("activate", DOMAIN, code=1).exception, Refused)


@pytest.mark.parametrize("which", ["none", "one", "another", "both"])
def test_the_command_activates_what_dns_has(command, domain_id, states, monkeypatch, which):
    records = dict(
        line.split(" TXT ") for line in command("create", DOMAIN).output.splitlines() if " TXT v=" in line
    )
    first, second = records
    zone = {
        "none": {},
        "one": {first: records[first]},
        "another": {first: records[first], second: records[first]},
        "both": {name: record.replace(" ", "") + ";" for name, record in records.items()},
    }[which]
    asked = []

    class Resolver:
        def __init__(self, servers):
            assert servers == ()

        def __call__(self, name, kind, seconds):
            asked.append((name, kind))
            return Answer(Status.FOUND, (zone[name],)) if name in zone else NXDOMAIN

    monkeypatch.setattr("inbound.authentication.resolver.DnsResolver", Resolver)
    result = command("activate", DOMAIN, code=1)
    assert asked == [(second, "TXT"), (first, "TXT")]
    if which == "both":
        assert result.exit_code == 0
        assert {state for _, state, _ in states()} == {"active"}
    else:
        assert result.exit_code == 1
        assert ("none" in which) == (first in result.output)
        assert second in result.output
        assert {state for _, state, _ in states()} == {"next"}
