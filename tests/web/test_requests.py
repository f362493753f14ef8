"""Requests about privacy: made on one's page or written down, checked, extended once in time, answered; overdue is loud."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import show_id, transaction
from webmail.privacy.requests import asking

MINE, QUEUE = "/my-data/requests", "/admin/requests"
SECRET = "My grandmother was called Aloysia"


@pytest.fixture
def make(browser_of, csrf, superuser):
    """Ask as somebody, on the page; the request's id."""

    def send(person, kind="correct", words=SECRET):
        client = browser_of(person)
        answer = client.post(MINE, data={"csrf_token": csrf(client), "kind": kind, "words": words})
        assert answer.status_code == 303
        return superuser.execute(
            text("SELECT request_id FROM privacy_request ORDER BY received_at DESC LIMIT 1")
        ).scalar()

    return send


@pytest.fixture
def act(browser_of, ada, csrf):
    """Do something about a request, as the admin."""

    def send(request_id, what, words="It is done, as you asked."):
        client = browser_of(ada)
        data = {"csrf_token": csrf(client), "act": what, "words": words}
        return client.post(f"{QUEUE}/{show_id(request_id)}", data=data, follow_redirects=True)

    return send


@pytest.fixture
def age(superuser):
    def older(request_id, days):
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(
            text("UPDATE privacy_request SET received_at = now() - make_interval(days => :d),"
                 " due_at = now() - make_interval(days => :d) + interval '1 month' WHERE request_id = :r"),
            {"d": days, "r": request_id},
        )  # fmt: skip
        superuser.exec_driver_sql("SET session_replication_role = origin")

    return older


def kinds(superuser):
    return (
        superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'request.%' ORDER BY number"))
        .scalars()
        .all()
    )


def test_P23_a_request_is_made_answered_and_seen_by_its_person(make, act, ann, browser_of, superuser):
    number = make(ann)
    assert SECRET in browser_of(ann).get(MINE).text
    page = act(number, "done", "Corrected: it is Aloysia now.").text
    assert "Done, and written into the log." in page
    assert "Corrected: it is Aloysia now." in browser_of(ann).get(MINE).text
    assert kinds(superuser) == ["request.made", "request.answered"]
    assert (
        superuser.execute(
            text("SELECT facts ->> 'what' FROM errand WHERE account_id = :a"), {"a": ann.account_id}
        ).scalar()
        == "request-answered"
    )
    sealed = superuser.execute(text("SELECT words || answer FROM privacy_request")).scalar()
    assert b"Aloysia" not in bytes(sealed)


def test_P23_a_refusal_names_its_reasons_and_the_way_to_complain(make, act, ann, browser_of):
    act(make(ann, "delete"), "refuse", "The law tells us to keep invoices for ten years.")
    page = browser_of(ann).get(MINE).text
    assert "invoices for ten years" in page
    assert "supervisory authority" in page


def test_P23_the_clock_is_a_month_and_extended_once_with_reasons(make, act, age, ann, browser_of, superuser):
    number = make(ann)
    month = "SELECT due_at - received_at = interval '1 month' OR due_at = received_at + interval '1 month' FROM privacy_request"
    assert superuser.execute(text(month)).scalar()
    act(number, "extend", "There are very many messages.")
    assert superuser.execute(
        text("SELECT due_at = received_at + interval '3 months' FROM privacy_request")
    ).scalar()
    assert "There are very many messages." in browser_of(ann).get(MINE).text
    assert act(number, "extend", "And more.").status_code == 409
    second = make(ann)
    age(second, 40)
    late = act(second, "extend", "We forgot.")
    assert late.status_code == 409
    assert "The first month is over" in late.text


def test_P23_what_is_overdue_is_loud(make, age, ann, ada, browser_of):
    age(make(ann), 40)
    client = browser_of(ada)
    assert "1 past their time" in client.get("/admin").text
    assert "1 past their time" in client.get("/staff").text
    assert "past its time" in client.get(QUEUE).text


def test_P23_what_came_by_mail_is_answered_when_it_is_known_who_asks(
    act, ann, ada, browser_of, csrf, superuser
):
    client = browser_of(ada)
    data = {
        "csrf_token": csrf(client),
        "kind": "access",
        "source": "mail",
        "words": "What do you hold about me?",
        "address": "",
    }
    assert "Written down." in client.post(QUEUE, data=data, follow_redirects=True).text
    number = superuser.execute(text("SELECT request_id FROM privacy_request")).scalar()
    early = act(number, "done", "Here is everything.")
    assert early.status_code == 409
    assert "Check first who asks." in early.text
    assert act(number, "identify", "nobody@mtumail.test").status_code == 409
    assert act(number, "identify", ann.address).status_code == 200
    assert act(number, "done", "Here is everything.").status_code == 200
    assert "Here is everything." in browser_of(ann).get(MINE).text
    assert kinds(superuser) == ["request.entered", "request.identified", "request.answered"]


def test_nobody_answers_their_own(make, act, ada):
    answer = act(make(ada), "done", "I allow it to myself.")
    assert answer.status_code == 409
    assert "their own" in answer.text


def test_one_sees_ones_own_alone_and_the_queue_is_for_admins(make, ann, ben, sue, browser_of):
    number = make(ann)
    assert SECRET not in browser_of(ben).get(MINE).text
    for person in (ann, sue):
        assert browser_of(person).get(QUEUE).status_code == 403
        assert browser_of(person).get(f"{QUEUE}/{show_id(number)}").status_code == 403


@pytest.mark.parametrize(
    ("kind", "words"), [("correct", " x "), ("nothing", SECRET), ("correct", "x" * 2001)]
)
def test_what_is_no_request_is_said_and_kept_in_the_form(ann, browser_of, csrf, kind, words):
    client = browser_of(ann)
    answer = client.post(MINE, data={"csrf_token": csrf(client), "kind": kind, "words": words})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_ten_open_requests_are_enough(ann, web_app, master):
    with web_app.app_context(), transaction():
        for _ in range(asking.OPEN_OF_ONE):
            asking.make(master, ann.account_id, "object", "I object.")
        with pytest.raises(asking.RequestRefused, match="many"):
            asking.make(master, ann.account_id, "object", "I object.")


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("UPDATE privacy_request SET state = 'done'", "answer_is_somebodys"),
        ("UPDATE privacy_request SET due_at = due_at + interval '9 months'", "within_a_month_or_three"),
        ("UPDATE privacy_request SET kind = 'access'", "answered once"),
        ("UPDATE privacy_request SET identity = 'checked'", "own_is_proved"),
    ],
)
def test_the_database_keeps_the_clock_and_the_trail(make, ann, superuser, sql, match):
    make(ann)
    with pytest.raises(DBAPIError, match=match):
        superuser.execute(text(sql))


@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_no_process_by_itself_answers(database, make, ann, role):
    make(ann)
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
        connection.execute(text("UPDATE privacy_request SET state = 'done'"))
    engine.dispose()
