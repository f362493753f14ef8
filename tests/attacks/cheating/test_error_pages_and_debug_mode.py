"""Something breaks while a part is shown, perhaps in debug mode, so that its text ends up on the page or in the log."""

import pytest

from webmail.governance.access import disclosing


@pytest.mark.parametrize("debug", [False, True])
def test_P11_what_goes_wrong_says_nothing_and_the_act_stands(
    web_app, monkeypatch, press, desk, sam, may_read, message, path, canary, caplog, debug
):
    def fail(raw):
        raise ValueError(raw)

    monkeypatch.setitem(web_app.config, "DEBUG", debug)
    monkeypatch.setattr(disclosing, "headers", fail)
    answer = press(sam, path(may_read, message, "headers"))
    assert answer.status_code == 500
    assert canary not in answer.text
    assert "Traceback" not in answer.text
    assert canary not in caplog.text
    assert desk.acts(may_read) == [(1, message, "headers", 0)]


def test_P11_a_process_is_not_talked_into_a_debugger(settings, monkeypatch):
    """FLASK_DEBUG in its surroundings changes no answer: an application answers what is unexpected itself."""
    from webmail import create_app

    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = create_app(settings("web"))
    assert Exception in app.error_handler_spec[None][None]
