"""Reporting a message: what it says first, what it does, what comes back, and that it is for its own reader alone."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.governance import reports as governance
from webmail.web.views import reports

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


def without_tokens(page: str) -> str:
    return re.sub(r'(?<=csrf_token" value=")[^"]+', "", page)


@pytest.fixture
def report(browser_of, ann, csrf):
    def do(message, person=ann, client=None, headers=None, **fields):
        client = client or browser_of(person)
        data = {"csrf_token": csrf(client)} | fields
        return client.post(f"/report/{show_id(message)}", data=data, headers=headers or {})

    return do


@pytest.fixture
def folder_of(superuser):
    query = text(
        "SELECT f.kind FROM message m JOIN folder f USING (mailbox_id, folder_id) WHERE m.message_id = :id"
    )
    return lambda message: superuser.execute(query, {"id": message}).scalar_one()


def kept(superuser):
    return superuser.execute(text("SELECT * FROM report")).all()


def test_the_form_says_what_staff_get_and_asks_what_it_is(browser_of, deliver, ann, letter):
    message = show_id(deliver(ann, letter("A prize <for> you", sender="Eve <eve@example.org>")))
    page = browser_of(ann).get(f"/report/{message}").text
    assert "A prize &lt;for&gt; you" in page
    assert "Eve &lt;eve@example.org&gt;" in page
    assert re.findall(r'name="kind" value="(\w+)"', page) == list(reports.KINDS)
    assert "Nothing else in your mailbox opens to them" in page
    assert f'action="/report/{message}"' in page


def test_the_kinds_of_the_form_are_those_that_can_be_kept():
    assert tuple(reports.KINDS) == governance.KINDS


def test_a_report_seals_a_copy_moves_to_junk_and_offers_a_way_back(
    browser_of, deliver, ann, letter, report, superuser, folder_of, opened, master
):
    message = deliver(ann, letter("You have won", "Send me your password\r\n"))
    client = browser_of(ann)
    answer = report(message, client=client, kind="phishing", words="He rang me too.")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/mail/inbox")
    assert folder_of(message) == "junk"
    (row,) = kept(superuser)
    assert (row.message_id, row.kind, row.state) == (message, "phishing", "open")
    assert b"password" not in bytes(row.sealed)
    raw, words = opened(ann, lambda keys: governance.open_report(master, keys.mailbox_id, row.report_id))
    assert b"Send me your password" in raw
    assert words == "He rang me too."
    page = client.get("/mail/inbox").text
    notice = re.search(r'(?s)id="notice".*?</div>', page)[0]
    assert "Reported" in notice
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', notice))
    assert client.post(re.search(r'action="([^"]+)"', notice)[1], data=fields).status_code == 303
    assert folder_of(message) == "inbox"
    assert len(kept(superuser)) == 1, "moving back takes no report back"


def test_a_second_report_changes_nothing_and_the_page_says_so(
    browser_of, deliver, ann, letter, report, superuser
):
    message = deliver(ann, letter())
    report(message, kind="spam")
    before = kept(superuser)
    assert report(message, kind="fraud", words="again").status_code == 303
    assert kept(superuser) == before
    page = browser_of(ann).get(f"/report/{show_id(message)}").text
    assert "You reported this message on" in page
    assert 'name="kind"' not in page


def test_the_reported_message_says_so(browser_of, deliver, ann, letter, report):
    message = deliver(ann, letter())
    report(message, kind="spam")
    assert "You reported this message" in browser_of(ann).get(f"/mail/junk/{show_id(message)}").text


def test_the_list_of_reports_outlives_their_messages(browser_of, deliver, ann, letter, report, csrf):
    client = browser_of(ann)
    assert "You have reported nothing" in client.get("/report").text
    kept_one, gone = deliver(ann, letter("Kept <b>")), deliver(ann, letter("Gone"))
    for message in (kept_one, gone):
        report(message, client=client, kind="malware")
    client.post(
        "/mail/junk/act",
        data={"csrf_token": csrf(client), "action": "delete", "confirm": "1", "id": show_id(gone)},
    )
    page = client.get("/report").text
    assert "Kept &lt;b&gt;" in page
    assert f'href="/m/{show_id(kept_one)}"' in page
    assert "Message deleted" in page
    assert "Gone" not in page


def test_blocking_too(browser_of, deliver, ann, letter, report, folder_of):
    report(deliver(ann, letter()), kind="spam", block="1")
    assert folder_of(deliver(ann, letter())) == "junk"


def test_not_blocking(deliver, ann, letter, report, folder_of):
    report(deliver(ann, letter()), kind="spam")
    assert folder_of(deliver(ann, letter())) == "inbox"


def test_one_is_not_blocked_by_oneself(deliver, ann, letter, report, folder_of):
    own = deliver(ann, letter(sender="Ann <ANN@mtumail.test>"))
    assert report(own, kind="phishing", block="1").status_code == 303
    assert folder_of(deliver(ann, letter(sender="ann@mtumail.test"))) == "inbox"


@pytest.mark.parametrize(
    ("fields", "error"),
    [({}, "kind"), ({"kind": "nonsense"}, "kind"), ({"kind": "spam", "words": "x" * 2001}, "words")],
)
def test_what_is_missing_is_said_beside_it_and_nothing_is_lost(
    deliver, ann, letter, report, superuser, folder_of, fields, error
):
    message = deliver(ann, letter())
    answer = report(message, **fields)
    assert answer.status_code == 422
    assert f'id="{error}-error"' in answer.text
    assert fields.get("words", "") in answer.text
    assert kept(superuser) == []
    assert folder_of(message) == "inbox"


def test_what_one_sent_cannot_be_reported(browser_of, ann, csrf, report, superuser):
    client = browser_of(ann)
    client.post(
        "/compose",
        data={
            "csrf_token": csrf(client),
            "to": "zoe@example.org",
            "subject": "mine",
            "body": "x",
            "send": "1",
        },
    )
    (sent,) = superuser.execute(text("SELECT message_id FROM message")).scalars()
    assert client.get(f"/report/{show_id(sent)}").status_code == 404
    assert report(sent, kind="spam").status_code == 404
    assert kept(superuser) == []


def test_what_cannot_be_read_can_be_reported(browser_of, deliver, ann, letter, report, superuser):
    message = deliver(ann, letter())
    superuser.execute(text("UPDATE message SET state = 'unreadable', summary = NULL"))
    assert browser_of(ann).get(f"/report/{show_id(message)}").status_code == 200
    assert report(message, kind="malware", block="1").status_code == 303
    assert len(kept(superuser)) == 1
    assert browser_of(ann).get("/report").status_code == 200


# --- the questions that every view answers -------------------------------------------------------------------------------


def test_fragment_and_page_agree(browser_of, deliver, ann, letter):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ann)
    for path in ("/report", f"/report/{message}"):
        answers = [client.get(path, headers=headers) for headers in ({}, HX)]
        mains = [re.search(r"(?s)<main.*</main>", without_tokens(answer.text))[0] for answer in answers]
        assert mains[0] == mains[1]
        assert all("HX-Request" in answer.headers["Vary"] for answer in answers)


def test_by_a_fragment_it_works_as_well(deliver, ann, letter, report, superuser):
    assert report(deliver(ann, letter()), headers=HX, kind="spam").status_code in (200, 303)
    assert len(kept(superuser)) == 1


def test_a_stranger_reports_nothing_and_hears_what_the_absent_hear(
    browser_of, stranger, deliver, ann, ben, letter, report, superuser, folder_of
):
    message = deliver(ann, letter("not for ben"))
    client = browser_of(ben)
    pages = [client.get(f"/report/{shown}") for shown in (show_id(message), "AAAAAAAA")]
    posts = [report(number, person=ben, kind="spam") for number in (message, 12345)]
    for one, other in (pages, posts):
        assert (one.status_code, other.status_code) == (404, 404)
        assert without_tokens(one.text) == without_tokens(other.text)
    assert kept(superuser) == []
    assert folder_of(message) == "inbox"
    report(message, kind="spam")
    assert "not for ben" not in client.get("/report").text
    for path in ("/report", f"/report/{show_id(message)}"):
        assert stranger.get(path).headers["Location"].startswith("/auth/sign-in")
        stranger.delete_cookie("__clerk_redirect_count", domain="mail.localhost")


def test_without_a_token_or_from_elsewhere_nothing_happens(browser_of, deliver, ann, letter, csrf, superuser):
    where, client = f"/report/{show_id(deliver(ann, letter()))}", browser_of(ann)
    data = {"csrf_token": csrf(client), "kind": "spam"}
    assert client.post(where, data={"kind": "spam"}).status_code == 403
    assert client.post(where, data=data, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(where, data=data, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert kept(superuser) == []


def test_wrong_methods_and_addresses_that_name_nothing(browser_of, ann, csrf):
    client = browser_of(ann)
    assert client.post("/report", data={"csrf_token": csrf(client)}).status_code == 405
    assert client.delete(f"/report/{show_id(1)}").status_code == 405
    for path in ("/report/short", "/report/AAAAAAAA", "/report/AAAAAAAA/x", "/report/%F0%9F%98%80"):
        assert client.get(path).status_code == 404


def test_a_suspended_person_is_stopped(browser_of, deliver, ann, letter, csrf, superuser):
    where, client = f"/report/{show_id(deliver(ann, letter()))}", browser_of(ann)
    data = {"csrf_token": csrf(client), "kind": "spam"}
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    assert client.get("/report").status_code == 403
    assert client.get(where).status_code == 403
    assert client.post(where, data=data).status_code == 403
    assert kept(superuser) == []
