"""Contacts: found without being read, learned and counted, grouped, deleted with a way back, taken in from files."""

import threading
import time

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import db, transaction
from webmail.errors import NotFound, Tampered
from webmail.keys import open_mailbox
from webmail.mail import contacts, identities, vacation, vcard
from webmail.mail.addresses import Address, parse_recipients
from webmail.mail.contacts import ContactError, Details, Suggestion, store
from webmail.mail.mailboxes import OwnerSession

ZOE = Details(
    "Zoë Ñandú", ("zoe@example.org", "z.nandu@work.example"), ("+44 20",), "River Clinic", "Met in\nKampala"
)


@pytest.fixture
def run(opened, ann):
    """Call a verb with Ann's mailbox open."""
    return lambda verb, *values, **more: opened(ann, lambda keys: verb(keys, *values, **more))


def people(typed):
    return parse_recipients(typed)


def texts(suggestions):
    return [one.text for one in suggestions]


def labels(page):
    return [one.label for one in page.entries]


def count(superuser, table):
    return superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar()


# --- the book ------------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_read_back(run):
    ident = run(contacts.add, ZOE)
    assert run(contacts.details, ident) == ZOE
    entry = run(contacts.load, ident)
    assert (entry.name, entry.addresses, entry.kind, entry.state, entry.is_suggested, entry.written) == (
        "Zoë Ñandú", ZOE.addresses, "person", "kept", True, 0,
    )  # fmt: skip
    run(contacts.change, ident, Details("", ("new@example.org",)))
    assert run(contacts.details, ident) == Details("", ("new@example.org",))
    assert run(contacts.load, ident).label == "new@example.org"
    assert labels(run(contacts.search, "zo")) == []
    assert run(contacts.add, Details("Other", ("zoe@example.org",))), "an address that was given up is free"


@pytest.mark.parametrize(
    ("told", "field", "reason"),
    [
        (Details("A"), "addresses", "empty"),
        (Details("A", ("nobody",)), "addresses", "bad-address"),
        (Details("A", ("a@b.example\r\nBcc: x@y.example",)), "addresses", "bad-address"),
        (Details("A", ("a@b.example, c@d.example",)), "addresses", "bad-address"),
        (Details("A", ("a@localhost",)), "addresses", "bad-address"),
        (Details("A", tuple(f"a{n}@b.example" for n in range(21))), "addresses", "too-long"),
        (Details("A" * 301, ("a@b.example",)), "name", "too-long"),
        (Details("A", ("a@b.example",), organisation="x" * 301), "organisation", "too-long"),
        (Details("A", ("a@b.example",), notes="x" * 10_001), "notes", "too-long"),
        (Details("A", ("a@b.example",), phones=tuple(map(str, range(21)))), "phones", "too-long"),
        (Details("A", ("a@b.example",), phones=("1" * 61,)), "phones", "too-long"),
    ],
)
def test_what_cannot_be_kept(run, told, field, reason):
    with pytest.raises(ContactError) as refused:
        run(contacts.add, told)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_at_the_limits_it_can(run):
    told = Details(
        "A" * 300,
        tuple(f"a{n}@b.example" for n in range(20)),
        tuple(map(str, range(20))),
        "x" * 300,
        "x" * 10_000,
    )
    assert run(contacts.details, run(contacts.add, told)) == told


def test_strings_are_cleaned(run):
    ident = run(
        contacts.add,
        Details(
            " Z\u202eo\x00e\nx ", ("  Zoe <ZOE@Example.ORG> ", "ZOE@example.org"), notes="a\x00\r\nb\ud800"
        ),
    )
    assert run(contacts.details, ident) == Details(
        "Zo\ufffde x", ("ZOE@example.org",), notes="a\ufffd\nb\ufffd"
    )


def test_one_address_one_contact(run):
    ident = run(contacts.add, ZOE)
    for address in ("zoe@example.org", "ZOE@EXAMPLE.org", "Zoe@example.org"):
        with pytest.raises(ContactError) as refused:
            run(contacts.add, Details("Zo", ("new@example.org", address)))
        assert (refused.value.reason, refused.value.contact_id) == ("taken", ident)
    other = run(contacts.add, Details("Zo", ("zoe+tag@example.org",)))
    with pytest.raises(ContactError):
        run(contacts.change, other, Details("Zo", ("zoe@example.org",)))
    run(contacts.change, ident, ZOE)


