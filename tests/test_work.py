"""Work as rows: each is claimed by one, found again when that one dies, finished only by who still holds it."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import work
from webmail.db import transaction

MINUTE, NOTHING = timedelta(minutes=1), timedelta(0)


@pytest.fixture
def add(owner_app, ann):
    def put(*items: int, kind: str = work.FILE, delay: timedelta = NOTHING) -> None:
        with owner_app.app_context(), transaction():
            for item in items:
                work.add(kind, ann.mailbox_id, item, delay)

    return put


@pytest.fixture
def worker_transaction(worker):
    """A transaction of a worker of its own: two at once are two connections."""

    @contextmanager
    def begin():
        with worker.app_context(), transaction() as session:
            yield session

    return begin


@pytest.fixture
def rows(superuser):
    def read() -> dict[int, object]:
        return {
            row.item_id: row for row in superuser.execute(text("SELECT *, due_at - now() AS wait FROM work"))
        }

    return read


def _items(claims) -> set[int]:
    return {claim.item_id for claim in claims}


def test_due_work_is_claimed_oldest_first_and_counted(add, worker_transaction, rows):
    for item in (3, 1, 2):
        add(item)
    with worker_transaction():
        first = work.claim(work.FILE, 2, MINUTE)
    assert _items(first) == {3, 1}
    assert {claim.attempts for claim in first} == {1}
    with worker_transaction():
        assert _items(work.claim(work.FILE, 5, MINUTE)) == {2}
        assert not work.claim(work.FILE, 5, MINUTE)
    found = rows()
    assert timedelta(seconds=50) < found[3].wait <= MINUTE
    assert found[3].lease == first[0].lease


def test_kinds_and_delays_are_kept_apart(add, worker_transaction):
    add(1, kind=work.SEND)
    add(2, delay=MINUTE)
    with worker_transaction():
        assert not work.claim(work.FILE, 5, MINUTE)
        assert _items(work.claim(work.SEND, 5, MINUTE)) == {1}


def test_two_at_once_never_get_the_same_and_never_wait(add, worker_transaction):
    add(1, 2, 3, 4)
    with worker_transaction() as one:
        one.execute(text("SET LOCAL lock_timeout = '1s'"))
        mine = work.claim(work.FILE, 2, MINUTE)
        with worker_transaction() as two:
            two.execute(text("SET LOCAL lock_timeout = '200ms'"))
            assert one.connection() is not two.connection()
            theirs = work.claim(work.FILE, 4, MINUTE)  # the first two are locked: passed over, not waited for
            with worker_transaction():
                assert not work.claim(work.FILE, 4, MINUTE)
    assert len(mine) == len(theirs) == 2
    assert _items(mine) | _items(theirs) == {1, 2, 3, 4}
    assert mine[0].lease != theirs[0].lease


def test_a_worker_that_dies_before_its_commit_took_nothing(add, worker_transaction, rows):
    add(1)

    def die() -> None:
        with worker_transaction():
            assert work.claim(work.FILE, 1, MINUTE)
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        die()
    assert rows()[1].attempts == 0
    with worker_transaction():
        assert _items(work.claim(work.FILE, 1, MINUTE)) == {1}


def test_a_worker_that_dies_with_its_lease_is_found_and_can_finish_nothing(add, worker_transaction, rows):
    add(1)
    with worker_transaction():
        [lost] = work.claim(work.FILE, 1, NOTHING)  # a lease that has ended
    with worker_transaction():
        [held] = work.claim(work.FILE, 1, MINUTE)
    assert held.attempts == 2
    with worker_transaction():
        assert not work.holds(lost)
        assert not work.finish(lost)
        work.again(lost, NOTHING, "late")
        work.park(lost, "late")
    row = rows()[1]
    assert (row.lease, row.parked_at, row.problem) == (held.lease, None, "")
    with worker_transaction():
        assert work.holds(held)
        assert work.finish(held)
        assert not work.finish(held)
    assert rows() == {}


def test_who_holds_keeps_it_until_the_transaction_ends(add, worker_transaction):
    add(1)
    with worker_transaction():
        [held] = work.claim(work.FILE, 1, NOTHING)
    with worker_transaction():
        assert work.holds(held)
        with worker_transaction():
            assert not work.claim(work.FILE, 1, MINUTE)  # its lease has ended, its lock has not
        assert work.finish(held)


def test_work_given_back_comes_after_its_delay(add, worker_transaction, rows):
    add(1)
    with worker_transaction():
        [held] = work.claim(work.FILE, 1, MINUTE)
        work.again(held, timedelta(hours=1), "relay-away")
    row = rows()[1]
    assert timedelta(minutes=59) < row.wait <= timedelta(hours=1)
    assert (row.lease, row.problem, row.attempts) == (None, "relay-away", 1)
    with worker_transaction():
        assert not work.holds(held)
        assert not work.claim(work.FILE, 1, MINUTE)


def test_parked_work_is_left_for_a_person(add, worker_transaction, rows, superuser):
    add(1)
    with worker_transaction():
        [held] = work.claim(work.FILE, 1, NOTHING)
        work.park(held, "poison")
    row = rows()[1]
    assert row.parked_at is not None
    assert (row.problem, row.lease) == ("poison", None)
    with worker_transaction():
        assert not work.claim(work.FILE, 1, MINUTE)
        assert not work.kinds_due()
    superuser.execute(text("UPDATE work SET parked_at = NULL"))
    with worker_transaction():
        assert _items(work.claim(work.FILE, 1, MINUTE)) == {1}


def test_the_sweeper_hears_of_kinds_that_are_due(add, worker_transaction):
    with worker_transaction():
        assert list(work.kinds_due()) == []
    add(1, kind=work.SEND)
    add(2, delay=MINUTE)
    with worker_transaction():
        assert list(work.kinds_due()) == [work.SEND]
        work.claim(work.SEND, 1, MINUTE)
    with worker_transaction():
        assert list(work.kinds_due()) == []


@pytest.mark.parametrize("problem", ["Subject: hello", "ann@example.org", "x" * 61, "Upper"])
def test_a_problem_is_a_code_and_never_words(add, worker_transaction, rows, problem):
    add(1)
    with worker_transaction():
        [held] = work.claim(work.FILE, 1, MINUTE)
    with pytest.raises(DBAPIError, match="work_problem_is_a_code"), worker_transaction():
        work.park(held, problem)
    assert rows()[1].parked_at is None


def test_the_same_work_is_one_row(add):
    add(1)
    with pytest.raises(DBAPIError, match="work_key"):
        add(1)


@pytest.mark.parametrize("kind", ["", "File", "read"])
def test_a_kind_is_known(add, kind):
    with pytest.raises(DBAPIError, match="work_kind_is_known"):
        add(1, kind=kind)


@pytest.mark.parametrize(
    "without",
    [
        (),
        ("hashjoin", "mergejoin", "hashagg", "material"),
        ("hashagg", "sort", "incremental_sort", "mergejoin", "hashjoin", "material", "memoize"),
    ],
)
def test_no_plan_leases_more_than_were_asked_for(add, worker_transaction, rows, without):
    """A subquery under IN may be run again for each row, and with SKIP LOCKED it finds others each time."""
    add(*range(30))
    with worker_transaction() as session:
        for name in without:
            session.execute(text(f"SET LOCAL enable_{name} = off"))
        assert len(work.claim(work.FILE, 1, MINUTE)) == 1
    assert sum(row.lease is not None for row in rows().values()) == 1
