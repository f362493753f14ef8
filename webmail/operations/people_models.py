"""What the staff notes about people."""

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow


class StaffNote(Base):
    """A note about somebody, sealed; part of what that person may have a copy of."""

    __tablename__ = "staff_note"
    __table_args__ = (
        Index("staff_note_account_id", "account_id", text("written_at DESC"), "note_id"),
        Index("staff_note_written_at", "written_at"),
    )

    note_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    written_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    written_at: Mapped[StampNow]
    words: Mapped[bytes] = mapped_column(LargeBinary)
