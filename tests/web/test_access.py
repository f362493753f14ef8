"""Closed unless listed: every route says who may come in, and strangers learn nothing from it."""

import inspect
import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.web.access import PUBLIC, UNDECLARED, declared_access
from webmail.web.security import EXEMPT_ENDPOINTS

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def _routes(app):
    """(endpoint, path with example values, methods) of every route."""
    examples = {
        "folder": "inbox",
        "message": show_id(12345),
        "number": "1",
        "name": "file.txt",
        "within": "2.1",
        "contact": show_id(12345),
        "token": "AAAA",
    }
    for rule in app.url_map.iter_rules():
        pattern = re.sub(r"<any\(([^,)]+)[^)]*\):[^<>]+>", r"\1", rule.rule)
        path = re.sub(
            r"<(?:[^:<>]+:)?([^<>]+)>", lambda match: examples.get(match.group(1), show_id(12345)), pattern
        )
        yield rule.endpoint, path, rule.methods - {"HEAD", "OPTIONS"}


def test_every_route_declares_who_may_come_in(web_app):
    declared = declared_access(web_app)
    assert declared
    assert [endpoint for endpoint, permission in declared.items() if permission == UNDECLARED] == []


def test_a_stranger_is_sent_to_sign_in_by_every_private_page(web_app, stranger, empty):
    declared = declared_access(web_app)
    seen = 0
    for endpoint, path, methods in _routes(web_app):
        if "GET" in methods and declared[endpoint] == "mail":
            answer = stranger.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/auth/sign-in"), path
            stranger.delete_cookie("__clerk_redirect_count", domain="mail.localhost")
            seen += 1
    assert seen > 8


def test_a_stranger_changes_nothing(web_app, stranger, empty):
    for endpoint, path, methods in _routes(web_app):
        for method in methods & UNSAFE if endpoint not in EXEMPT_ENDPOINTS else ():
            answer = stranger.open(path, method=method, data={"action": "trash"})
            assert answer.status_code in (303, 401, 403), (endpoint, path, answer.status_code)


def test_a_form_without_a_token_is_refused_on_every_route(web_app, browser_of, ann):
    client = browser_of(ann)
    for endpoint, path, methods in _routes(web_app):
        for method in methods & UNSAFE if endpoint not in EXEMPT_ENDPOINTS else ():
            answer = client.open(path, method=method, data={"action": "trash"})
            assert answer.status_code == 403, (endpoint, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_a_cross_origin_form_is_refused_even_with_a_good_token(browser_of, ann, csrf, headers):
    client = browser_of(ann)
    answer = client.post(
        "/settings",
        data={"csrf_token": csrf(client), "rows": "20", "density": "compact", "reading": "reading"},
        headers=headers,
    )
    assert answer.status_code == 403


def test_another_persons_token_is_refused(browser_of, ann, ben, csrf):
    token = csrf(browser_of(ben))
    answer = browser_of(ann).post(
        "/settings", data={"csrf_token": token, "rows": "20", "density": "compact", "reading": "reading"}
    )
    assert answer.status_code == 403


def test_a_form_made_before_signing_in_again_comes_back_filled_in(web_app, browser_of, ann, csrf, token):
    client = browser_of(ann)
    old = csrf(client)
    client.set_cookie("__session", token(ann.user_id, "sess_another00000001"), domain="mail.localhost")
    answer = client.post(
        "/compose",
        data={"csrf_token": old, "body": "kept words\nof two lines", "send": "1"},
        headers={"Origin": "http://mail.localhost:8000"},
    )
    assert answer.status_code == 403
    assert "kept words" in answer.text
    assert old not in answer.text


@pytest.mark.parametrize("path", ["/mail/inbox", "/mail/inbox/{}", "/search?q=x", "/compose", "/settings"])
def test_wrong_methods_are_refused(browser_of, ann, path):
    answer = browser_of(ann).delete(path.format(show_id(1)))
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/mail/nowhere",
        "/mail/Inbox",
        "/mail/inbox/short",
        "/mail/inbox/AAAAAAAA",
        "/mail/inbox/AAAAAAA%3D",
        "/mail/inbox?c=xx",
        "/mail/inbox/AAAAAAAA/source",
        "/mail/inbox/AAAAAAAA/1/a.txt",
        "/mail/inbox/AAAAAAAA/l/1",
        "/deliveries/AAAAAAAA",
        "/compose?draft=AAAAAAAA",
        "/compose?reply=AAAAAAAA",
    ],
)
def test_what_does_not_exist_is_a_404(browser_of, ann, path):
    assert browser_of(ann).get(path).status_code == 404


def test_a_suspended_person_is_stopped_everywhere(web_app, browser_of, ann, superuser):
    client = browser_of(ann)
    assert client.get("/").status_code == 200
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    for endpoint, path, methods in _routes(web_app):
        if "GET" in methods and declared_access(web_app)[endpoint] == "mail":
            assert client.get(path).status_code == 403, path


def test_a_session_on_the_deny_list_is_over_at_once(browser_of, ann, superuser):
    client = browser_of(ann)
    superuser.execute(
        text("INSERT INTO session_denial VALUES ('sess_ann00000000', 'revoked', now() + interval '1 day')")
    )
    assert client.get("/").status_code == 403


def test_signing_out_ends_the_session_here(browser_of, ann, csrf):
    client = browser_of(ann)
    answer = client.post("/auth/sign-out", data={"csrf_token": csrf(client)})
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert browser_of(ann).get("/").status_code == 403


def test_signing_out_by_get_does_nothing(browser_of, ann):
    client = browser_of(ann)
    assert client.get("/auth/sign-out").status_code == 405
    assert client.get("/").status_code == 200


