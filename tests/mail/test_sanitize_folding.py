"""What a reply drags along is folded; answers between quotes, forwarded mail and mere quotes are not."""

import email
import email.policy
import os
import re
import time
from html import unescape
from pathlib import Path

import pytest

from webmail.mail.sanitize import plain_reading, reading
from webmail.mail.sanitize.model import from_plain, to_plain

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
QUOTING = CORPORA / "quoting"
HERE = pytest.mark.skipif(
    not QUOTING.exists(), reason=f"test material {QUOTING} is not here (MTUMAIL_CORPORA)"
)
WROTE = "On Tue, 1 Sep 2026 at 10:00, Ann &lt;ann@example.org&gt; wrote:"


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def told(result) -> list[tuple[bool, str]]:
    return [(part.quoted, words(part.html)) for part in result.parts]


def open_text(result) -> str:
    return " ".join(text for quoted, text in told(result) if not quoted)


HTML = {
    "gmail": f'<div>Yes.</div><div class="gmail_quote"><div class="gmail_attr">{WROTE}</div><blockquote class="gmail_quote">old</blockquote></div>',
    "intro in the same paragraph": f"<div>Yes.<br>{WROTE}<blockquote>old</blockquote></div>",
    "thunderbird": '<p>Yes.</p><div class="moz-cite-prefix">Am 01.09.26 um 10:00 schrieb Ann:<br></div><blockquote type="cite">old</blockquote>',
    "outlook on the web": '<div>Yes.</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> Ann</div><div>old</div>',
    "outlook": "<p>Yes.</p><p><b>From:</b> Ann<br><b>Sent:</b> Tue<br><b>To:</b> Ben<br><b>Subject:</b> x</p><p>old</p>",
    "outlook in german": "<p>Yes.</p><p><b>Von:</b> Ann<br><b>Gesendet:</b> Di<br><b>An:</b> Ben<br><b>Betreff:</b> x</p><p>old</p>",
    "outlook field by field": "<p>Yes.</p><p>From: Ann</p><p>Sent: Tue</p><p>To: Ben</p><p>Subject: x</p><p>old</p>",
    "hotmail": '<div>Yes.</div><hr id="stopSpelling">Date: Tue<br>Subject: x<br>From: a@b.example<br>To: c@b.example<br>old',
    "yahoo": '<div>Yes.</div><div class="yahoo_quoted"><div>Le mardi, Ann a écrit :</div><div>old</div></div>',
    "apple": '<div>Yes.</div><div><blockquote type="cite">On 1 Sep 2026, at 10:00, Ann wrote:</blockquote></div><blockquote type="cite">old</blockquote>',
    "quoted again": '<div>Yes.</div><div class="x_gmail_quote"><blockquote class="ecxgmail_quote">old</blockquote></div>',
    "bar": "<p>Yes.</p><p>-----Original Message-----<br>old</p>",
}


@pytest.mark.parametrize("name", HTML)
def test_history_in_html_is_folded(name):
    result = told(reading(HTML[name]))
    assert result[0] == (False, "Yes.")
    assert [quoted for quoted, _ in result] == [False, True]
    assert "old" in result[1][1]


OPEN = {
    "nothing quoted": "<p>Yes.</p><blockquote>To be or not to be</blockquote>",
    "a quote alone": f"<div>{WROTE}</div><blockquote type=cite>old</blockquote>",
    "answers between": f"<div>{WROTE}</div><blockquote type=cite>one</blockquote><p>ja</p><blockquote type=cite>two</blockquote><p>nein</p>",
    "forwarded by gmail": '<div>FYI</div><div class="gmail_quote">---------- Forwarded message ---------<br>From: Ann<br>Date: Tue<br>Subject: x<br>To: Ben<br>old</div>',
    "forwarded by apple": "<div>FYI</div><div>Begin forwarded message:</div><blockquote type=cite>From: Ann<br>old</blockquote>",
    "forwarded by thunderbird": '<p>FYI</p><div class="moz-forward-container">-------- Weitergeleitete Nachricht --------<table class="moz-email-headers-table"><tr><th>Von:<td>Ann</table>old</div>',
}


@pytest.mark.parametrize("name", OPEN)
def test_what_is_the_message_stays_open(name):
    assert all(not quoted for quoted, _ in told(reading(OPEN[name])))


def test_a_signature_below_the_history_stays():
    html = f'<p>Yes.</p><div>{WROTE}</div><blockquote type=cite>old</blockquote><div class="moz-signature">-- <br>Ben</div>'
    assert [quoted for quoted, _ in told(reading(html))] == [False, True, False]
    assert open_text(reading(html)) == "Yes. -- Ben"


