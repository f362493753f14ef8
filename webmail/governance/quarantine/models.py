"""Quarantines. Rows are written by the functions of the database alone (`quarantine_take` and its like), which check and audit."""

from typing import cast

from sqlalchemy import Boolean, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, Table, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow
from webmail.governance.actions.models import StaffAction
from webmail.mail.models import Message

_HOLDS = text("state IN ('proposed', 'in_force') OR is_moving")


class Quarantine(Base):
    """One reported message, held in every mailbox until a day. `is_moving`: a worker has still to hold or to give back, from
    (`at_mailbox`, `at_message`) on."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index("quarantine_content_held_once", "content", unique=True, postgresql_where=_HOLDS),
        Index("quarantine_of_case", "case_id", "acted_at"),
        Index("quarantine_proposed", "acted_at", postgresql_where=text("state = 'proposed'")),
        Index("quarantine_ending", "until", postgresql_where=text("state = 'in_force'")),
        Index("quarantine_moving", "quarantine_id", postgresql_where=text("is_moving")),
        Index("quarantine_lately", text("acted_at DESC"), "quarantine_id"),
    )

    quarantine_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[BigId] = mapped_column(ForeignKey("case_file.case_id"))
    item_id: Mapped[BigId] = mapped_column(ForeignKey("case_item.item_id"))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    rule: Mapped[str] = mapped_column(Text)
    words: Mapped[bytes] = mapped_column(LargeBinary)
    acted_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    acted_at: Mapped[StampNow]
    until: Mapped[Stamp]
    state: Mapped[str] = mapped_column(Text, server_default="proposed")
    decided_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    decided_at: Mapped[Stamp | None]
    in_force_at: Mapped[Stamp | None]
    ended_at: Mapped[Stamp | None]
    ended_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    ended_why: Mapped[str | None] = mapped_column(Text)
    is_moving: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    at_mailbox: Mapped[BigId] = mapped_column(server_default="0")
    at_message: Mapped[BigId] = mapped_column(server_default="-1")


def _refers(table: Table, column: str, name: str) -> None:
    """Let a column of a table below refer to a quarantine. Said here: a process that takes mail in knows nothing of quarantines."""
    table.append_constraint(
        ForeignKeyConstraint([table.c[column]], [Quarantine.__table__.c.quarantine_id], name=name)
    )


_refers(cast("Table", Message.__table__), "held_by", "message_held_by_exists")
_refers(cast("Table", StaffAction.__table__), "quarantine_id", "staff_action_quarantine_id_exists")
