"""Step-up: rows 70 and 71 of the protocol's table, and Clerk's rules of combination."""

import pytest

from webmail.identity.clerk.stepup import PRESETS, Requirement, is_fresh

NOW = 1_790_000_000.0
STRICT = PRESETS["strict"]


@pytest.mark.parametrize(
    ("ages", "passes"),
    [
        ((9, -1), True), ((10, -1), False), ((15, 5), True), ((5, 15), False), ((-1, 5), True), ((-1, -1), False), ((), False), ((5,), False),
        ((5, -2), False), ((True, -1), False), ((0, 0, 0), False), ((-2, 5), False), (("5", 5), False),
    ],
)  # fmt: skip
def test_row_70_strict(ages, passes):
    assert is_fresh(ages, NOW, NOW, STRICT) is passes


def test_row_71_the_token_ages_too():
    assert not is_fresh((9, -1), NOW - 55, NOW, STRICT)
    assert is_fresh((8, -1), NOW - 55, NOW, STRICT)
    assert is_fresh((9, -1), NOW + 3, NOW, STRICT), "a token from the near future is not younger than now"


@pytest.mark.parametrize(
    ("level", "ages", "passes"),
    [
        ("first_factor", (5, -1), True),
        ("first_factor", (-1, 5), False),
        ("first_factor", (5, 500), True),
        ("multi_factor", (5, 5), True),
        ("multi_factor", (5, 15), False),
        ("multi_factor", (15, 5), False),
        ("multi_factor", (5, -1), True),
        ("multi_factor", (-1, 5), False),
        ("multi_factor", (-1, -1), False),
    ],
)
def test_levels(level, ages, passes):
    assert is_fresh(ages, NOW, NOW, Requirement(level, 10)) is passes


def test_requirements_as_clerk_writes_them():
    assert STRICT.as_clerk_metadata() == "strict"
    assert Requirement("first_factor", 5).as_clerk_metadata() == {"level": "first_factor", "afterMinutes": 5}
    assert not is_fresh((0, 0), NOW, NOW, Requirement("first_factor", 0))
