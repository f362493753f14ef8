"""Somebody uses a proof that a colleague made, or that he made himself in another browser. It is bound to person and session."""

from webmail.db import show_id


def test_P12_a_colleagues_proof_is_not_mine(press, proved, desk, sam, sue, grant, message, path):
    proved(sue, "access.open", grant)
    answer = press(sam, path(grant, message, "text"))
    assert "Please confirm that it is you" in answer.text
    assert desk.acts(grant) == []


def test_P12_a_proof_in_one_browser_opens_nothing_in_another(
    press, session_of, desk, sam, may_read, message, path, canary
):
    answer = press(session_of(sam), path(may_read, message, "text"))
    assert "Please confirm that it is you" in answer.text
    assert canary not in answer.text
    assert desk.acts(may_read) == []
    assert press(sam, path(may_read, message, "text")).status_code == 200


def test_P12_a_forged_question_is_none(press, desk, sue, requested):
    answer = press(
        sue,
        f"/staff/access/{show_id(requested)}/decide",
        decision="approve",
        confirm="eyJuIjoxfQ.forged",
        confirm_password="mtumail-demo",
        confirm_code="123456",
    )
    assert answer.status_code == 403
    assert desk.events("access.approved") == []
