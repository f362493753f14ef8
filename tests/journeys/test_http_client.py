"""The main journey with an HTTP client alone: no script, no style, nothing but pages, links and forms."""

import hashlib
import http.server
import os
import random
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from webmail.embedded.clerk.testing import Browser, send
from webmail.embedded.people import DEMO_PASSWORD

pytestmark = pytest.mark.slow


def fresh(words: str) -> str:
    """A subject that no other run has."""
    return f"{words} {uuid.uuid4().hex[:10]}"


def row_of(client, subject: str, where: str = "/mail/inbox"):
    """The row with this subject as (id, address, subject), or None."""
    return next((row for row in client.get(where).rows() if row[2] == subject), None)


def opened(client, eventually, subject: str, where: str = "/mail/inbox", seconds: float = 2.0):
    """Find a message by its subject and open it."""
    found = eventually(lambda: row_of(client, subject, where), seconds, f"{subject!r} in {where}")
    return client.get(found[1])


def acted(client, page, words: str, number: str):
    """Tick one row of a list and press a button above it."""
    form = page.form(action="/act")
    fields = [*form.fields, ("id", number)]
    button = next(item for item in form.buttons if item[2] == words)
    return client.post(form.action, [*fields, (button[0], button[1])])


def said(page) -> str:
    """What the page says has just happened."""
    found = re.search(r'role="status"[^>]*>(.*?)</', page.text, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found[1]) if found else ""


def check_wire(raw: bytes) -> None:
    """Lines end in CRLF and in nothing else, are of bounded length, and the header is ASCII."""
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    raw.partition(b"\r\n\r\n")[0].decode("ascii")


def test_mail_arrives_is_read_and_answered(service, ann_client, mail_from_outside, relayed, eventually):
    subject = fresh("Is the spare pump here")
    original = mail_from_outside(subject, "Grüße! Is it <b>there</b>?\n.\nA dot stood alone.\n")
    page = opened(ann_client, eventually, subject)
    assert page.status == 200
    assert "Grüße! Is it &lt;b&gt;there&lt;/b&gt;?" in page.text
    assert 'article class="message"' in page.text

    composer = ann_client.get(page.link("Reply"))
    form = composer.form(id="compose")
    assert {"to", "cc", "bcc", "subject", "body", "attachment"} <= form.names
    assert form.value("subject") == f"Re: {subject}"
    assert "zoe@example.org" in form.value("to")
    assert "> A dot stood alone." in form.value("body").replace("\r", "")
    body = f".It is here.\n.\nFrom the shed, sincerely: ✓\n{form.value('body')}"
    sent = ann_client.press(
        composer, form, "Send", cc="omar@example.net", bcc="secret.reader@example.com", body=body
    )
    assert sent.status == 200
    assert "Sending" in said(sent)
    for address in ("zoe@example.org", "omar@example.net", "secret.reader@example.com"):
        assert address in sent.text
    delivered = eventually(
        lambda: (page := ann_client.get(sent.url)).text.count("Handed to the relay") == 3 and page,
        10,
        "three deliveries",
    )
    assert "Waiting to leave" not in delivered.text

    kept = relayed(f"Re: {subject}")
    check_wire(kept.raw)
    assert set(kept.recipients) == {"zoe@example.org", "omar@example.net", "secret.reader@example.com"}
    answer = message_from_bytes(kept.raw, policy=policy.default)
    assert answer["From"].addresses[0].addr_spec == "ann@mtumail.test"
    assert answer["In-Reply-To"] == answer["References"] == original["Message-ID"]
    assert re.fullmatch(r"<[^<>\s@]+@mtumail\.test>", answer["Message-ID"])
    assert answer["Message-ID"] != original["Message-ID"]
    assert answer["Bcc"] is None
    assert b"secret.reader" not in kept.raw
    assert answer["Date"].datetime.tzinfo is not None
    text = answer.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.startswith(".It is here.\n.\n")
    assert "From the shed, sincerely: ✓" in text
    assert "> A dot stood alone." in text
    assert row_of(ann_client, f"Re: {subject}", "/mail/sent")


def test_a_second_press_of_send_sends_once(service, ann_client, relayed, eventually):
    subject = fresh("Pressed twice")
    composer = ann_client.get("/compose")
    form = composer.form(id="compose")
    values = {"to": "zoe@example.org", "subject": subject, "body": "once\n"}
    first = ann_client.press(composer, form, "Send", **values)
    second = ann_client.press(composer, form, "Send", **values)
    assert first.url == second.url
    relayed(subject)
    eventually(lambda: "Handed to the relay" in ann_client.get(first.url).text, 10, "the delivery")
    assert sum(subject.encode() in path.with_suffix(".eml").read_bytes() for path in service.kept()) == 1


