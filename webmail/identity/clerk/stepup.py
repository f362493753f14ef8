"""Step-up: whether somebody has proved who he is recently enough for what he is about to do.

Clerk puts the minutes since the first and second factor into each token (`fva`). The presets and the rules of
combination are Clerk's; everything unclear fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["first_factor", "second_factor", "multi_factor"]
NEVER = -1


@dataclass(frozen=True, slots=True)
class Requirement:
    level: Level
    minutes: int
    """A factor of exactly this age is too old."""
    preset: str = ""

    def as_clerk_metadata(self) -> str | dict[str, object]:
        """As Clerk's clients expect it in a `reverification-error`."""
        return self.preset or {"level": self.level, "afterMinutes": self.minutes}


PRESETS = {
    "strict_mfa": Requirement("multi_factor", 10, "strict_mfa"),
    "strict": Requirement("second_factor", 10, "strict"),
    "moderate": Requirement("second_factor", 60, "moderate"),
    "lax": Requirement("second_factor", 1440, "lax"),
}


def is_fresh(ages: Sequence[int], issued_at: float, now: float, requirement: Requirement) -> bool:
    """`ages` are minutes as of `issued_at`, both times in seconds since 1970; part of a minute counts as one."""
    if len(ages) != 2 or requirement.minutes <= 0:
        return False
    grown = math.ceil(max(0.0, now - issued_at) / 60)
    first, second = (_aged(age, grown) for age in ages)
    if first is None or second is None:
        return False
    match requirement.level:
        case "first_factor":
            deciding = [first]
        case "second_factor":
            deciding = [first if second == NEVER else second]
        case "multi_factor":
            deciding = [first] if second == NEVER else [first, second]
    return all(age != NEVER and age < requirement.minutes for age in deciding)


def _aged(age: object, grown: int) -> int | None:
    """None for what is no age at all."""
    if type(age) is not int or age < NEVER:
        return None
    return age if age == NEVER else age + grown
