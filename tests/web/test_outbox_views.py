"""`/outbox`: what waits is shown, taken back, changed and sent; after Send it says for how long there is a way back."""

import io
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import rows, show_id
from webmail.sending import drafts, later, limits, pending

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


# --- where people look -----------------------------------------------------------------------------------------------------


def without(page: str) -> str:
    return re.sub(r'(?<=csrf_token" value=")[^"]+', "", page)


def test_a_draft_that_leaves_by_itself_says_when_in_the_list(client, waiting, press, opened, ann, count):
    assert "outbox" not in client.get("/mail/drafts", headers=HX).text
    message = waiting(at=datetime(datetime.now(UTC).year + 1, 1, 24, 9, 30, tzinfo=UTC))
    page = client.get("/mail/drafts")
    assert re.search(r'<span class="tag good">Leaves 24 Jan \d{4} 09:30</span>', page.text)
    assert "1 message waits to leave." in page.text
    # The list is asked for again by itself: what changed in the outbox alone is an answer too.
    etag = {"If-None-Match": page.headers["ETag"]}
    assert client.get("/mail/drafts", headers=etag).status_code == 304
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    data = {"csrf_token": token, "id": [show_id(message)]}
    answer = client.post("/outbox/cancel", data=data)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/mail/drafts")
    page = client.get("/mail/drafts", headers=etag)
    assert page.status_code == 200
    assert "It is a draft again." in page.text
    assert '<span class="warn">Draft</span>' in page.text
    assert "waits" not in page.text
    assert (count("scheduled"), count("draft")) == (0, 1)
    client.post("/outbox/cancel", data=data)
    assert "Nothing that waits was selected." in client.get("/mail/drafts").text


def test_what_is_held_back_says_so_in_the_list_and_in_the_composer(client, waiting, opened, ann, count):
    message = waiting()
    where = f"/compose?draft={show_id(message)}"
    assert "It leaves by itself:" in client.get(where).text
    fields = drafts.Fields("Al <a@example.org>", "", "", "Other", "words")
    opened(ann, lambda keys: drafts.save(keys, (ann.name, ann.address), message, 1, fields))
    assert '<span class="tag warn">Held back</span>' in client.get("/mail/drafts").text
    assert "1 is held back." in client.get("/mail/sent").text
    page = client.get(where).text
    assert "is held back" in page
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    form = {
        "csrf_token": token,
        "draft_id": show_id(message),
        "revision": "2",
        "body": "kept words",
        "hold": "1",
    }
    page = client.post("/compose", data=form, follow_redirects=True).text
    assert "It is a draft again." in page
    assert "kept words" in page
    assert 'name="hold"' not in page
    assert count("scheduled") == 0


def test_others_drafts_are_not_taken_out_of_the_outbox(waiting, browser_of, ben, csrf, count, stranger):
    message = waiting()
    other = browser_of(ben)
    other.post("/outbox/cancel", data={"csrf_token": csrf(other), "id": [show_id(message)]})
    assert other.post("/outbox/cancel", data={"csrf_token": csrf(other), "id": ["x"]}).status_code == 404
    assert other.post("/outbox/cancel", data={"id": [show_id(message)]}).status_code == 403
    assert other.get("/outbox/cancel").status_code == 405
    assert stranger.post("/outbox/cancel", data={"id": [show_id(message)]}).status_code in (401, 403)
    assert count("scheduled") == 1
    assert "waits" not in other.get("/mail/drafts").text


