"""Real keys in a real page with htmx: each does what the page's own button does, and nothing else does anything."""

import re
from collections.abc import Callable

import pytest

from webmail.db import transaction
from webmail.identity import accounts
from webmail.web import shortcuts

playwright = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")

ORIGIN = "http://mail.localhost:8000"
expect = playwright.expect

pytestmark = pytest.mark.browser


@pytest.fixture
def mail(ann, deliver, letter) -> None:
    """Five messages, the fifth on top."""
    for subject in ("First", "Second", "Third", "Fourth", "Fifth"):
        deliver(ann, letter(subject))


@pytest.fixture
def window(window, web_app, ann, mail) -> Callable[..., object]:
    """Open a page of Ann's, with these keys."""

    def come(keys=shortcuts.DEFAULTS, path: str = "/") -> object:
        with web_app.app_context(), transaction():
            accounts.prefer(ann.account_id, {}, keys)
        return window(path)

    return come


def press(page: object, *keys: str) -> None:
    """Press keys, and wait after each until nothing is under way."""
    for key in keys:
        page.keyboard.press(key)
        expect(page.locator(".htmx-request, body.busy")).to_have_count(0)


def send(page: object, key: str, **more: object) -> None:
    """A keydown as the browser would tell it, with what cannot be pressed here."""
    page.evaluate(
        "([key, more]) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, ...more}))",
        [key, more],
    )


def subjects(page: object) -> list[str]:
    return page.locator("#messages a.subject").all_inner_texts()


def focused(page: object) -> str:
    return page.evaluate("document.activeElement.innerText || document.activeElement.id")


def path_of(page: object) -> str:
    return re.sub(r"^(/mail/\w+/).*", r"\1*", page.url.removeprefix(ORIGIN))


ALL = ["Fifth", "Fourth", "Third", "Second", "First"]


def test_moving_and_opening(window):
    page = window()
    press(page, "j", "j")
    assert focused(page) == "Fourth"
    press(page, "k")
    assert focused(page) == "Fifth"
    press(page, "k")
    assert focused(page) == "Fifth", "there is none before the first"
    press(page, "j", "o")
    expect(page.locator("#content h1")).to_have_text("Fourth")
    assert path_of(page) == "/mail/inbox/*"


@pytest.mark.parametrize("way", ["u", "Back"])
def test_back_in_the_list_it_goes_on_where_it_was(window, way):
    page = window()
    press(page, "j", "j", "Enter")
    expect(page.locator("#content h1")).to_have_text("Fourth")
    if way == "u":
        press(page, "u")
    else:
        page.go_back()
    expect(page.locator("#messages")).to_be_visible()
    press(page, "j")
    assert focused(page) == "Third"


def test_archive_and_undo(window):
    page = window()
    press(page, "j", "j", "e")
    expect(page.locator("#notice")).to_contain_text("Archived.")
    assert subjects(page) == ["Fifth", "Third", "Second", "First"]
    press(page, "j")
    assert focused(page) == "Third", "what took its place"
    press(page, "z")
    expect(page.locator("#notice")).to_contain_text("Moved back.")
    assert subjects(page) == ALL


def test_an_opened_message_is_archived_and_the_list_goes_on(window):
    page = window()
    press(page, "j", "j", "o", "e")
    expect(page.locator("#notice")).to_contain_text("Archived.")
    assert subjects(page) == ["Fifth", "Third", "Second", "First"]
    # Once too often: nothing is selected and nothing has focus.
    press(page, "e")
    expect(page.locator("#notice")).to_contain_text("Archived.")
    assert len(subjects(page)) == 4
    press(page, "j")
    assert focused(page) == "Third"


def test_selecting_several_and_what_the_key_then_means(window):
    page = window()
    press(page, "j", "x", "j", "j", "x", "k")
    assert page.locator("[data-count]").inner_text() == "2 selected"
    press(page, "#")
    expect(page.locator("#notice")).to_contain_text("2 moved to Trash.")
    assert subjects(page) == ["Fourth", "Second", "First"]


def test_a_ticked_box_that_has_focus_is_no_field_to_write_in(window):
    page = window()
    page.locator("#messages [name=id]").nth(1).click()
    press(page, "!")
    expect(page.locator("#notice")).to_contain_text("Moved to Junk.")
    assert subjects(page) == ["Fifth", "Third", "Second", "First"]


def test_star_and_unread_in_a_list_and_in_a_message(window):
    page = window()
    press(page, "j", "s")
    expect(page.locator("#messages tr .star")).to_have_count(1)
    press(page, "j", "k", "s")
    expect(page.locator("#messages tr .star")).to_have_count(0)
    press(page, "j", "k", "o", "s")
    expect(page.locator("article .star")).to_have_count(1)
    press(page, "Shift+u")
    expect(page.locator("#messages tr.u")).to_have_count(5)


