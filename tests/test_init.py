"""The first run: files for each process, made once and never again; roles, database, tables and the first domain."""

import base64
import shlex
import stat

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from webmail import checkup, cli, config, provision
from webmail.checkup import findings, outside, servers
from webmail.commands import first
from webmail.config import Settings
from webmail.identity.clerk.backend import BackendClient
from webmail.keys import read_master_keys

KEY = base64.b64encode(b"clerk.example.com$").decode()
ANSWERS = {
    "--origin": "https://mail.example.com",
    "--hostname": "mx.example.com",
    "--domain": "example.com",
    "--contact": "privacy@example.com",
    "--relay": "smtp+starttls://ann:se%20cret@smtp.relay.example:587",
    "--redis": "redis://127.0.0.1:6379/0",
    "--clerk-publishable-key": f"pk_live_{KEY}",
    "--clerk-secret-key": "sk_live_abcdefghijklmnop",
}


@pytest.fixture
def server(monkeypatch):
    """Stands for Postgres' roles and tables, which belong to all tests: what was asked of it, in order."""
    asked = []

    def make(admin, passwords, database="mtumail"):
        asked.append(("provision", admin, dict(passwords)))
        return {
            role.removeprefix("mtumail_"): f"postgresql+psycopg://{role}:{word}@127.0.0.1/mtumail"
            for role, word in passwords.items()
        }

    monkeypatch.setattr(provision, "provision", make)
    monkeypatch.setattr(provision, "migrate", lambda url, target="head": asked.append(("migrate", url)))
    monkeypatch.setattr(
        "webmail.commands.init._host",
        lambda wanted: (
            asked.append(("host", wanted.answers.get("domain"))) if wanted.answers.get("domain") else None
        ),
    )
    for name in [one for one in config.os.environ if one.startswith(("MTUMAIL_", "CLERK_"))]:
        monkeypatch.delenv(name)
    return asked


def _init(folder, **more):
    given = {**ANSWERS, "--database": "postgresql://postgres@127.0.0.1/postgres", **more}
    arguments = [word for name, value in given.items() if value is not None for word in (name, value)]
    return CliRunner().invoke(cli.cli, ["init", "--yes", "--offline", "--dir", str(folder), *arguments])


def _environment(file) -> dict[str, str]:
    lines = (line.partition("=") for line in file.read_text().splitlines())
    return {name: "".join(shlex.split(value)) for name, _, value in lines}


def test_each_process_gets_its_own_file_that_others_cannot_read(server, tmp_path):
    done = _init(tmp_path / "etc")
    assert done.exit_code == 0, done.output
    files = {file.name: file for file in (tmp_path / "etc").iterdir()}
    assert set(files) == {"master.key", "web.env", "worker.env", "inbound.env", "owner.env"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o700
    assert len(read_master_keys(files["master.key"])) == 1
    for part in ("web", "worker", "inbound", "owner"):
        settings = Settings.from_environment(_environment(files[f"{part}.env"]))
        assert make_url(settings.database_url).username == f"mtumail_{part}"
        assert settings.environment == "production"


def test_inbound_gets_nothing_that_opens_mail(server, tmp_path):
    _init(tmp_path)
    told = _environment(tmp_path / "inbound.env")
    assert not any(name.startswith(("MTUMAIL_MASTER_KEY", "CLERK_")) for name in told)
    assert "MTUMAIL_RELAY_URL" not in told


def test_it_may_be_repeated_and_replaces_nothing(server, tmp_path):
    _init(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = _init(tmp_path)
    assert done.exit_code == 0, done.output
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert done.output.count("kept ") == len(before)
    first, second = (passwords for what, *_, passwords in server if what == "provision")
    assert first == second  # or the processes that run could not sign in again


def test_the_administrators_address_is_written_down_nowhere(server, tmp_path):
    done = _init(tmp_path, **{"--database": "postgresql://postgres:admins-word@127.0.0.1/postgres"})
    assert "admins-word" not in done.output
    assert not any(b"admins-word" in file.read_bytes() for file in tmp_path.iterdir())


def test_no_secret_is_printed(server, tmp_path):
    done = _init(tmp_path)
    told = _environment(tmp_path / "web.env")
    for secret in (
        told["CLERK_SECRET_KEY"],
        told["MTUMAIL_METRICS_TOKEN"],
        "se%20cret",
        server[0][2]["mtumail_web"],
    ):
        assert secret not in done.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("--origin", "http://mail.example.com"),
        ("--hostname", "not a name"),
        ("--domain", "not a domain"),
        ("--relay", "http://relay"),
        ("--redis", "http://redis"),
        ("--clerk-publishable-key", "pk_test_" + KEY),
        ("--clerk-secret-key", "sk_test_abcdefghijklmnop"),
    ],
)
def test_what_the_processes_would_refuse_is_refused_before_anything_is_made(server, tmp_path, name, value):
    done = _init(tmp_path / "etc", **{name: value})
    assert done.exit_code != 0
    assert not (tmp_path / "etc").exists()
    assert server == []


