"""Requests that no browser of ours makes: every route under other methods, hosts and headers; two accounts in one browser."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.embedded.dev import DevOptions, run_dev
from webmail.embedded.seed import seed
from webmail.errors import SettingError
from webmail.sending import drafts, submitting

ORIGIN = "http://mail.localhost:8000"


@pytest.fixture
def everything(superuser):
    """What the database holds of people and mail, as one value."""
    tables = (
        "account",
        "mailbox",
        "message",
        "message_view",
        "draft",
        "draft_attachment",
        "submission",
        "delivery",
        "work",
        "session_denial",
    )
    return lambda: {
        table: superuser.execute(
            text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
        ).scalar()
        for table in tables
    }


@pytest.fixture
def paths(web_app, deliver, ann, letter):
    """Every path of the application, filled in with a message of Ann's."""
    message = show_id(deliver(ann, letter()))
    values = {
        "folder": "inbox",
        "message": message,
        "number": "1",
        "name": "a.txt",
        "token": "A" * 44,
        "path": "x",
        "filename": "app.css",
        "part": "text",
    }
    found = []
    for rule in web_app.url_map.iter_rules():
        path = re.sub(
            r"<(?:([^:<>]+):)?([^<>]+)>",
            lambda m: values.get(m[2], message if m[1] == "id" else "1"),
            rule.rule,
        )
        found.append((rule.endpoint, path, rule.methods))
    return found


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"])
def test_no_route_changes_anything_under_a_method_that_only_asks(browser_of, ann, paths, everything, method):
    client = browser_of(ann)
    client.get("/settings")
    before = everything()
    for endpoint, path, _methods in paths:
        answer = client.open(path, method=method)
        assert answer.status_code < 500, endpoint
        assert method not in ("TRACE", "CONNECT", "PROPFIND") or answer.status_code in (400, 403, 404, 405), (
            endpoint
        )
    assert everything() == before


@pytest.mark.parametrize("headers", [
    {"X-HTTP-Method-Override": "DELETE"}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": ORIGIN + ".evil.example"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"HX-Request": "true", "Origin": "https://mail.localhost:8000"},
], ids=str)  # fmt: skip
def test_WB03_no_unsafe_request_passes_with_anything_less_than_a_token_from_our_origin(
    browser_of, ann, paths, everything, csrf, headers
):
    client = browser_of(ann)
    token = csrf(client) if "X-HTTP-Method-Override" not in headers else ""
    before = everything()
    for endpoint, path, methods in paths:
        if "POST" not in methods or endpoint == "webhooks.clerk":
            continue
        answer = client.post(
            path,
            data={"csrf_token": token, "action": "trash", "send": "1", "to": "x@example.org"},
            headers=headers,
        )
        assert answer.status_code == 403, endpoint
    assert everything() == before


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "mail.localhost:8000.evil.example",
        "mail.localhost",
        "evil@mail.localhost:8000",
        "a b",
        "mail.localhost:8000,evil",
    ],
)
def test_another_host_name_is_answered_by_nothing_but_our_own(browser_of, ann, paths, host):
    client = browser_of(ann)
    for endpoint, path, methods in paths:
        if endpoint.startswith("health.") or "GET" not in methods:
            continue
        answer = client.get(path, headers={"Host": host, "X-Forwarded-Host": host})
        # A mail server that asks for a policy may ask in any name; only that of a domain of ours has one.
        expected = (404,) if endpoint == "mta_sts.policy" else (302, 308, 400)
        assert answer.status_code in expected, endpoint
        assert "location" not in answer.headers or answer.headers["location"].startswith(ORIGIN + "/"), (
            endpoint
        )
        assert "How are you" not in answer.text


