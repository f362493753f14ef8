"""Somebody who reads the logs, Redis and what waits in queues finds there what was opened under a grant, or whose it is."""

import logging

from webmail import jobs


def test_P15_nothing_that_was_opened_is_told_there(
    press, desk, sam, ann, may_read, message, path, canary, caplog, worker
):
    from workers import owners

    caplog.set_level(logging.DEBUG)
    for part in ("headers", "text", "attachments", "layout", "file"):
        assert press(sam, path(may_read, message, part), number="2").status_code == 200
    desk.close(sam, may_read)
    assert owners.drain() == 1
    told = caplog.text + "".join(str(vars(one)) for one in caplog.records)
    for word in (canary, "of the text", "eve@evil.example", ann.address, "Ann Whitfield"):
        assert word not in told, word
    for key in jobs.bell.redis.keys("*"):
        kept = key + (jobs.bell.redis.dump(key) or b"")
        assert canary.encode() not in kept
        assert b"ann@" not in kept
