"""The audit log: it only grows, and whoever changes it behind the database's back is found out."""

import json
import threading
from hashlib import sha256

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import audit
from webmail.db import db, transaction

EVENTS = 6  # what `log` holds


def test_an_untouched_log_holds(log, verified, superuser):
    assert verified() == (EVENTS, None)
    rows = superuser.execute(text("SELECT number, kind, actor, entry FROM audit_event ORDER BY number")).all()
    assert [row.number for row in rows] == list(range(1, EVENTS + 1))
    entry = json.loads(rows[2].entry)
    assert entry["facts"] == {"mailbox": 3, "note": "Zoë & 日本"}
    assert (entry["number"], entry["kind"], entry["actor"]) == (3, rows[2].kind, rows[2].actor)


def test_an_empty_log_holds(empty, verified):
    assert verified() == (0, None)


def test_a_log_can_be_verified_from_a_known_event_on(log, verified):
    assert verified(since=4) == (3, None)


def test_the_hashes_are_those_that_anybody_can_compute(log, superuser):
    """RFC 6962 section 2.1 for the leaf; each link of the chain takes the one before it in."""
    chain = bytes(32)
    for row in superuser.execute(text("SELECT entry, leaf, chain FROM audit_event ORDER BY number")):
        leaf = sha256(b"\x00" + row.entry.encode()).digest()
        chain = sha256(b"\x01" + chain + leaf).digest()
        assert (bytes(row.leaf), bytes(row.chain)) == (leaf, chain)


REHASHED = "leaf = sha256('\\x00'::bytea || convert_to(entry, 'UTF8'))"


@pytest.mark.parametrize(
    ("statements", "number", "what"),
    [
        pytest.param(["UPDATE audit_event SET entry = replace(entry, '\"mailbox\": 3', '\"mailbox\": 5') WHERE number = 3"], 3, "was changed", id="changed"),
        pytest.param(["UPDATE audit_event SET entry = entry || ' ' WHERE number = 6"], 6, "was changed", id="a blank added to the last"),
        pytest.param(
            ["UPDATE audit_event SET entry = replace(entry, '\"mailbox\": 3', '\"mailbox\": 5') WHERE number = 3", f"UPDATE audit_event SET {REHASHED} WHERE number = 3"],
            3, "does not follow", id="changed and its own hash made new",
        ),
        pytest.param(
            [
                "UPDATE audit_event SET entry = replace(entry, '\"mailbox\": 3', '\"mailbox\": 5') WHERE number = 3",
                f"UPDATE audit_event SET {REHASHED} WHERE number = 3",
                "UPDATE audit_event e SET chain = sha256('\\x01'::bytea || p.chain || e.leaf) FROM audit_event p WHERE e.number = 3 AND p.number = 2",
            ],
            4, "does not follow", id="changed and both its hashes made new",
        ),
        pytest.param(["DELETE FROM audit_event WHERE number = 3"], 3, "is missing", id="removed"),
        pytest.param(["DELETE FROM audit_event WHERE number = 1"], 1, "is missing", id="the first removed"),
        pytest.param(
            ["DELETE FROM audit_event WHERE number = 3", "UPDATE audit_event SET number = -number WHERE number > 3; UPDATE audit_event SET number = -number - 1 WHERE number < 0"],
            3, "does not follow", id="removed and the rest moved up",
        ),
        pytest.param(
            ["UPDATE audit_event SET number = 99 WHERE number = 3", "UPDATE audit_event SET number = 3 WHERE number = 4", "UPDATE audit_event SET number = 4 WHERE number = 99"],
            3, "does not follow", id="reordered",
        ),
        pytest.param(
            [
                "UPDATE audit_event SET number = number + 100 WHERE number > 3", "UPDATE audit_event SET number = number - 99 WHERE number > 100",
                "INSERT INTO audit_event SELECT 4, at - interval '1 s', kind, actor, entry, leaf, chain, case_id, nodes FROM audit_event WHERE number = 3",
            ],
            4, "does not follow", id="a copy inserted",
        ),
        pytest.param(["INSERT INTO audit_event SELECT 7, at + interval '1 s', kind, actor, entry, leaf, chain, case_id, nodes FROM audit_event WHERE number = 6"], 7, "does not follow", id="a copy appended"),
        pytest.param(
            ["INSERT INTO audit_event SELECT 0, at - interval '1 s', kind, actor, entry, leaf, chain, case_id, nodes FROM audit_event WHERE number = 1"], 0, "slipped in", id="inserted before the first",
        ),
        pytest.param(["UPDATE audit_event SET actor = 'account:5' WHERE number = 2"], 2, "columns", id="the actor's column edited"),
        pytest.param(["UPDATE audit_event SET kind = 'mailbox.closed' WHERE number = 2"], 2, "columns", id="the kind's column edited"),
        pytest.param(["UPDATE audit_event SET at = at + interval '1 microsecond' WHERE number = 2"], 2, "columns", id="the time's column edited"),
        pytest.param(["UPDATE audit_event SET case_id = 7 WHERE number = 2"], 2, "columns", id="the case's column edited"),
        pytest.param(["UPDATE audit_event SET nodes = sha256('x') WHERE number = 6"], 6, "wrong place in the tree", id="a node of the tree edited"),
        pytest.param(["UPDATE audit_event SET nodes = nodes || nodes WHERE number = 6"], 6, "wrong place in the tree", id="a node of the tree added"),
        pytest.param(["UPDATE audit_event SET entry = NULL, actor = NULL WHERE number = 5"], 5, "lost its detail", id="its words taken away"),
        pytest.param(["UPDATE audit_event SET leaf = sha256('x') WHERE number = 5"], 5, "was changed", id="the leaf edited"),
        pytest.param(["UPDATE audit_event SET chain = sha256('x') WHERE number = 6"], 6, "does not follow", id="the last link edited"),
    ],
)  # fmt: skip
def test_what_a_superuser_did_is_found(log, verified, tamper, statements, number, what):
    tamper(*statements)
    _read, fault = verified()
    assert fault is not None
    assert fault.number == number
    assert what in fault.what