def test_every_page_carries_its_headers(web_app, browser_of, ann):
    client = browser_of(ann)
    for path in ("/", "/mail/sent", "/search?q=x", "/compose", "/settings", "/privacy", "/nope"):
        headers = client.get(path).headers
        csp = headers["Content-Security-Policy"]
        assert "default-src 'none'" in csp
        assert "frame-ancestors 'none'" in csp
        assert "unsafe" not in csp
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"]
        assert "private" in headers["Cache-Control"] or "no-store" in headers["Cache-Control"]
    assert "HX-Request" in client.get("/").headers["Vary"]


def test_public_endpoints_are_few(web_app):
    public = {endpoint for endpoint, permission in declared_access(web_app).items() if permission == PUBLIC}
    assert public <= {
        "access_log.counts",
        "auth.sign_in",
        "auth.signed_out",
        "auth.tasks",
        "frames.picture",
        "frames.remote_picture",
        "health.alive",
        "health.metrics",
        "health.ready",
        "leaving_us.certificate",
        "leaving_us.proof",
        "log.signed",
        "mta_sts.policy",
        "pages.abuse",
        "pages.abuse_outcome",
        "pages.privacy",
        "webhooks.clerk",
    }


# --- every route, every role ---------------------------------------------------------------------------------------------

EVERYBODY = {"user", "support", "support_lead", "reviewer", "admin", "auditor"}
ALLOWED = {
    "anyone": EVERYBODY,
    "way-out": EVERYBODY,
    "account": EVERYBODY,
    "mail": EVERYBODY,
    "staff": {"support", "support_lead", "reviewer", "admin", "auditor"},
    "staff.cases": {"support", "support_lead"},
    "staff.access": {"support", "support_lead"},
    "staff.close": {"support", "support_lead", "reviewer", "admin"},
    "staff.approve": {"support_lead"},
    "staff.review": {"reviewer"},
    "staff.reviews": {"reviewer", "support_lead", "admin", "auditor"},
    "staff.gag": {"support_lead", "admin"},
    "staff.appeals": {"support_lead", "reviewer"},
    "staff.people": {"support", "support_lead", "admin"},
    "staff.log": {"auditor", "admin", "support_lead"},
    "admin": {"admin"},
}
"""Written by hand: whom each permission lets in. A permission that is not here, or a route without one, fails."""


@pytest.fixture
def doors(web_app, monkeypatch):
    """The routes without what is behind them: whoever gets through reads "let in", and nothing is done."""
    for endpoint, view in list(web_app.view_functions.items()):

        def door(*_args, **_values):
            return "let in"

        declared = web_app.view_functions[endpoint]
        door.access = getattr(declared, "access", None) or getattr(inspect.unwrap(view), "access", None)
        monkeypatch.setitem(web_app.view_functions, endpoint, door)
    return list(_routes(web_app))


def _ask(client, path, method, token):
    data = {"csrf_token": token} if method in UNSAFE else None
    answer = client.open(path, method=method, data=data)
    client.delete_cookie("__clerk_redirect_count", domain="mail.localhost")
    return answer


@pytest.mark.parametrize("role", sorted(EVERYBODY))
def test_P12_every_route_lets_in_whom_its_permission_names_and_nobody_else(
    web_app, make_person, browser_of, csrf, role, request
):
    client = browser_of(make_person("sam", role=None if role == "user" else role))
    token = csrf(client)
    doors = request.getfixturevalue("doors")
    declared = declared_access(web_app)
    wrong = []
    for endpoint, path, methods in doors:
        is_let_in = declared[endpoint] == PUBLIC or role in ALLOWED[declared[endpoint]]
        for method in methods:
            answer = _ask(client, path, method, token)
            if (answer.text == "let in") is not is_let_in or (not is_let_in and answer.status_code != 403):
                wrong.append((role, method, path, declared[endpoint], answer.status_code))
    assert wrong == []
    assert len(doors) > 60


def test_P19_a_suspended_person_gets_through_no_door_but_the_way_out(
    web_app, make_person, browser_of, csrf, superuser, request
):
    sam = make_person("sam", role="admin")
    client = browser_of(sam)
    token = csrf(client)
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    doors = request.getfixturevalue("doors")
    declared = declared_access(web_app)
    for endpoint, path, methods in doors:
        for method in methods:
            answer = _ask(client, path, method, token)
            is_let_in = declared[endpoint] in (PUBLIC, "way-out")
            assert (answer.text == "let in") is is_let_in, (method, path, answer.status_code)


def test_a_stranger_gets_through_no_door_but_what_is_for_all(web_app, stranger, empty, doors):
    declared = declared_access(web_app)
    for endpoint, path, methods in doors:
        for method in methods:
            answer = _ask(stranger, path, method, "")
            is_for_all = declared[endpoint] in (PUBLIC, "anyone", "way-out")
            if method in UNSAFE and endpoint not in EXEMPT_ENDPOINTS:
                assert answer.text != "let in", (method, path)
            else:
                assert (answer.text == "let in") is is_for_all, (method, path, answer.status_code)


def test_where_a_page_lives_says_whom_it_is_for(web_app):
    declared = declared_access(web_app)
    for endpoint, path, _methods in _routes(web_app):
        permission = declared[endpoint]
        assert path.startswith("/admin") == (permission == "admin"), path
        assert path.startswith("/staff") == permission.startswith("staff"), path


def test_P15_an_auditor_changes_nothing_that_not_everybody_changes(web_app):
    declared = declared_access(web_app)
    for endpoint, path, methods in _routes(web_app):
        if methods & UNSAFE and declared[endpoint] != PUBLIC and "auditor" in ALLOWED[declared[endpoint]]:
            assert ALLOWED[declared[endpoint]] == EVERYBODY, path