def test_alphabetical_pages_by_keyset(run):
    names = ["Ábel", "abe", "Zoe", "Émile", "eve", "王小明", "Ben"]
    ids = {name: run(contacts.add, Details(name, (f"n{n}@example.org",))) for n, name in enumerate(names)}
    order = ["abe", "Ábel", "Ben", "Émile", "eve", "Zoe", "王小明"]
    assert labels(run(contacts.page, None, 50)) == order
    first = run(contacts.page, None, 3)
    assert (labels(first), first.before, first.after) == (order[:3], None, ids["Émile"])
    run(contacts.add, Details("Aaron", ("aaron@example.org",)))
    second = run(contacts.page, first.after, 3)
    assert (labels(second), second.after) == (order[3:6], ids["王小明"])
    assert labels(run(contacts.page, second.before, 3)) == order[:3]
    assert labels(run(contacts.page, second.after, 3)) == order[6:]
    run(contacts.remove, first.after)
    assert labels(run(contacts.page, first.after, 2)) == ["Aaron", "abe"], (
        "a place that is gone is the beginning"
    )


def test_delete_and_take_back(run, superuser):
    ident = run(contacts.add, ZOE)
    group = run(contacts.add_group, "Choir", people("zoe@example.org, ben@example.org"))
    run(contacts.remove, ident)
    for verb in (contacts.load, contacts.details, contacts.remove, contacts.export):
        with pytest.raises(NotFound):
            run(verb, ident)
    assert run(contacts.suggest, "zoe") == []
    assert labels(run(contacts.search, "zoe")) == []
    assert [one.label for one in run(contacts.group, group).members] == ["ben@example.org"]
    assert b"zoe" not in run(contacts.export)
    run(contacts.restore, ident)
    run(contacts.restore, ident)
    assert run(contacts.details, ident) == ZOE
    assert len(run(contacts.group, group).members) == 2
    run(contacts.remove, ident)
    superuser.execute(
        text("UPDATE contact SET deleted_at = now() - interval '25 hours' WHERE deleted_at IS NOT NULL")
    )
    with pytest.raises(NotFound):
        run(contacts.restore, ident)
    run(contacts.add, Details("New", ("new@example.org",)))
    gone = {"id": ident}
    for table in ("contact", "contact_handle", "contact_beginning", "contact_member"):
        assert (
            superuser.execute(text(f"SELECT count(*) FROM {table} WHERE contact_id = :id"), gone).scalar()
            == 0
        )


def test_an_address_of_somebody_deleted_is_free(run):
    ident = run(contacts.add, ZOE)
    run(contacts.remove, ident)
    run(contacts.add, Details("Zo", ("zoe@example.org",)))
    with pytest.raises(NotFound):
        run(contacts.restore, ident)


def test_keeping_who_wrote(run):
    ident, is_new = run(contacts.keep_person, "Zoë", "zoe@example.org")
    assert is_new
    assert run(contacts.keep_person, "Another name", "ZOE@example.org") == (ident, False)
    assert run(contacts.load, ident).name == "Zoë"
    run(contacts.learn, [Address("ben", "example.org")])
    met, is_new = run(contacts.keep_person, "Ben Okello", "ben@example.org")
    entry = run(contacts.load, met)
    assert (is_new, entry.name, entry.state, entry.written) == (True, "Ben Okello", "kept", 1)
    with pytest.raises(ContactError):
        run(contacts.keep_person, "Nobody", "")


def test_the_book_can_be_full(run, monkeypatch):
    monkeypatch.setattr(store, "MAX_CONTACTS", 2)
    run(contacts.learn, people("learned@example.org"))
    for n in range(2):
        run(contacts.add, Details("", (f"n{n}@example.org",)))
    with pytest.raises(ContactError, match="full"):
        run(contacts.add, Details("", ("n2@example.org",)))
    assert run(contacts.take_in, vcard.write([vcard.Card("X", ("x@example.org",))])).left_out == {"full": 1}
    [learned] = run(contacts.learned, None, 10).entries
    with pytest.raises(ContactError, match="full"):
        run(contacts.keep, learned.contact_id)


# --- suggesting and learning ---------------------------------------------------------------------------------------------


