"""Files that come in pieces: nothing is sent twice, nothing is lost, and nobody gets at another's draft."""

import dataclasses
import io
import os
import random
import re

import pytest
from sqlalchemy import text

from webmail.db import read_id
from webmail.sending import drafts, uploading

JSON = {"Accept": "application/json"}
STEP = 300_000


class Line:
    """A browser that sends a file to a draft of its own over a bad line."""

    def __init__(self, client):
        self.client = client
        page = client.get("/compose").text
        self.csrf, self.draft = (
            re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("csrf_token", "draft_id")
        )
        saved = self.save(body="Before the file.")
        assert saved.status_code == 200
        self.revision = saved.json["revision"]

    def save(self, revision="0", **typed):
        data = {"csrf_token": self.csrf, "draft_id": self.draft, "revision": revision, "save": "1"} | typed
        return self.client.post("/compose", data=data, headers=JSON)

    def post(self, content, at, piece=None, **more):
        data = {
            "csrf_token": self.csrf, "draft": self.draft, "name": "plan.bin", "type": "application/pdf",
            "total": len(content), "mark": "1", "offset": at,
        } | more  # fmt: skip
        if piece is not None:
            data["piece"] = (io.BytesIO(piece), "blob")
        return self.client.post(
            "/compose/upload", data=data, headers=JSON, content_type="multipart/form-data"
        )

    def offset(self, content, **more):
        answer = self.post(content, 0, **more)
        assert answer.status_code == 200
        return answer.json["offset"]


@pytest.fixture
def line(browser_of, ann):
    return Line(browser_of(ann))


@pytest.fixture
def files(opened, ann, line):
    return lambda: opened(ann, lambda keys: drafts.files(keys, read_id(line.draft)))


def test_a_file_of_5_MB_survives_three_dropped_connections(line, files, superuser):
    """Dropped before a piece arrives, after it was kept but before the answer was read, and in the middle of a piece."""
    content = random.Random(5).randbytes(5_000_000)
    drops = {3: "before", 7: "after", 11: "middle"}
    offset, pieces, sent = line.offset(content), 0, 0
    while offset < len(content):
        pieces += 1
        piece = content[offset : offset + STEP]
        drop = drops.get(pieces)
        if drop == "after":
            sent += len(piece)
            line.post(content, offset, piece)  # and nobody hears the answer
        if drop == "middle":
            # Half a request: the server never gets a whole form, and answers nothing that could be taken for a piece.
            sent += len(piece) // 2
        if drop:
            offset = line.offset(content)  # what a browser asks after any break
            continue
        sent += len(piece)
        answer = line.post(content, offset, piece)
        assert answer.status_code == 200
        offset = answer.json["offset"]
    assert answer.json["done"]
    [file] = files()
    assert (file.name, file.content_type, file.content) == ("plan.bin", "application/pdf", content)
    assert sent < len(content) + 2 * STEP, "what had arrived was not sent again"
    assert superuser.execute(text("SELECT count(*) FROM draft_chunk")).scalar() == 0
    assert line.save(str(line.revision), body="Written meanwhile.").json["revision"] == 2


def test_a_request_that_breaks_off_leaves_nothing(line, files):
    content = os.urandom(1000)
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        + line.csrf.encode()
        + b"\r\n--b\r\nContent-Disp"
    )
    answer = line.client.post(
        "/compose/upload", data=whole, content_type="multipart/form-data; boundary=b", headers=JSON
    )
    assert answer.status_code in (400, 403, 404)
    assert line.offset(content) == 0
    assert files() == []


def test_a_piece_that_comes_twice_is_one(line, files):
    content = os.urandom(1000)
    for _ in range(3):
        assert line.post(content, 0, content[:400]).json["offset"] == 400
    for _ in range(3):
        assert line.post(content, 400, content[400:]).json == {
            "draft_id": line.draft, "revision": 1, "offset": 1000, "done": True
        }  # fmt: skip
    assert [file.content for file in files()] == [content]


def test_a_gap_is_not_filled_by_guessing(line, files):
    content = os.urandom(1000)
    assert line.post(content, 500, content[500:]).json["offset"] == 0
    assert line.post(content, 0, content[:400]).json["offset"] == 400
    assert line.post(content, 300, content[300:]).json["offset"] == 400
    assert files() == []


