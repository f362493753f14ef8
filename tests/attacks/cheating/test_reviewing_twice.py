"""A reviewer flags an access, is talked to, and approves it after all; or a second reviewer does so for him."""

from webmail.db import show_id


def test_P16_the_first_verdict_stays(
    press, make_person, desk, sam, rex, ann, grant, message, superuser, whys
):
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    assert desk.review(rex, ann, grant, "flag", "Nobody had reported this message.") == ""
    other = make_person("ria", "Ria", "reviewer")
    for judge in (rex, other):
        answer = press(judge, f"/staff/reviews/{show_id(grant)}", verdict="approve", words="It was fine.")
        assert answer.status_code == 409
    assert whys() == ["reviewed", "reviewed"]
    assert superuser.exec_driver_sql("SELECT verdict FROM access_review").scalars().all() == ["flag"]


def test_P16_nobody_judges_while_it_still_opens(desk, sam, rex, ann, grant, message):
    """So that more is opened after the verdict."""
    desk.read(sam, grant, message)
    assert desk.review(rex, ann, grant) == "still-open"