def test_suggestions_by_beginnings_of_names_and_addresses(run):
    run(contacts.add, ZOE)
    both = ["Zoë Ñandú <zoe@example.org>", "Zoë Ñandú <z.nandu@work.example>"]
    for typed in ("z", "zo", "ZOË", "nan", "ñandu", "nandu zo", "zoe nan", " zo  "):
        assert texts(run(contacts.suggest, typed)) == both, typed
    assert texts(run(contacts.suggest, "work")) == both[1:]
    assert texts(run(contacts.suggest, "z.nandu@wo")) == both[1:]
    assert texts(run(contacts.suggest, "zoe@exam")) == both[:1]
    for typed in ("", "  ", "oe", "zoek", "org", "zo x", ",", "\x00", "%", "z" * 5000):
        assert texts(run(contacts.suggest, typed)) == [], typed
    assert texts(run(contacts.suggest, "z", limit=1)) == both[:1]
    assert run(contacts.suggest, "z", limit=0) == []


def test_beginnings_longer_than_a_token_are_told_apart(run):
    run(contacts.add, Details("Bartholomew", ("a@example.org",)))
    run(contacts.add, Details("Bartholomea", ("b@example.org",)))
    assert texts(run(contacts.suggest, "bartholomea")) == ["Bartholomea <b@example.org>"]
    assert len(run(contacts.suggest, "barthol")) == 2


def test_scripts_without_blanks(run):
    run(contacts.add, Details("王小明", ("wang@example.org",)))
    for typed in ("王", "王小", "王小明", "wa"):
        assert len(run(contacts.suggest, typed)) == 1, typed


def test_names_are_quoted_where_they_would_be_parted():
    assert (
        Suggestion('Ñandú, "Zoë" \\', "zoe@example.org").text == '"Ñandú, \\"Zoë\\" \\\\" <zoe@example.org>'
    )
    for one in (
        Suggestion("a, b", "a@b.example"),
        Suggestion('x "y" (z)', "a@b.example"),
        Suggestion("é ñ", "a@b.example"),
    ):
        [read] = parse_recipients(one.text)
        assert (read.name, read.email) == (one.name, one.address)


def test_learned_from_what_was_sent_most_written_first(run):
    run(contacts.learn, people("Amy <amy@example.org>, Al <al@example.org>"))
    run(contacts.learn, people("al@example.org, AL@example.org"))
    assert texts(run(contacts.suggest, "a")) == ["Al <al@example.org>", "Amy <amy@example.org>"]
    assert run(contacts.total) == (0, 2)
    assert labels(run(contacts.page, None, 10)) == []
    assert labels(run(contacts.learned, None, 10)) == ["Al", "Amy"], "last written to first"
    ident = run(contacts.learned, None, 10).entries[1].contact_id
    run(contacts.keep, ident)
    run(contacts.keep, ident)
    assert (labels(run(contacts.page, None, 10)), run(contacts.total)) == (["Amy"], (1, 1))
    run(contacts.learn, people("amy@example.org, amy@example.org, amy@example.org"))
    assert run(contacts.load, ident).written == 2, "a message counts once"
    run(contacts.learn, [])
    run(contacts.learn, [Address("", "", "undisclosed")])


def test_learned_pages(run):
    for n in range(5):
        run(contacts.learn, [Address(f"n{n}", "example.org")])
    first = run(contacts.learned, None, 2)
    second = run(contacts.learned, first.after, 2)
    third = run(contacts.learned, second.after, 2)
    assert [*labels(first), *labels(second), *labels(third)] == [f"n{n}@example.org" for n in (4, 3, 2, 1, 0)]
    assert third.after is None
    with pytest.raises(NotFound):
        run(contacts.learned, 4711, 2)


def test_those_not_written_to_for_longest_are_forgotten(run, monkeypatch):
    monkeypatch.setattr("webmail.mail.contacts.suggesting.MAX_LEARNED", 3)
    for n in range(5):
        run(contacts.learn, [Address(f"n{n}", "example.org")])
    assert labels(run(contacts.learned, None, 10)) == [f"n{n}@example.org" for n in (4, 3, 2)]


def test_never_suggested(run):
    ident = run(contacts.add, ZOE)
    run(contacts.never_suggest, ident, True)
    run(contacts.learn, people("zoe@example.org"))
    assert run(contacts.suggest, "zo") == []
    assert labels(run(contacts.search, "zo")) == ["Zoë Ñandú"]
    run(contacts.never_suggest, ident, False)
    assert len(run(contacts.suggest, "zo")) == 2


