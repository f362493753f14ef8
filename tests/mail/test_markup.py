"""A little formatting: what each mark becomes, what stays as it was typed, and that nothing dangerous can leave."""

import html
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail import sanitize
from webmail.mail.markup import MAX_DEPTH, pictures, to_html


def one(text: str) -> str:
    """What one paragraph becomes, without its element."""
    found = re.fullmatch(r'<p dir="auto">(.*)</p>', to_html(text), re.DOTALL)
    assert found, to_html(text)
    return found[1]


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ("a **bold** word", "a <strong>bold</strong> word"),
        ("an *italic* word", "an <em>italic</em> word"),
        ("an _italic_ word", "an <em>italic</em> word"),
        ("***both***", "<strong><em>both</em></strong>"),
        ("**a *b* c**", "<strong>a <em>b</em> c</strong>"),
        ("*a **b** c*", "<em>a <strong>b</strong> c</em>"),
        ("这是**重要**的", "这是<strong>重要</strong>的"),
        ("**two\nlines**", "<strong>two<br>\nlines</strong>"),
        ("`a*b*c`", "<code>a*b*c</code>"),
        ("[words](https://example.org/a)", '<a href="https://example.org/a">words</a>'),
        ("[a](https://example.org/w_(b))", '<a href="https://example.org/w_(b)">a</a>'),
        ("[mail](mailto:a@example.org)", '<a href="mailto:a@example.org">mail</a>'),
        (
            "(see https://example.org/x_y_z).",
            '(see <a href="https://example.org/x_y_z">https://example.org/x_y_z</a>).',
        ),
        ("[Größe](https://bücher.example/)", '<a href="https://xn--bcher-kva.example/">Größe</a>'),
        (r"\*no\* \`code\`", "*no* `code`"),
        ("a & b < c", "a &amp; b &lt; c"),
    ],
)
def test_marks(typed, made):
    assert one(typed) == made


@pytest.mark.parametrize(
    "typed",
    [
        "2*3*4", "a * b * c", "file_name_here", "__init__", "** a **", "**open", "*open", "_open", "`open", "snake_case_",
        "[a](javascript:alert(1))", "[a](data:text/html,x)", "[a](//example.org)", "[a](/settings)", "[a]()", "![a](unknown.png)",
        "**a*b**c*d", "# no heading", "1.no list", "-no list", "5 - 3", "****", "~~no~~",
    ],
)  # fmt: skip
def test_what_is_no_mark_stays_as_it_was_typed(typed):
    assert re.sub("</?(?:strong|em)>", "", one(typed)).count("<") == 0
    if "**a*b" not in typed:
        assert one(typed) == typed


def test_blocks():
    typed = (
        "Dear all,\nsecond line\n\n- one\n- two **x**\n  goes on\n  - inner\n  1. other kind\n- three\n\n3. third\n4) fourth\n\n"
        "> said\n> > before\n\n```\n<b>as *it* is</b>\n  indented\n```\n-- \nAnn"
    )
    assert to_html(typed) == (
        '<p dir="auto">Dear all,<br>\nsecond line</p>\n'
        '<ul>\n<li dir="auto">one</li>\n<li dir="auto">two <strong>x</strong><br>\ngoes on\n'
        '<ul>\n<li dir="auto">inner</li>\n</ul>\n<ol>\n<li dir="auto">other kind</li>\n</ol>\n</li>\n'
        '<li dir="auto">three</li>\n</ul>\n'
        '<ol start="3">\n<li dir="auto">third</li>\n<li dir="auto">fourth</li>\n</ol>\n'
        '<blockquote dir="auto">\n<p dir="auto">said</p>\n<blockquote dir="auto">\n<p dir="auto">before</p>\n</blockquote>\n</blockquote>\n'
        '<pre dir="auto">&lt;b&gt;as *it* is&lt;/b&gt;\n  indented</pre>\n'
        '<p dir="auto">--<br>\nAnn</p>'
    )


def test_pictures_are_shown_only_if_they_come_along():
    typed = '![a "well"](well.png) ![b](other.png) ![c](https://example.org/x.png)'
    assert pictures(typed) == {"well.png", "other.png", "https://example.org/x.png"}
    made = to_html(typed, {"well.png": "cid:1@mtumail.test"})
    assert made.count("<img") == 1
    assert '<img src="cid:1@mtumail.test" alt="a &quot;well&quot;">' in made
    assert "![b](other.png)" in made


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '[x](https://e.example/"onmouseover="alert(1))',
    "[x](jav\tascript:alert(1))", "[x](&#106;avascript:alert(1))", '![" onload="x](a.png)', "`</code><script>`", "```\n</pre><script>\n```",
    "> <iframe src=//e.example>", "- <style>*{}</style>", "**<b onclick=x>**", "<!-- x -->", "</p></body>", "\0<script>", "[<b>](https://e.example)",
    "https://e.example/<script>", "https://e.example/'onx='y", "[a](vbscript:x)", "[a](cid:1@x)", "![a](cid:1@x)",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE)
def test_html_that_is_typed_is_text(typed):
    made = to_html(typed, {"a.png": "cid:1@x"})
    for tag in re.findall(r"<[^>]*>", made):
        allowed = r'</?(?:p|em|strong|code|pre|blockquote|ul|ol|li|br)(?: dir="auto")?>|</a>|<a href="https://e\.example/[^"<>]*">'
        assert re.fullmatch(allowed + r'|<img src="cid:1@x" alt="[^"<>]*">', tag), tag
    assert isinstance(sanitize.safely("reading", made), sanitize.Reading)


@given(st.text(alphabet="*_`[]()!>-1. \nab<&\\https:/", max_size=200))
@settings(max_examples=300, deadline=None)
def test_every_letter_comes_out_again(typed):
    """Marks may go, words never do; an address behind words is in the link."""
    made = to_html(typed)
    shown = html.unescape(re.sub(r"<[^>]*>", "", made))
    in_links = html.unescape(" ".join(re.findall(r'href="([^"]*)"', made)))
    for letter in "ab":
        assert shown.count(letter) <= typed.count(letter) <= shown.count(letter) + in_links.count(letter)


@pytest.mark.parametrize(
    "pattern",
    ["[a](x", "*a ", "`", "> ", "[", "**a*b_", "- a\n", "https://a", "![a](", "***", ">\n```\n", "\\", "[a]((", "(https://x.org/"],
)  # fmt: skip
def test_time_grows_with_the_text_and_no_faster(pattern):
    def spent(count: int) -> float:
        began = time.process_time()
        to_html(pattern * count)
        return time.process_time() - began

    spent(200)
    few, many = (min(spent(count) for _ in range(3)) for count in (2_000, 16_000))
    assert many < max(few * 24, 0.5)


def test_depth_has_an_end():
    assert to_html("> " * 100 + "x").count("<blockquote") == MAX_DEPTH
    nested = "\n".join(f"{' ' * depth}- {depth}" for depth in range(0, 40, 2))
    assert to_html(nested).count("<ul>") <= MAX_DEPTH
