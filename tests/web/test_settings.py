"""Settings: what is asked, kept and refused; keys of one's own; what was decided about senders; help with the keyboard."""

import re
from html import unescape

import pytest

from webmail.mail import correspondents
from webmail.web import shortcuts
from webmail.web.views.settings import CHOICES

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
PAGES = ("/settings", "/settings/keyboard", "/settings/senders", "/settings/time", "/help/keyboard")
FORMS = ("/settings", "/settings/keyboard", "/settings/senders", "/settings/time")


@pytest.fixture
def client(browser_of, ann):
    return browser_of(ann)


@pytest.fixture
def post(client, csrf):
    """Send a form as the page would, and follow where it leads."""

    def send(path, follow=True, **fields):
        given = {"csrf_token": csrf(client)} | fields
        return client.post(path, data=given, follow_redirects=follow)

    return send


def main_of(page):
    """The part that is swapped, without its token."""
    return re.sub(r'value="[0-9a-f]{64}"', "", re.search(r"(?s)<main.*</main>", page.text)[0])


def keys_on(page):
    """What the page's fields for keys hold."""
    fields = re.findall(r'<input id="key-(\w+)" name="(\w+)" value="([^"]*)"', page.text)
    assert all(one == other for one, other, _value in fields)
    return {name: unescape(value) for name, _name, value in fields}


def error_of(page, field):
    """What the page says about a field that points at its error."""
    tag = re.search(rf'<(?:input|select)[^>]* id="{field}"[^>]*>', page.text)[0]
    assert 'aria-invalid="true"' in tag
    pointed = re.search(r'aria-describedby="([^"]+)"', tag)[1]
    return unescape(re.search(rf'<p class="err" id="{pointed}">([^<]+)</p>', page.text)[1])


def is_chosen(page, value):
    return f'<option value="{value}" selected>' in page.text


# --- every view -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_every_page_works_and_its_fragment_agrees(client, path):
    page, fragment = client.get(path), client.get(path, headers=HTMX)
    assert page.status_code == fragment.status_code == 200
    assert main_of(page) == main_of(fragment)
    assert page.text.count("<h1>") == 1
    assert 'href="#content"' in page.text


@pytest.mark.parametrize("path", PAGES)
def test_signed_out_is_led_to_sign_in(stranger, empty, path):
    answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/auth/sign-in")


@pytest.mark.parametrize("path", PAGES)
def test_wrong_methods_are_refused(client, post, path):
    assert client.delete(path).status_code == 405
    if path not in FORMS:
        assert post(path).status_code == 405


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_a_token_changes_nothing(client, path):
    answer = client.post(path, data={"rows": "20", "defaults": "1", "shortcuts": "on"})
    assert answer.status_code == 403
    assert is_chosen(client.get("/settings"), "50")
    assert "Shortcuts are off." in client.get("/help/keyboard").text


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_changes_nothing(client, csrf, path):
    given = {"csrf_token": csrf(client), "rows": "20", "defaults": "1", "shortcuts": "on"}
    answer = client.post(path, data=given, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "Shortcuts are off." in client.get("/help/keyboard").text


# --- how pages look -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [(choice.name, value) for choice in CHOICES for value, _words in choice.options]
)
def test_every_choice_that_is_offered_is_kept(post, client, name, value):
    answer = post("/settings", **{name: value})
    assert answer.status_code == 200
    assert answer.text.count("Settings saved.") == 1
    select = re.search(rf'(?s)<select id="{name}".*?</select>', client.get("/settings").text)[0]
    assert re.findall(r'value="([^"]+)" selected', select) == [value]


def test_a_form_leads_back_so_that_a_reload_does_not_send_it_again(post):
    answer = post("/settings", follow=False, rows="20")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings")


def test_a_wrong_choice_is_refused_at_its_field_and_the_others_are_kept_on_the_page(post, client):
    page = post("/settings", rows="7", density="compact", pictures="always", shortcuts="on")
    assert page.status_code == 422
    assert "There is no such choice." in error_of(page, "rows")
    assert 'role="alert"' in page.text
    assert is_chosen(page, "compact")
    assert is_chosen(page, "always")
    assert re.search(r'id="shortcuts"[^>]* checked', page.text)
    stored = client.get("/settings")
    assert is_chosen(stored, "comfortable"), "nothing was saved"
    assert not re.search(r'id="shortcuts"[^>]* checked', stored.text)


@pytest.mark.parametrize("value", ["maybe", "", "<script>"])
def test_a_switch_that_does_not_exist_is_refused(post, value):
    page = post("/settings", shortcuts=value)
    assert page.status_code == 422
    assert 'id="shortcuts-err"' in page.text


