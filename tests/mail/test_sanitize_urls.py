"""Addresses as a browser reads them."""

import pytest

from webmail.mail.sanitize import urls


@pytest.mark.parametrize(
    ("source", "url", "host"),
    [
        (" HTTPS:\\\\Example.ORG:443\\a/../b?q#f", "https://example.org/b?q#f", "example.org"),
        ("http:///x.example", "http://x.example/", "x.example"),
        ("ht\ntp://a.example/\tb", "http://a.example/b", "a.example"),
        ("http://bank.example@evil.example/", "http://evil.example/", "evil.example"),
        ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://2130706433", "http://127.0.0.1/", "127.0.0.1"),
        ("http://[::FFFF:1]/", "http://[::ffff:1]/", "[::ffff:1]"),
        (
            "http://b\u00fccher.example/\u00fc?\u00fc",
            "http://xn--bcher-kva.example/%C3%BC?%C3%BC",
            "b\u00fccher.example",
        ),
        (
            "http://\u0430\u0440\u0440\u04cf\u0435.example/",
            "http://xn--80ak6aa92e.example/",
            "xn--80ak6aa92e.example",
        ),
        ("http://p\u0430ypal.example/", "http://xn--pypal-4ve.example/", "xn--pypal-4ve.example"),
        ("http://\u65e5\u672c.example/", "http://xn--wgv71a.example/", "\u65e5\u672c.example"),
        ("http://a%2Eexample/", "http://a.example/", "a.example"),
        ('http://a.example/"><script>', "http://a.example/%22%3E%3Cscript%3E", "a.example"),
        (
            "mailto:Ann@a.example?bcc=x@y.example&subject=Hi%0d%0aX&attach=/etc",
            "mailto:Ann@a.example?subject=Hi%20X",
            "Ann@a.example",
        ),
        ("mailto:a@b.example,c@d.example", "mailto:a@b.example,c@d.example", "a@b.example, c@d.example"),
    ],
)
def test_canonical(source, url, host):
    address = urls.canonical(source)
    assert address is not None
    assert (address.url, address.host) == (url, host)
    assert urls.canonical(url).url == url


@pytest.mark.parametrize(
    "source",
    ["", "x", "//a.example", "javascript:alert(1)", "http:", "http://", "http://%00/", "http://a b/", "http://a:99999/", "http://a:x/",
     "http://256.1.1.1.1/", "http://1.2.3.999/", "http://[::1/", "mailto:x", "mailto:<a@b>", "http://a<b/", "http://a%20b/", "http://..", "http://" + "a" * 300],
)  # fmt: skip
def test_refused(source):
    assert urls.canonical(source) is None
