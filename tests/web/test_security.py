"""What every response carries, by machine, and what no forged request gets past: every route, as a stranger and as everybody."""

import re

import pytest

from webmail import create_app
from webmail.config import Settings
from webmail.db import show_id
from webmail.web.access import PUBLIC, declared_access
from webmail.web.security import EXEMPT_ENDPOINTS

ORIGIN = "http://mail.localhost:8000"
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
EXAMPLES = {"folder": "inbox", "number": "1", "name": "file.txt", "within": "2.1", "token": "AAAA"}
CLERK = "http://clerk.localhost:8001/"


def paths_of(app):
    """(endpoint, path with example values, methods) of every route."""
    for rule in app.url_map.iter_rules():
        path = re.sub(
            r"<(?:[^:<>]+:)?([^<>]+)>", lambda match: EXAMPLES.get(match.group(1), show_id(12345)), rule.rule
        )
        yield rule.endpoint, path, rule.methods - {"OPTIONS", "HEAD"}


def check(answer, endpoint: str, public: bool) -> None:
    headers, what = answer.headers, (endpoint, answer.status_code)
    assert headers["X-Content-Type-Options"] == "nosniff", what
    cache = headers["Cache-Control"]
    if not (public and answer.status_code == 200):
        assert "public" not in cache, what
        assert "private" in cache or "no-store" in cache, what
    assert "Access-Control-Allow-Origin" not in headers, what
    assert "X-Powered-By" not in headers, what
    for cookie in headers.getlist("Set-Cookie"):
        assert "SameSite=Lax" in cookie, what
        assert cookie.startswith(("__client_uat", "__clerk")) or "HttpOnly" in cookie, (*what, cookie)
    location = headers.get("Location", "")
    assert not location or location.startswith(CLERK) or re.match(r"/(?![/\\])", location), (*what, location)
    if answer.status_code >= 400:
        assert "Traceback" not in answer.text, what
        assert "psycopg" not in answer.text, what
    if answer.mimetype == "text/html":
        check_page(headers, what)


def check_page(headers, what) -> None:
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";") if part
    )
    assert policy["default-src"] == "'none'", what
    assert policy["frame-ancestors"] in ("'none'", "'self'"), what
    assert policy["base-uri"] == "'none'", what
    assert not any("unsafe" in value or "*" in value for value in policy.values()) or "sandbox" in policy, (
        what
    )
    if policy["frame-ancestors"] == "'none'":
        targets = policy["form-action"].split()
        assert targets[0] == "'self'", what
        assert set(targets[1:]) <= {CLERK.rstrip("/")}, what
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", what
        assert "camera=()" in headers["Permissions-Policy"], what
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), what


@pytest.mark.parametrize("who", ["stranger", "user", "admin"])
def test_every_route_answers_with_its_headers(web_app, stranger, browser_of, make_person, who):
    role = None if who in ("stranger", "user") else who
    client = browser_of(make_person("ann", role=role)) if who != "stranger" else stranger
    declared = declared_access(web_app)
    seen = 0
    for endpoint, path, methods in paths_of(web_app):
        if endpoint == "static":
            continue
        for method in sorted(methods):
            answer = client.open(path, method=method)
            assert answer.status_code < 500 or answer.status_code == 503, (endpoint, method)
            check(answer, endpoint, declared[endpoint] == PUBLIC)
            if method == "GET" and declared[endpoint] != PUBLIC:
                assert "Cookie" in answer.vary, endpoint
            seen += 1
            stranger.delete_cookie("__clerk_redirect_count", domain="mail.localhost")
    assert seen > 100


def test_fragments_are_not_taken_for_pages_by_a_cache(web_app, browser_of, ann):
    client = browser_of(ann)
    for endpoint, path, methods in paths_of(web_app):
        if "GET" not in methods or declared_access(web_app)[endpoint] == PUBLIC:
            continue
        answer = client.get(path, headers={"HX-Request": "true", "Sec-Fetch-Dest": "empty"})
        assert {"HX-Request", "Cookie"} <= set(answer.vary), endpoint
        assert "public" not in answer.headers["Cache-Control"], endpoint


def test_what_does_not_exist_has_them_too(browser_of, ann, stranger):
    client = browser_of(ann)
    for one in (client, stranger):
        for path in (
            "/nowhere",
            "/mail/inbox/AAAAAAAA/a.css",
            "/mail/inbox;x",
            "/%2e%2e/etc/passwd",
            "/webhooks/clerk",
        ):
            check(one.get(path), path, public=False)
        check(one.delete("/mail/inbox"), "wrong method", public=False)


