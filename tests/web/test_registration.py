"""Choosing a name as a newcomer does: each refusal in words, nothing typed is lost, and no page needs JavaScript."""

import re
import threading
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from webmail.db import transaction
from webmail.identity import accounts, invitations
from webmail.settings import domains

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
NEWCOMER = SimpleNamespace(user_id="user_newcomer00000000")

# Pages of the person and of the service; and the way to the home, in the menu.
ABOUT_NO_MAILBOX = {"/", "/privacy", "/auth/sign-out", "/access-log", "/my-data", "/settings/sessions"}


@pytest.fixture
def newcomer(browser_of, ann):
    """A client of somebody whom Clerk knows and we have never seen. `ann` is there so that the domain is hosted."""
    return browser_of(NEWCOMER)


@pytest.fixture
def choose(newcomer):
    """Send the form as the page has it."""

    def post(name, path="/welcome", client=newcomer, **more):
        page = client.get(path).text
        found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page)
        return client.post(
            path, data={"csrf_token": found[1], "local_part": name, "domain": "mtumail.test"} | more
        )

    return post


@pytest.fixture
def registration(owner_app, ann):
    def set_mode(mode, name="mtumail.test"):
        with owner_app.app_context(), transaction():
            domains.set_registration(domains.host(name), mode)

    return set_mode


@pytest.fixture
def code(owner_app, master, ann):
    with owner_app.app_context(), transaction():
        return invitations.make(master, domains.find("mtumail.test"), actor="system:tests")


def error_of(page, field):
    """What the page says about a field that points at its error."""
    tag = re.search(rf'<(?:input|select)[^>]* id="{field}"[^>]*>', page.text)[0]
    assert 'aria-invalid="true"' in tag
    assert f"{field}-err" in re.search(r'aria-describedby="([^"]+)"', tag)[1]
    return unescape(re.search(rf'<p class="err" id="{field}-err">([^<]+)</p>', page.text)[1])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("ann", "taken"), ("a.nn", "looks too much like"), ("postmaster", "kept for the service"), ("adm1n", "looks like one that is kept"),
        ("jörg", "letters a to z"), ("a b", "letters a to z, digits"), (".x.", "Begin and end"), ("x", "at least 2"), ("x" * 41, "at most 40"),
        ("", "Choose a name"),
    ],
)  # fmt: skip
def test_each_refusal_is_said_and_what_was_typed_stays(newcomer, choose, typed, words):
    answer = choose(typed)
    assert answer.status_code == 422
    assert words in error_of(answer, "local_part")
    assert 'role="alert"' in answer.text
    assert f'name="local_part" value="{typed}"' in unescape(answer.text)


def test_a_suggestion_is_a_button(newcomer, choose, superuser):
    answer = choose("ann")
    offered = re.findall(r'<button class="b line" name="take" value="([^"]+)">', answer.text)
    assert offered
    form = re.search(r'(?s)<form method="post" action="/welcome">.*?</form>', answer.text)[0]
    first = re.search(r"<button[^>]*>", form)[0]
    assert "name=" not in first, "Enter in the field sends what was typed, and takes no suggestion"
    made = choose("ann", take=offered[0])
    assert made.status_code == 303
    assert (
        superuser.execute(
            text("SELECT count(*) FROM address WHERE local_part = :l"), {"l": offered[0]}
        ).scalar_one()
        == 1
    )


def test_a_second_press_of_the_button_leads_to_the_mailbox(newcomer, choose):
    page = newcomer.get("/welcome").text
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page)[1]
    form = {"csrf_token": token, "local_part": "nia", "domain": "mtumail.test"}
    first, second = (newcomer.post("/welcome", data=form) for _ in range(2))
    assert [(one.status_code, one.headers["Location"]) for one in (first, second)] == [(303, "/")] * 2
    assert "Your mailbox is ready." in newcomer.get("/").text
    assert newcomer.get("/welcome").headers["Location"] == "/"


