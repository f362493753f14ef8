"""What a look found: one thing, how it is, and how to mend it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `words` say how it is, `mend` what to do about it; neither holds a secret.

    "warn" is what works today and should not stay so; "bad" is what loses mail, or lets nobody in.
    """

    what: str
    state: State
    words: str
    mend: str = ""

    @property
    def good(self) -> bool:
        return self.state != "bad"


def ok(what: str, words: str) -> Finding:
    return Finding(what, "ok", words)


def warn(what: str, words: str, mend: str = "") -> Finding:
    return Finding(what, "warn", words, mend)


def bad(what: str, words: str, mend: str = "") -> Finding:
    return Finding(what, "bad", words, mend)
