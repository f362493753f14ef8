"""The guard refuses what would stall, and the jail holds what the guard may have missed."""

import time

import pytest

from webmail import jail as cells
from webmail.mail.sanitize import (
    Formatted,
    Reading,
    Refusal,
    formatted,
    guard,
    in_jail,
    jail,
    reading,
    safely,
)


@pytest.fixture(scope="module", autouse=True)
def _warm():
    cells.start()
    yield
    cells.stop()


PATHOLOGICAL = {
    "nested div": "<div>" * 100_000,
    "nested tables": "<table><tr><td>" * 3_000,
    "mixed": "<a><b><i><div>" * 1_500,
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(10_000)) + ">",
    "open tags": "<a " * 50_000,
    "entities": "&amp;" * 100_000,
    "long style": f'<p style="{"color:red;" * 50_000}">x',
    "paragraphs": "<p>x" * 100_000,
    "parentheses": f'<p style="color:{"(" * 50_000}">x',
    "open comment": "<!--" + "x" * 500_000,
    "a b": "<a><b>" * 20_000,
    "rebuilt": "".join(f"<p><b a={n}>" for n in range(2_700)),
    "rebuilt in jumble": "".join(f"<b a={n}><object></b></object>" for n in range(10_000)),
    "selectors": "<style>" + "".join(f"*{{a{n}:1}}" for n in range(9_000)) + "</style>" + "<i>x</i>" * 9_000,
    "data address": '<img src="data:image/png;base64,' + "A" * 900_000 + '">x',
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
@pytest.mark.parametrize("view", ["reading", "formatted"])
def test_pathological_input_is_bounded(name, view):
    began = time.monotonic()
    result = safely(view, PATHOLOGICAL[name])
    assert isinstance(result, (Reading, Formatted, Refusal))
    assert time.monotonic() - began < 6.5


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("x" * 600_000, "long"),
        ("<div>" * 1000, "deep"),
        ("<table><tr><td>" * 1000, "deep"),
        ("<b>" * 1000, "deep"),
        ("<div title='</div>'>" * 1000, "deep"),
        ('<div "><div "></div>' * 1000, "deep"),
        ("<div><style></div></style>" * 1000, "deep"),
        ("<div><!--</div>-->" * 1000, "deep"),
        ("<li><dd>" * 1000, "deep"),
        ("<svg><![CDATA[></svg>]]>" * 1000, "deep"),
        ("<b><object></b></object>" * 1000, "deep"),
        ("<div><table><td></div></table>" * 1000, "deep"),
        ("".join(f"<div><b a={n}></div>" for n in range(1000)), "deep"),
        ("<b a=1><b a=2><b a=3><b a=4><b a=5>" * 10 + "<p>x" * 9000, "formatting"),
        ("<br>" * 70_000, "tags"),
        ("&" * 50_000, "entities"),
        (f'<p title="{"x" * 70_000}">', "attribute"),
    ],
)
def test_the_guard_names_the_limit(html, code):
    assert guard(html) == Refusal(code)


@pytest.mark.parametrize("html", ["<p>x" * 5000, "<table>" + "<tr><td>x" * 5000, "<ul>" + "<li>x" * 5000, "<dl>" + "<dt>a<dd>b" * 2000,
                                  "<div>x</div>" * 5000, "<style>" + "p>b{color:red}" * 500 + "</style>x", "<br/><img src=x>" * 2000])  # fmt: skip
def test_the_guard_lets_ordinary_markup_pass(html):
    assert guard(html) is None


def test_the_jail_gives_what_the_function_gives():
    html = "<style>p{color:red}</style><p>x <a href='https://a.example/'>a</a><img src=cid:a alt=b>"
    assert in_jail("reading", html) == reading(html)
    options = {"cids": {"a": "/p/1"}, "image_prefix": "/i/", "link_prefix": None}
    assert in_jail("formatted", html, **options) == formatted(html, **options)


def test_limits_of_the_kernel_end_the_child_only():
    slow = "<p>word <b>word</b> &amp; word" * 8_000
    assert in_jail("formatted", slow, cpu_seconds=1) == Refusal("slow")
    assert in_jail("formatted", slow, wall=0.2) == Refusal("slow")
    assert in_jail("reading", "<p>" + "word " * 90_000, memory_bytes=1 << 20).code in ("memory", "crash")
    assert in_jail("reading", "<p>fine").html == "<p>fine</p>"


def test_wrong_options_are_a_refusal():
    assert in_jail("reading", "<p>x", nonsense=1) == Refusal("error")
    with pytest.raises(ValueError, match="eval"):
        in_jail("eval", "x")


def test_large_mail_goes_to_the_jail_and_small_mail_does_not(monkeypatch):
    asked = []
    monkeypatch.setattr(jail, "in_jail", lambda *given, **options: asked.append(given) or Refusal("crash"))
    assert safely("reading", "<p>x").html == "<p>x</p>"
    assert asked == []
    assert safely("reading", "<p>word</p>" * 4000) == Refusal("crash")
    assert len(asked) == 1


def test_a_jail_that_cannot_be_had_reads_as_slow(monkeypatch):
    monkeypatch.setattr(cells, "run", lambda *_given, **_options: cells.Refusal("busy"))
    assert in_jail("reading", "<p>x") == Refusal("slow")


def test_what_is_no_answer_reads_as_a_crash(monkeypatch):
    for reply in (
        b"",
        b"{",
        b"[]",
        b'{"kind": "Reading"}',
        b'{"kind": "Reading", "html": "", "nonsense": 1}',
    ):
        monkeypatch.setattr(cells, "run", lambda *_given, reply=reply, **_options: reply)
        assert in_jail("reading", "<p>x") == Refusal("crash")
