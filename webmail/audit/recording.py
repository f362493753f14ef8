"""Writing into the log, and the three things that may happen to an event later: its person is forgotten, it is unsealed, its
detail is dropped. The hash of it stays whatever happens.

An append holds a lock until its transaction ends, as events are numbered without gaps: whoever appends next waits for the commit.
So `record` comes last in a transaction, after all other rows are locked and with nothing slow behind it.
"""

import json
import os
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from sqlalchemy import text

from webmail.audit.sealing import SALT_BYTES, open_sealed, public_key, seal_with
from webmail.db import db
from webmail.errors import NotFound
from webmail.keys import MasterKeys


def record(
    kind: str,
    actor: str,
    /,
    *,
    about: int | Iterable[int] | None = None,
    sealed: bytes | None = None,
    **facts: str | int | bool | None,
) -> int:
    """Append one event in the open transaction; it stands or falls with it. Returns the event's number.

    `kind` is one of KINDS (`mailbox.created`), `actor` who did it (`account:12`, `system:seed`, `cli:sam`), `facts` ids and codes,
    of which `case` is the case that it belongs to. `about`: the account or accounts that it concerns; the entry holds a salted
    commitment to each, and who it is can be forgotten. `sealed`: what it really says, for nobody to read before `unseal`.
    Raises KeyTrouble where there is no key to seal with (`seal` makes one).
    """
    people = None if about is None else [about] if isinstance(about, int) else list(about)
    commitment = ciphertext = None
    if sealed is not None:
        salt = os.urandom(SALT_BYTES)
        commitment = sha256(salt + sealed).digest()
        ciphertext = seal_with(public_key(), commitment, salt + sealed)
    values: dict[str, object] = {"kind": kind, "actor": actor, "facts": json.dumps(facts), "about": people}
    if people is None and sealed is None:
        return int(db.session.execute(_APPEND, values).scalar_one())
    values |= {"commitment": commitment, "sealed": ciphertext}
    return int(db.session.execute(_APPEND_ABOUT, values).scalar_one())


_APPEND = text("SELECT audit_append(:kind, :actor, CAST(:facts AS jsonb))")
_APPEND_ABOUT = text(
    "SELECT audit_append(:kind, :actor, CAST(:facts AS jsonb), CAST(:about AS bigint[]), CAST(:commitment AS bytea),"
    " CAST(:sealed AS bytea))"
)


def seal(
    master: MasterKeys,
    kind: str,
    actor: str,
    body: bytes,
    /,
    *,
    about: int | Iterable[int] | None = None,
    **facts: str | int | bool | None,
) -> int:
    """`record` with `sealed=body`, for an entry under a gag: it is in its place in the tree at once, and nothing of what it says.
    What is not under the gag may stand in `facts`. Makes the service's key where there is none yet."""
    public_key(master)
    return record(kind, actor, about=about, sealed=body, **facts)


def unseal(master: MasterKeys, number: int) -> bytes:
    """Open a sealed entry, for everybody who may see the event, and say so in the log; what it says. May be repeated.

    For the worker, when the gag has ended. Raises NotFound where nothing was sealed, KeyTrouble where it does not open.
    """
    found = db.session.execute(_SEALED, {"number": number}).one_or_none()
    if found is None:
        raise NotFound("sealed")
    opened = open_sealed(master, bytes(found.commitment), bytes(found.sealed))
    salt, body = opened[:SALT_BYTES], opened[SALT_BYTES:]
    db.session.execute(_UNSEAL, {"number": number, "salt": salt, "body": body})
    return body


_SEALED = text("SELECT commitment, sealed FROM audit_sealed WHERE number = :number")
_UNSEAL = text("SELECT audit_unseal(:number, :salt, :body)")


def forget(account_id: int) -> int:
    """Make every event about an account about nobody: salts and ids go, commitments stay. How many events. For the worker."""
    return int(
        db.session.execute(text("SELECT audit_forget(:account)"), {"account": account_id}).scalar_one()
    )


def drop_detail(before: datetime) -> int:
    """Drop what events older than `before` (aware; at least a year ago) say, and keep their hashes; how many were dropped.

    At most 10 000 a call, oldest first, each call an event of its own: go on, a transaction each, until it is 0. What no signed
    checkpoint covers, and what is still sealed, stays. For the worker.
    """
    return int(db.session.execute(text("SELECT audit_drop_detail(:before)"), {"before": before}).scalar_one())
