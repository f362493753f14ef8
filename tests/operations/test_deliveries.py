"""How mail that leaves is counted: as it happens, without addresses, made into days, and forgotten in time."""

import contextlib
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from webmail.db import db, transaction
from webmail.operations import deliveries
from webmail.privacy import retention
from webmail.sending import drafts, events, submitting
from webmail.sending.models import Submission
from workers import domains as folding

TODAY = datetime.now(UTC).date()


@pytest.fixture
def as_staff(empty, web_app):
    def run(call):
        with web_app.app_context(), transaction(staff=True):
            return call()

    return run


@pytest.fixture
def fold(worker):
    return lambda: _folded(worker)


def _folded(worker):
    with worker.app_context():
        folding.fold(None)


@pytest.fixture
def send(opened, ann):
    """Put a message for these people into the outbox; its submission's id."""

    def run(*recipients):
        def submit(keys):
            who = (ann.name, ann.address)
            draft = drafts.create(keys, who, drafts.Fields(", ".join(recipients), "", "", "Hi", "Text"))
            submitting.submit(keys, draft.message_id, 1, account_id=ann.account_id, author=who, limit=10**6)
            mine = (Submission.mailbox_id == keys.mailbox_id, Submission.message_id == draft.message_id)
            return db.session.query(Submission.submission_id).filter(*mine).scalar()

        return opened(ann, submit)

    return run


@pytest.fixture
def tell(worker, ann):
    """Write down what was told of these recipients of a submission."""

    def run(submission_id, numbers, kind, status="", reply=""):
        with worker.app_context(), transaction(ann.mailbox_id):
            return events.record(
                ann.mailbox_id, submission_id, numbers, events.Told(kind, None, status, "", reply)
            )

    return run


