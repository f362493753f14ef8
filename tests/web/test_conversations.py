"""Conversations in lists and opened: one line each, or each message by itself, as its reader prefers."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.mail import messages
from webmail.mail.folders import Kind

HX = {"HX-Request": "true"}


@pytest.fixture
def thread(deliver, letter):
    """Three messages of one conversation in somebody's inbox, oldest first, and one that has nothing to do with them."""

    def make(person):
        first = deliver(person, letter("Pump", "One\r\n", **{"Message-ID": "<1@x.example>"}))
        second = deliver(
            person,
            letter("Re: Pump", "Two\r\n", **{"Message-ID": "<2@x.example>", "References": "<1@x.example>"}),
        )
        other = deliver(person, letter("Boat", "Else\r\n", **{"Message-ID": "<9@x.example>"}))
        third = deliver(
            person,
            letter(
                "Re: Pump", "Three\r\n", **{"Message-ID": "<3@x.example>", "In-Reply-To": "<2@x.example>"}
            ),
        )
        return first, second, third, other

    return make


@pytest.fixture
def prefer(csrf):
    def choose(client, **choices):
        form = {"rows": "50", "density": "comfortable", "reading": "reading", "links": "short",
                "conversations": "threads", "pictures": "ask", "shortcuts": "off"}  # fmt: skip
        answer = client.post("/settings", data=form | {"csrf_token": csrf(client)} | choices)
        assert answer.status_code == 303, answer.text

    return choose


def ids(page: str) -> list[str]:
    return re.findall(r'<tr data-id="([^"]+)"', page)


def test_a_list_has_one_line_for_a_conversation(browser_of, thread, ann):
    _first, _second, third, other = thread(ann)
    page = browser_of(ann).get("/").text
    assert ids(page) == [show_id(third), show_id(other)]
    assert "<small>3</small>" in page


def test_flat_lists_and_pages_show_each_message_by_itself(browser_of, thread, ann, prefer):
    first, second, third, other = thread(ann)
    client = browser_of(ann)
    prefer(client, conversations="flat")
    assert ids(client.get("/").text) == [show_id(item) for item in (third, other, second, first)]
    page = client.get(f"/mail/inbox/{show_id(second)}").text
    assert re.findall(r'<article class="message"[^>]*data-id="([^"]+)"', page) == [show_id(second)]


def test_the_line_is_bold_and_starred_for_any_message_behind_it(browser_of, thread, ann, opened):
    first, second, third, _other = thread(ann)
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [third, second], "read"))
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [first], "star"))
    row = re.search(
        rf'<tr data-id="{show_id(third)}".*?(?=<tr |</table>)', browser_of(ann).get("/").text, re.S
    )[0]
    assert 'class="u"' in row
    assert "i star" in row


def test_what_is_done_to_a_line_is_done_to_its_conversation_here_and_taken_back(
    browser_of, thread, ann, csrf, superuser
):
    first, second, third, other = thread(ann)
    client = browser_of(ann)
    data = {"csrf_token": csrf(client), "action": "archive", "id": show_id(third)}
    page = client.post("/mail/inbox/act", data=data, follow_redirects=True).text
    assert ids(page) == [show_id(other)]
    where = text("SELECT message_id FROM message WHERE folder_id = :folder ORDER BY received_at")
    assert superuser.execute(where, {"folder": int(Kind.ARCHIVE)}).scalars().all() == [first, second, third]
    form = re.search(r'id="notice".*?</form>', page, re.S)[0]
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', form)
    undo = {"csrf_token": csrf(client)} | {
        name: value for name, value in fields if name not in ("id", "csrf_token")
    }
    undo["id"] = [value for name, value in fields if name == "id"]
    client.post(re.search(r'action="([^"]+)"', form)[1], data=undo)
    assert superuser.execute(where, {"folder": int(Kind.ARCHIVE)}).scalars().all() == []


def test_an_undo_takes_back_no_more_than_was_done(browser_of, thread, ann, csrf, superuser):
    _first, second, _third, _other = thread(ann)
    client = browser_of(ann)
    data = {"csrf_token": csrf(client), "action": "archive", "id": show_id(second), "whole": "0"}
    client.post("/mail/inbox/act", data=data)
    rows = superuser.execute(text("SELECT message_id FROM message WHERE folder_id = 4")).scalars().all()
    assert rows == [second]


@pytest.mark.parametrize("action", ["star", "unread"])
def test_marks_go_to_the_newest_alone(browser_of, thread, ann, csrf, superuser, opened, action):
    first, second, third, _other = thread(ann)
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [first, second, third], "read"))
    client = browser_of(ann)
    client.post("/mail/inbox/act", data={"csrf_token": csrf(client), "action": action, "id": show_id(third)})
    column = "starred" if action == "star" else "unread"
    marked = text(
        f"SELECT message_id FROM message WHERE {column} AND thread_id IS NOT NULL ORDER BY received_at DESC"
    )
    assert third in superuser.execute(marked).scalars().all()
    assert not {first, second} & set(superuser.execute(marked).scalars())


