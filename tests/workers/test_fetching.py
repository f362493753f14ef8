"""Fetching for readers: slow, broken and hostile hosts cost a message its pictures and nothing else; killed anywhere, done again."""

import contextlib
import importlib
import io
import os
import signal
import socket
import threading
import time
from ipaddress import ip_address

import pytest
from PIL import Image
from sqlalchemy import text

from webmail import create_core, jobs
from webmail.mail import reading, remote_pictures, unsubscribing
from webmail.mail.unsubscribe import Offer
from webmail.remote import Client, Failed, Reach


def drawn(size: tuple[int, int]) -> bytes:
    """A PNG that does not compress well, as photographs do."""
    made = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(made, "PNG")
    return made.getvalue()


PNG, LARGE = drawn((60, 40)), drawn((1000, 750))


class Host:
    """A web server that answers by path: bytes (a picture), a status, or a function that is called before a picture is sent."""

    def __init__(self) -> None:
        self.says: dict[str, object] = {}
        self.asked: list[str] = []
        self.busy = self.busiest = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://pictures.example:{self.port}{path}"

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock.settimeout(20)
            head = sock.recv(65536)
            if not head:
                return
            path = head.split(b" ")[1].decode()
            with self._lock:
                self.asked.append(path)
                self.busy += 1
                self.busiest = max(self.busy, self.busiest)
            try:
                told = self.says.get(path, 404)
                body = told if isinstance(told, bytes) else (told() or PNG) if callable(told) else b""
                status = told if isinstance(told, int) else 200
                sock.sendall(
                    f"HTTP/1.1 {status} x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
            finally:
                with self._lock:
                    self.busy -= 1


@pytest.fixture
def host():
    running = Host()
    yield running
    running.stop()


@pytest.fixture
def reachable(host):
    """A client that may ask the host, and nobody else."""
    return Client(Reach(frozenset({host.port})), lambda _host, _seconds: [ip_address("127.0.0.1")])


@pytest.fixture
def fetching(worker, reachable, monkeypatch):
    from workers import fetching as module

    monkeypatch.setitem(worker.extensions, "remote", reachable)
    return module


@pytest.fixture
def newsletter(deliver, ann, host):
    """A filed message that shows pictures at these paths."""

    def make(*paths: str, **headers: str) -> int:
        shown = "".join(f'<p><img src="{host.url(path)}" width="400" alt="x"></p>' for path in paths)
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        raw = (
            f"{head}From: news@lists.example\r\nTo: ann@mtumail.test\r\nSubject: News\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>{shown}</body></html>\r\n"
        )
        return deliver(ann, raw.encode())

    return make


@pytest.fixture
def want(opened, ann):
    """As the press of a reader."""

    def press(message, **more):
        def call(keys):
            images = reading.layout(keys, message).images
            return remote_pictures.want(keys, message, images, again=True, **more)

        return opened(ann, call)

    return press


@pytest.fixture
def state(opened, ann):
    return lambda message: opened(ann, lambda keys: remote_pictures.state(keys.mailbox_id, message))


@pytest.fixture
def problems(superuser):
    query = text("SELECT number, state, problem FROM message_picture ORDER BY number")
    return lambda: [tuple(row) for row in superuser.execute(query)]


@pytest.fixture
def works(superuser):
    query = text("SELECT kind, attempts, lease IS NOT NULL AS held, problem, parked_at FROM work")
    return lambda: [tuple(row) for row in superuser.execute(query)]


# --- pictures ------------------------------------------------------------------------------------------------------------


def test_pictures_come_small_and_say_what_they_weighed(
    fetching, newsletter, want, state, host, works, opened, ann, superuser
):
    host.says |= {"/1.png": LARGE, "/2.png": LARGE}
    message = newsletter("/1.png", "/2.png")
    assert want(message).waiting == 2
    assert fetching.drain_pictures() == 1
    found = state(message)
    assert (found.total, found.fetched, found.original_bytes) == (2, 2, 2 * len(LARGE))
    assert 0 < found.bytes < found.original_bytes / 2
    assert works() == []
    kind, content = opened(ann, lambda keys: remote_pictures.picture(keys, message, 1))
    with Image.open(io.BytesIO(content)) as shown:
        assert (kind, shown.format, shown.size) == ("image/webp", "WEBP", (640, 480))
    assert superuser.execute(text("SELECT width, height FROM message_picture")).all() == [(640, 480)] * 2
    assert fetching.drain_pictures() == 0
    assert sorted(host.asked) == ["/1.png", "/2.png"]


def test_the_readers_width_is_kept_to(fetching, newsletter, want, host, superuser):
    host.says["/1.png"] = LARGE
    want(newsletter("/1.png"), width=320)
    fetching.drain_pictures()
    assert superuser.execute(text("SELECT width, height FROM message_picture")).all() == [(320, 240)]


def test_nothing_is_asked_for_without_a_press(fetching, newsletter, host, state):
    message = newsletter("/1.png")
    assert fetching.drain_pictures() == 0
    assert host.asked == []
    assert state(message).total == 0


def test_each_failure_has_its_code_and_the_others_come(
    fetching, newsletter, want, host, problems, works, caplog
):
    host.says |= {"/1.png": PNG, "/2.png": 404, "/3.png": b"<svg/>", "/4.png": PNG[:400], "/6.png": PNG}
    want(newsletter("/1.png", "/2.png", "/3.png", "/4.png", "/6.png"))
    fetching.drain_pictures()
    assert problems() == [
        (1, "fetched", ""),
        (2, "failed", "status-404"),
        (3, "failed", "picture-type"),
        (4, "failed", "picture-damaged"),
        (5, "fetched", ""),
    ]
    assert works() == []
    assert "example" not in caplog.text


def test_what_may_pass_is_tried_four_times_and_what_came_is_shown_meanwhile(
    fetching, newsletter, want, state, host, problems, works, due
):
    host.says |= {"/1.png": PNG, "/2.png": 503}
    message = newsletter("/1.png", "/2.png")
    want(message)
    for attempt in range(1, 5):
        assert (attempt, works()[0][:4]) == (
            attempt, ("fetch", attempt - 1, False, "" if attempt == 1 else "waiting"),
        )  # fmt: skip
        assert fetching.drain_pictures() == 1
        assert state(message).fetched == 1
        assert fetching.drain_pictures() == 0, "not before its time"
        due()
    assert problems() == [(1, "fetched", ""), (2, "failed", "status-503")]
    assert works() == []
    assert host.asked.count("/1.png") == 1
    assert host.asked.count("/2.png") == 4
    host.says["/2.png"] = PNG
    want(message)
    fetching.drain_pictures()
    assert state(message).fetched == 2


def test_a_slow_host_costs_a_message_its_time_and_no_more(
    fetching, newsletter, want, host, problems, works, monkeypatch
):
    monkeypatch.setattr(fetching, "MESSAGE_SECONDS", (0.6,) * 4)
    ended = threading.Event()
    host.says |= {f"/{number}.png": lambda: ended.wait(10) and None for number in range(1, 20)}
    host.says["/20.png"] = PNG
    want(newsletter(*(f"/{number}.png" for number in range(1, 21))))
    began = time.monotonic()
    fetching.drain_pictures()
    assert time.monotonic() - began < 5
    ended.set()
    assert {row[1:] for row in problems()} == {("wanted", "slow")}
    assert works()[0][:2] == ("fetch", 1)
    assert host.busiest <= fetching.THREADS


def test_fresh_pictures_go_before_those_that_failed(
    fetching, newsletter, host, due, monkeypatch, opened, ann
):
    monkeypatch.setattr(fetching, "THREADS", 1)
    host.says |= {"/1.png": 503, "/2.png": PNG, "/3.png": PNG}
    message = newsletter("/1.png", "/2.png", "/3.png")
    for numbers in ([1], [1, 2, 3]):
        images = [(number, "") for number in numbers]
        opened(ann, lambda keys, images=images: remote_pictures.want(keys, message, images))
        fetching.drain_pictures()
    assert host.asked == ["/1.png", "/2.png", "/3.png", "/1.png"]


def test_a_message_may_cost_so_many_bytes_and_no_more(
    fetching, newsletter, want, host, state, problems, monkeypatch
):
    monkeypatch.setattr(fetching, "MESSAGE_BYTES", 2 * len(PNG))
    monkeypatch.setattr(fetching, "THREADS", 1)
    host.says |= {f"/{number}.png": PNG for number in range(1, 6)}
    message = newsletter(*(f"/{number}.png" for number in range(1, 6)))
    want(message)
    fetching.drain_pictures()
    assert [row[1:] for row in problems()] == [("fetched", "")] * 2 + [("failed", "large")] * 3
    want(message)
    fetching.drain_pictures()
    assert state(message).fetched == 2, "what came before counts"


def test_pictures_wanted_meanwhile_are_fetched_too(fetching, newsletter, want, host, state, ann, opened):
    message = newsletter("/1.png", "/2.png")

    def press_again() -> None:
        opened(ann, lambda keys: remote_pictures.want(keys, message, [(2, "")]))

    host.says |= {"/1.png": press_again, "/2.png": PNG}
    opened(ann, lambda keys: remote_pictures.want(keys, message, [(1, "")]))
    assert fetching.drain_pictures() == 2
    assert state(message).fetched == 2
    assert host.asked == ["/1.png", "/2.png"]


def test_a_press_at_the_very_moment_of_finishing_is_not_lost(
    fetching, newsletter, host, state, ann, opened, monkeypatch, works
):
    message = newsletter("/1.png", "/2.png")
    host.says |= {"/1.png": PNG, "/2.png": PNG}
    keep, presses = remote_pictures.keep, []

    def press() -> None:
        opened(ann, lambda keys: remote_pictures.want(keys, message, [(2, "")]))

    def press_meanwhile(*args) -> None:
        keep(*args)
        if not presses:
            presses.append(threading.Thread(target=press))
            presses[0].start()
            presses[0].join(0.5)
            assert presses[0].is_alive(), "it waits for the row that is about to go"

    monkeypatch.setattr(remote_pictures, "keep", press_meanwhile)
    opened(ann, lambda keys: remote_pictures.want(keys, message, [(1, "")]))
    assert fetching.drain_pictures() >= 1
    presses[0].join()
    fetching.drain_pictures()
    assert state(message).fetched == 2
    assert works() == []


def test_a_lost_lease_keeps_nothing(fetching, newsletter, want, host, state, superuser, works):
    host.says["/1.png"] = lambda: superuser.execute(text("UPDATE work SET lease = 4711")) and None
    message = newsletter("/1.png")
    want(message)
    fetching.drain_pictures()
    assert (state(message).fetched, state(message).waiting) == (0, 1)
    assert works() == [("fetch", 1, True, "", None)]


def test_a_message_that_went_meanwhile_ends_its_work(fetching, newsletter, want, host, superuser, works):
    host.says["/1.png"] = lambda: superuser.execute(text("DELETE FROM message")) and None
    want(newsletter("/1.png"))
    fetching.drain_pictures()
    assert works() == []
    assert superuser.execute(text("SELECT count(*) FROM message_picture")).scalar() == 0


def test_no_transaction_is_open_while_a_host_is_waited_for(
    fetching, newsletter, want, host, superuser, state
):
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mtumail_worker' AND state LIKE 'idle in transaction%'"
    seen = []
    host.says["/1.png"] = lambda: seen.append(superuser.execute(text(query)).scalar())
    message = newsletter("/1.png")
    want(message)
    fetching.drain_pictures()
    assert seen == [0]
    assert state(message).fetched == 1


def test_a_picture_that_nobody_offers_any_more_fails(fetching, newsletter, opened, ann, problems, host):
    message = newsletter("/1.png")
    opened(ann, lambda keys: remote_pictures.want(keys, message, [(7, "")]))
    fetching.drain_pictures()
    assert problems() == [(7, "failed", "gone")]
    assert host.asked == []


def test_a_private_address_in_a_message_is_asked_nothing(fetching, deliver, ann, want, problems, host):
    hosts = ("127.0.0.1", "169.254.169.254", "[::1]", "10.0.0.1:8080", f"127.0.0.1:{host.port + 1}")
    shown = "".join(f'<img src="http://{name}/x.png" width="50" height="50" alt="x">' for name in hosts)
    raw = f"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>{shown}</p>\r\n"
    want(deliver(ann, raw.encode()))
    fetching.drain_pictures()
    assert {row[2] for row in problems()} <= {"private", "port"}
    assert len(problems()) == len(hosts)
    assert host.asked == []


def test_our_own_error_is_tried_again_and_then_told(
    fetching, newsletter, want, host, problems, works, due, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("canary")

    host.says["/1.png"] = PNG
    want(newsletter("/1.png"))
    monkeypatch.setattr(fetching.pictures, "shrink", broken)
    for _ in range(4):
        assert fetching.drain_pictures() == 1
        due()
    assert problems() == [(1, "failed", "error")]
    assert works() == []
    assert "canary" not in caplog.text


def test_a_wrong_key_is_told_at_once_and_loudly(
    fetching, newsletter, want, superuser, problems, works, caplog
):
    want(newsletter("/1.png"))
    spoil = "UPDATE message_view SET layout = set_byte(layout, 20, get_byte(layout, 20) # 1)"
    superuser.execute(text(spoil))
    fetching.drain_pictures()
    assert problems() == [(1, "failed", "keys")]
    assert works() == []
    assert any(record.levelname == "CRITICAL" for record in caplog.records)


def test_killed_in_the_middle_it_is_done_again(
    fetching, newsletter, want, host, state, settings, due, reachable, works
):
    message = newsletter("/1.png")
    want(message)
    host.says["/1.png"] = PNG
    for _ in range(2):
        pid = os.fork()
        if not pid:
            try:
                app = create_core(settings("worker"), "worker")
                app.extensions["remote"] = reachable
                fetching.core = lambda: app
                __import__("workers.context").context.core = fetching.core
                fetching.pictures.shrink = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
                fetching.drain_pictures()
            finally:
                os._exit(7)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        assert works()[0][2], "the lease holds until it ends"
        due()
    assert fetching.drain_pictures() == 1
    assert state(message).fetched == 1
    assert works() == []


def test_a_message_that_kills_its_fetcher_is_given_up(
    fetching, newsletter, want, superuser, due, problems, works, host
):
    want(newsletter("/1.png"))
    superuser.execute(text("UPDATE work SET attempts = 4"))
    fetching.drain_pictures()
    assert problems() == [(1, "failed", "killed")]
    assert works() == []
    assert host.asked == []


def test_two_drains_at_once_fetch_each_message_once(fetching, newsletter, want, host):
    paths = [f"/{number}.png" for number in range(6)]
    host.says |= dict.fromkeys(paths, PNG)
    for path in paths:
        want(newsletter(path))
    done = []
    threads = [threading.Thread(target=lambda: done.append(fetching.drain_pictures())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 6
    assert sorted(host.asked) == paths


def test_a_turn_ends_and_rings_for_the_next(fetching, newsletter, want, host, monkeypatch):
    host.says |= {"/1.png": PNG, "/2.png": PNG}
    for path in ("/1.png", "/2.png"):
        want(newsletter(path))
    jobs.bell.redis.flushall()
    monkeypatch.setattr(fetching, "TURN_SECONDS", 0.001)
    assert fetching.drain_pictures() == 1
    assert jobs.bell.redis.llen("rq:queue:fetching") == 1


def test_a_sweep_finds_what_nobody_was_told_of(fetching, newsletter, want):
    from workers import keeping

    want(newsletter("/1.png"))
    jobs.bell.redis.flushall()
    assert keeping.sweep() == ["fetch"]
    assert jobs.bell.redis.llen("rq:queue:fetching") == 1


def test_every_name_that_redis_may_say_is_a_function(fetching):
    for name in jobs.functions():
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


# --- leaving lists -------------------------------------------------------------------------------------------------------

URL = "https://lists.example/u?t=opaque"
LIST = {"List_Unsubscribe": f"<{URL}>", "List_Unsubscribe_Post": "List-Unsubscribe=One-Click"}
SIGNED = {
    "Return_Path": "<news@lists.example>",
    "Authentication_Results": "mail.localhost; dkim=pass header.d=lists.example header.s=s1 header.b=AbCdEfGh; dmarc=pass header.from=lists.example",
    "Received": "from out.lists.example (192.0.2.1) by mail.localhost with ESMTP; Mon, 23 Nov 2026 00:00:00 +0000",
    "DKIM_Signature": "v=1; a=rsa-sha256; d=lists.example; s=s1; h=from:list-unsubscribe:list-unsubscribe-post; bh=x; b=AbCdEfGhIjKl",
}


class Lists:
    """Stands for the network: what is posted, and what comes of it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.answer: object = 200

    def post_form(self, url, form):
        self.posts.append((url, form))
        return self.answer() if callable(self.answer) else self.answer


@pytest.fixture
def lists(fetching, worker, monkeypatch):
    told = Lists()
    monkeypatch.setitem(worker.extensions, "remote", told)
    return told


@pytest.fixture
def asked(newsletter, opened, ann):
    """A message whose reader pressed Unsubscribe."""

    def press(**headers: str) -> int:
        message = newsletter(**SIGNED, **(headers or LIST))
        opened(ann, lambda keys: unsubscribing.ask(keys, message, Offer(post=URL)))
        return message

    return press


@pytest.fixture
def became(opened, ann):
    def read(message):
        found = opened(ann, lambda keys: unsubscribing.state(keys.mailbox_id, message))
        return found.state, found.reply_code, found.problem

    return read


def test_one_click_is_posted_once_and_done(fetching, lists, asked, became, works):
    message = asked()
    lists.answer = 202
    assert fetching.drain_unsubscriptions() == 1
    assert lists.posts == [(URL, {"List-Unsubscribe": "One-Click"})]
    assert became(message) == ("done", 202, "")
    assert works() == []
    assert fetching.drain_unsubscriptions() == 0
    assert len(lists.posts) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (404, ("failed", 404, "status")),
        (302, ("failed", 302, "status")),
        (Failed("private"), ("failed", None, "private")),
        (Failed("tls"), ("failed", None, "tls")),
    ],
)
def test_a_no_is_told_at_once(fetching, lists, asked, became, works, answer, expected):
    message = asked()
    lists.answer = answer
    fetching.drain_unsubscriptions()
    assert became(message) == expected
    assert works() == []


@pytest.mark.parametrize(
    ("answer", "expected"), [(503, ("failed", 503, "status")), (Failed("slow"), ("failed", None, "slow"))]
)
def test_what_may_pass_is_asked_four_times_over_an_hour(
    fetching, lists, asked, became, works, due, answer, expected, superuser
):
    message = asked()
    lists.answer = answer
    waits = []
    for _ in range(3):
        fetching.drain_unsubscriptions()
        assert became(message) == ("asked", None, "")
        waits.append(
            round(
                superuser.execute(text("SELECT extract(epoch FROM due_at - now()) / 60 FROM work")).scalar()
            )
        )
        due()
    fetching.drain_unsubscriptions()
    assert waits == [1, 10, 60]
    assert became(message) == expected
    assert works() == []
    assert len(lists.posts) == 4


def test_killed_before_it_could_be_noted_it_is_posted_again(
    fetching, lists, asked, became, due, monkeypatch, works
):
    message = asked()

    def die():
        raise SystemExit

    lists.answer = die
    with pytest.raises(SystemExit):
        fetching.drain_unsubscriptions()
    assert works()[0][:3] == ("unsubscribe", 1, True)
    lists.answer = 200
    due()
    assert fetching.drain_unsubscriptions() == 1
    assert became(message) == ("done", 200, "")
    assert len(lists.posts) == 2


def test_a_press_that_mail_has_answered_posts_nothing(fetching, lists, asked, opened, ann, works, superuser):
    message = asked()
    superuser.execute(text("UPDATE unsubscription SET state = 'failed'"))
    opened(ann, lambda keys: unsubscribing.mailed(keys, message))
    fetching.drain_unsubscriptions()
    assert lists.posts == []
    assert works() == []


@pytest.mark.parametrize(
    ("dropped", "changed"),
    [
        ("", {"List_Unsubscribe": "<mailto:leave@lists.example>"}),
        ("", {"List_Unsubscribe_Post": "no"}),
        ("DKIM_Signature", {}),
        ("Authentication_Results", {}),
    ],
)
def test_what_the_message_does_not_offer_under_a_signature_is_never_posted(
    fetching, newsletter, became, works, opened, ann, monkeypatch, worker, dropped, changed
):
    tried = []
    client = Client(names=lambda host, _seconds: tried.append(host) or [])
    monkeypatch.setitem(worker.extensions, "remote", client)
    message = newsletter(
        **{name: value for name, value in (SIGNED | LIST | changed).items() if name != dropped}
    )
    opened(ann, lambda keys: unsubscribing.ask(keys, message, Offer(post=URL)))
    fetching.drain_unsubscriptions()
    assert became(message) == ("failed", None, "url")
    assert tried == []
    assert works() == []


def test_a_lost_lease_notes_nothing(fetching, lists, asked, became, superuser):
    message = asked()
    lists.answer = lambda: superuser.execute(text("UPDATE work SET lease = 4711")) and 200
    fetching.drain_unsubscriptions()
    assert became(message) == ("asked", None, "")


def test_opening_and_reading_asks_no_list(lists, fetching, newsletter, opened, ann, browser_of):
    message = newsletter(**SIGNED, **LIST)
    opened(ann, lambda keys: reading.load(keys, message))
    browser_of(ann).get("/")
    assert fetching.drain_unsubscriptions() == 0
    assert lists.posts == []
