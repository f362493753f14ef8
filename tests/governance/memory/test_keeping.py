"""The memory of abuse: opens for who holds an identifier, for an open case, and never unseen."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.governance.memory import keeping
from webmail.privacy import retention

FACTS = {"actions": "warn, no_sending", "rule": "spam"}


@pytest.fixture
def remembered(ann, worker, master) -> int:
    with worker.app_context(), transaction():
        return keeping.remember(
            master, ["ann@mtumail.test", "Ann.W@elsewhere.example", "user_ann00000000", " "], FACTS
        )


@pytest.fixture
def look(desk, master):
    def run(who, identifier, case=None):
        with desk.staff():
            return keeping.look(master, identifier, case or desk.case("spam"), by=who.account_id)

    return run


@pytest.mark.parametrize(
    "known", ["ann@mtumail.test", "ANN+shop@mtumail.test", "ann.w@Elsewhere.example", "user_ann00000000"]
)
def test_P19_any_identifier_that_is_known_opens_the_file(remembered, look, sam, known):
    [[found], refusal] = look(sam, known)
    assert refusal == ""
    assert found.facts == FACTS
    assert "ann@mtumail.test" in found.identifiers


def test_P19_who_knows_none_learns_nothing_and_is_written_down(remembered, look, sam, desk):
    case = desk.case("spam")
    assert look(sam, "annie@mtumail.test", case) == ([], "")
    [entry] = desk.events("memory.looked_up")
    assert (entry["facts"]["case"], entry["facts"]["found"]) == (case, 0)
    assert "annie" not in str(entry)


def test_P19_a_look_needs_the_role_and_an_open_case(remembered, look, sam, rex, ben, desk, superuser):
    assert look(rex, "ann@mtumail.test") == ([], "role")
    assert look(ben, "ann@mtumail.test") == ([], "role")
    assert look(sam, "ann@mtumail.test", 4711) == ([], "case-closed")
    assert look(sam, "  ") == ([], "address")
    assert len(desk.events("memory.denied")) == 3


def test_P19_the_rows_tell_nothing_by_themselves(remembered, superuser):
    [(sealed,)] = superuser.execute(text("SELECT sealed FROM abuse_memory")).all()
    rows = superuser.execute(text("SELECT handle, wrapped FROM abuse_memory_handle")).all()
    assert len(rows) == 3
    for piece in (sealed, *[bytes(one) for row in rows for one in row]):
        assert b"ann" not in bytes(piece)
        assert b"spam" not in bytes(piece)


@pytest.mark.parametrize("before", ["SELECT 1", "SET LOCAL ROLE mtumail_staff"])
@pytest.mark.parametrize("role", ["web", "worker", "inbound"])
def test_P19_nobody_lists_the_memory(database, role, before):
    if role != "web" and before != "SELECT 1":
        before = "SELECT 2"  # the staff's role is the web's alone
    engine = create_engine(database.urls[role], poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(before))
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT handle FROM abuse_memory_handle"))
    engine.dispose()


def test_P19_a_file_that_nobody_could_open_is_not_kept(worker, master, empty):
    with worker.app_context(), transaction(), pytest.raises(ValueError, match="nobody can open"):
        keeping.remember(master, ["", "  "], FACTS)


def test_P25_the_memory_ends_with_its_setting(remembered, worker, superuser):
    rule = retention.find("memory")
    assert rule is not None
    superuser.execute(text("UPDATE abuse_memory SET kept_at = now() - interval '731 days'"))
    with worker.app_context(), transaction():
        assert retention.preview(rule).count == 1
        run = retention.go_on(retention.begin(rule))
    assert run.is_all
    assert superuser.execute(text("SELECT count(*) FROM abuse_memory_handle")).scalar() == 0
