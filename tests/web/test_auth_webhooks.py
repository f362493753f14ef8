"""The door for Clerk's webhooks, and the page of what came: rows 76 and 77 through the whole application."""

import base64
import hashlib
import hmac
import io
import json
import time

import pytest
from sqlalchemy import text

from webmail import create_app
from webmail.config import Settings
from webmail.identity import webhooks
from webmail.identity.clerk.webhooks import MAX_BODY

SECRET = b"webhooks of the tests"
USER = {"id": "user_ann00000000", "updated_at": 5000, "first_name": "Anne", "banned": False}
PATH = "/webhooks/clerk"


def envelope(kind="user.updated", data=None):
    event = {"object": "event", "type": kind, "timestamp": int(time.time() * 1000), "instance_id": "ins_1"}
    return json.dumps(event | {"data": data or USER}).encode()


def headers_for(body, *, message="msg_1", secret=SECRET, shift=0, signature=None):
    at = int(time.time()) + shift
    digest = hmac.digest(secret, f"{message}.{at}.".encode() + body, hashlib.sha256)
    signed = "v1," + base64.b64encode(digest).decode()
    return {
        "svix-id": message,
        "svix-timestamp": str(at),
        "svix-signature": signature.replace("GOOD", signed) if signature is not None else signed,
        "Content-Type": "application/json",
    }


@pytest.fixture
def door(web_app, empty):
    client = web_app.test_client()

    def knock(body=None, **how):
        body = envelope() if body is None else body
        return client.post(PATH, data=body, headers=headers_for(body, **how))

    return knock


@pytest.fixture
def kept(superuser):
    return lambda: superuser.execute(text("SELECT count(*) FROM webhook_event")).scalar_one()


def test_row_76_a_genuine_event_is_taken_in(door, superuser, kept):
    answer = door()
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Set-Cookie" not in answer.headers
    assert superuser.execute(text("SELECT name FROM account")).scalar_one() == "Anne"
    assert [door().status_code for _ in range(3)] == [204] * 3, "the same again"
    assert kept() == 1


@pytest.mark.parametrize(
    "how",
    [
        {"secret": b"another secret of this size"},
        {"signature": ""},
        {"signature": "garbage"},
        {"signature": "v1,a,b"},
        {"signature": "v2,GOOD"},
        {"shift": 301},
        {"shift": -301},
        {"message": ""},
        {"message": "m" * 129},
    ],
)
def test_row_76_what_is_not_genuine_is_refused_without_a_word(door, kept, how):
    answer = door(**how)
    assert (answer.status_code, answer.data) == (400, b"")
    assert kept() == 0


def test_row_76_one_of_several_signatures_is_enough(door):
    assert door(signature="v1,AAAA GOOD").status_code == 204


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"", b"[]", b"null", b'{"type": 7}', b"{" * 5000, envelope("k" * 65)]
)
def test_row_76_signed_nonsense(door, kept, body):
    assert door(body).status_code == 400
    assert kept() == 0


