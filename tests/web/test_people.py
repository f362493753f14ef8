"""The staff's page of people: found by what one knows of them, shown without their mail, each look written down, notes that are theirs."""

import json
import re
from datetime import UTC, datetime

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webmail.db import show_id, transaction
from webmail.governance.cases import service
from webmail.keys import open_mailbox
from webmail.mail.mailboxes import WorkerJob
from webmail.operations import people
from webmail.privacy.export import records


@pytest.fixture
def looks(browser_of, csrf):
    def search(who, typed):
        client = browser_of(who)
        return client.post("/staff/people", data={"csrf_token": csrf(client), "who": typed})

    return search


@pytest.fixture
def post(browser_of, csrf):
    def send(who, path, **fields):
        client = browser_of(who)
        return client.post(path, data={"csrf_token": csrf(client)} | fields)

    return send


def page_of(person):
    return f"/staff/people/{show_id(person.account_id)}"


def about(superuser, person):
    """Kinds of events that are tied to somebody, in order, each with who did it."""
    return superuser.execute(
        text(
            "SELECT e.kind, e.actor FROM audit_subject s JOIN audit_event e USING (number)"
            " WHERE s.account_id = :a AND e.kind LIKE 'people.%' ORDER BY number"
        ),
        {"a": person.account_id},
    ).all()


@pytest.mark.parametrize(
    "typed",
    [
        "ann@mtumail.test", "ANN+shop@mtumail.test", "ann@elsewhere.example", "Ann@Elsewhere.Example", "ann whit", "  ANN  ",
        "user_ann00000000", "account", "mailbox",
    ],
)  # fmt: skip
def test_somebody_is_found_by_address_id_or_the_beginning_of_a_name(looks, sam, ann, ben, typed):
    typed = {"account": show_id(ann.account_id), "mailbox": show_id(ann.mailbox_id)}.get(typed, typed)
    answer = looks(sam, typed)
    assert (answer.status_code, answer.headers.get("Location")) == (303, page_of(ann))


@pytest.mark.parametrize(
    "typed", ["hitfield", "nn@mtumail.test", "ann@", "%", "a%", "_nn", "AAAAAAAA", "user_nobody000"]
)
def test_nobody_is_found_by_a_part_or_a_pattern(looks, sam, ann, typed):
    answer = looks(sam, typed)
    assert answer.status_code in (200, 422)
    assert "Whitfield" not in answer.text


def test_several_are_a_list_and_more_than_twenty_are_cut(looks, sam, make_person, superuser):
    for number in range(3):
        make_person(f"kim{number}", f"Kim {number}")
    page = looks(sam, "kim")
    assert page.status_code == 200
    assert re.findall(r"Kim \d", page.text) == ["Kim 0", "Kim 1", "Kim 2"]
    assert "kim0@mtumail.test" in page.text
    superuser.execute(
        text(
            "INSERT INTO account (account_id, clerk_user_id, name) SELECT n, 'user_kim' || n, 'Kim ' || n FROM generate_series(900, 930) n"
        )
    )
    page = looks(sam, "kim")
    assert page.text.count('href="/staff/people/') == 20
    assert "These are the first 20" in page.text


def test_the_page_shows_how_somebody_stands_and_nothing_of_the_mail(browser_of, sam, ann, deliver, letter):
    deliver(ann, letter(subject="A canary in a subject"))
    page = browser_of(sam).get(page_of(ann))
    assert page.status_code == 200
    for told in (
        "Ann Whitfield",
        ann.address,
        "ann@elsewhere.example",
        "of 1\N{NO-BREAK SPACE}GB",
        "owns",
        show_id(ann.account_id),
    ):
        assert told in page.text
    assert "canary" not in page.text
    assert "active" in page.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE account SET may_sign_in = false WHERE account_id = :a", "sign-in suspended"),
        ("UPDATE account SET may_send = false WHERE account_id = :a", "sending stopped"),
        ("UPDATE account SET send_day = 7 WHERE account_id = :a", "may write to 7 people a day"),
        ("UPDATE account SET clerk_state = 'banned' WHERE account_id = :a", "banned at Clerk"),
        ("UPDATE mailbox SET may_receive = false WHERE mailbox_id = :m", "takes no mail"),
        ("UPDATE mailbox SET state = 'revoked' WHERE mailbox_id = :m", "name revoked"),
        ("UPDATE mailbox SET used_bytes = quota_bytes WHERE mailbox_id = :m", "full"),
    ],
)  # fmt: skip
def test_what_is_unusual_is_said(browser_of, sam, ann, superuser, change, told):
    superuser.exec_driver_sql("SET session_replication_role = replica")
    superuser.execute(text(change), {"a": ann.account_id, "m": ann.mailbox_id})
    superuser.exec_driver_sql("SET session_replication_role = origin")
    assert f">{told}<" in browser_of(sam).get(page_of(ann)).text


