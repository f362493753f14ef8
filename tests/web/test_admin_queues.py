"""Queues for admins: what waits, what was put aside and what becomes of it, pausing and going on, workers; and nothing of anybody's mail."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail import jobs, work
from webmail.db import show_id, transaction
from webmail.operations import queues, queues_workers
from webmail.settings import kept
from webmail.web import queue_words
from workers import filing, keeping

PAGES = ("/admin/queues", "/admin/queues/parked", "/admin/queues/parked?kind=send")


@pytest.fixture
def client(browser_of, ada):
    return browser_of(ada)


@pytest.fixture
def post(client, csrf):
    return lambda path="/admin/queues", **fields: client.post(
        path, data={"csrf_token": csrf(client)} | fields
    )


@pytest.fixture
def park(superuser, ann):
    """Put work of a kind aside, as a worker does; its item."""
    numbers = iter(range(1000, 9999))

    def put(kind="tell", problem="error", item=None):
        number = item or next(numbers)
        superuser.execute(
            text(
                "INSERT INTO work (mailbox_id, kind, item_id, attempts, parked_at, problem)"
                " VALUES (:m, :k, :i, 12, clock_timestamp(), :p)"
            ),
            {"m": ann.mailbox_id, "k": kind, "i": number, "p": problem},
        )
        return number

    return put


def act(post, verb, kind, item, mailbox=None, **more):
    fields = {"verb": verb, "kind": kind, "item": show_id(item)} | (
        {"mailbox": show_id(mailbox)} if mailbox else {}
    )
    return post("/admin/queues/parked", **fields, **more)


def rows_of(superuser, kind):
    return superuser.execute(
        text(
            "SELECT item_id, attempts, parked_at IS NOT NULL, problem FROM work WHERE kind = :k ORDER BY item_id"
        ),
        {"k": kind},
    ).all()


def facts(superuser, kind):
    found = superuser.execute(
        text("SELECT entry FROM audit_event WHERE kind = :k ORDER BY number"), {"k": kind}
    ).scalars()
    return [json.loads(entry)["facts"] for entry in found]


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_admins_alone(client, browser_of, ann, sam, sue, path):
    assert client.get(path).status_code == 200
    for other in (ann, sam, sue):
        assert browser_of(other).get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/admin/queues/parked?kind=nothing",
        "/admin/queues/parked?c=x",
        "/admin/queues/parked?c=2026-01-01_AAAAAAAA",
    ],
)
def test_what_does_not_exist_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_every_kind_of_work_has_words():
    assert set(work.KINDS) | {queues.ERRAND} == set(queue_words.KINDS)
    assert set(queues.STATES) == set(queue_words.STATES)
    assert set(queues.AGES) == set(queue_words.AGES)


def test_what_waits_is_counted_by_state_and_age_and_nobody_is_named(
    client, receive, ann, letter, superuser, web_app
):
    for _ in range(3):
        receive(ann, letter(subject="A canary"))
    superuser.execute(
        text(
            "UPDATE work SET due_at = now() - interval '2 hours' WHERE item_id = (SELECT min(item_id) FROM work)"
        )
    )
    superuser.execute(
        text(
            "UPDATE message SET received_at = now() - interval '2 hours' WHERE message_id = (SELECT min(item_id) FROM work)"
        )
    )
    page = client.get("/admin/queues").text
    assert "canary" not in page
    assert ann.address not in page
    with web_app.app_context(), transaction(staff=True):
        assert queues.ages("file") == {("waiting", "minutes"): 2, ("waiting", "day"): 1}
        [line] = [one for one in queues.queues() if one.kind == "file"]
    assert (line.waiting, line.planned, line.parked, line.is_paused) == (3, 0, 0, False)
    assert line.since is not None


def test_ages_tell_what_is_in_hand_planned_and_put_off(web_app, worker, receive, ann, letter, superuser):
    for _ in range(3):
        receive(ann, letter())
    with worker.app_context(), transaction():
        work.claim(work.FILE, 1, timedelta(minutes=1))
    superuser.execute(
        text(
            "UPDATE work SET due_at = now() + interval '1 hour', problem = 'error' WHERE item_id = (SELECT min(item_id) FROM work WHERE lease IS NULL)"
        )
    )
    with web_app.app_context(), transaction(staff=True):
        found = queues.ages("file")
    assert found == {("held", "minutes"): 1, ("deferred", "minutes"): 1, ("waiting", "minutes"): 1}


# --- put aside -----------------------------------------------------------------------------------------------------------


def test_what_was_put_aside_is_tried_again_from_the_beginning_and_that_is_written_down(
    client, post, park, ann, superuser
):
    item = park("tell")
    page = client.get("/admin/queues").text
    assert show_id(item) in page
    assert "failed again and again" in page
    assert act(post, "retry", "tell", item, ann.mailbox_id).status_code == 303
    assert rows_of(superuser, "tell") == [(item, 0, False, "")]
    assert facts(superuser, "queue.retried") == [
        {"queue": "tell", "mailbox": ann.mailbox_id, "item": item, "count": 1}
    ]
    assert act(post, "retry", "tell", item, ann.mailbox_id).status_code == 404


def test_what_is_forgotten_is_gone_and_nothing_else(client, post, park, ann, superuser):
    item, other = park("tell"), park("tell")
    assert act(post, "forget", "tell", item, ann.mailbox_id).status_code == 303
    assert [row[0] for row in rows_of(superuser, "tell")] == [other]
    assert facts(superuser, "queue.forgotten") == [{"queue": "tell", "mailbox": ann.mailbox_id, "item": item}]


def test_work_that_nobody_put_aside_is_neither_forgotten_nor_tried(post, receive, ann, letter, superuser):
    item = receive(ann, letter())
    for verb in ("retry", "forget"):
        assert act(post, verb, "file", item, ann.mailbox_id).status_code == 404
    assert rows_of(superuser, "file") == [(item, 0, False, "")]


def test_mail_its_author_was_told_of_does_not_leave_behind_his_back(client, post, park, ann, superuser):
    item = park("send")
    page = client.get("/admin/queues/parked?kind=send").text
    assert "Try again" not in page
    assert "its author was told" in page
    assert act(post, "retry", "send", item, ann.mailbox_id).status_code == 404
    assert post("/admin/queues/parked", verb="retry_all", kind="send").status_code == 303
    assert rows_of(superuser, "send") == [(item, 12, True, "error")]


def test_all_of_a_kind_are_tried_again_at_once(post, park, superuser):
    items = [park("tell") for _ in range(3)]
    other = park("intake")
    post("/admin/queues/parked", verb="retry_all", kind="tell")
    assert rows_of(superuser, "tell") == [(item, 0, False, "") for item in items]
    assert rows_of(superuser, "intake") == [(other, 12, True, "error")]
    assert facts(superuser, "queue.retried") == [{"queue": "tell", "count": 3}]


def test_a_message_that_could_not_be_read_is_filed_when_it_can_be(
    post, receive, ann, letter, worker, superuser, monkeypatch
):
    item = receive(ann, letter())

    def broken(*_args):
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr("webmail.mail.filing.file", broken)
        for _ in range(3):
            superuser.execute(text("UPDATE work SET due_at = now()"))
            filing.drain()
    assert superuser.execute(text("SELECT state FROM message")).scalar() == "unreadable"
    assert rows_of(superuser, "file")[0][2]
    assert act(post, "retry", "file", item, ann.mailbox_id).status_code == 303
    assert filing.drain() == 1
    assert superuser.execute(text("SELECT state FROM message")).scalar() == "filed"
    assert rows_of(superuser, "file") == []


def test_errands_are_among_them(client, post, superuser, ann):
    superuser.execute(
        text(
            "INSERT INTO errand (errand_id, kind, account_id, facts, attempts, parked_at, problem)"
            " VALUES (77, 'revoke', :a, '{\"session\": \"sess_x\"}', 60, now(), 'clerk-away')"
        ),
        {"a": ann.account_id},
    )
    assert show_id(77) in client.get("/admin/queues/parked?kind=errand").text
    assert act(post, "retry", "errand", 77).status_code == 303
    assert superuser.execute(text("SELECT parked_at, attempts FROM errand WHERE errand_id = 77")).all() == [
        (None, 0)
    ]


def test_the_list_pages_by_key(client, park):
    for _ in range(55):
        park("tell")
    first = client.get("/admin/queues/parked").text
    assert first.count('value="forget"') == 50
    older = unescape(re.search(r'href="([^"]+)">Older', first)[1])
    assert client.get(older).text.count('value="forget"') == 5


def test_a_list_of_many_costs_the_same(park, superuser, ann):
    superuser.execute(
        text(
            "INSERT INTO work (mailbox_id, kind, item_id, parked_at) SELECT :m, 'fetch', n, now() - n * interval '1 second'"
            " FROM generate_series(1, 20000) n"
        ),
        {"m": ann.mailbox_id},
    )
    superuser.execute(text("ANALYZE work"))
    plan = superuser.execute(
        text(
            "EXPLAIN SELECT * FROM work WHERE parked_at IS NOT NULL ORDER BY parked_at DESC, item_id DESC LIMIT 51"
        )
    ).scalars()
    assert "work_parked_at" in "\n".join(plan)


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "drop", "kind": "tell"},
        {"verb": "retry", "kind": "nothing"},
        {"verb": "", "kind": ""},
        {"verb": "forget", "kind": "tell", "item": "x"},
    ],
)
def test_what_makes_no_sense_does_nothing(post, park, superuser, fields):
    item = park("tell")
    assert post("/admin/queues/parked", **fields).status_code == 404
    assert rows_of(superuser, "tell") == [(item, 12, True, "error")]


@pytest.mark.parametrize("path", ["/admin/queues", "/admin/queues/parked"])
def test_a_form_without_a_token_does_nothing(client, web_app, park, superuser, path):
    item = park("tell")
    fields = (
        {"kind": "send", "verb": "pause"}
        if path == "/admin/queues"
        else {"kind": "tell", "verb": "retry_all"}
    )
    assert client.post(path, data=fields).status_code == 403
    assert rows_of(superuser, "tell") == [(item, 12, True, "error")]
    with web_app.app_context(), transaction(staff=True):
        assert queues.paused() == {}


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P15_only_the_role_of_staff_pages_may_ask(database, empty, role):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    for statement in (
        "SELECT * FROM queue_parked('', NULL, NULL, 10)",
        "SELECT queue_retry('tell', 1, 1)",
        "SELECT queue_forget('tell', 1, 1)",
        "SELECT * FROM queue_ages('send')",
    ):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


# --- pausing -------------------------------------------------------------------------------------------------------------


def test_while_filing_is_paused_mail_is_accepted_and_kept_and_filed_later(
    client, post, receive, ann, letter, worker, superuser
):
    assert post(kind="file", verb="pause", reason="a new disk").status_code == 303
    page = client.get("/admin/queues").text
    assert "Paused: Mail that came, to be filed" in page
    assert "<bdi>Ada Novak</bdi>" in page
    item = receive(ann, letter())
    assert filing.drain() == 0
    assert "file" not in keeping.sweep()
    assert rows_of(superuser, "file") == [(item, 0, False, "")]
    assert post(kind="file", verb="resume").status_code == 303
    assert "file" in keeping.sweep()
    assert filing.drain() == 1
    assert [one["setting"] for one in facts(superuser, "setting.changed")] == ["operations.pause_filing"] * 2


def test_what_is_in_hand_when_the_pause_comes_is_finished(
    post, receive, ann, letter, worker, web_app, master
):
    receive(ann, letter())
    with worker.app_context():
        with transaction():
            [claim] = work.claim(work.FILE, 1, timedelta(seconds=30))
        post(kind="file", verb="pause")
        with web_app.app_context(), transaction(staff=True):
            assert queues.ages("file") == {("held", "minutes"): 1}
        assert filing._one(claim) == 1
    with web_app.app_context(), transaction(staff=True):
        assert queues.ages("file") == {}


def test_going_on_rings_at_once(post):
    post(kind="send", verb="pause")
    jobs.bell.redis.flushall()
    post(kind="send", verb="resume")
    assert jobs.bell.redis.exists("mtumail:rung:send")


@pytest.mark.parametrize("fields", [{"kind": "tell", "verb": "pause"}, {"kind": "send", "verb": "stop"}, {}])
def test_only_what_can_be_paused_is(post, fields):
    assert post(**fields).status_code == 404


def test_the_first_page_says_what_is_paused_and_put_aside(client, post, park):
    park("tell")
    post(kind="send", verb="pause")
    page = client.get("/admin").text
    assert "Paused: Mail that leaves (the outbox)" in page
    assert "1 piece of work was put aside" in page


def test_the_setting_and_the_button_are_one(client, post, web_app):
    post(kind="send", verb="pause", reason="the relay is moved")
    with web_app.app_context(), transaction(staff=True):
        assert kept.is_on("operations.pause_sending")
    assert "the relay is moved" in client.get("/admin/settings/history").text


# --- workers -------------------------------------------------------------------------------------------------------------


def test_workers_are_listed_and_a_queue_without_one_is_said(client):
    page = client.get("/admin/queues").text
    assert "Nobody works for: filing, sending, fetching, keeping" in page
    redis = jobs.bell.redis
    redis.sadd("rq:workers", "rq:worker:one")
    redis.hset(
        "rq:worker:one",
        mapping={
            "birth": "2026-11-22T10:00:00.000000Z", "last_heartbeat": "2026-11-22T10:05:00.000000Z", "queues": "filing",
            "state": "idle", "hostname": "<b>box</b>", "pid": "12", "successful_job_count": "7",
        },
    )  # fmt: skip
    page = client.get("/admin/queues").text
    assert "Nobody works for: sending, fetching, keeping" in page
    assert "&lt;b&gt;box&lt;/b&gt;" in page
    assert "<b>box" not in page


def test_without_redis_the_page_says_so(client, monkeypatch):
    monkeypatch.setattr(jobs.bell, "url", "redis://127.0.0.1:9/0")
    monkeypatch.setattr(jobs.bell, "_client", None)
    assert "Redis does not answer" in client.get("/admin/queues").text


def test_how_long_jobs_take_is_the_mean_of_all():
    sums = {
        "job_seconds.sum|filing.drain": 3.0,
        "jobs_total|filing.drain": 6,
        "job_seconds.sum|sending.drain": 4.0,
        "jobs_total|sending.drain": 2,
    }
    assert queues_workers.durations(sums) == [("sending.drain", 2, 2.0), ("filing.drain", 6, 0.5)]
    assert queues_workers.durations({"job_seconds.sum|x": 1.0}) == []
