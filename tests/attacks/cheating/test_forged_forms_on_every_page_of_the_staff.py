"""A foreign page sends a form to an address of the staff with a colleague's cookies: without a token, or with another person's."""

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.identity import roles


@pytest.fixture
def boss(owner_app, make_person):
    """Somebody who has every role that acts."""
    person = make_person("boss", "Boss", "admin")
    with owner_app.app_context(), transaction():
        for role in ("support_lead", "reviewer"):
            roles.grant(person.account_id, role, by=None, reason="tests", actor="system:tests")
    return person


def targets(app):
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/staff", "/admin")) and "POST" in rule.methods:
            with app.test_request_context():
                values = dict.fromkeys(rule.arguments, "AAAAAAAA")
                try:
                    yield app.url_map.bind("").build(rule.endpoint, values, method="POST")
                except Exception:
                    values = dict.fromkeys(rule.arguments, 1)
                    yield app.url_map.bind("").build(rule.endpoint, {**values, "part": "text"}, method="POST")


def test_P12_no_form_acts_without_its_own_token(web_app, browser_of, csrf, boss, ben, superuser):
    client, foreign = browser_of(boss), csrf(browser_of(ben))
    count = text("SELECT count(*) FROM audit_event")
    before = superuser.execute(count).scalar()
    found = sorted(set(targets(web_app)))
    assert len(found) >= 20, found
    for where in found:
        for data in ({}, {"csrf_token": foreign}, {"csrf_token": "x" * 64}):
            answer = client.post(where, data=data)
            assert answer.status_code == 403, (where, data)
            assert "Please confirm that it is you" not in answer.text, where
    assert superuser.execute(count).scalar() == before


def test_P12_a_foreign_origin_is_told_apart_from_a_missing_token(browser_of, csrf, boss):
    client = browser_of(boss)
    form = {"csrf_token": csrf(client), "reason": "x"}
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/staff/tracing", data=form, headers=foreign).status_code == 403
    assert client.post("/staff/tracing", data=form).status_code == 422, (
        "and from our own page it is looked at"
    )
