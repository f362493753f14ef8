"""People: the account behind a Clerk session, what it may do, and which sessions are over."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import cast, func, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from webmail import audit
from webmail.db import db, new_id, rows
from webmail.errors import Refused
from webmail.identity.models import Account, AccountRole, SessionDenial
from webmail.identity.viewer import Denied, Preferences, Viewer

Rows = list[tuple[Any, ...]]
ROLES = ("support", "support_lead", "reviewer", "admin", "auditor")


def viewer(
    user_id: str, session_id: str, factor_ages: tuple[int, ...], *, ask: Callable[..., Rows] = rows
) -> Viewer | Denied | None:
    """Who is behind a verified session: one query. None when Clerk knows this person and we have not met them.

    `ask` is `db.glance` where no transaction is open."""
    found = ask(_VIEWER, {"user": user_id, "session": session_id})
    if not found:
        return None
    account_id, name, contact, status, *chosen, mailbox_id, local, domain, roles, denied = found[0]
    if denied or status != "active":
        return Denied("denied" if denied else status)
    return Viewer(
        account_id=account_id,
        user_id=user_id,
        session_id=session_id,
        name=name,
        contact=contact,
        roles=frozenset(roles),
        mailbox_id=mailbox_id,
        address=f"{local}@{domain}" if local else None,
        status=status,
        fva=factor_ages,
        preferences=_preferences(*chosen),
    )


_VIEWER = """
    SELECT a.account_id, a.name, a.contact_email, a.status, a.rows_preference, a.density_preference, a.reading_preference,
           a.preferences, m.mailbox_id, ad.local_part, d.name AS domain,
           ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id) AS roles,
           EXISTS (SELECT 1 FROM session_denial s WHERE s.subject IN (%(user)s, %(session)s) AND s.until > now()) AS denied
      FROM account a
      LEFT JOIN mailbox_member m ON m.account_id = a.account_id
      LEFT JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary
      LEFT JOIN domain d ON d.domain_id = ad.domain_id
     WHERE a.clerk_user_id = %(user)s
     ORDER BY m.since LIMIT 1"""


def _preferences(count: int, density: str, reading: str, more: Mapping[str, Any]) -> Preferences:
    chosen = {name: more[name] for name in _STORED if name in more}
    if "undo" in chosen:
        chosen["undo"] = int(chosen["undo"])
    keys = tuple(sorted((str(act), str(key)) for act, key in more.get("keys", {}).items()))
    return Preferences(count, density, reading, **chosen, keys=keys)


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


_CHOICES = {
    "rows": ("20", "50", "100"),
    "density": ("comfortable", "compact"),
    "reading": ("reading", "formatted"),
    "links": ("short", "full"),
    "conversations": ("threads", "flat"),
    "pictures": ("ask", "always"),
    "reminders": ("on", "off"),
    "undo": ("0", "5", "10", "20", "30"),
}
_STORED = ("links", "conversations", "pictures", "reminders", "undo", "zone")
"""Choices that are kept together in one column."""


def prefer(account_id: int, choices: Mapping[str, str], keys: Mapping[str, str] | None = None) -> None:
    """Set how pages look for a person; what `choices` does not name stays. `keys` are keyboard shortcuts, action to key.

    Raises Refused for a choice that does not exist.
    """
    if any(choices[name] not in values for name, values in _CHOICES.items() if name in choices):
        raise Refused("there is no such choice")
    columns = {"rows": "rows_preference", "density": "density_preference", "reading": "reading_preference"}
    values: dict[str, Any] = {column: choices[name] for name, column in columns.items() if name in choices}
    if "rows" in choices:
        values["rows_preference"] = int(choices["rows"])
    more: dict[str, Any] = {name: choices[name] for name in _STORED if name in choices}
    if keys is not None:
        more["keys"] = dict(keys)
    if more:
        values["preferences"] = Account.preferences.op("||")(cast(more, JSONB))
    if values:
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