def test_files_of_one_name_are_told_apart_and_an_empty_one_is_a_file(line, files):
    one, other = b"a" * 100, b"b" * 100
    assert line.post(one, 0, one).json["done"]
    assert line.post(other, 0, other, mark="2").json["done"]
    assert line.post(b"", 0, name="empty.txt").json["done"]
    assert [file.content for file in files()] == [one, other, b""]


def test_a_file_that_was_removed_can_be_attached_again(line, files):
    content = b"x" * 100
    line.post(content, 0, content)
    line.client.post(
        "/compose",
        data={
            "csrf_token": line.csrf,
            "draft_id": line.draft,
            "revision": "1",
            "body": "Before the file.",
            "remove": "1",
        },
    )
    assert files() == []
    assert line.offset(content) == 0
    assert line.post(content, 0, content).json["done"]
    assert len(files()) == 1


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"total": "-1"}, 400),
        ({"total": "x"}, 400),
        ({"offset": "1.5"}, 400),
        ({"draft": "AAAAAAAA"}, 404),
        ({"draft": "../.."}, 404),
        ({"csrf_token": "00"}, 403),
        ({"total": "10"}, 409),
        ({"total": "999999999999"}, 409),
    ],
)
def test_what_makes_no_sense_is_refused(line, files, more, code):
    answer = line.post(b"x" * 100, 0, b"x" * 100, **more)
    assert answer.status_code == code
    assert files() == []
    if code == 409:
        assert answer.json["problem"]


def test_limits_hold_before_the_first_byte_is_kept(line, files, web_app, monkeypatch, superuser):
    small = dataclasses.replace(web_app.extensions["settings"], message_bytes=1000)
    monkeypatch.setitem(web_app.extensions, "settings", small)
    assert line.post(b"x" * 701, 0, b"x" * 100).status_code == 409
    assert line.post(b"x" * 400, 0, b"x" * 100).status_code == 200
    assert line.post(b"y" * 400, 0, b"y", name="second").status_code == 409, "what is on its way counts"
    assert superuser.execute(text("SELECT count(*) FROM draft_upload")).scalar() == 1
    assert superuser.execute(text("SELECT size_bytes FROM message")).scalar() > 100, "and takes its space"
    superuser.execute(text("UPDATE mailbox SET quota_bytes = used_bytes + 50"))
    assert line.post(b"z" * 60, 0, b"z", name="third").status_code == 409


def test_nothing_of_it_lies_in_clear(line, superuser):
    content = b"canary " * 1000
    line.post(content, 0, content[:700], name="canary name.txt", mark="canary")
    for table in ("draft_upload", "draft_chunk"):
        rows = superuser.execute(text(f"SELECT * FROM {table}")).all()
        assert len(rows) == 1
        assert (
            b"canary"
            not in b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in rows[0]).lower()
        )


def test_another_person_cannot_send_into_a_draft(line, browser_of, ben, files, superuser):
    other = Line(browser_of(ben))
    content = b"x" * 10
    assert other.post(content, 0, content, draft=line.draft).status_code == 404
    assert files() == []
    assert superuser.execute(text("SELECT count(*) FROM draft_upload")).scalar() == 0


def test_pieces_go_with_their_draft_and_old_ones_by_themselves(line, superuser):
    content = b"x" * 100
    line.post(content, 0, content[:50])
    superuser.execute(text("UPDATE draft_upload SET changed_at = now() - interval '3 days'"))
    line.post(content, 0, content[:10], name="another")
    assert superuser.execute(text("SELECT count(*) FROM draft_upload")).scalar() == 1
    line.client.post(
        "/compose", data={"csrf_token": line.csrf, "draft_id": line.draft, "revision": "1", "discard": "1"}
    )
    for table in ("draft_upload", "draft_chunk"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_a_piece_has_a_size(line, monkeypatch):
    monkeypatch.setattr(uploading, "MAX_PIECE", 1000)
    content = b"x" * 1001
    assert line.post(content, 0, content).status_code == 409
    assert line.offset(content) == 0
