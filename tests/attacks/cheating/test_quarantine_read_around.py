"""An owner, or a thief with his browser, reads what is held by every other page that shows mail; and so does a job of his."""

import re

import pytest

from webmail.db import show_id


@pytest.fixture
def message(hold, reported, sue, spread, ann) -> str:
    assert hold(sue, *reported)[1] == "done"
    return show_id(spread[ann.address])


def test_P07_no_page_of_mail_has_it(browser_of, ann, message, web_app):
    client = browser_of(ann)
    tried = 0
    for rule in web_app.url_map.iter_rules():
        own = not rule.rule.startswith(("/staff", "/admin", "/report"))
        if not own or "message" not in rule.arguments or rule.arguments - {"message", "folder", "number"}:
            continue
        where = rule.rule
        for name, value in (("message", message), ("folder", "inbox"), ("number", "1")):
            where = re.sub(rf"<[^<>]*\b{name}>", value, where)
        answer = client.get(where)
        assert answer.status_code in (404, 405), (where, answer.status_code)
        assert "CANARY" not in answer.text
        tried += 1
    assert tried >= 4


@pytest.mark.parametrize("path", ["/", "/mail/inbox", "/mail/archive", "/mail/trash", "/search?q=CANARY-held", "/search?q=password",
                                  "/compose?reply={m}", "/compose?forward={m}", "/contacts", "/my-data", "/report/{m}"])  # fmt: skip
def test_P07_nor_lists_search_or_answers_to_it(browser_of, ann, message, path):
    answer = browser_of(ann).get(path.format(m=message))
    assert "CANARY" not in answer.text.replace('value="CANARY-held"', "").replace(
        "“CANARY-held”", ""
    ).replace("CANARY-held - ", "").replace("q=CANARY-held", "")
    assert "closed tonight" not in answer.text


def test_P07_its_line_alone_is_told_where_it_says_why(browser_of, ann, ben, message):
    page = browser_of(ann).get("/held").text
    assert "CANARY-held" in page
    assert "closed tonight" not in page
