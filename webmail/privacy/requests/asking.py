"""Requests: made by people on their page or written down for them, checked, extended once with reasons, answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import MtumailError, NotFound
from webmail.governance.cases.sealing import open_secret
from webmail.identity import errands
from webmail.keys import MasterKeys

KINDS = ("access", "correct", "delete", "port", "restrict", "object")
SOURCES = ("mail", "letter", "other")
"""How it came, where it was not on the person's own page: by mail, on paper, or somebody asks for the person."""
MIN_WORDS, MAX_WORDS, OPEN_OF_ONE = 3, 2000, 10


class RequestRefused(MtumailError):
    """Nothing was changed. `reason`: "kind", "words", "many" (ten are open), "own", "unchecked" (who asks is not known yet),
    "late" (an extension is told within the first month), "over" (it is answered, or extended, already)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its words opened. `is_late`: it is open and its clock has run out."""

    request_id: int
    kind: str
    account_id: int | None
    name: str
    source: str
    identity: str
    state: str
    received_at: datetime
    due_at: datetime
    extended_at: datetime | None
    answered_at: datetime | None
    is_late: bool
    words: str
    extension: str
    answer: str


_SELECT = """
    SELECT r.request_id, r.kind, r.account_id, coalesce(a.name, ''), r.source, r.identity, r.state, r.received_at, r.due_at,
           r.extended_at, r.answered_at, r.state = 'open' AND r.due_at < now(), r.words, r.extension, r.answer
      FROM privacy_request r LEFT JOIN account a USING (account_id)"""


def _all(master: MasterKeys, where: str, **values: object) -> list[Request]:
    secret = open_secret(master)
    return [
        Request(
            *row,
            *(
                secret.open(sealed, "privacy_request", row[0], field)
                for field, sealed in zip(_SEALED, more, strict=True)
            ),
        )
        for *row, more in ((*found[:12], found[12:]) for found in rows(f"{_SELECT} {where}", values))
    ]


_SEALED = ("words", "extension", "answer")


def of(master: MasterKeys, account_id: int) -> Sequence[Request]:
    """A person's own, newest first; at most a hundred."""
    return _all(
        master, "WHERE r.account_id = %(account)s ORDER BY r.received_at DESC LIMIT 100", account=account_id
    )


def queue(master: MasterKeys) -> Sequence[Request]:
    """What is open, what is due first coming first, at most two hundred; in a transaction of the staff."""
    return _all(master, "WHERE r.state = 'open' ORDER BY r.due_at, r.request_id LIMIT 200")


def answered(master: MasterKeys) -> Sequence[Request]:
    """The last fifty that were answered."""
    return _all(master, "WHERE r.state <> 'open' ORDER BY r.answered_at DESC, r.request_id LIMIT 50")


def one(master: MasterKeys, request_id: int) -> Request:
    """One of them. Raises NotFound."""
    found = _all(master, "WHERE r.request_id = %(request)s", request=request_id)
    if not found:
        raise NotFound("request")
    return found[0]


def make(master: MasterKeys, account_id: int, kind: str, words: str) -> int:
    """Ask on one's own page, signed in: who asks is proved by that. Its id. Raises RequestRefused."""
    if rows(_MANY, {"account": account_id})[0][0] >= OPEN_OF_ONE:
        raise RequestRefused("many")
    request_id = _put(master, kind, words, account=account_id, source="self", identity="proved")
    audit.record("request.made", f"account:{account_id}", about=account_id, request=request_id, kind=kind)
    return request_id


_MANY = "SELECT count(*) FROM privacy_request WHERE account_id = %(account)s AND state = 'open'"


def enter(
    master: MasterKeys,
    kind: str,
    source: str,
    words: str,
    *,
    by: int,
    account_id: int | None = None,
    actor: str = "",
) -> int:
    """Write down what came another way; who asks is to be checked. In a transaction of the staff. Raises RequestRefused.

    Here and below `by` is the admin whose decision it is, and `actor` who types it, if that is somebody else.
    """
    if source not in SOURCES:
        raise RequestRefused("kind")
    if account_id == by:
        raise RequestRefused("own")
    request_id = _put(master, kind, words, account=account_id, source=source, identity="unchecked", by=by)
    audit.record(
        "request.entered",
        actor or f"account:{by}",
        about=account_id,
        request=request_id,
        kind=kind,
        source=source,
    )
    return request_id