def test_two_newcomers_race_for_a_name_and_the_loser_keeps_what_he_typed(browser_of, ann, web_app):
    clients = [browser_of(SimpleNamespace(user_id=f"user_racer{n}00000000")) for n in range(4)]
    tokens = [
        re.search(r'name="csrf_token" value="([0-9a-f]+)"', one.get("/welcome").text)[1] for one in clients
    ]
    start, answers = threading.Barrier(4), []

    def ask(number):
        start.wait(10)
        form = {"csrf_token": tokens[number], "local_part": "wanted", "domain": "mtumail.test"}
        answers.append(clients[number].post("/welcome", data=form))

    threads = [threading.Thread(target=ask, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one.status_code for one in answers) == [303, 422, 422, 422]
    for one in answers:
        if one.status_code == 422:
            assert "taken" in error_of(one, "local_part")
            assert 'value="wanted"' in one.text
            assert 'name="take"' in one.text


@pytest.mark.parametrize("mode", ["open", "invite", "closed"])
def test_the_page_says_who_may(newcomer, registration, mode):
    registration(mode)
    page = newcomer.get("/welcome").text
    assert ('name="local_part"' in page) is (mode != "closed")
    assert ('name="code"' in page) is (mode == "invite")
    assert ("takes no new mailboxes" in page) is (mode == "closed")


def test_each_domain_has_its_own_way(newcomer, choose, registration, code):
    registration("invite")
    registration("open", "other.test")
    registration("closed", "shut.test")
    page = newcomer.get("/welcome").text
    assert re.findall(r'<option value="([^"]+)"( selected)?>', page) == [
        ("mtumail.test", ""),
        ("other.test", " selected"),
    ]
    assert "(with an invitation)" in page
    for given, field in (
        ({}, "code"),
        ({"code": "AAAA-AAAA-AAAA-AAAA"}, "code"),
        ({"domain": "nowhere.test"}, "domain"),
    ):
        answer = choose("nia", **given)
        assert answer.status_code == 422
        assert error_of(answer, field)
    shut = choose("nia", domain="shut.test")
    assert shut.status_code == 422
    assert "takes no new mailboxes" in shut.text
    assert choose("nia", code=code).status_code == 303


def test_a_link_brings_its_code(newcomer, registration, code, stranger):
    registration("invite")
    assert f'name="code" value="{code}"' in newcomer.get(f"/welcome?code={code}").text
    away = stranger.get(f"/welcome?code={code}")
    assert away.status_code == 303
    assert code in unescape(away.headers["Location"])


def test_too_many_in_an_hour_are_told_so_and_it_is_written_down_once(
    newcomer, choose, ann, web_app, monkeypatch, superuser, browser_of
):
    settings = replace(web_app.extensions["settings"], signups_hour=1)
    monkeypatch.setitem(web_app.extensions, "settings", settings)
    monkeypatch.setattr("webmail.web.views.welcome._told_busy", [-1e9])
    assert choose("first").status_code == 303
    other = browser_of(SimpleNamespace(user_id="user_later00000000"))
    for _ in range(2):
        answer = choose("later", client=other)
        assert answer.status_code == 422
        assert "in an hour" in answer.text
        assert 'value="later"' in answer.text
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_event WHERE kind = 'registration.limited'")
        ).scalar_one()
        == 1
    )


@pytest.mark.parametrize(
    ("typed", "good", "words"),
    [
        ("nia", True, "nia@mtumail.test can be yours"),
        ("ann", False, "taken"),
        ("root", False, "service itself"),
    ],
)
def test_a_name_is_looked_at_while_it_is_typed(newcomer, typed, good, words):
    query = f"/welcome/check?local_part={typed}&domain=mtumail.test"
    page, fragment = newcomer.get(query), newcomer.get(query, headers=HTMX)
    assert page.status_code == fragment.status_code == 200
    assert fragment.text.strip().startswith('<p id="checked"')
    steady = [re.sub(r"(?s) <button.*</button>", "", one.text.strip()) for one in (fragment, page)]
    assert steady[0][: steady[0].index("</p>")] in steady[1]
    assert ('name="take"' in fragment.text) is (typed == "ann")
    assert words in fragment.text
    assert (' good"' in fragment.text) is good
    assert newcomer.get("/welcome/check", headers=HTMX).text.count("<button") == 0


