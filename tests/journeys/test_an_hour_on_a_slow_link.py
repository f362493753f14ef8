"""An hour of somebody who writes, over a link on which every request takes 600 ms longer.

Tokens hold for a minute, the signing key is replaced three times, and Clerk is gone for five minutes. Nothing that was typed is lost,
and nobody is signed out. The hour is simulated: the application and the local Clerk share a clock that the test puts forward.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from webmail import create_app
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.embedded.clerk.server import LocalClerk, Options
from webmail.embedded.clerk.testing import call
from webmail.embedded.people import DEMO_PASSWORD, DEMO_PEOPLE
from webmail.identity import accounts
from webmail.identity.clerk.authenticate import build_clerk
from webmail.identity.clerk.jwks import FetchedKeys
from webmail.identity.clerk.reach import Watched
from webmail.identity.clerk.refresh import Refresher
from webmail.mail import mailboxes
from webmail.settings import domains

pytestmark = pytest.mark.slow

LATENCY = 0.6
MINUTES = 60
ROTATIONS = {10: {"keep_old": True}, 24: {"same_kid": True}, 41: {}}
OUTAGE_BEGINS, OUTAGE_ENDS, SENT_IN_OUTAGE = 30, 35, 32
"""It begins within its minute, after a page, and ends with its minute."""
WITHOUT_REFRESH = 50
ANN = DEMO_PEOPLE[0]
WORDS = (
    "Dear Omar,\n\n  the pump <b>stands</b> in the shed.\n.\nAn hour passes while I write this: ✓ ñ 你好\n"
)


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class Hour:
    """The service and its Clerk, and the time that both believe it is."""

    origin: str
    clerk: LocalClerk
    ahead: float = 0.0
    minute: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    """(path, status) of every answer of the application."""

    def now(self) -> float:
        return time.time() + self.ahead

    def pass_minute(self) -> None:
        self.minute += 1
        self.ahead += 60
        self.clerk.local.controls.clock_offset = self.ahead
        if (how := ROTATIONS.get(self.minute)) is not None:
            call(self.clerk, "POST", "/_local/keys/rotate", how)
        if self.minute == WITHOUT_REFRESH:
            call(self.clerk, "POST", "/_local/refresh/expire", {})
        if self.minute == OUTAGE_ENDS:
            self.clerk.local.controls.outage = False

    @property
    def out(self) -> bool:
        return self.clerk.local.controls.outage

    def calls(self, ending: str) -> int:
        return sum(one["path"].endswith(ending) for one in list(self.clerk.local.controls.calls))


@pytest.fixture
def hour(environment, database, owner_app, master, empty, tmp_path, monkeypatch) -> Iterator[Hour]:
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    origin = f"http://mail.localhost:{server.server_port}"
    options = Options(tmp_path, origin, environment="test", webhook_url=f"{origin}/webhooks/clerk")
    _make_mailbox(owner_app, master)
    with LocalClerk(options) as clerk:
        hour = Hour(origin, clerk)

        def build(settings, shared):
            """As it is built, by the clock of this hour, and fetching its keys."""
            built = build_clerk(settings, shared)
            return replace(
                built,
                clock=hour.now,
                keys=FetchedKeys(built.backend.jwks, clock=hour.now),
                refresher=Refresher(built.backend.refresh_session, shared, clock=hour.now),
                reach=Watched(built.reach._ask, clock=hour.now),
            )

        monkeypatch.setattr("webmail.web.application.build_clerk", build)
        env = environment | clerk.environment() | {
            "MTUMAIL_ORIGIN": origin, "DATABASE_URL": database.urls["web"], "CLERK_CLOCK_SKEW": "0", "CLERK_JWT_KEY": "",
        }  # fmt: skip
        app = create_app(Settings.from_environment(env))

        @app.after_request
        def noted(response):
            from flask import request

            hour.asked.append((request.path, response.status_code))
            return response

        server.app = app
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield hour
        server.shutdown()
        thread.join(5)
        with app.app_context():
            db.engine.dispose()
    server.server_close()


def _make_mailbox(owner_app, master) -> None:
    with owner_app.app_context():
        with transaction():
            domains.host("mtumail.test")
            account_id = accounts.meet(ANN.user_id, "Ann Whitfield", ANN.email)
        with transaction(mailboxes.new_mailbox_id()):
            mailboxes.create(
                master, account_id=account_id, name="Ann Whitfield", local_part="ann", domain="mtumail.test",
                quota_bytes=10**9, actor="system:tests",
            )  # fmt: skip


def check(hour: Hour) -> None:
    """Clerk was asked as seldom as it can be."""
    assert hour.calls("/jwks") <= 12
    assert hour.calls("/refresh") <= 2 * MINUTES + 10
    statuses = {status for _, status in hour.asked}
    assert sum(status == 307 for _, status in hour.asked) <= 16, (
        "an hour of sixty tokens costs few ways round"
    )
    assert not statuses & {400, 403, 500}, [one for one in hour.asked if one[1] in (400, 403, 500)]


def test_an_hour_without_a_script(hour: Hour, new_client) -> None:
    client = new_client(clerk=None, origin=hour.origin, clerk_url=hour.clerk.instance.url, latency=LATENCY)
    shown = client.get("/")
    assert shown.url.startswith(f"{client.clerk_url}/sign-in")
    page = client.press(shown, shown.forms[0], identifier=ANN.email, password=DEMO_PASSWORD)
    assert page.url.startswith(hour.origin)
    assert "Inbox" in page.text
    composer = client.get("/compose")
    form, kept = composer.form(id="compose"), None
    places = ("/mail/inbox", "/mail/sent", "/search?q=pump", "/settings", "/mail/drafts")
    client.headers = {"Origin": hour.origin}
    for minute in range(1, MINUTES + 1):
        hour.pass_minute()
        if minute == SENT_IN_OUTAGE:
            kept = client.press(composer, form, "Send", to="omar@example.net", subject="The pump", body=WORDS)
            assert kept.status == 503
            assert "does not answer" in kept.text
            again = kept.form(action="/compose")
            assert again.value("body").replace("\r\n", "\n") == WORDS
            assert again.value("subject") == "The pump"
            continue
        page = client.get(places[minute % len(places)])
        assert page.url.startswith(hour.origin), f"minute {minute}: away to {page.url}"
        if hour.out:
            assert page.status == 503
            assert "Your mail is safe" in page.text
        else:
            assert (page.status, "ann@mtumail.test" in page.text) == (200, True), (minute, page.text[:300])
        if minute == OUTAGE_BEGINS:
            hour.clerk.local.controls.outage = True
            assert client.get("/mail/inbox").status == 200, "a token that holds goes on"
    assert kept is not None
    sent = client.press(kept, kept.form(action="/compose"), "Try again")
    if sent.status == 401:  # the token had run out, and a POST is never sent round by Clerk
        client.get(sent.link("Confirm"))
        sent = client.press(sent, sent.form(action="/compose"), "Try again")
    assert sent.status == 200, sent.text[:500]
    assert 'role="status"' in sent.text
    assert "Sending" in sent.text
    for line in ("Dear Omar", "the pump &lt;b&gt;stands&lt;/b&gt; in the shed", "✓ ñ 你好"):
        assert line in sent.text
    assert len(client.get("/mail/sent").rows()) == 1, "sent once"
    check(hour)


@pytest.mark.browser
def test_an_hour_in_a_browser(hour: Hour, launch) -> None:
    context = launch().new_context()
    been: list[str] = []

    def tab():
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("framenavigated", lambda frame: been.append(frame.url))
        line = context.new_cdp_session(page)
        line.send("Network.enable")
        line.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": LATENCY * 1000, "downloadThroughput": -1, "uploadThroughput": -1},
        )
        return page

    writing, reading = tab(), tab()
    reading.goto(f"{hour.origin}/")
    reading.fill("[name=identifier]", ANN.email)
    reading.fill("[name=password]", DEMO_PASSWORD)
    reading.press("[name=password]", "Enter")
    reading.wait_for_url(f"{hour.origin}/**")
    writing.goto(f"{hour.origin}/compose")
    writing.fill("[name=to]", "omar@example.net")
    writing.fill("[name=subject]", "The pump")
    first, second = WORDS[:40], WORDS[40:]
    writing.fill("[name=body]", first)
    been.clear()
    for minute in range(1, MINUTES + 1):
        hour.pass_minute()
        if minute == 20:
            writing.fill("[name=body]", first + second)
        if minute in (SENT_IN_OUTAGE, WITHOUT_REFRESH):
            writing.click("button[name=send]")
            writing.wait_for_selector("#alarm")
            assert writing.input_value("[name=body]") == WORDS, "what was typed stays where it is"
        if hour.out:
            answer = reading.goto(f"{hour.origin}/mail/inbox")
            assert answer is not None
            assert answer.status == 503
            assert "Your mail is safe" in reading.inner_text("main")
        elif minute % 2 and minute not in (OUTAGE_BEGINS, OUTAGE_ENDS):
            reading.click("nav a[href='/mail/sent']")  # by htmx: a fragment, or a page where that will not do
            reading.wait_for_url("**/mail/sent")
            assert "ann@mtumail.test" in reading.content(), minute
        else:
            answer = reading.goto(f"{hour.origin}/mail/inbox")
            assert answer is not None
            assert (answer.status, "ann@mtumail.test" in reading.content()) == (200, True), minute
        if minute == OUTAGE_BEGINS:
            hour.clerk.local.controls.outage = True
            answer = reading.goto(f"{hour.origin}/mail/inbox")
            assert answer is not None
            assert answer.status == 200, "a token that holds goes on"
    assert not [url for url in been if "/sign-in" in url or "/v1/client" in url], "nobody was signed out"
    writing.click("button[name=send]")
    if writing.locator("#alarm a").count():
        writing.wait_for_timeout(3 * LATENCY * 1000)
    writing.wait_for_url("**/mail/sent/**")
    text = writing.inner_text("article.message")
    for line in WORDS.split():
        assert line in text
    reading.goto(f"{hour.origin}/mail/sent")
    assert reading.locator("#messages tr[data-id]").count() == 1, "sent once"
    check(hour)
    context.close()
