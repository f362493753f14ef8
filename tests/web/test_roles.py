"""Giving and taking roles: by an admin, for somebody else, for a reason, confirmed; and never a step further."""

import re

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import show_id, transaction
from webmail.identity import roles
from webmail.identity.roles import RoleRefused


@pytest.fixture
def ada(make_person):
    return make_person("ada", "Ada Novak", role="admin")


@pytest.fixture
def eve(make_person):
    return make_person("eve", "Eve Second", role="admin")


@pytest.fixture
def staff(web_app):
    """Run a function as a page of the staff does."""

    def run(call):
        with web_app.app_context(), transaction(staff=True):
            return call()

    return run


@pytest.fixture
def confirmed(web_app, monkeypatch):
    """Clerk finds every code right; counts what it was asked."""
    asked = []

    def right(_user, code):
        asked.append(code)
        return code in ("right", "123456")

    backend = web_app.extensions["auth"].clerk.backend
    monkeypatch.setattr(backend, "verify_password", right)
    monkeypatch.setattr(backend, "verify_totp", right)
    return asked


def _press(client, csrf, path, **fields):
    """Send a form; where a proof is asked for, give it. The last answer."""
    answer = client.post(path, data={"csrf_token": csrf(client)} | fields)
    if answer.status_code != 403:
        return answer
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text))
    action = re.findall(r'<form method="post" action="([^"]+)"', answer.text)[-1]
    return client.post(action, data=hidden | {"confirm_password": "right"})


def _events(superuser, kind):
    rows = superuser.execute(
        text("SELECT entry FROM audit_event WHERE kind = :kind ORDER BY number"), {"kind": kind}
    )
    return [row[0] for row in rows]


def test_an_admin_gives_and_takes_a_role(ada, ben, browser_of, csrf, confirmed, superuser):
    client = browser_of(ada)
    path = f"/admin/roles/{show_id(ben.account_id)}"
    answer = _press(client, csrf, path, role="support", verb="grant", reason="case 12")
    assert answer.status_code == 303
    assert "Role given" in client.get(path).text
    assert browser_of(ben).get("/staff").status_code == 200
    assert str(ben.account_id) in _events(superuser, "role.granted")[-1]
    answer = _press(client, csrf, path, role="support", verb="revoke", reason="left the team")
    assert answer.status_code == 303
    page = client.get(path).text
    assert "left the team" in page
    assert "case 12" in page
    assert browser_of(ben).get("/staff").status_code == 403, "the very next request"
    assert "left the team" not in " ".join(_events(superuser, "role.revoked")), "no words in the log"


def test_without_the_proof_nothing_happens(ada, ben, browser_of, csrf, confirmed, superuser):
    client = browser_of(ada)
    path = f"/admin/roles/{show_id(ben.account_id)}"
    fields = {"csrf_token": csrf(client), "role": "support", "verb": "grant", "reason": "case 12"}
    assert client.post(path, data=fields).status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM account_role WHERE role = 'support'")).scalar() == 0


def test_the_person_is_told(ada, ben, browser_of, csrf, confirmed, superuser):
    _press(
        browser_of(ada),
        csrf,
        f"/admin/roles/{show_id(ben.account_id)}",
        role="reviewer",
        verb="grant",
        reason="new",
    )
    facts = superuser.execute(
        text(
            "SELECT facts FROM errand WHERE kind = 'tell' AND account_id = :a AND facts ->> 'role' = 'reviewer'"
        ),
        {"a": ben.account_id},
    ).scalar_one()
    assert facts == {"what": "role-granted", "role": "reviewer"}


def test_an_admin_is_made_by_two(ada, eve, ben, browser_of, csrf, confirmed, superuser):
    first, second = browser_of(ada), browser_of(eve)
    path = f"/admin/roles/{show_id(ben.account_id)}"
    assert _press(first, csrf, path, role="admin", verb="grant", reason="holiday cover").status_code == 303
    assert browser_of(ben).get("/admin").status_code == 403, "proposed is not granted"
    assert "New admins to confirm" in second.get("/admin").text
    assert "New admins to confirm" not in first.get("/admin").text
    page = second.get("/admin/roles").text
    decide = re.search(r'action="(/admin/roles/proposals/[^"]+)"', page)[1]
    assert 'value="confirm"' not in first.get("/admin/roles").text
    assert _press(first, csrf, decide, answer="confirm").status_code == 409, "one cannot be both"
    assert _press(second, csrf, decide, answer="confirm").status_code == 303
    assert browser_of(ben).get("/admin").status_code == 200
    assert _press(second, csrf, decide, answer="confirm").status_code == 404, "it is over"
    row = superuser.execute(
        text("SELECT made_by, confirmed_by FROM role_change WHERE account_id = :a"), {"a": ben.account_id}
    ).one()
    assert tuple(row) == (ada.account_id, eve.account_id)


def test_a_proposal_can_be_withdrawn_and_made_again(ada, eve, ben, browser_of, csrf, confirmed):
    first = browser_of(ada)
    path = f"/admin/roles/{show_id(ben.account_id)}"
    _press(first, csrf, path, role="admin", verb="grant", reason="holiday cover")
    again = _press(first, csrf, path, role="admin", verb="grant", reason="holiday cover")
    assert again.status_code == 409
    assert "waits for a second admin" in again.text
    decide = re.search(r'action="(/admin/roles/proposals/[^"]+)"', first.get("/admin/roles").text)[1]
    assert _press(first, csrf, decide, answer="decline").status_code == 303
    assert _press(first, csrf, path, role="admin", verb="grant", reason="holiday cover").status_code == 303


