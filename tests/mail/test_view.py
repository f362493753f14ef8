"""One reading of a message: body, links, pictures, files and results, whatever it is; and the same again from JSON."""

import json

import pytest

from webmail.mail import view
from webmail.mail.view import (
    Built,
    View,
    build,
    layout_from_json,
    layout_to_json,
    view_from_json,
    view_to_json,
)

BLOCK = (
    "Return-Path: <z@example.org>\r\nAuthentication-Results: mail.example.net;\r\n\tspf=pass smtp.mailfrom=example.org;\r\n"
    "\tdkim=pass header.d=example.org header.s=k header.b=abcdefgh;\r\n\tdmarc=pass header.from=example.org policy.by-dkim=example.org\r\n"
    "Received: from mx.example.org ([192.0.2.7])\r\n\tby mail.example.net with ESMTPS id 1;\r\n\tMon, 23 Nov 2026 00:00:00 +0000\r\n"
    "DKIM-Signature: v=1; d=example.org; s=k; h=from:list-unsubscribe:list-unsubscribe-post; b=abcdefgh12345\r\n"
)
LIST = (
    "List-Id: Openmaps <dev.openmaps.example>\r\nList-Unsubscribe: <https://lists.example/u>, <mailto:leave@lists.example>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


def letter(body: str, kind: str = "html", head: str = "", subject: str = "Hello") -> bytes:
    return (
        f"{head}From: Zoe <zoe@example.org>\r\nTo: Ann <ann@mtumail.test>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/{kind}; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


def mixed(*parts: str, kind: str = "mixed") -> bytes:
    body = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f"From: z@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary=b\r\n\r\n{body}--b--\r\n".encode()


def html_of(built: Built) -> str:
    return "".join(piece.html for piece in built.view.pieces)


def test_plain_text_is_read_and_has_no_layout():
    built = build(letter("Is the <pump> ready?\r\nYours", "plain"), 1)
    assert built.layout is None
    assert not built.view.laid_out
    assert "&lt;pump&gt;" in html_of(built)
    assert built.view.snippet.startswith("Is the <pump> ready?")
    assert (built.view.sender, built.view.to) == (("Zoe", "zoe@example.org"), (("Ann", "ann@mtumail.test"),))


def test_links_are_numbered_from_one_or_written_out():
    raw = letter('<p><a href="https://a.example/x">one</a> <a href="https://b.example/y">two</a>')
    short, full = build(raw, 1), build(raw, 1, full_links=True)
    assert short.view.links == ("https://a.example/x", "https://b.example/y")
    assert "https://a.example" not in html_of(short)
    assert "/l/1" in html_of(short)
    assert (full.view.links, full.view.full_links) == ((), True)
    assert 'href="https://a.example/x"' in html_of(full)
    assert short.view.link_facts == full.view.link_facts


def test_what_misleads_is_told_and_the_rest_once_a_host():
    many = "".join(f'<a href="https://calm.example/{n}">page {n}</a> ' for n in range(50))
    lie = '<a href="https://evil.example/">https://bank.example/</a>'
    facts = build(letter(f"<p>{many}{lie}"), 1).view.link_facts
    assert [fact.host for fact in facts] == ["evil.example", "calm.example"]
    assert [fact.mismatch for fact in facts] == [True, False]


def test_no_more_facts_are_kept_than_are_of_use():
    hosts = "".join(f'<a href="https://h{n}.example/">x</a> ' for n in range(90))
    odd = '<a href="https://192.0.2.7/">x</a> <a href="https://xn--80ak6aa92e.example/">y</a>'
    facts = build(letter(f"<p>{hosts}{odd}"), 1).view.link_facts
    assert len(facts) == view.MAX_LINK_FACTS
    assert [fact.host for fact in facts[:3]] == ["192.0.2.7", "xn--80ak6aa92e.example", "h0.example"]


def test_history_is_a_piece_of_its_own_but_not_in_what_was_passed_on():
    body = "new words\r\n\r\nOn Monday, 2 March 2026 at 10:00, Zoe <z@example.org> wrote:\r\n> old words\r\n"
    pieces = build(letter(body, "plain"), 1).view.pieces
    assert [piece.quoted for piece in pieces] == [False, True]
    assert "old words" in pieces[1].html
    for subject in ("Fwd: x", "FW: x", "WG: x", "Tr : x", "VB: x", "转发：x"):
        assert not any(piece.quoted for piece in build(letter(body, "plain", subject=subject), 1).view.pieces)


def test_pictures_elsewhere_are_counted_and_let_in_by_number():
    raw = letter(
        '<p>x<img src="https://p.example/1.png" width=300><img src="https://p.example/2.png" width=300>'
    )
    built = build(raw, 1)
    assert built.layout is not None
    assert built.view.remote_images == 2
    assert [url for _number, url in built.layout.images] == [
        "https://p.example/1.png",
        "https://p.example/2.png",
    ]
    assert "p.example" not in built.layout.html
    let_in = view.pictured(raw)
    assert let_in is not None
    for number, _url in built.layout.images:
        assert f'src="r/{number}"' in let_in
    assert "p.example" not in let_in


def test_trackers_are_named_and_are_no_pictures():
    built = build(letter('<p>x<img src="https://open.tracker.example/p.gif" width=1 height=1>'), 1)
    assert built.view.trackers == ("open.tracker.example",)
    assert built.view.remote_images == 0


def test_pictures_that_came_along_are_shown_from_the_message():
    related = mixed(
        'Content-Type: text/html\r\n\r\n<p><img src="cid:a@x"><img src="cid:gone@x">',
        "Content-Type: image/png\r\nContent-ID: <a@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=",
        kind="related",
    )
    layout = build(related, 1).layout
    assert layout is not None
    assert layout.html.count('src="i/') == 1


def test_several_bodies_are_read_in_order_and_number_no_links():
    raw = mixed(
        *(f'Content-Type: text/html\r\n\r\n<p><a href="https://{n}.example/">part {n}</a>' for n in "ab")
    )
    built = build(raw, 1)
    text = html_of(built)
    assert text.index("part a") < text.index("part b")
    assert built.view.links == ()
    assert 'href="https://a.example/"' in text


def test_an_empty_layout_gives_way_to_the_text():
    raw = mixed(
        "Content-Type: text/plain\r\n\r\nthe words",
        "Content-Type: text/html\r\n\r\n<img src=x>",
        kind="alternative",
    )
    assert "the words" in html_of(build(raw, 1))


def test_what_cannot_be_cleaned_is_shown_as_text_and_says_why():
    built = build(letter("<div>" * 60_000 + "deep words"), 1)
    assert built.view.refused
    assert built.layout is None
    assert "<div" not in html_of(built)


@pytest.mark.parametrize("covered", [True, False])
def test_one_click_is_offered_only_where_a_signature_covers_it(covered):
    head = BLOCK if covered else BLOCK.replace("list-unsubscribe:", "")
    offer = build(letter("x", "plain", head + LIST), 1).view.offer
    assert offer is not None
    assert offer.post == ("https://lists.example/u" if covered else "")
    assert (offer.page, offer.mailto.to) == ("https://lists.example/u", "leave@lists.example")
    assert (offer.list_id, offer.list_name) == ("dev.openmaps.example", "Openmaps")


def test_results_below_a_strangers_field_are_not_ours():
    assert build(letter("x", "plain", BLOCK), 1).view.authentication.dmarc == "pass"
    assert build(letter("x", "plain", "X-A: 1\r\n" + BLOCK), 1).view.authentication is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0",
        b"\r\n\r\n",
        b"Subject",
        b"\xff" * 5000,
        b"A: " + b"x" * 100_000,
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--",
    ],
)
def test_anything_is_read(raw):
    built = build(raw, 1)
    assert view_from_json(view_to_json(built.view)) == built.view


@pytest.mark.parametrize(
    "raw",
    [
        letter("x", "plain", BLOCK + LIST),
        letter('<p>\ud83d<a href="https://evil.example/">https://bank.example/</a><img src="https://p.example/1.png" width=300>'.encode("utf-8", "replace").decode()),
        mixed("Content-Type: text/plain\r\n\r\nx", 'Content-Type: application/pdf; name="\u202ea.pdf"\r\nContent-Disposition: attachment\r\n\r\n%PDF'),
    ],
)  # fmt: skip
def test_what_is_kept_is_what_was_read(raw):
    built = build(raw, 1)
    assert view_from_json(view_to_json(built.view)) == built.view
    if built.layout is not None:
        assert layout_from_json(layout_to_json(built.layout)) == built.layout


def test_what_is_as_it_mostly_is_costs_nothing():
    assert json.loads(view_to_json(View())) == {}
