"""Plain text as HTML: escaped first, linked by tokens, nothing invisible left."""

import time

import pytest

from webmail.mail.sanitize import plain, plain_reading

REL = ' rel="noopener noreferrer nofollow ugc"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
        ("one\ntwo\n\nthree", "<p>one<br>two</p>\n<p>three</p>"),
        (
            "> said\n>> before\nnow",
            "<blockquote><p>said</p>\n<blockquote><p>before</p>\n</blockquote></blockquote><p>now</p>",
        ),
        ("  x   y", "<p>&nbsp;&nbsp;x&nbsp;&nbsp; y</p>"),
        (
            "see https://a.example/b_(c).",
            f'<p>see <a href="https://a.example/b_(c)"{REL}>https://a.example/b_(c)</a>.</p>',
        ),
        ("(www.a.example)", f'<p>(<a href="http://www.a.example/"{REL}>www.a.example</a>)</p>'),
        ("<ann@a.example>", f'<p>&lt;<a href="mailto:ann@a.example"{REL}>ann@a.example</a>&gt;</p>'),
        ("javascript:alert(1)", "<p>javascript:alert(1)</p>"),
        ("a\x1b[31mb\x00c\u202ed", "<p>a\u241b[31mb\u2400c\u27e6RLO\u27e7d</p>"),
        ("x\ud800y", "<p>x\ufffdy</p>"),
        ("", ""),
    ],
)
def test_plain(text, html):
    assert plain(text).strip() == html


@pytest.mark.parametrize(
    "text",
    ["a@b.example?]<img/src=x/onerror=alert(1)>", "[<script>]:##str_replacement_0## https://x.example/<b>"],
)
def test_link_tricks_stay_text(text):
    html = plain(text)
    assert "<img" not in html
    assert "<script" not in html
    assert "<b>" not in html


def test_short_links_are_numbered():
    result = plain_reading("https://a.example/ and https://b.example/", link_prefix="l/")
    assert 'href="l/2"' in result.html
    assert [link.url for link in result.links] == ["https://a.example/", "https://b.example/"]


def test_quotes_are_capped():
    assert plain(">" * 500 + " x").count("<blockquote>") == 8


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "@",
        "a@",
        "http://",
        "http://a",
        "www.",
        "> ",
        "\t",
        " ",
        "(",
        ")",
        "a@b.",
        "<",
        "x\n",
        "\n",
        "[http://a](",
        "\u202e",
    ],
)
def test_linear(piece):
    def cost(size: int) -> float:
        text = (piece * size)[:size]
        began = time.process_time()
        plain(text)
        return time.process_time() - began

    cost(1000)
    assert cost(200_000) < 2.5
