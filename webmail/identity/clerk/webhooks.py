"""Clerk's webhooks: whether one is genuine, what it says, and whether it is still news.

They are delivered by Svix, at least once, in any order, or not at all; so they are never the only way in which a
revocation reaches us. Nothing here touches a database: whoever applies an event stores its `message_id` under a unique
constraint in the same transaction, and keeps it for at least 30 hours.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webmail.identity.clerk.facts import Headers
from webmail.identity.clerk.settings import ClerkSettings

MAX_BODY = 256 * 1024
TOLERANCE = 300
KEEP_MESSAGE_IDS = 30 * 3600
"""Seconds; Svix retries for 27.6 hours."""

_MILLISECONDS_FROM = 10**11
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LATEST = 10**14
_KIND = re.compile(r"[A-Za-z0-9_.]{1,64}")
_USER_ID = re.compile(r"user_[A-Za-z0-9]{1,64}")
_SESSION_ID = re.compile(r"sess_[A-Za-z0-9]{1,64}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
"""What a line of text cannot hold, or a database."""
MAX_NAME, MAX_CONTACT = 200, 320
_ENDED = frozenset({"session.ended", "session.removed", "session.revoked"})


class WebhookRefused(Exception):
    """Answer with `status` and no further word."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    message_id: str
    """The same for every delivery of one message, also when it is replayed by hand."""
    kind: str
    occurred_at: float
    """Seconds since 1970."""
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserChanged:
    user_id: str
    updated_at: int
    """Milliseconds since 1970; orders the changes of one user."""
    name: str = field(repr=False)
    contact: str | None = field(repr=False)
    """The primary address, if Clerk has verified it."""
    banned: bool


@dataclass(frozen=True, slots=True)
class UserDeleted:
    user_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    session_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    session_id: str
    user_id: str
    impersonated: bool


Effect = UserChanged | UserDeleted | SessionEnded | SignedIn


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What is stored of a user: enough to see whether an event is news."""

    updated_at: int
    deleted: bool = False


def receive(headers: Headers, body: bytes, settings: ClerkSettings, now: float) -> WebhookEvent:
    """The event in a request, whose raw `body` must not have been parsed before. Raises WebhookRefused."""
    if len(body) > MAX_BODY:
        raise WebhookRefused(413)
    message_id = verify(headers, body, settings.webhook_secrets, now)
    try:
        event = json.loads(body)
        kind, data, timestamp = event["type"], event["data"], event["timestamp"]
        instance = event.get("instance_id")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WebhookRefused(400) from error
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or not isinstance(data, dict):
        raise WebhookRefused(400)
    if type(timestamp) is not int or not 0 <= timestamp < _LATEST:
        raise WebhookRefused(400)
    if settings.instance_id is not None and instance != settings.instance_id:
        raise WebhookRefused(400)
    # Clerk's documentation has milliseconds, its OpenAPI description seconds.
    seconds = timestamp / 1000 if timestamp > _MILLISECONDS_FROM else float(timestamp)
    return WebhookEvent(message_id, kind, seconds, data)


def verify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> str:
    """Svix's signature scheme, on bytes. Returns the message id; raises WebhookRefused(400)."""
    message_id = headers.get("svix-id", "")
    timestamp = headers.get("svix-timestamp", "")
    if not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise WebhookRefused(400)
    if abs(now - int(timestamp)) > TOLERANCE:
        raise WebhookRefused(400)
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = [hmac.digest(secret, signed, hashlib.sha256) for secret in secrets]
    given = [
        signature
        for part in headers.get("svix-signature", "").split(" ")[:16]
        if (signature := _signature(part))
    ]
    # During a rotation either side may have several.
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise WebhookRefused(400)
    return message_id


def _signature(part: str) -> bytes:
    version, _, encoded = part.partition(",")
    try:
        return base64.b64decode(encoded, validate=True) if version == "v1" else b""
    except (binascii.Error, ValueError):
        return b""


def effect_of(event: WebhookEvent) -> Effect | None:
    """What an event means to us; None for those that mean nothing, and for data that is not as described."""
    data, kind = event.data, event.kind
    if kind in ("user.created", "user.updated"):
        return _user_changed(data)
    if kind == "user.deleted":
        deleted = _matching(_USER_ID, data.get("id"))
        return UserDeleted(deleted) if deleted else None
    session_id, user_id = _matching(_SESSION_ID, data.get("id")), _matching(_USER_ID, data.get("user_id"))
    if session_id is None or user_id is None:
        return None
    if kind in _ENDED:
        return SessionEnded(session_id, user_id)
    if kind == "session.created":
        return SignedIn(session_id, user_id, impersonated=data.get("actor") is not None)
    return None


def is_news(effect: Effect, known: KnownUser | None) -> bool:
    """Whether an effect still applies to a user stored as `known`. Deletion is final; sessions only ever end."""
    match effect:
        case UserChanged(updated_at=updated_at):
            return known is None or (not known.deleted and updated_at >= known.updated_at)
        case UserDeleted():
            return known is None or not known.deleted
        case _:
            return True


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _user_changed(data: Mapping[str, Any]) -> UserChanged | None:
    user_id, updated_at = _matching(_USER_ID, data.get("id")), data.get("updated_at")
    if user_id is None or type(updated_at) is not int or not 0 <= updated_at < _LATEST:
        return None
    names = (data.get("first_name"), data.get("last_name"))
    name = " ".join(part for part in names if isinstance(part, str) and part) or str(
        data.get("username") or ""
    )
    name = " ".join(_UNFIT.sub(" ", name).split())[:MAX_NAME]
    # Anything but a plain "no" keeps a person out until the next event says otherwise.
    banned = data.get("banned", False) is not False
    return UserChanged(user_id, updated_at, name, _verified_contact(data), banned)


def _verified_contact(data: Mapping[str, Any]) -> str | None:
    addresses = data.get("email_addresses")
    for entry in addresses if isinstance(addresses, list) else ():
        if not isinstance(entry, dict) or entry.get("id") != data.get("primary_email_address_id"):
            continue
        verification, address = entry.get("verification"), entry.get("email_address")
        if (
            isinstance(verification, dict)
            and verification.get("status") == "verified"
            and isinstance(address, str)
            and len(address) <= MAX_CONTACT
            and not _UNFIT.search(address)
        ):
            return address
    return None
