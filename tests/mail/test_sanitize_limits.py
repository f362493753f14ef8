"""Each limit of the guard before the sanitiser: at it, and one over."""

from collections.abc import Callable

import pytest

from webmail.mail.sanitize import limits
from webmail.mail.sanitize.limits import guard
from webmail.mail.sanitize.model import Refusal

LIMITS: dict[str, tuple[str, int, Callable[[int], str]]] = {
    "octets": ("long", limits.MAX_BYTES, lambda number: "x" * number),
    "octets of what is not ASCII": ("long", limits.MAX_BYTES, lambda number: "é" * (number // 2) + "x" * (number % 2)),
    "tags": ("tags", limits.MAX_TAGS, lambda number: "<br>" * number),
    "entities": ("entities", limits.MAX_ENTITIES, lambda number: "&" * number),
    "depth": ("deep", limits.MAX_DEPTH, lambda number: "<div>" * number),
    "attributes of a tag": ("attribute", limits.MAX_ATTRIBUTES_BYTES, lambda number: f"<p {'x' * (number - 1)}>"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_at_the_limit_and_one_over(name):
    code, limit, make = LIMITS[name]
    assert guard(make(limit)) is None
    assert guard(make(limit + 1)) == Refusal(code)
