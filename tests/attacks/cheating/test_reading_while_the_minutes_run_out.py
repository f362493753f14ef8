"""The holder begins to read in the last second and goes on after it: each part is asked for anew, and by the database's clock."""

import time


def test_P10_the_second_part_comes_too_late(desk, sam, grant, message, canary):
    assert canary.encode() in desk.read(sam, grant, message, "headers")
    desk.later(
        grant,
        expires_at="now() + interval '1 second'",
        opened_at="now() + interval '1 second' - minutes * interval '1 minute'",
    )
    assert canary.encode() in desk.read(sam, grant, message, "text")
    time.sleep(1.1)
    assert desk.read(sam, grant, message, "attachments") == "expired"


def test_P10_the_page_leaves_the_screen_with_the_grant(press, desk, sam, may_read, message, path):
    desk.read(sam, may_read, message, "headers")
    desk.age(may_read, "14 minutes 30 seconds")
    seconds = int(press(sam, path(may_read, message, "text")).headers["Refresh"].partition(";")[0])
    assert 0 < seconds <= 31
