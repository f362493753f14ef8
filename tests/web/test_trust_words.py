"""Trust in plain words: a sentence for everything that can be found, and strangers' words that stay in their place."""

import re
from pathlib import Path

import pytest
from flask import Flask, render_template
from flask_babel import Babel
from jinja2 import StrictUndefined

from webmail.mail import trust as trust_package
from webmail.mail.authentication import Authentication, Signature
from webmail.mail.trust import Finding, Trust
from webmail.web import trust_words

ROOT = Path(__file__).resolve().parents[2] / "webmail"
HOSTILE = "\"><script>alert(1)</script><b onload=x>'\u202e%(subject)s%d"


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask("webmail", root_path=str(ROOT))
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    Babel(app)
    return app


@pytest.fixture(autouse=True)
def request_of(app: Flask):
    with app.test_request_context("/"):
        yield


def render(shown: trust_words.Shown) -> str:
    return render_template("mail/_trust.html", trust=shown)


def codes_in_the_package() -> set[str]:
    """Every code that a finding is made with, read from the source."""
    source = "".join(path.read_text("utf-8") for path in Path(trust_package.__file__).parent.glob("*.py"))
    made = "".join(re.findall(r"Finding\(([^)]*)", source)) + "".join(
        re.findall(r"code, level = [^\n]*|code = [^\n]*", source)
    )
    return set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', made)) - {"note", "warn", "bad", "html"}


def test_every_finding_has_a_sentence_and_every_sentence_a_finding():
    assert codes_in_the_package() == trust_words.CODES
    assert len(trust_words.CODES) > 25


@pytest.mark.parametrize("code", sorted(trust_words.CODES))
def test_a_sentence_is_short_whole_and_names_what_it_is_about(code):
    sentence = trust_words.explain(Finding(code, "warn", "SUBJECT", "OTHER", 3))
    assert sentence.endswith(".")
    assert len(sentence) < 190
    assert "%" not in sentence
    assert "SUBJECT" in sentence or code.startswith("several-") or code == "no-sender"
    assert "!" not in sentence


@pytest.mark.parametrize("word", ["verified", "known", "unknown", "caution", "danger", "self"])
def test_each_word_has_a_line(word):
    shown = trust_words.shown(Trust(word))
    assert shown.css in ("good", "quiet", "warn", "bad")
    assert 0 < len(shown.sentence) < 50
    assert (shown.css in ("warn", "bad")) == (word in ("caution", "danger"))


def test_more_of_a_kind_are_counted():
    one, two, many = (trust_words.explain(Finding("link-differs", "warn", "a", "b", n)) for n in (1, 2, 7))
    assert "more like it" not in one
    assert two.endswith("There is 1 more like it.")
    assert many.endswith("There are 6 more like it.")
    assert "4 people" in trust_words.explain(Finding("several-authors", "warn", count=4))


def test_strangers_words_are_isolated_bounded_and_cannot_turn_a_sentence():
    sentence = trust_words.explain(Finding("link-differs", "warn", "\u202e\u2069a\nb" * 100, "x\u2066y"))
    assert sentence.count("\u2068") == sentence.count("\u2069") == 2
    assert not re.search("[\u202a-\u202e\u2066\n]", sentence)
    assert len(sentence) < 300


def test_hosts_are_shown_in_unicode_only_where_that_cannot_deceive():
    assert "münchen.example" in trust_words.explain(
        Finding("lookalike", "warn", "xn--mnchen-3ya.example", "x")
    )
    assert "xn--80ak6aa92e.com" in trust_words.explain(Finding("coded-domain", "warn", "xn--80ak6aa92e.com"))


# --- behind --------------------------------------------------------------------------------------------------------------


def test_behind_a_proven_message():
    told = Authentication(
        spf="pass", spf_domain="mail.example.org", dkim=(Signature("pass", "example.org"),), dmarc="pass",
        dmarc_policy="reject", from_domain="example.org", arc="pass",
    )  # fmt: skip
    plain = [re.sub("[\u2068\u2069]", "", one) for one in trust_words.behind(told)]
    assert plain == [
        "DMARC: example.org confirms that it sent this.",
        "SPF: the sending server was allowed by mail.example.org.",
        "DKIM: signed by example.org, and unchanged since.",
        "ARC: whoever passed it on vouches for what it was before.",
    ]


