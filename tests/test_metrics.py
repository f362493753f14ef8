"""Numbers without people: what is counted, told to a Prometheus that has the token, written down, drawn, and removed in time."""

import os
import re
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import jobs, metrics, samples, work
from webmail.config import Settings
from webmail.db import db, transaction
from webmail.errors import SettingError
from webmail.privacy import retention

TOKEN = "a-token-of-at-least-24-characters"


@pytest.fixture(autouse=True)
def _nothing_counted(valkey):
    jobs.bell.connect(valkey)
    metrics._counts.values = {}


# --- counting ------------------------------------------------------------------------------------------------------------


def test_counts_of_all_processes_are_one_sum():
    metrics.count("deliveries_total", "sent")
    assert metrics.flush()
    pid = os.fork()
    if pid == 0:
        metrics.count("deliveries_total", "sent", amount=2)
        os._exit(0 if metrics.flush() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert metrics.counted() == {"deliveries_total|sent": 3}


def test_a_fork_does_not_tell_again_what_its_parent_counted():
    metrics.count("deliveries_total", "sent")
    pid = os.fork()
    if pid == 0:
        metrics.flush()
        metrics.count("deliveries_total", "failed")
        os._exit(0 if metrics.flush() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert metrics.counted() == {"deliveries_total|failed": 1}
    metrics.flush()
    assert metrics.counted() == {"deliveries_total|failed": 1, "deliveries_total|sent": 1}


def test_what_cannot_be_handed_over_is_kept(valkey):
    jobs.bell.connect("redis://127.0.0.1:1")
    metrics.count("deliveries_total", "sent")
    assert not metrics.flush()
    assert metrics.counted() == {}
    jobs.bell.connect(valkey)
    assert metrics.flush()
    assert metrics.counted() == {"deliveries_total|sent": 1}


def test_a_label_that_is_no_code_is_told_as_other():
    metrics.count("deliveries_total", "ann@example.org")
    assert list(metrics._counts.values) == ["deliveries_total|other"]


def test_series_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_SERIES", 3)
    for number in range(10):
        metrics.count("http_requests_total", f"e{number}", "200")
    metrics.count("http_requests_total", "e0", "200")
    assert metrics._counts.values == {
        "http_requests_total|e0|200": 2, "http_requests_total|e1|200": 1, "http_requests_total|e2|200": 1
    }  # fmt: skip


# --- telling -------------------------------------------------------------------------------------------------------------


def test_histograms_add_up():
    for seconds in (0.005, 0.03, 0.03, 1000.0):
        metrics.observe("mail_filing_seconds", seconds)
    metrics.flush()
    told = metrics.exposition([], metrics.counted())
    found = dict(re.findall(r'^mtumail_mail_filing_seconds_bucket\{le="(.*)"\} (\d+)$', told, re.M))
    assert (found["0.01"], found["0.025"], found["0.05"], found["600"], found["+Inf"]) == (
        "1",
        "1",
        "3",
        "3",
        "4",
    )
    assert "mtumail_mail_filing_seconds_count 4\n" in told
    assert "mtumail_mail_filing_seconds_sum 1000.065\n" in told


def test_each_line_is_of_prometheus_text_format():
    metrics.count("http_requests_total", "mail.folder", "200")
    metrics.observe("job_seconds", 0.1, "filing.drain")
    metrics.flush()
    told = metrics.exposition([metrics.Fact("queue_waiting", "file", 3)], metrics.counted())
    line = re.compile(
        r"# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\})? -?[0-9.e+-]+"
    )
    assert all(line.fullmatch(one) for one in told.splitlines())
    assert told.endswith("\n")
    assert 'mtumail_http_requests_total{endpoint="mail.folder",code="200"} 1\n' in told
    assert 'mtumail_queue_waiting{kind="file"} 3\n' in told


@pytest.fixture
def asked(web_app, monkeypatch):
    """Ask for the numbers with this token."""
    from dataclasses import replace

    monkeypatch.setitem(
        web_app.extensions, "settings", replace(web_app.extensions["settings"], metrics_token=TOKEN)
    )

    def ask(token: str = ""):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return web_app.test_client().get("/metrics", headers=headers, base_url="http://10.0.0.1:8000")

    return ask


def test_numbers_are_for_who_has_the_token(asked, empty):
    assert asked(TOKEN).status_code == 200
    assert asked(TOKEN).content_type.startswith("text/plain; version=0.0.4")
    assert [asked(one).status_code for one in ("", "wrong", f"{TOKEN}x", "é")] == [404] * 4


def test_without_a_token_there_is_no_such_page(web_app, empty):
    assert web_app.test_client().get("/metrics").status_code == 404
    assert web_app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_a_token_is_long():
    with pytest.raises(SettingError):
        Settings.from_environment({"MTUMAIL_METRICS_TOKEN": "short"})
    assert Settings.from_environment({"MTUMAIL_METRICS_TOKEN": TOKEN}).metrics_token == TOKEN


def test_requests_are_counted_by_endpoint_and_code(asked, browser_of, ann):
    browser_of(ann).get("/settings")
    browser_of(ann).get("/nowhere/ann@example.org")
    told = asked(TOKEN).text
    assert 'mtumail_http_requests_total{endpoint="settings.index",code="200"}' in told
    assert 'mtumail_http_requests_total{endpoint="none",code="404"}' in told
    assert "mtumail_http_request_seconds_count" in told
    assert "mtumail_http_response_bytes_total" in told


def test_P01_nobody_is_in_the_numbers(asked, browser_of, ann, deliver, letter, owner_app):
    """Nothing that names a person, a message or a mailbox is in what a Prometheus gets."""
    message = deliver(ann, letter("A subject nobody else has"))
    browser_of(ann).get("/mail/inbox")
    with owner_app.app_context(), transaction():
        work.add(work.SEND, ann.mailbox_id, 1)
    told = asked(TOKEN).text
    assert 'mtumail_queue_waiting{kind="send"} 1' in told
    for secret in (
        "ann",
        "Whitfield",
        "@",
        "example",
        "subject",
        str(ann.mailbox_id),
        str(ann.account_id),
        str(message),
    ):
        assert secret not in re.sub("(?m)^# .*$", "", told).replace("scanned", "").replace("planned", "")


def test_what_waits_is_told(worker, ann, owner_app, superuser):
    with owner_app.app_context(), transaction():
        work.add(work.FILE, ann.mailbox_id, 1, timedelta(seconds=-100))
        work.add(work.FILE, ann.mailbox_id, 2, timedelta(seconds=100))
        work.add(work.SEND, ann.mailbox_id, 3)
    superuser.execute(text("UPDATE work SET parked_at = now() WHERE kind = 'send'"))
    with worker.app_context(), transaction():
        told = {(one.name, one.label): one.value for one in metrics.facts()}
    assert (told["queue_waiting", "file"], told["queue_planned", "file"]) == (1, 1)
    assert 100 <= told["queue_oldest_seconds", "file"] < 130
    assert (told["queue_parked", "send"], told["queue_waiting", "send"]) == (1, 0)
    assert told["audit_events", ""] > 0
    assert {name for name, _label in told} <= set(metrics.FACTS)


def test_watching_a_flood_reads_no_more_than_its_share(owner_app, ann, superuser):
    superuser.execute(
        text(
            "INSERT INTO work (mailbox_id, kind, item_id) SELECT :box, 'file', n FROM generate_series(1, 12000) n"
        ),
        {"box": ann.mailbox_id},
    )
    with owner_app.app_context(), transaction():
        told = {(one.name, one.label): one.value for one in metrics.facts()}
    assert told["queue_waiting", "file"] == 10_000


# --- keeping -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("now(), 'Bad name', '', 1", "metric_sample_name_is_a_word"),
        ("now(), 'queue', 'ann@example.org', 1", "metric_sample_label_is_a_code"),
        ("now(), 'queue', '', 'NaN'", "metric_sample_value_is_a_number"),
        ("now(), 'queue', '', '-Infinity'", "metric_sample_value_is_a_number"),
        ("'2026-01-01', 'queue', '', 1), ('2026-01-01', 'queue', '', 2", "metric_sample_key"),
    ],
)
def test_what_is_no_number_is_refused(superuser, empty, values, constraint):
    with pytest.raises(DBAPIError, match=constraint):
        superuser.exec_driver_sql(f"INSERT INTO metric_sample (at, name, label, value) VALUES ({values})")


