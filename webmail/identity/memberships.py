"""Several people for one mailbox: owners decide who belongs to it, writers work in it, readers look.

Every verb asks the database whether its doer may. The rules themselves are triggers: who joins was invited by an owner, and an open
mailbox keeps an owner. Members see who did what; whoever is concerned is told; the audit log has the ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, rows
from webmail.errors import MtumailError, NotFound
from webmail.identity.viewer import MEMBER_ROLES
from webmail.mail.addresses import base_local

MAX_MEMBERS = 100
"""Members and open invitations of one mailbox."""
MAX_MAILBOXES = 50
"""Mailboxes that one person belongs to: the pages and the first query of each request list them all."""
INVITATION_LASTS = timedelta(days=30)


class MembershipRefused(MtumailError):
    """Nothing was changed. `reason`: "unknown" (no person with this address), "shared" (the address is of a shared mailbox),
    "yourself", "member", "full", "too-many" (the person belongs to too many), "last-owner", "not-owner", "no-role"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Member:
    """A person who belongs to a mailbox, or is asked to (`since`: when he was asked)."""

    account_id: int
    name: str
    address: str
    role: str
    since: datetime
    is_invited: bool


@dataclass(frozen=True, slots=True)
class Mine:
    """A mailbox of one's own. `others`: how many more people belong to it; `is_last_owner`: one cannot leave it as it is."""

    mailbox_id: int
    address: str
    role: str
    since: datetime
    others: int
    is_last_owner: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An invitation that waits for one's answer."""

    mailbox_id: int
    address: str
    role: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """What one is told about a membership. `by`: the name of who did it."""

    notice_id: int
    at: datetime
    kind: str
    address: str
    role: str
    by: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody did in a shared mailbox. `other`: whom it was about."""

    activity_id: int
    at: datetime
    kind: str
    number: int
    role: str
    who: str
    other: str


# --- looking -------------------------------------------------------------------------------------------------------------


_ADDRESS_OF = """
    (SELECT ad.local_part || '@' || d.name FROM address ad JOIN domain d USING (domain_id)
      WHERE ad.mailbox_id = {} AND ad.is_primary)"""
_HOME_OF = _ADDRESS_OF.format("a.home_mailbox_id")
_CALLED = f"coalesce(nullif({{0}}.name, ''), {_ADDRESS_OF.format('{0}.home_mailbox_id')}, '')"
"""What an account is called: its name, else the address of its first mailbox."""


def members(mailbox_id: int, account_id: int) -> Sequence[Member]:
    """Who belongs to a mailbox, and who is asked to. Raises NotFound for whoever does not belong to it."""
    found = [Member(*row) for row in rows(_MEMBERS, {"mailbox": mailbox_id})]
    if all(one.account_id != account_id or one.is_invited for one in found):
        raise NotFound("mailbox")
    return found


_MEMBERS = f"""
    SELECT a.account_id, a.name, coalesce({_HOME_OF}, ''), m.role, m.since, false AS invited
      FROM mailbox_member m JOIN account a USING (account_id) WHERE m.mailbox_id = %(mailbox)s
    UNION ALL
    SELECT a.account_id, a.name, coalesce({_HOME_OF}, ''), i.role, i.invited_at, true
      FROM member_invitation i JOIN account a USING (account_id) WHERE i.mailbox_id = %(mailbox)s AND i.expires_at > now()
     ORDER BY invited, since"""


def mine(account_id: int) -> Sequence[Mine]:
    """The mailboxes that a person belongs to, oldest membership first."""
    return [Mine(*row) for row in rows(_MINE, {"account": account_id})]


_MINE = f"""
    SELECT m.mailbox_id, coalesce({_ADDRESS_OF.format("m.mailbox_id")}, ''), m.role, m.since, count(o.account_id),
           m.role = 'owner' AND count(o.account_id) FILTER (WHERE o.role = 'owner') = 0
      FROM mailbox_member m LEFT JOIN mailbox_member o ON o.mailbox_id = m.mailbox_id AND o.account_id <> m.account_id
     WHERE m.account_id = %(account)s GROUP BY m.mailbox_id, m.account_id ORDER BY m.since, m.mailbox_id"""


def asked(account_id: int) -> Sequence[Asked]:
    """Invitations that wait for a person's answer."""
    return [Asked(*row) for row in rows(_ASKED, {"account": account_id})]


