"""Keys for shortcuts: what may be one, what goes with what, and that the table and the script know the same actions."""

import re
from pathlib import Path

import brotli
import pytest

from webmail.web import assets, shortcuts
from webmail.web.shortcuts import DEFAULTS, KeyRefused, Problem, check, read, show

SCRIPT = Path(__file__).resolve().parents[2] / "webmail" / "static" / "keys.js"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("j", "j"),
        (" j ", "j"),
        ("", ""),
        ("  ", ""),
        ("#", "#"),
        ("+", "+"),
        ("=", "="),
        ("U", "U"),
        ("Shift+u", "U"),
        ("shift + U", "U"),
        ("SHIFT+é", "É"),
        ("g i", "gi"),
        ("gi", "gi"),
        ("gg", "gg"),
        ("g U", "gU"),
        ("g Shift+u", "gU"),
        ("ж", "ж"),
        ("e\u0301", "é"),  # put together: a keyboard says it as one
        ("ع", "ع"),
    ],
)
def test_a_key_is_read_as_people_write_it(typed, key):
    assert read(typed) == key


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("g", "first"),
        ("ab", "long"),
        ("g i i", "long"),
        ("F5", "long"),
        ("Ctrl+a", "modifier"),
        ("ctrl-a", "modifier"),
        ("Alt+Shift+a", "modifier"),
        ("Meta+k", "modifier"),
        ("AltGr+e", "modifier"),
        ("Enter", "named"),
        ("space", "named"),
        ("Del", "named"),
        ("Page Up", "named"),
        ("Shift+3", "shifted"),
        ("g Shift+#", "shifted"),
        ("\u0301", "unprintable"),
        ("\u200b", "unprintable"),
        ("\0", "unprintable"),
        ("😀", "unprintable"),
        ("g😀", "unprintable"),
        ("<script>", "long"),
    ],
)
def test_what_is_no_key_is_refused_with_a_code(typed, code):
    with pytest.raises(KeyRefused) as refusal:
        read(typed)
    assert refusal.value.code == code


def test_the_defaults_are_keys_that_nobody_shares():
    assert check({name: show(key) for name, key in DEFAULTS.items()}) == (dict(DEFAULTS), {})


@pytest.mark.parametrize("key", sorted({*DEFAULTS.values(), "É", "gU", "=", "ж"}))
def test_what_is_shown_can_be_typed(key):
    assert read(show(key)) == key


def test_both_that_were_given_one_key_have_a_problem():
    typed = dict(DEFAULTS) | {"archive": "r", "junk": "Ctrl+j"}
    keys, problems = check(typed)
    assert problems == {
        "archive": Problem("taken", "reply"),
        "reply": Problem("taken", "archive"),
        "junk": Problem("modifier"),
    }
    assert "junk" not in keys


def test_an_action_may_have_no_key_and_unknown_actions_are_nobodys():
    keys, problems = check({"archive": "y", "delete": " ", "format_disk": "q"})
    assert (keys, problems) == ({"archive": "y"}, {})


def test_a_pair_and_its_second_key_are_two_keys():
    assert check({"inbox": "g i", "archive": "i"}) == ({"inbox": "gi", "archive": "i"}, {})


def test_the_script_knows_every_action_and_no_other():
    script = SCRIPT.read_text("utf-8")
    pressed = set(
        re.findall(r"[{,]\s*(\w+): (?:[bn]`|[\"'])", script.split("const press", 1)[1].split("};")[0])
    )
    moved = set(re.findall(r"(\w+): -?1\b", script))
    special = set(re.findall(r'else if \(name == "(\w+)"\)', script))
    assert pressed | moved | special == set(DEFAULTS)
    assert len(pressed) + len(moved) + len(special) == len(DEFAULTS)


def test_the_script_is_small():
    assert len(brotli.compress(assets.lean(SCRIPT), quality=11)) <= 1200


def test_all_keys_at_their_longest_fit_the_column():
    stored = str({action.name: "g\uffff" for action in shortcuts.ACTIONS}).encode()
    assert len(stored) < 2000  # account_preferences_is_small: 4096
