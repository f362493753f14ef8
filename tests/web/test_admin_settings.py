"""Settings of the service in the admin's pages: seen, previewed, changed, remembered, returned; and by nobody else."""

import re
from html import unescape

import pytest

from webmail.db import transaction
from webmail.sending import limits
from webmail.settings import declared, kept
from webmail.web import setting_words

GROUPS = sorted({one.group for one in declared.SETTINGS.values()})
PAGES = ("/admin/settings", "/admin/settings/history", *(f"/admin/settings/{group}" for group in GROUPS))


@pytest.fixture
def ada(make_person):
    return make_person("ada", "Ada", role="admin")


@pytest.fixture
def client(browser_of, ada):
    return browser_of(ada)


@pytest.fixture
def post(client, csrf):
    def send(path, **fields):
        return client.post(
            path, data={"csrf_token": csrf(client)} | {k.replace("__", "."): v for k, v in fields.items()}
        )

    return send


def hidden(page):
    return {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }


def value(web_app, name):
    with web_app.app_context(), transaction():
        return kept.value(name)


def test_every_setting_has_words_and_every_word_a_setting():
    assert set(setting_words.WORDS) == set(declared.SETTINGS)
    assert set(GROUPS) <= set(setting_words.GROUP_WORDS) == set(declared.GROUPS)
    for one in declared.SETTINGS.values():
        if isinstance(one.kind, declared.Choice):
            assert set(setting_words.CHOICES[one.name]) == set(one.kind.codes)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_admins_alone(client, browser_of, ann, make_person, path):
    assert client.get(path).status_code == 200
    for other in (ann, make_person("sue", role="support_lead"), make_person("amy", role="auditor")):
        assert browser_of(other).get(path).status_code == 403


def test_a_group_that_does_not_exist_is_not_found(client):
    assert client.get("/admin/settings/nothing").status_code == 404
    assert client.get("/admin/settings/history?name=no.such").status_code == 404
    assert client.get("/admin/settings/history?c=x").status_code == 404


def test_a_change_is_shown_first_then_made_then_remembered_then_returned(client, post, web_app):
    first = post("/admin/settings/limits", limits__send_hour="50", limits__send_day="0")
    assert first.status_code == 200
    assert "50 recipients" in first.text
    assert "nothing is lost" in first.text
    assert value(web_app, "limits.send_hour") == 0
    done = client.post("/admin/settings/limits", data=hidden(first) | {"reason": "a storm"})
    assert (done.status_code, done.headers["Location"]) == (303, "/admin/settings/limits")
    assert value(web_app, "limits.send_hour") == 50
    page = client.get("/admin/settings/limits").text
    assert "Settings saved." in page
    assert 'name="limits.send_hour" aria-describedby' in page
    past = client.get("/admin/settings/history").text
    assert "a storm" in past
    change = re.search(r'name="change" value="(\d+)"', past)[1]
    assert post("/admin/settings/history", change=change).status_code == 303
    assert value(web_app, "limits.send_hour") == 0


def test_a_wrong_value_is_refused_at_its_field_and_what_was_typed_stays(post, web_app):
    page = post("/admin/settings/limits", limits__undo="31", limits__send_hour="9")
    assert page.status_code == 422
    assert "It can be from 0 seconds to 30 seconds." in page.text
    assert 'value="31"' in page.text
    assert 'value="9"' in page.text
    assert value(web_app, "limits.send_hour") == 0


def test_two_admins_at_once_do_not_overwrite_each_other(client, post, web_app):
    mine = hidden(post("/admin/settings/limits", limits__send_hour="50"))
    theirs = hidden(post("/admin/settings/limits", limits__send_hour="60"))
    client.post("/admin/settings/limits", data=theirs)
    answer = client.post("/admin/settings/limits", data=mine)
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    assert value(web_app, "limits.send_hour") == 60


def test_nothing_to_change_says_so(post):
    assert "everything is so already" in post("/admin/settings/limits", limits__send_hour="0").text


def test_what_an_admin_types_is_text_and_no_markup(client, post):
    bad = '"><script>alert(1)</script>'
    first = post("/admin/settings/service", service__operator=bad)
    assert "<script>alert" not in first.text
    client.post("/admin/settings/service", data=hidden(first) | {"reason": bad})
    for path in PAGES:
        assert "<script>alert" not in client.get(path).text


@pytest.mark.parametrize("path", ["/admin/settings/limits", "/admin/settings/history"])
def test_a_form_without_a_token_changes_nothing(client, web_app, path):
    assert client.post(path, data={"limits.send_hour": "5", "confirm": "1", "change": "1"}).status_code == 403
    assert value(web_app, "limits.send_hour") == 0


def test_the_history_pages_by_key(client, web_app):
    with web_app.app_context(), transaction(staff=True):
        for number in range(1, 61):
            kept.change("limits.send_hour", number, actor="account:1")
    first = client.get("/admin/settings/history").text
    assert first.count('name="change"') == 50
    older = unescape(re.search(r'href="([^"]+)">Older', first)[1])
    assert client.get(older).text.count('name="change"') == 10


def test_what_is_set_holds_at_once(browser_of, ann, web_app, csrf):
    """A banner, the wait after Send, and the limits: each is asked for anew, and a page that was kept shows it too."""
    client = browser_of(ann)
    etag = client.get("/mail/inbox").headers["ETag"]
    with web_app.app_context(), transaction(staff=True):
        kept.change("service.banner", "We move <on> Sunday.", actor="account:1")
        kept.change("limits.undo", 20, actor="account:1")
        kept.change("limits.send_hour", 7, actor="account:1")
    again = client.get("/mail/inbox", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert "We move &lt;on&gt; Sunday." in again.text
    assert '<option value="20" selected>' in client.get("/settings").text
    with web_app.app_context(), transaction():
        assert dict(limits.allowed())[limits.HOUR] == 7
