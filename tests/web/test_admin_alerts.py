"""Alerts in the admin's pages: what is wrong, acknowledging it, a trial, who is told how, and that somebody looks at all."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.db import transaction
from webmail.operations import alerts
from webmail.operations.alerts import Wrong
from webmail.web import alert_words

QUEUE = Wrong("queue-old", "send", 45)


@pytest.fixture
def client(browser_of, ada):
    return browser_of(ada)


@pytest.fixture
def post(client, csrf):
    return lambda path="/admin/alerts", **fields: client.post(
        path, data={"csrf_token": csrf(client)} | fields
    )


@pytest.fixture
def look(worker):
    def seen(*wrong, ways=("mail",)):
        with worker.app_context(), transaction():
            alerts.look(wrong, "box", ways)

    return seen


def test_pages_are_for_admins_alone(client, browser_of, ann, sam, sue, post, csrf):
    assert client.get("/admin/alerts").status_code == 200
    for other in (ann, sam, sue):
        them = browser_of(other)
        assert them.get("/admin/alerts").status_code == 403
        for path in ("/admin/alerts", "/admin/alerts/trial"):
            assert (
                them.post(path, data={"csrf_token": csrf(them), "alert": "1", "way": "mail"}).status_code
                == 403
            )


def test_every_code_has_words():
    assert set(alert_words.SENTENCES) == set(alerts.CODES)
    for code in alerts.CODES:
        assert "%" not in alert_words.sentence(code, "box", 3).replace(" %", "")


def test_what_is_wrong_is_here_and_on_the_first_page_with_the_way_to_look_further(client, look):
    look(QUEUE, Wrong("disk-low", "box", 3))
    for path in ("/admin/alerts", "/admin"):
        page = client.get(path).text
        assert "Mail that leaves (the outbox): the oldest work has been due for 45 minutes" in page
        assert "Of the disk on box, 3 % is free" in page
        assert 'href="/admin/queues"' in page


def test_all_is_well_is_said_only_where_somebody_looks(client, look, superuser):
    assert "Nobody has looked whether all is well" in client.get("/admin").text
    assert "Nobody looks whether all is well." in client.get("/admin/alerts").text
    look()
    assert "Nobody has looked" not in client.get("/admin").text
    assert "All is well." in client.get("/admin/alerts").text
    superuser.execute(text("UPDATE alert_look SET looked_at = now() - interval '6 minutes'"))
    assert "Nobody looks whether all is well." in client.get("/admin/alerts").text


def test_who_acknowledges_is_named_and_written_down(client, post, look, superuser):
    look(QUEUE)
    number = re.search(r'name="alert" value="(\d+)"', client.get("/admin/alerts").text)[1]
    assert post(alert=number).status_code == 303
    page = client.get("/admin/alerts").text
    assert "Acknowledged: it is not told again for a day." in page
    assert "Acknowledged by <bdi>Ada Novak</bdi>" in page
    assert "acknowledged" in client.get("/admin").text
    assert (
        superuser.execute(text("SELECT count(*) FROM audit_event WHERE kind = 'alert.muted'")).scalar() == 1
    )


@pytest.mark.parametrize("number", ["", "x", "99", "-1", "9" * 30, "٣"])
def test_what_is_no_alert_is_not_found(post, look, number):
    look(QUEUE)
    assert post(alert=number).status_code == 404


def test_what_ended_is_kept_page_by_page(client, superuser):
    superuser.execute(
        text(
            "INSERT INTO alert (code, label, value, since, seen_at, ended_at)"
            " SELECT 'queue-old', 'send', n, now() - interval '2 hours', now() - interval '1 hour', now() FROM generate_series(1, 60) n"
        )
    )
    first = client.get("/admin/alerts").text
    assert first.count('<th scope="row">') == 50
    older = unescape(re.search(r'href="([^"]+)">Older', first)[1])
    page = client.get(older)
    assert page.text.count('<th scope="row">') == 10
    assert client.get("/admin/alerts?c=x").status_code == 404


def test_a_trial_is_asked_for_shown_and_written_down(client, post, superuser):
    assert post("/admin/alerts/trial", way="mail").status_code == 303
    page = client.get("/admin/alerts").text
    assert "A trial is under way." in page
    assert "under way" in page
    assert jobs.bell.redis.exists("mtumail:rung:alert")
    assert superuser.execute(text("SELECT kind, way FROM alert_telling")).all() == [("trial", "mail")]
    assert (
        superuser.execute(text("SELECT count(*) FROM audit_event WHERE kind = 'alert.tried'")).scalar() == 1
    )


def test_a_trial_by_nothing_is_refused(post, superuser):
    assert post("/admin/alerts/trial").status_code == 422
    assert post("/admin/alerts/trial", way="pigeon").status_code == 422
    assert superuser.execute(text("SELECT count(*) FROM alert_telling")).scalar() == 0


def test_there_is_an_end_to_trials(post):
    answers = [post("/admin/alerts/trial", way="mail").status_code for _ in range(11)]
    assert answers == [303] * 10 + [429]


def test_how_telling_went_is_shown(client, superuser):
    superuser.execute(
        text(
            "INSERT INTO alert_telling (kind, way, attempts, outcome, finished_at, problem) VALUES"
            " ('trial', 'webhook', 8, 'failed', now(), 'status-500'), ('trial', 'mail', 1, '', NULL, 'relay-deferred')"
        )
    )
    page = client.get("/admin/alerts").text
    assert "it answered 500, 8 tries" in page
    assert "the relay did not take it now, 1 try" in page


@pytest.mark.parametrize("path", ["/admin/alerts", "/admin/alerts/trial"])
def test_a_form_without_a_token_does_nothing(client, look, superuser, path):
    look(QUEUE, ways=())
    number = superuser.execute(text("SELECT alert_id FROM alert")).scalar()
    assert client.post(path, data={"alert": number, "way": "mail"}).status_code == 403
    assert superuser.execute(text("SELECT muted_until FROM alert")).scalar() is None
    assert superuser.execute(text("SELECT count(*) FROM alert_telling")).scalar() == 0
