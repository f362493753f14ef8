"""Holding a message wherever it lies: found without opening, told to each owner, appealable, and given back as it was (P07, P20)."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.db import show_id, transaction
from webmail.errors import NotFound
from webmail.governance.appeals import appealing
from webmail.governance.notices import telling
from webmail.governance.quarantine import acting, marking, moving, reading
from webmail.mail import messages, search
from webmail.mail.folders import Kind
from webmail.privacy.export import asking, parts
from workers import exporting, filing, quarantining

WHY = "It leads to a page that takes passwords."


@pytest.fixture
def spread(arrive, bad, letter, ann, ben, make_person):
    """The same message at three people, each with other mail beside it; (person, id of the bad one) by name."""
    cleo = make_person("cleo", "Cleo Marsh")
    found = {}
    for number, person in enumerate((ann, ben, cleo)):
        arrive(person, letter("Before"))
        found[person.name] = (person, arrive(person, bad(number, To=person.address)))
        arrive(person, letter("After"))
    return found


@pytest.fixture
def case(spread, report, ann):
    return report(ann, spread[ann.name][1])


@pytest.fixture
def told(web_app, master):
    def run(who):
        with web_app.app_context(), transaction():
            return telling.told(master, who.account_id)

    return run


def test_P07_a_message_is_held_in_every_mailbox_and_in_no_other(
    spread, case, hold, sue, counted, listed, held, ann, ben
):
    number, answer = hold(sue, *case)
    assert answer == "done"
    assert counted(number) == (3, 3)
    for person, message_id in spread.values():
        assert message_id not in dict(listed(person))
        assert len(listed(person)) == 2
        [one] = held(person)
        assert (one.message_id, one.subject, one.sender[1], one.rule) == (
            message_id,
            "Urgent",
            "eve@evil.example",
            "phishing",
        )


def test_P07_what_is_held_is_not_opened_searched_counted_moved_or_deleted(
    spread, case, hold, sue, ann, opened
):
    message_id = spread[ann.name][1]
    before = opened(ann, lambda keys: messages.found(keys, search.parse(keys, "tonight").conditions, None, 9))
    assert [line.message_id for line in before.lines] == [message_id]
    hold(sue, *case)
    found = opened(ann, lambda keys: messages.found(keys, search.parse(keys, "tonight").conditions, None, 9))
    assert found.lines == []
    for look in (messages.line, messages.source, messages.content_key, messages.line_and_view):
        with pytest.raises(NotFound):
            opened(ann, lambda keys, look=look: look(keys, message_id))
    for action in ("read", "trash", "delete", "back"):
        assert (
            opened(ann, lambda keys, act=action: messages.act(keys.mailbox_id, [message_id], act)).message_ids
            == ()
        )


def test_P20_each_owner_is_told_once_with_the_rule_the_words_and_how_to_object(
    spread, case, hold, sue, told, finish
):
    number, _answer = hold(sue, *case)
    finish()
    for person, _message in spread.values():
        [notice] = told(person)
        assert (notice.kind, notice.rule, notice.words, notice.is_new, notice.may_appeal) == (
            "hold",
            "phishing",
            WHY,
            True,
            True,
        )
        assert notice.address == person.address
        assert notice.until - datetime.now(UTC) > timedelta(days=29)
    assert number


def test_P07_the_same_message_that_comes_later_is_held_too_and_other_mail_is_not(
    case, hold, sue, arrive, bad, letter, ben, listed, counted, told
):
    number, _answer = hold(sue, *case)
    before = len(listed(ben))
    late = arrive(ben, bad(9, To=ben.address))
    other = arrive(
        ben,
        bad(9, body="The minutes of the meeting of last Thursday are attached, as you had asked for.\r\n"),
    )
    assert counted(number) == (4, 3)
    assert late not in dict(listed(ben))
    assert other in dict(listed(ben))
    assert len(listed(ben)) == before + 1
    assert len(told(ben)) == 1


def test_P19_released_everything_is_back_as_it_was(
    spread, case, hold, sue, release, finish, listed, opened, counted, ann, told
):
    message_id = spread[ann.name][1]
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [message_id], "star"))
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [message_id], "archive"))
    before = {person.name: (listed(person), listed(person, Kind.ARCHIVE)) for person, _id in spread.values()}
    number, _answer = hold(sue, *case)
    assert release(sue, number) == ""
    finish()
    assert {
        person.name: (listed(person), listed(person, Kind.ARCHIVE)) for person, _id in spread.values()
    } == before
    assert opened(ann, lambda keys: messages.line(keys, message_id)).starred
    assert counted(number) == (0, 0)
    assert told(ann)[0].state == "lifted"
    assert release(sue, number) == "over"


def test_P20_one_upheld_appeal_gives_it_back_to_everybody(
    spread, case, hold, sue, rex, told, master, web_app, desk, finish, listed, counted, ben
):
    number, _answer = hold(sue, *case)
    [notice] = told(ben)
    with web_app.app_context(), transaction():
        assert (
            appealing.make(
                master, notice.action_id, "This is a real letter of my bank.", account_id=ben.account_id
            )
            == ""
        )
    with desk.staff():
        [appeal] = appealing.waiting(by=rex.account_id)
        assert (appeal.kind, appeal.name) == ("hold", "Ben Okello")
        assert (
            appealing.judge(
                master, appeal.appeal_id, by=sue.account_id, verdict="upheld", answer="You are right."
            )
            == "not-independent"
        )
        answer = "You are right: it is what it says."
        assert (
            appealing.judge(master, appeal.appeal_id, by=rex.account_id, verdict="upheld", answer=answer)
            == ""
        )
    finish()
    assert counted(number) == (0, 0)
    assert all(message_id in dict(listed(person)) for person, message_id in spread.values())
    assert [(one.state, one.lifted_why) for person, _id in spread.values() for one in told(person)] == [
        ("lifted", "appeal")
    ] * 3
    with desk.staff():
        assert reading.one(number).ended_why == "appeal"


def test_P20_it_ends_by_its_date(
    spread, case, hold, sue, superuser, finish, counted, arrive, bad, ben, listed
):
    number, _answer = hold(sue, *case)
    superuser.execute(text("ALTER TABLE quarantine DISABLE TRIGGER USER"))
    superuser.execute(
        text(
            "UPDATE quarantine SET acted_at = now() - interval '9 days', until = now() - interval '1 minute'"
        )
    )
    superuser.execute(text("ALTER TABLE quarantine ENABLE TRIGGER USER"))
    finish()
    assert counted(number) == (0, 0)
    later = arrive(ben, bad(5))
    assert later in dict(listed(ben))


# --- by whom -------------------------------------------------------------------------------------------------------------


def test_P12_support_proposes_and_a_lead_decides(case, hold, sam, sue, desk, counted, superuser):
    number, answer = hold(sam, *case)
    assert answer == "proposed"
    assert counted(number) == (3, 3), "so many would be held"
    assert superuser.execute(text("SELECT count(held_by) FROM message")).scalar() == 0
    with desk.staff():
        assert acting.decide(number, by=sam.account_id, approved=True) == "role"
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=True) == ""
    assert counted(number) == (3, 3)
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=True) == "decided"


def test_P12_what_is_declined_holds_nothing_and_may_be_proposed_again(
    case, hold, sam, sue, desk, counted, told, ann
):
    number, _answer = hold(sam, *case)
    with desk.staff():
        assert acting.decide(number, by=sue.account_id, approved=False) == ""
    assert counted(number) == (0, 0)
    assert told(ann) == []
    assert hold(sue, *case)[1] == "done"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"words": "no"}, "words"),
        ({"rule": "taste"}, "rule"),
        ({"rule": "name"}, "rule"),
        ({"days": -1}, "dates"),
        ({"days": 400}, "dates"),
    ],
)
def test_P07_it_says_why_by_which_rule_and_until_when(case, hold, sue, change, code):
    assert hold(sue, *case, **change)[1] == code


def test_P07_the_same_is_held_once(case, hold, sue):
    assert hold(sue, *case)[1] == "done"
    assert hold(sue, *case)[1] == "already"


def test_P10_the_staff_learns_how_many_and_never_who(spread, case, hold, sue, desk, superuser):
    with desk.staff():
        found, refusal = acting.choices(case[0], by=sue.account_id)
    assert (refusal, [(one.messages, one.mailboxes) for one in found]) == ("", [(3, 3)])
    hold(sue, *case)
    with desk.staff() as session:
        assert session.execute(text("SELECT count(*) FROM staff_action WHERE kind = 'hold'")).scalar() == 0
        assert session.execute(text("SELECT count(*) FROM staff_notice")).scalar() == 0
    for entry in desk.events("quarantine.held"):
        assert entry["facts"]["messages"] == 3
        assert not {"mailbox", "account", "message"} & set(entry["facts"])
    numbers = {person.mailbox_id for person, _id in spread.values()} | {
        person.account_id for person, _id in spread.values()
    }
    said = " ".join(
        json.dumps(entry["facts"])
        for kind in ("held", "taken", "counted")
        for entry in desk.events(f"quarantine.{kind}")
    )
    assert not [number for number in numbers if str(number) in said]


def test_P16_what_is_held_is_in_the_log_and_each_owner_can_prove_it(spread, case, hold, sue, web_app, ben):
    hold(sue, *case)
    with web_app.app_context(), transaction():
        found = [one for one in audit.about(ben.account_id) if one.kind == "quarantine.held"]
    assert len(found) == 1
    assert found[0].actor.startswith("quarantine:")


# --- killed, many, at once -----------------------------------------------------------------------------------------------


def test_a_set_that_is_too_large_for_a_page_is_held_piece_by_piece_and_a_killed_worker_goes_on(
    arrive, bad, case, hold, sue, counted, superuser, owner_app, ben, monkeypatch, finish, release, listed
):
    for number in range(7):
        arrive(ben, bad(number))
    small = "SELECT pg_get_functiondef('quarantine_begin(bigint,bigint,boolean)'::regprocedure)"
    before = superuser.execute(text(small)).scalar_one()
    superuser.exec_driver_sql(before.replace("500, false", "2, false"))
    try:
        number, answer = hold(sue, *case)
    finally:
        superuser.exec_driver_sql(before)
    assert (answer, counted(number)[0]) == ("done", 2)
    real, steps = moving.step, []

    def dies_at_the_second(quarantine_id):
        steps.append(quarantine_id)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return real(quarantine_id, 3)

    with monkeypatch.context() as patch:
        patch.setattr(quarantining.moving, "step", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            finish()
    assert counted(number)[0] == 5
    finish()
    assert counted(number) == (10, 3)
    assert release(sue, number) == ""
    finish()
    assert counted(number) == (0, 0)
    assert len(listed(ben)) == 10


def test_a_message_that_is_being_filed_while_it_is_held_slips_through_neither_way(
    receive, bad, case, hold, sue, ben, counted, worker, master, web_app
):
    """Filing waits for who begins a quarantine of these words, and finds it then."""
    message_id = receive(ben, bad(3))
    started, done = threading.Event(), threading.Event()
    number = []

    def begin():
        started.wait(10)
        number.append(hold(sue, *case)[0])
        done.set()

    other = threading.Thread(target=begin)
    other.start()

    class Slow(marking.Marking):
        def __call__(self, found):
            super().__call__(found)
            started.set()
            assert not done.wait(0.5), "it did not wait for the message"

    real = filing.Marking
    filing.Marking = Slow
    try:
        assert filing.drain() == 1
    finally:
        filing.Marking = real
        other.join(15)
    assert message_id
    assert counted(number[0])[0] == 4


def test_what_is_filed_while_a_quarantine_ends_is_not_left_behind(
    receive, bad, case, hold, sue, ben, counted, worker, release, finish, listed, monkeypatch
):
    """Ending waits for nobody before a page; the worker gives back what was on its way in."""
    number, _answer = hold(sue, *case)
    message_id = receive(ben, bad(3))
    real = marking.Marking.__call__

    def marks_and_then_it_ends(self, found):
        real(self, found)
        assert self.held == number
        other = threading.Thread(target=release, args=(sue, number))
        other.start()
        other.join(5)
        assert not other.is_alive(), "the page waited"

    monkeypatch.setattr(marking.Marking, "__call__", marks_and_then_it_ends)
    assert filing.drain() == 1
    finish()
    assert counted(number) == (0, 0)
    assert message_id in dict(listed(ben))


def test_a_message_is_found_again_by_an_index_however_many_there_are(case, superuser):
    with superuser.engine.connect() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(
            "INSERT INTO message_mark (mailbox_id, message_id, content)"
            " SELECT n / 10, n, decode(md5(n::text), 'hex') FROM generate_series(1, 5000) n"
        )
        connection.exec_driver_sql("ANALYZE message_mark")
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT mailbox_id, message_id FROM message_mark WHERE content = decode(repeat('00', 16), 'hex')"
            " AND (mailbox_id, message_id) > (0, -1) ORDER BY mailbox_id, message_id LIMIT 500"
        ).scalars()
        told = "\n".join(plan)
    assert "message_mark_content" in told
    assert "Sort" not in told


# --- taken along ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(opened, worker, monkeypatch):
    """Everything of somebody's mailbox as he takes it along: name to bytes."""
    monkeypatch.setattr("workers.exporting.core", lambda: worker)

    def run(person):
        number = opened(person, lambda keys: asking.ask(keys, person.account_id, asking.Wish()))
        exporting.drain_exports()

        def read(keys):
            of = asking.opened(keys, person.account_id, number)
            found = parts.listed(keys.mailbox_id, number)
            return {part.name: b"".join(parts.pieces(of, part.number)) for part in found}

        return opened(person, read)

    return run


def test_P23_an_export_says_what_is_held_and_after_that_has_it(
    exported, spread, case, hold, sue, ben, release, finish
):
    number, _answer = hold(sue, *case)
    files = exported(ben)
    [line] = files["held.jsonl"].splitlines()
    told = json.loads(line)
    assert (told["id"], told["subject"], told["held_by_the_staff"]["reason"]) == (
        show_id(spread[ben.name][1]),
        "Urgent",
        "phishing",
    )
    assert not [name for name, content in files.items() if b"closed tonight" in content]
    assert release(sue, number) == ""
    finish()
    files = exported(ben)
    assert "held.jsonl" not in files
    assert [name for name, content in files.items() if b"closed tonight" in content]
