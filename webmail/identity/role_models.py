"""Who gave whom which role, and what waits for a second admin."""

from sqlalchemy import ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class RoleProposal(Base):
    """That somebody becomes an admin, said by one admin and confirmed by another; open while it has no outcome."""

    __tablename__ = "role_proposal"
    __table_args__ = (
        Index(
            "role_proposal_one_open_a_person",
            "account_id",
            "role",
            unique=True,
            postgresql_where=text("outcome IS NULL"),
        ),
    )

    proposal_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(Text)
    proposed_at: Mapped[StampNow]
    expires_at: Mapped[Stamp] = mapped_column(server_default=func.now())
    outcome: Mapped[str | None] = mapped_column(Text)
    closed_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"))
    closed_at: Mapped[Stamp | None]


class RoleChange(Base):
    """One grant or revocation, for ever. Inserting it is the only way in which `account_role` changes: a trigger follows."""

    __tablename__ = "role_change"
    __table_args__ = (
        Index("role_change_made_at", text("made_at DESC"), text("change_id DESC")),
        Index("role_change_account_id", "account_id", text("made_at DESC")),
    )

    change_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId]
    role: Mapped[str] = mapped_column(Text)
    verb: Mapped[str] = mapped_column(Text)
    made_by: Mapped[BigId | None]
    confirmed_by: Mapped[BigId | None]
    reason: Mapped[str] = mapped_column(Text)
    made_at: Mapped[StampNow]
