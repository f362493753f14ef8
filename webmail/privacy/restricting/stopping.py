"""Having one's data only kept, and objecting to a use of it: in force at once, by the database itself; undone by its person at any
time, and ended by others a week after they said so (GDPR Art. 18(3))."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound
from webmail.identity import errands
from webmail.keys import MasterKeys
from webmail.privacy import register
from webmail.privacy.requests import asking
from webmail.privacy.restricting.standing import IN_FORCE, objections, restriction

WHYS = ("accuracy", "unlawful", "claims", "objection")
"""Art. 18(1)(a) to (d)."""
SCOPES = ("learning", "staff", "schedules")
"""What stops: learning whom somebody writes with; staff opening or tracing mail; schedules removing anything."""
PURPOSES = tuple(code for code, basis in register.BASES.items() if basis == "legitimate-interests")
"""What can be objected to."""
NOTICE_DAYS = 7


class StopRefused(MtumailError):
    """Nothing was changed. `reason`: "kind" (no such reason, scope or purpose), "stopped" (it is already), "over", "own"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- by the person -------------------------------------------------------------------------------------------------------


def restrict(master: MasterKeys, account_id: int, why: str, scopes: Collection[str], words: str) -> int:
    """Have one's data only kept, from now on, and what is wrong looked at: the id of the request that is made of it.

    Raises StopRefused ("kind", "stopped"), and RequestRefused as `asking.make` does.
    """
    _check(account_id, why, scopes)
    request_id = asking.make(master, account_id, "restrict", words)
    _restrict(account_id, why, scopes, by=account_id, request_id=request_id)
    return request_id


def unrestrict(account_id: int) -> None:
    """End it, by its person, now. Raises NotFound where nothing is restricted."""
    done = rows(_END, {"account": account_id})
    if not done:
        raise NotFound("restriction")
    audit.record("restriction.ended", f"account:{account_id}", about=account_id, restriction=done[0][0])


_END = f"""
    UPDATE processing_restriction SET ended_at = now(), ended_by = account_id
     WHERE account_id = %(account)s AND {IN_FORCE} RETURNING restriction_id"""


def object_to(master: MasterKeys, account_id: int, purpose: str, words: str) -> int:
    """Object to a purpose: what can stop stops at once, and the answer to the request that is made of it decides. The request's id.

    Raises StopRefused ("kind", "stopped"), and RequestRefused as `asking.make` does.
    """
    if purpose not in PURPOSES:
        raise StopRefused("kind")
    if any(one.purpose == purpose and one.state in ("weighed", "upheld") for one in objections(account_id)):
        raise StopRefused("stopped")
    request_id = asking.make(master, account_id, "object", words)
    _object(account_id, purpose, request_id=request_id, actor=f"account:{account_id}")
    return request_id


def withdraw(account_id: int, objection_id: int) -> None:
    """Take an objection back, decided or not. Raises NotFound for any that does not stand."""
    done = rows(_WITHDRAW, {"account": account_id, "objection": objection_id})
    if not done:
        raise NotFound("objection")
    audit.record("objection.withdrawn", f"account:{account_id}", about=account_id, objection=objection_id)


_WITHDRAW = """
    UPDATE objection SET state = 'withdrawn', decided_at = now(), decided_by = account_id
     WHERE account_id = %(account)s AND objection_id = %(objection)s AND state IN ('weighed', 'upheld') RETURNING objection_id"""


# --- by an admin, for whoever asked another way --------------------------------------------------------------------------


def restrict_for(request_id: int, why: str, scopes: Collection[str], *, by: int, actor: str = "") -> None:
    """Obey a request for restriction that came by mail, from somebody who is known. In a transaction of the staff. Raises
    StopRefused, and NotFound for a request of another kind or of nobody here."""
    account_id = _asker(request_id, "restrict", by)
    _check(account_id, why, scopes)
    _restrict(account_id, why, scopes, by=by, request_id=request_id, actor=actor)


def object_for(request_id: int, purpose: str, *, by: int, actor: str = "") -> None:
    """Note an objection that came by mail, as `restrict_for` does; the answer to the request decides it."""
    account_id = _asker(request_id, "object", by)
    if purpose not in PURPOSES:
        raise StopRefused("kind")
    _object(account_id, purpose, request_id=request_id, actor=actor or f"account:{by}")


