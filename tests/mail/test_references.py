"""Thread keys and the model of RFC 5256's REFERENCES."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from webmail.mail.mime import parse
from webmail.mail.references import Item, Thread, base_subject, thread, thread_keys

CORPUS = (
    Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
    / "threading"
)


def test_keys_are_the_ancestors_eldest_first_and_the_own_id_last():
    assert thread_keys("c@x", "b@x", ["a@x", "b@x"]) == ("a@x", "b@x", "c@x")


def test_keys_take_in_reply_to_where_references_do_not_name_it():
    assert thread_keys("c@x", "b@x", []) == ("b@x", "c@x")
    assert set(thread_keys("c@x", "b@x", ["a@x"])) == {"a@x", "b@x", "c@x"}


def test_a_message_is_never_its_own_ancestor():
    assert thread_keys("a@x", "a@x", ["a@x", "a@x"]) == ("a@x",)


def test_no_ids_no_keys():
    assert thread_keys("", "", []) == ()
    assert thread_keys("", "", ["a@x", ""]) == ("a@x",)


@pytest.mark.parametrize("count", [100, 101, 20_000])
def test_keys_are_bounded_and_keep_the_last_ones(count):
    keys = thread_keys("me@x", "", [f"{n}@x" for n in range(count)])
    assert len(keys) == 101
    assert keys[0] == f"{count - 100}@x"
    assert keys[-2:] == (f"{count - 1}@x", "me@x")


def test_doubled_references_count_once():
    assert thread_keys("", "", ["a@x", "b@x", "a@x"]) == ("b@x", "a@x")


def shape(threads: tuple[Thread, ...]) -> list[object]:
    """Nested lists: a message is [key, answers...], a missing one [None, answers...]."""
    return [[one.key, *shape(one.children)] for one in threads]


def item(key: int, message_id: str = "", *references: str, **more: object) -> Item:
    sent = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=key)
    return Item(key=key, message_id=message_id, references=references, sent=sent, **more)


def test_answers_hang_below_what_they_answer():
    assert shape(thread([item(1, "a"), item(2, "b", "a"), item(3, "c", "a", "b")])) == [[1, [2, [3]]]]


def test_order_of_arrival_does_not_matter():
    items = [item(1, "a"), item(2, "b", "a"), item(3, "c", "a", "b"), item(4, "d", "a")]
    expected = shape(thread(items))
    assert shape(thread(reversed(items))) == expected == [[1, [2, [3]], [4]]]


def test_a_missing_parent_still_holds_its_answers_together():
    assert shape(thread([item(1, "b", "a"), item(2, "c", "a")])) == [[None, [1], [2]]]


def test_a_missing_parent_of_one_is_left_out():
    assert shape(thread([item(1, "b", "a")])) == [[1]]


def test_loops_end():
    threads = thread([item(1, "a", "b"), item(2, "b", "a"), item(3, "c", "c")])
    assert sorted(key for one in threads for key in one.members()) == [1, 2, 3]


def test_a_stranger_does_not_enter_by_subject():
    items = [item(1, "a", subject="Salary"), item(2, "z", subject="Re: Salary")]
    assert shape(thread(items)) == [[1], [2]]
    assert shape(thread(items, by_subject=True)) == [[1, [2]]]


def test_deep_threads_neither_recurse_nor_take_long():
    items = [item(n, f"{n}", f"{n - 1}") if n else item(0, "0") for n in range(3000)]
    begun = time.process_time()
    (only,) = thread(items)
    assert list(only.members()) == list(range(3000))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: foo", "foo"),
        ("RE: Re: [list] Fwd: foo (fwd)", "foo"),
        ("AW: SV: foo", "foo"),
        ("[Fwd: foo]", "foo"),
        ("[list]", "[list]"),
        ("Re:", ""),
        ("reason", "reason"),
    ],
)
def test_base_subject(subject, base):
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    "subject", ["[" * 100_000, "re: " * 100_000, "(fwd) " * 50_000, "[a]" * 50_000, "[fwd:" * 50_000]
)
def test_base_subject_is_bounded(subject):
    begun = time.process_time()
    base_subject(subject)
    assert time.process_time() - begun < 0.2


def answer(text: str) -> list[object]:
    """The nested lists that a THREAD answer states: RFC 5256 section 4."""

    def group(tokens: list[str]) -> list[object]:
        chain: list[list[object]] = []
        branches: list[object] = []
        while tokens and tokens[0] != ")":
            token = tokens.pop(0)
            if token == "(":
                branches.append(group(tokens))
                tokens.pop(0)
            else:
                chain.append([int(token)])
        if not chain:
            return [None, *branches]
        chain[-1] += branches
        for above, below in zip(reversed(chain[:-1]), reversed(chain), strict=False):
            above.append(below)
        return chain[0]

    tokens = re.findall(r"[()]|\d+", text)
    return group(["(", *tokens, ")"][1:-1])[1:]


def messages(name: str) -> list[Item]:
    raw = (CORPUS / f"{name}.mbox").read_bytes()
    items = []
    for number, one in enumerate(re.split(rb"(?m)^From .*\n", raw)[1:], 1):
        message = parse(one)
        stamp = datetime(2008, 2, 22, 15, 6, tzinfo=UTC) + timedelta(seconds=number)
        items.append(
            Item(
                number,
                message.message_id,
                message.in_reply_to,
                message.references,
                message.subject,
                message.date or stamp,
            )
        )
    return items


# The first THREAD of each script, before it deletes anything; "state: created" scripts append the messages one by one.
CASES = {"thread2": 2, "thread4": 2, "thread5": 4, "thread6": 2, "thread7": 4, "thread8": 2}


@pytest.mark.corpora
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no test material in {CORPUS}")
@pytest.mark.parametrize("name", sorted(CASES))
def test_imaptest_threads(name):
    expected = re.search(r"(?im)^\* thread (.*)$", (CORPUS / name).read_text())
    assert expected
    found = shape(thread(messages(name)[: CASES[name]], by_subject=True))
    assert found == answer(expected[1])


@pytest.mark.corpora
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no test material in {CORPUS}")
def test_a_real_list_is_threaded_completely_and_the_same_in_any_order():
    items = []
    for number, path in enumerate(sorted(CORPUS.glob("notmuch_lkml__*"))):
        message = parse(path.read_bytes())
        items.append(
            Item(
                number,
                message.message_id,
                message.in_reply_to,
                message.references,
                message.subject,
                message.date,
            )
        )
    threads = thread(items)
    assert sorted(key for one in threads for key in one.members()) == list(range(len(items)))
    assert len(threads) < len(items) / 2
    groups = {frozenset(one.members()) for one in threads}
    assert groups == {frozenset(one.members()) for one in thread(items[::-1])}
    # What the database does with the keys must give the same conversations: messages that share a key belong together.
    assert groups == joined_by_keys(items)


def joined_by_keys(items: list[Item]) -> set[frozenset[int]]:
    leader: dict[str, str] = {}

    def top(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for one in items:
        keys = thread_keys(one.message_id, one.in_reply_to, one.references)
        for key in keys[1:]:
            leader[top(key)] = top(keys[0])
    groups: dict[str, set[int]] = {}
    for one in items:
        keys = thread_keys(one.message_id, one.in_reply_to, one.references)
        groups.setdefault(top(keys[0]) if keys else f"alone {one.key}", set()).add(one.key)
    return {frozenset(group) for group in groups.values()}
