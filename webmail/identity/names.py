"""Names before the @: which can be had, which are the service's own, and which rest after somebody gave one up (P18).

Only ASCII letters, digits, dots, dashes and underscores: an address that most of the world's mail programs cannot send to, or
that looks like another one in a different script, is no gift to whoever chooses it.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import text

from webmail.db import db, rows
from webmail.errors import MtumailError
from webmail.keys import MasterKeys
from webmail.mail.addresses import base_local
from webmail.mail.trust.confusables import skeleton
from webmail.settings import kept

MIN, MAX = 2, 40  # characters of a name that somebody chooses
RESTS = timedelta(days=731)
"""How long a name that was given up or taken back can be had by nobody: two years (P18)."""

RESERVED = frozenset({
    "abuse", "account", "accounts", "admin", "administrator", "all", "anonymous", "autoconfig", "autodiscover", "billing", "bounce",
    "bounces", "caldav", "carddav", "contact", "daemon", "dmarc", "everybody", "everyone", "ftp", "help", "helpdesk", "hostmaster",
    "imap", "info", "invoice", "legal", "list", "lists", "localhost", "login", "mail", "mailer", "mailerdaemon", "mailmaster",
    "marketing", "moderator", "mtumail", "news", "newsletter", "nobody", "noc", "noreply", "donotreply", "null", "office",
    "official", "operator", "owner", "password", "payments", "pop", "pop3", "postmaster", "press", "privacy", "register", "request",
    "root", "sales", "security", "service", "smtp", "spam", "ssl", "ssladmin", "ssladministrator", "sslwebmaster", "staff",
    "subscribe", "support", "sysadmin", "system", "team", "test", "tlsrpt", "trust", "undisclosed", "unsubscribe", "usenet", "uucp",
    "verify", "webadmin", "webmail", "webmaster", "www",
})  # fmt: skip
"""Local parts (without dots and dashes) that nobody can choose: RFC 2142 roles, those that certificates are handed to (CA/Browser
Forum Baseline Requirements 3.2.2.4.4), and names that would pass for the service."""

_CHARACTERS = re.compile(r"[a-z0-9._-]*")
_CHOSEN = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9]))*")
_SEPARATORS = re.compile(r"[._-]")


class NameRefused(MtumailError):
    """A name that cannot be had. `reason`: "empty", "too-short", "too-long", "not-ascii", "characters", "ends", "reserved",
    "alike-reserved", "taken", "alike", "resting"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def likeness(local_part: str) -> str:
    """One form for all names that a hurried eye takes for each other: without dots and dashes, look-alike letters as one."""
    return skeleton(_SEPARATORS.sub("", base_local(local_part)))


_RESERVED_ALIKE = frozenset(likeness(name) for name in RESERVED)


def read(wanted: str) -> str:
    """The local part that was typed, folded. Raises NameRefused for one that can never be had."""
    name = wanted.strip().lower()
    if not name:
        raise NameRefused("empty")
    if not name.isascii():
        raise NameRefused("not-ascii")
    if len(name) > MAX:
        raise NameRefused("too-long")
    if not _CHARACTERS.fullmatch(name):
        raise NameRefused("characters")
    if not _CHOSEN.fullmatch(name):
        raise NameRefused("ends")
    if len(name) < MIN:
        raise NameRefused("too-short")
    if _SEPARATORS.sub("", name) in RESERVED:
        raise NameRefused("reserved")
    if likeness(name) in _RESERVED_ALIKE:
        raise NameRefused("alike-reserved")
    return name


def look(master: MasterKeys, name: str, domain_id: int) -> None:
    """Raise NameRefused if `name`, as `read` gave it, is reserved, taken, resting, or looks like one that is."""
    [[reserved, taken, alike, rests]] = rows(
        _LOOK,
        {
            "name": name,
            "alike": likeness(name),
            "domain": domain_id,
            **_resting(master, domain_id, name),
        },
    )
    for reason, is_so in (
        ("reserved", reserved or _is_listed(name)),
        ("taken", taken),
        ("resting", rests),
        ("alike", alike),
    ):
        if is_so:
            raise NameRefused(reason)


_LOOK = """
    SELECT EXISTS (SELECT 1 FROM reserved_name WHERE likeness = %(alike)s),
           EXISTS (SELECT 1 FROM address WHERE domain_id = %(domain)s AND local_part = %(name)s)
               OR name_was_led(%(domain)s, %(name)s),
           EXISTS (SELECT 1 FROM address WHERE domain_id = %(domain)s AND likeness = %(alike)s),
           EXISTS (SELECT 1 FROM resting_name
                    WHERE domain_id = ANY(%(places)s) AND name_hash = ANY(%(hashes)s) AND until > now())"""


