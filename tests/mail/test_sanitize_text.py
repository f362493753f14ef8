"""Plain text as HTML: escaped first, linked by tokens, nothing invisible left."""

import re
import time
from html import escape

import pytest

from webmail.mail.sanitize import plain, plain_reading
from webmail.mail.text import unflow

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


@pytest.mark.parametrize(
    "text",
    [
        "+----+----+\n| a  | b  |\n+----+----+",
        "Name      Size     Date\nfoo.txt   12       1 Sep\nbar.txt   9999     2 Sep",
        " /\\_/\\\n( o.o )\n > ^ <",
        "┌───┐\n│ a │\n└───┘",
        "def f(x):\n    if (x):\n        return 1;\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old\n+new <b>",
    ],
)
def test_drawings_tables_and_code_keep_their_columns(text):
    html = plain(text)
    assert html == "<pre>" + escape(text.rstrip(), quote=False) + "</pre>\n"


def test_a_quoted_table_stays_one():
    assert plain("> | a | b |\n> +---+---+\n> | c | d |").startswith(
        "<blockquote><pre>| a | b |\n+---+---+\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "A sentence.  Two spaces.\nAnother line here.",
        "- item one\n- item two\n  continued",
        "Dear Ann,\n   indented\n   second line",
        "https://a.example/x\nhttps://b.example/y",
        "one line   with a gap",
        "Hello :-)\nBye ;-)",
    ],
)
def test_prose_is_not_drawn(text):
    assert "<pre>" not in plain(text)


def test_links_work_in_drawings():
    html = plain("a      https://a.example/x\nbb     https://a.example/y")
    assert html.startswith(f'<pre>a      <a href="https://a.example/x"{REL}>')


@pytest.mark.parametrize(
    "text", ["שלום <world>\nمرحبا", "hello שלום 123", "👩‍👩‍👧 👍🏽 🇩🇪", "日本語の文章、です。", "e\u0301 ﬁ ẞ"]
)
def test_scripts_and_emoji_are_left_as_written(text):
    assert plain(text) == "<p>" + escape(text, quote=False).replace("\n", "<br>") + "</p>\n"


def test_a_link_ends_before_wide_punctuation_and_takes_its_script():
    result = plain_reading("見て https://例え.jp/ア。")
    assert result.links[0].url == "https://xn--r8jz45g.jp/%E3%82%A2"
    assert result.html.endswith("</a>。</p>\n")


@pytest.mark.parametrize("text", ["word " * 20_000, "x" * 100_000, "https://a.example/" + "y" * 100_000])
def test_one_line_of_100_kilobytes(text):
    began = time.process_time()
    html = plain(text)
    assert time.process_time() - began < 0.5
    assert len(re.sub(r"<[^>]*>", "", html).strip()) == len(text.rstrip())


@pytest.mark.parametrize(
    ("flowed", "delsp", "html"),
    [
        ("one \ntwo\n\nthree", False, "<p>one two</p>\n<p>three</p>\n"),
        ("日本 \n語", True, "<p>日本語</p>\n"),
        ("> a \n> b\nc", False, "<blockquote><p>a b</p>\n</blockquote><p>c</p>\n"),
        (" > no quote", False, "<p>&nbsp;&gt; no quote</p>\n"),
        ("a\n-- \nb", False, "<p>a<br>--<br>b</p>\n"),
        (
            "see https://a.example/ \nnow",
            False,
            f'<p>see <a href="https://a.example/"{REL}>https://a.example/</a> now</p>\n',
        ),
    ],
)
def test_flowed_text_is_joined(flowed, delsp, html):
    assert plain(unflow(flowed, delsp)) == html
