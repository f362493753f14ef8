"""Looking and telling, for real: facts of this machine and of Redis, a letter at the relay, a signed call at a webhook."""

import base64
import dataclasses
import hmac
import json
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.db import transaction
from webmail.operations import alerts, alerts_telling
from webmail.operations.alerts import Wrong
from webmail.settings import domains, kept
from workers import alerting, keeping

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
TO = "night@watch.example"


class Hook:
    """A webhook on loopback: what it was called with; `says` are the statuses that it answers, the last one stays."""

    def __init__(self):
        self.calls, self.says, self.sleeps = [], [200], 0.0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.calls.append((dict(self.headers.items()), body, self.path))
                time.sleep(hook.sleeps)
                self.send_response(hook.says.pop(0) if len(hook.says) > 1 else hook.says[0])
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in?x=1"
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.stop()


@pytest.fixture
def setting(web_app):
    def put(**values):
        with web_app.app_context(), transaction(staff=True):
            for name, value in values.items():
                kept.change(name.replace("__", "."), value, actor="account:1")

    return put


@pytest.fixture
def told(worker, monkeypatch, sink, hook, setting, empty, owner_app):
    """The worker's settings with a relay and a webhook, and somebody to tell."""
    changed = dataclasses.replace(worker.extensions["settings"], relay_url=sink.url, alert_webhook=hook.url)
    monkeypatch.setitem(worker.extensions, "settings", changed)
    with owner_app.app_context(), transaction():
        domains.host("mtumail.test")
    setting(alerts__mail_to=TO, alerts__webhook_secret=SECRET)

    def settings(**values):
        monkeypatch.setitem(worker.extensions, "settings", dataclasses.replace(changed, **values))

    return settings


@pytest.fixture
def begin(worker, told):
    """Let something begin."""

    def write(*wrong, ways=("mail", "webhook")):
        with worker.app_context(), transaction():
            alerts.look(wrong or [Wrong("disk-low", "box", 3)], "box", ways)

    return write


def outcomes(superuser):
    return superuser.execute(
        text("SELECT way, outcome, problem FROM alert_telling ORDER BY telling_id")
    ).all()


# --- looking -------------------------------------------------------------------------------------------------------------


def codes(superuser):
    return set(
        superuser.execute(text("SELECT code || ' ' || label FROM alert WHERE ended_at IS NULL")).scalars()
    )


def alive(*queues):
    for queue in queues:
        jobs.bell.redis.sadd("rq:workers", f"rq:worker:{queue}")
        jobs.bell.redis.hset(
            f"rq:worker:{queue}",
            mapping={"birth": "2026-11-22T10:00:00.000000Z", "queues": queue, "state": "idle"},
        )


def test_a_look_sees_work_schedules_people_and_workers(worker, told, superuser, ann, receive, letter):
    alive("filing", "sending", "fetching", "keeping")
    with worker.app_context():
        assert alerting.look() == 0
        assert codes(superuser) == set()
        receive(ann, letter())
        superuser.execute(text("UPDATE work SET due_at = now() - interval '40 minutes'"))
        superuser.execute(text("UPDATE schedule SET outcome = 'failed' WHERE code = 'retention'"))
        superuser.execute(
            text("UPDATE schedule SET next_at = now() - interval '2 hours' WHERE code = 'backup'")
        )
        superuser.execute(
            text(
                "INSERT INTO case_file (case_id, kind, due_at) VALUES (5, 'spam', now() - interval '1 minute')"
            )
        )
        jobs.bell.redis.delete("rq:worker:sending")
        assert alerting.look() == 10
    assert codes(superuser) == {
        "queue-old file", "schedule-failed retention", "schedule-late backup", "case-overdue ", "worker-gone sending",
    }  # fmt: skip


def test_what_is_paused_is_not_stuck(worker, told, superuser, ann, receive, letter, setting):
    alive("filing", "sending", "fetching", "keeping")
    receive(ann, letter())
    superuser.execute(text("UPDATE work SET due_at = now() - interval '40 minutes'"))
    setting(operations__pause_filing="on")
    with worker.app_context():
        alerting.look()
    assert codes(superuser) == {"queue-paused file"}


