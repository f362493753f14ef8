"""`/outbox`: what waits is shown, taken back, changed and sent; after Send it says for how long there is a way back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.sending import drafts, later

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


def test_it_can_leave_now_instead(client, waiting, press, worker, monkeypatch, count):
    monkeypatch.setattr("workers.scheduled.core", lambda: worker)
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
