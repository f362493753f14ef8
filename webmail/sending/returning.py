"""Tagged return paths: a bounce comes back to `ann+b-<submission><secret>@example.org`, and so finds the message it is about.

The tag is in the local part's plus tag, which `mailboxes.resolve` strips, so it needs no address of its own. Both halves are
48 bits in base32, which survives servers that fold case: whose submission it is, and a random secret that is kept in the
submission's own row. Who has not seen the message cannot name it. Who has (its recipients) can, and could report about
themselves, or about each other; what they can do by it is to have the author told that a copy did not arrive.
"""

import base64
import hmac
import re
import secrets

from webmail.mail.addresses import MAX_LOCAL, MAX_PATH, Address, AddressError, parse_spec

_TAG = re.compile(r"b-([a-z2-7]{10})([a-z2-7]{10})")


def tagged(sender: str, submission_id: int) -> str:
    """The return path for a submission from `sender`; `sender` itself where a tag would make it too long, or it is none."""
    try:
        address = parse_spec(sender)
    except AddressError:
        return sender
    tag = f"b-{_base32(submission_id.to_bytes(6, 'big'))}{_base32(secrets.token_bytes(6))}"
    path = Address(f"{address.local.partition('+')[0]}+{tag}", address.domain).email
    local = path.rpartition("@")[0]
    fits = len(local.encode()) <= MAX_LOCAL and len(path.encode()) <= MAX_PATH
    return path if fits and not local.startswith(('"', "+")) else sender


def submission_of(path: str) -> int | None:
    """Which submission a return path claims to belong to; None for one without a tag."""
    found = _TAG.fullmatch(_tag_of(path))
    return int.from_bytes(base64.b32decode(found[1].upper() + "======"), "big") if found else None


def is_same(path: str, envelope_from: str) -> bool:
    """Whether a return path bears the very tag of a submission that left with `envelope_from`."""
    tag = _tag_of(envelope_from)
    return bool(_TAG.fullmatch(tag)) and hmac.compare_digest(_tag_of(path).encode(), tag.encode())


def _tag_of(path: str) -> str:
    return path.rpartition("@")[0].partition("+")[2].lower()


def _base32(value: bytes) -> str:
    return base64.b32encode(value).decode().rstrip("=").lower()
