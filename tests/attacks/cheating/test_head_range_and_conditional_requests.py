"""The holder asks in ways that a cache or a downloader would: HEAD, Range, If-None-Match. None opens, or opens unwritten."""

CONDITIONS = (
    {"Range": "bytes=0-3"},
    {"If-None-Match": "*"},
    {"If-Modified-Since": "Mon, 01 Jan 2035 00:00:00 GMT"},
)


def test_P11_only_a_form_opens(browser_of, desk, sam, may_read, message, path, canary):
    client = browser_of(sam)
    for part in ("headers", "text", "attachments", "layout", "file"):
        for verb in ("get", "head", "put", "options"):
            answer = getattr(client, verb)(path(may_read, message, part))
            assert answer.status_code in (200, 403, 405)
            assert answer.status_code != 200 or answer.data == b""
            assert canary not in answer.text
    assert desk.acts(may_read) == []


def test_P11_a_piece_of_a_file_is_an_act_as_well(press, desk, sam, may_read, message, path):
    for headers in CONDITIONS:
        answer = press(sam, path(may_read, message, "file"), headers, number="2")
        assert answer.status_code == 200, "all of it, whatever was asked for"
        assert not {"ETag", "Last-Modified", "Content-Range"} & set(answer.headers.keys())
    assert len(desk.acts(may_read)) == 3
