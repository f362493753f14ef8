"""A colleague with a grant on the headers learns the rest by other pages: searches, lists and figures of his own or the staff's."""

from webmail.db import show_id


def test_P06_no_list_search_or_figure_tells_a_word_of_it(
    browser_of, press, desk, sam, sue, ann, message, canary, proved
):
    case = desk.case("phishing")
    grant = desk.granted(sam, sue, ann, {message: {"headers"}}, case=case)
    proved(sam, "access.open", grant)
    client = browser_of(sam)
    for where in (
        f"/search?q={canary}",
        f"/search?q=subject:{canary}",
        "/mail/inbox",
        f"/suggestions?q={canary}",
        "/staff",
        "/staff/access",
        f"/staff/access/{show_id(grant)}",
        f"/staff/cases?subject={canary}",
        f"/staff/cases/{show_id(case)}",
        "/privacy/counts",
    ):
        page = client.get(where)
        for told in ("of the headers", "of the text", f"{canary}.html"):
            assert told not in page.text, where
    traced = press(
        client,
        "/staff/tracing",
        case=show_id(case),
        address=ann.address,
        since="2026-01-01",
        until="2026-01-07",
        other=canary,
    )
    assert "of the headers" not in traced.text


def test_P06_search_finds_what_is_ones_own(browser_of, ann, message, canary):
    """So that the test above can fail: its words are found where they may be."""
    assert show_id(message) in browser_of(ann).get(f"/search?q={canary}").text