def test_what_a_form_does_not_name_stays(post, client):
    post("/settings", shortcuts="on", density="compact")
    post("/settings", rows="20")
    page = client.get("/settings")
    assert is_chosen(page, "compact")
    assert is_chosen(page, "20")
    assert re.search(r'id="shortcuts"[^>]* checked', page.text)


def test_settings_are_each_persons_own(post, browser_of, ben):
    post("/settings", rows="20", shortcuts="on")
    other = browser_of(ben)
    assert is_chosen(other.get("/settings"), "50")
    assert "Shortcuts are off." in other.get("/help/keyboard").text


def test_forms_that_change_the_frame_load_the_whole_page(client):
    """A swap leaves head and body alone: keys that were switched off would go on working."""
    for path in ("/settings", "/settings/keyboard"):
        assert re.search(rf'action="{path}" hx-boost="false"', client.get(path).text)


# --- shortcuts ------------------------------------------------------------------------------------------------------------


def test_shortcuts_are_off_until_switched_on_and_then_have_the_defaults(post, client):
    assert "Shortcuts are off." in client.get("/help/keyboard").text
    # As a browser sends the box: the hidden field first.
    page = post("/settings", shortcuts=["off", "on"])
    assert re.search(r'id="shortcuts"[^>]* checked', page.text)
    assert "These are your keys." in client.get("/help/keyboard").text
    assert keys_on(client.get("/settings/keyboard")) == {
        name: shortcuts.show(key) for name, key in shortcuts.DEFAULTS.items()
    }
    post("/settings", shortcuts="off")
    assert "Shortcuts are off." in client.get("/help/keyboard").text


def test_keys_of_ones_own_are_kept_and_saving_other_settings_leaves_them(post, client):
    answer = post("/settings/keyboard", archive="y", unread="shift+M", inbox="g n", delete="<")
    assert answer.text.count("Settings saved.") == 1
    mine = {"archive": "y", "unread": "Shift+m", "inbox": "g n", "delete": "<"}
    assert {name: key for name, key in keys_on(answer).items() if key} == mine
    post("/settings", rows="20", shortcuts=["off", "on"])
    assert {name: key for name, key in keys_on(client.get("/settings/keyboard")).items() if key} == mine
    page = client.get("/help/keyboard").text
    assert "<kbd>Shift+m</kbd></dt><dd>Mark as unread" in page
    assert "<kbd>g</kbd> <kbd>n</kbd></dt><dd>Go to Inbox" in page
    assert "<kbd>&lt;</kbd></dt><dd>Delete" in page
    assert "no key</dt><dd>Reply" in page


def test_what_cannot_be_a_key_is_refused_at_its_field_and_stays_typed(post, client):
    typed = {name: shortcuts.show(key) for name, key in shortcuts.DEFAULTS.items()}
    page = post(
        "/settings/keyboard", **typed | {"archive": "r", "junk": "Ctrl+j", "star": "g", "compose": '"><b>'}
    )
    assert page.status_code == 422
    assert error_of(page, "key-archive") == "“Reply” has this key too. Give one of them another."
    assert error_of(page, "key-reply") == "“Archive” has this key too. Give one of them another."
    assert "belong to the browser" in error_of(page, "key-junk")
    assert "g begins two keys" in error_of(page, "key-star")
    assert "Use one key" in error_of(page, "key-compose")
    assert page.text.count('class="err"') == 5
    kept = keys_on(page)
    assert (kept["archive"], kept["junk"], kept["compose"]) == ("r", "Ctrl+j", '"><b>')
    assert "Shortcuts are off." in client.get("/help/keyboard").text, "nothing was saved"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Enter", "moves about"),
        ("Shift+3", "Write the character"),
        ("😀", "cannot be typed"),
        ("x" * 5000, "Use one key"),
    ],
)
def test_each_refusal_says_what_to_do(post, typed, words):
    page = post("/settings/keyboard", archive=typed)
    assert page.status_code == 422
    assert words in error_of(page, "key-archive")
    assert len(keys_on(page)["archive"]) <= 40


def test_no_key_at_all_is_refused_with_the_way_to_switch_off(post):
    page = post("/settings/keyboard", archive=" ")
    assert page.status_code == 422
    assert "switch them off in the settings" in page.text


def test_back_to_defaults(post, client):
    post("/settings/keyboard", archive="y")
    # The button sends what is typed as well, wrong or not.
    page = post("/settings/keyboard", archive="Ctrl+y", defaults="1")
    assert page.status_code == 200
    assert keys_on(page)["archive"] == "e"
    assert "These are your keys." in client.get("/help/keyboard").text