def test_P13_https_is_for_good(environment, database):
    settings = environment | {
        "MTUMAIL_ORIGIN": "https://mail.example.com",
        "DATABASE_URL": database.urls["web"],
    }
    client = create_app(Settings.from_environment(settings)).test_client()
    headers = client.get("/signed-out", base_url="https://mail.example.com").headers
    assert int(headers["Strict-Transport-Security"].partition("=")[2]) >= 31536000


# --- requests that somebody else made ---

CROSS = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://evil.mail.localhost:8000"},
    {"Origin": "http://mail.localhost"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "HX-Request": "true"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture
def change(browser_of, ann, csrf, superuser):
    """Send a form that would change a setting; whether it did."""
    from sqlalchemy import text

    client = browser_of(ann)
    good = csrf(client)

    def send(**how):
        answer = client.open("/settings", method="POST", **how)
        changed = superuser.execute(text("SELECT density_preference FROM account")).scalar_one() == "compact"
        return answer.status_code, changed

    return send, good


FIELDS = {"rows": "20", "density": "compact", "reading": "reading"}


def test_the_forms_own_way_works(change):
    send, good = change
    status, changed = send(data=FIELDS | {"csrf_token": good}, headers={"Origin": ORIGIN})
    assert (status in (302, 303), changed) == (True, True)


@pytest.mark.parametrize("headers", CROSS)
def test_another_site_changes_nothing_with_the_best_of_tokens(change, headers):
    send, good = change
    assert send(data=FIELDS | {"csrf_token": good}, headers=headers) == (403, False)
    assert send(data=FIELDS, headers=headers | {"X-CSRF-Token": good}) == (403, False)


def test_tokens_that_are_none(change):
    send, good = change
    for token in (
        "",
        "x",
        good[:-2],
        good + "00",
        good[::-1],
        "0" * len(good),
        good.replace(good[0], "g", 1),
        "é" * 64,
    ):
        assert send(data=FIELDS | {"csrf_token": token}) == (403, False), token


def test_a_token_counts_in_the_form_or_its_header_alone(change):
    send, good = change
    assert send(query_string={"csrf_token": good}, data=FIELDS) == (403, False)
    assert send(data=FIELDS, headers={"Cookie": f"csrf_token={good}"})[1] is False
    body = "&".join(f"{name}={value}" for name, value in (FIELDS | {"csrf_token": good}).items())
    assert send(data=body, content_type="text/plain") == (403, False)
    assert send(json=FIELDS | {"csrf_token": good}) == (403, False)


def test_no_other_way_to_say_post(browser_of, ann, csrf, superuser):
    from sqlalchemy import text

    client = browser_of(ann)
    good = csrf(client)
    for headers in (
        {"X-HTTP-Method-Override": "POST"},
        {"X-HTTP-Method": "POST"},
        {"X-Method-Override": "POST"},
    ):
        client.get(
            "/settings", query_string=FIELDS | {"csrf_token": good, "_method": "POST"}, headers=headers
        )
    assert superuser.execute(text("SELECT density_preference FROM account")).scalar_one() == "comfortable"


def test_tokens_are_masked_anew_and_the_same_within_a_page(browser_of, ann):
    client = browser_of(ann)
    pages = [client.get("/settings").text for _ in range(2)]
    found = [set(re.findall(r'name="csrf_token" value="([0-9a-f]+)"', page)) for page in pages]
    assert [len(tokens) for tokens in found] == [1, 1]
    assert found[0] != found[1]


def test_every_form_of_every_page_carries_a_token_and_leads_home(web_app, browser_of, make_person):
    client = browser_of(make_person("ann", role="admin"))
    checked = 0
    for _endpoint, path, methods in paths_of(web_app):
        page = client.get(path) if "GET" in methods else None
        if page is None or page.mimetype != "text/html" or page.status_code != 200:
            continue
        for form in re.findall(r"<form\b[^>]*method=\"?post.*?</form>", page.text, re.DOTALL | re.IGNORECASE):
            assert 'name="csrf_token"' in form, path
            action = re.search(r'action="([^"]*)"', form)
            assert action is None or re.match(r"(/(?!/)|\?|$)", action[1]), path
            checked += 1
    assert checked > 15


def test_exempt_from_tokens_is_what_signs_its_requests_and_the_form_of_strangers():
    assert {"webhooks.clerk", "pages.abuse"} == EXEMPT_ENDPOINTS
