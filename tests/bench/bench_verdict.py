"""What it costs to know who is asking: `python -m tests.bench.bench_verdict`, or this file.

Prints the median (and the 99th percentile) of the verdict on a warm token, as a browser sends it with both sets of cookies, and of
what surrounds it: reading the facts from headers, and refusing a forgery. The bar is 300 us for the verdict.
"""

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from webmail.identity.clerk.authenticate import build_clerk
from webmail.identity.clerk.backend import ClientHints
from webmail.identity.clerk.facts import facts_of
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import State
from webmail.identity.shared import InProcessStore

BAR = 300e-6
ORIGIN = "https://mail.example.com"
SUFFIX = "naoXFJnI"
TIMES = 3000


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token(key: RSAPrivateKey) -> str:
    now = int(time.time())
    head = {"alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD111AAA"}
    claims = {
        "sub": "user_1", "sid": "sess_1", "iss": "https://clerk.example.com", "azp": ORIGIN, "sts": "active",
        "iat": now, "nbf": now - 10, "exp": now + 3600, "fva": [0, -1], "v": 2,
    }  # fmt: skip
    signed = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def measure(call: Callable[[], object], times: int = TIMES) -> tuple[float, float]:
    """Median and 99th percentile in seconds."""
    costs = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        costs.append(time.perf_counter() - began)
    return statistics.median(costs), statistics.quantiles(costs, n=100)[98]


def main() -> int:
    key, foreign = (generate_private_key(65537, 2048) for _ in range(2))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings = ClerkSettings.from_environment(
        {
            "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
            "CLERK_SECRET_KEY": "sk_live_abc",
            "CLERK_JWT_KEY": pem,
        },
        origin=ORIGIN,
        environment="production",
    )
    clerk, hints = build_clerk(settings, InProcessStore()), ClientHints()
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "User-Agent": "x" * 100}
    uat = str(int(time.time()) - 60)

    def cookies(token: str) -> list[tuple[str, str]]:
        both = [("__session", token), ("__client_uat", uat)]
        own = [(f"{name}_{SUFFIX}", value) for name, value in both]
        return [*both, *own, (f"__refresh_{SUFFIX}", "rt"), ("tz", "Pacific/Auckland")]

    warm = facts_of("GET", "/mail/inbox", headers, cookies(_token(key)))
    forged = facts_of("GET", "/mail/inbox", headers, cookies(_token(foreign)))
    assert clerk.settle(warm, hints).state is State.SIGNED_IN
    assert clerk.settle(forged, hints).state is State.INVALID
    pairs = cookies(_token(key))
    rows = {
        "verdict, warm token": lambda: clerk.settle(warm, hints),
        "verdict, forged token": lambda: clerk.settle(forged, hints),
        "facts of a request": lambda: facts_of("GET", "/mail/inbox", headers, pairs),
    }
    found = {name: measure(call) for name, call in rows.items()}
    for name, (middle, late) in found.items():
        sys.stdout.write(f"{name:24} p50 {middle * 1e6:7.1f} us   p99 {late * 1e6:7.1f} us\n")
    return int(found["verdict, warm token"][0] >= BAR)


if __name__ == "__main__":
    sys.exit(main())
