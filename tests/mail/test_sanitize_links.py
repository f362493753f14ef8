"""What people are told of a link before they follow it, and addresses in full where they are asked for."""

import re

import pytest

from webmail.mail.sanitize import formatted, plain_reading, reading, urls


def link(markup: str):
    return reading(markup).links[0]


@pytest.mark.parametrize(
    ("markup", "misleads", "is_plain"),
    [
        ('<a href="https://a.example/x">Read on</a>', False, True),
        ('<a href="https://www.a.example/x">a.example</a>', False, True),
        ('<a href="https://evil.example/">www.bank.example</a>', True, True),
        ('<a href="https://evil.example/">https://bank.example/login</a>', True, True),
        ('<a href="mailto:x@evil.example">info@bank.example</a>', True, True),
        ('<a href="https://bank.example@evil.example/">Log in</a>', True, True),
        ('<a href="https://bank.example@evil.example/">bank.example</a>', True, True),
        ('<a href="https://b\u0430nk.example/">Log in</a>', False, False),
        ('<a href="https://192.0.2.7/login">Log in</a>', False, False),
        ('<a href="http://0xC0000207/">Log in</a>', False, False),
        ('<a href="http://[2001:db8::1]/">Log in</a>', False, False),
        ('<a href="https://a.example:8443/">Log in</a>', False, True),
        ('<a href="https://bit.ly/abc">Log in</a>', False, True),
        ('<a href="https://b\u00fccher.example/">B\u00fccher</a>', False, True),
        ('<a href="https://a.example/">report.pdf</a>', False, True),
    ],
)
def test_what_a_link_says_of_itself(markup, misleads, is_plain):
    found = link(markup)
    assert found.mismatch == misleads
    assert urls.is_plain(found.host) == is_plain


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


def test_a_long_host_is_never_cut():
    host = ".".join(["login"] * 20) + ".evil.example"
    assert f">https://{host}/\u2026</a>" in plain_reading(f"https://{host}/x/y", link_prefix="l/").html
