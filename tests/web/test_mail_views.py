"""Folders, messages, acts, search: as a page, as a fragment, as a stranger."""

import html
import re

import pytest
from sqlalchemy import text

from webmail.db import show_id

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
def act(csrf):
    def do(client, folder, action, *ids, **more):
        data = {"csrf_token": csrf(client), "action": action, "id": [show_id(i) for i in ids]} | more
        return client.post(f"/mail/{folder}/act", data=data, headers=more.pop("headers", {}))

    return do


def subjects(page: str) -> list[str]:
    """The text of each `a.subject`, without what is for screen readers alone."""
    links = re.findall(r'<a[^>]*class="subject"[^>]*>(.*?)</a>', page, re.DOTALL)
    seen = (re.sub(r'<\w+ class="vh">.*?</\w+>', "", link) for link in links)
    return [html.unescape(re.sub(r"<[^>]+>", "", link)).strip() for link in seen]


def test_the_inbox_lists_what_came_newest_first(browser_of, deliver, ann, letter):
    for subject in ("first", "second", "third"):
        deliver(ann, letter(subject))
    page = browser_of(ann).get("/")
    assert page.status_code == 200
    assert subjects(page.text) == ["third", "second", "first"]
    assert page.text.count("<tr ") >= 3
    assert 'id="messages"' in page.text


def test_fragment_and_page_agree(browser_of, deliver, ann, letter):
    deliver(ann, letter("agreed"))
    client = browser_of(ann)
    page, part = client.get("/mail/inbox"), client.get("/mail/inbox", headers=HX)
    assert part.text.lstrip().startswith("<main")
    assert "<html" not in part.text
    assert "<html" in page.text
    assert subjects(page.text) == subjects(part.text) == ["agreed"]
    assert "HX-Request" in part.headers["Vary"]


def test_a_stranger_sees_none_of_it(browser_of, deliver, ann, ben, letter):
    message = show_id(deliver(ann, letter("not for ben")))
    client = browser_of(ben)
    assert "not for ben" not in client.get("/").text
    absent = client.get("/mail/inbox/AAAAAAAA")
    for path in ("", "/source", "/message.eml", "/formatted", "/1/a.txt", "/l/1"):
        answer = client.get(f"/mail/inbox/{message}{path}")
        assert answer.status_code == 404
    assert re.sub(r'value="[0-9a-f]{64}"', "", client.get(f"/mail/inbox/{message}").text) == re.sub(
        r'value="[0-9a-f]{64}"', "", absent.text
    )


@pytest.mark.parametrize(
    "action", ["read", "unread", "star", "archive", "trash", "junk", "delete", "back", "inbox"]
)
def test_a_stranger_changes_none_of_it(browser_of, deliver, act, ann, ben, letter, superuser, action):
    message = deliver(ann, letter())
    before = superuser.execute(text("SELECT * FROM message")).all()
    act(browser_of(ben), "inbox", action, message, confirm="1")
    assert superuser.execute(text("SELECT * FROM message")).all() == before


def test_opening_a_message_shows_it_and_marks_it_read(browser_of, deliver, ann, letter):
    message = show_id(deliver(ann, letter("A question", "Is the <b>pump</b> & the valve ready?\r\n")))
    client = browser_of(ann)
    assert 'aria-current="page"' in client.get("/").text
    page = client.get(f"/mail/inbox/{message}")
    assert f'data-id="{message}"' in page.text
    assert "Is the &lt;b&gt;pump&lt;/b&gt; &amp; the valve ready?" in page.text
    assert "1 unread" not in client.get("/").text


def test_a_message_is_found_in_its_own_folder_alone(browser_of, deliver, ann, letter):
    message = show_id(deliver(ann, letter()))
    assert browser_of(ann).get(f"/mail/sent/{message}").status_code == 404


