"""What our own watch noticed becomes a case: an account over its limit, a flood of sign-ups, a surge, malware."""

from sqlalchemy import text

from webmail.db import db, new_id
from webmail.governance.cases import subjects
from webmail.governance.cases.sealing import open_secret
from webmail.governance.cases.taking import Brought, take
from webmail.keys import MasterKeys

BATCH = 1_000
_KINDS = {"sending.limited": "spam", "security.surge": "spam", "security.malware": "malware"}


def take_new(master: MasterKeys) -> tuple[int, bool]:
    """Bring the events that were written since last time to the staff: how many, and whether there may be more.

    In one transaction: an event is a case, and is not looked at again; or neither. Events are grouped by the account they name,
    and those that name none by their kind.
    """
    found = db.session.execute(_EVENTS, {"most": BATCH}).all()
    secret = open_secret(master) if found else None
    for row in found:
        assert secret is not None
        about = row.facts.get("account")
        about = about if isinstance(about, int) and _is_there(about) else None
        subject = (
            subjects.account(secret, about)
            if about is not None
            else subjects.message(secret, f"event {row.kind}")
        )
        brought = Brought(
            item_id=new_id(),
            kind=_KINDS.get(row.kind, "security"),
            source="event",
            subjects=(subject,),
            label=row.kind,
            about=about,
            event_number=row.number,
        )
        take(master, secret, brought, actor="system:worker")
    return len(found), len(found) > 0


_EVENTS = text("SELECT number, kind, actor, facts FROM case_events(:most)")


def _is_there(account_id: int) -> bool:
    """The log outlives accounts."""
    return bool(db.session.execute(_THERE, {"account": account_id}).scalar())


_THERE = text("SELECT EXISTS (SELECT FROM account WHERE account_id = :account)")