def test_one_more_mailbox_and_the_way_between_them(browser_of, ann, choose, superuser, deliver, letter):
    client = browser_of(ann)
    deliver(ann, letter("for ann alone"))
    assert 'aria-current="true"' not in client.get("/").text, "no switcher for one"
    made = choose("ann.shop", path="/mailboxes/new", client=client)
    assert made.status_code == 303
    where = made.headers["Location"]
    assert re.fullmatch(r"/box/[\w-]{8}/", where)
    shop = client.get(where)
    assert shop.status_code == 200
    assert "for ann alone" not in shop.text
    assert "Your mailbox is ready." in shop.text
    assert '<bdi class="who">ann.shop@mtumail.test</bdi>' in shop.text
    assert f'href="{where}" hx-boost="false" aria-current="true"' in shop.text
    assert "for ann alone" in client.get("/").text
    # Every link of the page stays in its mailbox, but for those that are about no mailbox.
    links = set(re.findall(r'(?:href|action|formaction|hx-get)="(/[^"]*)"', shop.text))
    outside = {link for link in links if not link.startswith(where) and "/static/" not in link}
    assert outside <= ABOUT_NO_MAILBOX


def test_a_person_makes_no_more_than_he_may(browser_of, ann, choose):
    client = browser_of(ann)
    for name in ("second", "third"):
        assert choose(name, path="/mailboxes/new", client=client).status_code == 303
    answer = choose("fourth", path="/mailboxes/new", client=client)
    assert answer.status_code == 422
    assert "as many mailboxes" in answer.text
    assert "/mailboxes/new" not in client.get("/mailboxes").text


@pytest.mark.parametrize("path", ["/welcome", "/mailboxes", "/mailboxes/new", "/welcome/check"])
def test_signed_out_is_led_to_sign_in(stranger, empty, path):
    answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/auth/sign-in")


# --- invitations of admins -----------------------------------------------------------------------------------------------


@pytest.fixture
def admin(browser_of, make_person):
    return browser_of(make_person("ada", role="admin"))


@pytest.fixture
def press(admin):
    def post(**fields):
        token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', admin.get("/admin/invitations").text)[1]
        return admin.post("/admin/invitations", data={"csrf_token": token} | fields)

    return post


def test_an_admin_makes_an_invitation_and_withdraws_it(admin, press, choose, registration, browser_of):
    registration("invite")
    page = press(domain="mtumail.test", uses="2", days="3", contact="")
    assert page.status_code == 200
    code = re.search(r"<code>([A-Z2-7-]{19})</code>", page.text)[1]
    assert code not in admin.get("/admin/invitations").text
    assert choose("nia", code=code).status_code == 303
    listed = admin.get("/admin/invitations").text
    assert "1 of 2" in listed
    ident = re.search(r'name="withdraw" value="([\w-]{8})"', listed)[1]
    assert "Withdrawn" in press(withdraw=ident).text
    other = browser_of(SimpleNamespace(user_id="user_later00000000"))
    assert "is over" in error_of(choose("later", client=other, code=code), "code")


@pytest.mark.parametrize(
    "wrong",
    [
        {"uses": "0"},
        {"uses": "1001"},
        {"days": "0"},
        {"days": "x"},
        {"domain": "nowhere.test"},
        {"uses": "-1"},
    ],
)
def test_an_invitation_that_makes_no_sense_is_refused(press, wrong, superuser):
    answer = press(**({"domain": "mtumail.test", "uses": "1", "days": "1", "contact": ""} | wrong))
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert superuser.execute(text("SELECT count(*) FROM registration_invitation")).scalar_one() == 0


@pytest.mark.parametrize("role", [None, "support", "support_lead", "reviewer", "auditor"])
def test_invitations_are_for_admins(browser_of, make_person, role):
    assert browser_of(make_person("someone", role=role)).get("/admin/invitations").status_code == 403


def test_somebody_we_never_met_can_be_named_by_clerk_later(newcomer, choose, owner_app):
    assert choose("nia").status_code == 303
    with owner_app.app_context(), transaction():
        account = accounts.meet(NEWCOMER.user_id, "Nia Newcomer")
    assert account
