"""A stranger writes markup, header lines and commands into the contact form, to act in the browser of whoever reads the case."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.governance.cases import forms

EVIL = '"><script>alert(1)</script><img src=//evil.example/p.gif onerror=alert(2)>{{ 7*7 }}'


@pytest.fixture
def send(empty, stranger, monkeypatch):
    monkeypatch.setattr(forms, "TOO_QUICK", 0)

    def press(**fields):
        token = re.search(r'name="csrf_token" value="([^"]+)"', stranger.get("/abuse").text)[1]
        return stranger.post("/abuse", data={"csrf_token": token, "kind": "spam"} | fields)

    return press


def test_P27_what_is_written_is_words_wherever_it_is_read(send, browser_of, press, sam, superuser):
    answer = send(words=EVIL, about=EVIL[:280], message=f"Subject: {EVIL}\nContent-Type: text/html\n\n{EVIL}")
    assert answer.status_code == 303
    case, item = superuser.execute(text("SELECT case_id, item_id FROM case_item")).one()
    client = browser_of(sam)
    opened = [
        press(client, f"/staff/cases/items/{show_id(item)}/open", part=part).headers["Location"]
        for part in ("text", "headers", "formatted")
    ]
    pages = ["/staff/cases", f"/staff/cases/{show_id(case)}", *opened, f"{opened[2]}/frame"]
    for where in pages:
        page = client.get(where).text
        assert "<script>alert" not in page, where
        assert not re.search(r"<img[^>]+evil", page), where
        assert "49" not in re.findall(r">\s*(49)\s*<", page)
    assert "&lt;script&gt;alert(1)" in client.get(pages[1]).text, "it is shown, as words"


def test_P27_no_line_gets_into_a_header(send, superuser):
    for contact in ("zoe@example.org\r\nBcc: all@mtumail.test", "zoe@example.org\nX: y", "<x@y.example>\x00"):
        assert send(words="Hello there.", contact=contact).status_code == 422
    assert superuser.execute(text("SELECT count(*) FROM case_item")).scalar() == 0
