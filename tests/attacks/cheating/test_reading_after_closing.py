"""The holder closes the grant, so that it looks finished, and reads on in a tab that is still open."""

from webmail.db import show_id


def test_P10_closed_is_closed_in_every_tab(
    press, session_of, desk, sam, may_read, message, path, canary, whys
):
    first = press(sam, path(may_read, message, "headers"))
    assert canary in first.text
    assert press(session_of(sam), f"/staff/access/{show_id(may_read)}/close").status_code == 303
    for part in ("headers", "text", "attachments", "layout", "file"):
        answer = press(sam, path(may_read, message, part), number="2")
        assert answer.status_code == 403
        assert canary not in answer.text
    assert set(whys()) == {"closed"}
    assert len(desk.acts(may_read)) == 1
