"""Whom a message may be trusted to come from, and what in it to be careful with. Pure: no database, no network, no Flask.

`assess` weighs what is known and gives one word and the reasons. It is calm by design: mail that keeps its promises gets a word
and nothing else; a warning names one thing that the reader can check. What a stranger can write for free (List-Id, a seal, a
display name) may raise a warning but never ends one.
"""

from webmail.mail.trust.domains import likeness
from webmail.mail.trust.model import (
    Acquaintance,
    Authentication,
    Facts,
    FileFact,
    Finding,
    Level,
    LinkFact,
    Trust,
    Word,
)
from webmail.mail.trust.verdict import assess

__all__ = [
    "Acquaintance",
    "Authentication",
    "Facts",
    "FileFact",
    "Finding",
    "Level",
    "LinkFact",
    "Trust",
    "Word",
    "assess",
    "likeness",
]
