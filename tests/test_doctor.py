"""The doctor: each thing is broken once, and what it says names the thing and the way to mend it."""

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import dns.message
import dns.rcode
import dns.rrset
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail import checkup, cli, config, provision, work
from webmail.checkup import database, findings, local, outside, servers
from webmail.config import Settings
from webmail.db import transaction
from webmail.settings import dkim_keys, domains


def _states(found, what: str) -> list[str]:
    return [one.state for one in found if one.what == what]


def _only(found) -> findings.Finding:
    [one] = list(found)
    return one


@pytest.fixture
def port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- on this machine -----------------------------------------------------------------------------------------------------


def test_a_master_key_is_there_and_nobody_elses(tmp_path):
    path = tmp_path / "master.key"
    settings = Settings(master_key_file=path)
    assert _only(local.master_key(settings)).state == "bad"
    path.write_bytes(base64.b64encode(bytes(32)))
    path.chmod(0o644)
    told = _only(local.master_key(settings))
    assert (told.state, "chmod 600" in told.words) == ("bad", True)
    path.chmod(0o600)
    assert _only(local.master_key(settings)).state == "ok"
    path.write_bytes(base64.b64encode(bytes(31)))
    assert _only(local.master_key(settings)).state == "bad"


def test_inbound_needs_no_master_key_and_is_told_when_it_has_one():
    url = f"postgresql+psycopg://{provision.INBOUND}@db/mtumail"
    assert _only(local.master_key(Settings(database_url=url))).state == "ok"
    found = list(local.master_key(Settings(database_url=url, master_keys=(bytes(32),))))
    assert [one.state for one in found] == ["ok", "warn"]


def test_a_data_folder_can_be_written_to(tmp_path, monkeypatch):
    assert _only(local.data_folder(Settings(data_dir=tmp_path))).state == "ok"
    assert _only(local.data_folder(Settings(data_dir=tmp_path / "none"))).state == "bad"
    monkeypatch.setattr(local, "FREE", 10**18)
    assert _only(local.data_folder(Settings(data_dir=tmp_path))).state == "warn"
    assert list(local.data_folder(Settings())) == []


@pytest.fixture
def certified(tmp_path, self_signed) -> Settings:
    whole, key = self_signed("mx.example.com")
    (tmp_path / "mx.pem").write_bytes(whole)
    (tmp_path / "mx.key").write_bytes(key)
    (tmp_path / "mx.key").chmod(0o600)
    return Settings(
        tls_certificate=tmp_path / "mx.pem", tls_key=tmp_path / "mx.key", host_name="mx.example.com"
    )


def test_a_certificate_fits_its_key_its_name_and_the_time(certified, self_signed, monkeypatch):
    assert _only(local.certificate(certified)).state == "ok"
    assert (
        "mx.example.org" in list(local.certificate(replace(certified, host_name="mx.example.org")))[1].words
    )
    monkeypatch.setattr(local, "ENDS_SOON", timedelta(days=40))
    assert _only(local.certificate(certified)).state == "warn"
    monkeypatch.setattr(local, "ENDS_NOW", timedelta(days=35))
    assert _only(local.certificate(certified)).state == "bad"
    certified.tls_key.write_bytes(self_signed("mx.example.com")[1])
    assert "with its key" in _only(local.certificate(certified)).words
    certified.tls_key.unlink()
    assert _only(local.certificate(certified)).state == "bad"


def test_a_key_that_everybody_reads_is_told(certified):
    certified.tls_key.chmod(0o604)
    assert [one.state for one in local.certificate(certified)] == ["ok", "bad"]


def test_inbound_without_tls_is_told_in_production_alone():
    assert _only(local.certificate(Settings(host_name="mx.example.com"))).state == "warn"
    assert list(local.certificate(Settings(host_name="mx.example.com", environment="test"))) == []


