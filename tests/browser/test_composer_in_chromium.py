"""The composer in a real browser: by keyboard alone, without scripts, over a line that breaks, and with names while they are typed."""

import dataclasses
import random
import re

import pytest
from sqlalchemy import text

from webmail.mail import contacts
from webmail.mail.addresses import parse_recipients
from webmail.sending import answers_kept, drafts
from webmail.web.views import uploads

playwright = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")

expect = playwright.expect

pytestmark = pytest.mark.browser


@pytest.fixture
def sent(superuser):
    """Recipients of what was sent."""
    return lambda: superuser.execute(text("SELECT recipient FROM delivery ORDER BY 1")).scalars().all()


def tab_to(page: object, selector: str) -> None:
    """Press Tab until what `selector` names has the focus."""
    for _ in range(60):
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_message_is_written_previewed_and_sent_by_keyboard_alone(window, opened, ann, sent, scripts):
    opened(ann, lambda keys: answers_kept.add(keys, "Thanks", "Thank you."))
    page = window("/compose", scripts=scripts)
    tab_to(page, "[name=to]")
    page.keyboard.type("dmitri@example.net")
    tab_to(page, "[name=subject]")
    page.keyboard.type("Plan")
    tab_to(page, "[name=body]")
    page.keyboard.type("A **bold** plan, attached.")
    page.locator("[name=to]").focus()
    page.keyboard.press("Shift+Tab")
    tab_to(page, "#compose summary")
    page.keyboard.press("Enter")
    tab_to(page, "[name=formatted]")
    page.keyboard.press("Space")
    tab_to(page, "[name=preview]")
    page.keyboard.press("Enter")
    expect(page.locator("section .reading strong")).to_have_text("bold")
    expect(page.locator("[name=formatted]")).to_be_checked()
    page.locator("#compose summary", has_text="Options").focus()
    page.keyboard.press("Enter")
    tab_to(page, "[name=insert]")
    page.keyboard.press("Enter")
    expect(page.locator("[name=body]")).to_have_value(re.compile("Thank you"))
    tab_to(page, "[name=send]")
    page.keyboard.press("Enter")
    expect(page.locator("#compose [role=alert] li")).to_have_text(
        "You wrote that something is attached, but there is no file."
    )
    assert sent() == []
    expect(page.locator("[name=send]")).to_have_text("Send all the same")
    tab_to(page, "[name=send]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/mail/sent/*")
    assert sent() == ["dmitri@example.net"]


def test_names_are_chosen_by_keys(window, opened, ann):
    opened(
        ann,
        lambda keys: contacts.learn(
            keys, parse_recipients("Carla Ruiz <carla@example.org>, carl@example.org, Zoe <zoe@example.org>")
        ),
    )
    page = window("/compose")
    field = page.locator("[name=to]")
    field.focus()
    page.keyboard.type("ben@example.org, car")
    options = page.get_by_role("option")
    expect(options).to_have_count(2)
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_count(1)
    assert field.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    told = chosen.inner_text()
    page.keyboard.press("Enter")
    expect(field).to_have_value(f"ben@example.org, {told}, ")
    expect(options).to_have_count(0)
    page.keyboard.type("zo")
    expect(options).to_have_count(1)
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("e")
    options.first.click()
    expect(field).to_have_value(f"ben@example.org, {told}, Zoe <zoe@example.org>, ")


def test_a_file_of_5_MB_survives_three_dropped_connections_while_one_writes_on(
    window, opened, ann, tmp_path, superuser, monkeypatch
):
    """Two break before anything arrives; of the third the piece is kept, and the answer never comes."""
    content = random.Random(7).randbytes(5_000_000)
    file = tmp_path / "plan.bin"
    file.write_bytes(content)
    small = tmp_path / "small.txt"
    small.write_bytes(b"small")
    page = window("/compose")
    seen = {"posts": 0, "dropped": 0}

    def drop(route) -> None:
        seen["posts"] += 1
        if seen["posts"] in (2, 5):
            seen["dropped"] += 1
            route.abort("connectionreset")
        else:
            route.continue_()

    usual = uploads._answer

    def lose(reached, draft):
        if seen["posts"] >= 8 and seen["dropped"] == 2:
            seen["dropped"] += 1
            raise OSError
        return usual(reached, draft)

    monkeypatch.setattr(uploads, "_answer", lose)
    page.route("**/compose/upload", drop)
    page.locator("[name=attachment]").set_input_files([file, small])
    expect(page.locator("#compose p[role=status]")).to_contain_text("plan.bin")
    page.locator("[name=body]").fill("Written while the file was on its way.")
    page.locator("[name=send]").click()
    expect(page.locator("#late")).to_be_visible()
    expect(page.locator(".files")).to_contain_text("plan.bin", timeout=30_000)
    assert seen["dropped"] == 3
    expect(page.locator("[name=body]")).to_have_value("Written while the file was on its way.")
    page.locator("[name=save]").click()
    expect(page.locator(".files")).to_contain_text("small.txt")
    expect(page.locator(".files")).to_contain_text("Together")
    [number] = superuser.execute(text("SELECT message_id FROM draft")).scalars().all()
    files = opened(ann, lambda keys: drafts.files(keys, number))
    assert {item.name: item.content for item in files} == {"plan.bin": content, "small.txt": b"small"}
    expect(page.locator("[name=body]")).to_have_value("Written while the file was on its way.")


