"""Quoting, format=flowed and the folding of quotes."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mail.mime import parse
from webmail.mail.text import Block, flow, fold_quotes, quote, unflow

CORPUS = (
    Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
    / "quoting"
)


def test_quote_marks_every_line_and_leaves_the_signature_out():
    assert quote("Hi\n\n> old\n-- \nAnn", "Ann wrote:") == "Ann wrote:\n> Hi\n>\n>> old\n"
    assert quote("", "Ann wrote:") == "Ann wrote:\n"
    assert quote("a", "") == "> a\n"


def test_unflow_joins_soft_breaks_only():
    assert unflow("one \ntwo\nthree") == "one two\nthree"
    assert unflow("one \ntwo \n\nthree") == "one two \nthree"
    assert unflow("日本 \n語", delsp=True) == "日本語"


def test_unflow_keeps_quote_levels_and_the_signature_line():
    assert unflow("> a \n> b\n>> c \n> d") == "> a b\n>> c \n> d"
    assert unflow("text \n-- \nAnn") == "text \n-- \nAnn"


def test_unflow_undoes_stuffing_and_does_not_make_quotes_of_text():
    assert unflow(" From here") == "From here"
    assert unflow(" >not a quote") == " >not a quote"
    assert fold_quotes(unflow(" >not a quote"))[0].kind == "text"


def test_flow_breaks_long_lines_softly():
    text = "word " * 40 + "end"
    flowed = flow(text)
    assert max(map(len, flowed.split("\n"))) <= 73
    assert all(line.endswith(" ") for line in flowed.split("\n")[:-1])
    assert unflow(flowed) == text


def test_flow_stuffs_what_would_be_misread():
    assert flow(" a\nFrom b\n-- \nAnn") == "  a\n From b\n-- \nAnn"
    assert flow("> quoted " + "w " * 60).count("\n> ") >= 1
    assert flow("x" * 200) == "x" * 200


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("ab From-"), max_size=120).map(lambda line: line.rstrip(" ")), max_size=6
    )
)
def test_flow_and_unflow_are_inverse(lines):
    text = "\n".join(lines)
    assert unflow(flow(text)) == text


def test_fold_text_quote_signature():
    text = "Yes.\n\nOn Tue, 1 Sep 2026 at 10:00, Ann <ann@example.org> wrote:\n> Lunch?\n>> When?\n\n-- \nBob"
    assert fold_quotes(text) == [
        Block("text", 0, "Yes."),
        Block("quote", 1, "On Tue, 1 Sep 2026 at 10:00, Ann <ann@example.org> wrote:\nLunch?"),
        Block("quote", 2, "When?"),
        Block("signature", 0, "Bob"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "On 2026-09-01 10:00, Ann wrote:",
        "Am 01.09.2026 um 10:00 schrieb Ann <ann@example.org>:",
        "Am 01.09.26 10:00 schrieb:",
        "Le 1 sept. 2026 à 10:00, Ann <ann@example.org> a écrit :",
        "El 1 sept 2026, a las 10:00, Ann escribió:",
        "Em 1 de set. de 2026, às 10:00, Ann escreveu:",
        "Il giorno 1 set 2026, alle ore 10:00, Ann ha scritto:",
        "Op 1 sep. 2026 om 10:00 schreef Ann <ann@example.org>:",
        "Den 1 sep. 2026 10:00 skrev Ann:",
        "W dniu 1.09.2026 o 10:00, Ann pisze:",
        "1 сентября 2026 г., 10:00, Анна <ann@example.org> пишет:",
        "Ann <ann@example.org> 于2026年9月1日 10:00写道：",
        "2026年9月1日(火) 10:00 Ann <ann@example.org>:",
    ],
)
def test_introductions_in_many_languages_belong_to_the_quote(line):
    assert fold_quotes(f"Ja.\n\n{line}\n> Lunch?") == [
        Block("text", 0, "Ja."),
        Block("quote", 1, f"{line}\nLunch?"),
    ]


def test_an_introduction_on_two_lines():
    text, quoted = fold_quotes(
        "Yes\n\nOn Mon, Sep 25, 2026 at 8:59 AM, Ann\n<ann@example.org> wrote:\n\n> Hi"
    )
    assert text.text == "Yes"
    assert quoted.text == "On Mon, Sep 25, 2026 at 8:59 AM, Ann\n<ann@example.org> wrote:\n\nHi"


@pytest.mark.parametrize(
    "head",
    [
        "-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: x",
        "From: Ann <ann@example.org>\nSent: Monday\nTo: Bob\nSubject: x",
        "*From:* Ann\n*Sent:* Monday\n*To:* Bob\n*Subject:* x",
        "________________________________\nVon: Ann\nGesendet: Montag\nAn: Bob\nBetreff: x",
        "De : Ann\nEnvoyé : lundi\nÀ : Bob\nObjet : x",
        "-------- Forwarded Message --------\nSubject: x",
        "-----Ursprüngliche Nachricht-----\nVon: Ann",
    ],
)
def test_below_the_headers_of_an_old_mail_all_is_quote(head):
    blocks = fold_quotes(f"Done.\n\n{head}\n\nOld text\n> older")
    assert blocks[0] == Block("text", 0, "Done.") or blocks[0].text.startswith("Done.")
    assert {block.kind for block in blocks[1:]} == {"quote"}
    assert "Old text" in "\n".join(block.text for block in blocks[1:])


@pytest.mark.parametrize(
    "text",
    [
        "From: the start it was clear.\nWe went on.",
        "He wrote:\nnothing at all",
        "On reflection, she said: no.",
        "I saw -- twice -- that it works",
        "Use:\n    --option\nand go on",
    ],
)
def test_what_only_looks_like_a_quote_stays_text(text):
    assert fold_quotes(text) == [Block("text", 0, text)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["a", "", "> b", ">> c", "On 2020 10:00 x@y wrote:", "From: a", "Sent: b", "To: c", "---", "f  g"]
        ),
        max_size=30,
    )
)
def test_nothing_is_lost(lines):
    def words(text: str) -> list[str]:
        return text.replace(">", " ").split()

    text = "\n".join(lines)
    assert [word for block in fold_quotes(text) for word in words(block.text)] == words(text)


@pytest.mark.parametrize(
    "text",
    [">" * 1_000_000, "> \n" * 200_000, "-- \n" * 100_000, "On 2020 a@b wrote:\n" * 50_000, "From: a\n" * 100_000, "a\n" * 500_000,
     "On 2020\n" * 100_000, "a " * 500_000, ":\n" * 200_000],
)  # fmt: skip
def test_all_of_it_is_linear(text):
    for work in (fold_quotes, unflow, flow, lambda one: quote(one, "")):
        begun = time.process_time()
        work(text)
        assert time.process_time() - begun < 3


def test_quote_depth_is_bounded():
    assert max(block.depth for block in fold_quotes(">" * 5000 + " x")) <= 100
    assert unflow(">" * 5000 + " x").count(">") == 100


# What the reply is, as the first words of the text that is not folded away.
REPLIES = {
    "erp_email_1_2.txt": "Hi,",
    "erp_email_2_3.txt": "Outlook with a reply above headers",
    "erp_email_headers_no_delimiter.txt": "And another reply!",
    "erp_pathological.txt": "I think you're onto something.",
    "mailspring_email_1_3.txt": "Oh thanks.",
    "mailspring_email_1_4.txt": "Awesome! I haven't had another problem",
    "talon_standard_replies__apple_mail.eml": "Hello",
    "talon_standard_replies__apple_mail_2.eml": "Hello",
    "talon_standard_replies__hotmail.eml": "Hello",
    "talon_standard_replies__outlook.eml": "Hello",
    "talon_standard_replies__sparrow.eml": "Hello",
    "talon_standard_replies__yahoo.eml": "Hello",
}


@pytest.mark.corpora
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no test material in {CORPUS}")
@pytest.mark.parametrize("name", sorted(REPLIES))
def test_real_replies(name):
    raw = (CORPUS / name).read_bytes()
    text = parse(raw).text if name.endswith(".eml") else raw.decode().replace("\r\n", "\n")
    blocks = fold_quotes(text)
    assert blocks[0].kind == "text"
    assert blocks[0].text.startswith(REPLIES[name])
    assert any(block.kind == "quote" for block in blocks)
    if name.startswith("talon"):
        assert [block.text.strip() for block in blocks if block.kind == "text"] == ["Hello"]