def test_a_proxy_is_trusted_and_nobody_else():
    settings = Settings(origin="https://mail.example.com")
    assert "MTUMAIL_TRUSTED_PROXIES" in _only(local.proxy(settings)).mend
    assert list(local.proxy(replace(settings, trusted_proxies=1))) == []
    assert (
        _only(local.proxy(replace(settings, trusted_proxies=1, http_listen=("0.0.0.0", 80)))).state == "warn"
    )


def test_an_address_is_free_or_ours_or_somebody_elses(port):
    settings = Settings(origin="http://mail.localhost", http_listen=("127.0.0.1", port))
    assert _only(local.listening(settings)).words.endswith("is free")
    smtp = Settings(host_name="mx.example.com", smtp_listen=(("127.0.0.1", port),))
    with _says(port, b"220 mx.example.com ready\r\n"):
        assert _only(local.listening(smtp)).words.endswith("answers")
        assert _only(local.listening(settings)).state == "bad"
    assert _only(local.listening(replace(smtp, smtp_listen=(("192.0.2.1", 25),)))).state == "bad"


def test_no_process_is_asked_for_what_is_anothers():
    """Workers know the origin too, as Clerk's keys belong to it; their role in the database says that they are workers."""
    told = Settings(
        origin="https://mail.example.com", host_name="mx.example.com", smtp_listen=(("192.0.2.1", 25),),
        database_url=f"postgresql+psycopg://{provision.WORKER}@db/mtumail",
    )  # fmt: skip
    for look in (local.proxy, local.certificate, local.listening):
        assert list(look(told)) == []
        assert list(look(replace(told, database_url="")))
    owner = replace(told, database_url=f"postgresql+psycopg://{provision.OWNER}@db/mtumail")
    assert list(servers.redis(owner)) == []


class _says:
    """Somebody who listens at a port, and says one thing to everybody."""

    def __init__(self, port: int, words: bytes) -> None:
        self.server = socket.create_server(("127.0.0.1", port))
        self.words = words
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.words)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_args: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


# --- servers -------------------------------------------------------------------------------------------------------------


def test_redis_answers_or_is_missed(valkey, port):
    assert _only(servers.redis(Settings(redis_url=valkey))).state == "ok"
    assert _only(servers.redis(Settings())).state == "bad"
    assert "cannot be reached" in _only(servers.redis(Settings(redis_url=f"redis://127.0.0.1:{port}"))).words


def test_redis_that_forgets_or_is_old_is_told(valkey, monkeypatch):
    old = {"redis_version": "6.0.16", "maxmemory_policy": "allkeys-lru"}
    monkeypatch.setattr(servers.Redis, "info", lambda _self: old)
    found = list(servers.redis(Settings(redis_url=valkey)))
    assert _states(found, "redis version") == ["bad"]
    assert _states(found, "redis memory") == ["warn"]


def test_a_database_without_a_schema_is_told(postgres, port):
    found = list(database.look(Settings(database_url=_driver(postgres.admin_url))))
    assert "mtumail migrate" in next(one.mend for one in found if one.what == "schema")
    assert _states(found, "database role") == ["bad"]  # the superuser, who passes by every wall
    away = Settings(database_url=f"postgresql+psycopg://nobody@127.0.0.1:{port}/x")
    assert _only(database.look(away)).words.startswith("cannot be reached")
    assert _only(database.look(Settings())).state == "bad"


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_a_database_of_a_later_version_is_told(settings, empty, superuser):
    [now] = superuser.execute(text("SELECT version_num FROM alembic_version")).scalars()
    superuser.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        found = list(database.look(settings("web")))
    finally:
        superuser.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": now})
    assert "newer" in next(one.words for one in found if one.what == "schema")


@pytest.mark.parametrize("role", ["owner", "web", "worker", "inbound"])
def test_a_database_that_is_well_is_well_to_every_role(settings, empty, role):
    found = list(database.look(settings(role)))
    assert [one.what for one in found if one.state != "ok"] == ["fsync"]  # the tests' own
    assert {"database", "schema", "dkim", "full_page_writes"} <= {one.what for one in found}


