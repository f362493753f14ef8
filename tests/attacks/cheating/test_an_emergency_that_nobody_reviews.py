"""Somebody calls it an emergency, reads alone, and hopes that no reviewer looks. It is first of all, and loud when it is late."""

from webmail.db import show_id


def test_P12_P16_it_is_first_and_late_after_a_day(browser_of, desk, sam, sue, rex, ada, ann, message, canary):
    usual = desk.granted(sam, sue, ann, [message])
    desk.read(sam, usual, message)
    grant, refusal = desk.ask(sam, ann, [message], reason="legal", is_emergency=True)
    assert refusal == ""
    assert canary.encode() in desk.read(sam, grant, message)
    queue = browser_of(rex).get("/staff/reviews").text
    assert queue.index(show_id(grant)) < queue.index(show_id(usual)), "before what came earlier"
    desk.close(sam, grant)
    desk.age(grant, "25 hours")
    for who, where in ((sue, "/staff"), (ada, "/staff"), (ada, "/admin")):
        page = browser_of(who).get(where).text
        assert "Overdue: who checks on us" in page
        assert show_id(grant) in page
    assert len(desk.events("access.emergency")) == 1


def test_P12_only_the_law_makes_one(desk, sam, ann, message, refused, grant):
    assert desk.ask(sam, ann, [message], is_emergency=True)[1] == "reason"
    assert "stays what it was asked for" in refused("owner", "UPDATE access_grant SET is_emergency = true")