def test_ann_writes_to_ben_and_they_thread(ann_client, ben_client, relayed, eventually):
    subject = fresh("Rota for the weekend")
    composer = ann_client.get("/compose")
    ann_client.press(
        composer,
        composer.form(id="compose"),
        "Send",
        to="Ben Okello <ben@mtumail.test>",
        subject=subject,
        body="You or I?\n",
    )
    relayed(subject)
    page = opened(ben_client, eventually, subject, seconds=10)
    assert "You or I?" in page.text
    composer = ben_client.get(page.link("Reply"))
    form = composer.form(id="compose")
    ben_client.press(composer, form, "Send", body="I will.\n" + form.value("body"))
    relayed(f"Re: {subject}")
    answer = opened(ann_client, eventually, f"Re: {subject}", seconds=10)
    assert "I will." in answer.text
    assert answer.text.count('<article class="message"') == 2, (
        "the answer stands in the thread of what it answers"
    )
    assert row_of(ben_client, subject, "/mail/inbox")[2] == subject


def test_files_go_out_and_come_in_unchanged(ann_client, ben_client, relayed, eventually):
    subject = fresh("Two files")
    files = {
        "survey — Öresund.bin": random.Random(7).randbytes(70_001),
        "lines.txt": b"one\ntwo\r\nthree\rfour\n\n",
    }
    composer = ann_client.get("/compose")
    form = composer.form(id="compose")
    draft = ann_client.press(
        composer, form, "Attach", files=files, to="ben@mtumail.test", subject=subject, body="see\n"
    )
    form = draft.form(id="compose")
    assert form.value("to") == "ben@mtumail.test"
    for name in files:
        assert name in draft.text
    ann_client.press(draft, form, "Send", files={"late.dat": b"\0\xff" * 5})
    kept = relayed(subject)
    check_wire(kept.raw)
    wire = message_from_bytes(kept.raw, policy=policy.default)
    expected = files | {"late.dat": b"\0\xff" * 5}
    assert {
        part.get_filename(): part.get_payload(decode=True) for part in wire.iter_attachments()
    } == expected

    page = opened(ben_client, eventually, subject, seconds=10)
    for name, content in expected.items():
        got = ben_client.get(page.link(name))
        assert got.status == 200
        assert hashlib.sha256(got.answer.body).digest() == hashlib.sha256(content).digest(), name
        assert got.answer.headers["Content-Disposition"].startswith("attachment;")
        assert got.answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_came_can_be_found(ann_client, mail_from_outside, eventually):
    subject, word = fresh("Search me"), f"zyx{uuid.uuid4().hex[:8]}"
    mail_from_outside(subject, f"Somewhere in here stands {word} and nothing else.\n")
    eventually(lambda: row_of(ann_client, subject), 2, "the message")
    home = ann_client.get("/")
    box = home.form(action="/search")
    for query in (word, f"subject:{subject.split()[-1]}", f'"stands {word}"', f"from:zoe {word}"):
        assert [row[2] for row in ann_client.press(home, box, q=query).rows()] == [subject], query
    nothing = ann_client.press(home, box, q=f"{word}s")
    assert nothing.rows() == []
    assert "Nothing found" in nothing.text
    assert f"{word}s" in nothing.text


def test_archive_undo_trash_and_delete_for_ever(ann_client, mail_from_outside, eventually):
    subject = fresh("Here today")
    mail_from_outside(subject)
    number, href, _ = eventually(lambda: row_of(ann_client, subject), 2, "the message")
    archived = acted(ann_client, ann_client.get("/mail/inbox"), "Archive", number)
    assert said(archived) == "Archived."
    assert row_of(ann_client, subject, "/mail/archive")
    assert not row_of(ann_client, subject)
    undo = next(form for form in archived.forms if any(words == "Undo" for *_, words in form.buttons))
    assert said(ann_client.press(archived, undo, "Undo")) == "Moved back."
    assert row_of(ann_client, subject)

    page = ann_client.get(href)
    trashed = ann_client.press(page, page.form(action=href), "Delete")
    assert said(trashed) == "Moved to Trash."
    assert ann_client.get(href).status == 404
    asked = acted(ann_client, ann_client.get("/mail/trash"), "Delete for ever", number)
    assert "cannot be undone" in asked.text
    assert row_of(ann_client, subject, "/mail/trash"), "asking deletes nothing"
    gone = ann_client.press(asked, asked.form(action="/act"), "Delete for ever")
    assert said(gone) == "Deleted for ever."
    assert not row_of(ann_client, subject, "/mail/trash")
    assert ann_client.get(f"/mail/trash/{number}").status == 404
    assert not ann_client.get(f"/search?{urlencode({'q': subject.split()[-1]})}").rows()


