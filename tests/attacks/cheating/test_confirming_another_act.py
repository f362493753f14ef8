"""Somebody is asked to prove who he is for something small, and uses it for something great. A proof names its act."""

from webmail.db import show_id


def test_P12_a_proof_for_another_act_approves_nothing(press, proved, desk, sue, requested):
    for act in ("access.gag", "access.open", "roles.grant"):
        proved(sue, act, requested)
        answer = press(sue, f"/staff/access/{show_id(requested)}/decide", decision="approve")
        assert "Please confirm that it is you" in answer.text
    assert desk.events("access.approved") == []
    assert desk.events("stepup.used") == []
    proved(sue, "access.approve", requested)
    assert press(sue, f"/staff/access/{show_id(requested)}/decide", decision="approve").status_code == 303