def test_row_76_a_megabyte_is_too_much_said_or_unsaid(web_app, empty, kept):
    body = b"x" * (1 << 20)
    client = web_app.test_client()
    assert client.post(PATH, data=body, headers=headers_for(body)).status_code == 413
    # Chunked: nothing says beforehand how long it is.
    chunked = client.post(
        PATH,
        input_stream=io.BytesIO(body),
        headers=headers_for(body),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert chunked.status_code == 413
    padded = envelope()[:-1] + b" " * (MAX_BODY - len(envelope())) + b"}"
    assert client.post(PATH, data=padded, headers=headers_for(padded)).status_code == 204, "just within"


def test_no_cookie_token_or_origin_is_asked_for_and_none_helps(web_app, browser_of, ann, kept):
    client = browser_of(ann)
    body = envelope()
    foreign = headers_for(body) | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post(PATH, data=body, headers=foreign).status_code == 204
    assert client.post(PATH, data=body, headers=headers_for(body, signature="")).status_code == 400
    assert client.get(PATH).status_code == 405


def test_row_77_a_ban_is_felt_with_a_token_that_still_holds(door, browser_of, ann):
    client = browser_of(ann)
    assert client.get("/").status_code == 200
    assert door(envelope(data=USER | {"banned": True})).status_code == 204
    for answer in (client.get("/"), client.get("/mail/inbox", headers={"HX-Request": "true"})):
        assert answer.status_code == 403
    assert door(envelope(data=USER | {"updated_at": 6000}), message="msg_2").status_code == 204
    assert client.get("/").status_code == 200


def test_a_session_ended_at_clerk_is_over_here_at_once(door, browser_of, ann):
    client = browser_of(ann)
    ended = {"id": "sess_ann00000000", "user_id": ann.user_id, "status": "revoked"}
    assert door(envelope("session.revoked", ended)).status_code == 204
    assert client.get("/").status_code == 403


def test_without_a_database_clerk_is_asked_to_repeat(environment):
    gone = environment | {"DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none"}
    client = create_app(Settings.from_environment(gone)).test_client()
    body = envelope()
    answer = client.post(PATH, base_url=environment["MTUMAIL_ORIGIN"], data=body, headers=headers_for(body))
    assert (answer.status_code, answer.data) == (503, b"")
    assert answer.headers["Retry-After"] == "5"


def test_without_a_secret_nothing_is_lost_and_nothing_believed(settings, environment, database, kept, empty):
    unset = environment | {"DATABASE_URL": database.urls["web"], "CLERK_WEBHOOK_SIGNING_SECRET": ""}
    client = create_app(Settings.from_environment(unset)).test_client()
    body = envelope()
    answer = client.post(PATH, base_url=environment["MTUMAIL_ORIGIN"], data=body, headers=headers_for(body))
    assert answer.status_code == 503
    assert kept() == 0


# --- the page ---


@pytest.fixture
def ada(make_person):
    return make_person("ada", role="admin")


def test_an_admin_sees_what_came(door, browser_of, ada):
    client = browser_of(ada)
    assert "None has come yet" in client.get("/admin/webhooks").text
    door()
    door()
    door(envelope("user.updated", USER | {"updated_at": 1}), message="msg_2")
    door(envelope("email.created", {"id": "ema_1", "body": "123456"}), message="msg_3")
    page = client.get("/admin/webhooks").text
    for word in (
        "user.updated",
        "user_ann00000000",
        "msg_1",
        "came 2 times",
        "too late to matter",
        "nothing to do",
    ):
        assert word in page, word
    assert "123456" not in page
    assert page.index("msg_3") < page.index("msg_2") < page.index("msg_1")


def test_the_page_goes_back_without_counting(door, browser_of, ada, superuser):
    superuser.execute(
        text(
            "INSERT INTO webhook_event (message_id, kind, outcome, occurred_at)"
            " SELECT 'old_' || n, 'user.updated', 'late', now() FROM generate_series(1, 3000) n; ANALYZE webhook_event"
        )
    )
    client = browser_of(ada)
    first = client.get("/admin/webhooks").text
    assert first.count("<tr>") == webhooks.PAGE + 1
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    second = client.get(older).text
    assert "old_2950<" in second
    assert "old_2951<" not in second
    plan = "\n".join(
        superuser.execute(
            text("EXPLAIN SELECT * FROM webhook_event WHERE number < 2000 ORDER BY number DESC LIMIT 51")
        ).scalars()
    )
    assert "Index Scan Backward" in plan
    assert "There are no older ones" in client.get("/admin/webhooks?before=1").text


@pytest.mark.parametrize("before", ["x", "-1", "1" * 18, "²", "1.0", " 1"])
def test_a_page_that_is_none(browser_of, ada, before):
    assert browser_of(ada).get("/admin/webhooks", query_string={"before": before}).status_code == 404


@pytest.mark.parametrize("role", [None, "support", "support_lead", "reviewer", "auditor"])
def test_P15_nobody_else_sees_it(browser_of, make_person, role):
    assert browser_of(make_person("ben", role=role)).get("/admin/webhooks").status_code == 403