TEXT = {
    "marks": "Yes.\n\nOn Tue, 1 Sep 2026 at 10:00, Ann <ann@example.org> wrote:\n> old\n> older",
    "two lines": "Yes.\n\nOn Tue, 1 Sep 2026 at 10:00, Ann\n<ann@example.org> wrote:\n> old",
    "no marks": "Yes.\n\nOn Tue, 1 Sep 2026 at 10:00, Ann <ann@example.org> wrote:\n\nold",
    "words right above": "Yes.\nOn 01/03/26 7:07 PM, Russell Brown wrote:\n> old",
    "outlook": "Yes.\n\n________________________________\nFrom: Ann\nSent: Tuesday\nTo: Ben\nSubject: x\n\nold",
    "bar": "Yes.\n\n----- Ursprüngliche Nachricht -----\nold",
    "marks alone": "Yes.\n\n> old\n> older",
    "polish": "Yes.\n\nW dniu 1.09.2026 o 10:00, Ann pisze:\n> old",
    "japanese": "Yes.\n\n2026年9月1日(火) 10:00 Ann <ann@example.org>のメール:\n> old",
}


@pytest.mark.parametrize("name", TEXT)
def test_history_in_text_is_folded(name):
    result = told(plain_reading(TEXT[name]))
    assert result[0] == (False, "Yes.")
    assert [quoted for quoted, _ in result] == [False, True]
    assert "old" in result[1][1]


@pytest.mark.parametrize(
    "text",
    [
        "> old\n> older",
        "> one\nja\n> two\nnein",
        "FYI\n\n---------- Forwarded message ---------\nFrom: Ann\nDate: Tue\nSubject: x\nTo: Ben\n\n> old",
        "Hello,\n\nOn Tuesday we met and he wrote:\nnothing of note.",
        "",
    ],
)
def test_text_that_stays_open(text):
    assert all(not quoted for quoted, _ in told(plain_reading(text)))


def test_only_the_unanswered_rest_is_folded():
    result = told(plain_reading("> one\nja\n\n> two\n> three\n-- \nBen"))
    assert [quoted for quoted, _ in result] == [False, True, False]
    assert open_text(plain_reading("> one\nja\n\n> two\n-- \nBen")) == "one ja -- Ben"


def test_each_part_is_whole():
    result = plain_reading("a\n> b\n>> c\n\nd\n> e\n>> f")
    for part in result.parts:
        assert part.html.count("<blockquote>") == part.html.count("</blockquote>")
        assert part.html.count("<p>") == part.html.count("</p>")


def test_parts_cross_the_border():
    result = reading(HTML["gmail"])
    assert from_plain(to_plain(result)) == result
    assert from_plain(to_plain(reading(""))) == reading("")


@pytest.mark.parametrize(
    "piece", ["> a\n", "On 1 Sep 2026 10:00 a@b.c wrote:\n", "From: a\nTo: b\n", "wrote:\n", "-- \n", ":\n"]
)
def test_folding_is_linear(piece):
    def cost(count: int) -> float:
        began = time.process_time()
        plain_reading(piece * count)
        return time.process_time() - began

    cost(10)
    assert cost(40_000 // len(piece) * 4) < 3


def html_pairs() -> list[tuple[str, str]]:
    pairs = []
    for stripped in sorted(QUOTING.glob("mailspring_email_*_stripped.html")):
        full = stripped.with_name(stripped.name.replace("_stripped", ""))
        pairs.append((full.read_text("utf-8", "replace"), stripped.read_text("utf-8", "replace")))
    return pairs


def letters(text: str) -> str:
    return re.sub(r"\W", "", text)


@pytest.mark.corpora
@HERE
def test_share_of_collected_html_replies():
    """Of 20 pairs one keeps an inline answer open that its authors cut, one quotes a forward without a bar."""
    right = 0
    pairs = html_pairs()
    for full, stripped in pairs:
        result = reading(full)
        expected = letters(words(reading(stripped).html))
        quoted = [part.quoted for part in result.parts]
        # The authors drop a signature that stands below the history; here it stays.
        parts = result.parts[: quoted.index(True)] if True in quoted else result.parts
        right += letters(words("".join(part.html for part in parts))) == expected
    assert len(pairs) == 20
    assert right >= 18


@pytest.mark.corpora
@HERE
def test_collected_standard_replies_show_the_answer_alone():
    texts, pages = (
        sorted(QUOTING.glob(name)) for name in ("talon_standard_replies__*.eml", "talon_html_replies__*.html")
    )
    assert texts
    assert pages
    for path in texts:
        body = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
        assert open_text(plain_reading(body.get_content())).startswith("Hello"), path.name
        assert len(open_text(plain_reading(body.get_content()))) < 80, path.name
    for path in pages:
        assert open_text(reading(path.read_text("utf-8", "replace"))) == "Hi. I am fine. Thanks, Alex", (
            path.name
        )
