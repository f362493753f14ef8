"""Invitations as people read and answer them: times and rules in words, the box in a message, the three buttons."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, render_template_string, request
from flask_babel import Babel
from sqlalchemy import text

from webmail.db import show_id
from webmail.identity.viewer import Preferences
from webmail.mail.calendar import Attendee, Invitation, Person, read
from webmail.mail.calendar.values import rule
from webmail.web import invites, when_words
from webmail.web.views import invitations as views

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ICS = """BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VEVENT
UID:pump-7@example.org
SUMMARY:Pump <b>& valve</b>
LOCATION:Hall "3"
DESCRIPTION:First line\\nSecond <i>line</i>
DTSTART;TZID=America/New_York:20261126T090000
DTEND;TZID=America/New_York:20261126T100000
RRULE:FREQ=WEEKLY;BYDAY=TH;COUNT=3
ORGANIZER;CN=Zoë:mailto:zoe@example.org
ATTENDEE;CN=Ann;RSVP=TRUE:mailto:ann@mtumail.test
ATTENDEE;CN=Ben;PARTSTAT=ACCEPTED:mailto:ben@example.org
END:VEVENT
END:VCALENDAR
"""


def invite(method="REQUEST", ics="", to="ann"):
    ics = (ics or ICS.format(method=method)).replace("\n", "\r\n")
    return (
        f"From: Zoe <zoe@example.org>\r\nTo: {to}@mtumail.test\r\nSubject: Pump\r\nMessage-ID: <i1@example.org>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
        f"Come.\r\n--b\r\nContent-Type: text/calendar; method={method}; charset=utf-8\r\n\r\n{ics}\r\n--b--\r\n"
    ).encode()


@pytest.fixture
def app() -> Flask:
    app = Flask("webmail")
    Babel(
        app,
        locale_selector=lambda: request.args.get("lang", "en_GB"),
        timezone_selector=lambda: request.args.get("zone", "Europe/Berlin"),
    )
    app.jinja_env.globals["csrf_token"] = lambda: "token"
    app.add_url_rule(
        "/mail/<folder>/<message>/invitation", "mail.answer_invitation", lambda: "", methods=["POST"]
    )
    return app


@pytest.fixture
def english(app: Flask) -> Iterator[None]:
    with app.test_request_context("/"):
        yield


# --- when ----------------------------------------------------------------------------------------------------------------


def at(hour, minute=0, day=26, zone=BERLIN):
    return datetime(2026, 11, day, hour, minute, tzinfo=zone)


@pytest.mark.parametrize(
    ("told", "words", "theirs"),
    [
        ({"start": at(10), "end": at(11)}, "Thursday 26 November 2026, 10:00 to 11:00 (Europe/Berlin)", ""),
        ({"start": at(10)}, "Thursday 26 November 2026, 10:00 (Europe/Berlin)", ""),
        ({"start": at(10), "end": at(10)}, "Thursday 26 November 2026, 10:00 (Europe/Berlin)", ""),
        (
            {"start": at(22), "end": at(2, day=27)},
            "Thursday 26 November 2026, 22:00 to Friday 27 November 2026, 02:00 (Europe/Berlin)",
            "",
        ),
        (
            {"start": at(9, zone=NEW_YORK), "end": at(10, zone=NEW_YORK), "zone": "Eastern Standard Time"},
            "Thursday 26 November 2026, 15:00 to 16:00 (Europe/Berlin)",
            "Thursday 26 November 2026, 09:00 to 10:00 (Eastern Standard Time)",
        ),
        (
            {"start": at(9, zone=timezone(timedelta(hours=1))), "zone": "W. Europe Standard Time"},
            "Thursday 26 November 2026, 09:00 (Europe/Berlin)",
            "",
        ),
        ({"start": at(9, zone=UTC), "zone": "UTC"}, "Thursday 26 November 2026, 10:00 (Europe/Berlin)", ""),
        ({"start": at(9, zone=None)}, "Thursday 26 November 2026, 09:00 (local time, wherever one is)", ""),
        (
            {"start": at(9, zone=None), "zone": "Mars/Olympus", "problems": ("unknown-zone",)},
            "Thursday 26 November 2026, 09:00 (in a time zone that we do not know: Mars/Olympus)",
            "",
        ),
        ({"start": date(2026, 11, 26)}, "Thursday 26 November 2026, all day", ""),
        ({"start": date(2026, 11, 26), "end": date(2026, 11, 27)}, "Thursday 26 November 2026, all day", ""),
        (
            {"start": date(2026, 11, 26), "end": date(2026, 11, 29)},
            "Thursday 26 November 2026 to Saturday 28 November 2026, all day",
            "",
        ),
        ({"end": at(11)}, "Thursday 26 November 2026, 11:00 (Europe/Berlin)", ""),
        ({}, "", ""),
    ],
)
def test_when_in_words(english, told, words, theirs):
    when = when_words.when(Invitation(**told))
    # Whether a comma follows the weekday is for CLDR to say.
    assert tuple(re.sub("day, ", "day ", said) for said in (when.words, when.theirs)) == (words, theirs)


def test_the_first_hour_of_time_is_not_shown_west_of_it(app):
    with app.test_request_context("/?zone=America/New_York"):
        assert when_words.when(Invitation(start=datetime(1, 1, 1, tzinfo=UTC))).words == ""


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=DAILY;COUNT=1", "every day, once"),
        ("FREQ=DAILY;INTERVAL=3;COUNT=10", "every 3 days, 10 times"),
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "every day"),
        ("FREQ=HOURLY;INTERVAL=2", "every 2 hours"),
        ("FREQ=WEEKLY", "every week"),
        (
            "FREQ=WEEKLY;BYDAY=TH,TU;UNTIL=20270303T225959Z;WKST=MO",
            "every week on Tuesday and Thursday, until 3 March 2027",
        ),
        ("FREQ=WEEKLY;BYDAY=MO;UNTIL=20270303T233000Z", "every week on Monday, until 4 March 2027"),
        ("FREQ=WEEKLY;BYDAY=MO;UNTIL=20270303", "every week on Monday, until 3 March 2027"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=2MO", "every 2 months on the second Monday"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1", "every month on the last Monday"),
        ("FREQ=MONTHLY;BYDAY=1MO,3MO", "every month on the first Monday and the third Monday"),
        ("FREQ=MONTHLY;BYMONTHDAY=15,1", "every month on day 1 and 15"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "every month on the last day"),
        ("FREQ=MONTHLY", "every month"),
        ("FREQ=YEARLY", "every year"),
        ("FREQ=YEARLY;BYMONTH=3", "every year in March"),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "every year in November on the fourth Thursday"),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "every year in December on day 24"),
        *(
            (raw, "repeats (rule not shown)")
            for raw in (
                "", "x", "FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=5", "FREQ=WEEKLY;BYDAY=1MO", "FREQ=DAILY;BYMONTH=2",
                "FREQ=MONTHLY;BYDAY=MO", "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1", "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR",
                "FREQ=MONTHLY;BYMONTHDAY=-2", "FREQ=MONTHLY;BYDAY=-5MO", "FREQ=YEARLY;BYWEEKNO=20", "FREQ=YEARLY;BYYEARDAY=1",
                "FREQ=YEARLY;BYMONTH=1,2", "FREQ=DAILY;BYHOUR=9", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=2;X-A=1",
                "FREQ=DAILY;FREQ=WEEKLY", "FREQ=DAILY;UNTIL=tomorrow", "RSCALE=CHINESE;FREQ=YEARLY", "FREQ=DAILY;INTERVAL=1,2",
            )
        ),
    ],
)  # fmt: skip
def test_rules_in_words_or_not_at_all(english, raw, words):
    assert when_words.rule_words(rule(raw)) == words


def test_a_weekday_that_is_another_one_here_is_the_senders(english):
    late = Invitation(start=at(23, zone=NEW_YORK), recurrence=rule("FREQ=WEEKLY;BYDAY=TH"))
    assert when_words.when(late).repeats == "every week on Thursday (days as the sender counts them)"
    for early in (at(9, zone=NEW_YORK), at(23), at(23, zone=None), date(2026, 11, 26)):
        assert (
            when_words.when(Invitation(start=early, recurrence=rule("FREQ=WEEKLY;BYDAY=TH"))).repeats
            == "every week on Thursday"
        )
    assert (
        when_words.when(Invitation(start=at(23, zone=NEW_YORK), recurrence=rule("FREQ=DAILY"))).repeats
        == "every day"
    )


def test_one_date_of_a_series_says_so(english):
    assert when_words.when(Invitation(start=at(9), recurrence_id=at(8))).repeats == "one date of a series"


def test_dates_taken_out_and_added(english):
    told = Invitation(start=at(9), recurrence=rule("FREQ=DAILY"), excluded_dates=2, extra_dates=1)
    assert when_words.when(told).repeats == "every day, and on 1 more date, except on 2 dates"
    assert when_words.when(Invitation(start=at(9), extra_dates=3)).repeats == "on 3 more dates"


@pytest.mark.parametrize("lang", ["de", "ar", "ja", "fr", "he", "sw", "en"])
def test_every_language_has_its_days(app, lang):
    with app.test_request_context(f"/?lang={lang}"):
        when = when_words.when(Invitation(start=at(9), end=at(10), recurrence=rule("FREQ=MONTHLY;BYDAY=2MO")))
        assert when.words
        assert when.repeats
        assert ("Donnerstag" in when.words) == (lang == "de")


# --- the box -------------------------------------------------------------------------------------------------------------


def box(given=None, sender="zoe@example.org", **changes):
    content = ICS.format(method=changes.pop("method", "REQUEST"))
    for old, new in changes.pop("edits", ()):
        content = content.replace(old, new)
    shown = invites.describe(read(content.encode(), own_addresses=["ann@mtumail.test"]), given, sender)
    return shown, render_template_string(
        "{% include 'mail/_invitation.html' %}",
        invitation=shown,
        folder=SimpleNamespace(slug="inbox"),
        message=SimpleNamespace(id="AAAAAAAB"),
    )


def test_the_box_says_what_when_where_and_who(english):
    shown, page = box()
    words = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert shown.heading == "Invitation"
    for part in (
        "Pump <b>& valve</b>", "15:00 to 16:00 (Europe/Berlin)", "09:00 to 10:00 (America/New_York)", 'Hall "3"', "Zoë",
        "every week on Thursday, 3 times", "Ann no answer yet", "Ben accepted", "Second <i>line</i>",
        "by mail to zoe@example.org and to nobody else",
    ):  # fmt: skip
        assert part in words, part
    assert re.findall(r'name="answer" value="(\w+)"', page) == ["accepted", "tentative", "declined"]
    assert '<input type="hidden" name="csrf_token" value="token">' in page
    assert "<b>&" not in page
    assert shown.notes == []


def test_the_box_is_one_element_with_an_id(english):
    page = box()[1].strip()
    assert page.startswith('<section class="invitation" id="invitation-AAAAAAAB"')
    assert page.endswith("</section>")
    assert page.count("<section") == 1


def test_the_answer_so_far_is_said(english):
    shown, page = box("declined")
    assert shown.answer == "You declined."
    assert 'value="declined" aria-current="true"' in page
    assert box(edits=[("CN=Ann;", "CN=Ann;PARTSTAT=TENTATIVE;")])[0].answer == "You answered: maybe."
    assert box("accepted", edits=[("CN=Ann;", "CN=Ann;PARTSTAT=TENTATIVE;")])[0].answer == "You accepted."


@pytest.mark.parametrize(
    ("method", "edits", "heading", "state", "buttons"),
    [
        ("REQUEST", [("UID", "SEQUENCE:1\nUID")], "Changed invitation", "", 3),
        ("REQUEST", [("UID", "STATUS:CANCELLED\nUID")], "Cancelled", "bad", 0),
        ("CANCEL", [], "Cancelled", "bad", 0),
        ("PUBLISH", [], "Event", "", 0),
        ("", [], "Event", "", 0),
        ("", [("VEVENT", "VTODO")], "Task", "", 0),
        ("REPLY", [("CN=Ann;", "CN=Ann;PARTSTAT=ACCEPTED;")], "Ann accepted", "good", 0),
        ("REPLY", [("CN=Ann;", "CN=Ann;PARTSTAT=DECLINED;")], "Ann declined", "bad", 0),
        ("REPLY", [("CN=Ann;", "CN=Ann;PARTSTAT=TENTATIVE;")], "Ann may come", "warn", 0),
        ("REPLY", [], "Ann answered", "", 0),
        ("COUNTER", [], "Ann proposes another time", "", 0),
        ("REFRESH", [], "Ann asks for the newest version", "", 0),
        ("ADD", [], "Another date of a series", "", 3),
        ("DECLINECOUNTER", [], "The proposed change was not taken", "", 0),
    ],
)
def test_each_kind_has_its_heading_and_only_requests_have_buttons(
    english, method, edits, heading, state, buttons
):
    shown, page = box(method=method, edits=edits)
    assert (shown.heading, shown.state) == (heading, state)
    assert page.count("<button") == buttons


def test_another_organizer_than_the_sender_is_said(english):
    shown, page = box(sender="zoe@example.com")
    assert "not at the domain" in shown.notes[0]
    assert 'role="note"' in page


def test_problems_and_more_events_are_said(english):
    told = Invitation(problems=("cut", "no-start", "bad-line"), more_events=2)
    notes = invites.describe(told, None, "").notes
    assert len(notes) == 3
    assert notes[1] == "It does not say when."


def test_a_long_list_of_guests_is_cut_with_its_number(english):
    guests = tuple(Attendee(f"Guest {n}", f"g{n}@example.org") for n in range(30))
    shown = invites.describe(Invitation(attendees=guests, organizer=Person("", "a@b.example")), None, "")
    assert (len(shown.guests), shown.more_guests) == (12, 18)
    page = render_template_string("{% include 'mail/_invitation.html' %}", invitation=shown, folder=SimpleNamespace(slug="inbox"),
                                  message=SimpleNamespace(id="A"))  # fmt: skip
    assert "and 18 more" in page


# --- the buttons ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def press(csrf):
    assert views.blueprint.name == "mail"

    def do(client, message, answer="accepted", folder="inbox", **more):
        data = {"csrf_token": csrf(client), "answer": answer} | more
        return client.post(f"/mail/{folder}/{show_id(message)}/invitation", data=data)

    return do


def answers(superuser):
    return superuser.execute(text("SELECT answer FROM invitation_answer")).scalars().all()


def test_a_button_sends_the_answer_and_leads_back(browser_of, deliver, press, ann, superuser, opened):
    message = deliver(ann, invite())
    client = browser_of(ann)
    answer = press(client, message)
    assert (answer.status_code, answer.location) == (303, f"/mail/inbox/{show_id(message)}")
    assert answers(superuser) == ["accepted"]
    assert press(client, message).status_code == 303
    assert press(client, message, "declined").status_code == 303
    assert answers(superuser) == ["declined"]
    assert (
        superuser.execute(text("SELECT recipient FROM delivery")).scalars().all() == ["zoe@example.org"] * 2
    )
    sent = html.unescape(client.get("/mail/sent").text)
    assert "Accepted: Pump <b>& valve</b>" in sent
    assert "Declined: Pump <b>& valve</b>" in sent
    assert client.get(f"/mail/inbox/{show_id(message)}").status_code == 200


def test_a_strangers_invitation_is_not_there(browser_of, deliver, press, ann, ben, superuser):
    message = deliver(ann, invite())
    assert press(browser_of(ben), message).status_code == 404
    assert press(browser_of(ann), message, folder="archive").status_code == 404
    assert answers(superuser) == []


def test_without_a_token_nothing_happens(browser_of, deliver, press, ann, superuser):
    message = deliver(ann, invite())
    assert press(browser_of(ann), message, csrf_token="").status_code in (400, 403)
    assert answers(superuser) == []


@pytest.mark.parametrize(("answer", "code"), [("", 400), ("maybe", 400), ("ACCEPTED", 400)])
def test_other_words_are_no_answers(browser_of, deliver, press, ann, superuser, answer, code):
    message = deliver(ann, invite())
    assert press(browser_of(ann), message, answer).status_code == code
    assert answers(superuser) == []


def test_what_cannot_be_answered_says_so(browser_of, deliver, press, letter, ann, superuser):
    client = browser_of(ann)
    assert press(client, deliver(ann, invite("CANCEL"))).status_code == 409
    assert press(client, deliver(ann, letter())).status_code == 404
    assert answers(superuser) == []


def test_the_box_is_made_only_for_mail_with_a_calendar(browser_of, deliver, opened, letter, ann, web_app):
    from flask import g

    from webmail.mail import reading

    with_one, without = deliver(ann, invite()), deliver(ann, letter())

    def shown(message):
        def call(keys):
            g.viewer = SimpleNamespace(address=ann.address, preferences=Preferences(), locale="")
            return invites.shown(keys, message, reading.load(keys, message))

        with web_app.test_request_context("/"):
            return opened(ann, call)

    assert shown(without) is None
    assert shown(with_one).title == "Pump <b>& valve</b>"


def test_the_opened_message_shows_it_and_what_was_answered(browser_of, deliver, press, ann):
    message = deliver(ann, invite())
    client = browser_of(ann)
    where = f"/mail/inbox/{show_id(message)}"
    page = client.get(where).text
    assert f'action="{where}/invitation"' in page
    assert "Pump &lt;b&gt;&amp; valve&lt;/b&gt;" in page
    assert "You accepted." not in page
    press(client, message)
    page = client.get(where).text
    assert "You accepted." in page
    assert 'role="status"' in page
