"""Settings: each nonsense is refused with the setting's name and a good example; what is good comes out typed."""

import base64
import os
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from webmail import config
from webmail.config import Settings
from webmail.errors import SettingError

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()
BY_NAME = {item.metadata["name"]: item for item in fields(Settings)}


def read(**env: str) -> Settings:
    return Settings.from_environment(env)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MTUMAIL_ENV", "prod"),
        ("MTUMAIL_ENV", "Production"),
        ("MTUMAIL_ORIGIN", "mail.example.com"),
        ("MTUMAIL_ORIGIN", "ftp://mail.example.com"),
        ("MTUMAIL_ORIGIN", "https://mail.example.com/mail"),
        ("MTUMAIL_ORIGIN", "https://mail.example.com?x=1"),
        ("MTUMAIL_ORIGIN", "https://"),
        ("MTUMAIL_ORIGIN", "https://[1"),
        ("MTUMAIL_ORIGIN", "http://mail.example.com"),
        ("DATABASE_URL", "mysql://db/mtumail"),
        ("DATABASE_URL", "sqlite:///mtumail.db"),
        ("DATABASE_URL", "db.internal"),
        ("REDIS_URL", "http://127.0.0.1:6379"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("MTUMAIL_MASTER_KEY", "not base64"),
        ("MTUMAIL_MASTER_KEY", base64.b64encode(b"short").decode()),
        ("MTUMAIL_MASTER_KEY", f"{KEY},{base64.b64encode(b'x' * 33).decode()}"),
        ("MTUMAIL_MASTER_KEY", ","),
        ("MTUMAIL_HTTP_LISTEN", "8000"),
        ("MTUMAIL_HTTP_LISTEN", ":8000"),
        ("MTUMAIL_HTTP_LISTEN", "127.0.0.1:http"),
        ("MTUMAIL_HTTP_LISTEN", "127.0.0.1:65536"),
        ("MTUMAIL_HTTP_LISTEN", "127.0.0.1:-1"),
        ("MTUMAIL_WEB_PROCESSES", "0"),
        ("MTUMAIL_WEB_PROCESSES", "65"),
        ("MTUMAIL_WEB_PROCESSES", "two"),
        ("MTUMAIL_WEB_PROCESSES", "2.5"),
        ("MTUMAIL_WEB_THREADS", "-4"),
        ("MTUMAIL_TRUSTED_PROXIES", "6"),
        ("MTUMAIL_SMTP_LISTEN", "0.0.0.0:25,25"),
        ("MTUMAIL_SMTP_HEALTH_LISTEN", "8026"),
        ("MTUMAIL_HOSTNAME", "mx example"),
        ("MTUMAIL_HOSTNAME", "-mx.example.com"),
        ("MTUMAIL_HOSTNAME", "mx.example.com\nX"),
        ("MTUMAIL_MESSAGE_BYTES", "1"),
        ("MTUMAIL_MESSAGE_BYTES", "26 MB"),
        ("MTUMAIL_QUOTA_BYTES", "9" * 16),
        ("MTUMAIL_REGISTRATION", "maybe"),
    ],
)
def test_nonsense_is_refused_by_name(name, text):
    with pytest.raises(SettingError) as refusal:
        read(**{name: text})
    assert refusal.value.name == name
    assert str(refusal.value).startswith(f"{name}: ")
    assert refusal.value.why
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "MTUMAIL_MASTER_KEY"])
def test_a_refusal_never_repeats_a_secret(name):
    with pytest.raises(SettingError) as refusal:
        read(**{name: "mysql://user:hunter2hunter2@db/x"})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"MTUMAIL_TLS_CERTIFICATE": "/mail.pem"}, "MTUMAIL_TLS_KEY"),
        ({"MTUMAIL_TLS_KEY": "/mail.key"}, "MTUMAIL_TLS_KEY"),
        ({"MTUMAIL_MASTER_KEY": KEY, "MTUMAIL_MASTER_KEY_FILE": "/master.key"}, "MTUMAIL_MASTER_KEY"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(env, name):
    with pytest.raises(SettingError) as refusal:
        read(**env)
    assert refusal.value.name == name


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, item in BY_NAME.items()
        if item.metadata["example"] and "…" not in item.metadata["example"]
    ],
)
def test_the_example_of_a_setting_is_a_good_value(name):
    item = BY_NAME[name]
    item.metadata["parse"](item.metadata["example"])


@pytest.mark.parametrize("item", BY_NAME.values(), ids=BY_NAME)
def test_a_setting_is_documented_where_it_is_declared(item):
    assert re.fullmatch(r"MTUMAIL_[A-Z][A-Z0-9_]*|DATABASE_URL|REDIS_URL|CLERK_\*", item.metadata["name"])
    assert item.metadata["help"].endswith(".")
    assert item.metadata["example"] or item.name == "clerk"


def test_an_empty_environment_is_the_defaults_of_production():
    settings = read()
    assert settings.environment == "production"
    assert settings.registration == "closed"
    assert settings.master_keys == ()
    assert settings.clerk == {}
    assert settings.trusted_proxies == 0


def test_a_blank_is_as_good_as_nothing():
    assert read(MTUMAIL_WEB_PROCESSES="  ", MTUMAIL_ORIGIN="") == read()


def test_good_values_come_out_typed():
    settings = read(
        MTUMAIL_ENV="test",
        MTUMAIL_ORIGIN="HTTP://Mail.Localhost:8000/",
        DATABASE_URL="postgres://web:secret@db/mtumail",
        REDIS_URL="unix:///run/valkey.sock",
        MTUMAIL_MASTER_KEY=f"{KEY} {OTHER}",
        MTUMAIL_SMTP_LISTEN="0.0.0.0:25, [::]:25",
        MTUMAIL_HTTP_LISTEN="[::1]:0",
        MTUMAIL_DATA_DIR="/var/lib/mtumail",
        MTUMAIL_HOSTNAME="MX.example.com",
        MTUMAIL_WEB_THREADS="8",
        CLERK_SECRET_KEY="sk_test_x",
        CLERKISH="no",
    )
    assert settings.origin == "http://mail.localhost:8000"
    assert not settings.secure
    assert settings.database_url == "postgresql+psycopg://web:secret@db/mtumail"
    assert settings.master_keys == (bytes(range(32)), bytes(32))
    assert settings.smtp_listen == (("0.0.0.0", 25), ("::", 25))
    assert settings.http_listen == ("::1", 0)
    assert settings.data_dir == Path("/var/lib/mtumail")
    assert settings.host_name == "mx.example.com"
    assert settings.web_threads == 8
    assert settings.clerk == {"CLERK_SECRET_KEY": "sk_test_x"}


def test_production_over_https_is_secure():
    assert read(MTUMAIL_ORIGIN="https://mail.example.com").secure


def test_what_is_required_is_named():
    settings = read(MTUMAIL_ORIGIN="https://mail.example.com")
    settings.require("origin")
    with pytest.raises(SettingError, match=r"DATABASE_URL: is not set \(for example: postgresql://"):
        settings.require("origin", "database_url")


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        read().origin = "https://evil.example"  # type: ignore[misc]


def test_a_process_reads_its_own_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("MTUMAIL_", "CLERK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MTUMAIL_CONTACT", "privacy@example.com")
    assert config.read().contact == "privacy@example.com"