def test_P23_what_somebody_has_stopped_is_said(browser_of, sam, ann, superuser):
    superuser.execute(
        text(
            "INSERT INTO processing_restriction (restriction_id, account_id, why, scopes, set_by)"
            " VALUES (7, :a, 'accuracy', '{staff}', :a)"
        ),
        {"a": ann.account_id},
    )
    assert "Staff opening my mail or tracing deliveries" in browser_of(sam).get(page_of(ann)).text


def test_P12_pages_are_for_those_who_help_people(
    browser_of, looks, ann, ben, sam, sue, rex, ada, make_person
):
    for one in (sam, sue, ada):
        assert browser_of(one).get("/staff/people").status_code == 200
        assert browser_of(one).get(page_of(ann)).status_code == 200
    for one in (ben, rex, make_person("amy", role="auditor")):
        assert browser_of(one).get("/staff/people").status_code == 403
        assert browser_of(one).get(page_of(ann)).status_code == 403
        assert looks(one, "ann").status_code == 403
    assert browser_of(sam).get("/staff/people/AAAAAAAA").status_code == 404
    assert browser_of(sam).get("/staff/people/nobody").status_code == 404


def test_P16_who_looked_up_whom_is_written_down_before_the_answer(
    looks, browser_of, sam, ann, ben, superuser
):
    looks(sam, "ann@mtumail.test")
    browser_of(sam).get(page_of(ann))
    who = f"account:{sam.account_id}"
    assert about(superuser, ann) == [("people.searched", who), ("people.viewed", who)]
    assert about(superuser, ben) == []
    entries = (
        superuser.execute(text("SELECT entry FROM audit_event WHERE kind LIKE 'people.%'")).scalars().all()
    )
    assert all("ann" not in json.loads(entry)["facts"].get("how", "") for entry in entries)
    assert not any(
        "elsewhere" in entry or "mtumail.test" in entry or "Whitfield" in entry for entry in entries
    )


def test_P11_the_person_reads_when_somebody_looked_and_nobody_else_does(
    looks, browser_of, sam, ann, ben, stranger
):
    assert "Nobody has." in browser_of(ann).get("/access-log/looks").text
    looks(sam, "ann@mtumail.test")
    browser_of(sam).get(page_of(ann))
    page = browser_of(ann).get("/access-log/looks").text
    assert "you were among the answers to a search" in page
    assert "the page about you was opened" in page
    assert "Lindgren" not in page
    assert 'href="/access-log/looks"' in browser_of(ann).get("/access-log").text
    assert "Nobody has." in browser_of(ben).get("/access-log/looks").text
    assert stranger.get("/access-log/looks").status_code != 200


def test_P16_a_search_that_finds_nobody_is_written_down_too(looks, sam, superuser):
    looks(sam, "nobody at all")
    [entry] = superuser.execute(
        text("SELECT entry FROM audit_event WHERE kind = 'people.searched'")
    ).scalars()
    assert json.loads(entry)["facts"] == {"how": "name", "found": 0, "why": ""}


def test_P11_without_the_log_there_is_no_answer(web_app, sam, ann, superuser):
    """The look and its entry are one statement: where the entry cannot be made, nothing comes out."""
    superuser.execute(
        text(
            "REVOKE EXECUTE ON FUNCTION audit_append(text, text, jsonb, bigint[], bytea, bytea) FROM mtumail_owner"
        )
    )
    try:
        with web_app.app_context(), pytest.raises(InsufficientPrivilege), transaction(staff=True):
            people.find("ann", by=sam.account_id)
    finally:
        superuser.execute(
            text(
                "GRANT EXECUTE ON FUNCTION audit_append(text, text, jsonb, bigint[], bytea, bytea) TO mtumail_owner"
            )
        )


