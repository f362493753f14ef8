"""Somebody reads alone again and again, each time as an emergency, while nobody reviews the first. Then it needs two again."""


def test_P12_P16_who_was_not_looked_at_in_time_is_not_alone_again(desk, sam, sue, rex, ann, message, whys):
    def emergency():
        return desk.ask(sam, ann, [message], reason="legal", is_emergency=True)

    first, refusal = emergency()
    assert refusal == ""
    desk.read(sam, first, message)
    desk.close(sam, first)
    assert emergency()[1] == "", "two on one day may be"
    desk.age(first, "25 hours")
    assert emergency()[1] == "unreviewed"
    assert whys() == ["unreviewed"]
    assert desk.read(sam, desk.granted(sam, sue, ann, [message]), message), "with a second person it opens"
    assert desk.review(rex, ann, first) == ""
    assert emergency()[1] == ""
