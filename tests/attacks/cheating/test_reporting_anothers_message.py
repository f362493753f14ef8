"""Somebody reports a message of another mailbox, so that the staff open it for him: by its number on the page, and by raw SQL."""

from sqlalchemy import text

from webmail.db import show_id


def test_P06_P07_only_its_owner_reports_a_message(press, browser_of, ben, message, superuser, canary):
    answers = [
        press(ben, f"/report/{show_id(number)}", kind="phishing", words=f"{canary} was sent to me")
        for number in (message, message + 1)
    ]
    assert [one.status_code for one in answers] == [404, 404]
    pages = [browser_of(ben).get(f"/report/{show_id(number)}") for number in (message, message + 1)]
    assert {one.status_code for one in pages} == {404}
    assert superuser.execute(text("SELECT count(*) FROM report")).scalar() == 0
    assert superuser.execute(text("SELECT count(*) FROM case_file")).scalar() == 0


def test_P06_P07_nor_does_the_database_take_it(refused, ann, ben, message):
    row = (
        "INSERT INTO report (mailbox_id, report_id, message_id, account_id, kind, content_key, sealed)"
        f" VALUES ({ann.mailbox_id}, 1, {message}, {ben.account_id}, 'spam', '', '')"
    )
    name = f"SELECT set_config('mtumail.mailbox', '{ben.mailbox_id}', true)"
    assert "row-level security" in refused("web", name, row)
    for role in ("staff", "inbound"):
        assert "permission denied" in refused(role, row)


def test_P06_P07_the_report_of_one_opens_no_other(
    press, browser_of, desk, ann, sam, message, deliver, letter, superuser
):
    other = deliver(ann, letter("Private", "Nobody's business.\r\n"))
    assert press(ann, f"/report/{show_id(message)}", kind="phishing").status_code == 303
    for item in (other, message):
        assert press(sam, f"/staff/cases/items/{show_id(item)}/open", part="text").status_code == 404
    assert desk.events("case.item_opened") == []
    item = superuser.execute(text("SELECT item_id FROM case_item")).scalar_one()
    opened = press(sam, f"/staff/cases/items/{show_id(item)}/open", part="text")
    page = browser_of(sam).get(opened.headers["Location"])
    assert "of the text" in page.text
    assert "Nobody's business" not in page.text
