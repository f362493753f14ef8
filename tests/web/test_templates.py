"""What every page keeps to: stated needs, no inline code, words for translators, few bytes, enough contrast.

The contexts here are what the views hand over; the mail in them is of the kind that breaks layouts.
"""

import random
import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace as Made
from typing import Any

import brotli
import pytest
from flask import Flask, g, render_template, request
from flask_babel import Babel
from jinja2 import StrictUndefined, meta
from markupsafe import Markup

from webmail.db import show_id
from webmail.governance.cases.telling import Answer, Told
from webmail.identity.viewer import Preferences
from webmail.mail.calendar import Attendee, Invitation, Person
from webmail.web import assets, case_words, filters, invites, shortcuts, trust_words
from webmail.web.charts import bars
from webmail.web.deliveries import DeliveryLine, EventLine
from webmail.web.opened import FileLine, Leaving, Piece, Shown, Who
from webmail.web.pictures import PictureNote
from webmail.web.policy import Fact, Section
from webmail.web.viewing import Notice, Undo
from webmail.web.views import reports
from webmail.web.views.settings import KEYBOARD, SECTIONS

HERE = Path(__file__).resolve().parents[2] / "webmail"
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"
NOW = datetime(2026, 11, 22, 15, 4, tzinfo=UTC)
HOSTILE = "\"><script>alert(1)</script><b hx-get=/x style=color:red onload=x>'`{{ 1337*1337 }}"
ENDPOINTS = {
    "mail.folder": "/mail/<folder>",
    "mail.act": "/mail/<folder>/act",
    "mail.act_one": "/mail/<folder>/<message>",
    "mail.answer_invitation": "/mail/<folder>/<message>/invitation",
    "mail.permanent": "/m/<message>",
    "mail.search": "/search",
    "reports.index": "/report",
    "reports.new": "/report/<message>",
    "mail.deliveries": "/deliveries/<message>",
    "compose.new": "/compose/new",
    "compose.submit": "/compose",
    "accounts.create_mailbox": "/welcome",
    "accounts.check": "/welcome/check",
    "mailboxes.index": "/mailboxes",
    "outbox.index": "/outbox",
    "outbox.cancel": "/outbox/<message>/cancel",
    "outbox.now": "/outbox/<message>/now",
    "settings.save": "/settings",
}
OUR_SCRIPTS = [
    f"/static/{name}" for name in ("vendor/htmx-4.0.1/htmx.min.js", "app.js", "keys.js", "compose.js")
]
MINE = sorted(p for p in TEMPLATES.rglob("*.html") if "auth" not in p.parts)
APART = ("access", "actions", "case", "domains", "notices", "queues", "relay", "tracing")
"""Folders of pages whose parts are swapped by nobody, and are shown whole in tests of their own."""
PARTIALS = [p for p in MINE if p.name.startswith("_") and p.parent.name not in APART]


def name_of(path: Path) -> str:
    return path.relative_to(TEMPLATES).as_posix()


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask("webmail", root_path=str(HERE))
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    Babel(app, locale_selector=lambda: request.args.get("lang", "en_GB"))
    filters.init_app(app)
    app.jinja_env.filters["id"] = show_id
    app.add_template_global(lambda path: f"/static/{path}", "static_url")
    app.context_processor(
        lambda: {"csrf_token": lambda: g.setdefault("token", "token-" + secrets.token_urlsafe(32))}
    )
    for endpoint, rule in ENDPOINTS.items():
        app.add_url_rule(rule, endpoint, lambda **_values: "", methods=["GET", "POST"])
    return app


# --- contexts ---


def every_page(**more: Any) -> dict[str, Any]:
    names = ["inbox", "drafts", "sent", "archive", "junk", "trash"]
    nav = [
        Made(slug=n, name=n.title(), unread=i * 3, total=9, current=n == "inbox") for i, n in enumerate(names)
    ]
    viewer = Made(name=HOSTILE, address="ann@mtumail.test", roles=["user"])
    prefs = Preferences(density="compact")
    return {
        "viewer": viewer,
        "nav": nav,
        "prefs": prefs,
        "title": HOSTILE,
        "build": "1",
        "notice": None,
        "now": NOW,
    } | more


def a_row(i: int = 0, **more: Any) -> Made:
    row = {
        "id": f"m{i}", "href": f"/mail/inbox/m{i}", "unread": True, "starred": True, "answered": True, "who": HOSTILE,
        "who_title": HOSTILE, "count": 3, "subject": HOSTILE, "snippet": HOSTILE, "when": NOW - timedelta(days=i), "files": 2,
        "size": 12345, "status": None, "folder": "",
    }  # fmt: skip
    return Made(**row | more)


def a_list(slug: str = "inbox", rows: list[Made] | None = None, **more: Any) -> dict[str, Any]:
    folder = Made(slug=slug, name=slug.title(), unread=3, total=None, etag="abc")
    context = {
        "folder": folder,
        "rows": [a_row()] if rows is None else rows,
        "older": "/x?c=1",
        "newer": "/x?c=2",
        "query": "",
        "search_note": None,
    }
    return every_page(**context | more)


