"""A letter attacks whoever of the staff opens it: its pictures call home, its links tempt, its scripts act. It does none of that."""

import re
import socket

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.governance.access import disclosing


def test_P06_nothing_is_asked_of_anybody_and_nothing_acts(monkeypatch, press, sam, may_read, message, path):
    asked = []
    resolve = socket.getaddrinfo

    def note(host, *rest, **more):
        asked.append(host)
        return resolve("127.0.0.1", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    for part in ("text", "layout"):
        answer = press(sam, path(may_read, message, part))
        body = answer.text.partition("<body")[2]
        assert "of the text" in body
        assert not re.search(r"<script[^>]*>[^<]*stolen", body)
        assert not re.search(
            r"""(?i)(href|src|srcset|background|action|poster)\s*=\s*["']?(https?:)?//""", body
        )
    frame = press(sam, path(may_read, message, "layout"))
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert not {"img-src", "script-src", "allow-scripts", "allow-same-origin"} & set(
        re.split(r"[; ]+", policy)
    )
    assert not [host for host in asked if "evil" in str(host)]


def test_P06_vectors_of_others_do_no_better(html_vectors):
    """Every thirtieth of the collected attacks, through what the staff's pages are made of."""
    acts = re.compile(
        r"(?i)<(script|iframe|object|embed|form|img|a|link|meta\s+http|base|svg)\b|\son\w+\s*=|javascript:|url\("
    )
    shown = 0
    for vector in html_vectors[::30]:
        raw = f"From: x@evil.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>word</p>{vector['html']}"
        told = disclosing.body(raw.encode("utf-8", "replace"), 1)
        for piece in told.pieces:
            assert not acts.search(re.sub(r">[^<]*<", "><", f">{piece.html}<")), vector["id"]
        try:
            page = disclosing.laid_out(raw.encode("utf-8", "replace"))
        except NotFound:
            continue  # what cannot be laid out tamely is not laid out
        body = re.sub(r"(?s)<style.*?</style>", "", page.partition("<body")[2])
        assert not acts.search(re.sub(r">[^<]*<", "><", body)), vector["id"]
        shown += 1
    assert shown > 5


def test_P06_the_frame_has_no_address_to_be_lent(browser_of, sam, may_read, message):
    answer = browser_of(sam).get(f"/staff/access/{show_id(may_read)}/{show_id(message)}/layout")
    assert answer.status_code == 405