def test_forwarded_headers_of_a_stranger_say_nothing(browser_of, ann, paths):
    client = browser_of(ann)
    for endpoint, path, methods in paths:
        if "GET" not in methods or endpoint == "static":
            continue
        answer = client.get(
            path,
            headers={
                "X-Forwarded-Host": "evil.example",
                "X-Forwarded-Proto": "gopher",
                "X-Forwarded-Prefix": "/evil.example",
                "Forwarded": "host=evil.example",
            },
        )
        assert "evil." not in answer.headers.get("location", "") + answer.text, endpoint


def test_two_accounts_in_one_browser_never_share_a_304(browser_of, ann, ben):
    ours = {
        path: browser_of(ann).get(path).headers.get("ETag")
        for path in ("/", "/mail/inbox", "/mail/sent", "/mail/junk")
    }
    assert all(ours.values())
    for path, etag in ours.items():
        assert browser_of(ann).get(path, headers={"If-None-Match": etag}).status_code == 304
        answer = browser_of(ben).get(path, headers={"If-None-Match": etag})
        assert answer.status_code == 200
        assert "no-cache" in answer.headers["Cache-Control"]
        assert "private" in answer.headers["Cache-Control"]
        assert {"Cookie", "HX-Request"} <= set(answer.vary)


def test_the_list_of_sent_mail_is_not_304_when_a_delivery_changed(browser_of, opened, ann, superuser):
    author = (ann.name, ann.address)

    def send(keys):
        draft = drafts.create(keys, author, drafts.Fields(to="carla@example.org", subject="s", body="b"))
        submitting.submit(keys, draft.message_id, 1, account_id=ann.account_id, author=author, limit=10**6)

    opened(ann, send)
    client = browser_of(ann)
    etag = client.get("/mail/sent").headers["ETag"]
    assert client.get("/mail/sent", headers={"If-None-Match": etag}).status_code == 304
    superuser.execute(text("UPDATE delivery SET state = 'failed', changed_at = now()"))
    assert client.get("/mail/sent", headers={"If-None-Match": etag}).status_code == 200


def test_acts_on_a_mixed_list_of_ids_touch_ones_own_alone(
    browser_of, deliver, ann, ben, letter, csrf, superuser
):
    hers, his = deliver(ann, letter()), deliver(ben, letter())
    client = browser_of(ben)
    token = csrf(client)
    for action in ("read", "star", "archive", "junk", "trash", "back", "delete"):
        client.post(
            "/mail/inbox/act",
            data={"csrf_token": token, "action": action, "confirm": "1", "id": [show_id(hers), show_id(his)]},
        )
    rows = superuser.execute(
        text("SELECT message_id, folder_id, unread, starred FROM message WHERE mailbox_id = :id"),
        {"id": ann.mailbox_id},
    ).all()
    assert rows == [(hers, 1, True, False)]


def test_a_cookie_of_ours_moved_to_another_account_does_nothing(
    browser_of, deliver, ann, ben, letter, csrf, superuser
):
    message = deliver(ann, letter())
    first, second = browser_of(ann), browser_of(ben)
    first.post("/mail/inbox/act", data={"csrf_token": csrf(first), "action": "trash", "id": show_id(message)})
    cookie = first.get_cookie("mtumail", domain="mail.localhost")
    assert cookie is not None
    assert cookie.http_only
    second.set_cookie("mtumail", cookie.value, domain="mail.localhost")
    page = second.get("/mail/inbox").text
    assert show_id(message) not in page


def test_the_demo_stays_out_of_production(environment, database, tmp_path, capsys):
    told = environment | {
        "MTUMAIL_ENV": "production",
        "MTUMAIL_ORIGIN": "https://mail.example.com",
        "DATABASE_URL": database.urls["owner"],
    }
    assert (
        run_dev(
            DevOptions(data_dir=tmp_path, http_port=0, smtp_port=0, clerk_port=0, relay_port=0, empty=True),
            environment=told,
        )
        == 1
    )
    assert "production" in capsys.readouterr().err
    with pytest.raises(SettingError):
        seed(told, True)
