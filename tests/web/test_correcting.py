"""Correcting name and contact address: at Clerk, which tells us; and for all else a request, up to its answer."""

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.identity import webhooks
from webmail.identity.clerk.transport import BackendRefused, BackendUnavailable
from webmail.identity.clerk.webhooks import WebhookEvent

PATH = "/my-data/correct"


@pytest.fixture
def clerk(web_app, monkeypatch):
    """What Clerk is asked to change, and what it answers."""
    backend = web_app.extensions["auth"].clerk.backend

    class Asked(list):
        problem = None

    asked = Asked()

    def update(user_id, changes):
        if asked.problem is not None:
            raise asked.problem
        asked.append((user_id, dict(changes)))
        return {}

    monkeypatch.setattr(backend, "update_user", update)
    return asked


@pytest.fixture
def press(browser_of, csrf):
    def send(person, **data):
        client = browser_of(person)
        return client.post(PATH, data={"csrf_token": csrf(client), **data}, follow_redirects=True)

    return send


@pytest.mark.parametrize(
    ("typed", "first", "last"),
    [("Ann Maria Field", "Ann Maria", "Field"), (" Cher ", "Cher", ""), ("安 李", "安", "李")],
)
def test_P01_a_name_is_corrected_at_clerk(press, clerk, ann, superuser, typed, first, last):
    told = press(ann, name=typed)
    assert "It shows here in a moment." in told.text
    assert clerk == [(ann.user_id, {"first_name": first, "last_name": last})]
    kinds = superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'account.name%'"))
    assert kinds.scalars().all() == ["account.name_changed"]


def test_P01_what_clerk_tells_then_shows_here(web_app, worker, ann, browser_of):
    data = {
        "id": ann.user_id, "updated_at": 4_000_000_000_000 // 1000, "first_name": "Anna", "last_name": "Field",
        "primary_email_address_id": "idn_1",
        "email_addresses": [{"id": "idn_1", "email_address": "anna@elsewhere.example", "verification": {"status": "verified"}}],
    }  # fmt: skip
    from webmail.db import transaction

    with web_app.app_context(), transaction():
        assert webhooks.take(WebhookEvent("msg_1", "user.updated", 1_700_000_000, data)) == "applied"
    page = browser_of(ann).get(PATH).text
    assert 'value="Anna Field"' in page
    assert "anna@elsewhere.example" in page


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [
        (BackendUnavailable("unreachable"), 503, "Clerk does not answer now"),
        (BackendRefused("form_param_format_invalid", 422), 422, "does not take this name"),
    ],
)
def test_a_clerk_that_does_not_do_it_is_told_of_and_what_was_typed_stays(
    press, clerk, ann, superuser, problem, status, said
):
    clerk.problem = problem
    told = press(ann, name="Somebody Else")
    assert told.status_code == status
    assert said in told.text
    assert 'value="Somebody Else"' in told.text
    assert superuser.execute(text("SELECT count(*) FROM audit_event WHERE kind LIKE 'account.name%'")).scalar() == 0  # fmt: skip


@pytest.mark.parametrize("typed", ["", "   ", "x" * 300, "\u202e"])
def test_what_is_no_name_is_said(press, clerk, ann, typed):
    told = press(ann, name=typed)
    assert told.status_code == 422
    assert clerk == []


def test_P23_what_one_cannot_correct_is_asked_for_and_answered(browser_of, csrf, ann, ada, superuser):
    client = browser_of(ann)
    assert '<option value="correct" selected>' in client.get("/my-data/requests?kind=correct").text
    words = "You say I sent spam on 3 May. That was not me."
    client.post("/my-data/requests", data={"csrf_token": csrf(client), "kind": "correct", "words": words})
    number = superuser.execute(text("SELECT request_id FROM privacy_request")).scalar()
    admin = browser_of(ada)
    assert "Correct something" in admin.get("/admin").text + admin.get("/admin/requests").text
    path = f"/admin/requests/{show_id(number)}"
    assert words in admin.get(path).text
    for act, said in (("extend", "We have to ask the other server."), ("done", "It is corrected.")):
        answer = admin.post(path, data={"csrf_token": csrf(admin), "act": act, "words": said})
        assert answer.status_code == 303
    page = client.get("/my-data/requests").text
    assert "We have to ask the other server." in page
    assert "It is corrected." in page
    told = superuser.execute(text("SELECT facts ->> 'what' FROM errand WHERE account_id = :a ORDER BY made_at"), {"a": ann.account_id})  # fmt: skip
    assert set(told.scalars()) == {"request-extended", "request-answered"}
