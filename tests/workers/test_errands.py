"""Errands for people: Clerk ends what was ended here, however long it takes; and people are told, once."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.db import transaction
from webmail.identity import errands, sessions
from webmail.identity.clerk.transport import BackendRefused, BackendUnavailable, NotFound, RateLimited
from webmail.sending import telling
from webmail.sending.relay import Outcome, RecipientOutcome
from workers import errands as worker_errands
from workers import keeping


@pytest.fixture
def clerk(monkeypatch):
    """Clerk's Backend API: what it is asked, and what it says."""

    class Clerk:
        def __init__(self):
            self.asked, self.trouble, self.known = [], None, []

        def revoke_session(self, session_id):
            self.asked.append(session_id)
            if self.trouble:
                raise self.trouble

        def sessions(self, _user_id, limit):
            return self.known[:limit]

    fake = Clerk()
    monkeypatch.setattr(worker_errands, "_backend", lambda: fake)
    return fake


@pytest.fixture
def road(monkeypatch):
    """What leaves by the relay, and how it goes."""

    class Road:
        sent, kind = [], "sent"

        def __init__(self, *_arguments):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def send(self, sender, recipients, raw, **_more):
            Road.sent.append((sender, recipients, raw))
            return Outcome(tuple(RecipientOutcome(one, Road.kind, 250, "", "") for one in recipients))

    Road.sent, Road.kind = [], "sent"
    monkeypatch.setattr(worker_errands, "Relays", Road)
    return Road


@pytest.fixture
def add(web_app):
    """Put an errand in, as web does."""

    def put(kind, account_id, **facts):
        with web_app.app_context(), transaction():
            return errands.add(kind, account_id, **facts)

    return put


def _left(superuser, columns="kind, attempts, problem, parked_at IS NULL"):
    return [tuple(row) for row in superuser.execute(text(f"SELECT {columns} FROM errand ORDER BY made_at"))]


def _hurry(superuser):
    superuser.execute(text("UPDATE errand SET due_at = now() WHERE parked_at IS NULL"))


def test_a_session_that_ended_here_ends_at_clerk(worker, clerk, web_app, ann, superuser):
    with web_app.app_context(), transaction():
        sessions.end_at_clerk("sess_gone00000001", "signed-out")
    assert worker_errands.drain() == 1
    assert clerk.asked == ["sess_gone00000001"]
    assert _left(superuser) == []


@pytest.mark.parametrize(
    "trouble",
    [
        BackendUnavailable("timeout"),
        RateLimited("rate-limited", 1.0),
        BackendRefused("clerk_key_invalid", 401),
    ],
)
def test_clerk_slow_or_away_is_asked_again_and_the_session_stays_out(
    worker, clerk, add, ann, superuser, trouble
):
    add("revoke", None, session="sess_gone00000001")
    clerk.trouble = trouble
    for number in range(1, 4):
        assert worker_errands.drain() == 1
        [(kind, attempts, problem, is_alive)] = _left(superuser)
        assert (kind, attempts, is_alive) == ("revoke", number, True)
        assert problem.startswith("clerk-")
        superuser.execute(text("UPDATE session_denial SET until = now() + interval '1 minute'"))
        _hurry(superuser)
    clerk.trouble = None
    worker_errands.drain()
    assert _left(superuser) == []
    denied = "SELECT until > now() + interval '1 day' FROM session_denial WHERE subject = 'sess_gone00000001'"
    assert superuser.execute(text(denied)).scalar() is True, "kept out for as long as Clerk did not know"


@pytest.mark.parametrize(
    "trouble", [NotFound("resource_not_found", 404), BackendRefused("session_over", 400)]
)
def test_a_session_that_clerk_does_not_know_is_over(worker, clerk, add, superuser, empty, trouble):
    add("revoke", None, session="sess_gone00000001")
    clerk.trouble = trouble
    worker_errands.drain()
    assert _left(superuser) == []


def test_after_sixty_attempts_a_person_looks(worker, clerk, add, superuser, empty):
    add("revoke", None, session="sess_gone00000001")
    clerk.trouble = BackendUnavailable("timeout")
    superuser.execute(text("UPDATE errand SET attempts = 59"))
    worker_errands.drain()
    assert _left(superuser) == [("revoke", 60, "clerk-away", False)]
    assert worker_errands.drain() == 0


