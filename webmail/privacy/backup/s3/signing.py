"""AWS Signature Version 4: what proves to a storage that a request is ours, without sending the secret.

A request is written down in one way only (the canonical request), its hash is signed with a key that is made from the secret for
one day, region and service. See "Signature Version 4 signing process" in Amazon's documentation.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

NOTHING = sha256(b"").hexdigest()
"""The hash of an empty body."""
_ALGORITHM = "AWS4-HMAC-SHA256"
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. `region` is what the storage calls its own, `us-east-1` where it has none."""

    key_id: str
    secret: str = field(repr=False)
    region: str = "us-east-1"
    service: str = "s3"


def encoded(text: str, *, slashes: bool = False) -> str:
    """As the signature wants it: everything but letters, digits and `-._~` as %XX; in a path, slashes stay."""
    return quote(text, safe="-._~/" if slashes else "-._~")


def query_text(query: Pairs) -> str:
    """The query of an address, in the order in which it is signed."""
    return "&".join(f"{name}={value}" for name, value in sorted((encoded(a), encoded(b)) for a, b in query))


def authorization(
    who: Credentials, method: str, path: str, query: Pairs, headers: Mapping[str, str], body_hash: str
) -> str:
    """The `Authorization` of a request. `path` is not encoded yet; all `headers` are signed, with `host` and `x-amz-date`."""
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    stamp = dict(lines)["x-amz-date"]
    request = "\n".join([
        method,
        encoded(path, slashes=True),
        query_text(query),
        *(f"{name}:{value}" for name, value in lines),
        "",
        names,
        body_hash,
    ])  # fmt: skip
    scope = f"{stamp[:8]}/{who.region}/{who.service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, sha256(request.encode()).hexdigest()])
    signature = hmac.digest(_key(who, stamp[:8]), text.encode(), "sha256").hex()
    return f"{_ALGORITHM} Credential={who.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"


def _key(who: Credentials, day: str) -> bytes:
    key = f"AWS4{who.secret}".encode()
    for part in (day, who.region, who.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def date_text(at: datetime) -> str:
    """A moment as `x-amz-date` has it."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
