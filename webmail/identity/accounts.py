"""People: the account behind a Clerk session, what it may do, and which sessions are over."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import cast, func, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.identity.models import Account, SessionDenial
from webmail.identity.viewer import Denied, Membership, Preferences, Viewer
from webmail.settings import kept

Rows = list[tuple[Any, ...]]
NO_SIGN_IN = "no-sign-in"
"""Why somebody is denied whose sign-in the staff has suspended (P19): his notices stay open to him, and his appeals."""


def viewer(
    user_id: str,
    session_id: str,
    factor_ages: tuple[int, ...],
    *,
    mailbox_id: int | None = None,
    ask: Callable[..., Rows] = rows,
) -> Viewer | Denied | None:
    """Who is behind a verified session: one query. None when Clerk knows this person and we have not met them.

    `mailbox_id`: the mailbox that the request names; without one it is about the person's home. `ask` is `db.glance` where no
    transaction is open. Raises NotFound for a mailbox that the person does not belong to.
    """
    found = ask(_VIEWER, {"user": user_id, "session": session_id})
    if not found:
        return None
    account_id, name, contact, status, *chosen, home_id, news, told = found[0][:-10]
    may_sign_in, banner, locale, leaving, roles, denied = found[0][-10:-4]
    if denied or status != "active":
        return Denied("denied" if denied else status)
    if not may_sign_in:
        return Denied(NO_SIGN_IN, account_id)
    mine = tuple(
        Membership(number, role, f"{local}@{domain}" if local else "")
        for number, role, local, domain in (row[-4:] for row in found)
        if number is not None
    )
    asked = home_id if mailbox_id is None else mailbox_id
    here = next((one for one in mine if one.mailbox_id == asked), None)
    if here is None and mailbox_id is not None:
        raise NotFound("mailbox")
    return Viewer(
        account_id=account_id,
        user_id=user_id,
        session_id=session_id,
        name=name,
        contact=contact,
        roles=frozenset(roles),
        mailbox_id=here.mailbox_id if here else None,
        address=(here.address or None) if here else None,
        status=status,
        fva=factor_ages,
        preferences=_preferences(*chosen),
        role=here.role if here else None,
        memberships=mine,
        home_id=home_id,
        news=news,
        told=told,
        banner=banner or "",
        locale=locale or "",
        leaving=leaving,
    )


# A row for each mailbox of the person: few, for their number has a limit.
_VIEWER = """
    SELECT a.account_id, a.name, a.contact_email, a.status, a.rows_preference, a.density_preference, a.reading_preference,
           a.preferences, a.home_mailbox_id,
           (SELECT count(*) FROM member_invitation i WHERE i.account_id = a.account_id AND i.expires_at > now())
               + (SELECT count(*) FROM member_notice n WHERE n.account_id = a.account_id) AS news,
           (SELECT count(*) FROM staff_notice t
             WHERE t.account_id = a.account_id AND t.seen_at IS NULL AND t.due_at <= now()) AS told,
           a.may_sign_in, (SELECT value #>> '{}' FROM setting WHERE name = 'service.banner') AS banner,
           (SELECT value #>> '{}' FROM setting WHERE name = 'languages.standard') AS locale,
           (SELECT due_at FROM erasure e
             WHERE e.account_id = a.account_id AND e.kind = 'account' AND e.state = 'waiting') AS leaving,
           ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id) AS roles,
           EXISTS (SELECT 1 FROM session_denial s WHERE s.subject IN (%(user)s, %(session)s) AND s.until > now())
               OR a.clerk_state <> 'present' AS denied,
           m.mailbox_id, m.role, ad.local_part, d.name AS domain
      FROM account a
      LEFT JOIN mailbox_member m ON m.account_id = a.account_id
      LEFT JOIN address ad ON ad.mailbox_id = m.mailbox_id AND ad.is_primary
      LEFT JOIN domain d ON d.domain_id = ad.domain_id
     WHERE a.clerk_user_id = %(user)s
     ORDER BY m.since, m.mailbox_id"""


def _preferences(count: int, density: str, reading: str, more: Mapping[str, Any]) -> Preferences:
    chosen = {name: more[name] for name in _STORED if name in more}
    if "undo" in chosen:
        chosen["undo"] = int(chosen["undo"])
    keys = tuple(sorted((str(act), str(key)) for act, key in more.get("keys", {}).items()))
    return Preferences(count, density, reading, **chosen, keys=keys)


def meet(user_id: str, name: str = "", contact: str = "") -> int:
    """The account of a Clerk user, made if this is the first time, with the appearance that newcomers have; its id. Two first
    requests at once make one account."""
    statement = insert(Account).values(
        account_id=new_id(),
        clerk_user_id=user_id,
        name=name,
        contact_email=contact,
        rows_preference=int(kept.text("appearance.rows")),
        density_preference=kept.text("appearance.density"),
        reading_preference=kept.text("appearance.reading"),
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