@pytest.mark.parametrize("role", ["web", "inbound"])
def test_only_the_worker_writes_and_only_the_staff_reads(settings, empty, role):
    from webmail import create_core

    app = create_core(settings(role), role)
    with app.app_context():
        for query in ("SELECT * FROM metric_sample", "DELETE FROM metric_sample"):
            with pytest.raises(DBAPIError, match="permission denied"), transaction() as session:
                session.execute(text(query))
        db.engine.dispose()


def test_the_clock_writes_numbers_down(worker, ann):
    from webmail import schedules
    from workers import schedules as clock

    metrics.count("http_requests_total", "mail.folder", "200")
    metrics.count("http_requests_total", "mail.message", "200")
    metrics.flush()
    with worker.app_context():
        with transaction():
            schedules.soon(schedules.METRICS)
        with transaction():
            run = schedules.claim(schedules.METRICS)
        clock.RUNS[schedules.METRICS](run)
        with transaction() as session:
            kept = session.execute(text("SELECT name, label, value FROM metric_sample")).all()
    assert ("http_requests_total", "200", 2.0) in [tuple(one) for one in kept]
    assert {one.name for one in kept} >= {"queue_waiting", "database_bytes", "audit_events"}


def _sampled(superuser, name: str, *values: tuple[int, float]) -> None:
    for minutes, value in values:
        superuser.execute(
            text(
                "INSERT INTO metric_sample (at, name, value) VALUES (now() - make_interval(mins => :ago), :name, :value)"
            ),
            {"ago": minutes, "name": name, "value": value},
        )


