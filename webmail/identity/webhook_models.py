"""What Clerk has told: one row a message, however often it was delivered."""

from sqlalchemy import BigInteger, Identity, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, Stamp, StampNow


class WebhookEvent(Base):
    """Ids and codes alone; what an event said of a person is in `account`, or nowhere."""

    __tablename__ = "webhook_event"
    __table_args__ = (Index("webhook_event_received_at", "received_at"),)

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[Stamp]
    received_at: Mapped[StampNow]
    deliveries: Mapped[int] = mapped_column(Integer, server_default="1")
