"""Where somebody is signed in: the Clerk sessions that have been here, in words that their owner knows them by; and their end.

A session that its owner ends gets in no more from that moment (`session_denial`, asked in the query that every request makes),
and a worker has Clerk end it too. Of a device there are kept the names of its browser and system, of its network the first part of
the address; written at most every four minutes, and forgotten after a time by `purge`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import text

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import NotFound
from webmail.identity import accounts, errands
from webmail.identity.viewer import Viewer

SEEN_EVERY = timedelta(minutes=4)
MOST_SHOWN = 50
NEWCOMER = timedelta(hours=1)
"""An account younger than this is just being made: its first sign-in is no news to anybody."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session. `device` in words ("Firefox on Linux"), `network` shortened ("203.0.113.0/24"), "" where unknown."""

    sign_in_id: int
    device: str
    network: str
    first_seen: datetime
    last_seen: datetime
    is_this: bool


# --- who is there --------------------------------------------------------------------------------------------------------

_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Vivaldi", r"Vivaldi/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chromium", r"Chromium/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Version/[\d.]+.* Safari/"),
    ("w3m", r"^w3m"),
    ("Lynx", r"^Lynx"),
    ("Links", r"^E?Links"),
    ("curl", r"^curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("ChromeOS", "CrOS"),
    ("Windows", "Windows"),
    ("Mac", "Macintosh|Mac OS X"),
    ("Linux", "Linux|X11"),
    ("BSD", "BSD"),
)


def device_of(user_agent: str) -> str:
    """What a `User-Agent` calls itself, in a few words of ours; nothing of its text is kept. Linear in its length."""
    agent = user_agent[:400]
    browser = next((name for name, sign in _BROWSERS if re.search(sign, agent)), "Unknown browser")
    system = next((name for name, sign in _SYSTEMS if re.search(sign, agent)), "")
    return f"{browser} on {system}" if system else browser


def network_of(address: str) -> str | None:
    """The network that an address is of: a /24 of IPv4, a /48 of IPv6 (RFC 6177: a site). None for what is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
        ip = (
            IPv6Address(int(ip)) if isinstance(ip, IPv6Address) else ip
        )  # without a zone, which no network has
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))


def seen(viewer: Viewer, user_agent: str, address: str) -> bool:
    """Note that a session is in use; True for its first time here. Has its owner told when the device is new to the account.

    Known is a device (browser and system) in a network that the account was used from before. Two requests at once make one row.
    """
    values = {
        "number": new_id(),
        "account": viewer.account_id,
        "session": viewer.session_id,
        "device": device_of(user_agent),
        "network": network_of(address),
    }
    if not db.session.execute(_TOUCH, values | {"every": SEEN_EVERY}).scalar():
        return False
    known = db.session.execute(_KNOWN, values | {"newcomer": NEWCOMER}).scalar()
    if db.session.execute(_BEGIN, values).scalar() is None:
        return False
    if not known:
        errands.add(
            "tell",
            viewer.account_id,
            what="sign-in",
            device=values["device"],  # type: ignore[arg-type]
            network=str(values["network"] or ""),
        )
    return True


# True when there is no such row yet.
_TOUCH = text("""
    WITH touched AS (
        UPDATE sign_in SET last_seen = now(), device = :device, network = CAST(:network AS cidr)
         WHERE session_id = :session AND last_seen < now() - CAST(:every AS interval))
    SELECT NOT EXISTS (SELECT 1 FROM sign_in WHERE session_id = :session)""")
_KNOWN = text("""
    SELECT EXISTS (SELECT 1 FROM sign_in WHERE account_id = :account AND device = :device
                      AND network IS NOT DISTINCT FROM CAST(:network AS cidr))
        OR EXISTS (SELECT 1 FROM account WHERE account_id = :account AND created_at > now() - CAST(:newcomer AS interval)
                      AND NOT EXISTS (SELECT 1 FROM sign_in WHERE account_id = :account))""")
_BEGIN = text("""
    INSERT INTO sign_in (sign_in_id, account_id, session_id, device, network)
    VALUES (:number, :account, :session, :device, CAST(:network AS cidr))
        ON CONFLICT (session_id) DO NOTHING RETURNING sign_in_id""")


def of_viewer(viewer: Viewer) -> Sequence[SignedIn]:
    """The viewer's sessions that are not known to be over, the last used first, his own before all others."""
    values = {"account": viewer.account_id, "session": viewer.session_id, "limit": MOST_SHOWN}
    return [SignedIn(*row) for row in db.session.execute(_LIST, values)]


_LIST = text("""
    SELECT sign_in_id, device, coalesce(CAST(network AS text), ''), first_seen, last_seen, session_id = :session AS this
      FROM sign_in WHERE account_id = :account AND ended_at IS NULL
     ORDER BY session_id = :session DESC, last_seen DESC LIMIT :limit""")


# --- the end -------------------------------------------------------------------------------------------------------------


def end(viewer: Viewer, sign_in_id: int) -> None:
    """End one other session of the viewer, here at once and at Clerk soon. Raises NotFound for one that is not his, or over."""
    values = {"account": viewer.account_id, "number": sign_in_id, "session": viewer.session_id}
    session_id = db.session.execute(_END_ONE, values).scalar()
    if session_id is None:
        raise NotFound("session")
    end_at_clerk(session_id, "ended", viewer.account_id)
    audit.record("session.ended", f"account:{viewer.account_id}", sign_in=sign_in_id)


_END_ONE = text("""
    UPDATE sign_in SET ended_at = now()
     WHERE sign_in_id = :number AND account_id = :account AND session_id <> :session AND ended_at IS NULL RETURNING session_id""")


def end_others(viewer: Viewer) -> int:
    """End all sessions of the viewer but the one that asks; how many were known here. Clerk is asked for those that were not."""
    values = {"account": viewer.account_id, "session": viewer.session_id}
    ended = list(db.session.execute(_END_OTHERS, values).scalars())
    for session_id in ended:
        accounts.deny(session_id, "ended")
    errands.add("revoke_others", viewer.account_id, keep=viewer.session_id)
    audit.record("session.others_ended", f"account:{viewer.account_id}", count=len(ended))
    return len(ended)


_END_OTHERS = text("""
    UPDATE sign_in SET ended_at = now()
     WHERE account_id = :account AND session_id <> :session AND ended_at IS NULL RETURNING session_id""")


def end_at_clerk(session_id: str, reason: str, account_id: int | None = None) -> None:
    """Let a session in no more, and have Clerk end it, however long Clerk takes to answer. Twice does no harm."""
    accounts.deny(session_id, reason)
    ended(session_id)
    errands.add("revoke", account_id, session=session_id)


def ended(session_id: str) -> None:
    """Show a session no more: it is over, here or at Clerk."""
    db.session.execute(_ENDED, {"session": session_id})


_ENDED = text("UPDATE sign_in SET ended_at = now() WHERE session_id = :session AND ended_at IS NULL")


def purge(older_than: timedelta) -> int:
    """Forget sessions that were last seen longer ago than this; how many."""
    gone = db.session.execute(_PURGE, {"age": older_than})
    return int(gone.rowcount)  # type: ignore[attr-defined]


_PURGE = text("DELETE FROM sign_in WHERE last_seen < now() - CAST(:age AS interval)")
