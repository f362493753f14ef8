"""What a reader agrees to at a press, and never without one: remote pictures, leaving a list, keeping a sender out."""

import io
import json
import re

import pytest
from PIL import Image
from sqlalchemy import text

from webmail.db import show_id
from webmail.mail import reading, remote_pictures, unsubscribing
from webmail.sending import limits

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}
ROUTES = ("pictures", "unsubscribe", "block")
DKIM = "DKIM-Signature: v=1; a=rsa-sha256; d=lists.example; s=k1; h=from:list-unsubscribe:list-unsubscribe-post; bh=AAAA; b=abcdefgh12345678\r\n"
BLOCK = (
    "Return-Path: <bounce@lists.example>\r\n"
    "Authentication-Results: mail.example.net;\r\n\tspf=none smtp.mailfrom=lists.example;\r\n"
    "\tdkim=pass header.d=lists.example header.s=k1 header.b=abcdefgh;\r\n"
    "\tdmarc=pass header.from=lists.example policy.dmarc=reject policy.by-dkim=lists.example\r\n"
    "Received: from mx.lists.example ([192.0.2.7])\r\n\tby mail.example.net with ESMTPS id 1;\r\n\tMon, 23 Nov 2026 00:00:00 +0000\r\n"
)
ONE_CLICK = (
    "List-Unsubscribe: <https://lists.example/u/1>, <mailto:leave@lists.example?subject=off%20please>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)
BY_MAIL = (
    "List-Unsubscribe: <mailto:leave@lists.example?subject=off%20please&body=now&cc=victim@example.org>\r\n"
)


def news(head: str = "", body: str = "<p>News", sender: str = "news@lists.example") -> bytes:
    return (
        f"{head}From: News <{sender}>\r\nTo: ann@mtumail.test\r\nSubject: News\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


def with_pictures(count: int = 2, **more: str) -> bytes:
    shown = "".join(
        f'<p><img src="https://pictures.example/{n}.png" width="400" alt="x"></p>' for n in range(count)
    )
    return news(body=f"<p>Look{shown}", **more)


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(made, "PNG")
    return made.getvalue()


def without_tokens(page: str) -> str:
    return re.sub(r'(?<=csrf_token" value=")[^"]+', "", page)


@pytest.fixture
def press(browser_of, ann, csrf):
    """Press a button of an opened message."""

    def do(message, what, person=ann, client=None, folder="inbox", headers=None, **fields):
        client = client or browser_of(person)
        data = {"csrf_token": csrf(client)} | fields
        return client.post(f"/mail/{folder}/{show_id(message)}/{what}", data=data, headers=headers or {})

    return do


@pytest.fixture
def state(opened, ann):
    return lambda message: opened(ann, lambda keys: remote_pictures.state(keys.mailbox_id, message))


@pytest.fixture
def fetched(opened, ann):
    """As the worker leaves it: the pictures that were wanted are there."""

    def fetch(message, *numbers):
        def call(keys):
            wanted = remote_pictures.wanted(keys.mailbox_id, message)
            kept = remote_pictures.Kept("image/png", picture(), 20, 10, 5000)
            chosen = numbers or tuple(wanted)
            remote_pictures.keep(keys, message, dict.fromkeys(chosen, kept))
            gone = {number: "status-404" for number in wanted if number not in chosen}
            remote_pictures.fail(keys.mailbox_id, message, gone)

        opened(ann, call)

    return fetch


@pytest.fixture
def always(superuser):
    def do(value="always"):
        query = text("UPDATE account SET preferences = preferences || cast(:more AS jsonb)")
        superuser.execute(query, {"more": json.dumps({"pictures": value})})

    return do


def everything(superuser) -> list[object]:
    """All that the routes here could change."""
    tables = (
        "message_picture",
        "correspondent",
        "unsubscription",
        "submission",
        "work",
        "message",
        "account",
    )
    return [superuser.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).all() for table in tables]


# --- pictures ------------------------------------------------------------------------------------------------------------


def test_pictures_are_offered_and_nothing_is_fetched(browser_of, deliver, ann, state):
    message = deliver(ann, with_pictures())
    page = browser_of(ann).get(f"/mail/inbox/{show_id(message)}").text
    assert "2 pictures left out" in page
    assert 'name="agree" value="once"' in page
    assert "pictures.example" not in page
    assert state(message).total == 0


def test_once_is_for_this_message_alone(browser_of, deliver, ann, press, state):
    first, second = deliver(ann, with_pictures()), deliver(ann, with_pictures())
    answer = press(first, "pictures", agree="once")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(f"/mail/inbox/{show_id(first)}?view=formatted")
    assert (state(first).total, state(first).waiting) == (2, 2)
    browser_of(ann).get(f"/mail/inbox/{show_id(second)}")
    assert state(second).total == 0


def test_for_a_sender_the_next_message_is_fetched_when_it_is_opened(browser_of, deliver, ann, press, state):
    client = browser_of(ann)
    press(deliver(ann, with_pictures()), "pictures", agree="sender")
    theirs, other = deliver(ann, with_pictures()), deliver(ann, with_pictures(sender="x@other.example"))
    assert state(theirs).total == 0, "not when it comes"
    for message in (theirs, other):
        client.get(f"/mail/inbox/{show_id(message)}")
    assert (state(theirs).total, state(other).total) == (2, 0)
    assert "news@lists.example" in client.get("/settings/senders").text


def test_always_is_for_everybody_and_is_a_setting(browser_of, deliver, ann, press, state, superuser):
    press(deliver(ann, with_pictures()), "pictures", agree="always")
    assert superuser.execute(text("SELECT preferences ->> 'pictures' FROM account")).scalar() == "always"
    other = deliver(ann, with_pictures(sender="x@other.example"))
    browser_of(ann).get(f"/mail/inbox/{show_id(other)}")
    assert state(other).total == 2


def test_stop_takes_it_back(browser_of, deliver, ann, press, state):
    first = deliver(ann, with_pictures())
    press(first, "pictures", agree="sender")
    client = browser_of(ann)
    assert 'value="stop"' in client.get(f"/mail/inbox/{show_id(first)}").text
    press(first, "pictures", agree="stop")
    second = deliver(ann, with_pictures())
    client.get(f"/mail/inbox/{show_id(second)}")
    assert state(second).total == 0
    assert "news@lists.example" not in client.get("/settings/senders").text


@pytest.mark.parametrize("agree", ["", "never", "ONCE"])
def test_no_such_agreement(deliver, ann, press, superuser, agree):
    message = deliver(ann, with_pictures())
    before = everything(superuser)
    assert press(message, "pictures", agree=agree).status_code == 400
    assert everything(superuser) == before


def test_a_message_without_pictures_has_nothing_to_agree_to(
    browser_of, deliver, ann, letter, press, superuser
):
    message = deliver(ann, letter())
    before = everything(superuser)
    assert press(message, "pictures", agree="once").status_code == 404
    assert press(message, "pictures", agree="always").status_code == 404
    assert browser_of(ann).get(f"/mail/inbox/{show_id(message)}/pictures").status_code == 404
    assert everything(superuser) == before


def test_junk_never_fetches_by_itself(browser_of, deliver, ann, press, state, always, csrf):
    always()
    message = deliver(ann, with_pictures())
    client = browser_of(ann)
    client.post(
        "/mail/inbox/act", data={"csrf_token": csrf(client), "action": "junk", "id": show_id(message)}
    )
    for query in ("", "?view=formatted", "?pictures=1", "?all=1"):
        client.get(f"/mail/junk/{show_id(message)}{query}")
    client.get(f"/mail/junk/{show_id(message)}/pictures")
    assert state(message).total == 0
    press(message, "pictures", folder="junk", agree="once")
    assert state(message).total == 2, "at a press it does"


@pytest.mark.parametrize("how", ["HEAD", "prefetch", "prefetch;prerender"])
def test_a_guess_at_the_next_page_fetches_nothing(browser_of, deliver, ann, always, superuser, how):
    always()
    message = deliver(ann, with_pictures())
    client, before = browser_of(ann), everything(superuser)
    for path in ("", "/pictures", "/print", "/formatted"):
        where = f"/mail/inbox/{show_id(message)}{path}"
        if how == "HEAD":
            client.head(where)
        else:
            client.get(where, headers={"Sec-Purpose": how})
    assert everything(superuser) == before


def test_the_note_says_how_far_it_is_and_what_it_costs(browser_of, deliver, ann, press, fetched):
    message = deliver(ann, with_pictures())
    client, where = browser_of(ann), f"/mail/inbox/{show_id(message)}"
    press(message, "pictures", agree="once")
    waiting = client.get(f"{where}/pictures").text
    assert "Fetching 2 pictures" in waiting
    assert f'hx-get="{where}/pictures"' in waiting
    assert "<html" not in waiting
    fetched(message, 1)
    ready = client.get(f"{where}/pictures").text
    assert "hx-get" not in ready
    assert "1 picture" in ready
    assert f"5\u00a0kB, about {len(picture())}\u00a0B for you" in ready
    assert "1 could not be fetched" in ready
    assert f'href="{where}?view=formatted&amp;pictures=1"' in ready


def test_page_and_fragment_agree_about_pictures(browser_of, deliver, ann, press, fetched):
    message = deliver(ann, with_pictures())
    client, where = browser_of(ann), f"/mail/inbox/{show_id(message)}"
    press(message, "pictures", agree="once")
    for step in (lambda: None, lambda: fetched(message)):
        step()
        part, page = client.get(f"{where}/pictures").text, client.get(where).text
        assert re.sub(r"\s", "", part).removesuffix("</div>") in re.sub(r"\s", "", page)


def test_the_frame_shows_pictures_after_they_were_fetched_and_by_a_pass_alone(
    browser_of, stranger, deliver, ann, ben, press, fetched
):
    message = deliver(ann, with_pictures())
    client, where = browser_of(ann), f"/mail/inbox/{show_id(message)}"

    def frame(query: str = "?pictures=1") -> tuple[str, str]:
        address = client.get(f"{where}/formatted{query}").headers["Location"]
        return address.partition("?")[0], client.get(address).text

    assert "r/1" not in frame()[1]
    press(message, "pictures", agree="once")
    assert "r/1" not in frame()[1], "wanted is not fetched"
    fetched(message)
    assert "r/1" not in frame("")[1], "fetched is not asked for"
    address, shown = frame()
    assert 'src="r/1"' in shown
    assert "pictures.example" not in shown
    answer = stranger.get(address + "r/1")
    assert answer.status_code == 200
    assert answer.data == picture()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert stranger.get(f"{where}/formatted/AAAA/r/1").status_code == 404
    assert stranger.get(address + "r/3").status_code == 404
    assert stranger.get(address + "r/99999999999999999999").status_code == 404
    other = show_id(deliver(ann, with_pictures()))
    assert stranger.get(address.replace(show_id(message), other) + "r/1").status_code == 404
    assert browser_of(ben).get(address).status_code == 404


def test_without_save_data_a_standing_consent_shows_and_with_it_asks(
    browser_of, deliver, ann, press, fetched
):
    message = deliver(ann, with_pictures())
    press(message, "pictures", agree="sender")
    fetched(message)
    client, where = browser_of(ann), f"/mail/inbox/{show_id(message)}?view=formatted"
    assert "/formatted?pictures=1" in client.get(where).text
    saving = client.get(where, headers={"Save-Data": "on"}).text
    assert "/formatted?pictures=1" not in saving
    assert "pictures=1" in saving, "by a link"


# --- leaving a list ------------------------------------------------------------------------------------------------------


def asked(superuser):
    return [tuple(row) for row in superuser.execute(text("SELECT way, state FROM unsubscription")).all()]


def works(superuser):
    query = text("SELECT count(*) FROM work WHERE kind = 'unsubscribe'")
    return superuser.execute(query).scalar_one()


def test_one_click_is_offered_where_a_signature_covers_it_and_asked_at_a_press(
    browser_of, deliver, ann, press, superuser
):
    message = deliver(ann, news(BLOCK + DKIM + ONE_CLICK))
    client, where = browser_of(ann), f"/mail/inbox/{show_id(message)}"
    page = client.get(where).text
    assert f'action="{where}/unsubscribe"' in page
    assert (asked(superuser), works(superuser)) == ([], 0)
    for _ in range(2):
        assert press(message, "unsubscribe").status_code == 303
        assert (asked(superuser), works(superuser)) == ([("post", "asked")], 1)
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 0
    assert f'action="{where}/unsubscribe"' not in client.get(where).text


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_what_the_list_said_is_shown(browser_of, deliver, ann, press, opened, outcome):
    message = deliver(ann, news(BLOCK + DKIM + ONE_CLICK))
    press(message, "unsubscribe")
    if outcome == "done":
        opened(ann, lambda keys: unsubscribing.done(keys.mailbox_id, message, 200))
    else:
        opened(ann, lambda keys: unsubscribing.failed(keys.mailbox_id, message, "status-500", 500))
    page = browser_of(ann).get(f"/mail/inbox/{show_id(message)}").text
    assert ("said that you are off it" in page) is (outcome == "done")
    assert ("did not take you off it" in page) is (outcome == "failed")


@pytest.mark.parametrize(
    "head",
    [
        DKIM + ONE_CLICK,
        BLOCK + ONE_CLICK,
        BLOCK + DKIM.replace("list-unsubscribe:", "") + ONE_CLICK,
        BLOCK.replace("dkim=pass", "dkim=fail") + DKIM + ONE_CLICK,
        BLOCK + DKIM + ONE_CLICK + "List-Unsubscribe: <https://evil.example/>\r\n",
    ],
    ids=["no results of ours", "no signature", "not covered", "signature fails", "one field more"],
)
def test_without_a_covering_signature_nobody_is_posted_to(deliver, ann, press, superuser, head):
    message = deliver(ann, news(head))
    press(message, "unsubscribe")
    assert works(superuser) == 0
    assert ("post", "asked") not in asked(superuser)


def test_by_mail_one_message_goes_to_the_named_address_with_the_named_subject(
    browser_of, deliver, ann, press, superuser, opened
):
    message = deliver(ann, news(BY_MAIL))
    for _ in range(2):
        assert press(message, "unsubscribe").status_code == 303
    rows = superuser.execute(text("SELECT recipient FROM delivery")).all()
    assert [row.recipient for row in rows] == ["leave@lists.example"]
    assert asked(superuser) == [("mail", "done")]
    (sent,) = superuser.execute(text("SELECT message_id FROM message WHERE direction = 'out'")).all()
    view = opened(ann, lambda keys: reading.load(keys, sent.message_id))
    assert (view.subject, view.sender[1], view.text.strip()) == ("off please", ann.address, "now")
    assert (view.to, view.cc, view.bcc) == ((("", "leave@lists.example"),), (), ())
    page = browser_of(ann).get(f"/mail/inbox/{show_id(message)}").text
    assert "You asked to be taken off it" in page
    assert "/unsubscribe" not in page


def test_by_mail_without_room_under_the_limit_it_waits_in_the_outbox(
    browser_of, deliver, ann, press, superuser, monkeypatch
):
    monkeypatch.setattr(limits, "allowed", lambda: ((limits.HOUR, 1), (limits.DAY, 1)))
    for expected in ([("lists", 1, 0)], [("lists", 1, 1)]):
        assert press(deliver(ann, news(BY_MAIL)), "unsubscribe").status_code == 303
        counts = "SELECT 'lists', (SELECT count(*) FROM delivery), (SELECT count(*) FROM scheduled WHERE held = 'limit')"
        assert superuser.execute(text(counts)).all() == expected
    assert asked(superuser) == [("mail", "done")] * 2
    assert "Held: you wrote to very many people." in browser_of(ann).get("/outbox").text


def test_a_page_to_open_is_a_link_and_never_asked_by_us(browser_of, deliver, ann, press, superuser):
    message = deliver(ann, news("List-Unsubscribe: <https://lists.example/u/1>\r\n"))
    page = browser_of(ann).get(f"/mail/inbox/{show_id(message)}").text
    assert 'href="https://lists.example/u/1" target="_blank" rel="noopener noreferrer nofollow"' in page
    assert press(message, "unsubscribe").status_code == 404
    assert asked(superuser) == []


def test_mail_that_offers_nothing_cannot_be_left(deliver, ann, letter, press, superuser):
    message = deliver(ann, letter())
    assert press(message, "unsubscribe").status_code == 404
    assert asked(superuser) == []


# --- keeping a sender out ------------------------------------------------------------------------------------------------


def folder_of(superuser, message):
    query = text(
        "SELECT f.kind FROM message m JOIN folder f USING (mailbox_id, folder_id) WHERE m.message_id = :id"
    )
    return superuser.execute(query, {"id": message}).scalar_one()


def test_what_a_blocked_sender_writes_goes_to_junk_until_unblocked(
    browser_of, deliver, ann, press, superuser
):
    first = deliver(ann, news())
    client, where = browser_of(ann), f"/mail/inbox/{show_id(first)}"
    assert press(first, "block", client=client, block="1").status_code == 303
    page = client.get(where).text
    assert 'role="status"' in page
    assert "You blocked this sender" in page
    assert folder_of(superuser, deliver(ann, news(sender="NEWS@Lists.example"))) == "junk"
    assert folder_of(superuser, deliver(ann, news(sender="else@lists.example"))) == "inbox"
    press(first, "block", client=client, block="0")
    assert "You blocked this sender" not in client.get(where).text
    assert folder_of(superuser, deliver(ann, news())) == "inbox"


def test_the_notice_after_blocking_takes_it_back(browser_of, deliver, ann, csrf, superuser):
    message = deliver(ann, news())
    client = browser_of(ann)
    token = csrf(client)
    where = f"/mail/inbox/{show_id(message)}"
    client.post(f"{where}/block", data={"csrf_token": token, "block": "1"})
    notice = re.search(r'(?s)id="notice".*?</form>', client.get(where).text)[0]
    address = re.search(r'action="([^"]+)"', notice)[1]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', notice))
    assert client.post(address, data=fields).status_code == 303
    assert folder_of(superuser, deliver(ann, news())) == "inbox"


def test_blocking_is_offered_after_junk(browser_of, deliver, ann, csrf, superuser):
    message = deliver(ann, news())
    client = browser_of(ann)
    data = {"csrf_token": csrf(client), "action": "junk", "id": show_id(message)}
    client.post("/mail/inbox/act", data=data)
    page = client.get("/mail/inbox").text
    address = re.search(r'action="(/mail/junk/[^"]+/block)"', page)[1]
    assert client.post(address, data={"csrf_token": csrf(client), "block": "1"}).status_code == 303
    assert folder_of(superuser, deliver(ann, news())) == "junk"


def test_blocking_is_for_one_mailbox(deliver, ann, ben, press, superuser):
    press(deliver(ann, news()), "block", block="1")
    assert folder_of(superuser, deliver(ben, news())) == "inbox"


def test_one_cannot_block_oneself_or_nobody(deliver, ann, press, superuser):
    for sender in ("ann@mtumail.test", "ANN@MTUMAIL.test"):
        assert press(deliver(ann, news(sender=sender)), "block", block="1").status_code == 404
    nobody = deliver(ann, b"Subject: from nobody\r\n\r\nx\r\n")
    assert press(nobody, "block", block="1").status_code == 404
    assert (
        superuser.execute(text("SELECT count(*) FROM correspondent WHERE blocked_at IS NOT NULL")).scalar()
        == 0
    )


def test_a_blocked_senders_pictures_wait(browser_of, deliver, ann, press, state, always):
    always()
    message = deliver(ann, with_pictures())
    press(message, "block", block="1")
    browser_of(ann).get(f"/mail/inbox/{show_id(message)}")
    assert state(message).total == 0


# --- the questions that every view answers -------------------------------------------------------------------------------

FIELDS = {"pictures": {"agree": "always"}, "unsubscribe": {}, "block": {"block": "1"}}


@pytest.fixture
def full(deliver, ann):
    """A message that all routes here work on."""
    return deliver(ann, with_pictures(head=BLOCK + DKIM + ONE_CLICK))


@pytest.mark.parametrize("route", ROUTES)
def test_it_works_and_by_a_fragment_too(full, press, superuser, route):
    before = everything(superuser)
    assert press(full, route, headers=HX, **FIELDS[route]).status_code in (200, 303)
    assert everything(superuser) != before


@pytest.mark.parametrize("route", ROUTES)
def test_a_stranger_changes_nothing_and_hears_what_the_absent_hear(full, ben, press, superuser, route):
    before = everything(superuser)
    theirs = press(full, route, person=ben, **FIELDS[route])
    absent = press(12345, route, person=ben, **FIELDS[route])
    assert (theirs.status_code, absent.status_code) == (404, 404)
    assert without_tokens(theirs.text) == without_tokens(absent.text)
    assert everything(superuser)[:5] == before[:5]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("folder", ["sent", "nowhere", "search"])
def test_in_another_folder_it_is_not_there(full, press, superuser, route, folder):
    before = everything(superuser)
    assert press(full, route, folder=folder, **FIELDS[route]).status_code == 404
    assert everything(superuser) == before


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_token_or_from_elsewhere_nothing_happens(
    full, browser_of, ann, csrf, stranger, superuser, route
):
    client, where = browser_of(ann), f"/mail/inbox/{show_id(full)}/{route}"
    token, before = csrf(client), everything(superuser)
    assert client.post(where, data=FIELDS[route]).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post(where, data=FIELDS[route] | {"csrf_token": token}, headers=headers)
        assert answer.status_code == 403
    assert stranger.post(where, data=FIELDS[route]).status_code in (303, 401, 403)
    assert everything(superuser) == before


@pytest.mark.parametrize("route", ["unsubscribe", "block"])
def test_by_get_nothing_happens(full, browser_of, ann, superuser, route):
    before = everything(superuser)
    assert browser_of(ann).get(f"/mail/inbox/{show_id(full)}/{route}?block=1").status_code == 405
    assert everything(superuser) == before


def test_how_far_pictures_are_is_for_their_reader(full, browser_of, stranger, ben):
    where = f"/mail/inbox/{show_id(full)}/pictures"
    client = browser_of(ben)
    theirs, absent = client.get(where), client.get("/mail/inbox/AAAAAAAA/pictures")
    assert (theirs.status_code, absent.status_code) == (404, 404)
    assert without_tokens(theirs.text) == without_tokens(absent.text)
    assert stranger.get(where).headers["Location"].startswith("/auth/sign-in")


@pytest.mark.parametrize("route", ROUTES)
def test_a_suspended_person_is_stopped(full, browser_of, ann, csrf, superuser, route):
    client = browser_of(ann)
    token = csrf(client)
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    before = everything(superuser)
    data = FIELDS[route] | {"csrf_token": token}
    assert client.post(f"/mail/inbox/{show_id(full)}/{route}", data=data).status_code == 403
    assert everything(superuser) == before
