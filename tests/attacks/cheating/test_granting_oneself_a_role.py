"""An admin gives himself the role that opens mail: on the page, by raw SQL, on the command line. The last leaves its trace."""

from sqlalchemy import text

from webmail.db import show_id


def test_P12_P15_the_page_refuses_it(press, ada, superuser):
    for role in ("support", "reviewer", "admin"):
        answer = press(
            ada, f"/admin/roles/{show_id(ada.account_id)}", role=role, verb="grant", reason="I need it"
        )
        assert answer.status_code == 409
        assert "Nobody changes their own roles" in answer.text
    assert superuser.execute(text("SELECT role FROM account_role")).scalars().all() == ["admin"]


def test_P12_P15_the_tables_refuse_it(refused, ada):
    change = (
        "INSERT INTO role_change (change_id, account_id, role, verb, made_by, reason)"
        f" VALUES (1, {ada.account_id}, 'support', 'granted', {ada.account_id}, 'because')"
    )
    assert "nobody_changes_his_own" in refused("staff", change)
    assert "nobody_changes_his_own" in refused("owner", change)
    for role in ("web", "staff", "worker", "inbound"):
        row = f"INSERT INTO account_role (account_id, role) VALUES ({ada.account_id}, 'support')"
        assert "permission denied" in refused(role, row)
    assert "roles follow from role_change alone" in refused("owner", row)


def test_P16_whoever_holds_the_database_is_in_the_history(owner_app, browser_of, make_person, ada):
    from webmail.db import transaction
    from webmail.identity import roles

    eve = make_person("eve", "Eve Adminson", "admin")
    with owner_app.app_context(), transaction():
        roles.grant(ada.account_id, "support", by=None, reason="a quiet evening", actor="cli:ada")
    assert "a quiet evening" in browser_of(eve).get(f"/admin/roles/{show_id(ada.account_id)}").text
    assert "role.granted" in browser_of(eve).get("/staff/log?kind=role.granted").text