HAPPENED = EventLine(NOW, "15:04", HOSTILE, HOSTILE, "/mail/inbox/m9")


def a_file(number: int = 1, preview: str = "pdf") -> FileLine:
    looks = {"picture": "/f/1?view=1", "message": "/in/1", "": ""}
    small = "/f/1/thumbnail" if preview == "picture" else ""
    return FileLine(
        number, HOSTILE, 5, "application/x", "/f/1", preview, looks.get(preview, "/f/1/preview"), small
    )


def a_message(i: int = 0, **more: Any) -> Shown:
    person, nobody = Who(HOSTILE, "g@x.example"), Who("", HOSTILE)
    states = ["queued", "sending", "sent", "deferred", "failed", "unknown", "cancelled"]
    message: dict[str, Any] = {
        "id": f"m{i}", "href": f"/mail/inbox/m{i}", "anchor": f"m-m{i}", "open": True, "folder": "inbox", "sender": person,
        "to": [person, nobody], "cc": [nobody], "to_words": HOSTILE, "when": NOW, "subject": HOSTILE, "unread": False,
        "starred": True, "snippet": HOSTILE, "body": [Piece(Markup("<p>The <b>body</b>"), False)], "body_note": "1 tracker left out.",
        "trust": trust_words.Shown("good", "", "Sender confirmed", (("warn", HOSTILE),), (HOSTILE,), f"trust-m{i}"),
        "has_formatted": True, "formatted_href": "/formatted", "reply_to": [nobody], "warning": HOSTILE, "problems": [HOSTILE],
        "attachments": [a_file(n, kind) for n, kind in enumerate(("picture", "text", "pdf", "calendar", "message", ""))],
        "zip_href": "/all.zip", "deliveries": [DeliveryLine(HOSTILE, s, s, NOW, HOSTILE, timeline) for s in states for timeline in ((), [HAPPENED])],
        "pictures": PictureNote("offered", "2 pictures left out.", "g@x.example", False),
        "leaving": Leaving("post", HOSTILE, HOSTILE, "", "https://list.example/"), "invitation": an_invitation(),
        "incoming": True, "blocked": True, "reported": "spam",
    }  # fmt: skip
    return Shown(**message | more)


def a_plain_message(**more: Any) -> Shown:
    """As most mail is: a name, a few words, nothing to warn of."""
    plain = {
        "sender": Who("Grace", "g@x.example"), "to": [Who("Ann Onyango", "ann@mtumail.test")], "cc": [], "to_words": "to you",
        "subject": "the school roof", "snippet": "", "body_note": "", "trust": trust_words.Shown("good", "", "Sender confirmed"),
        "has_formatted": False, "warning": None, "problems": [], "attachments": [], "zip_href": "", "deliveries": [],
        "pictures": None, "leaving": None, "invitation": None, "blocked": False, "reported": "", "starred": False,
    }  # fmt: skip
    return a_message(**plain | more)


@cache
def an_invitation() -> invites.Shown:
    guests = tuple(Attendee(HOSTILE, HOSTILE, "ACCEPTED") for _ in range(14))
    invitation = Invitation(
        method="REQUEST", summary=HOSTILE, location=HOSTILE, description=HOSTILE, url="https://meet.example/x",
        organizer=Person(HOSTILE, "zoe@x.example"), attendees=guests,
    )  # fmt: skip
    app = Flask("webmail")
    Babel(app)
    with app.test_request_context():
        return invites.describe(invitation, None, "other@x.example")


def an_open(slug: str = "inbox", *conversation: Shown) -> dict[str, Any]:
    shown = list(conversation or [a_message()])
    asked = next(message for message in shown if message.open)
    return every_page(folder=Made(slug=slug, name=slug.title()), conversation=shown, asked=asked)


def a_form(**more: Any) -> dict[str, Any]:
    empty: dict[str, list[str]] = {name: [] for name in ("to", "cc", "bcc", "subject", "body")}
    form = Made(to="", cc="", bcc="", subject="", body="", errors=empty)
    context = {
        "form": form,
        "draft_id": None,
        "revision": None,
        "saved_at": None,
        "attachments": [],
        "reply": None,
        "forward": None,
    }
    return every_page(**context | more)


def a_full_form() -> dict[str, Any]:
    form = Made(
        to=HOSTILE,
        cc=HOSTILE,
        bcc=HOSTILE,
        subject=HOSTILE,
        body=f"\n{HOSTILE}",
        errors={n: [HOSTILE] for n in ("to", "cc", "body")},
    )
    files = [Made(number=1, name=HOSTILE, size=5)]
    return a_form(
        form=form, draft_id="d1", revision=0, saved_at=NOW, attachments=files, reply="m1", forward=None
    )


