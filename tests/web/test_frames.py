"""The formatted view's frame and its pictures: a pass opens one message's raster images for a minute, and nothing else."""

import base64
import re
import time

import pytest

from webmail.db import show_id
from webmail.web import passes

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def picture_mail(content_type: str = "image/png", content: bytes = PNG) -> bytes:
    return (
        b"From: z@example.org\r\nSubject: pictures\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
        b'Content-Type: text/html\r\n\r\n<p>Look <img src="cid:pic@x" alt="a well"></p><a href="https://example.org/x?utm=1">more</a>\r\n--b\r\n'
        b"Content-Type: " + content_type.encode() + b"\r\nContent-ID: <pic@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--b--\r\n"
    )  # fmt: skip


@pytest.fixture
def entered(browser_of, deliver, ann):
    """(client, address of the frame, its markup) for a message with a picture."""

    def enter(raw: bytes = picture_mail()):
        message = show_id(deliver(ann, raw))
        client = browser_of(ann)
        answer = client.get(f"/mail/inbox/{message}/formatted")
        assert answer.status_code == 303
        where = answer.headers["Location"]
        return client, where, client.get(where)

    return enter


def test_the_frame_shows_the_pictures_that_came_along(entered, stranger):
    _client, where, frame = entered()
    assert frame.status_code == 200
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    assert "allow-same-origin" not in frame.headers["Content-Security-Policy"]
    source = re.search(r'<img[^>]* src="([^"]+)"', frame.text).group(1)
    picture = stranger.get(where + source)  # as the frame asks: without a cookie
    assert picture.status_code == 200
    assert picture.data == PNG
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"


def test_its_links_lead_through_ours(entered):
    client, where, frame = entered()
    href = re.search(r'<a href="(\.\./\.\./f/\d+)"', frame.text).group(1)
    path = where.removesuffix("/").rsplit("/", 2)[0] + "/" + href.removeprefix("../../")
    followed = client.get(path)
    assert followed.status_code == 303
    assert followed.headers["Location"].startswith("https://example.org/x")
    assert followed.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("content_type", ["image/svg+xml", "text/html", "image/png"])
def test_what_is_no_raster_image_is_not_shown(entered, stranger, content_type):
    _client, where, _frame = entered(picture_mail(content_type, b"<svg onload=alert(1)>"))
    for number in range(4):
        assert stranger.get(f"{where}i/{number}").status_code == 404


def test_a_pass_is_for_one_message_and_one_minute(entered, stranger, deliver, ann, web_app):
    _client, where, _frame = entered()
    other = show_id(deliver(ann, picture_mail()))
    moved = re.sub(r"/mail/inbox/[^/]+/", f"/mail/inbox/{other}/", where)
    assert stranger.get(moved + "i/2").status_code == 404
    key, now = web_app.extensions["pass_key"], time.time()
    assert passes.read(key, passes.issue(key, 1, 2, 3, now), 3, now) == (1, 2)
    assert passes.read(key, passes.issue(key, 1, 2, 3, now), 4, now) is None
    assert passes.read(key, passes.issue(key, 1, 2, 3, now), 3, now + 62) is None
    assert passes.read(b"other", passes.issue(key, 1, 2, 3, now), 3, now) is None
    for nonsense in ("", "x", "é", "A" * 200, passes.issue(key, 1, 2, 3, now)[:-2] + "AA"):
        assert passes.read(key, nonsense, 3, now) is None


def test_a_pass_lets_nobody_into_the_frame(entered, stranger, browser_of, ben):
    _client, where, _frame = entered()
    assert stranger.get(where).status_code == 303
    assert stranger.get(where).headers["Location"].startswith("/auth/sign-in")
    assert browser_of(ben).get(where).status_code == 404
