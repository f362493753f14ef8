"""Work to do, as rows: claimed with a lease, found again when whoever claimed it died, parked when it keeps killing.

A row is (mailbox, kind, item). `due_at` is the next moment anyone may take it; claiming moves it to the end of the lease and
writes a fresh lease number, and only who still holds that number may finish it (fencing). Rows hold ids and codes alone.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow, db, rows

FILE, SEND, FETCH, UNSUBSCRIBE, SUBMIT, TELL = "file", "send", "fetch", "unsubscribe", "submit", "tell"
INTAKE = "intake"
EXPORT, IMPORT = "export", "import"
KINDS = (FILE, SEND, FETCH, UNSUBSCRIBE, SUBMIT, TELL, INTAKE, EXPORT, IMPORT)


class Work(Base):
    __tablename__ = "work"
    __table_args__ = (
        Index("work_due", "kind", "due_at", postgresql_where=text("parked_at IS NULL")),
        Index("work_parked", "kind", postgresql_where=text("parked_at IS NOT NULL")),
        Index(
            "work_parked_at",
            text("parked_at DESC"),
            text("item_id DESC"),
            postgresql_where=text("parked_at IS NOT NULL"),
        ),
    )

    mailbox_id: Mapped[BigId] = mapped_column(
        ForeignKey("mailbox.mailbox_id"), primary_key=True, autoincrement=False
    )
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    due_at: Mapped[StampNow]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    lease: Mapped[BigId | None]
    parked_at: Mapped[Stamp | None]
    problem: Mapped[str] = mapped_column(Text, server_default="")


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of work held until its lease ends. `attempts` counts this one."""

    mailbox_id: int
    kind: str
    item_id: int
    lease: int
    attempts: int


def add(kind: str, mailbox_id: int, item_id: int, delay: timedelta = timedelta(0)) -> None:
    """Put work into the open transaction, due after `delay`."""
    db.session.execute(_ADD, {"kind": kind, "mailbox": mailbox_id, "item": item_id, "delay": delay})


_ADD = text(
    "INSERT INTO work (mailbox_id, kind, item_id, due_at) VALUES (:mailbox, :kind, :item, now() + :delay)"
)


def ask(kind: str, mailbox_id: int, item_id: int) -> None:
    """Have work done now that may be there already: waiting work is due at once, with its tries before it; work that somebody
    holds is left alone. Whoever holds it looks, before it finishes and under the row's lock, whether more was asked for."""
    db.session.execute(_ASK, {"kind": kind, "mailbox": mailbox_id, "item": item_id})


# DO UPDATE although nothing may change: it waits for whoever is about to finish the row, where DO NOTHING would see it still.
_ASK = text("""
    INSERT INTO work (mailbox_id, kind, item_id) VALUES (:mailbox, :kind, :item)
        ON CONFLICT (mailbox_id, kind, item_id)
        DO UPDATE SET due_at = now(), attempts = 0, parked_at = NULL, problem = '' WHERE work.lease IS NULL""")


def plan(kind: str, mailbox_id: int, item_id: int, at: datetime) -> None:
    """Have work done at `at` and not before, whatever was planned for it: who holds it loses it."""
    db.session.execute(_PLAN, {"kind": kind, "mailbox": mailbox_id, "item": item_id, "at": at})


_PLAN = text("""
    INSERT INTO work (mailbox_id, kind, item_id, due_at) VALUES (:mailbox, :kind, :item, :at)
        ON CONFLICT (mailbox_id, kind, item_id)
        DO UPDATE SET due_at = :at, attempts = 0, lease = NULL, parked_at = NULL, problem = ''""")


def drop(kind: str, mailbox_id: int, item_id: int) -> None:
    """Forget work, also of whoever holds it."""
    db.session.execute(_DROP, {"kind": kind, "mailbox": mailbox_id, "item": item_id})


_DROP = text("DELETE FROM work WHERE mailbox_id = :mailbox AND kind = :kind AND item_id = :item")


