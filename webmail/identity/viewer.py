"""Who is looking: the account behind a session, as every layer below the web knows it."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Denied:
    """Clerk knows this person and we do not let him in. `reason` is a short code for the log."""

    reason: str
