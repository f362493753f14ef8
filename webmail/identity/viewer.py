"""Who is looking: the account behind a session, as every layer below the web knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Preferences:
    """How pages look for a person; the defaults are for somebody who has not said so."""

    rows: int = 50
    density: str = "comfortable"
    reading: str = "reading"
    links: str = "short"
    """"short": links of our own in the reading view; "full": the sender's addresses as they are."""
    conversations: str = "threads"
    """"threads": a message with the others of its conversation; "flat": each by itself."""
    pictures: str = "ask"
    """"ask": remote pictures wait for consent, for each message or sender; "always": fetched when a message is opened."""
    reminders: str = "on"
    """"on": what may have been forgotten is said before a message leaves; "off": it leaves at once."""
    undo: int | None = None
    """Seconds that a message waits after Send, so that it can be undone; None is what this installation does."""
    zone: str = ""
    """Whose clocks times are shown by (IANA name); "" for what the browser says."""
    keys: tuple[tuple[str, str], ...] = ()
    """Keyboard shortcuts, action to key; empty where they are off."""


MEMBER_ROLES = ("reader", "writer", "owner")
"""What members may do in a mailbox, each all of the one before: read and search; file, delete, write and send; decide who belongs
to it."""


def allows(role: str | None, needed: str) -> bool:
    """Whether a member's role is at least the needed one; False for None."""
    return role in MEMBER_ROLES and MEMBER_ROLES.index(role) >= MEMBER_ROLES.index(needed)


@dataclass(frozen=True, slots=True)
class Membership:
    """A mailbox that somebody belongs to."""

    mailbox_id: int
    role: str
    address: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """One signed-in person during one request."""

    account_id: int
    user_id: str
    """Clerk's `sub`: what an account is bound to, never an address."""
    session_id: str
    name: str
    contact: str
    """Where notices outside this service reach the person."""
    roles: frozenset[str]
    """From our own table, never from a token."""
    mailbox_id: int | None
    address: str | None
    status: str
    fva: tuple[int, ...]
    """Minutes since the first and second factor as of the token's issue; see `clerk.stepup`."""
    preferences: Preferences = Preferences()
    role: str | None = None
    """What the viewer may do in the mailbox of this request: one of MEMBER_ROLES; None without one."""
    memberships: tuple[Membership, ...] = ()
    """All mailboxes of this person, oldest membership first."""
    home_id: int | None = None
    """The mailbox that addresses without a mailbox in them are about."""
    news: int = 0
    """Invitations and notices about mailboxes that wait for this person."""
    banner: str = ""
    """What the operator says at the top of every page."""
    locale: str = ""
    """How this installation writes dates and numbers; "" for the standard."""
    told: int = 0
    """Notices of the staff that this person has not read."""
    leaving: datetime | None = None
    """When this account is deleted, by its person's wish."""

    @property
    def may_write(self) -> bool:
        """Whether this request may change anything in its mailbox."""
        return allows(self.role, "writer")


@dataclass(frozen=True, slots=True)
class Denied:
    """Clerk knows this person and we do not let him in. `reason` is a short code for the log.

    `account_id`: whose notices and appeals are open to him all the same; 0 for nobody's.
    """

    reason: str
    account_id: int = 0