def claim(kind: str, limit: int, lease: timedelta) -> Sequence[Claim]:
    """Take up to `limit` due rows for `lease`; rows that another process is taking are passed over."""
    asked = {"kind": kind, "limit": limit, "period": lease, "lease": secrets.randbits(62)}
    return [Claim(mailbox, kind, item, held, tries) for mailbox, item, held, tries in rows(_CLAIM, asked)]


# The rows are chosen once, in a CTE: as a subquery under IN the planner may run it again for each row it looks at, and with
# SKIP LOCKED each run finds other rows, so that more are leased than were asked for.
_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT mailbox_id, kind, item_id FROM work
         WHERE kind = %(kind)s AND due_at <= now() AND parked_at IS NULL
         ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    UPDATE work SET due_at = now() + %(period)s, lease = %(lease)s, attempts = attempts + 1
      FROM due
     WHERE work.mailbox_id = due.mailbox_id AND work.kind = due.kind AND work.item_id = due.item_id
 RETURNING work.mailbox_id, work.item_id, work.lease, work.attempts"""


def holds(claim: Claim) -> bool:
    """True while the claim is ours; locks the row, so that it stays so until the transaction ends."""
    return bool(rows(_HOLDS, key(claim)))


HELD = "mailbox_id = %(mailbox)s AND kind = %(kind)s AND item_id = %(item)s AND lease = %(lease)s"
"""The row of a claim that is still ours, in statements of the driver's that are given `key`."""
_KEY = "mailbox_id = :mailbox AND kind = :kind AND item_id = :item AND lease = :lease"
_HOLDS = f"SELECT 1 FROM work WHERE {HELD} FOR UPDATE"


def finish(claim: Claim) -> bool:
    """Remove finished work. False when the lease was lost to somebody else: then undo what you did."""
    return bool(rows(_FINISH, key(claim)))


_FINISH = f"DELETE FROM work WHERE {HELD} RETURNING 1"


def again(claim: Claim, delay: timedelta, problem: str = "") -> None:
    """Give the work back, due after `delay`. `problem` is a short code."""
    db.session.execute(_AGAIN, key(claim) | {"delay": delay, "problem": problem})


_AGAIN = text(f"UPDATE work SET due_at = now() + :delay, lease = NULL, problem = :problem WHERE {_KEY}")


def forgive(claim: Claim) -> None:
    """Give the work back at once, and do not count the attempt: what failed was not in the work."""
    db.session.execute(_FORGIVE, key(claim))


_FORGIVE = text(f"UPDATE work SET due_at = now(), lease = NULL, attempts = attempts - 1 WHERE {_KEY}")


def hold(claim: Claim, until: datetime, problem: str) -> None:
    """Give the work back, due at `until`, and do not count the attempt: it may not be done now, and that is nobody's fault."""
    db.session.execute(_HOLD, key(claim) | {"until": until, "problem": problem})


_HOLD = text(f"""
    UPDATE work SET due_at = :until, lease = NULL, attempts = attempts - 1, problem = :problem WHERE {_KEY}""")


def park(claim: Claim, problem: str) -> None:
    """Put the work aside for a person to look at: it failed too often, and is not tried again by itself."""
    db.session.execute(_PARK, key(claim) | {"problem": problem})


_PARK = text(f"UPDATE work SET parked_at = now(), lease = NULL, problem = :problem WHERE {_KEY}")


def kinds_due() -> Sequence[str]:
    """Kinds that have due work: what the sweeper rings for."""
    return [kind for kind in KINDS if db.session.execute(_DUE, {"kind": kind}).scalar()]


_DUE = text("SELECT EXISTS (SELECT 1 FROM work WHERE kind = :kind AND due_at <= now() AND parked_at IS NULL)")


def key(claim: Claim) -> dict[str, object]:
    """The values that say which claim is meant: see `HELD`."""
    return {"mailbox": claim.mailbox_id, "kind": claim.kind, "item": claim.item_id, "lease": claim.lease}
