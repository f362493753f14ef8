"""Marking messages as they are filed: by what they are known again in other mailboxes, and by their Message-ID.

A mark is 128 bits of HMAC under the service's secret for cases, so that equal messages have equal marks in every mailbox and
nothing else shows. Marks are written by functions of the database; no role reads one.
"""

from dataclasses import dataclass, field

from webmail.db import rows
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.keys import MasterKeys
from webmail.mail.fingerprint import Fingerprint

MARK_BYTES = 16


def content_mark(secret: CaseSecret, content: bytes) -> bytes:
    """What a message with this content (`fingerprint`) is known again by."""
    return secret.blind("content", content.hex())[:MARK_BYTES]


def reference_mark(secret: CaseSecret, message_id: str) -> bytes | None:
    """What a message with this Message-ID is found by, once it is filed or has left; None for a message without one."""
    bare = message_id.strip("<> ")
    return secret.blind("reference", bare)[:MARK_BYTES] if bare else None


@dataclass(slots=True)
class Marking:
    """Marks one message while it is filed, in the transaction of its mailbox; called before anything else is written, so that
    nobody waits in a ring. `held`: the quarantine that waits for such a message, None for most."""

    master: MasterKeys
    message_id: int
    held: int | None = field(default=None, init=False)

    def __call__(self, found: Fingerprint) -> None:
        """Write the marks of the message; from now to the commit, no quarantine of it begins or ends."""
        secret = open_secret(self.master)
        values = {
            "message": self.message_id,
            "content": content_mark(secret, found.content),
            "reference": reference_mark(secret, found.reference),
        }
        [[self.held]] = rows(_MARK, values)

    def hold(self) -> bool:
        """Put the filed message where its like are held, and tell its owners; False for most, and where that has just ended."""
        if self.held is None:
            return False
        [[is_held]] = rows(_HOLD, {"message": self.message_id, "quarantine": self.held})
        return bool(is_held)


_MARK = "SELECT message_marked(%(message)s, %(content)s, %(reference)s)"
_HOLD = "SELECT message_arrives_held(%(message)s, %(quarantine)s)"
