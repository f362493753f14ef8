"""The kinds of actions and the rules that they are for, as codes. What each is called is in `webmail.web.action_words`."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`is_grave`: it is confirmed with a fresh factor, and support proposes it to a lead. `of_mailbox`: it names a mailbox of
    the person. `ends`: it may have a last day."""

    is_grave: bool = False
    of_mailbox: bool = False
    ends: bool = True


KINDS: Mapping[str, Kind] = {
    "warn": Kind(ends=False),
    "limit": Kind(),
    "no_sending": Kind(),
    "no_receiving": Kind(of_mailbox=True),
    "no_sign_in": Kind(is_grave=True),
    "revoke": Kind(is_grave=True, of_mailbox=True),
    "reclaim": Kind(is_grave=True, of_mailbox=True, ends=False),
}
"""Mildest first. What shuts somebody out of his mail, or takes a name that others know him by, is grave: it is hard to make good
even when it is undone, so that one colleague at the desk does not decide it alone. A lead answers for it himself."""

RULES = ("spam", "phishing", "malware", "fraud", "harassment", "illegal", "security", "name", "other")
MIN_WORDS, MAX_WORDS = 10, 2_000
"""Characters, of what the person is told and of an appeal."""
MOST_A_DAY = 1_000
APPEAL_DAYS, ANSWER_DAYS, WITHHELD_DAYS = 20, 7, 90
