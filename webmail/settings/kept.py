"""Settings of the service as they are, as they were, and who changed them.

`value` is what everybody asks; it costs one short statement, so that a change holds at once in every process. The history is
written by the database itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from psycopg.types.json import Jsonb

from webmail import audit
from webmail.db import glance as db_glance
from webmail.db import rows
from webmail.errors import Conflict, NotFound, Refused
from webmail.keys import MasterKeys, Place
from webmail.settings import declared
from webmail.settings.declared import Declared
from webmail.settings.kinds import Secret


def value(name: str) -> Any:
    """What a setting is now, in the open transaction. Raises Refused for a name that nobody declared."""
    known = declared.find(name)
    found = rows("SELECT value FROM setting WHERE name = %(name)s", {"name": name})
    return declared.read(known, found[0][0] if found else None, _environment())


def glance(name: str) -> Any:
    """`value` where no transaction is open."""
    known = declared.find(name)
    found = db_glance("SELECT value FROM setting WHERE name = %(name)s", {"name": name})
    return declared.read(known, found[0][0] if found else None, _environment())


def whole(name: str) -> int:
    """A setting that is a number."""
    return int(value(name))


def text(name: str) -> str:
    """A setting that is text or a code."""
    return str(value(name))


def is_on(name: str) -> bool:
    """A setting that is on or off."""
    return bool(value(name) == "on")


def secret(master: MasterKeys, name: str) -> str:
    """What a setting that is shown to nobody holds; "" for nothing. For workers. Raises KeyTrouble, Tampered."""
    return opened(master, name, rows(_HIDDEN, {"name": name}))


def glance_secret(master: MasterKeys, name: str) -> str:
    """`secret` where no transaction is open."""
    return opened(master, name, db_glance(_HIDDEN, {"name": name}))


def opened(master: MasterKeys, name: str, found: Sequence[Sequence[Any]]) -> str:
    """A secret as it was read, at most one row of `wrapped`. Raises KeyTrouble, Tampered."""
    return master.unwrap(bytes(found[0][0]), _secret_place(name)).decode() if found else ""


_HIDDEN = "SELECT wrapped FROM setting_secret WHERE name = %(name)s"


def _secret_place(name: str) -> Place:
    return Place("setting_secret", 0, 0, name)


def _environment() -> object:
    return current_app.extensions["settings"]


@dataclass(frozen=True, slots=True)
class State:
    """A setting with what it is. `is_own`: somebody set it here; `standard` is what it is otherwise; `by`, `at`: last change."""

    declared: Declared
    value: int | str
    standard: int | str
    is_own: bool
    by: str = ""
    at: datetime | None = None
    version: str = ""
    """What a form carries, so that it changes nothing that somebody else changed meanwhile."""


def states(group: str) -> list[State]:
    """All settings of a group, in the order of their declaration."""
    known = {
        name: more
        for name, *more in rows(
            "SELECT name, value, changed_by, changed_at FROM setting WHERE name LIKE %(group)s",
            {"group": f"{group}.%"},
        )
    }
    return [_state(one, known.get(one.name)) for one in declared.of_group(group)]


def _state(one: Declared, stored: list[Any] | None) -> State:
    environment = _environment()
    standard = declared.read(one, None, environment)
    if stored is None:
        return State(one, standard, standard, False)
    kept, by, at = stored
    value = declared.read(one, kept, environment)
    return State(one, value, standard, kept is not None, by, at, at.isoformat())


@dataclass(frozen=True, slots=True)
class Change:
    """From what to what a setting is to go; `to` None: back to what it is where nobody set it."""

    name: str
    before: int | str
    after: int | str
    to: int | str | None
    version: str


def proposed(group: str, typed: Mapping[str, str]) -> tuple[list[Change], dict[str, str]]:
    """What a form would change: (changes, problems by name, each a code). What it does not name stays."""
    changes, problems = [], {}
    for state in states(group):
        name = state.declared.name
        if name not in typed or isinstance(state.declared.kind, Secret):
            continue
        try:
            wanted = state.declared.kind.read(typed[name])
        except Refused as refusal:
            problems[name] = str(refusal)
            continue
        if wanted != state.value:
            changes.append(Change(name, state.value, wanted, wanted, state.version))
    return changes, problems


def change(
    name: str, to: int | str | None, *, actor: str, reason: str = "", version: str | None = None
) -> bool:
    """Set a setting, or with None give it back to its standard. False where it is so already. Audited.

    A secret is wrapped by the master key, and its history says no more than when it was replaced.
    Raises Refused(code) for a value that it cannot have, and Conflict where it was changed since `version`.
    """
    known = declared.find(name)
    stored = None if to is None else known.kind.read(str(to))
    # Without a row there is nothing to lock: two first changes at once are put in line here.
    rows("SELECT pg_advisory_xact_lock(hashtext(%(name)s))::text", {"name": name})
    found = rows("SELECT value, changed_at FROM setting WHERE name = %(name)s", {"name": name})
    if version is not None and version != (found[0][1].isoformat() if found else ""):
        raise Conflict(name)
    hidden = str(stored or "") if isinstance(known.kind, Secret) else ""
    if isinstance(known.kind, Secret):
        stored = datetime.now(UTC).isoformat() if hidden else None
    if (found[0][0] if found else None) == stored:
        return False
    rows(
        _SET,
        {
            "name": name,
            "value": None if stored is None else Jsonb(stored),
            "actor": actor,
            "reason": reason[:1000],
        },
    )
    if isinstance(known.kind, Secret):
        _replace(name, hidden)
    audit.record("setting.changed", actor, setting=name)
    return True


def _replace(name: str, hidden: str) -> None:
    rows("DELETE FROM setting_secret WHERE name = %(name)s RETURNING name", {"name": name})
    if hidden:
        master: MasterKeys = current_app.extensions["master_keys"]
        wrapped = master.wrap(hidden.encode(), _secret_place(name))
        rows(
            "INSERT INTO setting_secret (name, wrapped) VALUES (%(name)s, %(wrapped)s) RETURNING name",
            {"name": name, "wrapped": wrapped},
        )


_SET = """
    INSERT INTO setting (name, value, changed_by, reason) VALUES (%(name)s, %(value)s, %(actor)s, %(reason)s)
        ON CONFLICT (name) DO UPDATE
            SET value = excluded.value, changed_by = excluded.changed_by, reason = excluded.reason
    RETURNING name"""


# --- history -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """One change that was made; None stands for the standard."""

    change_id: int
    name: str
    before: int | str | None
    after: int | str | None
    at: datetime
    by: str
    reason: str


def history(name: str = "", below: int | None = None, limit: int = 50) -> list[Past]:
    """Changes of one setting or of all, newest first; `below`: those with smaller ids than this."""
    found = rows(_HISTORY, {"name": name or None, "below": below, "limit": limit})
    return [Past(*row) for row in found]


_HISTORY = """
    SELECT change_id, name, before, after, changed_at, changed_by, reason FROM setting_change
     WHERE (%(name)s::text IS NULL OR name = %(name)s) AND (%(below)s::bigint IS NULL OR change_id < %(below)s)
     ORDER BY change_id DESC LIMIT %(limit)s"""


def past(change_id: int) -> Past:
    """One change. Raises NotFound."""
    found = rows(f"{_HISTORY.split('WHERE')[0]} WHERE change_id = %(id)s", {"id": change_id})
    if not found:
        raise NotFound("change")
    return Past(*found[0])


def go_back(change_id: int, *, actor: str, reason: str = "") -> bool:
    """Make a setting again what it was before one change. False where it is so already. Raises Refused for a secret: what it was
    is kept nowhere."""
    one = past(change_id)
    if isinstance(declared.find(one.name).kind, Secret):
        raise Refused("secret-is-gone")
    return change(one.name, one.before, actor=actor, reason=reason)
