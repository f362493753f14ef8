"""Remembering abuse without knowing anybody: a file opens for who holds one of its identifiers already, and for nobody else.

When an account that broke rules is erased, what it was known by is sealed under a random key. That key is wrapped once for each
identifier, under a key made of the master key and the identifier; beside it stands an HMAC of the identifier, to be found by. The
table tells nothing about anybody, not even to who has the master key and no name to ask for (SimpleLogin's pattern).
"""

import hmac
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.errors import Tampered
from webmail.keys import MasterKeys, Place, new_content_key, seal, unseal
from webmail.mail.addresses import fold

MOST = 50
"""Identifiers of one file."""


def remember(master: MasterKeys, identifiers: Iterable[str], facts: Mapping[str, Any]) -> int:
    """Keep a file about an account that is about to be erased; its id. `identifiers`: each address, contact and Clerk id it
    was known by; `facts`: codes, numbers and days (kinds of actions, rules, when). In a transaction of the worker.

    Raises ValueError without an identifier: nobody could ever open it.
    """
    known = sorted({normal(one) for one in identifiers if normal(one)})[:MOST]
    if not known:
        raise ValueError("a file that nobody can open is not kept")
    memory_id, key = new_id(), new_content_key()
    body = json.dumps({"identifiers": known, "facts": dict(facts)}, ensure_ascii=False).encode()
    db.session.execute(_KEEP, {"memory": memory_id, "sealed": seal(key, body, _file(memory_id))})
    for one in known:
        wrapped = seal(_keys_of(master, one)[0], key, _wrapping(memory_id))
        db.session.execute(
            _HANDLE, {"handle": handles(master, one)[0], "memory": memory_id, "wrapped": wrapped}
        )
    return memory_id


_KEEP = text("INSERT INTO abuse_memory (memory_id, sealed) VALUES (:memory, :sealed)")
_HANDLE = text(
    "INSERT INTO abuse_memory_handle (handle, memory_id, wrapped) VALUES (:handle, :memory, :wrapped)"
)


@dataclass(frozen=True, slots=True)
class File:
    """What is remembered of an account that is gone."""

    memory_id: int
    kept_at: datetime
    identifiers: tuple[str, ...]
    facts: Mapping[str, Any]


def look(master: MasterKeys, identifier: str, case_id: int, *, by: int) -> tuple[list[File], str]:
    """The files of who was known by this identifier, and why not: address, role, case-closed. Written down, with its case, whether
    anything was found or not. In a transaction of the staff."""
    known = normal(identifier)
    if not known:
        return [], "address"
    values = {"by": by, "case": case_id, "handles": handles(master, known)}
    found = []
    for row in db.session.execute(_LOOK, values):
        if row.refusal:
            return [], str(row.refusal)
        key = _unwrap(master, known, row.memory_id, bytes(row.wrapped))
        told = json.loads(unseal(key, bytes(row.sealed), _file(row.memory_id)))
        found.append(File(row.memory_id, row.kept_at, tuple(told["identifiers"]), told["facts"]))
    return found, ""


_LOOK = text("SELECT * FROM memory_look(:by, :case, CAST(:handles AS bytea[]))")


def normal(identifier: str) -> str:
    """An identifier as it is compared: an address folded, without a tag; anything else as it is, without blanks around it."""
    typed = unicodedata.normalize("NFC", identifier.strip())[:320]
    if "@" not in typed:
        return typed
    local, at, domain = fold(typed).rpartition("@")
    return (local.partition("+")[0] or local) + at + domain


def handles(master: MasterKeys, identifier: str) -> list[bytes]:
    """What an identifier is found by, under the current master key first."""
    told = identifier.encode("utf-8", "replace")
    return [hmac.digest(key, told, sha256) for key in master.derivations("abuse memory handles")]


def _keys_of(master: MasterKeys, identifier: str) -> list[bytes]:
    told = identifier.encode("utf-8", "replace")
    return [hmac.digest(key, told, sha256) for key in master.derivations("abuse memory keys")]


def _unwrap(master: MasterKeys, identifier: str, memory_id: int, wrapped: bytes) -> bytes:
    for key in _keys_of(master, identifier):
        try:
            return unseal(key, wrapped, _wrapping(memory_id))
        except Tampered:
            continue
    raise Tampered("a file of the memory does not open")


def _file(memory_id: int) -> Place:
    return Place("abuse_memory", 0, memory_id, "sealed")


def _wrapping(memory_id: int) -> Place:
    return Place("abuse_memory_handle", 0, memory_id, "wrapped")
