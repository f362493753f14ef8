"""Opening under a grant: what it takes, what is written down first, and how it ends (P06, P07, P08, P09, P10, P11, P12)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.errors import NotFound
from webmail.governance.access import opening
from webmail.governance.access.asking import Order
from webmail.keys import open_mailbox

ALL = {"headers", "text", "attachments"}


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter("The secret subject", "The secret text\r\n"))


@pytest.fixture
def grant(desk, sam, sue, ann, message) -> int:
    return desk.granted(sam, sue, ann, [message])


def test_P06_under_an_approved_grant_its_holder_reads(desk, sam, ann, message, grant):
    assert b"The secret text" in desk.read(sam, grant, message)
    assert desk.acts(grant) == [(1, message, "text", 0)]


@pytest.mark.parametrize("who", ["sue", "rex", "ada", "ann", "ben"])
def test_P06_nobody_else_reads_under_it(desk, who, message, grant, request, make_person):
    person = request.getfixturevalue(who)
    code = desk.read(person, grant, message)
    assert code in ("role", "not-yours")
    assert desk.acts(grant) == []
    assert desk.events("access.denied")[-1]["facts"]["why"] == code


def test_P06_without_a_grant_there_is_nothing(desk, sam, message):
    assert desk.read(sam, 12345, message) == "none"
    assert desk.events("access.denied")[-1]["facts"]["verb"] == "open"


@pytest.mark.parametrize("kind", ["spam", "phishing", "malware", "fraud", "harassment", "other"])
def test_P07_abuse_is_a_cause_with_its_kind_and_its_case(desk, sam, sue, ann, message, kind):
    case = desk.case(kind)
    grant = desk.granted(sam, sue, ann, [message], case=case, kind=kind)
    assert isinstance(desk.read(sam, grant, message), bytes)
    facts = desk.events("access.requested")[-1]["facts"]
    assert (facts["case"], facts["reason"], facts["kind"]) == (case, "abuse", kind)


@pytest.mark.parametrize("change", [{"kind": ""}, {"kind": "delivery"}])
def test_P07_abuse_without_a_kind_is_no_cause(desk, sam, ann, message, change):
    if change["kind"]:
        with pytest.raises(Exception, match="access_grant_abuse_has_a_kind"):
            desk.ask(sam, ann, [message], **change)
    else:
        assert desk.ask(sam, ann, [message], **change)[1] == "kind"


@pytest.mark.parametrize(
    ("reason", "case", "fits"),
    [
        ("service", "service", True),
        ("delivery", "delivery", True),
        ("security", "security", True),
        ("service", "request", True),
        ("delivery", "phishing", False),
        ("security", "delivery", False),
        ("abuse", "delivery", False),
        ("service", "legal", False),
        ("legal", "phishing", False),
    ],
)
def test_P08_the_cause_fits_the_case(desk, sam, ann, message, reason, case, fits):
    assert desk.ask(sam, ann, [message], reason=reason, case=desk.case(case))[1] == ("" if fits else "reason")


def test_P08_each_cause_has_one_purpose_and_one_ground(desk, sam, ann, message, superuser):
    for reason in ("abuse", "service", "delivery", "security", "legal"):
        desk.ask(sam, ann, [message], reason=reason)
    query = "SELECT reason, purpose, basis FROM access_grant ORDER BY reason"
    assert [tuple(row) for row in superuser.execute(text(query))] == [
        ("abuse", "prevent-abuse", "legitimate-interests"),
        ("delivery", "troubleshoot", "contract"),
        ("legal", "comply-with-law", "legal-obligation"),
        ("security", "protect", "legitimate-interests"),
        ("service", "provide", "contract"),
    ]


def test_P09_a_legal_access_names_its_order_and_holds_on_its_days(desk, sam, sue, ann, message):
    today = datetime.now(UTC).date()
    assert desk.ask(sam, ann, [message], reason="legal", order=None)[1] == "order"
    assert desk.ask(sam, ann, [message], reason="legal", order=Order(" ", "x", today, today))[1] == "order"
    past = Order("1", "Court", today - timedelta(days=9), today - timedelta(days=2))
    assert desk.ask(sam, ann, [message], reason="legal", order=past)[1] == "order-over"
    ahead = Order("1", "Court", today + timedelta(days=2), today + timedelta(days=3))
    grant = desk.granted(sam, sue, ann, [message], reason="legal", order=ahead)
    assert desk.read(sam, grant, message) == "order-dates"
    good = desk.granted(sam, sue, ann, [message], reason="legal")
    assert isinstance(desk.read(sam, good, message), bytes)


def test_P09_an_emergency_is_legal_opens_at_once_and_is_owed_a_review_in_a_day(
    desk, sam, ann, message, superuser
):
    assert desk.ask(sam, ann, [message], is_emergency=True)[1] == "reason"
    grant, refusal = desk.ask(sam, ann, [message], reason="legal", is_emergency=True)
    assert refusal == ""
    due = "SELECT review_due_at - requested_at, decided_by FROM access_grant WHERE grant_id = :grant"
    assert tuple(superuser.execute(text(due), {"grant": grant}).one()) == (timedelta(hours=24), None)
    assert isinstance(desk.read(sam, grant, message), bytes)
    assert desk.events("access.emergency")[-1]["facts"]["grant"] == grant


def test_P10_only_named_messages_and_parts_open(desk, sam, sue, ann, deliver, letter, message):
    other = deliver(ann, letter("Another"))
    grant = desk.granted(sam, sue, ann, {message: {"headers"}})
    assert desk.read(sam, grant, message, "text") == "out-of-scope"
    assert desk.read(sam, grant, message, "attachments") == "out-of-scope"
    assert desk.read(sam, grant, other, "headers") == "out-of-scope"
    assert isinstance(desk.read(sam, grant, message, "headers"), bytes)
    assert desk.read(sam, grant, message, "everything") == "part"
    assert desk.read(sam, grant, message, "headers", 1) == "part"


def test_P10_each_opening_is_its_own_act(desk, sam, message, grant):
    for part in ("headers", "text", "text", "attachments"):
        desk.read(sam, grant, message, part)
    assert [act[2] for act in desk.acts(grant)] == ["headers", "text", "text", "attachments"]
    assert [one["facts"]["act"] for one in desk.events("access.opened")] == [1, 2, 3, 4]


def test_P10_the_minutes_run_from_the_first_opening_and_end_it(desk, sam, message, grant):
    desk.age(grant, "3 hours")
    assert isinstance(desk.read(sam, grant, message), bytes)
    desk.age(grant, "14 minutes")
    assert isinstance(desk.read(sam, grant, message, "headers"), bytes)
    desk.age(grant, "1 minute")
    assert desk.read(sam, grant, message) == "expired"
    assert len(desk.acts(grant)) == 2


def test_P10_what_nobody_opens_lapses(desk, sam, message, grant):
    desk.age(grant, "12 hours")
    assert desk.read(sam, grant, message) == "lapsed"


def test_P10_it_ends_when_it_is_closed_and_does_not_begin_again(desk, sam, sue, rex, ann, message, grant):
    assert isinstance(desk.read(sam, grant, message), bytes)
    assert desk.close(sam, grant) == ""
    assert desk.read(sam, grant, message) == "closed"
    assert desk.close(sam, grant) == "over"
    assert desk.decide(sue, ann, grant) == "decided"


@pytest.mark.parametrize("who", ["sue", "rex", "ada"])
def test_P12_who_watches_over_it_may_end_it(desk, sam, who, message, grant, request):
    assert desk.close(request.getfixturevalue(who), grant) == ""
    assert desk.read(sam, grant, message) == "closed"


def test_P10_it_ends_with_its_case_also_when_the_case_goes_on(desk, sam, sue, ann, message, superuser):
    case = desk.case()
    grant = desk.granted(sam, sue, ann, [message], case=case)
    waiting, _none = desk.ask(sam, ann, [message], case=case)
    end = "UPDATE case_file SET state = 'closed', closed_at = now() WHERE case_id = :case"
    superuser.execute(text(end), {"case": case})
    assert desk.read(sam, grant, message) == "case-closed" or desk.read(sam, grant, message) == "closed"
    again = "UPDATE case_file SET state = 'open', closed_at = NULL WHERE case_id = :case"
    superuser.execute(text(again), {"case": case})
    assert desk.read(sam, grant, message) == "closed"
    assert desk.decide(sue, ann, waiting) == "decided"
    assert [one["facts"]["why"] for one in desk.events("access.closed")] == ["case", "case"]


def test_P11_the_act_and_its_event_are_committed_before_anything_opens(desk, sam, message, grant, ann):
    with desk.staff() as session:
        held = opening.ask(grant, message, "text", account_id=sam.account_id)
        with pytest.raises(RuntimeError, match="written down"):
            opening.source(desk.master, held)
        assert desk.acts(grant) == []  # another connection does not see it yet
        assert session.in_transaction()
    assert desk.acts(grant) == [(1, message, "text", 0)]
    assert b"The secret text" in opening.source(desk.master, held)


def test_P11_what_is_rolled_back_never_opens(desk, sam, message, grant):
    held = None

    def fail():
        nonlocal held
        with desk.staff():
            held = opening.ask(grant, message, "text", account_id=sam.account_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(RuntimeError, match="written down"):
        opening.source(desk.master, held)
    assert desk.acts(grant) == []


def test_P11_without_the_log_nothing_opens(desk, sam, message, grant, superuser):
    superuser.execute(
        text("ALTER TABLE audit_event ADD CONSTRAINT full_disk CHECK (kind <> 'access.opened') NOT VALID")
    )
    try:
        with pytest.raises(Exception, match="full_disk"):
            desk.read(sam, grant, message)
    finally:
        superuser.execute(text("ALTER TABLE audit_event DROP CONSTRAINT full_disk"))
    assert desk.acts(grant) == []


def test_P11_what_is_held_opens_its_own_mailbox_alone(desk, sam, ben, message, grant):
    held = desk.open(sam, grant, message)
    with pytest.raises(NotFound):
        open_mailbox(desk.master, ben.mailbox_id, held)


def test_P11_the_log_holds_ids_and_codes_and_no_word(desk, sam, message, grant, superuser):
    desk.read(sam, grant, message)
    everything = "\n".join(superuser.execute(text("SELECT entry FROM audit_event")).scalars())
    assert "secret" not in everything
    assert "reported" not in json.dumps(desk.events("access.requested"))
    facts = desk.events("access.opened")[-1]["facts"]
    assert set(facts) == {"grant", "case", "mailbox", "message", "part", "file", "act", "reason"}


def test_P12_nobody_approves_his_own_request(desk, sue, ann, message):
    grant, _none = desk.ask(sue, ann, [message])
    assert desk.decide(sue, ann, grant) == "own-request"
    assert desk.read(sue, grant, message) == "not-approved"


@pytest.mark.parametrize("who", ["rex", "ada", "ben"])
def test_P12_a_lead_approves_and_nobody_else(desk, sam, ann, message, who, request):
    grant, _none = desk.ask(sam, ann, [message])
    assert desk.decide(request.getfixturevalue(who), ann, grant) == "role"


def test_P12_what_was_refused_does_not_open(desk, sam, sue, ann, message):
    grant, _none = desk.ask(sam, ann, [message])
    assert desk.decide(sue, ann, grant, approved=False) == ""
    assert desk.read(sam, grant, message) == "refused"
    assert desk.decide(sue, ann, grant) == "decided"


def test_P12_a_request_of_last_week_is_asked_anew(desk, sam, sue, ann, message):
    grant, _none = desk.ask(sam, ann, [message])
    desk.age(grant, "8 days")
    assert desk.decide(sue, ann, grant) == "stale"


def test_P12_who_lost_the_role_meanwhile_reads_nothing_and_gets_nothing_back(
    desk, sam, message, grant, superuser
):
    assert isinstance(desk.read(sam, grant, message), bytes)
    superuser.exec_driver_sql("ALTER TABLE account_role DISABLE TRIGGER account_role_follows")
    superuser.execute(text("DELETE FROM account_role WHERE account_id = :id"), {"id": sam.account_id})
    assert desk.read(sam, grant, message) == "role"
    superuser.execute(text("INSERT INTO account_role VALUES (:id, 'support')"), {"id": sam.account_id})
    superuser.exec_driver_sql("ALTER TABLE account_role ENABLE TRIGGER account_role_follows")
    assert desk.read(sam, grant, message) == "closed"


def test_P12_who_is_suspended_reads_nothing(desk, sam, message, grant, superuser):
    superuser.execute(
        text("UPDATE account SET status = 'suspended' WHERE account_id = :id"), {"id": sam.account_id}
    )
    assert desk.read(sam, grant, message) == "role"


def test_P12_nobody_opens_his_own_mailbox_as_staff(desk, sam, sue, deliver, letter):
    mine = deliver(sam, letter())
    assert desk.ask(sam, sam, [mine])[1] == "own"
    hers = deliver(sue, letter())
    grant, _none = desk.ask(sam, sue, [hers])
    assert desk.decide(sue, sue, grant) == "own"


def test_what_its_owner_deleted_is_gone(desk, sam, message, grant, superuser):
    superuser.execute(text("DELETE FROM message WHERE message_id = :id"), {"id": message})
    assert desk.read(sam, grant, message) == "gone"


def test_what_cannot_be_read_safely_is_not_opened(desk, sam, message, grant, superuser):
    superuser.execute(text("UPDATE message SET state = 'unreadable', summary = NULL"))
    assert desk.read(sam, grant, message) == "unreadable"


def test_a_grant_opens_two_hundred_parts_and_no_more(desk, sam, message, grant, superuser):
    assert isinstance(desk.read(sam, grant, message), bytes)
    superuser.execute(
        text(
            "INSERT INTO access_act SELECT mailbox_id, grant_id, n, message_id, part, file, account_id, at, 1000000 + n"
            " FROM access_act, generate_series(2, 200) n"
        )
    )
    assert desk.read(sam, grant, message) == "too-many"


def test_drafts_cannot_be_named(desk, sam, ann, message, superuser):
    superuser.execute(text("UPDATE message SET state = 'draft'"))
    assert desk.ask(sam, ann, [message])[1] == "gone"


def test_messages_of_another_mailbox_cannot_be_named(desk, sam, ben, message):
    assert desk.ask(sam, ben, [message])[1] == "gone"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"words": "why"}, "words"),
        ({"words": "x" * 2001}, "words"),
        ({"minutes": 61}, "minutes"),
        ({"minutes": 0}, "minutes"),
        ({"reason": "curiosity"}, "reason"),
    ],
)
def test_a_request_says_what_it_needs(desk, sam, ann, message, change, code):
    reason = change.pop("reason", "abuse")
    assert desk.ask(sam, ann, [message], reason=reason, case=desk.case(), **change)[1] == code


def test_a_request_names_few_messages_and_a_part_of_each(desk, sam, ann, message):
    assert desk.ask(sam, ann, {message: set()})[1] == "scope"
    assert desk.ask(sam, ann, {})[1] == "scope"
    assert desk.ask(sam, ann, range(1, 22))[1] == "scope"
