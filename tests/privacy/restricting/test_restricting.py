"""What people have stopped stops: at once, by the database, for each thing that the page says; and goes on when they want it to."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import new_id, transaction
from webmail.errors import NotFound
from webmail.governance import reports
from webmail.governance.access import tracing
from webmail.governance.cases.sealing import open_secret
from webmail.mail import contacts, correspondents
from webmail.mail.addresses import parse_recipients
from webmail.privacy import retention
from webmail.privacy.erasure import asking as erasing
from webmail.privacy.erasure import doing
from webmail.privacy.requests import asking
from webmail.privacy.restricting import standing, stopping
from webmail.privacy.restricting.stopping import StopRefused
from workers import filing

ALL = stopping.SCOPES
WORDS = "What you have of me is wrong."


@pytest.fixture
def restrict(web_app, master):
    def stop(person, *scopes, why="accuracy"):
        with web_app.app_context(), transaction():
            return stopping.restrict(master, person.account_id, why, scopes or ALL, WORDS)

    return stop


@pytest.fixture
def object_to(web_app, master):
    def stop(person, purpose):
        with web_app.app_context(), transaction():
            return stopping.object_to(master, person.account_id, purpose, WORDS)

    return stop


@pytest.fixture
def in_force(web_app):
    def look(person):
        with web_app.app_context(), transaction():
            return standing.restriction(person.account_id)

    return look


@pytest.fixture
def answer(web_app, master, ada):
    def say(request_id, *, refused):
        with web_app.app_context(), transaction(staff=True):
            asking.answer(master, request_id, "So it is.", refused=refused, by=ada.account_id)

    return say


def events(superuser):
    found = superuser.execute(
        text("SELECT kind FROM audit_event WHERE kind ~ '^(restriction|objection)[.]' ORDER BY number")
    )
    return found.scalars().all()


# --- what stops ----------------------------------------------------------------------------------------------------------


def known_of(opened, person, address):
    return opened(person, lambda keys: correspondents.known(keys, address))


def test_P23_restricted_mail_still_comes_in_and_is_read(restrict, ann, deliver, letter, browser_of):
    restrict(ann)
    deliver(ann, letter("Still here"))
    assert "Still here" in browser_of(ann).get("/").text


def test_P23_nothing_is_learned_of_somebody_who_is_restricted(restrict, ann, ben, deliver, letter, opened):
    def learn(person):
        people = parse_recipients("Zoe <zoe@example.org>")
        opened(person, lambda keys: contacts.learn(keys, people))
        opened(person, lambda keys: correspondents.written_to(keys, ["zoe@example.org"]))
        deliver(person, letter(From="old@example.org"))
        told = opened(person, lambda keys: contacts.learned(keys, None, 9))
        return (
            len(told.entries),
            known_of(opened, person, "zoe@example.org").sent,
            known_of(opened, person, "old@example.org").received,
        )

    restrict(ann, "learning")
    assert learn(ann) == (0, 0, 0)
    assert learn(ben) == (1, 1, 1), "of nobody else's mail"


def test_P23_rules_that_a_reader_makes_are_kept_all_the_same(restrict, ann, opened):
    restrict(ann)
    opened(ann, lambda keys: correspondents.block(keys, "bad@example.org"))
    assert known_of(opened, ann, "bad@example.org").blocked


@pytest.mark.parametrize("reason", ["abuse", "service", "security", "delivery"])
def test_P23_the_staff_gets_no_access_to_what_is_restricted(
    reason, restrict, desk, sam, ann, deliver, letter
):
    message = deliver(ann, letter())
    restrict(ann, "staff")
    _, refusal = desk.ask(sam, ann, [message], reason=reason)
    assert refusal == "restricted"
    assert desk.events("access.denied")[-1]["facts"]["why"] == "restricted"


def test_P23_a_legal_order_opens_what_is_restricted(restrict, desk, sam, sue, ann, deliver, letter):
    message = deliver(ann, letter())
    restrict(ann, "staff", why="claims")
    grant = desk.granted(sam, sue, ann, [message], reason="legal")
    assert isinstance(desk.read(sam, grant, message), bytes)


def test_P23_what_was_granted_before_is_stopped_too(restrict, desk, sam, sue, ann, deliver, letter):
    message = deliver(ann, letter())
    grant = desk.granted(sam, sue, ann, [message])
    restrict(ann, "staff")
    assert desk.read(sam, grant, message) == "restricted"


def test_P23_what_its_owner_reports_may_be_opened(
    restrict, desk, sam, sue, ann, deliver, letter, opened, superuser, master, web_app
):
    message = deliver(ann, letter())
    restrict(ann, "staff")
    opened(
        ann,
        lambda keys: reports.report(keys, master, message, account_id=ann.account_id, kind="phishing"),
    )
    case = superuser.execute(text("SELECT case_id FROM case_item")).scalar()
    grant, refusal = desk.ask(sam, ann, [message], case=case)
    assert refusal == ""
    assert desk.decide(sue, ann, grant) == ""
    assert isinstance(desk.read(sam, grant, message), bytes)


def test_P23_no_delivery_is_traced_of_whom_it_is_restricted(restrict, desk, sam, ann):
    def trace(case):
        with desk.staff() as session:
            return session.execute(
                text("SELECT trace_look(:a, :c, 'mtumail.test', :l, now() - interval '1 day', now(), '', NULL, NULL) ->> 'refusal'"),
                {"a": sam.account_id, "c": case, "l": ann.address.partition("@")[0]},
            ).scalar()  # fmt: skip

    assert trace(desk.case("delivery")) == ""
    restrict(ann, "staff")
    assert trace(desk.case("delivery")) == "restricted"
    assert desk.events("trace.denied")[-1]["facts"]["why"] == "restricted"


def test_P23_a_message_id_finds_nothing_of_whom_it_is_restricted(
    restrict, desk, master, sam, ann, receive, worker
):
    receive(ann, b"From: a@example.org\r\nMessage-ID: <one@example.org>\r\n\r\nWords\r\n", "a@example.org")
    with worker.app_context():
        assert filing.drain() == 1

    def found():
        with desk.staff():
            case = desk.case("delivery")
            secret = open_secret(master)
            return tracing.look_for(
                secret, "<one@example.org>", case_id=case, account_id=sam.account_id
            ).lines

    assert [line.mailbox_id for line in found()] == [ann.mailbox_id]
    restrict(ann, "staff")
    assert found() == []


def test_P25_no_schedule_removes_what_is_restricted(restrict, superuser, worker, ann, ben, ada):
    for person in (ann, ben):
        superuser.execute(
            text(
                "INSERT INTO sign_in (sign_in_id, account_id, session_id, device, first_seen, last_seen)"
                " VALUES (:i, :a, 'sess_' || :i, 'Firefox', now() - interval '3 years', now() - interval '3 years')"
            ),
            {"i": new_id(), "a": person.account_id},
        )
        superuser.execute(
            text("INSERT INTO sending_day (mailbox_id, day, recipients) VALUES (:m, current_date - 1000, 3)"),
            {"m": person.mailbox_id},
        )
        superuser.execute(
            text(
                "INSERT INTO mailbox_activity (mailbox_id, kind, account_id, at) VALUES (:m, 'joined', :a, now() - interval '9 years')"
            ),
            {"m": person.mailbox_id, "a": person.account_id},
        )
    restrict(ann, "schedules")
    for code in ("sign-ins", "sending-days", "activity", "deliveries", "webhooks", "member-notices", "requests", "cases", "trials"):  # fmt: skip
        rule = retention.find(code)
        with worker.app_context(), transaction():
            run = retention.go_on(retention.begin(rule))
        assert run.count == (1 if code in ("sign-ins", "sending-days", "activity") else 0), code
    left = "SELECT array_agg(DISTINCT account_id) FROM sign_in WHERE last_seen < now() - interval '1 year'"
    assert superuser.execute(text(left)).scalar() == [ann.account_id]
    assert superuser.execute(text("SELECT array_agg(mailbox_id) FROM sending_day")).scalar() == [
        ann.mailbox_id
    ]


def test_P25_folders_of_whom_it_is_restricted_do_not_empty_themselves(restrict, worker, ann, ben, opened):
    for person in (ann, ben):
        opened(person, lambda keys: retention.set_keep_days(keys.mailbox_id, "trash", 7))
    restrict(ann, "schedules")
    with worker.app_context(), transaction():
        assert [one.mailbox_id for one in retention.folders_that_empty(-1)] == [ben.mailbox_id]


def test_P23_only_what_was_chosen_stops(restrict, desk, sam, ann, deliver, letter, opened):
    restrict(ann, "learning")
    message = deliver(ann, letter())
    assert desk.ask(sam, ann, [message])[1] == ""


# --- its course ----------------------------------------------------------------------------------------------------------


def test_P23_its_person_ends_a_restriction_at_once(
    restrict, in_force, desk, sam, ann, deliver, letter, web_app, superuser
):
    message = deliver(ann, letter())
    request_id = restrict(ann)
    assert in_force(ann).request_id == request_id
    with pytest.raises(StopRefused, match="stopped"):
        restrict(ann)
    with web_app.app_context(), transaction():
        stopping.unrestrict(ann.account_id)
    assert in_force(ann) is None
    assert desk.ask(sam, ann, [message])[1] == ""
    with web_app.app_context(), transaction(), pytest.raises(NotFound):
        stopping.unrestrict(ann.account_id)
    restrict(ann)
    assert events(superuser) == ["restriction.begun", "restriction.ended", "restriction.begun"]


def test_P23_others_end_it_a_week_after_they_said_so(restrict, in_force, ann, ada, web_app, superuser):
    restrict(ann)
    number = in_force(ann).restriction_id
    with web_app.app_context(), transaction(staff=True):
        stopping.announce_end(number, by=ada.account_id)
        with pytest.raises(StopRefused, match="over"):
            stopping.announce_end(number, by=ada.account_id)
    assert in_force(ann).until is not None, "still in force for a week"
    told = superuser.execute(text("SELECT facts ->> 'what' FROM errand WHERE account_id = :a"), {"a": ann.account_id})  # fmt: skip
    assert told.scalars().all() == ["restriction-ends"]
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text("UPDATE processing_restriction SET since = since - interval '9 days', until_set_at = until_set_at - interval '8 days', until = now() - interval '1 hour'")
    )  # fmt: skip
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert in_force(ann) is None
    restrict(ann)
    assert in_force(ann) is not None


def test_P23_an_objection_is_in_force_while_it_is_weighed_and_decided_by_the_answer(
    object_to, answer, desk, sam, ann, deliver, letter, superuser
):
    message = deliver(ann, letter())
    request_id = object_to(ann, "troubleshoot")
    assert desk.ask(sam, ann, [message], reason="delivery")[1] == "restricted"
    assert desk.ask(sam, ann, [message], reason="service")[1] == "", "that is another purpose"
    answer(request_id, refused=True)
    assert desk.ask(sam, ann, [message], reason="delivery")[1] == ""
    assert superuser.execute(text("SELECT state FROM objection")).scalar() == "overruled"
    answer(object_to(ann, "troubleshoot"), refused=False)
    assert desk.ask(sam, ann, [message], reason="delivery")[1] == "restricted"
    states = superuser.execute(text("SELECT state FROM objection ORDER BY made_at")).scalars().all()
    assert states == ["overruled", "upheld"]


def test_P23_who_objects_to_being_watched_is_not(
    object_to, answer, desk, sam, ann, deliver, letter, opened, superuser
):
    message = deliver(ann, letter())
    request_id = object_to(ann, "abuse")
    opened(ann, lambda keys: correspondents.written_to(keys, ["zoe@example.org"]))
    assert known_of(opened, ann, "zoe@example.org").sent == 0
    sign_in = "INSERT INTO sign_in (sign_in_id, account_id, session_id, device, network) VALUES (1, :a, 'sess_1', 'Firefox', '10.0.0.0/24')"
    superuser.execute(text(sign_in), {"a": ann.account_id})
    assert superuser.execute(text("SELECT device, network FROM sign_in WHERE sign_in_id = 1")).one() == (
        "Not noted",
        None,
    )
    assert desk.ask(sam, ann, [message])[1] == "", "others are protected while it is weighed"
    answer(request_id, refused=False)
    assert desk.ask(sam, ann, [message])[1] == "restricted"
    assert set(superuser.execute(text("SELECT device FROM sign_in")).scalars()) == {"Not noted"}


def test_P23_an_objection_is_taken_back_by_its_person_alone(object_to, ann, ben, web_app, superuser):
    object_to(ann, "reliability")
    with web_app.app_context(), transaction():
        [one] = standing.objections(ann.account_id)
        assert one.due_at is not None
        with pytest.raises(NotFound):
            stopping.withdraw(ben.account_id, one.objection_id)
        with pytest.raises(StopRefused, match="stopped"):
            stopping.object_to(None, ann.account_id, "reliability", WORDS)
        stopping.withdraw(ann.account_id, one.objection_id)
        assert standing.objections(ann.account_id)[0].state == "withdrawn"
    assert events(superuser) == ["objection.made", "objection.withdrawn"]


def test_P23_what_came_by_mail_is_obeyed_when_it_is_known_who_asks(ann, ada, web_app, master, in_force):
    with web_app.app_context(), transaction(staff=True):
        number = asking.enter(master, "restrict", "mail", WORDS, by=ada.account_id)
        with pytest.raises(NotFound):
            stopping.restrict_for(number, "claims", ALL, by=ada.account_id)
        asking.identify(number, by=ada.account_id, account_id=ann.account_id)
        stopping.restrict_for(number, "claims", ALL, by=ada.account_id)
        other = asking.enter(master, "object", "letter", WORDS, by=ada.account_id, account_id=ann.account_id)
        asking.identify(other, by=ada.account_id)
        stopping.object_for(other, "abuse", by=ada.account_id)
        held, against = standing.standing()
        assert [one.account_id for one in held] == [one.account_id for one in against] == [ann.account_id]
    assert (in_force(ann).why, in_force(ann).is_own) == ("claims", False)


def test_P05_only_what_rests_on_legitimate_interests_can_be_objected_to(object_to, ann, restrict):
    assert set(stopping.PURPOSES) == {"abuse", "troubleshoot", "reliability"}
    for purpose in ("provide", "law", ""):
        with pytest.raises(StopRefused, match="kind"):
            object_to(ann, purpose)
    with pytest.raises(StopRefused, match="kind"):
        restrict(ann, "everything")
    with pytest.raises(StopRefused, match="kind"):
        restrict(ann, why="because")


# --- what the database refuses -------------------------------------------------------------------------------------------

RESTRICTION = "INSERT INTO processing_restriction (restriction_id, account_id, why, scopes, set_by{more}) VALUES (7, {a}, {why}, {scopes}, {b}{values})"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"why": "'x'"}, "why_is_known"),
        ({"scopes": "'{}'"}, "scopes_are_known"),
        ({"scopes": "'{learning,x}'"}, "scopes_are_known"),
        ({"more": ", until", "values": ", now()"}, "restriction_goes_on"),
        ({"a": "1"}, "account_id_exists"),
        ({"b": "1"}, "set_by_exists"),
        ({"more": ", request_id", "values": ", 1"}, "request_exists"),
    ],
)
def test_the_database_refuses_a_restriction_that_is_none(superuser, ann, change, match):
    told = {"a": ann.account_id, "b": ann.account_id, "why": "'claims'", "scopes": "'{staff}'", "more": "", "values": ""}  # fmt: skip
    with pytest.raises(DBAPIError, match=match):
        superuser.exec_driver_sql(RESTRICTION.format(**told | change))


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("UPDATE processing_restriction SET why = 'claims'", "stays what was asked"),
        ("UPDATE processing_restriction SET scopes = '{staff}'", "stays what was asked"),
        ("UPDATE processing_restriction SET ended_at = now(), ended_by = {ada}", "only_its_person_ends_it_early"),
        ("UPDATE processing_restriction SET ended_at = now()", "end_is_somebodys"),
        ("UPDATE processing_restriction SET ended_at = since - interval '1 day', ended_by = {ann}", "ends_after_it_began"),
        ("UPDATE processing_restriction SET until = now() + interval '9 days'", "told_a_week_before"),
        (
            "UPDATE processing_restriction SET until = now() + interval '6 days', until_by = {ada}, until_set_at = now()",
            "told_a_week_before",
        ),
        ("UPDATE objection SET state = 'upheld', decided_at = now(), decided_by = {ada}", "decided once"),
        ("UPDATE objection SET purpose = 'reliability'", "decided once"),
        ("UPDATE objection SET state = 'withdrawn', decided_at = now(), decided_by = {ada}", "its_person_withdraws"),
        ("UPDATE objection SET state = 'withdrawn'", "decision_is_somebodys"),
        ("INSERT INTO objection (objection_id, account_id, purpose) VALUES (9, {ann}, 'law')", "rests_on_interests"),
        ("INSERT INTO objection (objection_id, account_id, purpose, state) VALUES (9, {ann}, 'reliability', 'x')", "objection_"),
        ("INSERT INTO objection (objection_id, account_id, purpose) VALUES (9, {ann}, 'abuse')", "one_a_purpose"),
        ("INSERT INTO objection (objection_id, account_id, purpose, request_id) VALUES (9, {ann}, 'reliability', 3)", "request_exists"),
        (
            "INSERT INTO processing_restriction (restriction_id, account_id, why, scopes, set_by) VALUES (9, {ann}, 'claims', '{{staff}}', {ann})",
            "one_at_a_time",
        ),
    ],
)  # fmt: skip
def test_the_database_keeps_the_course(restrict, object_to, superuser, ann, ada, sql, match):
    restrict(ann)
    object_to(ann, "abuse")
    sql = sql.replace("{ada}", str(ada.account_id)).replace("{ann}", str(ann.account_id)).replace("{{", "{").replace("}}", "}")  # fmt: skip
    with pytest.raises(DBAPIError, match=match):
        superuser.exec_driver_sql(sql)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("web", "UPDATE processing_restriction SET until = now()"),
        ("web", "DELETE FROM processing_restriction"),
        ("web", "DELETE FROM objection"),
        ("worker", "UPDATE objection SET state = 'withdrawn'"),
        ("worker", "UPDATE processing_restriction SET ended_at = now()"),
        ("inbound", "SELECT 1 FROM objection"),
        ("web", "SELECT access_open_unstopped(1, 1, 'text', 0, 1, NULL, NULL)"),
        ("staff", "SELECT access_open_unstopped(1, 1, 'text', 0, 1, NULL, NULL)"),
        ("staff", "SELECT trace_look_unstopped(1, 1, '', '', now(), now(), '', NULL, NULL)"),
        ("staff", "UPDATE objection SET state = 'upheld'"),
    ],
)
def test_P15_each_process_does_its_part_alone(database, role, statement):
    engine = create_engine(database.urls["web" if role == "staff" else role], poolclass=NullPool)
    with engine.connect() as connection:
        if role == "staff":
            connection.execute(text("SET LOCAL ROLE mtumail_staff"))
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_P24_who_has_their_account_deleted_is_deleted_with_what_they_stopped(
    restrict, object_to, ann, web_app, worker, master, superuser
):
    restrict(ann)
    object_to(ann, "abuse")
    with web_app.app_context(), transaction():
        number = erasing.ask(ann.account_id)
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(
        text("UPDATE erasure SET asked_at = asked_at - interval '40 days', due_at = due_at - interval '40 days'")
    )  # fmt: skip
    superuser.exec_driver_sql("SET session_replication_role = origin")
    more = True
    while more:
        with worker.app_context(), transaction():
            more = doing.go_on(master, doing.look(number))
    counts = superuser.execute(text("SELECT destroyed FROM erasure")).scalar()
    assert (counts["processing_restriction"], counts["objection"]) == (1, 1)
    left = "SELECT (SELECT count(*) FROM processing_restriction) + (SELECT count(*) FROM objection)"
    assert superuser.execute(text(left)).scalar() == 0
