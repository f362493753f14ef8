"""Alerts: what is wrong by the facts, told once when it begins, daily while it lasts, once when it ends; and nothing twice."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.errors import NotFound, Refused
from webmail.operations import alerts, alerts_hook, alerts_telling, alerts_words
from webmail.operations.alerts import Limits, Wrong
from webmail.operations.alerts_telling import MAIL, WEBHOOK, Telling

LIMITS = Limits(
    queue_minutes=30, late_minutes=60, parked=2, backup_hours=50, checkpoint_minutes=60, certificate_days=14,
    disk_percent=10, error_percent=5,
)  # fmt: skip
DISK = Wrong("disk-low", "box", 3)
QUEUE = Wrong("queue-old", "send", 45)


# --- what is wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ({("queue_oldest_seconds", "send"): 1799.0}, []),
        ({("queue_oldest_seconds", "send"): 1800.0}, [Wrong("queue-old", "send", 30)]),
        ({("queue_parked", "file"): 1.0}, []),
        ({("queue_parked", "file"): 2.0}, [Wrong("work-parked", "file", 2)]),
        ({("errands_parked", ""): 2.0}, [Wrong("work-parked", "errand", 2)]),
        ({("cases_overdue", ""): 0.0, ("reviews_overdue", ""): 0.0, ("requests_overdue", ""): 0.0}, []),
        ({("cases_overdue", ""): 3.0}, [Wrong("case-overdue", "", 3)]),
        ({("reviews_overdue", ""): 1.0}, [Wrong("review-overdue", "", 1)]),
        ({("requests_overdue", ""): 1.0}, [Wrong("request-overdue", "", 1)]),
        ({("backup_failed", ""): 1.0}, [Wrong("backup-failed", "", 1)]),
        ({("backup_age_seconds", ""): 49 * 3600.0}, []),
        ({("backup_age_seconds", ""): 51 * 3600.0}, [Wrong("backup-old", "", 51)]),
        ({("schedule_failed", "retention"): 1.0, ("schedule_failed", "drill"): 0.0}, [Wrong("schedule-failed", "retention", 1)]),
        ({("schedule_late_seconds", "backup"): 7200.0}, [Wrong("schedule-late", "backup", 120)]),
        ({("audit_checkpoint_age_seconds", ""): 9e9, ("audit_events", ""): 5.0, ("audit_checkpoint_events", ""): 5.0}, []),
        (
            {("audit_checkpoint_age_seconds", ""): 7200.0, ("audit_events", ""): 6.0, ("audit_checkpoint_events", ""): 5.0},
            [Wrong("checkpoint-old", "", 120)],
        ),
        ({("certificate_days", "box"): 14.0}, []),
        ({("certificate_days", "box"): 13.0}, [Wrong("certificate-ends", "box", 13)]),
        ({("certificate_days", "box"): -2.0}, [Wrong("certificate-ends", "box", -2)]),
        ({("disk_free_percent", "box"): 10.0}, []),
        ({("disk_free_percent", "box"): 9.0}, [Wrong("disk-low", "box", 9)]),
        ({("pages", ""): 100.0, ("pages_failed", ""): 19.0}, []),
        ({("pages", ""): 10_000.0, ("pages_failed", ""): 20.0}, []),
        ({("pages", ""): 100.0, ("pages_failed", ""): 20.0}, [Wrong("error-rate", "", 20)]),
        ({("worker_gone", "sending"): 1.0}, [Wrong("worker-gone", "sending", 1)]),
        ({("bell_away", ""): 1.0}, [Wrong("bell-away", "", 1)]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_facts_and_limits(facts, wrong):
    assert alerts.judge(facts, LIMITS) == wrong


def test_a_queue_that_is_paused_is_told_as_that_and_only_where_something_waits():
    facts = {
        ("queue_oldest_seconds", "send"): 7200.0,
        ("queue_oldest_seconds", "file"): 7200.0,
        ("queue_waiting", "send"): 1.0,
    }
    assert alerts.judge(facts, LIMITS, ["send", "file"]) == [Wrong("queue-paused", "send", 120)]


def test_every_code_has_words_and_a_page():
    assert set(alerts_words.SENTENCES) - {""} == set(alerts.CODES)
    assert set(alerts_words.WHERE) <= set(alerts.CODES)


# --- from the beginning to the end ---------------------------------------------------------------------------------------


@pytest.fixture
def core(empty, worker):
    with worker.app_context():
        yield worker


@pytest.fixture
def look(core):
    def seen(*wrong, machine="box", ways=(MAIL, WEBHOOK)):
        with transaction():
            return alerts.look(wrong, machine, ways)

    return seen


@pytest.fixture
def later(superuser):
    """Let time go by for what is written down."""

    def wait(period):
        superuser.execute(
            text(
                "UPDATE alert SET since = since - CAST(:p AS interval), seen_at = seen_at - CAST(:p AS interval),"
                " told_at = told_at - CAST(:p AS interval), muted_until = muted_until - CAST(:p AS interval)"
            ),
            {"p": period},
        )

    return wait


@pytest.fixture
def told(superuser):
    """(kind, code, way) of everything that is to be told, in order."""

    def listed():
        return superuser.execute(
            text(
                "SELECT t.kind, a.code, t.way FROM alert_telling t JOIN alert a USING (alert_id) ORDER BY t.telling_id"
            )
        ).all()

    return listed


def test_what_begins_is_told_once_by_each_way(look, told):
    assert look(DISK) == 2
    assert look(DISK) == 0
    assert told() == [("begins", "disk-low", "mail"), ("begins", "disk-low", "webhook")]


def test_what_lasts_is_told_once_a_day_and_what_ends_once(look, told, later, superuser):
    look(QUEUE, ways=(MAIL,))
    later("23 hours")
    assert look(QUEUE, ways=(MAIL,)) == 0
    later("2 hours")
    assert look(QUEUE, ways=(MAIL,)) == 1
    assert look(QUEUE, ways=(MAIL,)) == 0
    later("6 minutes")
    assert look(ways=(MAIL,)) == 1
    assert look(ways=(MAIL,)) == 0
    assert told() == [(kind, "queue-old", "mail") for kind in ("begins", "lasts", "ends")]
    assert superuser.execute(text("SELECT count(*) FROM alert WHERE ended_at IS NULL")).scalar() == 0


def test_what_goes_back_and_forth_is_one_alert(look, told, later):
    for _ in range(4):
        look(QUEUE, ways=(MAIL,))
        later("3 minutes")
        look(ways=(MAIL,))
    assert told() == [("begins", "queue-old", "mail")]


def test_what_comes_again_after_its_end_begins_anew(look, told, later):
    look(QUEUE, ways=(MAIL,))
    later("6 minutes")
    look(ways=(MAIL,))
    look(QUEUE, ways=(MAIL,))
    assert [kind for kind, _code, _way in told()] == ["begins", "ends", "begins"]


def test_each_of_several_is_an_alert_of_its_own(look, superuser):
    look(QUEUE, Wrong("queue-old", "file", 50), QUEUE)
    assert superuser.execute(text("SELECT code, label, value FROM alert ORDER BY label")).all() == [
        ("queue-old", "file", 50.0),
        ("queue-old", "send", 45.0),
    ]


def test_what_one_machine_sees_is_not_ended_by_another(look, told, later):
    look(DISK, machine="box", ways=(MAIL,))
    later("10 minutes")
    assert look(machine="other", ways=(MAIL,)) == 0
    assert look(machine="box", ways=(MAIL,)) == 1
    assert [kind for kind, _code, _way in told()] == ["begins", "ends"]


def test_what_a_machine_saw_that_is_gone_ends_after_a_day(look, told, later):
    look(DISK, machine="box", ways=())
    later("25 hours")
    look(machine="other", ways=(MAIL,))
    assert [kind for kind, _code, _way in told()] == ["ends"]


def test_without_a_way_it_is_written_down_all_the_same(look, told, superuser):
    assert look(DISK, ways=()) == 0
    assert told() == []
    assert superuser.execute(text("SELECT code FROM alert WHERE ended_at IS NULL")).scalar() == "disk-low"


def test_two_looks_at_once_tell_once(look, core, told):
    with transaction():
        alerts.look([DISK], "box", [MAIL])
        # Another machine, whose connection does not wait for this one.
        from threading import Thread

        found = []

        def other():
            with core.app_context(), transaction():
                found.append(alerts.look([DISK], "other", [MAIL]))

        thread = Thread(target=other)
        thread.start()
        thread.join(10)
        assert found == [0]
    assert told() == [("begins", "disk-low", "mail")]


def test_an_alert_that_somebody_knows_of_is_quiet_for_a_day_and_its_end_is_told(
    look, told, later, ada, web_app, superuser
):
    look(QUEUE, ways=(MAIL,))
    number = superuser.execute(text("SELECT alert_id FROM alert")).scalar_one()
    later("20 hours")
    with web_app.app_context(), transaction(staff=True):
        alerts.mute(number, ada.account_id)
    later("10 hours")
    assert look(QUEUE, ways=(MAIL,)) == 0
    later("15 hours")
    assert look(QUEUE, ways=(MAIL,)) == 1
    with web_app.app_context(), transaction(staff=True):
        alerts.mute(number, ada.account_id)
    later("6 minutes")
    look(ways=(MAIL,))
    assert [kind for kind, _code, _way in told()] == ["begins", "lasts", "ends"]
    with web_app.app_context(), transaction(staff=True), pytest.raises(NotFound):
        alerts.mute(number, ada.account_id)


# --- telling -------------------------------------------------------------------------------------------------------------


def claim(way, most=50):
    with transaction():
        return alerts_telling.claim(way, most)


def finish(lease, some, problem=""):
    with transaction():
        alerts_telling.finish(lease, some, problem)


def outcomes(superuser):
    return superuser.execute(
        text("SELECT way, attempts, outcome, problem FROM alert_telling ORDER BY telling_id")
    ).all()


def test_what_is_claimed_is_nobody_elses_and_what_was_told_is_done(look, superuser):
    look(DISK, QUEUE)
    lease, some = claim(MAIL)
    assert [one.code for one in some] == ["disk-low", "queue-old"]
    assert claim(MAIL)[1] == []
    assert len(claim(WEBHOOK, 1)[1]) == 1
    finish(lease, some)
    assert [row for row in outcomes(superuser) if row[0] == "mail"] == [("mail", 1, "told", "")] * 2


def test_who_lost_the_lease_finishes_nothing(look, superuser):
    look(DISK, ways=(MAIL,))
    lease, some = claim(MAIL)
    superuser.execute(text("UPDATE alert_telling SET due_at = now()"))
    claim(MAIL)
    finish(lease, some)
    assert outcomes(superuser) == [("mail", 2, "", "")]


def test_what_fails_is_tried_again_for_hours_and_then_given_up(look, superuser):
    look(DISK, ways=(WEBHOOK,))
    waits = []
    for _ in range(len(alerts_telling.WAITS) + 1):
        lease, some = claim(WEBHOOK, 1)
        finish(lease, some, "status-500")
        waits.append(superuser.execute(text("SELECT due_at - now() FROM alert_telling")).scalar_one())
        superuser.execute(text("UPDATE alert_telling SET due_at = now()"))
    assert outcomes(superuser) == [("webhook", 8, "failed", "status-500")]
    assert [round(wait / timedelta(minutes=1)) for wait in waits[:-1]] == [1, 2, 5, 15, 30, 60, 120]
    assert claim(WEBHOOK)[1] == []


def test_a_trial_that_lacks_a_setting_is_given_up_at_once_and_an_alert_is_not(look, web_app, superuser):
    look(DISK, ways=(WEBHOOK,))
    with web_app.app_context(), transaction(staff=True):
        alerts_telling.trial([WEBHOOK], actor="account:1")
    lease, some = claim(WEBHOOK)
    finish(lease, some, "no-secret")
    assert outcomes(superuser) == [("webhook", 1, "", "no-secret"), ("webhook", 1, "failed", "no-secret")]


def test_there_is_an_end_to_trials(core, web_app):
    with web_app.app_context():
        for _ in range(alerts_telling.MOST_TRIALS):
            with transaction(staff=True):
                alerts_telling.trial([MAIL], actor="account:1")
        with transaction(staff=True), pytest.raises(Refused):
            alerts_telling.trial([MAIL], actor="account:1")


# --- what leaves ---------------------------------------------------------------------------------------------------------


def telling(kind="begins", code="queue-old", label="send", value=45.0):
    at = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)
    return Telling(7, kind, at, 1, 3 if code else 0, code, label, value, at)


@pytest.mark.parametrize("code", alerts.CODES)
def test_a_letter_says_what_since_when_and_where_to_look(code):
    words = alerts_words.letter([telling(code=code)], "https://mail.example.org")
    assert "Since 23 November 2026, 07:05 UTC." in words
    assert "https://mail.example.org/" in words
    assert "{" not in words


def test_the_subject_says_the_first_and_how_many_more():
    some = [telling(), telling("ends", "bell-away", ""), telling("trial", "", "")]
    assert (
        alerts_words.subject(some[:1])
        == "mtumail: The queue send is stuck: its oldest work has been due for 45 minutes"
    )
    assert alerts_words.subject(some).endswith("(and 2 more)")
    assert "Trial: Nothing is wrong: this only tries the way." in alerts_words.letter(
        some, "https://x.example"
    )


def test_the_body_of_a_webhook_holds_codes_and_numbers():
    told = json.loads(alerts_words.payload(telling(), "https://mail.example.org"))
    assert told["type"] == "alert.begins"
    assert told["timestamp"] == "2026-11-23T07:05:00+00:00"
    assert told["data"] | {"text": ""} == {
        "service": "https://mail.example.org", "alert": 3, "code": "queue-old", "label": "send", "value": 45.0,
        "since": "2026-11-23T07:05:00+00:00", "text": "",
    }  # fmt: skip


def test_it_is_signed_as_standard_webhooks_says():
    """The example of the specification: its id, time, body and secret make its signature."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    made = alerts_hook.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert alerts_hook.signature("any other secret that is long", "a", 1, b"x") == (
        "v1," + base64.b64encode(hmac.digest(b"any other secret that is long", b"a.1.x", sha256)).decode()
    )