def test_a_directory_is_not_what_it_is_for(looks, sam, ann, superuser):
    superuser.execute(
        text("SELECT audit_append('people.searched', :who, '{}') FROM generate_series(1, 120)"),
        {"who": f"account:{sam.account_id}"},
    )
    answer = looks(sam, "ann")
    assert answer.status_code == 429
    assert "Whitfield" not in answer.text
    assert about(superuser, ann) == []


@pytest.mark.parametrize("role", ["worker", "inbound", "web"])
def test_P12_only_the_role_of_staff_pages_may_ask(database, ann, sam, role):
    engine = create_engine(database.urls[role], poolclass=NullPool)
    for statement in (
        f"SELECT * FROM people_find({sam.account_id}, 'name', 'ann', '', '', 0)",
        f"SELECT people_show({sam.account_id}, {ann.account_id})",
        f"SELECT people_note({sam.account_id}, {ann.account_id}, 7, 'x')",
    ):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_P12_the_database_itself_asks_for_the_role(web_app, ben, rex, ann):
    for one in (ben, rex):
        with web_app.app_context(), transaction(staff=True):
            assert people.find("ann", by=one.account_id).refusal == "role"


# --- notes ---------------------------------------------------------------------------------------------------------------


def note(post, who, person, words="Wrote twice about a lost phone."):
    return post(who, f"{page_of(person)}/notes", words=words)


def test_a_note_is_sealed_shown_to_colleagues_and_dropped_by_its_author_or_a_lead(
    post, browser_of, sam, sue, ada, ann, make_person, superuser
):
    assert note(post, sam, ann, "A canary <b>of</b> words").status_code == 303
    page = browser_of(sue).get(page_of(ann))
    assert "A canary &lt;b&gt;of&lt;/b&gt; words" in page.text
    [[number, words]] = superuser.execute(text("SELECT note_id, words FROM staff_note")).all()
    assert b"canary" not in bytes(words)
    path = f"{page_of(ann)}/notes/{show_id(number)}/drop"
    other = make_person("sid", role="support")
    assert post(other, path).status_code == 422
    assert post(sue, path).status_code == 303
    assert superuser.execute(text("SELECT count(*) FROM staff_note")).scalar() == 0
    assert [kind for kind, _who in about(superuser, ann) if "note" in kind] == [
        "people.noted",
        "people.unnoted",
    ]


@pytest.mark.parametrize("words", ["", "   ", "x" * 2001])
def test_a_note_says_something(post, sam, ann, words):
    answer = note(post, sam, ann, words)
    assert answer.status_code == 422
    assert "Write the note in 1 to 2,000 characters." in answer.text


def test_P12_nobody_notes_about_himself_his_house_or_a_higher_colleague(post, sam, sue, ada, superuser):
    assert note(post, sam, sam).status_code == 422
    assert note(post, sam, sue).status_code == 422
    assert note(post, sam, ada).status_code == 422
    assert superuser.execute(text("SELECT count(*) FROM staff_note")).scalar() == 0


def test_a_note_of_somebody_else_is_not_dropped_by_its_number(post, sam, ann, ben, superuser):
    note(post, sam, ann)
    number = superuser.execute(text("SELECT note_id FROM staff_note")).scalar_one()
    assert post(sam, f"{page_of(ben)}/notes/{show_id(number)}/drop").status_code == 422
    assert superuser.execute(text("SELECT count(*) FROM staff_note")).scalar() == 1


