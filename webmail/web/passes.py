"""A pass to the pictures of one message, for the frame that shows it.

The formatted view lives in a sandboxed frame with an origin of its own, whose requests carry no cookie. So its address holds a
pass, and its pictures' relative addresses hold it with it: who it was made for, until when, and an HMAC over both and the message.
"""

import base64
import binascii
import hmac
from hashlib import sha256

SECONDS = 60
_ID, _TIME, _TAG = 6, 5, 16


def issue(key: bytes, account_id: int, mailbox_id: int, message_id: int, now: float) -> str:
    """A pass for one person to one message of one mailbox, for 60 seconds from `now` (seconds since 1970)."""
    told = (
        account_id.to_bytes(_ID, "big")
        + mailbox_id.to_bytes(_ID, "big")
        + int(now + SECONDS).to_bytes(_TIME, "big")
    )
    return base64.urlsafe_b64encode(told + _tag(key, told, message_id)).rstrip(b"=").decode()


def read(key: bytes, shown: str, message_id: int, now: float) -> tuple[int, int] | None:
    """Account and mailbox of a pass to this message that still holds; None for any other text."""
    try:
        raw = base64.b64decode(shown + "=" * (-len(shown) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    told, tag = raw[:-_TAG], raw[-_TAG:]
    if len(told) != 2 * _ID + _TIME or not hmac.compare_digest(tag, _tag(key, told, message_id)):
        return None
    if int.from_bytes(told[2 * _ID :], "big") < now:
        return None
    return int.from_bytes(told[:_ID], "big"), int.from_bytes(told[_ID : 2 * _ID], "big")


def _tag(key: bytes, told: bytes, message_id: int) -> bytes:
    return hmac.new(key, b"frame" + told + message_id.to_bytes(_ID, "big"), sha256).digest()[:_TAG]