_ASKED = f"""
    SELECT i.mailbox_id, coalesce({_ADDRESS_OF.format("i.mailbox_id")}, ''), i.role, {_CALLED.format("b")}, i.invited_at
      FROM member_invitation i JOIN account b ON b.account_id = i.invited_by
     WHERE i.account_id = %(account)s AND i.expires_at > now() ORDER BY i.invited_at"""


def notices(account_id: int) -> Sequence[Notice]:
    """What a person is told about memberships and has not put away, newest first; at most a hundred."""
    return [Notice(*row) for row in rows(_NOTICES, {"account": account_id})]


_NOTICES = f"""
    SELECT n.notice_id, n.at, n.kind, n.address, n.role, coalesce({_CALLED.format("b")}, '')
      FROM member_notice n LEFT JOIN account b ON b.account_id = n.by_account_id
     WHERE n.account_id = %(account)s ORDER BY n.notice_id DESC LIMIT 100"""


def put_away(account_id: int, up_to: int) -> None:
    """Forget what a person was told, up to this notice: what came since stays."""
    db.session.execute(
        text("DELETE FROM member_notice WHERE account_id = :account AND notice_id <= :last"),
        {"account": account_id, "last": up_to},
    )


def activity(
    mailbox_id: int, account_id: int, before: int | None = None, count: int = 50
) -> tuple[Sequence[Act], int | None]:
    """Who did what in a mailbox, newest first, and where the next page begins or None. The transaction names the mailbox.

    Raises NotFound for whoever does not belong to it.
    """
    told = {"mailbox": mailbox_id, "account": account_id, "before": before, "count": count + 1}
    if not rows(_BELONGS, told):
        raise NotFound("mailbox")
    found = [Act(*row) for row in rows(_ACTIVITY, told)]
    return found[:count], found[count - 1].activity_id if len(found) > count else None


_BELONGS = "SELECT 1 FROM mailbox_member WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s"
_ACTIVITY = f"""
    SELECT t.activity_id, t.at, t.kind, t.number, t.role, coalesce({_CALLED.format("a")}, ''), coalesce({_CALLED.format("o")}, '')
      FROM mailbox_activity t LEFT JOIN account a ON a.account_id = t.account_id
      LEFT JOIN account o ON o.account_id = t.other_account_id
     WHERE t.mailbox_id = %(mailbox)s AND (%(before)s::bigint IS NULL OR t.activity_id < %(before)s::bigint)
     ORDER BY t.activity_id DESC LIMIT %(count)s"""


# --- changing ------------------------------------------------------------------------------------------------------------


def invite(mailbox_id: int, by: int, local_part: str, domain: str, role: str) -> None:
    """Ask the person with this hosted address to belong to a mailbox; asking again changes the role. The transaction names the
    mailbox. Raises MembershipRefused."""
    if role not in MEMBER_ROLES:
        raise MembershipRefused("no-role")
    _refuse_unless_owner(mailbox_id, by)
    account_id = _person(local_part, domain)
    if account_id == by:
        raise MembershipRefused("yourself")
    [[is_member, count, belongs]] = rows(_ROOM, {"mailbox": mailbox_id, "account": account_id})
    if is_member:
        raise MembershipRefused("member")
    if count >= MAX_MEMBERS:
        raise MembershipRefused("full")
    if belongs >= MAX_MAILBOXES:
        raise MembershipRefused("too-many")
    told = {"mailbox": mailbox_id, "account": account_id, "role": role, "by": by, "lasts": INVITATION_LASTS}
    db.session.execute(_UNASK, told)
    try:
        with db.session.begin_nested():
            db.session.execute(_ASK, told)
    except IntegrityError:
        raise MembershipRefused("member") from None
    _note(mailbox_id, by, "member.invited", other=account_id, role=role)


