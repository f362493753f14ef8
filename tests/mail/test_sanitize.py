"""The two views of HTML: what a reader sees of ordinary mail, and what of it is gone."""

import re

import pytest

from webmail.mail.sanitize import FRAME_CSP, Link, document, formatted, reading

PIXEL = '<img src="https://t.example/open?u=1" width="1" height="1">'


def test_reading_keeps_structure_and_drops_presentation():
    html = (
        '<body style="margin:0"><h1 class="x">Title</h1><p style="color:red">A <b>bold</b> &amp; <i>fine</i> word.</p>'
        "<ul><li>one<li>two <code>x</code></ul><ol start=3><li>c</ol><pre>a\n  b</pre><blockquote>said</blockquote><hr><p>end"
    )
    assert reading(html).html == (
        "<h2>Title</h2>\n<p>A <strong>bold</strong> &amp; <em>fine</em> word.</p>\n<ul><li>one</li><li>two <code>x</code></li></ul>\n"
        '<ol start="3"><li>c</li></ol>\n<pre>a\n  b</pre>\n<blockquote><p>said</p></blockquote>\n<hr>\n<p>end</p>'
    )


def test_a_link_prints_short_and_says_its_host():
    result = reading('<p>See <a href="https://www.example.org/a?b=1&amp;c=2">the report</a>.</p>')
    assert result.html == (
        '<p>See <a href="l/1" rel="noopener noreferrer nofollow ugc">the report</a> <small>(www.example.org)</small>.</p>'
    )
    assert result.links == (
        Link(1, "https://www.example.org/a?b=1&c=2", "www.example.org", "the report", mismatch=False),
    )


def test_a_link_that_shows_its_host_needs_no_words():
    assert "<small>" not in reading('<a href="https://www.example.org/x">example.org/x</a>').html


def test_the_same_address_has_one_number():
    result = reading(
        '<a href="http://a.example/">x</a> or <a href="HTTP://A.example:80">y</a> or <a href="http://b.example/">z</a>'
    )
    assert re.findall(r"l/\d", result.html) == ["l/1", "l/1", "l/2"]


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        " java\nscript:alert(1)",
        "javascript:123",
        "data:text/html,x",
        "vbscript:7",
        "file:///etc/passwd",
        "//a.example/",
        "/mail",
        "#top",
        "http://",
        "https://a b/",
        "mailto:",
    ],
)
def test_other_addresses_are_words_only(href):
    result = reading(f'<p><a href="{href}">click</a></p>')
    assert result.html == "<p>click</p>"
    assert result.links == ()


@pytest.mark.parametrize(
    ("href", "text", "mismatch"),
    [
        ("https://evil.example/", "https://bank.example/login", True),
        ("https://evil.example/", "www.bank.example", True),
        ("https://bank.example@evil.example/", "log in", True),
        ("https://www.bank.example/x", "bank.example", False),
        ("https://login.bank.example/x", "bank.example", False),
        ("https://bank.example.evil.example/", "bank.example", True),
        ("https://files.example/r", "report.pdf", False),
        ("https://evil.example/", "Read on", False),
        ("mailto:ann@a.example", "ann@a.example", False),
        ("mailto:eve@evil.example", "ann@bank.example", True),
    ],
)
def test_words_that_name_another_host_are_found(href, text, mismatch):
    (link,) = reading(f'<a href="{href}">{text}</a>').links
    assert link.mismatch is mismatch


def test_layout_tables_become_blocks_and_data_tables_stay():
    layout = "<table width=600><tr><td><table><tr><td><p>One</p></td><td><p>Two long enough to be a block of its own here.</p></td></tr></table></td></tr></table>"
    assert "<table" not in reading(layout).html
    data = "<table><tr><th>Item</th><th>Price</th></tr><tr><td>Seed</td><td>3</td></tr></table>"
    assert reading(data).html == (
        "<table><tbody><tr><th>Item</th><th>Price</th></tr><tr><td>Seed</td><td>3</td></tr></tbody></table>"
    )
    assert (
        "<table"
        not in reading(data.replace("<table", '<table role="presentation"').replace("th>", "td>")).html
    )


def test_a_bar_of_short_cells_reads_as_one_line():
    html = "<table><tr><td><a href='http://a.example/'>Home</a></td><td>Shop</td></tr></table>"
    assert reading(html, link_prefix=None).html.endswith("</small> \u00b7 Shop</p>")


