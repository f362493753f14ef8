"""Somebody tries numbers: what is another's, and what was never there, answer with the very same bytes."""

import re

from sqlalchemy import text

from webmail.db import show_id


def tame(answer):
    """A page without what is new in each: tokens and nonces."""
    page = re.sub(r'(value|nonce|content)="[^"]{20,}"|nonce-[\w+/=-]+|"[0-9a-f]{64}"', "", answer.text)
    return answer.status_code, page


def test_P06_the_same_404_for_anothers_and_for_none(
    browser_of, desk, ann, ben, sam, grant, message, superuser, press
):
    desk.read(sam, grant, message)
    client = browser_of(ben)
    for where, mine in (
        ("/access-log/{0}/1/proof", grant),
        ("/mail/inbox/{0}", message),
        ("/report/{0}", message),
        ("/m/{0}", message),
        ("/mail/inbox/{0}/source", message),
    ):
        answers = [tame(client.get(where.format(show_id(one)))) for one in (mine, mine ^ 1)]
        assert answers[0][0] == 404, where
        assert answers[0] == answers[1], where
    assert browser_of(ann).get(f"/access-log/{show_id(grant)}/1/proof").status_code in (200, 503)


def test_P06_whoever_is_not_of_the_staff_learns_of_no_number_there(browser_of, ann, grant, message):
    client = browser_of(ann)
    for where in (
        "/staff/access/{0}",
        "/staff/reviews/{0}",
        "/staff/cases/{0}",
        "/staff/openings/{0}",
        "/admin/roles/{0}",
    ):
        answers = [tame(client.get(where.format(show_id(one)))) for one in (grant, grant ^ 1)]
        assert answers[0] == answers[1]
        assert answers[0][0] in (403, 404)


def test_P11_anothers_opening_is_none(press, browser_of, make_person, ann, sam, message, superuser):
    assert press(ann, f"/report/{show_id(message)}", kind="phishing").status_code == 303
    item = superuser.execute(text("SELECT item_id FROM case_item")).scalar_one()
    where = press(sam, f"/staff/cases/items/{show_id(item)}/open", part="text").headers["Location"]
    assert browser_of(sam).get(where).status_code == 200
    client = browser_of(make_person("tom", "Tom", "support"))
    for tail in ("", "/frame"):
        answers = [tame(client.get(one + tail)) for one in (where, f"/staff/openings/{show_id(item ^ 1)}")]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
