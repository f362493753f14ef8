"""Which settings of the service are kept in the database: each declared once, here, with what it may be.

What the environment must know before there is a database (addresses, keys) is in `webmail.config`; what admins change while the
service runs is here. A setting that nobody set has the value of the environment where it names one, else its default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webmail.errors import Refused

_ADDRESS = re.compile(r"[^\s@<>\"',;]{1,64}@[A-Za-z0-9.-]{1,253}|postmaster")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
GROUPS = ("service", "registration", "limits", "retention", "privacy", "backups", "cases", "security")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, counted in `unit` (a code: days, hours, seconds, bytes, people, times)."""

    low: int
    high: int
    unit: str

    def read(self, typed: str) -> int:
        """What was typed as a number. Raises Refused(code)."""
        if not re.fullmatch(r"[0-9]{1,15}", typed.strip()):
            raise Refused("not-a-number")
        if not self.low <= int(typed) <= self.high:
            raise Refused("out-of-range")
        return int(typed)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text of at most `most` characters; `is_address`: it is an address of mail."""

    most: int
    is_address: bool = False

    def read(self, typed: str) -> str:
        """What was typed, without blanks around it. Raises Refused(code)."""
        line = typed.strip()
        if len(line) > self.most:
            raise Refused("too-long")
        if _CONTROL.search(line) or "\n" in line:
            raise Refused("not-a-line")
        if self.is_address and line and not _ADDRESS.fullmatch(line):
            raise Refused("not-an-address")
        return line


@dataclass(frozen=True, slots=True)
class Words:
    """Text of several lines, at most `most` characters."""

    most: int

    def read(self, typed: str) -> str:
        """What was typed, its line ends as LF. Raises Refused(code)."""
        words = typed.replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(words) > self.most:
            raise Refused("too-long")
        if _CONTROL.search(words):
            raise Refused("not-text")
        return words


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these codes."""

    codes: tuple[str, ...]

    def read(self, typed: str) -> str:
        """The code. Raises Refused(code)."""
        if typed not in self.codes:
            raise Refused("no-such-choice")
        return typed


Kind = Whole | Line | Words | Choice


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting: `group.rest` is its name; `environment` the field of `config.Settings` that stands in where nobody set it."""

    name: str
    kind: Kind
    default: int | str
    environment: str = ""

    @property
    def group(self) -> str:
        """The page it is on."""
        return self.name.partition(".")[0]


_ALL = (
    Declared("service.operator", Line(120), ""),
    Declared("service.contact", Line(254, is_address=True), "postmaster", "contact"),
    Declared("service.banner", Words(400), ""),
    Declared("registration.mode", Choice(("open", "invite", "closed")), "closed", "registration"),
    Declared("limits.quota", Whole(1_000_000, 10**14, "bytes"), 5_000_000_000, "quota_bytes"),
    Declared("limits.send_hour", Whole(0, 1_000_000, "people"), 200, "send_hour"),
    Declared("limits.send_day", Whole(0, 1_000_000, "people"), 1_000, "send_day"),
    Declared("limits.undo", Whole(0, 30, "seconds"), 10, "undo_seconds"),
    Declared("retention.uploads", Whole(1, 365, "days"), 7),
    Declared("retention.denials", Whole(1, 3650, "days"), 30),
    Declared("retention.deliveries", Whole(7, 3650, "days"), 365),
    Declared("retention.cases", Whole(30, 3650, "days"), 365),
    Declared("retention.trials", Whole(1, 365, "days"), 30),
    Declared("retention.runs", Whole(30, 3650, "days"), 730),
    Declared("retention.webhooks", Whole(1, 3650, "days"), 30),
    Declared("retention.sign_ins", Whole(30, 3650, "days"), 180),
    Declared("retention.confirmations", Whole(1, 3650, "days"), 30),
    Declared("retention.tries", Whole(1, 3650, "days"), 30),
    Declared("retention.errands", Whole(1, 3650, "days"), 30),
    Declared("retention.activity", Whole(30, 3650, "days"), 365),
    Declared("retention.member_notices", Whole(30, 3650, "days"), 365),
    Declared("retention.member_invitations", Whole(1, 365, "days"), 30),
    Declared("retention.names", Whole(1, 3650, "days"), 1),
    Declared("retention.visits", Whole(1, 90, "days"), 7),
    Declared("retention.sending_days", Whole(7, 365, "days"), 30),
    Declared("retention.requests", Whole(90, 3650, "days"), 1095),
    Declared("retention.tombstones", Whole(90, 3650, "days"), 400),
    Declared("retention.exports", Whole(1, 90, "days"), 7),
    Declared("retention.imports", Whole(1, 90, "days"), 7),
    Declared("retention.abuse_memory", Whole(30, 3650, "days"), 730),
    Declared("retention.metrics", Whole(2, 365, "days"), 14),
    Declared("retention.audit_detail", Whole(366, 36500, "days"), 1095),
    Declared("backups.daily", Whole(1, 90, "days"), 7),
    Declared("backups.weekly", Whole(0, 104, "times"), 4),
    Declared("backups.hour", Whole(0, 23, "hours"), 3),
    Declared("privacy.grace_days", Whole(1, 90, "days"), 14),
)

SETTINGS: Mapping[str, Declared] = {one.name: one for one in _ALL}
"""Every setting by its name, in the order of the pages."""


def of_group(group: str) -> list[Declared]:
    """The settings of one page."""
    return [one for one in SETTINGS.values() if one.group == group]


def find(name: str) -> Declared:
    """A setting by its name. Raises Refused("no-such-setting")."""
    known = SETTINGS.get(name)
    if known is None:
        raise Refused("no-such-setting")
    return known


def read(declared: Declared, stored: Any, environment: object) -> int | str:
    """Its value: what is stored if that still fits the declaration, else the environment's, else the default."""
    if stored is not None:
        try:
            return declared.kind.read(str(stored))
        except Refused:
            pass  # an older version stored it, or a narrower one reads it: a service goes on with what it was born with
    if declared.environment:
        value: int | str = getattr(environment, declared.environment)
        return value
    return declared.default
