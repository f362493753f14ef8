"""What a report says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

Kind = Literal["status", "autoreply", "challenge", "receipt", "feedback"]
"""A delivery report; the answer of a machine for somebody who is away; one that asks the writer to prove to be human; that a
message was opened (MDN); that somebody complained of it (ARF)."""

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

Reason = Literal[
    "mailbox-full",
    "no-such-user",
    "host-unknown",
    "policy",
    "spam",
    "too-large",
    "blocked",
    "expired",
    "relay-denied",
    "suspended",
    "content",
    "network",
    "unknown",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of the copy for one recipient."""

    address: str
    """The final recipient: where the copy had got to."""
    original: str
    """The recipient as the sender named it, where the report says so; else "" ."""
    action: Action
    status: str
    """RFC 3463, as "5.1.1"; "" where nothing was said."""
    reason: Reason
    hard: bool
    """It failed, and will each time: the address leads nowhere."""
    reply_code: int | None = None
    diagnostic: str = ""
    """What the last server said: one line, at most 500 characters."""
    remote: str = ""
    """The host that said so, or ""."""
    until: datetime | None = None
    """How long it will be tried (Will-Retry-Until)."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report; `recipients` is empty for all kinds but "status", and may be for that."""

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    original_ids: tuple[str, ...] = ()
    """Message-IDs that the report may be about: of what it returns, and what it answers."""
    by_machine: bool = False
    """From fields (RFC 3464), not from prose."""
