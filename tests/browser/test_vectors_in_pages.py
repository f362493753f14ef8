"""Every collected attack as mail in the pages of the product, in a real browser: list rows, search lines, titles, an opened
message on screen and on paper, and the composer that quotes it.

The pages come from the real templates; their CSP is left out on purpose. Where mail stands as text the page must have the
very same elements as with a harmless word; where it stands as HTML it may not do a thing.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace as Made

import pytest
from flask import Flask, render_template
from flask_babel import Babel
from jinja2 import ChainableUndefined
from markupsafe import Markup

from webmail.db import show_id
from webmail.mail import mime
from webmail.mail.sanitize import plain, reading
from webmail.sending.composing import Original, reply
from webmail.web import filters

HERE = Path(__file__).resolve().parents[2] / "webmail"
PARTS = 8
# Each attack is opened as mail, in both views, in every run (test_vectors_in_chromium). All of them in all pages take minutes:
# an eighth is enough of a watch over templates, and VECTORS=all is for who changes them.
RUN = range(PARTS) if os.environ.get("VECTORS") == "all" else (0,)
BATCH = 180
NOW = datetime(2026, 11, 22, 15, 4, tzinfo=UTC)
# What the page is made of, without the reading views; and what in those could act.
LOOK = """async () => {
  const bad = [], kinds = ['mouseover', 'focus', 'pointerenter', 'animationstart', 'toggle', 'error', 'load'];
  const active = /^on|^hx-|^data-|^(?:id|name|class|style|srcset|srcdoc|ping|form.*|is|slot|target)$/;
  for (const body of document.querySelectorAll('.reading')) {
    for (const element of body.querySelectorAll('*')) {
      for (const kind of [...kinds, ...(element.closest('a') ? [] : ['click'])])
        element.dispatchEvent(new Event(kind, {bubbles: true, cancelable: true}));
      for (const attribute of element.attributes)
        if (active.test(attribute.name)) bad.push(attribute.name + ' on ' + element.localName);
      if (element.hasAttribute('href') &&
          !['http:', 'https:', 'mailto:'].includes(new URL(element.getAttribute('href'), 'http://mail.test/').protocol))
        bad.push('href ' + element.getAttribute('href'));
    }
    body.replaceChildren();
  }
  const made = [...document.querySelectorAll('*')].map(
    element => element.localName + ' ' + [...element.attributes].map(one => one.name).sort().join());
  await new Promise(done => setTimeout(done, 60));
  return {bad: bad.concat(window.__ran), made, quoted: [...document.querySelectorAll('textarea')].map(area => area.value)};
}"""

pytestmark = [pytest.mark.browser, pytest.mark.corpora]


@pytest.fixture(scope="module")
def app():
    """The templates as the product sets them up; what a page needs beside the mail may be absent."""
    app = Flask("webmail", root_path=str(HERE))
    app.jinja_options = {"undefined": ChainableUndefined, "trim_blocks": True, "lstrip_blocks": True}
    Babel(app)
    filters.init_app(app)
    app.jinja_env.filters["id"] = show_id
    app.add_template_global(lambda path: f"/static/{path}", "static_url")
    app.add_template_global(lambda: "token", "csrf_token")
    app.url_build_error_handlers.append(lambda _error, endpoint, _values: f"/somewhere/{endpoint}")
    return app


def show(watch, html: str) -> dict:
    """What the page is made of, and what in it acted or could."""
    found, tried = watch.show(html, LOOK)
    found = found or {"bad": [], "made": [], "quoted": []}
    own = " http://mail.test/static/"  # the page's style and script
    found["bad"] += [line for line in tried if own not in line]
    return found


def line_of(html: str) -> str:
    """What a list or search shows of such a message."""
    raw = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode("utf-8", "replace")
    return mime.snippet(mime.parse(raw))


def base(**more) -> dict:
    folder = Made(slug="inbox", name="Inbox", unread=1, total=2, current=True, etag="")
    viewer = Made(name="Ann", address="ann@mail.test", roles=["user"])
    prefs = Made(rows=50, density="compact", reading="reading")
    return {
        "nav": [folder],
        "folder": folder,
        "viewer": viewer,
        "prefs": prefs,
        "now": NOW,
        "title": "t",
        **more,
    }


def listing(texts: list[str]) -> tuple[str, dict]:
    rows = [
        Made(
            id=f"m{number}", href="/mail/inbox/m", who=f"{text} @x", who_title=f"{text}@y", subject=text, snippet=line_of(text),
            unread=True, starred=True, answered=False, count=1, folder="", status="", files=1, size=1, when=NOW,
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
    return "mail/folder.html", base(rows=rows)


def search(texts: list[str]) -> tuple[str, dict]:
    name, page = listing(texts)
    page["folder"] = Made(slug="search", name="Search", unread=0, total=0, current=True, etag="")
    return name, page | {"query": texts[0], "search_note": texts[0], "title": texts[-1]}


def pieces(text: str) -> list[Made]:
    return [
        Made(html=Markup(part.html), quoted=part.quoted) for part in reading(text, link_prefix="m/l/").parts
    ]


def message(texts: list[str], body=pieces) -> tuple[str, dict]:
    who = [Made(name=text, email=f"{text}@x.example") for text in texts]
    trust = [
        Made(anchor="t", warnings=[("warn", text)], details=[text], css="ok", icon="", sentence=text)
        for text in texts
    ]
    shown = [
        Made(
            id=f"m{number}", href="/mail/inbox/m", anchor=f"m-{number}", open=number % 8 != 7 or number == len(texts) - 1,
            sender=who[number], to=[who[number]], cc=[who[number]], bcc=[], to_words=text, when=NOW, subject=text, unread=False,
            starred=False, snippet=line_of(text), warning=text, problems=[text], headers=[(text, text)], body=body(text),
            body_note=text, has_formatted=True, show_formatted=False, attachments=[], deliveries=[], formatted_href="/f",
            source_href="/s", download_href="/d", trust=trust[number],
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
    return "mail/message.html", base(conversation=shown, asked=shown[0], title=texts[0])


def as_text(texts: list[str]) -> tuple[str, dict]:
    return message(texts, lambda text: [Made(html=Markup(plain(text)), quoted=False)])


def paper(texts: list[str]) -> tuple[str, dict]:
    """One printed message that is made of all of them."""
    _, page = message(texts)
    shown = page["asked"]
    shown.body = [piece for text in texts for piece in pieces(text)]
    shown.problems, shown.to, shown.attachments = (
        texts,
        shown.to * 3,
        [Made(name=text, size=1) for text in texts],
    )
    return "mail/print.html", page | {"message": shown}


def composer(texts: list[str]) -> tuple[str, dict]:
    form = Made(to=texts[0], cc=texts[0], bcc=texts[0], subject=texts[0], body=quoted(texts), errors={})
    return "compose/compose.html", base(form=form, title=texts[0], draft_id=None, revision=None, reply="m1")


def quoted(texts: list[str]) -> str:
    """The body that an answer to such mail begins with: its source as text, and the text made from its HTML."""
    answers = []
    for text in texts:
        raw = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + text.encode("utf-8", "replace")
        for source in (text, mime.message_text(mime.parse(raw))):
            answers.append(reply(Original(sender=(), text=source), (), f"{source[:60]} wrote:").body)
    return "\n".join(answers)


PAGES = {
    "list": listing,
    "search": search,
    "message": message,
    "text": as_text,
    "paper": paper,
    "composer": composer,
}


@pytest.mark.parametrize("part", RUN)
@pytest.mark.parametrize("page", PAGES)
def test_hostile_mail_is_harmless_in_every_page(app, watch, html_vectors, page, part):
    texts = [row["html"] for row in html_vectors[part::PARTS]]
    assert texts
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        with app.test_request_context("/"):
            name, hostile = PAGES[page](some)
            _, tame = PAGES[page](["word"] * len(some))
            html, quiet = render_template(name, **hostile), render_template(name, **tame)
        watch.page.emulate_media(media="print" if page == "paper" or start % (2 * BATCH) else "screen")
        found, expected = show(watch, html), show(watch, quiet)
        assert found["bad"] == []
        assert found["made"] == expected["made"], (start, page)
        if page == "composer":
            assert found["quoted"] == [line_ends(hostile["form"].body)]


def line_ends(text: str) -> str:
    """As a textarea gives it back."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def as_is(text: str) -> list[Made]:
    return [Made(html=Markup(text), quoted=False)]


def test_the_watch_sees_what_it_must(app, watch):
    """The same page with raw markup: otherwise the test above could not fail."""
    raw = [
        "<script>alert(1)</script>",
        "<b onmouseover=alert(2)>x</b>",
        '<img src="https://t.example/x.png">',
        '<a href="javascript:alert(3)">x</a></div></article></div></main><form id=x>',
    ]
    with app.test_request_context("/"):
        name, page = message(raw, as_is)
        _, tame = message(["word"] * len(raw), as_is)
        html, quiet = render_template(name, **page), render_template(name, **tame)
    found, expected = show(watch, html), show(watch, quiet)
    text = "\n".join(found["bad"])
    for sign in ("alert:1", "alert:2", "onmouseover on b", "t.example/x.png", "href javascript:"):
        assert sign in text
    assert found["made"] != expected["made"]
