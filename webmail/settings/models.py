"""Configuration kept in the database."""

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, StampNow


class Domain(Base):
    """A mail domain that we host."""

    __tablename__ = "domain"
    __table_args__ = (
        CheckConstraint(
            "name = lower(name) AND name ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'", "name_is_lower_case"
        ),
    )

    domain_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[StampNow]
