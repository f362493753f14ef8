"""The table of requests."""

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


class PrivacyRequest(Base):
    """One request: words, reasons of an extension, and answer are sealed with the service's secret for cases."""

    __tablename__ = "privacy_request"
    __table_args__ = (
        Index("privacy_request_open", "due_at", "request_id", postgresql_where=text("state = 'open'")),
        Index("privacy_request_answered", text("answered_at DESC"), "request_id", postgresql_where=text("state <> 'open'")),
        Index("privacy_request_of_account", "account_id", text("received_at DESC")),
    )  # fmt: skip

    request_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    account_id: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    source: Mapped[str] = mapped_column(Text)
    identity: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="open")
    words: Mapped[bytes]
    received_at: Mapped[StampNow]
    due_at: Mapped[Stamp] = mapped_column(server_default=text("now() + interval '1 month'"))
    extended_at: Mapped[Stamp | None]
    extension: Mapped[bytes | None]
    entered_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    answered_by: Mapped[BigId | None] = mapped_column(ForeignKey("account.account_id"))
    answered_at: Mapped[Stamp | None]
    answer: Mapped[bytes | None]
