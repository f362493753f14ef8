"""A lead asks in one browser and approves in another, signed in there once more. It is the person that counts, not the session."""

from webmail.db import show_id


def test_P12_a_second_session_is_no_second_person(session_of, press, desk, sue, ann, message, web_app, whys):
    grant, _none = desk.ask(sue, ann, [message])
    other = session_of(sue)
    first = press(other, f"/staff/access/{show_id(grant)}/decide", decision="approve")
    assert first.status_code == 403, "a proof is asked for"
    refused = press(other, f"/staff/access/{show_id(grant)}/decide", decision="refuse")
    assert refused.status_code == 409, "nor does one refuse his own, to begin again"
    assert desk.decide(sue, ann, grant) == "own-request"
    assert whys() == ["own-request", "own-request"]
