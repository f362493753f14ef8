"""Ways out of a list, as far as they can be pressed safely."""

import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from webmail.mail.mime import parse
from webmail.mail.unsubscribe import Mailto, Offer, offer

URL = "https://l.example/u?x=1"
POST = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")


def offered(*values: str, post: bool = False, covers: bool = False) -> Offer:
    return offer([("List-Unsubscribe", value) for value in values] + [POST] * post, covers)


def test_nothing_is_offered_by_mail_that_offers_nothing():
    assert offer([("From", "a@example.org")]) == Offer()
    assert not offered("")
    assert offered(f"<{URL}>")


# --- RFC 8058 ------------------------------------------------------------------------------------------------------------


def test_one_click_needs_both_fields_and_a_signature_over_them():
    assert offered(f"<{URL}>", post=True, covers=True) == Offer(post=URL, page=URL)
    assert offered(f"<{URL}>", post=False, covers=True) == Offer(page=URL)
    assert offered(f"<{URL}>", post=True, covers=False) == Offer(page=URL)


def test_both_names_are_asked_for():
    headers = [("list-unsubscribe", f"<{URL}>"), POST]
    asked: list[str] = []
    assert offer(headers, lambda name: bool(asked.append(name)) or True).post == URL
    assert asked == ["list-unsubscribe", "list-unsubscribe-post"]
    assert not offer(headers, lambda name: name == "list-unsubscribe").post
    assert not offer(headers, lambda name: name == "list-unsubscribe-post").post


@pytest.mark.parametrize(
    ("value", "is_post"),
    [
        ("List-Unsubscribe=One-Click", True),
        (" list-unsubscribe = one-click ", True),
        ("List-Unsubscribe=One-Click; x", False),
        ("One-Click", False),
        ("", False),
        ("List-Unsubscribe=One-Click" + " " * 10_000, False),
    ],
)
def test_the_other_field_has_one_meaning(value, is_post):
    headers = [("List-Unsubscribe", f"<{URL}>"), ("LIST-UNSUBSCRIBE-POST", value)]
    assert bool(offer(headers, True).post) is is_post


def test_a_field_twice_is_no_one_click():
    assert not offered(f"<{URL}>", "<https://evil.example/>", post=True, covers=True).post
    assert not offer([("List-Unsubscribe", f"<{URL}>"), POST, POST], True).post


def test_one_click_is_never_plain_http_nor_mail_nor_without_brackets():
    assert offered("<http://l.example/u>", post=True, covers=True) == Offer(page="http://l.example/u")
    assert not offered("<mailto:u@l.example>", post=True, covers=True).post
    assert offered(URL, post=True, covers=True) == Offer(page=URL)


# --- addresses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "page"),
    [
        ("<http://a.example/1>, <https://b.example/2>", "https://b.example/2"),
        ("<https://a.example/1>,<https://b.example/2>", "https://a.example/1"),
        ("(to leave <https://no.example/>) <https://b.example/2>", "https://b.example/2"),
        ("(a (nested <https://no.example/>) b) <https://b.example/2> (c)", "https://b.example/2"),
        ("<https://b.exa\t mple/2>", "https://b.example/2"),
        ("<https://b.example/(2),3>", "https://b.example/(2),3"),
        ("<<https://b.example/2>>", "https://b.example/2"),
        ("<https://b.example/2", ""),
        ("https://b.example/2>", ""),
        ("https://b.example/2, mailto:x@y.example", "https://b.example/2"),
        ("Visit https://b.example/2 to leave", ""),
        ("<b.example/2>", ""),
        ("<file:///etc/passwd>", ""),
        ("<javascript:alert(1)>", ""),
        ("<https://user:pw@b.example/2>", ""),
        ("<https://127.0.0.1/>", ""),
        ("<https://2130706433/>", ""),
        ("<https://[::1]/>", ""),
        ("<https://[::ffff:10.0.0.1]:8443/>", ""),
        ("<https://localhost/>", ""),
        ("<https://printer/>", ""),
        ("<https://db.internal./>", ""),
        ("<https://8.8.8.8/u>", ""),
        ("<https://b.example/" + "a" * 3000 + ">", ""),
        ("<https://127.0.0.1/>, <https://b.example/2>", "https://b.example/2"),
    ],
)
def test_pages(value, page):
    found = offered(value)
    assert found.page == page


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mailto:u@l.example", Mailto("u@l.example")),
        ("MAILTO:U@L.Example?SUBJECT=stop", Mailto("U@l.example", "stop")),
        (
            "mailto:u@l.example?subject=leave%20it&body=please%0Ago",
            Mailto("u@l.example", "leave it", "please\ngo"),
        ),
        ("mailto:u@l.example?subject=x&bcc=victim@x.example&cc=v@x.example", Mailto("u@l.example", "x")),
        ("mailto:u@l.example?to=victim@x.example", Mailto("u@l.example")),
        ("mailto:?to=u@l.example", Mailto("u@l.example")),
        (
            "mailto:u@l.example?subject=a%0D%0ABcc:%20v@x.example",
            Mailto("u@l.example", "a  Bcc: v@x.example"),
        ),
        ("mailto:u@l.example?subject=a%E2%80%AEb%00c", Mailto("u@l.example", "a b c")),
        ("mailto:u@l.example?In-Reply-To=%3Cx%3E&From=a@b.example", Mailto("u@l.example")),
        ("mailto:u%2Btag@l.example", Mailto("u+tag@l.example")),
        ("mailto:u@l.example#x", Mailto("u@l.example")),
        ("mailto:u@l.example,v@l.example", None),
        ("mailto:u@l.example%2Cv@l.example", None),
        ("mailto:u@l.example%0D%0ABcc:v@l.example", None),
        ("mailto:u@localhost", None),
        ("mailto:u@[127.0.0.1]", None),
        ("mailto:", None),
        ("mailto:nobody", None),
        ("mailto:%3Cu@l.example%3E", None),
    ],
)
def test_messages(value, expected):
    found = offered(f"<{value}>")
    assert found.mailto == expected
    assert (found.post, found.page) == ("", "")


