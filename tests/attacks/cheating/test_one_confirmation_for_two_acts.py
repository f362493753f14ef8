"""A lead proves once that it is she, and approves two grants with it. A proof is good for one act on one thing, once."""

from webmail.db import show_id


def test_P12_a_proof_is_used_up(press, proved, desk, sam, sue, ann, message, requested):
    other, _none = desk.ask(sam, ann, [message])
    proved(sue, "access.approve", requested)
    asked = press(sue, f"/staff/access/{show_id(other)}/decide", decision="approve")
    assert "Please confirm that it is you" in asked.text, "it was for the first one"
    assert press(sue, f"/staff/access/{show_id(requested)}/decide", decision="approve").status_code == 303
    again = press(sue, f"/staff/access/{show_id(requested)}/decide", decision="approve")
    assert again.status_code == 403, "and it was good for once"
    assert len(desk.events("access.approved")) == 1
    assert len(desk.events("stepup.used")) == 1
