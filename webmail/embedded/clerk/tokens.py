"""Session tokens (version 2) and handshake envelopes: RS256 JWTs under the instance's key."""

from __future__ import annotations

import functools
from typing import Any

import jwt
from jwt.algorithms import RSAAlgorithm

from webmail.embedded.clerk.store import Keys, Session, load_private_key, new_id, new_private_pem

SESSION_CATEGORY = "cl_B7d4PD111AAA"
ALGORITHM = "RS256"


_private_key = functools.lru_cache(maxsize=8)(load_private_key)


def _minutes_since(then: float | None, now: float) -> int:
    return -1 if then is None else max(0, int((now - then) // 60))


def session_claims(
    session: Session, *, now: float, seconds: int, issuer: str, origin: str, pending: bool
) -> dict[str, Any]:
    """The claims Clerk puts into `__session`. Factor ages are whole minutes, -1 for a factor never given."""
    issued = int(now)
    claims: dict[str, Any] = {
        "azp": origin,
        "exp": issued + seconds,
        "fva": [_minutes_since(session.first_factor_at, now), _minutes_since(session.second_factor_at, now)],
        "iat": issued,
        "iss": issuer,
        "jti": new_id("tok")[4:24].lower(),
        "nbf": issued - 10,
        "sid": session.id,
        "sts": "pending" if pending else "active",
        "sub": session.user_id,
        "v": 2,
    }
    if session.actor is not None:
        claims["act"] = {"iss": issuer, "sid": session.id, **session.actor}
    return claims


def overlay(claims: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`claims` with those of `over` in their place; None takes a claim away."""
    merged = {**claims, **over}
    return {name: value for name, value in merged.items() if not (name in over and value is None)}


def sign_session(keys: Keys, claims: dict[str, Any]) -> str:
    headers = {"cat": SESSION_CATEGORY, "kid": keys.kid}
    return jwt.encode(claims, _private_key(keys.private_pem), ALGORITHM, headers=headers)


def sign_handshake(keys: Keys, directives: list[str], *, foreign: bool = False) -> str:
    """The envelope of a handshake: Set-Cookie values in a list. `foreign` signs with a key nobody knows."""
    pem = new_private_pem() if foreign else keys.private_pem
    return jwt.encode({"handshake": directives}, _private_key(pem), ALGORITHM, headers={"kid": keys.kid})


def session_of(keys: Keys, token: str) -> str | None:
    """The `sid` of a session token that a key of ours signed, expired or not; None for anything else."""
    try:
        header = jwt.get_unverified_header(token)
        if header.get("cat") != SESSION_CATEGORY:
            return None
        options: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
        pem = keys.retired_pems.get(str(header.get("kid")), keys.private_pem)
        public = _private_key(pem).public_key()
        claims = jwt.decode(token, public, algorithms=[ALGORITHM], options=options)
    except jwt.InvalidTokenError:
        return None
    sid = claims.get("sid")
    return sid if isinstance(sid, str) else None


def jwks(keys: Keys) -> dict[str, Any]:
    """The key set that the instance publishes: the current key and those kept for a rotation."""
    listed = []
    for kid, pem in {**keys.retired_pems, keys.kid: keys.private_pem}.items():
        described = RSAAlgorithm.to_jwk(_private_key(pem).public_key(), as_dict=True)
        listed.append(
            {
                "kty": "RSA",
                "use": "sig",
                "alg": ALGORITHM,
                "kid": kid,
                "n": described["n"],
                "e": described["e"],
            }
        )
    return {"keys": listed}


def rotate(keys: Keys, *, same_kid: bool, keep_old: bool) -> None:
    """A new signing key. Real instances may rotate under the same kid, as a kid there is the instance's id."""
    if not same_kid:
        if keep_old:
            keys.retired_pems[keys.kid] = keys.private_pem
        keys.kid = new_id("ins")
    keys.private_pem = new_private_pem()