def _asker(request_id: int, kind: str, by: int) -> int:
    found = rows(_ASKER, {"request": request_id, "kind": kind})
    if not found:
        raise NotFound("request")
    if found[0][0] == by:
        raise StopRefused("own")
    return int(found[0][0])


_ASKER = """
    SELECT account_id FROM privacy_request WHERE request_id = %(request)s AND kind = %(kind)s AND state = 'open'
       AND identity <> 'unchecked' AND account_id IS NOT NULL"""


def refused(request_id: int, *, by: int, actor: str = "") -> None:
    """The request of a restriction was refused: what is in force because of it ends in seven days. Nothing where nothing is."""
    for (restriction_id,) in rows(_OF_REQUEST, {"request": request_id}):
        announce_end(restriction_id, by=by, actor=actor)


_OF_REQUEST = """
    SELECT restriction_id FROM processing_restriction WHERE request_id = %(request)s AND ended_at IS NULL AND until IS NULL"""


def announce_end(restriction_id: int, *, by: int, actor: str = "") -> None:
    """Say that a restriction ends in seven days; its person is told now. In a transaction of the staff. Raises StopRefused ("over",
    "own")."""
    found = rows(
        "SELECT account_id FROM processing_restriction WHERE restriction_id = %(id)s", {"id": restriction_id}
    )
    if found and found[0][0] == by:
        raise StopRefused("own")
    done = rows(_ANNOUNCE, {"id": restriction_id, "by": by, "days": NOTICE_DAYS})
    if not done:
        raise StopRefused("over")
    [[account_id]] = done
    audit.record("restriction.ends", actor or f"account:{by}", about=account_id, restriction=restriction_id)
    errands.add("tell", account_id, what="restriction-ends")


_ANNOUNCE = """
    UPDATE processing_restriction SET until = now() + make_interval(days => %(days)s), until_by = %(by)s, until_set_at = now()
     WHERE restriction_id = %(id)s AND ended_at IS NULL AND until IS NULL RETURNING account_id"""


# --- both ----------------------------------------------------------------------------------------------------------------


def _check(account_id: int, why: str, scopes: Collection[str]) -> None:
    if why not in WHYS or not scopes or not set(scopes) <= set(SCOPES):
        raise StopRefused("kind")
    if restriction(account_id) is not None:
        raise StopRefused("stopped")


def _restrict(
    account_id: int, why: str, scopes: Collection[str], *, by: int, request_id: int | None, actor: str = ""
) -> None:
    rows(_CLOSE, {"account": account_id})
    number = new_id()
    told = [scope for scope in SCOPES if scope in scopes]
    values = {
        "id": number,
        "account": account_id,
        "why": why,
        "scopes": told,
        "by": by,
        "request": request_id,
    }
    with _refusals():
        db.session.execute(_RESTRICT, values)
    audit.record(
        "restriction.begun", actor or f"account:{by}", about=account_id, restriction=number, why=why, scopes=",".join(told)
    )  # fmt: skip


# One whose announced end has passed makes room for the next.
_CLOSE = """
    UPDATE processing_restriction SET ended_at = greatest(until, since), ended_by = until_by
     WHERE account_id = %(account)s AND ended_at IS NULL AND until <= now() RETURNING restriction_id"""
_RESTRICT = text("""
    INSERT INTO processing_restriction (restriction_id, account_id, why, scopes, set_by, request_id)
    VALUES (:id, :account, :why, CAST(:scopes AS text[]), :by, :request)""")


def _object(account_id: int, purpose: str, *, request_id: int, actor: str) -> None:
    number = new_id()
    values = {"id": number, "account": account_id, "purpose": purpose, "request": request_id}
    with _refusals():
        db.session.execute(_OBJECT, values)
    audit.record("objection.made", actor, about=account_id, objection=number, purpose=purpose)


_OBJECT = text(
    "INSERT INTO objection (objection_id, account_id, purpose, request_id) VALUES (:id, :account, :purpose, :request)"
)
_ONCE = ("processing_restriction_one_at_a_time", "objection_one_a_purpose")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) not in _ONCE:
            raise
        raise StopRefused("stopped") from None
