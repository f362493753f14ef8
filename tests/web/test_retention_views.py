"""Schedules in the admin's pages, and folders that empty themselves in the settings of each person."""

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.privacy import retention
from webmail.web.charts import bars


@pytest.fixture
def admin(browser_of, make_person):
    return browser_of(make_person("ada", role="admin"))


PAGES = ("/admin/retention", *(f"/admin/retention/{rule.code}" for rule in retention.RULES))


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_admins_alone(admin, browser_of, ann, path):
    assert admin.get(path).status_code == 200
    assert browser_of(ann).get(path).status_code == 403


def test_a_rule_that_does_not_exist_is_not_found(admin, csrf):
    assert admin.get("/admin/retention/nothing").status_code == 404
    assert (
        admin.post("/admin/retention", data={"csrf_token": csrf(admin), "schedule": "nothing"}).status_code
        == 404
    )


def test_a_preview_says_how_much_would_go_and_since_when(admin, superuser):
    superuser.execute(
        text("INSERT INTO session_denial VALUES ('sess_old', 'test', now() - interval '100 days')")
    )
    page = admin.get("/admin/retention/denials").text
    assert "A run now would remove 1, from" in page
    assert superuser.execute(text("SELECT count(*) FROM session_denial")).scalar() == 1


def test_a_run_can_be_asked_for_and_that_is_written_down(admin, csrf, superuser):
    assert admin.post("/admin/retention", data={"schedule": "retention"}).status_code == 403
    answer = admin.post("/admin/retention", data={"csrf_token": csrf(admin), "schedule": "retention"})
    assert answer.status_code == 303
    assert "It runs in a moment." in admin.get("/admin/retention").text
    kinds = superuser.execute(text("SELECT kind FROM audit_event")).scalars().all()
    assert "schedule.asked" in kinds
    assert superuser.execute(text("SELECT next_at <= now() FROM schedule WHERE code = 'retention'")).scalar()


def test_P24_people_choose_whether_trash_empties_itself(browser_of, csrf, ann, ben, web_app):
    client = browser_of(ann)
    answer = client.post(
        "/settings/emptying",
        data={"csrf_token": csrf(client), "trash": "30", "junk": "7"},
        follow_redirects=True,
    )
    assert "Settings saved." in answer.text
    assert answer.text.count("selected") == 2
    with web_app.app_context():
        with transaction(ann.mailbox_id):
            assert retention.keep_days(ann.mailbox_id) == {"trash": 30, "junk": 7}
        with transaction(ben.mailbox_id):
            assert retention.keep_days(ben.mailbox_id) == {"trash": None, "junk": None}
    client.post("/settings/emptying", data={"csrf_token": csrf(client), "trash": ""})
    with web_app.app_context(), transaction(ann.mailbox_id):
        assert retention.keep_days(ann.mailbox_id) == {"trash": None, "junk": 7}


@pytest.mark.parametrize("days", ["1", "0", "-7", "x", "30 "])
def test_a_number_that_is_not_offered_is_refused(browser_of, csrf, ann, days):
    client = browser_of(ann)
    answer = client.post("/settings/emptying", data={"csrf_token": csrf(client), "trash": days})
    assert answer.status_code == 422
    assert "nothing was saved" in answer.text


def test_charts_are_drawn_from_numbers_and_say_them():
    drawn = bars([0, 5, 10], "Removed")
    assert "h6v24z" in drawn.path
    assert "h6v48z" in drawn.path
    assert drawn.words == "Removed: 0\u201310"
    assert bars([], "x") is None
    assert "nan" not in bars([0, 0], "x").path
    assert bars([3], "x").width == 8


def test_what_each_run_removed_is_drawn(admin, superuser):
    superuser.execute(
        text(
            "INSERT INTO retention_run (rule, before, finished_at, removed) SELECT 'denials', now(), now(), n FROM generate_series(1, 3) n"
        )
    )
    page = admin.get("/admin/retention").text
    assert page.count('<svg class="chart" role="img" aria-label="Removed by each run: 1\u20133"') == 1
