"""Signed in without a mailbox, and lists for those who save data."""

from dataclasses import replace
from types import SimpleNamespace

import pytest


@pytest.fixture
def newcomer(browser_of, ann):
    """A client of somebody whom Clerk knows and we have never seen. `ann` is there so that the domain is hosted."""
    return browser_of(SimpleNamespace(user_id="user_newcomer00000000"))


def test_somebody_without_a_mailbox_is_led_to_one(newcomer):
    home = newcomer.get("/")
    assert (home.status_code, home.headers["Location"]) == (303, "/welcome")
    page = newcomer.get("/welcome")
    assert page.status_code == 200
    assert 'name="local_part"' in page.text
    assert "None" not in page.text
    assert 'href="/settings"' not in page.text, "there are none without a mailbox"


@pytest.mark.parametrize("path", ["/mail/inbox", "/compose", "/settings", "/nowhere", "/mail/inbox/AAAAAAAA"])
def test_other_pages_are_absent_and_not_broken_without_a_mailbox(newcomer, path):
    assert newcomer.get(path).status_code == 404


@pytest.fixture
def choose(newcomer):
    """Ask for a mailbox name, as the form does."""

    def post(name):
        page = newcomer.get("/welcome").text
        token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
        return newcomer.post(
            "/welcome", data={"csrf_token": token, "local_part": name, "domain": "mtumail.test"}
        )

    return post


@pytest.mark.parametrize("registration", ["open", "closed"])
def test_a_mailbox_is_made_where_registration_is_open(newcomer, choose, web_app, monkeypatch, registration):
    settings = replace(web_app.extensions["settings"], registration=registration)
    monkeypatch.setitem(web_app.extensions, "settings", settings)
    taken, made = choose("ann"), choose("newcomer")
    assert taken.status_code == 422
    if registration == "closed":
        assert made.status_code == 422
        assert "takes no new mailboxes" in made.text
        return
    assert "That address is taken." in taken.text
    assert (made.status_code, made.headers["Location"]) == (303, "/")
    inbox = newcomer.get("/")
    assert inbox.status_code == 200
    assert "Your mailbox is ready." in inbox.text
    assert "newcomer@mtumail.test" in inbox.text


def test_save_data_asks_for_twenty_rows(browser_of, ann, deliver, letter):
    for number in range(22):
        deliver(ann, letter(f"number {number}"))
    client = browser_of(ann)
    full, few = client.get("/mail/inbox"), client.get("/mail/inbox", headers={"Save-Data": "on"})
    assert full.text.count("<tr data-id=") == 22
    assert few.text.count("<tr data-id=") == 20
    assert 'rel="next"' in few.text
    again = client.get("/mail/inbox", headers={"Save-Data": "on", "If-None-Match": full.headers["ETag"]})
    assert again.status_code == 200, "the long list is not taken for the short one"
