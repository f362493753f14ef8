"""Step-up: who is about to do what matters proves first that it is still he; for this act, on this thing, once.

    stepup.require(viewer, act="access.open", target=grant_id)

stands at the head of the act, in its transaction. Either there is a fresh confirmation, which is then used up together with the
act, or ConfirmationNeeded ends the transaction, and the web asks (`web.confirming`). A proof is the password or a code of the
second factor, checked by Clerk, or a sign-in that is newer than the question. (`identity.clerk.stepup` is Clerk's own rule about
the age of a factor; it knows nothing of acts.)
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import Refused
from webmail.identity.clerk.stepup import NEVER, PRESETS, Requirement, is_fresh
from webmail.identity.viewer import Viewer
from webmail.settings import kept

LIFE = timedelta(minutes=10)
MOST_TRIES = 5
"""In ten minutes, without success; the database counts them."""
METHODS = ("password", "totp", "both", "clerk")


class ConfirmationNeeded(Refused):
    """This act needs a proof first; nothing was done. The web layer answers with the page that asks for it.

    `act` is its dotted code, `target` the hash of what it is done to, `level` one of Clerk's levels of factors.
    """

    def __init__(self, act: str, target: bytes, level: str) -> None:
        self.act, self.target, self.level = act, target, level
        super().__init__(act)


class TooManyTries(Refused):
    """Five wrong ones within ten minutes."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, to whom and when (seconds since 1970). `number` is what its one confirmation will be called."""

    number: int
    account_id: int
    act: str
    target: bytes
    level: str
    asked_at: int


def target_hash(act: str, target: object) -> bytes:
    """What a confirmation is bound to: the act and the thing, an id or any text that names it."""
    return hashlib.sha256(f"{act}\0{target}".encode()).digest()


def require(viewer: Viewer, *, act: str, target: object, level: str = "second_factor") -> int:
    """Use up the viewer's confirmation of this very act; its id. In the act's own transaction, `staff` or not, before the act.

    `target` is what it is done to, with everything in it that makes a difference ("12:admin", not "12"). `level`: "second_factor"
    is satisfied with the password by people without a second factor; "multi_factor" asks the others for both.
    Raises ConfirmationNeeded. A confirmation of another session, act or target does not count.
    """
    bound = target_hash(act, target)
    if viewer.roles and kept.text("security.confirm_level") == "multi_factor":
        level = "multi_factor"
    values = {
        "account": viewer.account_id,
        "session": viewer.session_id,
        "act": act,
        "target": bound,
        "life": timedelta(minutes=kept.whole("security.confirm_minutes")),
        "methods": list(
            METHODS if level != "multi_factor" or not has_second_factor(viewer) else ("both", "clerk")
        ),
    }
    number = db.session.execute(_USE, values).scalar()
    if number is None:
        raise ConfirmationNeeded(act, bound, level)
    audit.record("stepup.used", f"account:{viewer.account_id}", act=act, confirmation=number)
    return int(number)


_USE = text("""
    UPDATE confirmation SET used_at = now()
     WHERE confirmation_id = (SELECT confirmation_id FROM confirmation
            WHERE account_id = :account AND session_id = :session AND act = :act AND target = :target
              AND used_at IS NULL AND expires_at > now() AND made_at > now() - CAST(:life AS interval)
              AND method = ANY(CAST(:methods AS text[])) ORDER BY made_at LIMIT 1 FOR UPDATE SKIP LOCKED)
 RETURNING confirmation_id""")


def has_second_factor(viewer: Viewer) -> bool:
    """Whether a second factor is on, as far as the session's token says: it has been used at some time."""
    return len(viewer.fva) == 2 and viewer.fva[1] != NEVER


def wanted(viewer: Viewer, level: str) -> tuple[bool, bool]:
    """Whether to ask for (password, code)."""
    second = has_second_factor(viewer)
    return (not second or level == "multi_factor"), second


# --- proving -------------------------------------------------------------------------------------------------------------


def begin_try(account_id: int) -> int:
    """Note a try before its outcome is known, so that many at once do not get more; its id. Commit it before asking Clerk.

    Raises TooManyTries.
    """
    number = new_id()
    try:
        db.session.execute(_BEGIN, {"try": number, "account": account_id})
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) == "confirmation_try_limit":
            raise TooManyTries("tries") from None
        raise
    return number


_BEGIN = text("INSERT INTO confirmation_try (try_id, account_id) VALUES (:try, :account)")


def end_try(try_id: int, outcome: str, viewer: Viewer, act: str) -> None:
    """`outcome`: "right", "wrong", or "unsure" where Clerk did not say, which is held against nobody. What was wrong is audited."""
    db.session.execute(_END, {"try": try_id, "outcome": outcome})
    if outcome == "wrong":
        audit.record("stepup.wrong", f"account:{viewer.account_id}", act=act)


_END = text("UPDATE confirmation_try SET outcome = :outcome WHERE try_id = :try")


def confirm(question: Question, viewer: Viewer, method: str) -> bool:
    """Write down that the viewer answered the question; audited. False when it was answered before: it counts once."""
    if question.account_id != viewer.account_id:
        return False
    values = {
        "number": question.number,
        "account": viewer.account_id,
        "session": viewer.session_id,
        "act": question.act,
        "target": question.target,
        "method": method,
    }
    if db.session.execute(_CONFIRM, values).scalar() is None:
        return False
    who = f"account:{viewer.account_id}"
    audit.record("stepup.confirmed", who, act=question.act, method=method, confirmation=question.number)
    return True


_CONFIRM = text("""
    INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method)
    VALUES (:number, :account, :session, :act, :target, :method) ON CONFLICT (confirmation_id) DO NOTHING
 RETURNING confirmation_id""")


def signed_in_since(question: Question, ages: tuple[int, ...], issued_at: float) -> bool:
    """Whether Clerk has seen the factors that are wanted after the question was asked: to the minute, as Clerk counts.

    `ages` are minutes as of `issued_at`. A factor of 0 minutes in a token older than the question proves nothing.
    """
    preset = PRESETS["strict_mfa" if question.level == "multi_factor" else "strict"]
    minutes = min(preset.minutes, int((issued_at - question.asked_at) // 60) + 1)
    if issued_at <= question.asked_at:
        return False
    return is_fresh(ages, issued_at, issued_at, Requirement(preset.level, minutes))


def purge(older_than: timedelta) -> int:
    """Forget confirmations and tries older than this; how many. What was confirmed stays in the audit log."""
    gone = 0
    for statement in _PURGE:
        gone += db.session.execute(statement, {"age": older_than}).rowcount  # type: ignore[attr-defined]
    return gone


_PURGE = (
    text("DELETE FROM confirmation WHERE made_at < now() - CAST(:age AS interval)"),
    text("DELETE FROM confirmation_try WHERE at < now() - CAST(:age AS interval)"),
)
