"""The admin's page of backups: what was made, what failed, loudly; and nobody else's."""

import pytest
from sqlalchemy import text


@pytest.fixture
def runs(superuser, empty):
    def add(kind, outcome, hours=1):
        superuser.execute(
            text(
                "INSERT INTO backup_run (kind, name, started_at, finished_at, bytes, rows, outcome)"
                " VALUES (:k, 'mtumail-x', now() - make_interval(hours => :h), now(), 5000000, 1234, :o)"
            ),
            {"k": kind, "o": outcome, "h": hours},
        )

    return add


def test_it_says_when_there_is_none(browser_of, ada):
    page = browser_of(ada).get("/admin/backups")
    assert page.status_code == 200
    assert "No backup was made yet" in page.text


def test_it_shows_what_was_made_and_what_failed(browser_of, runs, ada):
    runs("backup", "done")
    runs("backup", "no-place")
    runs("drill", "done")
    page = browser_of(ada).get("/admin/backups").text
    assert "1234" in page
    assert "the folder of backups is not there" in page
    assert "Drills and restores" in page


def test_a_failure_is_on_the_first_page_until_a_good_one_follows(browser_of, runs, ada):
    runs("backup", "no-place")
    assert "The last backup: the folder of backups is not there" in browser_of(ada).get("/admin").text
    runs("backup", "done")
    assert "The last backup" not in browser_of(ada).get("/admin").text


def test_a_backup_that_is_days_old_is_late(browser_of, runs, ada):
    runs("backup", "done", hours=60)
    assert "older than two days" in browser_of(ada).get("/admin/backups").text


@pytest.mark.parametrize("who", ["ann", "sam"])
def test_it_is_nobody_elses(browser_of, who, request):
    assert browser_of(request.getfixturevalue(who)).get("/admin/backups").status_code in (403, 404)


def test_what_was_killed_and_what_is_not_removed_is_told(browser_of, runs, ada):
    runs("backup", "killed", hours=3)
    runs("backup", "done", hours=2)
    runs("pruning", "bucket-keeps", hours=1)
    page = browser_of(ada).get("/admin/backups").text
    assert "it was killed, or its machine stopped" in page
    assert "What failed of removing older ones" in page
    first = browser_of(ada).get("/admin").text
    assert "The last backup" not in first
    assert "Older backups are not removed: the bucket keeps versions" in first
    runs("backup", "done", hours=0)
    assert "Older backups are not removed" not in browser_of(ada).get("/admin").text


def test_every_way_to_fail_has_words():
    from webmail.privacy.backup.s3 import bucket, client
    from webmail.privacy.backup.storing import NoPlace
    from webmail.web.views.backups import OUTCOMES

    codes = {
        NoPlace.code,
        client.Away.code,
        bucket.KeepsVersions.code,
        *(client.Refused(status, "").code for status in (403, 404, 400)),
    }
    assert codes | {"killed"} <= set(OUTCOMES)
