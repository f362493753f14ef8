"""Whoever holds a database role approves his own grant there. The verb refuses, the tables refuse the roles, a rule the owner."""

from sqlalchemy import text


def test_P12_the_verb_refuses_it_whoever_calls(connect, desk, sue, ann, message):
    grant, _none = desk.ask(sue, ann, [message])
    call = text("SELECT access_decide(:grant, :account, true, NULL)")
    said = connect("staff").execute(call, {"grant": grant, "account": sue.account_id}).scalar()
    assert said == "own-request"


def test_P12_no_role_writes_the_row(refused, sam, requested):
    by_hand = f"UPDATE access_grant SET state = 'approved', decided_by = {sam.account_id}, decided_at = now()"
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, by_hand)
    assert "access_grant_nobody_approves_his_own" in refused("owner", by_hand)
    by_nobody = "UPDATE access_grant SET state = 'approved'"
    assert "access_grant_approved_by_a_second_person" in refused("owner", by_nobody)
