"""What somebody's mail may be opened for, and on what legal ground: the register that the database holds grants to as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from webmail.governance.reports import KINDS as ABUSE_KINDS

__all__ = ["ABUSE_KINDS", "PARTS", "REASONS", "Cause", "Parts"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of the policy. `cases`: kinds of cases that it may belong to."""

    purpose: str
    basis: str
    cases: frozenset[str]


_BROKEN = frozenset({"service", "delivery", "request"})
REASONS: Final[Mapping[str, Cause]] = {
    "abuse": Cause("prevent-abuse", "legitimate-interests", frozenset({*ABUSE_KINDS, "security"})),
    "service": Cause("provide", "contract", _BROKEN),
    "delivery": Cause("troubleshoot", "contract", _BROKEN),
    "security": Cause(
        "protect", "legitimate-interests", frozenset({"security", "phishing", "malware", "fraud"})
    ),
    "legal": Cause("comply-with-law", "legal-obligation", frozenset({"legal"})),
}
"""Reason code to its purpose and its basis (GDPR Art. 6(1): b contract, c legal obligation, f legitimate interests)."""

PARTS: Final = ("headers", "text", "attachments")
MINUTES: Final = (10, 15, 30, 60)
MAX_MESSAGES: Final = 20
MAX_WORDS, MIN_WORDS = 2_000, 10
LAPSE_HOURS: Final = 12
"""An approved grant that nobody opens is over after so long."""
REVIEW_DAYS, EMERGENCY_HOURS = 7, 24
GAG_DAYS: Final = 90
"""A gag is looked at again after so long at the latest."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of a message may be opened."""

    headers: bool = False
    text: bool = False
    attachments: bool = False

    @property
    def bits(self) -> int:
        return self.headers | self.text << 1 | self.attachments << 2

    @classmethod
    def named(cls, names: frozenset[str] | set[str]) -> "Parts":
        """The parts of these names; others count for nothing."""
        return cls("headers" in names, "text" in names, "attachments" in names)

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in PARTS if getattr(self, name))
