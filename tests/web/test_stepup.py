"""A proof before what matters: asked in place, kept form, good for one act on one thing, counted when wrong."""

import re
import time
from html import unescape

import pytest
from flask import g, request
from sqlalchemy import text

from webmail.db import transaction
from webmail.identity import stepup
from webmail.identity.clerk.transport import BackendUnavailable
from webmail.identity.stepup import ConfirmationNeeded, Question
from webmail.identity.viewer import Viewer
from webmail.web import confirming

PATH = "/settings/sessions/end-others"


@pytest.fixture(autouse=True)
def guarded(web_app, monkeypatch):
    """A form of ours that asks for a proof: what it was sent ends up here."""
    done = []

    def act(level="second_factor"):
        with transaction():
            stepup.require(g.viewer, act="tests.act", target=request.values.get("target", ""), level=level)
            done.append(request.form.to_dict())
        return "done"

    act.access = web_app.view_functions["sessions.end_others"].access
    monkeypatch.setitem(web_app.view_functions, "sessions.end_others", act)
    return done


@pytest.fixture
def clerk(web_app, monkeypatch):
    """What Clerk says to a password and to a code, and what it was asked."""

    class Clerk:
        password, code, asked = "mtumail-demo", "123456", []

        def verify_password(self, user_id, given):
            self.asked.append(("password", user_id))
            return given == self.password

        def verify_totp(self, user_id, given):
            self.asked.append(("totp", user_id))
            return given == self.code

    fake = Clerk()
    fake.asked = []
    backend = web_app.extensions["auth"].clerk.backend
    monkeypatch.setattr(backend, "verify_password", fake.verify_password)
    monkeypatch.setattr(backend, "verify_totp", fake.verify_totp)
    return fake


def _fields(page):
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in hidden}


@pytest.fixture
def asked(browser_of, ann, csrf):
    """A client that has been asked: it, and the fields of the page."""
    client = browser_of(ann)
    answer = client.post(
        PATH, data={"csrf_token": csrf(client), "target": "7", "words": 'kept "words"\nof two lines'}
    )
    assert answer.status_code == 403
    assert answer.headers["Cache-Control"] == "private, no-store"
    return client, _fields(answer.text)


def _audited(superuser, kind):
    return superuser.execute(
        text("SELECT count(*) FROM audit_event WHERE kind = :kind"), {"kind": kind}
    ).scalar()


def test_one_press_confirms_and_does_it_with_what_was_typed(asked, clerk, guarded, superuser):
    client, fields = asked
    assert fields["words"] == 'kept "words"\nof two lines'
    answer = client.post(PATH, data=fields | {"confirm_password": clerk.password})
    assert answer.text == "done"
    assert guarded[0]["target"] == "7"
    assert [_audited(superuser, kind) for kind in ("stepup.confirmed", "stepup.used", "stepup.wrong")] == [
        1,
        1,
        0,
    ]


def test_it_counts_once(asked, clerk, guarded):
    client, fields = asked
    sent = fields | {"confirm_password": clerk.password}
    assert client.post(PATH, data=sent).status_code == 200
    assert client.post(PATH, data=sent).status_code == 403, "the same page sent twice"
    plain = {name: value for name, value in fields.items() if name != "confirm"}
    assert client.post(PATH, data=plain).status_code == 403
    assert len(guarded) == 1


@pytest.mark.parametrize("change", [{"target": "8"}, {"target": ""}, {"target": "7 "}])
def test_it_is_bound_to_the_target(asked, clerk, guarded, change):
    client, fields = asked
    answer = client.post(PATH, data=fields | {"confirm_password": clerk.password} | change)
    assert answer.status_code == 403
    assert guarded == []


def test_it_is_bound_to_the_session(asked, clerk, ann, token, guarded, web_app, superuser):
    client, fields = asked
    question = confirming.QUESTION
    with web_app.app_context():
        opened = confirming._signer().loads(fields[question])
    superuser.execute(
        text(
            "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method) VALUES (5, :a, 'sess_other', 'tests.act', :t, 'totp')"
        ),
        {"a": ann.account_id, "t": bytes.fromhex(opened["t"])},
    )
    assert (
        client.post(
            PATH, data={name: value for name, value in fields.items() if name != question}
        ).status_code
        == 403
    )
    assert guarded == []


