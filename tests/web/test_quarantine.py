"""Pages of held mail: from the case to each owner's list and back; what a page of the staff says, and what it does not (P07, P20)."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import new_id, read_id, show_id, transaction
from webmail.governance import reports
from webmail.identity import stepup
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import OwnerSession
from workers import filing, quarantining

WHY = "It leads to a page that takes passwords."
BODY = "Your account will be closed tonight unless you confirm your password at the address below.\r\n"


@pytest.fixture
def spread(receive, worker, letter, ann, ben) -> dict[str, int]:
    """The same letter for Ann and Ben."""
    found = {}
    for person in (ann, ben):
        raw = letter("Urgent matter", BODY, "Eve <eve@evil.example>", To=person.address)
        found[person.name] = receive(person, raw)
        filing.drain()
    return found


@pytest.fixture
def reported(web_app, master, superuser, spread, ann) -> tuple[int, int]:
    """Ann has reported hers; (case, item)."""
    with web_app.app_context(), transaction(ann.mailbox_id):
        keys = open_mailbox(master, ann.mailbox_id, OwnerSession(ann.account_id))
        reports.report(keys, master, spread[ann.name], account_id=ann.account_id, kind="phishing")
    return tuple(superuser.execute(text("SELECT case_id, item_id FROM case_item")).one())


@pytest.fixture
def confirm(superuser):
    """Confirm an act beforehand, as its person would on the page that asks."""

    def run(person, target, act="quarantine.hold"):
        values = {"id": new_id(), "account": person.account_id, "session": person.user_id.replace("user_", "sess_"), "act": act,
                  "target": stepup.target_hash(act, target)}  # fmt: skip
        superuser.execute(
            text(
                "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method)"
                " VALUES (:id, :account, :session, :act, :target, 'password')"
            ),
            values,
        )

    return run


@pytest.fixture
def hold(csrf, confirm, reported):
    """Send the form that holds what Ann reported."""

    def send(person, client, **more):
        case, item = reported
        confirm(person, f"{case}:{item}")
        fields = {
            "step": "act",
            "case": show_id(case),
            "item": show_id(item),
            "rule": "phishing",
            "words": WHY,
        }
        fields |= {"until": "2099-01-01"} if "until" not in more else {}
        return client.post("/staff/quarantines/new", data=fields | {"csrf_token": csrf(client)} | more)

    return send


@pytest.fixture
def soon() -> str:
    """A day next month, as a form sends it."""
    return (datetime.now(UTC) + timedelta(days=30)).date().isoformat()


def test_P20_from_the_case_to_each_owners_page_and_back(
    browser_of, sue, ann, ben, reported, hold, soon, csrf, spread
):
    staff, person = browser_of(sue), browser_of(ben)
    case = show_id(reported[0])
    assert "Hold a reported message everywhere" in staff.get(f"/staff/cases/{case}").text
    form = staff.post("/staff/quarantines/new", data={"case": case, "csrf_token": csrf(staff)}).text
    assert "2 messages in 2 mailboxes" in form
    assert "Urgent matter" in person.get("/mail/inbox").text
    answer = hold(sue, staff, until=soon)
    assert answer.status_code == 303
    page = staff.get(answer.headers["Location"]).text
    assert "2 messages in 2 mailboxes" in page
    for name in (ann.address, ben.address, "Ben Okello", show_id(ben.mailbox_id), show_id(ben.account_id)):
        assert name not in page + form
    assert "Held everywhere" in staff.get(f"/staff/cases/{case}").text
    inbox = person.get("/mail/inbox").text
    assert "Urgent matter" not in inbox
    assert "1 message is held by our staff" in inbox
    held = person.get("/held").text
    for said in ("Urgent matter", "eve@evil.example", "No phishing", "how to object"):
        assert said in held
    assert person.get(f"/mail/inbox/{show_id(spread[ben.name])}").status_code == 404
    told = person.get("/notices").text
    assert WHY in told
    assert "You have done nothing wrong" in told
    assert "Sue" not in told
    where = answer.headers["Location"]
    assert staff.post(f"{where}/release", data={"csrf_token": csrf(staff)}).status_code == 303
    quarantining.drain()
    assert "Urgent matter" in person.get("/mail/inbox").text
    assert "held by our staff" not in person.get("/mail/inbox").text
    assert "Nothing of yours is held" in person.get("/held").text
    assert "given back by a colleague" in staff.get(where).text


def test_P12_a_lead_confirms_with_a_fresh_factor(browser_of, sue, reported, csrf, soon):
    staff = browser_of(sue)
    fields = {"step": "act", "case": show_id(reported[0]), "item": show_id(reported[1]), "rule": "phishing", "words": WHY,
              "until": soon, "csrf_token": csrf(staff)}  # fmt: skip
    assert "Please confirm that it is you" in staff.post("/staff/quarantines/new", data=fields).text


def test_P12_support_proposes_and_a_lead_approves_on_a_page(
    browser_of, sam, sue, ben, hold, soon, confirm, csrf
):
    support, lead, person = browser_of(sam), browser_of(sue), browser_of(ben)
    where = hold(sam, support, until=soon).headers["Location"]
    assert "Urgent matter" in person.get("/mail/inbox").text
    assert "Approve" not in support.get(where).text
    assert "proposes to hold a message everywhere" in lead.get("/staff").text
    page = lead.get(where).text
    assert "Approve" in page
    assert "Would be held" in page
    assert "2 messages in 2 mailboxes" in page
    number = read_id(where.rsplit("/", 1)[1])
    assert (
        support.post(f"{where}/decide", data={"decision": "decline", "csrf_token": csrf(support)}).status_code
        == 409
    )
    confirm(sue, f"approve:{number}")
    assert (
        lead.post(f"{where}/decide", data={"decision": "approve", "csrf_token": csrf(lead)}).status_code
        == 303
    )
    assert "Urgent matter" not in person.get("/mail/inbox").text
    assert (
        lead.post(f"{where}/decide", data={"decision": "perhaps", "csrf_token": csrf(lead)}).status_code
        == 422
    )


def test_what_was_typed_is_there_again_where_it_could_not_be_held(browser_of, sue, hold, soon):
    staff = browser_of(sue)
    page = hold(sue, staff, until=soon, words="No.")
    assert page.status_code == 422
    assert "Say it in 10 to 2,000 characters" in page.text
    assert ">No.</textarea>" in page.text
    assert hold(sue, staff, until="2001-01-01").status_code == 422


def test_a_case_of_which_nothing_is_known_again_says_so(browser_of, sue, desk, csrf):
    staff = browser_of(sue)
    page = staff.post(
        "/staff/quarantines/new", data={"case": show_id(desk.case("spam")), "csrf_token": csrf(staff)}
    )
    assert page.status_code == 200
    assert "Nothing that was reported in this case is known again" in page.text


def test_strangers_and_people_without_the_role_find_nothing(
    browser_of, stranger, ann, rex, csrf, hold, soon, sue
):
    where = hold(sue, browser_of(sue), until=soon).headers["Location"]
    for person in (ann, rex):
        client = browser_of(person)
        assert client.get("/staff/quarantines").status_code == 403
        assert client.get(where).status_code == 403
        for path in ("/staff/quarantines/new", f"{where}/release", f"{where}/decide"):
            assert client.post(path, data={"csrf_token": csrf(client)}).status_code == 403
    assert stranger.get("/held").status_code in (302, 303, 307)
    staff = browser_of(sue)
    assert staff.get("/staff/quarantines/AAAAAAAA").status_code == 404
    assert staff.get("/staff/quarantines/new").status_code == 405
    assert staff.post(f"{where}/release").status_code in (400, 403)


def test_the_page_of_held_mail_is_said_in_the_list_without_script_and_by_fragment(
    browser_of, sue, ann, hold, soon
):
    hold(sue, browser_of(sue), until=soon)
    person = browser_of(ann)
    for headers in ({}, {"HX-Request": "true"}):
        assert 'href="/held"' in person.get("/mail/inbox", headers=headers).text


def test_P11_who_opened_it_is_told_of_what_is_held_too_and_not_as_deleted(
    browser_of, desk, sam, sue, ben, reported, hold, soon, spread
):
    grant = desk.granted(sam, sue, ben, [spread[ben.name]])
    desk.read(sam, grant, spread[ben.name])
    person = browser_of(ben)
    assert "held by our staff" not in person.get("/access-log").text
    hold(sue, browser_of(sue), until=soon)
    page = person.get("/access-log").text
    assert "Urgent matter" in page
    assert "held by our staff" in page
    assert "Message deleted since" not in page
