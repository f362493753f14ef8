"""The browser shows what was read from its cache when the grant is over: nothing of it may be kept, whatever part it was."""


def test_P10_nothing_that_was_opened_is_kept(press, sam, may_read, message, path):
    for part in ("headers", "text", "attachments", "layout", "file"):
        answer = press(sam, path(may_read, message, part), number="2")
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert not {"ETag", "Last-Modified", "Expires"} & set(answer.headers.keys())
