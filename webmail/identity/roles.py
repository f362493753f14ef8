"""Who may do what for others: roles of the staff, given by one person to another and never by anybody to himself.

    support       works on cases and asks for access          reviewer   looks at what others did
    support_lead  approves what others ask for as well        auditor    reads the log, changes nothing, and holds no other role
    admin         runs the service and gives roles

Every admin gives and takes every role, for a reason that is kept; to make somebody an admin takes two of them, or the command line,
where somebody holds the database anyway. Taking is left to one: who sees that a colleague's account is in other hands must not wait
for a third. Nobody changes his own roles, and so the last admin stays: whoever takes one away is another. A reviewer may work on
cases as well, for small services have few people; that nobody reviews his own is held where reviews are. All of it is refused by
the database too: a row of `role_change` is the only way in, and a trigger looks at it. With the next request it holds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import NotFound, Refused
from webmail.identity import errands
from webmail.identity.role_models import RoleChange, RoleProposal

ROLES = ("support", "support_lead", "reviewer", "admin", "auditor")
NEEDS_TWO = frozenset({"admin"})
MIN_REASON, MAX_REASON = 3, 500
PAGE = 50


class RoleRefused(Refused):
    """A change of roles that the rules do not allow; `code` says which rule, the web has the words."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with roles. `address` is the first of the mailbox, "" for a person without one."""

    account_id: int
    name: str
    status: str
    address: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    account_id: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the history; names as they are today, "" where nobody of that id is known, `made_by` None for the command line."""

    change_id: int
    account_id: int
    name: str
    role: str
    verb: str
    made_by: int | None
    made_by_name: str
    confirmed_by_name: str
    reason: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """Somebody who would become an admin, waiting for a second one."""

    proposal_id: int
    account_id: int
    name: str
    role: str
    proposed_by: int
    proposed_by_name: str
    reason: str
    expires_at: datetime


# --- changes -------------------------------------------------------------------------------------------------------------


def grant(account_id: int, role: str, *, by: int | None, reason: str, actor: str) -> str:
    """Give a role: "granted", or "proposed" where a second admin has to confirm it. `by` None is the command line.

    Audited, and told to the person. Raises RoleRefused.
    """
    check(account_id, role, "grant", by, reason)
    if role in NEEDS_TWO and by is not None:
        _propose(account_id, role, by, reason, actor)
        return "proposed"
    _change(account_id, role, "granted", by, None, reason, actor)
    return "granted"


def revoke(account_id: int, role: str, *, by: int | None, reason: str, actor: str) -> None:
    """Take a role; it is gone with the person's next request. Audited, and told to the person. Raises RoleRefused."""
    check(account_id, role, "revoke", by, reason)
    _change(account_id, role, "revoked", by, None, reason, actor)


def confirm(proposal_id: int, *, by: int, actor: str) -> Proposal:
    """Be the second admin. Raises NotFound for a proposal that is over, RoleRefused."""
    found = _open_proposal(proposal_id)
    if by in (found.proposed_by, found.account_id):
        raise RoleRefused("own")
    # The trigger closes the proposal: who inserts this row without one is refused.
    _change(found.account_id, found.role, "granted", found.proposed_by, by, found.reason, actor)
    return found


def decline(proposal_id: int, *, by: int, actor: str) -> Proposal:
    """Say no, also to one's own proposal. Raises NotFound for one that is over, RoleRefused."""
    found = _open_proposal(proposal_id)
    if by == found.account_id:
        raise RoleRefused("own")
    closed = update(RoleProposal).where(
        RoleProposal.proposal_id == proposal_id, RoleProposal.outcome.is_(None)
    )
    values = {"outcome": "declined", "closed_by": by, "closed_at": db.func.now()}
    db.session.execute(closed.values(**values).execution_options(synchronize_session=False))
    audit.record(
        "role.declined", actor, account=found.account_id, role=found.role, proposed_by=found.proposed_by
    )
    return found


def check(account_id: int, role: str, verb: str, by: int | None, reason: str) -> None:
    """Look whether a change could be made, so that nobody is asked for a proof in vain. `verb`: "grant" or "revoke".

    Raises RoleRefused.
    """
    mine = held(account_id)
    problems = {
        "unknown": role not in ROLES,
        "own": by == account_id,
        "held": verb == "grant" and role in mine,
        "not-held": verb == "revoke" and role not in mine,
        "auditor": verb == "grant" and any((one == "auditor") != (role == "auditor") for one in mine),
        "reason": not MIN_REASON <= len(reason.strip()) <= MAX_REASON,
    }
    for code, is_so in problems.items():
        if is_so:
            raise RoleRefused(code)


def _propose(account_id: int, role: str, by: int, reason: str, actor: str) -> None:
    over = update(RoleProposal).where(
        RoleProposal.account_id == account_id, RoleProposal.role == role, RoleProposal.outcome.is_(None)
    )
    over = over.where(RoleProposal.expires_at <= db.func.now())
    values = {"outcome": "declined", "closed_by": by, "closed_at": db.func.now()}
    db.session.execute(over.values(**values).execution_options(synchronize_session=False))
    row = {
        "proposal_id": new_id(),
        "account_id": account_id,
        "role": role,
        "proposed_by": by,
        "reason": reason.strip(),
    }
    with _refusals():
        db.session.execute(insert(RoleProposal).inline(), row)
    audit.record("role.proposed", actor, account=account_id, role=role)


