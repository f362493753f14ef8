"""How somebody comes to a mailbox: names that cannot be had, invitations to the service and to a mailbox; who did what there."""

from sqlalchemy import ForeignKey, Identity, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail.db import Base, BigId, Stamp, StampNow


def _of(table: str, rule: str) -> ForeignKey:
    return ForeignKey(f"{table}.{table}_id", ondelete=rule)


class ReservedName(Base):
    """A name that nobody can choose, beside those that the code reserves."""

    __tablename__ = "reserved_name"
    __table_args__ = (Index("reserved_name_likeness", "likeness"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    likeness: Mapped[str] = mapped_column(Text)
    reserved_at: Mapped[StampNow]


class RestingName(Base):
    """A name that was given up or taken back, as an HMAC: nobody can have it before `until`."""

    __tablename__ = "resting_name"
    __table_args__ = (
        Index("resting_name_until", "until"),
        Index("resting_name_domain_id_until", "domain_id", "until"),
    )

    domain_id: Mapped[BigId] = mapped_column(
        ForeignKey("domain.domain_id"), primary_key=True, autoincrement=False
    )
    name_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[StampNow]
    until: Mapped[Stamp]


class RegistrationInvitation(Base):
    """Lets as many people as it says take a name in one domain; the code itself is nowhere."""

    __tablename__ = "registration_invitation"
    __table_args__ = (
        Index("registration_invitation_by_time", text("made_at DESC"), text("invitation_id DESC")),
    )

    invitation_id: Mapped[BigId] = mapped_column(primary_key=True, autoincrement=False)
    domain_id: Mapped[BigId] = mapped_column(ForeignKey("domain.domain_id"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    contact_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    uses: Mapped[int] = mapped_column(Integer, server_default="1")
    used: Mapped[int] = mapped_column(Integer, server_default="0")
    made_by: Mapped[BigId | None] = mapped_column(_of("account", "SET NULL"))
    made_at: Mapped[StampNow]
    expires_at: Mapped[Stamp]
    withdrawn_at: Mapped[Stamp | None]


class SignUp(Base):
    """Who took a mailbox when, and by which invitation."""

    __tablename__ = "sign_up"
    __table_args__ = (Index("sign_up_by_time", "at"), Index("sign_up_account_id", "account_id"))

    mailbox_id: Mapped[BigId] = mapped_column(
        _of("mailbox", "CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[BigId] = mapped_column(_of("account", "CASCADE"))
    domain_id: Mapped[BigId] = mapped_column(ForeignKey("domain.domain_id"))
    invitation_id: Mapped[BigId | None] = mapped_column(ForeignKey("registration_invitation.invitation_id"))
    at: Mapped[StampNow]


class MemberInvitation(Base):
    """An owner asks somebody to share a mailbox; gone when that person has answered."""

    __tablename__ = "member_invitation"
    __table_args__ = (Index("member_invitation_account_id", "account_id"),)

    mailbox_id: Mapped[BigId] = mapped_column(
        _of("mailbox", "CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[BigId] = mapped_column(
        _of("account", "CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[str] = mapped_column(Text)
    invited_by: Mapped[BigId] = mapped_column(_of("account", "CASCADE"))
    invited_at: Mapped[StampNow]
    expires_at: Mapped[Stamp]


class MemberNotice(Base):
    """What somebody is told of his memberships: it stays until he puts it away."""

    __tablename__ = "member_notice"

    account_id: Mapped[BigId] = mapped_column(
        _of("account", "CASCADE"), primary_key=True, autoincrement=False
    )
    notice_id: Mapped[BigId] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[StampNow]
    kind: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, server_default="")
    by_account_id: Mapped[BigId | None] = mapped_column(_of("account", "SET NULL"))


class MailboxActivity(Base):
    """Who did what in a mailbox of several, for its members: no content. Triggers write what can be done from anywhere."""

    __tablename__ = "mailbox_activity"

    mailbox_id: Mapped[BigId] = mapped_column(
        _of("mailbox", "CASCADE"), primary_key=True, autoincrement=False
    )
    activity_id: Mapped[BigId] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[StampNow]
    account_id: Mapped[BigId | None] = mapped_column(_of("account", "SET NULL"))
    kind: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column(Integer, server_default="1")
    role: Mapped[str] = mapped_column(Text, server_default="")
    other_account_id: Mapped[BigId | None] = mapped_column(_of("account", "SET NULL"))
