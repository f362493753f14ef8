"""Errands for people that wait for others: ending sessions at Clerk, telling a person what happened to the account.

What is done is noted with the row, so that a run that is killed is taken up where it was. Only the copy to a contact address may
leave twice, if the process dies between the relay's answer and the note; it bears the same Message-ID then.
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy.exc import OperationalError

from webmail import jobs
from webmail.db import transaction
from webmail.errors import SettingError
from webmail.identity import accounts, errands
from webmail.identity.clerk.backend import BackendClient
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import BackendError, BackendRefused, RateLimited
from webmail.identity.errands import Errand
from webmail.identity.models import Account
from webmail.sending import roads, telling
from webmail.sending.relay import Forgetful, Relays
from workers.context import core, master

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=2)
TURN_SECONDS = 15.0
_OVER = frozenset({400, 404, 410, 422})
"""What Clerk answers about a session that is over already, or never was."""
_SESSIONS = 100


def drain() -> int:
    """Run errands that are due, for 15 seconds at the most; how many. Safe to run many times at once."""
    done, until = 0, time.monotonic() + TURN_SECONDS
    with core().app_context():
        jobs.answered(jobs.ERRAND)
        while errand := _claimed():
            _one(errand)
            done += 1
            if time.monotonic() >= until:
                jobs.ring(jobs.ERRAND)
                break
    return done


def _claimed() -> Errand | None:
    with transaction():
        return errands.claim(LEASE)


def _one(errand: Errand) -> None:
    told = {"errand": errand.errand_id, "kind": errand.kind}
    try:
        problem = _RUN[errand.kind](errand)
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except SettingError:
        problem = "not-configured"
        log.critical("errand needs settings", extra=told)
    except BackendError as error:
        problem = f"clerk-{error.status or 'away'}"
        log.warning("clerk did not answer", extra=told | {"status": error.status})
    except Exception as error:
        problem = "error"
        log.error("errand failed", extra=told | {"error": type(error).__name__})
    with transaction():
        if problem:
            errands.again(errand, problem)
        else:
            errands.finish(errand)
    log.info("errand", extra=told | {"problem": problem})


# --- sessions ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _backend() -> BackendClient:
    settings = core().extensions["settings"]
    environment: Any = settings.environment
    return BackendClient(
        ClerkSettings.from_environment(settings.clerk, origin=settings.origin, environment=environment)
    )


def _revoke(errand: Errand) -> str:
    session_id = str(errand.facts["session"])
    with transaction():
        accounts.deny(session_id, "ended")  # for as long as Clerk does not know of it
    _end(session_id)
    return ""


def _end(session_id: str) -> None:
    try:
        _backend().revoke_session(session_id)
    except RateLimited:
        raise
    except BackendRefused as error:
        if error.status not in _OVER:
            raise


def _revoke_others(errand: Errand) -> str:
    """All that Clerk knows of, also those that have never been here; none that began after it was asked for."""
    with transaction() as session:
        account = session.get(Account, errand.account_id)
        user_id = account.clerk_user_id if account else ""
    if not user_id:
        return ""
    found = _backend().sessions(user_id, limit=_SESSIONS)
    old = [one for one in found if one.get("id") != errand.facts["keep"] and _began(one) <= errand.made_at]
    for one in old:
        session_id = str(one["id"])
        with transaction():
            accounts.deny(session_id, "ended")
        _end(session_id)
    return "" if len(found) < _SESSIONS or not old else "more"


def _began(session: dict[str, Any]) -> datetime:
    moment = session.get("created_at")
    return datetime.fromtimestamp(moment / 1000 if isinstance(moment, int) else 0, tz=UTC)


# --- telling -------------------------------------------------------------------------------------------------------------


def _tell(errand: Errand) -> str:
    if errand.account_id is None:
        return ""
    with transaction():
        who = telling.person(errand.account_id)
        recipient = telling.mailbox_of(who) if who else None
    if who is None:
        return ""
    what = str(errand.facts["what"])
    told = (what, errand.facts, errand.made_at)
    if recipient is not None and not errand.facts.get("kept"):
        with transaction():
            raw = telling.letter(errand.errand_id, who, who.address, *told)
        with transaction(recipient.mailbox_id):
            if not errands.remember(errand, kept=1):
                return "lost"
            telling.keep(recipient, raw)
    if not who.elsewhere:
        return ""
    with transaction():
        raw = telling.letter(errand.errand_id, who, who.elsewhere, *told)
    return _leave(who.elsewhere, raw)


def _leave(to: str, raw: bytes) -> str:
    """Hand a copy to the relay. The null sender: a bounce of it would tell nobody anything."""
    with Relays(roads.outward(core().extensions["settings"], master()), Forgetful()) as road:
        outcome = road.send("", (to,), raw)
    kind = outcome.recipients[0].kind
    return "" if kind in ("sent", "failed") else "relay"


# --- the end -------------------------------------------------------------------------------------------------------------


def _delete_user(errand: Errand) -> str:
    try:
        _backend().delete_user(str(errand.facts["user"]))
    except RateLimited:
        raise
    except BackendRefused as error:
        if error.status not in (404, 410):
            raise
    return ""


_RUN = {"revoke": _revoke, "revoke_others": _revoke_others, "tell": _tell, "delete_user": _delete_user}