def test_who_was_deleted_and_is_written_to_is_learned_anew(run):
    ident = run(contacts.add, ZOE)
    run(contacts.remove, ident)
    run(contacts.learn, people("zoe@example.org"))
    [entry] = run(contacts.learned, None, 10).entries
    assert (entry.contact_id != ident, entry.written, entry.name) == (True, 1, "")


def test_who_was_learned_is_taken_over_with_the_count(run, superuser):
    run(contacts.learn, people("zoe@example.org"))
    run(contacts.learn, people("z.nandu@work.example, zoe@example.org"))
    ident = run(contacts.add, ZOE)
    assert run(contacts.load, ident).written == 3
    assert (run(contacts.total), count(superuser, "contact")) == ((1, 0), 1)
    run(contacts.learn, people("third@example.org"))
    run(contacts.change, ident, Details("Zoë", (*ZOE.addresses, "third@example.org")))
    assert run(contacts.load, ident).written == 4
    assert run(contacts.total) == (1, 0)


@pytest.mark.slow
def test_one_query_and_an_index_beside_other_mailboxes(run, opened, ann, ben, web_app, superuser):
    cards = [vcard.Card(f"Name{n} Family{n % 7}", (f"person{n}@example{n % 50}.org",)) for n in range(700)]
    for person in (ann, ben):
        opened(person, lambda keys: contacts.take_in(keys, vcard.write(cards)))
    superuser.execute(text("ANALYZE contact, contact_handle, contact_beginning"))
    plans = []

    def look(keys):
        asked = []
        connection = db.session.connection().connection.driver_connection
        plain = connection.execute
        connection.execute = lambda sql, *values: asked.append((sql, *values)) or plain(sql, *values)
        try:
            found = contacts.suggest(keys, "name12 fam")
        finally:
            del connection.execute
        assert len(found) == 8
        assert len(asked) == 1
        [(sql, values)] = asked
        plans.extend(row[0] for row in connection.execute("EXPLAIN (ANALYZE, COSTS OFF) " + sql, values))

    opened(ann, look)
    plan = "\n".join(plans)
    assert "contact_beginning_key" in plan
    assert "Seq Scan" not in plan, plan
    milliseconds = float(plan.rsplit("Execution Time: ", 1)[1].split()[0])
    assert milliseconds < 60


# --- groups --------------------------------------------------------------------------------------------------------------


def test_groups(run):
    run(contacts.add, ZOE)
    ident = run(contacts.add_group, " The  Choir ", people("zoe@example.org, Ben <ben@example.org>"))
    group = run(contacts.group, ident)
    assert (group.name, [one.label for one in group.members]) == ("The Choir", ["Ben", "Zoë Ñandú"])
    assert labels(run(contacts.page, None, 10)) == ["Ben", "Zoë Ñandú"], "a group is no person"
    assert run(contacts.total) == (2, 0)
    [line] = run(contacts.groups)
    assert (line.name, line.count) == ("The Choir", 2)
    assert texts(run(contacts.suggest, "cho")) == ["The Choir"]
    run(contacts.change_group, ident, "the choir", people("zoe@example.org"))
    assert [one.label for one in run(contacts.group, ident).members] == ["Zoë Ñandú"]
    run(contacts.remove, ident)
    assert (run(contacts.groups), run(contacts.expand, "the choir")) == ([], "the choir")
    run(contacts.restore, ident)
    assert len(run(contacts.groups)) == 1


@pytest.mark.parametrize(
    ("name", "members", "field", "reason"),
    [
        ("", "a@b.example", "name", "empty"),
        ("x" * 301, "a@b.example", "name", "too-long"),
        ("a, b", "a@b.example", "name", "special"),
        ("a@b", "a@b.example", "name", "special"),
        ('"a"', "a@b.example", "name", "special"),
        ("fine", "", "members", "empty"),
        ("CHOIR", "a@b.example", "name", "taken"),
    ],
)
def test_groups_that_cannot_be(run, name, members, field, reason):
    run(contacts.add_group, "Choir", people("zoe@example.org"))
    with pytest.raises(ContactError) as refused:
        run(contacts.add_group, name, people(members))
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_a_person_is_no_group_and_a_group_no_person(run):
    ident = run(contacts.add, ZOE)
    group = run(contacts.add_group, "Choir", people("zoe@example.org"))
    with pytest.raises(NotFound):
        run(contacts.group, ident)
    with pytest.raises(NotFound):
        run(contacts.change, group, ZOE)
    with pytest.raises(NotFound):
        run(contacts.change_group, ident, "x", people("zoe@example.org"))
    with pytest.raises(NotFound):
        run(contacts.export, group)