def test_limits_are_settings(worker, told, superuser, ann, receive, letter, setting):
    alive("filing", "sending", "fetching", "keeping")
    receive(ann, letter())
    superuser.execute(text("UPDATE work SET due_at = now() - interval '40 minutes'"))
    setting(alerts__queue_minutes=60)
    with worker.app_context():
        alerting.look()
        assert codes(superuser) == set()
        setting(alerts__queue_minutes=40)
        alerting.look()
    assert codes(superuser) == {"queue-old file"}


def test_without_redis_that_is_what_is_wrong(worker, told, superuser, monkeypatch):
    monkeypatch.setattr(jobs.bell, "url", "redis://127.0.0.1:9/0")
    monkeypatch.setattr(jobs.bell, "_client", None)
    with worker.app_context():
        alerting.look()
    assert codes(superuser) == {"bell-away "}


def test_pages_that_fail_are_counted_from_the_samples(worker, told, superuser):
    alive("filing", "sending", "fetching", "keeping")
    superuser.execute(
        text(
            "INSERT INTO metric_sample (at, name, label, value) SELECT now() - m * interval '5 minutes', 'http_requests_total', c, v"
            " FROM (VALUES (2, '200', 1000), (1, '200', 1100), (2, '500', 10), (1, '500', 60)) AS t (m, c, v)"
        )
    )
    with worker.app_context():
        alerting.look()
    assert superuser.execute(text("SELECT code, round(value::numeric, 1)::float8 FROM alert")).all() == [
        ("error-rate", 33.3)
    ]


def test_a_certificate_that_ends_and_a_disk_that_is_full_are_seen(
    worker, told, superuser, self_signed, tmp_path, monkeypatch
):
    alive("filing", "sending", "fetching", "keeping")
    path = tmp_path / "mail.pem"
    path.write_bytes(self_signed("mail.example.org")[0])
    told(tls_certificate=path)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 5, "total": 100}))
    with worker.app_context():
        alerting.look()
        assert codes(superuser) == {f"disk-low {alerting.machine()}"}
        assert (alerting._days_left(path), alerting._days_left(tmp_path)) == (29, None)
        monkeypatch.setattr(alerting, "_days_left", lambda _path: 3)
        alerting.look()
    assert f"certificate-ends {alerting.machine()}" in codes(superuser)


def test_the_clock_looks_once_a_minute_and_rings_for_what_is_to_be_told(
    worker, told, begin, monkeypatch, superuser
):
    begin()
    monkeypatch.setattr(alerting, "_looked", [-alerting.LOOK_SECONDS])
    assert alerting.nudge()
    assert not alerting.nudge()
    assert jobs.bell.redis.exists("mtumail:rung:alert")
    assert (
        superuser.execute(text("SELECT machine FROM alert_look ORDER BY looked_at DESC")).scalars().first()
        == alerting.machine()
    )


def test_no_fault_of_a_look_stops_the_clock(worker, told, monkeypatch, superuser):
    def broken(_settings):
        raise OSError

    monkeypatch.setattr(alerting, "_of_machine", broken)
    monkeypatch.setattr(alerting, "_looked", [-alerting.LOOK_SECONDS])
    assert not alerting.nudge()
    assert superuser.execute(text("SELECT count(*) FROM alert_look")).scalar() == 0


def test_what_nobody_hears_the_clock_tells_itself(worker, told, begin, monkeypatch, sink, hook):
    begin(ways=("mail", "webhook"))
    monkeypatch.setattr(jobs.bell, "url", "redis://127.0.0.1:9/0")
    monkeypatch.setattr(jobs.bell, "_client", None)
    monkeypatch.setattr(alerting, "_looked", [-alerting.LOOK_SECONDS])
    alerting.nudge()
    assert len(sink.mails) == 1
    assert len(hook.calls) == 1


# --- telling -------------------------------------------------------------------------------------------------------------