def test_the_first_usable_of_each_kind_counts_over_all_fields():
    found = offered(
        "<mailto:bad>, <ftp://x.example/>",
        "<mailto:u@l.example>, <http://l.example/>",
        "<https://l.example/>",
    )
    assert found == Offer(mailto=Mailto("u@l.example"), page="https://l.example/")


# --- lists ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Talk about things <talk.Lists.example.org>", ("talk.lists.example.org", "Talk about things")),
        ('"Talk" <talk.example.org>', ("talk.example.org", "Talk")),
        ("<talk.example.org>", ("talk.example.org", "")),
        ("talk.example.org", ("talk.example.org", "")),
        ("=?utf-8?q?Gespr=C3=A4ch?= <talk.example.org>", ("talk.example.org", "Gespräch")),
        ("a <b@c> <talk.example.org> (x)", ("talk.example.org", "a <b@c>")),
        ("Talk <not an id>", ("", "Talk")),
        ("Only a name", ("", "")),
        ("", ("", "")),
        ("<" * 5000, ("", "")),
    ],
)
def test_the_lists_name(value, expected):
    found = offer([("List-Id", value)])
    assert (found.list_id, found.list_name) == expected


# --- hostile -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "((x",
        "<",
        "<>",
        "<a,",
        "(<",
        "\\(",
        ",",
        "<mailto:a@b.example?",
        "<https://",
        "&subject=",
        " <",
        "%0d%0a",
    ],
)
def test_hostile_fields_are_linear(piece):
    start = time.process_time()
    for value in (
        piece * 200_000,
        "<" + piece * 100_000 + ">",
        "<mailto:a@b.example?" + piece * 100_000 + ">",
    ):
        offer([("List-Unsubscribe", value), ("List-Id", value), ("List-Unsubscribe-Post", value)] * 50, True)
    assert time.process_time() - start < 2


# --- other people's mail -------------------------------------------------------------------------------------------------


def flagged(corpora: Path) -> list[tuple[str, bytes]]:
    rows = [
        json.loads(line) for line in (corpora / "INDEX.jsonl").read_text("utf-8").splitlines() if line.strip()
    ]
    names = [f"{row['set']}/{row['file']}" for row in rows if "list-unsubscribe" in row.get("flags", ())]
    return [(name, (corpora / name).read_bytes()) for name in names]


@pytest.mark.corpora
def test_every_message_that_offers_a_way_out(corpora):
    """What a plain reading of the raw field finds is what is offered, and nothing is pressed without a signature."""
    mails = flagged(corpora)
    assert len(mails) > 40
    refused = set()
    for name, raw in mails:
        found = offer([(header.name, header.value) for header in parse(raw).headers])
        field = re.search(rb"(?im)^list-unsubscribe:((?:.*\r?\n[ \t])*.*)", raw)
        assert field, name
        text = b"".join(field[1].split()).decode("latin-1")
        pages = re.findall(r"<(https?:[^>]*)>", text)
        mails_to = re.findall(r"<mailto:([^?>]*)", text)
        in_top = field.start() < raw.replace(b"\r\n", b"\n").find(b"\n\n") or bool(found)
        assert not found.post, name
        if not in_top:
            continue
        assert (found.page in pages) if found.page else not pages, name
        assert bool(found.mailto) == bool(mails_to), name
        assert found.mailto is None or found.mailto.to == mails_to[0], name
        if not found:
            refused.add(name)
    assert refused == {"mime-generated/list-unsub-7.eml"}


@pytest.mark.corpora
def test_the_generated_attacks(corpora):
    def read(number: int) -> Offer:
        raw = (corpora / f"mime-generated/list-unsub-{number}.eml").read_bytes()
        return offer([(header.name, header.value) for header in parse(raw).headers], True)

    assert read(0) == Offer(post=URL, page=URL)
    assert read(3) == Offer(mailto=Mailto("u@l.example", "x"))
    assert read(7) == Offer()


@pytest.mark.corpora
def test_addresses_of_private_networks_are_not_offered(corpora):
    """Those that say so themselves; names that resolve to one are for whoever asks."""
    rows = [json.loads(line) for line in (corpora / "ssrf-urls/rows.jsonl").read_text("utf-8").splitlines()]
    blocked = {row["url"] for row in rows if row["expect"].startswith("blocked")}
    assert len(blocked) > 25
    let_in = {urlsplit(offered(f"<{url}>").page).hostname or "" for url in blocked}
    assert let_in - {""} == {
        "127-0-0-1.nip.io", "169.254.169.254.nip.io", "7f000001.nip.io", "example.org", "redirect.example",
    }  # fmt: skip
