"""Ways to cheat with access to mail. Each fails, and leaves a trace that is shown (P06, P10, P11, P12, P15, P16)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import show_id, transaction
from webmail.governance.access import opening
from webmail.keys import open_mailbox

CANARY = "CANARY-5f0e"


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter(f"{CANARY}-subject", f"{CANARY}-text\r\n"))


@pytest.fixture
def grant(desk, sam, sue, ann, message) -> int:
    return desk.granted(sam, sue, ann, {message: {"headers"}})


def denied(desk) -> list[str]:
    return [one["facts"]["why"] for one in desk.events("access.denied")]


@pytest.mark.parametrize(
    "where",
    [
        "/mail/inbox/{m}",
        "/mail/inbox/{m}/formatted",
        "/mail/inbox/{m}/headers",
        "/mail/inbox/{m}/source",
        "/mail/inbox/{m}/message.eml",
        "/mail/inbox/{m}/1/preview",
        "/mail/inbox/{m}/1/thumbnail",
        "/m/{m}",
        "/search?q=" + CANARY,
        "/mail/inbox",
        "/report/{m}",
        "/access-log",
    ],
)
def test_P06_a_grant_opens_none_of_the_owners_own_pages(browser_of, desk, sam, grant, message, where):
    assert isinstance(desk.read(sam, grant, message, "headers"), bytes)
    answer = browser_of(sam).get(where.format(m=show_id(message)))
    assert f"{CANARY}-" not in answer.text  # the page of a search repeats what was looked for
    assert answer.status_code in (200, 404)


@pytest.mark.parametrize("who", ["sam", "sue", "rex", "ada"])
@pytest.mark.parametrize("part", ["headers", "text", "attachments", "layout", "file"])
def test_P06_no_page_of_the_staff_opens_anything_without_a_grant(
    browser_of, csrf, who, part, request, message, desk
):
    client = browser_of(request.getfixturevalue(who))
    for grant in (1, message):
        path = f"/staff/access/{show_id(grant)}/{show_id(message)}/{part}"
        answer = client.post(path, data={"csrf_token": csrf(client), "number": "1"})
        assert answer.status_code in (403, 404)
        assert CANARY not in answer.text


def test_P10_the_ids_of_a_request_do_not_widen_it(desk, sam, ann, ben, deliver, letter, message, grant):
    for other in (deliver(ann, letter()), deliver(ben, letter())):
        for part in ("headers", "text", "attachments"):
            assert desk.read(sam, grant, other, part) == "out-of-scope"
    assert set(denied(desk)) == {"out-of-scope"}
    assert desk.acts(grant) == []


def test_P10_a_sealed_part_of_one_message_is_not_opened_as_another(desk, sam, grant, message):
    held = desk.open(sam, grant, message, "headers")
    held.message_id += 1
    with pytest.raises(Exception, match="does not open here"):
        opening.source(desk.master, held)


def test_P06_what_is_held_is_of_no_use_to_other_verbs(desk, web_app, sam, ann, grant, message):
    """The keys that come with one part read nothing more: the role of the staff has no other row to open."""
    from webmail.mail import messages, search

    held = desk.open(sam, grant, message, "headers")
    keys = open_mailbox(desk.master, ann.mailbox_id, held)
    for verb in (
        lambda: messages.source(keys, message),
        lambda: search.parse(keys, "x") and messages.line(keys, message),
    ):
        with pytest.raises(Exception, match="permission denied"), desk.staff():
            verb()


def test_P12_two_who_press_approve_at_once_decide_once(desk, sam, sue, ann, message, make_person):
    second = make_person("lea", "Lea Second", "support_lead")
    grant, _none = desk.ask(sam, ann, [message])
    gate = threading.Barrier(2)

    def press(who, approved):
        gate.wait()
        return desk.decide(who, ann, grant, approved=approved)

    with ThreadPoolExecutor(2) as pool:
        answers = [one.result() for one in (pool.submit(press, sue, True), pool.submit(press, second, False))]
    assert sorted(answers) == ["", "decided"]


def test_P11_two_windows_at_once_are_two_acts(desk, sam, grant, message):
    gate = threading.Barrier(4)

    def press():
        gate.wait()
        return desk.read(sam, grant, message, "headers")

    with ThreadPoolExecutor(4) as pool:
        contents = [one.result() for one in [pool.submit(press) for _ in range(4)]]
    assert all(isinstance(one, bytes) for one in contents)
    assert [act[0] for act in desk.acts(grant)] == [1, 2, 3, 4]


def test_P10_closing_and_opening_at_once_leave_nothing_open_that_is_closed(desk, sam, grant, message):
    gate = threading.Barrier(2)

    def press(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(press, lambda: desk.read(sam, grant, message, "headers"))
        shut = pool.submit(press, lambda: desk.close(sam, grant))
        content, closed = read.result(), shut.result()
    assert closed == ""
    assert isinstance(content, bytes) == (len(desk.acts(grant)) == 1)
    assert desk.read(sam, grant, message, "headers") == "closed"


def test_P10_a_case_that_closes_while_something_is_opened_waits_or_wins(
    desk, sam, sue, ann, message, superuser, database
):
    case = desk.case()
    grant = desk.granted(sam, sue, ann, [message], case=case)
    engine = create_engine(database.admin_url, poolclass=NullPool)
    with desk.staff():
        held = opening.ask(grant, message, "text", account_id=sam.account_id)
        with engine.connect() as other:
            other.execute(text("SET lock_timeout = '200ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                other.execute(
                    text("UPDATE case_file SET state = 'closed', closed_at = now() WHERE case_id = :c"),
                    {"c": case},
                )
    engine.dispose()
    assert CANARY.encode() in opening.source(desk.master, held)
    superuser.execute(
        text("UPDATE case_file SET state = 'closed', closed_at = now() WHERE case_id = :c"), {"c": case}
    )
    assert desk.read(sam, grant, message) == "closed"


def test_P12_a_lead_lends_nobody_his_hand_by_a_second_request(desk, sue, ann, message, make_person):
    """Approving what oneself asked for, by way of a colleague's request: each request has its own two people."""
    mine, _none = desk.ask(sue, ann, [message])
    assert desk.decide(sue, ann, mine) == "own-request"
    assert desk.decide(sue, ann, mine, approved=False) == "own-request"
    assert denied(desk) == ["own-request", "own-request"]


