"""Tracing answers from what lies outside of messages, for a case, a few days and a few lines at a time, and writes each look down (P08)."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import rows, show_id
from webmail.governance.access import counts, tracing
from webmail.governance.cases.sealing import open_secret
from webmail.governance.quarantine import marking
from webmail.mail import fingerprint, messages
from webmail.mail.addresses import parse_spec
from workers import filing

NOW = datetime.now(UTC)


@pytest.fixture
def look(desk):
    def do(who, address="ann@mtumail.test", case=None, days=2, **more):
        with desk.staff():
            return tracing.look(
                parse_spec(address),
                case_id=case or desk.case("delivery"),
                account_id=who.account_id,
                **{"since": NOW - timedelta(days=days), "until": NOW + timedelta(hours=1)} | more,
            )

    return do


def test_P08_a_trace_says_who_when_and_how_far_and_no_word_of_it(
    look, sam, ann, deliver, letter, desk, superuser
):
    message = deliver(ann, letter("CANARY-SUBJECT", "CANARY-TEXT"), "eve@evil.example")
    found = look(sam)
    assert found.mailbox_id == ann.mailbox_id
    [line] = found.lines
    assert (line.message_id, line.direction, line.state, line.folder) == (message, "in", "filed", "inbox")
    assert (line.envelope_from, line.envelope_to) == ("eve@evil.example", ann.address)
    assert "CANARY" not in repr(found)
    facts = desk.events("trace.looked_up")[-1]["facts"]
    assert facts["mailbox"] == ann.mailbox_id
    assert "ann" not in str(facts)


def test_P08_upper_case_and_tags_lead_to_the_same(look, sam, ann, deliver, letter):
    deliver(ann, letter())
    assert len(look(sam, "Ann+news@MTUMAIL.test").lines) == 1


@pytest.mark.parametrize(
    ("other", "hits"), [("eve@evil.example", 1), ("evil.example", 1), ("vil.example", 0), ("%", 0), ("", 2)]
)
def test_P08_it_is_narrowed_to_one_correspondent(look, sam, ann, deliver, letter, other, hits):
    deliver(ann, letter(), "Eve@evil.example")
    deliver(ann, letter(), "zoe@example.org")
    assert len(look(sam, other=other).lines) == hits


def test_P08_what_left_shows_how_far_it_got(look, sam, ann, browser_of, csrf):
    client = browser_of(ann)
    fields = {"to": "zoe@example.org", "subject": "CANARY", "body": "x", "send": "1"}
    client.post("/compose", data={"csrf_token": csrf(client)} | fields)
    found = look(sam, other="zoe@example.org")
    [line] = found.lines
    assert line.direction == "out"
    assert [(copy.recipient, copy.state) for copy in line.copies] == [("zoe@example.org", "queued")]
    assert "send" in {one.kind for one in found.queue}


def test_P08_what_is_not_filed_yet_is_in_the_queue(look, sam, ann, receive, letter):
    message = receive(ann, letter())
    found = look(sam)
    assert found.lines == []
    assert [(one.kind, one.item_id) for one in found.queue] == [("file", message)]


@pytest.mark.parametrize("who", ["rex", "ada", "ben"])
def test_P12_a_trace_is_for_whoever_works_on_cases(look, who, request, ann, desk):
    assert look(request.getfixturevalue(who)).refusal == "role"
    assert desk.events("trace.denied")[-1]["facts"]["why"] == "role"


def test_P08_a_trace_belongs_to_an_open_case(look, sam, ann, desk, superuser):
    assert look(sam, case=4711).refusal == "case-closed"
    case = desk.case()
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now()"))
    assert look(sam, case=case).refusal == "case-closed"


def test_P08_a_trace_covers_seven_days_at_most(look, sam, ann):
    assert look(sam, days=8).refusal == "window"
    assert look(sam, until=NOW - timedelta(days=3)).refusal == "window"


def test_P08_fifty_lines_at_a_time_and_each_once(look, sam, ann, deliver, letter, superuser):
    message = deliver(ann, letter())
    superuser.execute(
        text(
            "INSERT INTO message (mailbox_id, message_id, folder_id, state, direction, received_at, size_bytes, thread_id,"
            " content_key, summary) SELECT mailbox_id, n, folder_id, state, direction, received_at - n * interval '1 minute',"
            " 1, thread_id, content_key, summary FROM message, generate_series(1, 60) n WHERE message_id = :id"
        ),
        {"id": message},
    )
    first = look(sam)
    assert len(first.lines) == 50
    second = look(sam, cursor=first.older)
    assert len(second.lines) == 11
    assert second.older is None
    assert len({one.message_id for one in [*first.lines, *second.lines]}) == 61


def test_P08_nobodys_address_is_nobodys(look, sam, ann):
    assert look(sam, "nobody@mtumail.test").mailbox_id is None
    assert look(sam, "ann@elsewhere.example").mailbox_id is None


def test_P08_drafts_are_not_in_a_trace(look, sam, ann, deliver, letter, superuser):
    deliver(ann, letter())
    superuser.execute(text("UPDATE message SET state = 'draft'"))
    assert look(sam).lines == []


# --- figures -------------------------------------------------------------------------------------------------------------


def test_P16_figures_of_all_accesses_name_nobody(desk, sam, sue, rex, ann, deliver, letter, web_app):
    message = deliver(ann, letter())
    used = desk.granted(sam, sue, ann, [message])
    desk.read(sam, used, message, "headers")
    desk.read(sam, used, message, "text")
    desk.close(sam, used)
    desk.review(rex, ann, used, "flag", "This was not in order at all.")
    refused, _none = desk.ask(sam, ann, [message])
    desk.decide(sue, ann, refused, approved=False)
    desk.ask(sam, ann, [message], reason="legal", is_emergency=True)
    with web_app.app_context():
        from webmail.db import transaction

        with transaction():
            abuse, legal = counts.by_year()
    assert abuse == (NOW.year, "abuse", 2, 1, 1, 2, 0, 0, 1, 1, 0)
    assert legal == (NOW.year, "legal", 1, 0, 0, 0, 1, 0, 0, 0, 0)


# --- by Message-ID -------------------------------------------------------------------------------------------------------


@pytest.fixture
def look_for(desk, master):
    def do(who, message_id, case=None):
        with desk.staff():
            secret = open_secret(master)
            return tracing.look_for(
                secret, message_id, case_id=case or desk.case("delivery"), account_id=who.account_id
            )

    return do


@pytest.fixture
def arrive(receive, worker):
    def take(person, raw, sender="eve@evil.example"):
        message_id = receive(person, raw, sender)
        assert filing.drain() == 1
        return message_id

    return take


def test_P08_a_message_id_finds_every_copy_that_came(look_for, arrive, letter, sam, ann, ben, desk):
    raw = letter("CANARY-SUBJECT", "CANARY-TEXT", Message_ID="<one@evil.example>")
    there = {arrive(person, raw) for person in (ann, ben)}
    arrive(ann, letter())
    found = look_for(sam, " <one@evil.example> ")
    assert {line.message_id for line in found.lines} == there
    assert {(line.direction, line.envelope_from, line.held) for line in found.lines} == {
        ("in", "eve@evil.example", False)
    }
    assert {line.mailbox_id for line in found.lines} == {ann.mailbox_id, ben.mailbox_id}
    assert "CANARY" not in repr(found)
    assert look_for(sam, "other@evil.example").lines == []
    facts = [one["facts"] for one in desk.events("trace.looked_up")]
    assert [one["found"] for one in facts] == [2, 0]
    assert "evil" not in str(facts)


def test_P08_and_the_one_that_was_sent_with_how_far_it_got(
    look_for, sam, ann, browser_of, csrf, opened, master, superuser
):
    client = browser_of(ann)
    fields = {"to": "zoe@example.org", "subject": "CANARY", "body": "x", "send": "1"}
    client.post("/compose", data={"csrf_token": csrf(client)} | fields)
    number = superuser.execute(text("SELECT message_id FROM submission")).scalar_one()
    raw = opened(ann, lambda keys: messages.source(keys, number))
    reference = fingerprint.reference(raw)

    def leave(_keys):
        mark = marking.reference_mark(open_secret(master), reference)
        return rows("SELECT message_named(%(message)s, %(mark)s)", {"message": number, "mark": mark})

    opened(ann, leave)
    [line] = look_for(sam, reference).lines
    assert (line.message_id, line.direction, [copy.recipient for copy in line.copies]) == (
        number,
        "out",
        ["zoe@example.org"],
    )


def test_P08_no_case_no_trace_by_message_id_either(look_for, arrive, letter, sam, rex, ann, desk, superuser):
    arrive(ann, letter(Message_ID="<one@evil.example>"))
    closed = desk.case("delivery")
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now()"))
    about = desk.case("delivery")
    superuser.execute(
        text("UPDATE case_file SET account_id = :a WHERE case_id = :c"), {"a": sam.account_id, "c": about}
    )
    for who, case, code in (
        (sam, 5, "case-closed"),
        (sam, closed, "case-closed"),
        (rex, desk.case("delivery"), "role"),
        (sam, about, "own"),
    ):
        found = look_for(who, "one@evil.example", case)
        assert (found.refusal, found.lines) == (code, ())
    assert look_for(sam, " <> ").refusal == "message-id"


def test_P08_the_page_takes_a_message_id(browser_of, csrf, sam, ann, arrive, letter, desk):
    arrive(ann, letter("CANARY", Message_ID="<one@evil.example>"))
    client, case = browser_of(sam), show_id(desk.case("delivery"))
    fields = {"case": case, "message_id": "one@evil.example", "csrf_token": csrf(client)}
    page = client.post("/staff/tracing/message", data=fields)
    assert page.status_code == 200
    for said in ("1 copy here", ann.address, "eve@evil.example", "Ask to open it"):
        assert said in page.text
    assert "CANARY" not in page.text
    assert (
        "No message with this Message-ID"
        in client.post("/staff/tracing/message", data=fields | {"message_id": "x@y"}).text
    )
    assert client.post("/staff/tracing/message", data=fields | {"case": ""}).status_code == 422
    assert client.post("/staff/tracing/message", data=fields | {"message_id": " "}).status_code == 422
    assert client.post("/staff/tracing/message", data=fields | {"csrf_token": ""}).status_code in (400, 403)
