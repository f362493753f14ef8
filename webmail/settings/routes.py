"""Where mail for names that nobody has goes: postmaster and abuse (RFC 2142), and any other: a catch-all, off by default.

A name that somebody has is theirs, route or not. security@ and privacy@ are the staff's wherever nobody has them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from webmail import audit
from webmail.db import rows
from webmail.errors import Refused
from webmail.mail.addresses import base_local
from webmail.mail.idn import to_ascii

ROUTES: Final = ("postmaster", "abuse", "*")
"""Names that may lead to one mailbox; without a route the staff get the first two, and nobody the rest."""
_CODES: Final = {"postmaster": "postmaster", "abuse": "abuse", "*": "any"}


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for `name` (one of ROUTES) goes, since when."""

    name: str
    address: str
    since: datetime


def of(domain_id: int) -> dict[str, Route]:
    """The routes of a domain by their names."""
    found = rows("SELECT name, address, since FROM domain_routes(%(domain)s)", {"domain": domain_id})
    return {row[0]: Route(*row) for row in found}


def set_route(domain_id: int, name: str, address: str, *, actor: str) -> None:
    """Have mail for a name that nobody has go to the mailbox of `address`; "": to the staff, or nobody. Audited.

    Raises Refused: "no-such-choice", "not-an-address" where that leads to no open mailbox here.
    """
    if name not in ROUTES:
        raise Refused("no-such-choice")
    local, _at, host = address.strip().rpartition("@")
    if address.strip() and not local:
        raise Refused("not-an-address")
    target = _set(domain_id, name, base_local(local), to_ascii(host) or "")
    if target is None:
        raise Refused("not-an-address")
    audit.record("domain.routed", actor, domain=domain_id, route=_CODES[name], mailbox=target or None)


def drop_all(domain_id: int) -> None:
    """Lead mail for no name anywhere any more."""
    for name in ROUTES:
        _set(domain_id, name, "", "")


def _set(domain_id: int, name: str, local: str, host: str) -> int | None:
    """The mailbox that it leads to; 0 for none, None where the address leads nowhere."""
    values = {"domain": domain_id, "route": name, "local": local, "host": host}
    [[target]] = rows("SELECT domain_route_set(%(domain)s, %(route)s, %(local)s, %(host)s)", values)
    return None if target is None else int(target)


def catch_all_pauses(domain_id: int) -> datetime | None:
    """Until when `*` leads nowhere, because a name rests: mail for whoever had it must reach nobody else. None: not now."""
    until: datetime | None = rows(_PAUSES, {"domain": domain_id})[0][0]
    return until


_PAUSES = """
    SELECT max(n.until) FROM domain d JOIN resting_name n ON n.domain_id = ANY (d.domain_id || d.alias_was)
     WHERE d.domain_id = %(domain)s AND n.until > now()"""
