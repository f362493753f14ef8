"""The timeline of a sent message in plain words, in the reader's zone, folded behind one line."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, request
from flask_babel import Babel, refresh

from webmail.db import IdConverter, show_id
from webmail.mail.bounces import REASONS
from webmail.sending.events import Event
from webmail.sending.outbox import Status
from webmail.web import filters
from webmail.web.deliveries import line

TO = "carla@example.org"
NOW = datetime.now(UTC)


@pytest.fixture
def app() -> Flask:
    app = Flask("webmail")
    Babel(
        app,
        locale_selector=lambda: "en_GB",
        timezone_selector=lambda: request.args.get("zone", "UTC"),
    )
    app.url_map.converters["id"] = IdConverter
    app.add_url_rule("/m/<id:message>", "mail.permanent", lambda message: "")
    app.add_url_rule("/deliveries/<id:message>", "mail.deliveries", lambda message: "")
    filters.init_app(app)
    return app


@pytest.fixture(autouse=True)
def asked(app: Flask):
    with app.test_request_context("/"):
        yield


def event(kind, reason="", reply="", *, at=NOW, until=None, report=None, code=None):
    return Event(at, kind, code, "", reason, reply, until, report)


def status(state, *events, reply="", repeated=False, next_at=None):
    return Status(TO, state, 1, reply, repeated, next_at, NOW, events)


def words(*events, state="sent"):
    return [one.words for one in line(status(state, *events)).timeline]


def test_a_message_that_waits_has_one_line():
    shown = line(status("queued", event("queued")))
    assert (shown.words, shown.state, list(shown.timeline)) == ("Waiting to leave", "queued", [])


def test_each_step_is_told_in_order():
    events = [
        event("queued"),
        event("deferred", "mailbox-full", "452 4.2.2 full"),
        event("deferred"),
        event("handed", reply="250 2.0.0 kept"),
        event("delayed", "mailbox-full", "452 full", report=5),
        event("bounced", "no-such-user", "550 5.1.1 nobody", report=6),
    ]
    assert words(*events, state="failed") == [
        "put into the outbox",
        "the relay says the mailbox is full; trying again",
        "the relay could not be reached, or did not answer; trying again",
        "handed to the relay",
        "example.org says the mailbox is full; it keeps trying",
        "example.org says there is no such address",
    ]
    shown = line(status("failed", *events))
    assert (shown.words, shown.state) == (
        "Not delivered: example.org says there is no such address",
        "failed",
    )
    assert [one.report_href for one in shown.timeline] == [
        "",
        "",
        "",
        "",
        f"/m/{show_id(5)}",
        f"/m/{show_id(6)}",
    ]
    assert shown.timeline[3].detail == "250 2.0.0 kept"


@pytest.mark.parametrize(
    ("state", "events", "words", "css"),
    [
        ("sent", [event("handed")], "Handed to the relay", "sent"),
        ("sent", [event("handed"), event("delivered", report=1)], "Delivered", "delivered"),
        ("sent", [event("delayed", "network", report=1), event("delivered", report=2)], "Delivered", "delivered"),
        ("sent", [event("handed", report=1)], "Handed to the relay", "sent"),
        ("failed", [event("delivered", report=1), event("bounced", "spam", report=2), event("delayed", report=3)], "Not delivered: example.org takes it for spam", "failed"),
        ("failed", [event("failed", "no-such-user", "550 no")], "Not delivered", "failed"),
        ("cancelled", [event("cancelled")], "Cancelled", "cancelled"),
        ("claimed", [event("delayed", report=1)], "Leaving now", "sending"),
    ],
)  # fmt: skip
def test_one_line_says_where_it_is_now(state, events, words, css):
    shown = line(status(state, *events))
    assert (shown.words, shown.state) == (words, css)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (event("failed", "expired"), "given up after five days"),
        (event("failed"), "given up"),
        (event("failed", "relay-denied", "554 no"), "the relay does not take mail for this address"),
        (event("delivered", report=1), "example.org delivered it"),
        (event("handed", report=1), "passed on; whoever has it now sends no reports"),
        (event("cancelled"), "cancelled by you"),
        (event("bounced", "nonsense", report=1), "example.org did not take it"),
    ],
)
def test_what_is_said_of_an_event(one, said):
    assert words(event("queued"), one)[1] == said


def test_every_reason_has_words_of_its_own():
    said = {words(event("bounced", reason, report=1), state="failed")[0] for reason in REASONS}
    assert len(said) == len(REASONS)
    assert all(sentence.startswith("example.org ") for sentence in said)


def test_times_are_the_readers(app):
    today = NOW.replace(hour=12, minute=2)
    long_ago = datetime(2020, 2, 29, 23, 30, tzinfo=UTC)
    with app.test_request_context("/?zone=Asia/Tokyo"):
        refresh()
        shown = line(status("sent", event("queued", at=long_ago), event("handed", at=today)))
        assert shown.timeline[0].when == "1 Mar 08:30"
    refresh()
    shown = line(status("sent", event("queued", at=long_ago), event("handed", at=today)))
    assert [one.when for one in shown.timeline] == ["29 Feb 23:30", "12:02"]


def test_until_when_is_a_day():
    noon = NOW.replace(hour=12, minute=5)
    for days, pattern in ((0, "12:05"), (3, "%A"), (30, None)):
        until = noon + timedelta(days=days)
        want = until.strftime(pattern) if pattern else f"{until.day} {until.strftime('%B')}"
        [said] = words(event("delayed", "network", until=until, report=1))
        assert said.endswith(f"; it keeps trying until {want}")


def shown_as_text(app, state, *events):
    message = {"id": "AAAAAAAB", "deliveries": [line(status(state, *events))]}
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.globals |= {"_": lambda words, **values: words % values if values else words}
    return app.jinja_env.get_template("mail/_deliveries.html").render(message=message)


def test_the_page_folds_the_timeline_and_escapes_what_strangers_said(app):
    bounced = event("bounced", "no-such-user", "550 <b>nobody</b>", report=6)
    page = shown_as_text(app, "failed", event("queued"), bounced)
    assert page.count("<details>") == 1
    assert '<summary class="bad">Not delivered: example.org says there is no such address</summary>' in page
    assert "550 &lt;b&gt;nobody&lt;/b&gt;" in page
    assert f'<a href="/m/{show_id(6)}">the report</a>' in page
    plain = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert plain.index("put into the outbox") < plain.index("( 550 <b>nobody</b> )")
    assert "hx-get" not in page


def test_a_message_under_way_has_no_fold_and_asks_again(app):
    page = shown_as_text(app, "queued", event("queued"))
    assert "<details>" not in page
    assert 'hx-trigger="every 5s"' in page
