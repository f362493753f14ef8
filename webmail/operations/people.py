"""People, for the staff: found by what one knows of them already, and shown without anything of their mail.

Each search, and each opening of a person's page, is written down by the database before it answers, with a commitment to everybody
whom it showed (P11, P12, P16): a person's own log tells how often that was. Nothing here changes a person: that is `governance`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from webmail import audit
from webmail.db import new_id, read_id, rows
from webmail.errors import NotFound, Refused
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.keys import MasterKeys
from webmail.mail.addresses import AddressError, base_local, parse_spec

MOST: Final = 20
MAX_NOTE: Final = 2_000
_USER = re.compile(r"user_[A-Za-z0-9]{8,64}")


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody in a list. `status`: active, closed, banned, deleted, no_sign_in or no_sending."""

    account_id: int
    name: str
    address: str
    status: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, at most 20; `is_cut`: there are more. `refusal`: role, term or too-many."""

    found: Sequence[Found] = ()
    is_cut: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _Term:
    """What was typed, as the database is asked. `how`: address, user, number or name."""

    how: str
    term: str
    local: str = ""
    domain: str = ""
    number: int = 0

    @property
    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("how", "term", "local", "domain", "number")}


def find(typed: str, *, by: int) -> Answer:
    """Whoever has this address (ours, or the contact address) or id (account's, mailbox' or Clerk's), or whose name begins so."""
    return _first(typed, lambda term: _found(rows(_FIND, term.values | {"by": by})))


_TERM = "%(how)s, %(term)s, %(local)s, %(domain)s, %(number)s"
_FIND = f"SELECT account_id, name, address, status, refusal FROM people_find(%(by)s, {_TERM})"


def find_as_operator(typed: str, *, actor: str) -> Answer:
    """The same for whoever runs a command, as the owner of the tables; written down alike."""

    def ask(term: _Term) -> Answer:
        ids = rows(f"SELECT people_ids({_TERM})", term.values)[0][0]
        some = (ids or [])[:MOST]
        why = "term" if ids is None else ""
        audit.record("people.searched", actor, about=some or None, how=term.how, found=len(some), why=why)
        return _found(rows(_LINES, {"ids": ids})) if ids is not None else Answer(refusal=why)

    return _first(typed, ask)


_LINES = "SELECT account_id, name, address, status, '' FROM people_lines(%(ids)s::bigint[])"


def _first(typed: str, ask: Callable[[_Term], Answer]) -> Answer:
    """The answer to what a term can mean: what looks like an id may be the beginning of a name as well."""
    term = " ".join(typed.split())[:320]
    if "@" in term:
        try:
            address = parse_spec(term)
        except AddressError:
            return Answer(refusal="term")
        return ask(_Term("address", term, base_local(address.local), address.domain))
    if _USER.fullmatch(term):
        return ask(_Term("user", term))
    try:
        answer = ask(_Term("number", term, number=read_id(term)))
    except NotFound:
        return ask(_Term("name", term))
    return answer if answer.found or answer.refusal else ask(_Term("name", term))


def _found(found: Sequence[tuple[Any, ...]]) -> Answer:
    if found and found[0][4]:
        return Answer(refusal=found[0][4])
    return Answer([Found(*row[:4]) for row in found[:MOST]], len(found) > MOST)


# --- one person ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox that somebody belongs to. Bytes; `role` is reader, writer or owner; the first address is its primary one."""

    mailbox_id: int
    role: str
    since: datetime
    state: str
    may_receive: bool
    used: int
    quota: int
    members: int
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    """A case that is about somebody."""

    case_id: int
    kind: str
    state: str
    opened_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """What a colleague noted."""

    note_id: int
    written_by: int
    author: str
    written_at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the staff sees him. `sessions`: those not known to have ended; `erased_at`: when the account is to be erased."""

    account_id: int
    name: str
    contact: str
    user_id: str
    status: str
    clerk_state: str
    may_sign_in: bool
    may_send: bool
    send_day: int | None
    since: datetime
    roles: Sequence[str]
    sessions: int
    last_seen: datetime | None
    erased_at: datetime | None
    boxes: Sequence[Box]
    cases: Sequence[Case]
    notes: Sequence[Note]
    note_count: int


def show(master: MasterKeys, account_id: int, *, by: int) -> Person:
    """One person, written down. Raises NotFound for nobody and for who may not look."""
    told = rows("SELECT people_show(%(by)s, %(account)s)", {"by": by, "account": account_id})[0][0]
    if told["refusal"]:
        raise NotFound("account")
    secret = open_secret(master)
    return _person(told, [_note(secret, one) for one in told["notes"]])


def show_as_operator(account_id: int, *, actor: str) -> Person:
    """The same for whoever runs a command, without the notes' words; written down alike. Raises NotFound."""
    told = rows("SELECT people_told(%(account)s)", {"account": account_id})[0][0]
    if told is None:
        raise NotFound("account")
    audit.record("people.viewed", actor, about=account_id, account=account_id)
    return _person(told, ())


def _person(told: Mapping[str, Any], notes: Sequence[Note]) -> Person:
    return Person(
        account_id=told["account"],
        name=told["name"],
        contact=told["contact"],
        user_id=told["user"],
        status=told["status"],
        clerk_state=told["clerk_state"],
        may_sign_in=told["may_sign_in"],
        may_send=told["may_send"],
        send_day=told["send_day"],
        since=datetime.fromisoformat(told["since"]),
        roles=told["roles"],
        sessions=told["sessions"],
        last_seen=_time(told["last_seen"]),
        erased_at=_time(told["erased_at"]),
        boxes=[_box(one) for one in told["mailboxes"]],
        cases=[_case(one) for one in told["cases"]],
        notes=notes,
        note_count=len(told["notes"]),
    )


def _box(one: Mapping[str, Any]) -> Box:
    return Box(
        one["mailbox"],
        one["role"],
        datetime.fromisoformat(one["since"]),
        one["state"],
        one["may_receive"],
        one["used"],
        one["quota"],
        one["members"],
        one["addresses"],
    )


def _case(one: Mapping[str, Any]) -> Case:
    opened, due = datetime.fromisoformat(one["opened_at"]), datetime.fromisoformat(one["due_at"])
    return Case(one["case"], one["kind"], one["state"], opened, due)


def _note(secret: CaseSecret, one: Mapping[str, Any]) -> Note:
    words = secret.open(bytes.fromhex(one["words"]), "staff_note", one["note"], "words")
    return Note(one["note"], one["by"], one["author"], datetime.fromisoformat(one["written_at"]), words)


def _time(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


# --- notes ---------------------------------------------------------------------------------------------------------------


def note(master: MasterKeys, account_id: int, words: str, *, by: int) -> None:
    """Note something about somebody, sealed; he may have a copy of it. Raises Refused(code): words, role, own, colleague, none,
    enough."""
    said = words.replace("\r\n", "\n").strip()
    if not said or len(said) > MAX_NOTE:
        raise Refused("words")
    note_id = new_id()
    sealed = open_secret(master).seal(said, "staff_note", note_id, "words")
    values = {"by": by, "account": account_id, "note": note_id, "sealed": sealed}
    _refuse(rows("SELECT people_note(%(by)s, %(account)s, %(note)s, %(sealed)s)", values)[0][0])


def unnote(account_id: int, note_id: int, *, by: int) -> None:
    """Drop a note, one's own or as a lead. Raises Refused(code): role, own, colleague, none, not-yours."""
    values = {"by": by, "account": account_id, "note": note_id}
    _refuse(rows("SELECT people_unnote(%(by)s, %(account)s, %(note)s)", values)[0][0])


def _refuse(code: str) -> None:
    if code:
        raise Refused(code)
