"""What people have stopped: their data is only kept, or not used for a purpose that they object to."""

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class ProcessingRestriction(Base):
    """That somebody's data is only kept (Art. 18). `until`: when it ends, told a week before; `ended_at`: when its person ended it,
    or when another began after it was over."""

    __tablename__ = "processing_restriction"
    __table_args__ = (
        Index(
            "processing_restriction_one_at_a_time",
            "account_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("processing_restriction_of_account", "account_id", text("since DESC")),
    )

    restriction_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    why: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    set_by: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    since: Mapped[StampNow]
    request_id: Mapped[BigId | None] = mapped_column(
        ForeignKey("privacy_request.request_id", ondelete="SET NULL")
    )
    until: Mapped[Stamp | None]
    until_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    until_set_at: Mapped[Stamp | None]
    ended_at: Mapped[Stamp | None]
    ended_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))


class Objection(Base):
    """That somebody objects to a purpose that rests on legitimate interests (Art. 21). The answer to its request decides it."""

    __tablename__ = "objection"
    __table_args__ = (
        Index(
            "objection_one_a_purpose",
            "account_id",
            "purpose",
            unique=True,
            postgresql_where=text("state IN ('weighed', 'upheld')"),
        ),
        Index("objection_of_account", "account_id", text("made_at DESC")),
        Index("objection_request_id", "request_id", postgresql_where=text("state = 'weighed'")),
    )

    objection_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[BigId] = mapped_column(ForeignKey("account.account_id"))
    purpose: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="weighed")
    made_at: Mapped[StampNow]
    request_id: Mapped[BigId | None] = mapped_column(
        ForeignKey("privacy_request.request_id", ondelete="SET NULL")
    )
    decided_at: Mapped[Stamp | None]
    decided_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