def test_durability_is_asked_for_by_name(settings, empty):
    told = next(one for one in database.look(settings("web")) if one.what == "fsync")
    assert (told.state, told.mend) == ("bad", "ALTER SYSTEM SET fsync = 'on'; and reload")


def test_a_domain_that_does_not_sign_is_told(settings, owner_app, empty):
    with owner_app.app_context(), transaction():
        domain_id = domains.host("example.com")
    told = next(one for one in database.look(settings("web")) if one.what == "dkim")
    assert (told.state, "keys dkim create example.com" in told.mend) == ("bad", True)
    with owner_app.app_context(), transaction():
        selector = dkim_keys.create(owner_app.extensions["master_keys"], domain_id, "rsa", "system:tests")
        dkim_keys.activate(domain_id, "system:tests", [selector])
    assert _states(database.look(settings("web")), "dkim") == ["ok"]


def test_clocks_that_differ_are_told(settings, empty, monkeypatch):
    from time import time

    monkeypatch.setattr(database, "time", lambda: time() - 60)
    assert _states(database.look(settings("web")), "clock") == ["bad"]


def test_work_that_nobody_takes_is_told(settings, ann, owner_app, superuser):
    with owner_app.app_context(), transaction():
        work.add(work.FILE, ann.mailbox_id, 1, timedelta(seconds=-900))
        work.add(work.SEND, ann.mailbox_id, 2)
    told = next(one for one in database.look(settings("worker")) if one.what == "queue")
    assert (told.state, "(file)" in told.words) == ("bad", True)
    assert _states(database.look(settings("inbound")), "queue") == []  # which may not look
    superuser.execute(text("UPDATE work SET parked_at = now() WHERE kind = 'file'"))
    found = [one for one in database.look(settings("worker")) if one.what == "queue"]
    assert [one.state for one in found] == ["ok", "warn"]


def test_schedules_that_stand_or_fail_are_told(settings, empty, superuser):
    superuser.execute(
        text("UPDATE schedule SET next_at = now() - interval '2 hours' WHERE code = 'retention'")
    )
    superuser.execute(text("UPDATE schedule SET outcome = 'failed' WHERE code = 'emptying'"))
    found = [one for one in database.look(settings("worker")) if one.what == "schedules"]
    assert [(one.state, one.words.split(": ")[1]) for one in found] == [
        ("bad", "retention"),
        ("warn", "emptying"),
    ]


# --- others --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(settings) -> Settings:
    return settings("web")


def _clerk(web: Settings, **more: str) -> Settings:
    return replace(web, clerk={**web.clerk, **more})


def test_keys_of_clerk_that_do_not_fit_are_told(web):
    told = _only(outside.clerk(_clerk(web, CLERK_SECRET_KEY="sk_live_aaaaaaaaaaaaaaaa")))
    assert (told.state, "different instances" in told.words) == ("bad", True)
    assert (
        "development instance"
        in _only(outside.clerk(replace(web, environment="production", origin="https://x.y"))).words
    )
    assert list(outside.clerk(Settings())) == []


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "ok", "takes our key"),
        (b"HTTP/1.0 401 No\r\nContent-Length: 2\r\n\r\n{}", "bad", "refuses our secret key"),
        (b"HTTP/1.0 500 No\r\nContent-Length: 0\r\n\r\n", "bad", "does not answer"),
    ],
)
def test_clerk_is_asked_whether_it_takes_our_key(web, port, answer, state, words):
    at = f"http://127.0.0.1:{port}"
    with _http(port, answer):
        found = list(outside.clerk(_clerk(web, CLERK_API_URL=at, CLERK_FAPI_URL=at)))
    assert (found[0].state, words in found[0].words) == (state, True)
    assert _states(found, "clerk sign in") == ([] if state != "bad" or b"401" in answer else ["bad"])