def test_what_may_not_be_attached_is_said(window, tmp_path, web_app, monkeypatch):
    small = dataclasses.replace(web_app.extensions["settings"], message_bytes=400_000)
    monkeypatch.setitem(web_app.extensions, "settings", small)
    file = tmp_path / "large.bin"
    file.write_bytes(b"x" * 600_000)
    page = window("/compose")
    page.locator("[name=attachment]").set_input_files(file)
    expect(page.locator("#compose p[role=alert]")).to_contain_text("may leave")


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off(window, opened, ann, width):
    opened(ann, lambda keys: answers_kept.add(keys, "A rather long name " * 5, "w"))
    page = window("/compose", width=width)
    page.locator("#compose summary", has_text="Options").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#compose .menu > div").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000000030001015c"
    "cd1d7e0000000049454e44ae426082"
)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_picture_is_shown_in_the_text_by_keyboard_alone(window, scripts):
    page = window("/compose", scripts=scripts)
    page.locator("[name=attachment]").set_input_files(
        {"name": "well (1).png", "mimeType": "image/png", "buffer": PNG}
    )
    tab_to(page, "[name=body]")
    page.keyboard.type("Before. After.")
    tab_to(page, "button[name=attach]")
    page.keyboard.press("Enter")
    expect(page.locator(".files")).to_contain_text("well (1).png")
    if scripts:
        page.locator("[name=body]").evaluate("e => e.setSelectionRange(7, 7)")
    page.locator("[name=subject]").focus()
    tab_to(page, "[name=show]")
    page.keyboard.press("Enter")
    written = "![well (1)](<well (1).png>)"
    expected = f"Before.\n{written}\n After." if scripts else f"Before. After.\n\n{written}\n"
    expect(page.locator("[name=body]")).to_have_value(expected)
    page.locator("#compose summary", has_text="Options").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[name=formatted]")).to_be_checked()
    tab_to(page, "[name=preview]")
    page.keyboard.press("Enter")
    picture = page.locator("section .reading img")
    expect(picture).to_have_attribute("alt", "well (1)")
    expect(picture).to_have_js_property("naturalWidth", 1)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_file_of_another_message_is_attached_by_keyboard_alone(window, deliver, ann, scripts):
    raw = (
        b"From: z@example.org\r\nTo: ann@mtumail.test\r\nSubject: files\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n%PDF-1\r\n"
    )
    deliver(ann, raw)
    page = window("/compose", scripts=scripts)
    tab_to(page, "[name=body]")
    page.keyboard.type("Typed before.")
    page.locator("#compose summary", has_text="Options").focus()
    page.keyboard.press("Enter")
    tab_to(page, "[name=browse]")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Attach from a message")
    tab_to(page, "[name=take]")
    page.keyboard.press("Space")
    tab_to(page, "main button.go")
    page.keyboard.press("Enter")
    expect(page.locator("#compose .files")).to_contain_text("plan.pdf")
    expect(page.locator("[name=body]")).to_have_value("Typed before.")


def test_a_name_is_chosen_without_scripts(window, opened, ann, sent):
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients("Carla Ruiz <carla@example.org>")))
    page = window("/compose", scripts=False)
    tab_to(page, "[name=to]")
    page.keyboard.type("car")
    tab_to(page, "[name=subject]")
    page.keyboard.type("Hello")
    tab_to(page, "[name=send]")
    page.keyboard.press("Enter")
    expect(page.locator("#to-err")).to_have_text("This is not an address: car")
    tab_to(page, "button[name^=person]")
    page.keyboard.press("Enter")
    expect(page.locator("[name=to]")).to_have_value("Carla Ruiz <carla@example.org>")
    tab_to(page, "[name=send]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/mail/sent/*")
    assert sent() == ["carla@example.org"]


def test_two_tabs_are_told_of_each_other_and_both_texts_are_kept(window):
    one = window("/compose")
    one.locator("[name=body]").fill("begun")
    one.locator("[name=save]").click()
    one.wait_for_url("**draft=*")
    other = one.context.new_page()
    other.goto(one.url)
    one.locator("[name=body]").fill("from the first")
    one.locator("[name=save]").click()
    expect(one.locator("#notice")).to_contain_text("Draft saved.")
    other.locator("[name=body]").fill("from the second")
    other.locator("[name=save]").click()
    expect(other.locator("[role=alert]")).to_contain_text("changed in another window")
    expect(other.locator("[name=body]")).to_have_value("from the second")
    with other.expect_popup() as opened:
        other.get_by_text("Look at the other version").click()
    expect(opened.value.locator("[name=body]")).to_have_value("from the first")
