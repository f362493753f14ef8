"""An owner takes back what is held of his: by raw SQL as the web, by pages, by a new browser, by the numbers of the staff."""

from sqlalchemy import text

from webmail.db import show_id


def held(superuser):
    return superuser.execute(text("SELECT count(*) FROM message WHERE held_by IS NOT NULL")).scalar()


def test_P07_the_processes_that_serve_him_cannot_either(
    refused, connect, hold, reported, sue, ann, spread, superuser
):
    number, _answer = hold(sue, *reported)
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    for role in ("web", "worker"):
        line = connect(role)
        line.exec_driver_sql(name)
        for statement in (
            "UPDATE message SET held_by = NULL",
            "DELETE FROM message",
            "UPDATE message SET state = 'filed'",
        ):
            assert line.exec_driver_sql(statement).rowcount == 0
        assert line.exec_driver_sql("SELECT count(*) FROM message").scalar() == 0
        line.rollback()
        for verb in (
            f"quarantine_release({number}, {sue.account_id})",
            f"quarantine_end({number}, {sue.account_id}, 'colleague')",
        ):
            assert "permission denied" in refused(role, f"SELECT {verb}")
    assert "permission denied" in refused("web", f"SELECT quarantine_step({number}, 500, true)")
    assert held(superuser) == 2


def test_P07_nor_does_the_web_hold_mail_of_its_own_accord(refused, hold, reported, sue, ann, deliver, letter):
    number, _answer = hold(sue, *reported)
    deliver(ann, letter())
    name = f"SELECT set_config('mtumail.mailbox', '{ann.mailbox_id}', true)"
    assert "row-level security" in refused("web", name, f"UPDATE message SET held_by = {number}")


def test_P07_nor_do_his_pages(press, browser_of, hold, reported, sue, ann, superuser, spread):
    number, _answer = hold(sue, *reported)
    message, where = show_id(spread[ann.address]), f"/staff/quarantines/{show_id(number)}"
    assert browser_of(ann).get(where).status_code == 403
    assert press(ann, f"{where}/release").status_code == 403
    assert press(ann, f"{where}/decide", decision="decline").status_code == 403
    for action in ("inbox", "archive", "back", "delete", "unread"):
        press(ann, "/mail/inbox", action=action, id=message)
    assert press(ann, "/held").status_code == 405
    assert held(superuser) == 2
    assert (
        len(superuser.execute(text("SELECT 1 FROM message WHERE held_by IS NOT NULL AND unread")).all()) == 2
    )


def test_P12_nor_a_colleague_who_had_no_part_in_it(hold, reported, sue, sam, rex, press, superuser, desk):
    number, _answer = hold(sue, *reported)
    where = f"/staff/quarantines/{show_id(number)}"
    assert press(sam, f"{where}/release").status_code == 409
    assert press(rex, f"{where}/release").status_code == 403
    assert held(superuser) == 2
    assert [one["facts"]["why"] for one in desk.events("quarantine.denied")] == ["not-yours"]
