"""Reading under attack: forged senders, other people's messages, what a stranger's mail can make this service do."""

import io
import logging
import re
import time
from html.parser import HTMLParser
from ipaddress import ip_address
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import text

from webmail import jail
from webmail.db import show_id
from webmail.governance import reports
from webmail.jail.line import CELL, Line
from webmail.logs import JsonLines
from webmail.mail import correspondents, mime, remote_pictures, trust
from webmail.remote import Client
from webmail.web import opened as opened_page
from webmail.web import passes

BLOCK = (
    "Return-Path: <x@evil.example>\r\n"
    "Authentication-Results: mail.example.net;\r\n\tspf=pass smtp.mailfrom=evil.example;\r\n\tdkim=none;\r\n\t{results}\r\n"
    "Received: from mx.evil.example ([192.0.2.7])\r\n\tby mail.example.net with ESMTPS id 1;\r\n\tMon, 23 Nov 2026 00:00:00 +0000\r\n"
)
SEALED = "dmarc=fail header.from={domain} policy.dmarc={policy};\r\n\tarc=pass policy.sealer={sealer}"
FAILED = "dmarc=fail header.from={domain} policy.dmarc={policy}"
REMOTE = '<p>Hello</p><img src="https://pictures.evil.example/a.png" width=300 height=200 alt=cat>'


def judged(raw: bytes, results: str = FAILED, **values: str) -> bytes:
    told = {"domain": "bank.example", "policy": "reject", "sealer": "evil.example"} | values
    return BLOCK.format(results=results.format(**told)).encode() + raw


def page_of(client, message_id: int, query: str = "") -> str:
    answer = client.get(f"/m/{show_id(message_id)}", follow_redirects=True)
    if query:
        answer = client.get(answer.request.path + query)
    assert answer.status_code == 200
    return answer.text


def is_junk(client, message_id: int) -> bool:
    where = client.get(f"/m/{show_id(message_id)}").headers["Location"]
    return "/mail/junk/" in where


# --- who it is from ------------------------------------------------------------------------------------------------------


def test_a_seal_and_a_list_of_ones_own_do_not_carry_a_forged_sender_past_junk(
    deliver, ann, letter, browser_of
):
    raw = letter(
        sender="Bank <ceo@bank.example>", To="talk@lists.evil.example", List_Id="<talk.lists.evil.example>"
    )
    client = browser_of(ann)
    forged = deliver(ann, judged(raw, SEALED))
    assert is_junk(client, forged)
    page = page_of(client, forged)
    assert "came through the list" in page


def test_whom_the_reader_writes_to_is_not_excused_by_a_seal_either(deliver, ann, letter, browser_of, opened):
    opened(ann, lambda keys: correspondents.written_to(keys, ["ceo@bank.example"]))
    raw = letter(
        sender="Bank <ceo@bank.example>", To="talk@lists.evil.example", List_Id="<talk.lists.evil.example>"
    )
    forged = deliver(ann, judged(raw, SEALED))
    assert is_junk(browser_of(ann), forged)
    assert "Be careful with this message" in page_of(browser_of(ann), forged)


def test_a_list_that_the_reader_writes_to_stays_in_the_inbox(deliver, ann, letter, browser_of, opened):
    opened(ann, lambda keys: correspondents.written_to(keys, ["talk@lists.example.org"]))
    raw = letter(
        sender="Zoe <zoe@bank.example>", To="talk@lists.example.org", List_Id="Talk <talk.lists.example.org>"
    )
    client = browser_of(ann)
    assert not is_junk(client, deliver(ann, judged(raw, SEALED, sealer="example.org")))
    assert is_junk(client, deliver(ann, judged(raw, SEALED, sealer="evil.example"))), (
        "sealed by somebody else"
    )


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
@pytest.mark.parametrize("domain", ["mtumail.test", "sub.mtumail.test"])
def test_IN21_a_forged_sender_of_our_own_goes_to_junk_whatever_the_policy(
    deliver, ann, letter, browser_of, policy, domain
):
    raw = letter(sender=f"IT <it@{domain}>")
    client = browser_of(ann)
    forged = deliver(ann, judged(raw, domain=domain, policy=policy))
    assert is_junk(client, forged)
    assert "your own service" in page_of(client, forged)


def test_IN18_several_authors_go_to_junk(deliver, ann, letter, browser_of):
    raw = letter(sender="<a@bank.example>, <b@evil.example>")
    told = FAILED.replace("dmarc=fail", 'dmarc=fail reason="several From addresses"')
    assert is_junk(browser_of(ann), deliver(ann, judged(raw, told, policy="none")))
    honest = deliver(ann, judged(letter(sender="<a@bank.example>"), policy="none"))
    assert not is_junk(browser_of(ann), honest)


