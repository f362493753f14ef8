"""Remote pictures from the reader's press to the screen: the notes, the worker that fetches, and the frame in a real browser."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from PIL import Image

from webmail.db import show_id
from webmail.remote import Client, Reach

ORIGIN = "http://mail.localhost:8000"
PICTURE, CARRIED = "/photo.png", "carried@lists.example"

pytestmark = pytest.mark.browser


def drawn(size: tuple[int, int], colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, "PNG")
    return made.getvalue()


class Host(ThreadingHTTPServer):
    """A sender's web server; `asked` has each request's path and headers."""

    asked: list[tuple[str, dict[str, str]]]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
            body = drawn((1200, 600), "#c02020")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host(("127.0.0.1", 0), Host.Answers)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def fetching(worker, host, monkeypatch):
    from workers import fetching as module

    port = host.server_address[1]
    client = Client(Reach(frozenset({port})), lambda _host, _seconds: [ip_address("127.0.0.1")])
    monkeypatch.setitem(worker.extensions, "remote", client)
    return module


@pytest.fixture
def message(deliver, ann, host) -> str:
    """A letter with a picture from elsewhere, one that came along, and a pixel that counts readers. Its shown id."""
    at = f"http://pictures.example:{host.server_address[1]}"
    html = (
        f'<p>Hello</p><img src="{at}{PICTURE}" width="300" height="150" alt="A red barn"><br>'
        f'<img src="cid:{CARRIED}" width="40" height="20" alt="A blue logo"><img src="{at}/open/aa12/p.gif" width="1" height="1">'
    )
    image = drawn((80, 40), "#2020c0")
    raw = (
        b"From: News <news@lists.example>\r\nTo: ann@mtumail.test\r\nSubject: Barns\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/related; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
        + html.encode()
        + f"\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <{CARRIED}>\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode()
        + image
        + b"\r\n--b--\r\n"
    )
    return show_id(deliver(ann, raw))


SIZES = """images => images.map(image => [image.complete && image.naturalWidth > 0, image.alt, image.clientWidth, image.clientHeight])"""


def shown(page) -> list[list[object]]:
    frame = page.frame_locator("iframe.formatted")
    frame.locator("p").first.wait_for()
    page.wait_for_timeout(300)
    return frame.locator("img").evaluate_all(SIZES)


def test_pictures_come_on_a_press_with_their_cost_said_first(window, message, fetching, host):
    page, foreign = window(), []
    page.on(
        "request",
        lambda asked: foreign.append(asked.url) if not asked.url.startswith((ORIGIN, "data:")) else None,
    )
    page.goto(f"{ORIGIN}/mail/inbox/{message}?view=formatted")
    note = page.locator(f"#pictures-{message}")
    assert "1 picture left out." in note.inner_text()
    assert "1 tracker left out: pictures.example" in page.locator("p.note").inner_text()
    before = shown(page)
    assert [True, "A blue logo", 40, 20] in before
    assert not any(image[0] for image in before if image[1] == "A red barn")
    assert host.asked == []

    note.get_by_role("button", name="Fetch pictures").click()
    page.get_by_text("Fetching 1 picture.").wait_for()
    fetching.drain_pictures()
    page.goto(f"{ORIGIN}/mail/inbox/{message}?view=formatted")
    assert "about" in note.inner_text()
    assert "for you" in note.inner_text()
    assert not any(image[0] for image in shown(page) if image[1] == "A red barn")

    note.get_by_role("link", name="Show them").click()
    note.get_by_role("link", name="Hide them").wait_for()
    after = shown(page)
    assert [True, "A red barn", 300, 150] in after
    assert [True, "A blue logo", 40, 20] in after
    assert [path for path, _headers in host.asked] == [PICTURE]
    names = {name.lower() for name in host.asked[0][1]}
    assert not names & {"referer", "cookie", "x-forwarded-for", "forwarded", "via"}
    assert foreign == []
