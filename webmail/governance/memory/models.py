"""The memory of abuse: sealed files, and handles by which who knows an identifier finds and opens one."""

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow


class AbuseMemory(Base):
    """What an account that broke rules was, under a random key that is kept nowhere by itself."""

    __tablename__ = "abuse_memory"
    __table_args__ = (Index("abuse_memory_kept_at", "kept_at"),)

    memory_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[StampNow]


class AbuseMemoryHandle(Base):
    """One identifier of it, as an HMAC, with the file's key wrapped under a key that only the identifier makes."""

    __tablename__ = "abuse_memory_handle"
    __table_args__ = (Index("abuse_memory_handle_memory_id", "memory_id"),)

    handle: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    memory_id: Mapped[BigId] = mapped_column(
        ForeignKey("abuse_memory.memory_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
