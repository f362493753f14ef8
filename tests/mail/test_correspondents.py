"""Who has written to whom: counts and rules that survive concurrency, and no address that can be read."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from webmail.db import db
from webmail.errors import NotFound
from webmail.mail import correspondents
from webmail.mail.correspondents import Known
from webmail.mail.trust import Acquaintance

ZOE = "Zoë@Example.ORG"


@pytest.fixture
def run(opened, ann):
    """Call a verb with Ann's mailbox open."""
    return lambda verb, *values: opened(ann, lambda keys: verb(keys, *values))


def counts(known: Known) -> tuple[int, int]:
    return known.received, known.sent


def test_a_stranger_is_not_known(run):
    assert run(correspondents.known, ZOE) == Known()


def test_mail_is_counted_both_ways_whatever_the_spelling(run):
    run(correspondents.wrote, ZOE)
    run(correspondents.wrote, "zoë@example.org")
    run(correspondents.written_to, ["ZOË@EXAMPLE.org", "zoë@example.org", "ben@example.org"])
    assert counts(run(correspondents.known, ZOE)) == (2, 1)
    assert counts(run(correspondents.known, "ben@example.org")) == (0, 1)
    assert counts(run(correspondents.known, "zoë+tag@example.org")) == (0, 0)


def test_nobody_to_count_is_nothing_to_do(run):
    run(correspondents.written_to, [])
    assert run(correspondents.known_all, []) == []


def test_many_are_known_at_once_in_their_order(run):
    run(correspondents.wrote, "a@example.org")
    run(correspondents.written_to, ["b@example.org"])
    known = run(
        correspondents.known_all, ["b@example.org", "c@example.org", "a@example.org", "b@example.org"]
    )
    assert [counts(one) for one in known] == [(0, 1), (0, 0), (1, 0), (0, 1)]


def test_the_first_message_is_told_from_later_ones_when_it_is_opened_again(run):
    came_in = datetime.now(UTC) - timedelta(seconds=2)
    run(correspondents.wrote, ZOE)
    assert run(correspondents.known, ZOE).before(came_in) == Acquaintance(0, 0)
    run(correspondents.wrote, ZOE)
    known = run(correspondents.known, ZOE)
    assert known.before(came_in) == Acquaintance(0, 0)
    assert known.before(datetime.now(UTC)) == Acquaintance(1, 0)
    assert Known().before(came_in) == Acquaintance(0, 0)


def test_a_block_beats_pictures_and_gives_them_back(run):
    run(correspondents.allow_pictures, ZOE, True)
    assert run(correspondents.known, ZOE).pictures
    assert [rule.address for rule in run(correspondents.with_pictures)] == ["zoë@example.org"]
    run(correspondents.block, ZOE)
    known = run(correspondents.known, ZOE)
    assert (known.pictures, known.blocked) == (False, True)
    assert run(correspondents.with_pictures) == []
    assert [rule.address for rule in run(correspondents.blocked)] == ["zoë@example.org"]
    run(correspondents.unblock, ZOE)
    known = run(correspondents.known, ZOE)
    assert (known.pictures, known.blocked) == (True, False)
    assert run(correspondents.blocked) == []


def test_the_address_is_kept_no_longer_than_a_rule_needs_it(run, superuser):
    kept = "SELECT count(*) FROM correspondent WHERE sealed IS NOT NULL"
    run(correspondents.wrote, ZOE)
    assert superuser.execute(text(kept)).scalar() == 0
    run(correspondents.block, ZOE)
    run(correspondents.allow_pictures, ZOE, True)
    run(correspondents.unblock, ZOE)
    assert superuser.execute(text(kept)).scalar() == 1
    run(correspondents.allow_pictures, ZOE, False)
    assert superuser.execute(text(kept)).scalar() == 0
    assert counts(run(correspondents.known, ZOE)) == (1, 0)


def test_rules_may_be_set_and_taken_back_twice(run, superuser):
    run(correspondents.unblock, ZOE)
    run(correspondents.allow_pictures, ZOE, False)
    assert superuser.execute(text("SELECT count(*) FROM correspondent")).scalar() == 0
    run(correspondents.block, ZOE)
    first = superuser.execute(text("SELECT blocked_at, sealed FROM correspondent")).one()
    run(correspondents.block, ZOE)
    assert superuser.execute(text("SELECT blocked_at, sealed FROM correspondent")).one() == first


