"""Cases: what is brought is grouped, worked on by one at a time, answered at once, and nobody hears of anybody else."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from webmail.db import new_id, transaction
from webmail.errors import Conflict, NotFound, Refused
from webmail.governance import reports
from webmail.governance.cases import (
    acts,
    answering,
    events,
    forms,
    grouping,
    queue,
    reading,
    subjects,
    telling,
)
from webmail.governance.cases.queue import Filters
from webmail.governance.cases.sealing import open_secret
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import OwnerSession

WORDS = "Claim your prize at once, dear customer, before the week is over and somebody else has it. "


@pytest.fixture
def sam(make_person):
    return make_person("sam", "Sam Lindgren", "support")


@pytest.fixture
def sue(make_person):
    return make_person("sue", "Sue Marchetti", "support_lead")


@pytest.fixture
def as_staff(web_app, master):
    """A transaction of a staff page, with the secret of cases."""

    @contextmanager
    def enter():
        with web_app.app_context(), transaction(staff=True):
            yield open_secret(master)

    return enter


@pytest.fixture
def report(web_app, master, deliver, letter):
    """Have somebody report a message that came to them."""

    def do(
        person,
        *,
        kind="phishing",
        subject="A prize",
        words="",
        body=WORDS,
        sender="Eve <eve@evil.example>",
        **headers,
    ):
        message_id = deliver(person, letter(subject, body, sender=sender, **headers))
        with web_app.app_context(), transaction(person.mailbox_id):
            keys = open_mailbox(master, person.mailbox_id, OwnerSession(person.account_id))
            return reports.report(
                keys, master, message_id, account_id=person.account_id, kind=kind, words=words
            )

    return do


@pytest.fixture
def told(web_app, master):
    """What somebody hears of one of his reports."""

    def ask(person, report):
        with web_app.app_context(), transaction(person.mailbox_id):
            return telling.of_report(open_secret(master), report.report_id)

    return ask


@pytest.fixture
def lines(as_staff, sam):
    def ask(**filters):
        with as_staff() as secret:
            return queue.page(secret, sam.account_id, Filters(**filters)).lines

    return ask


@pytest.fixture
def by_hand(as_staff, master, sam):
    def make(kind="request", label="Something", words=""):
        with as_staff():
            return acts.open_by_hand(master, sam.account_id, new_id(), kind, label, words)

    return make


def revision(superuser, case_id):
    return superuser.execute(
        text("SELECT revision FROM case_file WHERE case_id = :id"), {"id": case_id}
    ).scalar_one()


# --- what is one case ------------------------------------------------------------------------------------------------------


def test_twenty_reports_of_one_campaign_are_one_case(report, lines, make_person):
    for number in range(20):
        report(make_person(f"p{number:02}"), sender=f"Prize <win{number}@evil{number}.example>")
    [case] = lines()
    assert (case.items, case.kind, case.source) == (20, "phishing", "report")


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({"sender": "EVE+x@Evil.example", "body": "Something else entirely\r\n"}, 1),
        ({"sender": "else@good.example", "body": WORDS.replace(" ", "  ") + " 12345\r\n"}, 1),
        ({"sender": "else@good.example", "body": "Something else entirely\r\n"}, 2),
        ({"sender": "else@good.example", "body": "Hi\r\n"}, 2),
    ],
    ids=["the sender", "the words", "neither", "too few words"],
)
def test_a_case_is_of_one_sender_or_one_text(report, lines, ann, ben, more, count):
    report(ann)
    report(ben, **more)
    assert len(lines()) == count


def test_one_message_id_is_one_case_whoever_it_says_it_is_from(report, lines, ann, ben):
    for person, sender in ((ann, "one@a.example"), (ben, "two@b.example")):
        report(person, sender=sender, body="Hi\r\n", Message_ID="<same@a.example>")
    assert len(lines()) == 1


def test_two_short_texts_are_not_one_matter(report, lines, ann, ben):
    report(ann, sender="a@a.example", body="See attached.\r\n")
    report(ben, sender="b@b.example", body="See attached.\r\n")
    assert len(lines()) == 2


def test_what_joins_a_case_makes_it_more_urgent_and_never_less(report, lines, ann, ben):
    report(ann, kind="spam")
    [before] = lines()
    report(ben, kind="malware")
    [after] = lines()
    assert (before.kind, after.kind) == ("spam", "malware")
    assert after.due_at < before.due_at
    report(ann, kind="spam", subject="again")
    assert lines()[0].kind == "malware"


def test_the_clock_is_that_of_the_kind(report, lines, ann):
    report(ann, kind="harassment")
    [case] = lines()
    assert timedelta(hours=47) < case.due_at - case.opened_at <= timedelta(hours=48)


def test_a_closed_case_takes_nothing_more(report, lines, ann, ben, as_staff, sam):
    report(ann)
    [case] = lines()
    with as_staff() as secret:
        acts.close(secret, case.case_id, 1, sam.account_id, "acted")
    report(ben)
    [fresh] = lines()
    assert fresh.case_id != case.case_id
    with as_staff() as secret:
        [other] = reading.related(secret, reading.load(secret, fresh.case_id))
    assert (other.case_id, other.why) == (case.case_id, "subject")


def test_a_report_about_somebody_here_names_the_account(report, lines, ann, ben, superuser):
    report(ann, sender=f"Ben <{ben.address}>")
    assert superuser.execute(text("SELECT account_id FROM case_file")).scalar_one() == ben.account_id
    report(ben, sender=f"Ben <{ben.address}>", subject="In my own name", body="Other words\r\n")
    assert len(lines()) == 1, "the sender is the same"


# --- what staff do ---------------------------------------------------------------------------------------------------------


def test_two_staff_at_once_the_second_is_told_and_nothing_is_done(by_hand, as_staff, sam, sue):
    case_id = by_hand()
    with as_staff():
        assert acts.assign(case_id, 1, sam.account_id, sam.account_id)
    with as_staff(), pytest.raises(Conflict):
        acts.assign(case_id, 1, sue.account_id, sue.account_id)
    with as_staff() as secret:
        assert reading.load(secret, case_id).assigned_to == sam.account_id
        with pytest.raises(Conflict):
            acts.close(secret, case_id, 1, sue.account_id, "acted")


def test_a_button_pressed_twice_does_one_thing(by_hand, as_staff, sam, superuser):
    case_id, once = by_hand(), new_id()
    with as_staff() as secret:
        assert acts.note(secret, case_id, sam.account_id, "Seen before.", once)
    with as_staff() as secret:
        assert not acts.note(secret, case_id, sam.account_id, "Seen before.", once)
    with as_staff() as secret:
        assert acts.close(secret, case_id, 1, sam.account_id, "acted")
    with as_staff() as secret:
        assert not acts.close(secret, case_id, 1, sam.account_id, "acted")
    kinds = (
        superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'case.%' ORDER BY number"))
        .scalars()
        .all()
    )
    assert kinds == ["case.opened", "case.noted", "case.closed"]


def test_a_case_is_given_only_to_who_works_on_cases(by_hand, as_staff, sam, sue, ann):
    case_id = by_hand()
    with as_staff(), pytest.raises(Refused):
        acts.assign(case_id, 1, sam.account_id, ann.account_id)
    with as_staff():
        assert acts.assign(case_id, 1, sam.account_id, sue.account_id)
        assert acts.assign(case_id, 2, sue.account_id, None)


def test_closing_opening_again_and_what_comes_in_for_what_waits(
    by_hand, as_staff, sam, report, ann, ben, lines
):
    case_id = by_hand()
    with as_staff() as secret:
        acts.close(secret, case_id, 1, sam.account_id, "answered", "Done.")
        with pytest.raises(Refused):
            acts.set_kind(case_id, 2, sam.account_id, "spam")
    with as_staff() as secret:
        assert acts.reopen(case_id, 2, sam.account_id)
        case = reading.load(secret, case_id)
    assert (case.state, case.outcome, case.outcome_words) == ("open", "", "")
    report(ann)
    [reported] = lines(kind="phishing")
    with as_staff():
        acts.wait(reported.case_id, 1, sam.account_id, waiting=True)
    report(ben)
    assert lines(kind="phishing")[0].state == "open"


def test_another_kind_is_another_clock(by_hand, as_staff, sam):
    case_id = by_hand("request")
    with as_staff() as secret:
        acts.set_kind(case_id, 1, sam.account_id, "malware")
        case = reading.load(secret, case_id)
    assert case.due_at - case.opened_at == timedelta(hours=24)


@pytest.mark.parametrize("act", ["assign", "wait", "kind", "close", "reopen", "note"])
def test_what_is_not_there_is_not_found(as_staff, sam, act):
    with as_staff() as secret, pytest.raises(NotFound):
        {
            "assign": lambda: acts.assign(7, 1, sam.account_id, None),
            "wait": lambda: acts.wait(7, 1, sam.account_id, waiting=True),
            "kind": lambda: acts.set_kind(7, 1, sam.account_id, "spam"),
            "close": lambda: acts.close(secret, 7, 1, sam.account_id, "acted"),
            "reopen": lambda: acts.reopen(7, 1, sam.account_id),
            "note": lambda: acts.note(secret, 7, sam.account_id, "x", 1),
        }[act]()


# --- together and apart ------------------------------------------------------------------------------------------------------


def test_merging_moves_everything_and_what_comes_later_joins(
    report, lines, as_staff, sam, ann, ben, superuser
):
    report(ann, sender="a@a.example", body="First\r\n")
    report(ben, sender="b@b.example", body="Second\r\n")
    one, other = (line.case_id for line in lines())
    with as_staff():
        assert grouping.merge(one, 1, sam.account_id, other)
    with as_staff():
        assert not grouping.merge(one, 2, sam.account_id, other), "twice is once"
    [case] = lines()
    assert (case.case_id, case.items) == (other, 2)
    for sender in ("a@a.example", "b@b.example"):
        report(ann, sender=sender, body="Third\r\n")
    assert lines()[0].items == 4
    assert superuser.execute(
        text("SELECT outcome, merged_into FROM case_file WHERE case_id = :i"), {"i": one}
    ).one() == ("merged", other)


def test_a_case_is_not_merged_into_itself_nor_into_a_closed_one(by_hand, as_staff, sam):
    one, other = by_hand(), by_hand()
    with as_staff() as secret:
        acts.close(secret, other, 1, sam.account_id, "acted")
    for into in (one, other):
        with as_staff(), pytest.raises(Refused):
            grouping.merge(one, 1, sam.account_id, into)


def test_splitting_takes_what_it_is_about_along(report, lines, as_staff, sam, ann, ben, make_person):
    report(ann, sender="a@a.example")
    second = report(ben, sender="b@b.example")
    [case] = lines()
    with as_staff():
        made = grouping.split(case.case_id, 1, sam.account_id, [second.report_id])
    assert {line.case_id: line.items for line in lines()} == {case.case_id: 1, made: 1}
    report(make_person("cat"), sender="b@b.example", body="Other words\r\n")
    assert {line.case_id: line.items for line in lines()} == {case.case_id: 1, made: 2}


def test_not_everything_and_not_nothing_is_split_off_and_not_anothers(report, lines, as_staff, sam, ann, ben):
    first = report(ann)
    other = report(ben, sender="b@b.example", body="Second\r\n")
    cases = {line.label: line.case_id for line in lines()}
    case_id = cases["eve@evil.example"]
    for chosen in ([], [first.report_id]):
        with as_staff(), pytest.raises(Refused):
            grouping.split(case_id, 1, sam.account_id, chosen)
    with as_staff(), pytest.raises(NotFound):
        grouping.split(case_id, 1, sam.account_id, [other.report_id])


# --- answers ---------------------------------------------------------------------------------------------------------------


def test_all_reporters_are_answered_at_once_each_once(
    report, lines, as_staff, sam, ann, ben, told, superuser
):
    first, again, others = report(ann), report(ann, subject="again"), report(ben)
    [case] = lines()
    once = new_id()
    with as_staff() as secret:
        assert answering.reach(case.case_id) == (2, 2)
        assert answering.answer(secret, case.case_id, 1, sam.account_id, "Thank you.", once) == 2
    with as_staff() as secret:
        assert answering.answer(secret, case.case_id, 1, sam.account_id, "Thank you.", once) == 0
        assert answering.reach(case.case_id) == (2, 0)
    for person, one in ((ann, first), (ann, again), (ben, others)):
        assert [answer.words for answer in told(person, one).answers] == ["Thank you."]
    assert (
        superuser.execute(text("SELECT count(*) FROM case_letter WHERE state = 'waiting'")).scalar_one() == 2
    )


def test_only_those_who_have_heard_nothing(report, lines, as_staff, sam, ann, ben):
    report(ann)
    [case] = lines()
    with as_staff() as secret:
        answering.answer(secret, case.case_id, 1, sam.account_id, "One.", new_id())
    report(ben)
    with as_staff() as secret:
        assert answering.reach(case.case_id) == (2, 1)
        assert answering.answer(secret, case.case_id, 2, sam.account_id, "Two.", new_id(), only_new=True) == 1


def test_nobody_to_answer_is_said(by_hand, as_staff, sam):
    case_id = by_hand()
    with as_staff() as secret, pytest.raises(Refused):
        answering.answer(secret, case_id, 1, sam.account_id, "Hello?", new_id())


def test_placeholders_are_filled_and_others_stay():
    assert (
        answering.filled("{case} is {kind}: {state} {name}", 0, "Spam", "Open")
        == "AAAAAAAA is Spam: Open {name}"
    )


def test_canned_answers_are_kept_changed_and_dropped(as_staff, sam):
    one, other = new_id(), new_id()
    with as_staff():
        answering.keep(one, "Thanks", "Thank you.", sam.account_id)
        answering.keep(one, "Thanks", "Thank you!", sam.account_id)
        with pytest.raises(Refused):
            answering.keep(other, "Thanks", "x", sam.account_id)
        assert [(kept.title, kept.words) for kept in answering.all_canned()] == [("Thanks", "Thank you!")]
        answering.drop(one, sam.account_id)
        with pytest.raises(NotFound):
            answering.drop(one, sam.account_id)


# --- what reporters hear -----------------------------------------------------------------------------------------------------


def test_a_reporter_hears_the_outcome_and_nothing_of_others(report, lines, as_staff, sam, ann, ben, told):
    mine = report(ann, words="He rang me too.")
    report(ben, words="Ben was here.")
    [case] = lines()
    before = told(ann, mine)
    assert (before.state, before.outcome, before.looked) == ("open", "", False)
    with as_staff() as secret:
        acts.note(secret, case.case_id, sam.account_id, "Same gang as last week.", new_id())
        acts.close(secret, case.case_id, 1, sam.account_id, "acted", "Thank you for telling us.")
    after = told(ann, mine)
    assert (after.state, after.outcome, after.words) == ("closed", "acted", "Thank you for telling us.")
    assert not {"eve", "Ben", "ben", "gang"} & set(str(after).replace("@", " ").split())


def test_another_persons_report_is_not_there(report, told, ann, ben):
    with pytest.raises(NotFound):
        told(ben, report(ann))


def test_a_merged_case_tells_its_reporters_of_the_one_it_is_now(report, lines, as_staff, sam, ann, ben, told):
    mine = report(ann, sender="a@a.example", body="First\r\n")
    report(ben, sender="b@b.example", body="Second\r\n")
    cases = {line.label: line.case_id for line in lines()}
    with as_staff() as secret:
        grouping.merge(cases["a@a.example"], 1, sam.account_id, cases["b@b.example"])
        acts.close(secret, cases["b@b.example"], 2, sam.account_id, "no_violation")
    assert told(ann, mine).outcome == "no_violation"


# --- the queue ---------------------------------------------------------------------------------------------------------------


def test_filters(by_hand, lines, as_staff, sam, superuser, report, ann):
    mine, waiting, old, closed = by_hand("spam"), by_hand("legal"), by_hand("fraud"), by_hand("other")
    with as_staff() as secret:
        acts.assign(mine, 1, sam.account_id, sam.account_id)
        acts.wait(waiting, 1, sam.account_id, waiting=True)
        acts.close(secret, closed, 1, sam.account_id, "answered")
    superuser.execute(
        text("UPDATE case_file SET due_at = now() - interval '1 hour' WHERE case_id = :id"), {"id": old}
    )
    report(ann)
    ids = lambda **filters: {line.case_id for line in lines(**filters)}  # noqa: E731
    assert ids(who="me") == {mine}
    assert mine not in ids(who="nobody")
    assert ids(overdue=True) == {old}
    assert ids(state="waiting") == {waiting}
    assert ids(state="closed") == {closed}
    assert ids(kind="legal") == {waiting}
    assert closed not in ids()
    [found] = lines(subject="EVE@evil.example")
    assert found.label == "eve@evil.example"
    assert ids(subject="nobody@evil.example") == set()
    assert lines()[0].case_id == old, "the soonest due is first"
    assert lines()[0].late


def test_pages_go_on_where_the_last_one_ended(by_hand, as_staff, sam, superuser):
    made = {by_hand() for _ in range(7)}
    superuser.execute(
        text("UPDATE case_file SET due_at = date_trunc('day', now())")
    )  # all the same: the id decides
    seen, edge = [], None
    while True:
        with as_staff() as secret:
            page = queue.page(secret, sam.account_id, Filters(), edge, 3)
        seen += [line.case_id for line in page.lines]
        edge = page.older
        if edge is None:
            break
    assert sorted(seen) == sorted(made)


# --- what our watch noticed ------------------------------------------------------------------------------------------------------


def test_security_events_become_cases_once(web_app, worker, master, superuser, ann, lines):
    def happen(kind, **facts):
        superuser.execute(
            text("SELECT audit_append(:kind, 'system:tests', CAST(:facts AS jsonb))"),
            {"kind": kind, "facts": str(facts).replace("'", '"')},
        )

    happen("sending.limited", account=ann.account_id, mailbox=ann.mailbox_id)
    happen("security.surge", account=ann.account_id)
    happen("security.sign_up_flood", count=50)
    happen("mailbox.renamed", account=ann.account_id)

    def look():
        with worker.app_context(), transaction():
            return events.take_new(master)[0]

    assert look() == 3
    assert look() == 0
    cases = {line.kind: line for line in lines()}
    assert cases["spam"].items == 2, "of one account, one case"
    assert cases["security"].items == 1
    happen("security.surge", account=ann.account_id)
    assert look() == 1
    assert {line.items for line in lines()} == {3, 1}


# --- the form -------------------------------------------------------------------------------------------------------------------


def test_a_form_is_a_case_its_link_tells_of_and_its_address_is_answered(
    web_app, master, as_staff, lines, sam
):
    item, key = new_id(), b"k" * 32
    link = forms.link_secret(key, item)
    written = forms.Written(
        "spam", "They write to me daily.", "eve@mtumail.test", "From: eve\n\nHello", "zoe@example.org"
    )
    for _ in range(2):
        with web_app.app_context(), transaction():
            forms.send(master, item, link, written)
    [case] = lines()
    assert (case.items, case.source, case.label) == (1, "form", "eve@mtumail.test")
    with as_staff() as secret:
        answering.answer(secret, case.case_id, 1, sam.account_id, "We looked.", new_id())
    with web_app.app_context(), transaction():
        secret = open_secret(master)
        assert telling.of_form(secret, forms.hashed(link)).answers[0].words == "We looked."
        with pytest.raises(NotFound):
            telling.of_form(secret, forms.hashed(link + "x"))


def test_a_token_of_a_form_is_ours_and_ends():
    token = forms.token(b"a" * 32, 1_000_000)
    found = forms.read_token(b"a" * 32, token, 1_000_010)
    assert found is not None
    assert found[1] == 10
    for key, shown, now in (
        (b"b" * 32, token, 1_000_010),
        (b"a" * 32, token, 1_000_000 + forms.GOOD_FOR + 1),
        (b"a" * 32, token[:-2] + "AA", 1_000_010),
        (b"a" * 32, "", 1_000_010),
        (b"a" * 32, "é", 1_000_010),
    ):
        assert forms.read_token(key, shown, now) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_one_network_may_write_so_often(web_app, master, empty, one, other, same):
    with web_app.app_context(), transaction():
        secret = open_secret(master)
        assert [forms.is_flood(secret, one) for _ in range(forms.AN_HOUR + 1)] == [False] * forms.AN_HOUR + [
            True
        ]
        assert forms.is_flood(secret, other) is same


# --- what a text is ---------------------------------------------------------------------------------------------------------------


def test_nothing_that_staff_write_or_reporters_say_is_readable_in_the_database(
    report, lines, as_staff, sam, ann, superuser
):
    report(ann, words="He rang me too.")
    [case] = lines()
    with as_staff() as secret:
        acts.note(secret, case.case_id, sam.account_id, "Same gang.", new_id())
        answering.answer(secret, case.case_id, 1, sam.account_id, "Thank you.", new_id())
        acts.close(secret, case.case_id, 2, sam.account_id, "acted", "We acted.")
    tables = ("case_file", "case_item", "case_note", "case_answer", "case_subject", "audit_event")
    everything = "".join(str(superuser.execute(text(f"SELECT * FROM {table}")).all()) for table in tables)
    for words in ("rang", "gang", "Thank", "We acted", "evil", "eve@"):
        assert words not in everything


def test_letters_count_and_digits_do_not(as_staff, empty):
    with as_staff() as secret:
        same = {
            subjects.body(secret, words)
            for words in (WORDS, WORDS.upper() + "99", WORDS.replace(" ", "\r\n"))
        }
        assert len(same) == 1
        assert subjects.body(secret, "Short.") is None
