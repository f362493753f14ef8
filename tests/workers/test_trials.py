"""Trying the relays from a page: asked by an admin, made by a worker, shown whole and without secrets."""

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.sending import trials
from workers import keeping
from workers import trials as job


@pytest.fixture
def admin(browser_of, make_person):
    return browser_of(make_person("ada", role="admin"))


@pytest.fixture
def ask(admin, csrf):
    return lambda: admin.post("/admin/relay", data={"csrf_token": csrf(admin)})


def test_pages_are_for_admins_alone(admin, browser_of, ann, make_person):
    assert admin.get("/admin/relay").status_code == 200
    for other in (ann, make_person("sue", role="support_lead")):
        assert browser_of(other).get("/admin/relay").status_code == 403
    assert admin.get("/admin/relay/AAAAAAAA").status_code == 404


def test_a_form_without_a_token_asks_for_nothing(admin, superuser):
    assert admin.post("/admin/relay").status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM relay_trial")).scalar() == 0


def test_the_conversation_is_shown_without_secrets_and_the_mail_goes_to_the_asker(
    admin, ask, worker, sink, monkeypatch, superuser
):
    settings = worker.extensions["settings"]
    monkeypatch.setitem(
        worker.extensions, "settings", type(settings)(**{**settings.__dict__, "relay_url": sink.url})
    )
    answer = ask()
    assert answer.status_code == 303
    page = admin.get(answer.headers["Location"])
    assert "under way" in page.text
    assert "trial" in keeping.sweep()
    assert job.drain() == 1
    assert job.drain() == 0
    page = admin.get(answer.headers["Location"])
    assert "taken" in page.text
    assert "MAIL FROM" in page.text
    [mail] = sink.mails
    assert list(mail.recipients) == ["ada@elsewhere.example"]
    assert b"Auto-Submitted: auto-generated" in mail.raw
    kinds = superuser.execute(text("SELECT kind FROM audit_event")).scalars().all()
    assert kinds.count("relay.tried") == 1
    fragment = admin.get(
        answer.headers["Location"], headers={"HX-Request": "true", "HX-Request-Type": "partial"}
    )
    assert fragment.text.startswith("<section")
    assert "hx-trigger" not in fragment.text


def test_a_relay_that_is_not_there_is_said(admin, ask, worker, monkeypatch):
    settings = worker.extensions["settings"]
    monkeypatch.setitem(
        worker.extensions,
        "settings",
        type(settings)(**{**settings.__dict__, "relay_url": "smtp://127.0.0.1:9"}),
    )
    where = ask().headers["Location"]
    job.drain()
    page = admin.get(where).text
    assert "under way" not in page
    assert "taken<" not in page


def test_a_trial_whose_worker_was_killed_is_made_by_another(ask, worker, superuser):
    ask()
    with worker.app_context():
        with transaction():
            first = trials.claim()
        with transaction():
            assert first is not None
            assert trials.claim() is None
            assert not trials.is_due()
        superuser.execute(text("UPDATE relay_trial SET started_at = now() - interval '6 minutes'"))
        with transaction():
            assert trials.claim() == first


def test_there_is_an_end_to_asking(ask):
    answers = [ask().status_code for _ in range(trials.MOST_AN_HOUR + 1)]
    assert answers == [303] * trials.MOST_AN_HOUR + [429]
