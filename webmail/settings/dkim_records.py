"""DKIM keys as such: made, loaded, and what of them is published in DNS (RFC 6376 section 3.6.1, RFC 8463). Pure."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

Algorithm = Literal["rsa", "ed25519"]
State = Literal["next", "active", "retired"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("rsa", "ed25519")
"""The one that everybody can check first: of several signatures some look at the uppermost alone."""
RSA_BITS: Final = 2048  # RFC 8301 section 3.2; a longer one does not fit into a DNS answer over UDP
MAX_STRING: Final = 255  # octets of one string of a TXT record, RFC 1035 section 3.3
REVOKED: Final = "v=DKIM1; p="

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair: `public` as DNS has it before base64 (SubjectPublicKeyInfo, or 32 octets), `private` for `load`."""

    public: bytes
    private: bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and what its signatures say of it."""

    selector: str
    algorithm: Algorithm
    private: RSAPrivateKey | Ed25519PrivateKey


def generate(algorithm: Algorithm) -> NewKey:
    """A new key pair; RSA takes a tenth of a second."""
    if algorithm == "ed25519":
        curve = Ed25519PrivateKey.generate()
        return NewKey(curve.public_key().public_bytes_raw(), curve.private_bytes_raw())
    private = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return NewKey(
        private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )


def load(selector: str, algorithm: Algorithm, private: bytes) -> SigningKey:
    """A key to sign with, from what `generate` made. Raises ValueError."""
    if algorithm == "ed25519":
        return SigningKey(selector, algorithm, Ed25519PrivateKey.from_private_bytes(private))
    # Its primes were checked when it was made, and nobody without the master key has touched it since: 70 ms for nothing.
    key = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")
    return SigningKey(selector, algorithm, key)


def next_selector(today: date, taken: Iterable[str]) -> str:
    """The month and the first letters that are free in it: m202611a, m202611b, … m202611zz."""
    month, used = f"m{today:%Y%m}", set(taken)
    for letters in (*_LETTERS, *(first + second for first in _LETTERS for second in _LETTERS)):
        if f"{month}{letters}" not in used:
            return f"{month}{letters}"
    raise ValueError("no selector is left in this month")


def name(selector: str, domain: str) -> str:
    """Where the record of a key stands in DNS."""
    return f"{selector}._domainkey.{domain}"


def record(algorithm: Algorithm, public: bytes) -> str:
    """The text of a key's record. `t=s`: it signs for the very domain and for none below it."""
    return f"v=DKIM1; k={algorithm}; t=s; p={base64.b64encode(public).decode()}"


def zone_line(owner: str, text: str) -> str:
    """`text` as one TXT record of a zone file, in strings of at most 255 octets, which are read as one."""
    strings = (text[at : at + MAX_STRING] for at in range(0, len(text), MAX_STRING))
    quoted = " ".join(f'"{one}"' for one in strings)
    return f"{owner}. IN TXT ( {quoted} )"
