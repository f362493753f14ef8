"""Public keys from DNS, and the one place where a signature is checked against one (RFC 6376 section 3.6.1, RFC 8463)."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from inbound.authentication import tags
from inbound.authentication.dns import Asker, Status
from inbound.authentication.limits import RSA_BITS, RSA_EXPONENT

ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""By a= tag: the type of key that it needs. SHA-1 is no longer among them (RFC 8301 section 3.1)."""


class Unusable(Exception):
    """Why there is no key: `result` is the result of the signature, the text is in our words alone."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass(frozen=True, slots=True)
class Key:
    """A key record that may sign mail. `strict`: i= must be the very domain (flag s)."""

    kind: str
    data: bytes
    strict: bool = False


def fetch(ask: Asker, domain: str, selector: str) -> Key:
    """The key of a signature. Raises Unusable."""
    answer = ask(f"{selector}._domainkey.{domain}", "TXT")
    if answer.status is Status.TEMPORARY:
        raise Unusable("temperror", "key unavailable")
    if not answer.records:
        raise Unusable("permerror", "no key")
    trouble = Unusable("permerror", "bad key")
    for record in answer.records[:5]:  # there should be one; of several the first that is any good
        try:
            return parse(record)
        except Unusable as error:
            trouble = error
    raise trouble


def parse(record: str) -> Key:
    """Read a key record. Raises Unusable."""
    try:
        values = tags.parse(record)
        if values.get("v", "DKIM1") != "DKIM1":
            raise Unusable("permerror", "bad key")
        if values.get("p") == "":
            raise Unusable("permerror", "key revoked")
        tags.require(values, "p")
        data = tags.binary(values["p"])
    except tags.Malformed:
        raise Unusable("permerror", "bad key") from None
    if "sha256" not in _list(values.get("h", "sha256")):
        raise Unusable("permerror", "key for another hash")
    if not {"*", "email"}.intersection(_list(values.get("s", "*"))):
        raise Unusable("permerror", "key for another service")
    kind = values.get("k", "rsa")
    if kind not in ALGORITHMS.values():
        raise Unusable("permerror", "unknown type of key")
    return Key(kind, data, strict="s" in _list(values.get("t", "")))


def verify(key: Key, signed: bytes, signature: bytes) -> bool:
    """Whether `signature` was made over `signed` by the holder of `key`. Raises Unusable."""
    try:
        if key.kind == "ed25519":
            Ed25519PublicKey.from_public_bytes(key.data).verify(signature, hashlib.sha256(signed).digest())
            return True
        public = load_der_public_key(key.data)
        if not isinstance(public, RSAPublicKey):
            raise Unusable("permerror", "bad key")
        if public.key_size not in RSA_BITS:
            raise Unusable("policy", "key too short" if public.key_size < RSA_BITS.start else "key too long")
        if public.public_numbers().e >= RSA_EXPONENT:
            raise Unusable("permerror", "bad key")
        public.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable("permerror", "bad key") from None
    return True


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(":")]
