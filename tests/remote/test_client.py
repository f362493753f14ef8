"""What strangers' servers may say to a fetch, and what it makes of it."""

import gzip
import os
import threading
import time

import pytest

from webmail.remote import Budget, Client, Failed, Fetched, Limits, Reach

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 300


def reply(body: bytes = PNG, status: str = "200 OK", **headers: str) -> bytes:
    told = {"Content-Type": "image/png", "Content-Length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def to(location: str, status: str = "302 Found") -> bytes:
    return reply(b"", status, Location=location)


def test_a_picture_is_fetched_and_the_server_learns_nothing_of_the_reader(server, client):
    server.says["/a%20b.png?x=1&y=%C3%A9"] = reply()
    url = server.url("/a b.png?x=1&y=é#part")
    assert client.get(url) == Fetched(PNG, "image/png")
    ((head, body),) = server.heard
    assert body == b""
    assert head.decode().split("\r\n") == [
        "GET /a%20b.png?x=1&y=%C3%A9 HTTP/1.1",
        f"Host: pictures.example:{server.port}",
        "Accept: image/webp,image/png,image/jpeg,image/gif,image/*;q=0.1",
        "User-Agent: mtumail picture fetch",
        "Accept-Encoding: identity",
        "Connection: close",
    ]


def test_surroundings_that_name_a_proxy_are_not_heard(server, client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.says["/p.png"] = reply()
    assert isinstance(client.get(server.url("/p.png")), Fetched)


def test_cookies_of_one_answer_are_not_sent_with_the_next(server, client):
    server.says["/1"] = reply(b"", "302 Found", Location="/2", Set_Cookie="who=ann; Path=/")
    server.says["/2"] = reply(Set_Cookie="who=ann")
    for _ in range(2):
        assert isinstance(client.get(server.url("/1")), Fetched)
    assert len(server.heard) == 4
    assert not any(b"ookie" in head or b"eferer" in head for head, _ in server.heard)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(status="404 Not Found"), "status-404"),
        (reply(status="503 Busy"), "status-503"),
        (reply(status="206 Partial Content"), "status-206"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status-204"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status-304"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "status-101"),
        (reply(Content_Type="text/html; charset=utf-8"), "type"),
        (reply(Content_Type="IMAGE/SVG+XML; charset=utf-8"), "type"),
        (reply(Content_Type="application/javascript"), "type"),
        (reply(gzip.compress(PNG), Content_Encoding="gzip"), "encoding"),
        (reply(gzip.compress(bytes(30_000_000)), Content_Encoding="GZIP"), "encoding"),
        (reply(Content_Encoding="identity, gzip"), "encoding"),
        (reply(Content_Encoding="br"), "encoding"),
        (reply(Content_Length="5000"), "cut"),
        (reply(Content_Length="999999999999"), "large"),
        (reply(Content_Length="", Transfer_Encoding="chunked"), "cut"),
        (reply(b"fffffff\r\nabc", Content_Length="", Transfer_Encoding="chunked"), "cut"),
        (reply(b"-5\r\nabc", Content_Length="", Transfer_Encoding="chunked"), "reply"),
        (reply(b"5" * 70_000, Content_Length="", Transfer_Encoding="chunked"), "headers"),
        (b"", "connect"),
        (b"\r\n\r\n", "reply"),
        (b"220 mail.example ESMTP\r\n", "reply"),
        (b"<html>", "reply"),
        (b"\x00" * 1000, "reply"),
        (b"HTTP/1.1 20x OK\r\n\r\n", "reply"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(150)) + b"\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 9000) for n in range(90)) + b"\r\n", "headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, "headers"),
        (to(""), "reply"),
        (to("ftp://pictures.example/"), "url"),
        (to("javascript:alert(1)"), "url"),
        (to("http://ann:secret@pictures.example/"), "url"),
        (to("http://127.0.0.1/"), "private"),
        (to("//127.0.0.1/"), "private"),
        (to("http://[::1]:80/"), "private"),
        (to("http://169.254.169.254/latest/meta-data/", "307 Temporary Redirect"), "private"),
        (to("http://0x7f.1/", "308 Permanent Redirect"), "private"),
        (to("http://127.0.0.1:22/"), "port"),
        (to("http://localhost/"), "name"),
        (to("http://inner.example/"), "private"),
        (to("/1", "301 Moved Permanently"), "redirects"),
    ],
)  # fmt: skip
def test_what_is_no_picture_fails_by_name(server, client, names, code, answer, expected):
    names.table["inner.example"] = [["10.1.2.3"]]
    server.says["/1"] = answer
    began = time.monotonic()
    assert code(client.get(server.url("/1"), Limits(whole=5))) == expected
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(), Fetched(PNG, "image/png")),
        (reply(Content_Type="IMAGE/JPEG; q=1"), Fetched(PNG, "image/jpeg")),
        (reply(Content_Type="binary/octet-stream"), Fetched(PNG, "binary/octet-stream")),
        (reply(Content_Type=""), Fetched(PNG, "")),
        (reply(Content_Length=""), Fetched(PNG, "image/png")),
        (reply(Content_Length="10"), Fetched(PNG[:10], "image/png")),
        (reply(Content_Encoding="identity"), Fetched(PNG, "image/png")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + reply(), Fetched(PNG, "image/png")),
        (b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\n" + PNG, Fetched(PNG, "image/png")),
        (reply(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n", Content_Length="", Transfer_Encoding="chunked"), Fetched(b"abcde", "image/png")),
    ],
)  # fmt: skip
def test_what_may_be_a_picture_is_taken(server, client, answer, expected):
    server.says["/1"] = answer
    assert client.get(server.url("/1")) == expected


# --- redirects -----------------------------------------------------------------------------------------------------------


def test_three_redirects_are_followed_and_no_fourth(server, client, code):
    for number in range(1, 6):
        server.says[f"/{number}"] = to(f"{number + 1}")
    server.says["/4"] = reply()
    assert isinstance(client.get(server.url("/1")), Fetched)
    server.says["/4"] = to("/5")
    server.says["/5"] = reply()
    assert code(client.get(server.url("/1"))) == "redirects"
    assert [head.split(b" ")[1] for head, _ in server.heard] == [b"/1", b"/2", b"/3", b"/4"] * 2


def test_each_hop_is_looked_up_and_judged_anew(server, client, names, code):
    names.table["pictures.example"] = [["127.0.0.1"], ["10.0.0.1"]]
    server.says["/1"] = to("/2")
    server.says["/2"] = reply()
    assert code(client.get(server.url("/1"))) == "private"
    assert names.asked == ["pictures.example", "pictures.example"]
    assert len(server.heard) == 1


def test_a_redirect_to_another_server_of_this_machine_reaches_nobody(server, client, code):
    other = type(server)()
    try:
        for host in ("127.0.0.1", "pictures.example", "[::1]"):
            server.says["/1"] = to(other.url("/", host))
            assert code(client.get(server.url("/1"))) == "port"
        assert other.connections == 0
    finally:
        other.stop()


def test_a_location_in_raw_bytes_is_read_as_utf8(server, client):
    server.says["/1"] = to("/é.png".encode().decode("latin-1"))
    server.says["/%C3%A9.png"] = reply()
    assert isinstance(client.get(server.url("/1")), Fetched)


# --- time and bytes ------------------------------------------------------------------------------------------------------


def test_a_picture_may_be_as_large_as_its_limit_and_no_larger(server, client, code):
    limits = Limits(body=100_000)
    for headers in ({}, {"Content_Length": ""}):
        server.says["/at"] = reply(bytes(100_000), **headers)
        server.says["/over"] = reply(bytes(100_001), **headers)
        assert isinstance(client.get(server.url("/at"), limits), Fetched)
        assert code(client.get(server.url("/over"), limits)) == "large"


def test_a_body_without_an_end_is_cut_off(server, client, code):
    sent = []

    def pour(talk):
        talk.say(reply(b"", Content_Length=""))
        while True:
            talk.say(bytes(65536))
            sent.append(65536)

    server.says["/1"] = pour
    assert code(client.get(server.url("/1"), Limits(body=1_000_000))) == "large"
    assert sum(sent) < 12_000_000, "no more than buffers on the way can hold"


def test_a_body_in_chunks_of_one_byte_costs_no_more_than_another(server, client, code):
    server.says["/1"] = reply(b"1\r\nx\r\n" * 1_000_000, Content_Length="", Transfer_Encoding="chunked")
    assert code(client.get(server.url("/1"), Limits(body=200_000))) == "large"


def test_a_budget_is_shared_and_what_fails_has_spent_too(server, client, code):
    server.says["/1"] = reply(bytes(40_000))
    server.says["/cut"] = reply(bytes(40_000), Content_Length="50000")
    budget = Budget(100_000)
    limits = Limits(budget=budget)
    assert isinstance(client.get(server.url("/1"), limits), Fetched)
    assert code(client.get(server.url("/cut"), limits)) == "cut"
    assert code(client.get(server.url("/1"), limits)) == "large"
    assert code(client.get(server.url("/1"), limits)) == "large"


@pytest.mark.parametrize("part", ["connection", "status", "header", "body", "chunk", "redirect"])
def test_a_server_that_drips_is_left_in_time(server, client, code, part):
    slow = {
        "connection": lambda talk: time.sleep(5),
        "status": lambda talk: talk.drip(b"HTTP/1.1 200 OK" * 100),
        "header": lambda talk: (talk.say(b"HTTP/1.1 200 OK\r\n"), talk.drip(b"X: y\r\n" * 100)),
        "body": lambda talk: (talk.say(reply(b"", Content_Length="5000")), talk.drip(bytes(5000))),
        "chunk": lambda talk: (
            talk.say(reply(b"", Content_Length="", Transfer_Encoding="chunked")),
            talk.drip(b"1\r\nx\r\n" * 100),
        ),
        "redirect": lambda talk: (time.sleep(0.3), talk.say(to("/1"))),
    }
    server.says["/1"] = slow[part]
    began = time.monotonic()
    assert code(client.get(server.url("/1"), Limits(whole=0.8))) == "slow"
    assert time.monotonic() - began < 3


def test_a_host_that_takes_no_connection_is_left_in_time(server, names, code):
    blocked = type(server)()
    blocked.stop()
    reach = Reach(frozenset({blocked.port}))
    assert code(Client(reach, names).get(blocked.url())) == "connect"


def test_threads_share_one_client(server, client):
    server.says["/1"] = reply()
    got = []
    threads = [threading.Thread(target=lambda: got.append(client.get(server.url("/1")))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [Fetched(PNG, "image/png")] * 20


def test_no_connection_stays_open(server, client):
    before = len(os.listdir("/proc/self/fd"))
    server.says |= {"/1": reply(), "/2": to("/1"), "/3": reply(Content_Length="9999"), "/4": b"nonsense"}
    for path in ("/1", "/2", "/3", "/4", "/5"):
        client.get(server.url(path))
    ours = len(os.listdir("/proc/self/fd")) - before
    assert ours <= len(server.heard), "the server's own ends apart"


# --- TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(server, names, authority):
    """Start a server with a certificate for `name`; (it, a client that trusts its authority)."""
    started = []

    def start(name="pictures.example"):
        theirs, ours = authority(name)
        running = type(server)(theirs)
        started.append(running)
        return running, Client(Reach(frozenset({running.port, server.port})), names, ours)

    yield start
    for running in started:
        running.stop()


def test_tls_is_with_the_name_although_the_connection_goes_to_an_address(secure, code):
    server, client = secure()
    server.says["/1"] = reply()
    assert client.get(server.url("/1")) == Fetched(PNG, "image/png")
    assert code(client.get(server.url("/1", "127.0.0.1"))) == "tls"
    assert len(server.heard) == 1


def test_a_certificate_for_another_name_is_refused(secure, code):
    server, client = secure("other.example")
    assert code(client.get(server.url("/1"))) == "tls"
    assert code(client.post_form(server.url("/1"), {"a": "b"})) == "tls"
    assert server.heard == []


def test_a_certificate_of_an_unknown_authority_is_refused(secure, code, names):
    server, client = secure()
    assert code(Client(client.reach, names).get(server.url("/1"))) == "tls"
    assert server.heard == []


def test_a_plain_server_is_no_tls_server(server, client, code):
    failed = client.get(server.url("/1").replace("http:", "https:"), Limits(whole=0.5))
    assert code(failed) in ("tls", "slow")


def test_a_handshake_that_never_ends_is_left_in_time(server, client, code, names):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        failed = Client(Reach(frozenset({port})), names).get(
            f"https://pictures.example:{port}/", Limits(whole=0.5)
        )
        assert code(failed) == "slow"
        assert time.monotonic() - began < 3


def test_a_redirect_may_enter_tls_and_never_leave_it(secure, server, code):
    strict, client = secure()
    server.says["/up"] = to(strict.url("/1"))
    strict.says["/1"] = reply()
    assert isinstance(client.get(server.url("/up")), Fetched)
    strict.says["/down"] = to(server.url("/1"))
    server.says["/1"] = reply()
    assert code(client.get(strict.url("/down"))) == "downgrade"
    assert [head.split(b" ")[1] for head, _ in server.heard] == [b"/up"]


# --- one click -----------------------------------------------------------------------------------------------------------

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def test_one_click_posts_the_form_of_rfc_8058_and_nothing_else(secure):
    server, client = secure()
    server.says["/u?t=opaque"] = b"HTTP/1.1 202 Accepted\r\nSet-Cookie: a=b\r\n\r\nlong text"
    assert client.post_form(server.url("/u?t=opaque"), ONE_CLICK) == 202
    ((head, body),) = server.heard
    assert body == b"List-Unsubscribe=One-Click"
    assert sorted(head.decode().split("\r\n")) == sorted(
        [
            "POST /u?t=opaque HTTP/1.1",
            f"Host: pictures.example:{server.port}",
            "Content-Type: application/x-www-form-urlencoded",
            "User-Agent: mtumail one-click unsubscribe",
            "Content-Length: 26",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
    )


@pytest.mark.parametrize("status", [200, 204, 301, 302, 303, 307, 308, 400, 404, 410, 500])
def test_one_click_is_answered_by_any_status_and_follows_none(secure, status):
    server, client = secure()
    server.says["/u"] = reply(b"", f"{status} x", Location=server.url("/elsewhere"))
    assert client.post_form(server.url("/u"), ONE_CLICK) == status
    assert len(server.heard) == 1


def test_one_click_is_never_sent_in_the_clear(server, client, code):
    assert code(client.post_form(server.url("/u"), ONE_CLICK)) == "url"
    assert server.connections == 0


def test_one_click_does_not_wait_for_a_body(secure):
    server, client = secure()
    server.says["/u"] = lambda talk: (talk.say(reply(b"", Content_Length="100000")), time.sleep(3))
    began = time.monotonic()
    assert client.post_form(server.url("/u"), ONE_CLICK) == 200
    assert time.monotonic() - began < 2.5


def test_which_failures_may_pass():
    lasting = ("url", "port", "name", "private", "tls", "redirects", "downgrade", "type", "encoding", "large", "headers", "reply")  # fmt: skip
    assert not any(Failed(code).temporary for code in lasting)
    assert all(Failed(code).temporary for code in ("dns", "connect", "slow", "cut"))
    assert [status for status in range(100, 600) if Failed("status", status).temporary] == [
        408, 425, 429, 500, 502, 503, 504,
    ]  # fmt: skip