@pytest.mark.parametrize("verb", ["grant", "revoke"])
def test_nobody_changes_his_own(ada, browser_of, csrf, confirmed, superuser, verb):
    answer = _press(
        browser_of(ada),
        csrf,
        f"/admin/roles/{show_id(ada.account_id)}",
        role="reviewer",
        verb=verb,
        reason="why not",
    )
    assert answer.status_code == 409
    assert "Nobody changes their own roles" in answer.text
    assert superuser.execute(text("SELECT array_agg(role) FROM account_role")).scalar() == ["admin"]


@pytest.mark.parametrize("role", ["support", "support_lead", "reviewer", "auditor"])
def test_nobody_but_an_admin_may_even_look(make_person, ben, browser_of, csrf, role):
    client = browser_of(make_person("sam", role=role))
    assert client.get("/admin/roles").status_code == 403
    fields = {"csrf_token": csrf(client), "role": "admin", "verb": "grant", "reason": "because"}
    assert client.post(f"/admin/roles/{show_id(ben.account_id)}", data=fields).status_code == 403


@pytest.mark.parametrize(
    ("held", "wanted", "code"),
    [("auditor", "support", "auditor"), ("support", "auditor", "auditor"), ("support", "support", "held")],
)
def test_what_does_not_go_together_is_refused(make_person, ada, staff, held, wanted, code):
    sam = make_person("sam", role=held)
    with pytest.raises(RoleRefused) as caught:
        staff(
            lambda: roles.grant(sam.account_id, wanted, by=ada.account_id, reason="case 1", actor="account:1")
        )
    assert caught.value.code == code


@pytest.mark.parametrize("reason", ["", "  ", "ab", "x" * 501])
def test_a_reason_is_asked_for(ada, ben, staff, reason):
    with pytest.raises(RoleRefused) as caught:
        staff(
            lambda: roles.grant(
                ben.account_id, "support", by=ada.account_id, reason=reason, actor="account:1"
            )
        )
    assert caught.value.code == "reason"


def test_who_is_suspended_gets_no_role_and_gives_none(ada, ben, make_person, staff, superuser):
    cat = make_person("cat")
    superuser.execute(
        text("UPDATE account SET status = 'suspended' WHERE account_id = :a"), {"a": ben.account_id}
    )
    with pytest.raises(RoleRefused) as caught:
        staff(
            lambda: roles.grant(
                ben.account_id, "support", by=ada.account_id, reason="case 1", actor="account:1"
            )
        )
    assert caught.value.code == "not-active"
    superuser.execute(
        text("UPDATE account SET status = 'suspended' WHERE account_id = :a"), {"a": ada.account_id}
    )
    with pytest.raises(RoleRefused) as caught:
        staff(
            lambda: roles.grant(
                cat.account_id, "support", by=ada.account_id, reason="case 1", actor="account:1"
            )
        )
    assert caught.value.code == "not-admin"


def test_somebody_is_found_by_any_spelling_of_the_address(ada, ben, browser_of):
    client = browser_of(ada)
    for spelled in ("ben@mtumail.test", "Ben@MTUMAIL.test", "ben+tag@mtumail.test"):
        answer = client.get("/admin/roles", query_string={"address": spelled})
        assert answer.headers["Location"] == f"/admin/roles/{show_id(ben.account_id)}", spelled
    for nobody in ("nobody@mtumail.test", "ben@elsewhere.example", "no address", "<script>"):
        answer = client.get("/admin/roles", query_string={"address": nobody})
        assert answer.status_code == 404
        assert "Nobody here" in answer.text


def test_the_history_goes_on_page_by_page(ada, ben, browser_of, staff):
    for number in range(26):
        for verb in (roles.grant, roles.revoke):
            staff(
                lambda verb=verb, number=number: verb(
                    ben.account_id, "support", by=ada.account_id, reason=f"turn {number}", actor="account:1"
                )
            )
    client = browser_of(ada)
    first = client.get("/admin/roles").text
    older = re.search(r'href="(\?before=[^"]+)"', first)[1]
    second = client.get(f"/admin/roles{older}").text
    assert first.count("turn ") == 50
    assert second.count("turn ") == 2
    assert client.get("/admin/roles?before=rubbish").status_code == 404


def test_a_missing_person_or_verb_is_a_404(ada, ben, browser_of, csrf):
    client = browser_of(ada)
    assert client.get("/admin/roles/AAAAAAAA").status_code == 404
    fields = {"csrf_token": csrf(client), "role": "support", "verb": "steal", "reason": "because"}
    assert client.post(f"/admin/roles/{show_id(ben.account_id)}", data=fields).status_code == 404
    assert client.post("/admin/roles/AAAAAAAA", data=fields | {"verb": "grant"}).status_code == 404
    assert (
        client.post("/admin/roles/proposals/AAAAAAAA", data=fields | {"answer": "confirm"}).status_code == 404
    )


def test_the_menu_leads_to_the_staff_only_whom_it_lets_in(ada, ben, make_person, browser_of):
    assert 'href="/staff"' not in browser_of(ben).get("/settings").text
    sam = browser_of(make_person("sam", role="support")).get("/settings").text
    assert 'href="/staff"' in sam
    assert 'href="/admin"' not in sam
    assert 'href="/admin"' in browser_of(ada).get("/settings").text


def test_the_log_holds_after_all_of_it(ada, ben, staff, owner_app):
    staff(
        lambda: roles.grant(ben.account_id, "support", by=ada.account_id, reason="case 1", actor="account:1")
    )
    with owner_app.app_context(), transaction() as session:
        assert audit.verify(session)[1] is None
