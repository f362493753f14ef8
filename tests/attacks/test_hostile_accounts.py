"""Somebody who is signed in and means harm: space for free, names for free, and acts by merely looking."""

import threading

import pytest
from sqlalchemy import text
from werkzeug import formparser

from webmail.db import show_id

BIG = b"x" * 600_000


@pytest.fixture
def used(superuser):
    """What a mailbox takes of its quota."""
    query = text("SELECT used_bytes FROM mailbox WHERE mailbox_id = :id")
    return lambda person: superuser.execute(query, {"id": person.mailbox_id}).scalar_one()


@pytest.fixture
def quota(superuser):
    """Set a mailbox's quota."""
    query = text("UPDATE mailbox SET quota_bytes = :n WHERE mailbox_id = :id")
    return lambda person, n: superuser.execute(query, {"id": person.mailbox_id, "n": n})


@pytest.fixture
def count(superuser):
    return lambda table: superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


@pytest.fixture
def press(csrf):
    """Press a button of the composer."""

    def post(client, button="save", files=(), **typed):
        data = {"csrf_token": csrf(client), "subject": "s", button: "1"} | typed
        parts = [(f'name="{name}"', value.encode()) for name, value in data.items()]
        parts += [(f'name="attachment"; filename="file{n}.bin"', content) for n, content in enumerate(files)]
        body = b"".join(
            b"--b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head.encode(), value)
            for head, value in parts
        )
        # Written here, for the test client would use a temporary file of its own.
        return client.post(
            "/compose", data=body + b"--b--\r\n", content_type="multipart/form-data; boundary=b"
        )

    return post


def test_drafts_and_their_files_count_and_give_back_what_they_took(browser_of, ann, press, used, superuser):
    client = browser_of(ann)
    assert press(client, files=[BIG], body="y" * 1000).status_code == 303
    assert 600_000 < used(ann) < 610_000
    draft = show_id(superuser.execute(text("SELECT message_id FROM draft")).scalar_one())
    press(client, "remove", draft_id=draft, revision="1", remove="1")
    assert 0 < used(ann) < 5_000
    press(client, "discard", draft_id=draft, revision="2")
    assert used(ann) == 0


def test_a_sent_draft_is_counted_once(browser_of, ann, press, used, superuser):
    press(browser_of(ann), "send", files=[BIG], to="carla@example.org")
    [size] = superuser.execute(text("SELECT size_bytes FROM message")).scalars()
    assert used(ann) == size > 600_000


def test_a_full_mailbox_takes_no_drafts_and_no_files_but_loses_no_text(
    browser_of, ann, press, quota, count, used
):
    client = browser_of(ann)
    quota(ann, 700_000)
    assert press(client, files=[BIG]).status_code == 303
    answer = press(client, files=[BIG], body="typed with care")
    assert answer.status_code == 422
    assert "typed with care" in answer.text
    assert count("draft_attachment") == 1
    assert used(ann) < 700_000
    quota(ann, 1000)
    before = count("draft")
    for _ in range(3):
        answer = press(client, body="typed with care again")
        assert answer.status_code == 422
        assert "typed with care again" in answer.text
    assert count("draft") == before


def test_ten_files_that_pass_the_quota_together_are_refused_together(browser_of, ann, press, quota, count):
    quota(ann, 2_000_000)
    assert press(browser_of(ann), files=[BIG] * 10).status_code == 422
    assert count("draft_attachment") == 0


def test_a_conflict_in_a_full_mailbox_shows_what_was_typed(browser_of, ann, press, quota, superuser):
    client = browser_of(ann)
    press(client, body="one")
    draft = show_id(superuser.execute(text("SELECT message_id FROM draft")).scalar_one())
    press(client, body="two", draft_id=draft, revision="1")
    quota(ann, 1)
    answer = press(client, body="typed in the other window", draft_id=draft, revision="1")
    assert answer.status_code == 409
    assert "typed in the other window" in answer.text