def test_another_ones_question_is_no_answer(asked, clerk, ben, browser_of, csrf, guarded):
    _client, fields = asked
    other = browser_of(ben)
    answer = other.post(PATH, data=fields | {"csrf_token": csrf(other), "confirm_password": clerk.password})
    assert answer.status_code == 403
    assert clerk.asked == []
    assert guarded == []


@pytest.mark.parametrize("question", ["", "rubbish", "eyJuIjoxfQ.AAAA", "a" * 5000])
def test_a_forged_question_asks_anew_and_asks_clerk_nothing(asked, clerk, guarded, question):
    client, fields = asked
    answer = client.post(PATH, data=fields | {"confirm": question, "confirm_password": clerk.password})
    assert answer.status_code == 403
    assert clerk.asked == []
    assert guarded == []


def test_it_runs_out(asked, clerk, guarded, superuser):
    client, fields = asked
    with pytest.raises(Exception, match="confirmation_is_short"):
        superuser.execute(
            text(
                "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method, expires_at) SELECT 9, account_id, 'sess_x', 'tests.act', sha256(''), 'totp', now() + interval '11 minutes' FROM account"
            )
        )
    client.post(PATH, data=fields | {"target": "8", "confirm_password": clerk.password})
    superuser.execute(text("SET session_replication_role = replica"))
    superuser.execute(
        text(
            "UPDATE confirmation SET made_at = now() - interval '11 minutes', expires_at = now() - interval '1 minute'"
        )
    )
    superuser.execute(text("SET session_replication_role = origin"))
    plain = {name: value for name, value in fields.items() if name != "confirm"}
    assert client.post(PATH, data=plain).status_code == 403
    assert guarded == []


def test_what_is_wrong_is_said_counted_and_stopped(asked, clerk, guarded, superuser):
    client, fields = asked
    for _number in range(5):
        answer = client.post(PATH, data=fields | {"confirm_password": "guess-5d1f"})
        assert answer.status_code == 403
        assert "That was not right" in answer.text
        assert "guess-5d1f" not in answer.text
        assert _fields(answer.text)["words"] == fields["words"]
    answer = client.post(PATH, data=fields | {"confirm_password": clerk.password})
    assert answer.status_code == 429, "the right one is too late"
    assert len(clerk.asked) == 5
    assert guarded == []
    assert _audited(superuser, "stepup.wrong") == 5
    assert _audited(superuser, "stepup.too_many") == 1
    superuser.execute(text("SET session_replication_role = replica"))
    superuser.execute(text("UPDATE confirmation_try SET at = now() - interval '11 minutes'"))
    superuser.execute(text("SET session_replication_role = origin"))
    assert client.post(PATH, data=fields | {"confirm_password": clerk.password}).text == "done"


def test_clerk_away_is_said_and_held_against_nobody(asked, clerk, web_app, monkeypatch, guarded):
    client, fields = asked

    def away(_user, _password):
        raise BackendUnavailable("connect")

    monkeypatch.setattr(web_app.extensions["auth"].clerk.backend, "verify_password", away)
    for _number in range(7):
        answer = client.post(PATH, data=fields | {"confirm_password": clerk.password})
        assert answer.status_code == 503
    assert "does not answer" in answer.text
    monkeypatch.setattr(web_app.extensions["auth"].clerk.backend, "verify_password", clerk.verify_password)
    assert client.post(PATH, data=fields | {"confirm_password": clerk.password}).text == "done"


def test_nothing_filled_in_does_nothing(asked, clerk, guarded):
    client, fields = asked
    answer = client.post(PATH, data=fields)
    assert answer.status_code == 403
    assert "Please fill in" in answer.text
    assert clerk.asked == []
    assert guarded == []


def test_a_second_factor_is_asked_for_where_it_is_on(browser_of, ann, csrf, token, clerk, guarded):
    client = browser_of(ann)
    client.set_cookie("__session", token(ann.user_id, fva=[3, 3]), domain="mail.localhost")
    page = client.post(PATH, data={"csrf_token": csrf(client), "target": "7"}).text
    assert 'name="confirm_code"' in page
    assert 'name="confirm_password"' not in page
    wrong = client.post(PATH, data=_fields(page) | {"confirm_password": clerk.password})
    assert wrong.status_code == 403, "the password alone is not enough then"
    right = client.post(PATH, data=_fields(page) | {"confirm_code": " 123 456 "})
    assert right.text == "done"
    assert [what for what, _user in clerk.asked] == ["totp"]