@pytest.mark.parametrize("path", ["/staff/people", "notes", "drop"])
def test_a_form_without_a_token_does_nothing(browser_of, sam, ann, superuser, path):
    client = browser_of(sam)
    where = {"notes": f"{page_of(ann)}/notes", "drop": f"{page_of(ann)}/notes/AAAAAAAA/drop"}.get(path, path)
    assert client.post(where, data={"who": "ann", "words": "x"}).status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM staff_note")).scalar() == 0
    assert about(superuser, ann) == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO staff_note VALUES (1, :a, :a, now(), repeat('x', 40)::bytea)",
        "INSERT INTO staff_note VALUES (1, :a, :s, now(), 'short')",
        "INSERT INTO staff_note VALUES (1, :a, 404, now(), repeat('x', 40)::bytea)",
        "INSERT INTO staff_note VALUES (1, 404, :s, now(), repeat('x', 40)::bytea)",
        "UPDATE staff_note SET written_at = now()",
    ],
)
def test_the_database_refuses(post, sam, ann, superuser, statement):
    note(post, sam, ann)
    with pytest.raises(DBAPIError):
        superuser.execute(text(statement), {"a": ann.account_id, "s": sam.account_id})


def test_P23_what_is_noted_is_counted_and_in_the_export_of_the_person(
    post, browser_of, sam, ann, worker, master
):
    note(post, sam, ann, "Wrote about a lost phone.")
    assert "What our staff noted about you" in browser_of(ann).get("/my-data").text
    with worker.app_context(), transaction(ann.mailbox_id):
        keys = open_mailbox(master, ann.mailbox_id, WorkerJob("export", ann.mailbox_id))
        told = records.gather(keys, ann.account_id, datetime.now(UTC))
    [one] = told["staff_notes"]
    assert one["words"] == "Wrote about a lost phone."
    assert "Lindgren" not in json.dumps(told["staff_notes"])


def test_P23_who_is_erased_leaves_no_note(post, sam, ann, superuser):
    note(post, sam, ann)
    superuser.execute(
        text("UPDATE account SET clerk_user_id = 'user_erased' || account_id WHERE account_id = :a"),
        {"a": ann.account_id},
    )
    assert superuser.execute(text("SELECT count(*) FROM staff_note")).scalar() == 0


# --- ways on -------------------------------------------------------------------------------------------------------------


def test_actions_and_traces_begin_from_an_open_case_alone(
    browser_of, csrf, sam, ann, master, web_app, owner_app, superuser
):
    client = browser_of(sam)
    page = client.get(page_of(ann)).text
    assert "/staff/actions/new" not in page
    assert 'action="/staff/tracing"' not in page
    with owner_app.app_context(), transaction():
        service.ensure(master)
    superuser.execute(
        text(
            "INSERT INTO case_file (case_id, kind, account_id, due_at) VALUES (77, 'delivery', :a, now() + interval '1 day')"
        ),
        {"a": ann.account_id},
    )
    page = client.get(page_of(ann)).text
    assert f"/staff/actions/new?case={show_id(77)}&amp;account={show_id(ann.account_id)}" in page
    assert 'action="/staff/tracing"' in page
    fields = {
        "case": show_id(77),
        "address": ann.address,
        "other": "",
        "since": "2026-11-20",
        "until": "2026-11-22",
    }
    traced = client.post("/staff/tracing", data={"csrf_token": csrf(client)} | fields)
    assert traced.status_code == 200
    assert "The mailbox is active" in traced.text
    superuser.execute(text("UPDATE case_file SET state = 'closed', closed_at = now(), outcome = 'unclear'"))
    assert "/staff/actions/new" not in client.get(page_of(ann)).text


def test_a_search_for_a_name_costs_the_same_beside_many(superuser, empty):
    superuser.execute(
        text(
            "INSERT INTO account (account_id, clerk_user_id, name, contact_email)"
            " SELECT n, 'user_many' || n, 'Person ' || n, 'p' || n || '@example.org' FROM generate_series(1, 20000) n"
        )
    )
    superuser.execute(text("ANALYZE account"))
    for where in (
        "name <> '' AND lower(name) ~>=~ 'person 77' AND lower(name) ~<~ ('person 77' || chr(1114111)) ORDER BY lower(name) USING ~<~, account_id",
        "contact_email <> '' AND lower(contact_email) = 'p77@example.org'",
    ):
        plan = (
            superuser.execute(text(f"EXPLAIN SELECT account_id FROM account WHERE {where} LIMIT 21"))
            .scalars()
            .all()
        )
        assert any("Index" in line for line in plan), plan
        assert not any("Sort" in line or "Seq Scan" in line for line in plan), plan
