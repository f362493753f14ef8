"""Whether the log holds: every hash computed anew, every signed root compared with the tree as it is now.

A row that was changed, removed, reordered or slipped in breaks a hash. Who can write to the database can make the hashes anew; the
roots that were signed before, and are kept elsewhere too, then tell another history, and a cut tail is missed by them.
"""

import json
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from webmail.audit.notes import Checkpoint, NotANote, Verifier
from webmail.audit.tree import Frontier, leaf_hash

GENESIS = bytes(32)
_FETCH = 5000
_DETAIL_STAYS = timedelta(days=365)
Row = tuple[int, datetime, str, str | None, str | None, bytes, bytes, bytes, int | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the log does not hold: the number of the first event (or the size of the checkpoint) that is wrong, and how."""

    number: int
    what: str
    subject: str = "event"

    def __str__(self) -> str:
        return f"{self.subject} {self.number} {self.what}"


@dataclass(slots=True)
class _Told:
    """What entries say beside themselves. `dropped`: ranges of numbers whose detail went, and when that was; `people`, `seals`: how
    many commitments there are to persons and to what is sealed; `forgotten`: how many of the former nobody can open any more."""

    dropped: list[tuple[int, int, datetime]] = field(default_factory=list)
    people: int = 0
    seals: int = 0
    forgotten: int = 0

    def take(self, number: int, at: datetime, kind: str, entry: dict[str, Any]) -> None:
        self.people += len(entry.get("about", ()))
        self.seals += "sealed" in entry
        facts = entry["facts"]
        if kind == "audit.detail_dropped" and _are_numbers(facts, "from", "to") and facts["to"] < number:
            self.dropped.append((facts["from"], facts["to"], at))
        elif kind == "audit.forgotten" and _are_numbers(facts, "events"):
            self.forgotten += facts["events"]


def _are_numbers(facts: dict[str, Any], *names: str) -> bool:
    return all(type(facts.get(name)) is int for name in names)


@dataclass(slots=True)
class Report:
    """What a verification found. `hash_only`: events whose detail was dropped; `checkpoints`: signed roots that hold; `vouched`:
    the number up to which the last of them does."""

    read: int = 0
    hash_only: int = 0
    checkpoints: int = 0
    vouched: int = 0
    root: bytes = b""
    faults: list[Fault] = field(default_factory=list)


def verify(session: Session, *, since: int = 1) -> tuple[int, Fault | None]:
    """Recompute every hash from event `since` on. Returns how many events were read, and the first fault or None.

    One pass, constant memory; a removed, reordered, inserted or changed row is a fault. (What needs a checkpoint to be seen:
    `examine`.)
    """
    report = examine(session, since=since)
    return report.read, report.faults[0] if report.faults else None


def stored_checkpoints(session: Session) -> list[str]:
    """The signed notes that are in the database, oldest first."""
    return list(session.execute(text("SELECT note FROM audit_checkpoint ORDER BY size")).scalars())


def examine(
    session: Session, *, since: int = 1, notes: Iterable[str] = (), verifier: Verifier | None = None
) -> Report:
    """Recompute everything from event `since` on, and hold it against checkpoints: signed notes, wherever they were kept.

    `verifier`: whose signature they need. Every forged checkpoint is a fault, and the first row that does not hold.
    """
    report = Report()
    expected = _roots(notes, verifier, report)
    frontier, previous = _before(session, since)
    dropped: list[tuple[int, int]] = []
    told, before = _Told(), None
    with closing(_rows(session, since)) as rows:
        for number, row in enumerate(rows, since):
            report.read += 1
            fault = _fault(row, number, previous, frontier, told)
            if fault is None and before is not None and row[1] <= before:
                fault = Fault(number, "has a time before the one it follows")
            if fault:
                report.faults.append(fault)
                return report
            previous, before = row[6], row[1]
            if row[4] is None:
                report.hash_only += 1
                _extend(dropped, number, number)
            if number in expected and not _agrees(expected[number], frontier, report):
                return report
    report.root = frontier.root()
    _missing(expected, frontier.size, report)
    _unexplained(dropped, told, report)
    _too_soon(session, told, report)
    if since <= 1:
        _emptied(session, told, report)
    return report


def _roots(notes: Iterable[str], verifier: Verifier | None, report: Report) -> dict[int, set[bytes]]:
    """The roots to meet on the way, by size."""
    expected: dict[int, set[bytes]] = defaultdict(set)
    for position, note in enumerate(notes, 1):
        try:
            checkpoint = Checkpoint.read(note)
            if verifier is not None and (checkpoint.origin != verifier.name or not verifier.signed(note)):
                report.faults.append(
                    Fault(checkpoint.size, f"is forged: {verifier.name} did not sign it", "checkpoint")
                )
                continue
        except NotANote as error:
            report.faults.append(Fault(position, f"cannot be read: {error}", "checkpoint file"))
            continue
        expected[checkpoint.size].add(checkpoint.root)
    return expected


def _agrees(roots: set[bytes], frontier: Frontier, report: Report) -> bool:
    if roots != {frontier.root()}:
        first = report.vouched + 1
        what = f"tells another history: something in events {first} to {frontier.size} was rewritten after it was signed"
        report.faults.append(Fault(frontier.size, what, "checkpoint"))
        return False
    report.checkpoints += 1
    report.vouched = frontier.size
    return True


def _missing(expected: dict[int, set[bytes]], size: int, report: Report) -> None:
    last = max(expected, default=0)
    if last > size:
        what = f"is missing, and all after it: a checkpoint was signed over {last} events"
        report.faults.append(Fault(size + 1, what))


def _unexplained(dropped: Sequence[tuple[int, int]], told: _Told, report: Report) -> None:
    """Both are ranges of numbers: what lost its detail lies within what events say was dropped."""
    whole: list[tuple[int, int]] = []
    for first, last, _at in sorted(told.dropped):
        _extend(whole, first, last)
    for first, last in dropped:
        within = next((until for begin, until in whole if begin <= first <= until), first - 1)
        if within < last:
            what = "lost its detail, and no event says that it was dropped"
            report.faults.append(Fault(within + 1, what))
            return


def _too_soon(session: Session, told: _Told, report: Report) -> None:
    """What an event says was dropped had been there for a year by then: who can write events can say anything."""
    for first, last, at in told.dropped:
        values = {"first": first, "last": last, "oldest": at - _DETAIL_STAYS}
        number = session.execute(_YOUNG, values).scalar()
        if number is not None:
            report.faults.append(Fault(number, "lost its detail before it was a year old"))
            return


_YOUNG = text("""
    SELECT min(number) FROM audit_event WHERE number BETWEEN :first AND :last AND entry IS NULL AND at > :oldest""")


def _emptied(session: Session, told: _Told, report: Report) -> None:
    """What opens the commitments is kept beside the entries: whom they are about, and what is sealed."""
    people, seals = session.execute(_BESIDE).one()
    if told.people - people > told.forgotten:
        missing = told.people - people - told.forgotten
        what = (
            "entries do not say any more whom they are about, and no event says that somebody was forgotten"
        )
        report.faults.append(Fault(missing, what, "in all,"))
    if told.seals > seals:
        report.faults.append(Fault(told.seals - seals, "sealed entries can never be opened", "in all,"))


_BESIDE = text("""
    SELECT (SELECT count(*) FROM audit_subject s JOIN audit_event e USING (number)
             WHERE position(encode(s.commitment, 'hex') IN e.entry) > 0),
           (SELECT count(*) FROM audit_sealed s JOIN audit_event e USING (number)
             WHERE position(encode(s.commitment, 'hex') IN e.entry) > 0)""")


def _extend(ranges: list[tuple[int, int]], first: int, last: int) -> None:
    """Add a range that begins no earlier than those before it; what touches becomes one."""
    if ranges and first <= ranges[-1][1] + 1:
        ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
    else:
        ranges.append((first, last))


def _before(session: Session, since: int) -> tuple[Frontier, bytes]:
    """The tree and the chain up to the event before `since`, as their rows say."""
    if since <= 1:
        return Frontier(), GENESIS
    size = since - 1
    chain = session.execute(text("SELECT chain FROM audit_event WHERE number = :n"), {"n": size}).scalar_one()
    peaks, rest = [], size
    while rest:
        level = (rest & -rest).bit_length() - 1
        peaks.append(bytes(session.execute(_NODE, {"level": level, "ends": rest}).scalar_one()))
        rest &= rest - 1
    return Frontier(size, peaks[::-1]), bytes(chain)


_NODE = text("SELECT audit_node(:level, :ends)")


def _rows(session: Session, since: int) -> Generator[Row, None, None]:
    """By the driver alone, in its binary form: of a million rows, most of the time goes into reading them."""
    first = since if since > 1 else -(2**63)  # nothing may hide below the first
    raw = session.connection().connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    with raw.cursor(name="audit_rows") as cursor:
        cursor.itersize = _FETCH
        yield from cursor.execute(_ROWS, {"since": first}, binary=True)


_ROWS = """
    SELECT number, at, kind, actor, entry, leaf, chain, nodes, case_id FROM audit_event WHERE number >= %(since)s ORDER BY number"""


def _fault(row: Row, expected: int, previous: bytes, frontier: Frontier, told: _Told) -> Fault | None:
    number, at, kind, _actor, entry, leaf, chain, nodes, _case = row
    if number != expected:
        return Fault(number, "was slipped in") if number < expected else Fault(expected, "is missing")
    if entry is not None and leaf_hash(entry.encode()) != leaf:
        return Fault(number, "was changed")
    if sha256(b"\x01" + previous + leaf).digest() != chain:
        return Fault(number, "does not follow the one before it")
    if frontier.append(leaf) != nodes:
        return Fault(number, "has a wrong place in the tree")
    if entry is not None:
        read = json.loads(entry)
        if not _fits(row, read):
            return Fault(number, "has columns that differ from its entry")
        told.take(number, at, kind, read)
    return None


def _fits(row: Row, entry: dict[str, Any]) -> bool:
    case = entry["facts"].get("case")
    told = (entry["number"], entry["kind"], entry["actor"], case if type(case) is int else None)
    return told == (row[0], row[2], row[3], row[8]) and datetime.fromisoformat(entry["at"]) == row[1]