def _again(folder, *arguments):
    return CliRunner().invoke(cli.cli, ["init", "--yes", "--offline", "--dir", str(folder), *arguments])


def test_a_second_run_asks_nothing_and_changes_what_it_is_told_alone(server, tmp_path):
    _init(tmp_path)
    web = tmp_path / "web.env"
    web.write_text(f"# ours\n{web.read_text()}MTUMAIL_WEB_THREADS=8\n")
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    server.clear()
    done = _again(tmp_path, "--contact", "other@example.com")
    assert done.exit_code == 0, done.output
    after = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert after == before | {
        "web.env": before["web.env"].replace("privacy@example.com", "other@example.com")
    }
    assert stat.S_IMODE(web.stat().st_mode) == 0o600
    assert server == []  # roles and tables are made by whoever may: that address was not given again
    assert done.output.endswith("systemctl restart mtumail@web\n")


def test_what_is_told_later_is_added(server, tmp_path):
    _init(tmp_path)
    done = _again(tmp_path, "--tls-certificate", "/etc/ssl/mx pem", "--tls-key", "/etc/ssl/mx.key")
    assert done.exit_code == 0, done.output
    told = _environment(tmp_path / "inbound.env")
    assert (told["MTUMAIL_TLS_CERTIFICATE"], told["MTUMAIL_TLS_KEY"]) == (
        "/etc/ssl/mx pem",
        "/etc/ssl/mx.key",
    )
    assert "MTUMAIL_TLS_KEY" not in (tmp_path / "web.env").read_text()


def test_a_file_that_was_lost_is_made_again_with_new_rights(server, tmp_path):
    _init(tmp_path)
    (tmp_path / "inbound.env").unlink()
    refused = _again(tmp_path)
    assert refused.exit_code == 2
    assert "is needed" in refused.output  # the database's administrator has to give the role a password
    assert not (tmp_path / "inbound.env").exists()
    assert _init(tmp_path).exit_code == 0
    assert _environment(tmp_path / "inbound.env")["MTUMAIL_HOSTNAME"] == "mx.example.com"


@pytest.mark.parametrize("name", ["--origin", "--database", "--clerk-secret-key"])
def test_yes_asks_nothing(server, tmp_path, name):
    done = _init(tmp_path, **{name: None})
    assert done.exit_code == 2
    assert f"{name} is needed" in done.output


@pytest.fixture
def reached(monkeypatch):
    """Everybody who is asked answers well; returns what they say instead, by the name of the look."""
    told = {"redis": [], "relays": [], "clerk": []}
    monkeypatch.setattr(servers, "redis", lambda settings: told["redis"])
    monkeypatch.setattr(outside, "relays", lambda settings: told["relays"])
    monkeypatch.setattr(outside, "clerk", lambda settings: told["clerk"])
    return told


def _asked(folder, lines):
    return CliRunner().invoke(
        cli.cli, ["init", "--offline", "--dir", str(folder)], input="\n".join(lines) + "\n"
    )


def test_it_asks_for_what_was_not_told(server, reached, tmp_path):
    lines = [ANSWERS[name] for name in ANSWERS] + ["postgresql://postgres@127.0.0.1/postgres"]
    done = _asked(tmp_path, lines)
    assert done.exit_code == 0, done.output
    assert ANSWERS["--clerk-secret-key"] not in done.output
    assert (tmp_path / "web.env").exists()


def test_an_answer_is_looked_at_and_asked_for_again(server, reached, tmp_path):
    reached["redis"] = [findings.bad("redis", "cannot be reached", "start it")]
    lines = [ANSWERS[name] for name in ANSWERS]
    lines.insert(0, "http://mail.example.com")  # refused by its form
    redis = lines.index(ANSWERS["--redis"])
    lines.insert(redis, ANSWERS["--redis"])  # away, and the same once more: it is taken as it is
    done = _asked(tmp_path, [*lines, "postgresql://postgres@127.0.0.1/postgres"])
    assert done.exit_code == 0, done.output
    assert done.output.count("must be https") == 1
    assert done.output.count("redis: cannot be reached\n  -> start it") == 1
    assert _environment(tmp_path / "web.env")["MTUMAIL_ORIGIN"] == "https://mail.example.com"


def test_it_says_what_is_left_to_do(server, tmp_path):
    told = _init(tmp_path).output
    for step in ("mtumail keys dkim create example.com", "mtumail doctor", "--tls-certificate", "--admin"):
        assert step in told


def test_last_it_looks_at_everything_and_says_each_thing_once(server, tmp_path, monkeypatch):
    def everything(settings, *, offline):
        assert offline
        yield findings.ok("settings", "production")
        yield findings.bad("redis", "cannot be reached", "start it")

    monkeypatch.setattr(checkup, "examine", everything)
    told = _init(tmp_path).output
    assert told.count("redis: cannot be reached") == 1
    assert "BAD  web: redis" in told
    assert "     -> start it" in told


