"""The publishable key and what follows from it, and the public keys that session tokens are verified with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key

MIN_KEY_BITS = 2048
MAX_JWKS_KEYS = 16

_PUBLISHABLE = re.compile(r"pk_(live|test)_([A-Za-z0-9+/]+={0,2})")
_HOST = re.compile(r"(?:https?://)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?")
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublishableKey:
    """A parsed `pk_live_...` or `pk_test_...`: which Clerk instance this is, and how its cookies are named."""

    text: str
    live: bool
    host: str
    """The Frontend API's host, with a port where the key names one."""
    suffix: str
    """Eight characters; a cookie of this instance is called `<base>_<suffix>`."""

    @property
    def frontend_url(self) -> str:
        return self.host if "://" in self.host else f"https://{self.host}"

    @property
    def accounts_url(self) -> str:
        """Origin of the Account Portal, as Clerk derives it from the Frontend API's host."""
        if "clerk.accounts." in self.frontend_url:
            return self.frontend_url.replace("clerk.accounts.", "accounts.", 1)
        return self.frontend_url.replace("clerk.", "accounts.", 1)


def parse_publishable_key(text: str) -> PublishableKey:
    """Raises ValueError, whose text does not repeat the key."""
    match = _PUBLISHABLE.fullmatch(text)
    if match is None:
        raise ValueError("is not pk_live_ or pk_test_ followed by base64")
    kind, body = match.groups()
    try:
        # Keys are handed out with and without their padding.
        decoded = base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("does not decode from base64") from error
    host = decoded[:-1]
    if not decoded.endswith("$") or not _HOST.fullmatch(host):
        raise ValueError("does not hold a host name that ends in $")
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).digest()
    suffix = base64.urlsafe_b64encode(digest).decode()[:8]
    return PublishableKey(text=text, live=kind == "live", host=host, suffix=suffix)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The public keys known at one moment. Immutable, so that a decision rests on one set of keys from end to end."""

    keys: tuple[tuple[str | None, RSAPublicKey], ...]
    """(key id, key); a key from a PEM has no id and answers for every token."""
    learnable: bool = False
    """Whether asking Clerk could bring other keys than these."""

    def candidates(self, kid: object) -> tuple[RSAPublicKey, ...]:
        return tuple(key for known, key in self.keys if known is None or known == kid)


def plausible_kid(kid: object) -> bool:
    """Whether a key id looks like one of Clerk's (`ins_...`): the others are not worth a question to Clerk."""
    return isinstance(kid, str) and _KID.fullmatch(kid) is not None


def parse_pems(text: str) -> tuple[RSAPublicKey, ...]:
    """One or more PEM public keys, one after the other; line ends may be spelled `\\n`, as env files have it.

    Raises ValueError for anything that is not an RSA public key of at least 2048 bits."""
    blocks = _PEM.findall(text.replace("\\n", "\n"))
    if not blocks:
        raise ValueError("holds no PEM block")
    return tuple(_load_pem(block) for block in blocks)


def _load_pem(block: str) -> RSAPublicKey:
    lines = (line.strip() for line in block.splitlines())
    try:
        key = load_pem_public_key("\n".join(line for line in lines if line).encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("holds a PEM block that is not a public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        raise ValueError(f"holds a key that is not RSA of at least {MIN_KEY_BITS} bits")
    return key


def keyring_from_jwks(document: object) -> Keyring:
    """Read a JWK set (RFC 7517). Keys of another kind are passed over; ValueError when no usable one is left."""
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")
    keys = tuple(pair for pair in map(_load_jwk, entries[:MAX_JWKS_KEYS]) if pair is not None)
    if not keys:
        raise ValueError("a JWK set without a usable RSA key")
    return Keyring(keys=keys, learnable=True)


def _load_jwk(entry: object) -> tuple[str, RSAPublicKey] | None:
    if not isinstance(entry, Mapping) or entry.get("kty") != "RSA":
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
        return None
    kid = entry.get("kid")
    if not isinstance(kid, str) or not plausible_kid(kid):
        return None
    try:
        key = RSAPublicNumbers(n=_big_endian(entry.get("n")), e=_big_endian(entry.get("e"))).public_key()
    except ValueError:
        return None
    return (kid, key) if key.key_size >= MIN_KEY_BITS else None


def _big_endian(value: object) -> int:
    """RFC 7518, section 2: Base64urlUInt."""
    if not isinstance(value, str) or len(value) > 2048:
        raise ValueError("not a number")
    return int.from_bytes(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
