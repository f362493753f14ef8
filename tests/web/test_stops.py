"""Stopping a use of one's data, and objecting: by a button, at once, seen by its person and by admins, undone by its person."""

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.web import access_words

PAGE, QUEUE = "/my-data/stops", "/admin/requests"


@pytest.fixture
def press(browser_of, csrf):
    def send(person, path=PAGE, **data):
        client = browser_of(person)
        return client.post(path, data={"csrf_token": csrf(client), **data}, follow_redirects=True)

    return send


@pytest.fixture
def stopped(press, ann):
    return press(ann, why="accuracy", scope=["learning", "staff"], words="My name is wrong.")


def test_P23_data_is_only_kept_from_the_press_of_a_button_on(stopped, ann, browser_of):
    assert "It has stopped." in stopped.text
    page = browser_of(ann).get(PAGE).text
    assert "Your data is only kept, since" in page
    assert "Staff opening my mail" in page
    assert "Removal by schedules" not in page, "what was not chosen goes on"
    assert "Your data is only kept, since" in browser_of(ann).get("/my-data").text
    assert "My name is wrong." in browser_of(ann).get("/my-data/requests").text


def test_P23_its_person_lets_it_go_on(stopped, press, ann, browser_of):
    assert "It goes on as before." in press(ann, f"{PAGE}/end").text
    assert "only kept, since" not in browser_of(ann).get("/my-data").text
    assert press(ann, f"{PAGE}/end").status_code == 404


def test_P23_an_admin_sees_it_and_ends_it_in_a_week(stopped, press, ada, ann, browser_of, superuser):
    page = browser_of(ada).get(QUEUE).text
    assert "What people have stopped" in page
    assert "Ann Whitfield" in page
    number = superuser.execute(text("SELECT restriction_id FROM processing_restriction")).scalar()
    path = f"{QUEUE}/restrictions/{show_id(number)}"
    assert "ends in seven days" in press(ada, path).text
    assert press(ada, path).status_code == 422
    assert "It ends on" in browser_of(ann).get(PAGE).text
    assert press(ann, path).status_code == 403


def test_P23_a_restriction_without_grounds_ends_in_a_week_with_the_refusal(
    stopped, press, ada, ann, browser_of, superuser
):
    number = superuser.execute(text("SELECT request_id FROM privacy_request")).scalar()
    page = browser_of(ada).get(f"{QUEUE}/{show_id(number)}").text
    assert "A refusal ends it in seven days" in page
    assert "There are no grounds to restrict it" in page
    press(ada, f"{QUEUE}/{show_id(number)}", act="refuse", words="It was right all along.")
    page = browser_of(ann).get(PAGE).text
    assert "It ends on" in page
    assert "It was right all along." in browser_of(ann).get("/my-data/requests").text
    told = superuser.execute(
        text("SELECT facts ->> 'what' FROM errand WHERE account_id = :a"), {"a": ann.account_id}
    )
    assert set(told.scalars()) == {"request-answered", "restriction-ends"}


def test_P23_an_objection_is_weighed_and_answered_within_a_month(press, ann, ada, browser_of, superuser):
    told = press(ann, f"{PAGE}/objections", purpose="troubleshoot", words="My mail is privileged.")
    assert "We have your objection" in told.text
    assert "is being weighed" in browser_of(ann).get("/my-data").text
    number = superuser.execute(text("SELECT request_id FROM objection")).scalar()
    queue = browser_of(ada).get(QUEUE).text
    assert f'href="{QUEUE}/{show_id(number)}"' in queue
    assert "Finding faults: is being weighed" in browser_of(ada).get(f"{QUEUE}/{show_id(number)}").text
    press(ada, f"{QUEUE}/{show_id(number)}", act="done", words="You are right.")
    page = browser_of(ann).get(PAGE).text
    assert "you are right: it stays stopped" in page
    objection = superuser.execute(text("SELECT objection_id FROM objection")).scalar()
    assert "is taken back" in press(ann, f"{PAGE}/objections/withdraw", objection=show_id(objection)).text


@pytest.mark.parametrize(
    ("kind", "act", "words", "seen"),
    [
        ("restrict", "restrict", "claims", "An admin set this"),
        ("object", "object", "abuse", "Preventing abuse</b>: is being weighed"),
    ],
)
def test_P23_what_came_by_mail_is_obeyed_from_the_queue(
    press, ann, ada, browser_of, superuser, kind, act, words, seen
):
    press(ada, QUEUE, kind=kind, source="mail", words="Please stop.", address=ann.address)
    number = superuser.execute(text("SELECT request_id FROM privacy_request")).scalar()
    path = f"{QUEUE}/{show_id(number)}"
    assert f'value="{act}"' not in browser_of(ada).get(path).text, "not before it is known who asks"
    press(ada, path, act="identify", words=ann.address)
    assert f'value="{act}"' in browser_of(ada).get(path).text
    assert press(ada, path, act=act, words=words).status_code == 200
    assert seen in browser_of(ann).get(PAGE).text


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (PAGE, {"why": "accuracy", "words": "Something."}),
        (PAGE, {"why": "x", "scope": "staff", "words": "Something."}),
        (PAGE, {"why": "accuracy", "scope": "staff", "words": ""}),
        (f"{PAGE}/objections", {"purpose": "provide", "words": "Something."}),
    ],
)
def test_what_cannot_be_is_said_and_kept_in_the_form(press, ann, path, data):
    told = press(ann, path, **data)
    assert told.status_code == 422
    assert 'role="alert"' in told.text
    assert told.text.count(">Something.</textarea>") == bool(data["words"])


def test_the_staff_is_told_why_it_gets_no_access():
    assert "The owner has had this stopped." in access_words.refusal("restricted")


def test_nobody_sees_or_ends_what_is_anothers(stopped, press, ben, browser_of, superuser, ann):
    assert "only kept, since" not in browser_of(ben).get(PAGE).text
    assert press(ben, f"{PAGE}/end").status_code == 404
    press(ann, f"{PAGE}/objections", purpose="abuse", words="No.  ")
    press(ann, f"{PAGE}/objections", purpose="abuse", words="I do not want it.")
    number = superuser.execute(text("SELECT objection_id FROM objection")).scalar()
    assert press(ben, f"{PAGE}/objections/withdraw", objection=show_id(number)).status_code == 404
