"""Ordinary newsletters in a real browser: the formatted view beside the original, both without any network.

Their words stay, they grow no wider, their large areas keep their colours, and no text loses the ground it stood on.
"""

import email
import email.policy
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from webmail.mail.sanitize import document, formatted

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
FOLDER = CORPORA / "html-benign"
FILES = (
    sorted(path for path in FOLDER.glob("*") if path.suffix in (".html", ".txt", ".eml"))
    if FOLDER.exists()
    else []
)
# Letters from real senders and their templates; the rest are feature tests of single CSS properties.
LETTERS = [path for path in FILES if not path.name.startswith("caniemail_")]
WIDTH = 600
MEASURE = """() => {
  const parse = text => {
    const part = (text.match(/[\\d.]+/g) || []).map(Number);
    return part.length < 3 ? [0, 0, 0, 0] : [part[0], part[1], part[2], part.length > 3 ? part[3] : 1];
  };
  const light = colour => {
    const part = colour.slice(0, 3).map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const grounds = {}, faint = [];
  const whole = document.documentElement.scrollWidth * document.documentElement.scrollHeight;
  for (const element of document.body.querySelectorAll('*')) {
    const colour = parse(getComputedStyle(element).backgroundColor), box = element.getBoundingClientRect();
    if (colour[3] > 0.9) {
      const key = colour.slice(0, 3).map(x => Math.round(x / 8)).join();
      grounds[key] = (grounds[key] || 0) + box.width * box.height / whole;
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let letters = 0, weak = 0;
  while (walker.nextNode()) {
    const words = walker.currentNode.data.replace(/\\s/g, ''), parent = walker.currentNode.parentElement;
    const style = getComputedStyle(parent), box = parent.getBoundingClientRect();
    if (!words || !box.width || !box.height || style.visibility !== 'visible' || parseFloat(style.fontSize) < 4) continue;
    let ground = [255, 255, 255, 1];
    for (let up = parent; up; up = up.parentElement) {
      const found = parse(getComputedStyle(up).backgroundColor);
      if (found[3] > 0.5) { ground = found; break; }
    }
    const pair = [light(parse(style.color)), light(ground)].sort((a, b) => b - a);
    letters += words.length;
    if ((pair[0] + 0.05) / (pair[1] + 0.05) < 1.9) { weak += words.length; faint.push(words.slice(0, 30)); }
  }
  const fixed = [...document.body.querySelectorAll('*')].filter(
    element => ['fixed', 'absolute', 'sticky'].includes(getComputedStyle(element).position)).length;
  return {text: document.body.innerText, width: document.documentElement.scrollWidth, grounds, letters, weak,
          faint: faint.slice(0, 5), fixed};
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.corpora,
    pytest.mark.skipif(not FILES, reason=f"test material {FOLDER} is not here (MTUMAIL_CORPORA)"),
]


def source(path: Path) -> str:
    raw = path.read_bytes()
    if path.suffix != ".eml":
        return raw.decode("utf-8", "replace")
    part = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    return part.get_content() if part else ""


class Window:
    """A page that sees nothing but the markup it is given, and runs no script of it."""

    def __init__(self, browser) -> None:
        self.html = ""
        self.page = browser.new_page(viewport={"width": WIDTH, "height": 800})
        self.page.route("**/*", self._answer)

    def _answer(self, route) -> None:
        if route.request.url == "http://mail.test/":
            headers = {"Content-Security-Policy": "script-src 'none'; object-src 'none'; frame-src 'none'"}
            route.fulfill(
                status=200, content_type="text/html; charset=utf-8", body=self.html, headers=headers
            )
        else:
            route.abort()

    def measure(self, html: str) -> dict:
        self.html = html
        self.page.goto("http://mail.test/", wait_until="load")
        return self.page.evaluate(MEASURE)


@pytest.fixture(scope="module")
def window(launch) -> Window:
    return Window(launch())


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def compare(before: dict, after: dict) -> list[str]:
    """What the formatted view lost, in words."""
    found = []
    expected, got = words(before["text"]), words(after["text"])
    lost = expected - got
    if sum(lost.values()) > 0.02 * sum(expected.values()):
        found.append(f"lost {sum(lost.values())} of {sum(expected.values())} words: {list(lost)[:8]}")
    if after["width"] > max(before["width"], WIDTH) + 16:  # our margin on both sides
        found.append(f"{before['width']} px became {after['width']} px")
    for colour, share in before["grounds"].items():
        kept = after["grounds"].get(colour, 0)
        if share > 0.15 and kept < share * 0.4 and colour not in ("32,32,32",):
            found.append(f"ground {colour} went from {share:.0%} to {kept:.0%}")
    if after["weak"] > before["weak"] + max(3, 0.01 * after["letters"]):
        found.append(f"{after['weak']} faint letters, {before['weak']} before: {after['faint']}")
    if after["fixed"]:
        found.append("something is positioned")
    return found


@pytest.mark.parametrize("path", LETTERS, ids=lambda path: path.stem[-50:])
def test_a_letter_looks_as_it_was_meant(window, path):
    html = source(path)
    made = document(formatted(html))
    assert compare(window.measure(html), window.measure(made)) == []
    window.page.set_viewport_size({"width": 360, "height": 800})
    narrow = window.measure(made)
    window.page.set_viewport_size({"width": WIDTH, "height": 800})
    assert narrow["width"] <= 440, "a telephone shows most of it without a sideways step"


@pytest.mark.slow
def test_pages_of_single_features_stay_readable(window):
    """Their colours show whether a feature is supported, which most are not on purpose; the words must stay."""
    found = {}
    for path in FILES:
        if path not in LETTERS:
            html = source(path)
            lost = compare(window.measure(html), window.measure(document(formatted(html))))
            found[path.name] = [line for line in lost if not line.startswith("ground")]
    found.pop("caniemail_css-has.html", None)  # shows the text of its own style element
    assert {name: lost for name, lost in found.items() if lost} == {}


PICTURE = "https://a.example/night.png"
OVER_PICTURES = {
    "attribute": f'<table background="{PICTURE}"><tr><td style="color:#fff">Hello there, readers</table>',
    "style": f'<div style="background:url({PICTURE});color:white"><p>Hello there, readers</p></div>',
    "font": f'<td background="{PICTURE}"><font color="#ffffff">Hello there, readers</font>',
    "gradient": '<div style="background:linear-gradient(#123,#345);color:#fff">Hello there, readers</div>',
    "dark text on a dark page": f'<body bgcolor="#000000"><div style="background:url({PICTURE});color:#111">Hello there, readers</div>',
    "colours of the body": '<body bgcolor="black" text="white">Hello there, readers',
}


@pytest.mark.parametrize("name", OVER_PICTURES)
def test_words_over_a_picture_stay_readable(window, name):
    measured = window.measure(
        document(
            formatted(
                f"<table><tr>{OVER_PICTURES[name]}"
                if "<td" in OVER_PICTURES[name][:4]
                else OVER_PICTURES[name]
            )
        )
    )
    assert (measured["letters"], measured["weak"]) == (18, 0)


ATTACKS = {
    "over the page": '<div style="position:fixed;inset:0;z-index:99999;background:#fff">Sign in again</div>',
    "pulled up": '<p>one</p><div style="margin-top:-900px;margin:-900px 0 0 -900px">x</div><p>two</p>',
    "moved": '<div style="transform:translateY(-500px);translate:0 -500px;top:-500px;position:relative">x</div>',
    "huge": '<div style="width:99999999px;height:99999999px;font-size:900000px;letter-spacing:90000px;padding:80000px">x</div>',
    "generated": '<style>p::before{content:"Verified by your bank";counter-increment:a}</style><p>x</p>',
    "animated": "<style>@keyframes a{to{transform:scale(99)}}p{animation:a 1s infinite;transition:all 1s}</style><p>x</p>",
    "see-through": '<a href="https://evil.example" style="opacity:0;filter:blur(9px);mix-blend-mode:screen;display:block">x</a>',
    "pointer": '<div style="cursor:none;pointer-events:none;user-select:none">x</div>',
    "sheet": "<style>html,body,*{position:fixed!important;margin:-9px!important;cursor:url(https://t.example/c),none}</style><p>x</p>",
}
STYLED = """() => [...document.body.querySelectorAll('*')].flatMap(element => {
  const style = getComputedStyle(element), box = element.getBoundingClientRect(), bad = [];
  if (style.position !== 'static') bad.push('position');
  for (const name of ['transform', 'translate', 'animationName', 'filter'])
    if (style[name] !== 'none') bad.push(name);
  if (style.opacity !== '1') bad.push('opacity');
  if (style.cursor === 'none' || style.pointerEvents !== 'auto' || style.mixBlendMode !== 'normal') bad.push('pointer');
  for (const which of ['::before', '::after'])
    if (!['none', 'normal'].includes(getComputedStyle(element, which).content)) bad.push(which);
  if (box.left < 0 || box.top < 0) bad.push('above or beside the page');
  if (parseFloat(style.fontSize) > 5000 || box.height > 20000) bad.push('huge');
  return bad;
})"""


@pytest.mark.parametrize("name", ATTACKS)
def test_styles_cannot_cover_move_or_pretend(window, name):
    window.measure(document(formatted(ATTACKS[name])))
    assert window.page.evaluate(STYLED) == []


def test_the_look_at_styles_sees_what_it_must(window):
    seen = set()
    for html in ATTACKS.values():
        window.measure(f"<!doctype html><body>{html}")
        seen |= set(window.page.evaluate(STYLED))
    assert seen >= {
        "position",
        "transform",
        "opacity",
        "pointer",
        "::before",
        "huge",
        "above or beside the page",
    }