def test_history_is_what_counters_gained_and_the_most_of_gauges(owner_app, superuser, empty):
    _sampled(superuser, "http_response_bytes_total", (65, 100), (35, 160), (5, 10))  # set back in between
    _sampled(superuser, "database_bytes", (6, 50), (5, 40), (3000, 99))
    with owner_app.app_context(), transaction():
        told = samples.history(["http_response_bytes_total", "database_bytes"], samples.SPANS[0])
    gained = told["http_response_bytes_total", ""]
    assert [one for one in gained if one] == [60, 10]
    assert len(gained) == samples.SPANS[0].bars
    assert (told["database_bytes", ""][-1], max(told["database_bytes", ""])) == (50, 50)


def test_numbers_are_drawn_for_admins_alone(browser_of, superuser, ada, ann, sam):
    _sampled(superuser, "database_bytes", (5, 1234))
    page = browser_of(ada).get("/admin/metrics")
    assert page.status_code == 200
    assert "<svg" in page.text
    assert "1234" in page.text
    for span in samples.SPANS:
        assert browser_of(ada).get(f"/admin/metrics?span={span.code}").status_code == 200
    assert browser_of(ada).get("/admin/metrics?span=ever").status_code == 404
    for person in (ann, sam):
        assert browser_of(person).get("/admin/metrics").status_code == 403


def test_numbers_end(owner_app, worker, superuser, empty):
    _sampled(superuser, "database_bytes", (60, 1), (13 * 1440, 2), (15 * 1440, 3))
    rule = retention.find("metrics")
    with worker.app_context():
        with transaction():
            run = retention.begin(rule)
        while not run.is_all:
            with transaction():
                run = retention.go_on(run)
    assert set(superuser.execute(text("SELECT value FROM metric_sample")).scalars()) == {1, 2}
