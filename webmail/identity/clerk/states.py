"""The ten states of a request, and the values that pass between the pure verdict and whoever meets its needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from webmail.identity.clerk.facts import RequestClass
from webmail.identity.clerk.tokens import Actor


class State(Enum):
    SIGNED_IN = "S0"
    SIGNED_OUT = "S1"
    """Definitely nobody."""
    UNKNOWN = "S2"
    """Clerk has to be asked, by way of the browser."""
    REFRESHED = "S3"
    """Signed in with a token that was fetched during this request."""
    EXPIRED = "S4"
    """As UNKNOWN, for somebody whose token has run out and could not be refreshed."""
    INVALID = "S5"
    PENDING = "S6"
    """Signed in at Clerk, with a task left to do there first."""
    DENIED = "S7"
    LOOP = "S8"
    UNDECIDED = "S9"
    """We cannot know at present: no keys, or Clerk does not answer."""


SIGNED_IN_STATES = frozenset({State.SIGNED_IN, State.REFRESHED})


@dataclass(frozen=True, slots=True)
class Session:
    """Whom Clerk vouches for. `factor_ages` is as of `issued_at` (seconds since 1970), see `stepup`."""

    user_id: str
    session_id: str
    issued_at: float
    factor_ages: tuple[int, ...]
    claims: Mapping[str, Any] = field(repr=False)
    actor: Actor | None = None
    """Somebody else acting as this user: may look, within limits, and change nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whose authentic token came with the request, whether or not it holds at this moment. Enough to end that session
    or to bind a form's token to it, and proof of nothing else."""

    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class NeedsKeys:
    """A newer set of signing keys might change the verdict."""


@dataclass(frozen=True, slots=True)
class NeedsRefresh:
    """An authentic expired token, and the refresh token with which Clerk may renew it."""

    user_id: str
    session_id: str
    expired_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    suffixed: bool


@dataclass(frozen=True, slots=True)
class NeedsNonce:
    """The payload of a handshake waits at Clerk under this name, for one call and a short time."""

    nonce: str = field(repr=False)


Needs = NeedsKeys | NeedsRefresh | NeedsNonce


@dataclass(frozen=True, slots=True)
class Refreshed:
    directives: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    code: str
    """Clerk's error code, or one of the sub-reasons of its SDK."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state, why, and what the response owes to it."""

    state: State
    reason: str
    request_class: RequestClass
    session: Session | None = None
    set_cookies: tuple[str, ...] = field(default=(), repr=False)
    location: str | None = field(default=None, repr=False)
    """Where a document is to be sent with 307; never set for any other class."""
    count: int = 0
    """Laps this browser has made within the last seconds, with the one `location` asks for."""
    needs: Needs | None = None
    known: Known | None = None
    actor: Actor | None = None
    """Set when somebody was refused for acting as another."""
    warning: str = ""

    def __post_init__(self) -> None:
        if (self.session is not None) != (self.state in SIGNED_IN_STATES):
            raise ValueError("exactly the signed-in states carry a session")
        if self.location is not None and self.request_class is not RequestClass.DOCUMENT:
            raise ValueError("only a document can be sent elsewhere")