def test_a_rule_is_found_by_its_ident_in_its_own_mailbox_alone(run, opened, ben):
    run(correspondents.block, ZOE)
    [rule] = run(correspondents.blocked)
    assert run(correspondents.address_of, rule.ident) == "zoë@example.org"
    for wrong in ("", "zz", "00" * 16, rule.ident[:-2], rule.ident + "00"):
        with pytest.raises(NotFound):
            run(correspondents.address_of, wrong)
    with pytest.raises(NotFound):
        opened(ben, lambda keys: correspondents.address_of(keys, rule.ident))


def test_rules_are_listed_in_order_of_addresses(run):
    for name in ("c", "a", "b"):
        run(correspondents.block, f"{name}@example.org")
    assert [rule.address[0] for rule in run(correspondents.blocked)] == ["a", "b", "c"]


def test_nothing_readable_and_nothing_comparable_across_mailboxes(run, opened, ben, superuser):
    run(correspondents.block, "canary@example.org")
    opened(ben, lambda keys: correspondents.block(keys, "canary@example.org"))
    rows = superuser.execute(
        text("SELECT correspondent::text AS line, token, sealed FROM correspondent")
    ).all()
    assert len(rows) == 2
    assert rows[0].token != rows[1].token
    for row in rows:
        assert b"canary" not in bytes(row.token) + bytes(row.sealed)
        assert "canary" not in row.line


def test_others_see_nothing_of_it(run, opened, ben):
    run(correspondents.wrote, ZOE)
    run(correspondents.block, ZOE)
    assert opened(ben, lambda keys: correspondents.known(keys, ZOE)) == Known()
    assert opened(ben, correspondents.blocked) == []


def test_counts_are_exact_beside_others(run):
    """Ten at once, each to the same people in another order: no deadlock, no lost count."""
    people = [f"p{number}@example.org" for number in range(6)]
    failed: list[BaseException] = []

    def write(turn: int) -> None:
        try:
            run(correspondents.written_to, people[turn % 6 :] + people[: turn % 6])
            run(correspondents.wrote, people[0])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(turn,)) for turn in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert [counts(one) for one in run(correspondents.known_all, people)] == [(10, 10)] + [(0, 10)] * 5


def test_odd_addresses_are_counted_too(run):
    for odd in ("", "postmaster", "a@[192.0.2.1]", "\ud800@example.org", "x\0y@example.org", "a" * 9000):
        run(correspondents.wrote, odd)
        run(correspondents.block, odd)
        assert run(correspondents.known, odd).received == 1
    assert len(run(correspondents.blocked)) == 6


@pytest.mark.parametrize(
    ("verb", "index"),
    [
        (lambda keys: correspondents.known(keys, ZOE), "correspondent_key"),
        (lambda keys: correspondents.allow_pictures(keys, ZOE, False), "correspondent_key"),
        (correspondents.blocked, "correspondent_with_a_rule"),
        (correspondents.with_pictures, "correspondent_with_a_rule"),
    ],
)
def test_each_verb_reads_by_an_index(run, verb, index):
    """The plan of the statement that the verb really sends, with other mail's correspondents in the table."""

    def explain(keys) -> str:
        for number in range(300):
            correspondents.wrote(keys, f"p{number}@example.org")
        correspondents.block(keys, ZOE)
        connection = db.session.connection()
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        sent: list[tuple[str, object]] = []
        listen = lambda _c, _cursor, statement, values, _context, _many: sent.append((statement, values))  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listen)
        quick = correspondents.rows
        correspondents.rows = lambda sql, values: [sent.append((sql, values)), quick(sql, values)][1]
        try:
            verb(keys)
        finally:
            correspondents.rows = quick
            event.remove(db.engine, "before_cursor_execute", listen)
        [(statement, values)] = sent
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())

    plan = run(explain)
    assert index in plan
    assert "Seq Scan" not in plan
