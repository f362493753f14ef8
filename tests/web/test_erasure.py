"""The pages of deletion: said before, proved, taken back with one press; and a certificate for whoever has the link."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import show_id, transaction
from webmail.privacy.erasure import asking, doing

PATH = "/my-data/delete"


@pytest.fixture
def proved(web_app, monkeypatch, csrf):
    """Send a form and prove who one is, as people do: the answer."""
    backend = web_app.extensions["auth"].clerk.backend
    monkeypatch.setattr(backend, "verify_password", lambda _user, given: given == "right")

    def send(client, **fields):
        asked = client.post(PATH, data={"csrf_token": csrf(client)} | fields)
        assert asked.status_code == 403
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text)
        kept = {name: unescape(value) for name, value in hidden}
        return client.post(PATH, data=kept | {"confirm_password": "right"}, follow_redirects=True)

    return send


@pytest.fixture
def erased(web_app, worker, master, superuser):
    """An account that is erased: its erasure's id."""

    def erase(person):
        with web_app.app_context(), transaction():
            number = asking.ask(person.account_id)
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(
            text(
                "UPDATE erasure SET asked_at = asked_at - interval '40 days', due_at = due_at - interval '40 days'"
            )
        )
        superuser.exec_driver_sql("SET session_replication_role = origin")
        more = True
        while more:
            with worker.app_context(), transaction():
                more = doing.go_on(master, doing.look(number))
        return number

    return erase


def states(superuser):
    return [
        tuple(row) for row in superuser.execute(text("SELECT kind, state FROM erasure ORDER BY asked_at"))
    ]


def test_P24_the_page_says_what_goes_what_remains_and_when(browser_of, ann):
    page = browser_of(ann).get(PATH).text
    for words in (
        "What goes",
        "What remains",
        "First the keys",
        "You have 14 days",
        "Delete my account",
        ann.address,
    ):
        assert words in page
    assert f'href="{PATH}"' in browser_of(ann).get("/my-data").text


def test_P24_nothing_is_asked_for_without_a_proof(browser_of, ann, csrf, superuser):
    client = browser_of(ann)
    answer = client.post(PATH, data={"csrf_token": csrf(client)})
    assert answer.status_code == 403
    assert "have your account deleted" in answer.text
    assert client.post(PATH, data={}).status_code in (400, 403)
    assert states(superuser) == []


def test_P24_an_account_is_asked_for_and_taken_back(browser_of, ann, proved, csrf, superuser):
    client = browser_of(ann)
    page = proved(client).text
    assert states(superuser) == [("account", "waiting")]
    assert "It will be deleted." in page
    assert "Take it back" in page
    assert client.get("/").status_code == 200
    erasure = re.search(r'name="erasure" value="([^"]+)"', page)[1]
    again = client.post(
        f"{PATH}/undo", data={"csrf_token": csrf(client), "erasure": erasure}, follow_redirects=True
    )
    assert "Nothing is deleted." in again.text
    assert states(superuser) == [("account", "undone")]
    kinds = set(superuser.execute(text("SELECT kind FROM audit_event")).scalars())
    assert {"stepup.used", "erasure.asked", "erasure.undone"} <= kinds


def test_P24_one_mailbox_is_asked_for_by_itself(browser_of, ann, ben, proved, csrf, superuser):
    client = browser_of(ann)
    assert "will be deleted" in proved(client, mailbox=show_id(ann.mailbox_id)).text
    assert states(superuser) == [("mailbox", "waiting")]
    refused = client.post(PATH, data={"csrf_token": csrf(client), "mailbox": show_id(ben.mailbox_id)})
    assert refused.status_code == 409
    assert "Only an owner" in refused.text
    twice = client.post(PATH, data={"csrf_token": csrf(client), "mailbox": show_id(ann.mailbox_id)})
    assert twice.status_code == 409


def test_nobody_takes_back_what_is_not_theirs(browser_of, ann, ben, proved, csrf, superuser):
    page = proved(browser_of(ann)).text
    erasure = re.search(r'name="erasure" value="([^"]+)"', page)[1]
    other = browser_of(ben)
    for ident in (erasure, "AAAAAAAA", "x"):
        assert (
            other.post(f"{PATH}/undo", data={"csrf_token": csrf(other), "erasure": ident}).status_code == 404
        )
    assert states(superuser) == [("account", "waiting")]