@pytest.mark.parametrize(
    ("url", "secret", "code"),
    [
        ("https://example.org", "", "no-secret"),
        ("ftp://example.org", "s", "url"),
        ("http://[::1", "s", "url"),
        ("http://x:port/", "s", "url"),
        ("http://127.0.0.1:9/", "s", "away"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(url, secret, code):
    assert alerts_hook.call(url, secret, "id", 1, b"{}") == code


# --- the database --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO alert (code, label, value) VALUES ('disk-low', 'box', 1)",
        "INSERT INTO alert (code, value) VALUES ('Disk low', 1)",
        "INSERT INTO alert (code, label, value) VALUES ('disk-low', 'ann@example.org', 1)",
        "INSERT INTO alert (code, label, value) VALUES ('disk-low', 'x', 'NaN')",
        "INSERT INTO alert (code, value, ended_at) VALUES ('disk-low', 1, now() - interval '1 hour')",
        "INSERT INTO alert (code, value, muted_until) VALUES ('disk-low', 1, now())",
        "INSERT INTO alert_telling (kind, way) VALUES ('begins', 'mail')",
        "INSERT INTO alert_telling (kind, way, alert_id) SELECT 'trial', 'mail', alert_id FROM alert",
        "INSERT INTO alert_telling (kind, way) VALUES ('trial', 'pigeon')",
        "INSERT INTO alert_telling (kind, way) VALUES ('shout', 'mail')",
        "INSERT INTO alert_telling (kind, way, outcome) VALUES ('trial', 'mail', 'told')",
        "INSERT INTO alert_telling (kind, way, problem) VALUES ('trial', 'mail', 'No Such Words')",
        "INSERT INTO alert_look (machine) VALUES ('A Machine')",
    ],
)
def test_the_database_refuses(look, superuser, statement):
    look(DISK)
    with pytest.raises(DBAPIError, match="violates"):
        superuser.execute(text(statement))


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("web", "SELECT * FROM alert"),
        ("web", "SELECT * FROM alert_facts()"),
        ("inbound", "SELECT * FROM alert"),
        ("staff", "INSERT INTO alert (code, value) VALUES ('disk-low', 1)"),
        ("staff", "UPDATE alert SET ended_at = now()"),
        ("staff", "UPDATE alert_telling SET outcome = 'told'"),
        (
            "staff",
            "INSERT INTO alert_telling (kind, way, outcome, finished_at) VALUES ('trial', 'mail', 'told', now())",
        ),
        ("worker", "DELETE FROM alert"),
    ],
)
def test_P15_each_role_does_its_part(look, database, role, statement):
    look(DISK)
    engine = create_engine(database.urls["web" if role == "staff" else role], poolclass=NullPool)
    with engine.connect() as connection:
        if role == "staff":
            connection.execute(text("SET LOCAL ROLE mtumail_staff"))
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()