def test_pictures_become_their_words_and_pixels_nothing():
    result = reading(
        f'<p><img src="https://c.example/a.png" alt="A well"> text <img src=s.gif width=1 height=9>{PIXEL}</p>'
    )
    assert result.html == "<p>[A well] text</p>"
    assert (result.images, result.trackers, result.blocked) == (1, ("t.example",), ("c.example",))


def test_hidden_text_is_not_read():
    html = '<div style="display:none">preview &zwnj;&nbsp;&zwnj;&nbsp;</div><p hidden>x</p><p>seen&nbsp;&zwnj;&nbsp; twice</p>'
    assert reading(html).html == "<p>seen twice</p>"


def test_styles_scripts_and_comments_leave_no_text():
    html = "<style>b{color:red}</style><script>alert(1)</script><title>t</title><!-- c --><noscript>n</noscript><svg><text>s</text></svg><p>x"
    assert reading(html).html == "<p>x</p>"
    assert formatted(html).html == "<p>x</p>"


def test_empty_wrappers_and_padding_collapse():
    assert (
        reading(
            "<div><p>&nbsp;</p><div><br><br></div><p>a<br><br><br>b</p></div><h2> </h2><ul><li></ul>"
        ).html
        == "<p>a</p>\n<p>b</p>"
    )


def test_an_own_host_note_is_not_doubled_and_a_false_one_is_text():
    once = reading('<p><b><a href="https://a.example/x">go</a></b> on</p>', link_prefix=None).html
    assert reading(once, link_prefix=None).html == once
    false = reading('<a href="https://evil.example/">go</a> <small>(bank.example)</small>').html
    assert false.index("(evil.example)") < false.index("(bank.example)")
    assert "<small>(bank.example)" not in false


def test_deep_quotes_are_capped():
    html = "<blockquote>" * 30 + "deep" + "</blockquote>" * 30
    assert reading(html).html.count("<blockquote>") < 10


def test_formatted_inlines_sheets_and_keeps_colours():
    html = "<style>.a{color:#f00} @media print{.a{color:blue}} .a:hover{color:green}</style><body bgcolor=#eeeeee><td><p class=a style='margin:0'>x"
    assert (
        formatted(html).html
        == '<div style="background-color:#eeeeee"><p style="color:#ff0000;margin:0">x</p></div>'
    )


def test_formatted_shows_pictures_at_own_addresses_only():
    html = '<img src="cid:a@b" alt=one><img src="https://c.example/x.png" alt="two" width=40 height=30><img src="data:image/png,x" alt=three>'
    closed = formatted(html)
    assert "<img" not in closed.html
    assert "two" in closed.html
    assert "width:40px;height:30px" in closed.html
    assert [image.url for image in closed.images] == ["https://c.example/x.png"]
    opened = formatted(html, cids={"a@b": "/part/2"}, image_prefix="/i/token/")
    assert re.findall(r'src="([^"]*)"', opened.html) == ["/part/2", "/i/token/1"]


def test_trackers_never_get_an_address():
    result = formatted(PIXEL, image_prefix="/i/")
    assert (result.html, result.images, result.trackers) == ("", (), ("t.example",))


def test_formatted_links_open_elsewhere_and_name_their_host():
    html = formatted('<a href="https://a.example/x" target=_top onclick=x()>go</a>').html
    assert (
        html
        == '<a href="l/1" title="a.example" target="_blank" rel="noopener noreferrer nofollow ugc">go</a>'
    )


@pytest.mark.parametrize("clean", [reading, formatted])
def test_any_text_is_survived(clean):
    for text in (
        "",
        "\0\ud800<p>\udfff",
        "<",
        "<a href=",
        "&#xD800;&#0;",
        "<p" * 2000,
        "\u202e<b>x",
        "<!--",
        "<![CDATA[",
        "]]>",
    ):
        assert clean(text).refused is None


def test_the_page_around_the_frame_is_closed_and_complete():
    page = document(formatted("<p>x</p>"), title="<T>", lang="en")
    assert "<title>&lt;T&gt;</title>" in page
    assert "default-src &#x27;none&#x27;" in page
    assert FRAME_CSP.startswith("sandbox ")
    assert "allow-scripts" not in FRAME_CSP
    assert "allow-same-origin" not in FRAME_CSP
