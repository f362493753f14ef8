"""`/outbox`: what waits is shown, taken back, changed and sent; after Send it says for how long there is a way back."""

import io
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.sending import drafts, later, limits

FIELDS = drafts.Fields("Al <a@example.org>", "", "secret@example.com", "Lunch & <b>more</b>", "At one?")
HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
def client(browser_of, ann):
    return browser_of(ann)


@pytest.fixture
def waiting(opened, ann):
    """Something that waits; its message's id."""

    def make(fields=FIELDS, **more):
        def call(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(keys, who, fields)
            values = {"account_id": ann.account_id, "author": who, "limit": 10**6} | (more or {"undo": 30})
            later.send(keys, draft.message_id, 1, **values)
            return draft.message_id

        return opened(ann, call)

    return make


@pytest.fixture
def press(client, csrf):
    def send(message, act="cancel", headers=None, **fields):
        return client.post(
            f"/outbox/{show_id(message)}/{act}", data={"csrf_token": csrf(client)} | fields, headers=headers
        )

    return send


@pytest.fixture
def count(superuser):
    return lambda table: superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar()


def test_nothing_waits(client):
    assert "Nothing waits." in client.get("/outbox").text


def test_after_send_there_is_a_way_back_and_it_leads_to_what_was_typed(client, waiting, press, count):
    message = waiting()
    page = client.get(f"/outbox?sent={show_id(message)}").text
    assert "Sending in 30 seconds." in page or "Sending in 29 seconds." in page
    assert f'action="/outbox/{show_id(message)}/cancel"' in page
    assert "Lunch &amp; &lt;b&gt;more&lt;/b&gt;" in page
    answer = press(message, edit="1")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/compose?draft={show_id(message)}")
    composer = client.get(answer.headers["Location"]).text
    assert "secret@example.com" in composer
    assert "It is a draft again." in composer
    assert (count("scheduled"), count("work")) == (0, 0)


@pytest.mark.parametrize("headers", [None, HX])
def test_it_can_be_kept_as_a_draft_twice(client, waiting, press, count, headers):
    message = waiting(at=datetime.now(UTC) + timedelta(days=3))
    assert "Leaves" in client.get("/outbox", headers=headers).text
    for _ in range(2):
        answer = press(message, headers=headers)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/outbox")
        page = client.get("/outbox", headers=headers).text
        assert "It is a draft again." in page
        assert "Nothing waits." in page
    assert count("draft") == 1


def test_it_can_leave_now_instead(client, waiting, press, worker, count):
    from workers.scheduled import drain

    message = waiting(at=datetime.now(UTC) + timedelta(days=3))
    assert press(message, "now").status_code == 303
    assert "It leaves now." in client.get("/outbox").text
    assert drain() == 1
    assert count("submission") == 1
    for act in ("cancel", "now"):
        assert press(message, act).headers["Location"] == "/outbox"
        assert "It has left already." in client.get("/outbox").text
    assert count("submission") == 1
    assert "It does not wait here any more." in client.get(f"/outbox?sent={show_id(message)}").text


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("limit", "you wrote to very many people"),
        ("suspended", "while this account may not send"),
        ("unsendable", "cannot leave as it is"),
        ("error", "went wrong on our side"),
    ],
)
def test_why_it_is_held_is_said(client, waiting, superuser, held, words):
    message = waiting()
    superuser.execute(text("UPDATE scheduled SET held = :held"), {"held": held})
    assert words in client.get("/outbox").text
    assert client.get(f"/outbox?sent={show_id(message)}").status_code == 200


def test_what_was_changed_since_and_what_is_late_is_said(client, waiting, opened, ann, superuser):
    message = waiting()
    superuser.execute(text("UPDATE scheduled SET send_at = now() - interval '1 hour'"))
    assert "Late:" in client.get("/outbox").text
    opened(ann, lambda keys: drafts.save(keys, (ann.name, ann.address), message, 1, drafts.Fields("b@x.org")))
    assert "was changed after Send" in client.get("/outbox").text


@pytest.mark.parametrize("act", ["cancel", "now"])
def test_a_stranger_and_a_missing_or_bad_id_find_nothing(waiting, browser_of, ben, csrf, count, client, act):
    message = waiting()
    other = browser_of(ben)
    token = {"csrf_token": csrf(other)}
    for shown in (show_id(message), show_id(7), "x", "%00%00%00%00%00%00%00%00"):
        assert other.post(f"/outbox/{shown}/{act}", data=token).status_code == 404, shown
    assert "Lunch" not in other.get("/outbox").text
    assert other.get("/outbox?sent=zzz").status_code == 404
    assert count("scheduled") == 1


def test_a_mere_draft_does_not_leave_by_this_way(opened, ann, press):
    message = opened(ann, lambda keys: drafts.create(keys, (ann.name, ann.address), FIELDS).message_id)
    assert press(message, "now").status_code == 404


