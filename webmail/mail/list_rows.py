"""What a list of messages is made of: the sealed summary of each row, and the place at which a page begins."""

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from webmail.errors import NotFound
from webmail.keys import Place, seal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Summary:
    """The sealed part of a list row."""

    subject: str
    sender: tuple[str, str]
    """Name and address of the first author."""
    recipients: tuple[tuple[str, str], ...]
    """The first three recipients."""
    snippet: str

    def seal(self, content_key: bytes, mailbox_id: int, message_id: int) -> bytes:
        """The summary sealed for its row."""
        return seal(
            content_key,
            json.dumps(asdict(self), ensure_ascii=False).encode(),
            summary_place(mailbox_id, message_id),
        )


def summary_place(mailbox_id: int, message_id: int) -> Place:
    """Where the summary of a message is sealed for."""
    return Place("message", mailbox_id, message_id, "summary")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list, newest first: after (older than) or before (newer than) one message."""

    at: datetime
    message_id: int
    newer: bool = False

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        packed = (
            micros.to_bytes(8, "big", signed=True) + self.message_id.to_bytes(6, "big") + bytes([self.newer])
        )
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def parse(cls, value: str) -> "Cursor":
        """The cursor in a URL. Raises NotFound for anything that str() does not make."""
        try:
            packed = base64.b64decode(value, altchars=b"-_", validate=True)
            if len(packed) != 15:
                raise NotFound("cursor")
            at = _EPOCH + timedelta(microseconds=int.from_bytes(packed[:8], "big", signed=True))
        except (binascii.Error, ValueError, OverflowError):
            raise NotFound("cursor") from None
        return cls(at, int.from_bytes(packed[8:14], "big"), bool(packed[14]))