def test_a_groups_name_becomes_its_members(run):
    run(contacts.add, Details("Ñandú, Zoë", ("zoe@example.org", "second@example.org")))
    run(contacts.add_group, "Choir", people("zoe@example.org, ben@example.org"))
    run(contacts.add_group, "Old Friends", people("amy@example.org"))
    choir = 'ben@example.org, "Ñandú, Zoë" <zoe@example.org>'
    for typed, written in (
        ("Choir", choir),
        ("choir", choir),
        ('"CHOIR"', choir),
        ("x@example.org, Choir", f"x@example.org, {choir}"),
        ("Choir; old  friends\r\ny@example.org", f"{choir}; amy@example.org\r\ny@example.org"),
        ("Choir,Choir", f"{choir},{choir}"),
        ("Choi", "Choi"),
        ("Choir <x@example.org>", "Choir <x@example.org>"),
        ('"Choir, x" <x@example.org>', '"Choir, x" <x@example.org>'),
        ("", ""),
        (" , ;", " , ;"),
        ('"open, Choir', '"open, Choir'),
        ("Choir" * 30_000, "Choir" * 30_000),
    ):
        assert run(contacts.expand, typed) == written, typed[:50]
    assert [one.email for one in parse_recipients(run(contacts.expand, "Choir"))] == [
        "ben@example.org",
        "zoe@example.org",
    ]


def test_no_group_no_look_up(run, web_app):
    def look(keys):
        statements = []
        connection = db.session.connection().connection.driver_connection
        plain = connection.execute
        connection.execute = lambda *values: statements.append(1) or plain(*values)
        try:
            assert (
                contacts.expand(keys, "Ann <ann@example.org>, b@example.org")
                == "Ann <ann@example.org>, b@example.org"
            )
            assert statements == []
            contacts.expand(keys, "Choir")
            assert statements, "it would be seen"
        finally:
            del connection.execute

    run(look)


# --- files ---------------------------------------------------------------------------------------------------------------


def a_card(*lines):
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""]).encode()


def test_out_and_in_again(run, opened, ann, ben, superuser):
    run(contacts.add, ZOE)
    run(contacts.add, Details("", ("b@example.org",)))
    run(contacts.learn, people("learned@example.org"))
    run(contacts.add_group, "Choir", people("zoe@example.org, b@example.org"))
    content = run(contacts.export)
    assert content.startswith(b"BEGIN:VCARD\r\nVERSION:4.0\r\n")
    assert b"learned" not in content
    taken = opened(ben, lambda keys: contacts.take_in(keys, content))
    assert (taken.new, taken.merged, taken.unchanged, taken.groups, taken.left_out) == (2, 0, 0, 1, {})
    assert opened(ben, contacts.export).replace(b"N:b@example.org;;;;\r\n", b"") == content
    again = opened(ben, lambda keys: contacts.take_in(keys, content))
    assert (again.new, again.merged, again.unchanged) == (0, 0, 2)
    assert run(contacts.take_in, content).new == 0
    ident = run(contacts.search, "zoe").entries[0].contact_id
    assert run(contacts.export, ident).count(b"BEGIN:VCARD") == 1


def test_a_card_whose_address_is_known_is_merged(run):
    ident = run(contacts.add, ZOE)
    taken = run(
        contacts.take_in,
        a_card("FN:Z", "EMAIL:new@example.org", "EMAIL:ZOE@example.org", "TEL:+1", "NOTE:Tall", "ORG:Other"),
    )
    assert (taken.new, taken.merged) == (0, 1)
    told = run(contacts.details, ident)
    assert told == Details(
        ZOE.name,
        (*ZOE.addresses, "new@example.org"),
        ("+44 20", "+1"),
        ZOE.organisation,
        ZOE.notes + "\n\nTall",
    )


def test_cards_of_one_person_in_one_file_are_one_contact(run):
    content = (
        a_card("FN:Zoe", "EMAIL:a@example.org")
        + a_card("FN:Zoe N", "EMAIL:A@example.org", "EMAIL:b@example.org")
        + a_card("FN:Zed", "EMAIL:b@example.org")
    )
    taken = run(contacts.take_in, content)
    assert taken.new == 1
    [entry] = run(contacts.page, None, 10).entries
    assert (entry.name, entry.addresses) == ("Zoe", ("a@example.org", "b@example.org"))