@pytest.mark.parametrize(
    "name",
    [
        "service\uff20paypal.com", "service@paypal\u2024com", "service@paypal\u3002com", "service @ paypal.com", "service(at)paypal.com",
        "ser\u200bvice@\u200dpaypal.com", "=?utf-8?q?service=40paypal.com?=",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ours", [False, True])
def test_no_spelling_of_an_address_in_a_name_stays_unsaid(name, ours):
    if ours:
        name = name.replace("paypal", "mtumail").replace("com", "test")
    form = f"From: {name} <x@evil.example>" if name.startswith("=?") else f'From: "{name}" <x@evil.example>'
    parsed = mime.parse(f"{form}\r\n\r\nx".encode())
    facts = trust.Facts(sender=(parsed.sender.name, parsed.sender.email), hosted_domains=("mtumail.test",))
    assert trust.assess(facts).word == ("danger" if ours else "caution")


@pytest.mark.parametrize("sender", [
    ("mtumail.test helpline", "x@evil.example"), ("", '"boss@mtumail.test"@evil.example'), ("The Mtumail.Test team", "x@evil.example"),
])  # fmt: skip
def test_our_own_name_is_known_under_every_ending_and_in_a_local_part(sender):
    assert trust.assess(trust.Facts(sender=sender, hosted_domains=("mtumail.test",))).word == "danger"


def test_the_null_sender_is_no_excuse_for_a_keepers_name():
    for name, word in (("IT Support", "caution"), ("Mtumail Team", "caution"), ("Postmaster", "unknown")):
        facts = trust.Facts(sender=(name, "x@evil.example"), return_path="", hosted_domains=("mtumail.test",))
        assert trust.assess(facts).word == word, name


def test_a_message_within_a_message_vouches_for_nobody(deliver, ann, letter, browser_of):
    inner = judged(
        letter("inside", sender="Bank <ceo@bank.example>"),
        "dmarc=pass header.from=bank.example policy.dmarc=reject",
    )
    outer = (
        b"From: a@evil.example\r\nTo: ann@mtumail.test\r\nSubject: out\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n"
        b"\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--B--\r\n"
    )
    message = show_id(deliver(ann, outer))
    page = browser_of(ann).get(f"/mail/inbox/{message}/in/1").text
    assert "inside" in page
    assert "Sender confirmed" not in page
    assert "was not checked" in page


# --- who makes us fetch --------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(superuser):
    return lambda: superuser.execute(text("SELECT count(*) FROM message_picture")).scalar_one()


@pytest.fixture
def html(letter):
    def write(sender: str = "Zoe <zoe@bank.example>", **headers: str) -> bytes:
        return letter("Pictures", f"{REMOTE}\r\n", sender=sender, **headers).replace(
            b"text/plain", b"text/html"
        )

    return write


def test_a_forged_sender_learns_nothing_from_a_standing_consent(
    deliver, ann, html, browser_of, opened, wanted, superuser
):
    opened(ann, lambda keys: correspondents.allow_pictures(keys, "zoe@bank.example", True))
    superuser.execute(text('UPDATE account SET preferences = \'{"pictures": "always"}\''))
    client = browser_of(ann)
    forged = deliver(ann, judged(html(), policy="none"))
    page_of(client, forged)
    page_of(client, forged, "?view=formatted&pictures=1")
    client.get(f"/mail/inbox/{show_id(forged)}/pictures")
    assert wanted() == 0
    page_of(client, deliver(ann, html()))
    assert wanted() == 1, "the consent itself still stands"


@pytest.mark.parametrize("action", ["junk", "trash"])
def test_nothing_is_fetched_by_itself_for_junk_and_trash(
    deliver, ann, html, browser_of, csrf, wanted, superuser, action
):
    superuser.execute(text('UPDATE account SET preferences = \'{"pictures": "always"}\''))
    client = browser_of(ann)
    message = deliver(ann, html())
    client.post(
        "/mail/inbox/act", data={"csrf_token": csrf(client), "action": action, "id": show_id(message)}
    )
    page_of(client, message)
    page_of(client, message, "?view=formatted&pictures=1")
    assert wanted() == 0


def test_no_question_that_only_asks_fetches_anything(deliver, ann, html, browser_of, wanted, superuser):
    superuser.execute(text('UPDATE account SET preferences = \'{"pictures": "always"}\''))
    client = browser_of(ann)
    message = show_id(deliver(ann, html()))
    for path in ("", "?view=formatted", "?pictures=1", "/pictures", "/formatted", "/print", "/source"):
        client.head(f"/mail/inbox/{message}{path}")
        client.get(f"/mail/inbox/{message}{path}", headers={"Sec-Purpose": "prefetch;prerender"})
    assert wanted() == 0


def test_one_mailbox_cannot_fill_the_queue_of_all(
    deliver, ann, html, browser_of, csrf, superuser, monkeypatch
):
    monkeypatch.setattr(remote_pictures, "MAX_WAITING", 2)
    client = browser_of(ann)
    token = csrf(client)
    ids = [show_id(deliver(ann, html())) for _ in range(4)]
    told = [
        client.post(f"/mail/inbox/{ident}/pictures", data={"csrf_token": token, "agree": "once"}).status_code
        for ident in ids
    ]
    assert told == [303, 303, 409, 409]
    assert (
        client.post(f"/mail/inbox/{ids[0]}/pictures", data={"csrf_token": token, "agree": "once"}).status_code
        == 303
    )
    superuser.execute(text('UPDATE account SET preferences = \'{"pictures": "always"}\''))
    assert client.get(f"/mail/inbox/{ids[3]}").status_code == 200, "a standing consent waits for its turn"
    assert superuser.execute(text("SELECT count(*) FROM work WHERE kind = 'fetch'")).scalar_one() == 2


# --- other people's ------------------------------------------------------------------------------------------------------


def calendar_mail(letter) -> bytes:
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG")
    return (
        b"From: Zoe <zoe@example.org>\r\nTo: ben@mtumail.test\r\nSubject: Bens own\r\nList-Unsubscribe: <mailto:off@example.org>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
        b"--B\r\nContent-Type: text/html\r\n\r\n" + REMOTE.encode() + b'<p><a href="https://a.example/">x</a><img src="cid:a@b"></p>\r\n'
        b"--B\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment; "
        b"filename=a.png\r\n\r\n" + png.getvalue() + b"\r\n--B\r\nContent-Type: text/plain; name=a.txt\r\n"
        b"Content-Disposition: attachment; filename=a.txt\r\n\r\nwords\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n"
        + letter("inside") + b"\r\n--B\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + png.getvalue() + b"\r\n--B--\r\n"
    )  # fmt: skip


def test_WB01_no_route_of_reading_tells_anything_of_another_mailbox(
    deliver, ann, ben, letter, browser_of, csrf, superuser, web_app
):
    theirs, nobodys = show_id(deliver(ben, calendar_mail(letter))), show_id(2**46 + 77)
    client = browser_of(ann)
    token = csrf(client)
    tables = ("message", "message_view", "message_picture", "unsubscription", "invitation_answer", "report", "correspondent",
              "work", "draft", "submission")  # fmt: skip

    def everything():
        return [superuser.execute(text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")).scalar() for table in tables]  # fmt: skip

    before, seen = everything(), 0
    pass_of_ann = passes.issue(web_app.extensions["pass_key"], ann.account_id, ann.mailbox_id, 1, time.time())
    values = {"folder": "inbox", "within": "4", "name": "a.txt", "token": pass_of_ann}
    for rule in web_app.url_map.iter_rules():
        if "message" not in rule.arguments or rule.rule.startswith(
            "/staff"
        ):  # closed to her whole: see test_access
            continue
        for number in ("1", "2", "3", "4"):
            paths = [
                re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", lambda m, i=ident, n=number: (values | {"message": i, "number": n})[m[1]], rule.rule)
                for ident in (theirs, nobodys)
            ]  # fmt: skip
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                data = {
                    "csrf_token": token,
                    "action": "read",
                    "agree": "always",
                    "answer": "accepted",
                    "kind": "spam",
                }
                answers = [
                    client.open(path, method=method, data=data if method == "POST" else None)
                    for path in paths
                ]
                assert {answer.status_code for answer in answers} == {404}, rule.rule
                bodies = {re.sub(r'(?<=value=")[0-9a-f]{64}', "", answer.text) for answer in answers}
                assert len(bodies) == 1, rule.rule
                assert "Bens own" not in answers[0].text
                seen += 1
    assert seen > 60
    assert everything() == before


def test_a_pass_opens_one_message_of_one_mailbox_for_a_minute(
    web_app, deliver, ann, ben, letter, browser_of, stranger
):
    mine, other = deliver(ann, calendar_mail(letter)), deliver(ben, calendar_mail(letter))
    key, now = web_app.extensions["pass_key"], time.time()
    forged = [
        (other, passes.issue(key, ann.account_id, ann.mailbox_id, other, now)),
        (mine, passes.issue(key, ben.account_id, ann.mailbox_id, mine, now)),
        (mine, passes.issue(key, ann.account_id, ben.mailbox_id, mine, now)),
        (mine, passes.issue(key, ann.account_id, ann.mailbox_id, other, now)),
        (mine, passes.issue(key, ann.account_id, ann.mailbox_id, mine, now - passes.SECONDS - 2)),
        (mine, passes.issue(b"k" * 32, ann.account_id, ann.mailbox_id, mine, now)),
    ]
    genuine = passes.issue(key, ann.account_id, ann.mailbox_id, mine, now)

    def ask(client, message, token, picture):
        return client.get(f"/mail/inbox/{show_id(message)}/formatted/{token}/{picture}").status_code

    for client in (stranger, browser_of(ann)):
        assert ask(client, mine, genuine, "i/5") == 200
        for message, token in forged:
            for picture in ("i/5", "r/1"):
                assert ask(client, message, token, picture) == 404


def test_nothing_of_an_opened_message_may_be_kept_by_a_browser(deliver, ann, letter, browser_of):
    client, message = browser_of(ann), show_id(deliver(ann, calendar_mail(letter)))
    for path in ("", "/print", "/source", "/message.eml", "/all.zip", "/2/a.png?view=1", "/2/thumbnail", "/3/preview", "/in/4",
                 "/formatted", "/pictures"):  # fmt: skip
        answer = client.get(f"/mail/inbox/{message}{path}")
        assert answer.status_code in (200, 303), path
        assert "no-store" in answer.headers["Cache-Control"], path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
    assert client.get(f"/mail/inbox/{message}/1/thumbnail").status_code == 404


# --- words of strangers --------------------------------------------------------------------------------------------------


class Attributes(HTMLParser):
    """Every attribute of a page, as (name, value)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += attrs


EVIL = "<img src=x onerror=alert(1)>'\"&{{7*7}}%s%(x)s{0.__class__}"


def test_WB09_no_word_of_a_stranger_is_markup_or_a_format(deliver, ann, browser_of, csrf):
    ics = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@x\r\nDTSTAMP:20261101T100000Z\r\n"
        f"DTSTART:20261201T100000Z\r\nSUMMARY:{EVIL}\r\nLOCATION:{EVIL}\r\nDESCRIPTION:{EVIL}\r\nURL:javascript:alert(1)//https://x\r\n"
        f'ORGANIZER;CN="{EVIL.replace(chr(34), "")}":mailto:zoe@example.org\r\n'
        "ATTENDEE;CN=<svg onload=alert(1)>;PARTSTAT=NEEDS-ACTION:mailto:ann@mtumail.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    quoted = EVIL.replace("\\", "").replace('"', "")
    raw = (
        f'From: "{quoted}" <"<svg/onload=1>"@evil.example>\r\nReply-To: "{quoted}" <r@else.example>\r\nTo: "{quoted}" <ann@mtumail.test>\r\n'
        f"Subject: {EVIL}\r\nList-Id: {quoted} <l.evil.example>\r\nList-Unsubscribe: <https://evil.example/%22onclick=alert(1)>\r\n"
        f"X-{'A' * 20}: {EVIL}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
        "--B\r\nContent-Type: text/html\r\n\r\n<p hx-get=/settings hx-trigger=load data-x=1 formaction=/x>hi "
        "<a href='https://evil.example/\"onmouseover=alert(1)'>http://bank.example</a></p>"
        '<img src="https://t.evil.example/<svg onload=1>" width=1 height=1>\r\n'
        f"--B\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n{ics}\r\n"
        f'--B\r\nContent-Type: text/plain; name="{quoted}.exe"\r\nContent-Disposition: attachment; filename="{quoted}.exe"\r\n\r\nx\r\n--B--\r\n'
    ).encode()
    client = browser_of(ann)
    message = show_id(deliver(ann, judged(raw, policy="none")))
    pages = [client.get(path) for path in (
        "/", f"/mail/inbox/{message}", f"/mail/inbox/{message}?view=formatted", f"/mail/inbox/{message}/print", f"/report/{message}",
        f"/mail/inbox/{message}/source", "/search?q=hi", f"/compose?reply={message}", f"/compose?forward={message}",
    )]  # fmt: skip
    block = client.post(
        f"/mail/inbox/{message}/block", data={"csrf_token": csrf(client)}, follow_redirects=True
    )
    for answer in (*pages, block, client.get("/settings/senders")):
        assert answer.status_code == 200, answer.request.path
        lower = answer.text.lower()
        assert "<img src=x" not in lower
        assert "<svg" not in lower
        assert ">49<" not in lower
        assert "{49}" not in lower
        page = Attributes()
        page.feed(answer.text)
        assert not [name for name, _value in page.found if name.startswith("on")], answer.request.path
        assert not [value for _name, value in page.found if (value or "").lower().startswith("javascript:")]
        assert ("hx-get", "/settings") not in page.found
        assert ("formaction", "/x") not in page.found


def test_a_stranger_cannot_have_hundreds_of_thumbnails_made(deliver, ann, browser_of):
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG")
    part = (
        b"--B\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=%d.png\r\n\r\n"
        + png.getvalue()
        + b"\r\n"
    )
    raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    raw += b"".join(part.replace(b"%d", b"%d" % number) for number in range(300)) + b"--B--\r\n"
    page = page_of(browser_of(ann), deliver(ann, raw))
    assert page.count("/thumbnail") == opened_page.MAX_THUMBNAILS
    assert page.count(".png") >= 300


CANARY = "qzxcanary"


@pytest.fixture
def journal():
    """What all loggers would write, as processes write it."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep(logging.DEBUG)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)


def test_MO08_no_log_line_of_reading_holds_a_word_of_a_stranger(
    deliver, ann, browser_of, csrf, journal, worker, monkeypatch
):
    from workers import fetching

    broken = f"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:{CANARY}\r\nDTSTART:{CANARY}\r\nRRULE:{CANARY}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    raw = (
        f"From: {CANARY} <zoe@{CANARY}.example>\r\nSubject: {CANARY}\r\nList-Id: <{CANARY}.example.org>\r\n"
        f"List-Unsubscribe: <https://{CANARY}.example/{CANARY}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: text/html\r\n\r\n"
        f'<p>{CANARY}</p><img src="http://{CANARY}.invalid/{CANARY}.png" width=300 height=200 alt={CANARY}><a href="http://{CANARY}.example/">a</a>\r\n'
        f"--B\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename={CANARY}.png\r\n\r\n\x89PNG\r\n\x1a\n{CANARY}\r\n"
        f"--B\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename={CANARY}.pdf\r\n\r\n%PDF-1.4 {CANARY}\r\n"
        f"--B\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n{broken}\r\n"
        f"--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: {CANARY}\r\nContent-Type: text/html; charset={CANARY}\r\n\r\n{CANARY}\r\n--B--\r\n"
    ).encode("latin-1")
    monkeypatch.setitem(
        worker.extensions, "remote", Client(names=lambda host, _seconds: [ip_address("127.0.0.1")])
    )
    client = browser_of(ann)
    message = show_id(deliver(ann, raw))
    here, token = f"/mail/inbox/{message}", csrf(client)
    for path in ("", "?view=formatted", "/print", "/source", "/all.zip", "/message.eml", "/formatted", "/l/1", "/f/1", "/l/99", "/pictures",
                 *(f"/{number}/{name}" for number in range(9) for name in (f"{CANARY}.png", "preview", "thumbnail")), "/in/5", f"/in/{CANARY}"):  # fmt: skip
        assert client.get(here + path).status_code in (200, 303, 404), path
    for path, told in (
        ("/pictures", {"agree": "once"}),
        ("/unsubscribe", {}),
        ("/invitation", {"answer": "accepted"}),
        ("/block", {}),
    ):
        assert client.post(here + path, data={"csrf_token": token} | told).status_code in (303, 404, 409), (
            path
        )
    assert fetching.drain_pictures() == 1
    fetching.drain_unsubscriptions()
    assert (
        client.post(
            f"/report/{message}", data={"csrf_token": token, "kind": "spam", "words": CANARY}
        ).status_code
        == 303
    )
    monkeypatch.setattr("webmail.mail.reading.load", lambda *_, **__: 1 / 0)
    assert client.get(f"/m/{message}", follow_redirects=True).status_code == 500
    assert any("unexpected" in line for line in journal)
    assert any('"pictures"' in line and "private" in line for line in journal), (
        "the failed fetch is told, as a code"
    )
    assert not [line for line in journal if CANARY in line.lower()]


# --- reports -------------------------------------------------------------------------------------------------------------


def test_reports_cannot_fill_the_database_beyond_every_quota(
    deliver, ann, ben, letter, browser_of, csrf, superuser, monkeypatch
):
    monkeypatch.setattr(reports, "MAX_A_DAY", 2)
    client = browser_of(ann)
    ids = [show_id(deliver(ann, letter(f"n{number}"))) for number in range(4)]
    for number, ident in enumerate(ids[:3]):
        answer = client.post(f"/report/{ident}", data={"csrf_token": csrf(client), "kind": "spam"})
        assert answer.status_code == (303 if number < 2 else 409)
    monkeypatch.setattr(reports, "MAX_A_DAY", 100)
    monkeypatch.setattr(reports, "MAX_BYTES_A_DAY", 10)
    assert (
        client.post(f"/report/{ids[3]}", data={"csrf_token": csrf(client), "kind": "spam"}).status_code == 409
    )
    assert superuser.execute(text("SELECT count(*) FROM report")).scalar_one() == 2
    bens = show_id(deliver(ben, letter("b")))
    other = browser_of(ben)
    monkeypatch.setattr(reports, "MAX_BYTES_A_DAY", 1 << 20)
    assert other.post(f"/report/{bens}", data={"csrf_token": csrf(other), "kind": "spam"}).status_code == 303


# --- the jail ------------------------------------------------------------------------------------------------------------

TAKEN_OVER = '''
import os, signal, resource, socket, ctypes

def warm():
    pass

def attempt(payload, **options):
    """As code that a hostile picture brought along would: by name, and what came of it."""
    target = options.get("path", "")
    try:
        return repr(ACTS[options["name"]](target, options.get("pid", 0))).encode()
    except OSError as error:
        return f"refused {error.errno}".encode()

def ptrace(_path, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "")

ACTS = {
    "unlink": lambda path, pid: os.unlink(path),
    "rename": lambda path, pid: os.rename(path, path + "x"),
    "chmod": lambda path, pid: os.chmod(path, 0o777),
    "truncate": lambda path, pid: os.truncate(path, 0),
    "mkdir": lambda path, pid: os.mkdir(path + ".d"),
    "symlink": lambda path, pid: os.symlink("/", path + ".l"),
    "readlink": lambda path, pid: os.readlink("/proc/self/exe"),
    "parent": lambda path, pid: os.kill(os.getppid(), 0),
    "everybody": lambda path, pid: os.kill(-1, 0),
    "somebody": lambda path, pid: os.kill(pid, 0),
    "priority": lambda path, pid: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "limits": lambda path, pid: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)),
    "socket": lambda path, pid: socket.socket(),
    "chroot": lambda path, pid: os.chroot("/"),
    "ptrace": ptrace,
}
'''
STARTER = """
import runpy, socket, sys
sys.path.insert(0, {folder!r})
cell = runpy.run_path({cell!r}, run_name="cell")
cell["main"](socket.socket(fileno=int(sys.argv[1])), {{"html.reading": ("taken_over", "attempt")}})
"""
ACTS = ["unlink", "rename", "chmod", "truncate", "mkdir", "symlink", "readlink", "parent", "everybody", "somebody", "priority",
        "limits", "socket", "chroot", "ptrace"]  # fmt: skip


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory):
    import os
    import sys

    folder: Path = tmp_path_factory.mktemp("taken")
    folder.joinpath("taken_over.py").write_text(TAKEN_OVER)
    script = folder / "start.py"
    script.write_text(STARTER.format(folder=str(folder), cell=str(CELL)))
    target = folder / "target"
    target.write_text("whole")
    folder.chmod(0o777)
    target.chmod(0o666)
    if os.geteuid() == 0:
        os.chown(target, 65534, 65534)
    for parent in folder.parents:
        if parent != Path("/tmp"):
            if not str(parent).startswith("/tmp/"):
                break
            parent.chmod(parent.stat().st_mode | 0o001)
    line = Line((sys.executable, "-I", str(script)))
    yield line, target
    line.stop()


@pytest.mark.parametrize("name", ACTS)
def test_code_that_took_a_job_over_touches_no_path_and_no_process(taken_over, monkeypatch, name):
    line, target = taken_over
    monkeypatch.setattr(jail, "_line", line)
    told = jail.run("html.reading", b"x", {"name": name, "path": str(target), "pid": line.pid or 0})
    assert isinstance(told, bytes), told
    assert told == b"refused 1", told
    assert target.read_text() == "whole"
