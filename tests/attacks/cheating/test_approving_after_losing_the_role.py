"""A lead whose role was taken, or who was suspended, approves with a page that is still open. It counts what holds now."""

from sqlalchemy import text

from webmail.db import show_id, transaction
from webmail.identity import roles


def test_P12_who_is_no_lead_any_more_approves_nothing(
    browser_of, csrf, owner_app, proved, desk, sue, ann, requested, whys
):
    client = browser_of(sue)
    form = {"csrf_token": csrf(client), "decision": "approve"}
    proved(sue, "access.approve", requested)
    with owner_app.app_context(), transaction():
        roles.revoke(sue.account_id, "support_lead", by=None, reason="has left", actor="system:tests")
    assert client.post(f"/staff/access/{show_id(requested)}/decide", data=form).status_code == 403
    assert desk.decide(sue, ann, requested) == "role"
    assert whys() == ["role"]


def test_P12_who_is_suspended_approves_nothing(superuser, desk, sue, ann, requested):
    superuser.execute(
        text("UPDATE account SET status = 'suspended' WHERE account_id = :id"), {"id": sue.account_id}
    )
    assert desk.decide(sue, ann, requested) == "role"
