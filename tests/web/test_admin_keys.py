"""The admin's page of keys: since when each is what it is, what to do, and never a secret."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail.db import transaction
from webmail.keys import MasterKeys
from webmail.privacy import rotation, secret_marks
from webmail.web.serving import _look_at_secrets
from webmail.web.views.admin_keys import WORDS
from workers import watching

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def note(owner_app, superuser, empty):
    superuser.exec_driver_sql("DELETE FROM secret_mark")

    def run(master, **secrets):
        with owner_app.app_context(), transaction():
            return secret_marks.note(
                master,
                {name.replace("_", "-"): value.encode() for name, value in secrets.items()},
                "system:test",
            )

    return run


def known(superuser, name):
    return superuser.execute(
        text("SELECT is_first, since > now() - interval '1 minute' FROM secret_mark WHERE name = :n"),
        {"n": name},
    ).one()


def test_a_change_is_seen_once_and_told_by_its_name(note, master, superuser):
    assert note(master, relay="one") == []
    superuser.execute(text("UPDATE secret_mark SET since = now() - interval '1 year', seen_at = now()"))
    assert note(master, relay="one") == []
    assert known(superuser, "relay") == (True, False)
    assert note(master, relay="two") == ["relay"]
    assert note(master, relay="two") == []
    assert known(superuser, "relay") == (False, True)
    events = (
        superuser.execute(text("SELECT entry FROM audit_event WHERE kind = 'secret.changed'")).scalars().all()
    )
    assert len(events) == 1
    assert '"relay"' in events[0]


def test_a_new_master_key_is_no_change_of_what_it_marks(note, superuser):
    old, new = MasterKeys([b"o" * 32]), MasterKeys([b"n" * 32, b"o" * 32])
    note(old, relay="one")
    before = superuser.execute(text("SELECT mark FROM secret_mark")).scalar()
    assert note(new, relay="one") == []
    assert superuser.execute(text("SELECT mark FROM secret_mark")).scalar() != before
    assert note(MasterKeys([b"n" * 32]), relay="one") == []


def test_a_mark_tells_nothing_of_a_secret(note, master, superuser):
    note(master, relay=SECRET, metrics_token=SECRET)
    marks = superuser.execute(text("SELECT mark FROM secret_mark")).scalars().all()
    assert len(set(map(bytes, marks))) == 2
    assert all(SECRET.encode() not in bytes(mark) for mark in marks)


def test_every_secret_that_is_looked_at_has_words(settings, master):
    full = replace(
        settings("worker"), relay_url="smtp://a:b@c", backup_s3_secret="x", backup_url="postgresql://a:b@c/d", metrics_token="m",
        clerk={"CLERK_SECRET_KEY": "k"}, backup_key_file=settings("worker").master_key_file,
    )  # fmt: skip
    seen = (
        set(secret_marks.of_web(full, (b"1",))) | set(secret_marks.of_worker(full, master)) | {"backup-key"}
    )
    assert seen == {*WORDS, secret_marks.MASTER}


def test_the_page_shows_ages_and_no_secret(note, browser_of, ada, master, web_app, worker, superuser):
    _look_at_secrets(web_app)
    with worker.app_context():
        watching.look()
    note(master, relay=SECRET)
    note(master, relay=SECRET + "2")
    superuser.execute(text("UPDATE secret_mark SET since = now() - interval '2 years' WHERE name = 'relay'"))
    page = browser_of(ada).get("/admin/keys")
    assert page.status_code == 200
    for words in (
        "Relays, with their passwords",
        "over a year",
        "Clerk’s secret key",
        "Database password of web",
        "mtumail keys create",
    ):
        assert words in page.text
    assert SECRET not in page.text
    assert web_app.extensions["settings"].clerk["CLERK_SECRET_KEY"] not in page.text


def test_it_shows_how_far_a_rotation_is(note, browser_of, ada, master, owner_app, superuser):
    superuser.exec_driver_sql("DELETE FROM key_rotation")
    both = MasterKeys([b"n" * 32, *master._keys.values()])
    with owner_app.app_context(), transaction():
        run = rotation.begin(both)
        rotation.moved(run, 1)
    page = browser_of(ada).get("/admin/keys").text
    assert "1 of 2 values wrapped anew" in page or "1 of " in page
    assert "<progress" in page
    with owner_app.app_context(), transaction():
        assert rotation.begin(both) == run
        assert rotation.finish(run, "system:test") == 1
    assert "finished" in browser_of(ada).get("/admin/keys").text


def test_more_than_one_secret_of_webhooks_is_told(browser_of, ada, web_app, monkeypatch):
    auth = web_app.extensions["auth"]
    two = replace(auth.settings, webhook_secrets=(b"a" * 20, b"b" * 20))
    monkeypatch.setitem(
        web_app.extensions,
        "auth",
        type(
            "Auth", (), {"__getattr__": lambda _, name: two if name == "settings" else getattr(auth, name)}
        )(),
    )
    assert "2 secrets of Clerk’s webhooks are accepted at once" in browser_of(ada).get("/admin/keys").text


@pytest.mark.parametrize("who", ["ann", "sam"])
def test_it_is_nobody_elses(browser_of, who, request):
    assert browser_of(request.getfixturevalue(who)).get("/admin/keys").status_code in (403, 404)


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("INSERT INTO secret_mark (name, mark) VALUES ('No code', sha256('x'))", "name_is_a_code"),
        ("INSERT INTO secret_mark (name, mark) VALUES ('code', 'x')", "mark_is_a_hash"),
        ("INSERT INTO secret_mark (name, mark, seen_at) VALUES ('code', sha256('x'), now() - interval '1 day')", "goes_forward"),
        ("INSERT INTO key_rotation (key_id, total) VALUES ('x', 1)", "key_id_is_short"),
        ("INSERT INTO key_rotation (key_id, total, done) VALUES ('xxxx', 1, -1)", "not_negative"),
        ("INSERT INTO key_rotation (key_id, total, finished_at) VALUES ('xxxx', 1, now() - interval '1 day')", "goes_forward"),
        ("INSERT INTO key_rotation (key_id, total) VALUES ('yyyy', 1), ('yyyy', 2)", "one_at_a_time"),
        ("INSERT INTO key_sweep VALUES ('some', now())", "is_one"),
    ],
)  # fmt: skip
def test_the_database_refuses_what_cannot_be(superuser, sql, match):
    with pytest.raises(DBAPIError, match=match):
        superuser.execute(text(sql))
