"""People: the account behind a Clerk session, what it may do, and which sessions are over."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import Refused
from webmail.identity.models import Account, AccountRole, SessionDenial
from webmail.identity.viewer import Denied, Preferences, Viewer

ROLES = ("support", "support_lead", "reviewer", "admin", "auditor")


def viewer(user_id: str, session_id: str, factor_ages: tuple[int, ...]) -> Viewer | Denied | None:
    """Who is behind a verified session: one query. None when Clerk knows this person and we have not met them."""
    row = db.session.execute(_VIEWER, {"user": user_id, "session": session_id}).first()
    if row is None:
        return None
    if row.denied or row.status != "active":
        return Denied("denied" if row.denied else row.status)
    return Viewer(
        account_id=row.account_id,
        user_id=user_id,
        session_id=session_id,
        name=row.name,
        contact=row.contact_email,
        roles=frozenset(row.roles),
        mailbox_id=row.mailbox_id,
        address=f"{row.local_part}@{row.domain}" if row.local_part else None,
        status=row.status,
        fva=factor_ages,
        preferences=Preferences(row.rows_preference, row.density_preference, row.reading_preference),
    )


_VIEWER = text("""
    SELECT a.account_id, a.name, a.contact_email, a.status, a.rows_preference, a.density_preference, a.reading_preference,
           m.mailbox_id, ad.local_part, d.name AS domain,
           ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id) AS roles,
           EXISTS (SELECT 1 FROM session_denial s WHERE s.subject IN (:user, :session) AND s.until > now()) AS denied
      FROM account a
      LEFT JOIN mailbox_member m ON m.account_id = a.account_id
      LEFT JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary
      LEFT JOIN domain d ON d.domain_id = ad.domain_id
     WHERE a.clerk_user_id = :user
     ORDER BY m.since LIMIT 1""")


def meet(user_id: str, name: str = "", contact: str = "") -> int:
    """The account of a Clerk user, made if this is the first time; its id. Two first requests at once make one account."""
    statement = insert(Account).values(
        account_id=new_id(), clerk_user_id=user_id, name=name, contact_email=contact
    )
    keep = {"name": func.coalesce(func.nullif(Account.name, ""), statement.excluded.name)}
    statement = statement.on_conflict_do_update(index_elements=["clerk_user_id"], set_=keep)
    return int(db.session.execute(statement.returning(Account.account_id)).scalar_one())


def is_denied(user_id: str, session_id: str) -> bool:
    """True while this session, or every session of this user, is on the deny-list."""
    return bool(db.session.execute(_DENIED, {"user": user_id, "session": session_id}).scalar())


_DENIED = text(
    "SELECT EXISTS (SELECT 1 FROM session_denial WHERE subject IN (:user, :session) AND until > now())"
)


def deny(subject: str, reason: str, period: timedelta = timedelta(days=2)) -> None:
    """Let a session (`sess_…`) or a user (`user_…`) in no more for `period`; a token lives a minute, so two days are ample."""
    statement = insert(SessionDenial).values(subject=subject, reason=reason, until=func.now() + period)
    longer = {
        "until": func.greatest(SessionDenial.until, statement.excluded.until),
        "reason": statement.excluded.reason,
    }
    db.session.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=longer))


def prefer(account_id: int, choices: Mapping[str, str]) -> None:
    """Set how pages look for a person. Raises Refused for a choice that does not exist."""
    allowed = {
        "rows": ("20", "50", "100"),
        "density": ("comfortable", "compact"),
        "reading": ("reading", "formatted"),
    }
    if any(choices.get(name) not in values for name, values in allowed.items()):
        raise Refused("there is no such choice")
    values = {
        "rows_preference": int(choices["rows"]),
        "density_preference": choices["density"],
        "reading_preference": choices["reading"],
    }
    db.session.execute(update(Account).where(Account.account_id == account_id).values(**values))


def grant(account_id: int, role: str, *, by: int | None, actor: str) -> None:
    """Give a person a staff role, once. Audited. Nobody grants to themselves: the database refuses it too."""
    if role not in ROLES:
        raise Refused(f"there is no role {role!r}")
    statement = (
        insert(AccountRole).values(account_id=account_id, role=role, granted_by=by).on_conflict_do_nothing()
    )
    if db.session.execute(statement.returning(AccountRole.role)).first():
        audit.record("role.granted", actor, account=account_id, role=role)