def test_a_cut_tail_is_missed_but_seen_against_a_number_kept_elsewhere(log, verified, tamper):
    """What a chain alone cannot show, and the docstring says so."""
    tamper("DELETE FROM audit_event WHERE number > 4")
    assert verified() == (4, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'x'",
        "DELETE FROM audit_event",
        "DELETE FROM audit_event WHERE number = 99",
        "TRUNCATE audit_event",
    ],
)
def test_the_owner_of_the_tables_is_refused(log, owner_app, verified, statement):
    with (
        owner_app.app_context(),
        pytest.raises(DBAPIError, match=r"append-only|permission denied"),
        transaction() as session,
    ):
        session.execute(text(statement))
    assert verified() == (EVENTS, None)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event CASCADE"],
)
def test_even_a_superuser_is_refused_while_the_triggers_are_awake(log, superuser, verified, statement):
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.exec_driver_sql(statement)
    assert verified() == (EVENTS, None)


@pytest.mark.parametrize("kind", ["Mailbox.created", "mailbox", "mailbox created", ".created", ""])
def test_a_kind_is_a_dotted_name(log, owner_app, verified, kind):
    with (
        owner_app.app_context(),
        pytest.raises(DBAPIError, match="audit_event_kind_is_dotted"),
        transaction() as session,
    ):
        session.execute(text("SELECT audit_append(:kind, 'system:tests', '{}')"), {"kind": kind})
    assert verified() == (EVENTS, None)


def _append_and_fail() -> None:
    with transaction() as session:
        assert audit.record("mailbox.created", "system:tests") == EVENTS + 1
        session.execute(text("SELECT 1 / 0"))


def test_what_is_rolled_back_leaves_no_gap(log, owner_app, verified):
    with owner_app.app_context():
        with pytest.raises(DBAPIError, match="division by zero"):
            _append_and_fail()
        with transaction():
            assert audit.record("mailbox.created", "system:tests") == EVENTS + 1
    assert verified() == (EVENTS + 1, None)


@pytest.mark.slow
def test_P16_eight_who_write_at_once_make_one_log(log, owner_app, verified):
    """1 600 events of eight writers, some of whom change their minds: numbers without gaps, and one tree."""
    failures, kept = [], []

    def write(writer: int) -> None:
        try:
            with owner_app.app_context():
                for turn in range(200):
                    try:
                        with transaction():
                            number = audit.record("mailbox.created", f"system:tests{writer}", mailbox=turn)
                            if turn % 20 == writer:
                                raise LookupError
                        kept.append(number)
                    except LookupError:
                        pass
                db.session.remove()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len(kept) == 8 * 190
    assert sorted(kept) == list(range(EVENTS + 1, EVENTS + 1 + len(kept)))
    assert verified() == (EVENTS + len(kept), None)


def test_a_clock_that_was_put_back_changes_no_order(log, owner_app, tamper, rehash, superuser, verified):
    tamper("UPDATE audit_event SET at = at + interval '1 hour', entry = regexp_replace(entry, '\"at\": \"[^\"]*\"',"
           " '\"at\": \"' || to_char((at + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') || '\"')"
           " WHERE number = 6")  # fmt: skip
    rehash()
    with owner_app.app_context(), transaction():
        audit.record("mailbox.created", "system:tests")
    order = superuser.execute(text("SELECT number FROM audit_event ORDER BY at")).scalars().all()
    assert order == list(range(1, EVENTS + 2))
    assert verified() == (EVENTS + 1, None)