def test_a_letter_goes_straight_to_the_relay_and_a_signed_call_to_the_webhook(begin, sink, hook, superuser):
    begin()
    assert alerting.drain() == 2
    assert alerting.drain() == 0
    [mail] = sink.mails
    assert mail.recipients == (TO,)
    assert mail.sender == ""
    assert b"Subject: mtumail: Of the disk on box, 3 % is free" in mail.raw
    assert b"Auto-Submitted: auto-generated" in mail.raw
    [(headers, body, path)] = hook.calls
    told = {name.lower(): value for name, value in headers.items()}
    assert path == "/in?x=1"
    assert told["content-type"] == "application/json"
    assert json.loads(body)["type"] == "alert.begins"
    assert abs(int(told["webhook-timestamp"]) - time.time()) < 60
    signed = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(b"a secret of thirty-two bytes ...", signed, sha256)).decode()
    assert told["webhook-signature"] == f"v1,{wanted}"
    assert outcomes(superuser) == [("mail", "told", ""), ("webhook", "told", "")]


def test_several_are_one_letter_and_one_call_each(begin, sink, hook):
    begin(Wrong("disk-low", "box", 3), Wrong("queue-old", "send", 45))
    alerting.drain()
    assert len(sink.mails) == 1
    assert b"(and 1 more)" in sink.mails[0].raw
    assert [json.loads(body)["data"]["code"] for _headers, body, _path in hook.calls] == [
        "disk-low",
        "queue-old",
    ]


def test_a_webhook_that_fails_is_called_again_with_the_same_id_and_mail_is_told_once(
    begin, sink, hook, superuser
):
    hook.says = [500, 302, 200]
    begin()
    for _ in range(3):
        alerting.drain()
        superuser.execute(text("UPDATE alert_telling SET due_at = now()"))
    assert len(sink.mails) == 1
    ids = {headers.get("webhook-id") or headers.get("Webhook-Id") for headers, _body, _path in hook.calls}
    assert (len(hook.calls), len(ids)) == (3, 1)
    assert outcomes(superuser) == [("mail", "told", ""), ("webhook", "told", "")]


def test_a_relay_that_is_away_does_not_keep_the_webhook_from_being_told(begin, told, hook, superuser):
    told(relay_url="smtp://127.0.0.1:9")
    begin()
    alerting.drain()
    assert len(hook.calls) == 1
    [mail, call] = outcomes(superuser)
    assert mail[:2] == ("mail", "")
    assert mail[2].startswith("relay-")
    assert call == ("webhook", "told", "")


def test_a_webhook_that_does_not_answer_is_given_up_in_time(begin, hook, superuser, monkeypatch):
    monkeypatch.setattr("webmail.operations.alerts_hook.SECONDS", 0.2)
    hook.sleeps = 0.6
    begin(ways=("webhook",))
    alerting.drain()
    assert outcomes(superuser) == [("webhook", "", "slow")]


def test_without_a_secret_nothing_is_called(begin, setting, hook, superuser):
    setting(alerts__webhook_secret=None)
    begin(ways=("webhook",))
    alerting.drain()
    assert hook.calls == []
    assert outcomes(superuser) == [("webhook", "", "no-secret")]


def test_who_has_a_mailbox_here_gets_it_there(begin, setting, ann, sink, superuser):
    setting(alerts__mail_to=ann.address)
    begin(ways=("mail",))
    alerting.drain()
    assert sink.mails == []
    assert superuser.execute(
        text("SELECT mailbox_id FROM message WHERE state = 'received'")
    ).scalars().all() == [ann.mailbox_id]
    assert outcomes(superuser) == [("mail", "told", "")]


def test_ways_are_what_settings_say(worker, told, setting):
    def ways():
        with worker.app_context(), transaction():
            return alerting.ways(worker.extensions["settings"])

    assert ways() == ["mail", "webhook"]
    setting(alerts__mail="off")
    assert ways() == ["webhook"]
    setting(alerts__mail="on", alerts__mail_to=None, service__contact="postmaster")
    told(alert_webhook="")
    assert ways() == []
    setting(service__contact="privacy@example.org")
    assert ways() == ["mail"]


def test_a_worker_that_is_killed_after_the_claim_leaves_it_to_the_next(begin, worker, sink, superuser):
    begin(ways=("mail",))
    with worker.app_context(), transaction():
        alerts_telling.claim("mail", 50)
    assert alerting.drain() == 0
    superuser.execute(text("UPDATE alert_telling SET due_at = now()"))
    assert alerting.drain() == 1
    assert len(sink.mails) == 1
    assert "alert" not in keeping.sweep()
