"""Where I am signed in, and putting an end to it."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.identity import sessions
from webmail.identity.clerk.transport import BackendUnavailable
from webmail.identity.viewer import Viewer

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"


@pytest.fixture(autouse=True)
def _forget(web_app):
    """Each test is the first to see its sessions."""
    web_app.extensions["seen"]._values.clear()


@pytest.fixture
def elsewhere(web_app, token, browser_of):
    """A client signed in as somebody in another session, with another browser, from another network."""

    def sign_in(person, session_id="sess_phone0000001", agent=PHONE, address="198.51.100.77"):
        client = browser_of(person)
        client.environ_base |= {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": address}
        client.set_cookie("__session", token(person.user_id, session_id), domain="mail.localhost")
        return client

    return sign_in


def _rows(superuser, columns="device, host(network), ended_at IS NULL"):
    return [
        tuple(row)
        for row in superuser.execute(text(f"SELECT {columns} FROM sign_in ORDER BY first_seen, sign_in_id"))
    ]


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
            "Safari on Mac",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 OPR/111.0",
            "Opera on Linux",
        ),
        ("w3m/0.5.3+git20230121", "w3m"),
        ("Lynx/2.9.0dev.12 libwww-FM/2.14", "Lynx"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>\x00\n" * 50, "Unknown browser"),
    ],
)
def test_devices_are_a_few_words_of_ours(agent, device):
    assert sessions.device_of(agent) == device
    assert re.fullmatch("[A-Za-z0-9 ]{1,60}", sessions.device_of(agent))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", None),
        ("rubbish", None),
    ],
)
def test_networks_are_shortened(address, network):
    assert sessions.network_of(address) == network


def test_a_session_is_noted_once_and_shown_to_its_owner_alone(ann, ben, elsewhere, browser_of, superuser):
    client = elsewhere(ann)
    for _number in range(5):
        client.get("/")
    assert _rows(superuser) == [("Safari on iPhone", "198.51.100.0", True)]
    page = client.get("/settings/sessions").text
    assert "Safari on iPhone" in page
    assert "198.51.100.0/24" in page
    assert "198.51.100.77" not in page
    assert "sess_" not in page
    assert "this one" in page
    assert "iPhone" not in browser_of(ben).get("/settings/sessions").text


def test_a_request_writes_nothing_for_four_minutes(ann, elsewhere, web_app, superuser):
    client = elsewhere(ann)
    client.get("/")
    superuser.execute(
        text(
            "UPDATE sign_in SET first_seen = now() - interval '1 hour', last_seen = now() - interval '3 minutes'"
        )
    )
    web_app.extensions["seen"]._values.clear()
    client.get("/")
    assert _rows(superuser, "last_seen < now() - interval '2 minutes'") == [(True,)]
    superuser.execute(text("UPDATE sign_in SET last_seen = now() - interval '5 minutes'"))
    client.get("/")
    assert _rows(superuser, "last_seen < now() - interval '2 minutes'") == [(True,)], (
        "this process has just looked"
    )
    web_app.extensions["seen"]._values.clear()
    client.get("/")
    assert _rows(superuser, "last_seen < now() - interval '2 minutes'") == [(False,)]


def test_one_session_is_ended_at_once(ann, elsewhere, browser_of, csrf, superuser):
    phone, here = elsewhere(ann), browser_of(ann)
    assert phone.get("/").status_code == 200
    page = here.get("/settings/sessions").text
    [path] = re.findall(r'action="(/settings/sessions/[^"]{8}/end)"', page)
    assert here.post(path, data={"csrf_token": csrf(here)}).status_code == 303
    assert "Signed out there." in here.get("/settings/sessions").text
    assert phone.get("/").status_code == 403
    assert here.get("/").status_code == 200
    assert "iPhone" not in here.get("/settings/sessions").text
    facts = superuser.execute(text("SELECT facts FROM errand WHERE kind = 'revoke'")).scalar_one()
    assert facts == {"session": "sess_phone0000001"}
    assert here.post(path, data={"csrf_token": csrf(here)}).status_code == 404, "it is over"


def test_all_others_are_ended(ann, elsewhere, browser_of, csrf, superuser):
    first, second, here = elsewhere(ann), elsewhere(ann, "sess_desk00000001", FIREFOX), browser_of(ann)
    for client in (first, second, here):
        client.get("/")
    assert here.post("/settings/sessions/end-others", data={"csrf_token": csrf(here)}).status_code == 303
    assert [client.get("/").status_code for client in (first, second, here)] == [403, 403, 200]
    facts = superuser.execute(text("SELECT facts FROM errand WHERE kind = 'revoke_others'")).scalar_one()
    assert facts == {"keep": "sess_ann00000000"}


def test_nobody_ends_anothers_session_or_his_own_by_this_door(
    ann, ben, elsewhere, browser_of, csrf, superuser
):
    phone, other = elsewhere(ann), browser_of(ben)
    phone.get("/")
    from webmail.db import show_id

    number = superuser.execute(
        text("SELECT sign_in_id FROM sign_in WHERE account_id = :a"), {"a": ann.account_id}
    ).scalar_one()
    path = f"/settings/sessions/{show_id(number)}/end"
    assert other.post(path, data={"csrf_token": csrf(other)}).status_code == 404
    assert phone.post(path, data={"csrf_token": csrf(phone)}).status_code == 404
    assert phone.get("/").status_code == 200


def _told(superuser, person):
    query = "SELECT facts FROM errand WHERE kind = 'tell' AND facts ->> 'what' = 'sign-in' AND account_id = :a ORDER BY made_at"
    return [row[0] for row in superuser.execute(text(query), {"a": person.account_id})]


def test_a_new_device_is_told_once(ann, elsewhere, superuser):
    elsewhere(ann).get("/")
    assert _told(superuser, ann) == [], "the first sign-in of a new account is no news"
    elsewhere(ann, "sess_phone0000002").get("/")
    assert _told(superuser, ann) == [], "the same device, signed in again"
    elsewhere(ann, "sess_thief0000001", FIREFOX, "203.0.113.9").get("/")
    elsewhere(ann, "sess_thief0000001", FIREFOX, "203.0.113.9").get("/settings")
    told = {"what": "sign-in", "device": "Firefox on Linux", "network": "203.0.113.0/24"}
    assert _told(superuser, ann) == [told]
    elsewhere(ann, "sess_thief0000002", FIREFOX, "203.0.113.200").get("/")
    assert _told(superuser, ann) == [told], "known by now"


def test_after_everything_was_forgotten_a_sign_in_is_news_again(ann, elsewhere, owner_app, superuser):
    elsewhere(ann).get("/")
    superuser.execute(
        text(
            "UPDATE sign_in SET first_seen = now() - interval '2 years', last_seen = now() - interval '2 years'"
        )
    )
    superuser.execute(text("UPDATE account SET created_at = now() - interval '3 years'"))
    with owner_app.app_context(), transaction():
        assert sessions.purge(timedelta(days=400)) == 1
    elsewhere(ann, "sess_thief0000001").get("/")
    assert len(_told(superuser, ann)) == 1


def test_signing_out_is_written_down_for_clerk(ann, browser_of, csrf, superuser, web_app, monkeypatch):
    client = browser_of(ann)
    client.get("/")

    def away(_session):
        raise BackendUnavailable("connect")

    monkeypatch.setattr(web_app.extensions["auth"].clerk.backend, "revoke_session", away)
    answer = client.post("/auth/sign-out", data={"csrf_token": csrf(client)})
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert superuser.execute(text("SELECT facts FROM errand WHERE kind = 'revoke'")).scalar_one() == {
        "session": "sess_ann00000000"
    }
    assert browser_of(ann).get("/").status_code == 403
    assert _rows(superuser, "ended_at IS NOT NULL") == [(True,)]


def test_two_first_requests_at_once_make_one_row(ann, web_app, superuser):
    from concurrent.futures import ThreadPoolExecutor

    superuser.execute(text("UPDATE account SET created_at = now() - interval '3 years'"))
    viewer = Viewer(
        ann.account_id, ann.user_id, "sess_once00000001", "", "", frozenset(), None, None, "active", (0, -1)
    )

    def note(_number):
        with web_app.app_context(), transaction():
            return sessions.seen(viewer, FIREFOX, "203.0.113.9")

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(note, range(4))) == [False, False, False, True]
    assert len(_told(superuser, ann)) == 1


def test_a_person_without_a_mailbox_has_the_page_too(web_app, browser_of, owner_app, empty):
    from types import SimpleNamespace

    from webmail.identity import accounts

    with owner_app.app_context(), transaction():
        accounts.meet("user_cat00000000", "Cat", "cat@elsewhere.example")
    client = browser_of(SimpleNamespace(user_id="user_cat00000000"))
    assert client.get("/settings/sessions").status_code == 200