def _change(
    account_id: int, role: str, verb: str, by: int | None, second: int | None, reason: str, actor: str
) -> None:
    row = {
        "change_id": new_id(),
        "account_id": account_id,
        "role": role,
        "verb": verb,
        "made_by": by,
        "confirmed_by": second,
        "reason": reason.strip(),
    }
    with _refusals():
        db.session.execute(insert(RoleChange).inline(), row)
    audit.record(
        f"role.{verb}", actor, account=account_id, role=role, proposed_by=by if second is not None else None
    )
    errands.add("tell", account_id, what=f"role-{verb}", role=role)


_CODES = {
    "role_change_is_made_by_an_admin": "not-admin",
    "role_change_is_granted_to_the_active": "not-active",
    "role_change_of_an_admin_has_a_second": "not-admin",
    "role_change_of_an_admin_was_proposed": "over",
    "role_change_leaves_the_auditor_alone": "auditor",
    "role_change_revokes_what_is_held": "not-held",
    "role_proposal_one_open_a_person": "waits",
    "account_role_key": "held",
}


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the database refuses into a RoleRefused with the name of the rule; the transaction is over then."""
    try:
        yield
    except IntegrityError as error:
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if name not in _CODES:
            raise
        raise RoleRefused(_CODES[name]) from None


# --- looking -------------------------------------------------------------------------------------------------------------


def held(account_id: int) -> frozenset[str]:
    """The roles of a person."""
    return frozenset(db.session.execute(_HELD, {"account": account_id}).scalars())


_HELD = text("SELECT role FROM account_role WHERE account_id = :account")


def find(local: str, domain: str) -> Person | None:
    """The owner of the mailbox at an address (folded, no tag), as far as the staff may know him."""
    row = db.session.execute(_FIND, {"local": local, "domain": domain}).first()
    return Person(*row) if row else None


_FIND = text("SELECT account_id, name, status FROM staff_account_at(:local, :domain)")


def person(account_id: int) -> Person:
    """A person by id. Raises NotFound."""
    row = db.session.execute(_PERSON, {"account": account_id}).first()
    if row is None:
        raise NotFound("account")
    return Person(*row)


_PERSON = text("SELECT account_id, name, status FROM account WHERE account_id = :account")


def holders() -> Sequence[Holder]:
    """Everybody with a role, by name: as many as the staff has people."""
    rows = db.session.execute(_HOLDERS)
    return [Holder(r.account_id, r.name, r.status, r.address or "", tuple(r.roles)) for r in rows]


_HOLDERS = text("""
    SELECT account_id, name, status, address, array_agg(role ORDER BY role) AS roles FROM staff_role_holder
     GROUP BY account_id, name, status, address ORDER BY name, account_id""")


def history(account_id: int | None = None, before: tuple[datetime, int] | None = None) -> Sequence[Change]:
    """The last fifty changes, newest first, of one person or of all; `before` (time, id) continues."""
    values = {
        "account": account_id,
        "at": before[0] if before else None,
        "change": before[1] if before else None,
    }
    return [Change(*row) for row in db.session.execute(_HISTORY, values | {"limit": PAGE})]


_HISTORY = text("""
    SELECT c.change_id, c.account_id, coalesce(a.name, ''), c.role, c.verb, c.made_by, coalesce(b.name, ''), coalesce(s.name, ''),
           c.reason, c.made_at
      FROM role_change c LEFT JOIN account a ON a.account_id = c.account_id LEFT JOIN account b ON b.account_id = c.made_by
      LEFT JOIN account s ON s.account_id = c.confirmed_by
     WHERE (CAST(:account AS bigint) IS NULL OR c.account_id = :account)
       AND (CAST(:at AS timestamptz) IS NULL OR (c.made_at, c.change_id) < (:at, :change))
     ORDER BY c.made_at DESC, c.change_id DESC LIMIT :limit""")


def proposals() -> Sequence[Proposal]:
    """Proposals that wait, oldest first."""
    return [Proposal(*row) for row in db.session.execute(_PROPOSALS)]


_OPEN = """
    SELECT p.proposal_id, p.account_id, a.name, p.role, p.proposed_by, b.name, p.reason, p.expires_at
      FROM role_proposal p JOIN account a ON a.account_id = p.account_id JOIN account b ON b.account_id = p.proposed_by
     WHERE p.outcome IS NULL AND p.expires_at > now()"""
_PROPOSALS = text(f"{_OPEN} ORDER BY p.proposed_at, p.proposal_id")
_PROPOSAL = text(f"{_OPEN} AND p.proposal_id = :proposal")


def _open_proposal(proposal_id: int) -> Proposal:
    row = db.session.execute(_PROPOSAL, {"proposal": proposal_id}).first()
    if row is None:
        raise NotFound("proposal")
    return Proposal(*row)


def check_proposal(proposal_id: int) -> Proposal:
    """A proposal that waits. Raises NotFound."""
    return _open_proposal(proposal_id)
