"""Signing what leaves (RFC 6376, RFC 8301, RFC 8463): relaxed/relaxed, over all of the body. Pure.

sign(raw, domain, keys, now)                 the same message with one DKIM-Signature field a key on top

Fields that a reader goes by are named once more than they occur, so that nobody can add a second one to a signed message and send
it on. There is no l= (what is put behind would pass), no x= (mail may wait for days), and i= is not a person.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from webmail.mail.canonical import relaxed_body, relaxed_field
from webmail.settings.dkim_records import SigningKey

OVERSIGNED: Final = (
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Content-Type",
)  # fmt: skip
SIGNED: Final = (
    "In-Reply-To", "References", "MIME-Version", "Content-Transfer-Encoding", "Auto-Submitted",
)  # fmt: skip
_LISTS: Final = re.compile(rb"list-[a-z-]+")  # RFC 2369, RFC 2919, RFC 8058

_LINE: Final = 76
_NEXT_FIELD = re.compile(rb"\r\n(?![ \t])")


def sign(raw: bytes, domain: str, keys: Sequence[SigningKey], now: int) -> bytes:
    """`raw` signed for `domain` (A-labels) with each key, the first one uppermost; unchanged without keys.

    `raw` has CRLF throughout; `now` is in seconds of the epoch. The same message and keys give the same bytes.
    """
    if not keys:
        return raw
    head, _, body = raw.partition(b"\r\n\r\n")
    names, signed = _chosen(_NEXT_FIELD.split(head))
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    fields = []
    for key in keys:
        unsigned = _field(key, domain, now, body_hash, names)
        data = signed + relaxed_field(unsigned.encode("ascii"))
        fields.append(f"{unsigned}{_folded(base64.b64encode(_signature(key, data)).decode())}\r\n")
    return "".join(fields).encode("ascii") + raw


def _chosen(header: Sequence[bytes]) -> tuple[str, bytes]:
    """The h= tag, folded, and the canonical fields that it means: of each name the last one first, with line ends."""
    by_name: dict[bytes, list[bytes]] = {}
    for field in header:
        by_name.setdefault(field.partition(b":")[0].rstrip(b" \t").lower(), []).append(field)
    lists = sorted(name.decode("ascii").title() for name in by_name if _LISTS.fullmatch(name))
    names, signed = [], []
    for name in (*OVERSIGNED, *SIGNED, *lists):
        present = by_name.get(name.lower().encode(), [])
        names += [name] * (len(present) + (name in OVERSIGNED))
        signed += [relaxed_field(field) + b"\r\n" for field in reversed(present)]
    return _folded_list(names), b"".join(signed)


def _field(key: SigningKey, domain: str, now: int, body_hash: str, names: str) -> str:
    """The signature field up to its b= value, which stands last so that nothing need be taken out again."""
    return (
        f"DKIM-Signature: v=1; a={key.algorithm}-sha256; c=relaxed/relaxed;\r\n\td={domain};\r\n"
        f"\ts={key.selector}; t={now};\r\n\tbh={body_hash};\r\n\th={names};\r\n\tb="
    )


def _signature(key: SigningKey, data: bytes) -> bytes:
    if isinstance(key.private, Ed25519PrivateKey):
        return key.private.sign(hashlib.sha256(data).digest())  # RFC 8463 section 3: over the hash
    return key.private.sign(data, PKCS1v15(), SHA256())


def _folded_list(names: Sequence[str]) -> str:
    lines, length = [""], 3
    for name in names:
        if length + len(name) + 1 > _LINE:
            lines.append("")
            length = 2
        lines[-1] += f"{name}:"
        length += len(name) + 1
    return "\r\n\t ".join(lines).removesuffix(":")


def _folded(text: str) -> str:
    return "\r\n\t ".join(text[at : at + _LINE - 4] for at in range(0, len(text), _LINE - 4))
