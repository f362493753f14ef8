"""A lead asks for a grant and approves it on its page. Refused, written down, and the page offers no such button."""

from webmail.db import show_id


def test_P12_a_lead_does_not_approve_what_he_asked_for(
    browser_of, press, proved, desk, sue, ann, message, whys
):
    grant, _none = desk.ask(sue, ann, [message])
    proved(sue, "access.approve", grant)
    where = f"/staff/access/{show_id(grant)}"
    answer = press(sue, f"{where}/decide", decision="approve")
    assert answer.status_code == 409
    assert "Nobody approves what they asked for themselves" in answer.text
    assert desk.read(sue, grant, message) == "not-approved"
    assert whys() == ["own-request", "not-approved"]
    assert f"{where}/decide" not in browser_of(sue).get(where).text
