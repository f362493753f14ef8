"""What an outage of Clerk's may cost: few threads, few calls, and a word about it that is true."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from webmail.identity.clerk.patience import FAILURES, Patience, Refused
from webmail.identity.clerk.reach import BELIEVE_DOWN, LOOK_AGAIN, WONDER_AGAIN, Watched, watch
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.throttle import MANY, Throttle


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_after_several_failures_nobody_waits_and_one_finds_out():
    clock = Clock()
    patience = Patience(clock, rest=5.0)
    for _ in range(FAILURES):
        with patience.turn():
            patience.unanswered()
    with pytest.raises(Refused, match="resting"), patience.turn():
        pass
    clock.now = 5.1
    with patience.turn():  # this one finds out
        with pytest.raises(Refused, match="resting"), patience.turn():
            pass
        patience.unanswered()
    with pytest.raises(Refused, match="resting"), patience.turn():
        pass
    clock.now = 10.3
    with patience.turn():
        patience.answered()
    for _ in range(3):
        with patience.turn():
            pass


def test_one_failure_among_answers_changes_nothing():
    patience = Patience(Clock())
    for _ in range(20):
        with patience.turn():
            patience.unanswered()
        with patience.turn():
            patience.answered()


def test_few_wait_at_once_and_the_others_not_for_long():
    patience, inside, over = Patience(at_once=2, wait=0.05), [], threading.Event()

    def call(_):
        try:
            with patience.turn():
                inside.append(1)
                over.wait(5)
                return "called"
        except Refused as refused:
            return refused.code

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(call, n) for n in range(8)]
        time.sleep(0.3)
        assert len(inside) == 2
        over.set()
        said = sorted(one.result() for one in results)
    assert said == ["busy"] * 6 + ["called"] * 2
    assert time.monotonic() - began < 3


def test_a_look_is_good_for_a_while_and_an_outage_is_not_believed_for_ever():
    clock, answers, later = Clock(), [False], []
    seen = []

    def ask():
        seen.append(clock.now)
        return answers[0]

    reach = Watched(ask, clock=clock, spawn=later.append)
    assert not reach.down()
    assert reach.look() is False
    assert reach.look() is False
    assert seen == [0.0]
    assert reach.down()
    clock.now = LOOK_AGAIN
    assert reach.down()
    assert reach.down()
    assert len(later) == 1, "somebody finds out meanwhile"
    answers[0] = True
    later.pop()()
    assert not reach.down()
    answers[0], clock.now = False, 100.0
    assert reach.look() is False
    clock.now += BELIEVE_DOWN
    assert not reach.down()


def test_wondering_is_rare():
    clock, later = Clock(), []
    reach = Watched(lambda: True, clock=clock, spawn=later.append)
    for seconds in (0, 1, WONDER_AGAIN - 1, WONDER_AGAIN, WONDER_AGAIN + 1):
        clock.now = seconds
        reach.wonder()
    assert len(later) == 2


def test_a_hundred_who_look_at_once_are_one_call():
    calls = []

    def ask():
        calls.append(1)
        time.sleep(0.05)
        return False

    reach = Watched(ask)
    with ThreadPoolExecutor(20) as pool:
        assert not any(pool.map(lambda _: reach.look(), range(100)))
    assert len(calls) == 1


def test_a_bucket_for_each_and_one_for_all():
    clock = Clock()
    throttle = Throttle(3, 10.0, all_burst=5, all_seconds=1.0, clock=clock)
    assert [throttle.allow("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert [throttle.allow("b") for _ in range(3)] == [True, True, False], "five for all of them"
    clock.now = 10.0
    assert [throttle.allow("a") for _ in range(2)] == [True, False]
    clock.now = 1000.0
    assert [throttle.allow("a") for _ in range(4)] == [True] * 3 + [False]


def test_what_is_remembered_of_strangers_is_bounded():
    clock = Clock()
    throttle = Throttle(2, 1.0, all_burst=10**6, all_seconds=1e-6, clock=clock)
    for number in range(3 * MANY):
        assert throttle.allow(f"192.0.2.{number}")
        clock.now += 0.0001
    assert len(throttle._free_at) <= MANY


def test_nobody_at_the_address_is_down():
    env = {
        "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
        "CLERK_SECRET_KEY": "sk_test_abc",
        "CLERK_FAPI_URL": "http://clerk.localhost:9",
    }
    settings = ClerkSettings.from_environment(env, origin="https://mail.example.com", environment="test")
    reach = watch(settings)
    assert reach.look() is False
    assert reach.down()
