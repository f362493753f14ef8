"""Every access is reviewed by somebody who had no part in it, in time, once; gags have their own approver (P09, P16)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import transaction
from webmail.governance.access import grants, owner, reviewing
from webmail.governance.access.asking import Gag
from workers import owners

WORDS = "The parts that were opened do not fit the case."


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter("The secret subject"))


@pytest.fixture
def used(desk, sam, sue, ann, message) -> int:
    """A grant that was opened and closed."""
    grant = desk.granted(sam, sue, ann, [message])
    assert isinstance(desk.read(sam, grant, message), bytes)
    assert desk.close(sam, grant) == ""
    return grant


@pytest.fixture
def quiet(desk, sam, ann, message):
    """A legal grant that the owner may not know of, not decided yet."""

    def ask(**more) -> int:
        gag = Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=30))
        grant, refusal = desk.ask(sam, ann, [message], reason="legal", gag=gag, **more)
        assert refusal == ""
        return grant

    return ask


def waiting(desk):
    with desk.staff():
        return [one.grant_id for one in grants.unreviewed()]


def test_P16_each_access_waits_for_a_review_within_a_week(desk, used, superuser):
    assert waiting(desk) == [used]
    due = "SELECT review_due_at - opened_at FROM access_grant"
    assert superuser.execute(text(due)).scalar_one() == timedelta(days=7)


def test_P16_what_was_never_opened_waits_for_nobody(desk, sam, sue, ann, message):
    desk.granted(sam, sue, ann, [message])
    assert waiting(desk) == []


def test_P16_an_emergency_waits_first_also_when_nothing_was_opened(desk, sam, ann, used, message):
    grant, _none = desk.ask(sam, ann, [message], reason="legal", is_emergency=True)
    assert waiting(desk) == [grant, used]


def test_P16_a_reviewer_judges_once_and_for_good(desk, rex, ann, used, superuser):
    assert desk.review(rex, ann, used) == ""
    assert waiting(desk) == []
    assert desk.review(rex, ann, used, "flag", WORDS) == "reviewed"
    for change in (
        "UPDATE access_review SET verdict = 'flag'",
        "DELETE FROM access_review",
        "TRUNCATE access_review",
    ):
        with pytest.raises(Exception, match="append-only"):
            superuser.execute(text(change))
    assert desk.events("access.reviewed")[-1]["facts"]["verdict"] == "approve"


@pytest.mark.parametrize("who", ["sam", "sue", "ada", "ben"])
def test_P16_nobody_but_a_reviewer_judges(desk, who, ann, used, request):
    assert desk.review(request.getfixturevalue(who), ann, used) == "role"


@pytest.mark.parametrize("who", ["sam", "sue", "ann"])
def test_P16_the_database_refuses_whoever_had_a_part(desk, who, ann, used, request, superuser):
    person = request.getfixturevalue(who)
    superuser.exec_driver_sql("ALTER TABLE account_role DISABLE TRIGGER account_role_follows")
    superuser.execute(text("INSERT INTO account_role VALUES (:id, 'reviewer')"), {"id": person.account_id})
    superuser.exec_driver_sql("ALTER TABLE account_role ENABLE TRIGGER account_role_follows")
    assert desk.review(person, ann, used) == "not-independent"
    with pytest.raises(Exception, match="somebody who had no part in it"):
        superuser.execute(
            text(
                "INSERT INTO access_review SELECT mailbox_id, grant_id, :who, 'approve', '\\x00', now(), now(), 1 FROM access_grant"
            ),
            {"who": person.account_id},
        )


def test_P16_a_grant_that_still_opens_is_closed_before_it_is_judged(desk, sam, sue, rex, ann, message):
    grant = desk.granted(sam, sue, ann, [message])
    desk.read(sam, grant, message)
    assert desk.review(rex, ann, grant) == "still-open"
    assert desk.close(rex, grant) == ""
    assert desk.review(rex, ann, grant) == ""


def test_P16_a_flag_opens_a_case_for_leads_and_admins(desk, rex, ann, used, superuser):
    assert desk.review(rex, ann, used, "flag", "no") == "words"
    assert desk.review(rex, ann, used, "flag", WORDS) == ""
    query = "SELECT c.kind, c.state FROM access_review r JOIN case_file c ON c.case_id = r.case_id"
    assert superuser.execute(text(query)).all() == [("security", "open")]


def test_P16_a_flag_that_is_refused_opens_no_case_and_leaves_its_trace(desk, ada, ann, used, superuser):
    before = superuser.execute(text("SELECT count(*) FROM case_file")).scalar_one()
    assert desk.review(ada, ann, used, "flag", WORDS) == "role"
    assert superuser.execute(text("SELECT count(*) FROM case_file")).scalar_one() == before
    facts = desk.events("access.denied")[-1]["facts"]
    assert (facts["verb"], facts["why"]) == ("review", "role")


def test_P16_what_is_late_is_counted_and_listed(desk, used):
    with desk.staff():
        assert reviewing.waiting().late == 0
    desk.age(used, "8 days")
    with desk.staff():
        assert reviewing.waiting().late == 1
        assert [one.grant_id for one in grants.unreviewed(late=True)] == [used]


def test_P16_a_late_verdict_says_that_it_was_late(desk, rex, ann, used):
    desk.age(used, "8 days")
    assert desk.review(rex, ann, used) == ""
    assert desk.events("access.reviewed")[-1]["facts"]["late"] is True


# --- gags ----------------------------------------------------------------------------------------------------------------


def test_P09_a_gag_is_decided_by_a_third_person_before_anything_opens(
    desk, sam, sue, ada, rex, ann, message, quiet
):
    grant = quiet()
    assert desk.decide(sue, ann, grant) == ""
    assert desk.read(sam, grant, message) == "gag-undecided"
    assert desk.gag(sam, grant, "approve") == "role"
    assert desk.gag(sue, grant, "approve") == "not-independent"
    assert desk.gag(rex, grant, "approve") == "role"
    assert desk.gag(ada, grant, "approve") == ""
    assert isinstance(desk.read(sam, grant, message), bytes)


def test_P09_who_decided_the_gag_approves_no_grant(desk, sue, ann, quiet):
    grant = quiet()
    assert desk.gag(sue, grant, "approve") == ""
    assert desk.decide(sue, ann, grant) == "own-gag"


def test_P09_what_one_opens_alone_is_not_kept_quiet(desk, sam, ann, message):
    gag = Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=30))
    assert desk.ask(sam, ann, [message], reason="legal", gag=gag, is_emergency=True)[1] == "emergency-gag"
    assert desk.ask(sam, ann, [message], gag=gag)[1] == "reason"


def test_P09_a_gag_is_looked_at_again_within_ninety_days(desk, sam, sue, ada, ann, message, quiet):
    far = Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=91))
    assert desk.ask(sam, ann, [message], reason="legal", gag=far)[1] == "gag-dates"
    grant = quiet()
    desk.decide(sue, ann, grant)
    assert desk.gag(ada, grant, "extend", datetime.now(UTC) + timedelta(days=60)) == "not-approved"
    desk.gag(ada, grant, "approve")
    assert desk.gag(ada, grant, "extend", datetime.now(UTC) + timedelta(days=91)) == "dates"
    assert desk.gag(ada, grant, "extend", datetime.now(UTC) + timedelta(days=60)) == ""
    assert desk.gag(sue, grant, "extend", datetime.now(UTC) + timedelta(days=60)) == "not-independent"


def test_P09_a_gag_past_its_date_is_counted(desk, ada, quiet, superuser):
    grant = quiet()
    desk.gag(ada, grant, "approve")
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text(
            "UPDATE access_gag SET asked_at = now() - interval '40 days', review_at = now() - interval '1 day'"
        )
    )
    superuser.exec_driver_sql("SET session_replication_role = origin")
    with desk.staff():
        assert reviewing.waiting().gags_late == 1


def entries(opened, person):
    return opened(person, lambda keys: [one.grant_id for one in owner.entries(keys)])


def test_P09_a_gagged_access_is_in_its_place_in_the_log_at_once_and_its_owner_sees_it_when_the_gag_ends(
    desk, sam, sue, ada, ann, message, quiet, opened, worker, superuser
):
    grant = quiet()
    desk.decide(sue, ann, grant)
    desk.gag(ada, grant, "approve")
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    [told] = desk.events("access.opened")
    assert set(told["facts"]) == {"case", "reason"}
    assert "sealed" in told
    assert entries(opened, ann) == []
    assert opened(ann, lambda keys: owner.one(keys, grant)) is None
    assert opened(ann, lambda _keys: audit.about(ann.account_id)) in ([], ([], None))
    assert owners.drain() == 0
    assert desk.gag(ada, grant, "end") == ""
    assert owners.drain() == 1
    assert entries(opened, ann) == [grant]
    number = told["number"]
    body = superuser.execute(
        text("SELECT body FROM audit_opened WHERE number = :n"), {"n": number}
    ).scalar_one()
    assert json.loads(bytes(body))["message"] == message
    assert desk.events("access.opened") == [told], "its place and its text in the tree are what they were"


def test_P09_without_the_sealed_entry_nothing_opens_under_a_gag(desk, sam, sue, ada, ann, message, quiet):
    grant = quiet()
    desk.decide(sue, ann, grant)
    desk.gag(ada, grant, "approve")
    with pytest.raises(Exception, match="under a gag is sealed"), desk.staff() as session:
        session.execute(
            text("SELECT * FROM access_open(:g, :m, 'text', 0, :a, NULL, NULL)"),
            {"g": grant, "m": message, "a": sam.account_id},
        )
    assert desk.acts(grant) == []


# --- the owner is told -----------------------------------------------------------------------------------------------------


def test_P11_the_owner_gets_a_letter_when_an_access_is_over(
    desk, sam, sue, ann, message, opened, worker, superuser
):
    grant = desk.granted(sam, sue, ann, [message])
    desk.read(sam, grant, message)
    assert owners.drain() == 0
    desk.close(sam, grant)
    assert owners.drain() == 1
    assert owners.drain() == 0
    count = "SELECT count(*) FROM message WHERE mailbox_id = :box"
    assert superuser.execute(text(count), {"box": ann.mailbox_id}).scalar_one() == 2


def test_P11_what_was_not_opened_needs_no_letter(desk, sam, sue, ann, message, worker):
    grant = desk.granted(sam, sue, ann, [message])
    desk.close(sam, grant)
    assert owners.drain() == 0


def test_P11_telling_stands_and_falls_with_its_note(desk, used, ann, worker, monkeypatch, superuser):
    from webmail.governance.access import telling

    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(telling, "receive", fail)
    assert owners.drain() == 0
    assert superuser.execute(text("SELECT told_at FROM access_grant")).scalar_one() is None
    monkeypatch.undo()
    with worker.app_context(), transaction():
        assert telling.due() == [(ann.mailbox_id, used)]


def test_the_list_of_what_waits_is_read_from_its_index(superuser, empty):
    superuser.exec_driver_sql("SET enable_seqscan = off")
    try:
        query = (
            "EXPLAIN SELECT 1 FROM access_grant WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL"
            " AND review_due_at < now() LIMIT 5"
        )
        assert "access_grant_unreviewed" in str(superuser.execute(text(query)).all())
    finally:
        superuser.exec_driver_sql("RESET enable_seqscan")
