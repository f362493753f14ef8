"""The first run: files for each process, made once and never again; roles, database, tables and the first domain."""

import base64
import shlex
import stat

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from webmail import cli, config, provision
from webmail.config import Settings
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
    monkeypatch.setattr("webmail.commands.init._host", lambda wanted, url: asked.append(("host", url)))
    for name in [one for one in config.os.environ if one.startswith(("MTUMAIL_", "CLERK_"))]:
        monkeypatch.delenv(name)
    return asked


def _init(folder, **more):
    given = {**ANSWERS, "--database": "postgresql://postgres@127.0.0.1/postgres", **more}
    arguments = [word for name, value in given.items() if value is not None for word in (name, value)]
    return CliRunner().invoke(cli.cli, ["init", "--yes", "--dir", str(folder), *arguments])


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
    done = _init(tmp_path, **{"--contact": "other@example.com"})
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


@pytest.mark.parametrize("name", ["--origin", "--database", "--clerk-secret-key"])
def test_yes_asks_nothing(server, tmp_path, name):
    done = _init(tmp_path, **{name: None})
    assert done.exit_code == 2
    assert f"{name} is needed" in done.output


def test_it_asks_for_what_was_not_told(server, tmp_path):
    lines = [ANSWERS[name] for name in ANSWERS] + ["postgresql://postgres@127.0.0.1/postgres"]
    done = CliRunner().invoke(cli.cli, ["init", "--dir", str(tmp_path)], input="\n".join(lines) + "\n")
    assert done.exit_code == 0, done.output
    assert ANSWERS["--clerk-secret-key"] not in done.output
    assert (tmp_path / "web.env").exists()


def test_it_says_what_is_left_to_do(server, tmp_path):
    told = _init(tmp_path).output
    for step in (
        "mtumail keys dkim create example.com",
        "mtumail doctor",
        "mtumail invite",
        "mtumail role grant",
    ):
        assert step in told


def test_a_domain_is_hosted_in_a_real_database(database, empty, tmp_path, superuser):
    from webmail.commands.init import Wanted, _host

    for _ in range(2):
        _host(Wanted(tmp_path, {"domain": "Bücher.example"}), database.urls["owner"])
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