# --- the first domain and the first admin, in a real database --------------------------------------------------------------


CLERK_USER = {
    "id": "user_2first00000000", "updated_at": 1, "first_name": "Ada", "last_name": "L", "banned": False,
    "primary_email_address_id": "idn_1",
    "email_addresses": [
        {"id": "idn_1", "email_address": "ada@elsewhere.example", "verification": {"status": "verified"}}
    ],
}  # fmt: skip


@pytest.fixture
def clerk(monkeypatch):
    """What Clerk says of people, by address and by id."""
    known = {"users": [CLERK_USER]}
    monkeypatch.setattr(BackendClient, "find_users", lambda _self, *, email, limit: known["users"])
    monkeypatch.setattr(BackendClient, "user", lambda _self, user_id: known["users"][0])
    return known


@pytest.fixture
def empty_installation(empty, settings, clerk):
    first.host(settings("owner"), "mtumail.test")
    return settings("owner")


def _admins(superuser):
    found = superuser.execute(
        text("SELECT clerk_user_id FROM account_role JOIN account USING (account_id) WHERE role = 'admin'")
    )
    return list(found.scalars())


@pytest.mark.parametrize("who", ["Ada@elsewhere.example", "user_2first00000000"])
def test_P12_the_first_admin_is_made_with_a_mailbox_and_it_is_written_down(
    empty_installation, superuser, who
):
    assert first.make_admin(empty_installation, who, "Ada@mtumail.test").startswith("made ")
    assert _admins(superuser) == ["user_2first00000000"]
    address = superuser.execute(text("SELECT local_part FROM address WHERE is_primary")).scalars().all()
    assert address == ["ada"]
    kinds = superuser.execute(text("SELECT kind FROM audit_event ORDER BY number")).scalars().all()
    assert {"mailbox.created", "cli.used", "role.granted"} <= set(kinds)


def test_P12_there_is_no_second_first_admin(empty_installation, superuser, clerk):
    first.make_admin(empty_installation, "user_2first00000000", "ada@mtumail.test")
    clerk["users"] = [CLERK_USER | {"id": "user_2other00000000"}]
    assert first.make_admin(empty_installation, "user_2other00000000", "eve@mtumail.test").startswith("kept ")
    assert _admins(superuser) == ["user_2first00000000"]
    assert superuser.execute(text("SELECT count(*) FROM mailbox")).scalar_one() == 1


@pytest.mark.parametrize(
    ("changed", "who", "address", "words"),
    [
        ({"banned": True}, "ada@elsewhere.example", "ada@mtumail.test", "knows nobody"),
        ({"primary_email_address_id": "idn_2"}, "ada@elsewhere.example", "ada@mtumail.test", "knows nobody"),
        ({}, "other@elsewhere.example", "ada@mtumail.test", "knows nobody"),
        ({}, "ada@elsewhere.example", "ada@other.test", "not hosted"),
        ({}, "ada@elsewhere.example", "postmaster@mtumail.test", "cannot be had"),
        ({}, "ada@elsewhere.example", "ada", "no address"),
    ],
)
def test_who_is_not_sure_becomes_no_admin(empty_installation, superuser, clerk, changed, who, address, words):
    clerk["users"] = [CLERK_USER | changed]
    with pytest.raises(click.ClickException, match=words):
        first.make_admin(empty_installation, who, address)
    assert _admins(superuser) == []
    assert superuser.execute(text("SELECT count(*) FROM account")).scalar_one() == 0


def test_clerk_that_is_away_makes_no_admin(empty, settings, superuser):
    first.host(settings("owner"), "mtumail.test")
    with pytest.raises(click.ClickException, match="does not tell"):
        first.make_admin(settings("owner"), "user_2first00000000", "ada@mtumail.test")
    assert _admins(superuser) == []


def test_an_admin_is_named_on_both_sides_or_not_at_all(server, tmp_path):
    assert _init(tmp_path / "etc", **{"--admin": "user_2first00000000"}).exit_code == 2
    assert server == []


def test_a_domain_is_hosted_in_a_real_database(settings, empty, superuser):
    for _ in range(2):
        first.host(settings("owner"), "xn--bcher-kva.example")
    assert superuser.execute(text("SELECT name FROM domain")).scalars().all() == ["xn--bcher-kva.example"]


def test_roles_are_asked_for_by_name(database, postgres, tmp_path):
    """The passwords that a file knows are those that the server is given again: whoever is signed in stays so."""
    from webmail.commands.init import _known

    file = tmp_path / "web.env"
    file.write_text(f"DATABASE_URL={shlex.quote(database.urls['web'])}\nBROKEN='\nMTUMAIL_CONTACT=x\n")
    assert _known(tmp_path, provision.WEB) == "for-tests-only"
    assert _known(tmp_path, provision.WORKER) == ""
    engine = create_engine(database.urls["web"], poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == provision.WEB
    engine.dispose()