def test_answering(window):
    page = window()
    press(page, "j", "o")
    message = page.url
    for key, asked in (("r", "reply="), ("a", "all=1"), ("f", "forward=")):
        press(page, key)
        expect(page.locator("#compose")).to_be_visible()
        assert f"/compose?{'reply' if key == 'a' else asked.rstrip('=')}=" in page.url
        assert ("all=1" in page.url) == (key == "a")
        page.goto(message)


def test_going(window):
    page = window(path="/settings")
    for keys, path in (
        ("gt", "/mail/sent"),
        ("gd", "/mail/drafts"),
        ("ga", "/mail/archive"),
        ("gi", "/mail/inbox"),
        ("c", "/compose"),
    ):
        press(page, *keys)
        expect(page).to_have_url(ORIGIN + path)


def test_in_the_search_box_letters_are_letters(window):
    page = window()
    press(page, "j", "/")
    assert focused(page) == "q"
    press(page, "e", "j", "#")
    assert page.locator("#q").input_value() == "ej#"
    assert subjects(page) == ALL
    assert page.locator("#notice").count() == 0


def test_in_a_letter_letters_are_letters(window):
    page = window(path="/compose")
    for field in ("#to", "#body"):
        page.locator(field).focus()
        press(page, "c", "g", "i", "?")
        assert page.locator(field).input_value() == "cgi?"
        page.locator(field).fill("")  # nothing to save when the page is closed
    assert path_of(page) == "/compose"


def test_in_a_conversation_keys_mean_the_message_that_has_focus(window, ann, deliver, letter):
    sent = {"Message_ID": "<one@example.org>"}
    deliver(ann, letter("Plans", "Shall we?\r\n", **sent))
    deliver(ann, letter("Re: Plans", "We shall.\r\n", In_Reply_To="<one@example.org>"))
    page = window()
    press(page, "j", "o", "j")
    expect(page.locator("article.message")).to_have_count(2)
    first = page.locator("article.message").first
    assert first.evaluate("e => e.contains(document.activeElement)")
    press(page, "o")
    expect(first.locator(".reading")).to_contain_text("Shall we?")
    press(page, "j", "r")
    expect(page.locator("#compose")).to_be_visible()


def test_with_a_modifier_nothing_happens(window):
    page = window()
    press(page, "j")
    for modifier in ("ctrlKey", "altKey", "metaKey"):
        for key in ("j", "e", "x"):
            send(page, key, **{modifier: True})
    assert focused(page) == "Fifth"
    assert subjects(page) == ALL
    assert page.locator("#messages :checked").count() == 0


def test_while_something_is_composed_or_held_down_nothing_is_done(window):
    page = window()
    press(page, "j")
    send(page, "e", isComposing=True)
    send(page, "e", repeat=True)
    send(page, "x", repeat=True)
    assert page.locator("#messages :checked").count() == 0
    send(page, "j", repeat=True)
    assert focused(page) == "Fourth", "moving goes on while the key is held down"
    assert subjects(page) == ALL


def test_caps_lock_changes_no_key(window):
    page = window()
    send(page, "J")
    assert focused(page) == "Fifth"
    send(page, "x", shiftKey=True)
    assert page.locator("#messages :checked").count() == 0
    send(page, "X")
    assert page.locator("#messages :checked").count() == 1


def test_an_unknown_pair_does_not_do_what_its_second_key_does(window):
    page = window()
    press(page, "j", "g", "e")
    assert subjects(page) == ALL
    press(page, "e")
    expect(page.locator("#notice")).to_contain_text("Archived.")


def test_off_means_off(window):
    page = window(keys={})
    assert page.locator("script[data-keys]").count() == 0
    page.locator("#messages a.subject").first.focus()
    press(page, "j", "x", "e", "#", "c")
    assert focused(page) == "Fifth"
    assert subjects(page) == ALL
    assert path_of(page) == "/"


def test_keys_of_ones_own(window):
    page = window(keys={"next": "ж", "archive": "=", "inbox": "g n"})
    press(page, "j")
    assert focused(page) != "Fifth"
    send(page, "ж")
    assert focused(page) == "Fifth"
    press(page, "e")
    assert subjects(page) == ALL
    press(page, "=")
    expect(page.locator("#notice")).to_contain_text("Archived.")


def test_switched_off_in_the_settings_they_stop_at_once(window):
    page = window(path="/settings")
    page.locator("#shortcuts").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_have_text("Settings saved.")
    press(page, "c")
    assert path_of(page) == "/settings"
    page.locator("#shortcuts").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#shortcuts")).to_be_checked()
    press(page, "c")
    expect(page.locator("#compose")).to_be_visible()


def test_a_key_is_refused_at_its_field_and_another_is_kept(window):
    page = window(path="/settings/keyboard")
    page.get_by_label("Archive", exact=True).fill("r")
    page.get_by_role("button", name="Save").click()
    field = page.get_by_label("Archive", exact=True)
    expect(field).to_have_value("r")
    expect(field).to_have_accessible_description("“Reply” has this key too. Give one of them another.")
    field.fill("y")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_have_text("Settings saved.")
    page.goto(ORIGIN + "/")
    press(page, "j", "y")
    expect(page.locator("#notice")).to_contain_text("Archived.")
