"""Where people are signed in, what is to be done for them elsewhere, and what they confirmed."""

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import CIDR, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class SignIn(Base):
    """A Clerk session that has been here. Its id is no secret (nobody gets in by it) and is what the deny-list and Clerk go by."""

    __tablename__ = "sign_in"
    __table_args__ = (
        Index("sign_in_account_id", "account_id", text("last_seen DESC")),
        Index("sign_in_last_seen", "last_seen"),
    )

    sign_in_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(Text, unique=True)
    device: Mapped[str] = mapped_column(Text)
    network: Mapped[str | None] = mapped_column(CIDR)
    first_seen: Mapped[StampNow]
    last_seen: Mapped[StampNow]
    ended_at: Mapped[Stamp | None]


class Errand(Base):
    """Something to do for a person that waits for another service: see `errands`."""

    __tablename__ = "errand"
    __table_args__ = (
        Index("errand_due", "kind", "due_at", postgresql_where=text("parked_at IS NULL")),
        Index("errand_account_id", "account_id"),
        Index(
            "errand_parked_at",
            text("parked_at DESC"),
            text("errand_id DESC"),
            postgresql_where=text("parked_at IS NOT NULL"),
        ),
    )

    errand_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    account_id: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    made_at: Mapped[StampNow]
    due_at: Mapped[StampNow]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    lease: Mapped[BigId | None]
    parked_at: Mapped[Stamp | None]
    problem: Mapped[str] = mapped_column(Text, server_default="")


class Confirmation(Base):
    """That somebody has just proved who he is, for one act on one thing. `target` is SHA-256 of both: see `stepup`."""

    __tablename__ = "confirmation"
    __table_args__ = (
        Index("confirmation_open", "account_id", "session_id", postgresql_where=text("used_at IS NULL")),
        Index("confirmation_made_at", "made_at"),
    )

    confirmation_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    target: Mapped[bytes] = mapped_column(LargeBinary)
    method: Mapped[str] = mapped_column(Text)
    made_at: Mapped[StampNow]
    expires_at: Mapped[Stamp] = mapped_column(server_default=func.now())
    used_at: Mapped[Stamp | None]


class ConfirmationTry(Base):
    """One try at proving it. The database lets nobody try more than five times in ten minutes without success."""

    __tablename__ = "confirmation_try"
    __table_args__ = (Index("confirmation_try_account_id", "account_id", "at"),)

    try_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    at: Mapped[StampNow]
    outcome: Mapped[str] = mapped_column(Text, server_default="open")
