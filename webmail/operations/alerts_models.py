"""What is wrong and since when, who was told of it, and who has looked."""

from sqlalchemy import BigInteger, Double, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class Alert(Base):
    """Something that wants a person, from its beginning to its end. `label`: which queue, schedule or machine."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_lasts_once", "code", "label", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("alert_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    alert_id: Mapped[BigId] = mapped_column(Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text, server_default="")
    value: Mapped[float] = mapped_column(Double)
    since: Mapped[StampNow]
    seen_at: Mapped[StampNow]
    told_at: Mapped[Stamp | None]
    ended_at: Mapped[Stamp | None]
    muted_until: Mapped[Stamp | None]
    muted_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.account_id"))


class AlertTelling(Base):
    """One message about an alert, by one way; a trial is about none."""

    __tablename__ = "alert_telling"
    __table_args__ = (
        Index("alert_telling_due", "way", "due_at", postgresql_where=text("finished_at IS NULL")),
        Index("alert_telling_alert_id", "alert_id", "telling_id"),
        Index("alert_telling_made_at", "made_at"),
    )

    telling_id: Mapped[BigId] = mapped_column(Identity(always=True), primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("alert.alert_id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    way: Mapped[str] = mapped_column(Text)
    made_at: Mapped[StampNow]
    due_at: Mapped[StampNow]
    lease: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    finished_at: Mapped[Stamp | None]
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    problem: Mapped[str] = mapped_column(Text, server_default="")


class AlertLook(Base):
    """When a machine last looked whether all is well."""

    __tablename__ = "alert_look"

    machine: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[StampNow]
