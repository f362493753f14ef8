"""A grant names the headers; its holder asks for the text, for files by number, and for parts that do not exist."""

import pytest


@pytest.fixture
def headers_only(desk, sam, sue, ann, message):
    return desk.granted(sam, sue, ann, {message: {"headers"}})


TRIES = (
    ("text", 0, "out-of-scope"),
    ("attachments", 0, "out-of-scope"),
    ("attachments", 2, "out-of-scope"),
    ("headers", 2, "part"),
    ("attachments", -1, "part"),
    ("attachments", 99_999, "part"),
    ("source", 0, "part"),
    ("", 0, "part"),
)


def test_P10_a_part_is_one_of_those_named(desk, sam, headers_only, message, whys):
    for part, file, why in TRIES:
        assert desk.read(sam, headers_only, message, part, file) == why
    assert whys() == [why for _part, _file, why in TRIES]
    assert desk.acts(headers_only) == []


def test_P10_the_headers_do_not_come_with_the_text(press, proved, sam, headers_only, message, path, canary):
    proved(sam, "access.open", headers_only)
    page = press(sam, path(headers_only, message, "headers")).text
    assert f"{canary} of the headers" in page
    assert f"{canary} of the text" not in page
    assert f"{canary}.html" not in page