def test_P24_a_legal_hold_is_shown(browser_of, ann, ada, desk, proved, superuser):
    superuser.execute(
        text("INSERT INTO legal_hold (hold_id, account_id, case_id, set_by) VALUES (7, :a, :c, :b)"),
        {"a": ann.account_id, "c": desk.case("legal"), "b": ada.account_id},
    )
    assert "The law keeps us from deleting it now." in proved(browser_of(ann)).text


def test_P24_the_certificate_is_there_for_whoever_has_the_link(
    erased, ann, stranger, web_app, worker, master, browser_of
):
    erasure = erased(ann)
    with web_app.app_context():
        path = f"/erased/{show_id(erasure)}/{asking.link(master, erasure)}"
    for client in (stranger, browser_of(ann)):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        for words in ("deleted", "Keys destroyed", "Your mailboxes", "What remains", "Download the proof"):
            assert words in answer.text
        assert "ann" not in answer.text.lower().replace("cannot", "").replace("scann", "")
    later = stranger.get(f"{path}/proof")
    assert "not made yet" in later.text
    with worker.app_context(), transaction():
        audit.make_checkpoint(master, "tests.example/audit")
    proof = stranger.get(f"{path}/proof")
    assert proof.text.startswith("c2sp.org/tlog-proof@v1")


@pytest.mark.parametrize("secret", ["x" * 24, "AAAA", "%C3%A4"])
def test_a_wrong_link_leads_nowhere(erased, ann, stranger, secret):
    erasure = erased(ann)
    assert stranger.get(f"/erased/{show_id(erasure)}/{secret}").status_code == 404
    assert stranger.get(f"/erased/{show_id(erasure)}/{secret}/proof").status_code == 404
    assert stranger.get(f"/erased/AAAAAAAA/{secret}").status_code == 404


def test_P24_who_is_erased_is_let_in_no_more_and_becomes_nobody_new(erased, ann, browser_of, superuser):
    client = browser_of(ann)
    assert client.get("/").status_code == 200
    erased(ann)
    assert client.get("/", follow_redirects=False).status_code != 200
    assert superuser.execute(text("SELECT count(*) FROM account")).scalar() == 1


EVERYWHERE = ("/", "/mail/archive", "/settings", "/contacts", "/my-data", "/compose")


@pytest.mark.parametrize("path", EVERYWHERE)
def test_P24_an_account_that_ends_sees_so_on_every_page_and_keeps_itself_by_a_button(
    browser_of, web_app, csrf, ann, ben, superuser, path
):
    client = browser_of(ann)
    before = client.get(path).text
    assert 'id="leaving"' not in before
    with web_app.app_context(), transaction():
        asking.ask(ann.account_id)
    page = client.get(path).text
    banner = page.split('id="leaving"')[1].split("</div>")[0]
    assert "Your account will be deleted on" in banner
    assert "leaving.css" in banner
    assert "leaving.css" not in before
    assert f"{PATH}/undo" in banner
    assert 'id="leaving"' not in browser_of(ben).get(path).text
    assert client.post(f"{PATH}/undo", data={"csrf_token": csrf(client)}).status_code == 303
    assert states(superuser) == [("account", "undone")]
    assert 'id="leaving"' not in client.get(path).text
    assert client.post(f"{PATH}/undo", data={"csrf_token": csrf(client)}).status_code == 404


def test_P24_a_mailbox_that_ends_is_no_account_that_does(browser_of, web_app, ann):
    with web_app.app_context(), transaction():
        asking.ask(ann.account_id, ann.mailbox_id)
    assert 'id="leaving"' not in browser_of(ann).get("/").text


def test_the_banner_costs_nobody_else_a_byte(web_app):
    source = web_app.jinja_env.loader.get_source(web_app.jinja_env, "base.html")[0]
    _head, _, rest = source.partition("</header>\n")
    assert rest.startswith("{%- if viewer and viewer.leaving|default(none) %}")
    line, _, after = rest.partition("\n")
    template = web_app.jinja_env.from_string("</header>\n" + line + "\n\n<nav>")
    assert template.render(viewer=None) == "</header>\n<nav>"
    assert after.startswith("\n")
