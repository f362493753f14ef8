"""Remote pictures as rows: wanted once, kept sealed, opened in their own place alone."""

import pytest
from sqlalchemy import text

from webmail import jobs
from webmail.errors import NotFound, Tampered
from webmail.mail import remote_pictures
from webmail.mail.remote_pictures import Kept, Pictures

IMAGES = ((1, "https://pictures.example/1.png"), (2, "https://pictures.example/2.png"), (3, "x"))
SMALL = Kept("image/webp", b"RIFF small" * 90, 640, 400, 1_800_000)


@pytest.fixture
def message(deliver, ann, letter) -> int:
    return deliver(ann, letter())


@pytest.fixture
def rows(superuser):
    query = text("SELECT * FROM message_picture ORDER BY number")
    return lambda: superuser.execute(query).all()


@pytest.fixture
def works(superuser):
    query = text("SELECT mailbox_id, kind, item_id, attempts, lease, due_at <= now() AS due FROM work")
    return lambda: [tuple(row) for row in superuser.execute(query)]


@pytest.fixture
def want(opened):
    return lambda person, message, images=IMAGES, **more: opened(
        person, lambda keys: remote_pictures.want(keys, message, images, **more)
    )


@pytest.fixture
def keep(opened):
    return lambda person, message, kept: opened(
        person, lambda keys: remote_pictures.keep(keys, message, kept)
    )


@pytest.fixture
def fail(opened):
    return lambda person, message, problems, **more: opened(
        person, lambda keys: remote_pictures.fail(keys.mailbox_id, message, problems, **more)
    )


@pytest.fixture
def state(opened):
    return lambda person, message: opened(
        person, lambda keys: remote_pictures.state(keys.mailbox_id, message)
    )


@pytest.fixture
def picture(opened):
    return lambda person, message, number: opened(
        person, lambda keys: remote_pictures.picture(keys, message, number)
    )


def test_what_is_wanted_is_a_row_each_one_work_and_one_ring(ann, message, want, state, rows, works):
    assert state(ann, message) == Pictures()
    assert want(ann, message) == Pictures(total=3, waiting=3)
    assert [(row.number, row.state, row.width, row.problem) for row in rows()] == [
        (number, "wanted", 640, "") for number in (1, 2, 3)
    ]
    assert works() == [(ann.mailbox_id, "fetch", message, 0, None, True)]
    assert jobs.bell.redis.llen("rq:queue:fetching") == 1


def test_no_address_is_kept(ann, message, want, rows, superuser):
    want(ann, message)
    dump = superuser.execute(text("SELECT string_agg(t::text, '') FROM message_picture t")).scalar()
    assert "pictures.example" not in dump


def test_wanting_again_fetches_nothing_twice(ann, message, want, keep, works, superuser):
    want(ann, message)
    keep(ann, message, {1: SMALL, 2: SMALL, 3: SMALL})
    superuser.execute(text("DELETE FROM work"))
    for again in (False, True):
        assert want(ann, message, again=again).fetched == 3
        assert works() == []


def test_what_failed_is_tried_anew_at_a_press_alone(ann, message, want, keep, fail, works, superuser):
    want(ann, message)
    keep(ann, message, {1: SMALL})
    fail(ann, message, {2: "status-404", 3: "private"})
    superuser.execute(text("DELETE FROM work"))
    assert want(ann, message) == Pictures(3, 0, 1, 2, 1_800_000, 900)
    assert works() == []
    assert want(ann, message, again=True) == Pictures(3, 2, 1, 0, 1_800_000, 900)
    assert works() == [(ann.mailbox_id, "fetch", message, 0, None, True)]


def test_a_press_hastens_work_that_waits_and_leaves_alone_what_is_held(
    ann, message, want, works, superuser, fail
):
    want(ann, message)
    superuser.execute(text("UPDATE work SET attempts = 3, due_at = now() + interval '1 hour'"))
    fail(ann, message, {1: "slow"})
    want(ann, message, again=True)
    assert works() == [(ann.mailbox_id, "fetch", message, 0, None, True)]
    superuser.execute(text("UPDATE work SET attempts = 1, lease = 7, due_at = now() + interval '1 hour'"))
    fail(ann, message, {1: "slow"})
    want(ann, message, again=True)
    assert works() == [(ann.mailbox_id, "fetch", message, 1, 7, False)]


