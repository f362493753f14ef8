"""Mail between people of one installation: handed to its own inbound server where that is set, and never in circles."""

import dataclasses

import pytest
from sqlalchemy import text

from webmail.sending import bounces

FAR, NEAR, WIDE = "carla@example.org", "ben@mtumail.test", "Ben@MTUMAIL.test"
NOBODY = "550 5.1.1 no such user here"


@pytest.fixture
def near(sink):
    """A peer that stands for our own inbound server."""
    peer = type(sink)()
    yield peer
    peer.stop()


@pytest.fixture
def both(worker, sending, near, monkeypatch):
    """The worker, with the sink for a relay and `near` for inbound."""
    told = dataclasses.replace(worker.extensions["settings"], local_url=near.url)
    monkeypatch.setitem(worker.extensions, "settings", told)
    return sending


def test_by_the_relay_where_nothing_is_set(sending, sink, near, ann, write):
    write(ann, f"{NEAR}, {FAR}")
    assert sending.drain() == 1
    assert [mail.recipients for mail in sink.mails] == [(NEAR, FAR)]
    assert near.sessions == 0


def test_each_copy_goes_its_way_with_the_same_bytes(both, sink, near, ann, write, rows, superuser):
    write(ann, f"{WIDE}, {FAR}")
    assert both.drain() == 1
    [here], [there] = near.mails, sink.mails
    assert [here.recipients, there.recipients] == [("Ben@mtumail.test",), (FAR,)]
    assert (here.raw, here.sender) == (there.raw, there.sender)
    assert here.raw.count(b"\r\nReceived:") == 0, "inbound counts from none"
    assert {(row.state, row.attempts) for row in rows().values()} == {("sent", 1)}
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0
    assert superuser.execute(text("SELECT finished_at IS NOT NULL FROM submission")).scalar()


def test_only_one_way_is_opened_where_one_will_do(both, sink, near, ann, write):
    write(ann, NEAR)
    both.drain()
    assert (len(near.mails), sink.sessions) == (1, 0)
    write(ann, FAR)
    both.drain()
    assert (len(near.mails), len(sink.mails)) == (1, 1)


def test_a_name_that_is_not_there_is_known_at_once(both, sink, near, ann, write, rows, opened):
    near.says["bem@mtumail.test"] = [NOBODY]
    write(ann, f"bem@mtumail.test, {FAR}")
    both.drain()
    assert (rows()["bem@mtumail.test"].state, rows()[FAR].state) == ("failed", "sent")
    [warned] = opened(ann, lambda keys: bounces.warnings(keys, ["bem@mtumail.test"]))
    assert warned.reason == "no-such-user"


def test_while_inbound_is_away_the_others_get_theirs(both, sink, near, ann, write, rows, due, superuser):
    near.says["DOT"] = ["451 4.3.0 not now", "250 2.0.0 kept"]
    write(ann, f"{NEAR}, {FAR}")
    both.drain()
    assert (rows()[NEAR].state, rows()[FAR].state) == ("deferred", "sent")
    due()
    both.drain()
    assert (rows()[NEAR].state, rows()[NEAR].attempts) == ("sent", 2)
    assert (len(near.mails), len(sink.mails)) == (1, 1), "who had it gets no other"


def test_who_lost_the_lease_between_the_ways_sends_no_more(
    both, sink, near, ann, write, rows, due, superuser
):
    steal = "UPDATE work SET lease = 1 WHERE kind = 'send'"
    near.hooks["DOT"] = lambda: superuser.execute(text(steal))
    write(ann, f"{NEAR}, {FAR}")
    both.drain()
    assert (len(near.mails), len(sink.mails)) == (1, 0)
    due()
    both.drain()
    assert (len(near.mails), len(sink.mails)) == (2, 1)
    assert (rows()[NEAR].repeated, rows()[FAR].repeated) == (True, False)
    assert near.mails[0] == near.mails[1]


def test_killed_between_the_ways_nobody_is_forgotten(
    settings, in_child, both, sink, near, ann, write, rows, due, monkeypatch
):
    write(ann, f"{NEAR}, {FAR}")

    def prepare():
        import os
        import signal

        import workers.sending as module

        app = module.core()
        app.extensions["settings"] = dataclasses.replace(app.extensions["settings"], local_url=near.url)
        module._warn_of = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

    _, wait = in_child(prepare)
    assert wait() != 0
    assert (rows()[NEAR].state, rows()[FAR].state) == ("sent", "claimed")
    due()
    both.drain()
    assert {row.state for row in rows().values()} == {"sent"}
    assert {row.repeated for row in rows().values()} == {False}
    assert (len(near.mails), len(sink.mails)) == (1, 1)


def test_a_setting_that_cannot_be_used_is_named(worker):
    from webmail.errors import SettingError
    from workers import sending

    told = dataclasses.replace(worker.extensions["settings"], local_url="http://127.0.0.1")
    with pytest.raises(SettingError, match="MTUMAIL_LOCAL_URL"):
        sending.routes(told)
