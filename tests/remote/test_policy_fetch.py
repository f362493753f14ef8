"""Plain text fetched as a policy is: by https alone, never redirected, and nothing else taken for it."""

import pytest

from webmail.remote import Client, Reach

TEXT = b"version: STSv1\r\nmode: testing\r\n"
PATH = "/.well-known/mta-sts.txt"


def reply(body=TEXT, status="200 OK", kind="text/plain; charset=utf-8", more=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


@pytest.fixture
def secure(server, names, authority):
    """A server with a certificate for a name; (it, a client that trusts its authority)."""
    started = []

    def start(name="pictures.example"):
        theirs, ours = authority(name)
        started.append(type(server)(theirs))
        return started[-1], Client(Reach(frozenset({started[-1].port, server.port})), names, ours)

    yield start
    for running in started:
        running.stop()


def test_a_text_is_fetched(secure):
    server, client = secure()
    server.says[PATH] = reply()
    assert client.get_text(server.url(PATH)) == TEXT.decode()
    [(head, body)] = server.heard
    assert body == b""
    assert b"User-Agent: mtumail policy check" in head
    assert b"Cookie" not in head


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (reply(status="302 Found", more="Location: https://pictures.example/other\r\n"), "status-302"),
        (reply(status="404 Not Found"), "status-404"),
        (reply(kind="text/html"), "type"),
        (reply(more="Content-Encoding: gzip\r\n"), "encoding"),
        (reply(b"x" * 70_000), "large"),
        (b"nonsense\r\n\r\n", "reply"),
    ],
)
def test_what_is_no_policy_is_none(secure, said, code):
    server, client = secure()
    server.says[PATH] = said
    failed = client.get_text(server.url(PATH))
    assert failed.short == code
    assert len(server.heard) == 1


def test_it_is_fetched_over_tls_of_that_name_alone(secure, server, client):
    assert client.get_text(server.url(PATH)).code == "url"
    other, theirs = secure("other.example")
    assert theirs.get_text(other.url(PATH)).code == "tls"
    assert server.heard == other.heard == []


def test_no_place_that_is_not_public_is_asked(server):
    assert Client().get_text("https://127.0.0.1/x").code == "private"