@pytest.mark.parametrize(("action", "folder"), [("archive", "archive"), ("trash", "trash"), ("junk", "junk")])
def test_moving_and_moving_back(browser_of, deliver, act, ann, letter, action, folder):
    message = deliver(ann, letter("moved"))
    client = browser_of(ann)
    assert act(client, "inbox", action, message).status_code == 303
    after = client.get("/mail/inbox").text
    assert subjects(after) == []
    assert 'role="status"' in after
    assert 'value="back"' in after
    assert subjects(client.get(f"/mail/{folder}").text) == ["moved"]
    act(client, "inbox", "back", message)
    assert subjects(client.get("/mail/inbox").text) == ["moved"]


def test_an_act_by_fragment_answers_with_the_list_and_a_way_back(browser_of, deliver, csrf, ann, letter):
    message = deliver(ann, letter("gone at once"))
    client = browser_of(ann)
    answer = client.post(
        "/mail/inbox/act",
        data={"csrf_token": csrf(client), "action": "archive", "id": show_id(message)},
        headers=HX,
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith("<main")
    assert subjects(answer.text) == []
    assert 'value="back"' in answer.text


def test_deleting_for_ever_asks_first_and_destroys_the_keys(browser_of, deliver, act, ann, letter, superuser):
    message = deliver(ann, letter("gone for good"))
    client = browser_of(ann)
    act(client, "inbox", "delete", message, confirm="1")
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1, (
        "only what lies in trash, junk or drafts"
    )
    act(client, "inbox", "trash", message)
    asked = act(client, "trash", "delete", message)
    assert asked.status_code == 200
    assert 'name="confirm"' in asked.text
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1
    act(client, "trash", "delete", message, confirm="1")
    for table in ("message", "message_source", "message_view", "message_index", "thread_reference"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0, table


def test_stars_and_read_marks(browser_of, deliver, act, ann, letter, superuser):
    message = deliver(ann, letter())
    client = browser_of(ann)
    for action, column, value in (
        ("star", "starred", True),
        ("unstar", "starred", False),
        ("read", "unread", False),
        ("unread", "unread", True),
    ):
        act(client, "inbox", action, message)
        assert superuser.execute(text(f"SELECT {column} FROM message")).scalar() is value


def test_pages_of_a_long_folder_hold_each_message_once(browser_of, deliver, ann, letter, superuser):
    superuser.execute(text("UPDATE account SET rows_preference = 20"))
    for number in range(45):
        deliver(ann, letter(f"number {number}"))
    client, where, seen = browser_of(ann), "/mail/inbox", []
    while where:
        page = client.get(where).text
        seen += subjects(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        where = older.group(1).replace("&amp;", "&") if older else None
    assert seen == [f"number {number}" for number in reversed(range(45))]
    newer = re.search(r'href="([^"]+)" rel="prev"', page).group(1)
    assert subjects(client.get(newer).text) == [f"number {number}" for number in range(24, 4, -1)]


def test_an_unchanged_list_costs_a_304(browser_of, deliver, act, ann, letter):
    message = deliver(ann, letter())
    client = browser_of(ann)
    first = client.get("/mail/inbox")
    etag = first.headers["ETag"]
    again = client.get("/mail/inbox", headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert again.data == b""
    act(client, "inbox", "star", message)
    client.get("/mail/inbox")
    assert client.get("/mail/inbox", headers={"If-None-Match": etag}).status_code == 200
    deliver(ann, letter())
    assert client.get("/mail/inbox", headers={"If-None-Match": etag}).status_code == 200


def test_an_answer_joins_its_conversation(browser_of, deliver, ann, letter):
    deliver(ann, letter("Plan", "the plan\r\n", Message_ID="<plan@example.org>"))
    message = deliver(
        ann,
        letter("Re: Plan", "agreed\r\n", In_Reply_To="<plan@example.org>", References="<plan@example.org>"),
    )
    page = browser_of(ann).get(f"/mail/inbox/{show_id(message)}").text
    assert page.count("<article") == 2


def test_a_message_that_cannot_be_read_is_shown_as_such(
    browser_of, receive, worker, ann, letter, monkeypatch
):
    from webmail.mail import reading
    from workers import filing

    def broken(*_args):
        raise ValueError("a parser's bug")

    message = show_id(receive(ann, letter("hard")))
    monkeypatch.setattr(reading, "build", broken)

    def _now(claim):
        from webmail.db import db

        db.session.execute(text("UPDATE work SET due_at = now()"))

    monkeypatch.setattr(filing.work, "again", lambda claim, delay, problem="": _now(claim))
    filing.drain()
    client = browser_of(ann)
    assert message in client.get("/").text
    page = client.get(f"/mail/inbox/{message}")
    assert page.status_code == 200
    assert "source" in page.text
    assert client.get(f"/mail/inbox/{message}/message.eml").data.endswith(b"How are you?\r\n")


# --- search --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("satellite", {"Satellite images", "Budget"}), ("SATELLITE images", {"Satellite images"}), ('"two of the satellites"', set()),
        ('"the satellite dish"', {"Budget"}), ('"dish satellite"', set()), ("from:zoë", {"Satellite images", "Budget"}), ("from:zoe", {"Satellite images", "Budget"}),
        ("subject:satellite", {"Satellite images"}), ("subject:dish", set()), ("satel", {"Satellite images"}), ("subject:satel", {"Satellite images"}),
        ("satellite -dish", {"Satellite images"}), ("-satellite is:unread", {"水の検査"}), ("検査", {"水の検査"}), ("nothing", set()), ("to:ann satellite", {"Satellite images", "Budget"}),
        ("cafe", {"水の検査"}), ("is:starred", set()), ("has:attachment", set()), ("'; DROP TABLE message; --", set()), ("' | ! & :* <->", set()),
    ],
)  # fmt: skip
def test_searching(browser_of, deliver, ann, letter, query, hits):
    deliver(ann, letter("Satellite images", "Two of them are cloudy.\r\n"))
    deliver(ann, letter("Budget", "We must pay for the satellite dish.\r\n"))
    deliver(ann, letter("=?utf-8?B?5rC044Gu5qSc5p+7?=", "Café\r\n", "Sato <sato@example.jp>"))
    page = browser_of(ann).get("/search", query_string={"q": query})
    assert page.status_code == 200
    assert set(subjects(page.text)) == hits


def test_search_finds_nothing_of_others(browser_of, deliver, ann, ben, letter):
    deliver(ann, letter("cassowary"))
    assert subjects(browser_of(ben).get("/search?q=cassowary").text) == []


# --- attachments ---------------------------------------------------------------------------------------------------------


def _with_file(content_type: str, name: str, content: str) -> bytes:
    return (
        "From: z@example.org\r\nSubject: files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        f'Content-Type: text/plain\r\n\r\nsee file\r\n--b\r\nContent-Type: {content_type}\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n{content}\r\n--b--\r\n'
    ).encode()


@pytest.mark.parametrize(
    ("content_type", "name"),
    [("text/html", "page.html"), ("image/svg+xml", "a.svg"), ("text/xml", "a.xml"), ("application/xhtml+xml", "a.xhtml"), ("text/javascript", "a.js"), ("image/png", "not-really.png"), ("application/pdf", "a.pdf"), ("message/rfc822", "a.eml")],
)  # fmt: skip
@pytest.mark.parametrize("query", ["", "?view=1"])
def test_active_attachments_are_downloads_that_cannot_run(
    browser_of, deliver, ann, content_type, name, query
):
    message = show_id(deliver(ann, _with_file(content_type, name, "<script>alert(1)</script>")))
    client = browser_of(ann)
    href = re.search(
        rf'href="(/mail/inbox/{message}/\d+/[^"?]+)', client.get(f"/mail/inbox/{message}").text
    ).group(1)
    answer = client.get(href + query)
    assert answer.status_code == 200
    assert b"alert(1)" in answer.data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_part_of_an_attachment_can_be_asked_for(browser_of, deliver, ann):
    message = show_id(deliver(ann, _with_file("application/octet-stream", "long.bin", "0123456789")))
    client = browser_of(ann)
    href = re.search(
        rf'href="(/mail/inbox/{message}/\d+/[^"?]+)', client.get(f"/mail/inbox/{message}").text
    ).group(1)
    answer = client.get(href, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.data) == (206, b"234")