@pytest.mark.parametrize(("asked", "given"), [(320, 320), (1, 64), (99_999, 2048)])
def test_the_width_is_the_readers_within_reason(ann, message, want, rows, asked, given):
    want(ann, message, width=asked)
    assert {row.width for row in rows()} == {given}


@pytest.mark.parametrize(("number", "kept"), [(0, 0), (1, 1), (100, 100), (101, 100)])
def test_the_first_hundred_are_fetched(ann, message, want, number, kept):
    assert want(ann, message, [(place, "x") for place in range(number, 0, -1)]).total == kept


def test_a_picture_opens_in_its_own_place_alone(ann, message, want, keep, picture, rows, superuser):
    want(ann, message)
    other = Kept("image/webp", b"RIFF other", 10, 10, 20)
    keep(ann, message, {1: SMALL, 2: other})
    assert picture(ann, message, 1) == ("image/webp", SMALL.content)
    assert picture(ann, message, 2) == ("image/webp", other.content)
    assert not any(b"RIFF" in (row.sealed or b"") for row in rows())
    first = rows()[0].sealed
    superuser.execute(text("UPDATE message_picture SET sealed = :sealed WHERE number = 2"), {"sealed": first})
    with pytest.raises(Tampered):
        picture(ann, message, 2)


def test_what_is_not_there_is_not_found(ann, ben, message, want, keep, picture, state):
    for number in (1, 3, 99):
        with pytest.raises(NotFound):
            picture(ann, message, number)
    want(ann, message)
    keep(ann, message, {1: SMALL})
    with pytest.raises(NotFound):
        picture(ann, message, 3)
    with pytest.raises(NotFound):
        picture(ben, message, 1)
    with pytest.raises(NotFound):
        want(ben, message)
    with pytest.raises(NotFound):
        want(ann, message + 1)
    assert state(ben, message) == Pictures()


def test_a_state_tells_what_is_waited_for_from_what_is_late(ann, message, want, keep, fail, state, works):
    want(ann, message)
    keep(ann, message, {1: Kept("image/webp", b"x" * 100, 5, 5, 200_000)})
    fail(ann, message, {3: "dns"}, for_good=False)
    expected = {"total": 3, "fetched": 1, "original_bytes": 200_000, "bytes": 100}
    assert state(ann, message) == Pictures(**expected, waiting=1, late=1)
    assert want(ann, message) == Pictures(**expected, waiting=1, late=1)
    assert want(ann, message, again=True) == Pictures(**expected, waiting=2, late=0)


def test_what_was_not_tried_comes_before_what_failed(ann, message, want, fail, opened):
    want(ann, message)
    fail(ann, message, {1: "slow"}, for_good=False)
    found = opened(ann, lambda keys: list(remote_pictures.wanted(keys.mailbox_id, message)))
    assert found == [2, 3, 1]


def test_what_was_forgotten_is_gone_and_a_late_fetch_keeps_nothing(
    ann, message, want, keep, opened, rows, picture
):
    want(ann, message)
    keep(ann, message, {1: SMALL})
    opened(ann, lambda keys: remote_pictures.forget(keys.mailbox_id, message))
    assert rows() == []
    keep(ann, message, {1: SMALL, 2: SMALL})
    assert rows() == []
    with pytest.raises(NotFound):
        picture(ann, message, 1)


def test_pictures_go_with_their_message(ann, message, want, keep, opened, rows):
    from webmail.mail import messages

    want(ann, message)
    keep(ann, message, {1: SMALL})
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [message], "trash"))
    opened(ann, lambda keys: messages.act(keys.mailbox_id, [message], "delete"))
    assert rows() == []


def test_another_mailbox_sees_and_changes_nothing(ann, ben, message, want, keep, fail, rows, opened, web_app):
    from webmail.db import transaction

    want(ann, message)
    before = rows()
    with web_app.app_context(), transaction(ben.mailbox_id):
        remote_pictures.fail(ann.mailbox_id, message, {1: "slow"})
        remote_pictures.forget(ann.mailbox_id, message)
        assert remote_pictures.state(ann.mailbox_id, message) == Pictures()
    assert rows() == before
