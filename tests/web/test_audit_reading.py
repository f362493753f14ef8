"""What a reader is owed by mail that is out of the ordinary: set aside, at a limit, or asking to be believed."""

import html
import re

import pytest
from sqlalchemy import text

from webmail.db import show_id


@pytest.fixture
def set_aside(deliver, ann, letter, superuser, monkeypatch) -> str:
    """A message that killed its worker twice; whoever parses it now dies, too. Its shown id."""
    message = deliver(ann, letter("Canary words"))
    superuser.execute(text("UPDATE message SET state = 'unreadable', summary = NULL, thread_id = NULL"))
    superuser.execute(text("DELETE FROM message_view"))

    def die(*_args: object) -> None:
        raise AssertionError("it was parsed again")

    for name in ("webmail.mail.mime.parse", "webmail.mail.reading.build", "webmail.web.opened.build"):
        monkeypatch.setattr(name, die)
    return show_id(message)


def test_a_message_that_is_set_aside_is_shown_as_such_with_its_source(set_aside, browser_of, ann):
    client = browser_of(ann)
    assert f"/mail/inbox/{set_aside}" in client.get("/").text
    page = client.get(f"/mail/inbox/{set_aside}").text
    assert "cannot be shown" in page
    (note,) = re.findall(r'<p role="note" class="warn">.*?</p>', page)
    assert f'href="/mail/inbox/{set_aside}/message.eml" download' in note
    assert b"Canary words" in client.get(f"/mail/inbox/{set_aside}/message.eml").data
    assert "Canary words" in client.get(f"/mail/inbox/{set_aside}/source").text


def test_everything_its_page_offers_answers(set_aside, browser_of, ann):
    client = browser_of(ann)
    page = client.get(f"/mail/inbox/{set_aside}").text
    offered = {html.unescape(path) for path in re.findall(r'href="(/[^"]*)"', page) if set_aside in path}
    assert {f"/report/{set_aside}", f"/m/{set_aside}", f"/mail/inbox/{set_aside}/source"} <= offered
    assert {
        path: client.get(path).status_code for path in offered if client.get(path).status_code >= 400
    } == {}
    assert "<summary></summary>" not in page


@pytest.mark.parametrize(
    "path",
    ["/compose?reply={id}", "/compose?reply={id}&all=1", "/compose?forward={id}", "{mail}/print", "{mail}/headers",
     "{mail}/l/1", "{mail}/f/1", "{mail}/1/a.txt", "{mail}/1/preview", "{mail}/1/thumbnail", "{mail}/in/1",
     "{mail}/all.zip", "{mail}/pictures"],
)  # fmt: skip
def test_no_request_parses_what_killed_a_worker(set_aside, browser_of, ann, path):
    answer = browser_of(ann).get(path.format(id=set_aside, mail=f"/mail/inbox/{set_aside}"))
    assert answer.status_code == 404


@pytest.mark.parametrize("action", ["forward-whole", "again"])
def test_no_act_parses_it_either(set_aside, browser_of, ann, csrf, action):
    client = browser_of(ann)
    form = {"csrf_token": csrf(client), "action": action}
    assert client.post(f"/mail/inbox/{set_aside}", data=form).status_code == 404


@pytest.mark.parametrize("action", ["archive", "trash", "junk", "unread", "star"])
def test_it_can_be_put_away(set_aside, browser_of, ann, csrf, action):
    client = browser_of(ann)
    form = {"csrf_token": csrf(client), "action": action}
    assert client.post(f"/mail/inbox/{set_aside}", data=form).status_code == 303


# --- the true host, in words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_host_behind_a_name_is_said_and_warned_of(deliver, ann, browser_of, kind):
    address = "https://bank.example@evil.example/login"
    body = address if kind == "plain" else f'<p><a href="{address}">{address}</a></p>'
    raw = (
        "From: Eve <eve@stranger.example>\r\nTo: ann@mtumail.test\r\nSubject: x\r\nMessage-ID: <at@stranger.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n{body}\r\n"
    )
    message = show_id(deliver(ann, raw.encode()))
    page = re.sub("[\u2066-\u2069]", "", browser_of(ann).get(f"/mail/inbox/{message}").text)
    assert "<small>(evil.example)</small>" in page
    assert "A link shows bank.example, but leads to evil.example." in page


# --- limits of what a browser may send: at them, and one over ------------------------------------------------------------


def _multipart(parts: int, size: int | None = None) -> bytes:
    """A form of so many small parts; of `size` octets, by a file in its last part."""
    head = '--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nx\r\n' * (parts - bool(size))
    if size is None:
        return f"{head}--b--\r\n".encode()
    before = f'{head}--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'.encode()
    return before + b"x" * (size - len(before) - 9) + b"\r\n--b--\r\n"


@pytest.mark.parametrize(("parts", "is_refused"), [(1000, False), (1001, True)])
def test_parts_of_a_form(browser_of, ann, parts, is_refused):
    answer = browser_of(ann).post(
        "/mail/inbox/act", data=_multipart(parts), content_type="multipart/form-data; boundary=b"
    )
    assert (answer.status_code == 413) == is_refused


@pytest.mark.parametrize("over", [0, 1])
def test_bytes_of_a_request(browser_of, ann, web_app, over):
    body = _multipart(1, web_app.config["MAX_CONTENT_LENGTH"] + over)
    assert len(body) == web_app.config["MAX_CONTENT_LENGTH"] + over
    answer = browser_of(ann).post(
        "/mail/inbox/act", data=body, content_type="multipart/form-data; boundary=b"
    )
    assert (answer.status_code == 413) == bool(over)
