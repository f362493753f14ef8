"""Calling the webhook of alerts: one POST, signed as Standard Webhooks has it (HMAC-SHA256), never redirected.

The address is a setting of the environment, so it may be within one's own network; what comes back is a status and is not read.
"""

import base64
import binascii
import hmac
import http.client
import ssl
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

SECONDS: Final = 10.0
"""For the connection, and for each answer to what is sent."""


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: v1 and the base64 of the HMAC over id, timestamp and body with dots between them."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key(secret), signed, sha256)).decode()


def key(secret: str) -> bytes:
    """The bytes of a secret: what `whsec_` says in base64, else the characters themselves."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def call(url: str, secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """POST a body; "" where the answer is 2xx, else a code: url, no-secret, away, tls, slow, status-NNN. Never raises."""
    if not secret:
        return "no-secret"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "url"
    if parts.scheme not in ("http", "https") or not host:
        return "url"
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mtumail alerts",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, message_id, timestamp, body),
    }
    connection = _connection(parts.scheme, host, port)
    try:
        connection.request(
            "POST", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", body, headers
        )
        status = connection.getresponse().status
    except TimeoutError:
        return "slow"
    except ssl.SSLError:
        return "tls"
    except (OSError, http.client.HTTPException, ValueError):
        return "away"
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"status-{status}"


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=SECONDS)
