"""What a person sees when a message comes back: sent through the real relay sink, which bounces it after it was taken."""

import re
import uuid
from html import unescape

import pytest

pytestmark = pytest.mark.slow


def words(page) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def test_a_message_that_comes_back_says_so_where_it_lies(ann_client, eventually):
    subject = f"To nobody {uuid.uuid4().hex[:10]}"
    composer = ann_client.get("/compose")
    sent = ann_client.press(
        composer,
        composer.form(id="compose"),
        "Send",
        to="late-550@example.net, omar@example.net",
        subject=subject,
        body="Are you there?\n",
    )
    assert sent.status == 200

    def is_back():
        page = ann_client.get(sent.url)
        return page if "Not delivered" in words(page) else None

    page = eventually(is_back, 30, "the bounce on the sent message")
    told = words(page)
    assert "late-550@example.net" in told
    assert re.search(r"\d\d:\d\d put into the outbox \d\d:\d\d handed to the relay", told)
    assert re.search(r"\d\d:\d\d example\.net (says|did|refuses)", told)
    assert "omar@example.net Handed to the relay" in told
    rows = [row for row in ann_client.get("/mail/sent").rows() if subject in row[2]]
    assert rows
    assert "Not delivered" in words(ann_client.get("/mail/sent"))
    report = ann_client.get(page.link("the report"))
    assert report.status == 200
    number = sent.url.rpartition("/")[2]
    assert f"/mail/sent/{number}" in report.text, "the report lies in the conversation of what it is about"