def test_signing_in_again_is_a_proof_too(browser_of, ann, csrf, token, clerk, guarded, web_app):
    client = browser_of(ann)
    page = client.post(PATH, data={"csrf_token": csrf(client), "target": "7"}).text
    fields = _fields(page)
    with web_app.app_context():
        told = confirming._signer().loads(fields["confirm"]) | {"at": int(time.time()) - 120}
        fields["confirm"] = confirming._signer().dumps(told)
    now = int(time.time())
    client.set_cookie(
        "__session",
        token(ann.user_id, "sess_again0000001", fva=[0, -1], iat=now - 2),
        domain="mail.localhost",
    )
    kept = client.post(PATH, data=fields, headers={"Origin": "http://mail.localhost:8000"})
    assert kept.status_code == 403, "a form of the session before comes back to be sent once more"
    again = _fields(kept.text) | {"csrf_token": csrf(client)}
    assert again["confirm"] == fields["confirm"]
    assert client.post(PATH, data=again).text == "done"
    assert clerk.asked == []


def _question(at):
    return Question(1, 2, "tests.act", b"x" * 32, "second_factor", at)


@pytest.mark.parametrize(
    ("ages", "issued", "good"),
    [
        ((0, -1), 1001, True),
        ((0, -1), 1000, False),  # no newer than the question
        ((0, -1), 999, False),
        ((1, -1), 1030, False),
        ((1, -1), 1061, True),
        ((5, 0), 1010, True),
        ((0, 5), 1010, False),  # the second factor decides
        ((9, -1), 1000 + 3600, True),
        ((10, -1), 1000 + 3600, False),  # never older than ten minutes
        ((-1, -1), 1010, False),
        ((), 1010, False),
    ],
)
def test_only_a_sign_in_after_the_question_answers_it(ages, issued, good):
    assert stepup.signed_in_since(_question(1000), ages, issued) is good


def test_a_page_that_asks_comes_back_by_get(web_app, browser_of, ann, csrf, clerk, monkeypatch):
    def look():
        with transaction():
            stepup.require(g.viewer, act="tests.look", target=request.args["of"])
        return "the page"

    look.access = web_app.view_functions["sessions.index"].access
    client = browser_of(ann)
    token_ = csrf(client)
    monkeypatch.setitem(web_app.view_functions, "sessions.index", look)
    page = client.get("/settings/sessions?of=12").text
    fields = _fields(page)
    assert fields["next"] == "/settings/sessions?of=12"
    assert 'action="/confirm"' in page
    answer = client.post("/confirm", data=fields | {"confirm_password": clerk.password, "csrf_token": token_})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings/sessions?of=12")
    assert client.get("/settings/sessions?of=12").text == "the page"
    assert client.get("/settings/sessions?of=12").status_code == 403, "each look is its own"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/auth/sign-out", "/\\evil"])
def test_confirm_leads_to_no_other_site(browser_of, ann, csrf, target):
    client = browser_of(ann)
    answer = client.post("/confirm", data={"csrf_token": csrf(client), "next": target})
    assert answer.headers["Location"] == "/"


def test_two_at_once_use_one_confirmation(web_app, ann, superuser):
    viewer = Viewer(ann.account_id, ann.user_id, "sess_a", "", "", frozenset(), None, None, "active", (0, -1))
    superuser.execute(
        text(
            "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method) VALUES (5, :a, 'sess_a', 'tests.act', :t, 'totp')"
        ),
        {"a": ann.account_id, "t": stepup.target_hash("tests.act", 7)},
    )
    from concurrent.futures import ThreadPoolExecutor

    def once(_number):
        with web_app.app_context():
            try:
                with transaction():
                    stepup.require(viewer, act="tests.act", target=7)
                    time.sleep(0.1)
                return True
            except ConfirmationNeeded:
                return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(once, range(4))) == [False, False, False, True]


def test_what_is_old_is_forgotten(owner_app, ann, superuser):
    superuser.execute(
        text(
            "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method, made_at, expires_at) VALUES (5, :a, 'sess_a', 'tests.act', sha256(''), 'totp', now() - interval '3 days', now() - interval '3 days' + interval '1 minute')"
        ),
        {"a": ann.account_id},
    )
    from datetime import timedelta

    with owner_app.app_context(), transaction():
        assert stepup.purge(timedelta(days=1)) == 1
