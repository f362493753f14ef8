"""The pure parts: names, cookies, addresses."""

from __future__ import annotations

import pytest

from webmail.embedded.clerk import directives, names
from webmail.embedded.people import DEMO_PEOPLE

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"
ANN = next(person for person in DEMO_PEOPLE if person.username == "ann")
BEN = next(person for person in DEMO_PEOPLE if person.username == "ben")
SAM = next(person for person in DEMO_PEOPLE if person.username == "sam")


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "naoXFJnI"),
        ("pk_test_aGFwcHktY2F0LTEyLmNsZXJrLmFjY291bnRzLmRldiQ", "XbPsHh4i"),
        ("pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ=", "qReyu04C"),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "QvfNY2dr"),
    ],
)
def test_cookie_suffixes_are_those_of_the_real_sdk(key: str, suffix: str) -> None:
    assert names.cookie_suffix(key) == suffix


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://mail.localhost:8000", "clerk.localhost:1"),
        ("http://localhost:8000", "clerk.localhost:1"),
        ("http://127.0.0.1:8000", "clerk.localhost:1"),
        ("http://mail.demo.localhost", "clerk.demo.localhost:1"),
        ("https://example.test", "clerk.example.test:1"),
        ("https://mail.example.test", "clerk.example.test:1"),
    ],
)
def test_the_fapi_host_follows_from_the_origin(origin: str, host: str) -> None:
    assert names.describe("development", origin, 1).host == host


@pytest.mark.parametrize(
    "origin", ["mail.localhost", "ftp://x", "http://", "http://mail.localhost/", "http://m.localhost/x"]
)
def test_origins_that_are_none(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        names.describe("development", origin, 1)


def test_a_parameter_goes_before_the_fragment_and_leaves_the_rest_alone() -> None:
    assert directives.with_parameter("http://a/b", "k", "v") == "http://a/b?k=v"
    assert directives.with_parameter("http://a/b?x=%2F&y=+#f?g", "k", "v") == "http://a/b?x=%2F&y=+&k=v#f?g"


def test_cookies_are_secure_where_the_app_is_https() -> None:
    instance = names.describe("development", "https://mail.localhost", 1)
    lines = directives.signed_in(instance, token="t", refresh="r", signed_in_at=1, db_jwt="d", suffixed=True)
    assert all("; Secure" in line for line in lines)
    refresh_line = next(line for line in lines if line.startswith("__refresh_"))
    assert "; HttpOnly" in refresh_line
    assert not any("HttpOnly" in line for line in lines if line.startswith("__session"))


def test_production_needs_a_domain_that_takes_cookies() -> None:
    with pytest.raises(ValueError, match="domain for cookies"):
        names.describe("production", "http://mail.localhost:8000", 1)
    assert names.describe("production", "http://mail.demo.localhost:8000", 1).domain == "demo.localhost"
