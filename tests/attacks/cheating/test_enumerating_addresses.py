"""Somebody traces one guess after another to learn who has a mailbox here. Each guess is an event, with his name and his case."""

from webmail.db import show_id


def test_P08_P11_each_guess_is_written_down(press, browser_of, desk, sam, sue, ann):
    case = desk.case("delivery")
    for local in ("ann", "bob", "eve"):
        answer = press(
            sam,
            "/staff/tracing",
            case=show_id(case),
            address=f"{local}@mtumail.test",
            since="2026-11-20",
            until="2026-11-21",
        )
        assert answer.status_code == 200
    told = desk.events("trace.looked_up")
    assert [one["actor"] for one in told] == [f"account:{sam.account_id}"] * 3
    assert [one["facts"]["mailbox"] for one in told] == [ann.mailbox_id, None, None]
    assert {one["facts"]["case"] for one in told} == {case}
    assert "mtumail.test" not in str(told), "and names nobody"
    page = browser_of(sue).get(f"/staff/log?kind=trace.looked_up&actor={show_id(sam.account_id)}").text
    assert page.count('href="/staff/log/') >= 3
