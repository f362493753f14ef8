"""Signed roots of the log: made when it has grown, kept in the database and in a second place that the app cannot rewrite.

The second place is a folder on another mount, where each checkpoint is a file that is never opened again for writing, or a program
that is given each on its standard input.
"""

import logging
import os
import shlex
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from webmail.audit.notes import Checkpoint, NotANote
from webmail.audit.sealing import signing_key
from webmail.db import db
from webmail.errors import MtumailError, Tampered
from webmail.keys import MasterKeys

log = logging.getLogger(__name__)
PROGRAM = "run:"
_PROGRAM_SECONDS = 30


class NotKept(MtumailError):
    """The second place did not take a checkpoint, or holds another one in its stead."""


@dataclass(frozen=True, slots=True)
class State:
    """How things stand. `size`: events in the log; `signed`: in the last checkpoint, made `at`; `unsent`: not in the second place
    yet."""

    size: int
    signed: int
    at: datetime | None
    unsent: int

    @property
    def grown(self) -> bool:
        return self.size > self.signed

    def is_due(self, minutes: int, now: datetime | None = None) -> bool:
        """Whether a checkpoint should be made: it has grown, and the last one is `minutes` old."""
        if not self.grown or self.at is None:
            return self.grown
        return ((now or datetime.now(UTC)) - self.at).total_seconds() >= 60 * minutes


def state() -> State:
    """How the log and its checkpoints stand. Three probes of indexes."""
    row = db.session.execute(_STATE).one()
    return State(row.size, row.signed or 0, row.at, row.unsent)


_STATE = text("""
    SELECT coalesce((SELECT max(number) FROM audit_event), 0) AS size, c.size AS signed, c.at,
           (SELECT count(*) FROM audit_checkpoint WHERE size > coalesce((SELECT max(size) FROM audit_checkpoint_sent), 0)) AS unsent
      FROM (SELECT 1) one LEFT JOIN (SELECT size, at FROM audit_checkpoint ORDER BY size DESC LIMIT 1) c ON true""")


def last() -> str | None:
    """The newest signed note; None before the first."""
    note: str | None = db.session.execute(
        text("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    ).scalar()
    return note


def make(master: MasterKeys, origin: str) -> Checkpoint | None:
    """Sign the log as it is, if it has grown; None if it has not. `origin` names the log when there is no key for it yet.

    Raises Tampered, and signs nothing, when the tree does not hold what the last checkpoint signed.
    """
    verifier, private = signing_key(master, origin)
    before = db.session.execute(_LAST).one_or_none()
    size = db.session.execute(text("SELECT max(number) FROM audit_event")).scalar() or 0
    if size == (before.size if before else 0):
        return None
    if before is not None and (size < before.size or _root(before.size) != bytes(before.root)):
        raise Tampered("the audit log is not the one that was signed before: run `mtumail audit verify`")
    checkpoint = Checkpoint(verifier.name, size, _root(size))
    values = {"size": size, "root": checkpoint.root, "note": checkpoint.sign(private)}
    db.session.execute(_KEEP, values)
    return checkpoint


_LAST = text("SELECT size, root FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
_KEEP = text(
    "INSERT INTO audit_checkpoint (size, root, note) VALUES (:size, :root, :note) ON CONFLICT DO NOTHING"
)


def _root(size: int) -> bytes:
    return bytes(db.session.execute(text("SELECT audit_root(:size)"), {"size": size}).scalar_one() or b"")


def unsent(limit: int = 100) -> list[tuple[int, str, datetime]]:
    """Checkpoints that are not in the second place yet, oldest first, as (size, note, made at)."""
    return [tuple(row) for row in db.session.execute(_UNSENT, {"limit": limit})]


_UNSENT = text("""
    SELECT size, note, at FROM audit_checkpoint
     WHERE size > coalesce((SELECT max(size) FROM audit_checkpoint_sent), 0) ORDER BY size LIMIT :limit""")


def sent(size: int) -> None:
    """Note that this checkpoint, and so all before it, are in the second place."""
    statement = text("INSERT INTO audit_checkpoint_sent (size) VALUES (:size) ON CONFLICT DO NOTHING")
    db.session.execute(statement, {"size": size})


def send(place: str, size: int, note: str, at: datetime) -> None:
    """Put a checkpoint into the second place: a folder, or `run:` and a program. May be repeated. Raises NotKept."""
    if place.startswith(PROGRAM):
        _give(shlex.split(place.removeprefix(PROGRAM)), note)
    else:
        _write(Path(place), size, note, at)


def _give(command: list[str], note: str) -> None:
    try:
        done = subprocess.run(
            command, input=note.encode(), timeout=_PROGRAM_SECONDS, capture_output=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotKept(f"{command[0]}: {type(error).__name__}") from None
    if done.returncode:
        raise NotKept(f"{command[0]} ended with {done.returncode}")


def _write(folder: Path, size: int, note: str, at: datetime) -> None:
    """One file a checkpoint, a folder a month. Opened so that nothing that is there is ever written over."""
    month = folder / f"{at.astimezone(UTC):%Y-%m}"
    path = month / f"{size:012d}.txt"
    try:
        month.mkdir(exist_ok=True)  # not its parents: an unmounted disk is not written beside
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o444)
    except FileExistsError:
        _same(path, note)
        return
    except OSError as error:
        raise NotKept(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(note.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise NotKept(f"{path}: {error.strerror}") from None


def _same(path: Path, note: str) -> None:
    """What is there already: the very same, from a run that was killed; or the beginning of it, which can only be told."""
    if path.read_bytes() != note.encode():
        raise NotKept(f"{path} holds something else")


def kept(folder: Path) -> list[tuple[str, str]]:
    """The checkpoints in a folder as (file name, note), oldest first."""
    files = sorted(folder.rglob("*.txt"), key=lambda path: path.name)
    return [(path.name, path.read_text("utf-8", "replace")) for path in files]


def parse(note: str) -> Checkpoint | None:
    """What a note says, None for what is no checkpoint."""
    try:
        return Checkpoint.read(note)
    except NotANote:
        return None