def all_help(**more: Any) -> Made:
    """What the composer shows beside the fields, all of it."""
    one = Made(key=f"person:to:{HOSTILE}", text=HOSTILE)
    tools = {
        "formatted": True, "total": 5, "limit": 9, "can_trim": True, "answers": [Made(answer_id=1, name=HOSTILE)],
        "offers": [Made(ref="m1.2", name=HOSTILE, size=5)], "strangers": [HOSTILE], "often": [HOSTILE], "meant": {"to": [one, one]},
        "senders": [Made(ident=n, name=HOSTILE, address=HOSTILE, chosen=n == "b") for n in "ab"], "other": "/compose?draft=d2",
        "reminders": [Made(code="file", words=HOSTILE)], "preview": [Piece(Markup("<p>a"), False)], "leaves": HOSTILE, "held": True,
    }  # fmt: skip
    return Made(**tools | more)


STUCK = Made(
    href="/mail/sent/m1", subject=HOSTILE, sent_at=NOW, is_open=True,
    people=[DeliveryLine(HOSTILE, HOSTILE, state, NOW, HOSTILE) for state in ("failed", "deferred", "sending")],
)  # fmt: skip
UNDO = Notice("status", HOSTILE, Undo("/undo", [("id", HOSTILE)]), Undo("/block", [("block", "1")], HOSTILE))
ALARM = Notice("alert", HOSTILE)
REPORT = Made(state="open", reported_at=NOW, message_id=1)
TOLD = Told("closed", "acted", HOSTILE, NOW, True, [Answer(NOW, HOSTILE)], NOW)
A_REPORT = {
    "message_id": "m0", "subject": HOSTILE, "sender": Who(HOSTILE, HOSTILE), "kinds": reports.KINDS, "before": None, "back": "/b",
    "form": {"kind": "spam", "words": HOSTILE, "errors": reports.NO_ERRORS}, "max_words": 2000,
    "told": None, "words": case_words,
}  # fmt: skip
ON_PAPER = {"message": a_message(bcc=[Who("", HOSTILE)])}
INSIDE = {
    "inner": Made(subject=HOSTILE), "sender": Who(HOSTILE, HOSTILE), "to": [Who("", HOSTILE)], "cc": [], "sent": NOW, "problems": [HOSTILE],
    "body": [Piece(Markup("<p>a"), False), Piece(Markup("<p>b"), True)], "attachments": [a_file(1, "message")], "back": "/b",
}  # fmt: skip
A_PREVIEW = {"file": a_file(), "text": HOSTILE, "note": HOSTILE, "back": "/b"}
SETTINGS = {"sections": SECTIONS, "switch": KEYBOARD, "zone": "Europe/Berlin"}
KEYS_ON = Preferences(keys=(("archive", "e"),))
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "list": ("mail/folder.html", a_list()),
    "list of every status": ("mail/folder.html", a_list("sent", [a_row(i, status=s) for i, s in enumerate(["sending", "sent", "deferred", "failed", "draft"])])),
    "drafts that leave": ("mail/folder.html", a_list("drafts", [a_row(i, status=s, note="24 Dec 09:30") for i, s in enumerate(["waits", "held", "draft"])], leaving=Made(waiting=2, held=1, tried=1, failed=2))),
    "undo": ("mail/folder.html", a_list(notice=UNDO)),
    "alarm": ("mail/folder.html", a_list(notice=ALARM)),
    "found": ("mail/folder.html", a_list("search", [a_row(folder="Archive")], query=HOSTILE, search_note=HOSTILE)),
    "not found": ("mail/folder.html", a_list("search", [], query=HOSTILE)),
    "junk": ("mail/folder.html", a_list("junk")),
    **{f"empty {slug}": ("mail/folder.html", a_list(slug, [], older=None, newer=None)) for slug in ("inbox", "sent", "drafts", "archive", "junk", "trash", "own")},
    "message": ("mail/message.html", an_open()),
    "sent message": ("mail/message.html", an_open("sent")),
    "formatted": ("mail/message.html", an_open("trash", a_message(show_formatted=True))),
    "conversation": ("mail/message.html", an_open("archive", a_message(1, open=False), a_message(2), a_message(3, open=False))),
    "plain message": ("mail/message.html", an_open("inbox", a_plain_message())),
    "shortcuts on": ("mail/message.html", an_open("inbox", a_plain_message()) | {"prefs": KEYS_ON}),
    **{f"pictures {state}": ("mail/message.html", an_open("inbox", a_plain_message(has_formatted=True, pictures=PictureNote(state, "2 pictures.", HOSTILE, True)))) for state in ("waiting", "ready", "shown", "failed")},
    **{f"leaving {way} {state}": ("mail/message.html", an_open("inbox", a_plain_message(leaving=Leaving(way, HOSTILE, HOSTILE, state, "https://list.example/")))) for way in ("post", "mail", "page") for state in ("", "asked", "done", "failed")},
    "quoted": ("mail/message.html", an_open("inbox", a_plain_message(body=[Piece(Markup("<p>new"), False), Piece(Markup("<p>old"), True)]))),
    "inner": ("mail/inner.html", every_page(**INSIDE)),
    "preview": ("mail/preview.html", every_page(**A_PREVIEW)),
    "nothing to preview": ("mail/preview.html", every_page(**A_PREVIEW | {"text": ""})),
    "print": ("mail/print.html", every_page(**ON_PAPER)),
    "report": ("report/new.html", every_page(**A_REPORT)),
    "report refused": ("report/new.html", every_page(**A_REPORT | {"form": {"kind": "", "words": HOSTILE, "errors": {"kind": HOSTILE, "words": HOSTILE}}})),
    "reported": ("report/new.html", every_page(**A_REPORT | {"before": REPORT, "told": TOLD})),
    "reported and deleted": ("report/gone.html", every_page(before=REPORT, told=TOLD, words=case_words)),
    "reports": ("report/index.html", every_page(lines=[(REPORT, HOSTILE, Made(message_id="m1", summary=Made(subject=HOSTILE)), None), (REPORT, HOSTILE, Made(message_id="m1", summary=None), None), (REPORT, HOSTILE, None, TOLD)], notice=UNDO)),
    "no reports": ("report/index.html", every_page(lines=[])),
    "compose": ("compose/compose.html", a_form()),
    "answer": ("compose/compose.html", a_full_form() | {"notice": ALARM}),
    "answer with all help": ("compose/compose.html", a_full_form() | {"tools": all_help()}),
    "draft that waits": ("compose/compose.html", a_form(tools=all_help(leaves=HOSTILE, held=False, reminders=()))),
    "files of others": ("compose/files.html", every_page(draft_id="d1", typed=HOSTILE, back="/b", older="/x", newer=None, carriers=[Made(subject=HOSTILE, who=HOSTILE, when=NOW, files=[Made(ref="m1.2", name=HOSTILE, size=5)])])),
    "no files of others": ("compose/files.html", every_page(draft_id="d1", typed="", back="/b", older=None, newer=None, carriers=[], notice=ALARM)),
    "outbox": ("outbox/index.html", every_page(days=7, lines=[Made(subject=HOSTILE, to=HOSTILE, held=held, is_late=held == "late", send_at=NOW, message_id=1) for held in ("", "late", "limit", "suspended", "changed", "unsendable", "error")], tried=[STUCK], failed=[STUCK])),
    "source": ("mail/source.html", every_page(source=HOSTILE, back="/b", download_href="/d")),
    "confirm": ("mail/confirm_delete.html", every_page(folder=Made(slug="trash"), ids=["a", "b"])),
    "error": ("error.html", every_page(code=404, heading="Nothing here", words=HOSTILE, nav=None, viewer=None)),
    "privacy": ("privacy.html", every_page(policy=[Section("", ("Who we are.",), ()), Section("What we keep", ("Your mail.", ["Points."], HOSTILE), (Fact(HOSTILE), Fact("Seen", "/my-data")))], nav=None)),
    "welcome": ("welcome.html", every_page(form={"local_part": HOSTILE, "domain": "b.test", "code": HOSTILE, "errors": {"local_part": HOSTILE, "code": HOSTILE}}, places=[("a.test", "open"), ("b.test", "invite")], needs_code=True, needs_always=False, suggestions=[HOSTILE], is_first=True, target="/welcome", nav=None)),
    "settings": ("settings/index.html", every_page(**SETTINGS, chosen={"rows": "50", "shortcuts": "on"}, errors={})),
    "settings refused": ("settings/index.html", every_page(**SETTINGS, chosen={}, errors={"rows": HOSTILE, "shortcuts": HOSTILE})),
    "keys": ("settings/keyboard.html", every_page(groups=shortcuts.GROUPS, typed=dict(shortcuts.DEFAULTS), errors={}, is_refused=False) | {"prefs": KEYS_ON}),
    "keys refused": ("settings/keyboard.html", every_page(groups=shortcuts.GROUPS, typed={"archive": HOSTILE}, errors={"archive": HOSTILE}, is_refused=True)),
    "senders": ("settings/senders.html", every_page(blocked=[Made(ident="00", address=HOSTILE)], pictures=[])),
    "keyboard": ("help/keyboard.html", every_page(groups=shortcuts.GROUPS, keys={"archive": "g i"}, is_on=True)),
}  # fmt: skip