@pytest.fixture
def left(opened, ann, superuser):
    """Something that was sent, its deliveries in these states; its message's id."""

    def make(*states):
        to = ", ".join(f"p{n}@example.org" for n in range(len(states)))

        def call(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(keys, who, drafts.Fields(to, subject="Hello & <b>", body="x"))
            more = {"account_id": ann.account_id, "author": who, "limit": 10**6}
            later.send(keys, draft.message_id, 1, **more)
            return draft.message_id

        message = opened(ann, call)
        for number, state in enumerate(states, 1):
            superuser.execute(
                text(
                    "UPDATE delivery SET state = :state, next_at = CASE WHEN :state = 'deferred' THEN now() END FROM submission s"
                    " WHERE s.submission_id = delivery.submission_id AND s.message_id = :message AND number = :number"
                ),
                {"state": state, "number": number, "message": message},
            )
        return message

    return make


def test_what_was_not_delivered_is_told_where_sent_mail_is_and_in_the_outbox(
    client, left, csrf, ben, browser_of
):
    fine = without(client.get("/mail/sent", headers=HX).text)
    left("sent", "sent")
    assert "outbox" not in client.get("/mail/sent", headers=HX).text
    assert "outbox" not in fine
    message = left("sent", "failed", "failed")
    left("deferred", "sent")
    for folder in ("sent", "drafts"):
        page = client.get(f"/mail/{folder}").text
        assert "1 message was not delivered to everybody." in page
        assert "1 message has not reached everybody yet." in page
    assert "not delivered to everybody" not in client.get("/mail/inbox").text
    page = client.get("/outbox").text
    tried, failed = page.split("<h2>On their way</h2>")[1].split("<h2>Not delivered</h2>")
    assert re.findall(r"<bdi>(p\d@example.org)</bdi>", tried) == ["p0@example.org"]
    assert re.findall(r"<bdi>(p\d@example.org)</bdi>", failed) == ["p1@example.org", "p2@example.org"]
    assert "Hello &amp; &lt;b&gt;" in failed
    assert f'href="/mail/sent/{show_id(message)}"' in failed
    assert "Hello" not in browser_of(ben).get("/outbox").text
    # What is thrown away is told no more; and it can be written anew.
    again = client.post(
        f"/mail/sent/{show_id(message)}", data={"csrf_token": csrf(client), "action": "again"}
    )
    assert "p1@example.org" in client.get(again.headers["Location"]).text
    client.post(f"/mail/sent/{show_id(message)}", data={"csrf_token": csrf(client), "action": "trash"})
    assert "Not delivered" not in client.get("/outbox").text
    assert "not delivered to everybody" not in client.get("/mail/sent").text


def test_what_failed_long_ago_is_told_no_more(client, left, superuser):
    left("failed")
    superuser.execute(text("UPDATE submission SET created_at = now() - interval '8 days'"))
    assert "not delivered to everybody" not in client.get("/mail/sent").text
    assert "Not delivered" not in client.get("/outbox").text


def test_looking_at_sent_mail_costs_no_more_with_much_sent_before(opened, ann, left, superuser):
    """The counts are read by indexes: what was sent before, and by others, is not looked at."""
    left("sent")
    superuser.execute(
        text(
            "INSERT INTO message (mailbox_id, message_id, folder_id, state, direction, size_bytes, unread, envelope_from, content_key, summary, thread_id)"
            " SELECT mailbox_id, 1000 + n, folder_id, state, direction, 1, false, '', content_key, summary, thread_id FROM message, generate_series(1, 3000) n"
        )
    )
    superuser.execute(
        text(
            "INSERT INTO submission (mailbox_id, submission_id, message_id, account_id, envelope_from, created_at)"
            " SELECT mailbox_id, 1000 + n, 1000 + n, account_id, '', now() - n * interval '1 minute' FROM submission, generate_series(1, 3000) n"
        )
    )
    superuser.execute(
        text(
            "INSERT INTO delivery (mailbox_id, submission_id, number, recipient, state)"
            " SELECT d.mailbox_id, s.submission_id, 1, 'x@example.org', 'sent' FROM delivery d, submission s WHERE s.submission_id BETWEEN 1001 AND 4000"
        )
    )
    superuser.execute(text("ANALYZE submission, delivery, message"))
    asked = pending._asked(ann.mailbox_id)
    plan = opened(
        ann, lambda keys: rows(f"EXPLAIN (ANALYZE, TIMING off, SUMMARY off) {pending._COUNTS}", asked)
    )
    told = "\n".join(line for (line,) in plan)
    assert "Seq Scan on submission" not in told
    assert "Seq Scan on delivery" not in told
    assert max(int(float(n)) for n in re.findall(r"actual rows=([\d.]+)", told)) <= pending.MOST