def test_contacts_that_a_card_ties_together_stay_two(run):
    one, two = (
        run(contacts.add, Details("One", ("1@example.org",))),
        run(contacts.add, Details("Two", ("2@example.org",))),
    )
    run(contacts.take_in, a_card("FN:X", "EMAIL:2@example.org", "EMAIL:1@example.org"))
    assert run(contacts.details, one).addresses == ("1@example.org",)
    assert run(contacts.details, two).addresses == ("2@example.org",)


def test_a_file_keeps_those_who_were_learned(run):
    run(contacts.learn, people("zoe@example.org, z2@example.org"))
    taken = run(contacts.take_in, a_card("FN:Zoe", "EMAIL:zoe@example.org", "EMAIL:z2@example.org"))
    [entry] = run(contacts.page, None, 10).entries
    assert (entry.name, entry.written, entry.addresses) == ("Zoe", 2, ("zoe@example.org", "z2@example.org"))
    assert (taken.merged, run(contacts.total)) == (1, (1, 0))


def test_what_is_left_out_is_told(run):
    content = (
        a_card("FN:No mail", "TEL:1")
        + a_card("FN:Bad", "EMAIL:not an address")
        + a_card("FN:Ok", "EMAIL:ok@example.org", "PHOTO:x", "ADR:;;x")
    )
    taken = run(contacts.take_in, content)
    assert (taken.new, taken.left_out, taken.properties) == (
        1,
        {"no-address": 1, "bad-address": 1},
        {"PHOTO": 1, "ADR": 1},
    )
    assert run(contacts.take_in, b"nothing").problems == ("no-cards",)


def test_groups_and_categories_of_a_file(run):
    content = a_card("FN:Ann", "UID:1", "EMAIL:a@example.org", "CATEGORIES:Choir,No\\, commas") + a_card(
        "FN:Ben", "UID:2", "EMAIL:b@example.org"
    )
    content += a_card(
        "KIND:group", "FN:choir", "MEMBER:urn:uuid:2", "MEMBER:mailto:nobody@example.org", "MEMBER:urn:uuid:9"
    )
    assert run(contacts.take_in, content).groups == 2
    assert run(contacts.take_in, content).groups == 2
    assert [(line.name, line.count) for line in run(contacts.groups)] == [("Choir", 2), ("No commas", 1)]


@pytest.mark.slow
def test_the_largest_file_is_taken_in_in_time(run, opened, ann):
    content = vcard.write(
        [
            vcard.Card(f"Given{n} Family{n}", (f"given.family{n}@company{n % 300}.example",), notes="x" * 50)
            for n in range(5000)
        ]
    )
    began = time.process_time()
    assert run(contacts.take_in, content).new == 5000
    taking = time.process_time() - began
    began = time.process_time()
    assert len(run(contacts.page, None, 100).entries) == 100
    assert taking < 10
    assert time.process_time() - began < 1


# --- walls ---------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_person_can_be_read_from_the_database(run, superuser):
    run(
        contacts.add,
        Details("Canary Name", ("canary@example.org",), ("+44canary",), "Canary Org", "canary notes"),
    )
    run(contacts.add_group, "Canary Group", people("Canary Two <canary2@example.org>"))
    run(contacts.learn, people("Canary Three <canary3@example.org>"))
    for table in ("contact", "contact_handle", "contact_beginning", "contact_member"):
        rows = superuser.execute(text(f"SELECT * FROM {table}")).all()
        assert rows, table
        for row in rows:
            told = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
            assert b"anary" not in told
            assert b"example" not in told


def test_another_mailbox_has_other_tokens_and_sees_nobody(run, opened, ann, ben, superuser):
    ident = run(contacts.add, ZOE)
    opened(ben, lambda keys: contacts.add(keys, Details("Zoë Ñandú", ZOE.addresses)))
    tokens = superuser.execute(text("SELECT token FROM contact_handle")).scalars().all()
    assert len(set(tokens)) == 4
    beginnings = superuser.execute(text("SELECT mailbox_id, beginning FROM contact_beginning")).all()
    assert len({row.beginning for row in beginnings}) == len(beginnings)
    for verb in (
        contacts.load,
        contacts.details,
        contacts.remove,
        contacts.restore,
        contacts.keep,
        contacts.export,
    ):
        with pytest.raises(NotFound):
            opened(ben, lambda keys, verb=verb: verb(keys, ident))
    with pytest.raises(NotFound):
        opened(ben, lambda keys: contacts.change(keys, ident, ZOE))


