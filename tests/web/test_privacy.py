"""The published policy: word for word, with the operator's name and contact, and beside each promise what keeps it."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.privacy import register, retention
from webmail.settings import kept


@pytest.fixture
def page(stranger, empty):
    return lambda: unescape(re.sub(r"\s+", " ", stranger.get("/privacy").text))


def test_P27_it_names_who_runs_the_service_and_where_questions_go(page, web_app):
    assert 'how mtumail ("we/us") processes' in page()
    with web_app.app_context(), transaction(staff=True):
        kept.change("service.operator", "Ferns & Sons", actor="account:1")
        kept.change("service.contact", "privacy@ferns.example", actor="account:1")
    assert 'how mtumail, run by Ferns & Sons ("we/us"), processes' in page()
    assert "Questions or requests: privacy@ferns.example." in page()


def test_P25_schedules_stand_beside_the_promise_and_are_live(page, web_app):
    assert "Sign-ins that were ended: 30 days; not run yet" in page()
    with web_app.app_context(), transaction(staff=True):
        kept.change("retention.denials", 12, actor="account:1")
    assert "Sign-ins that were ended: 12 days" in page()
    assert page().count("not run yet") == len(retention.RULES)


def test_P16_the_log_is_counted_and_its_root_can_be_fetched(page, make_person, superuser):
    make_person("ann")
    count = superuser.execute(text("SELECT count(*) FROM audit_event")).scalar()
    assert count > 0
    assert re.search(rf"The audit log holds {count} entr(y|ies); its root is not signed yet", page())
    assert 'href="/privacy/log"' in page()


def test_P05_each_purpose_has_its_basis(page):
    for words in ("to provide the service: contract", "to comply with law: legal obligation"):
        assert words in page()
    assert f"{len(register.KINDS)} kinds of data" in page()


def test_P11_accesses_are_counted_for_everybody(page):
    assert "This year: asked for 0 times, opened 0 times, reviewed 0 times" in page()
    assert 'href="/access-log"' in page()


def test_P22_the_relay_is_named_without_its_secrets(page):
    assert "Mail leaves through 127.0.0.1" in page()
