"""What inbound asks of the rest of mtumail. All of it runs in threads and may block."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from webmail.mail.addresses import Address


class Refusal(StrEnum):
    """Why a recipient or a message is refused; each value is the name of its reply."""

    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    RECLAIMED = "reclaimed"
    FULL = "full"
    OVER_LIMIT = "over_limit"
    NOT_LOCAL = "not_local"
    UNAUTHENTICATED = "unauthenticated"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A local mailbox that accepts mail now. `address` is the canonical one that was resolved, for the envelope row; `since` when
    it has had that address, None for ever (RFC 7293)."""

    mailbox_id: int
    public_key: bytes
    address: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message with its envelope, as it is handed to `receive`.

    `raw` is our Return-Path and Received fields, then the very bytes that came (dots unstuffed); `size` is their common
    length, `head` that of our own fields. `envelope_from` is "" for the null sender. `helo` is what the peer called itself:
    claimed, not proved.
    """

    id: str
    envelope_from: str
    recipients: tuple[Recipient, ...]
    raw: bytes
    size: int
    smtputf8: bool
    peer_ip: str
    helo: str
    tls: bool
    received_at: datetime
    head: int = 0


class Resolve(Protocol):
    """Which mailbox an address leads to, or why none. Any exception is answered 451."""

    def __call__(self, address: Address, /) -> Recipient | Refusal: ...


class Receive(Protocol):
    """Store and COMMIT the delivery for all its recipients. Returning means committed; any exception is answered 451."""

    def __call__(self, delivery: Delivery, /) -> None: ...


class Nudge(Protocol):
    """Tell the workers, after the commit. Best effort; the delivery comes without its `raw` bytes, so a backlog is small."""

    def __call__(self, delivery: Delivery, /) -> None: ...


class Authenticate(Protocol):
    """Judge a message before it is received (SPF, DKIM, DMARC, ARC): the delivery to store, or why it is refused.

    Bounds its own DNS time. Any exception is answered 451. `authentication.judge.Judge` refuses nothing.
    """

    def __call__(self, delivery: Delivery, /) -> Delivery | Refusal: ...


class Reach(Protocol):
    """Look whether mail could be committed now. Any exception means that it could not; asked by the health page alone."""

    def __call__(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one server."""

    resolve: Resolve
    receive: Receive
    nudge: Nudge | None = None
    authenticate: Authenticate | None = None
    reach: Reach | None = None