_ROOM = """
    SELECT EXISTS (SELECT 1 FROM mailbox_member WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s),
           (SELECT count(*) FROM mailbox_member WHERE mailbox_id = %(mailbox)s)
               + (SELECT count(*) FROM member_invitation WHERE mailbox_id = %(mailbox)s AND account_id <> %(account)s),
           (SELECT count(*) FROM mailbox_member WHERE account_id = %(account)s)
               + (SELECT count(*) FROM member_invitation WHERE account_id = %(account)s AND mailbox_id <> %(mailbox)s)"""
_UNASK = text(
    "DELETE FROM member_invitation WHERE mailbox_id = :mailbox AND account_id = :account RETURNING role, invited_by"
)
_ASK = text("""
    INSERT INTO member_invitation (mailbox_id, account_id, role, invited_by, expires_at)
    VALUES (:mailbox, :account, :role, :by, now() + :lasts)""")


def _person(local_part: str, domain: str) -> int:
    """The account behind an address: whose home it is, or who alone belongs to it."""
    found = rows(_WHOSE, {"local": base_local(local_part), "domain": domain})
    if not found:
        raise MembershipRefused("unknown")
    first, is_home = found[0]
    if len(found) > 1 and not is_home:
        raise MembershipRefused("shared")
    return int(first)


_WHOSE = """
    SELECT m.account_id, a.home_mailbox_id = m.mailbox_id AS is_home FROM address ad JOIN domain d USING (domain_id)
      JOIN mailbox_member m USING (mailbox_id) JOIN account a ON a.account_id = m.account_id AND a.status = 'active'
     WHERE d.name = %(domain)s AND ad.local_part = %(local)s ORDER BY is_home DESC NULLS LAST, m.since LIMIT 2"""


def answer(mailbox_id: int, account_id: int, *, accepts: bool) -> None:
    """Accept or decline an invitation. The transaction names the mailbox. Raises NotFound when there is none (any more)."""
    told = {"mailbox": mailbox_id, "account": account_id}
    if accepts:
        try:
            joined = db.session.execute(_JOIN, told).first()
        except IntegrityError:  # withdrawn in the same instant
            raise NotFound("invitation") from None
        if joined is None:
            raise NotFound("invitation")
        role, by = joined
    else:
        found = db.session.execute(_UNASK, told).first()
        if found is None:
            raise NotFound("invitation")
        role, by = found
    kind = "accepted" if accepts else "declined"
    _note(mailbox_id, account_id, f"member.{kind}", role=role)
    _tell(by, mailbox_id, kind, by=account_id, role=role)


# The trigger on mailbox_member takes the invitation away, and refuses where there is none.
_JOIN = text("""
    WITH asked AS (SELECT mailbox_id, account_id, role, invited_by FROM member_invitation
                    WHERE mailbox_id = :mailbox AND account_id = :account AND expires_at > now()),
         joined AS (INSERT INTO mailbox_member (mailbox_id, account_id, role) SELECT mailbox_id, account_id, role FROM asked
                    RETURNING role)
    SELECT joined.role, asked.invited_by FROM joined, asked""")


def withdraw(mailbox_id: int, by: int, account_id: int) -> None:
    """Take an invitation back. The transaction names the mailbox. Raises MembershipRefused, or NotFound where there is none."""
    _refuse_unless_owner(mailbox_id, by)
    found = db.session.execute(_UNASK, {"mailbox": mailbox_id, "account": account_id}).first()
    if found is None:
        raise NotFound("invitation")
    _note(mailbox_id, by, "member.withdrawn", other=account_id, role=found[0])
    _tell(account_id, mailbox_id, "withdrawn", by=by)


