"""What both sides of the jail's wall know: which functions may be asked for, under which limits, and how a job is refused."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FUNCTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "html.reading": ("webmail.mail.sanitize.caged", "reading"),
    "html.formatted": ("webmail.mail.sanitize.caged", "formatted"),
    "picture.shrink": ("webmail.jail.picture", "shrink"),
    "picture.probe": ("webmail.jail.picture", "probe"),
    "pdf.text": ("webmail.jail.pdf", "text"),
}
"""Everything that can be asked for: module and function, called as `function(payload, **options)`, giving bytes. Each module
has a `warm()`, which runs once, before the walls stand: whatever is not imported by its end can never be."""

STUBS: Final = frozenset(
    ".".join(path[:length])
    for path in (module.split(".") for module, _ in FUNCTIONS.values())
    for length in range(1, len(path))
)
"""Packages whose own start-up (a whole web application) is not loaded in the jail."""

MAX_PAYLOAD: Final = 64 << 20
MAX_REPLY: Final = 16 << 20

# What a child says, in this order: STARTED, then DONE with the result or REFUSED with a code. A death is silence.
STARTED: Final = b"+"
DONE: Final = b"="
REFUSED: Final = b"!"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use: CPU seconds (whole), address space in bytes, seconds by the clock."""

    cpu: int = 2
    memory: int = 256 << 20
    wall: float = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no result. From the jail itself: slow, memory, deep, crash, error (an exception inside), long (payload or
    reply), busy (no child was free, or no jail could be had: worth another try later). Other codes are the function's own."""

    code: str


class Refuse(Exception):
    """Raised inside the jail by a function that will not do its job; `code` reaches the caller."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def damage(error: Exception) -> Refuse:
    """What a library's exception is to the caller: a damaged file, unless the walls were what it met, which is our fault."""
    ours = isinstance(error, ImportError) or (
        isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.EPERM)
    )
    return Refuse("error" if ours else "damaged")
