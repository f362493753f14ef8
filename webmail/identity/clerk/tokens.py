"""Session tokens: taking one apart, and deciding what it proves.

A token is read once, strictly; the very bytes that were read are the bytes whose signature is checked. PyJWT is not
used here because it would parse a second time, and leniently.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NoReturn, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from webmail.identity.clerk.keys import Keyring, plausible_kid
from webmail.identity.clerk.settings import ClerkSettings

MAX_TOKEN_CHARS = 8192
"""Twice what fits into a cookie."""
MAX_LIFETIME = 24 * 3600

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_USER_ID = re.compile(r"user_[A-Za-z0-9]{1,64}")
_SESSION_ID = re.compile(r"sess_[A-Za-z0-9]{1,64}")
# Tuples: what a stranger wrote need not be hashable.
_SESSION_CATEGORIES = ("cl_B7d4PD111AAA", "cl_I7d4PD111III")
_MACHINE_TYPES = ("at+jwt", "application/at+jwt")
_PADDING, _HASH = PKCS1v15(), SHA256()


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A token taken apart and not yet believed. Has no repr, so that it cannot end up in a log."""

    text: str
    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts as the user (Clerk's impersonation), as the token's `act` claim names him."""

    subject: str
    issuer: str
    agent: bool


@dataclass(frozen=True, slots=True)
class Claims:
    """What an authentic session token says."""

    user_id: str
    session_id: str | None
    issued_at: float
    factor_ages: tuple[int, ...]
    """`fva`: minutes since the first and the second factor as of `issued_at`, -1 for never; empty if malformed."""
    status: object
    actor: Actor | None
    raw: Mapping[str, Any] = field(repr=False)


TimeFault = Literal["token-expired", "token-not-active-yet", "token-iat-in-the-future"]


@dataclass(frozen=True, slots=True)
class Authentic:
    """Signed by Clerk, for us, about one of our users. `time_fault` says whether it holds at this moment."""

    claims: Claims
    time_fault: TimeFault | None


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    learnable: bool = False
    """Whether another set of keys could change the answer."""


def decode(text: str) -> Token | None:
    """Take a compact JWS apart (RFC 7515, section 3.1); None for anything that is not one, believed or not."""
    if len(text) > MAX_TOKEN_CHARS:
        return None
    match = _COMPACT.fullmatch(text)
    if match is None:
        return None
    try:
        header, payload, signature = (_unbase64(part) for part in match.groups())
        head, body = _DECODER.decode(header.decode()), _DECODER.decode(payload.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(head, dict) or not isinstance(body, dict):
        return None
    return Token(text, head, body, signed=text[: match.start(3) - 1].encode(), signature=signature)


def is_session_class(token: Token) -> bool:
    """False for Clerk's other tokens (templates, machines, OAuth), which are signed with the very same key."""
    if token.header.get("typ") in _MACHINE_TYPES:
        return False
    if str(token.payload.get("sub", "")).startswith("mch_"):
        return False
    return _is_session_category(token)


def verify_session(
    token: Token, keyring: Keyring, settings: ClerkSettings, now: float, *, skew: float | None = None
) -> Authentic | Rejected:
    """Check everything but revocation. The order matters: nothing in a token is looked at before its signature,
    so that a forged one is always just that; and time comes last, so that an expired one is known to be authentic."""
    if not is_session_class(token):
        return Rejected("token-type-mismatch")
    if rejected := verify_signature(token, keyring):
        return rejected
    payload = token.payload
    user_id, issued_at, expires_at = payload.get("sub"), payload.get("iat"), payload.get("exp")
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        return Rejected("token-verification-failed")
    if payload.get("azp") not in settings.authorized_parties:
        return Rejected("token-invalid-authorized-parties")
    if payload.get("iss") != settings.issuer:
        return Rejected("token-invalid-issuer")
    if not is_number(issued_at) or not is_number(expires_at) or not is_number(payload.get("nbf", issued_at)):
        return Rejected("token-verification-failed")
    if expires_at - issued_at > MAX_LIFETIME:
        return Rejected("token-verification-failed")
    session_id = payload.get("sid")
    claims = Claims(
        user_id=user_id,
        session_id=session_id if is_session_id(session_id) else None,
        issued_at=issued_at,
        factor_ages=_factor_ages(payload.get("fva")),
        status=payload.get("sts", "active"),
        actor=_actor(payload["act"]) if "act" in payload else None,
        raw=MappingProxyType(dict(payload)),
    )
    tolerance = settings.clock_skew if skew is None else skew
    return Authentic(claims, _time_fault(payload, now, tolerance))


def verify_handshake(token: Token, keyring: Keyring) -> Rejected | list[object]:
    """The envelope of a handshake: `Set-Cookie` directives under the instance's signature.

    A token made from a template is refused by its category: its author chooses its claims, and could forge this one.
    """
    if not _is_session_category(token):
        return Rejected("token-type-mismatch")
    if rejected := verify_signature(token, keyring):
        return rejected
    directives = token.payload.get("handshake", [])
    return directives if isinstance(directives, list) else Rejected("token-invalid")


def verify_signature(token: Token, keyring: Keyring) -> Rejected | None:
    """RS256 and nothing else. Header parameters we do not know are ignored, those marked critical are not."""
    if token.header.get("typ", "JWT") != "JWT" or "crit" in token.header:
        return Rejected("token-invalid")
    if token.header.get("alg") != "RS256":
        return Rejected("token-invalid-algorithm")
    if not keyring.keys:
        return Rejected("jwk-remote-failed-to-load", learnable=keyring.learnable)
    kid = token.header.get("kid")
    candidates = keyring.candidates(kid)
    if not candidates:
        return Rejected("jwk-kid-mismatch", learnable=keyring.learnable and plausible_kid(kid))
    for key in candidates:
        try:
            key.verify(token.signature, token.signed, _PADDING, _HASH)
        except InvalidSignature:
            continue
        return None
    # Clerk's key id is the instance's id: a key may be replaced and keep it.
    return Rejected("token-invalid-signature", learnable=keyring.learnable)


def is_number(value: object) -> TypeGuard[float]:
    """A JSON number in the range of times, which excludes infinity; Python would count True as one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12


def is_session_id(value: object) -> bool:
    return isinstance(value, str) and _SESSION_ID.fullmatch(value) is not None


def _is_session_category(token: Token) -> bool:
    category = token.header.get("cat")
    return category is None or category in _SESSION_CATEGORIES


def _time_fault(payload: Mapping[str, Any], now: float, skew: float) -> TimeFault | None:
    if payload["exp"] <= now - skew:
        return "token-expired"
    if "nbf" in payload and payload["nbf"] > now + skew:
        return "token-not-active-yet"
    if payload["iat"] > now + skew:
        return "token-iat-in-the-future"
    return None


def _factor_ages(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) == 2 and all(type(age) is int and age >= -1 for age in value):
        return (value[0], value[1])
    return ()


def _actor(value: object) -> Actor:
    """A malformed `act` still means that somebody else is acting."""
    fields = value if isinstance(value, dict) else {}
    return Actor(
        subject=str(fields.get("sub", "")),
        issuer=str(fields.get("iss", "")),
        agent=fields.get("type") == "agent",
    )


def _unbase64(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519, section 4: a claim named twice is an attempt to be read in two ways."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