@pytest.mark.parametrize(
    "result", ["pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"]
)
@pytest.mark.parametrize("policy", ["", "none", "quarantine", "reject"])
def test_behind_any_result_there_are_whole_sentences(result, policy):
    told = Authentication(result, "", (Signature(result),), result, policy, "example.org", arc=result)
    sentences = trust_words.behind(told)
    assert [one[: one.index(":")] for one in sentences][:3] == ["DMARC", "SPF", "DKIM"]
    assert all(one.endswith(".") and "%" not in one and "  " not in one for one in sentences)
    assert len(set(sentences)) == len(sentences)


def test_behind_a_message_with_many_signatures_are_few_sentences():
    told = Authentication(dkim=tuple(Signature("fail", f"d{n}.example") for n in range(50)))
    assert len(trust_words.behind(told)) == 2 + trust_words.MAX_SIGNATURES


def test_an_unsigned_message_is_told_once():
    assert sum("DKIM" in one for one in trust_words.behind(Authentication())) == 1


def test_a_result_without_a_domain_reads_well():
    for told in (Authentication(), Authentication("pass", dkim=(Signature("fail"),), dmarc="fail")):
        assert not [one for one in trust_words.behind(told) if "  " in one or ": ." in one or " ." in one]


def test_a_failure_says_what_its_domain_asks_for():
    words = {
        policy: trust_words.behind(
            Authentication(dmarc="fail", dmarc_policy=policy, from_domain="x.example")
        )[0]
        for policy in ("reject", "quarantine", "none")
    }
    assert "refuse" in words["reject"]
    assert "aside" in words["quarantine"]
    assert "nothing" in words["none"]


# --- the partial ---------------------------------------------------------------------------------------------------------


def test_all_well_is_one_quiet_line():
    html = render(trust_words.shown(Trust("verified")))
    assert 'role="note"' not in html
    assert "<details" not in html
    assert html.count("<p") == 1
    assert 'class="small good"' in html
    assert "Sender confirmed" in html


def test_notes_and_results_wait_behind_the_line():
    trust = Trust("verified", (Finding("first-time", "note", "a@example.org"),))
    html = render(trust_words.shown(trust, Authentication(), "trust-m-7"))
    assert re.match(r'<div\b[^>]* id="trust-m-7"', html)
    assert 'role="note"' not in html
    behind = html[html.index("<details") :]
    assert "first message" in behind
    assert "DMARC" in behind


def test_warnings_stand_beside_the_line_in_their_order():
    findings = (
        Finding("file-runs", "bad", "x.exe"),
        Finding("link-coded", "warn", "h"),
        Finding("first-time", "note", "a"),
    )
    shown = trust_words.shown(Trust("danger", findings))
    assert [css for css, _ in shown.warnings] == ["bad", "warn"]
    html = render(shown)
    assert re.findall(r'<p role="note" class="(\w+)">', html) == ["bad", "warn"]
    assert "first message" not in html[html.index('role="note"') :]
    assert html.index("</details>") < html.index('role="note"')


def test_strangers_text_stays_text():
    findings = tuple(Finding(code, "bad", HOSTILE, HOSTILE) for code in sorted(trust_words.CODES))
    told = Authentication("pass", HOSTILE, (Signature("pass", HOSTILE),), "pass", "", HOSTILE)
    html = render(trust_words.shown(Trust("danger", findings), told))
    assert "<script" not in html
    assert "<b" not in html
    assert "\u202e" not in html
    assert html.count("<p role") == len(findings)


def test_only_classes_that_the_style_sheet_has():
    html = render(trust_words.shown(Trust("danger", (Finding("no-sender", "warn"),)), Authentication()))
    html += "".join(
        render(trust_words.shown(Trust(word))) for word in ("self", "known", "unknown", "caution", "verified")
    )
    sheet = (ROOT / "static/app.css").read_text("utf-8")
    used = {name for value in re.findall(r'class="([^"]*)"', html) for name in value.split()}
    assert used >= {"good", "quiet", "warn", "bad", "i"}
    assert {name for name in used if not re.search(rf"\.{name}\b", sheet)} == set()
