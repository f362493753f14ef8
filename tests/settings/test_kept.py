"""Settings kept in the database: what they may be, who wins, the history that nobody can pass by, and the way back."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.errors import Conflict, NotFound, Refused
from webmail.settings import declared, kept

ACTOR = "account:7"


@pytest.fixture
def core(empty, web_app):
    with web_app.app_context():
        yield web_app


def change(name, to, **more):
    with transaction(staff=True):
        return kept.change(name, to, actor=ACTOR, **more)


def value(name):
    with transaction():
        return kept.value(name)


def past(name=""):
    with transaction(staff=True):
        return [(one.name, one.before, one.after, one.by, one.reason) for one in kept.history(name)]


def test_what_nobody_set_is_what_the_environment_says_and_else_its_default(core):
    assert value("limits.send_hour") == core.extensions["settings"].send_hour == 0
    assert declared.SETTINGS["limits.send_hour"].default == 200
    assert value("service.banner") == ""


def test_a_change_holds_at_once_and_is_remembered_with_who_and_why(core, superuser):
    assert change("limits.send_hour", 50, reason="too much")
    assert value("limits.send_hour") == 50
    assert not change("limits.send_hour", 50)
    assert change("limits.send_hour", None)
    assert value("limits.send_hour") == 0
    assert past("limits.send_hour") == [
        ("limits.send_hour", 50, None, ACTOR, ""),
        ("limits.send_hour", None, 50, ACTOR, "too much"),
    ]
    kinds = superuser.execute(text("SELECT kind, actor FROM audit_event")).all()
    assert kinds == [("setting.changed", ACTOR)] * 2


def test_going_back_makes_it_what_it_was_before_that_change(core):
    for number in (10, 20, 30):
        change("limits.send_hour", number)
    with transaction(staff=True):
        second = kept.history("limits.send_hour")[1]
        assert (second.before, second.after) == (10, 20)
        kept.go_back(second.change_id, actor=ACTOR)
    assert value("limits.send_hour") == 10
    with transaction(staff=True):
        kept.go_back(kept.history("limits.send_hour")[-1].change_id, actor=ACTOR)
    assert value("limits.send_hour") == 0
    with transaction(staff=True), pytest.raises(NotFound):
        kept.past(10**9)


def test_who_saw_an_older_value_changes_nothing(core):
    with transaction(staff=True):
        [seen] = [one.version for one in kept.states("limits") if one.declared.name == "limits.send_hour"]
    change("limits.send_hour", 5)
    with pytest.raises(Conflict):
        change("limits.send_hour", 6, version=seen)
    assert value("limits.send_hour") == 5


@pytest.mark.parametrize(
    ("name", "typed", "code"),
    [
        ("limits.send_hour", "-1", "not-a-number"),
        ("limits.send_hour", "1e3", "not-a-number"),
        ("limits.send_hour", "٣", "not-a-number"),
        ("limits.send_hour", "1000001", "out-of-range"),
        ("limits.undo", "31", "out-of-range"),
        ("service.contact", "no address", "not-an-address"),
        ("service.operator", "two\nlines", "not-a-line"),
        ("service.operator", "x" * 121, "too-long"),
        ("service.banner", "a\x1b[31m", "not-text"),
        ("registration.mode", "ajar", "no-such-choice"),
    ],
)  # fmt: skip
def test_what_a_setting_cannot_be_is_refused_and_nothing_changes(core, name, typed, code):
    before = value(name)
    with pytest.raises(Refused, match=code):
        change(name, typed)
    with transaction(staff=True):
        assert kept.proposed(name.split(".")[0], {name: typed}) == ([], {name: code})
    assert value(name) == before
    assert past() == []


def test_what_does_not_fit_any_more_is_passed_over_and_not_a_crash(core, superuser):
    superuser.execute(
        text("INSERT INTO setting VALUES ('limits.undo', '\"words\"', now(), 'system:old', '')")
    )
    assert value("limits.undo") == core.extensions["settings"].undo_seconds


def test_a_name_that_nobody_declared_is_refused(core):
    with pytest.raises(Refused):
        value("limits.nothing")
    with pytest.raises(Refused):
        change("limits.nothing", 1)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO setting (name, value, changed_by) VALUES ('Limits.x', '1', 'account:1')",
        "INSERT INTO setting (name, value, changed_by) VALUES ('limits', '1', 'account:1')",
        "INSERT INTO setting (name, value, changed_by) VALUES ('limits.x', '1', 'somebody')",
        "INSERT INTO setting (name, value, changed_by) VALUES ('limits.x', to_jsonb(repeat('x', 70000)), 'account:1')",
        "UPDATE setting SET name = 'limits.other'",
        "DELETE FROM setting",
        "UPDATE setting_change SET after = '1'",
        "DELETE FROM setting_change",
        "TRUNCATE setting_change",
    ],
)
@pytest.mark.parametrize("role", ["owner", "web"])
def test_the_database_refuses(core, database, statement, role):
    change("limits.send_hour", 1)
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection:
        if role == "web":
            connection.execute(text("SET LOCAL ROLE mtumail_staff"))
        with pytest.raises(DBAPIError):
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_only_pages_of_the_staff_can_change_a_setting(core, database, role):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM setting")).scalar() == 0
    for statement in (
        "INSERT INTO setting (name, value, changed_by) VALUES ('a.b', '1', 'account:1')",
        "SELECT * FROM setting_change",
    ):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_the_history_knows_changes_that_came_by_plain_sql(core, superuser):
    superuser.execute(
        text("INSERT INTO setting (name, value, changed_by) VALUES ('limits.undo', '7', 'system:hand')")
    )
    superuser.execute(text("UPDATE setting SET value = '8', changed_by = 'system:hand'"))
    assert past() == [("limits.undo", 7, 8, "system:hand", ""), ("limits.undo", None, 7, "system:hand", "")]