def test_forwarding_into_a_full_mailbox_makes_no_draft(browser_of, ann, deliver, quota, count, used):
    raw = (
        b"From: z@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\n"
        + b"z" * 5000
        + b"\r\n--b--\r\n"
    )
    message = deliver(ann, raw)
    quota(ann, used(ann) + 100)
    answer = browser_of(ann).get(f"/compose?forward={show_id(message)}")
    assert answer.status_code == 200
    assert count("draft") == 0


@pytest.mark.parametrize(
    "how", [{"method": "HEAD"}, {"headers": {"Sec-Purpose": "prefetch"}}], ids=["head", "prefetch"]
)
def test_WB04_nothing_is_changed_by_what_nobody_looks_at(browser_of, ann, deliver, count, superuser, how):
    raw = (
        b"From: z@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nz\r\n--b--\r\n"
    )
    message = deliver(ann, raw)
    client = browser_of(ann)
    assert client.open(f"/mail/inbox/{show_id(message)}", **how).status_code == 200
    assert client.open(f"/compose?forward={show_id(message)}", **how).status_code == 200
    assert superuser.execute(text("SELECT unread FROM message")).scalars().all() == [True]
    assert count("draft") == 0


@pytest.mark.parametrize("folder", ["archive", "inbox", "trash"])
def test_a_draft_that_was_moved_is_still_destroyed_by_discarding_it(
    browser_of, ann, press, superuser, count, csrf, folder
):
    client = browser_of(ann)
    press(client, body="secret")
    draft = show_id(superuser.execute(text("SELECT message_id FROM draft")).scalar_one())
    client.post("/mail/drafts/act", data={"csrf_token": csrf(client), "action": folder, "id": draft})
    press(client, "discard", draft_id=draft, revision="1")
    assert count("message") == 0


def test_one_account_that_asks_at_once_gets_one_mailbox(
    web_app, browser_of, ann, csrf, make_person, owner_app, count
):
    from webmail.db import transaction
    from webmail.identity import accounts

    with owner_app.app_context(), transaction():
        accounts.meet("user_grabber00000000", "Grabber", "g@elsewhere.example")
    grabber = type("P", (), {"user_id": "user_grabber00000000"})()
    before = count("mailbox")
    clients = [browser_of(grabber) for _ in range(6)]
    page = clients[0].get("/welcome").text
    token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    start = threading.Barrier(6)

    def grab(number):
        start.wait()
        clients[number].post(
            "/welcome", data={"csrf_token": token, "local_part": f"grabbed{number}", "domain": "mtumail.test"}
        )

    threads = [threading.Thread(target=grab, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count("mailbox") == before + 1


def test_send_pressed_again_after_the_mailbox_became_full_says_that_it_was_sent(
    browser_of, ann, press, quota, count
):
    client = browser_of(ann)
    form = {"draft_id": show_id(4711), "revision": "0", "to": "carla@example.org", "body": "b"}
    first = press(client, "send", **form)
    quota(ann, 1)
    again = press(client, "send", **form)
    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"]
    assert count("submission") == 1


@pytest.mark.parametrize("state", ["suspended", "revoked"])
def test_P19_nothing_leaves_a_mailbox_that_was_suspended(browser_of, ann, press, superuser, count, state):
    superuser.execute(
        text("UPDATE mailbox SET state = :state WHERE mailbox_id = :id"),
        {"state": state, "id": ann.mailbox_id},
    )
    answer = press(browser_of(ann), "send", to="carla@example.org", body="typed with care")
    assert answer.status_code == 422
    assert "typed with care" in answer.text
    assert count("submission") == 0


def test_uploads_are_never_written_to_a_file(browser_of, ann, press, monkeypatch, count):
    def refuse(*_args, **_more):
        raise AssertionError("a temporary file")

    monkeypatch.setattr(formparser, "SpooledTemporaryFile", refuse)
    assert press(browser_of(ann), files=[BIG, b"y" * 5_000_000]).status_code == 303
    assert count("draft_attachment") == 2
