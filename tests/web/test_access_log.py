"""Who opened my mail: the owner's page says all that may be known, to the owner alone (P11, P16)."""

import base64
import re

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.governance.access import owner

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter("About the <boat>"))


@pytest.fixture
def used(desk, sam, sue, ann, message) -> int:
    grant = desk.granted(sam, sue, ann, [message])
    desk.read(sam, grant, message, "headers")
    desk.read(sam, grant, message, "text")
    desk.close(sam, grant)
    return grant


def test_nobody_has_opened_it(browser_of, ann):
    assert "No opening of your mail stands here." in browser_of(ann).get("/access-log").text


def test_P11_the_owner_sees_who_what_for_on_what_ground_and_which_parts(
    browser_of, ann, used, message, superuser
):
    page = browser_of(ann).get("/access-log").text
    case = superuser.execute(text("SELECT case_id FROM access_grant")).scalar_one()
    assert "to look into a report of abuse" in page
    assert "Abuse: phishing" in page
    assert "Art. 6(1)(f)" in page
    assert show_id(case) in page
    assert "About the &lt;boat&gt;" in page
    assert f'href="/m/{show_id(message)}"' in page
    assert re.search(r"Headers, \d\d:\d\d", page)
    assert re.search(r"Text, \d\d:\d\d", page)
    assert "Attachments," not in page
    assert "Waits for a colleague" in page


def test_P11_a_colleague_has_a_name_that_says_nobody_and_stays_the_same(
    browser_of, desk, sam, sue, ann, ben, used, message, opened, deliver, letter
):
    page = browser_of(ann).get("/access-log").text
    [name] = set(re.findall(r"staff-[a-z2-7]{4}", page))
    for secret in (
        "Sam",
        "Lindgren",
        "Sue",
        "Marchetti",
        "sam@",
        show_id(sam.account_id),
        str(sam.account_id),
    ):
        assert secret not in page
    again = desk.granted(sam, sue, ann, [message])
    desk.read(sam, again, message)
    assert set(re.findall(r"staff-[a-z2-7]{4}", browser_of(ann).get("/access-log").text)) == {name}
    assert opened(ben, lambda keys: owner.pseudonym(keys, sam.account_id)) != name
    assert opened(ann, lambda keys: owner.pseudonym(keys, sue.account_id)) != name


def test_P16_the_owner_sees_the_verdict_and_that_it_is_late(browser_of, desk, rex, ann, used):
    client = browser_of(ann)
    desk.age(used, "8 days")
    assert "Overdue since" in client.get("/access-log").text
    desk.review(rex, ann, used, "flag", "Words that only colleagues read.")
    page = client.get("/access-log").text
    assert "flagged it: not in order" in page
    assert "only colleagues" not in page


def test_a_request_that_opened_nothing_is_not_in_it(browser_of, desk, sam, sue, ann, message):
    desk.granted(sam, sue, ann, [message])
    assert "No opening of your mail stands here." in browser_of(ann).get("/access-log").text


def test_what_was_deleted_since_is_still_in_it(browser_of, ann, used, superuser):
    superuser.execute(text("DELETE FROM message"))
    page = browser_of(ann).get("/access-log").text
    assert "Message deleted since" in page
    assert "boat" not in page


def test_P11_an_entry_comes_with_its_proof(browser_of, ann, used, worker, master, web_app):
    from webmail.audit import make_checkpoint
    from webmail.db import transaction

    client = browser_of(ann)
    where = f"/access-log/{show_id(used)}/1/proof"
    assert client.get(where).status_code == 503
    with worker.app_context(), transaction():
        make_checkpoint(master, "mtumail.test/audit")
    answer = client.get(where)
    assert answer.status_code == 200
    assert answer.text.startswith("c2sp.org/tlog-proof@")
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_stranger_hears_of_it_what_the_absent_hear(browser_of, ben, used, stranger):
    client = browser_of(ben)
    assert "No opening of your mail stands here." in client.get("/access-log").text
    for number in (used, 12345):
        assert client.get(f"/access-log/{show_id(number)}/1/proof").status_code == 404
    assert stranger.get("/access-log").headers["Location"].startswith("/auth/sign-in")


def test_pages_of_the_log_are_by_time(browser_of, desk, sam, sue, ann, used, message, superuser):
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text(
            "INSERT INTO access_grant SELECT (jsonb_populate_record(g, jsonb_build_object('grant_id', n,"
            " 'opened_at', g.opened_at - n * interval '1 hour', 'expires_at', g.expires_at - n * interval '1 hour'))).*"
            " FROM access_grant g, generate_series(1, 25) n"
        )
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    client = browser_of(ann)
    first = client.get("/access-log").text
    assert first.count("<section") == 20
    older = re.search(r'href="(/access-log\?before=[^"]+)"', first)[1].replace("&amp;", "&")
    second = client.get(older).text
    assert second.count("<section") == 6
    for wrong in ("x", "2026-01-01", "9999-99-99T00:00:00+00:00"):
        assert client.get(f"/access-log?before={wrong}").status_code == 404


def test_wrong_methods_and_fragments(browser_of, ann, csrf, used):
    client = browser_of(ann)
    assert client.post("/access-log", data={"csrf_token": csrf(client)}).status_code == 405
    assert "About the" in client.get("/access-log", headers=HX).text


def test_P16_how_often_it_happens_is_for_everybody(stranger, used):
    page = stranger.get("/privacy/counts").text
    assert "Abuse" in page
    assert "1 request" in page
    assert "2 parts" in page
    for secret in ("ann", "Sam", "phishing"):
        assert secret not in page.split("<main", 1)[1]


def test_P11_the_proof_names_no_colleague_and_another_owner_cannot_tell_that_it_was_the_same(
    browser_of, desk, sam, sue, ann, used, worker, master, superuser
):
    from webmail.audit import make_checkpoint
    from webmail.db import transaction

    with worker.app_context(), transaction():
        make_checkpoint(master, "mtumail.test/audit")
    proof = browser_of(ann).get(f"/access-log/{show_id(used)}/2/proof").text
    decoded = base64.b64decode(proof.split("\n")[1].removeprefix("extra ")).decode()
    assert f"grant:{used}" in decoded
    for person in (sam, sue):
        assert str(person.account_id) not in decoded
    about = "SELECT count(*) FROM audit_subject s JOIN access_act a ON a.event = s.number WHERE s.account_id = :id"
    assert superuser.execute(text(about), {"id": sam.account_id}).scalar_one() == 2, (
        "the log is bound to who it was"
    )