def rendered(app: Flask, template: str, context: dict[str, Any], lang: str = "en_GB") -> str:
    with app.test_request_context(f"/?lang={lang}"):
        return render_template(template, **context)


class Tree(HTMLParser):
    """The start tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.in_labels: list[dict[str, str]] = []
        self._labels = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        self._labels += tag == "label"
        if self._labels:
            self.in_labels.append(self.tags[-1][1])

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


# --- sources ---


@pytest.mark.parametrize("path", MINE, ids=name_of)
def test_a_partial_states_what_it_needs_and_uses_no_more(app: Flask, path: Path) -> None:
    source = path.read_text("utf-8")
    if not path.name.startswith("_"):
        assert source.startswith(
            ('{% extends "base.html" %}', '{% extends "staff/base.html" %}', "<!doctype html>")
        )
        return
    first = re.match(r"\{# needs: (.+?) #\}\n", source)
    assert first, "the first line says what the partial needs"
    assert set(re.sub(r" \(.*?\)", "", first[1]).split(", ")) == asked_for(app, path)


def asked_for(app: Flask, path: Path) -> set[str]:
    """The names that a template takes from its context, those of the partials that it includes among them."""
    source = path.read_text("utf-8")
    tree = app.jinja_env.parse(source)
    # What is set in one branch alone, Jinja takes for undeclared.
    names = meta.find_undeclared_variables(tree) - set(re.findall(r"\{%-? set (\w+) =", source))
    local = set(re.findall(r"\{%-? (?:set|for|with) (\w+)", source)) | set(
        re.findall(r"\{%-? for (?:\w+, )+(\w+)", source)
    )
    for other in meta.find_referenced_templates(tree):
        if other and Path(other).name.startswith("_"):
            names |= asked_for(app, TEMPLATES / other) - local
    return names


@pytest.mark.parametrize("path", MINE, ids=name_of)
def test_words_go_through_gettext(path: Path) -> None:
    source = unescape(re.sub(r"(?s)\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "\0", path.read_text("utf-8")))
    texts = re.findall(r">([^<]+)", source) + re.findall(
        r'(?:title|placeholder|aria-label|alt)="([^"]*)"', source
    )
    texts = [re.sub(r'[\w-]+="[^"]*"', "", t) for t in texts]  # a macro may say attributes
    bare = [t.strip() for t in texts if re.search(r"[A-Za-z]{2}", t.replace("mtumail", ""))]
    assert bare == []


@pytest.mark.parametrize("path", MINE, ids=name_of)
def test_nothing_is_marked_safe_and_every_value_is_quoted(path: Path) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"\|\s*safe|autoescape|\btojson\b|hx-on|js:|javascript:", source)
    assert not re.search(r"=\{\{", re.sub(r'"[^"]*"', '""', source)), "an attribute's value without quotes"


def test_only_one_script_of_others_and_only_ours_else() -> None:
    kept = {
        p.relative_to(STATIC).as_posix()
        for p in STATIC.rglob("*")
        if p.is_file() and p.suffix not in {".br", ".gz"}
    }
    licence = "vendor/htmx-4.0.1/LICENSE"
    assert kept - {"staff.css"} == {
        "app.css",
        "app.js",
        "keys.js",
        "compose.js",
        "copy.js",
        "cases.js",
        "imports.js",
        "leaving.css",
        "vendor/htmx-4.0.1/htmx.min.js",
        licence,
    }


def test_the_script_says_in_english_what_the_page_says_in_other_languages() -> None:
    script, base = (STATIC / "app.js").read_text("utf-8"), (TEMPLATES / "base.html").read_text("utf-8")
    ours = re.search(r'dataset\.words \|\| "([^"]+)"', script)
    theirs = re.search(r"data-words=\"\{\{ _\('([^']+)'\)", base)
    assert ours
    assert theirs
    assert ours[1] == theirs[1]
    highest = max(int(n) for n in re.findall(r"words\[(\d)\]", script))
    assert len(ours[1].split("|")) == highest + 1


# --- pages ---


@pytest.fixture(params=list(PAGES))
def page(app: Flask, request: pytest.FixtureRequest) -> str:
    return rendered(app, *PAGES[request.param])


def test_no_inline_code_and_nothing_from_elsewhere(page: str) -> None:
    for tag, attrs in Tree(page).tags:
        assert tag != "style"
        assert tag != "script" or (attrs["src"].startswith("/static/") and "defer" in attrs)
        assert not [a for a in attrs if a == "style" or a.startswith(("on", "hx-on"))]
        if tag == "a" and attrs.get("target") == "_blank" and attrs["href"].startswith("https:"):
            assert set(attrs["rel"].split()) == {"noopener", "noreferrer", "nofollow"}, (
                "a way out tells nothing"
            )
            continue
        for name in ("src", "href", "action", "formaction", "hx-get"):
            assert re.match(r"/(?!/)|#|data:,$|$", attrs.get(name, "")), (tag, attrs)


def test_strangers_text_stays_text(page: str) -> None:
    tags = Tree(page).tags
    scripts = [attrs.get("src", "") for tag, attrs in tags if tag == "script"]
    assert scripts == [path for path in OUR_SCRIPTS if path in scripts]
    assert not [1 for _, attrs in tags if "onload" in attrs or attrs.get("hx-get") == "/x"]
    assert "1787569" not in page, "a template in a template"


def test_one_main_one_heading_and_labels(page: str) -> None:
    tree = Tree(page)
    skip = [link["href"] for link in tree.of("a") if "skip" in link.get("class", "")]
    assert len(tree.of("main")) == 1
    assert not skip or skip == [f"#{tree.of('main')[0].get('id')}"]
    assert len(tree.of("h1")) == 1
    ids = [attrs["id"] for _, attrs in tree.tags if "id" in attrs]
    assert sorted(ids) == sorted(set(ids)), "an id stands for one element"
    labelled = {label.get("for") for label in tree.of("label")}
    for tag in ("input", "textarea", "select"):
        for attrs in tree.of(tag):
            named = attrs.get("aria-label") or attrs.get("id") in labelled
            assert named or attrs.get("type") == "hidden" or any(attrs is one for one in tree.in_labels)
    for _, attrs in tree.tags:
        for pointer in ("aria-describedby", "aria-labelledby"):
            assert set(attrs.get(pointer, "").split()) <= set(ids)
    assert all(
        frame["title"]
        and "allow-scripts" not in frame["sandbox"]
        and "allow-same-origin" not in frame["sandbox"]
        for frame in tree.of("iframe")
    )


def test_every_form_that_writes_carries_one_token(page: str) -> None:
    for form in re.findall(r"(?s)<form\b.*?</form>", page):
        tokens = form.count('name="csrf_token"')
        assert tokens == (1 if 'method="post"' in form.split(">")[0] else 0)
        assert form.count("<form") == 1


def test_status_and_alarm(app: Flask) -> None:
    undo, alarm = Tree(rendered(app, *PAGES["undo"])), Tree(rendered(app, *PAGES["alarm"]))
    assert [a["role"] for _, a in undo.tags if a.get("role") in ("status", "alert")] == ["status"]
    assert [a["role"] for _, a in alarm.tags if a.get("role") in ("status", "alert")] == ["alert"]
    assert "/undo" in [form["action"] for form in undo.of("form")]


NEVER_SWAPPED = ("mail/_body.html", "mail/_files.html", "mail/_leaving.html", "staff/_chart.html")


@pytest.mark.parametrize("path", PARTIALS, ids=name_of)
def test_a_partial_has_one_root_with_an_id(app: Flask, path: Path) -> None:
    message = a_message()
    context = an_open() | a_full_form() | a_list() | {"message": message, "notice": UNDO}
    context |= {
        "token": "t",
        "low": False,
        "ask": True,
        "trust": message.trust,
        "invitation": message.invitation,
    }
    context |= {
        "code": 404,
        "heading": "Nothing here",
        "words": HOSTILE,
        "good": True,
        "suggestions": [HOSTILE],
    }
    context |= {
        "history": [],
        "names": {},
        "of_all": True,
        "page_size": 50,
        "chart": bars([1, 2], HOSTILE),
        "is_under_way": False,
        "exports": [],
        "imports": [],
        "states": {},
        "about": {},
        "account_ends": NOW,
    }
    html = rendered(app, name_of(path), context).strip()
    is_swapped = name_of(path) not in NEVER_SWAPPED
    root = re.match(r"<(\w+)[^>]* id=\"[\w-]+\"" if is_swapped else r"<(\w+)", html)
    assert root, html[:80]
    tag = root[1]
    depth = 0
    for step in re.finditer(rf"<(/?){tag}\b", html):
        depth += -1 if step[1] else 1
        assert depth > 0 or html[step.end() :] == ">", "something stands beside the root"
    assert depth == 0


def test_the_page_includes_the_very_partial(app: Flask) -> None:
    for page, partial, context in (
        ("mail/folder.html", "mail/_list.html", a_list()),
        ("mail/message.html", "mail/_message.html", an_open()),
        ("compose/compose.html", "compose/_form.html", a_full_form()),
        ("error.html", "_error.html", every_page(code=404, heading="Nothing here", words="Gone.")),
    ):
        whole, part = rendered(app, page, context), rendered(app, partial, context)
        hide = lambda html: re.sub(r"token-[\w-]+", "", html).strip()  # noqa: E731
        assert hide(part) in hide(whole)


def test_handles_that_outside_checks_hold_on_to(app: Flask) -> None:
    listed = rendered(app, *PAGES["list"])
    assert 'table id="messages"' in listed
    assert '<tr data-id="m0"' in listed
    assert 'a class="subject" href="/mail/inbox/m0"' in listed
    opened = rendered(app, *PAGES["message"])
    assert '<article class="message" id="m-m0" data-id="m0">' in opened
    assert '<div class="reading" dir="auto" hx-ignore><p>The <b>body</b></div>' in opened
    assert 'iframe class="formatted"' in rendered(app, *PAGES["formatted"])
    form = Tree(rendered(app, *PAGES["answer"]))
    names = {attrs.get("name") for tag, attrs in form.tags if tag in ("input", "textarea", "button")}
    assert {
        "to",
        "cc",
        "bcc",
        "subject",
        "body",
        "attachment",
        "send",
        "save",
        "discard",
        "attach",
        "remove",
    } <= names
    assert next(f for f in form.of("form") if f.get("id") == "compose")["enctype"] == "multipart/form-data"


def test_enter_in_a_field_saves_and_never_sends(app: Flask) -> None:
    form = rendered(app, *PAGES["answer"]).split('id="compose"')[1]
    assert re.findall(r'<button[^>]* name="(\w+)"', form)[0] == "save"


def test_first_line_of_a_letter_is_kept(app: Flask) -> None:
    """A parser drops one newline after `<textarea>`: the template gives it one, so that a leading blank line survives."""
    context = a_form(form=Made(to="", cc="", bcc="", subject="", body="\nHello", errors={}))
    assert 'rows="16" cols="72">\n\nHello</textarea>' in rendered(app, "compose/compose.html", context)


def test_what_is_under_way_is_asked_for_again_and_what_is_done_is_not(app: Flask) -> None:
    def asked(*states: str) -> dict[str, str]:
        lines = [DeliveryLine("a@x", s, s, NOW, "") for s in states]
        return Tree(
            rendered(app, "mail/_deliveries.html", {"message": {"id": "m1", "deliveries": lines}})
        ).of("table")[0]

    assert asked("sent", "sending")["hx-trigger"] == "every 5s"
    assert asked("sent", "deferred")["hx-trigger"] == "every 60s"
    assert "hx-get" not in asked("sent", "failed", "cancelled")


def test_a_name_that_poses_as_an_address_shows_the_real_one(app: Flask) -> None:
    rows = [
        a_row(0, who="bank@bank.example", who_title="x@evil.example"),
        a_row(1, who="Ann", who_title="ann@x.example"),
    ]
    html = rendered(app, "mail/_list.html", a_list(rows=rows))
    assert 'title="x@evil.example"' in html
    assert "ann@x.example" not in html


def test_acts_go_to_a_message_that_is_open(app: Flask) -> None:
    acts = {
        form["action"]
        for form in Tree(rendered(app, *PAGES["conversation"])).of("form")
        if "/m" in form["action"]
    }
    assert "/mail/inbox/m2" in acts
    assert not acts & {"/mail/inbox/m1", "/mail/inbox/m3"}


def test_right_to_left(app: Flask) -> None:
    assert '<html lang="ar" dir="rtl">' in rendered(app, *PAGES["list"], lang="ar")
    physical = re.findall(
        r"(?:margin|padding|border)-(?:left|right)\b|[;{](?:left|right):|float:",
        (STATIC / "app.css").read_text("utf-8"),
    )
    assert physical == []


# --- bytes ---


def packed(content: bytes | str, quality: int) -> int:
    return len(brotli.compress(content.encode() if isinstance(content, str) else content, quality=quality))


def a_mailbox(count: int = 50) -> list[Made]:
    """Mail as it comes: short subjects that recur, snippets that do not, some of it not in Latin script. Seeded."""
    pick = random.Random(7)
    first, last = (
        ["Vera", "Grace", "Samir", "Oskar", "Elena", "Hugo", "Tess", "Umar", "Priya", "Chidi"],
        ["Adeyemi", "Mwangi", "Dubois", "Banda", "Tanaka", "Silva", "Kumar"],
    )
    topics = [
        "grant report",
        "invoice 2291",
        "seed order",
        "clinic rota",
        "choir practice",
        "the school roof",
        "visa paperwork",
        "football kit",
    ]
    frames = [
        "{}",
        "Re: {}",
        "Question on {}",
        "Quick note: {}",
        "[openmaps-dev] {}: next steps",
        "{} - can you check?",
        "{} for next week",
    ]
    abroad = [
        ("王小明", "下周的会议安排", "大家好，下周三的会议改到下午两点，请提前准备好材料"),
        ("فاطمة الزهراء", "دعوة إلى اجتماع", "نود دعوتكم لحضور الاجتماع يوم الخميس"),
    ]
    text = (
        "please find below what Maria wrote to me yesterday I would rather wait for the report than guess could you take the twelfth "
        "instead Hugo is away children drew pictures will send one when line is free phone has been off since Thursday mail is best way agreed "
        "let us do that who brings keys this time second figure in table three net of travel costs last call for maize and beans send your amounts"
    )
    words, rows = text.split(), []
    for i in range(count):
        name = f"{pick.choice(first)} {pick.choice(last)}"
        subject = pick.choice(frames).format(pick.choice(topics))
        start = pick.randrange(len(words) - 16)
        snippet = " ".join(words[start : start + 16]).capitalize()
        if i % 12 == 5:
            name, subject, snippet = pick.choice(abroad)
        address = f"{name.lower().replace(' ', '.')}@{pick.choice(['riverside-clinic', 'farmcoop', 'openmaps'])}.example"
        shown = "".join(pick.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=10))
        row = a_row(
            i,
            id=shown,
            href=f"/mail/inbox/{shown}",
            who=name,
            who_title=address,
            subject=subject,
            snippet=snippet,
        )
        row.unread, row.starred, row.answered = i < 9, i % 11 == 3, i % 5 == 2
        row.count, row.files, row.size = (
            pick.choice([1, 1, 1, 2, 4]),
            pick.choice([0, 0, 0, 1]),
            pick.randrange(900, 400_000),
        )
        row.when = NOW - timedelta(minutes=i * i * 11)
        rows.append(row)
    return rows


def test_bytes_of_the_first_inbox(app: Flask) -> None:
    """Budget: 9 kB in two requests without JavaScript, 24 kB in four with it, headers (250 bytes an answer) included."""
    context = a_list(rows=a_mailbox(), newer=None)
    context["viewer"].name, context["title"] = "Ann Onyango", "Inbox"
    page = packed(rendered(app, "mail/folder.html", context), 5)
    css = packed(assets.lean(STATIC / "app.css"), 11)
    scripts = [packed(assets.lean(STATIC / name), 11) for name in ("app.js", "vendor/htmx-4.0.1/htmx.min.js")]
    assert css <= 4300
    assert scripts[0] <= 2560
    assert page <= 4300
    assert page + css + 2 * 250 <= 9000
    assert page + css + sum(scripts) + 4 * 250 <= 24_000


def test_bytes_of_fragments(app: Flask) -> None:
    body = Markup("<p>Dear all,</p><p>%s</p>") % " ".join(row.snippet for row in a_mailbox(12))
    plain = a_plain_message(body=[Piece(body, False)])
    budgets = [
        ("mail/_list.html", a_list(rows=a_mailbox()), 3400),
        ("mail/_message.html", an_open("inbox", plain), 1500),
        ("mail/message.html", an_open("inbox", plain), 2400),
        ("compose/_form.html", a_form(), 600),
        ("compose/compose.html", a_form(), 1600),
    ]  # fmt: skip
    sizes = {name: (packed(rendered(app, name, context), 5), budget) for name, context, budget in budgets}
    assert {name: size for name, size in sizes.items() if size[0] > size[1]} == {}


def test_a_row_is_lean(app: Flask) -> None:
    few, many = (
        len(
            rendered(
                app,
                "mail/_list.html",
                a_list(rows=[a_row(0, who="", who_title="", subject="x", snippet="")] * n),
            )
        )
        for n in (1, 2)
    )
    assert many - few < 480


# --- colour ---


def channel(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(d * 2 for d in digits)
    red, green, blue = (channel(int(digits[i : i + 2], 16)) for i in (0, 2, 4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def tokens() -> tuple[dict[str, str], dict[str, str]]:
    css = (STATIC / "app.css").read_text("utf-8")
    plain = dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})", css.split("@supports")[0]))
    both = re.findall(r"--([a-z]+):light-dark\((#[0-9a-f]{3,6}),(#[0-9a-f]{3,6})\)", css)
    assert {name: light for name, light, _ in both} == plain, "the fallback is the light scheme"
    return plain, {name: dark for name, _, dark in both}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    colour = tokens()[scheme]
    for ink in ("ink", "quiet", "accent", "good", "warn", "bad"):
        for ground in ("paper", "rail", "tint", "hover"):
            assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
    assert contrast(colour["on"], colour["accent"]) >= 4.5
    assert contrast(colour["bad"], colour["badtint"]) >= 4.5
    assert contrast(colour["paper"], colour["ink"]) >= 4.5
    for control in ("edge", "star"):
        assert contrast(colour[control], colour["paper"]) >= 3


def test_static_files_are_served_without_their_comments(tmp_path: Path) -> None:
    served = assets.prepare(tmp_path)
    for name in ("app.css", "app.js"):
        plain = (served / name).read_bytes()
        assert brotli.decompress((served / f"{name}.br").read_bytes()) == plain
        assert not re.search(rb"(?m)^\s*/\*", plain)
        comments = re.sub(rb"(?m)^[ \t]*/\*[^\n]*\*/\n", b"", (STATIC / name).read_bytes())
        assert plain == comments, "nothing else is left out"
    vendored = "vendor/htmx-4.0.1/htmx.min.js"
    assert (served / vendored).read_bytes() == (STATIC / vendored).read_bytes()


def test_every_way_into_the_page_brings_the_counts_of_the_rail(app: Flask) -> None:
    """The rail stands outside of what is swapped: the script writes these numbers into it, in the order of the folders."""
    for name, context in (
        ("mail/_list.html", a_list()),
        ("mail/_message.html", an_open()),
        ("compose/_form.html", a_form()),
    ):
        assert 'data-unread="0 3 6 9 12 15"' in rendered(app, name, context), name
