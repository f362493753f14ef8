"""Whom an event is about is a commitment in it: found by that person, forgotten with that person, and the tree holds."""

import json
from hashlib import sha256

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import audit
from webmail.db import transaction

ANN, BEN = 4711, 4712


@pytest.fixture
def told(log, web_app):
    """Three events: about Ann, about Ann and Ben, about Ben; their numbers."""
    with web_app.app_context(), transaction():
        return [
            audit.record("role.granted", "account:1", about=ANN, role="support"),
            audit.record("role.granted", "account:1", about=(ANN, BEN, ANN), role="admin"),
            audit.record("role.granted", "account:1", about=BEN, role="reviewer"),
        ]


@pytest.fixture
def about(web_app):
    def ask(account: int, **values):
        with web_app.app_context(), transaction():
            return audit.about(account, **values)

    return ask


def test_P11_a_person_finds_what_is_about_them_and_nothing_else(told, about):
    first, both, last = told
    assert [one.number for one in about(ANN)] == [both, first]
    assert [one.number for one in about(BEN)] == [last, both]
    assert about(99) == []
    assert [one.number for one in about(ANN, before=both)] == [first]
    assert [one.number for one in about(ANN, limit=1)] == [both]
    one = about(ANN)[1]
    assert (one.kind, one.actor, one.facts) == ("role.granted", "account:1", {"role": "support"})


def test_an_entry_names_nobody_whom_it_is_about(told, superuser):
    rows = superuser.execute(
        text("SELECT number, entry FROM audit_event WHERE number = ANY(:n)"), {"n": told}
    ).all()
    for row in rows:
        assert str(ANN) not in row.entry
        assert str(BEN) not in row.entry
    entry = json.loads(rows[1].entry)
    subjects = superuser.execute(
        text("SELECT account_id, salt, commitment FROM audit_subject WHERE number = :n"), {"n": told[1]}
    ).all()
    assert {row.account_id for row in subjects} == {ANN, BEN}
    for row in subjects:
        made = sha256(bytes(row.salt) + f"account:{row.account_id}".encode()).digest()
        assert made == bytes(row.commitment)
        assert made.hex() in entry["about"]
    assert len({bytes(row.salt) for row in superuser.execute(text("SELECT salt FROM audit_subject"))}) == 4


def test_P23_who_is_forgotten_is_in_no_event_and_every_hash_still_holds(
    told, worker, about, examined, superuser, checkpoint
):
    note = checkpoint()
    before = superuser.execute(text("SELECT number, entry, leaf FROM audit_event ORDER BY 1")).all()
    with worker.app_context(), transaction():
        assert audit.forget(ANN) == 2
    with worker.app_context(), transaction():
        assert audit.forget(ANN) == 0
    assert about(ANN) == []
    assert [one.number for one in about(BEN)] == [told[2], told[1]]
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_subject WHERE account_id = :a"), {"a": ANN}
        ).scalar()
        == 0
    )
    after = superuser.execute(text("SELECT number, entry, leaf FROM audit_event ORDER BY 1")).all()
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert not any(f"account:{ANN}" in row.entry or f": {ANN}" in row.entry for row in after)
    assert examined(notes=(note,)).faults == []


@pytest.mark.parametrize("role", ["web_app", "owner_app", "worker"])
def test_a_commitment_is_not_changed(told, request, role):
    app = request.getfixturevalue(role)
    with (
        app.app_context(),
        pytest.raises(DBAPIError, match=r"append-only|permission denied"),
        transaction() as session,
    ):
        session.execute(text(f"UPDATE audit_subject SET account_id = {BEN} WHERE account_id = {ANN}"))


def test_the_database_refuses_a_commitment_that_does_not_hold(told, superuser):
    with pytest.raises(DBAPIError, match="audit_subject_commitment_holds"):
        superuser.execute(
            text(f"INSERT INTO audit_subject VALUES (5, {told[0]}, '\\x{'00' * 32}', '\\x{'00' * 32}')")
        )


# --- what is sealed ------------------------------------------------------------------------------------------------------


BODY = b"Order 12/2026 of the court of Somewhere"


@pytest.fixture
def sealed(log, web_app, master):
    """An event about Ann under a gag; its number."""
    with web_app.app_context(), transaction():
        return audit.seal(master, "access.opened", "account:1", BODY, about=ANN, case=7)


def test_P09_a_sealed_event_has_its_place_and_says_nothing(sealed, about, superuser, examined):
    assert about(ANN) == [], "the gag forbids to say that there is one"
    row = superuser.execute(
        text("SELECT entry, case_id FROM audit_event WHERE number = :n"), {"n": sealed}
    ).one()
    assert "court" not in row.entry
    assert row.case_id == 7
    kept = superuser.execute(text("SELECT commitment, sealed FROM audit_sealed")).one()
    assert json.loads(row.entry)["sealed"] == bytes(kept.commitment).hex()
    assert b"court" not in bytes(kept.sealed)
    assert examined().faults == []


def test_P09_what_was_sealed_is_opened_at_its_place(
    sealed, append, worker, master, about, superuser, examined, checkpoint
):
    append(2)
    note = checkpoint()
    with worker.app_context(), transaction():
        assert audit.unseal(master, sealed) == BODY
    with worker.app_context(), transaction():
        assert audit.unseal(master, sealed) == BODY
    [one] = about(ANN)
    assert (one.number, one.opened) == (sealed, BODY)
    row = superuser.execute(
        text("SELECT o.salt, s.commitment FROM audit_opened o JOIN audit_sealed s USING (number)")
    ).one()
    assert sha256(bytes(row.salt) + BODY).digest() == bytes(row.commitment)
    kinds = (
        superuser.execute(text("SELECT kind FROM audit_event ORDER BY number DESC LIMIT 3")).scalars().all()
    )
    assert kinds == ["audit.unsealed", "mailbox.created", "mailbox.created"], "said once"
    assert examined(notes=(note,)).faults == []


def test_nothing_else_can_be_told_in_the_place_of_what_was_sealed(sealed, worker):
    with (
        worker.app_context(),
        pytest.raises(DBAPIError, match="not what was sealed"),
        transaction() as session,
    ):
        session.execute(text(f"SELECT audit_unseal({sealed}, '\\x{'00' * 32}', 'a kinder order'::bytea)"))


@pytest.mark.parametrize("number", [1, 10**9])
def test_what_was_never_sealed_is_not_opened(sealed, worker, master, number):
    from webmail.errors import NotFound

    with worker.app_context(), pytest.raises(NotFound), transaction():
        audit.unseal(master, number)


def test_without_a_key_nothing_is_sealed(log, web_app):
    from webmail.errors import KeyTrouble

    with web_app.app_context(), pytest.raises(KeyTrouble), transaction():
        audit.record("access.opened", "account:1", sealed=BODY)


@pytest.mark.parametrize("table", ["audit_sealed", "audit_opened"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET number = number", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_what_is_sealed_stays_for_a_superuser_too(sealed, worker, master, superuser, table, verb):
    with worker.app_context(), transaction():
        audit.unseal(master, sealed)
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.exec_driver_sql(verb.format(table))