@pytest.fixture
def counted(superuser):
    def ask(*measures):
        found = superuser.execute(
            text(
                "SELECT measure, name, detail, sum(number)::int FROM delivery_day GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
        )
        return [tuple(row) for row in found if not measures or row.measure in measures]

    return ask


@pytest.fixture
def day(superuser, empty):
    """A line of a day: `ago` days back."""

    def add(measure, name, number, detail="", ago=0):
        superuser.execute(
            text("INSERT INTO delivery_day VALUES (:day, :measure, :name, :detail, :number)"),
            {
                "day": TODAY - timedelta(days=ago),
                "measure": measure,
                "name": name,
                "detail": detail,
                "number": number,
            },
        )

    return add


def test_what_is_told_of_copies_is_counted_by_domain_without_an_address(send, tell, fold, counted, superuser):
    sent = send("a@one.example", "b@ONE.example", "c@two.example")
    tell(sent, [1, 2], "handed")
    tell(sent, [3], "deferred", "4.2.1", "450 4.2.1 later")
    tell(sent, [3], "failed", "5.1.1", "550 5.1.1 nobody")
    tell(sent, [2], "bounced", "5.2.2", "full")
    fold()
    assert counted("handed", "deferred", "failed", "bounced") == [
        ("bounced", "one.example", "5.2", 1),
        ("deferred", "two.example", "4.2", 1),
        ("failed", "two.example", "5.1", 1),
        ("handed", "one.example", "", 2),
    ]
    assert counted("waited") == [("waited", "", "m1", 2)]
    assert superuser.execute(text("SELECT count(*) FROM delivery_tally")).scalar() == 0


def test_the_same_told_twice_is_counted_once_and_what_is_undone_never(send, tell, fold, counted, worker, ann):
    sent = send("a@one.example")
    tell(sent, [1], "handed", reply="250 ok")
    tell(sent, [1], "handed", reply="250 ok")
    with worker.app_context(), contextlib.suppress(ZeroDivisionError), transaction(ann.mailbox_id):
        assert events.record(ann.mailbox_id, sent, [1], events.Told("failed", 550, "5.1.1", "", "no"))
        raise ZeroDivisionError
    fold()
    fold()
    assert counted("handed", "failed") == [("handed", "one.example", "", 1)]


def test_what_a_report_says_was_passed_on_was_handed_over_before(
    send, tell, fold, counted, deliver, letter, worker, ann
):
    sent, report = send("a@one.example"), deliver(ann, letter())
    tell(sent, [1], "handed")
    with worker.app_context(), transaction(ann.mailbox_id):
        told = events.Told("handed", None, "2.0.0", "", "relayed")
        assert events.record(ann.mailbox_id, sent, [1], told, report_id=report) == {1}
    fold()
    assert counted("handed", "waited") == [("handed", "one.example", "", 1), ("waited", "", "m1", 1)]


def test_how_long_it_took_counts_from_when_it_could_leave(send, tell, fold, counted, superuser):
    for number, (period, code) in enumerate((("10 minutes", "m15"), ("3 hours", "h4"), ("30 hours", "more"))):
        sent = send(f"a{number}@one.example")
        superuser.execute(
            text(
                f"UPDATE submission SET counts_from = now() - interval '{period}' WHERE submission_id = {sent}"
            )
        )
        tell(sent, [1], "handed")
        assert code in deliveries.WAITS
    fold()
    assert counted("waited") == [("waited", "", "h4", 1), ("waited", "", "m15", 1), ("waited", "", "more", 1)]


def test_tls_of_the_relays_is_counted(worker, empty, fold, counted):
    with worker.app_context(), transaction():
        deliveries.encrypted("relay.example:587", "TLSv1.3", 3)
        deliveries.encrypted("relay.example:587", "", 1)
    fold()
    assert counted("tls") == [
        ("tls", "relay.example:587", "TLSv1.3", 3),
        ("tls", "relay.example:587", "none", 1),
    ]


def test_complaints_of_servers_are_counted_and_nothing_else_that_becomes_a_case(
    superuser, empty, fold, counted
):
    for number, source in enumerate(("feedback", "mail", "form"), 1):
        values = {"id": number, "source": source}
        for sql in (
            "INSERT INTO case_file (case_id, kind, source, due_at) VALUES (:id, 'spam', :source, now())",
            "INSERT INTO case_item (item_id, case_id, kind, source) VALUES (:id, :id, 'spam', :source)",
        ):
            superuser.execute(text(sql), values)
    fold()
    assert counted() == [("complaint", "", "", 1)]


def test_P02_of_days_that_are_over_rare_domains_lose_their_names(day, fold, counted):
    for number in range(60):
        day("handed", f"d{number:02}.example", 100 - number, ago=1)
    day("handed", "rare.example", 1, ago=1)
    day("failed", "rare.example", 1, "5.1", ago=1)
    day("handed", "today.example", 1)
    fold()
    found = counted("handed", "failed")
    named = {name for measure, name, _detail, _number in found if measure == "handed"}
    assert named == {"", "today.example", *(f"d{number:02}.example" for number in range(50))}
    assert ("failed", "", "5.1", 1) in found
    assert (
        sum(number for measure, _name, _detail, number in found if measure == "handed")
        == sum(range(41, 101)) + 2
    )
    fold()
    assert counted("handed", "failed") == found


def test_a_page_shows_every_day_the_largest_first_and_few_copies_together(day, as_staff):
    day("handed", "big.example", 90)
    day("bounced", "big.example", 9, "5.2")
    day("handed", "big.example", 10, ago=6)
    day("failed", "small.example", 4, "5.1")
    day("handed", "rare.example", 2)
    day("handed", "old.example", 50, ago=7)
    day("complaint", "", 2, ago=3)
    day("waited", "", 7, "h1")
    day("tls", "relay", 5, "TLSv1.3")
    found = as_staff(lambda: deliveries.health(7))
    assert [one.day for one in found.days] == [TODAY - timedelta(days=ago) for ago in range(6, -1, -1)]
    assert (found.days[-1].handed, found.days[-1].failed, found.days[3].complaints) == (92, 4, 2)
    assert [one.name for one in found.domains] == ["big.example", "small.example", ""]
    assert [one.accepted for one in found.domains] == [0.91, 0.0, 1.0]
    assert [(one.name, one.detail, one.number) for one in found.reasons] == [
        ("bounced", "5.2", 9),
        ("failed", "5.1", 4),
    ]
    assert [one.number for one in found.waited] == [0, 0, 7, 0, 0, 0]
    assert [(one.name, one.detail, one.number) for one in found.tls] == [("relay", "TLSv1.3", 5)]


def test_nothing_is_nothing(as_staff):
    found = as_staff(lambda: deliveries.health(7))
    assert not any(one.handed for one in found.days)
    assert found.domains == found.reasons == found.tls == ()
    assert deliveries.Domain("x").accepted is None
    assert as_staff(deliveries.waiting) == []


def test_what_waits_is_told_by_domain_and_rare_ones_together(send, as_staff, superuser, ann):
    many, few = send(*(f"{n}@slow.example" for n in range(3))), send("x@rare.example")
    send("y@new.example")
    superuser.execute(
        text("UPDATE delivery SET state = 'deferred' WHERE submission_id = ANY(:ids)"), {"ids": [many, few]}
    )
    superuser.execute(
        text("UPDATE work SET attempts = 1 WHERE kind = 'send' AND item_id = ANY(:ids)"), {"ids": [many, few]}
    )
    assert [(one.name, one.copies) for one in as_staff(deliveries.waiting)] == [("slow.example", 3), ("", 1)]


def test_numbers_of_days_end_by_their_schedule(day, worker, superuser):
    for ago in (0, 300, 400):
        day("handed", "one.example", 5, ago=ago)
    rule = retention.find("delivery-days")
    with worker.app_context(), transaction():
        assert retention.preview(rule).count == 1
        assert retention.go_on(retention.begin(rule)).count == 1
    assert superuser.execute(text("SELECT count(*) FROM delivery_day")).scalar() == 2
    with worker.app_context(), pytest.raises(DBAPIError, match="nothing younger than a day"), transaction():
        db.session.execute(text("SELECT retention_delivery_days(now(), 10, true)"))


def test_the_page_reads_its_days_by_their_key(day, superuser):
    superuser.execute(
        text("""
        INSERT INTO delivery_day SELECT current_date - n / 50, 'handed', 'd' || n % 50 || '.example', '', 5
          FROM generate_series(0, 24999) n""")
    )
    superuser.execute(text("ANALYZE delivery_day"))
    for sql in (deliveries._BY_DAY, deliveries._BY_NAME):
        plan = superuser.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {sql}", {"since": TODAY - timedelta(days=6), "last": TODAY}
        ).scalar()
        assert "delivery_day_key" in json.dumps(plan)
        assert "Seq Scan" not in json.dumps(plan)


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("measure", "'opened'", "measure_is_known"),
        ("measure, name", "'handed', 'ann@one.example'", "name_is_no_address"),
        ("measure, name", "'handed', 'one example'", "name_is_no_address"),
        ("measure, detail", "'handed', 'what was said'", "detail_is_a_code"),
        ("measure, number", "'handed', 0", "number_is_positive"),
    ],
)
@pytest.mark.parametrize("table", ["delivery_tally", "delivery_day"])
def test_P02_the_database_takes_no_addresses_and_no_sentences(
    superuser, empty, table, columns, values, constraint
):
    more = ("", "") if table == "delivery_tally" else (", day", ", current_date")
    if table == "delivery_day" and "number" not in columns:
        more = (f"{more[0]}, number", f"{more[1]}, 1")
    with pytest.raises(IntegrityError, match=f"{table}_{constraint}"):
        superuser.execute(text(f"INSERT INTO {table} ({columns}{more[0]}) VALUES ({values}{more[1]})"))


def test_a_recipient_that_is_no_address_is_counted_under_no_name(send, tell, fold, counted, superuser):
    sent = send("a@one.example")
    superuser.execute(text("UPDATE delivery SET recipient = 'nonsense'"))
    tell(sent, [1], "handed")
    fold()
    assert counted("handed") == [("handed", "", "", 1)]
    assert isinstance(TODAY, date)
