"""The holder goes on reading when the minutes are over, by the pages that are still open and by new ones."""


def test_P10_what_has_expired_opens_nothing(press, desk, sam, may_read, message, path, canary, whys):
    assert canary in press(sam, path(may_read, message, "text")).text
    desk.age(may_read, "16 minutes")
    for part in ("headers", "text", "attachments", "layout", "file"):
        answer = press(sam, path(may_read, message, part), number="2")
        assert answer.status_code == 403
        assert canary not in answer.text
    assert whys() == ["expired"] * 5
    assert len(desk.acts(may_read)) == 1