def test_all_others_are_ended_those_that_never_came_here_too(worker, clerk, add, ann, superuser):
    now = datetime.now(UTC).timestamp()
    clerk.known = [
        {"id": "sess_this00000001", "created_at": int((now - 900) * 1000)},
        {"id": "sess_never0000001", "created_at": int((now - 900) * 1000)},
        {"id": "sess_after0000001", "created_at": int((now + 900) * 1000)},
    ]
    add("revoke_others", ann.account_id, keep="sess_this00000001")
    worker_errands.drain()
    assert clerk.asked == ["sess_never0000001"], "neither the one that asked, nor one that began afterwards"
    assert superuser.execute(text("SELECT array_agg(subject) FROM session_denial")).scalar() == [
        "sess_never0000001"
    ]
    assert _left(superuser) == []


def test_a_new_sign_in_is_told_in_the_mailbox_and_elsewhere(
    worker, add, ann, road, superuser, opened, monkeypatch
):
    from webmail.mail import messages, reading
    from workers import filing

    add("tell", ann.account_id, what="sign-in", device="Firefox on Linux", network="203.0.113.0/24")
    assert worker_errands.drain() == 1
    assert filing.drain() == 1
    [number] = superuser.execute(
        text("SELECT message_id FROM message WHERE mailbox_id = :m"), {"m": ann.mailbox_id}
    ).scalars()
    view = opened(ann, lambda keys: reading.load(keys, number))
    line = opened(ann, lambda keys: messages.line(keys, number))
    assert view.subject == "New sign-in: Firefox on Linux"
    assert "203.0.113.0/24" in view.text
    assert "/settings/sessions" in view.text
    assert (line.folder.slug, line.unread) == ("inbox", True)
    [(sender, recipients, raw)] = road.sent
    assert (sender, recipients) == ("", ("ann@elsewhere.example",))
    assert b"Auto-Submitted: auto-generated" in raw
    assert _left(superuser) == []


def test_a_run_that_was_killed_does_not_tell_twice(worker, add, ann, road, superuser):
    add("tell", ann.account_id, what="role-granted", role="support")
    road.kind = "deferred"
    worker_errands.drain()
    assert _left(superuser, "attempts, problem, facts ->> 'kept'") == [(1, "relay", "1")]
    _hurry(superuser)
    road.kind = "sent"
    worker_errands.drain()
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1
    ids = {re.search(rb"Message-ID: (\S+)", raw)[1] for _sender, _recipients, raw in road.sent}
    assert (len(road.sent), len(ids)) == (2, 1), "the same Message-ID"


def test_who_has_no_other_address_is_told_in_the_mailbox_alone(worker, add, ann, road, superuser):
    for contact in ("", "Ann@mtumail.test", "no address"):
        superuser.execute(text("UPDATE account SET contact_email = :c"), {"c": contact})
        add("tell", ann.account_id, what="role-revoked", role="admin")
        worker_errands.drain()
    assert road.sent == []
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 3
    assert _left(superuser) == []


def test_a_full_mailbox_keeps_nobody_from_being_told_elsewhere(worker, add, ann, road, superuser):
    superuser.execute(text("UPDATE mailbox SET used_bytes = quota_bytes"))
    add("tell", ann.account_id, what="sign-in", device="w3m", network="")
    worker_errands.drain()
    assert len(road.sent) == 1
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 0


def test_an_errand_is_run_by_one_worker_and_taken_over_when_that_dies(worker, add, ann, superuser):
    add("tell", ann.account_id, what="sign-in", device="w3m", network="")
    with worker.app_context():
        with transaction():
            first = errands.claim(timedelta(minutes=1))
        with transaction():
            assert errands.claim(timedelta(minutes=1)) is None
        _hurry(superuser)
        with transaction():
            second = errands.claim(timedelta(minutes=1))
        with transaction():
            assert not errands.remember(first, kept=1)
            assert not errands.finish(first)
            assert errands.finish(second)
    assert _left(superuser) == []


def test_what_nobody_rang_for_is_found(worker, add, ann):
    add("tell", ann.account_id, what="sign-in", device="w3m", network="")
    jobs.bell.redis.flushall()
    assert jobs.ERRAND in keeping.sweep()


@pytest.mark.parametrize("what", ["sign-in", "role-granted", "role-revoked"])
def test_notices_are_short_and_ask_for_nothing(what):
    facts = {"device": "Firefox on Linux", "network": "203.0.113.0/24", "role": "support_lead"}
    subject, body = telling.words(
        what, facts, datetime(2026, 11, 23, 4, 5, tzinfo=UTC), "https://mail.example.org"
    )
    assert len(subject) < 80
    assert "23 November 2026, 04:05 UTC" in body
    assert all(len(line) < 120 for line in body.splitlines())
    with pytest.raises(ValueError, match="no words"):
        telling.words("other", facts, datetime.now(UTC), "")