@pytest.mark.parametrize("act", ["cancel", "now"])
def test_how_it_may_be_asked(act, waiting, client, stranger, csrf, count, superuser):
    path = f"/outbox/{show_id(waiting())}/{act}"
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 403
    token = {"csrf_token": csrf(client)}
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post(path, data=token, headers=elsewhere).status_code == 403
    assert stranger.post(path, data=token).status_code in (303, 401, 403)
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    assert client.post(path, data=token).status_code in (303, 401, 403)
    assert client.get("/outbox").status_code in (303, 401, 403)
    assert count("scheduled") == 1


def test_signed_out_one_is_sent_to_sign_in(stranger, empty):
    assert stranger.get("/outbox").headers["Location"].startswith("/auth/sign-in")


# --- from the composer ---------------------------------------------------------------------------------------------------


@pytest.fixture
def compose(client, csrf):
    """Press Send in a composer: its answer. The same `ident` is the same form."""

    def send(ident, button="send", **more):
        typed = {
            "to": "a@example.org",
            "cc": "",
            "bcc": "secret@example.com",
            "subject": "Hi",
            "body": "One?",
            "draft_id": show_id(ident),
            "revision": "0",
            button: "1",
            "csrf_token": csrf(client),
        }
        return client.post("/compose", data=typed | more)

    return send


@pytest.fixture
def patient(client, csrf):
    """She has ten seconds to think better of it."""
    assert client.post("/settings", data={"csrf_token": csrf(client), "undo": "10"}).status_code == 303


def test_send_waits_as_long_as_one_chose_and_two_presses_are_one(client, patient, compose, count):
    first = compose(4711, attachment=(io.BytesIO(b"x"), "a.txt"))
    second = compose(4711, attachment=(io.BytesIO(b"x"), "a.txt"))
    for answer in (first, second):
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/outbox?sent={show_id(4711)}")
    page = client.get(first.headers["Location"]).text
    assert re.search(r"Sending in (10|9|8) seconds\.", page)
    assert (count("scheduled"), count("draft"), count("draft_attachment"), count("submission")) == (
        1,
        1,
        1,
        0,
    )


def test_two_presses_at_once_are_one(client, patient, compose, count, csrf):
    answers = []
    token = {"csrf_token": csrf(client)}
    threads = [threading.Thread(target=lambda: answers.append(compose(4711, **token))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {answer.headers["Location"] for answer in answers} == {f"/outbox?sent={show_id(4711)}"}
    assert (count("scheduled"), count("draft")) == (1, 1)


def test_without_a_choice_tests_and_trials_send_at_once(compose, count):
    assert "/mail/sent/" in compose(4711).headers["Location"]
    assert count("submission") == 1


def test_it_is_sent_at_a_time(client, compose, count, superuser):
    day = datetime.now(UTC).date() + timedelta(days=2)
    answer = compose(4711, "later", send_at_date=str(day), send_at_time="09:30")
    assert answer.headers["Location"] == f"/outbox?sent={show_id(4711)}"
    assert "It leaves at the time below." in client.get(answer.headers["Location"]).text
    at = superuser.execute(text("SELECT send_at FROM scheduled")).scalar().astimezone(UTC)
    assert at == datetime(day.year, day.month, day.day, 9, 30, tzinfo=UTC)
    assert count("submission") == 0


@pytest.mark.parametrize(
    ("day", "clock", "words"),
    [
        ("", "", "Choose a day and a time"),
        ("2026-13-40", "09:30", "Choose a day and a time"),
        ("2031-01-01", "", "Choose a day and a time"),
        ("2031-01-01", "09:30+02:00", "Choose a day and a time"),
        ("0001-01-01", "00:00", "This time has passed"),
        ("2020-01-01", "09:30", "This time has passed"),
        ("9999-12-31", "23:59", "more than a year away"),
    ],
)
def test_a_time_that_cannot_be_is_said_and_the_text_is_kept(compose, count, day, clock, words):
    answer = compose(4711, "later", send_at_date=day, send_at_time=clock)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'id="send_at-err"' in answer.text
    assert f'value="{day}"' in answer.text
    assert (count("draft"), count("scheduled"), count("submission")) == (1, 0, 0)


def test_over_the_limit_it_is_kept_and_said(client, compose, count, monkeypatch):
    monkeypatch.setattr(limits, "allowed", lambda: ((limits.HOUR, 10), (limits.DAY, 10)))
    assert "/mail/sent/" in compose(4711).headers["Location"]
    answer = compose(4712)
    assert "Too many people were written to" in client.get(answer.headers["Location"]).text
    assert (count("submission"), count("draft"), count("scheduled")) == (1, 1, 1)
