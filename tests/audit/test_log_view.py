"""`/staff/log`: who may read it, what of it, and page by page; the signed root is everybody's."""

import re

import pytest
from sqlalchemy import text

from webmail import audit
from webmail.audit import notes
from webmail.db import show_id, transaction

CASE = 2**40 + 7


@pytest.fixture
def staff(make_person, browser_of):
    return lambda role: browser_of(make_person(role.replace("_", ""), role.title(), role=role))


@pytest.fixture
def events(web_app):
    """Record events as the web does; the number of the last."""

    def make(kind: str, count: int = 1, actor: str = "cli:sam", **facts: object) -> int:
        with web_app.app_context(), transaction():
            return [audit.record(kind, actor, **facts) for _ in range(count)][-1]

    return make


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'href="/staff/log/(\d+)"', page)]


@pytest.mark.parametrize(("role", "status"), [("auditor", 200), ("admin", 200), ("support_lead", 200), ("support", 403), ("reviewer", 403)])  # fmt: skip
def test_P12_who_checks_on_others_reads_the_log(staff, role, status):
    assert staff(role).get("/staff/log").status_code == status


def test_a_person_and_a_stranger_learn_nothing(browser_of, ann, stranger):
    assert browser_of(ann).get("/staff/log").status_code == 403
    assert browser_of(ann).get("/staff/log/1").status_code == 403
    assert stranger.get("/staff/log").status_code == 303


def test_events_are_told_in_words(staff, events):
    client = staff("auditor")
    number = events("cli.used", command="keys dkim activate", reason="<b>ticket</b> 12")
    page = client.get("/staff/log").text
    assert numbers(page)[0] == number
    assert "Command used" in page
    assert "sam at the command line" in page
    assert "&lt;b&gt;ticket&lt;/b&gt; 12" in page


def test_a_lead_sees_the_work_and_an_auditor_everything(staff, events):
    lead, auditor = staff("support_lead"), staff("auditor")
    work, service = events("case.closed", case=CASE), events("setting.changed", setting="x")
    strange = events("some.thing_else")
    seen = numbers(lead.get("/staff/log").text)
    assert work in seen
    assert service not in seen
    assert lead.get(f"/staff/log/{service}").status_code == 404
    assert lead.get("/staff/log?kind=setting.changed").text.count("is not what this filter takes") == 1
    seen = numbers(auditor.get("/staff/log").text)
    assert {work, service, strange} <= set(seen)


def test_filters_narrow_it(staff, events):
    client = staff("auditor")
    mine = events("case.closed", actor="account:77", case=CASE)
    other = events("case.noted", actor="account:78", case=CASE + 1)
    for query in (f"case={show_id(CASE)}", "kind=case.closed", "actor=account:77", f"actor={show_id(77)}"):
        assert numbers(client.get(f"/staff/log?{query}").text) == [mine], query
    assert other in numbers(client.get("/staff/log?from=2020-01-01&to=2999-01-01").text)
    assert numbers(client.get("/staff/log?to=2020-01-01").text) == []
    assert numbers(client.get("/staff/log?from=2999-01-01").text) == []
    assert "No event fits." in client.get("/staff/log?actor=nobody").text


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "case=x", "kind=what", "from=0001-01-01&to=9999-12-31", "before=x", "before=-1", "before=99999999999999999999", "actor=%00", "to=9999-12-31"],
)  # fmt: skip
def test_nonsense_is_answered_with_a_page(staff, query):
    assert staff("auditor").get(f"/staff/log?{query}").status_code == 200


def test_it_is_read_page_by_page(staff, events):
    client = staff("auditor")
    last = events("case.noted", 120, case=CASE)
    page = client.get(f"/staff/log?case={show_id(CASE)}").text
    seen = numbers(page)
    while match := re.search(r'href="([^"]*before=\d+)"', page):
        page = client.get(match[1].replace("&amp;", "&")).text
        seen += numbers(page)
    assert seen == list(range(last, last - 120, -1))


def test_colleagues_are_named_and_others_are_not(staff, events, ann, make_person):
    client = staff("auditor")
    sue = make_person("sue", "Sue Lead", role="support_lead")
    events("case.noted", actor=f"account:{sue.account_id}")
    events("security.sending_limit", actor=f"account:{ann.account_id}")
    page = client.get("/staff/log").text
    assert "Sue Lead" in page
    assert ann.name not in page
    assert show_id(ann.account_id) in page


def test_an_event_shows_its_hash_and_gives_its_proof(staff, events, checkpoint, web_app, superuser):
    client = staff("auditor")
    with web_app.app_context(), transaction():
        number = audit.record("role.granted", "account:1", about=CASE, role="admin")
    page = client.get(f"/staff/log/{number}").text
    assert (
        superuser.execute(
            text("SELECT encode(leaf, 'hex') FROM audit_event WHERE number = :n"), {"n": number}
        ).scalar()
        in page
    )
    assert show_id(CASE) in page
    assert "with the next checkpoint" in page
    assert client.get(f"/staff/log/{number}/proof").status_code == 404
    checkpoint()
    assert "Download the proof" in client.get(f"/staff/log/{number}").text
    answer = client.get(f"/staff/log/{number}/proof")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    extra, index, _path, note = notes.read_proof(answer.text)
    assert (index, b"role.granted" in extra) == (number - 1, True)
    with web_app.app_context(), transaction():
        assert audit.verifier().signed(note)


@pytest.mark.parametrize("number", ["0", "999", "99999999999999999999"])
def test_an_event_that_is_not_there_is_not_found(staff, number):
    client = staff("auditor")
    assert client.get(f"/staff/log/{number}").status_code == 404
    assert client.get(f"/staff/log/{number}/proof").status_code == 404


def test_a_sealed_event_says_that_it_is_and_no_more(staff, web_app, worker, master):
    client = staff("auditor")
    with web_app.app_context(), transaction():
        number = audit.seal(master, "access.opened", "account:1", b"Order 12", case=CASE)
    page = client.get(f"/staff/log/{number}").text
    assert "sealed until it may be told" in page
    assert "Order 12" not in page
    with worker.app_context(), transaction():
        audit.unseal(master, number)
    assert "Opened" in client.get(f"/staff/log/{number}").text


def test_the_signed_root_is_everybodys(stranger, log, checkpoint, web_app):
    assert stranger.get("/privacy/log").text == "\n"
    note = checkpoint()
    answer = stranger.get("/privacy/log")
    assert answer.mimetype == "text/plain"
    assert answer.text.startswith(note)
    key = notes.Verifier.read(answer.text.removeprefix(note))
    assert key.signed(note)
    assert "/privacy/log" in stranger.get("/privacy").text
