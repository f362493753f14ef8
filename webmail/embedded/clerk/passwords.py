"""Passwords as scrypt hashes, and time-based codes (RFC 6238: SHA-1, six digits, steps of 30 seconds)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct

_COST, _BLOCK, _PARALLEL = (
    2**14,
    8,
    1,
)  # 16 MiB, some 40 ms: slow enough to guess against, quick enough to work with
STEP_SECONDS = 30
MINIMUM_LENGTH = 8


def _scrypt(password: str, salt: bytes) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(raw, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, dklen=32)


def hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


_NOBODY = f"scrypt${'00' * 16}${'00' * 32}"


def check_password(password: str, stored: str | None) -> bool:
    """Whether `password` is the one behind `stored`. Takes as long for None, so that timing names no accounts."""
    _, salt, digest = (stored or _NOBODY).split("$")
    same = hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(digest))
    return same and stored is not None


def new_totp_secret() -> str:
    """160 random bits in base32, the length that RFC 4226 section 4 recommends."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def totp_code(secret: str, step: int) -> str:
    """The code of one step (Unix seconds // 30). Raises ValueError when `secret` is not base32."""
    text = secret.replace(" ", "").upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("the secret is not base32") from error
    digest = hmac.digest(key, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def match_totp(secret: str, code: str, now: float, last_step: int) -> int | None:
    """The step that `code` belongs to, one step either side of `now`, later than `last_step`; else None.

    The caller stores the step: a code is good once (RFC 6238 section 5.2).
    """
    wanted = code.replace(" ", "")
    current = int(now) // STEP_SECONDS
    for step in (current - 1, current, current + 1):
        if step > last_step and hmac.compare_digest(totp_code(secret, step).encode(), wanted.encode()):
            return step
    return None
