"""`mtumail queue` and `mtumail people`: the same verbs as on the pages, with a reason, and written down alike."""

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail.cli import cli
from webmail.db import show_id, transaction
from webmail.operations import queues


@pytest.fixture
def run(environment, database, empty, monkeypatch):
    for name, told in environment.items():
        monkeypatch.setenv(name, told)
    monkeypatch.setenv("DATABASE_URL", database.urls["owner"])

    def invoke(*arguments, reason="case 12"):
        return CliRunner().invoke(cli, [*arguments, *(["--reason", reason] if reason else [])])

    return invoke


@pytest.fixture
def parked(superuser, ann):
    def put(kind, item):
        superuser.execute(
            text(
                "INSERT INTO work (mailbox_id, kind, item_id, attempts, parked_at, problem) VALUES (:m, :k, :i, 3, now(), 'error')"
            ),
            {"m": ann.mailbox_id, "k": kind, "i": item},
        )
        return show_id(ann.mailbox_id), show_id(item)

    return put


def kinds(superuser, like):
    return (
        superuser.execute(
            text("SELECT kind FROM audit_event WHERE kind LIKE :l AND actor LIKE 'cli:%' ORDER BY number"),
            {"l": like},
        )
        .scalars()
        .all()
    )


def test_queues_are_listed_and_what_was_put_aside(run, parked):
    mailbox, item = parked("tell", 7)
    told = run("queue", "list", reason="").output
    assert "tell due 0 later 0 aside 1" in told
    assert f"tell {mailbox} {item}" in run("queue", "list", "--parked", reason="").output
    assert run("queue", "list", "--parked", "--kind", "send", reason="").output == ""


def test_work_is_tried_again_or_forgotten(run, parked, superuser):
    first, second = parked("tell", 7), parked("tell", 8)
    assert run("queue", "retry", "tell", *first).output == "tried again\n"
    assert run("queue", "forget", "tell", *second).output == "forgotten\n"
    assert superuser.execute(text("SELECT item_id, parked_at FROM work")).all() == [(7, None)]
    assert run("queue", "forget", "tell", *first).exit_code == 1
    assert run("queue", "forget", "tell", "x", "y").exit_code == 1
    parked("intake", 9)
    assert run("queue", "retry", "intake").output == "1 tried again\n"
    assert "its author was told" in run("queue", "retry", "send").output
    assert kinds(superuser, "queue.%") == ["queue.retried", "queue.forgotten", "queue.retried"]


def test_mail_is_held_back_and_let_go(run, web_app, superuser):
    assert run("queue", "pause", "sending").output == "sending is paused; 0 in hand\n"
    with web_app.app_context(), transaction():
        assert queues.is_paused("send")
    assert "send due 0 later 0 aside 0 paused" in run("queue", "list", reason="").output
    assert run("queue", "resume", "sending").output == "sending goes on\n"
    assert run("queue", "resume", "sending").output == "sending goes on, as before\n"
    assert run("queue", "pause", "everything").exit_code == 2
    assert superuser.execute(text("SELECT reason FROM setting_change")).scalars().all() == [
        "case 12",
        "case 12",
    ]


def test_P16_people_are_found_and_shown_and_each_look_is_written_down(run, ann, ben, superuser):
    found = run("people", "find", "ann wh")
    assert found.output == f"{show_id(ann.account_id)} Ann Whitfield ann@mtumail.test active\n"
    told = run("people", "show", show_id(ann.account_id))
    assert (
        f"mailbox {show_id(ann.mailbox_id)} ann@mtumail.test owner active 0 of 1000000000 bytes, members 1"
        in told.output
    )
    assert kinds(superuser, "people.%") == ["people.searched", "people.viewed"]
    about = superuser.execute(
        text(
            "SELECT DISTINCT account_id FROM audit_subject JOIN audit_event USING (number) WHERE kind LIKE 'people.%'"
        )
    )
    assert about.scalars().all() == [ann.account_id]
    assert run("people", "find", "x").exit_code == 1
    assert run("people", "show", "AAAAAAAA").exit_code == 1