def test_every_form_that_changes_something_carries_a_token(ann_client):
    inbox = ann_client.get("/")
    paths = [
        "/",
        "/mail/sent",
        "/mail/trash",
        "/search?q=a",
        "/compose",
        "/settings",
        "/privacy",
        inbox.rows()[0][1],
    ]
    seen = 0
    for path in paths:
        page = ann_client.get(path)
        assert page.status == 200, path
        for form in page.forms:
            if form.method == "post":
                seen += 1
                assert re.fullmatch("[0-9a-f]{64}", form.value("csrf_token")), (path, form.action)
                refused = ann_client.post(form.action, [("action", "read"), ("csrf_token", "0" * 64)])
                assert refused.status == 403, (path, form.action)
    assert seen > len(paths)


def test_nothing_but_our_two_hosts_is_met(ann_client):
    assert ann_client.met == {"mail.localhost", "clerk.localhost"}


def test_signing_out_ends_it(sign_in):
    client = sign_in("ben")
    page = client.get("/")
    out = client.press(page, page.form(action="/auth/sign-out"))
    assert out.status == 200
    assert client.get("/").url.startswith(client.clerk_url)


# --- w3m -----------------------------------------------------------------------------------------------------------------


class _Onward(http.server.BaseHTTPRequestHandler):
    """A proxy that takes every *.localhost to loopback, for machines whose resolver does not.

    It keeps the cookies too: each `w3m -dump` is a session of its own, and forgets those that end with it.
    """

    jar: Browser

    def _pass(self) -> None:
        host = urlsplit(self.path).hostname or ""
        assert host.endswith(".localhost"), self.path
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {
            name: self.headers[name] for name in ("Accept", "Content-Type", "Referer") if name in self.headers
        }
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.cookies(host).items())
        answer = send(urlsplit(self.path).port or 80, self.command, self.path, headers, body)
        self.jar.take(host, answer.headers.get_all("Set-Cookie") or [])
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "set-cookie"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = _pass

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def w3m(tmp_path: Path) -> Iterator[object]:
    program = shutil.which("w3m")
    if program is None:
        pytest.skip("w3m is not installed")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Onward", (_Onward,), {"jar": Browser(clerk=None)})
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    options = [
        "-cols", "120", "-o", f"http_proxy=http://127.0.0.1:{server.server_port}/", "-o", "use_proxy=1",
        "-o", "display_charset=UTF-8", "-o", "no_proxy=",
    ]  # fmt: skip

    def run(url: str, form: list[tuple[str, str]] | None = None, mode: str = "-dump") -> str:
        more: list[str] = []
        if form is not None:
            (tmp_path / "form").write_text(urlencode(form))
            more = ["-post", str(tmp_path / "form")]
        done = subprocess.run(
            [program, mode, *options, *more, url], capture_output=True, text=True, timeout=30, check=True, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tmp_path), "W3M_DIR": str(tmp_path / "w3m"), "LANG": "C.UTF-8"},
        )  # fmt: skip
        return done.stdout

    try:
        yield run
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_w3m_signs_in_reads_and_answers(service, w3m, forms, mail_from_outside, relayed, eventually):
    subject = fresh("From a terminal")
    mail_from_outside(subject, "Can you read this in w3m?\n")
    first = w3m(service.origin + "/")
    if "Password" not in first:
        # w3m takes Clerk's handshake, which leads back to where it began, for a loop; it shows the way on instead.
        assert "/auth/sign-in?next=/" in first
    entry = f"{service.origin}/auth/sign-in?next=/"
    shown = w3m(entry)
    assert "Sign in" in shown
    assert re.search(r"Password +\[ +\]", shown)
    [form] = [form for form in forms(w3m(entry, mode="-dump_source")) if form.action == "/sign-in"]
    typed = {"identifier": "ann@mtumail.test", "password": DEMO_PASSWORD}
    w3m(f"{service.clerk}/sign-in", [(name, typed.get(name, value)) for name, value in form.fields])
    inbox = w3m(service.origin + "/mail/inbox")
    assert "Inbox" in inbox
    eventually(lambda: subject in w3m(service.origin + "/mail/inbox"), 5, "the message in w3m")

    source = w3m(service.origin + "/mail/inbox", mode="-dump_source")
    href = re.search(rf'<a class="subject" href="([^"]+)">{subject}</a>', source)[1]
    assert "Can you read this in w3m?" in w3m(service.origin + href)
    number = href.rpartition("/")[2]
    source = w3m(f"{service.origin}/compose?reply={number}", mode="-dump_source")
    [form] = [form for form in forms(source) if form.id == "compose"]
    fields = [(name, "Yes.\n" if name == "body" else value) for name, value in form.fields]
    sent = w3m(service.origin + "/compose", [*fields, ("send", "1")])
    assert "Sending" in sent
    assert b"\r\n\r\nYes." in relayed(f"Re: {subject}").raw