def test_a_sealed_value_opens_in_its_own_place(run, superuser):
    one, two = run(contacts.add, ZOE), run(contacts.add, Details("Two", ("two@example.org",), notes="x"))
    superuser.execute(
        text(
            "UPDATE contact SET head = (SELECT head FROM contact WHERE contact_id = :two) WHERE contact_id = :one"
        ),
        {"one": one, "two": two},
    )
    with pytest.raises(Tampered):
        run(contacts.load, one)


@pytest.mark.parametrize(
    "nonsense",
    [
        "UPDATE contact SET kind = 'robot'",
        "UPDATE contact SET state = 'lost'",
        "UPDATE contact SET head = ''",
        "UPDATE contact_handle SET token = ''",
        "UPDATE contact_handle SET written = -1",
        "UPDATE contact_handle SET number = 101",
        "UPDATE contact_beginning SET beginning = 'zoe'",
        "UPDATE contact_member SET contact_id = group_id",
        "UPDATE contact_member SET contact_id = 1",
        "UPDATE contact SET state = 'learned' WHERE kind = 'group'",
        "UPDATE contact_handle SET contact_id = 1",
    ],
)
def test_the_database_refuses_nonsense(run, superuser, nonsense):
    run(contacts.add_group, "Choir", people("zoe@example.org"))
    with pytest.raises(IntegrityError):
        superuser.execute(text(nonsense))


TABLES = (
    "contact",
    "contact_handle",
    "contact_beginning",
    "contact_member",
    "sender_identity",
    "vacation",
    "vacation_answer",
)


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize("table", TABLES)
def test_a_transaction_that_names_another_mailbox_or_none_sees_nothing(run, database, ann, ben, role, table):
    run(contacts.add_group, "Choir", people("zoe@example.org"))
    run(identities.keep, identities.Identity(-1, "x", ann.address))
    run(vacation.set_to, vacation.Vacation(True, text="x"))
    assert run(vacation.allowed, "zoe@example.org", "zoe@example.org")
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection:
        seen = [connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()]
        for person in (ben, ann):
            connection.execute(
                text("SELECT set_config('mtumail.mailbox', :m, true)"), {"m": str(person.mailbox_id)}
            )
            seen.append(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar())
    engine.dispose()
    assert seen[:2] == [0, 0]
    assert seen[2] > 0


@pytest.mark.parametrize("table", TABLES)
def test_inbound_reads_none_of_it(database, ann, table):
    engine = create_engine(database.urls["inbound"], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(f"SELECT * FROM {table}"))
    engine.dispose()


@pytest.mark.parametrize("statement", ["DELETE FROM vacation", "DELETE FROM sender_identity"])
def test_a_worker_does_not_decide_what_is_answered_or_who_sends(database, ann, statement):
    engine = create_engine(database.urls["worker"], poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(statement))
    engine.dispose()


def test_a_worker_changes_answers_of_the_named_mailbox_alone(database, ann, superuser):
    """An import brings them back; without a mailbox named there is nobody's to change."""
    superuser.execute(
        text("INSERT INTO vacation (mailbox_id, is_on, sealed) VALUES (:m, true, :s)"),
        {"m": ann.mailbox_id, "s": bytes(64)},
    )
    engine = create_engine(database.urls["worker"], poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("UPDATE vacation SET is_on = false")).rowcount == 0
    engine.dispose()


def test_two_at_once_make_nobody_twice(run, web_app, master, ann, superuser):
    problems = []

    def learn():
        try:
            with web_app.app_context(), transaction(ann.mailbox_id):
                keys = open_mailbox(master, ann.mailbox_id, OwnerSession(ann.account_id))
                contacts.learn(keys, people("zoe@example.org, ben@example.org, amy@example.org"))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=learn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert superuser.execute(text("SELECT count(*), min(written) FROM contact_handle")).one() == (3, 6)
    assert count(superuser, "contact") == 3


def test_learning_takes_a_few_statements_however_many_people(run, web_app):
    statements = []
    with web_app.app_context():
        engine = db.engine
    listener = lambda *values: statements.append(values[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", listener)
    try:
        run(contacts.learn, [Address(f"n{n}", "example.org") for n in range(100)])
    finally:
        event.remove(engine, "before_cursor_execute", listener)
    assert 0 < len(statements) <= 10