class _http(_says):
    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(self.words)


def test_without_webhooks_a_ban_is_slow_and_told(web):
    found = list(outside.clerk(_clerk(web, CLERK_WEBHOOK_SIGNING_SECRET="")))
    assert _states(found, "clerk webhooks") == ["warn"]
    assert _states(found, "clerk") == ["bad"]  # port 9 of this host


def test_a_relay_is_spoken_to_and_nothing_is_sent(port):
    settings = Settings(relay_url=f"smtp://127.0.0.1:{port}")
    assert "could not connect" in _only(outside.relays(settings)).words
    with _says(port, b"220 relay\r\n250 relay\r\n"):
        told = _only(outside.relays(settings))
    assert (told.state, told.words.split(" ", 1)[1]) == ("ok", "takes mail without a sign-in")
    assert list(outside.relays(Settings())) == []
    assert _only(outside.relays(Settings(relay_url="nonsense"))).state == "bad"


def test_a_relay_without_tls_is_told_and_given_no_password(port):
    settings = Settings(relay_url=f"smtp+starttls://ann:secret-word@127.0.0.1:{port}")
    with _says(port, b"220 relay\r\n250 relay\r\n"):
        told = _only(outside.relays(settings))
    assert (told.state, "no STARTTLS" in told.words) == ("bad", True)
    assert "secret-word" not in str(told)


Zone = dict[tuple[str, str], list[str]]
GOOD: Zone = {
    ("mx.example.com.", "A"): ["192.0.2.25"],
    ("25.2.0.192.in-addr.arpa.", "PTR"): ["mx.example.com."],
    ("example.com.", "MX"): ["10 mx.example.com."],
    ("example.com.", "TXT"): ['"v=spf1 -all"', '"other"'],
    ("_dmarc.example.com.", "TXT"): ['"v=DMARC1; p=reject"'],
}


@pytest.fixture
def zone() -> Iterator[Callable[[Zone], tuple[str, int]]]:
    """A name server on loopback that knows these records; its address."""
    sockets = []

    def start(records: Zone) -> tuple[str, int]:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        sockets.append(server)
        threading.Thread(target=_serve, args=(server, records), daemon=True).start()
        return server.getsockname()

    yield start
    for server in sockets:
        server.close()


def _serve(server: socket.socket, records: Zone) -> None:
    while True:
        try:
            asked, who = server.recvfrom(4096)
        except OSError:
            return
        if not asked:
            return
        query = dns.message.from_wire(asked)
        question = query.question[0]
        answer = dns.message.make_response(query)
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        found = records.get((name, kind))
        if found:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        server.sendto(answer.to_wire(), who)


def _looked(zone, database_url: str, **gone: list[str]) -> list[findings.Finding]:
    kinds = {"A": ("mx.example.com.", "A"), "PTR": ("25.2.0.192.in-addr.arpa.", "PTR"), "MX": ("example.com.", "MX"),
             "SPF": ("example.com.", "TXT"), "DMARC": ("_dmarc.example.com.", "TXT")}  # fmt: skip
    records = GOOD | {kinds[kind]: values for kind, values in gone.items()}
    settings = Settings(host_name="mx.example.com", database_url=database_url, dns_servers=(zone(records),))
    return list(outside.names(settings))


@pytest.fixture
def hosted(settings, owner_app, empty) -> str:
    with owner_app.app_context(), transaction():
        domains.host("example.com")
    return settings("web").database_url


def test_names_that_are_published_are_well(zone, hosted):
    assert [(one.what, one.state) for one in _looked(zone, hosted)] == [("dns", "ok"), ("mx", "ok")]