# --- senders --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def decided(ann, opened):
    """Two blocked, one with pictures."""

    def decide(keys):
        correspondents.block(keys, "spam@bad.example")
        correspondents.block(keys, "<b>@bad.example")
        correspondents.allow_pictures(keys, "news@good.example", True)

    opened(ann, decide)


def ident_of(page, address):
    return re.search(rf'value="([^"]+)">[^<]+<span class="vh"> {re.escape(address)}<', page.text)[1]


def test_nobody_is_blocked_at_first(client):
    page = client.get("/settings/senders")
    assert "Nobody." in page.text
    assert "For nobody." in page.text


def test_senders_are_listed_and_each_can_be_taken_back(client, post, decided):
    page = client.get("/settings/senders")
    assert "<bdi>spam@bad.example</bdi>" in page.text
    assert "<bdi>&lt;b&gt;@bad.example</bdi>" in page.text
    after = post("/settings/senders", unblock=ident_of(page, "spam@bad.example"))
    assert after.text.count("Settings saved.") == 1
    assert "spam@bad.example" not in after.text
    assert "&lt;b&gt;@bad.example" in after.text
    assert "news@good.example" in after.text
    last = post("/settings/senders", ask=ident_of(after, "news@good.example"))
    assert "news@good.example" not in last.text
    assert "For nobody." in last.text


@pytest.mark.parametrize("ident", ["", "zz", "00" * 32, "é"])
def test_a_sender_without_a_rule_is_a_404(post, ident):
    assert post("/settings/senders", unblock=ident).status_code == 404


def test_a_form_that_asks_for_nothing_is_a_400(post, decided):
    assert post("/settings/senders", other="1").status_code == 400


def test_a_rule_of_another_mailbox_is_a_404(client, browser_of, ben, csrf, decided):
    ident = ident_of(client.get("/settings/senders"), "spam@bad.example")
    other = browser_of(ben)
    assert "bad.example" not in other.get("/settings/senders").text
    answer = other.post("/settings/senders", data={"csrf_token": csrf(other), "unblock": ident})
    assert answer.status_code == 404
    assert "spam@bad.example" in client.get("/settings/senders").text


# --- help -----------------------------------------------------------------------------------------------------------------


def test_help_names_every_action_and_its_key(client):
    page = unescape(client.get("/help/keyboard").text)
    for action in shortcuts.ACTIONS:
        assert f"<dd>{action.words}</dd>" in page
    assert page.count("<kbd>g</kbd>") == 4
    assert 'href="/settings#shortcuts"' in page


def test_help_is_linked_from_settings_and_from_keys(client):
    for path in ("/settings", "/settings/keyboard"):
        assert 'href="/help/keyboard"' in client.get(path).text


# --- times ----------------------------------------------------------------------------------------------------------------


def shown_times(page):
    return re.findall(r'<time datetime="([^"]+)">([^<]+)</time>', page.text)


def test_times_are_shown_by_the_clock_that_was_chosen_and_else_by_the_browsers(
    client, post, deliver, ann, letter
):
    deliver(ann, letter())
    [(moment, in_utc)] = shown_times(client.get("/mail/inbox"))
    clocks = {in_utc}
    client.set_cookie("tz", "Asia/Kathmandu", domain="mail.localhost")
    [(same, there)] = shown_times(client.get("/mail/inbox"))
    clocks.add(there)
    assert post("/settings/time", zone="America/St_Johns").text.count("Settings saved.") == 1
    [(again, chosen)] = shown_times(client.get("/mail/inbox"))
    clocks.add(chosen)
    assert moment == same == again
    assert len(clocks) == 3
    assert is_chosen(client.get("/settings/time"), "America/St_Johns")
    post("/settings/time", zone="")
    assert shown_times(client.get("/mail/inbox")) == [(moment, there)]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Europe", "posix/Europe/Berlin"])
def test_a_zone_that_is_none_is_refused_and_a_cookie_that_is_none_is_passed_over(client, post, zone):
    page = post("/settings/time", zone=zone)
    assert page.status_code == 422
    assert "nothing was saved" in error_of(page, "zone")
    client.set_cookie("tz", zone, domain="mail.localhost")
    assert "by the clocks of UTC" in client.get("/settings/time").text


def test_a_list_that_was_kept_by_the_browser_is_not_shown_by_another_clock(client, post):
    etag = client.get("/mail/inbox").headers["ETag"]
    post("/settings/time", zone="Asia/Tokyo")
    assert client.get("/mail/inbox", headers={"If-None-Match": etag}).status_code == 200
