"""An attachment is a page with a script: opened in the browser, it would act as the colleague who saves it. It is only saved."""


def test_P10_a_file_is_bytes_to_be_saved(press, sam, may_read, message, path, canary):
    for number, name in (("2", f"{canary}.html"), ("3", "picture.svg")):
        answer = press(sam, path(may_read, message, "file"), number=number)
        assert answer.status_code == 200
        assert answer.mimetype == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert name in answer.headers["Content-Disposition"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_P10_a_number_is_a_number(press, desk, sam, may_read, message, path):
    for number in ("0", "-1", "99999", "1e3", "²", "2;3", "../2", ""):
        assert press(sam, path(may_read, message, "file"), number=number).status_code == 404
    assert desk.acts(may_read) == []
