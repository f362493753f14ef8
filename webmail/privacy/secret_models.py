"""What is known of secrets: since when each is what it is, and how far a rotation of the master key has come."""

from sqlalchemy import BigInteger, Boolean, Identity, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class SecretMark(Base):
    """A secret of the environment, by a code, with a keyed hash of it. `is_first`: no change of it was seen yet."""

    __tablename__ = "secret_mark"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    mark: Mapped[bytes] = mapped_column(LargeBinary)
    since: Mapped[StampNow]
    seen_at: Mapped[StampNow]
    is_first: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))


class KeyRotation(Base):
    """One rotation of the master key. `key_id` is the new key's id, as it stands in what it wraps."""

    __tablename__ = "key_rotation"
    __table_args__ = (
        Index("key_rotation_one_at_a_time", "key_id", unique=True, postgresql_where=text("finished_at IS NULL")),
    )  # fmt: skip

    rotation_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    key_id: Mapped[bytes] = mapped_column(LargeBinary)
    started_at: Mapped[StampNow]
    moved_at: Mapped[StampNow]
    finished_at: Mapped[Stamp | None]
    done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    total: Mapped[int] = mapped_column(BigInteger)


class KeySweep(Base):
    """When the table of mailboxes' keys was written anew, so that none that was destroyed is left in its file."""

    __tablename__ = "key_sweep"

    part: Mapped[str] = mapped_column(Text, primary_key=True)
    swept_at: Mapped[Stamp]