def refuse_unless_free(master: MasterKeys, name: str, domain_id: int) -> None:
    """Raise NameRefused if `name` is reserved or rests. Ask it after the address was written: who waited for somebody to give the
    name up sees then that it rests."""
    [[reserved, rests]] = rows(_UNFREE, {
        "alike": likeness(name), **_resting(master, domain_id, name),
    })  # fmt: skip
    reserved = reserved or _is_listed(name)
    if reserved or rests:
        raise NameRefused("reserved" if reserved else "resting")


def _is_listed(name: str) -> bool:
    """Whether admins have it in their list, or one that looks like it."""
    return likeness(name) in _alike(kept.text("names.reserved"))


@lru_cache(maxsize=4)
def _alike(listed: str) -> frozenset[str]:
    return frozenset(likeness(name) for name in listed.split())


_UNFREE = """
    SELECT EXISTS (SELECT 1 FROM reserved_name WHERE likeness = %(alike)s),
           EXISTS (SELECT 1 FROM resting_name
                    WHERE domain_id = ANY(%(places)s) AND name_hash = ANY(%(hashes)s) AND until > now())"""


# --- suggestions ---------------------------------------------------------------------------------------------------------


def suggest(master: MasterKeys, wanted: str, domain_id: int, full_name: str = "") -> list[str]:
    """At most three names near the wanted one that can be had now; none if nothing of it can be used."""
    found = []
    for candidate in _candidates(_usable(wanted), _usable(full_name)):
        try:
            look(master, read(candidate), domain_id)
        except NameRefused:
            continue
        found.append(candidate)
        if len(found) == 3:
            break
    return found


def _candidates(wanted: str, full_name: str) -> Iterable[str]:
    seen = {wanted}
    for one in (
        full_name,
        *(f"{wanted}.{part}" for part in reversed(full_name.split("."))),
        f"{wanted}.mail",
    ):
        if wanted and one not in seen and MIN <= len(one) <= MAX:
            seen.add(one)
            yield one
    for _ in range(4 if wanted else 0):
        # Digits that look like no letter, so that one suggestion never looks like a neighbour's name.
        yield wanted[: MAX - 3] + "".join(secrets.choice("24679") for _ in range(3))


def _usable(typed: str) -> str:
    """What of a typed text could stand in a name."""
    kept = re.sub(r"[^a-z0-9._-]+", ".", typed.strip().lower())
    return re.sub(r"[._-]{2,}", ".", kept).strip("._-")[:MAX].strip("._-")


# --- reserved and resting --------------------------------------------------------------------------------------------------


def reserve(name: str) -> None:
    """Let nobody choose this name, or one that looks like it, on any domain. Who has it keeps it. Twice is once."""
    folded = base_local(name.strip())
    if not likeness(folded):
        raise NameRefused("empty")
    db.session.execute(
        text("INSERT INTO reserved_name (name, likeness) VALUES (:name, :alike) ON CONFLICT DO NOTHING"),
        {"name": folded, "alike": likeness(folded)},
    )


def unreserve(name: str) -> bool:
    """Let people choose it again; False if it was not among the names that were reserved here."""
    gone = db.session.execute(
        text("DELETE FROM reserved_name WHERE name = :name RETURNING 1"), {"name": base_local(name.strip())}
    )
    return gone.first() is not None


def reserved() -> Sequence[str]:
    """The names that were reserved here, beside those that always are."""
    return [name for (name,) in rows("SELECT name FROM reserved_name ORDER BY name", {})]


def blind(master: MasterKeys, domain_id: int, local_part: str) -> bytes:
    """What a name rests under: an HMAC of its likeness, by the current master key."""
    return _hashes(master, domain_id, local_part)[0]


def rest(master: MasterKeys, domain_id: int, local_part: str, reason: str) -> None:
    """Have a name rest from now on for two years; what is kept is an HMAC of it. `reason`: "released", "reclaimed" or "erased"."""
    told = {
        "domain": domain_id,
        "hash": _hashes(master, domain_id, local_part)[0],
        "reason": reason,
        "rests": RESTS,
    }
    db.session.execute(_REST, told)


_REST = text("""
    INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:domain, :hash, :reason, now() + :rests)
    ON CONFLICT (domain_id, name_hash) DO UPDATE
        SET reason = excluded.reason, since = now(), until = greatest(resting_name.until, excluded.until)""")


def _resting(master: MasterKeys, domain_id: int, name: str) -> dict[str, object]:
    """Where a name may rest, and under what: in its domain, and in those that led its mail before as their alias."""
    found = rows("SELECT alias_was FROM domain WHERE domain_id = %(domain)s", {"domain": domain_id})
    places = [domain_id, *(found[0][0] if found else ())]
    return {"places": places, "hashes": [one for place in places for one in _hashes(master, place, name)]}


def _hashes(master: MasterKeys, domain_id: int, local_part: str) -> list[bytes]:
    """What a name rests under, by the current master key first; those that look alike rest together."""
    told = domain_id.to_bytes(6, "big") + likeness(local_part).encode()
    return [hmac.new(key, told, sha256).digest() for key in master.derivations("resting names")]