def test_P12_a_holder_passes_his_grant_to_nobody(desk, sue, grant, message, make_person):
    tom = make_person("tom", "Tom Third", "support")
    assert desk.read(tom, grant, message, "headers") == "not-yours"
    assert desk.read(sue, grant, message, "headers") == "not-yours"
    assert denied(desk) == ["not-yours", "not-yours"]


def test_P15_no_sentence_about_anybody_lies_in_the_database_in_clear(
    desk, sam, sue, rex, ann, message, superuser
):
    grant = desk.granted(sam, sue, ann, [message], words=f"{CANARY} is why I need it.")
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    desk.review(rex, ann, grant, "approve", f"{CANARY} was right.")
    for table in ("access_grant", "access_review", "audit_event", "access_act", "access_scope", "case_file"):
        for row in superuser.execute(text(f"SELECT t::text FROM {table} t")).scalars():
            assert CANARY not in row
            assert CANARY.encode().hex() not in row


def test_P15_nothing_that_was_read_is_left_in_redis_or_in_the_logs(
    desk, sam, grant, message, browser_of, csrf, caplog, web_app
):
    from webmail import jobs

    assert CANARY.encode() in desk.read(sam, grant, message, "headers")
    client = browser_of(sam)
    client.post(f"/staff/access/{show_id(grant)}/{show_id(message)}/text", data={"csrf_token": csrf(client)})
    assert CANARY not in caplog.text
    for key in jobs.bell.redis.keys("*"):
        assert CANARY.encode() not in (jobs.bell.redis.dump(key) or b"")


def test_P11_an_error_while_it_is_shown_says_nothing_of_it_and_the_act_stands(
    browser_of, csrf, desk, sam, grant, message, monkeypatch, caplog
):
    from webmail.governance.access import disclosing
    from webmail.web.views import access_reader

    def fail(raw):
        raise ValueError(raw)

    monkeypatch.setattr(disclosing, "headers", fail)
    monkeypatch.setattr(access_reader.opening, "prove", lambda _viewer, _grant: None)
    client = browser_of(sam)
    answer = client.post(
        f"/staff/access/{show_id(grant)}/{show_id(message)}/headers", data={"csrf_token": csrf(client)}
    )
    assert answer.status_code == 500
    assert CANARY not in answer.text
    assert CANARY not in caplog.text
    assert desk.acts(grant) == [(1, message, "headers", 0)]


def test_P15_the_staffs_transaction_names_no_mailbox(web_app):
    with (
        web_app.app_context(),
        pytest.raises(RuntimeError, match="no mailbox to name"),
        transaction(1, staff=True),
    ):
        pass


@pytest.mark.parametrize(
    "table", ["message", "message_source", "mailbox_key", "message_view", "message_index"]
)
def test_P15_the_staffs_role_names_a_mailbox_in_vain(desk, ann, message, table):
    with desk.staff() as session:
        session.execute(
            text("SELECT set_config('mtumail.mailbox', :box, true)"), {"box": str(ann.mailbox_id)}
        )
        with pytest.raises(DBAPIError, match="permission denied"):
            session.execute(text(f"SELECT count(*) FROM {table}"))


def test_P16_the_log_of_all_this_holds(desk, sam, sue, rex, ann, grant, message, owner_app):
    from webmail import audit

    desk.read(sam, grant, message, "headers")
    desk.read(sam, grant, message, "text")
    desk.close(sam, grant)
    desk.review(rex, ann, grant)
    with owner_app.app_context(), transaction() as session:
        read, fault = audit.verify(session)
    assert fault is None
    assert read >= 6
