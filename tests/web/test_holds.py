"""Legal holds in the admin's pages: for a case, with a proof, never on oneself, written down."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from webmail.db import show_id

PATH = "/admin/holds"


@pytest.fixture
def proved(web_app, monkeypatch, csrf):
    backend = web_app.extensions["auth"].clerk.backend
    monkeypatch.setattr(backend, "verify_password", lambda _user, given: given == "right")

    def send(client, path, **fields):
        asked = client.post(path, data={"csrf_token": csrf(client)} | fields)
        assert asked.status_code == 403, asked.text
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text)
        kept = {name: unescape(value) for name, value in hidden}
        return client.post(path, data=kept | {"confirm_password": "right"}, follow_redirects=True)

    return send


def test_holds_are_for_admins_alone(browser_of, ann, ada, sue):
    assert browser_of(ada).get(PATH).status_code == 200
    assert browser_of(ann).get(PATH).status_code == 403
    assert browser_of(sue).get(PATH).status_code == 403


def test_P24_a_hold_is_set_for_a_case_and_ended_and_both_are_written_down(
    browser_of, ann, ada, desk, proved, superuser
):
    client, case = browser_of(ada), desk.case("legal")
    page = proved(client, PATH, address=ann.address, case=show_id(case)).text
    assert "It is held." in page
    assert ann.name in page
    [hold] = superuser.execute(text("SELECT hold_id FROM legal_hold WHERE ended_at IS NULL")).scalars()
    assert "Ended. What waited" in proved(client, f"{PATH}/{show_id(hold)}/end").text
    kinds = (
        superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'hold.%' ORDER BY number"))
        .scalars()
        .all()
    )
    assert kinds == ["hold.set", "hold.ended"]
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_subject WHERE account_id = :a"), {"a": ann.account_id}
        ).scalar()
        >= 2
    )


@pytest.mark.parametrize(
    ("address", "case", "words"),
    [
        ("nobody@mtumail.test", "", "Nobody owns"),
        ("x", "", "Nobody owns"),
        ("ann@mtumail.test", "nonsense!", "no such case"),
    ],
)
def test_what_cannot_be_held_is_said(browser_of, ann, ada, csrf, address, case, words):
    client = browser_of(ada)
    answer = client.post(PATH, data={"csrf_token": csrf(client), "address": address, "case": case})
    assert answer.status_code == 409
    assert words in answer.text


def test_nobody_holds_their_own(browser_of, ada, desk, proved, superuser):
    client, case = browser_of(ada), show_id(desk.case("legal"))
    assert "their own" in proved(client, PATH, address=ada.address, case=case).text
    assert superuser.execute(text("SELECT count(*) FROM legal_hold")).scalar() == 0


def test_a_hold_that_is_none_is_not_found(browser_of, ada, proved):
    assert proved(browser_of(ada), f"{PATH}/AAAAAAAA/end").status_code == 404