def test_opening_shows_what_is_new_and_the_newest_and_marks_that_read(
    browser_of, thread, ann, opened, superuser
):
    first, second, third, _other = thread(ann)
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [first], "read"))
    page = browser_of(ann).get(f"/mail/inbox/{show_id(third)}").text
    folded = [part for part in page.split("<article")[1:] if 'class="fold"' in part]
    assert len(folded) == 1
    assert show_id(first) in folded[0]
    unread = superuser.execute(text("SELECT count(*) FROM message WHERE unread AND message_id = ANY(:ids)"),
                               {"ids": [first, second, third]}).scalar()  # fmt: skip
    assert unread == 0
    whole = browser_of(ann).get(f"/mail/inbox/{show_id(third)}?all=1").text
    assert 'class="fold"' not in whole


def test_the_bar_at_the_top_is_about_the_conversation_the_buttons_below_about_one(
    browser_of, thread, ann, csrf, superuser
):
    _first, second, third, _other = thread(ann)
    client = browser_of(ann)
    where = f"/mail/inbox/{show_id(third)}"
    assert client.get(where).text.count('name="whole" value="1"') == 1
    client.post(where, data={"csrf_token": csrf(client), "action": "archive"})
    here = text("SELECT count(*) FROM message WHERE folder_id = 1")
    assert superuser.execute(here).scalar() == 3
    client.post(
        f"/mail/inbox/{show_id(second)}", data={"csrf_token": csrf(client), "action": "archive", "whole": "1"}
    )
    assert superuser.execute(here).scalar() == 1


def test_another_mailbox_with_the_same_message_ids_has_conversations_of_its_own(
    browser_of, thread, ann, ben, csrf, superuser
):
    thread(ann)
    _first, _second, third, _other = thread(ben)
    client = browser_of(ben)
    client.post("/mail/inbox/act", data={"csrf_token": csrf(client), "action": "trash", "id": show_id(third)})
    rows = superuser.execute(
        text("SELECT mailbox_id, count(*) FROM message WHERE folder_id = 6 GROUP BY 1")
    ).all()
    assert rows == [(ben.mailbox_id, 3)]


def test_pages_by_conversation_hold_each_once(browser_of, deliver, ann, letter, prefer):
    for number in range(25):
        deliver(ann, letter(f"n{number}", **{"Message-ID": f"<a{number}@x.example>"}))
        deliver(
            ann,
            letter(
                f"Re: n{number}",
                **{"Message-ID": f"<b{number}@x.example>", "References": f"<a{number}@x.example>"},
            ),
        )
    client = browser_of(ann)
    prefer(client, rows="20")
    seen, where = [], "/"
    while where:
        page = client.get(where).text
        seen += ids(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        where = older[1].replace("&amp;", "&") if older else None
    assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize("grouped", [True, False])
def test_a_list_reads_its_mailbox_by_index_alone(superuser, empty, ann, ben, deliver, letter, grouped):
    """However much other mail there is, and however much lies in the folder."""
    one = deliver(ann, letter())
    superuser.execute(
        text("""
        INSERT INTO message (mailbox_id, message_id, folder_id, state, direction, received_at, size_bytes, thread_id, content_key, summary, unread)
        SELECT m.mailbox_id, 1000 + n + 100000 * m.number, 1, 'filed', 'in', now() - n * interval '1 minute', 1, n / 3, content_key, summary, n % 50 = 0
          FROM (SELECT mailbox_id, row_number() OVER () AS number FROM mailbox) m, generate_series(1, 20000) n,
               (SELECT content_key, summary FROM message WHERE message_id = :one) c"""),
        {"one": one},
    )
    superuser.execute(text("ANALYZE message"))
    sql = messages._folder_sql(Kind.INBOX, "first", 50, grouped).replace("%(mailbox)s", str(ann.mailbox_id))
    plan = "\n".join(superuser.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {sql}").scalars())
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan
    buffers = int(re.search(r"Buffers: shared hit=(\d+)", plan)[1])
    assert buffers < (3_000 if grouped else 1_500), plan


def test_too_many_to_take_back_are_counted_right_and_offered_no_half_undo(
    browser_of, deliver, ann, letter, csrf
):
    ids = [deliver(ann, letter("one", **{"Message-ID": "<c0@x.example>"}))]
    for number in range(1, 102):
        ids.append(
            deliver(
                ann,
                letter(
                    f"Re: one {number}",
                    **{"Message-ID": f"<c{number}@x.example>", "References": "<c0@x.example>"},
                ),
            )
        )
    client = browser_of(ann)
    data = {"csrf_token": csrf(client), "action": "archive", "id": show_id(ids[-1])}
    page = client.post("/mail/inbox/act", data=data, follow_redirects=True).text
    notice = re.search(r'id="notice".*?</div>', page, re.S)[0]
    assert "102 archived" in notice
    assert "<form" not in notice
