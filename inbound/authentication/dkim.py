"""DKIM signatures of a message (RFC 6376, RFC 8301, RFC 8463).

Our own verifier, because dkimpy's cannot meet strangers: its expressions for b= and for blanks in the body are more than linear,
each signature canonicalizes a large body again, content goes to a logger, and it takes SHA-1, keys for other services, i= of
another domain (t=s) and what stands behind l= for good. The cheap checks come first: a body is hashed only for a signature that
its key has made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inbound.authentication import keys, tags
from inbound.authentication.dns import Asker
from inbound.authentication.limits import MAX_SIGNATURES
from inbound.authentication.message import Field, Mail, unsigned
from inbound.authentication.results import Signature
from webmail.mail.idn import is_within

_SKEW = 300


class Rejected(Exception):
    """What is wrong with a signature: `result`, and a reason in our words."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@dataclass(frozen=True, slots=True)
class Claim:
    """The tags that DKIM-Signature and ARC-Message-Signature have in common, read."""

    algorithm: str
    domain: str
    selector: str
    names: tuple[bytes, ...]
    relaxed_header: bool
    relaxed_body: bool
    length: int | None
    signature: bytes
    body_hash: bytes


def signatures(mail: Mail) -> list[Field]:
    """The signatures from the top, `MAX_SIGNATURES` at most."""
    return mail.get_all(b"dkim-signature")[:MAX_SIGNATURES]


def claims(field: Field, organization: str) -> bool:
    """True if a signature says that it was made by a domain of `organization`."""
    try:
        domain = tags.domain(tags.parse(field.value).get("d", ""))
    except tags.Malformed:
        return False
    return is_within(domain, organization)


def claim(values: dict[str, str], canonical: str) -> Claim:
    """Read the common tags; `canonical` is what c= means where it is absent. Raises Malformed."""
    tags.require(values, "a", "b", "bh", "d", "h", "s")
    relaxed_header, relaxed_body = tags.canonicalization(values.get("c", canonical))
    return Claim(
        algorithm=values["a"],
        domain=tags.domain(values["d"]),
        selector=tags.selector(values["s"]),
        names=tuple(tags.names(values["h"])),
        relaxed_header=relaxed_header,
        relaxed_body=relaxed_body,
        length=tags.number(values["l"]) if "l" in values else None,
        signature=tags.binary(values["b"]),
        body_hash=tags.binary(values["bh"]),
    )


def check(mail: Mail, field: Field, one: Claim, names: Sequence[bytes], key: keys.Key) -> bool:
    """Hold a claim to the message: True if all of the body is signed, False if only its beginning. Raises Rejected."""
    if keys.ALGORITHMS.get(one.algorithm) != key.kind:
        raise Rejected("permerror", "key for another algorithm")
    chosen = mail.select(names)
    signed = b"".join(item.relaxed if one.relaxed_header else item.raw for item in chosen)
    try:
        if not keys.verify(key, signed + unsigned(field, one.relaxed_header), one.signature):
            raise Rejected("fail", "bad signature")
    except keys.Unusable as error:
        raise Rejected(error.result, str(error)) from None
    digest, whole = mail.body_digest(one.relaxed_body, one.length)
    if digest != one.body_hash:
        raise Rejected("fail", "body has changed")
    return whole


def verify(mail: Mail, field: Field, ask: Asker, now: float) -> Signature:
    """What one signature proves. `now` is in seconds of the epoch."""
    found = Signature("neutral", mail.problem)
    if mail.problem:
        return found
    try:
        values = tags.parse(field.value)
        one = claim(values, "simple/simple")
        found = Signature(
            "none",
            domain=one.domain,
            selector=one.selector,
            identity=_identity(values, one.domain),
            algorithm=one.algorithm if one.algorithm in keys.ALGORITHMS else "",
            start=values["b"].translate({ord(c): None for c in " \t\r\n"})[:16],
        )
        _fitting(values, one, now)
        key = keys.fetch(ask, one.domain, one.selector)
        if key.strict and found.identity.rpartition("@")[2] != one.domain:
            raise Rejected("permerror", "i= of another domain")
        # One From more than there is: a second one that was put above the signed one breaks the signature.
        whole = check(mail, field, one, (*one.names, b"from"), key)
    except tags.Malformed as error:
        return replace(found, result="neutral", reason=str(error))
    except (Rejected, keys.Unusable) as error:
        return replace(found, result=error.result, reason=str(error))
    if not whole:
        # Whatever was put behind the signed beginning would be taken for the signer's (RFC 6376 section 8.2).
        return replace(found, result="policy", reason="l= covers only the beginning")
    return replace(found, result="pass")


def _fitting(values: dict[str, str], one: Claim, now: float) -> None:
    """What a signature has to be before its key is worth a question. Raises Rejected, Malformed."""
    if values.get("v") != "1":
        raise tags.Malformed("not version 1")
    if one.algorithm not in keys.ALGORITHMS:
        raise Rejected("policy" if one.algorithm == "rsa-sha1" else "neutral", "unsupported algorithm")
    if b"from" not in one.names:
        raise Rejected("permerror", "From is not signed")
    if "dns/txt" not in (word.strip() for word in values.get("q", "dns/txt").split(":")):
        raise tags.Malformed("unknown query method")
    expires = tags.number(values["x"]) if "x" in values else None
    made = tags.number(values["t"]) if "t" in values else 0
    if expires is not None and (expires < now - _SKEW or expires < made):
        raise Rejected("policy", "expired")


def _identity(values: dict[str, str], domain: str) -> str:
    """The i= tag: an address, or @domain; its domain is d= or below it. Raises Malformed."""
    if "i" not in values:
        return f"@{domain}"
    local, at, host = values["i"].rpartition("@")
    name = tags.domain(host)
    if not at or not is_within(name, domain):
        raise tags.Malformed("i= is not of d=")
    return f"{local}@{name}"