def change_role(mailbox_id: int, by: int, account_id: int, role: str) -> None:
    """Give a member another role; the same again changes nothing. The transaction names the mailbox. Raises MembershipRefused,
    NotFound."""
    if role not in MEMBER_ROLES:
        raise MembershipRefused("no-role")
    _refuse_unless_owner(mailbox_id, by)
    before = rows(
        "SELECT role FROM mailbox_member WHERE mailbox_id = %(mailbox)s AND account_id = %(account)s",
        {"mailbox": mailbox_id, "account": account_id},
    )
    if not before:
        raise NotFound("member")
    if before[0][0] != role and _change(mailbox_id, by, account_id, role):
        _note(mailbox_id, by, "member.role", other=account_id, role=role)
        _tell(account_id, mailbox_id, "role", by=by, role=role)


def remove(mailbox_id: int, by: int, account_id: int) -> None:
    """End somebody's membership. The transaction names the mailbox. Raises MembershipRefused, NotFound."""
    if by == account_id:
        leave(mailbox_id, account_id)
        return
    _refuse_unless_owner(mailbox_id, by)
    if not _change(mailbox_id, by, account_id, None):
        raise NotFound("member")
    _note(mailbox_id, by, "member.removed", other=account_id)
    _tell(account_id, mailbox_id, "removed", by=by)


def leave(mailbox_id: int, account_id: int) -> None:
    """Belong to a mailbox no longer, at once. The transaction names the mailbox.

    Raises MembershipRefused("last-owner"), also when the other owner leaves in the same instant; NotFound for no member.
    """
    if not _change(mailbox_id, account_id, account_id, None):
        raise NotFound("mailbox")
    _note(mailbox_id, account_id, "member.left")
    for (owner,) in rows(_OWNERS, {"mailbox": mailbox_id}):
        _tell(owner, mailbox_id, "left", by=account_id)


_OWNERS = "SELECT account_id FROM mailbox_member WHERE mailbox_id = %(mailbox)s AND role = 'owner'"


def _change(mailbox_id: int, by: int, account_id: int, role: str | None) -> bool:
    told = {"by": by, "mailbox": mailbox_id, "account": account_id, "role": role}
    try:
        with db.session.begin_nested():
            return bool(db.session.execute(_CHANGE, told).scalar_one())
    except IntegrityError:
        raise MembershipRefused("last-owner") from None


_CHANGE = text("SELECT member_change(:by, :mailbox, :account, :role)")


def _refuse_unless_owner(mailbox_id: int, account_id: int) -> None:
    found = rows(_BELONGS + " AND role = 'owner'", {"mailbox": mailbox_id, "account": account_id})
    if not found:
        raise MembershipRefused("not-owner")


def _note(mailbox_id: int, by: int, kind: str, *, other: int | None = None, role: str = "") -> None:
    """Write an act down: for the members, and in the audit log."""
    told = {"mailbox": mailbox_id, "by": by, "kind": kind, "other": other, "role": role}
    db.session.execute(_NOTE, told)
    audit.record(f"mailbox.{kind}", f"account:{by}", mailbox=mailbox_id, account=other or by, role=role)


_NOTE = text("""
    INSERT INTO mailbox_activity (mailbox_id, account_id, kind, other_account_id, role)
    VALUES (:mailbox, :by, :kind, :other, :role)""")


def _tell(account_id: int, mailbox_id: int, kind: str, *, by: int, role: str = "") -> None:
    told = {"account": account_id, "mailbox": mailbox_id, "kind": kind, "by": by, "role": role}
    db.session.execute(_TELL, told)


_TELL = text(f"""
    INSERT INTO member_notice (account_id, kind, address, role, by_account_id)
    VALUES (:account, :kind, coalesce({_ADDRESS_OF.format("CAST(:mailbox AS bigint)")}, ''), :role, :by)""")
