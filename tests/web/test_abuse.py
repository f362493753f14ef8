"""The form for everybody: it takes what people send, and not what machines do; its link tells how it ends, and nothing else does (P27)."""

import re

import pytest
from sqlalchemy import text

from webmail.governance.cases import forms
from webmail.web.views import abuse

GOOD = {
    "kind": "spam",
    "words": "They write to me daily.",
    "about": "eve@mtumail.test",
    "contact": "zoe@example.org",
}


@pytest.fixture
def client(web_app, empty):
    return web_app.test_client()


@pytest.fixture
def form_token(client, monkeypatch):
    """A token that is old enough for a person."""
    monkeypatch.setattr(forms, "TOO_QUICK", 0)
    return lambda: re.search(r'name="csrf_token" value="([^"]+)"', client.get("/abuse").text)[1]


def cases(superuser):
    return superuser.execute(text("SELECT source, kind, answerable, size_bytes FROM case_item")).all()


def test_P27_a_stranger_writes_and_gets_a_link_to_what_comes_of_it(client, form_token, superuser):
    answer = client.post("/abuse", data=GOOD | {"csrf_token": form_token(), "message": "From: eve\n\nx"})
    assert answer.status_code == 303
    [(source, kind, answerable, size)] = cases(superuser)
    assert (source, kind, answerable, size) == ("form", "spam", True, 12)
    page = client.get(answer.headers["Location"])
    assert "Keep this link" in page.text
    assert "Our staff are working on it." in page.text
    assert "daily" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert client.get(answer.headers["Location"].split("?")[0]).status_code == 200
    assert client.get("/abuse/" + "A" * 22).status_code == 404


def test_P27_the_policy_and_the_form_lead_to_each_other(client):
    assert 'href="/abuse"' in client.get("/privacy").text
    assert 'href="/privacy"' in client.get("/abuse").text


def test_two_presses_make_one(client, form_token, superuser):
    data = GOOD | {"csrf_token": form_token()}
    links = {client.post("/abuse", data=data).headers["Location"] for _ in range(2)}
    assert len(links) == 1
    assert len(cases(superuser)) == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"words": " "}, "words"),
        ({"words": "x" * 5001}, "words"),
        ({"contact": "no address"}, "contact"),
        ({"contact": "a@b.example\r\nBcc: c@d.example"}, "contact"),
        ({"about": "x" * 301}, "about"),
        ({"message": "x" * 100_001}, "message"),
    ],
)
def test_what_is_wrong_is_said_beside_it_and_nothing_is_lost(client, form_token, superuser, more, field):
    answer = client.post("/abuse", data=GOOD | more | {"csrf_token": form_token()})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert "eve@mtumail.test" in answer.text or field == "about"
    assert cases(superuser) == []


@pytest.mark.parametrize("sent", ["", "x", "A" * 36, "é"])
def test_without_a_token_of_ours_nothing_is_taken(client, superuser, sent):
    answer = client.post("/abuse", data=GOOD | {"csrf_token": sent})
    assert answer.status_code == 403
    assert "They write to me daily." in answer.text, "what was typed comes back"
    assert cases(superuser) == []


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_cannot_send_it(client, form_token, superuser, headers):
    assert client.post("/abuse", data=GOOD | {"csrf_token": form_token()}, headers=headers).status_code == 403
    assert cases(superuser) == []


def test_machines_hear_what_people_hear_and_are_not_believed(client, form_token, superuser, monkeypatch):
    answer = client.post(
        "/abuse", data=GOOD | {"csrf_token": form_token(), "website": "https://spam.example"}
    )
    assert "Keep this link" in client.get(answer.headers["Location"]).text
    monkeypatch.setattr(forms, "TOO_QUICK", 60)
    assert client.post("/abuse", data=GOOD | {"csrf_token": form_token()}).status_code == 303
    assert cases(superuser) == []


def test_so_often_from_one_network(client, form_token, superuser):
    answers = [
        client.post("/abuse", data=GOOD | {"csrf_token": form_token()}).status_code
        for _ in range(forms.AN_HOUR + 2)
    ]
    assert answers == [303] * forms.AN_HOUR + [429] * 2
    assert len(cases(superuser)) == forms.AN_HOUR


def test_too_much_at_once(client, form_token, superuser):
    answer = client.post(
        "/abuse", data=GOOD | {"csrf_token": form_token(), "more": "x" * (abuse.MAX_BYTES + 1)}
    )
    assert answer.status_code == 413
    assert cases(superuser) == []


def test_the_kinds_of_the_form_are_those_that_are_taken():
    assert tuple(abuse.KINDS) == forms.KINDS


def test_signed_in_or_not_the_page_is_the_same(client, browser_of, ann):
    masked = [
        re.sub(r'(?<=csrf_token" value=")[^"]+', "", one.get("/abuse").text)
        for one in (client, browser_of(ann))
    ]
    assert masked[0] == masked[1]
    assert client.get("/abuse").headers.getlist("Set-Cookie") == []


def test_P27_nothing_of_the_subject_or_the_staff_is_on_the_page_behind_the_link(
    client, form_token, superuser, web_app, master
):
    from webmail.db import new_id, transaction
    from webmail.governance.cases import acts, answering
    from webmail.governance.cases.sealing import open_secret

    link = client.post("/abuse", data=GOOD | {"csrf_token": form_token()}).headers["Location"].split("?")[0]
    page = client.get(link).text
    assert "eve" not in page
    case_id = superuser.execute(text("SELECT case_id FROM case_file")).scalar_one()
    superuser.execute(
        text("INSERT INTO account (account_id, clerk_user_id, name) VALUES (9, 'user_zed', 'Zed Staff')")
    )
    with web_app.app_context(), transaction(staff=True):
        secret = open_secret(master)
        answering.answer(secret, case_id, 1, 9, "We looked at it.", new_id())
        acts.close(secret, case_id, 2, 9, "no_violation")
    page = client.get(link).text
    assert "We looked at it." in page
    assert "no rule of ours was broken" in page
    assert "Zed" not in page