@pytest.mark.parametrize(
    ("gone", "what", "state", "mend"),
    [
        ({"A": []}, "dns", "bad", "A and AAAA"),
        ({"PTR": ["other.example."]}, "dns", "warn", "reverse"),
        ({"MX": []}, "mx", "bad", "example.com. MX 10 mx.example.com."),
        ({"MX": ["10 elsewhere.example."]}, "mx", "bad", "MX 10"),
        ({"SPF": []}, "spf", "warn", "v=spf1"),
        ({"SPF": ['"v=spf1 -all"', '"v=spf1 mx -all"']}, "spf", "warn", "v=spf1"),
        ({"DMARC": []}, "dmarc", "warn", "_dmarc.example.com."),
    ],
)
def test_names_that_are_not_published_are_told(zone, hosted, gone, what, state, mend):
    told = next(one for one in _looked(zone, hosted, **gone) if one.what == what)
    assert (told.state, mend in told.mend) == (state, True)


def test_a_resolver_that_is_silent_is_told(port, hosted, monkeypatch):
    monkeypatch.setattr(outside, "_SECONDS", 0.2)
    settings = Settings(host_name="mx.example.com", database_url=hosted, dns_servers=(("127.0.0.1", port),))
    assert _only(outside.names(settings)).words == "no resolver answers"


# --- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """An environment with nothing of ours in it."""
    for name in [
        one for one in config.os.environ if one.startswith(("MTUMAIL_", "CLERK_", "DATABASE_", "REDIS_"))
    ]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_a_setting_with_a_typing_error_is_told(alone):
    alone.setenv("MTUMAIL_ORIGN", "https://mail.example.com")
    alone.setenv("MTUMAIL_PASSWORD_OWNER", "x")
    [told] = [one for one in checkup.run(offline=True) if one.what == "setting"]
    assert (told.state, told.mend) == ("warn", "did you mean MTUMAIL_ORIGIN?")


def test_machines_are_told_in_json(alone):
    done = CliRunner().invoke(cli.cli, ["doctor", "--json", "--offline"])
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {frozenset(one) for one in told} == {frozenset({"what", "state", "words", "mend"})}
    assert {one["what"] for one in told if one["state"] == "bad"} == {"master key", "database", "redis"}


def test_people_are_told_what_to_do_and_only_what_matters_if_they_like(alone):
    done = CliRunner().invoke(cli.cli, ["doctor", "--quiet", "--offline"])
    lines = done.stdout.splitlines()
    assert [line[:4] for line in lines[::2]] == ["BAD "] * 3
    assert all(line.startswith("     -> ") for line in lines[1::2])
    assert len(lines) < 24


def test_offline_asks_nobody(alone):
    for name in ("clerk", "relays", "names"):
        alone.setattr(outside, name, lambda _settings: pytest.fail("asked"))
    assert checkup.run(offline=True)


def test_what_is_well_ends_with_0(alone, database, environment, empty, superuser, tmp_path):
    alone.setattr(checkup.database, "_DURABLE", {})
    for name, value in (environment | {"DATABASE_URL": database.urls["worker"]}).items():
        if not name.startswith(("CLERK_", "MTUMAIL_ORIGIN")):
            alone.setenv(name, value)
    done = CliRunner().invoke(cli.cli, ["doctor", "--offline"])
    assert (done.exit_code, "BAD" in done.stdout) == (0, False)


def test_no_secret_is_ever_told(database, environment):
    """Nothing that was given as a secret comes back, however wrong all else is."""
    secrets = {
        "DATABASE_URL": "postgresql://mtumail_web:pass-word-one@127.0.0.1:1/x",
        "REDIS_URL": "redis://:pass-word-two@127.0.0.1:1/0",
        "MTUMAIL_RELAY_URL": "smtps://ann:pass-word-three@127.0.0.1:1",
        "CLERK_SECRET_KEY": "sk_test_password4",
    }
    done = subprocess.run(
        [sys.executable, "-m", "webmail.cli", "doctor"],
        env={"PATH": "/usr/bin"} | environment | secrets, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for secret in ("pass-word", "password4"):
        assert secret not in done.stdout + done.stderr
