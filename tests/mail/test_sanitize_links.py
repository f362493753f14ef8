"""What people are told of a link before they follow it, and addresses in full where they are asked for."""

import re

import pytest

from webmail.mail.sanitize import formatted, plain_reading, reading


def link(markup: str):
    return reading(markup).links[0]


@pytest.mark.parametrize(
    ("markup", "warning"),
    [
        ('<a href="https://a.example/x">Read on</a>', ""),
        ('<a href="https://www.a.example/x">a.example</a>', ""),
        ('<a href="https://evil.example/">www.bank.example</a>', "text"),
        ('<a href="https://evil.example/">https://bank.example/login</a>', "text"),
        ('<a href="mailto:x@evil.example">info@bank.example</a>', "text"),
        ('<a href="https://bank.example@evil.example/">Log in</a>', "userinfo"),
        ('<a href="https://bank.example@evil.example/">bank.example</a>', "userinfo"),
        ('<a href="https://b\u0430nk.example/">Log in</a>', "lookalike"),
        ('<a href="https://192.0.2.7/login">Log in</a>', "address"),
        ('<a href="http://0xC0000207/">Log in</a>', "address"),
        ('<a href="http://[2001:db8::1]/">Log in</a>', "address"),
        ('<a href="https://a.example:8443/">Log in</a>', "port"),
        ('<a href="https://bit.ly/abc">Log in</a>', "short"),
        ('<a href="https://b\u00fccher.example/">B\u00fccher</a>', ""),
        ('<a href="https://a.example/">report.pdf</a>', ""),
    ],
)
def test_warning(markup, warning):
    found = link(markup)
    assert found.warning == warning
    assert found.mismatch == (warning in ("text", "userinfo"))


LONG = "https://news.example/" + "a" * 200 + "?utm=" + "b" * 200


@pytest.mark.parametrize("view", [reading, formatted])
def test_full_addresses_when_asked_for(view):
    html = f'<p><a href="{LONG}">one</a> <a href="mailto:a@b.example">two</a> <a href="https://c.example">three</a></p>'
    result = view(html, link_prefix=None)
    assert re.findall(r'href="([^"]*)"', result.html) == [LONG, "mailto:a@b.example", "https://c.example/"]
    assert re.findall(r'href="([^"]*)"', view(html, link_prefix="9/l/").html) == ["9/l/1", "9/l/2", "9/l/3"]
    assert [item.url for item in result.links] == [LONG, "mailto:a@b.example", "https://c.example/"]


def test_text_shows_an_address_as_written_and_a_short_link_its_beginning():
    full = plain_reading(f"see {LONG}", link_prefix=None)
    assert f'href="{LONG}"' in full.html
    assert f">{LONG}</a>" in full.html
    short = plain_reading(f"see {LONG}", link_prefix="l/")
    assert 'href="l/1"' in short.html
    assert f">{LONG[:59]}\u2026</a>" in short.html
    assert short.links[0].url == LONG
    assert short.links[0].warning == ""


def test_a_long_host_is_never_cut():
    host = ".".join(["login"] * 20) + ".evil.example"
    assert f">https://{host}/\u2026</a>" in plain_reading(f"https://{host}/x/y", link_prefix="l/").html