def _put(
    master: MasterKeys,
    kind: str,
    words: str,
    *,
    account: int | None,
    source: str,
    identity: str,
    by: int | None = None,
) -> int:
    if kind not in KINDS:
        raise RequestRefused("kind")
    request_id = new_id()
    values = {
        "request": request_id,
        "kind": kind,
        "account": account,
        "source": source,
        "identity": identity,
        "words": _sealed(master, words, request_id, "words"),
    }
    # The web process may not write who entered it, as nobody did.
    statement = _PUT if by is None else _ENTER
    db.session.execute(statement, values if by is None else values | {"by": by})
    return request_id


_PUT = text("""
    INSERT INTO privacy_request (request_id, kind, account_id, source, identity, words)
    VALUES (:request, :kind, :account, :source, :identity, :words)""")
_ENTER = text("""
    INSERT INTO privacy_request (request_id, kind, account_id, source, identity, words, entered_by)
    VALUES (:request, :kind, :account, :source, :identity, :words, :by)""")


def _sealed(master: MasterKeys, words: str, request_id: int, field: str) -> bytes:
    said = words.replace("\r\n", "\n").strip()
    if not MIN_WORDS <= len(said) <= MAX_WORDS:
        raise RequestRefused("words")
    return open_secret(master).seal(said, "privacy_request", request_id, field)


# --- by the admin --------------------------------------------------------------------------------------------------------


def identify(request_id: int, *, by: int, account_id: int | None = None, actor: str = "") -> None:
    """Who asks is who they say, as far as can be asked for; `account_id` is whom it is about, if they have an account here."""
    _one_row(_IDENTIFY, {"request": request_id, "account": account_id})
    audit.record("request.identified", actor or f"account:{by}", about=account_id, request=request_id)


_IDENTIFY = text("""
    UPDATE privacy_request SET identity = 'checked', account_id = coalesce(CAST(:account AS bigint), account_id)
     WHERE request_id = :request AND state = 'open' AND identity = 'unchecked' RETURNING account_id""")


def extend(master: MasterKeys, request_id: int, reasons: str, *, by: int, actor: str = "") -> None:
    """Two months more, once, with reasons told within the first (Art. 12(3)). Raises RequestRefused."""
    values = {"request": request_id, "words": _sealed(master, reasons, request_id, "extension")}
    account_id = _one_row(_EXTEND, values)
    audit.record("request.extended", actor or f"account:{by}", about=account_id, request=request_id)
    _tell(account_id, "request-extended")


_EXTEND = text("""
    UPDATE privacy_request SET extended_at = now(), due_at = received_at + interval '3 months', extension = :words
     WHERE request_id = :request AND state = 'open' AND extended_at IS NULL RETURNING account_id""")


def answer(
    master: MasterKeys, request_id: int, words: str, *, refused: bool, by: int, actor: str = ""
) -> None:
    """Answer, once: it was done, or it is refused, with reasons and the way to complain. Raises RequestRefused."""
    state = "refused" if refused else "done"
    sealed = _sealed(master, words, request_id, "answer")
    account_id = _one_row(_ANSWER, {"request": request_id, "words": sealed, "state": state, "by": by})
    audit.record(
        "request.answered", actor or f"account:{by}", about=account_id, request=request_id, state=state
    )
    _tell(account_id, "request-answered")


_ANSWER = text("""
    UPDATE privacy_request SET state = :state, answer = :words, answered_at = now(), answered_by = :by
     WHERE request_id = :request AND state = 'open' RETURNING account_id""")


def _tell(account_id: int | None, what: str) -> None:
    if account_id is not None:
        errands.add("tell", account_id, what=what)


def _one_row(statement: object, values: dict[str, object]) -> int | None:
    with _refusals():
        found = db.session.execute(statement, values).first()  # type: ignore[call-overload]
    if found is None:
        raise RequestRefused("over")
    return None if found.account_id is None else int(found.account_id)


_CODES = {
    "privacy_request_nobody_answers_his_own": "own",
    "privacy_request_done_for_whom_we_know": "unchecked",
    "privacy_request_extended_with_reasons_in_the_first": "late",
}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if name not in _CODES:
            raise
        raise RequestRefused(_CODES[name]) from None
